#include "harness/try/virtual_console.h"

#include "base/files.h"
#include "harness/device/dk.h"
#include "harness/rig/place.h"
#include "harness/rig/rig.h"
#include "harness/rig/served.h"

#include <signal.h>
#include <string.h>

#define VIRTUAL_DK "dpsbench-vdk"

enum {
    /* Real time: work of the machine, generous because a busy machine under sanitizers is no verdict. */
    START_MS = 60000,
    AT_MS = 60000,
    WORK_MS = 10000,
    /* The device's own time: boot, network, registration, its watchdog of 90 s. */
    BOOT_DEVICE_MS = 30000,
    REST_DEVICE_MS = 300000,
    SETTLE_DEVICE_MS = 2000,
    SETTLE_MIN_MS = 100,
};

struct session {
    const struct virtual_console_options *options;
    struct served *program;
    struct dialect *dialect;
    struct dk *dk;
    cJSON *lines; /* NULL: nobody asked for it yet */
    bool has_booted;
    bool is_done;
    bool is_assigned;
    bool is_lost;
    struct error error;
};

/* ---- what comes ---- */

/* What the boot before printed last may still be on its way when the reset is pulled. */
static void begin_at_banner(struct session *session)
{
    while (!session->has_booted && cJSON_GetArraySize(session->lines) > 1)
        cJSON_DeleteItemFromArray(session->lines, 0);
    session->has_booted = session->lines != NULL;
}

static void on_event(void *user, cJSON *event)
{
    struct session *session = user;
    const char *kind = event ? json_string(event, "kind", "") : "";
    const char *text = event ? json_string(event_data(event), "text", "") : "";
    if (session->lines && strcmp(kind, "console.line") == 0)
        cJSON_AddItemToArray(session->lines, cJSON_CreateString(text));
    if (strcmp(kind, "console.boot") == 0)
        begin_at_banner(session);
    session->is_assigned |= strcmp(kind, "console.telemetry-sent") == 0;
    cJSON_Delete(event);
}

static void on_lost(void *user, const struct error *error)
{
    struct session *session = user;
    session->is_lost = true;
    session->error = *error;
}

static void finish(struct session *session, const struct error *error)
{
    session->is_done = true;
    if (error)
        session->error = *error;
}

static void on_identity(void *user, const struct dk_identity *identity, const struct error *error)
{
    (void)identity;
    finish(user, error);
}

static void on_applied(void *user, const struct credential_result *result, const struct error *error)
{
    (void)result;
    finish(user, error);
}

static void on_boot(void *user, const char *banner, const struct error *error)
{
    (void)banner;
    finish(user, error);
}

static bool is_broken(const struct session *session)
{
    return session->is_lost || session->options->is_cut_off(session->options->user) || !served_is_running(session->program, NULL);
}

static bool is_done(void *user)
{
    const struct session *session = user;
    return session->is_done || is_broken(session);
}

static bool is_at_rest(void *user)
{
    const struct session *session = user;
    return is_broken(session) || dk_is_at_rest(session->dk);
}

static int check(const struct session *session, struct error *error)
{
    if (session->options->is_cut_off(session->options->user))
        return error_set(error, ERROR_OWNER_RIG, ERROR_IO, "the simulator is gone");
    if (!served_is_running(session->program, error))
        return -1;
    return session->error.code ? error_set(error, session->error.owner, session->error.code, "%s", session->error.text) : 0;
}

/* Callbacks write into the session, which lives longer than the dk. */
static int await(struct session *session, int64_t ms, const char *what, struct error *error)
{
    struct waiting *waiting = session->options->waiting;
    if (waiting_until(waiting, is_done, session, deadline_in_ms(waiting_clock(waiting), ms), what, error))
        return -1;
    session->is_done = false;
    return check(session, error);
}

static int64_t device_ms(const struct session *session, int64_t ms)
{
    return clock_scaled_ms(ms, session->options->time_scale);
}

/* ---- steps ---- */

static int start_program(struct session *session, struct error *error)
{
    const struct virtual_console_options *options = session->options;
    CLEANUP_FREE char *program = NULL, *state = path_join(options->directory, "state"), *log_path = path_join(options->directory, "log");
    char scale[32], sec_tag[16];
    if (!state || !log_path)
        return error_set_memory(error);
    if (place_program(VIRTUAL_DK, &program, error) || dir_make(options->directory, 0700, error))
        return -1;
    snprintf(scale, sizeof scale, "%g", options->time_scale);
    snprintf(sec_tag, sizeof sec_tag, "%u", options->credentials->sec_tag);
    const char *const argv[] = {
        program,           "--state",   state,   "--connect",         options->address,         "--dps-host",   options->host, "--id-scope",
        options->id_scope, "--sec-tag", sec_tag, "--registration-id", options->registration_id, "--time-scale", scale,         NULL};
    const struct served_options served = {
        .loop = waiting_loop(options->waiting),
        .program = VIRTUAL_DK,
        .argv = argv,
        .log_path = log_path,
        .deadline = deadline_in_ms(waiting_clock(options->waiting), START_MS),
    };
    return served_start(&served, &session->program, error);
}

static int open_port(struct session *session, struct error *error)
{
    CLEANUP_FREE char *path = NULL;
    if (place_data("fixtures/dialects/" RIG_DIALECT_DEFAULT ".yaml", &path, error) || dialect_read_file(path, &session->dialect, error))
        return -1;
    const struct dk_options options = {
        .loop = waiting_loop(session->options->waiting),
        .clock = waiting_clock(session->options->waiting),
        .name = "virtual-dk",
        .path = json_string(served_ready(session->program), "pty", ""),
        .dialect = session->dialect,
        .sink = {.emit = on_event, .user = session},
        .callbacks = {.user = session, .on_lost = on_lost},
    };
    return dk_open(&options, &session->dk, error);
}

static int write_credentials(struct session *session, struct error *error)
{
    if (dk_identify(session->dk, on_identity, session, error) || await(session, AT_MS, "the virtual DK's AT host", error))
        return -1;
    if (credential_apply(dk_at(session->dk), session->options->credentials, on_applied, session, error) ||
        await(session, AT_MS, "the virtual DK to take its credentials", error))
        return -1;
    return 0;
}

static int boot(struct session *session, struct error *error)
{
    struct waiting *waiting = session->options->waiting;
    int64_t ms = device_ms(session, BOOT_DEVICE_MS) + WORK_MS;
    session->lines = cJSON_CreateArray();
    session->is_assigned = false;
    if (!session->lines)
        return error_set_memory(error);
    if (dk_expect_boot(session->dk, deadline_in_ms(waiting_clock(waiting), ms), on_boot, session, error))
        return -1;
    served_signal(session->program, SIGHUP);
    return await(session, ms + WORK_MS, "the virtual DK's boot", error);
}

/* A device that never comes to rest has its time; what it printed is what there is to show. */
static int await_rest(struct session *session, struct error *error)
{
    struct waiting *waiting = session->options->waiting;
    struct error late = ERROR_INIT;
    int64_t settle_ms = device_ms(session, SETTLE_DEVICE_MS);
    deadline_t deadline = deadline_in_ms(waiting_clock(waiting), device_ms(session, REST_DEVICE_MS) + WORK_MS);
    if (waiting_until(waiting, is_at_rest, session, deadline, "the virtual DK", &late) && late.code == ERROR_INTERRUPTED)
        return error_set(error, late.owner, late.code, "%s", late.text);
    if (check(session, error))
        return -1;
    return waiting_settle(waiting, settle_ms < SETTLE_MIN_MS ? SETTLE_MIN_MS : settle_ms, error);
}

static int run(struct session *session, struct error *error)
{
    return start_program(session, error) || open_port(session, error) || write_credentials(session, error) || boot(session, error) ||
                   await_rest(session, error)
               ? -1
               : 0;
}

int virtual_console_run(const struct virtual_console_options *options, struct virtual_console *ret_console, struct error *error)
{
    struct session session = {.options = options, .error = ERROR_INIT};
    int failed = run(&session, error);
    dk_close(session.dk);
    served_stop(session.program);
    dialect_free(session.dialect);
    if (failed) {
        cJSON_Delete(session.lines);
        return -1;
    }
    *ret_console = (struct virtual_console){.lines = session.lines, .is_assigned = session.is_assigned};
    return 0;
}

void virtual_console_done(struct virtual_console *console)
{
    if (!console)
        return;
    cJSON_Delete(console->lines);
    console->lines = NULL;
}
