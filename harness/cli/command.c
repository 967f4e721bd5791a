#include "harness/cli/command.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "base/yaml.h"
#include "reports/result.h"

#include <stdio.h>
#include <string.h>

enum { COMMANDS_MAX = 32, OPTIONS_MAX = 64, NAME_MAX_BYTES = 96 };

static void print_commands(FILE *file, const struct command *commands)
{
    for (const struct command *command = commands; command->name; command++)
        fprintf(file, "  %-20s %s\n", command->name, command->text);
}

static int print_help(FILE *file, const struct command *commands, const char *name, const char *intro)
{
    fprintf(file, "Usage: %s COMMAND [ARGUMENT]...\n%s\n\nCommands:\n", name, intro);
    print_commands(file, commands);
    fprintf(file, "\n`%s COMMAND --help` tells more.\n", name);
    return EXIT_ALL_PASSED;
}

static const struct command *find(const struct command *commands, const char *name)
{
    for (const struct command *command = commands; command->name; command++)
        if (strcmp(command->name, name) == 0)
            return command;
    return NULL;
}

static int refuse(const struct command *commands, const char *name, const char *word)
{
    const char *names[COMMANDS_MAX + 1] = {NULL};
    for (size_t i = 0; i < COMMANDS_MAX && commands[i].name; i++)
        names[i] = commands[i].name;
    const char *near = text_nearest(word, names);
    log_error("'%s' is not a command of %s%s%s%s; `%s --help` names them all", word, name, near ? "; did you mean '" : "", near ? near : "",
              near ? "'?" : "", name);
    return EXIT_USAGE;
}

static int run_command(const struct command *command, const char *name, int argc, char **argv)
{
    char full[NAME_MAX_BYTES];
    snprintf(full, sizeof full, "%s %s", name, command->name);
    argv[0] = full;
    return command->children ? command_dispatch(command->children, full, command->text, argc, argv) : command->run(argc, argv);
}

static int help(const struct command *commands, const char *name, const char *intro, int argc, char **argv)
{
    const struct command *command = argc > 2 ? find(commands, argv[2]) : NULL;
    if (argc > 2 && !command)
        return refuse(commands, name, argv[2]);
    if (!command)
        return print_help(stdout, commands, name, intro);
    char word[] = "--help";
    char *arguments[] = {argv[0], word, NULL};
    return run_command(command, name, 2, arguments);
}

int command_dispatch(const struct command *commands, const char *name, const char *intro, int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : NULL;
    if (!word) {
        print_help(stderr, commands, name, intro);
        return EXIT_USAGE;
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        return print_help(stdout, commands, name, intro);
    if (strcmp(word, "help") == 0)
        return help(commands, name, intro, argc, argv);
    if (strcmp(word, "--version") == 0) {
        printf("dpsbench %s\n", DPSBENCH_VERSION);
        return EXIT_ALL_PASSED;
    }
    const struct command *command = find(commands, word);
    return command ? run_command(command, name, argc - 1, argv + 1) : refuse(commands, name, word);
}

/* ---- options ---- */

/* The options that argp adds by itself, and ours. */
static size_t list_options(const struct argp *argp, const char **names)
{
    size_t count = 0;
    names[count++] = "help";
    names[count++] = "usage";
    for (const struct argp_option *option = argp->options; option && (option->name || option->doc) && count < OPTIONS_MAX; option++)
        if (option->name)
            names[count++] = option->name;
    names[count] = NULL;
    return count;
}

/* getopt takes an unambiguous beginning too; whether it is unambiguous is its business. */
static bool is_option(const char *const *names, const char *word, size_t length)
{
    for (; *names; names++)
        if (strncmp(*names, word, length) == 0)
            return true;
    return false;
}

static bool takes_value(const struct argp *argp, const char *word)
{
    for (const struct argp_option *option = argp->options; option && (option->name || option->doc); option++)
        if (option->name && option->arg && strcmp(option->name, word) == 0)
            return true;
    return false;
}

static void refuse_option(const char *command, const char *const *names, const char *word, size_t length)
{
    CLEANUP_FREE char *name = strndup(word, length);
    const char *near = name ? text_nearest(name, names) : NULL;
    log_error("%s: unknown option '--%s'%s%s%s; `%s --help` names them all", command, name ? name : "?", near ? "; did you mean '--" : "",
              near ? near : "", near ? "'?" : "", command);
    exit(EXIT_USAGE);
}

int command_parse(const struct argp *argp, int argc, char **argv, void *input)
{
    const char *names[OPTIONS_MAX + 1];
    list_options(argp, names);
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strncmp(argv[i], "--", 2) != 0)
            continue;
        const char *word = argv[i] + 2;
        size_t length = strcspn(word, "=");
        if (!is_option(names, word, length))
            refuse_option(argv[0], names, word, length);
        i += !word[length] && takes_value(argp, word);
    }
    argp_err_exit_status = EXIT_USAGE;
    return argp_parse(argp, (unsigned)argc, argv, 0, NULL, input);
}

int command_fail(const struct error *error)
{
    log_error("%s", error->text);
    switch (error->owner) {
    case ERROR_OWNER_FILE:
        return EXIT_USAGE;
    case ERROR_OWNER_RIG:
        return EXIT_RIG_TROUBLE;
    case ERROR_OWNER_DEVICE:
        return EXIT_DEVICE_FAILED;
    case ERROR_OWNER_PERSON:
        return EXIT_INTERRUPTED;
    case ERROR_OWNER_OURS:
        break;
    }
    return EXIT_OUR_BUG;
}
