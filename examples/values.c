/* SPDX-License-Identifier: MIT */
/*
 * values.c - an editor's undo list that costs what was changed: every state of the document is
 * kept, as a copy.
 *
 * The document is a large array of words; an edit changes, inserts or removes a few of them, at
 * random. Each state is compared in the end with what it has to be: the edits, done once more on an
 * array that shares nothing.
 *
 *   cc values.c -o values $(pkg-config --cflags --libs ramet)
 *   ./values 500000 1000     # words of the document; edits
 */
#include <ramet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t chance_state;

static void must(int rc)
{
    if (rc < 0) {
        fprintf(stderr, "values: %s\n", ramet_errmsg());
        exit(1);
    }
}

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static uint64_t chance(uint64_t below)
{
    uint64_t x = chance_state += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return (x ^ x >> 31) % below;
}

struct edit {
    uint64_t at, removed, inserted;
    uint32_t words[8];
};

static struct edit next_edit(uint64_t count)
{
    struct edit edit = {chance(count), 0, 0, {0}};
    edit.inserted = chance(9);
    edit.removed = chance(9);
    if (edit.removed > count - edit.at)
        edit.removed = count - edit.at;
    for (int i = 0; i < 8; i++)
        edit.words[i] = (uint32_t)chance(50000);
    return edit;
}

/* piece: of a state; ctx: the flat array, as it has to be. */
static int compare(void *ctx, uint64_t off, struct ramet_slice piece)
{
    return memcmp((const char *)ctx + off, piece.data, piece.size) != 0;
}

int main(int argc, char **argv)
{
    uint64_t words = argc > 1 ? strtoull(argv[1], NULL, 0) : 1000000;
    uint64_t edits = argc > 2 ? strtoull(argv[2], NULL, 0) : 1000;
    if (words == 0 || edits == 0) {
        fprintf(stderr, "usage: values [WORDS [EDITS]]\n");
        return 2;
    }
    uint32_t *flat = malloc((words + 8 * edits) * sizeof(*flat));
    struct ramet_vec states = RAMET_VEC(struct ramet_seq);
    struct ramet_seq document = RAMET_SEQ(uint32_t);
    if (!flat)
        return 1;

    for (uint64_t i = 0; i < words; i++) {
        flat[i] = (uint32_t)chance(50000);
        must(ramet_seq_push(&document, &flat[i]));
    }
    uint64_t began = chance_state;
    double t = now_us();
    for (uint64_t i = 0; i < edits && ramet_seq_count(&document) != 0; i++) {
        struct edit edit = next_edit(ramet_seq_count(&document));
        must(ramet_seq_splice(&document, edit.at, edit.removed, edit.words, edit.inserted));
        struct ramet_seq state = ramet_seq_copy(&document);
        must(ramet_vec_push(&states, &state)); /* moved there */
    }
    t = now_us() - t;
    size_t kept = ramet_vec_count(&states);
    printf("%zu states of %.1f MiB kept, %.1f us each\n", kept, (double)words * 4 / (1 << 20),
           t / (double)kept);

    /* The same again, without sharing. */
    chance_state = began;
    uint64_t count = words;
    for (size_t i = 0; i < kept; i++) {
        struct ramet_seq *state;
        struct edit edit = next_edit(count);
        memmove(flat + edit.at + edit.inserted, flat + edit.at + edit.removed,
                (count - edit.at - edit.removed) * sizeof(*flat));
        memcpy(flat + edit.at, edit.words, edit.inserted * sizeof(*flat));
        count += edit.inserted - edit.removed;

        must(ramet_vec_edit(&states, (void **)&state));
        if (ramet_seq_count(&state[i]) != count ||
            ramet_seq_pieces(&state[i], 0, UINT64_MAX, compare, flat) != 0) {
            fprintf(stderr, "values: state %zu is not what it was\n", i);
            return 1;
        }
        ramet_seq_fini(&state[i]);
    }
    printf("all are what they were\n");
    ramet_vec_fini(&states);
    ramet_seq_fini(&document);
    free(flat);
    return 0;
}
