// SPDX-License-Identifier: MIT
// cow-string.cc - std::string as libstdc++ had it before C++11, and has it still: copied on write.
#define _GLIBCXX_USE_CXX11_ABI 0
#include <cstddef>
#include <string>
#include <vector>

#include "cow-string.h"

#define NEEDED(what) __asm__ volatile("" : : "r"(what) : "memory")

void cow_string_copy(size_t count, size_t at_once)
{
    std::string s(100, 'x');
    std::vector<std::string> copies;
    copies.reserve(at_once);
    for (size_t i = 0; i < count; i += at_once) {
        for (size_t k = 0; k < at_once; k++)
            copies.push_back(s);
        NEEDED(copies.data());
        copies.clear();
    }
}

void cow_string_append(size_t count)
{
    std::string s;
    for (size_t i = 0; i < count; i++)
        s.push_back(static_cast<char>(i));
    NEEDED(s.data());
}
