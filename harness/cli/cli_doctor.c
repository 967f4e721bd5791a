/* dpsbench doctor */
#include "base/arguments.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "harness/cli/cli.h"
#include "harness/doctor/doctor.h"
#include "reports/result.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { OPTION_RIG = 256, OPTION_DEVICE, OPTION_SIM, OPTION_PUBLIC, OPTION_OUT, OPTION_RESTART, OPTION_JSON, CLOSE_TURNS_MAX = 100 };

struct doctor_arguments {
    struct doctor_options options;
    const char *rig;
    bool wants_json;
};

static const struct argp_option options[] = {
    {"rig", OPTION_RIG, "FILE", 0, "The devices and the simulator of a rig file, or of a hardware map", 0},
    {"device", OPTION_DEVICE, "ID", 0, "Look at this device of the rig alone", 0},
    {"sim", OPTION_SIM, "DIR", 0, "The state folder of a simulator, in place of the rig's", 0},
    {"public", OPTION_PUBLIC, "HOST[:PORT]", 0,
     "Where devices reach the simulator. Default: the devices' DPS host, at the simulator's own port", 0},
    {"out", OPTION_OUT, "DIR", 0, "Where runs will be written. Default: reports/out", 0},
    {"restart-modem", OPTION_RESTART, NULL, 0,
     "Switch each modem off and on (AT+CFUN=4, 1) and listen for a reset loop: it loses its network for a while", 0},
    {"json", OPTION_JSON, NULL, 0, "Print a JSON document (docs/doctor.md)", 0},
    {0},
};

static const char text[] = "Look whether everything is there that a run needs: this host, the devices of a rig, the simulator and the way "
                           "to it; and say what to do. "
                           "Nothing is changed, and nothing is written into a device."
                           "\vExit codes: 0 nothing is bad, 2 wrong usage or a bad rig file, 3 something is bad, 130 interrupted.\n"
                           "\n"
                           "Examples:\n"
                           "  dpsbench doctor\n"
                           "  dpsbench doctor --rig rig.yaml\n"
                           "  dpsbench doctor --rig rig.yaml --public dps.example.net:8883\n"
                           "  dpsbench doctor --sim /srv/dpsbench-sim --json\n";

static error_t take(int key, char *word, struct argp_state *state)
{
    struct doctor_arguments *arguments = state->input;
    switch (key) {
    case OPTION_RIG:
        arguments->rig = word;
        return 0;
    case OPTION_DEVICE:
        arguments->options.device_id = word;
        return 0;
    case OPTION_SIM:
        arguments->options.simulator = word;
        return 0;
    case OPTION_PUBLIC:
        arguments->options.public_name = word;
        return 0;
    case OPTION_OUT:
        arguments->options.folder = word;
        return 0;
    case OPTION_RESTART:
        arguments->options.may_restart_modem = true;
        return 0;
    case OPTION_JSON:
        arguments->wants_json = true;
        return 0;
    case ARGP_KEY_ARG:
        arguments_refuse(state, "'%s' is too much: the devices are those of --rig", word);
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* ---- output ---- */

static void print_finding(const struct finding *finding, bool has_colour)
{
    static const char *const words[] = {"ok", "warning", "BAD", "-"};
    static const char *const colours[] = {"\033[32m", "\033[33m", "\033[1;31m", "\033[2m"};
    printf("%s%-8s%s %-13s ", has_colour ? colours[finding->result] : "", words[finding->result], has_colour ? "\033[0m" : "",
           doctor_check_name(finding->check));
    if (*finding->subject)
        printf("%s: ", finding->subject);
    printf("%s%s\n", finding->result == DOCTOR_NOT_CHECKED ? "not checked: " : "", finding->text);
    if (*finding->mend)
        printf("%*s -> %s\n", 22, "", finding->mend);
}

static void print_findings(const struct checkup *checkup)
{
    bool has_colour = log_has_colour(STDOUT_FILENO);
    for (size_t i = 0; i < checkup->count; i++)
        print_finding(&checkup->items[i], has_colour);
    size_t warnings = checkup_count(checkup, DOCTOR_WARNING);
    printf("%zu ok, %zu warning%s, %zu bad, %zu not checked\n", checkup_count(checkup, DOCTOR_OK), warnings, warnings == 1 ? "" : "s",
           checkup_count(checkup, DOCTOR_BAD), checkup_count(checkup, DOCTOR_NOT_CHECKED));
}

static cJSON *finding_to_json(const struct finding *finding)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (!json || json_set_string(json, "check", doctor_check_name(finding->check)) ||
        json_set_string(json, "looked_at", doctor_check_text(finding->check)) ||
        json_set_string(json, "subject", *finding->subject ? finding->subject : NULL) ||
        json_set_string(json, "result", doctor_result_name(finding->result)) || json_set_string(json, "text", finding->text) ||
        json_set_string(json, "mend", *finding->mend ? finding->mend : NULL))
        return NULL;
    return TAKE(json);
}

static int print_json(const struct checkup *checkup)
{
    CLEANUP_JSON cJSON *document = cJSON_CreateObject();
    cJSON *list = document && !json_set_integer(document, "v", 1) ? cJSON_AddArrayToObject(document, "findings") : NULL;
    for (size_t i = 0; list && i < checkup->count; i++)
        if (!cJSON_AddItemToArray(list, finding_to_json(&checkup->items[i])))
            list = NULL;
    CLEANUP_FREE char *printed = list ? json_print_pretty(document) : NULL;
    return printed ? (fputs(printed, stdout), 0) : -1;
}

static int report(const struct checkup *checkup, bool wants_json)
{
    if (wants_json && print_json(checkup))
        return EXIT_OUR_BUG;
    if (!wants_json)
        print_findings(checkup);
    return checkup_count(checkup, DOCTOR_BAD) ? EXIT_RIG_TROUBLE : EXIT_ALL_PASSED;
}

/* ---- together ---- */

static int examine_on(uv_loop_t *loop, struct doctor_options *doctor, struct checkup *checkup, struct error *error)
{
    const struct waiting_options waits = {.loop = loop, .clock = &clock_system};
    struct waiting *waiting = NULL;
    if (waiting_new(&waits, &waiting, error))
        return -1;
    doctor->waiting = waiting;
    int result = doctor_examine(doctor, checkup, error);
    waiting_free(waiting);
    return result;
}

static int examine(struct doctor_options *doctor, struct checkup *checkup, struct error *error)
{
    uv_loop_t loop;
    uv_loop_init(&loop);
    int result = examine_on(&loop, doctor, checkup, error);
    for (int i = 0; i < CLOSE_TURNS_MAX && uv_run(&loop, UV_RUN_NOWAIT); i++)
        ;
    uv_loop_close(&loop);
    return result;
}

static int read_rig(const char *path, struct doctor_options *doctor, struct rig *rig, struct error *error)
{
    const struct rig_device *device = NULL;
    if (!path)
        return doctor->device_id ? error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "--device is one of a rig: name it with --rig FILE") : 0;
    if (rig_read_file(path, rig, error))
        return -1;
    doctor->rig = rig;
    if (!doctor->device_id)
        return 0;
    if (rig_find_device(rig, doctor->device_id, &device, error))
        return -1;
    doctor->device_id = device->id;
    return 0;
}

int cli_doctor(int argc, char **argv)
{
    static const struct argp argp = {.options = options, .parser = take, .doc = text};
    struct doctor_arguments arguments = {.options = {.folder = "reports/out"}};
    struct error error = ERROR_INIT;
    CLEANUP(rig_done) struct rig rig = {0};
    CLEANUP(checkup_done) struct checkup checkup = {.count = 0};
    command_parse(&argp, argc, argv, &arguments);
    if (read_rig(arguments.rig, &arguments.options, &rig, &error) || examine(&arguments.options, &checkup, &error))
        return command_fail(&error);
    return report(&checkup, arguments.wants_json);
}
