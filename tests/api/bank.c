/* SPDX-License-Identifier: MIT */
#include "api/bank.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/args.h"
#include "base/base.h"
#include "base/hash.h"

#define PAD_KEYS 3000
#define LARGE_MAX 60000

struct account {
    int64_t balance;
    uint64_t number; /* version that wrote it */
};

static struct ramet_slice account_key(uint32_t i, char buf[16])
{
    return rmt_slice(buf, (size_t)snprintf(buf, 16, "a%04u", i));
}

static struct ramet_slice pad_key(uint64_t i, char buf[64])
{
    uint64_t tail = i % 7 ? i % 7 : i % 29;
    return rmt_slice(buf, (size_t)snprintf(buf, 64, "pad-%05" PRIu64 "%.*s", i, (int)tail,
                                           "abcdefghijklmnopqrstuvwxyzabcdefg"));
}

static uint64_t entry_sum(struct ramet_slice key, struct ramet_slice value)
{
    return rmt_hash(value.data, value.size, rmt_hash(key.data, key.size, 1));
}

/* ---- writing --------------------------------------------------------------------------------- */

/* Every eighth account is large, in most versions. */
static size_t account_size(uint32_t i, uint64_t number)
{
    uint64_t h = rmt_hash(&number, sizeof(number), i);
    if (i % 8 == 0 && h % 5)
        return sizeof(struct account) + h / 8 % LARGE_MAX;
    return sizeof(struct account) + h % 80;
}

static void account_put(struct ramet_map *map, uint32_t i, const struct account *account,
                        uint64_t *sum)
{
    char buf[16];
    struct ramet_slice key = account_key(i, buf), old;
    size_t size = account_size(i, account->number);
    rmt_auto(free) uint8_t *value = malloc(size);
    rmt_assert(value);
    memcpy(value, account, sizeof(*account));
    for (size_t j = sizeof(*account); j < size; j++)
        value[j] = (uint8_t)(account->number + i + j * 7);
    if (must_or(ramet_get(map, key, &old), RAMET_ENOTFOUND) == 0)
        *sum -= entry_sum(key, old);
    must(ramet_put(map, key, rmt_slice(value, size), 0));
    *sum += entry_sum(key, rmt_slice(value, size));
}

static void meta_put(struct ramet_map *map, const struct bank_meta *meta)
{
    must(ramet_put(map, rmt_slice("meta", 4), rmt_slice(meta, sizeof(*meta)), 0));
}

void bank_make(struct ramet_txn *txn)
{
    struct ramet_map *bank, *pad, *meta;
    struct bank_meta m = {0};
    must(ramet_map_open(txn, "bank", RAMET_CREATE, &bank));
    must(ramet_map_open(txn, "pad", RAMET_CREATE, &pad));
    must(ramet_map_open(txn, "meta", RAMET_CREATE, &meta));
    for (uint32_t i = 0; i < BANK_ACCOUNTS; i++) {
        struct account account = {i == 0 ? BANK_TOTAL : 0, 0};
        account_put(bank, i, &account, &m.bank_sum);
    }
    meta_put(meta, &m);
}

static void account_get(struct ramet_map *map, uint32_t i, struct account *out)
{
    char buf[16];
    struct ramet_slice value;
    must(ramet_get(map, account_key(i, buf), &value));
    if (value.size < sizeof(*out))
        fatal("account %u has %zu bytes", i, value.size);
    memcpy(out, value.data, sizeof(*out));
}

static void transfer(struct ramet_map *map, uint64_t *random, struct bank_meta *m)
{
    uint32_t from = (uint32_t)random_below(random, BANK_ACCOUNTS);
    uint32_t to = (uint32_t)random_below(random, BANK_ACCOUNTS);
    struct account a, b;
    if (from == to)
        return;
    account_get(map, from, &a);
    account_get(map, to, &b);
    int64_t amount = (int64_t)random_below(random, 5000) - 1000;
    a.balance -= amount;
    b.balance += amount;
    a.number = b.number = m->number;
    account_put(map, from, &a, &m->bank_sum);
    account_put(map, to, &b, &m->bank_sum);
}

static void pad_del_range(struct ramet_map *map, uint64_t *random, struct bank_meta *m)
{
    char from_buf[64], to_buf[64];
    uint64_t from = random_below(random, PAD_KEYS), to = from + random_below(random, PAD_KEYS / 8);
    struct ramet_slice first = pad_key(from, from_buf), last = pad_key(to, to_buf), key, value;
    struct ramet_cursor *c;
    uint64_t count = 0, counted, deleted;
    must(ramet_count_range(map, first, last, &counted));
    must(ramet_cursor_open(map, &c));
    int rc = must_or(ramet_cursor_seek(c, first), RAMET_ENOTFOUND);
    for (; rc == 0; rc = must_or(ramet_cursor_next(c), RAMET_ENOTFOUND)) {
        must(ramet_cursor_get(c, &key, &value));
        if (rmt_slice_cmp(key, last) >= 0)
            break;
        m->pad_sum -= entry_sum(key, value);
        count++;
    }
    must(ramet_del_range(map, first, last, &deleted));
    ramet_cursor_close(c);
    if (deleted != count || counted != count)
        fatal("a range of %" PRIu64 " keys: counted %" PRIu64 ", deleted %" PRIu64, count, counted,
              deleted);
    m->pad_count -= deleted;
}

static void pad_change(struct ramet_map *map, uint64_t *random, struct bank_meta *m)
{
    uint8_t fill[400];
    memset(fill, (int)m->number, sizeof(fill));
    if (random_below(random, 24) == 0)
        pad_del_range(map, random, m);
    for (uint64_t n = random_below(random, 12); n; n--) {
        char buf[64];
        struct ramet_slice key = pad_key(random_below(random, PAD_KEYS), buf), old;
        bool there = must_or(ramet_get(map, key, &old), RAMET_ENOTFOUND) == 0;
        if (there) {
            m->pad_sum -= entry_sum(key, old);
            m->pad_count--;
        }
        if (there && random_below(random, 3) == 0) {
            must(ramet_del(map, key));
            continue;
        }
        struct ramet_slice value = rmt_slice(fill, random_below(random, sizeof(fill)));
        must(ramet_put(map, key, value, 0));
        m->pad_sum += entry_sum(key, value);
        m->pad_count++;
    }
}

void bank_open(struct ramet_txn *txn, struct bank *out)
{
    must(ramet_map_open(txn, "bank", 0, &out->bank));
    must(ramet_map_open(txn, "pad", 0, &out->pad));
    must(ramet_map_open(txn, "meta", 0, &out->meta));
}

static void meta_get(struct ramet_map *map, struct bank_meta *out)
{
    struct ramet_slice value;
    must(ramet_get(map, rmt_slice("meta", 4), &value));
    if (value.size != sizeof(*out))
        fatal("the record of a version has %zu bytes", value.size);
    memcpy(out, value.data, sizeof(*out));
}

void bank_peek(struct ramet_txn *txn, struct bank_meta *out)
{
    struct ramet_map *map;
    must(ramet_map_open(txn, "meta", 0, &map));
    meta_get(map, out);
}

void bank_change(struct ramet_txn *txn, uint64_t *random, uint64_t note, struct bank_meta *out)
{
    struct bank bank;
    struct bank_meta m;
    bank_open(txn, &bank);
    meta_get(bank.meta, &m);
    m.number++;
    m.note = note;
    if (random_below(random, 8) == 0) { /* what is done in between leaves no trace */
        struct bank_meta gone = m;
        uint32_t savepoint;
        must(ramet_savepoint(txn, &savepoint));
        transfer(bank.bank, random, &gone);
        pad_change(bank.pad, random, &gone);
        must(ramet_rollback(txn, savepoint));
    }
    for (uint64_t n = random_below(random, 4); n; n--)
        transfer(bank.bank, random, &m);
    pad_change(bank.pad, random, &m);
    meta_put(bank.meta, &m);
    *out = m;
}

/* ---- reading --------------------------------------------------------------------------------- */

struct tally {
    uint64_t count, sum;
    int64_t balance;
    uint64_t number_max;
};

static void tally_one(struct tally *t, struct ramet_slice key, struct ramet_slice value,
                      bool accounts)
{
    struct account account;
    t->count++;
    t->sum += entry_sum(key, value);
    if (!accounts)
        return;
    if (value.size < sizeof(account))
        fatal("an account has %zu bytes", value.size);
    memcpy(&account, value.data, sizeof(account));
    t->balance += account.balance;
    t->number_max = rmt_max(t->number_max, account.number);
}

static void scan(struct ramet_map *map, bool backward, bool accounts, struct tally *t)
{
    struct ramet_cursor *c;
    char before[64];
    size_t before_size = 0;
    must(ramet_cursor_open(map, &c));
    int rc = backward ? ramet_cursor_last(c) : ramet_cursor_first(c);
    while (must_or(rc, RAMET_ENOTFOUND) == 0) {
        struct ramet_slice key, value;
        must(ramet_cursor_get(c, &key, &value));
        if (key.size > sizeof(before))
            fatal("a key of %zu bytes", key.size);
        int order = rmt_slice_cmp(rmt_slice(before, before_size), key);
        if (before_size && (backward ? order <= 0 : order >= 0))
            fatal("a scan is not in order");
        memcpy(before, key.data, key.size);
        before_size = key.size;
        tally_one(t, key, value, accounts);
        rc = backward ? ramet_cursor_prev(c) : ramet_cursor_next(c);
    }
    ramet_cursor_close(c);
}

/* All accounts by their keys: one by one, at once, or copied. */
static void look_up(struct ramet_map *map, uint64_t how, struct tally *t)
{
    struct ramet_slice keys[BANK_ACCOUNTS], values[BANK_ACCOUNTS];
    char bufs[BANK_ACCOUNTS][16];
    rmt_auto(free) uint8_t *copy = malloc(LARGE_MAX + 1024);
    rmt_assert(copy);
    for (uint32_t i = 0; i < BANK_ACCOUNTS; i++)
        keys[i] = account_key(i, bufs[i]);
    if (how == 0)
        must(ramet_get_many(map, BANK_ACCOUNTS, keys, values));
    for (uint32_t i = 0; i < BANK_ACCOUNTS; i++) {
        if (how == 1)
            must(ramet_get(map, keys[i], &values[i]));
        if (how == 2) {
            uint64_t size;
            int64_t n = ramet_read(map, keys[i], 0, copy, LARGE_MAX + 1024, &size);
            if (n < 0)
                fatal("ramet_read() gave %" PRId64 ": %s", n, ramet_errmsg());
            if ((uint64_t)n != size)
                fatal("ramet_read() gave %" PRId64 " bytes of %" PRIu64, n, size);
            values[i] = rmt_slice(copy, size);
        }
        tally_one(t, keys[i], values[i], true);
    }
}

void bank_verify(const struct bank *bank, uint64_t *random, struct bank_meta *out)
{
    struct bank_meta m, again;
    struct tally accounts = {0}, pad = {0};
    uint64_t how = random_below(random, 5), entries;
    meta_get(bank->meta, &m);
    if (how < 3)
        look_up(bank->bank, how, &accounts);
    else
        scan(bank->bank, how == 4, true, &accounts);
    scan(bank->pad, random_below(random, 2), false, &pad);
    must(ramet_map_count(bank->pad, &entries));
    meta_get(bank->meta, &again);
    if (memcmp(&m, &again, sizeof(m)) != 0)
        fatal("the version changed under a reader: %" PRIu64 ", then %" PRIu64, m.number,
              again.number);
    if (accounts.count != BANK_ACCOUNTS || accounts.balance != BANK_TOTAL)
        fatal("version %" PRIu64 ": %" PRIu64 " accounts with %" PRId64 " in all", m.number,
              accounts.count, accounts.balance);
    if (accounts.sum != m.bank_sum || accounts.number_max > m.number)
        fatal("version %" PRIu64 ": accounts of another version (newest %" PRIu64 ")", m.number,
              accounts.number_max);
    if (pad.count != m.pad_count || entries != m.pad_count || pad.sum != m.pad_sum)
        fatal("version %" PRIu64 ": %" PRIu64 " pads, counted as %" PRIu64 ", should be %" PRIu64,
              m.number, pad.count, entries, m.pad_count);
    *out = m;
}

void bank_verify_txn(struct ramet_txn *txn, uint64_t *random, struct bank_meta *out)
{
    struct bank bank;
    bank_open(txn, &bank);
    bank_verify(&bank, random, out);
}

static void problem(void *ctx, const char *what)
{
    (void)ctx;
    (void)fprintf(stderr, "ramet_check: %s\n", what);
}

void bank_check(struct ramet_store *store, unsigned flags)
{
    int rc = ramet_check(store, flags, problem, NULL, NULL);
    if (rc < 0)
        fatal("ramet_check() gave %d: %s", rc, ramet_errmsg());
}
