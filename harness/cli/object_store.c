#include "harness/cli/object_store.h"

#include "base/files.h"
#include "base/log.h"
#include "base/ready.h"
#include "base/shell_word.h"
#include "certs/central.h"
#include "harness/control/control.h"
#include "harness/control/simulator_place.h"

#include <string.h>

enum { HOLDER_DEADLINE_MS = 10000, RETRY_MS = 50, CLOSE_TURNS_MAX = 100 };

struct object_store {
    uv_loop_t loop;
    struct waiting *waiting;
    /* Either a running simulator ... */
    struct control *control;
    /* ... or the folder itself. */
    int lock_fd;
    char *directory;
    struct dps_state *state;
    struct central *central;  /* when asked for */
    struct dps_state *chosen; /* of the two above; lent */
    char *application;        /* NULL: the service itself */
};

DEFINE_CLEANUP(struct object_store *, object_store_close)

/* ---- opening ---- */

/* Unknown members and the like were told when somebody wrote them: here only what is broken is told. */
static void tell_broken(const struct dps_state *state)
{
    for (size_t i = 0; i < dps_state_notice_count(state); i++)
        if (dps_state_notice(state, i).is_error)
            log_error("%s", dps_state_notice(state, i).text);
}

static int open_folder(struct object_store *store, const char *directory, struct error *error)
{
    if (dps_state_open(directory, &clock_system, &store->state, error))
        return -1;
    store->chosen = store->state;
    tell_broken(store->state);
    return 0;
}

static int open_control(struct object_store *store, const cJSON *ready, struct error *error)
{
    char name[48];
    snprintf(name, sizeof name, "dpsbench-cli-%d", (int)getpid());
    const struct control_options options = {
        .waiting = store->waiting, .ready = ready, .name = name, .deadline = deadline_in_ms(&clock_system, CONTROL_DEADLINE_MS)};
    return control_open(&options, &store->control, error);
}

static int fail_missing(const char *directory, struct error *error)
{
    CLEANUP_FREE char *word = shell_word(directory);
    if (!word)
        return error_set_memory(error);
    return error_set(error, ERROR_OWNER_FILE, ERROR_NOT_FOUND,
                     "state folder '%s': No such file or directory; name the simulator's folder, or make one by starting it: dpsbench-sim "
                     "--state %s",
                     directory, word);
}

/* The lock says that somebody writes; ready.json says whether that is a simulator, and where. Both may be about to change. */
static int open_either(struct object_store *store, const char *directory, struct error *error)
{
    deadline_t deadline = deadline_in_ms(&clock_system, HOLDER_DEADLINE_MS);
    for (;;) {
        struct error busy = ERROR_INIT;
        CLEANUP_JSON cJSON *ready = NULL;
        if (simulator_place_is_ticket(directory))
            return simulator_place_read(directory, &ready, error) ? -1 : open_control(store, ready, error);
        if (dir_lock(directory, &store->lock_fd, &busy) == 0)
            return open_folder(store, directory, error);
        if (busy.code == ERROR_NOT_FOUND)
            return fail_missing(directory, error);
        if (busy.code != ERROR_BUSY)
            return error_set(error, busy.owner, busy.code, "%s", busy.text);
        if (ready_read(directory, "dpsbench-sim", &ready, NULL) == 0)
            return open_control(store, ready, error);
        if (deadline_has_passed(&clock_system, deadline))
            return error_set(error, busy.owner, busy.code, "%s", busy.text);
        if (waiting_settle(store->waiting, RETRY_MS, error))
            return -1;
    }
}

int object_store_open(const char *directory, bool may_make, struct object_store **ret_store, struct error *error)
{
    CLEANUP(object_store_close_cleanup) struct object_store *store = calloc(1, sizeof *store);
    if (!store)
        return error_set_memory(error);
    store->lock_fd = -1;
    uv_loop_init(&store->loop);
    const struct waiting_options waiting = {.loop = &store->loop, .clock = &clock_system};
    if (!(store->directory = strdup(directory)))
        return error_set_memory(error);
    if (waiting_new(&waiting, &store->waiting, error) || (may_make && dir_make(directory, 0755, error)) ||
        open_either(store, directory, error))
        return -1;
    *ret_store = TAKE(store);
    return 0;
}

void object_store_close(struct object_store *store)
{
    if (!store)
        return;
    control_close(store->control);
    dps_state_free(store->state);
    central_free(store->central);
    free(store->application);
    if (store->lock_fd >= 0)
        close(store->lock_fd);
    waiting_free(store->waiting);
    for (int i = 0; i < CLOSE_TURNS_MAX && uv_run(&store->loop, UV_RUN_NOWAIT); i++)
        ;
    uv_loop_close(&store->loop);
    free(store->directory);
    free(store);
}

bool object_store_is_served(const struct object_store *store)
{
    return store->control != NULL;
}

/* ---- asking ---- */

/* {"name":..., "etag":..., "application":...}; NULL members are left out. */
static cJSON *params_of(const struct object_store *store, enum dps_kind kind, const char *id, const char *etag)
{
    CLEANUP_JSON cJSON *params = cJSON_CreateObject();
    return json_set_string(params, dps_kind_id_member(kind), id) || json_set_string(params, "etag", etag) ||
                   json_set_string(params, "application", store->application)
               ? NULL
               : TAKE(params);
}

static int call(struct object_store *store, const char *method, cJSON *params, cJSON **ret_result, struct error *error)
{
    if (!params)
        return error_set_memory(error);
    return control_call(store->control, method, params, deadline_in_ms(&clock_system, CONTROL_DEADLINE_MS), ret_result, error);
}

/* "enrollmentGroup.put" */
static int call_kind(struct object_store *store, enum dps_kind kind, const char *verb, cJSON *params, cJSON **ret_result,
                     struct error *error)
{
    char method[64];
    snprintf(method, sizeof method, "%s.%s", dps_kind_name(kind), verb);
    return call(store, method, params, ret_result, error);
}

int object_store_call(struct object_store *store, const char *method, cJSON *params, cJSON **ret_result, struct error *error)
{
    if (store->control)
        return call(store, method, params, ret_result, error);
    cJSON_Delete(params);
    CLEANUP_FREE char *word = shell_word(store->directory);
    return word ? error_set(error, ERROR_OWNER_FILE, ERROR_NOT_FOUND, "%s: no simulator runs on '%s'; start one: dpsbench-sim --state %s",
                            method, store->directory, word)
                : error_set_memory(error);
}

static int copy_object(const struct dps_object *object, cJSON **ret_object, struct error *error)
{
    cJSON *copy = cJSON_Duplicate(object->json, true);
    return copy ? (*ret_object = copy, 0) : error_set_memory(error);
}

int object_store_get(struct object_store *store, enum dps_kind kind, const char *id, cJSON **ret_object, struct error *error)
{
    const struct dps_object *object;
    if (store->control)
        return call_kind(store, kind, "get", params_of(store, kind, id, NULL), ret_object, error);
    return dps_state_get(store->chosen, kind, id, &object, error) ? -1 : copy_object(object, ret_object, error);
}

static int list_running(struct object_store *store, enum dps_kind kind, cJSON **ret_list, struct error *error)
{
    CLEANUP_JSON cJSON *result = NULL;
    if (call_kind(store, kind, "list", params_of(store, kind, NULL, NULL), &result, error))
        return -1;
    cJSON *value = cJSON_DetachItemFromObjectCaseSensitive(result, "value");
    return value ? (*ret_list = value, 0)
                 : error_set(error, ERROR_OWNER_RIG, ERROR_PROTOCOL, "%s.list: the simulator gave no list", dps_kind_name(kind));
}

int object_store_list(struct object_store *store, enum dps_kind kind, cJSON **ret_list, struct error *error)
{
    if (store->control)
        return list_running(store, kind, ret_list, error);
    cJSON *list = dps_state_list(store->chosen, kind);
    return list ? (*ret_list = list, 0) : error_set_memory(error);
}

static int put_running(struct object_store *store, enum dps_kind kind, cJSON *object, const char *etag, cJSON **ret_object,
                       struct error *error)
{
    CLEANUP_JSON cJSON *params = cJSON_CreateObject();
    if (!params || json_set(params, dps_kind_name(kind), cJSON_Duplicate(object, true)) || json_set_string(params, "etag", etag) ||
        json_set_string(params, "application", store->application))
        return error_set_memory(error);
    return call_kind(store, kind, "put", TAKE(params), ret_object, error);
}

int object_store_put(struct object_store *store, enum dps_kind kind, cJSON *object, const char *etag, cJSON **ret_object,
                     struct error *error)
{
    CLEANUP_JSON cJSON *owned = object;
    const struct dps_object *stored;
    if (!owned)
        return error_set_memory(error);
    if (store->control)
        return put_running(store, kind, owned, etag, ret_object, error);
    if (dps_state_put(store->chosen, kind, owned, etag, NULL, &stored, error))
        return -1;
    return copy_object(stored, ret_object, error);
}

int object_store_delete(struct object_store *store, enum dps_kind kind, const char *id, const char *etag, struct error *error)
{
    if (store->control)
        return call_kind(store, kind, "delete", params_of(store, kind, id, etag), NULL, error);
    return dps_state_delete(store->chosen, kind, id, etag, NULL, error);
}

int object_store_verification_code(struct object_store *store, const char *name, const char *etag, cJSON **ret_object, struct error *error)
{
    const struct dps_object *object;
    if (store->control)
        return call(store, "certificate.verificationCode", params_of(store, DPS_CERTIFICATE, name, etag), ret_object, error);
    return dps_state_verification_code(store->chosen, name, etag, &object, error) ? -1 : copy_object(object, ret_object, error);
}

int object_store_verify(struct object_store *store, const char *name, const char *etag, const char *pem, cJSON **ret_object,
                        struct error *error)
{
    const struct dps_object *object;
    if (!store->control)
        return dps_state_verify(store->chosen, name, etag, pem, strlen(pem), &object, error) ? -1 : copy_object(object, ret_object, error);
    CLEANUP_JSON cJSON *params = params_of(store, DPS_CERTIFICATE, name, etag);
    if (!params || json_set_string(params, "certificate", pem))
        return error_set_memory(error);
    return call(store, "certificate.verify", TAKE(params), ret_object, error);
}

/* ---- IoT Central ---- */

static int open_central(struct object_store *store, struct error *error)
{
    return store->central ? 0 : central_open(store->directory, &clock_system, &store->central, error);
}

int object_store_choose(struct object_store *store, const char *application, struct error *error)
{
    struct central_application *found;
    if (!(store->application = strdup(application)))
        return error_set_memory(error);
    if (store->control)
        return 0;
    if (open_central(store, error) || central_require(store->central, application, &found, error))
        return -1;
    store->chosen = central_application_state(found);
    tell_broken(store->chosen);
    return 0;
}

int object_store_central(struct object_store *store, const char *method, cJSON *params, cJSON **ret_result, struct error *error)
{
    CLEANUP_JSON cJSON *owned = params, *result = NULL;
    if (!owned)
        return error_set_memory(error);
    if (store->control)
        return call(store, method, TAKE(owned), ret_result, error);
    if (open_central(store, error) || central_call(store->central, method, owned, &result, error))
        return -1;
    if (ret_result)
        *ret_result = TAKE(result);
    return 0;
}
