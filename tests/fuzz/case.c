/* A case file, read strictly: what is refused has a place. */
#include "harness/case/case.h"

#include "harness/device/dialect.h"
#include "tests/fuzz/fuzz.h"

static void check_row(const struct case_row *row)
{
    FUZZ_MUST(row->id && row->case_id && row->place && row->title && row->why_text && row->credentials.recipe);
    FUZZ_MUST(row->step_count <= CASE_LIST_MAX && row->finding_count <= CASE_LIST_MAX);
    FUZZ_MUST(row->budget_s > 0 && row->budget_s <= CASE_BUDGET_MAX_S);
    for (int view = 0; view < CASE_VIEW_COUNT; view++) {
        FUZZ_MUST(row->views[view].in_order.count <= CASE_EXPECTATIONS_MAX && row->views[view].never.count <= CASE_EXPECTATIONS_MAX);
        for (size_t i = 0; i < row->views[view].in_order.count; i++) {
            CLEANUP_FREE char *text = expectation_text(&row->views[view].in_order.items[i]);
            FUZZ_MUST(text);
        }
    }
}

const char fuzz_words[] =
    "format id title why needs vary credentials server service steps expect findings budget_s fails_under recipe root_ca "
    "client_cert client_key text source min max in_order never console wire event where only after_s more_than catches name "
    "member verified primary secondary signing_certificates ca_references disabled certificate device_id profile certificates "
    "enrollment_groups enrollments knobs matches count absent lane none by-possession azure connack chip-erase reset "
    "power-cycle leaf root sub-ca other-root device/sub-ca.yaml server/expired.yaml retry_after_s console.assigned "
    "console.failed mqtt.connect dps.assigned attestation.verdict waits-for-ever retries-at-once ${registration_id} "
    "${dps_host} ${sec_tag} chain.0.subject evidence.enrollment.kind ^(a|b)+$";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct case_list list = {0};
    struct error error = ERROR_INIT;
    CLEANUP_FREE char *text = fuzz_text(data, size);
    const struct case_options options = {
        .vocabulary = {.console_events = dialect_event_names()},
        .device = {.registration_id = "dev-01", .id_scope = "0ne1", .dps_host = "host.example", .sec_tag = "56"},
    };
    if (case_read_text(text, size, "cases/a/b.yaml", "a/b", &options, &list, &error)) {
        fuzz_check_error(&error);
        FUZZ_MUST(error.owner == ERROR_OWNER_FILE && strncmp(error.text, "cases/a/b.yaml", 14) == 0);
    }
    for (size_t i = 0; i < list.count; i++)
        check_row(list.rows[i]);
    case_list_done(&list);
    return 0;
}
