/*
 * Certificates and private keys as people hand them in, and the judge over them. The first byte says what DPS knows: the last certificate as a CA,
 * verified or not, a group by reference or by signing certificate, an enrollment of the first one, or nothing.
 */
#include "base/json.h"
#include "certs/attestation.h"
#include "certs/chain.h"
#include "certs/dps_state.h"
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <openssl/err.h>
#include <sys/stat.h>

enum { KNOWS_CA = 1, IS_VERIFIED = 2, KNOWS_GROUP = 4, GROUP_SIGNS = 8, KNOWS_DEVICE = 16, PROFILE_SHIFT = 5 };

static struct clock_fake clock_2026;

static void put(struct dps_state *state, enum dps_kind kind, const char *format, const X509 *certificate)
{
    CLEANUP(bytes_done) struct bytes pem = {0};
    bytes_init(&pem, CERTIFICATE_TEXT_MAX_BYTES);
    FUZZ_MUST(certificate_append_pem(certificate, &pem) == 0);
    CLEANUP_JSON cJSON *text = cJSON_CreateString(bytes_text(&pem));
    CLEANUP_FREE char *quoted = json_print_line(text);
    CLEANUP_FREE char *object = NULL;
    FUZZ_MUST(quoted && asprintf(&object, format, quoted) > 0);
    CLEANUP_JSON cJSON *json = json_parse(object, strlen(object), "object.json", NULL);
    FUZZ_MUST(json);
    /* May be refused: not every certificate that can be read may be enrolled. */
    struct error error = ERROR_INIT;
    if (dps_state_put(state, kind, json, NULL, "fuzz", NULL, &error))
        fuzz_check_error(&error);
}

static void fill(struct dps_state *state, unsigned knows, const x509_stack *chain)
{
    const X509 *top = sk_X509_value(chain, sk_X509_num(chain) - 1);
    if (knows & KNOWS_CA)
        put(state, DPS_CERTIFICATE,
            knows & IS_VERIFIED ? "{\"name\":\"ca\",\"properties\":{\"isVerified\":true,\"certificate\":%s}}"
                                : "{\"name\":\"ca\",\"properties\":{\"certificate\":%s}}",
            top);
    if (knows & KNOWS_GROUP)
        put(state, DPS_GROUP,
            knows & GROUP_SIGNS ? "{\"enrollmentGroupId\":\"g\",\"attestation\":{\"type\":\"x509\",\"x509\":{\"signingCertificates\":"
                                  "{\"primary\":{\"certificate\":%s}}}}}"
                                : "{\"enrollmentGroupId\":\"g\",\"x-note\":%s,\"attestation\":{\"type\":\"x509\",\"x509\":"
                                  "{\"caReferences\":{\"primary\":\"ca\"}}}}",
            top);
    if (knows & KNOWS_DEVICE)
        put(state, DPS_ENROLLMENT,
            "{\"registrationId\":\"dev-01\",\"attestation\":{\"type\":\"x509\",\"x509\":{\"clientCertificates\":{\"primary\":"
            "{\"certificate\":%s}}}}}",
            sk_X509_value(chain, 0));
}

static void check_verdict(const struct attestation_verdict *verdict)
{
    FUZZ_MUST(verdict->text && verdict->text[0] && verdict->mend && verdict->finding_count <= ATTESTATION_FINDINGS_MAX);
    FUZZ_MUST((verdict->outcome == ATTESTATION_ACCEPTED) == (verdict->rule == NULL));
    CLEANUP_JSON cJSON *json = attestation_verdict_json(verdict);
    CLEANUP_FREE char *text = json_print_line(json);
    FUZZ_MUST(text);
    for (const char *at = text; *at; at++)
        FUZZ_MUST(*at >= 0x20 && *at < 0x7f);
    for (const char *at = verdict->text; *at; at++)
        FUZZ_MUST((unsigned char)*at >= 0x20);
}

static void ask(const struct dps_state *state, const struct attestation_profile *profile, const x509_stack *chain, bool is_in_handshake)
{
    struct attestation_verdict *verdict = NULL;
    const struct attestation_question question = {
        .chain = chain,
        .registration_id = "dev-01",
        .state = state,
        .now_unix_s = clock_unix_s(&clock_2026.clock),
        .profile = profile,
        .pasted = "-----END CERTIFICATE----- ",
        .is_in_handshake = is_in_handshake,
    };
    FUZZ_MUST(attestation_judge(&question, &verdict, NULL) == 0);
    FUZZ_MUST(!is_in_handshake || verdict->surface == ATTESTATION_SURFACE_TLS_ALERT || verdict->surface == ATTESTATION_SURFACE_NONE);
    check_verdict(verdict);
    attestation_verdict_free(verdict);
}

/* The three highest bits choose a profile; what is left over is the first. */
static const struct attestation_profile *profile_of(unsigned knows)
{
    const struct attestation_profile *profile = attestation_profile_at((knows >> PROFILE_SHIFT) & 7);
    return profile ? profile : attestation_profile_at(0);
}

static void judge(unsigned knows, const x509_stack *chain)
{
    struct dps_state *state = NULL;
    FUZZ_MUST(mkdir(fuzz_folder(), 0700) == 0 || errno == EEXIST);
    FUZZ_MUST(dps_state_open(fuzz_folder(), &clock_2026.clock, &state, NULL) == 0);
    fill(state, knows, chain);
    ask(state, profile_of(knows), chain, false);
    ask(state, attestation_profile_find("strict-tls"), chain, true);
    dps_state_free(state);
    FUZZ_MUST(dir_remove(fuzz_folder(), NULL) == 0);
}

static void describe(const x509_stack *chain)
{
    CLEANUP_JSON cJSON *event = certificates_json(chain);
    CLEANUP_FREE char *text = json_print_line(event);
    FUZZ_MUST(text);
    for (int i = 0; i < sk_X509_num(chain); i++) {
        CLEANUP_JSON cJSON *shown = certificate_info_json(sk_X509_value(chain, i));
        FUZZ_MUST(shown);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    CLEANUP(x509_stack_free_cleanup) x509_stack *chain = NULL;
    CLEANUP(EVP_PKEY_free_cleanup) EVP_PKEY *key = NULL;
    struct error error = ERROR_INIT;
    clock_fake_init(&clock_2026, 1000000, 1795000000000000);
    if (private_key_read_text(data + 1, size - 1, "key.pem", &key, &error))
        fuzz_check_error(&error);
    FUZZ_MUST(ERR_peek_error() == 0);
    if (certificates_read_text(data + 1, size - 1, "chain.pem", &chain, &error)) {
        fuzz_check_error(&error);
        FUZZ_MUST(!chain && ERR_peek_error() == 0);
        return 0;
    }
    FUZZ_MUST(sk_X509_num(chain) > 0 && sk_X509_num(chain) <= CHAIN_MAX_CERTIFICATES && ERR_peek_error() == 0);
    describe(chain);
    judge(data[0], chain);
    FUZZ_MUST(ERR_peek_error() == 0);
    return 0;
}
