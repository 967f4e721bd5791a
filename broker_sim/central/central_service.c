#include "broker_sim/central/central_service.h"

#include "base/cleanup.h"
#include "base/log.h"

#include <string.h>
#include <strings.h>

/* An application that serves. */
struct served {
    struct central_service *service;
    struct central_application *application;
    struct store *store;
    struct registration_store *registrations;
    struct dps_application port;
};

struct central_service {
    struct central_service_options options;
    struct central *central;
    struct served served[CENTRAL_APPLICATIONS_MAX]; /* in the order of central_at; they stay where they are */
    size_t count;
};

DEFINE_CLEANUP(struct central_service *, central_service_free)

/* --- events --- */

static void add_answer(cJSON *data, const struct served *served, const struct dps_applicant *applicant, const struct central_answer *answer)
{
    json_set_string(data, "application", central_application_name(served->application));
    json_set_string(data, "device_id", applicant->registration_id);
    json_set_string(data, "verdict", answer->is_admitted ? "accepted" : "refused");
    json_set_string(data, "status", answer->has_device ? central_status_name(answer->status) : NULL);
    json_set_string(data, "rule", answer->rule);
    if (answer->error_code)
        json_set_integer(data, "error_code", answer->error_code);
    json_set_string(data, "text", answer->is_admitted ? NULL : answer->text);
    json_set_string(data, "mend", answer->is_admitted ? NULL : answer->mend);
}

static void emit_answer(const struct served *served, const struct session *session, const struct dps_applicant *applicant,
                        const struct central_answer *answer)
{
    struct event_sink sink = served->service->options.sink;
    cJSON *event = event_new(EVENT_CENTRAL_DEVICE, sink.clock, EVENT_SOURCE);
    if (event) {
        add_answer(event_data(event), served, applicant, answer);
        event_set_origin(event, session->lane, session->number, applicant->registration_id);
    }
    sink.emit(sink.user, event);
}

/* --- what DPS asks --- */

/* 400209 comes as 401 (azure-docs articles/iot-central/core/troubleshoot-connection.md); the others by their code. */
static int status_of(int error_code)
{
    enum { NOT_LET_IN = 400209, UNAUTHORIZED = 401 };
    return error_code == NOT_LET_IN ? UNAUTHORIZED : error_code / 1000;
}

static bool admit(void *user, const struct session *session, const struct dps_applicant *applicant, struct dps_turned_away *ret_answer)
{
    const struct served *served = user;
    const struct central_applicant asked = {
        .id = applicant->registration_id, .is_group = applicant->is_group, .leaf = applicant->leaf, .payload = applicant->payload};
    struct central_answer answer;
    struct error error = ERROR_INIT;
    if (central_admit(served->application, &asked, &answer, &error)) {
        log_error("application '%s': %s", central_application_name(served->application), error.text);
        *ret_answer = (struct dps_turned_away){.status = 500, .error_code = 500000, .message = "Internal server error"};
        return false;
    }
    emit_answer(served, session, applicant, &answer);
    *ret_answer =
        (struct dps_turned_away){.status = status_of(answer.error_code), .error_code = answer.error_code, .message = answer.message};
    return answer.is_admitted;
}

static const char *hub(void *user, const char *registration_id)
{
    const struct served *served = user;
    return central_device_hub(served->application, registration_id);
}

static void assigned(void *user, const char *registration_id)
{
    const struct served *served = user;
    struct error error = ERROR_INIT;
    if (central_device_set_provisioned(served->application, registration_id, &error))
        log_error("application '%s': %s", central_application_name(served->application), error.text);
}

/* --- applications --- */

static void done(struct served *served)
{
    registration_store_free(served->registrations);
    store_close(served->store);
}

static int serve(struct central_service *service, struct central_application *application, struct error *error)
{
    struct served *served = &service->served[service->count];
    *served = (struct served){.service = service, .application = application};
    served->port = (struct dps_application){.user = served, .admit = admit, .hub = hub, .assigned = assigned};
    served->registrations = registration_store_new(central_application_id_scope(application), service->options.sink.clock);
    const struct dps_tenant tenant = {.id_scope = central_application_id_scope(application),
                                      .state = central_application_state(application),
                                      .registrations = served->registrations,
                                      .application = &served->port};
    if (!served->registrations)
        error_set_memory(error);
    else if (store_open(central_application_dir(application), &served->store, error) == 0 &&
             registration_store_load(served->registrations, served->store, error) == 0 &&
             dps_add_tenant(service->options.dps, &tenant, error) == 0) {
        service->count++;
        log_info("IoT Central application '%s' serves ID scope %s", central_application_name(application), tenant.id_scope);
        return 0;
    }
    done(served);
    return -1;
}

static int serve_new(struct central_service *service, struct error *error)
{
    while (service->count < central_count(service->central))
        if (serve(service, central_at(service->central, service->count), error))
            return -1;
    return 0;
}

int central_service_new(const struct central_service_options *options, struct central_service **ret_service, struct error *error)
{
    CLEANUP(central_service_free_cleanup) struct central_service *service = calloc(1, sizeof *service);
    if (!service)
        return error_set_memory(error);
    service->options = *options;
    if (central_open(options->dir, options->sink.clock, &service->central, error) || serve_new(service, error))
        return -1;
    *ret_service = TAKE(service);
    return 0;
}

void central_service_free(struct central_service *service)
{
    if (!service)
        return;
    for (size_t i = 0; i < service->count; i++)
        done(&service->served[i]);
    central_free(service->central);
    free(service);
}

int central_service_reload(struct central_service *service, struct error *error)
{
    return central_reload(service->central, NULL, error) || serve_new(service, error) ? -1 : 0;
}

int central_service_flush(struct central_service *service, struct error *error)
{
    int rc = 0;
    for (size_t i = 0; i < service->count; i++)
        rc = store_flush(service->served[i].store, error) ? -1 : rc;
    return rc;
}

int central_service_state(struct central_service *service, const char *application, struct dps_state **ret_state, struct error *error)
{
    struct central_application *found;
    if (central_require(service->central, application, &found, error))
        return -1;
    *ret_state = central_application_state(found);
    return 0;
}

struct registration_store *central_service_registrations(struct central_service *service, const char *application)
{
    struct central_application *found;
    if (central_require(service->central, application, &found, NULL))
        return NULL;
    for (size_t i = 0; i < service->count; i++)
        if (service->served[i].application == found)
            return service->served[i].registrations;
    return NULL;
}

/* --- what a person says about a device, at its hub --- */

static int call_hub(const struct central_service *service, const struct registration_place *place, const char *status, struct error *error)
{
    CLEANUP_JSON cJSON *params = cJSON_CreateObject(), *result = NULL;
    struct error why = ERROR_INIT;
    if (json_set_string(params, "deviceId", place->device_id) || json_set_string(params, "hub", place->hub) ||
        json_set_string(params, "status", status))
        return error_set_memory(error);
    int rc = status ? hub_update(service->options.hub, params, &result, &why) : hub_delete(service->options.hub, params, &result, &why);
    if (rc == 0 || why.code == ERROR_NOT_FOUND)
        return 0;
    return error_set(error, why.owner, why.code, "%s", why.text);
}

/*
 * To disable or delete an identity closes its connection. A device that was moved is disabled where it is (azure-docs
 * articles/iot-central/core/troubleshoot-connection.md: DEVICE_DISABLED), and hears of its new hub when it registers again. One that never registered
 * has no identity.
 */
static int follow(struct central_service *service, const cJSON *params, bool is_deleted, const cJSON *view, struct error *error)
{
    struct central_application *application;
    const char *id = json_string(view, "id", ""), *name = json_string(params, "application", "");
    struct registration_store *registrations = central_service_registrations(service, name);
    if (!registrations || central_require(service->central, name, &application, error))
        return 0;
    const struct registration_place place = registration_place(registrations, id);
    bool is_let_in = json_bool(view, "enabled", true) && strcasecmp(central_device_hub(application, id), place.hub) == 0;
    return *place.hub ? call_hub(service, &place, is_deleted ? NULL : is_let_in ? "enabled" : "disabled", error) : 0;
}

static bool is_approval(const cJSON *params)
{
    return strcmp(json_string(params, "action", ""), "approve") == 0;
}

int central_service_call(struct central_service *service, const char *method, const cJSON *params, cJSON **ret_result, struct error *error)
{
    CLEANUP_JSON cJSON *result = NULL;
    if (central_call(service->central, method, params, &result, error))
        return -1;
    bool is_deleted = strcmp(method, "centralDevice.delete") == 0;
    bool concerns_hub = is_deleted || (strcmp(method, "centralDevice.change") == 0 && !is_approval(params));
    if (serve_new(service, error) || (concerns_hub && follow(service, params, is_deleted, result, error)) ||
        service_commit(&service->options.port, error))
        return -1;
    *ret_result = TAKE(result);
    return 0;
}
