/* JSON from others: an event record of the simulator. What was read prints as ASCII, and reads the same again. */
#include "base/event.h"

#include "base/json.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum event_kind kind = EVENT_KIND_COUNT;
    struct error error = ERROR_INIT;
    CLEANUP_JSON cJSON *json = json_parse((const char *)data, size, "event", &error);
    if (!json) {
        fuzz_check_error(&error);
        return 0;
    }
    if (event_check(json, &kind, &error))
        fuzz_check_error(&error);
    else
        FUZZ_MUST(event_data(json) && kind <= EVENT_KIND_COUNT);
    CLEANUP_FREE char *text = json_print_line(json);
    FUZZ_MUST(text);
    for (const char *at = text; *at; at++)
        FUZZ_MUST(*at >= 0x20 && *at < 0x7f);
    CLEANUP_JSON cJSON *again = json_parse(text, strlen(text), "event", NULL);
    CLEANUP_FREE char *text_again = json_print_line(again);
    FUZZ_MUST(text_again && strcmp(text, text_again) == 0);
    return 0;
}
