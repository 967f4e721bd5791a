#include "harness/run/exec_client.h"

#include "base/cleanup.h"
#include "base/files.h"
#include "harness/rig/placeholder.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { DRAIN_MS = 20, SCALE_TEXT_BYTES = 32 };

static const char *const file_names[] = {
    [CREDENTIAL_ROOT_CA] = "root.pem", [CREDENTIAL_CLIENT_CERT] = "chain.pem", [CREDENTIAL_CLIENT_KEY] = "key.pem"};

/* ---- where ---- */

static char *client_folder(const struct bench *bench)
{
    CLEANUP_FREE char *path = bench_private_path(bench, strrchr(bench->device_directory, '/') + 1);
    return path ? path_absolute(path) : NULL;
}

static char *client_file(const struct bench *bench, const char *name)
{
    CLEANUP_FREE char *folder = client_folder(bench);
    return folder ? path_join(folder, name) : NULL;
}

/* "rigs/sdk.yaml" lies in "rigs". */
static char *rig_folder(const struct rig *rig)
{
    const char *slash = rig->file ? strrchr(rig->file, '/') : NULL;
    CLEANUP_FREE char *folder = slash == rig->file && slash ? strdup("/")
                                : slash                     ? strndup(rig->file, (size_t)(slash - rig->file))
                                                            : strdup(".");
    return folder ? path_absolute(folder) : NULL;
}

/* ---- the command ---- */

/* Who is put together with what; all owned. */
struct fillings {
    char *values[PLACEHOLDER_COUNT];
};

static void fillings_done(struct fillings *fillings)
{
    for (int i = 0; i < PLACEHOLDER_COUNT; i++)
        free(fillings->values[i]);
}

/* "127.0.0.1:4711", "[::1]:4711" */
static void split_address(const char *address, struct fillings *fillings)
{
    const char *colon = strrchr(address, ':');
    const char *from = address[0] == '[' ? address + 1 : address;
    size_t length = colon ? (size_t)(colon - from) - (address[0] == '[') : strlen(from);
    fillings->values[PLACEHOLDER_ADDRESS] = strdup(address);
    fillings->values[PLACEHOLDER_IP] = strndup(from, length);
    fillings->values[PLACEHOLDER_PORT] = strdup(colon ? colon + 1 : "");
}

static int fill_all(const struct bench *bench, struct fillings *fillings, struct error *error)
{
    char scale[SCALE_TEXT_BYTES];
    snprintf(scale, sizeof scale, "%g", bench->time_scale);
    split_address(bench->lane_address, fillings);
    fillings->values[PLACEHOLDER_HOST] = strdup(bench->device->dps_host);
    fillings->values[PLACEHOLDER_ID_SCOPE] = strdup(bench->device->id_scope);
    fillings->values[PLACEHOLDER_ID] = strdup(bench->device->registration_id);
    fillings->values[PLACEHOLDER_CHAIN] = client_file(bench, file_names[CREDENTIAL_CLIENT_CERT]);
    fillings->values[PLACEHOLDER_KEY] = client_file(bench, file_names[CREDENTIAL_CLIENT_KEY]);
    fillings->values[PLACEHOLDER_ROOT] = client_file(bench, file_names[CREDENTIAL_ROOT_CA]);
    fillings->values[PLACEHOLDER_STATE] = client_file(bench, "state");
    fillings->values[PLACEHOLDER_TIME_SCALE] = strdup(scale);
    fillings->values[PLACEHOLDER_RIG] = rig_folder(bench->rig);
    for (int i = 0; i < PLACEHOLDER_COUNT; i++)
        if (!fillings->values[i])
            return error_set_memory(error);
    return 0;
}

static void free_words(char **words)
{
    for (char **word = words; word && *word; word++)
        free(*word);
    free(words);
}

DEFINE_CLEANUP(char **, free_words)

static char **fill_command(const struct bench *bench, struct error *error)
{
    CLEANUP(fillings_done) struct fillings fillings = {0};
    CLEANUP(free_words_cleanup) char **words = calloc(RIG_ARGUMENTS_MAX + 1, sizeof *words);
    if (!words || fill_all(bench, &fillings, error)) {
        error_set_memory(error);
        return NULL;
    }
    for (size_t i = 0; bench->device->command[i]; i++) {
        words[i] = placeholder_fill(bench->device->command[i], (const char *const *)fillings.values);
        if (!words[i]) {
            error_set(error, ERROR_OWNER_FILE, ERROR_LIMIT, "%s: '%s' becomes too long", bench->device->place, bench->device->command[i]);
            return NULL;
        }
    }
    return TAKE(words);
}

/* ---- the device ---- */

static void on_event(void *user, cJSON *event)
{
    struct bench *bench = user;
    struct error error = ERROR_INIT;
    if (event)
        bench_take_own_event(bench, event);
    else
        bench_report_trouble(bench, (error_set_memory(&error), &error));
    cJSON_Delete(event);
}

static void on_lost(void *user, const struct error *error)
{
    bench_report_trouble(user, error);
}

static int make_state(const struct bench *bench, struct error *error)
{
    CLEANUP_FREE char *path = client_file(bench, "state");
    return path ? dir_make(path, 0700, error) : error_set_memory(error);
}

int exec_client_open(struct bench *bench, struct error *error)
{
    CLEANUP_FREE char *raw_path = path_join(bench->device_directory, "console.raw");
    CLEANUP_FREE char *folder = client_folder(bench);
    if (!raw_path || !folder)
        return error_set_memory(error);
    CLEANUP(free_words_cleanup) char **words = fill_command(bench, error);
    if (!words || dir_make(folder, 0700, error) || make_state(bench, error))
        return -1;
    const struct exec_device_options options = {
        .loop = waiting_loop(bench->waiting),
        .clock = bench->clock,
        .name = bench->device->id,
        .argv = (const char *const *)words,
        .dialect = bench->dialect,
        .raw_path = raw_path,
        .sink = {.emit = on_event, .user = bench},
        .on_lost = on_lost,
        .user = bench,
    };
    return exec_device_open(&options, &bench->program, error);
}

/* ---- its files ---- */

static int write_file(const struct bench *bench, const char *name, const struct bytes *text, struct error *error)
{
    CLEANUP_FREE char *path = client_file(bench, name);
    CLEANUP(bytes_wipe) struct bytes whole = {.max_bytes = CREDENTIAL_MAX_BYTES + 1};
    if (!path)
        return error_set_memory(error);
    if (text->length_bytes == 0)
        return unlink(path) && errno != ENOENT ? error_set_errno(error, ERROR_OWNER_RIG, errno, "remove '%s'", path) : 0;
    if (bytes_append(&whole, text->data, text->length_bytes) || bytes_append_byte(&whole, '\n'))
        return error_set_memory(error);
    return file_write_unsynced(path, whole.data, whole.length_bytes, 0600, error);
}

int exec_client_write(struct bench *bench, const struct credential_set *set, struct error *error)
{
    for (int i = 0; i < CREDENTIAL_TYPE_COUNT; i++)
        if (write_file(bench, file_names[i], &set->text[i], error))
            return -1;
    return 0;
}

/* ---- its starts ---- */

static int forget(const struct bench *bench, struct error *error)
{
    CLEANUP_FREE char *path = client_file(bench, "state");
    if (!path)
        return error_set_memory(error);
    return dir_remove(path, error) || make_state(bench, error) ? -1 : 0;
}

int exec_client_start(struct bench *bench, enum case_step step, struct error *error)
{
    /* Emptying a folder wears nothing out: what must be forgotten is forgotten each time. */
    enum case_step pulled = step == CASE_STEP_FRESH ? CASE_STEP_CHIP_ERASE : step;
    bench_tell_reset(bench, pulled == CASE_STEP_POWER_CYCLE ? "power-cut" : case_step_name(pulled));
    exec_device_stop(bench->program);
    /* What it said last shall not look as if the next one had. */
    if (waiting_settle(bench->waiting, DRAIN_MS, error) || (pulled == CASE_STEP_CHIP_ERASE && forget(bench, error)))
        return -1;
    return exec_device_start(bench->program, error);
}

static bool is_at_rest(void *user)
{
    return exec_device_is_at_rest(user);
}

int exec_client_let_run(struct bench *bench, struct error *error)
{
    struct error late = ERROR_INIT;
    deadline_t deadline = deadline_in_ms(bench->clock, clock_scaled_ms(BENCH_BOOT_MS, bench->time_scale));
    if (waiting_until(bench->waiting, is_at_rest, bench->program, deadline, "the program", &late) == 0 || late.code == ERROR_TIMEOUT)
        return 0;
    return error_set(error, late.owner, late.code, "%s", late.text);
}

int exec_client_check_contact(const struct bench *bench, const struct watch *watch, struct error *error)
{
    const char *end = exec_device_end(bench->program), *words = exec_device_last_words(bench->program);
    if (bench->is_known_good || watch->views[CASE_VIEW_WIRE].event_count)
        return 0;
    if (end)
        return error_set(error, ERROR_OWNER_RIG, ERROR_PROTOCOL, "the program of '%s' ended without a connection (%s)%s%s",
                         bench->device->id, end, *words ? ": " : "", words);
    return error_set(error, ERROR_OWNER_RIG, ERROR_PROTOCOL, "the program of '%s' made no connection in all the time of the row%s%s",
                     bench->device->id, *words ? "; its last line: " : "", words);
}
