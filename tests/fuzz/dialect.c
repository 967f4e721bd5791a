/* A dialect file, read strictly, and then used: an expression of a file must not take for ever, nor give fields that are not its own. */
#include "harness/device/dialect.h"

#include "base/json.h"
#include "tests/fuzz/fuzz.h"

static void match(const struct dialect *dialect, const char *console)
{
    struct zephyr_line *line = malloc(sizeof *line);
    struct dialect_match found = {0};
    struct dialect_state state = {0};
    FUZZ_MUST(line);
    zephyr_line_read(console, strlen(console), line);
    if (dialect_find(dialect, &state, line, &found)) {
        FUZZ_MUST(dialect_is_event(found.event));
        cJSON_Delete(found.fields);
    }
    free(line);
}

const char fuzz_words[] =
    "format title events event module level message captures fields begins during terminal source err wrn inf dbg console.boot "
    "console.assigned "
    "console.connection-rejected console.failed text integer return_code banner (.*) ^[0-9]+$ (a|b)* [[:digit:]] a{2,9} .+";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dialect *dialect = NULL;
    struct error error = ERROR_INIT;
    CLEANUP_FREE char *text = fuzz_text(data, size);
    if (dialect_read_text(text, size, "dialect.yaml", &dialect, &error)) {
        fuzz_check_error(&error);
        FUZZ_MUST(!dialect && strncmp(error.text, "dialect.yaml", 12) == 0);
        return 0;
    }
    FUZZ_MUST(dialect_title(dialect) && dialect_entry_count(dialect) <= DIALECT_ENTRIES_MAX);
    match(dialect, "*** Booting nRF Connect SDK v2.9.0 ***");
    match(dialect, "[00:00:07.123,456] <err> azure_iot_hub_dps: Connection was rejected with return code 5");
    match(dialect, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    dialect_free(dialect);
    return 0;
}
