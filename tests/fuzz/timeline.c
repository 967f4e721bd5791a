/* timeline.jsonl as `dpsbench show` reads it, and the views made of it: broken lines are counted, and nothing of a file reaches a terminal as a command. */
#include "reports/timeline_read.h"

#include "base/json.h"
#include "reports/timeline.h"
#include "reports/views.h"
#include "tests/fuzz/fuzz.h"

const char fuzz_words[] =
    "v seq source kind data unix_us mono_us device_us lane session registration_id host console.line console.assigned "
    "mqtt.connect mqtt.connack tls.handshake dps.request dps.reply attestation.verdict connection.closed scenario.fault "
    "at.command text level message return_code rule by how chain subject status 9007199254740991 -9007199254740991 \\u001b[2J "
    "\\u0000 \\ud800 dpsbench dpsbench-sim";

static void check_printed(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        FUZZ_MUST(((unsigned char)text[i] >= 0x20 && text[i] != 0x7f) || text[i] == '\n');
}

static void print(const struct timeline_events *events, bool is_wide)
{
    char *text = NULL;
    size_t length = 0;
    const struct views_options options = {.time_scale = 20, .lane = "lane-1", .registration_id = "r", .width = 100, .is_wide = is_wide};
    FILE *file = open_memstream(&text, &length);
    FUZZ_MUST(file);
    views_print(file, events, &options);
    fclose(file);
    check_printed(text, length);
    free(text);
    CLEANUP_JSON cJSON *json = views_to_json(events, &options);
    FUZZ_MUST(json);
}

static void read_lines(const char *folder, int64_t first, int64_t last)
{
    struct timeline_events events = {0};
    struct error error = ERROR_INIT;
    if (timeline_read(folder, first, last, &events, &error)) {
        fuzz_check_error(&error);
        return;
    }
    for (size_t i = 1; i < events.count; i++)
        FUZZ_MUST(events.items[i - 1].at_us <= events.items[i].at_us);
    FUZZ_MUST((events.broken_count > 0) == (events.first_broken_line > 0));
    print(&events, false);
    print(&events, true);
    timeline_events_done(&events);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *folder = fuzz_folder();
    CLEANUP_FREE char *path = path_join(folder, TIMELINE_FILE);
    CLEANUP_FILE FILE *file = fopen(path, "we");
    FUZZ_MUST(file && fwrite(data, 1, size, file) == size && fflush(file) == 0);
    read_lines(folder, 1, 1000);
    read_lines(folder, -5, 0);
    read_lines(folder, 2, INT64_MAX);
    return 0;
}
