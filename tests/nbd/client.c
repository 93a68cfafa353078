/* SPDX-License-Identifier: MIT */
/*
 * client.c - a client of NBD that is wrong: requests that no library would send, from hand-made
 * packets.
 *
 * usage: client SOCKET EXPORT BYTES     the export is writable, and has so many bytes, 1 MiB or
 * more
 *
 * Each wrong request must be answered by the error that the protocol has for it, and the connection
 * go on; or, where nothing else is possible, the connection end and the server go on. Prints what
 * was not so, and exits 1.
 */
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md */
#define MAGIC UINT64_C(0x4e42444d41474943)
#define OPTION_MAGIC UINT64_C(0x49484156454f5054)
#define REPLY_MAGIC UINT64_C(0x0003e889045565a9)
#define REQUEST 0x25609513u
#define SIMPLE_REPLY 0x67446698u
#define FIXED_NO_ZEROES 3u

enum { READ, WRITE, DISCONNECT, FLUSH, TRIM, CACHE, ZEROES, BLOCK_STATUS, RESIZE };
enum { FUA = 1, NO_HOLE = 2, DF = 4, REQ_ONE = 8, FAST_ZERO = 16 };
enum { OPTION_EXPORT_NAME = 1, OPTION_ABORT = 2, OPTION_LIST = 3, OPTION_INFO = 6, OPTION_GO = 7 };
enum { ACK = 1, INFO = 3 };
#define UNSUPPORTED 0x80000001u
#define INVALID 0x80000003u
#define UNKNOWN 0x80000006u
#define TOO_BIG 0x80000009u

#define CLOSED 0xffffffffu /* instead of an error: the server has hung up */
#define TIMEOUT_MS 20000

static const char *socket_name, *export_name;
static uint64_t export_bytes, cookie;
static int wrong;
static uint8_t payload[1 << 20];

static void complain(const char *what, const char *but, uint32_t code)
{
    printf("%s: %s (%" PRIu32 ")\n", what, but, code);
    wrong = 1;
}

static _Noreturn void give_up(const char *what)
{
    printf("%s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static bool send_all(int fd, const void *buf, size_t len)
{
    const uint8_t *from = buf;
    while (len > 0) {
        ssize_t n = send(fd, from, len, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        from += n;
        len -= (size_t)n;
    }
    return true;
}

static bool receive_all(int fd, void *buf, size_t len)
{
    uint8_t *to = buf;
    while (len > 0) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, TIMEOUT_MS) <= 0)
            give_up("the server does not answer");
        ssize_t n = recv(fd, to, len, 0);
        if (n <= 0)
            return false;
        to += n;
        len -= (size_t)n;
    }
    return true;
}

struct __attribute__((packed)) request {
    uint32_t magic;
    uint16_t flags, type;
    uint64_t cookie, offset;
    uint32_t length;
};

struct __attribute__((packed)) reply {
    uint32_t magic, error;
    uint64_t cookie;
};

struct __attribute__((packed)) option {
    uint64_t magic;
    uint32_t option, length;
};

struct __attribute__((packed)) answer {
    uint64_t magic;
    uint32_t option, type, length;
};

/* ---- shaking hands --------------------------------------------------------------------------- */

static int connect_to(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    uint64_t magic[2];
    uint16_t flags;
    uint32_t mine = htobe32(FIXED_NO_ZEROES);
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", socket_name);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        give_up("connecting");
    if (!receive_all(fd, magic, sizeof(magic)) || !receive_all(fd, &flags, sizeof(flags)) ||
        be64toh(magic[0]) != MAGIC || be64toh(magic[1]) != OPTION_MAGIC ||
        !send_all(fd, &mine, sizeof(mine)))
        give_up("shaking hands");
    return fd;
}

/* Sends an option. length: what it says of its data, of which the first so many bytes are sent. */
static bool send_option(int fd, uint32_t option, const void *data, size_t sent, uint32_t length)
{
    struct option o = {htobe64(OPTION_MAGIC), htobe32(option), htobe32(length)};
    return send_all(fd, &o, sizeof(o)) && send_all(fd, data, sent);
}

/* The type of the last answer to an option. */
static uint32_t answer_to(int fd)
{
    struct answer a;
    do {
        if (!receive_all(fd, &a, sizeof(a)))
            return CLOSED;
        if (be64toh(a.magic) != REPLY_MAGIC || be32toh(a.length) > sizeof(payload))
            give_up("an answer is no answer");
        if (!receive_all(fd, payload, be32toh(a.length)))
            return CLOSED;
    } while (be32toh(a.type) == INFO);
    return be32toh(a.type);
}

/* Name of an export, and no requests for more about it. Returns its length. */
static size_t name_of(const char *name, uint8_t *out)
{
    uint32_t length = htobe32((uint32_t)strlen(name));
    uint16_t none = 0;
    memcpy(out, &length, 4);
    memcpy(out + 4, name, strlen(name));
    memcpy(out + 4 + strlen(name), &none, 2);
    return 4 + strlen(name) + 2;
}

static int go(void)
{
    uint8_t data[512];
    int fd = connect_to();
    size_t length = name_of(export_name, data);
    if (!send_option(fd, OPTION_GO, data, length, (uint32_t)length) || answer_to(fd) != ACK)
        give_up("the export is not there");
    return fd;
}

/* ---- requests -------------------------------------------------------------------------------- */

static bool send_request(int fd, uint16_t type, uint16_t flags, uint64_t offset, uint32_t length)
{
    struct request r = {htobe32(REQUEST),  htobe16(flags),  htobe16(type),
                        htobe64(++cookie), htobe64(offset), htobe32(length)};
    return send_all(fd, &r, sizeof(r));
}

/* An error, 0, or CLOSED. length: bytes that follow if there is none. */
static uint32_t reply_to(int fd, uint32_t length)
{
    struct reply r;
    if (!receive_all(fd, &r, sizeof(r)))
        return CLOSED;
    if (be32toh(r.magic) != SIMPLE_REPLY || be64toh(r.cookie) != cookie)
        give_up("a reply is no reply");
    if (r.error == 0 && length && !receive_all(fd, payload, length))
        return CLOSED;
    return be32toh(r.error);
}

/* A write and a read that are right. */
static void must_work(int fd, const char *after)
{
    memset(payload, (int)(cookie % 255), 4096);
    uint8_t byte = payload[0];
    uint32_t error = CLOSED;
    if (send_request(fd, WRITE, FUA, 4096, 4096) && send_all(fd, payload, 4096))
        error = reply_to(fd, 0);
    memset(payload, 0, 4096);
    if (error == 0)
        error = send_request(fd, READ, 0, 4096, 4096) ? reply_to(fd, 4096) : CLOSED;
    if (error != 0 || payload[0] != byte || payload[4095] != byte)
        complain(after, "what is right does not work any more", error);
}

struct wrong_request {
    const char *what;
    uint16_t type, flags;
    uint64_t offset;
    uint32_t length;
    uint32_t errors[2]; /* either */
};

static void try_requests(void)
{
    uint64_t end = export_bytes;
    const struct wrong_request list[] = {
        {"a read past the end", READ, 0, end - 512, 1024, {EINVAL}},
        {"a read at the end", READ, 0, end, 1, {EINVAL}},
        {"a read that goes round", READ, 0, UINT64_MAX - 511, 1024, {EINVAL}},
        {"a read at 2^63", READ, 0, UINT64_C(1) << 63, 512, {EINVAL}},
        {"a read of nothing", READ, 0, 0, 0, {EINVAL}},
        {"a read of 4 GiB", READ, 0, 0, UINT32_MAX, {EINVAL, ENOMEM}},
        {"a write past the end", WRITE, 0, end - 512, 1024, {ENOSPC, EINVAL}},
        {"a write that goes round", WRITE, 0, UINT64_MAX - 511, 1024, {ENOSPC, EINVAL}},
        {"a write of nothing", WRITE, 0, 0, 0, {EINVAL, ENOSPC}},
        {"a trim past the end", TRIM, 0, end - 512, 1024, {EINVAL}},
        {"a trim that goes round", TRIM, 0, UINT64_MAX, UINT32_MAX, {EINVAL}},
        {"a trim of nothing", TRIM, 0, 0, 0, {EINVAL}},
        {"zeroing past the end", ZEROES, 0, end, UINT32_MAX, {ENOSPC, EINVAL}},
        {"zeroing that goes round", ZEROES, 0, UINT64_MAX - 4095, 8192, {ENOSPC, EINVAL}},
        {"zeroing of nothing", ZEROES, 0, 0, 0, {EINVAL, ENOSPC}},
        {"caching past the end", CACHE, 0, end - 1, 2, {EINVAL}},
        {"a flush of a part", FLUSH, 0, 4096, 4096, {EINVAL}},
        {"extents that nobody agreed on", BLOCK_STATUS, 0, 0, 4096, {EINVAL}},
        {"a resize, which is none of ours", RESIZE, 0, 0, 4096, {EINVAL, ENOTSUP}},
        {"a command that is unknown", 99, 0, 0, 512, {EINVAL}},
        {"a command that is unknown, far off", UINT16_MAX, 0, UINT64_MAX, UINT32_MAX, {EINVAL}},
        {"flags that are unknown", READ, 0x8000, 0, 512, {EINVAL}},
        {"all flags", TRIM, UINT16_MAX, 0, 512, {EINVAL}},
        {"a flag of another command", READ, NO_HOLE, 0, 512, {EINVAL}},
        {"a fast read", READ, FAST_ZERO, 0, 512, {EINVAL}},
        {"a read in one piece without structured replies", READ, DF, 0, 512, {EINVAL}},
        {"a read of one extent", READ, REQ_ONE, 0, 512, {EINVAL}},
    };
    int fd = go();
    must_work(fd, "nothing");
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        const struct wrong_request *r = &list[i];
        bool sent = send_request(fd, r->type, r->flags, r->offset, r->length);
        if (sent && r->type == WRITE)
            sent = send_all(fd, payload, r->length);
        uint32_t error = sent ? reply_to(fd, r->type == READ ? r->length : 0) : CLOSED;
        if (error == 0 || (error != r->errors[0] && error != r->errors[1]))
            complain(r->what, "another error", error);
        if (error == CLOSED) {
            (void)close(fd);
            fd = go();
        }
        must_work(fd, r->what);
    }
    (void)send_request(fd, DISCONNECT, 0, 0, 0);
    (void)close(fd);
}

/* ---- connections that cannot go on ----------------------------------------------------------- */

/* Whatever happens to this connection, another one works. */
static void try_ends(int bystander)
{
    struct request no_request = {.magic = htobe32(0x12345678)};
    int fd = go();
    if (send_all(fd, &no_request, sizeof(no_request)) && reply_to(fd, 0) != CLOSED)
        complain("what is no request", "it is answered", 0);
    (void)close(fd);
    must_work(bystander, "what is no request");

    fd = go();
    (void)send_all(fd, &no_request, 7);
    (void)close(fd);
    must_work(bystander, "a part of a request");

    fd = go();
    if (!send_request(fd, WRITE, 0, 0, 65536) || !send_all(fd, payload, 1000))
        complain("a part of a write", "it cannot be sent", 0);
    (void)close(fd);
    must_work(bystander, "a part of a write");

    fd = go();
    for (unsigned i = 0; i < 64; i++) /* nobody waits for what they answer */
        (void)send_request(fd, READ, 0, 0, 1 << 20);
    (void)close(fd);
    must_work(bystander, "replies that nobody reads");

    /* The server may read it all and say no, or hang up. */
    fd = go();
    uint32_t length = 100u << 20, left = length;
    if (send_request(fd, WRITE, 0, 0, length)) {
        while (left > 0 && send_all(fd, payload, left < sizeof(payload) ? left : sizeof(payload)))
            left -= left < sizeof(payload) ? left : (uint32_t)sizeof(payload);
    }
    if (reply_to(fd, 0) == 0)
        complain("a write of 100 MiB", "it was taken", 0);
    (void)close(fd);
    must_work(bystander, "a write of 100 MiB");
}

struct wrong_option {
    const char *what;
    uint32_t option;
    const void *data;
    size_t sent;
    uint32_t length;
    uint32_t answers[2];
};

static void try_options(int bystander)
{
    uint8_t none[64], other[512];
    size_t none_length = name_of("there is no such disk", none);
    size_t other_length = name_of(export_name, other);
    uint8_t lying[512];
    uint32_t huge = htobe32(0x7fffffff);
    memcpy(lying, other, other_length);
    memcpy(lying, &huge, sizeof(huge));
    const struct wrong_option list[] = {
        {"an option that is unknown", 0x12345, "abc", 3, 3, {UNSUPPORTED, UNSUPPORTED}},
        {"a list with data", OPTION_LIST, "abc", 3, 3, {INVALID, INVALID}},
        {"an export that is not there",
         OPTION_GO,
         none,
         none_length,
         (uint32_t)none_length,
         {UNKNOWN, INVALID}},
        {"a name longer than its option",
         OPTION_GO,
         lying,
         other_length,
         (uint32_t)other_length,
         {INVALID, INVALID}},
        {"a name without its end", OPTION_INFO, other, 2, 2, {INVALID, INVALID}},
        {"an option of 4 GiB", OPTION_GO, other, other_length, UINT32_MAX, {TOO_BIG, CLOSED}},
    };
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        const struct wrong_option *o = &list[i];
        int fd = connect_to();
        uint32_t answer = CLOSED;
        if (send_option(fd, o->option, o->data, o->sent, o->length)) {
            if (o->sent < o->length)
                (void)shutdown(fd, SHUT_WR);
            answer = answer_to(fd);
        }
        if (answer != o->answers[0] && answer != o->answers[1])
            complain(o->what, "another answer", answer);
        (void)close(fd);
        must_work(bystander, o->what);
    }
    int fd = connect_to();
    if (send_option(fd, OPTION_EXPORT_NAME, "none", 4, 4) && receive_all(fd, payload, 10))
        complain("an export that is not there, as one asked of old", "it is there", 0);
    (void)close(fd);
    fd = connect_to();
    (void)send_all(fd, payload, 4096);
    (void)shutdown(fd, SHUT_WR);
    while (receive_all(fd, payload, 1))
        continue;
    (void)close(fd);
    must_work(bystander, "4096 bytes of anything");
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        (void)fprintf(stderr, "usage: %s SOCKET EXPORT BYTES\n", argv[0]);
        return 2;
    }
    socket_name = argv[1];
    export_name = argv[2];
    export_bytes = strtoull(argv[3], NULL, 10);
    int bystander = go();
    try_requests();
    try_ends(bystander);
    try_options(bystander);
    (void)send_request(bystander, DISCONNECT, 0, 0, 0);
    (void)close(bystander);
    return wrong;
}
