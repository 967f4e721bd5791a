/* results.json as `dpsbench show` reads it, and then printed: whatever it holds, what comes out is text without control characters. */
#include "reports/results_json.h"

#include "base/json.h"
#include "reports/table.h"
#include "tests/fuzz/fuzz.h"

const char fuzz_words[] =
    "v run version started ended exit_code broken_off is_complete is_interrupted time_scale rig devices simulator versions "
    "summary planned rows id case title device verdict reason text view place expected got outcome rule surface mend why "
    "source account again certificates duration_ms timeline first last also findings kind pass skip known inconclusive fail "
    "error note fails fixed \\u001b[2J \\u0000 \\ud800 \\u202e";

static void check_printed(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        FUZZ_MUST(((unsigned char)text[i] >= 0x20 && text[i] != 0x7f) || text[i] == '\n');
}

static void print(const struct result_run *run)
{
    char *text = NULL, closing[TABLE_CLOSING_BYTES];
    size_t length = 0;
    const struct table_options options = {.width = 80};
    FILE *file = open_memstream(&text, &length);
    FUZZ_MUST(file);
    table_print(file, run, &options);
    for (size_t i = 0; i < run->row_count; i++)
        table_print_page(file, run, &run->rows[i], &options);
    fclose(file);
    check_printed(text, length);
    table_closing_line(run, closing);
    FUZZ_MUST(strstr(closing, "passed"));
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct result_run run = {0};
    struct error error = ERROR_INIT;
    CLEANUP_FREE char *text = fuzz_text(data, size);
    CLEANUP_JSON cJSON *json = json_parse(text, size, "results.json", &error);
    if (!json || results_from_json(json, "results.json", &run, &error)) {
        fuzz_check_error(&error);
        FUZZ_MUST(error.owner == ERROR_OWNER_FILE && strncmp(error.text, "results.json", 12) == 0 && run.row_count == 0);
        return 0;
    }
    result_set(&run.directory, "out");
    print(&run);
    CLEANUP_JSON cJSON *again = results_to_json(&run);
    FUZZ_MUST(again);
    result_run_done(&run);
    return 0;
}
