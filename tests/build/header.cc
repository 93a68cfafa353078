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
    return rc < 0 || stat.branches != 1;
}
