#include "harness/cli/certificate_store.h"

#include "base/files.h"
#include "base/log.h"
#include "base/ready.h"
#include "certs/dps_state.h"
#include "harness/control/control.h"

#include <string.h>

enum { HOLDER_DEADLINE_MS = 10000, RETRY_MS = 50, CLOSE_TURNS_MAX = 100 };

struct certificate_store {
    uv_loop_t loop;
    struct waiting *waiting;
    /* Either a running simulator ... */
    struct control *control;
    /* ... or the folder itself. */
    int lock_fd;
    struct dps_state *state;
};

DEFINE_CLEANUP(struct certificate_store *, certificate_store_close)

/* ---- opening ---- */

static void tell_notices(const struct dps_state *state)
{
    for (size_t i = 0; i < dps_state_notice_count(state); i++)
        log_line(dps_state_notice(state, i).is_error ? LOG_ERROR : LOG_WARNING, "%s", dps_state_notice(state, i).text);
}

static int open_folder(struct certificate_store *store, const char *directory, struct error *error)
{
    if (dps_state_open(directory, &clock_system, &store->state, error))
        return -1;
    tell_notices(store->state);
    return 0;
}

static int open_control(struct certificate_store *store, const cJSON *ready, struct error *error)
{
    char name[48];
    snprintf(name, sizeof name, "dpsbench-certificate-%d", (int)getpid());
    const struct control_options options = {
        .waiting = store->waiting, .ready = ready, .name = name, .deadline = deadline_in_ms(&clock_system, CONTROL_DEADLINE_MS)};
    return control_open(&options, &store->control, error);
}

/* The lock says that somebody writes; ready.json says whether that is a simulator, and where. Both may be about to change. */
static int open_either(struct certificate_store *store, const char *directory, struct error *error)
{
    deadline_t deadline = deadline_in_ms(&clock_system, HOLDER_DEADLINE_MS);
    for (;;) {
        struct error busy = ERROR_INIT;
        CLEANUP_JSON cJSON *ready = NULL;
        if (dir_lock(directory, &store->lock_fd, &busy) == 0)
            return open_folder(store, directory, error);
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

int certificate_store_open(const char *directory, bool may_make, struct certificate_store **ret_store, struct error *error)
{
    CLEANUP(certificate_store_close_cleanup) struct certificate_store *store = calloc(1, sizeof *store);
    if (!store)
        return error_set_memory(error);
    store->lock_fd = -1;
    uv_loop_init(&store->loop);
    const struct waiting_options waiting = {.loop = &store->loop, .clock = &clock_system};
    if (waiting_new(&waiting, &store->waiting, error) || (may_make && dir_make(directory, 0755, error)) ||
        open_either(store, directory, error))
        return -1;
    *ret_store = TAKE(store);
    return 0;
}

void certificate_store_close(struct certificate_store *store)
{
    if (!store)
        return;
    control_close(store->control);
    dps_state_free(store->state);
    if (store->lock_fd >= 0)
        close(store->lock_fd);
    waiting_free(store->waiting);
    for (int i = 0; i < CLOSE_TURNS_MAX && uv_run(&store->loop, UV_RUN_NOWAIT); i++)
        ;
    uv_loop_close(&store->loop);
    free(store);
}

/* ---- asking ---- */

/* {"name":..., "etag":...}; NULL members are left out. */
static cJSON *params_of(const char *name, const char *etag)
{
    CLEANUP_JSON cJSON *params = cJSON_CreateObject();
    return params && json_set_string(params, "name", name) == 0 && json_set_string(params, "etag", etag) == 0 ? TAKE(params) : NULL;
}

static int call(struct certificate_store *store, const char *method, cJSON *params, cJSON **ret_result, struct error *error)
{
    if (!params)
        return error_set_memory(error);
    return control_call(store->control, method, params, deadline_in_ms(&clock_system, CONTROL_DEADLINE_MS), ret_result, error);
}

static int copy_object(const struct dps_object *object, cJSON **ret_object, struct error *error)
{
    cJSON *copy = cJSON_Duplicate(object->json, true);
    return copy ? (*ret_object = copy, 0) : error_set_memory(error);
}

int certificate_store_get(struct certificate_store *store, const char *name, cJSON **ret_object, struct error *error)
{
    const struct dps_object *object;
    if (store->control)
        return call(store, "certificate.get", params_of(name, NULL), ret_object, error);
    return dps_state_get(store->state, DPS_CERTIFICATE, name, &object, error) ? -1 : copy_object(object, ret_object, error);
}

static int list_running(struct certificate_store *store, cJSON **ret_list, struct error *error)
{
    CLEANUP_JSON cJSON *result = NULL;
    if (call(store, "certificate.list", cJSON_CreateObject(), &result, error))
        return -1;
    cJSON *value = cJSON_DetachItemFromObjectCaseSensitive(result, "value");
    return value ? (*ret_list = value, 0)
                 : error_set(error, ERROR_OWNER_RIG, ERROR_PROTOCOL, "certificate.list: the simulator gave no list");
}

int certificate_store_list(struct certificate_store *store, cJSON **ret_list, struct error *error)
{
    if (store->control)
        return list_running(store, ret_list, error);
    cJSON *list = dps_state_list(store->state, DPS_CERTIFICATE);
    return list ? (*ret_list = list, 0) : error_set_memory(error);
}

static cJSON *certificate_object(const char *name, const char *pem, bool is_verified)
{
    CLEANUP_JSON cJSON *object = cJSON_CreateObject();
    cJSON *properties = object ? cJSON_AddObjectToObject(object, "properties") : NULL;
    if (!properties || json_set_string(object, "name", name) || json_set_string(properties, "certificate", pem) ||
        json_set_bool(properties, "isVerified", is_verified))
        return NULL;
    return TAKE(object);
}

static int refuse_existing(struct certificate_store *store, const char *name, struct error *error)
{
    CLEANUP_JSON cJSON *object = NULL;
    struct error inner = ERROR_INIT;
    if (certificate_store_get(store, name, &object, &inner) == 0)
        return error_set(error, ERROR_OWNER_FILE, ERROR_EXISTS, "certificate '%s' exists already; delete it first", name);
    return inner.code == ERROR_NOT_FOUND ? 0 : error_set(error, inner.owner, inner.code, "%s", inner.text);
}

int certificate_store_create(struct certificate_store *store, const char *name, const char *pem, bool is_verified, cJSON **ret_object,
                             struct error *error)
{
    CLEANUP_JSON cJSON *object = certificate_object(name, pem, is_verified);
    const struct dps_object *stored;
    if (!object)
        return error_set_memory(error);
    if (refuse_existing(store, name, error))
        return -1;
    if (!store->control)
        return dps_state_put(store->state, DPS_CERTIFICATE, object, NULL, NULL, &stored, error) ? -1
                                                                                                : copy_object(stored, ret_object, error);
    cJSON *params = cJSON_CreateObject();
    if (params && json_set(params, "certificate", TAKE(object)))
        return error_set_memory(error);
    return call(store, "certificate.put", params, ret_object, error);
}

int certificate_store_delete(struct certificate_store *store, const char *name, const char *etag, struct error *error)
{
    if (store->control)
        return call(store, "certificate.delete", params_of(name, etag), NULL, error);
    return dps_state_delete(store->state, DPS_CERTIFICATE, name, etag, NULL, error);
}

int certificate_store_verification_code(struct certificate_store *store, const char *name, const char *etag, cJSON **ret_object,
                                        struct error *error)
{
    const struct dps_object *object;
    if (store->control)
        return call(store, "certificate.verificationCode", params_of(name, etag), ret_object, error);
    return dps_state_verification_code(store->state, name, etag, &object, error) ? -1 : copy_object(object, ret_object, error);
}

int certificate_store_verify(struct certificate_store *store, const char *name, const char *etag, const char *pem, cJSON **ret_object,
                             struct error *error)
{
    const struct dps_object *object;
    if (!store->control)
        return dps_state_verify(store->state, name, etag, pem, strlen(pem), &object, error) ? -1 : copy_object(object, ret_object, error);
    CLEANUP_JSON cJSON *params = params_of(name, etag);
    if (!params || json_set_string(params, "certificate", pem))
        return error_set_memory(error);
    return call(store, "certificate.verify", TAKE(params), ret_object, error);
}
