#include "harness/try/assumed_service.h"

#include "certs/attestation.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

DEFINE_CLEANUP(struct dps_state *, dps_state_free)

enum { NAME_MAX_BYTES = 64 };
#define GROUP_ID "try-group"

struct maker {
    const struct try_request *request;
    const struct device_files *files;
    struct dps_state *state;
    struct notes *notes;
    struct assumed_service *service;
    struct error *error;
};

/* ---- helpers ---- */

static int assume(struct maker *maker, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int assume(struct maker *maker, const char *format, ...)
{
    CLEANUP_FREE char *text = NULL;
    va_list args;
    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    va_end(args);
    cJSON *item = text ? cJSON_CreateString(text) : NULL;
    return item && cJSON_AddItemToArray(maker->service->assumptions, item) ? 0 : error_set_memory(maker->error);
}

static void tell_notices(struct maker *maker, const char *path)
{
    for (size_t i = 0; i < dps_state_notice_count(maker->state); i++)
        notes_add(maker->notes, NOTE_WARNING, "enrollment.notice", "%s: %s", path, dps_state_notice(maker->state, i).text);
}

static int put(struct maker *maker, enum dps_kind kind, const cJSON *json, const char *path, const struct dps_object **ret_object)
{
    if (!json)
        return error_set_memory(maker->error);
    if (dps_state_put(maker->state, kind, json, NULL, NULL, ret_object, maker->error))
        return maker->error && maker->error->owner == ERROR_OWNER_FILE ? error_prefix(maker->error, "%s", path) : -1;
    tell_notices(maker, path);
    return 0;
}

static char *pem_of(const X509 *certificate)
{
    CLEANUP(bytes_done) struct bytes pem;
    bytes_init(&pem, CERTIFICATE_TEXT_MAX_BYTES);
    return certificate_append_pem(certificate, &pem) ? NULL : strdup(bytes_text(&pem));
}

/* {"type":"x509","x509":{MEMBER:{"primary":{"certificate":PEM}}}} */
static cJSON *attestation_of(const char *member, const char *pem)
{
    CLEANUP_JSON cJSON *attestation = cJSON_CreateObject();
    cJSON *x509 = attestation ? cJSON_AddObjectToObject(attestation, "x509") : NULL;
    cJSON *pair = x509 ? cJSON_AddObjectToObject(x509, member) : NULL;
    cJSON *primary = pair ? cJSON_AddObjectToObject(pair, "primary") : NULL;
    if (!primary || json_set_string(attestation, "type", "x509") || json_set_string(primary, "certificate", pem))
        return NULL;
    return TAKE(attestation);
}

static cJSON *enrollment_of(enum dps_kind kind, const char *id, const X509 *certificate)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    CLEANUP_FREE char *pem = pem_of(certificate);
    const char *member = kind == DPS_GROUP ? "signingCertificates" : "clientCertificates";
    if (!json || !pem || json_set_string(json, dps_kind_id_member(kind), id) || json_set(json, "attestation", attestation_of(member, pem)))
        return NULL;
    return TAKE(json);
}

static const char *state_word(const struct maker *maker)
{
    return maker->request->is_unverified ? "uploaded, but not verified (--unverified)"
                                         : "uploaded and verified (--unverified tries the other)";
}

static int name_enrollment(struct maker *maker, enum dps_kind kind, const char *id)
{
    maker->service->kind = kind;
    maker->service->enrollment_id = strdup(id);
    return maker->service->enrollment_id ? 0 : error_set_memory(maker->error);
}

/* ---- CA certificates ---- */

/* By certificate, or by SHA-1 alone where an enrollment shows no more. */
static int put_ca(struct maker *maker, const char *name, const X509 *certificate, const char *sha1, const char *path)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    CLEANUP_FREE char *pem = certificate ? pem_of(certificate) : NULL;
    cJSON *properties = json ? cJSON_AddObjectToObject(json, "properties") : NULL;
    if (!properties || (certificate && !pem) || json_set_string(json, "name", name) || json_set_string(properties, "certificate", pem) ||
        json_set_string(properties, "thumbprint", certificate ? NULL : sha1) ||
        json_set_bool(properties, "isVerified", !maker->request->is_unverified))
        return error_set_memory(maker->error);
    return put(maker, DPS_CERTIFICATE, json, path, NULL);
}

/* A file for the portal's "Certificates" holds one certificate; of several the first is what an upload would be about. */
static int read_ca(struct maker *maker, const char *path, X509 **ret_certificate)
{
    CLEANUP_CHAIN x509_stack *chain = NULL;
    if (certificates_read_file(path, &chain, maker->error))
        return -1;
    X509 *certificate = sk_X509_shift(chain);
    CLEANUP_FREE char *subject = certificate_subject(certificate);
    if (sk_X509_num(chain) > 0)
        notes_add(maker->notes, NOTE_WARNING, "ca.several", "'%s' holds %d certificates: the first, '%s', is used as the CA", path,
                  sk_X509_num(chain) + 1, subject ? subject : "?");
    *ret_certificate = certificate;
    return 0;
}

static int put_named_certificates(struct maker *maker)
{
    for (size_t i = 0; i < maker->request->certificate_count; i++) {
        const struct try_certificate *given = &maker->request->certificates[i];
        CLEANUP_X509 X509 *certificate = NULL;
        if (read_ca(maker, given->path, &certificate) || put_ca(maker, given->name, certificate, NULL, given->path))
            return -1;
        CLEANUP_FREE char *subject = certificate_subject(certificate);
        if (!subject)
            return error_set_memory(maker->error);
        if (assume(maker, "certificate '%s' of DPS is '%s' (%s), %s", given->name, subject, given->path, state_word(maker)))
            return -1;
    }
    return 0;
}

/* "certs/rootCA.pem" is uploaded as 'rootCA'. */
static char *name_of_file(const char *path)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    char *name = strndup(base, strcspn(base, ".") && strcspn(base, ".") < NAME_MAX_BYTES ? strcspn(base, ".") : NAME_MAX_BYTES);
    for (char *c = name; c && *c; c++)
        if (!isalnum((unsigned char)*c) && *c != '-' && *c != '_')
            *c = '-';
    return name;
}

/* ---- the three ways ---- */

static int make_individual(struct maker *maker)
{
    const char *id = maker->request->registration_id;
    CLEANUP_JSON cJSON *json = enrollment_of(DPS_ENROLLMENT, id, sk_X509_value(maker->files->chain, 0));
    struct error inner = ERROR_INIT, *outer = maker->error;
    maker->error = &inner;
    int failed = put(maker, DPS_ENROLLMENT, json, maker->files->cert_path, NULL);
    maker->error = outer;
    /* No enrollment can have an id that DPS does not take; the judge says the rest. */
    if (failed && registration_id_is_valid(id))
        return error_set(maker->error, inner.owner, inner.code, "%s", inner.text);
    if (name_enrollment(maker, DPS_ENROLLMENT, id))
        return -1;
    return assume(maker,
                  "there is an individual enrollment '%s' that holds this very certificate (neither --group-ca nor --enrollment is given)",
                  id);
}

static int make_group(struct maker *maker)
{
    struct assumed_service *service = maker->service;
    const char *path = maker->request->group_ca_path;
    if (read_ca(maker, path, &service->group_ca))
        return -1;
    service->group_ca_text = certificate_subject(service->group_ca);
    service->certificate_name = name_of_file(path);
    CLEANUP_JSON cJSON *json = enrollment_of(DPS_GROUP, GROUP_ID, service->group_ca);
    if (!service->group_ca_text || !service->certificate_name)
        return error_set_memory(maker->error);
    if (put_ca(maker, service->certificate_name, service->group_ca, NULL, path) || put(maker, DPS_GROUP, json, path, NULL) ||
        name_enrollment(maker, DPS_GROUP, GROUP_ID))
        return -1;
    return assume(maker, "there is an enrollment group whose signing certificate is '%s' (%s), which is %s", service->group_ca_text, path,
                  state_word(maker));
}

static int check_references(struct maker *maker, const struct dps_object *group)
{
    for (size_t i = 0; i < DPS_PAIR; i++) {
        const char *name = group->ca_references[i];
        bool is_given = !name;
        for (size_t j = 0; j < maker->request->certificate_count && !is_given; j++)
            is_given = strcasecmp(name, maker->request->certificates[j].name) == 0;
        if (!is_given)
            return error_set(
                maker->error, ERROR_OWNER_FILE, ERROR_NOT_FOUND,
                "%s: enrollment group '%s' names the CA certificate '%s' of DPS (caReferences); give its file: --certificate %s=FILE.pem",
                maker->request->enrollment_path, group->id, name, name);
    }
    return 0;
}

/* What a group says of its signing certificates, kept beyond the next change of the state. */
struct signing {
    X509 *certificate;
    char sha1[SHA1_HEX_BYTES];
};

static int put_signing(struct maker *maker, const struct signing *signing, const char *name)
{
    CLEANUP_FREE char *subject = signing->certificate ? certificate_subject(signing->certificate) : NULL;
    if (put_ca(maker, name, signing->certificate, signing->sha1, maker->request->enrollment_path))
        return -1;
    return assume(maker, "the group's signing certificate '%s' is %s", subject ? subject : signing->sha1, state_word(maker));
}

static int put_signing_certificates(struct maker *maker, const struct dps_object *group)
{
    static const char *const names[DPS_PAIR] = {"primary", "secondary"};
    struct signing signing[DPS_PAIR] = {0};
    int failed = 0;
    for (size_t i = 0; i < DPS_PAIR; i++) {
        signing[i].certificate = group->certificates[i].certificate;
        if (signing[i].certificate)
            X509_up_ref(signing[i].certificate);
        snprintf(signing[i].sha1, sizeof signing[i].sha1, "%s", group->certificates[i].sha1);
    }
    for (size_t i = 0; i < DPS_PAIR; i++) {
        if (!failed && (signing[i].certificate || *signing[i].sha1))
            failed = put_signing(maker, &signing[i], names[i]);
        X509_free(signing[i].certificate);
    }
    return failed;
}

static int read_kind(const struct maker *maker, const cJSON *json, enum dps_kind *ret_kind)
{
    if (*json_string(json, "enrollmentGroupId", "")) {
        *ret_kind = DPS_GROUP;
        return 0;
    }
    *ret_kind = DPS_ENROLLMENT;
    if (*json_string(json, "registrationId", ""))
        return 0;
    return error_set(
        maker->error, ERROR_OWNER_FILE, ERROR_SYNTAX,
        "%s: neither 'registrationId' nor 'enrollmentGroupId' is there: expected one object as `az iot dps enrollment show` or `az iot "
        "dps enrollment-group show` prints it",
        maker->request->enrollment_path);
}

static int make_from_file(struct maker *maker)
{
    const char *path = maker->request->enrollment_path;
    const struct dps_object *object = NULL;
    enum dps_kind kind;
    CLEANUP_JSON cJSON *json = json_read_file(path, maker->error);
    if (!json || read_kind(maker, json, &kind) || put(maker, kind, json, path, &object) || name_enrollment(maker, kind, object->id))
        return -1;
    if (assume(maker, "DPS has the %s '%s' of %s and no other", dps_kind_text(kind), object->id, path))
        return -1;
    if (kind != DPS_GROUP)
        return 0;
    if (check_references(maker, object))
        return -1;
    return maker->request->certificate_count ? 0 : put_signing_certificates(maker, object);
}

static int make(struct maker *maker)
{
    const struct try_request *request = maker->request;
    maker->service->assumptions = cJSON_CreateArray();
    if (!maker->service->assumptions)
        return error_set_memory(maker->error);
    if (request->group_ca_path ? make_group(maker) : request->enrollment_path ? make_from_file(maker) : make_individual(maker))
        return -1;
    return put_named_certificates(maker);
}

int assumed_service_make(const struct try_request *request, const struct device_files *files, const char *state_directory,
                         struct notes *notes, struct assumed_service *ret_service, struct error *error)
{
    CLEANUP(dps_state_free_cleanup) struct dps_state *state = NULL;
    CLEANUP(assumed_service_done) struct assumed_service service = {0};
    struct error own = ERROR_INIT;
    if (dps_state_open(state_directory, &clock_system, &state, error))
        return -1;
    struct maker maker = {
        .request = request, .files = files, .state = state, .notes = notes, .service = &service, .error = error ? error : &own};
    if (make(&maker))
        return -1;
    *ret_service = service;
    service = (struct assumed_service){0};
    return 0;
}

void assumed_service_done(struct assumed_service *service)
{
    if (!service)
        return;
    free(service->enrollment_id);
    free(service->certificate_name);
    free(service->group_ca_text);
    X509_free(service->group_ca);
    cJSON_Delete(service->assumptions);
    *service = (struct assumed_service){0};
}
