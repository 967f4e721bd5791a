/* Who may connect, as a table: identities of each kind against what a device presents. */
#include "broker_sim/hub/authentication.h"

#include "base/cleanup.h"
#include "base/files.h"
#include "certs/forge.h"

#include <string.h>

#include "tests/cmocka.h"

#define HUB "h.azure-devices.net"
#define KEY "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
#define OTHER_KEY "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="
/* Of "h.azure-devices.net%2Fdevices%2Fdev-01\n1795003600" and of "H.azure-devices.net\n1795003600" with KEY; by the openssl command line. */
#define TOKEN_SIG "XvkXikiKJ%2Biaj24pFv6HOF0co7MkKeydcmBUn3v9fsA%3D"
#define HUB_SIG "u0m8cKG6En2p3o0yVx%2FOcyC8n6QoR%2Fusxj%2BEldqwgvs%3D"
#define PAST_SIG "jMFKAv%2BhxS1NEIWsSb32xTjTL91n78%2FfxjnlnaRmiRg%3D"

enum { NOW_S = 1795000000, DAY_S = 24 * 3600 };

static const char recipe_text[] = "format: 1\n"
                                  "members:\n"
                                  "  root: {subject: {CN: root}, issuer: self, key: p-256, not_after: +60d, extensions: {basicConstraints: "
                                  "{ca: true}, keyUsage: [keyCertSign]}}\n"
                                  "  sub: {subject: {CN: sub}, issuer: root, key: p-256, not_after: +20d, extensions: {basicConstraints: "
                                  "{ca: true}, keyUsage: [keyCertSign]}}\n"
                                  "  stray: {subject: {CN: stray}, issuer: self, key: p-256, not_after: +60d, extensions: "
                                  "{basicConstraints: {ca: true}, keyUsage: [keyCertSign]}}\n"
                                  "  leaf: {subject: {CN: dev-01}, issuer: sub, key: p-256, not_after: +30d}\n"
                                  "  rolled: {subject: {CN: dev-01}, issuer: sub, key: p-256, not_after: +30d}\n"
                                  "  direct: {subject: {CN: dev-01}, issuer: root, key: p-256, not_after: +30d}\n"
                                  "  brief: {subject: {CN: dev-01}, issuer: root, key: p-256, not_after: +1d}\n"
                                  "  named: {subject: {CN: DEV-01}, issuer: root, key: p-256, not_after: +30d}\n"
                                  "  alien: {subject: {CN: dev-01}, issuer: stray, key: p-256, not_after: +30d}\n"
                                  "  self: {subject: {CN: dev-01}, issuer: self, key: p-256, not_after: +30d}\n";

struct bench {
    char dir[64];
    struct clock_fake clock;
    struct dps_state *state;
    struct hub_registry *registry;
    struct pki *pki;
};

static void forge(struct bench *bench)
{
    struct recipe *recipe = NULL;
    struct error error = ERROR_INIT;
    if (recipe_read_text(recipe_text, sizeof recipe_text - 1, "bench", &recipe, &error) ||
        forge_pki(recipe, NULL, &bench->clock.clock, NULL, &bench->pki, &error))
        fail_msg("%s", error.text);
    recipe_free(recipe);
}

static void trust(struct bench *bench, const char *member, bool is_verified)
{
    CLEANUP(bytes_done) struct bytes pem = {.max_bytes = 65536};
    const char *const members[] = {member, NULL};
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    cJSON *properties = cJSON_AddObjectToObject(json, "properties");
    assert_int_equal(pki_append_pem(bench->pki, members, &pem, NULL), 0);
    json_set_string(json, "name", member);
    json_set_string(properties, "certificate", bytes_text(&pem));
    json_set_bool(properties, "isVerified", is_verified);
    assert_int_equal(dps_state_put(bench->state, DPS_CERTIFICATE, json, NULL, "test", NULL, NULL), 0);
}

static void start(struct bench *bench)
{
    *bench = (struct bench){.dir = "/tmp/dpsbench-hub-XXXXXX"};
    assert_non_null(mkdtemp(bench->dir));
    clock_fake_init(&bench->clock, 1000000, INT64_C(1000000) * NOW_S);
    assert_int_equal(dps_state_open(bench->dir, &bench->clock.clock, &bench->state, NULL), 0);
    bench->registry = hub_registry_new();
    forge(bench);
    trust(bench, "root", true);
    trust(bench, "stray", false);
}

static void stop(struct bench *bench)
{
    pki_free(bench->pki);
    hub_registry_free(bench->registry);
    dps_state_free(bench->state);
    dir_remove(bench->dir, NULL);
}

/* `members`: "leaf sub"; "" : no certificate. */
static STACK_OF(X509) * chain_of(const struct bench *bench, const char *members)
{
    STACK_OF(X509) *chain = sk_X509_new_null();
    char text[64], *rest = NULL;
    snprintf(text, sizeof text, "%s", members);
    for (char *name = strtok_r(text, " ", &rest); name; name = strtok_r(NULL, " ", &rest)) {
        X509 *certificate = pki_certificate(bench->pki, name);
        assert_non_null(certificate);
        X509_up_ref(certificate);
        sk_X509_push(chain, certificate);
    }
    return chain;
}

static struct hub_device *make_device(struct bench *bench, enum hub_authentication authentication)
{
    char thumbprint[SHA256_HEX_BYTES];
    certificate_sha256(pki_certificate(bench->pki, "leaf"), thumbprint);
    const struct hub_assignment assignment = {
        .hub = HUB, .device_id = "dev-01", .authentication = authentication, .thumbprint = thumbprint, .keys = {OTHER_KEY, KEY}};
    assert_int_equal(hub_registry_assign(bench->registry, &assignment, NULL), 0);
    return hub_registry_find(bench->registry, HUB, "dev-01");
}

struct row {
    enum hub_authentication by;
    const char *chain;
    const char *password;
    int64_t later_s;
    enum hub_rule rule;
    const char *words;
};

static const struct row rows[] = {
    {HUB_BY_THUMBPRINT, "leaf sub", NULL, 0, HUB_ACCEPTED, ""},
    {HUB_BY_THUMBPRINT, "leaf", NULL, 0, HUB_ACCEPTED, ""},
    {HUB_BY_THUMBPRINT, "leaf", "ignored", 0, HUB_ACCEPTED, ""},
    {HUB_BY_THUMBPRINT, "rolled sub", NULL, 0, HUB_THUMBPRINT, "registered with"},
    {HUB_BY_THUMBPRINT, "", NULL, 0, HUB_THUMBPRINT, "no certificate"},
    {HUB_BY_THUMBPRINT, "", "SharedAccessSignature x", 0, HUB_OTHER_KIND, "selfSigned"},
    {HUB_BY_THUMBPRINT, "leaf", NULL, 31 * DAY_S, HUB_EXPIRED, "expired"},
    {HUB_BY_THUMBPRINT, "leaf", NULL, -366 * DAY_S, HUB_EXPIRED, "not valid yet"},
    {HUB_BY_CA, "leaf sub", NULL, 0, HUB_ACCEPTED, ""},
    {HUB_BY_CA, "rolled sub root", NULL, 0, HUB_ACCEPTED, ""},
    {HUB_BY_CA, "direct", NULL, 0, HUB_ACCEPTED, ""},
    {HUB_BY_CA, "leaf", NULL, 0, HUB_UNKNOWN_CA, "no verified CA"},
    {HUB_BY_CA, "alien stray", NULL, 0, HUB_UNKNOWN_CA, "no verified CA"},
    {HUB_BY_CA, "self", NULL, 0, HUB_UNKNOWN_CA, "no verified CA"},
    {HUB_BY_CA, "", NULL, 0, HUB_UNKNOWN_CA, "no certificate"},
    {HUB_BY_CA, "named", NULL, 0, HUB_CN, "'DEV-01'"},
    {HUB_BY_CA, "brief", NULL, 2 * DAY_S, HUB_EXPIRED, "the certificate of"},
    {HUB_BY_CA, "leaf sub", NULL, 25 * DAY_S, HUB_EXPIRED, "a CA certificate"},
    {HUB_BY_CA, "", "SharedAccessSignature x", 0, HUB_OTHER_KIND, "certificateAuthority"},
    {HUB_BY_SAS, "", "SharedAccessSignature sr=h.azure-devices.net%2Fdevices%2Fdev-01&sig=" TOKEN_SIG "&se=1795003600", 0, HUB_ACCEPTED,
     ""},
    {HUB_BY_SAS, "leaf", "SharedAccessSignature se=1795003600&sr=H.azure-devices.net&sig=" HUB_SIG, 0, HUB_ACCEPTED, ""},
    {HUB_BY_SAS, "leaf", NULL, 0, HUB_OTHER_KIND, "the password is empty"},
    {HUB_BY_SAS, "", "", 0, HUB_OTHER_KIND, "nothing, and the password is empty"},
    {HUB_BY_SAS, "", "secret", 0, HUB_TOKEN, "SharedAccessSignature"},
    {HUB_BY_SAS, "", "SharedAccessSignature sr=h.azure-devices.net%2Fdevices%2Fdev-011&sig=" TOKEN_SIG "&se=1795003600", 0,
     HUB_TOKEN_RESOURCE, "dev-011"},
    {HUB_BY_SAS, "", "SharedAccessSignature sr=h.azure-devices.net%2Fdevices%2Fdev-0&sig=" TOKEN_SIG "&se=1795003600", 0,
     HUB_TOKEN_RESOURCE, "dev-0'"},
    {HUB_BY_SAS, "", "SharedAccessSignature sr=h.azure-devices.net%2Fdevices%2Fdev-01&sig=" TOKEN_SIG "&se=1795003601", 0,
     HUB_TOKEN_SIGNATURE, "neither key"},
    {HUB_BY_SAS, "", "SharedAccessSignature sr=h.azure-devices.net/devices/dev-01&sig=" TOKEN_SIG "&se=1795003600", 0, HUB_TOKEN_SIGNATURE,
     "neither key"},
    {HUB_BY_SAS, "", "SharedAccessSignature sr=h.azure-devices.net%2Fdevices%2Fdev-01&sig=" PAST_SIG "&se=1794999990", 0, HUB_TOKEN_EXPIRED,
     "10 s ago"},
};

static void each_kind_of_identity_takes_what_it_should_and_nothing_else(void **state)
{
    (void)state;
    CLEANUP(stop) struct bench bench;
    start(&bench);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const struct row *row = &rows[i];
        const struct hub_device *device = make_device(&bench, row->by);
        struct hub_judgement judgement = {.rule = HUB_ACCEPTED};
        struct session session = {.number = 1, .client_id = "dev-01", .password = row->password, .chain = chain_of(&bench, row->chain)};
        int rc = hub_authenticate(device, &session, bench.state, NOW_S + row->later_s, &judgement);
        if (judgement.rule != row->rule)
            fail_msg("row %zu: rule %s (%s)", i, hub_rule_name(judgement.rule) ? hub_rule_name(judgement.rule) : "none", judgement.text);
        assert_int_equal(rc, row->rule == HUB_ACCEPTED ? 0 : -1);
        assert_non_null(strstr(judgement.text, row->words));
        assert_null(strstr(judgement.text, "%3D"));
        bool by_token = row->by == HUB_BY_SAS && row->rule == HUB_ACCEPTED;
        assert_true(judgement.token_expires_unix_s == (by_token ? INT64_C(1795003600) : INT64_MAX));
        sk_X509_pop_free(session.chain, X509_free);
    }
}

static void sha1_and_secondary_thumbprints_count_too(void **state)
{
    (void)state;
    CLEANUP(stop) struct bench bench;
    start(&bench);
    struct hub_device *device = make_device(&bench, HUB_BY_THUMBPRINT);
    struct session session = {.number = 1, .client_id = "dev-01", .chain = chain_of(&bench, "rolled")};
    struct hub_judgement judgement = {.rule = HUB_ACCEPTED};
    certificate_sha1(pki_certificate(bench.pki, "rolled"), device->thumbprints[1]);
    assert_int_equal(hub_authenticate(device, &session, bench.state, NOW_S, &judgement), 0);
    sk_X509_pop_free(session.chain, X509_free);
}

static void a_verified_intermediate_ends_a_chain_and_no_state_trusts_nobody(void **state)
{
    (void)state;
    CLEANUP(stop) struct bench bench;
    start(&bench);
    const struct hub_device *device = make_device(&bench, HUB_BY_CA);
    struct session session = {.number = 1, .client_id = "dev-01", .chain = chain_of(&bench, "leaf")};
    struct hub_judgement judgement = {.rule = HUB_ACCEPTED};
    trust(&bench, "root", false);
    trust(&bench, "sub", true);
    assert_int_equal(hub_authenticate(device, &session, bench.state, NOW_S, &judgement), 0);
    assert_int_equal(hub_authenticate(device, &session, NULL, NOW_S, &judgement), -1);
    assert_int_equal(judgement.rule, HUB_UNKNOWN_CA);
    sk_X509_pop_free(session.chain, X509_free);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_of_identity_takes_what_it_should_and_nothing_else),
        cmocka_unit_test(sha1_and_secondary_thumbprints_count_too),
        cmocka_unit_test(a_verified_intermediate_ends_a_chain_and_no_state_trusts_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
