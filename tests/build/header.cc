// SPDX-License-Identifier: MIT
// header.cc - a C++ program can include the header and call the library.
#include <cstring>
#include <ramet.h>

int main()
{
    struct ramet_store *store = nullptr;
    if (ramet_open(nullptr, nullptr, &store) < 0)
        return 1;
    struct ramet_stat stat;
    std::memset(&stat, 0, sizeof stat);
    stat.size = sizeof stat;
    int rc = ramet_stat(store, &stat);
    ramet_close(store);
    if (rc < 0 || stat.branches != 1)
        return 1;

    // What is inlined, too.
    struct ramet_str str = RAMET_STR("a literal"), copy = ramet_str_copy(&str);
    struct ramet_vec vec = RAMET_VEC(int);
    struct ramet_seq seq = RAMET_SEQ(int);
    int x = 7;
    rc = ramet_vec_push(&vec, &x);
    if (rc == 0)
        rc = ramet_seq_push(&seq, &x);
    bool as_wanted = ramet_str_size(&copy) == 9 && ramet_vec_count(&vec) == 1 &&
                     ramet_seq_count(&seq) == 1;
    ramet_str_fini(&copy);
    ramet_str_fini(&str);
    ramet_vec_fini(&vec);
    ramet_seq_fini(&seq);
    return rc < 0 || !as_wanted;
}
