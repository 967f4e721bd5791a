/* known-findings.yaml, read strictly, and held against a case: what is refused has a place. */
#include "harness/case/known_findings.h"

#include "harness/device/dialect.h"
#include "tests/fuzz/fuzz.h"

const char fuzz_words[] =
    "format findings rows device dialect personality fails event where list reason source any in_order never nordic "
    "nordic-sample reference a/b a/b:azure a/* protocol/* console.assigned console.failed mqtt.connect connection.closed "
    "dps.assigned return_code endpoint hub dps min max matches count absent by device operation";

static const char case_text[] = "format: 1\n"
                                "id: a/b\n"
                                "title: x\n"
                                "why: {text: x, source: x}\n"
                                "vary: {surface: [azure, connack]}\n"
                                "credentials: {recipe: device/self-signed.yaml, client_cert: [leaf], client_key: leaf}\n"
                                "expect:\n"
                                "  console:\n"
                                "    in_order: [{event: console.failed}]\n"
                                "    never: [{event: console.assigned}]\n"
                                "  wire:\n"
                                "    in_order: [{event: mqtt.connect, where: {endpoint: dps}}]\n"
                                "budget_s: 60\n"
                                "fails_under: []\n";

static void check_finding(const struct known_finding *finding)
{
    FUZZ_MUST(finding->place && (finding->dialect || finding->client) && finding->reason && finding->source);
    FUZZ_MUST(finding->rows.count > 0 && finding->rows.count <= CASE_LIST_MAX);
    FUZZ_MUST(finding->fail_count > 0 && finding->fail_count <= KNOWN_FAILS_MAX);
}

/* Marks what is meant, for a device that anything may mean. */
static void mark(const struct known_findings *known)
{
    const struct known_device device = {.dialect = "nordic", .personality = "nordic-sample"};
    const struct case_options options = {.vocabulary = {.console_events = dialect_event_names()},
                                         .device = {.registration_id = "r", .id_scope = "s", .dps_host = "h", .sec_tag = "1"}};
    struct case_list list = {0};
    struct error error = ERROR_INIT;
    FUZZ_MUST(case_read_text(case_text, strlen(case_text), "cases/a/b.yaml", "a/b", &options, &list, &error) == 0);
    if (known_findings_mark(known, &device, &list, &error)) {
        fuzz_check_error(&error);
        FUZZ_MUST(error.owner == ERROR_OWNER_FILE && strncmp(error.text, "known.yaml:", 11) == 0);
    }
    case_list_done(&list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct known_findings known = {0};
    struct error error = ERROR_INIT;
    CLEANUP_FREE char *text = fuzz_text(data, size);
    const struct event_vocabulary vocabulary = {.console_events = dialect_event_names()};
    if (known_findings_read_text(text, size, "known.yaml", &vocabulary, &known, &error)) {
        fuzz_check_error(&error);
        FUZZ_MUST(error.owner == ERROR_OWNER_FILE && strncmp(error.text, "known.yaml", 10) == 0 && known.count == 0);
        return 0;
    }
    FUZZ_MUST(known.count <= KNOWN_FINDINGS_MAX);
    for (size_t i = 0; i < known.count; i++)
        check_finding(&known.items[i]);
    mark(&known);
    known_findings_done(&known);
    return 0;
}
