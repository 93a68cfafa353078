/* SPDX-License-Identifier: MIT */
/* report.c - medians, ratios, whether what was hoped for came true; as tables or as JSON. */
#include <mntent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "bench.h"

#define NAME_WIDTH 30
#define CELL_WIDTH 12

/* ---- figures --------------------------------------------------------------------------------- */

static double value_of(const struct result *r, enum field field)
{
    switch (field) {
    case CPU: return r->cpu_ns;
    case WALL: return r->wall_ns;
    case MEDIAN: return r->median_ns;
    case RATE: return r->wall_ns > 0 ? 1e9 / r->wall_ns : 0;
    case FLUSHES: return r->flushes;
    case BYTES: return (double)r->bytes;
    case BLOCKS: return (double)r->disk_bytes;
    case PAGES: return (double)r->pages;
    case SHARE:
    case EACH: return r->share;
    case BESIDE: return r->beside_ns;
    }
    return 0;
}

static bool has(const struct row *row, size_t p)
{
    return samples[row->sample].has[p];
}

static double value(const struct row *row, size_t p)
{
    const struct taken *s = &samples[row->sample];
    double values[ROUNDS_MAX];
    for (size_t i = 0; i < s->rounds; i++)
        values[i] = value_of(&s->results[p][i], row->field);
    return median(values, s->rounds);
}

/* Of peer p in one sample to peer q in another: the median of what it is in each round. False: it
 * cannot be told. */
static bool ratio(const struct row *row, enum sample below, size_t p, size_t q, double *out)
{
    const struct taken *s = &samples[row->sample], *t = &samples[below];
    double ratios[ROUNDS_MAX];
    size_t nr = 0;
    for (size_t i = 0; i < s->rounds && i < t->rounds; i++) {
        double y = value_of(&t->results[q][i], row->field);
        if (y > 0)
            ratios[nr++] = value_of(&s->results[p][i], row->field) / y;
    }
    *out = median(ratios, nr);
    return nr > 0;
}

/* What stands below a peer's value: ramet's share of it, or how it compares with the row that is
 * its base. */
static bool has_ratio(const struct row *row, size_t p, double *out)
{
    if (!has(row, p) || row->sample == GET_FRESH)
        return false;
    if (row->base)
        return samples[row->base].has[p] && ratio(row, row->base, p, p, out);
    return p != RAMET && has(row, RAMET) && ratio(row, row->sample, RAMET, p, out);
}

/* False: it cannot be told. */
static bool judge(const struct row *row, const struct aim *aim, bool *out_met)
{
    double x;
    if (aim->kind == AIM_NONE || !has(row, RAMET))
        return false;
    if (aim->against == AGAINST_NOTHING)
        x = value(row, RAMET);
    else if (!has_ratio(row, aim->against == AGAINST_BASE ? RAMET : (size_t)aim->against, &x))
        return false;
    *out_met = aim->kind == AIM_AT_LEAST ? x >= aim->bound : x <= aim->bound;
    return true;
}

/* ---- text ------------------------------------------------------------------------------------ */

static void print_amount(char *out, size_t size, double x, enum field field)
{
    static const char *const units[] = {"ns", "us", "ms", "s"};
    size_t u = 0;
    switch (field) {
    case RATE: (void)snprintf(out, size, "%.0f/s", x); return;
    case FLUSHES: (void)snprintf(out, size, "%.2f", x); return;
    case PAGES: (void)snprintf(out, size, "%.0f", x); return;
    case SHARE: (void)snprintf(out, size, "%.2f", x); return;
    case EACH: (void)snprintf(out, size, "%.1f B", x); return;
    case BYTES:
    case BLOCKS: (void)snprintf(out, size, "%.1f MB", x / 1e6); return;
    default: break;
    }
    for (; u < 3 && (x >= 10000 || (u > 0 && x >= 1000)); u++)
        x /= 1000;
    (void)snprintf(out, size, "%.*f %s", u || x < 100 ? 1 : 0, x, units[u]);
}

static void print_ratio(char *out, size_t size, double x)
{
    if (x > 0 && x < 0.005)
        (void)snprintf(out, size, "1/%.0f", 1 / x);
    else
        (void)snprintf(out, size, "%.2fx", x);
}

static void print_aim(const struct row *row, const struct aim *aim)
{
    char bound[32];
    bool met = false, known = judge(row, aim, &met);
    if (aim->kind == AIM_NONE)
        return;
    if (aim->against == AGAINST_NOTHING)
        print_amount(bound, sizeof(bound), aim->bound, row->field);
    else
        print_ratio(bound, sizeof(bound), aim->bound);
    printf("  aim: %s %s", aim->kind == AIM_AT_LEAST ? "at least" : "at most", bound);
    if (aim->against >= 0)
        printf(" of %s", aim->against == DISK  ? "the disk"
                         : peers[aim->against] ? peers[aim->against]->name
                                               : "a peer that is not there");
    printf(": %s", !known ? "?" : met ? "met" : "NOT MET");
}

static bool any(const struct row *row)
{
    for (size_t p = 0; p < PEERS; p++) {
        if (has(row, p))
            return true;
    }
    return false;
}

/* Does the peer take part in the group? */
static bool takes_part(enum group group, size_t p)
{
    for (size_t i = 0; i < rows_nr; i++) {
        if (rows[i].group == group && has(&rows[i], p))
            return true;
    }
    return false;
}

static bool any_ratio(const struct row *row)
{
    double x;
    for (size_t p = 0; p < PEERS; p++) {
        if (has_ratio(row, p, &x))
            return true;
    }
    return false;
}

static const char *base_name(const struct row *row)
{
    for (size_t i = 0; i < rows_nr; i++) {
        if (rows[i].sample == row->base)
            return rows[i].name;
    }
    return "?";
}

static void print_row(const struct row *row)
{
    char cell[64];
    double x;
    printf("%-*s", NAME_WIDTH, row->name);
    for (size_t p = 0; p < PEERS; p++) {
        if (!takes_part(row->group, p))
            continue;
        (void)snprintf(cell, sizeof(cell), "-");
        if (has(row, p))
            print_amount(cell, sizeof(cell), value(row, p), row->field);
        printf("%*s", CELL_WIDTH, cell);
    }
    printf("\n");
    if (row->aims[0].kind == AIM_NONE && !any_ratio(row))
        return;
    cell[0] = '\0';
    if (any_ratio(row))
        (void)snprintf(cell, sizeof(cell), "  %s %s", row->base ? "to" : "ramet to",
                       row->base ? base_name(row) : "each");
    printf("%-*s", NAME_WIDTH, cell);
    for (size_t p = 0; p < PEERS; p++) {
        cell[0] = '\0';
        if (has_ratio(row, p, &x))
            print_ratio(cell, sizeof(cell), x);
        if (takes_part(row->group, p))
            printf("%*s", CELL_WIDTH, cell);
    }
    for (size_t i = 0; i < 2; i++)
        print_aim(row, &row->aims[i]);
    printf("\n");
}

void report_group(enum group group)
{
    printf("\n%s: %s\n%-*s", group_names[group], group_texts[group], NAME_WIDTH, "");
    for (size_t p = 0; p < PEERS; p++) {
        if (takes_part(group, p))
            printf("%*s", CELL_WIDTH, peers[p]->name);
    }
    printf("\n");
    for (size_t i = 0; i < rows_nr; i++) {
        if (rows[i].group == group && any(&rows[i]))
            print_row(&rows[i]);
    }
    (void)fflush(stdout);
}

/* ---- the machine ----------------------------------------------------------------------------- */

static const char *cpu_name(void)
{
    static char line[256];
    FILE *f = fopen("/proc/cpuinfo", "re");
    while (f && fgets(line, sizeof(line), f)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon)
            continue;
        (void)fclose(f);
        line[strcspn(line, "\n")] = '\0';
        return colon + 2;
    }
    if (f)
        (void)fclose(f);
    return "unknown processor";
}

/* The filesystem that a folder is in. */
static const char *filesystem(const char *path)
{
    static char text[256];
    struct stat of_path, of_mount;
    FILE *f = setmntent("/proc/self/mounts", "re");
    (void)snprintf(text, sizeof(text), "unknown filesystem");
    if (!f || stat(path, &of_path) < 0)
        return text;
    for (struct mntent *m; (m = getmntent(f));) {
        if (stat(m->mnt_dir, &of_mount) == 0 && of_mount.st_dev == of_path.st_dev)
            (void)snprintf(text, sizeof(text), "%s on %s", m->mnt_type, m->mnt_fsname);
    }
    (void)endmntent(f);
    return text;
}

void report_machine(const struct options *o)
{
    struct utsname uts;
    (void)uname(&uts);
    for (size_t p = 0; p < PEERS; p++) {
        if (peers[p] && peers[p]->version)
            printf("%s%s %s", p ? "; " : "", peers[p]->name, peers[p]->version());
    }
    if (!peers[ROCKSDB] || !peers[SQLITE] || !peers[WIREDTIGER] || !peers[CLONED_MAP] ||
        !peers[URCU_QSBR])
        printf("; not there when this was built:%s%s%s%s%s", peers[ROCKSDB] ? "" : " RocksDB",
               peers[SQLITE] ? "" : " SQLite", peers[WIREDTIGER] ? "" : " WiredTiger",
               peers[CLONED_MAP] ? "" : " Go", peers[URCU_QSBR] ? "" : " liburcu");
    printf("\n%s %s; %ld x %s; %s\n", uts.sysname, uts.release, sysconf(_SC_NPROCESSORS_ONLN),
           cpu_name(), filesystem(o->folder));
    printf("%zu entries with values of %d bytes; medians of %zu rounds, and of ratios in a round\n",
           o->entries, VALUE_SIZE, o->rounds);
    (void)fflush(stdout);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static const char *const field_names[] = {
    [CPU] = "cpu_ns",      [WALL] = "wall_ns",    [MEDIAN] = "median_ns",     [RATE] = "per_second",
    [FLUSHES] = "flushes", [BYTES] = "bytes",     [BLOCKS] = "disk_bytes",    [PAGES] = "pages",
    [SHARE] = "share",     [EACH] = "bytes_each", [BESIDE] = "beside_cpu_ns",
};

static void json_peer(const struct row *row, size_t p)
{
    const struct taken *s = &samples[row->sample];
    double x;
    printf(", \"%s\": {\"median\": %.6g", peers[p]->name, value(row, p));
    if (has_ratio(row, p, &x))
        printf(", \"ratio\": %.4g", x);
    printf(", \"rounds\": [");
    for (size_t i = 0; i < s->rounds; i++) {
        const struct result *r = &s->results[p][i];
        printf("%s{\"value\": %.6g, \"cpu_ns\": %.6g, \"wall_ns\": %.6g}", i ? ", " : "",
               value_of(r, row->field), r->cpu_ns, r->wall_ns);
    }
    printf("]}");
}

static void json_aims(const struct row *row)
{
    const char *comma = "";
    printf(", \"aims\": [");
    for (size_t i = 0; i < 2; i++) {
        const struct aim *aim = &row->aims[i];
        bool met;
        if (aim->kind == AIM_NONE)
            continue;
        printf("%s{\"%s\": %.6g, \"of\": \"%s\"", comma,
               aim->kind == AIM_AT_LEAST ? "at_least" : "at_most", aim->bound,
               aim->against == AGAINST_NOTHING ? "value"
               : aim->against == AGAINST_BASE  ? base_name(row)
               : peers[aim->against]           ? peers[aim->against]->name
                                               : "absent");
        if (judge(row, aim, &met))
            printf(", \"met\": %s", met ? "true" : "false");
        printf("}");
        comma = ", ";
    }
    printf("]");
}

void report_json(const struct options *o)
{
    struct utsname uts;
    const char *comma = "";
    (void)uname(&uts);
    printf("{\"entries\": %zu, \"kernel\": \"%s\", \"cpu\": \"%s\", \"cpus\": %ld, "
           "\"filesystem\": \"%s\", \"peers\": {",
           o->entries, uts.release, cpu_name(), sysconf(_SC_NPROCESSORS_ONLN),
           filesystem(o->folder));
    for (size_t p = 0; p < PEERS; p++) {
        if (peers[p] && peers[p]->version)
            printf("%s\"%s\": \"%s\"", p ? ", " : "", peers[p]->name, peers[p]->version());
    }
    printf("}, \"rows\": [");
    for (size_t i = 0; i < rows_nr; i++) {
        const struct row *row = &rows[i];
        if (!any(row))
            continue;
        printf("%s\n  {\"group\": \"%s\", \"name\": \"%s\", \"field\": \"%s\"", comma,
               group_names[row->group], row->name, field_names[row->field]);
        if (row->base)
            printf(", \"base\": \"%s\"", base_name(row));
        for (size_t p = 0; p < PEERS; p++) {
            if (has(row, p))
                json_peer(row, p);
        }
        json_aims(row);
        printf("}");
        comma = ",";
    }
    printf("\n]}\n");
}
