/* dpsbench calibrate */
#include "base/arguments.h"
#include "base/cleanup.h"
#include "base/files.h"
#include "base/json.h"
#include "base/log.h"
#include "harness/calibrate/comparison.h"
#include "harness/cli/cli.h"
#include "harness/cli/run_words.h"
#include "harness/rig/place.h"
#include "harness/run/run.h"

#include <string.h>
#include <time.h>

#define PROFILE_FILE "profile.yaml"
#define COMPARISON_FILE "comparison.json"

enum { OPTION_RIG = 256, OPTION_DEVICE, OPTION_OUT, OPTION_TIME_SCALE, OPTION_JSON, FIRMWARE_MAX_BYTES = 64 };

struct calibrate_arguments {
    const char *rig;
    const char *device;
    const char *out;
    double time_scale;
    bool wants_json;
};

static const struct argp_option options[] = {
    {"rig", OPTION_RIG, "FILE", 0, "The rig with the board (docs/rig.md). Default: the virtual DK, beside itself", 0},
    {"device", OPTION_DEVICE, "ID", 0, "Which device of the rig, when it has several", 0},
    {"out", OPTION_OUT, "DIR", 0, "Folder for profile, comparison and both runs, made or empty (required)", 0},
    {"time-scale", OPTION_TIME_SCALE, "N", 0, "Speed up the waits of virtual devices N times, as for `dpsbench run`", 0},
    {"json", OPTION_JSON, NULL, 0, "Print the comparison as JSON", 0},
    {0},
};

static const char text[] =
    "See what a device is like: run the rows that make each TLS fault, a refusal and a registration, on the device and on a virtual DK of "
    "the same "
    "modem firmware; say of each thing that the virtual DK assumes whether the device does the same; write a profile that the virtual DK "
    "takes "
    "(`hardware_profile` in a rig file). docs/calibrate.md."
    "\vExit codes: 0 measured, whatever came out; 3 the device or the simulator gave trouble: what was seen is written all the same.\n"
    "\n"
    "Examples:\n"
    "  dpsbench calibrate --rig my-rig.yaml --out first-contact\n"
    "  dpsbench-vdk --hardware-profile first-contact/profile.yaml ...\n";

static error_t take(int key, char *word, struct argp_state *state)
{
    struct calibrate_arguments *arguments = state->input;
    switch (key) {
    case OPTION_RIG:
        arguments->rig = word;
        return 0;
    case OPTION_DEVICE:
        arguments->device = word;
        return 0;
    case OPTION_OUT:
        arguments->out = word;
        return 0;
    case OPTION_TIME_SCALE:
        arguments->time_scale = run_words_time_scale(word, state);
        return 0;
    case OPTION_JSON:
        arguments->wants_json = true;
        return 0;
    case ARGP_KEY_ARG:
        arguments_refuse(state, "'%s': a calibration has rows of its own and takes no further words", word);
        return EINVAL;
    case ARGP_KEY_END:
        if (!arguments->out)
            arguments_refuse(state, "where to? --out DIR");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* ---- the two runs ---- */

static size_t row_count(void)
{
    size_t count = 0;
    while (calibration_rows()[count])
        count++;
    return count;
}

static int run_rows(const struct rig *rig, const char *device, const char *cases, const char *directory, double time_scale, int *ret_code,
                    struct error *error)
{
    CLEANUP(result_run_done) struct result_run result = {0};
    const struct run_options run = {
        .rig = rig,
        .cases_directory = cases,
        .cases_shown = "cases",
        .selectors = calibration_rows(),
        .selector_count = row_count(),
        .device_id = device,
        .directory = directory,
        .time_scale = time_scale,
        .talk = stderr,
    };
    if (run_suite(&run, &result, error))
        return -1;
    *ret_code = result.exit_code;
    return 0;
}

/* "mfw_nrf9160_1.3.5"; what is no such name leaves the virtual DK its own. */
static const char *firmware_name(const char *firmware)
{
    static const char name_bytes[] = "abcdefghijklmnopqrstuvwxyz0123456789_.-";
    bool is_name = strncmp(firmware, "mfw_", 4) == 0 && strlen(firmware) < FIRMWARE_MAX_BYTES && !firmware[strspn(firmware, name_bytes)];
    return is_name ? firmware : "";
}

static const struct rig_device *device_of(const struct rig *rig, const char *id)
{
    for (size_t i = 0; i < rig->device_count; i++)
        if (rig->devices[i].is_connected && (!id || strcmp(rig->devices[i].id, id) == 0))
            return &rig->devices[i];
    return &rig->devices[0];
}

/* A virtual DK of Nordic's sample on the same modem firmware and with the same ids, with all its assumptions. */
static int virtual_rig(const struct rig_device *device, const char *firmware, struct rig *ret_rig, struct error *error)
{
    const char *name = firmware_name(firmware);
    CLEANUP_FREE char *yaml = NULL;
    int length = asprintf(
        &yaml,
        "format: 1\ndevices:\n  - id: virtual-dk\n    registration_id: '%s'\n    id_scope: '%s'\n    dps_host: '%s'\n    sec_tag: 56\n"
        "    virtual: {personality: nordic-sample%s%s}\n",
        device->registration_id, device->id_scope, device->dps_host, *name ? ", mfw: " : "", name);
    if (length < 0)
        return error_set_memory(error);
    if (rig_read_text(yaml, (size_t)length, "the virtual DK", ret_rig, error))
        return -1;
    /* As the built-in rig: there is no file that a journal could look at. */
    free(TAKE(ret_rig->file));
    return 0;
}

struct calibration {
    char *board_directory, *virtual_directory, *profile_path, *comparison_path, *cases;
    struct measures board, virtual_dk;
    int exit_code;
};

static void calibration_done(struct calibration *calibration)
{
    measures_done(&calibration->board);
    measures_done(&calibration->virtual_dk);
    char *paths[] = {calibration->board_directory, calibration->virtual_directory, calibration->profile_path, calibration->comparison_path,
                     calibration->cases};
    for (size_t i = 0; i < ARRAY_COUNT(paths); i++)
        free(paths[i]);
}

static int make_paths(const char *out, struct calibration *calibration, struct error *error)
{
    calibration->board_directory = path_join(out, "device");
    calibration->virtual_directory = path_join(out, "virtual-dk");
    calibration->profile_path = path_join(out, PROFILE_FILE);
    calibration->comparison_path = path_join(out, COMPARISON_FILE);
    if (!calibration->board_directory || !calibration->virtual_directory || !calibration->profile_path || !calibration->comparison_path)
        return error_set_memory(error);
    return dir_make(out, 0755, error) || place_data("cases", &calibration->cases, error) ? -1 : 0;
}

static int measure(const struct rig *rig, const struct calibrate_arguments *arguments, struct calibration *calibration, struct error *error)
{
    CLEANUP(rig_done) struct rig twin = {0};
    int twin_code = EXIT_ALL_PASSED;
    if (run_rows(rig, arguments->device, calibration->cases, calibration->board_directory, arguments->time_scale, &calibration->exit_code,
                 error) ||
        measures_read(calibration->board_directory, &calibration->board, error))
        return -1;
    log_info("the same rows on a virtual DK");
    if (virtual_rig(device_of(rig, arguments->device), calibration->board.firmware, &twin, error) ||
        run_rows(&twin, NULL, calibration->cases, calibration->virtual_directory, 0, &twin_code, error))
        return -1;
    if (twin_code == EXIT_RIG_TROUBLE)
        log_warning("the virtual DK gave trouble: what it was not seen to do is not compared; see %s", calibration->virtual_directory);
    return measures_read(calibration->virtual_directory, &calibration->virtual_dk, error);
}

/* ---- what comes of it ---- */

static int write_profile(const struct calibration *calibration, struct error *error)
{
    char date[16];
    time_t now = (time_t)clock_unix_s(&clock_system);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(date, sizeof date, "%Y-%m-%d", &utc);
    CLEANUP_FREE char *profile = profile_write(&calibration->board, date);
    if (!profile)
        return error_set_memory(error);
    return file_write_atomic(calibration->profile_path, profile, strlen(profile), 0644, error);
}

static int write_comparison(const struct calibration *calibration, const cJSON *comparison, bool wants_json, struct error *error)
{
    CLEANUP_FREE char *printed = json_print_pretty(comparison);
    if (!printed)
        return error_set_memory(error);
    if (file_write_atomic(calibration->comparison_path, printed, strlen(printed), 0644, error))
        return -1;
    if (wants_json)
        fputs(printed, stdout);
    else
        comparison_print(comparison, stdout);
    return 0;
}

static int conclude(const struct calibration *calibration, bool wants_json, struct error *error)
{
    CLEANUP_JSON cJSON *comparison = comparison_make(&calibration->board, &calibration->virtual_dk);
    if (!comparison)
        return error_set_memory(error);
    if (write_profile(calibration, error) || write_comparison(calibration, comparison, wants_json, error))
        return -1;
    if (!wants_json)
        printf("\n%zu of %zu rows told something; profile: %s\n"
               "What is now observed, and what is still assumed: dpsbench-vdk --fidelity --hardware-profile %s\n",
               calibration->board.row_count, row_count(), calibration->profile_path, calibration->profile_path);
    return 0;
}

/* A device that fails a row is measured all the same; a rig in trouble is not. */
static int exit_code(const struct calibration *calibration)
{
    int code = calibration->exit_code;
    return code == EXIT_DEVICE_FAILED ? EXIT_ALL_PASSED : code;
}

int cli_calibrate(int argc, char **argv)
{
    static const struct argp argp = {.options = options, .parser = take, .doc = text};
    struct calibrate_arguments arguments = {0};
    struct error error = ERROR_INIT;
    CLEANUP(rig_done) struct rig rig = {0};
    CLEANUP(calibration_done) struct calibration calibration = {0};
    command_parse(&argp, argc, argv, &arguments);
    if (arguments.rig ? rig_read_file(arguments.rig, &rig, &error) : rig_builtin(&rig, &error))
        return command_fail(&error);
    if (rig_connected_count(&rig) > 1 && !arguments.device) {
        error_set(&error, ERROR_OWNER_FILE, ERROR_USAGE, "the rig has %zu connected devices: which one? --device ID",
                  rig_connected_count(&rig));
        return command_fail(&error);
    }
    if (device_of(&rig, arguments.device)->is_exec) {
        error_set(&error, ERROR_OWNER_FILE, ERROR_USAGE,
                  "%s: a program has no modem to compare with the virtual DK's: calibrate is for boards",
                  device_of(&rig, arguments.device)->place);
        return command_fail(&error);
    }
    if (make_paths(arguments.out, &calibration, &error) || measure(&rig, &arguments, &calibration, &error) ||
        conclude(&calibration, arguments.wants_json, &error))
        return command_fail(&error);
    return exit_code(&calibration);
}
