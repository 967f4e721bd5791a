#include "base/cleanup.h"
#include "certs/sas_token.h"

#include <openssl/evp.h>
#include <string.h>

#include "tests/cmocka.h"

/* Made with the openssl command line: printf 'RESOURCE\n1795003600' | openssl dgst -sha256 -mac HMAC -macopt hexkey:30313233...66 -binary | base64 */
#define KEY "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
#define PLAIN "0ne000AAAA1/registrations/dev-01"
#define ENCODED "0ne000AAAA1%2Fregistrations%2Fdev-01"
#define SIG_PLAIN "jevyw%2BQosyrV%2FOfEBbHFhu%2F2I9D6sXWDdfIKcOsq89I%3D"
#define SIG_ENCODED "GV60UvBSyjxQR4sThs8JR4263BtRzAK7fSixUdPLrBQ%3D"
#define DERIVED "bjL5pGAzpMSXSbKyFlMNKcaL6ef5Hp/WAADRbdSnTBs="

static struct sas_key read_key(const char *text)
{
    struct sas_key key;
    struct error error = ERROR_INIT;
    if (sas_key_read(text, &key, &error))
        fail_msg("%s", error.text);
    return key;
}

static struct sas_token read_token(const char *text)
{
    struct sas_token token;
    struct error error = ERROR_INIT;
    if (sas_token_read(text, &token, &error))
        fail_msg("%s", error.text);
    return token;
}

static void takes_fields_in_any_order_and_signs_sr_as_it_was_sent(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "SharedAccessSignature sr=" PLAIN "&sig=" SIG_PLAIN "&skn=registration&se=1795003600",
        "SharedAccessSignature sr=" ENCODED "&sig=" SIG_ENCODED "&se=1795003600&skn=registration",
        "SharedAccessSignature skn=registration&more=unknown&se=1795003600&sig=" SIG_ENCODED "&sr=" ENCODED,
    };
    struct sas_key key = read_key(KEY);
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        struct sas_token token = read_token(texts[i]);
        assert_string_equal(token.resource, PLAIN);
        assert_string_equal(token.policy, "registration");
        assert_int_equal(token.expiry_unix_s, 1795003600);
        assert_true(sas_token_is_signed_by(&token, &key));
    }
}

static void a_changed_field_or_another_key_breaks_the_signature(void **state)
{
    (void)state;
    struct sas_key key = read_key(KEY), other = read_key("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWc=");
    struct sas_token token = read_token("SharedAccessSignature sr=" PLAIN "&sig=" SIG_PLAIN "&se=1795003600");
    assert_string_equal(token.policy, "");
    assert_true(sas_token_is_signed_by(&token, &key));
    assert_false(sas_token_is_signed_by(&token, &other));
    token = read_token("SharedAccessSignature sr=" PLAIN "&sig=" SIG_PLAIN "&se=1795003601");
    assert_false(sas_token_is_signed_by(&token, &key));
    token = read_token("SharedAccessSignature sr=" ENCODED "&sig=" SIG_PLAIN "&se=1795003600");
    assert_false(sas_token_is_signed_by(&token, &key));
}

static void the_key_of_a_device_of_a_group_is_derived(void **state)
{
    (void)state;
    struct sas_key group = read_key(KEY), device;
    char text[SAS_KEY_TEXT_BYTES];
    assert_int_equal(sas_key_derive(&group, "dev-01", &device, NULL), 0);
    sas_key_format(&device, text);
    assert_string_equal(text, DERIVED);
}

static void a_made_key_reads_back_and_no_two_are_alike(void **state)
{
    (void)state;
    struct sas_key one, two;
    char text[SAS_KEY_TEXT_BYTES];
    assert_int_equal(sas_key_make(&one, NULL), 0);
    assert_int_equal(sas_key_make(&two, NULL), 0);
    sas_key_format(&one, text);
    struct sas_key again = read_key(text);
    assert_memory_equal(&again, &one, sizeof one);
    assert_memory_not_equal(&two, &one, sizeof one);
}

static void names_what_is_wrong_with_a_token(void **state)
{
    (void)state;
    static const struct {
        const char *text, *expected;
    } rows[] = {
        {"", "no SAS token"},
        {"hunter2", "no SAS token"},
        {"SharedAccessSignature", "no SAS token"},
        {"SharedAccessSignature ", "field sr of the SAS token is missing"},
        {"SharedAccessSignature sig=" SIG_PLAIN "&se=1", "field sr of the SAS token is missing"},
        {"SharedAccessSignature sr=&sig=" SIG_PLAIN "&se=1", "field sr of the SAS token is empty"},
        {"SharedAccessSignature sr=a&se=1", "field sig of the SAS token is missing"},
        {"SharedAccessSignature sr=a&sig=" SIG_PLAIN, "field se of the SAS token is missing"},
        {"SharedAccessSignature sr=a&sig=" SIG_PLAIN "&se=1&se=2", "field se of the SAS token stands there twice"},
        {"SharedAccessSignature sr=a&sig=" SIG_PLAIN "&se=tomorrow", "field se of the SAS token is not a number"},
        {"SharedAccessSignature sr=a&sig=" SIG_PLAIN "&se=-1", "field se of the SAS token is not a number"},
        {"SharedAccessSignature sr=a&sig=" SIG_PLAIN "&se=12345678901234567890", "field se of the SAS token is too long"},
        {"SharedAccessSignature sr=a%2&sig=" SIG_PLAIN "&se=1", "field sr of the SAS token is not percent-encoded"},
        {"SharedAccessSignature sr=a%00b&sig=" SIG_PLAIN "&se=1", "field sr of the SAS token is not percent-encoded"},
        {"SharedAccessSignature sr=a&sig=AAAA&se=1", "field sig of the SAS token is not the base64 of 32 bytes"},
        {"SharedAccessSignature sr=a&sig=%&se=1", "field sig of the SAS token is not percent-encoded"},
        {"SharedAccessSignature sr=a&sig====&se=1", "field sig of the SAS token is not the base64"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct sas_token token = {.policy = "untouched"};
        struct error error = ERROR_INIT;
        assert_int_equal(sas_token_read(rows[i].text, &token, &error), -1);
        if (!strstr(error.text, rows[i].expected))
            fail_msg("'%s': %s", rows[i].text, error.text);
        assert_string_equal(token.policy, "untouched");
        assert_int_equal(error.owner, ERROR_OWNER_DEVICE);
    }
}

static void bounds_a_token_and_its_fields(void **state)
{
    (void)state;
    struct sas_token token;
    struct error error = ERROR_INIT;
    CLEANUP_FREE char *text = NULL;
    assert_true(asprintf(&text, "SharedAccessSignature sr=%1025d&sig=%s&se=1", 7, SIG_PLAIN) > 0);
    assert_int_equal(sas_token_read(text, &token, &error), -1);
    assert_non_null(strstr(error.text, "field sr of the SAS token is too long"));
    CLEANUP_FREE char *longer = NULL;
    assert_true(asprintf(&longer, "SharedAccessSignature sr=%4096d", 7) > 0);
    assert_int_equal(sas_token_read(longer, &token, &error), -1);
    assert_int_equal(error.code, ERROR_LIMIT);
}

static void refuses_keys_that_are_too_short_too_long_or_no_base64(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "=",
        "====",
        "c2hvcnQ=",
        "MDEyMzQ1Njc4OWFiY2RlZ",
        "MDEyMzQ1Njc4OWFiY2Rl Zg==",
        "MDEyMzQ1Njc4OWFi-2RlZg==",
        "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZjA=",
    };
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        struct sas_key key;
        struct error error = ERROR_INIT;
        if (sas_key_read(texts[i], &key, &error) == 0)
            fail_msg("taken: '%s'", texts[i]);
        if (*texts[i] && strlen(texts[i]) > 4)
            assert_null(strstr(error.text, texts[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_fields_in_any_order_and_signs_sr_as_it_was_sent),
        cmocka_unit_test(a_changed_field_or_another_key_breaks_the_signature),
        cmocka_unit_test(the_key_of_a_device_of_a_group_is_derived),
        cmocka_unit_test(a_made_key_reads_back_and_no_two_are_alike),
        cmocka_unit_test(names_what_is_wrong_with_a_token),
        cmocka_unit_test(bounds_a_token_and_its_fields),
        cmocka_unit_test(refuses_keys_that_are_too_short_too_long_or_no_base64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
