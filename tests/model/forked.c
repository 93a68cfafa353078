/* SPDX-License-Identifier: MIT */
#include "model/forked.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"

#define MESSAGE_SIZE 4096

bool forked_run(forked_fn fn, void *ctx, unsigned timeout_s, bool quiet, char *message, size_t size)
{
    char *shared =
        mmap(NULL, MESSAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    rmt_assert(shared != MAP_FAILED);
    (void)fflush(NULL);
    pid_t child = fork();
    rmt_assert(child >= 0);
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        int null = quiet ? open("/dev/null", O_WRONLY) : -1;
        if (null >= 0)
            (void)dup2(null, 1), (void)dup2(null, 2);
        (void)alarm(timeout_s);
        exit(fn(ctx, shared, MESSAGE_SIZE) ? 0
                                           : 1); /* not _exit: leaks are looked for at the end */
    }
    int status = 0;
    rmt_assert(waitpid(child, &status, 0) == child);
    bool good = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (WIFSIGNALED(status))
        (void)snprintf(message, size, "%s%s%s", strsignal(WTERMSIG(status)),
                       WTERMSIG(status) == SIGALRM ? " (it hangs)" : "", shared);
    else if (!good)
        (void)snprintf(message, size, "%s", *shared ? shared : "it exited with a failure");
    (void)munmap(shared, MESSAGE_SIZE);
    return good;
}
