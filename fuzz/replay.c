/* SPDX-License-Identifier: MIT */
/*
 * replay.c - runs a fuzzer's entry point on files that are there, where libFuzzer is not.
 *
 * usage: REPLAY FILE|FOLDER...
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned nr_files;

static void fatal(const char *path)
{
    (void)fprintf(stderr, "%s: %s\n", path, strerror(errno));
    exit(2);
}

/* The bytes end where their memory does, so that a sanitizer sees whoever reads on. */
static void replay_file(const char *path, size_t size)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(size ? size : 1);
    if (!file || !data || fread(data, 1, size, file) != size)
        fatal(path);
    (void)fclose(file);
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    printf("%s\n", path); /* the last one printed is the one that failed */
    (void)LLVMFuzzerTestOneInput(data, size);
    free(data);
    nr_files++;
}

static void replay(const char *path)
{
    struct stat st;
    if (stat(path, &st) < 0)
        fatal(path);
    if (!S_ISDIR(st.st_mode)) {
        replay_file(path, (size_t)st.st_size);
        return;
    }
    struct dirent **names;
    int count = scandir(path, &names, NULL, alphasort);
    if (count < 0)
        fatal(path);
    for (int i = 0; i < count; i++) {
        char *inner = NULL;
        if (names[i]->d_name[0] != '.') {
            if (asprintf(&inner, "%s/%s", path, names[i]->d_name) < 0)
                fatal(path);
            replay(inner);
            free(inner);
        }
        free(names[i]);
    }
    free(names);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        replay(argv[i]);
    printf("%u files\n", nr_files);
    return nr_files ? 0 : 2;
}
