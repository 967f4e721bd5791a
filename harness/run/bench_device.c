/* The device's side of the bench: a lane of its own, the virtual DK when it is one, its port. */
#include "base/cleanup.h"
#include "base/files.h"
#include "harness/rig/place.h"
#include "harness/run/bench.h"
#include "harness/run/exec_client.h"

#include <ctype.h>
#include <errno.h>
#include <libgen.h>
#include <string.h>

_Static_assert((int)RIG_TRANSPORT_AUTO == (int)AT_TRANSPORT_AUTO && (int)RIG_TRANSPORT_AT_HOST == (int)AT_TRANSPORT_HOST &&
                   (int)RIG_TRANSPORT_AT_SHELL == (int)AT_TRANSPORT_SHELL,
               "one list in two layers");

#define VIRTUAL_DK "dpsbench-vdk"
enum { ARGUMENTS_MAX = 64 };

/* ---- the lane ---- */

static int replace(char **member, const char *text)
{
    char *copy = text ? strdup(text) : NULL;
    free(*member);
    *member = copy;
    return text && !copy ? -1 : 0;
}

/* A service that nobody else uses shows the case's names as they are. */
static int choose_suffix(struct bench *bench, struct error *error)
{
    if (!bench_has_many_devices(bench) && !bench->simulator_folder)
        return 0;
    if (asprintf(&bench->name_suffix, ".%s", bench->lane) < 0) {
        bench->name_suffix = NULL;
        return error_set_memory(error);
    }
    return 0;
}

static int lease_lane(struct bench *bench, struct error *error)
{
    CLEANUP_JSON cJSON *result = NULL;
    cJSON *params = cJSON_CreateObject();
    const char *kind = rig_lane_name(bench->rig);
    if (!params || json_set_string(params, "kind", kind) ||
        json_set_integer(params, "ttl_s", BENCH_LEASE_MARGIN_S + 3 * rig_hooks_longest_ms(bench->device) / 1000) ||
        (strcmp(kind, "host") == 0 && json_set_string(params, "host", bench->device->dps_host))) {
        cJSON_Delete(params);
        return error_set_memory(error);
    }
    if (bench_call(bench, "lane.lease", params, &result, error))
        return -1;
    if (replace(&bench->lease, json_string(result, "lease", "")) || replace(&bench->lane, json_string(result, "lane", "")) ||
        replace(&bench->lane_address, json_string(result, "address", "")) ||
        replace(&bench->lane_root_ca, json_string(result, "root_ca", "")) || replace(&bench->lane_chain, json_string(result, "chain", "")))
        return error_set_memory(error);
    return choose_suffix(bench, error);
}

static void release_lane(struct bench *bench)
{
    cJSON *params = cJSON_CreateObject();
    if (bench->lease && params && json_set_string(params, "lease", bench->lease) == 0)
        bench_call(bench, "lane.release", TAKE(params), NULL, NULL);
    cJSON_Delete(params);
    char **members[] = {&bench->lease,        &bench->lane,       &bench->lane_address,
                        &bench->lane_root_ca, &bench->lane_chain, &bench->lane_server_recipe,
                        &bench->name_suffix};
    for (size_t i = 0; i < ARRAY_COUNT(members); i++)
        free(TAKE(*members[i]));
}

/* ---- the virtual DK ---- */

struct arguments {
    const char *items[ARGUMENTS_MAX + 1];
    size_t count;
};

static void add(struct arguments *arguments, const char *option, const char *value)
{
    if (!value || arguments->count + 2 > ARGUMENTS_MAX)
        return;
    arguments->items[arguments->count++] = option;
    arguments->items[arguments->count++] = value;
}

static int start_virtual(struct bench *bench, struct error *error)
{
    const struct rig_device *device = bench->device;
    CLEANUP_FREE char *program = NULL, *log_path = path_join(bench->device_directory, "virtual-dk.log");
    CLEANUP_FREE char *state = bench_private_path(bench, strrchr(bench->device_directory, '/') + 1);
    char scale[32], sec_tag[16];
    if (place_program(VIRTUAL_DK, &program, error))
        return -1;
    if (!log_path || !state)
        return error_set_memory(error);
    snprintf(scale, sizeof scale, "%g", bench->time_scale);
    snprintf(sec_tag, sizeof sec_tag, "%u", device->sec_tag);
    struct arguments arguments = {.items = {program}, .count = 1};
    add(&arguments, "--state", state);
    add(&arguments, "--dps-host", device->dps_host);
    add(&arguments, "--connect", bench->lane_address);
    add(&arguments, "--id-scope", device->id_scope);
    add(&arguments, "--registration-id", device->registration_id);
    add(&arguments, "--sec-tag", sec_tag);
    add(&arguments, "--personality", device->personality);
    add(&arguments, "--mfw", device->mfw);
    add(&arguments, "--hardware-profile", device->hardware_profile);
    add(&arguments, "--time-scale", scale);
    for (size_t i = 0; i < device->weaknesses.count; i++)
        add(&arguments, "--weakness", device->weaknesses.items[i]);
    for (size_t i = 0; i < device->misbehaviours.count; i++)
        add(&arguments, "--misbehaviour", device->misbehaviours.items[i]);
    struct served_options options = {
        .loop = waiting_loop(bench->waiting),
        .program = VIRTUAL_DK,
        .argv = arguments.items,
        .log_path = log_path,
        .deadline = deadline_in_ms(bench->clock, BENCH_START_MS),
    };
    return served_start(&options, &bench->virtual_device, error);
}

/* ---- the port ---- */

static void on_device_event(void *user, cJSON *event)
{
    struct bench *bench = user;
    struct error error = ERROR_INIT;
    if (event)
        bench_take_own_event(bench, event);
    else
        bench_report_trouble(bench, (error_set_memory(&error), &error));
    cJSON_Delete(event);
}

static void on_gone(void *user, const char *reason)
{
    struct bench *bench = user;
    struct error error = ERROR_INIT;
    /* Boards that have USB of their own enumerate anew when they are reset. Whether it comes back decides the wait for the boot. */
    if (dk_is_boot_awaited(bench->dk))
        return;
    error_set(&error, ERROR_OWNER_RIG, ERROR_IO, "the port of '%s' went away: %s", bench->device->id, reason);
    bench_report_trouble(bench, &error);
}

static void on_overflow(void *user, uint64_t lost_bytes)
{
    struct bench *bench = user;
    struct error error = ERROR_INIT;
    error_set(&error, ERROR_OWNER_RIG, ERROR_LIMIT,
              "%llu bytes of the console of '%s' are lost: this machine was held up for too long; is its disk slow, or its memory short?",
              (unsigned long long)lost_bytes, bench->device->id);
    bench_report_trouble(bench, &error);
}

static void on_lost(void *user, const struct error *error)
{
    bench_report_trouble(user, error);
}

static int read_dialect(struct bench *bench, struct error *error)
{
    CLEANUP_FREE char *path = NULL, *folder = bench->rig->file ? strdup(bench->rig->file) : NULL;
    if (!bench->device->dialect)
        return 0;
    return place_dialect(bench->device->dialect, folder ? dirname(folder) : NULL, &path, error) ||
                   dialect_read_file(path, &bench->dialect, error)
               ? -1
               : 0;
}

static int open_port(struct bench *bench, struct error *error)
{
    const struct rig_device *device = bench->device;
    CLEANUP_FREE char *raw_path = path_join(bench->device_directory, "console.raw");
    CLEANUP_FREE char *second_raw_path = path_join(bench->device_directory, "console-2.raw");
    const cJSON *ready = bench->virtual_device ? served_ready(bench->virtual_device) : NULL;
    const char *path = ready ? json_string(ready, "pty", "") : device->serial;
    if (!raw_path || !second_raw_path)
        return error_set_memory(error);
    struct dk_options options = {
        .loop = waiting_loop(bench->waiting),
        .clock = bench->clock,
        .name = device->id,
        .path = path,
        .console_path = ready ? json_string(ready, "pty2", NULL) : device->console,
        .baud = (int)device->baud,
        .has_flow_control = device->has_flow_control,
        .transport = (enum at_transport)device->transport,
        .command_max_bytes = (size_t)device->command_limit,
        .tx_chunk_bytes = (size_t)device->pacing_bytes,
        .tx_gap_ms = device->pacing_gap_ms,
        .dialect = bench->dialect,
        .raw_path = raw_path,
        .console_raw_path = second_raw_path,
        .sink = {.emit = on_device_event, .user = bench},
        .callbacks = {.user = bench, .on_overflow = on_overflow, .on_gone = on_gone, .on_lost = on_lost},
    };
    return dk_open(&options, &bench->dk, error);
}

struct contact {
    bool is_done;
    struct dk_identity identity;
    struct error error;
};

static void on_identity(void *user, const struct dk_identity *identity, const struct error *error)
{
    struct contact *contact = user;
    contact->is_done = true;
    if (error)
        contact->error = *error;
    else
        contact->identity = *identity;
}

static bool is_identified(void *user)
{
    return ((struct contact *)user)->is_done;
}

static cJSON *identity_to_json(const struct dk_identity *identity, enum at_transport transport)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (!json || json_set_string(json, "manufacturer", identity->manufacturer) || json_set_string(json, "model", identity->model) ||
        json_set_string(json, "firmware", identity->firmware) || json_set_string(json, "imei", identity->imei) ||
        json_set_string(json, "transport", at_transport_name(transport)))
        return NULL;
    return TAKE(json);
}

/* By-id names belong to probes and cables: another board may hang on them. */
static int check_imei(const struct rig_device *device, const struct dk_identity *identity, struct error *error)
{
    if (!device->imei || strcmp(device->imei, identity->imei) == 0)
        return 0;
    return error_set(error, ERROR_OWNER_RIG, ERROR_CONFLICT,
                     "%s: the device at the port of '%s' has IMEI %s, the rig file says %s; is it another board?", device->place,
                     device->id, *identity->imei ? identity->imei : "(none)", device->imei);
}

static int identify(struct bench *bench, cJSON **ret_identity, struct error *error)
{
    /* The dk may answer late, after we gave up: then it must not write into our stack. It cannot: bench_close_device ends it first. */
    struct contact contact = {.error = ERROR_INIT};
    progress_step(bench->progress, "first contact with %s", bench->device->id);
    if (dk_identify(bench->dk, on_identity, &contact, error))
        return -1;
    if (waiting_until(bench->waiting, is_identified, &contact, deadline_in_ms(bench->clock, BENCH_AT_MS), "the device's AT host", error)) {
        dk_close(TAKE(bench->dk));
        return -1;
    }
    if (contact.error.code)
        return error_set(error, contact.error.owner, contact.error.code, "%s", contact.error.text);
    if (*contact.identity.imei)
        snprintf(bench->wear_id, sizeof bench->wear_id, "imei:%s", contact.identity.imei);
    else
        snprintf(bench->wear_id, sizeof bench->wear_id, "rig:%s", bench->device->id);
    *ret_identity = identity_to_json(&contact.identity, dk_transport(bench->dk));
    return check_imei(bench->device, &contact.identity, error);
}

/* ---- together ---- */

/* An id becomes a folder's name. */
static char *folder_name(const char *id)
{
    char *name = strdup(id);
    for (char *at = name; at && *at; at++)
        if (!isalnum((unsigned char)*at) && !strchr("-_.", *at))
            *at = '_';
    if (name && name[0] == '.')
        name[0] = '_';
    return name;
}

static int make_folder(struct bench *bench, struct error *error)
{
    CLEANUP_FREE char *name = folder_name(bench->device->id);
    bench->device_directory = name ? path_join(bench->directory, name) : NULL;
    CLEANUP_FREE char *log_path = bench->device_directory ? path_join(bench->device_directory, "console.log") : NULL;
    if (!log_path)
        return error_set_memory(error);
    if (dir_make(bench->device_directory, 0755, error))
        return -1;
    if (bench_has_many_devices(bench) && timeline_open(bench->device_directory, &bench->timeline, error))
        return -1;
    bench->has_own_timeline = bench_has_many_devices(bench);
    return line_file_open(log_path, &bench->console_log, NULL, error);
}

/* Before the port is opened: they may bring it about. */
static int run_first_hooks(struct bench *bench, struct error *error)
{
    if (bench_hook(bench, RIG_HOOK_BEFORE_RUN, NULL, error))
        return -1;
    return bench->wants_flash ? bench_hook(bench, RIG_HOOK_FLASH, NULL, error) : 0;
}

int bench_open_device(struct bench *bench, const struct rig_device *device, cJSON **ret_identity, struct error *error)
{
    bench->device = device;
    bench->is_known_good = false;
    bench->assignment = device->is_virtual ? ASSIGNMENT_NONE : ASSIGNMENT_UNKNOWN;
    bench->harsh_resets = 0;
    bench->reset_us = 0;
    if (make_folder(bench, error) || read_dialect(bench, error) || run_first_hooks(bench, error) || lease_lane(bench, error))
        return -1;
    if (device->is_exec)
        return exec_client_open(bench, error);
    if (device->is_virtual && start_virtual(bench, error))
        return -1;
    return open_port(bench, error) || identify(bench, ret_identity, error) ? -1 : 0;
}

/* After the last row: its trouble is nobody's verdict, but nobody may overlook it. */
static void run_last_hook(struct bench *bench)
{
    struct error error = ERROR_INIT;
    if (bench->device_directory && bench_hook(bench, RIG_HOOK_AFTER_RUN, NULL, &error))
        progress_say(bench->progress, "%s: %s", bench->device->id, error.text);
}

struct console *bench_console(const struct bench *bench)
{
    if (bench->program)
        return exec_device_console(bench->program);
    return bench->dk ? dk_console(bench->dk) : NULL;
}

void bench_close_device(struct bench *bench)
{
    dk_close(TAKE(bench->dk));
    exec_device_close(TAKE(bench->program));
    served_stop(TAKE(bench->virtual_device));
    run_last_hook(bench);
    dialect_free(TAKE(bench->dialect));
    release_lane(bench);
    line_file_close(TAKE(bench->console_log));
    if (bench->has_own_timeline)
        timeline_close(TAKE(bench->timeline));
    bench->has_own_timeline = false;
    free(TAKE(bench->device_directory));
}
