/*
 * The judge against hand-written expectations. A row names the chain sent (members of the PKI below), what DPS knows, and all rules that must fire,
 * the deciding one first. What DPS knows is written as words:
 *   root+  sub-            certificates of DPS, verified or not
 *   e:dev-01=leaf,leaf2    individual enrollment with primary and secondary; '!' behind it: disabled
 *   g:grp=sign:sub,root    group with signingCertificates; g:grp=ref:root with caReferences
 */
#include "certs/attestation.h"

#include "tests/cmocka.h"
#include "tests/unit/certs/support.h"

#include <openssl/err.h>
#include <string.h>

DEFINE_CLEANUP(struct dps_state *, dps_state_free)
DEFINE_CLEANUP(struct attestation_verdict *, attestation_verdict_free)
#define CLEANUP_STATE CLEANUP(dps_state_free_cleanup)
#define CLEANUP_VERDICT CLEANUP(attestation_verdict_free_cleanup)

#define CA "extensions: {basicConstraints: {ca: true}, keyUsage: [keyCertSign, cRLSign]}"
#define LEAF "extensions: {basicConstraints: {ca: false}, keyUsage: [digitalSignature], extendedKeyUsage: [clientAuth]}"

static const char pki_text[] = "format: 1\n"
                               "members:\n"
                               "  root: {subject: {CN: Root}, issuer: self, key: p-256, " CA "}\n"
                               "  sub: {subject: {CN: Sub}, issuer: root, key: p-256, " CA "}\n"
                               "  subsub: {subject: {CN: Subsub}, issuer: sub, key: p-256, " CA "}\n"
                               "  other: {subject: {CN: Other Root}, issuer: self, key: p-256, " CA "}\n"
                               "  fake: {subject: {CN: Root}, issuer: self, key: p-256, " CA "}\n"
                               "  leaf: {subject: {CN: dev-01}, issuer: root, key: p-256, " LEAF "}\n"
                               "  leaf-sub: {subject: {CN: dev-01}, issuer: sub, key: p-256, " LEAF "}\n"
                               "  leaf-subsub: {subject: {CN: dev-01}, issuer: subsub, key: p-256, " LEAF "}\n"
                               "  leaf-other: {subject: {CN: dev-01}, issuer: other, key: p-256, " LEAF "}\n"
                               "  leaf-fake: {subject: {CN: dev-01}, issuer: fake, key: p-256, " LEAF "}\n"
                               "  dev-02: {subject: {CN: dev-02}, issuer: root, key: p-256, " LEAF "}\n"
                               "  self: {subject: {CN: dev-01}, issuer: self, key: p-256, extensions: {basicConstraints: {ca: true}}}\n"
                               "  self-02: {subject: {CN: dev-02}, issuer: self, key: p-256, extensions: {basicConstraints: {ca: true}}}\n";

/* Leaves of `root` with one oddity each. */
static const char odd_text[] =
    "format: 1\n"
    "members:\n"
    "  root: {subject: {CN: Root}, issuer: self, key: p-256, " CA "}\n"
    "  old-ca: {subject: {CN: Old CA}, issuer: root, key: p-256, not_before: -20d, not_after: -10d, " CA "}\n"
    "  new-ca: {subject: {CN: New CA}, issuer: root, key: p-256, not_before: +10d, not_after: +20d, " CA "}\n"
    "  not-ca: {subject: {CN: some device}, issuer: root, key: p-256, " LEAF "}\n"
    "  weak-ca: {subject: {CN: Weak CA}, issuer: root, key: p-256, " CA "}\n"
    "  no-cn: {subject: {O: dev-01}, issuer: root, key: p-256, " LEAF "}\n"
    "  cns: {subject: {CN: [dev-01, dev-02]}, issuer: root, key: p-256, " LEAF "}\n"
    "  expired: {subject: {CN: dev-01}, issuer: root, key: p-256, not_before: -20d, not_after: -10d, " LEAF "}\n"
    "  early: {subject: {CN: dev-01}, issuer: root, key: p-256, not_before: +10d, not_after: +20d, " LEAF "}\n"
    "  by-old: {subject: {CN: dev-01}, issuer: old-ca, key: p-256, " LEAF "}\n"
    "  by-new: {subject: {CN: dev-01}, issuer: new-ca, key: p-256, " LEAF "}\n"
    "  by-not-ca: {subject: {CN: dev-01}, issuer: not-ca, key: p-256, " LEAF "}\n"
    "  v1: {subject: {CN: dev-01}, issuer: root, key: p-256, version: 1}\n"
    "  for-servers: {subject: {CN: dev-01}, issuer: root, key: p-256, extensions: {extendedKeyUsage: [serverAuth]}}\n"
    "  sha1: {subject: {CN: dev-01}, issuer: root, key: p-256, digest: sha1, " LEAF "}\n"
    "  upper: {subject: {CN: DEV-01}, issuer: root, key: p-256, " LEAF "}\n";

static const char formed_text[] =
    "format: 1\n"
    "members:\n"
    "  root: {subject: {CN: Root}, issuer: self, key: p-256, " CA "}\n"
    "  early: {subject: {CN: dev-01}, issuer: root, key: p-256, not_before: +10d, not_after: +20d, " LEAF "}\n"
    "  v1: {subject: {CN: dev-01}, issuer: root, key: p-256, version: 1}\n"
    "  for-servers: {subject: {CN: dev-01}, issuer: root, key: p-256, extensions: {extendedKeyUsage: [serverAuth]}}\n"
    "  sha1: {subject: {CN: dev-01}, issuer: root, key: p-256, digest: sha1, " LEAF "}\n"
    "  no-signing: {subject: {CN: dev-01}, issuer: root, key: p-256, extensions: {keyUsage: [keyEncipherment]}}\n"
    "  leaf-ca: {subject: {CN: dev-01}, issuer: root, key: p-256, extensions: {basicConstraints: {ca: true}}}\n"
    "  short-ca: {subject: {CN: Short CA}, issuer: root, key: p-256, extensions: {basicConstraints: {ca: true, pathlen: 0}, keyUsage: "
    "[keyCertSign]}}\n"
    "  below-short: {subject: {CN: Below}, issuer: short-ca, key: p-256, " CA "}\n"
    "  too-deep: {subject: {CN: dev-01}, issuer: below-short, key: p-256, " LEAF "}\n"
    "  by-short: {subject: {CN: dev-01}, issuer: short-ca, key: p-256, " LEAF "}\n"
    "  ed25519: {subject: {CN: dev-01}, issuer: root, key: ed25519, " LEAF "}\n"
    "  named: {subject: {O: Example, CN: dev01}, issuer: root, key: p-256, " LEAF "}\n"
    "  upper: {subject: {CN: DEV-01}, issuer: root, key: p-256, " LEAF "}\n";

struct row {
    const char *chain;
    const char *id;
    const char *known;
    const char *rules; /* all that must fire, the deciding one first; "" none */
    const char *match; /* "grp", "dev-01", or NULL */
    const char *text;  /* part of the sentence */
    const char *mend;  /* part of the mend */
};

static struct pki *good, *odd, *formed;

static int forge_all(void **state)
{
    (void)state;
    good = forge_text(pki_text);
    odd = forge_text(odd_text);
    formed = forge_text(formed_text);
    return 0;
}

static int free_all(void **state)
{
    (void)state;
    pki_free(good);
    pki_free(odd);
    pki_free(formed);
    return 0;
}

/* ---- what DPS knows ---- */

static cJSON *pem_object(const struct pki *pki, const char *member)
{
    CLEANUP_FREE char *pem = PEM(pki, member);
    cJSON *json = cJSON_CreateObject();
    json_set_string(json, "certificate", pem);
    return json;
}

/* In the folder a certificate stands in one enrollment alone; the judge must know what to say of one that stands in two all the same. */
static void put(struct dps_state *state, enum dps_kind kind, cJSON *json)
{
    struct error error = ERROR_INIT;
    if (dps_state_put(state, kind, json, NULL, NULL, NULL, &error) &&
        (error.code != ERROR_EXISTS || dps_state_put(state, kind, json, NULL, "second", NULL, &error)))
        fail_msg("%s", error.text);
    cJSON_Delete(json);
}

static void put_certificate(struct dps_state *state, const struct pki *pki, const char *member, bool is_verified)
{
    cJSON *json = cJSON_CreateObject(), *properties = pem_object(pki, member);
    json_set_string(json, "name", member);
    json_set_bool(properties, "isVerified", is_verified);
    json_set(json, "properties", properties);
    put(state, DPS_CERTIFICATE, json);
}

static void put_enrollment(struct dps_state *state, const struct pki *pki, enum dps_kind kind, const char *id, const char *how,
                           char *members, bool is_disabled)
{
    cJSON *json = cJSON_CreateObject(), *attestation = cJSON_CreateObject(), *x509 = cJSON_CreateObject(), *pair = cJSON_CreateObject();
    bool is_reference = strcmp(how, "caReferences") == 0;
    char *save = NULL, *primary = strtok_r(members, ",", &save), *secondary = strtok_r(NULL, ",", &save);
    json_set(pair, "primary", is_reference ? cJSON_CreateString(primary) : pem_object(pki, primary));
    if (secondary)
        json_set(pair, "secondary", is_reference ? cJSON_CreateString(secondary) : pem_object(pki, secondary));
    json_set(x509, how, pair);
    json_set_string(attestation, "type", "x509");
    json_set(attestation, "x509", x509);
    json_set_string(json, dps_kind_id_member(kind), id);
    json_set(json, "attestation", attestation);
    json_set_string(json, "provisioningStatus", is_disabled ? "disabled" : "enabled");
    put(state, kind, json);
}

static void put_word(struct dps_state *state, const struct pki *pki, char *word)
{
    char *last = word + strlen(word) - 1, *equals = strchr(word, '=');
    if (!equals) {
        char mark = *last;
        *last = 0;
        put_certificate(state, pki, word, mark == '+');
        return;
    }
    bool is_disabled = *last == '!';
    if (is_disabled)
        *last = 0;
    *equals = 0;
    char *members = equals + 1;
    if (word[0] == 'e')
        put_enrollment(state, pki, DPS_ENROLLMENT, word + 2, "clientCertificates", members, is_disabled);
    else if (strncmp(members, "sign:", 5) == 0)
        put_enrollment(state, pki, DPS_GROUP, word + 2, "signingCertificates", members + 5, is_disabled);
    else
        put_enrollment(state, pki, DPS_GROUP, word + 2, "caReferences", members + 4, is_disabled);
}

static struct dps_state *state_of(const char *dir, const struct pki *pki, const char *words)
{
    struct dps_state *state = NULL;
    assert_int_equal(dps_state_open(dir, &clock_system, &state, NULL), 0);
    CLEANUP_FREE char *copy = strdup(words);
    char *save = NULL;
    for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
        put_word(state, pki, word);
    return state;
}

static x509_stack *chain_of(const struct pki *pki, const char *members)
{
    x509_stack *chain = sk_X509_new_null();
    CLEANUP_FREE char *copy = strdup(members);
    char *save = NULL;
    for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        assert_non_null(pki_certificate(pki, word));
        X509_up_ref(pki_certificate(pki, word));
        sk_X509_push(chain, pki_certificate(pki, word));
    }
    return chain;
}

/* ---- asking ---- */

static struct attestation_verdict *ask_at(const struct dps_state *state, const x509_stack *chain, int signed_count, const char *id,
                                          const char *profile, int64_t now_unix_s)
{
    struct attestation_question question = {.chain = chain,
                                            .signed_count = signed_count,
                                            .registration_id = id,
                                            .state = state,
                                            .now_unix_s = now_unix_s,
                                            .profile = profile ? attestation_profile_find(profile) : NULL};
    struct attestation_verdict *verdict = NULL;
    struct error error = ERROR_INIT;
    if (attestation_judge(&question, &verdict, &error))
        fail_msg("%s", error.text);
    assert_int_equal(ERR_peek_error(), 0);
    return verdict;
}

static struct attestation_verdict *ask(const struct dps_state *state, const x509_stack *chain, const char *id, const char *profile)
{
    return ask_at(state, chain, 0, id, profile, clock_unix_s(&clock_system));
}

static char *fired(const struct attestation_verdict *verdict)
{
    CLEANUP(bytes_done) struct bytes text;
    bytes_init(&text, 4096);
    for (size_t i = 0; i < verdict->finding_count; i++)
        bytes_printf(&text, "%s%s", i ? " " : "", verdict->findings[i].rule->id);
    return strdup(bytes_text(&text));
}

/* What a handshake would have found out. */
static int count_signed(const x509_stack *chain)
{
    int count = 0;
    while (count + 1 < sk_X509_num(chain) && certificate_is_signed_by(sk_X509_value(chain, count), sk_X509_value(chain, count + 1)))
        count++;
    return count;
}

/* Asked again, CA signatures come from memory, the chain's own from the handshake: not a word of the verdict may change. */
static void check_again(const struct dps_state *state, const x509_stack *chain, const struct row *row, const char *profile,
                        int64_t now_unix_s, const struct attestation_verdict *verdict)
{
    CLEANUP_VERDICT struct attestation_verdict *again = ask_at(state, chain, count_signed(chain), row->id, profile, now_unix_s);
    CLEANUP_JSON cJSON *expected = attestation_verdict_json(verdict), *got = attestation_verdict_json(again);
    if (!cJSON_Compare(expected, got, true))
        fail_msg("chain '%s' as '%s': another verdict when its signatures are known", row->chain, row->id);
}

static void check_row(const struct pki *pki, const struct row *row, const char *profile)
{
    CLEANUP_SCRATCH struct scratch scratch = scratch_make();
    CLEANUP_STATE struct dps_state *state = state_of(scratch.dir, pki, row->known);
    CLEANUP_CHAIN x509_stack *chain = chain_of(pki, row->chain);
    int64_t now_unix_s = clock_unix_s(&clock_system);
    CLEANUP_VERDICT struct attestation_verdict *verdict = ask_at(state, chain, 0, row->id, profile, now_unix_s);
    CLEANUP_FREE char *rules = fired(verdict);
    bool is_good = strcmp(rules, row->rules) == 0 && (!row->match == !verdict->match_id) &&
                   (!row->match || strcmp(row->match, verdict->match_id) == 0) && (!row->text || strstr(verdict->text, row->text)) &&
                   (!row->mend || strstr(verdict->mend, row->mend));
    if (!is_good)
        fail_msg("chain '%s' as '%s', DPS knows '%s':\n expected %s, match %s, '%s', '%s'\n got      %s, match %s, '%s', '%s'", row->chain,
                 row->id, row->known, row->rules, row->match ? row->match : "none", row->text ? row->text : "", row->mend ? row->mend : "",
                 rules, verdict->match_id ? verdict->match_id : "none", verdict->text, verdict->mend);
    check_again(state, chain, row, profile, now_unix_s, verdict);
}

/* ---- rows ---- */

static const struct row accepted[] = {
    /* the thread: root proven, group with the root in signingCertificates, leaf and root on the device */
    {"leaf root", "dev-01", "root+ g:grp=sign:root", "", "grp", "device 'dev-01' is accepted: enrollment group 'grp'", ""},
    {"leaf", "dev-01", "root+ g:grp=ref:root", "", "grp", "caReferences.primary 'root'", ""},
    {"leaf", "dev-01", "root+ other+ g:grp=ref:other,root", "", "grp", "caReferences.secondary 'root'", ""},
    {"leaf", "DEV-01", "root+ g:grp=ref:root", "", "grp", NULL, ""},
    /* Nordic's documentation: the group names the sub-CA, the root is proven, leaf and sub-CA are sent */
    {"leaf-sub sub", "dev-01", "root+ g:grp=sign:sub", "", "grp", "signingCertificates.primary", ""},
    {"leaf-sub sub root", "dev-01", "root+ g:grp=sign:sub", "", "grp", NULL, ""},
    {"leaf-sub sub", "dev-01", "root+ g:grp=ref:root", "", "grp", NULL, ""},
    /* the sub-CA is itself proven: the leaf alone is enough, and so it is when the group names the root above it */
    {"leaf-sub", "dev-01", "sub+ g:grp=ref:sub", "", "grp", NULL, ""},
    {"leaf-sub", "dev-01", "sub+ root+ g:grp=ref:root", "", "grp", NULL, ""},
    {"leaf-subsub subsub", "dev-01", "sub+ g:grp=sign:subsub", "", "grp", NULL, ""},
    {"leaf-subsub subsub sub", "dev-01", "root+ g:grp=sign:sub", "", "grp", NULL, ""},
    /* from the leaf upward: the nearer group wins */
    {"leaf-sub sub", "dev-01", "root+ g:a-root=ref:root g:z-sub=sign:sub", "", "z-sub", NULL, ""},
    /* an unproven certificate elsewhere in the chain does no harm once a proven one is there */
    {"leaf-sub sub", "dev-01", "root+ sub- g:grp=ref:root", "", "grp", NULL, ""},
    /* individual enrollments: the guide's way; primary, secondary, the same in both; a lone leaf of an unknown CA */
    {"self", "dev-01", "e:dev-01=self", "", "dev-01", "individual enrollment 'dev-01' holds its certificate (clientCertificates.primary)",
     ""},
    {"self", "dev-01", "e:dev-01=self,self", "", "dev-01", "clientCertificates.primary", ""},
    {"leaf", "dev-01", "e:dev-01=self,leaf", "", "dev-01", "clientCertificates.secondary", ""},
    {"leaf-sub", "dev-01", "e:dev-01=leaf-sub", "", "dev-01", NULL, ""},
    {"leaf-sub sub", "dev-01", "e:dev-01=leaf-sub", "", "dev-01", NULL, ""},
    {"leaf", "dev-01", "root+ e:DEV-01=leaf g:grp=ref:root!", "", "DEV-01", NULL, ""},
};

static const struct row refused[] = {
    {"", "dev-01", "root+ g:grp=ref:root", "chain.none", NULL, "the device 'dev-01' sent no certificate", "AT%CMNG=0,TAG,1"},
    /* C02 */
    {"leaf-sub", "dev-01", "root+ g:grp=ref:root", "chain.issuer-not-sent", NULL,
     "the issuer of 'CN=dev-01', 'CN=Sub', was not sent (1 certificate came)", "cat device.crt issuer.pem > chain.pem"},
    {"leaf-sub", "dev-01", "root+ g:grp=sign:sub", "chain.issuer-not-sent", NULL,
     "enrollment group 'grp' names it, which does not replace sending it", NULL},
    {"leaf-sub root", "dev-01", "root+ g:grp=ref:root", "chain.issuer-not-sent chain.extra", NULL,
     "'CN=Sub', was not sent (2 certificates came)", NULL},
    {"leaf-subsub subsub", "dev-01", "root+ g:grp=sign:sub", "chain.issuer-not-sent", NULL, "the issuer of 'CN=Subsub', 'CN=Sub'", NULL},
    /* C03 */
    {"root leaf", "dev-01", "root+ g:grp=ref:root", "chain.order", NULL,
     "the first certificate sent, 'CN=Root', is the issuer of number 2, 'CN=dev-01'", "put the device's certificate first"},
    {"sub leaf-sub", "dev-01", "root+ e:dev-01=leaf-sub", "chain.order", NULL, NULL, NULL},
    /* C04: the certificate sent as the issuer has the name and not the key */
    {"leaf-fake root", "dev-01", "root+ g:grp=ref:root", "chain.bad-signature chain.extra", NULL,
     "'CN=dev-01' names 'CN=Root' as its issuer, but the key of the certificate sent under that name did not sign it", "openssl verify"},
    /* C07 */
    {"leaf-other other", "dev-01", "root+ g:grp=ref:root", "chain.unknown-ca", NULL,
     "the chain ends at 'CN=Other Root', which is not among the certificates of this DPS", "upload that CA"},
    {"leaf other", "dev-01", "g:grp=sign:root other-", "chain.issuer-not-sent chain.extra", NULL, "enrollment group 'grp' names it", NULL},
    {"leaf root", "dev-01", "g:grp=sign:root", "chain.unknown-ca", NULL,
     "enrollment group 'grp' holds it, but a group's own certificate proves nothing", NULL},
    {"leaf-sub sub", "dev-01", "other+ g:grp=ref:other", "chain.unknown-ca", NULL,
     "the chain ends at 'CN=Sub', whose issuer 'CN=Root' was not sent", "upload 'CN=Root'"},
    /* C08 */
    {"leaf-fake fake", "dev-01", "root+ g:grp=ref:root", "chain.same-name-other-key", NULL,
     "DPS knows a CA with the name 'CN=Root' (certificate 'root'), but with another key", "two CAs were made with one name"},
    {"leaf-fake", "dev-01", "root+ g:grp=ref:root", "chain.same-name-other-key", NULL, NULL, NULL},
    {"leaf-fake fake", "dev-01", "other+ g:grp=sign:root", "chain.same-name-other-key", NULL, "(enrollment group 'grp')", NULL},
    /* C09 */
    {"self", "dev-01", "root+ g:grp=ref:root", "chain.self-signed-leaf", NULL, "'CN=dev-01' is self-signed",
     "make an individual enrollment 'dev-01'"},
    {"self", "dev-01", "self+ g:grp=ref:self", "chain.self-signed-leaf", NULL, NULL, NULL},
    /* C10 */
    {"leaf root", "dev-01", "root- g:grp=ref:root", "ca.not-verified", NULL,
     "the CA 'CN=Root' of the device's chain is uploaded as certificate 'root', but its possession has not been proven",
     "dpsbench az iot dps certificate generate-verification-code -n root --etag '*' --state /tmp/"},
    {"leaf root", "dev-01", "root- g:grp=sign:root", "ca.not-verified", NULL, NULL,
     "dpsbench az iot dps certificate verify -n root --path FILE --etag '*' --state "},
    {"leaf", "dev-01", "root- g:grp=ref:root", "ca.not-verified", NULL, "certificate 'root'", NULL},
    {"leaf-sub sub", "dev-01", "root- g:grp=sign:sub", "ca.not-verified", NULL, "certificate 'root'", NULL},
    {"leaf-sub sub", "dev-01", "root+ sub- g:grp=ref:sub", "ca.not-verified", "grp", "certificate 'sub'", NULL},
    /* what is not proven does not help to build the chain */
    {"leaf-sub", "dev-01", "root+ sub- g:grp=ref:root", "ca.not-verified", NULL, "certificate 'sub'", NULL},
    /* C11 */
    {"leaf root", "dev-02", "root+ g:grp=ref:root", "registration-id.mismatch", "grp",
     "the certificate's CN is 'dev-01', the registration id is 'dev-02'", "or set the device's registration id to 'dev-01'"},
    {"self-02", "dev-01", "e:dev-02=self-02", "registration-id.mismatch", NULL, "CN is 'dev-02', the registration id is 'dev-01'",
     "-subj \"/CN=dev-01\""},
    {"self-02", "dev-01", "e:dev-01=self-02", "registration-id.mismatch", "dev-01", NULL, NULL},
    {"dev-02", "dev-01", "e:dev-01=leaf", "registration-id.mismatch enrollment.other-certificate", NULL, NULL, NULL},
    {"leaf-other other", "dev-02", "root+ g:grp=ref:root", "chain.unknown-ca registration-id.mismatch", NULL, NULL, NULL},
    /* C12 */
    {"leaf", "dev 01", "root+ g:grp=ref:root", "registration-id.grammar registration-id.mismatch", "grp", "the registration id 'dev 01'",
     NULL},
    /* C17 and the rest of the enrollments */
    {"self", "dev-01", "e:dev-01=self!", "enrollment.disabled", "dev-01", "individual enrollment 'dev-01' is disabled", "\"enabled\""},
    {"leaf", "dev-01", "root+ g:grp=ref:root e:dev-01=leaf!", "enrollment.disabled", "dev-01", NULL, NULL},
    {"leaf", "dev-01", "root+ g:grp=ref:root!", "group.disabled", "grp", "enrollment group 'grp' is the first", NULL},
    {"leaf-sub sub", "dev-01", "root+ g:a=ref:root g:b=sign:sub!", "group.disabled", "b", NULL, NULL},
    {"leaf", "dev-01", "", "enrollment.none", NULL, "no individual enrollment is named 'dev-01', and there is no X.509 enrollment group",
     "/enrollments/dev-01.json"},
    {"leaf", "dev-01", "root+ e:dev-02=self-02", "enrollment.none", NULL, NULL, NULL},
    {"leaf", "dev-01", "root+ e:dev-07=leaf", "enrollment.none", NULL, "the certificate is in individual enrollment 'dev-07'", NULL},
    {"leaf", "dev-01", "root+ g:grp=ref:root e:dev-01=self", "enrollment.other-certificate", NULL,
     "individual enrollment 'dev-01' holds another certificate: the device sent SHA-1 ",
     "put the device's certificate into enrollments/dev-01.json"},
    {"leaf root", "dev-01", "root+ other+ g:grp=ref:other", "group.not-in-chain", NULL,
     "leads to 'CN=Root', verified as certificate 'root', but no enrollment group names a CA of it (groups: 'grp')",
     "name 'root' in the group's"},
    {"leaf root", "dev-01", "root+ g:grp=ref:gone", "group.not-in-chain", NULL, NULL, NULL},
};

static const struct row taken_with_a_word[] = {
    /* C05, C06 */
    {"leaf root other", "dev-01", "root+ g:grp=ref:root", "chain.extra", "grp", NULL, ""},
    {"leaf root root", "dev-01", "root+ g:grp=ref:root", "chain.duplicate", "grp", NULL, ""},
    {"leaf leaf root other root sub", "dev-01", "root+ g:grp=ref:root", "chain.duplicate chain.extra", "grp", NULL, ""},
    /* C03, the harmless form */
    {"leaf-sub root sub", "dev-01", "root+ g:grp=ref:root", "chain.order", "grp", "is accepted", ""},
};

static const struct row odd_ones[] = {
    {"no-cn", "dev-01", "root+ g:grp=ref:root", "leaf.cn-missing", "grp", "subject 'O=dev-01' has no CN", NULL},
    {"cns", "dev-01", "root+ g:grp=ref:root", "leaf.cn-multiple", "grp", "has 2 CNs", NULL},
    {"expired", "dev-01", "root+ g:grp=ref:root", "leaf.expired", "grp", "the device's certificate 'CN=dev-01' expired at 2", NULL},
    {"expired", "dev-01", "e:dev-01=expired", "leaf.expired", "dev-01", NULL, NULL},
    {"expired", "dev-01", "e:dev-01=expired!", "leaf.expired enrollment.disabled", "dev-01", NULL, NULL},
    {"early", "dev-01", "root+ g:grp=ref:root", "leaf.not-yet-valid", "grp", "is valid from 2", "check the clock"},
    {"by-old old-ca", "dev-01", "root+ g:grp=ref:root", "ca.expired", "grp", "the CA 'CN=Old CA' expired at 2", NULL},
    {"by-old", "dev-01", "e:dev-01=by-old", "", "dev-01", "is accepted", NULL},
    {"by-new new-ca", "dev-01", "root+ g:grp=ref:root", "ca.not-yet-valid", "grp", NULL, NULL},
    {"by-not-ca not-ca", "dev-01", "root+ g:grp=ref:root", "chain.not-a-ca", "grp", "'CN=some device' signed a certificate", NULL},
    {"v1", "dev-01", "root+ g:grp=ref:root", "leaf.v1", "grp", "is accepted", ""},
    {"for-servers", "dev-01", "root+ g:grp=ref:root", "leaf.no-client-auth", "grp", "is accepted", ""},
    {"sha1", "dev-01", "root+ g:grp=ref:root", "weak.digest", "grp", "is accepted", ""},
    {"upper", "dev-01", "root+ g:grp=ref:root", "", "grp", "is accepted", ""},
};

static const struct row formed_ones[] = {
    {"no-signing", "dev-01", "root+ g:grp=ref:root", "leaf.key-usage", "grp", "is accepted", ""},
    {"leaf-ca", "dev-01", "root+ g:grp=ref:root", "leaf.ca", "grp", "is accepted", ""},
    {"leaf-ca", "dev-01", "e:dev-01=leaf-ca", "leaf.ca", "dev-01", "is accepted", ""},
    {"too-deep below-short short-ca", "dev-01", "root+ g:grp=ref:root", "chain.path-length", "grp", "is accepted", ""},
    {"by-short short-ca", "dev-01", "root+ g:grp=ref:root", "", "grp", "is accepted", ""},
    {"ed25519", "dev-01", "root+ g:grp=ref:root", "key.type", "grp", "is accepted", ""},
    {"named", "dev01", "root+ g:grp=ref:root", "", "grp", "is accepted", ""},
    /* one certificate in two enrollments */
    {"named", "dev01", "e:dev01=named e:dev-02=early,named", "enrollment.certificate-twice", "dev01", "is accepted", ""},
    {"named", "dev01", "root+ g:grp=ref:root g:second=sign:root", "enrollment.certificate-twice", "grp", "is accepted", ""},
};

/* What one profile alone refuses, and what it takes. */
static const struct row of_2018[] = {
    {"upper", "DEV-01", "root+ g:grp=ref:root", "registration-id.upper-case", "grp", "'DEV-01' has upper case letters", NULL},
    {"upper", "dev-01", "root+ g:grp=ref:root", "", "grp", "is accepted", ""},
};

static const struct row of_the_guide[] = {
    {"named", "dev01", "root+ g:grp=ref:root", "", "grp", "is accepted", ""},
    {"upper", "dev-01", "root+ g:grp=ref:root", "vendor.cn-lower-case vendor.subject-only-cn", "grp", "other characters than a-z and 0-9",
     NULL},
    {"early", "dev-01", "root+ g:grp=ref:root", "leaf.not-yet-valid vendor.cn-lower-case vendor.subject-only-cn", "grp", NULL, NULL},
};

static const struct row strict[] = {
    {"named", "dev01", "root+ g:grp=ref:root", "", "grp", "is accepted", ""},
    {"v1", "dev-01", "root+ g:grp=ref:root", "leaf.v1", "grp", NULL, NULL},
    {"for-servers", "dev-01", "root+ g:grp=ref:root", "leaf.no-client-auth", "grp", NULL, NULL},
    {"no-signing", "dev-01", "root+ g:grp=ref:root", "leaf.key-usage", "grp", NULL, NULL},
    {"leaf-ca", "dev-01", "root+ g:grp=ref:root", "leaf.ca", "grp", NULL, NULL},
    {"too-deep below-short short-ca", "dev-01", "root+ g:grp=ref:root", "chain.path-length", "grp", NULL, NULL},
    {"ed25519", "dev-01", "root+ g:grp=ref:root", "key.type", "grp", NULL, NULL},
    {"sha1", "dev-01", "root+ g:grp=ref:root", "weak.digest", "grp", NULL, NULL},
};

#define CHECK_ROWS(pki, rows, profile)                                                                                                     \
    for (size_t i_ = 0; i_ < sizeof rows / sizeof rows[0]; i_++)                                                                           \
    check_row(pki, &rows[i_], profile)

static void accepts_what_dps_accepts(void **state)
{
    (void)state;
    CHECK_ROWS(good, accepted, NULL);
}

static void refuses_with_the_most_useful_rule_first(void **state)
{
    (void)state;
    CHECK_ROWS(good, refused, NULL);
}

static void takes_harmless_oddities_and_tells_them(void **state)
{
    (void)state;
    CHECK_ROWS(good, taken_with_a_word, NULL);
}

static void sees_names_times_and_forms_of_the_leaf_and_its_cas(void **state)
{
    (void)state;
    CHECK_ROWS(odd, odd_ones, NULL);
    CHECK_ROWS(formed, formed_ones, NULL);
}

static void the_profile_changes_the_surface_and_nothing_else(void **state)
{
    (void)state;
    CHECK_ROWS(good, accepted, "connack");
    CHECK_ROWS(good, refused, "connack");
    CHECK_ROWS(odd, odd_ones, "connack");
    CHECK_ROWS(formed, formed_ones, "connack");
}

static void a_profile_refuses_what_others_take(void **state)
{
    (void)state;
    CHECK_ROWS(formed, of_2018, "azure-2018");
    CHECK_ROWS(formed, of_the_guide, "gateway-guide");
    CHECK_ROWS(formed, strict, "strict-tls");
}

static void sees_white_space_behind_the_last_dash_of_a_pasted_certificate(void **state)
{
    (void)state;
    static const struct {
        const char *pasted;
        bool is_refused;
    } rows[] = {
        {NULL, false},
        {"-----END CERTIFICATE-----", false},
        {"-----END CERTIFICATE-----\n", false},
        {"-----END CERTIFICATE-----\r\n", false},
        {"no dash", false},
        {"-----END CERTIFICATE----- ", true},
        {"-----END CERTIFICATE-----\n\n", true},
        {"-----END CERTIFICATE-----\t\n", true},
    };
    CLEANUP_SCRATCH struct scratch scratch = scratch_make();
    CLEANUP_STATE struct dps_state *dps = state_of(scratch.dir, formed, "root+ g:grp=ref:root");
    CLEANUP_CHAIN x509_stack *chain = chain_of(formed, "named");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct attestation_question question = {.chain = chain,
                                                .registration_id = "dev01",
                                                .state = dps,
                                                .now_unix_s = clock_unix_s(&clock_system),
                                                .profile = attestation_profile_find("gateway-guide"),
                                                .pasted = rows[i].pasted};
        CLEANUP_VERDICT struct attestation_verdict *verdict = NULL;
        assert_int_equal(attestation_judge(&question, &verdict, NULL), 0);
        assert_int_equal(verdict->outcome, rows[i].is_refused ? ATTESTATION_REFUSED : ATTESTATION_ACCEPTED);
        assert_true(!rows[i].is_refused || strcmp(verdict->rule->id, "vendor.pem-tail") == 0);
        question.profile = NULL;
        CLEANUP_VERDICT struct attestation_verdict *azure = NULL;
        assert_int_equal(attestation_judge(&question, &azure, NULL), 0);
        assert_int_equal(azure->finding_count, 0);
    }
}

/* A 1024-bit key cannot be asked of the forge, whose recipes are for good keys: the openssl command line makes it. */
static void warns_of_a_short_key(void **state)
{
    (void)state;
    CLEANUP_SCRATCH struct scratch scratch = scratch_make();
    char output[OUTPUT_MAX_BYTES];
    assert_int_equal(RUN(scratch.dir, output, "openssl", "req", "-x509", "-newkey", "rsa:1024", "-nodes", "-keyout", "k.pem", "-out",
                         "c.pem", "-subj", "/CN=dev-01"),
                     0);
    CLEANUP_CHAIN x509_stack *chain = NULL;
    assert_int_equal(certificates_read_file(scratch_path(&scratch, "c.pem"), &chain, NULL), 0);
    CLEANUP_STATE struct dps_state *dps = state_of(scratch_path(&scratch, "state"), good, "");
    CLEANUP_VERDICT struct attestation_verdict *verdict = ask(dps, chain, "dev-01", NULL);
    CLEANUP_FREE char *rules = fired(verdict);
    assert_string_equal(rules, "enrollment.none weak.key");
    assert_string_equal(verdict->findings[1].text, "the key of 'CN=dev-01' is short: 1024 bits");
}

static bool is_expected_somewhere(const struct row *rows, size_t count, const char *id)
{
    for (size_t i = 0; i < count; i++) {
        CLEANUP_FREE char *copy = strdup(rows[i].rules);
        char *save = NULL;
        for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
            if (strcmp(word, id) == 0)
                return true;
    }
    return false;
}

#define IN(rows, id) is_expected_somewhere(rows, sizeof rows / sizeof rows[0], id)

/* Tests of their own, here or in test_differential.c, whose certificates no recipe makes. */
static bool is_elsewhere(const char *id)
{
    static const char *const ids[] = {"weak.key", "vendor.pem-tail", "chain.name-constraints", "chain.unknown-critical-extension",
                                      "chain.form"};
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
        if (strcmp(ids[i], id) == 0)
            return true;
    return false;
}

static void every_rule_has_a_row(void **state)
{
    (void)state;
    size_t count = 0;
    for (const struct attestation_rule *rule; (rule = attestation_rule_at(count)); count++)
        if (!IN(refused, rule->id) && !IN(taken_with_a_word, rule->id) && !IN(odd_ones, rule->id) && !IN(formed_ones, rule->id) &&
            !IN(of_2018, rule->id) && !IN(of_the_guide, rule->id) && !is_elsewhere(rule->id))
            fail_msg("no row fires '%s'", rule->id);
    assert_true(count >= 27);
}

/* ---- the table ---- */

static bool has_body(enum attestation_surface surface)
{
    return surface == ATTESTATION_SURFACE_RES400 || surface == ATTESTATION_SURFACE_RES401 || surface == ATTESTATION_SURFACE_RES404 ||
           surface == ATTESTATION_SURFACE_FAILED;
}

/* The code of CHAIN_NONE stands in no body, but in the table of codes. */
static bool has_body_somewhere(const struct attestation_rule *rule)
{
    const struct attestation_profile *profile;
    for (size_t i = 0; (profile = attestation_profile_at(i)); i++)
        if (has_body(attestation_rule_surface(rule, profile)))
            return true;
    return strcmp(rule->id, "chain.none") == 0;
}

static void every_rule_is_complete(void **state)
{
    (void)state;
    const struct attestation_profile *azure = attestation_profile_find("azure"), *connack = attestation_profile_find("connack");
    for (size_t i = 0; attestation_rule_at(i); i++) {
        const struct attestation_rule *rule = attestation_rule_at(i);
        bool refuses = rule->severity == ATTESTATION_REFUSE;
        assert_ptr_equal(attestation_rule_find(rule->id), rule);
        assert_true(*rule->azure && *rule->source);
        assert_int_equal(rule->class[0], 'C');
        assert_int_equal(attestation_rule_surface(rule, azure) != ATTESTATION_SURFACE_NONE, refuses);
        assert_int_equal(attestation_rule_surface(rule, connack), refuses ? ATTESTATION_SURFACE_CONNACK : ATTESTATION_SURFACE_NONE);
        assert_int_equal(rule->error_code != 0, has_body_somewhere(rule));
        assert_int_equal(rule->message != NULL, has_body_somewhere(rule));
        if (rule->verify_error)
            assert_int_equal(attestation_rule_surface(rule, attestation_profile_find("strict-tls")), ATTESTATION_SURFACE_TLS_ALERT);
    }
    assert_null(attestation_rule_find("chain.nonsense"));
    assert_null(attestation_profile_find("nonsense"));
    assert_string_equal(attestation_profile_at(0)->name, "azure");
}

static void error_codes_belong_to_their_surface(void **state)
{
    (void)state;
    const struct attestation_profile *azure = attestation_profile_find("azure");
    for (size_t i = 0; attestation_rule_at(i); i++) {
        const struct attestation_rule *rule = attestation_rule_at(i);
        enum attestation_surface surface = attestation_rule_surface(rule, azure);
        if (surface == ATTESTATION_SURFACE_RES400)
            assert_int_equal(rule->error_code / 1000, 400);
        if (surface == ATTESTATION_SURFACE_RES401)
            assert_int_equal(rule->error_code / 1000, 401);
    }
}

static void surfaces_have_names_both_ways(void **state)
{
    (void)state;
    enum attestation_surface surface;
    assert_true(attestation_surface_from_name("res401", &surface));
    assert_int_equal(surface, ATTESTATION_SURFACE_RES401);
    assert_string_equal(attestation_surface_name(ATTESTATION_SURFACE_DISABLED), "disabled");
    assert_false(attestation_surface_from_name("res500", &surface));
    assert_int_equal(surface, ATTESTATION_SURFACE_NONE);
}

struct surface_row {
    const char *chain;
    const char *known;
    const char *profile;
    enum attestation_outcome outcome;
    enum attestation_surface surface;
    int return_code;
    int error_code;
    const char *message;
};

static void a_refusal_shows_where_the_profile_says(void **state)
{
    (void)state;
    static const struct surface_row rows[] = {
        {"leaf", "root+ g:g=ref:root", "azure", ATTESTATION_ACCEPTED, ATTESTATION_SURFACE_NONE, 0, 0, NULL},
        {"leaf-other other", "root+ g:g=ref:root", "azure", ATTESTATION_REFUSED, ATTESTATION_SURFACE_RES401, 0, 401002,
         "CA certificate not found."},
        {"leaf-other other", "root+ g:g=ref:root", "connack", ATTESTATION_REFUSED, ATTESTATION_SURFACE_CONNACK, 5, 0, NULL},
        {"dev-02", "root+ g:g=ref:root", "azure", ATTESTATION_REFUSED, ATTESTATION_SURFACE_RES401, 0, 401002, "Invalid certificate."},
        {"leaf", "root+ other+ g:g=ref:other", "azure", ATTESTATION_REFUSED, ATTESTATION_SURFACE_RES401, 0, 401002,
         "Signing certificate info did not match chain elements"},
        {"", "root+ g:g=ref:root", "azure", ATTESTATION_REFUSED, ATTESTATION_SURFACE_CONNACK, 5, 0, NULL},
        {"self", "e:dev-01=self!", "azure", ATTESTATION_DISABLED, ATTESTATION_SURFACE_DISABLED, 0, 0, NULL},
        {"leaf-other other", "root+ g:g=ref:root", "azure-2018", ATTESTATION_REFUSED, ATTESTATION_SURFACE_FAILED, 0, 401002,
         "CA certificate not found."},
        {"leaf-other other", "root+ g:g=ref:root", "strict-tls", ATTESTATION_REFUSED, ATTESTATION_SURFACE_TLS_ALERT, 0, 0, NULL},
        {"", "root+ g:g=ref:root", "strict-tls", ATTESTATION_REFUSED, ATTESTATION_SURFACE_TLS_ALERT, 0, 0, NULL},
        {"self", "e:dev-01=self!", "strict-tls", ATTESTATION_DISABLED, ATTESTATION_SURFACE_DISABLED, 0, 0, NULL},
        {"self", "e:dev-01=self!", "azure-2018", ATTESTATION_DISABLED, ATTESTATION_SURFACE_DISABLED, 0, 0, NULL},
        {"self", "e:dev-01=self!", "connack", ATTESTATION_DISABLED, ATTESTATION_SURFACE_CONNACK, 5, 0, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        CLEANUP_SCRATCH struct scratch scratch = scratch_make();
        CLEANUP_STATE struct dps_state *dps = state_of(scratch.dir, good, rows[i].known);
        CLEANUP_CHAIN x509_stack *chain = chain_of(good, rows[i].chain);
        CLEANUP_VERDICT struct attestation_verdict *verdict = ask(dps, chain, "dev-01", rows[i].profile);
        assert_int_equal(verdict->outcome, rows[i].outcome);
        assert_int_equal(verdict->surface, rows[i].surface);
        assert_int_equal(verdict->return_code, rows[i].return_code);
        assert_int_equal(verdict->error_code, rows[i].error_code);
        assert_string_equal(verdict->message ? verdict->message : "", rows[i].message ? rows[i].message : "");
        assert_string_equal(verdict->profile->name, rows[i].profile);
    }
}

static void an_out_of_order_chain_is_told_as_a_warning(void **state)
{
    (void)state;
    CLEANUP_SCRATCH struct scratch scratch = scratch_make();
    CLEANUP_STATE struct dps_state *dps = state_of(scratch.dir, good, "root+ g:g=ref:root");
    CLEANUP_CHAIN x509_stack *chain = chain_of(good, "leaf-sub root sub");
    CLEANUP_VERDICT struct attestation_verdict *verdict = ask(dps, chain, "dev-01", NULL);
    assert_int_equal(verdict->outcome, ATTESTATION_ACCEPTED);
    assert_int_equal(verdict->findings[0].severity, ATTESTATION_WARN);
}

/* ---- enrollments that are known by less than a certificate ---- */

static void thumbprints_alone_are_enough_for_an_individual_enrollment(void **state)
{
    (void)state;
    static const char *const members[] = {"sha1Thumbprint", "sha256Thumbprint"};
    char hex[2][SHA256_HEX_BYTES];
    certificate_sha1(pki_certificate(good, "self"), hex[0]);
    certificate_sha256(pki_certificate(good, "self"), hex[1]);
    for (size_t i = 0; i < 2; i++) {
        CLEANUP_SCRATCH struct scratch scratch = scratch_make();
        CLEANUP_STATE struct dps_state *dps = state_of(scratch.dir, good, "");
        char text[512];
        snprintf(text, sizeof text,
                 "{\"registrationId\":\"dev-01\",\"attestation\":{\"type\":\"x509\",\"x509\":{\"clientCertificates\":{\"primary\":"
                 "{\"certificate\":null,\"info\":{\"%s\":\"%s\"}},\"secondary\":null}}}}",
                 members[i], hex[i]);
        put(dps, DPS_ENROLLMENT, json_parse(text, strlen(text), "t", NULL));
        CLEANUP_CHAIN x509_stack *chain = chain_of(good, "self"), *other = chain_of(good, "leaf");
        CLEANUP_VERDICT struct attestation_verdict *yes = ask(dps, chain, "dev-01", NULL), *no = ask(dps, other, "dev-01", NULL);
        assert_int_equal(yes->outcome, ATTESTATION_ACCEPTED);
        assert_string_equal(no->rule->id, "enrollment.other-certificate");
    }
}

static void a_ca_known_by_thumbprint_helps_a_device_that_sends_it(void **state)
{
    (void)state;
    CLEANUP_SCRATCH struct scratch scratch = scratch_make();
    CLEANUP_STATE struct dps_state *dps = state_of(scratch.dir, good, "g:grp=ref:root");
    char sha1[SHA1_HEX_BYTES], text[512];
    certificate_sha1(pki_certificate(good, "root"), sha1);
    snprintf(text, sizeof text, "{\"name\":\"root\",\"properties\":{\"certificate\":null,\"isVerified\":true,\"thumbprint\":\"%s\"}}",
             sha1);
    put(dps, DPS_CERTIFICATE, json_parse(text, strlen(text), "t", NULL));
    CLEANUP_CHAIN x509_stack *full = chain_of(good, "leaf root"), *alone = chain_of(good, "leaf");
    CLEANUP_VERDICT struct attestation_verdict *yes = ask(dps, full, "dev-01", NULL), *no = ask(dps, alone, "dev-01", NULL);
    assert_int_equal(yes->outcome, ATTESTATION_ACCEPTED);
    assert_string_equal(no->rule->id, "chain.issuer-not-sent");
}

static void an_enrollment_for_another_kind_of_attestation_takes_no_certificate(void **state)
{
    (void)state;
    CLEANUP_SCRATCH struct scratch scratch = scratch_make();
    CLEANUP_STATE struct dps_state *dps = state_of(scratch.dir, good, "");
    static const char text[] = "{\"registrationId\":\"dev-01\",\"attestation\":{\"type\":\"symmetricKey\"}}";
    put(dps, DPS_ENROLLMENT, json_parse(text, strlen(text), "t", NULL));
    CLEANUP_CHAIN x509_stack *chain = chain_of(good, "self");
    CLEANUP_VERDICT struct attestation_verdict *verdict = ask(dps, chain, "dev-01", NULL);
    assert_string_equal(verdict->rule->id, "enrollment.other-certificate");
    assert_non_null(strstr(verdict->text, "is not for X.509"));
}

/* ---- the event ---- */

static void the_event_carries_the_whole_verdict(void **state)
{
    (void)state;
    CLEANUP_SCRATCH struct scratch scratch = scratch_make();
    CLEANUP_STATE struct dps_state *dps = state_of(scratch.dir, good, "root+ g:grp=ref:root");
    CLEANUP_CHAIN x509_stack *chain = chain_of(good, "dev-02 root");
    CLEANUP_VERDICT struct attestation_verdict *verdict = ask(dps, chain, "dev-01", NULL);
    CLEANUP_JSON cJSON *json = attestation_verdict_json(verdict);
    assert_string_equal(json_string(json, "verdict", ""), "refused");
    assert_string_equal(json_string(json, "rule", ""), "registration-id.mismatch");
    assert_string_equal(json_string(json, "surface", ""), "res401");
    assert_int_equal(json_integer(json, "error_code", 0), 401002);
    assert_string_equal(json_string(json, "message", ""), "Invalid certificate.");
    assert_null(json_member(json, "return_code"));
    assert_string_equal(json_string(json, "profile", ""), "azure");
    assert_string_equal(json_string(json, "text", ""), verdict->text);
    assert_string_equal(json_string(json, "mend", ""), verdict->mend);
    const cJSON *rule = cJSON_GetArrayItem(json_member(json, "rules"), 0), *evidence = json_member(json, "evidence");
    assert_string_equal(json_string(rule, "id", ""), "registration-id.mismatch");
    assert_string_equal(json_string(rule, "class", ""), "C11");
    assert_string_equal(json_string(rule, "severity", ""), "refuse");
    assert_string_equal(json_string(evidence, "registration_id", ""), "dev-01");
    assert_string_equal(json_string(evidence, "leaf_cn", ""), "dev-02");
    assert_string_equal(cJSON_GetArrayItem(json_member(evidence, "chain"), 1)->valuestring, "CN=Root");
    assert_string_equal(cJSON_GetArrayItem(json_member(evidence, "path"), 1)->valuestring, "CN=Root (sent, verified as 'root')");
    assert_string_equal(json_string(json_member(evidence, "enrollment"), "kind", ""), "group");
    assert_string_equal(json_string(json_member(evidence, "enrollment"), "id", ""), "grp");
    assert_string_equal(json_string(evidence, "matched", ""), "caReferences.primary 'root'");
    assert_string_equal(json_string(evidence, "rule_evidence", ""), "documented");
}

static void an_accepting_event_has_no_rule_and_no_surface(void **state)
{
    (void)state;
    CLEANUP_SCRATCH struct scratch scratch = scratch_make();
    CLEANUP_STATE struct dps_state *dps = state_of(scratch.dir, good, "e:dev-01=self");
    CLEANUP_CHAIN x509_stack *chain = chain_of(good, "self");
    CLEANUP_VERDICT struct attestation_verdict *verdict = ask(dps, chain, "dev-01", "connack");
    CLEANUP_JSON cJSON *json = attestation_verdict_json(verdict);
    assert_string_equal(json_string(json, "verdict", ""), "accepted");
    assert_null(json_member(json, "rule"));
    assert_string_equal(json_string(json, "surface", ""), "none");
    assert_null(json_member(json, "return_code"));
    assert_null(json_member(json, "error_code"));
    assert_string_equal(json_string(json_member(json_member(json, "evidence"), "enrollment"), "kind", ""), "individual");
}

static void foreign_names_cannot_break_a_line(void **state)
{
    (void)state;
    CLEANUP_SCRATCH struct scratch scratch = scratch_make();
    CLEANUP_STATE struct dps_state *dps = state_of(scratch.dir, good, "root+ g:grp=ref:root");
    CLEANUP_CHAIN x509_stack *chain = chain_of(good, "leaf");
    CLEANUP_VERDICT struct attestation_verdict *verdict = ask(dps, chain, "dev\n01\x1b[31m", NULL);
    assert_string_equal(verdict->rule->id, "registration-id.grammar");
    assert_null(strpbrk(verdict->text, "\n\x1b"));
    assert_null(strpbrk(verdict->findings[1].text, "\n\x1b"));
}

static void registration_ids_follow_azures_grammar(void **state)
{
    (void)state;
    static const struct {
        const char *id;
        bool is_valid;
    } rows[] = {
        {"dev-01", true}, {"a", true},          {"A.b_c:d-", true}, {"", false},       {"dev.", false}, {"dev_", false},
        {"dev:", false},  {"d\xC3\xBC", false}, {"dev/01", false},  {"dev 01", false}, {"-", true},
    };
    char longest[DPS_ID_MAX_BYTES + 2] = "";
    memset(longest, 'a', DPS_ID_MAX_BYTES);
    assert_true(registration_id_is_valid(longest));
    longest[DPS_ID_MAX_BYTES] = 'a';
    assert_false(registration_id_is_valid(longest));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(registration_id_is_valid(rows[i].id), rows[i].is_valid);
    assert_true(registration_id_equals("Dev-01", "dEV-01"));
    assert_false(registration_id_equals("dev-01", "dev-011"));
}

/* An expired leaf: what the profile says, what one rule's word says, and who is taken all the same. */
static void a_single_rule_shows_elsewhere_than_its_profile_says(void **state)
{
    (void)state;
    static const struct {
        const char *known, *surfaces, *rule;
        enum attestation_surface surface;
        bool is_in_handshake;
    } rows[] = {
        {"root+ g:grp=ref:root", NULL, "leaf.expired", ATTESTATION_SURFACE_RES401, false},
        {"root+ g:grp=ref:root", "leaf.expired=connack", "leaf.expired", ATTESTATION_SURFACE_CONNACK, false},
        {"root+ g:grp=ref:root", "chain.order=failed,  leaf.expired=tls-alert", "leaf.expired", ATTESTATION_SURFACE_TLS_ALERT, true},
        {"root+ g:grp=ref:root", "leaf.expired=connack", NULL, ATTESTATION_SURFACE_NONE, true},
        {"root+ g:grp=ref:root", "leaf.expired=none", NULL, ATTESTATION_SURFACE_NONE, false},
        {"root+", "leaf.expired=none enrollment.none=none", "enrollment.none", ATTESTATION_SURFACE_RES401, false},
        {"e:dev-01=expired!", "leaf.expired=none", "enrollment.disabled", ATTESTATION_SURFACE_DISABLED, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        CLEANUP_SCRATCH struct scratch scratch = scratch_make();
        CLEANUP_STATE struct dps_state *dps = state_of(scratch.dir, odd, rows[i].known);
        CLEANUP_CHAIN x509_stack *chain = chain_of(odd, "expired");
        CLEANUP_VERDICT struct attestation_verdict *verdict = NULL;
        const struct attestation_question question = {.chain = chain,
                                                      .registration_id = "dev-01",
                                                      .state = dps,
                                                      .now_unix_s = time(NULL),
                                                      .surfaces = rows[i].surfaces,
                                                      .is_in_handshake = rows[i].is_in_handshake};
        assert_int_equal(attestation_judge(&question, &verdict, NULL), 0);
        if ((verdict->rule == NULL) != (rows[i].rule == NULL) || (rows[i].rule && strcmp(verdict->rule->id, rows[i].rule) != 0))
            fail_msg("row %zu: rule %s", i, verdict->rule ? verdict->rule->id : "none");
        assert_int_equal(verdict->surface, rows[i].surface);
        assert_int_equal(verdict->outcome == ATTESTATION_ACCEPTED, rows[i].rule == NULL);
    }
    assert_true(attestation_profile_alerts(attestation_profile_find("azure"), "leaf.expired=tls-alert"));
    assert_false(attestation_profile_alerts(attestation_profile_find("azure"), "leaf.expired=connack"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_single_rule_shows_elsewhere_than_its_profile_says),
        cmocka_unit_test(accepts_what_dps_accepts),
        cmocka_unit_test(refuses_with_the_most_useful_rule_first),
        cmocka_unit_test(takes_harmless_oddities_and_tells_them),
        cmocka_unit_test(sees_names_times_and_forms_of_the_leaf_and_its_cas),
        cmocka_unit_test(the_profile_changes_the_surface_and_nothing_else),
        cmocka_unit_test(a_profile_refuses_what_others_take),
        cmocka_unit_test(sees_white_space_behind_the_last_dash_of_a_pasted_certificate),
        cmocka_unit_test(warns_of_a_short_key),
        cmocka_unit_test(every_rule_has_a_row),
        cmocka_unit_test(every_rule_is_complete),
        cmocka_unit_test(error_codes_belong_to_their_surface),
        cmocka_unit_test(surfaces_have_names_both_ways),
        cmocka_unit_test(a_refusal_shows_where_the_profile_says),
        cmocka_unit_test(an_out_of_order_chain_is_told_as_a_warning),
        cmocka_unit_test(thumbprints_alone_are_enough_for_an_individual_enrollment),
        cmocka_unit_test(a_ca_known_by_thumbprint_helps_a_device_that_sends_it),
        cmocka_unit_test(an_enrollment_for_another_kind_of_attestation_takes_no_certificate),
        cmocka_unit_test(the_event_carries_the_whole_verdict),
        cmocka_unit_test(an_accepting_event_has_no_rule_and_no_surface),
        cmocka_unit_test(foreign_names_cannot_break_a_line),
        cmocka_unit_test(registration_ids_follow_azures_grammar),
    };
    return cmocka_run_group_tests(tests, forge_all, free_all);
}
