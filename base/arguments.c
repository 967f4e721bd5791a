#include "base/arguments.h"

#include "base/cleanup.h"
#include "base/yaml.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

enum { OPTIONS_MAX = 128 };

/* An option as getopt sees it: argp's own, those of the table, and its aliases with what they are aliases of. */
struct option_name {
    const char *name; /* NULL: short only */
    int key;
    bool takes_value;
    bool may_take_value;
};

struct option_list {
    const char *command; /* for the texts */
    struct option_name items[OPTIONS_MAX];
    size_t count;
};

static void add(struct option_list *list, struct option_name option)
{
    if (list->count < OPTIONS_MAX)
        list->items[list->count++] = option;
}

static bool is_end(const struct argp_option *option)
{
    return !option->key && !option->name && !option->doc && !option->group;
}

static void collect(const struct argp *argp, struct option_list *list)
{
    const struct argp_option *original = NULL;
    add(list, (struct option_name){.name = "help", .key = '?'});
    add(list, (struct option_name){.name = "usage", .key = -1});
    if (argp_program_version)
        add(list, (struct option_name){.name = "version", .key = 'V'});
    for (const struct argp_option *option = argp->options; option && !is_end(option); option++) {
        if (!(option->flags & OPTION_ALIAS) || !original)
            original = option;
        if (option->name || option->key)
            add(list, (struct option_name){.name = option->name,
                                           .key = original->key,
                                           .takes_value = original->arg && !(original->flags & OPTION_ARG_OPTIONAL),
                                           .may_take_value = original->arg});
    }
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static void __attribute__((noreturn, format(printf, 2, 3))) refuse(const struct option_list *list, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s: error: ", list->command);
    vfprintf(stderr, format, args);
    fprintf(stderr, "; `%s --help` names them all\n", list->command);
    va_end(args);
    exit(ARGUMENTS_EXIT_USAGE);
}

static void __attribute__((noreturn)) refuse_unknown(const struct option_list *list, const char *name)
{
    const char *names[OPTIONS_MAX + 1] = {NULL};
    size_t count = 0;
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].name)
            names[count++] = list->items[i].name;
    const char *near = text_nearest(name, names);
    if (near)
        refuse(list, "unknown option '--%s'; did you mean '--%s'?", name, near);
    refuse(list, "unknown option '--%s'", name);
}

/* Exactly, or by a beginning that only one option has. */
static const struct option_name *find_long(const struct option_list *list, const char *name)
{
    const struct option_name *found = NULL;
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].name && strcmp(list->items[i].name, name) == 0)
            return &list->items[i];
    for (size_t i = 0; i < list->count; i++) {
        const struct option_name *option = &list->items[i];
        if (!option->name || strncmp(option->name, name, strlen(name)) != 0)
            continue;
        if (found && found->key != option->key)
            refuse(list, "option '--%s' may be '--%s' or '--%s'", name, found->name, option->name);
        found = option;
    }
    if (!found)
        refuse_unknown(list, name);
    return found;
}

static const struct option_name *find_short(const struct option_list *list, char letter)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].key == letter)
            return &list->items[i];
    if (isprint((unsigned char)letter))
        refuse(list, "unknown option '-%c'", letter);
    refuse(list, "unknown option '-\\x%02X'", (unsigned char)letter);
}

/* Returns how many words the option takes. */
static int check_long(const struct option_list *list, const char *word, bool is_last)
{
    size_t length = strcspn(word, "=");
    CLEANUP_FREE char *name = strndup(word, length);
    const struct option_name *option = find_long(list, name ? name : "");
    if (word[length] && !option->may_take_value)
        refuse(list, "option '--%s' takes no value, and got '%.200s'", option->name, word + length + 1);
    if (word[length] || !option->takes_value)
        return 1;
    if (is_last)
        refuse(list, "option '--%s' needs a value", option->name);
    return 2;
}

static int check_short(const struct option_list *list, const char *letters, bool is_last)
{
    for (; *letters; letters++) {
        const struct option_name *option = find_short(list, *letters);
        if (!option->may_take_value)
            continue;
        if (option->takes_value && !letters[1] && is_last)
            refuse(list, "option '-%c' needs a value", *letters);
        return option->takes_value && !letters[1] ? 2 : 1;
    }
    return 1;
}

static void check(const struct option_list *list, int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0;) {
        if (strncmp(argv[i], "--", 2) == 0)
            i += check_long(list, argv[i] + 2, i + 1 == argc);
        else if (argv[i][0] == '-' && argv[i][1])
            i += check_short(list, argv[i] + 1, i + 1 == argc);
        else
            i++;
    }
}

static int parse(const struct argp *argp, int argc, char **argv, unsigned flags, void *input)
{
    struct option_list list = {.command = base_name(argv[0])};
    collect(argp, &list);
    check(&list, argc, argv);
    argp_err_exit_status = ARGUMENTS_EXIT_USAGE;
    return argp_parse(argp, argc, argv, flags, NULL, input);
}

int arguments_parse(const struct argp *argp, int argc, char **argv, void *input)
{
    return parse(argp, argc, argv, 0, input);
}

int arguments_parse_in_order(const struct argp *argp, int argc, char **argv, void *input)
{
    return parse(argp, argc, argv, ARGP_IN_ORDER, input);
}

void arguments_refuse(const struct argp_state *state, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s: error: ", state->name);
    vfprintf(stderr, format, args);
    fprintf(stderr, "; see `%s --help`\n", state->name);
    va_end(args);
    exit(ARGUMENTS_EXIT_USAGE);
}
