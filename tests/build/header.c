/* SPDX-License-Identifier: MIT */
/* header.c - a C99 program can include the header, and its tables and limits hold together. */
#include <ramet.h>
#include <stdio.h>
#include <string.h>

#define COUNT(name, code, errno_, text) +1
#define CHECK(name, code, errno_, text)                                                    \
    if (name != code || strcmp(ramet_strerror(code), text) != 0 || ramet_errno(code) <= 0) \
        return fprintf(stderr, "%s: its number, text or errno is wrong\n", #name), 1;

int main(void)
{
    char version[32];
    (void)snprintf(version, sizeof(version), "%d.%d.%d", RAMET_VERSION_MAJOR, RAMET_VERSION_MINOR,
                   RAMET_VERSION_PATCH);
    if (strcmp(version, ramet_version()) != 0)
        return fprintf(stderr, "header %s, library %s\n", version, ramet_version()), 1;
    if ((0 RAMET_ERRORS(COUNT)) < 8)
        return fprintf(stderr, "errors are append only: there were 8\n"), 1;
    RAMET_ERRORS(CHECK)
    return ramet_errmsg()[0] != '\0';
}
