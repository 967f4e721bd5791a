#include "harness/cli/command.h"

#include "base/arguments.h"
#include "base/log.h"
#include "base/yaml.h"
#include "reports/result.h"

#include <stdio.h>
#include <string.h>

enum { COMMANDS_MAX = 32, NAME_MAX_BYTES = 96 };

static void print_commands(FILE *file, const struct command *commands)
{
    for (const struct command *command = commands; command->name; command++)
        fprintf(file, "  %-20s %.*s\n", command->name, (int)strcspn(command->text, "\v"), command->text);
}

static int print_help(FILE *file, const struct command *commands, const char *name, const char *intro)
{
    size_t sentence = strcspn(intro, "\v");
    const char *examples = intro[sentence] ? intro + sentence + 1 : NULL;
    fprintf(file, "Usage: %s COMMAND [ARGUMENT]...\n%.*s\n", name, (int)sentence, intro);
    if (examples)
        fprintf(file, "\n%s\n", examples);
    fputs("\nCommands:\n", file);
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
    return command->run ? command->run(argc, argv) : command_dispatch(command->children, full, command->text, argc, argv);
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

int command_parse(const struct argp *argp, int argc, char **argv, void *input)
{
    return arguments_parse(argp, argc, argv, input);
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

int command_end_output(int code)
{
    if (!fflush(stdout) && !ferror(stdout))
        return code;
    log_error("write to standard output failed");
    return EXIT_RIG_TROUBLE;
}
