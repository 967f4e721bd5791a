#include "perf/run/enrollments.h"

#include "base/files.h"
#include "base/log.h"
#include "certs/attestation.h"
#include "perf/run/server.h"

#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

enum { CHAINS = 400, VALID_S = 86400 * 30, LEAF_PEM_MAX_BYTES = 8 * 1024, NAME_BYTES = 32 };

DEFINE_CLEANUP(struct dps_state *, dps_state_free)
DEFINE_CLEANUP(struct attestation_verdict *, attestation_verdict_free)

struct issuer {
    X509 *certificate;
    X509 *root;
    EVP_PKEY *key;
    EVP_PKEY *leaf_key; /* of all leaves: nobody looks at it */
};

static void issuer_done(struct issuer *issuer)
{
    X509_free(issuer->certificate);
    X509_free(issuer->root);
    EVP_PKEY_free(issuer->key);
    EVP_PKEY_free(issuer->leaf_key);
}

static int read_one(const char *path, X509 **ret_certificate, struct error *error)
{
    CLEANUP_CHAIN x509_stack *chain = NULL;
    if (certificates_read_file(path, &chain, error))
        return -1;
    *ret_certificate = sk_X509_shift(chain);
    return 0;
}

static int issuer_read(const struct lab *lab, struct issuer *issuer, struct error *error)
{
    issuer->leaf_key = EVP_EC_gen("P-256");
    if (!issuer->leaf_key)
        return error_set_memory(error);
    return read_one(lab->issuer, &issuer->certificate, error) || read_one(lab->device_root, &issuer->root, error) ||
                   private_key_read_file(lab->issuer_key, &issuer->key, error)
               ? -1
               : 0;
}

static X509 *make_leaf(const struct issuer *issuer, const char *cn, long serial)
{
    CLEANUP_X509 X509 *leaf = X509_new();
    X509_NAME *name = leaf ? X509_get_subject_name(leaf) : NULL;
    if (!leaf || !X509_set_version(leaf, X509_VERSION_3) || !ASN1_INTEGER_set(X509_get_serialNumber(leaf), serial) ||
        !X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)cn, -1, -1, 0) ||
        !X509_set_issuer_name(leaf, X509_get_subject_name(issuer->certificate)) || !X509_gmtime_adj(X509_getm_notBefore(leaf), 0) ||
        !X509_gmtime_adj(X509_getm_notAfter(leaf), VALID_S) || !X509_set_pubkey(leaf, issuer->leaf_key) ||
        X509_sign(leaf, issuer->key, EVP_sha256()) <= 0)
        return NULL;
    return TAKE(leaf);
}

static cJSON *enrollment_json(const char *id, const char *pem)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    cJSON *attestation = cJSON_AddObjectToObject(json, "attestation");
    cJSON *x509 = cJSON_AddObjectToObject(attestation, "x509");
    cJSON *certificates = cJSON_AddObjectToObject(x509, "clientCertificates");
    cJSON *primary = cJSON_AddObjectToObject(certificates, "primary");
    if (!primary || json_set_string(json, "registrationId", id) || json_set_string(attestation, "type", "x509") ||
        json_set_string(primary, "certificate", pem) || json_set_string(json, "provisioningStatus", "enabled"))
        return NULL;
    return TAKE(json);
}

static int write_enrollment(const struct issuer *issuer, const char *dir, size_t number, struct error *error)
{
    char id[NAME_BYTES];
    snprintf(id, sizeof id, "enrolled-%05zu", number);
    CLEANUP_X509 X509 *leaf = make_leaf(issuer, id, (long)number + 1);
    CLEANUP(bytes_done) struct bytes pem;
    bytes_init(&pem, LEAF_PEM_MAX_BYTES);
    if (!leaf || certificate_append_pem(leaf, &pem))
        return error_set_memory(error);
    CLEANUP_JSON cJSON *json = enrollment_json(id, bytes_text(&pem));
    CLEANUP_FREE char *text = json ? json_print_line(json) : NULL;
    char path[LAB_PATH_BYTES + NAME_BYTES];
    snprintf(path, sizeof path, "%s/%s.json", dir, id);
    CLEANUP_FILE FILE *file = text ? fopen(path, "we") : NULL;
    if (!file || fputs(text, file) < 0)
        return error_set(error, ERROR_OWNER_RIG, ERROR_IO, "cannot write '%s'", path);
    return 0;
}

static int write_all(const struct lab *lab, const struct issuer *issuer, size_t count, struct error *error)
{
    char dir[LAB_PATH_BYTES + NAME_BYTES];
    snprintf(dir, sizeof dir, "%s/enrollments", lab->state);
    if (dir_make(dir, 0755, error))
        return -1;
    for (size_t i = 0; i < count; i++)
        if (write_enrollment(issuer, dir, i, error))
            return -1;
    return 0;
}

/* ---- the simulator ---- */

static int use_at_ready(const struct lab *lab, struct server_use *ret_use, double *ret_ready_ms, struct error *error)
{
    CLEANUP(server_stop) struct server simulator = {.output_fd = -1};
    if (server_start_simulator(lab, &simulator, error) || server_read_use(&simulator, ret_use, error))
        return -1;
    *ret_ready_ms = (double)simulator.ready_us / 1000;
    return 0;
}

/* ---- the judge ---- */

static double cpu_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* As it comes from the wire: nothing looked up in it yet. */
static X509 *read_anew(X509 *certificate)
{
    unsigned char *der = NULL;
    int length = i2d_X509(certificate, &der);
    const unsigned char *at = der;
    X509 *fresh = length > 0 ? d2i_X509(NULL, &at, length) : NULL;
    OPENSSL_free(der);
    return fresh;
}

static x509_stack *make_chain(const struct issuer *issuer, const char *cn)
{
    CLEANUP_CHAIN x509_stack *chain = sk_X509_new_null();
    CLEANUP_X509 X509 *leaf = make_leaf(issuer, cn, 1);
    X509 *members[] = {leaf, issuer->certificate, issuer->root};
    for (size_t i = 0; chain && leaf && i < ARRAY_COUNT(members); i++)
        if (!sk_X509_push(chain, read_anew(members[i])))
            return NULL;
    return leaf ? TAKE(chain) : NULL;
}

static int judge_one(const struct dps_state *state, const x509_stack *chain, const char *id, double *ret_us, struct error *error)
{
    enum { SIGNED = 2 };
    const struct attestation_question question = {
        .chain = chain, .signed_count = SIGNED, .registration_id = id, .state = state, .now_unix_s = clock_unix_s(&clock_system)};
    CLEANUP(attestation_verdict_free_cleanup) struct attestation_verdict *verdict = NULL;
    double before_us = cpu_us();
    int rc = attestation_judge(&question, &verdict, error);
    *ret_us = cpu_us() - before_us;
    if (rc || verdict->outcome == ATTESTATION_ACCEPTED)
        return rc;
    return error_set(error, ERROR_OWNER_OURS, ERROR_OTHER, "the judge refuses what it should take: %s", verdict->text);
}

static int judge_all(const struct lab *lab, const struct issuer *issuer, struct figures *figures, struct error *error)
{
    CLEANUP(dps_state_free_cleanup) struct dps_state *state = NULL;
    double values[CHAINS];
    if (dps_state_open(lab->state, &clock_system, &state, error))
        return -1;
    for (size_t i = 0; i < CHAINS; i++) {
        char id[NAME_BYTES];
        snprintf(id, sizeof id, "of-the-group-%zu", i);
        CLEANUP_CHAIN x509_stack *chain = make_chain(issuer, id);
        if (!chain)
            return error_set_memory(error);
        if (judge_one(state, chain, id, &values[i], error))
            return -1;
    }
    figures->enrollments.judge_us = figures_spread(values, CHAINS);
    return 0;
}

/* ---- together ---- */

int measure_enrollments(const struct lab *lab, size_t count, struct figures *figures, struct error *error)
{
    CLEANUP(issuer_done) struct issuer issuer = {.certificate = NULL};
    struct server_use without, with;
    double ready_without_ms, ready_ms;
    if (issuer_read(lab, &issuer, error) || use_at_ready(lab, &without, &ready_without_ms, error) ||
        write_all(lab, &issuer, count, error) || use_at_ready(lab, &with, &ready_ms, error) || judge_all(lab, &issuer, figures, error))
        return -1;
    figures->enrollments.count = count;
    figures->enrollments.start_cpu_s = (double)with.cpu_us / 1e6;
    figures->enrollments.ready_ms = ready_ms;
    figures->enrollments.bytes = (double)(with.resident_bytes - without.resident_bytes);
    log_info("%zu enrollments: ready in %.0f ms (%.2f s of CPU), %.1f MB, the judge %.0f us", count, ready_ms,
             figures->enrollments.start_cpu_s, figures->enrollments.bytes / 1e6, figures->enrollments.judge_us.median);
    return 0;
}
