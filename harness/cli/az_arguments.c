#include "harness/cli/az_arguments.h"

#include "base/arguments.h"
#include "base/cleanup.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { GROUP_MEANINGLESS = 1, FIRST_KEY = 256, OPTIONS_MAX = 96, NAME_BUFFER_BYTES = 64, TEXT_BUFFER_BYTES = 160 };

static const struct row {
    const char *names; /* separated by spaces */
    int letter;
    enum az_option_type type;
    const char *placeholder;
    const char *text;
} rows[AZ_OPTION_COUNT] = {
#define X(id, names, letter, type, placeholder, text) [AZ_##id] = {names, letter, type, placeholder, text},
    AZ_OPTIONS(X)
#undef X
};

/* What every command takes, beside the name of the service. */
static const enum az_option common[] = {AZ_STATE, AZ_OUTPUT, AZ_QUERY, AZ_OPTION_END};
static const enum az_option meaningless[] = {AZ_RESOURCE_GROUP, AZ_SUBSCRIPTION,     AZ_LOGIN,
                                             AZ_AUTH_TYPE,      AZ_ONLY_SHOW_ERRORS, AZ_OPTION_END};

struct parse {
    const struct az_signature *signature;
    struct az_arguments *arguments;
    const char *command;
    enum az_option last; /* the option before the word that comes now */
    /* argp's table, and the names it points to */
    struct argp_option table[OPTIONS_MAX];
    size_t count;
    char names[OPTIONS_MAX][NAME_BUFFER_BYTES];
    char texts[OPTIONS_MAX][TEXT_BUFFER_BYTES];
};

static int key_of(enum az_option option)
{
    return rows[option].letter ? rows[option].letter : FIRST_KEY + (int)option;
}

/* ---- the table for argp ---- */

static bool is_among(const enum az_option *options, enum az_option option)
{
    while (*options != AZ_OPTION_END && *options != option)
        options++;
    return *options == option;
}

static bool is_meaningless(enum az_option option)
{
    return rows[option].type == AZ_MEANINGLESS || rows[option].type == AZ_SWITCH;
}

static struct argp_option original(struct parse *parse, enum az_option option, const char *name)
{
    const struct row *row = &rows[option];
    char *text = parse->texts[parse->count];
    snprintf(text, TEXT_BUFFER_BYTES, "%s%s", row->text ? row->text : "",
             is_among(parse->signature->required, option) ? " (required)" : "");
    return (struct argp_option){
        .name = name,
        .key = key_of(option),
        .arg = row->placeholder,
        .flags = row->type == AZ_FLAG ? OPTION_ARG_OPTIONAL : 0,
        .doc = *text ? text : NULL,
        .group = is_meaningless(option) ? GROUP_MEANINGLESS : 0,
    };
}

static void add_name(struct parse *parse, enum az_option option, const char *name, size_t length, bool is_alias)
{
    if (parse->count + 1 >= OPTIONS_MAX)
        return;
    char *copy = parse->names[parse->count];
    snprintf(copy, NAME_BUFFER_BYTES, "%.*s", (int)length, name);
    parse->table[parse->count] = is_alias ? (struct argp_option){.name = copy, .flags = OPTION_ALIAS} : original(parse, option, copy);
    parse->count++;
}

static void add_option(struct parse *parse, enum az_option option)
{
    const char *names = rows[option].names;
    for (bool is_alias = false; *names; is_alias = true) {
        size_t length = strcspn(names, " ");
        add_name(parse, option, names, length, is_alias);
        names += length + (names[length] == ' ');
    }
}

static void add_options(struct parse *parse, const enum az_option *options)
{
    for (; *options != AZ_OPTION_END; options++)
        add_option(parse, *options);
}

static void make_table(struct parse *parse)
{
    add_options(parse, parse->signature->options);
    add_options(parse, common);
    if (parse->signature->family == AZ_OF_OURS)
        return;
    parse->table[parse->count++] =
        (struct argp_option){.doc = "Of az and of an account in the cloud; taken, and without effect here:", .group = GROUP_MEANINGLESS};
    add_option(parse, parse->signature->family == AZ_OF_CERTIFICATES ? AZ_DPS_NAME : AZ_ENROLLMENT_DPS_NAME);
    add_options(parse, meaningless);
}

/* ---- values ---- */

void az_option_names(enum az_option option, char text[AZ_NAMES_MAX_BYTES])
{
    const char *names = rows[option].names;
    size_t used = 0;
    while (*names && used < AZ_NAMES_MAX_BYTES) {
        size_t length = strcspn(names, " ");
        used += (size_t)snprintf(text + used, AZ_NAMES_MAX_BYTES - used, "%s--%.*s", used ? "/" : "", (int)length, names);
        names += length + (names[length] == ' ');
    }
    if (rows[option].letter && used < AZ_NAMES_MAX_BYTES)
        snprintf(text + used, AZ_NAMES_MAX_BYTES - used, "/-%c", rows[option].letter);
}

void az_refuse(const char *command, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s: error: ", command);
    vfprintf(stderr, format, args);
    fprintf(stderr, "; see `%s --help`\n", command);
    va_end(args);
    exit(ARGUMENTS_EXIT_USAGE);
}

static const char *truth(const char *word)
{
    static const char *const yes[] = {"true", "yes", "y", "t", "1"}, *const no[] = {"false", "no", "n", "f", "0"};
    for (size_t i = 0; i < ARRAY_COUNT(yes); i++) {
        if (strcasecmp(word, yes[i]) == 0)
            return "true";
        if (strcasecmp(word, no[i]) == 0)
            return "false";
    }
    return NULL;
}

static void take_hub(struct parse *parse, const char *word)
{
    if (parse->arguments->hub_count == AZ_WORDS_MAX)
        az_refuse(parse->command, "--iot-hubs: more than %d hubs", AZ_WORDS_MAX);
    parse->arguments->hubs[parse->arguments->hub_count++] = word;
}

static void take_flag(struct parse *parse, enum az_option option, const char *word)
{
    char names[AZ_NAMES_MAX_BYTES];
    const char *value = word ? truth(word) : "true";
    az_option_names(option, names);
    if (!value)
        az_refuse(parse->command, "argument %s: '%s' is neither true nor false", names, word);
    parse->arguments->values[option] = value;
}

static void take_option(struct parse *parse, enum az_option option, const char *word)
{
    parse->arguments->values[option] = word ? word : "";
    parse->last = option;
    if (rows[option].type == AZ_WORDS) {
        parse->arguments->hub_count = 0;
        take_hub(parse, word);
    } else if (rows[option].type == AZ_FLAG) {
        take_flag(parse, option, word);
        parse->last = word ? AZ_OPTION_END : option;
    }
}

/* A word that stands alone belongs to the option before it, or to none. */
static void take_word(struct parse *parse, const char *word)
{
    enum az_option last = parse->last;
    if (last != AZ_OPTION_END && rows[last].type == AZ_WORDS) {
        take_hub(parse, word);
    } else if (last != AZ_OPTION_END && rows[last].type == AZ_FLAG) {
        take_flag(parse, last, word);
        parse->last = AZ_OPTION_END;
    } else {
        az_refuse(parse->command, "unrecognized arguments: '%s' is one argument too many", word);
    }
}

static void refuse_missing(const struct parse *parse)
{
    char missing[4 * AZ_NAMES_MAX_BYTES] = "", names[AZ_NAMES_MAX_BYTES];
    for (const enum az_option *option = parse->signature->required; *option != AZ_OPTION_END; option++) {
        if (parse->arguments->values[*option])
            continue;
        az_option_names(*option, names);
        size_t used = strlen(missing);
        snprintf(missing + used, sizeof missing - used, "%s%s", used ? ", " : "", names);
    }
    if (*missing)
        az_refuse(parse->command, "the following arguments are required: %s", missing);
}

static enum az_option find_key(const enum az_option *options, int key)
{
    for (; *options != AZ_OPTION_END; options++)
        if (key_of(*options) == key)
            return *options;
    return AZ_OPTION_END;
}

static enum az_option option_of(const struct parse *parse, int key)
{
    static const enum az_option none[] = {AZ_OPTION_END};
    const enum az_option *const lists[] = {parse->signature->options, common, parse->signature->family == AZ_OF_OURS ? none : meaningless};
    for (size_t i = 0; i < ARRAY_COUNT(lists); i++) {
        enum az_option found = find_key(lists[i], key);
        if (found != AZ_OPTION_END)
            return found;
    }
    enum az_option name = parse->signature->family == AZ_OF_CERTIFICATES ? AZ_DPS_NAME : AZ_ENROLLMENT_DPS_NAME;
    return key == key_of(name) ? name : AZ_OPTION_END;
}

static error_t take(int key, char *word, struct argp_state *state)
{
    struct parse *parse = state->input;
    if (key == ARGP_KEY_ARG) {
        take_word(parse, word);
        return 0;
    }
    if (key == ARGP_KEY_END) {
        refuse_missing(parse);
        return 0;
    }
    enum az_option option = option_of(parse, key);
    if (option == AZ_OPTION_END)
        return ARGP_ERR_UNKNOWN;
    take_option(parse, option, word);
    return 0;
}

void az_arguments_parse(const struct az_signature *signature, int argc, char **argv, struct az_arguments *ret_arguments)
{
    *ret_arguments = (struct az_arguments){.hub_count = 0};
    struct parse parse = {.signature = signature, .arguments = ret_arguments, .command = argv[0]};
    make_table(&parse);
    const struct argp argp = {.options = parse.table, .parser = take, .doc = signature->text};
    arguments_parse_in_order(&argp, argc, argv, &parse);
}

bool az_flag(const struct az_arguments *arguments, enum az_option option)
{
    return arguments->values[option] && strcmp(arguments->values[option], "true") == 0;
}
