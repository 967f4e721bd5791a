/* quarantine.yaml, read strictly, and held against a row: what is refused has a place, and a day that is taken is a day. */
#include "harness/case/quarantine.h"

#include "tests/fuzz/fuzz.h"

const char fuzz_words[] =
    "format quarantine rows device platform reason owner expires a/b a/b:c a/* * dk nrf9160dk/nrf9160/ns 2026-12-24 2024-02-29 2026-02-29 "
    "9999-12-31 0000-00-00 1970-01-01 -1 1";

static const int64_t year_9999_ends_unix_s = 253402300800;

static void check_entry(const struct quarantine_entry *entry)
{
    int year, month, day;
    char rest;
    FUZZ_MUST(entry->place && entry->reason && entry->reason[0] && entry->owner && entry->owner[0]);
    FUZZ_MUST(entry->rows.count > 0 && entry->rows.count <= CASE_LIST_MAX);
    FUZZ_MUST(sscanf(entry->expires, "%4d-%2d-%2d%c", &year, &month, &day, &rest) == 3);
    FUZZ_MUST(month >= 1 && month <= 12 && day >= 1 && day <= 31);
    FUZZ_MUST(entry->expires_unix_s % 86400 == 0 && entry->expires_unix_s <= year_9999_ends_unix_s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct quarantine quarantine = {0};
    struct error error = ERROR_INIT;
    CLEANUP_FREE char *text = fuzz_text(data, size), *id = strdup("a/b:c"), *case_id = strdup("a/b");
    if (quarantine_read_text(text, size, "q.yaml", &quarantine, &error)) {
        fuzz_check_error(&error);
        FUZZ_MUST(error.owner == ERROR_OWNER_FILE && strncmp(error.text, "q.yaml", 6) == 0 && quarantine.count == 0);
        return 0;
    }
    struct case_row row = {.id = id, .case_id = case_id}, *rows[] = {&row};
    struct case_list list = {.rows = rows, .count = 1};
    FUZZ_MUST(quarantine.count <= QUARANTINE_MAX);
    for (size_t i = 0; i < quarantine.count; i++)
        check_entry(&quarantine.items[i]);
    bool fits = quarantine_check(&quarantine, &list, &error) == 0;
    if (!fits)
        fuzz_check_error(&error);
    const struct quarantine_entry *found = quarantine_find(&quarantine, &row, "dk", "nrf9160dk/nrf9160/ns");
    FUZZ_MUST(!found || (found >= quarantine.items && found < quarantine.items + quarantine.count));
    quarantine_done(&quarantine);
    return 0;
}
