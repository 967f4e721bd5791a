#include "harness/try/trial.h"

#include "base/event.h"
#include "base/files.h"
#include "harness/control/control.h"
#include "harness/probe/dps_client.h"
#include "harness/rig/place.h"
#include "harness/rig/rig.h"
#include "harness/rig/served.h"
#include "harness/rig/tempdir.h"
#include "harness/try/certificate_notes.h"
#include "harness/try/mend.h"
#include "harness/try/pem_form.h"
#include "harness/try/virtual_console.h"

#include <string.h>

#define SIMULATOR "dpsbench-sim"
#define ID_SCOPE "0ne00000000"

enum { START_MS = 60000, TALK_MS = 60000, EVENT_MS = 5000, CLOSE_TURNS_MAX = 100, HANDSHAKES_MAX = 64, EVENTS_MAX = 4096 };

struct trial {
    const struct try_request *request;
    struct trial_result result;
    struct tempdir *tempdir;
    char *state; /* the simulator's state folder in it */
    uv_loop_t loop;
    bool has_loop;
    struct waiting *waiting;
    struct served *simulator;
    struct control *control;
    cJSON *events;   /* all of the simulator's, in order */
    bool is_cut_off; /* the simulator's control plane is gone */
    int64_t started_us;
};

DEFINE_CLEANUP(struct trial *, trial_end)

const char *trial_outcome_name(enum trial_outcome outcome)
{
    static const char *const names[] = {
#define X(id, name) [id] = name,
        TRIAL_OUTCOMES(X)
#undef X
    };
    return names[outcome];
}

/* ---- the simulator ---- */

static void on_event(void *user, const cJSON *event)
{
    struct trial *trial = user;
    if (cJSON_GetArraySize(trial->events) < EVENTS_MAX)
        cJSON_AddItemToArray(trial->events, cJSON_Duplicate(event, true));
}

static void on_lost(void *user, const char *reason)
{
    (void)reason;
    ((struct trial *)user)->is_cut_off = true;
}

static bool is_cut_off(void *user)
{
    return ((const struct trial *)user)->is_cut_off;
}

static int start_simulator(struct trial *trial, struct error *error)
{
    CLEANUP_FREE char *program = NULL, *log_path = path_join(tempdir_path(trial->tempdir), "simulator.log");
    char scale[32];
    if (!log_path)
        return error_set_memory(error);
    if (place_program(SIMULATOR, &program, error))
        return -1;
    snprintf(scale, sizeof scale, "%g", trial->request->time_scale);
    const char *profile = trial->request->profile ? trial->request->profile : "azure";
    /* P-256: the server's keys are made anew each time, and RSA keys would take longer than all the rest. */
    const char *const argv[] = {program,        "--state", trial->state, "--server-key", "p-256",      "--host", RIG_DPS_HOST_DEFAULT,
                                "--time-scale", scale,     "--profile",  profile,        "--id-scope", ID_SCOPE, NULL};
    const struct served_options options = {
        .loop = &trial->loop,
        .program = SIMULATOR,
        .argv = argv,
        .log_path = log_path,
        .deadline = deadline_in_ms(&clock_system, START_MS),
    };
    return served_start(&options, &trial->simulator, error);
}

static int open_control(struct trial *trial, struct error *error)
{
    const struct control_options options = {
        .waiting = trial->waiting,
        .ready = served_ready(trial->simulator),
        .name = "dpsbench-try",
        .wants_events = true,
        .deadline = deadline_in_ms(&clock_system, START_MS),
        .callbacks = {.user = trial, .on_event = on_event, .on_lost = on_lost},
    };
    return control_open(&options, &trial->control, error);
}

static int open_bench(struct trial *trial, struct error *error)
{
    uv_loop_init(&trial->loop);
    trial->has_loop = true;
    const struct waiting_options waiting = {.loop = &trial->loop, .clock = &clock_system};
    trial->events = cJSON_CreateArray();
    if (!trial->events)
        return error_set_memory(error);
    return waiting_new(&waiting, &trial->waiting, error) || start_simulator(trial, error) || open_control(trial, error) ? -1 : 0;
}

static int sync_events(struct trial *trial, struct error *error)
{
    uint64_t missing = 0;
    if (control_sync(trial->control, deadline_in_ms(&clock_system, TALK_MS), &missing, error))
        return -1;
    if (missing)
        return error_set(error, ERROR_OWNER_RIG, ERROR_PROTOCOL, "%llu events of the simulator were lost", (unsigned long long)missing);
    return 0;
}

/* Of any session when `session` is 0. NULL: there was none. */
static const cJSON *find_last(const struct trial *trial, const char *kind, int64_t session)
{
    const cJSON *event, *found = NULL;
    cJSON_ArrayForEach(event, trial->events)
    {
        if (strcmp(json_string(event, "kind", ""), kind) == 0 && (!session || json_integer(event, "session", 0) == session))
            found = event;
    }
    return found;
}

/* ---- who talks to it ---- */

static bool has_tls_failed(void *user)
{
    return find_last(user, "tls.failed", 0) != NULL;
}

static bool is_alert(const cJSON *verdict)
{
    return strcmp(json_string(verdict, "surface", ""), "tls-alert") == 0;
}

static bool is_refused_in_handshake(const struct trial *trial)
{
    const cJSON *verdict = find_last(trial, "attestation.verdict", 0);
    return verdict && is_alert(event_data(verdict));
}

/* Server and client are ours and the same each time; only chain and key are the person's. */
static int fail_unanswered(struct trial *trial, const struct dps_conversation *conversation, struct error *error)
{
    const char *ended = conversation->ended ? conversation->ended : "no reason given";
    struct error late = ERROR_INIT;
    if (waiting_until(trial->waiting, has_tls_failed, trial, deadline_in_ms(&clock_system, EVENT_MS), "the simulator's view", &late) &&
        late.code == ERROR_INTERRUPTED)
        return error_set(error, late.owner, late.code, "%s", late.text);
    if (is_refused_in_handshake(trial))
        return 0;
    const cJSON *failed = find_last(trial, "tls.failed", 0);
    if (!failed)
        return error_set(error, ERROR_OWNER_RIG, ERROR_IO, "the simulator did not answer CONNECT: %s", ended);
    return error_set(error, ERROR_OWNER_FILE, ERROR_CRYPTO,
                     "%s: no TLS handshake can be made with this certificate and key (%s); use RSA with at least 2048 bits, or P-256",
                     trial->request->cert_path, json_string(event_data(failed), "reason", ended));
}

static int talk(struct trial *trial, struct error *error)
{
    CLEANUP(dps_conversation_done) struct dps_conversation conversation = {0};
    CLEANUP_JSON cJSON *ready = cJSON_Duplicate(served_ready(trial->simulator), true);
    const struct dps_client_options options = {
        .waiting = trial->waiting,
        .tls = {.chain = trial->result.files.chain, .key = trial->result.files.key, .root_path = json_string(ready, "root_ca", "")},
        .address = json_string(ready, "dps", ""),
        .host = json_string(ready, "host", ""),
        .id_scope = ID_SCOPE,
        .registration_id = trial->request->registration_id,
        .time_scale = trial->request->time_scale,
        .deadline = deadline_in_ms(&clock_system, TALK_MS),
    };
    if (dps_client_run(&options, &conversation, error))
        return -1;
    return conversation.connack == DPS_CLIENT_NONE ? fail_unanswered(trial, &conversation, error) : 0;
}

/*
 * A root that is Azure's stands for itself: no server here can have Azure's key, so the simulator's root goes into the sec tag in its place. A
 * root that is wrong is written as it is: the device refuses this server as it would refuse Azure's.
 */
static int put_root(struct trial *trial, struct credential_set *set, struct error *error)
{
    const struct trial_result *result = &trial->result;
    CLEANUP(bytes_done) struct bytes text = {0};
    if (result->has_root && !result->root.is_good)
        return credential_set_put(set, CREDENTIAL_ROOT_CA, bytes_text(&result->root.text), result->root.text.length_bytes, error);
    if (file_read(json_string(served_ready(trial->simulator), "root_ca", ""), CERTIFICATE_TEXT_MAX_BYTES, &text, error))
        return -1;
    return credential_set_put(set, CREDENTIAL_ROOT_CA, bytes_text(&text), text.length_bytes, error);
}

static int put_credentials(struct trial *trial, struct credential_set *set, struct error *error)
{
    const struct device_files *files = &trial->result.files;
    credential_set_init(set, TRY_SEC_TAG);
    return put_root(trial, set, error) ||
                   credential_set_put(set, CREDENTIAL_CLIENT_CERT, bytes_text(&files->cert_text), files->cert_text.length_bytes, error) ||
                   credential_set_put(set, CREDENTIAL_CLIENT_KEY, bytes_text(&files->key_text), files->key_text.length_bytes, error)
               ? -1
               : 0;
}

static int run_virtual(struct trial *trial, const struct credential_set *set, struct error *error)
{
    struct virtual_console console = {0};
    CLEANUP_FREE char *directory = path_join(tempdir_path(trial->tempdir), "virtual-dk");
    if (!directory)
        return error_set_memory(error);
    const cJSON *ready = served_ready(trial->simulator);
    const struct virtual_console_options options = {
        .waiting = trial->waiting,
        .directory = directory,
        .address = json_string(ready, "dps", ""),
        .host = json_string(ready, "host", ""),
        .id_scope = ID_SCOPE,
        .registration_id = trial->request->registration_id,
        .credentials = set,
        .time_scale = trial->request->time_scale,
        .is_cut_off = is_cut_off,
        .user = trial,
    };
    if (virtual_console_run(&options, &console, error))
        return -1;
    trial->result.console = console.lines;
    return 0;
}

/* What the modem does not take is an answer to the person's question, not an error. */
static int run_console(struct trial *trial, struct error *error)
{
    CLEANUP(credential_set_done) struct credential_set set;
    struct error inner = ERROR_INIT;
    if (put_credentials(trial, &set, &inner) == 0 && run_virtual(trial, &set, &inner) == 0)
        return 0;
    if (inner.owner != ERROR_OWNER_FILE && inner.owner != ERROR_OWNER_DEVICE)
        return error_set(error, inner.owner, inner.code, "%s", inner.text);
    trial->result.console_trouble = strdup(inner.text);
    return trial->result.console_trouble ? 0 : error_set_memory(error);
}

/* ---- what it says ---- */

static cJSON *take_data(const struct trial *trial, const char *kind, int64_t session)
{
    const cJSON *event = find_last(trial, kind, session);
    return event ? cJSON_Duplicate(event_data(event), true) : NULL;
}

/* The state folder of the try is gone when a person reads this. */
static char *without_folder(const struct trial *trial, const char *text)
{
    CLEANUP(bytes_done) struct bytes out;
    const char *folder = trial->state;
    bytes_init(&out, ERROR_TEXT_MAX_BYTES * 8);
    for (const char *found; (found = strstr(text, folder)); text = found + strlen(folder)) {
        bytes_append(&out, text, (size_t)(found - text));
        bytes_append_text(&out, "DIR");
    }
    bytes_append_text(&out, text);
    return strdup(bytes_text(&out));
}

static int forget_folder(const struct trial *trial, cJSON *object)
{
    const char *mend = json_string(object, "mend", NULL);
    CLEANUP_FREE char *text = mend ? without_folder(trial, mend) : NULL;
    return text ? json_set_string(object, "mend", text) : 0;
}

static void forget_folders(const struct trial *trial, cJSON *verdict)
{
    cJSON *rule;
    forget_folder(trial, verdict);
    cJSON_ArrayForEach(rule, json_member(verdict, "rules"))
    {
        forget_folder(trial, rule);
    }
}

static void gather(struct trial *trial)
{
    struct trial_result *result = &trial->result;
    const cJSON *verdict = find_last(trial, "attestation.verdict", 0);
    int64_t session = verdict ? json_integer(verdict, "session", 0) : 0;
    if (!verdict)
        return;
    result->verdict = cJSON_Duplicate(event_data(verdict), true);
    forget_folders(trial, result->verdict);
    result->handshake = take_data(trial, "tls.handshake", session);
    result->alert = is_alert(result->verdict) ? take_data(trial, "tls.alert", session) : NULL;
    result->connack = take_data(trial, "mqtt.connack", session);
    result->reply = take_data(trial, "dps.reply", session);
    result->assigned = take_data(trial, "dps.assigned", session);
    result->hub_verdict = take_data(trial, "hub.verdict", 0);
}

/* The judge's other findings: what also refuses, and what it takes and another service would not. */
static void note_findings(struct trial *trial)
{
    const cJSON *rule, *rules = json_member(trial->result.verdict, "rules");
    const char *deciding = json_string(trial->result.verdict, "rule", "");
    bool is_first = true;
    cJSON_ArrayForEach(rule, rules)
    {
        const char *id = json_string(rule, "id", ""), *severity = json_string(rule, "severity", "");
        bool is_deciding = is_first && strcmp(id, deciding) == 0;
        is_first = false;
        if (!is_deciding)
            notes_copy(&trial->result.notes, strcmp(severity, "note") == 0 ? NOTE_REMARK : NOTE_WARNING, id, json_string(rule, "text", ""),
                       json_string(rule, "mend", ""));
    }
}

static int conclude(struct trial_result *result, enum trial_outcome outcome, const char *format, ...) __attribute__((format(printf, 3, 4)));
static int conclude(struct trial_result *result, enum trial_outcome outcome, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    result->outcome = outcome;
    if (vasprintf(&result->text, format, args) < 0)
        result->text = NULL;
    va_end(args);
    return result->text ? 0 : -1;
}

static bool is_accepted(const struct trial_result *result)
{
    return strcmp(json_string(result->verdict, "verdict", ""), "accepted") == 0;
}

static bool is_refused_by_hub(const struct trial_result *result)
{
    return strcmp(json_string(result->hub_verdict, "verdict", ""), "refused") == 0;
}

static int set_commands(struct trial *trial, const char *rule)
{
    struct trial_result *result = &trial->result;
    result->commands = mend_commands(rule, trial->request, &result->files, &result->service);
    if (!result->commands)
        return -1;
    const char *mend = json_string(result->verdict, "mend", "");
    if (cJSON_GetArraySize(result->commands) == 0 && *mend && !is_accepted(result)) {
        CLEANUP_FREE char *line = without_folder(trial, mend);
        cJSON_AddItemToArray(result->commands, cJSON_CreateString(line ? line : ""));
    }
    return 0;
}

static int set_root_command(struct trial_result *result)
{
    result->commands = cJSON_CreateArray();
    return result->commands && cJSON_AddItemToArray(result->commands, cJSON_CreateString(result->root.mend)) ? 0 : -1;
}

/* A device checks its server before DPS hears of it. */
static int decide(struct trial *trial)
{
    struct trial_result *result = &trial->result;
    const char *text = json_string(result->verdict, "text", "");
    if (result->has_root && !result->root.is_good)
        return set_root_command(result)
                   ? -1
                   : conclude(result, TRIAL_REFUSED_BY_DEVICE, "a device with %s as its server root refuses Azure's server: %s",
                              trial->request->root_path, result->root.said);
    if (result->console_trouble)
        return set_commands(trial, "")
                   ? -1
                   : conclude(result, TRIAL_REFUSED_BY_DEVICE, "the modem does not take the files: %s", result->console_trouble);
    if (!is_accepted(result))
        return set_commands(trial, json_string(result->verdict, "rule", "")) ? -1 : conclude(result, TRIAL_REFUSED_BY_DPS, "%s", text);
    if (is_refused_by_hub(result))
        return set_commands(trial, "") ? -1
                                       : conclude(result, TRIAL_REFUSED_BY_HUB, "DPS assigned the device, and the hub refused it: %s",
                                                  json_string(result->hub_verdict, "text", ""));
    return set_commands(trial, "") ? -1 : conclude(result, TRIAL_ASSIGNED, "%s", text);
}

static int check_answer(const struct trial *trial, struct error *error)
{
    const struct trial_result *result = &trial->result;
    if (!result->verdict || (!result->handshake && !is_alert(result->verdict)))
        return error_set(error, ERROR_OWNER_RIG, ERROR_PROTOCOL, "the simulator gave no verdict about '%s'",
                         trial->request->registration_id);
    if (is_accepted(result) && !result->assigned)
        return error_set(error, ERROR_OWNER_RIG, ERROR_PROTOCOL, "DPS accepted '%s' and did not assign it",
                         trial->request->registration_id);
    return 0;
}

/* ---- together ---- */

static int read_files(struct trial *trial, struct error *error)
{
    const struct try_request *request = trial->request;
    struct trial_result *result = &trial->result;
    if (device_files_read(request->cert_path, request->key_path, &result->files, error))
        return -1;
    pem_form_check(request->cert_path, "CERTIFICATE", &result->files.cert_text, &result->notes);
    pem_form_check_modem(request->cert_path, CREDENTIAL_CLIENT_CERT, &result->files.cert_text, &result->notes);
    if (request->profile && strcmp(request->profile, "gateway-guide") == 0 && pem_has_white_tail(bytes_text(&result->files.cert_text))) {
        notes_add(&result->notes, NOTE_WARNING, "vendor.pem-tail",
                  "%s has white space behind the last dash; a gateway's manual says that the connection fails when it is pasted along",
                  request->cert_path);
        notes_mend(&result->notes, "cut it off: the text ends with -----END CERTIFICATE-----");
    }
    pem_form_check(request->key_path, "PRIVATE KEY", &result->files.key_text, &result->notes);
    pem_form_check_modem(request->key_path, CREDENTIAL_CLIENT_KEY, &result->files.key_text, &result->notes);
    return 0;
}

static int read_root(struct trial *trial, struct error *error)
{
    struct trial_result *result = &trial->result;
    if (!trial->request->root_path)
        return 0;
    if (server_root_check(trial->request->root_path, result->files.chain, result->service.group_ca, &result->notes, &result->root, error))
        return -1;
    result->has_root = true;
    return 0;
}

static int observe(struct trial *trial, struct error *error)
{
    if (trial->request->wants_console && (run_console(trial, error) || sync_events(trial, error)))
        return -1;
    /* Where the virtual DK did not get as far as DPS, a client without its scruples asks what DPS would have said. */
    if (!find_last(trial, "attestation.verdict", 0) && (talk(trial, error) || sync_events(trial, error)))
        return -1;
    gather(trial);
    return check_answer(trial, error);
}

static int run(struct trial *trial, struct error *error)
{
    struct trial_result *result = &trial->result;
    if (read_files(trial, error) || tempdir_make("dpsbench-try", &trial->tempdir, error))
        return -1;
    trial->state = path_join(tempdir_path(trial->tempdir), "simulator");
    if (!trial->state)
        return error_set_memory(error);
    if (assumed_service_make(trial->request, &result->files, trial->state, &result->notes, &result->service, error) ||
        read_root(trial, error) || open_bench(trial, error) || observe(trial, error))
        return -1;
    certificate_notes_add(result->files.chain, result->service.group_ca, trial->request->registration_id, clock_unix_s(&clock_system),
                          &result->notes);
    note_findings(trial);
    return decide(trial) ? error_set_memory(error) : 0;
}

int trial_run(const struct try_request *request, struct trial **ret_trial, struct error *error)
{
    CLEANUP(trial_end_cleanup) struct trial *trial = calloc(1, sizeof *trial);
    if (!trial)
        return error_set_memory(error);
    trial->request = request;
    trial->started_us = clock_mono_us(&clock_system);
    if (run(trial, error))
        return -1;
    trial->result.duration_us = clock_mono_us(&clock_system) - trial->started_us;
    *ret_trial = TAKE(trial);
    return 0;
}

const struct trial_result *trial_result(const struct trial *trial)
{
    return &trial->result;
}

static void result_done(struct trial_result *result)
{
    cJSON *objects[] = {result->commands, result->verdict,  result->handshake,   result->alert,  result->connack,
                        result->reply,    result->assigned, result->hub_verdict, result->console};
    for (size_t i = 0; i < ARRAY_COUNT(objects); i++)
        cJSON_Delete(objects[i]);
    free(result->text);
    free(result->console_trouble);
    notes_done(&result->notes);
    server_root_done(&result->root);
    assumed_service_done(&result->service);
    device_files_done(&result->files);
}

void trial_end(struct trial *trial)
{
    if (!trial)
        return;
    control_close(trial->control);
    served_stop(trial->simulator);
    waiting_free(trial->waiting);
    for (int i = 0; trial->has_loop && i < CLOSE_TURNS_MAX && uv_run(&trial->loop, UV_RUN_NOWAIT); i++)
        ;
    if (trial->has_loop)
        uv_loop_close(&trial->loop);
    tempdir_remove(trial->tempdir);
    free(trial->state);
    cJSON_Delete(trial->events);
    result_done(&trial->result);
    free(trial);
}
