/* SPDX-License-Identifier: MIT */
/*
 * args.h - the words of a command line, sorted into operands and options.
 */
#ifndef RMT_CLI_ARGS_H
#define RMT_CLI_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RMT_ARGS_OPERANDS_MAX = 6, RMT_ARGS_LIST_MAX = 64 };

/* One bit an option, of 64, or several that go together: a command says which it takes. --help and
 * --json every command takes. */
enum rmt_args_option {
    RMT_OPT_HELP = 1 << 0,
    RMT_OPT_JSON = 1 << 1,
    RMT_OPT_SYNC = 1 << 2,
    RMT_OPT_BRANCH = 1 << 3, /* a branch to write */
    RMT_OPT_REF = 1 << 4,    /* any version to read; the same letter */
    RMT_OPT_FORMAT = 1 << 5,
    RMT_OPT_FROM = 1 << 6,
    RMT_OPT_MESSAGE = 1 << 7,
    RMT_OPT_NAME = 1 << 8,
    RMT_OPT_AUTHOR = 1 << 9,
    RMT_OPT_PARTIAL = 1 << 10,
    RMT_OPT_BATCH = 1 << 11,
    RMT_OPT_BYTES = 1 << 12,
    RMT_OPT_HUMAN = 1 << 13,
    RMT_OPT_BARS = 1 << 14,
    RMT_OPT_QUICK = 1 << 15,
    RMT_OPT_LONG = 1 << 16,
    RMT_OPT_LIMIT = 1 << 17,
    RMT_OPT_PAGE_SIZE = 1 << 18,
    RMT_OPT_DIFF = 1 << 19, /* what a diff shows, and its status */
    RMT_OPT_INTO = 1 << 20,
    RMT_OPT_POLICY = 1 << 21, /* what becomes of conflicts */
    RMT_OPT_NO_FF = 1 << 22,
    RMT_OPT_RESOLVE = 1 << 23, /* what an entry in conflict gets */
    RMT_OPT_MERGED = 1 << 24,  /* --all of a list of versions */
    RMT_OPT_HIDDEN = 1 << 25,
    RMT_OPT_ONELINE = 1 << 26,
    RMT_OPT_VERSIONS = 1 << 27, /* --limit, of versions */
    RMT_OPT_PATCH = 1 << 28,
    RMT_OPT_KEEPER = 1 << 29, /* a branch that keeps a version; the letter of --branch */
    RMT_OPT_OLDER_THAN = 1 << 30,
    RMT_OPT_KEEP_LAST = 1ll << 31,
    RMT_OPT_NAMED = 1ll << 32,
    RMT_OPT_DRY_RUN = 1ll << 33,
    RMT_OPT_WHOLE = 1ll << 34, /* --all of a picture */
    RMT_OPT_SVG = 1ll << 35,
    RMT_OPT_DOT = 1ll << 36,
    RMT_OPT_WATCHED = 1ll << 37, /* a branch to watch; the letter of RMT_OPT_BRANCH */
    RMT_OPT_SINCE = 1ll << 38,
    RMT_OPT_CURSOR = 1ll << 39,
    RMT_OPT_EVERY = 1ll << 40,
    RMT_OPT_KEYS = 1ll << 41,
    RMT_OPT_ONCE = 1ll << 42,
    RMT_OPT_TIMEOUT = 1ll << 43,
    RMT_OPT_DELETE = 1ll << 44,
    RMT_OPT_FORCE = 1ll << 45,
    RMT_OPT_RAW = 1ll << 46,
    RMT_OPT_EXTENTS = 1ll << 47,
    RMT_OPT_DISK = 1ll << 48, /* a name is that of a disk */
    RMT_OPT_ALL = 1ll << 49,  /* all maps and disks, instead of one */
};

/* An option that may be given several times. */
struct rmt_args_list {
    const char *items[RMT_ARGS_LIST_MAX];
    size_t count;
};

/* All strings are the caller's argv. */
struct rmt_args {
    const char *operand[RMT_ARGS_OPERANDS_MAX];
    size_t nr_operands;
    bool help;
    bool json;
    bool partial;
    bool bytes;
    bool human;
    bool bars;
    bool quick;
    bool long_list;
    bool hidden;
    bool oneline;
    bool diff;
    bool named;
    bool svg;
    bool dot;
    bool stat;
    bool exit_code;
    bool quiet;
    bool dry_run;
    bool keep_conflicts;
    bool no_ff;
    bool verbose;
    bool ours;
    bool theirs;
    bool base;
    bool as_is;
    bool delete_key;
    bool all;
    const char *value;
    const char *into;
    struct rmt_args_list policies;
    const char *branch;
    const char *format;
    const char *from;
    const char *message;
    const char *name;
    const char *author;
    const char *older_than;
    uint64_t keep_last;
    uint64_t batch;
    uint64_t limit;
    uint64_t page_size;
    bool every;
    bool keys;
    bool once;
    const char *since;
    const char *cursor;
    const char *delete_name;
    uint64_t timeout;
    bool force;
    bool raw;
    bool extents;
    bool disk;
    int durability; /* RAMET_FULL unless --sync says otherwise */
};

/* Options may stand before, between and after operands; "--" ends them, and "-" and "-5" are
 * operands. 0, or a negative number after saying on standard error what is wrong. */
int rmt_args_parse(struct rmt_args *out, uint64_t allowed, int nr_words, char *const *words);
/* Prints the options of a mask, one a line, as help does. */
void rmt_args_describe(uint64_t options);

#endif
