/* SPDX-License-Identifier: MIT */
/*
 * main.c - the ramet command: finds the command, runs it, ends in order.
 */
#include <locale.h>
#include <signal.h>
#include <string.h>

#include "command.h"
#include "text.h"

static int unknown_command(const char *name)
{
    const struct rmt_command *nearest = rmt_command_nearest(NULL, name);
    const char *meant = nearest ? nearest->name : NULL;
    if (rmt_text_distance(name, "help") < (nearest ? rmt_text_distance(name, meant) : 3))
        meant = "help"; /* which is not in the table */
    if (meant)
        return rmt_session_usage("unknown command '%s'; did you mean '%s'?", name, meant);
    return rmt_session_usage("unknown command '%s'; 'ramet help' lists them", name);
}

/* The command that a group's first word names; NULL after saying that there is none. */
static const struct rmt_command *in_group(const struct rmt_command *group, const char *name)
{
    const struct rmt_command *command = rmt_command_in_group(group, name);
    const struct rmt_command *nearest = rmt_command_nearest(group, name);
    if (command)
        return command;
    if (nearest)
        rmt_output_error("unknown command '%s %s'; did you mean '%s'?", group->name, name,
                         nearest->name);
    else
        rmt_output_error("unknown command '%s %s'; 'ramet %s --help' lists them", group->name, name,
                         group->name);
    return NULL;
}

static int help(int nr_words, char *const *words)
{
    /* help [COMMAND], --help [COMMAND] */
    if (nr_words == 0 || words[0][0] == '-') {
        rmt_command_list(stdout);
        return RMT_EXIT_OK;
    }
    const struct rmt_command *command = rmt_command_find(words[0]);
    if (!command)
        return unknown_command(words[0]);
    if (rmt_command_is_group(command) && nr_words > 1)
        command = in_group(command, words[1]);
    if (!command)
        return RMT_EXIT_USAGE;
    rmt_command_help(command);
    return RMT_EXIT_OK;
}

static int run(const struct rmt_command *command, int nr_words, char *const *words);

static int run_group(const struct rmt_command *group, int nr_words, char *const *words)
{
    if (nr_words == 0)
        return rmt_session_usage("a word is missing: 'ramet %s --help' lists commands",
                                 group->name);
    if (!strcmp(words[0], "--help") || !strcmp(words[0], "-h")) {
        rmt_command_help(group);
        return RMT_EXIT_OK;
    }
    const struct rmt_command *command = in_group(group, words[0]);
    return command ? run(command, nr_words - 1, words + 1) : RMT_EXIT_USAGE;
}

static int run(const struct rmt_command *command, int nr_words, char *const *words)
{
    if (rmt_command_is_group(command))
        return run_group(command, nr_words, words);
    struct rmt_session session = {0};
    struct rmt_args *args = &session.args;
    if (rmt_args_parse(args, command->options, nr_words, words) < 0)
        return RMT_EXIT_USAGE;
    if (args->help) {
        rmt_command_help(command);
        return RMT_EXIT_OK;
    }
    if (args->nr_operands < command->operands_min || args->nr_operands > command->operands_max)
        return rmt_session_usage("%s: usage: ramet %s%s%s [OPTION]...; '--help' says more",
                                 args->nr_operands < command->operands_min ? "a word is missing"
                                                                           : "a word too many",
                                 command->name, command->operands[0] ? " " : "", command->operands);

    int status = command->run(&session);
    rmt_session_close(&session);
    return status;
}

int main(int argc, char **argv)
{
    (void)setlocale(LC_CTYPE, "");  /* only to know whether the terminal shows UTF-8 */
    (void)signal(SIGPIPE, SIG_IGN); /* write() says it too, and then the store is closed in order */

    if (argc < 2) {
        rmt_command_list(stderr);
        return RMT_EXIT_USAGE;
    }
    const char *name = argv[1];
    const struct rmt_command *command = rmt_command_find(name);
    int status;
    if (command)
        status = run(command, argc - 2, argv + 2);
    else if (!strcmp(name, "help") || !strcmp(name, "--help") || !strcmp(name, "-h"))
        status = help(argc - 2, argv + 2);
    else if (!strcmp(name, "--version"))
        status = run(rmt_command_find("version"), 0, NULL);
    else
        status = unknown_command(name);
    return rmt_output_finish(status);
}
