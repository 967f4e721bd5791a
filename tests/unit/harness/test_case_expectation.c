#include "harness/case/expectation.h"

#include "base/cleanup.h"

#include <string.h>

#include "tests/cmocka.h"

DEFINE_CLEANUP(struct yaml *, yaml_free)

static const struct event_vocabulary vocabulary = {0};
static const struct substitution nothing = {0};

static void read_expectation(const char *text, struct expectation *ret_expectation)
{
    struct error error = ERROR_INIT;
    CLEANUP(yaml_free_cleanup) struct yaml *yaml = yaml_read_text(text, strlen(text), "case.yaml", &error);
    if (!yaml || expectation_read_any(yaml_root(yaml), &vocabulary, &nothing, ret_expectation, &error))
        fail_msg("%s", error.text);
}

static cJSON *parse(const char *text)
{
    cJSON *json = json_parse(text, strlen(text), "event", NULL);
    assert_non_null(json);
    return json;
}

#define EVENT                                                                                                                              \
    "{\"kind\":\"attestation.verdict\",\"registration_id\":\"dev-01\",\"session\":4,\"data\":{\"verdict\":\"refused\",\"return_code\":5,"  \
    "\"is_x\":true,\"text\":\"5\",\"evidence\":{\"enrollment\":{\"kind\":\"group\"},\"chain\":[\"CN=a\",\"CN=b\"]}}}"

static void compares_fields_exactly_and_by_range_and_pattern(void **state)
{
    (void)state;
    static const struct {
        const char *where;
        bool matches;
    } rows[] = {
        {"{}", true},
        {"{verdict: refused}", true},
        {"{verdict: refuse}", false},
        {"{return_code: 5}", true},
        {"{return_code: 6}", false},
        {"{return_code: '5'}", false},
        {"{text: '5'}", true},
        {"{text: 5}", false},
        {"{is_x: true}", true},
        {"{is_x: false}", false},
        {"{evidence.enrollment.kind: group}", true},
        {"{evidence.chain.1: CN=b}", true},
        {"{evidence.chain.2: CN=b}", false},
        {"{evidence.chain: {count: 2}}", true},
        {"{evidence.chain: {count: 3}}", false},
        {"{return_code: {min: 5, max: 5}}", true},
        {"{return_code: {min: 6}}", false},
        {"{return_code: {max: 4}}", false},
        {"{verdict: {matches: '^ref'}}", true},
        {"{verdict: {matches: '^acc'}}", false},
        {"{rule: {absent: true}}", true},
        {"{verdict: {absent: true}}", false},
        {"{verdict: {absent: false}}", true},
        {"{registration_id: dev-01}", true},
        {"{session: 5}", false},
        {"{verdict: refused, return_code: 4}", false},
    };
    CLEANUP_JSON cJSON *event = parse(EVENT);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        CLEANUP_FREE char *text = NULL;
        assert_true(asprintf(&text, "{event: attestation.verdict, where: %s}", rows[i].where) > 0);
        CLEANUP(expectation_done) struct expectation expectation = {0};
        read_expectation(text, &expectation);
        if (expectation_matches(&expectation, event) != rows[i].matches)
            fail_msg("%s should %s", rows[i].where, rows[i].matches ? "match" : "not match");
    }
}

static void another_kind_never_matches(void **state)
{
    (void)state;
    CLEANUP(expectation_done) struct expectation expectation = {0};
    read_expectation("{event: dps.assigned}", &expectation);
    CLEANUP_JSON cJSON *event = parse(EVENT);
    assert_int_equal(expectation_nearness(&expectation, event), -1);
}

static void says_itself_and_what_came_instead(void **state)
{
    (void)state;
    CLEANUP(expectation_done) struct expectation expectation = {0};
    read_expectation("{event: attestation.verdict, where: {rule: chain.unknown-ca, return_code: {min: 4}, evidence.chain: {count: 3}}}",
                     &expectation);
    CLEANUP_JSON cJSON *event = parse(EVENT);
    CLEANUP_FREE char *text = expectation_text(&expectation);
    CLEANUP_FREE char *got = expectation_describe(&expectation, event);
    assert_string_equal(text, "attestation.verdict where rule = 'chain.unknown-ca', return_code >= 4, evidence.chain has 3 items");
    assert_string_equal(got, "attestation.verdict with rule = absent, return_code = 5, evidence.chain = 2 items");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compares_fields_exactly_and_by_range_and_pattern),
        cmocka_unit_test(another_kind_never_matches),
        cmocka_unit_test(says_itself_and_what_came_instead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
