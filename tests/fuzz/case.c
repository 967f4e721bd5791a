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
