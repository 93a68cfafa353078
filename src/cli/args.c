/* SPDX-License-Identifier: MIT */
#include "args.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "text.h"

enum option_kind { OPTION_FLAG, OPTION_STRING, OPTION_LIST, OPTION_NUMBER, OPTION_SYNC };

struct option {
    uint64_t bit;
    enum option_kind kind;
    char letter;
    const char *name;
    const char *value; /* what help calls the value */
    size_t field;      /* of struct rmt_args */
    const char *help;
};

#define FIELD(x) offsetof(struct rmt_args, x)

static const struct option options[] = {
    {RMT_OPT_BRANCH, OPTION_STRING, 'b', "branch", "BRANCH", FIELD(branch),
     "the branch to write; main if not given"},
    {RMT_OPT_REF, OPTION_STRING, 'b', "branch", "REF", FIELD(branch),
     "the version to read: BRANCH, BRANCH@NAME, @ID or BRANCH~1; main if not given"},
    {RMT_OPT_KEEPER, OPTION_STRING, 'b', "branch", "BRANCH", FIELD(branch),
     "the branch that keeps it; else the one that REF names, or main"},
    {RMT_OPT_FORMAT, OPTION_STRING, 'f', "format", "FORMAT", FIELD(format),
     "tsv, jsonl or mdb (the text of mdb_dump)"},
    {RMT_OPT_FROM, OPTION_STRING, 0, "from", "REF", FIELD(from),
     "the version to start from; main if not given"},
    {RMT_OPT_NAME, OPTION_STRING, 0, "name", "NAME", FIELD(name),
     "what to call it; found again as BRANCH@NAME"},
    {RMT_OPT_MESSAGE, OPTION_STRING, 'm', "message", "TEXT", FIELD(message), "why it is kept"},
    {RMT_OPT_AUTHOR, OPTION_STRING, 0, "author", "NAME", FIELD(author), "who keeps it"},
    {RMT_OPT_PARTIAL, OPTION_FLAG, 0, "partial", NULL, FIELD(partial),
     "at a bad line, commit what came before it (the status is still 3)"},
    {RMT_OPT_BATCH, OPTION_NUMBER, 0, "batch", "N", FIELD(batch),
     "commit after every N entries, so that memory stays small"},
    {RMT_OPT_LIMIT, OPTION_NUMBER, 'n', "limit", "N", FIELD(limit), "stop after N entries"},
    {RMT_OPT_MERGED, OPTION_FLAG, 'a', "all", NULL, FIELD(all), "what was merged, too"},
    {RMT_OPT_HIDDEN, OPTION_FLAG, 0, "hidden", NULL, FIELD(hidden),
     "also versions that nobody keeps: where branches parted, a head that has moved"},
    {RMT_OPT_VERSIONS, OPTION_NUMBER, 'n', "limit", "N", FIELD(limit), "stop after N versions"},
    {RMT_OPT_ONELINE, OPTION_FLAG, 0, "oneline", NULL, FIELD(oneline), "one line a version"},
    {RMT_OPT_PATCH, OPTION_FLAG, 'p', "diff", NULL, FIELD(diff),
     "every entry that it changed, with old and new value"},
    {RMT_OPT_OLDER_THAN, OPTION_STRING, 0, "older-than", "AGE", FIELD(older_than),
     "only what was kept before: 30d, 12h, 2w, or a date (UTC)"},
    {RMT_OPT_KEEP_LAST, OPTION_NUMBER, 0, "keep-last", "N", FIELD(keep_last),
     "the N newest stay, named or not"},
    {RMT_OPT_NAMED, OPTION_FLAG, 0, "named", NULL, FIELD(named), "also snapshots with a name"},
    {RMT_OPT_DRY_RUN, OPTION_FLAG, 0, "dry-run", NULL, FIELD(dry_run),
     "only say what would happen"},
    {RMT_OPT_WHOLE, OPTION_FLAG, 'a', "all", NULL, FIELD(all),
     "every version; else long runs without a name are folded"},
    {RMT_OPT_SVG, OPTION_FLAG, 0, "svg", NULL, FIELD(svg), "a picture in SVG"},
    {RMT_OPT_DOT, OPTION_FLAG, 0, "dot", NULL, FIELD(dot), "the source of one for dot(1)"},
    {RMT_OPT_PAGE_SIZE, OPTION_NUMBER, 0, "page-size", "N", FIELD(page_size),
     "bytes of a page: a power of two, 4096 to 65536"},
    {RMT_OPT_BYTES, OPTION_FLAG, 0, "bytes", NULL, FIELD(bytes), "sizes as plain digits"},
    {RMT_OPT_HUMAN, OPTION_FLAG, 'H', "human", NULL, FIELD(human), "sizes in KiB, MiB, GiB"},
    {RMT_OPT_BARS, OPTION_FLAG, 0, "bars", NULL, FIELD(bars),
     "draw what each branch shares and owns"},
    {RMT_OPT_QUICK, OPTION_FLAG, 0, "quick", NULL, FIELD(quick),
     "structure and accounts only; large values are not read"},
    {RMT_OPT_LONG, OPTION_FLAG, 'l', "long", NULL, FIELD(long_list),
     "a table, as on a terminal; into a pipe it is the names alone"},
    {RMT_OPT_DIFF, OPTION_FLAG, 0, "stat", NULL, FIELD(stat), "how many, of each map and in all"},
    {RMT_OPT_DIFF, OPTION_FLAG, 0, "exit-code", NULL, FIELD(exit_code),
     "status 1 if there are differences, as diff(1)"},
    {RMT_OPT_DIFF, OPTION_FLAG, 'q', "quiet", NULL, FIELD(quiet),
     "print nothing; status 1 if there are differences"},
    {RMT_OPT_INTO, OPTION_STRING, 0, "into", "BRANCH", FIELD(into),
     "the branch to change; main if not given"},
    {RMT_OPT_POLICY, OPTION_LIST, 0, "policy", "RULE", FIELD(policies),
     "what becomes of entries that both changed: [[MAP][/PREFIX]=]POLICY. POLICY is\n"
     "fail, ours, theirs, counter, max, min, counter64, max64, min64, set or text.\n"
     "May be given several times: the first that fits decides"},
    {RMT_OPT_POLICY, OPTION_FLAG, 0, "keep-conflicts", NULL, FIELD(keep_conflicts),
     "merge what can be, and record the rest for 'conflicts' and 'resolve'"},
    {RMT_OPT_POLICY, OPTION_FLAG, 'n', "dry-run", NULL, FIELD(dry_run),
     "say what would be done, and change nothing"},
    {RMT_OPT_POLICY, OPTION_FLAG, 'v', "verbose", NULL, FIELD(verbose),
     "print each entry that is changed, as diff does"},
    {RMT_OPT_NO_FF, OPTION_FLAG, 0, "no-ff", NULL, FIELD(no_ff),
     "make a version of its own where BRANCH could take over FROM"},
    {RMT_OPT_RESOLVE, OPTION_FLAG, 0, "ours", NULL, FIELD(ours), "it gets what the target had"},
    {RMT_OPT_RESOLVE, OPTION_FLAG, 0, "theirs", NULL, FIELD(theirs), "it gets what the source had"},
    {RMT_OPT_RESOLVE, OPTION_FLAG, 0, "base", NULL, FIELD(base),
     "it gets what it was before both changed it"},
    {RMT_OPT_RESOLVE, OPTION_FLAG, 0, "as-is", NULL, FIELD(as_is), "it stays as it is now"},
    {RMT_OPT_RESOLVE, OPTION_STRING, 0, "value", "VALUE", FIELD(value),
     "it gets VALUE; - reads it from standard input"},
    {RMT_OPT_RESOLVE, OPTION_FLAG, 0, "delete", NULL, FIELD(delete_key), "it is deleted"},
    {RMT_OPT_RESOLVE, OPTION_FLAG, 0, "all", NULL, FIELD(all), "all conflicts, or all of MAP"},
    {RMT_OPT_WATCHED, OPTION_STRING, 'b', "branch", "BRANCH", FIELD(branch),
     "the branch to watch; main if not given"},
    {RMT_OPT_SINCE, OPTION_STRING, 0, "since", "REF", FIELD(since),
     "begin at that version, '' at nothing; at the head if not given"},
    {RMT_OPT_CURSOR, OPTION_STRING, 0, "cursor", "NAME", FIELD(cursor),
     "go on where the last one with that cursor ended"},
    {RMT_OPT_EVERY, OPTION_FLAG, 0, "every", NULL, FIELD(every),
     "a batch for every snapshot, instead of one to the head"},
    {RMT_OPT_KEYS, OPTION_FLAG, 0, "keys", NULL, FIELD(keys), "leave values out"},
    {RMT_OPT_ONCE, OPTION_FLAG, 0, "once", NULL, FIELD(once),
     "print what there is by now, and end"},
    {RMT_OPT_TIMEOUT, OPTION_NUMBER, 0, "timeout", "SECONDS", FIELD(timeout),
     "end when nothing came for so long"},
    {RMT_OPT_DELETE, OPTION_STRING, 0, "delete", "NAME", FIELD(delete_name),
     "forget that cursor, and let go of what it pins"},
    {RMT_OPT_FORCE, OPTION_FLAG, 0, "force", NULL, FIELD(force),
     "replace what is there, or cut it off"},
    {RMT_OPT_RAW, OPTION_FLAG, 0, "raw", NULL, FIELD(raw),
     "take FILE as it is, even if it looks like an image of another format"},
    {RMT_OPT_EXTENTS, OPTION_FLAG, 0, "extents", NULL, FIELD(extents),
     "list where data and holes are: OFFSET, BYTES, and hole, owned or shared"},
    {RMT_OPT_DISK, OPTION_FLAG, 0, "disk", NULL, FIELD(disk),
     "the name is that of a disk, though there is a map of that name, or none of either"},
    {RMT_OPT_ALL, OPTION_FLAG, 0, "all", NULL, FIELD(all),
     "all maps and disks of the version, as jsonl"},
    {RMT_OPT_SYNC, OPTION_SYNC, 0, "sync", "MODE", FIELD(durability),
     "full: on disk when the command ends; lazy, none: see ramet(1)"},
    {RMT_OPT_JSON, OPTION_FLAG, 0, "json", NULL, FIELD(json), "answer in JSON"},
    {RMT_OPT_HELP, OPTION_FLAG, 'h', "help", NULL, FIELD(help), "this text"},
};
enum { NR_OPTIONS = sizeof(options) / sizeof(options[0]) };

static int set_number(const struct option *option, const char *value, uint64_t *field)
{
    char *end;
    errno = 0;
    unsigned long long n = strtoull(value, &end, 10);
    if (value[0] < '0' || value[0] > '9' || *end || errno || n == 0)
        return rmt_output_error("--%s takes a number above 0, not '%s'", option->name, value);
    *field = n;
    return 0;
}

static int set_sync(const char *value, int *field)
{
    if (!strcmp(value, "full"))
        *field = RAMET_FULL;
    else if (!strcmp(value, "lazy"))
        *field = RAMET_LAZY;
    else if (!strcmp(value, "none"))
        *field = RAMET_NONE;
    else
        return rmt_output_error("--sync takes none, lazy or full, not '%s'", value);
    return 0;
}

static int add_item(const struct option *option, const char *value, struct rmt_args_list *list)
{
    if (list->count == RMT_ARGS_LIST_MAX)
        return rmt_output_error("--%s may be given %d times", option->name, RMT_ARGS_LIST_MAX);
    list->items[list->count++] = value;
    return 0;
}

static int set(struct rmt_args *args, const struct option *option, const char *value)
{
    void *field = (char *)args + option->field;
    switch (option->kind) {
    case OPTION_FLAG: *(bool *)field = true; return 0;
    case OPTION_STRING: *(const char **)field = value; return 0;
    case OPTION_LIST: return add_item(option, value, field);
    case OPTION_NUMBER: return set_number(option, value, field);
    case OPTION_SYNC: return set_sync(value, field);
    }
    return 0;
}

static const struct option *find_letter(uint64_t allowed, char letter)
{
    for (size_t i = 0; i < NR_OPTIONS; i++) {
        if (options[i].bit & allowed && options[i].letter == letter)
            return &options[i];
    }
    return NULL;
}

/* name: what stands between "--" and "=" or the end. */
static const struct option *find_name(uint64_t allowed, const char *name, size_t len)
{
    for (size_t i = 0; i < NR_OPTIONS; i++) {
        if (options[i].bit & allowed && strlen(options[i].name) == len &&
            !memcmp(options[i].name, name, len))
            return &options[i];
    }
    return NULL;
}

static int unknown(uint64_t allowed, const char *word)
{
    const char *nearest = NULL;
    size_t best = 3;
    for (size_t i = 0; i < NR_OPTIONS; i++) {
        size_t distance = rmt_text_distance(word + strspn(word, "-"), options[i].name);
        if (options[i].bit & allowed && distance < best) {
            nearest = options[i].name;
            best = distance;
        }
    }
    if (nearest)
        return rmt_output_error("unknown option '%s'; did you mean --%s?", word, nearest);
    return rmt_output_error(
        "unknown option '%s'; a key or value that begins with '-' goes after '--'", word);
}

static bool is_operand(const char *word)
{
    return word[0] != '-' || !word[1] || (word[1] >= '0' && word[1] <= '9');
}

int rmt_args_parse(struct rmt_args *out, uint64_t allowed, int nr_words, char *const *words)
{
    struct rmt_args args = {.durability = RAMET_FULL};
    bool only_operands = false;
    allowed |= RMT_OPT_HELP | RMT_OPT_JSON;

    for (int i = 0; i < nr_words; i++) {
        const char *word = words[i];
        if (!only_operands && !strcmp(word, "--")) {
            only_operands = true;
            continue;
        }
        if (only_operands || is_operand(word)) {
            if (args.nr_operands == RMT_ARGS_OPERANDS_MAX)
                return rmt_output_error("too many words, beginning with '%s'", word);
            args.operand[args.nr_operands++] = word;
            continue;
        }

        bool is_long = word[1] == '-';
        const char *equals = is_long ? strchr(word, '=') : NULL;
        size_t name_len = !is_long ? 1 : equals ? (size_t)(equals - word - 2) : strlen(word) - 2;
        const struct option *option =
            is_long ? find_name(allowed, word + 2, name_len) : find_letter(allowed, word[1]);
        if (!option)
            return unknown(allowed, word);

        const char *value = is_long ? (equals ? equals + 1 : NULL) : (word[2] ? word + 2 : NULL);
        if (option->kind == OPTION_FLAG) {
            if (value)
                return rmt_output_error("--%s takes no value: '%s'", option->name, word);
        } else if (!value) {
            if (i + 1 == nr_words)
                return rmt_output_error("--%s needs a value: %s", option->name, option->value);
            value = words[++i];
        }
        int rc = set(&args, option, value);
        if (rc < 0)
            return rc;
    }
    *out = args;
    return 0;
}

void rmt_args_describe(uint64_t mask)
{
    mask |= RMT_OPT_HELP | RMT_OPT_JSON;
    for (size_t i = 0; i < NR_OPTIONS; i++) {
        const struct option *option = &options[i];
        if (!(option->bit & mask))
            continue;
        char left[64];
        (void)snprintf(left, sizeof(left), "%c%c%s--%s%s%s", option->letter ? '-' : ' ',
                       option->letter ? option->letter : ' ', option->letter ? ", " : "  ",
                       option->name, option->value ? " " : "", option->value ? option->value : "");
        /* Further lines stand below the first. */
        const char *help = option->help;
        for (const char *end; (end = strchr(help, '\n')); help = end + 1, left[0] = '\0')
            printf("  %-24s %.*s\n", left, (int)(end - help), help);
        printf("  %-24s %s\n", left, help);
    }
}
