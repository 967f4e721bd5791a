#include "reports/junit.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "reports/account.h"

#include <libxml/parser.h>
#include <libxml/xmlschemas.h>
#include <libxml/xmlschemastypes.h>
#include <string.h>

#include "tests/cmocka.h"

#define SUBSET DPSBENCH_SOURCE_DIR "/tests/junit/subset.xsd"

/* Not to the terminal: a test counts them. */
static void complain(void *user, const char *format, ...)
{
    (void)format;
    ++*(int *)user;
}

static bool fits_subset(const char *xml, size_t length_bytes)
{
    int complaints = 0;
    xmlSetGenericErrorFunc(&complaints, complain);
    xmlDocPtr document = xmlReadMemory(xml, (int)length_bytes, "junit.xml", NULL, XML_PARSE_NONET);
    xmlSchemaParserCtxtPtr parser = xmlSchemaNewParserCtxt(SUBSET);
    xmlSchemaPtr schema = xmlSchemaParse(parser);
    assert_non_null(schema);
    xmlSchemaValidCtxtPtr validator = xmlSchemaNewValidCtxt(schema);
    xmlSchemaSetValidErrors(validator, complain, complain, &complaints);
    bool fits = document && xmlSchemaValidateDoc(validator, document) == 0;
    xmlSchemaFreeValidCtxt(validator);
    xmlSchemaFree(schema);
    xmlSchemaFreeParserCtxt(parser);
    xmlFreeDoc(document);
    xmlSetGenericErrorFunc(NULL, NULL);
    return fits;
}

static char *print(const struct result_run *run)
{
    CLEANUP(bytes_done) struct bytes xml = {0};
    assert_int_equal(junit_print(run, &xml, NULL), 0);
    char *text = strdup(bytes_text(&xml));
    assert_true(fits_subset(text, strlen(text)));
    return text;
}

static struct result_row *add(struct result_run *run, const char *device, const char *id, enum verdict verdict)
{
    struct result_row row = {.verdict = verdict, .duration_ms = 1500, .started_unix_us = 1767225600000000};
    result_set(&row.id, id);
    result_set(&row.device, device);
    if (verdict != VERDICT_PASS)
        result_set(&row.reason.text, "because");
    assert_int_equal(result_run_add(run, &row, NULL), 0);
    return &run->rows[run->row_count - 1];
}

static void holds(const char *xml, const char *piece)
{
    if (!strstr(xml, piece))
        fail_msg("'%s' is not in:\n%s", piece, xml);
}

static void maps_each_verdict(void **state)
{
    (void)state;
    CLEANUP(result_run_done) struct result_run run = {0};
    add(&run, "dk", "a/pass", VERDICT_PASS);
    add(&run, "dk", "a/skip", VERDICT_SKIP);
    add(&run, "dk", "a/inconclusive", VERDICT_INCONCLUSIVE);
    add(&run, "dk", "a/fail", VERDICT_FAIL);
    add(&run, "dk", "a/error", VERDICT_ERROR);
    add(&run, "dk", "a/known", VERDICT_KNOWN);
    CLEANUP_FREE char *xml = print(&run);
    holds(xml, "<testsuites name=\"dpsbench\" tests=\"6\" failures=\"1\" errors=\"2\" skipped=\"2\" time=\"9.000\">");
    holds(xml, "<testcase classname=\"dk.a\" name=\"pass\" time=\"1.500\"/>");
    holds(xml, "<skipped message=\"because\" type=\"skip\"/>");
    holds(xml, "<skipped message=\"because\" type=\"known\"/>");
    holds(xml, "<error message=\"because\" type=\"inconclusive\">");
    holds(xml, "<failure message=\"because\" type=\"fail\">");
    holds(xml, "<error message=\"because\" type=\"error\">");
    holds(xml, "timestamp=\"2026-01-01T00:00:00\"");
}

static void tells_the_account_of_a_failure_and_of_a_refusal(void **state)
{
    (void)state;
    static const struct account_commands commands = {.again = "dpsbench run a/fail", .show = "dpsbench show out a/fail"};
    CLEANUP(result_run_done) struct result_run run = {0};
    struct result_row *row = add(&run, "dk", "a/fail", VERDICT_FAIL);
    result_set(&row->reason.got, "mqtt.connect <5>");
    account_fill(row, &commands);
    row = add(&run, "dk", "a/refused", VERDICT_PASS);
    result_set(&row->rule, "chain.unknown-ca");
    result_set(&row->outcome, "the chain ends elsewhere");
    account_fill(row, &commands);
    result_add_finding(row, RESULT_FINDING_NOTE, "noise", "seen");
    CLEANUP_FREE char *xml = print(&run);
    holds(xml, "got: mqtt.connect &lt;5&gt;\n");
    holds(xml, "again: dpsbench run a/fail\n</failure>");
    holds(xml, "<system-out>got: the chain ends elsewhere\nrule: chain.unknown-ca\n");
    holds(xml, "known finding: noise (seen)\n</system-out>");
}

static void makes_a_suite_of_each_device_with_its_properties(void **state)
{
    (void)state;
    static const char devices[] = "[{\"id\":\"a\",\"product\":\"board\",\"identity\":{\"firmware\":\"mfw_nrf9160_1.3.6\"}},{\"id\":\"b\"}]";
    CLEANUP(result_run_done) struct result_run run = {.ended_unix_us = 1};
    run.devices = json_parse(devices, sizeof devices - 1, "devices", NULL);
    run.versions = cJSON_CreateObject();
    json_set_string(cJSON_AddObjectToObject(run.versions, "harness"), "openssl", "3.0.17");
    add(&run, "a", "x/y", VERDICT_PASS);
    add(&run, "b", "x/y", VERDICT_FAIL);
    CLEANUP_FREE char *xml = print(&run);
    holds(xml, "<testsuite name=\"a\" tests=\"1\" failures=\"0\"");
    holds(xml, "<testsuite name=\"b\" tests=\"1\" failures=\"1\"");
    holds(xml, "<property name=\"firmware\" value=\"mfw_nrf9160_1.3.6\"/>");
    holds(xml, "<property name=\"version.harness.openssl\" value=\"3.0.17\"/>");
    holds(xml, "<property name=\"complete\" value=\"true\"/>");
}

static void never_writes_the_same_key_twice(void **state)
{
    (void)state;
    CLEANUP(result_run_done) struct result_run run = {0};
    add(&run, "dk", "x/y", VERDICT_PASS);
    add(&run, "dk", "x/y", VERDICT_PASS);
    /* Two ids that become the same key, in one suite and in two. */
    add(&run, "dk", "x/y\001", VERDICT_PASS);
    add(&run, "dk.x", "y", VERDICT_PASS);
    add(&run, "dk", "no-area", VERDICT_PASS);
    CLEANUP_FREE char *xml = print(&run);
    holds(xml, "classname=\"dk.x\" name=\"y\"");
    holds(xml, "classname=\"dk.x\" name=\"y (2)\"");
    holds(xml, "classname=\"dk.x\" name=\"y (3)\"");
    holds(xml, "classname=\"dk.x\" name=\"y (4)\"");
    holds(xml, "classname=\"dk\" name=\"no-area\"");
}

/* Whatever a device prints, the document stays one that all readers can read. */
static void survives_every_byte(void **state)
{
    (void)state;
    CLEANUP(result_run_done) struct result_run run = {0};
    char all[256];
    for (int i = 1; i < 256; i++)
        all[i - 1] = (char)i;
    all[255] = 0;
    struct result_row *row = add(&run, "dk", "a/fail", VERDICT_FAIL);
    result_setf(&row->reason.text, "\033[31m]]>%s", all);
    result_setf(&row->reason.got, "<![CDATA[%s&amp;\xef\xbf\xbe", all);
    result_add_finding(row, RESULT_FINDING_NOTE, all, all);
    account_fill(row, &(struct account_commands){.again = all});
    CLEANUP_FREE char *xml = print(&run);
    for (const char *at = xml; *at; at++)
        assert_true((unsigned char)*at >= ' ' || *at == '\n' || *at == '\t');
    assert_null(strstr(xml, "[31m"));
}

static void an_empty_run_is_a_document_too(void **state)
{
    (void)state;
    CLEANUP(result_run_done) struct result_run run = {0};
    CLEANUP_FREE char *xml = print(&run);
    holds(xml, "tests=\"0\"");
}

/* The schema itself: what it must refuse. */
static void the_subset_refuses_what_readers_do_not_agree_on(void **state)
{
    (void)state;
#define SUITE(cases)                                                                                                                       \
    "<testsuites name=\"d\" tests=\"1\" failures=\"0\" errors=\"0\" skipped=\"0\" time=\"1.000\"><testsuite name=\"s\" tests=\"1\" "       \
    "failures=\"0\" errors=\"0\" skipped=\"0\" time=\"1.000\" timestamp=\"2026-01-01T00:00:00\" hostname=\"h\">" cases                     \
    "</testsuite></testsuites>"
#define CASE(name, content) "<testcase classname=\"c\" name=\"" name "\" time=\"1.000\">" content "</testcase>"
    static const struct {
        const char *xml;
        bool fits;
    } rows[] = {
        {SUITE(CASE("a", "")), true},
        {SUITE(CASE("a", "") CASE("b", "")), true},
        {SUITE(CASE("a", "") CASE("a", "")), false},
        {SUITE(CASE("a", "<failure message=\"m\" type=\"t\"/>")), true},
        {SUITE(CASE("a", "<failure message=\"m\" type=\"t\"/><error message=\"m\" type=\"t\"/>")), false},
        {SUITE(CASE("a", "<failure type=\"t\"/>")), false},
        {SUITE(CASE("a", "<rerunFailure message=\"m\" type=\"t\"/>")), false},
        {SUITE("<testcase classname=\"c\" name=\"n\" time=\"1.000\" file=\"f\"/>"), false},
        {SUITE(""), false},
        {"<testsuite/>", false},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (fits_subset(rows[i].xml, strlen(rows[i].xml)) != rows[i].fits)
            fail_msg("judged wrongly: %s", rows[i].xml);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maps_each_verdict),
        cmocka_unit_test(tells_the_account_of_a_failure_and_of_a_refusal),
        cmocka_unit_test(makes_a_suite_of_each_device_with_its_properties),
        cmocka_unit_test(never_writes_the_same_key_twice),
        cmocka_unit_test(survives_every_byte),
        cmocka_unit_test(an_empty_run_is_a_document_too),
        cmocka_unit_test(the_subset_refuses_what_readers_do_not_agree_on),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    xmlSchemaCleanupTypes();
    xmlCleanupParser();
    return failed;
}
