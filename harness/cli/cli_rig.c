/* dpsbench rig ... */
#include "base/arguments.h"
#include "base/cleanup.h"
#include "base/files.h"
#include "base/log.h"
#include "base/shell_word.h"
#include "harness/cli/cli.h"
#include "harness/cli/survey_arguments.h"
#include "harness/discover/rig_draft.h"
#include "reports/result.h"

#include <string.h>

enum { OPTION_FROM = 256, OPTION_OUTPUT, OPTION_FORCE, OPTION_REGISTRATION_ID, OPTION_ID_SCOPE, OPTION_SEC_TAG, OPTION_SIM };

struct init_arguments {
    struct survey_arguments survey;
    struct rig_draft_options draft;
    const char *map;
    const char *output;
    bool may_overwrite;
};

static const struct argp_option options[] = {
    {"from", OPTION_FROM, "FILE", 0, "The boards of a Twister hardware map, in place of those that are found", 0},
    {"output", OPTION_OUTPUT, "FILE", 0, "Where to write (default rig.yaml; - for standard output)", 0},
    {"force", OPTION_FORCE, NULL, 0, "Write over a file that is there", 0},
    {"registration-id", OPTION_REGISTRATION_ID, "ID", 0, "What the firmware registers as; {imei} in it stands for the device's IMEI", 0},
    {"id-scope", OPTION_ID_SCOPE, "SCOPE", 0, "The ID scope of the firmware", 0},
    {"sec-tag", OPTION_SEC_TAG, "N", 0, "The sec tag where the firmware finds its credentials", 0},
    {"sim", OPTION_SIM, "DIR", 0, "The state folder of a simulator that runs; default: each run starts one of its own", 0},
    SURVEY_OPTIONS,
    {0},
};

static const char text[] =
    "Look for boards and write a rig file for them. BOARD is a path, a serial number, a USB location, a kind of board or the state folder "
    "of a virtual DK, as "
    "for `dpsbench devices`; default: all that answer AT commands. What only a person knows is left empty and marked FILL IN."
    "\vExit codes: 0 written, 2 wrong usage, a file that is there already, a BOARD that fits two or no board that answers.\n"
    "\n"
    "Examples:\n"
    "  dpsbench rig init\n"
    "  dpsbench rig init 960012345 --id-scope 0ne000AAAA1 --sec-tag 56 --registration-id 'nrf-{imei}'\n"
    "  dpsbench rig init --from hardware-map.yml --output - --id-scope 0ne000AAAA1\n";

static void take_sec_tag(const char *word, struct init_arguments *arguments, const struct argp_state *state)
{
    char *end;
    long value = strtol(word, &end, 10);
    if (!*word || *end || value < 0 || value > 2147483647 || strspn(word, "0123456789") != strlen(word))
        arguments_refuse(state, "'%s' is not a sec tag: a whole number from 0 to 2147483647", word);
    arguments->draft.sec_tag = word;
}

static error_t take(int key, char *word, struct argp_state *state)
{
    struct init_arguments *arguments = state->input;
    switch (key) {
    case OPTION_FROM:
        arguments->map = word;
        return 0;
    case OPTION_OUTPUT:
        arguments->output = word;
        return 0;
    case OPTION_FORCE:
        arguments->may_overwrite = true;
        return 0;
    case OPTION_REGISTRATION_ID:
        arguments->draft.registration_id = word;
        return 0;
    case OPTION_ID_SCOPE:
        arguments->draft.id_scope = word;
        return 0;
    case OPTION_SEC_TAG:
        take_sec_tag(word, arguments, state);
        return 0;
    case OPTION_SIM:
        arguments->draft.simulator = word;
        return 0;
    default:
        return survey_arguments_take(key, word, state, &arguments->survey);
    }
}

static bool is_stdout(const struct init_arguments *arguments)
{
    return strcmp(arguments->output, "-") == 0;
}

/* Before anything is asked: nobody likes to wait for a refusal. */
static int check_output(const struct init_arguments *arguments, struct error *error)
{
    if (is_stdout(arguments) || arguments->may_overwrite || !path_exists(arguments->output))
        return 0;
    return error_set(error, ERROR_OWNER_FILE, ERROR_EXISTS, "'%s' is there already; --force writes over it, --output names another file",
                     arguments->output);
}

static int make_draft(const struct init_arguments *arguments, struct rig_draft *ret_draft, struct error *error)
{
    if (arguments->map) {
        CLEANUP(rig_done) struct rig map = {0};
        if (arguments->survey.options.word_count)
            return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "either --from, or the boards that are here: '%s' is too much",
                             arguments->survey.words[0]);
        return rig_read_map(arguments->map, &map, error) || rig_draft_from_map(&map, &arguments->draft, ret_draft, error) ? -1 : 0;
    }
    CLEANUP(survey_done) struct survey survey = {.list = {0}};
    return survey_make(&arguments->survey.options, &survey, error) || rig_draft_from_survey(&survey, &arguments->draft, ret_draft, error)
               ? -1
               : 0;
}

static int check_ids(const struct rig_draft *draft, const struct init_arguments *arguments, struct error *error)
{
    const char *id = arguments->draft.registration_id;
    if (!id || strstr(id, "{imei}") || draft->device_count < 2)
        return 0;
    return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE,
                     "--registration-id '%s' would be that of %zu devices: put {imei} into it, or name one board", id, draft->device_count);
}

/* What we wrote must be what we read, or else it is our bug; only what a person has to fill in is missing. */
static int check_draft(const struct rig_draft *draft, const char *name, struct error *error)
{
    CLEANUP(rig_done) struct rig rig = {0};
    if (draft->gap_count || !rig_read_text(bytes_text(&draft->text), draft->text.length_bytes, name, &rig, error))
        return 0;
    error->owner = ERROR_OWNER_OURS;
    return error_prefix(error, "the rig file that would be written cannot be read");
}

static int write_draft(const struct rig_draft *draft, const struct init_arguments *arguments, struct error *error)
{
    if (!is_stdout(arguments))
        return file_write_atomic(arguments->output, draft->text.data, draft->text.length_bytes, 0644, error);
    fwrite(draft->text.data, 1, draft->text.length_bytes, stdout);
    return fflush(stdout) ? error_set(error, ERROR_OWNER_RIG, ERROR_IO, "write to standard output failed") : 0;
}

static void say_what_next(const struct rig_draft *draft, const struct init_arguments *arguments)
{
    CLEANUP_FREE char *word = shell_word(arguments->output);
    log_info("%zu device%s%s%s", draft->device_count, draft->device_count == 1 ? "" : "s", is_stdout(arguments) ? "" : " in ",
             is_stdout(arguments) ? "" : arguments->output);
    if (draft->gap_count)
        log_info("%zu value%s left to fill in: look for FILL IN", draft->gap_count, draft->gap_count == 1 ? " is" : "s are");
    else if (!is_stdout(arguments))
        log_info("next: dpsbench doctor --rig %s", word ? word : "FILE");
}

static int init(int argc, char **argv)
{
    static const struct argp argp = {.options = options, .parser = take, .args_doc = "[BOARD]...", .doc = text};
    struct init_arguments arguments = {.output = "rig.yaml"};
    struct error error = ERROR_INIT;
    CLEANUP(rig_draft_done) struct rig_draft draft = {.device_count = 0};
    survey_arguments_init(&arguments.survey);
    command_parse(&argp, argc, argv, &arguments);
    if (check_output(&arguments, &error) || make_draft(&arguments, &draft, &error) || check_ids(&draft, &arguments, &error) ||
        check_draft(&draft, arguments.output, &error) || write_draft(&draft, &arguments, &error))
        return command_fail(&error);
    say_what_next(&draft, &arguments);
    return EXIT_ALL_PASSED;
}

const struct command cli_rig_commands[] = {
    {"init", "Write a rig file for the boards that are here, or for those of a Twister hardware map", init, NULL},
    {NULL, NULL, NULL, NULL},
};
