/* SPDX-License-Identifier: MIT */
/* worker.c - a process for each peer, which does one task after the other as it is told. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

struct worker {
    pid_t pid;
    int to, from;
};

struct answer {
    bool done;
    struct result result;
};

static void transfer(int fd, void *buf, size_t size, ssize_t (*call)(int, void *, size_t))
{
    for (size_t at = 0; at < size;) {
        ssize_t n = call(fd, (char *)buf + at, size - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            die("a worker is gone");
        at += (size_t)n;
    }
}

static ssize_t write_some(int fd, void *buf, size_t size)
{
    return write(fd, buf, size);
}

static ssize_t read_some(int fd, void *buf, size_t size)
{
    return read(fd, buf, size);
}

static _Noreturn void run(struct state *s, int from, int to)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        struct order order;
        struct answer answer = {0};
        transfer(from, &order, sizeof(order), read_some);
        if (order.task == TASK_QUIT)
            exit(0);
        answer.done = task_perform(s, &order, &answer.result);
        transfer(to, &answer, sizeof(answer), write_some);
    }
}

struct worker *worker_start(const struct peer_ops *ops, const struct plan *plan)
{
    struct worker *worker = allocate(sizeof(*worker));
    int there[2], back[2];
    if (pipe(there) < 0 || pipe(back) < 0)
        die("pipe: %s", strerror(errno));
    worker->pid = fork();
    if (worker->pid < 0)
        die("fork: %s", strerror(errno));
    if (worker->pid == 0) {
        struct state s = {.ops = ops, .plan = plan};
        (void)snprintf(s.path, sizeof(s.path), "%s/%s", plan->dir, ops->name);
        (void)close(there[1]);
        (void)close(back[0]);
        run(&s, there[0], back[1]);
    }
    (void)close(there[0]);
    (void)close(back[1]);
    worker->to = there[1];
    worker->from = back[0];
    return worker;
}

bool worker_do(struct worker *worker, const struct order *order, struct result *out)
{
    struct order copy = *order;
    struct answer answer;
    transfer(worker->to, &copy, sizeof(copy), write_some);
    transfer(worker->from, &answer, sizeof(answer), read_some);
    *out = answer.result;
    return answer.done;
}

static void worker_free(struct worker *worker)
{
    (void)waitpid(worker->pid, NULL, 0);
    (void)close(worker->to);
    (void)close(worker->from);
    free(worker);
}

void worker_quit(struct worker *worker)
{
    struct order order = {.task = TASK_QUIT};
    transfer(worker->to, &order, sizeof(order), write_some);
    worker_free(worker);
}

void worker_kill(struct worker *worker)
{
    (void)kill(worker->pid, SIGKILL);
    worker_free(worker);
}

void worker_once(void (*fn)(const void *arg, struct result *out), const void *arg, size_t results,
                 struct result *out)
{
    int back[2];
    if (pipe(back) < 0)
        die("pipe: %s", strerror(errno));
    pid_t pid = fork();
    if (pid < 0)
        die("fork: %s", strerror(errno));
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        fn(arg, out);
        transfer(back[1], out, results * sizeof(*out), write_some);
        exit(0);
    }
    (void)close(back[1]);
    transfer(back[0], out, results * sizeof(*out), read_some);
    (void)close(back[0]);
    (void)waitpid(pid, NULL, 0);
}
