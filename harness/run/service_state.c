#include "harness/run/service_state.h"

#include "base/cleanup.h"
#include "harness/run/own_names.h"
#include "harness/run/proof.h"

#include <string.h>

enum { PEM_MAX_BYTES = 64 * 1024 };

/* ---- pieces of JSON ---- */

static char *member_pem(const struct pki *pki, const char *member, struct error *error)
{
    CLEANUP(bytes_done) struct bytes pem = {.max_bytes = PEM_MAX_BYTES};
    const char *const members[] = {member, NULL};
    if (pki_append_pem(pki, members, &pem, error))
        return NULL;
    char *text = strdup(bytes_text(&pem));
    if (!text)
        error_set_memory(error);
    return text;
}

/* {"primary":{"certificate":PEM},"secondary":...} */
static cJSON *certificate_pair(const struct pki *pki, char *const members[CASE_PAIR], struct error *error)
{
    static const char *const names[] = {[CASE_PRIMARY] = "primary", [CASE_SECONDARY] = "secondary"};
    CLEANUP_JSON cJSON *pair = cJSON_CreateObject();
    for (int i = 0; pair && i < CASE_PAIR; i++) {
        if (!members[i])
            continue;
        CLEANUP_FREE char *pem = member_pem(pki, members[i], error);
        cJSON *holder = pem ? cJSON_AddObjectToObject(pair, names[i]) : NULL;
        if (!holder || json_set_string(holder, "certificate", pem))
            return NULL;
    }
    return TAKE(pair);
}

/* The case's name as the service knows it: own_names.h. */
static int set_own_name(const struct bench *bench, cJSON *json, const char *member, const char *name)
{
    CLEANUP_FREE char *own = own_name(bench->name_suffix, name);
    return name && !own ? -1 : json_set_string(json, member, own);
}

static cJSON *reference_pair(const struct bench *bench, char *const names[CASE_PAIR])
{
    CLEANUP_JSON cJSON *pair = cJSON_CreateObject();
    if (!pair || set_own_name(bench, pair, "primary", names[CASE_PRIMARY]) || set_own_name(bench, pair, "secondary", names[CASE_SECONDARY]))
        return NULL;
    return TAKE(pair);
}

/* {"type":"x509","x509":{NAME: PAIR}}; the pair is taken over. */
static cJSON *attestation(const char *name, cJSON *pair)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    cJSON *x509 = json && pair ? cJSON_AddObjectToObject(json, "x509") : NULL;
    if (!x509) {
        cJSON_Delete(pair);
        return NULL;
    }
    return json_set(x509, name, pair) || json_set_string(json, "type", "x509") ? NULL : TAKE(json);
}

/* One object under the run's lease; `object` is taken over, NULL: the error is set already or memory is short. */
static int put(struct bench *bench, const char *method, const char *name, cJSON *object, struct error *error)
{
    CLEANUP_JSON cJSON *params = cJSON_CreateObject();
    if (!object || !params || json_set(params, name, object) || json_set_string(params, "lease", bench->lease))
        return error && error->code ? -1 : error_set_memory(error);
    return bench_call(bench, method, TAKE(params), NULL, error);
}

static cJSON *params_of(const char *name, const char *value)
{
    CLEANUP_JSON cJSON *params = cJSON_CreateObject();
    return params && json_set_string(params, name, value) == 0 ? TAKE(params) : NULL;
}

static cJSON *own_params(const struct bench *bench, const char *member, const char *name)
{
    CLEANUP_JSON cJSON *params = cJSON_CreateObject();
    return params && set_own_name(bench, params, member, name) == 0 ? TAKE(params) : NULL;
}

/* ---- certificates ---- */

static int verify(struct bench *bench, const struct case_certificate *certificate, const char *code, const struct pki *pki,
                  struct error *error)
{
    CLEANUP(bytes_done) struct bytes pem = {0};
    if (proof_make(code, pki_certificate(pki, certificate->member), pki_key(pki, certificate->member), bench->clock, &pem, error))
        return -1;
    CLEANUP_JSON cJSON *params = own_params(bench, "name", certificate->name);
    if (!params || json_set_string(params, "certificate", bytes_text(&pem)))
        return error_set_memory(error);
    return bench_call(bench, "certificate.verify", TAKE(params), NULL, error);
}

static int prove_possession(struct bench *bench, const struct case_certificate *certificate, const struct pki *pki, struct error *error)
{
    CLEANUP_JSON cJSON *result = NULL;
    if (bench_call(bench, "certificate.verificationCode", own_params(bench, "name", certificate->name), &result, error))
        return -1;
    const cJSON *code = json_path(result, "properties.verificationCode");
    if (!cJSON_IsString(code))
        return error_set(error, ERROR_OWNER_RIG, ERROR_PROTOCOL, "certificate.verificationCode: the simulator gave no code");
    return verify(bench, certificate, code->valuestring, pki, error);
}

static cJSON *certificate_object(const struct bench *bench, const struct case_certificate *certificate, const struct pki *pki,
                                 struct error *error)
{
    CLEANUP_FREE char *pem = member_pem(pki, certificate->member, error);
    CLEANUP_JSON cJSON *object = cJSON_CreateObject();
    cJSON *properties = object && pem ? cJSON_AddObjectToObject(object, "properties") : NULL;
    if (!properties || set_own_name(bench, object, "name", certificate->name) || json_set_string(properties, "certificate", pem) ||
        json_set_bool(properties, "isVerified", certificate->verified == CASE_VERIFIED))
        return NULL;
    return TAKE(object);
}

static int put_certificate(struct bench *bench, const struct case_certificate *certificate, const struct pki *pki, struct error *error)
{
    if (put(bench, "certificate.put", "certificate", certificate_object(bench, certificate, pki, error), error))
        return -1;
    return certificate->verified == CASE_VERIFIED_BY_POSSESSION ? prove_possession(bench, certificate, pki, error) : 0;
}

/* ---- groups and enrollments ---- */

static cJSON *group_object(const struct bench *bench, const struct case_group *group, const struct pki *pki, struct error *error)
{
    bool is_signing = group->signing[CASE_PRIMARY] || group->signing[CASE_SECONDARY];
    cJSON *pair = is_signing ? certificate_pair(pki, group->signing, error) : reference_pair(bench, group->ca_references);
    cJSON *proof = attestation(is_signing ? "signingCertificates" : "caReferences", pair);
    CLEANUP_JSON cJSON *object = cJSON_CreateObject();
    if (!object || json_set(object, "attestation", proof) || set_own_name(bench, object, "enrollmentGroupId", group->id) ||
        json_set_string(object, "provisioningStatus", group->is_disabled ? "disabled" : "enabled"))
        return NULL;
    return TAKE(object);
}

static cJSON *enrollment_object(const struct bench *bench, const struct case_enrollment *enrollment, const struct pki *pki,
                                struct error *error)
{
    cJSON *proof = attestation("clientCertificates", certificate_pair(pki, enrollment->certificates, error));
    CLEANUP_JSON cJSON *object = cJSON_CreateObject();
    if (!object || json_set(object, "attestation", proof) || json_set_string(object, "registrationId", bench->device->registration_id) ||
        set_own_name(bench, object, "deviceId", enrollment->device_id) ||
        json_set_string(object, "provisioningStatus", enrollment->is_disabled ? "disabled" : "enabled"))
        return NULL;
    return TAKE(object);
}

/* ---- knobs: net and tls are the lane's, the others the device's ---- */

static const char *layer_of(const struct bench *bench, const char *name)
{
    const cJSON *knob;
    cJSON_ArrayForEach(knob, bench->knobs)
    {
        if (strcmp(json_string(knob, "name", ""), name) == 0)
            return json_string(knob, "layer", "");
    }
    return "";
}

static bool is_of_lane(const char *layer)
{
    return strcmp(layer, "net") == 0 || strcmp(layer, "tls") == 0;
}

/* Those of one side, and those of both (`any`). NULL when out of memory. */
static cJSON *knobs_for(const struct bench *bench, const struct case_service *service, bool is_lane)
{
    CLEANUP_JSON cJSON *knobs = cJSON_CreateObject();
    const cJSON *knob;
    cJSON_ArrayForEach(knob, service->knobs)
    {
        const char *layer = layer_of(bench, knob->string);
        if (is_of_lane(layer) != is_lane && strcmp(layer, "any") != 0)
            continue;
        if (json_set(knobs, knob->string, cJSON_Duplicate(knob, true)))
            return NULL;
    }
    return TAKE(knobs);
}

static bool has_lane_knobs(const struct bench *bench, const struct case_service *service)
{
    const cJSON *knob;
    cJSON_ArrayForEach(knob, service->knobs)
    {
        if (is_of_lane(layer_of(bench, knob->string)))
            return true;
    }
    return false;
}

/* Most rows have none, and find none of the row before. */
static int set_lane(struct bench *bench, const struct case_service *service, struct error *error)
{
    bool has_some = has_lane_knobs(bench, service);
    if (!has_some && !bench->has_lane_knobs)
        return 0;
    CLEANUP_JSON cJSON *params = params_of("lane", bench->lane);
    if (!params || json_set(params, "knobs", has_some ? knobs_for(bench, service, true) : cJSON_CreateObject()))
        return error_set_memory(error);
    bench->has_lane_knobs = has_some;
    return bench_call(bench, "lane.set", TAKE(params), NULL, error);
}

int service_state_set_scenario(struct bench *bench, const struct case_row *row, struct error *error)
{
    const struct case_service *service = &row->service;
    CLEANUP_JSON cJSON *params = params_of("registration_id", bench->device->registration_id);
    cJSON *knobs = knobs_for(bench, service, false);
    if (!params || json_set(params, "knobs", knobs) || json_set_string(knobs, "profile", service->profile) ||
        json_set_string(params, "lease", bench->lease))
        return error_set_memory(error);
    return set_lane(bench, service, error) ? -1 : bench_call(bench, "scenario.set", TAKE(params), NULL, error);
}

int service_state_put(struct bench *bench, const struct case_row *row, const struct pki *pki, struct error *error)
{
    const struct case_service *service = &row->service;
    for (size_t i = 0; i < service->certificate_count; i++)
        if (put_certificate(bench, &service->certificates[i], pki, error))
            return -1;
    for (size_t i = 0; i < service->group_count; i++)
        if (put(bench, "enrollmentGroup.put", "enrollmentGroup", group_object(bench, &service->groups[i], pki, error), error))
            return -1;
    for (size_t i = 0; i < service->enrollment_count; i++)
        if (put(bench, "enrollment.put", "enrollment", enrollment_object(bench, &service->enrollments[i], pki, error), error))
            return -1;
    return service_state_set_scenario(bench, row, error);
}

/* What is not there need not be removed. */
static int remove_one(struct bench *bench, const char *method, cJSON *params, struct error *error)
{
    struct error inner = ERROR_INIT;
    if (bench_call(bench, method, params, NULL, &inner) == 0 || inner.code == ERROR_NOT_FOUND)
        return 0;
    return error_set(error, inner.owner, inner.code, "%s", inner.text);
}

int service_state_remove(struct bench *bench, const struct case_row *row, struct error *error)
{
    const struct case_service *service = &row->service;
    for (size_t i = 0; i < service->group_count; i++)
        if (remove_one(bench, "enrollmentGroup.delete", own_params(bench, "enrollmentGroupId", service->groups[i].id), error))
            return -1;
    for (size_t i = 0; i < service->enrollment_count; i++)
        if (remove_one(bench, "enrollment.delete", params_of("registrationId", bench->device->registration_id), error))
            return -1;
    for (size_t i = 0; i < service->certificate_count; i++)
        if (remove_one(bench, "certificate.delete", own_params(bench, "name", service->certificates[i].name), error))
            return -1;
    return remove_one(bench, "registration.delete", params_of("registrationId", bench->device->registration_id), error);
}
