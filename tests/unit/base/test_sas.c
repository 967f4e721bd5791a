#include "base/sas.h"

#include "base/cleanup.h"

#include <string.h>

#include "tests/cmocka.h"

/* The signatures were made with the openssl command line: printf 'SR\nSE' | openssl dgst -sha256 -mac HMAC ... | base64 */
#define KEY "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
#define OTHER_KEY "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="
#define HUB_SIG "UpploHFaW12AtMf65%2BMshbOfp0qqAOE51dnEreyIA1A%3D"
#define DPS_SIG "suCIcLu4tL8YihgQ%2FOKJUVZNPi28JDFTpFB2Hm%2FDWHk%3D"

static void reads_fields_in_any_order_and_keeps_the_resource_as_sent(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "SharedAccessSignature sr=hub%3A8883%2Fdevices%2Fdev-01&sig=" HUB_SIG "&se=1790000000",
        "SharedAccessSignature se=1790000000&sig=" HUB_SIG "&sr=hub%3A8883%2Fdevices%2Fdev-01",
        "sharedaccesssignature sig=" HUB_SIG "&x=1&sr=hub%3A8883%2Fdevices%2Fdev-01&skn=&se=1790000000&",
    };
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        struct sas_token token;
        assert_int_equal(sas_token_read(texts[i], &token, NULL), 0);
        assert_string_equal(token.signed_resource, "hub%3A8883%2Fdevices%2Fdev-01");
        assert_string_equal(token.resource, "hub:8883/devices/dev-01");
        assert_int_equal(token.expires_unix_s, 1790000000);
        assert_string_equal(token.key_name, "");
        assert_true(sas_token_is_signed_by(&token, KEY));
        assert_false(sas_token_is_signed_by(&token, OTHER_KEY));
    }
}

static void signs_an_unencoded_resource_as_it_was_sent(void **state)
{
    (void)state;
    struct sas_token token;
    assert_int_equal(
        sas_token_read("SharedAccessSignature sr=0ne/registrations/a&sig=" DPS_SIG "&skn=registration&se=1790000000", &token, NULL), 0);
    assert_string_equal(token.key_name, "registration");
    assert_true(sas_token_is_signed_by(&token, KEY));
    assert_int_equal(
        sas_token_read("SharedAccessSignature sr=0ne%2Fregistrations%2Fa&sig=" DPS_SIG "&skn=registration&se=1790000000", &token, NULL), 0);
    assert_string_equal(token.resource, "0ne/registrations/a");
    assert_false(sas_token_is_signed_by(&token, KEY));
}

static void names_what_is_wrong_with_a_token_without_quoting_it(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *words;
    } rows[] = {
        {"", "SharedAccessSignature"},
        {"Bearer sr=a&sig=" HUB_SIG "&se=1", "SharedAccessSignature"},
        {"SharedAccessSignature sig=" HUB_SIG "&se=1", "no field sr"},
        {"SharedAccessSignature sr=&sig=" HUB_SIG "&se=1", "no field sr"},
        {"SharedAccessSignature sr=a&se=1", "no field sig"},
        {"SharedAccessSignature sr=a&sig=" HUB_SIG, "no field se"},
        {"SharedAccessSignature sr=a&sr=b&sig=" HUB_SIG "&se=1", "two fields sr"},
        {"SharedAccessSignature sr=a%2&sig=" HUB_SIG "&se=1", "percent-encoding in field sr"},
        {"SharedAccessSignature sr=a%00b&sig=" HUB_SIG "&se=1", "percent-encoding in field sr"},
        {"SharedAccessSignature sr=a&sig=abc&se=1", "wanted in field sig"},
        {"SharedAccessSignature sr=a&sig=AAAA&se=1", "wanted in field sig"},
        {"SharedAccessSignature sr=a&sig=" HUB_SIG "&se=tomorrow", "wanted in field se"},
        {"SharedAccessSignature sr=a&sig=" HUB_SIG "&se=-1", "wanted in field se"},
        {"SharedAccessSignature sr=a&sig=" HUB_SIG "&se=9999999999999999999", "wanted in field se"},
        {"SharedAccessSignature sr=a&sig=" HUB_SIG "&se=1&skn=%zz", "field skn"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct sas_token token = {.expires_unix_s = 77};
        struct error error = ERROR_INIT;
        assert_int_equal(sas_token_read(rows[i].text, &token, &error), -1);
        assert_non_null(strstr(error.text, rows[i].words));
        assert_null(strstr(error.text, "Upplo"));
        assert_int_equal(error.code, ERROR_SYNTAX);
        assert_int_equal(error.owner, ERROR_OWNER_DEVICE);
        assert_int_equal(token.expires_unix_s, 77);
    }
}

static void refuses_overlong_tokens_and_resources(void **state)
{
    (void)state;
    static char text[SAS_TOKEN_MAX_BYTES + 64];
    struct sas_token token;
    struct error error = ERROR_INIT;
    memset(text, 'a', sizeof text - 1);
    memcpy(text, "SharedAccessSignature sr=", 25);
    assert_int_equal(sas_token_read(text, &token, &error), -1);
    assert_int_equal(error.code, ERROR_LIMIT);
    snprintf(text + 25 + SAS_RESOURCE_MAX_BYTES + 1, 128, "%s", "&sig=" HUB_SIG "&se=1");
    error = (struct error)ERROR_INIT;
    assert_int_equal(sas_token_read(text, &token, &error), -1);
    assert_int_equal(error.code, ERROR_LIMIT);
}

static void checks_signature_first_and_expiry_then(void **state)
{
    (void)state;
    struct sas_token token;
    struct error error = ERROR_INIT;
    const char *const keys[] = {NULL, "", OTHER_KEY, KEY}, *const others[] = {OTHER_KEY, "no key"};
    assert_int_equal(sas_token_read("SharedAccessSignature sr=0ne/registrations/a&sig=" DPS_SIG "&se=1790000000", &token, NULL), 0);
    assert_int_equal(sas_token_check(&token, keys, ARRAY_COUNT(keys), 1789999999, &error), 0);
    assert_int_equal(sas_token_check(&token, keys, ARRAY_COUNT(keys), 1790000007, &error), -1);
    assert_int_equal(error.code, ERROR_TIMEOUT);
    assert_non_null(strstr(error.text, "7 s"));
    assert_int_equal(sas_token_check(&token, others, ARRAY_COUNT(others), 1790000007, &error), -1);
    assert_int_equal(error.code, ERROR_REFUSED);
}

static void covers_its_resource_and_what_is_below(void **state)
{
    (void)state;
    static const struct {
        const char *token;
        const char *resource;
        bool covers;
    } rows[] = {
        {"h.net/devices/a", "h.net/devices/a", true},  {"H.net/devices/A", "h.net/devices/a", true}, {"h.net", "h.net/devices/a", true},
        {"h.net/dev", "h.net/devices/a", false},       {"h.net/devices/a", "h.net/devices", false},  {"", "h.net/devices/a", false},
        {"h.net/devices/a", "h.net/devices/ab", false}};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct sas_token token = {.expires_unix_s = 0};
        snprintf(token.resource, sizeof token.resource, "%s", rows[i].token);
        assert_int_equal(sas_token_covers(&token, rows[i].resource), rows[i].covers);
    }
}

/* The example of "How to provision devices using symmetric key enrollment groups", Azure documentation. */
static void derives_the_device_key_of_the_documentation(void **state)
{
    (void)state;
    char key[SAS_KEY_TEXT_BYTES] = "untouched";
    static const char group_key[] = "8isrFI1sGsIlvvFSSFRiMfCNzv21fjbE/+ah/lSh3lF8e2YG1Te7w1KpZhJFFXJrqYKi9yegxkqIChbqOS9Egw==";
    struct error error = ERROR_INIT;
    assert_int_equal(sas_key_derive("not base64", "a", key, &error), -1);
    assert_int_equal(error.code, ERROR_SYNTAX);
    assert_string_equal(key, "untouched");
    assert_int_equal(sas_key_derive(group_key, "sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6", key, NULL), 0);
    assert_string_equal(key, "Jsm0lyGpjaVYVP2g3FnmnmG9dI/9qU24wNoykUmermc=");
}

static void knows_a_key_from_none(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_valid;
    } rows[] = {
        {KEY, true},   {"MDEyMzQ1Njc4OWFiY2RlZg==", true}, {"MDEyMzQ1Njc4OWFiY2Rl", false},     {"", false},
        {"==", false}, {"MDEyMzQ1Njc4OWFiY2RlZg=", false}, {"MDEyMzQ1 Njc4OWFiY2RlZg=", false}, {"MDEy=MzQ1Njc4OWFiY2RlZg", false},
    };
    char made[SAS_KEY_TEXT_BYTES], again[SAS_KEY_TEXT_BYTES];
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        assert_int_equal(sas_key_is_valid(rows[i].text), rows[i].is_valid);
    assert_int_equal(sas_key_make(made, NULL), 0);
    assert_int_equal(sas_key_make(again, NULL), 0);
    assert_true(sas_key_is_valid(made));
    assert_string_not_equal(made, again);
}

static void makes_tokens_that_it_reads(void **state)
{
    (void)state;
    struct sas_token token;
    CLEANUP_FREE char *text = sas_token_make("h.net/devices/dev 01", KEY, "policy", 1790000000);
    assert_non_null(text);
    assert_non_null(strstr(text, "sr=h.net%2Fdevices%2Fdev%2001&"));
    assert_int_equal(sas_token_read(text, &token, NULL), 0);
    assert_string_equal(token.resource, "h.net/devices/dev 01");
    assert_string_equal(token.key_name, "policy");
    assert_true(sas_token_is_signed_by(&token, KEY));
    assert_null(sas_token_make("h.net", "no key", NULL, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_fields_in_any_order_and_keeps_the_resource_as_sent),
        cmocka_unit_test(signs_an_unencoded_resource_as_it_was_sent),
        cmocka_unit_test(names_what_is_wrong_with_a_token_without_quoting_it),
        cmocka_unit_test(refuses_overlong_tokens_and_resources),
        cmocka_unit_test(checks_signature_first_and_expiry_then),
        cmocka_unit_test(covers_its_resource_and_what_is_below),
        cmocka_unit_test(derives_the_device_key_of_the_documentation),
        cmocka_unit_test(knows_a_key_from_none),
        cmocka_unit_test(makes_tokens_that_it_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
