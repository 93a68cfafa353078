// SPDX-License-Identifier: MIT
// header.cc - a C++ program can include the headers and call the library, what is inlined, too.
#include <cstdint>
#include <cstring>
#include <ramet.h>
#include <ramet_value.h>

static const struct ramet_slice comma = {", ", 2};

static bool strings_work()
{
    struct ramet_str literal = RAMET_STR("a literal"), str = ramet_str_copy(&literal);
    bool ok = ramet_str_size(&str) == 9 && ramet_str_slice(&str).data == ramet_str_slice(&literal).data;
    for (int i = 0; i < 100 && ok; i++)
        ok = ramet_str_append(&str, comma) == 0;
    struct ramet_str other = ramet_str_copy(&str);
    ok = ok && ramet_str_size(&literal) == 9 && ramet_str_cmp(&str, &other) == 0 &&
         ramet_str_append(&other, comma) == 0 && ramet_str_size(&other) == 211 &&
         ramet_str_size(&str) == 209;
    ramet_str_fini(&other);
    ramet_str_fini(&str);
    ramet_str_fini(&literal);
    return ok && ramet_str_size(&str) == 0;
}

static bool arrays_work()
{
    struct ramet_vec vec = RAMET_VEC(int);
    struct ramet_seq seq = RAMET_SEQ(int);
    bool ok = true;
    for (int i = 0; i < 20000 && ok; i++)
        ok = ramet_vec_push(&vec, &i) == 0 && ramet_seq_push(&seq, &i) == 0;
    struct ramet_vec vec_copy = ramet_vec_copy(&vec);
    struct ramet_seq seq_copy = ramet_seq_copy(&seq);
    int nine = 9;
    for (uint64_t i = 0; i < 20000 && ok; i += 100)
        ok = ramet_seq_set(&seq_copy, i, &nine) == 0 && ramet_seq_set(&seq_copy, i + 1, &nine) == 0;
    ok = ok && ramet_vec_set(&vec_copy, 100, &nine) == 0;
    ok = ok && static_cast<const int *>(ramet_vec_data(&vec))[100] == 100 &&
         static_cast<const int *>(ramet_vec_data(&vec_copy))[100] == 9 &&
         *static_cast<const int *>(ramet_seq_at(&seq, 101)) == 101 &&
         *static_cast<const int *>(ramet_seq_at(&seq_copy, 101)) == 9 &&
         *static_cast<const int *>(ramet_seq_at(&seq_copy, 19999)) == 19999 &&
         ramet_seq_at(&seq, 20000) == nullptr && ramet_vec_count(&vec_copy) == 20000 &&
         ramet_seq_count(&seq_copy) == 20000;
    ramet_vec_fini(&vec_copy);
    ramet_seq_fini(&seq_copy);
    ramet_vec_fini(&vec);
    ramet_seq_fini(&seq);
    return ok;
}

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

    return strings_work() && arrays_work() ? 0 : 1;
}
