#include "harness/case/quarantine.h"

#include "base/cleanup.h"
#include "base/files.h"
#include "harness/case/select.h"

#include <string.h>
#include <time.h>

DEFINE_CLEANUP(struct yaml *, yaml_free)

enum { SECONDS_A_DAY = 24 * 60 * 60, DATE_LENGTH = 10 };

/* ---- reading ---- */

static int read_text(struct yaml_node map, const char *key, bool is_required, char **ret_text, struct error *error)
{
    struct yaml_node node = yaml_get(map, key);
    const char *text;
    if (!is_required && yaml_is_null(node))
        return 0;
    if (yaml_require(map, key, &node, error) || yaml_read_string(node, &text, error))
        return -1;
    if (!*text)
        return yaml_fail(node, error, "`%s` is empty", key);
    *ret_text = strdup(text);
    return *ret_text ? 0 : error_set_memory(error);
}

/* A day that there is: timegm() takes the 31st of June for the 1st of July. */
static int read_day(struct yaml_node node, const char *text, int64_t *ret_end_unix_s, struct error *error)
{
    struct tm day = {0};
    const char *end = strlen(text) == DATE_LENGTH ? strptime(text, "%Y-%m-%d", &day) : NULL;
    struct tm wanted = day;
    time_t begin = end && !*end ? timegm(&day) : -1;
    if (begin < 0 || day.tm_mday != wanted.tm_mday || day.tm_mon != wanted.tm_mon)
        return yaml_fail(node, error, "'%s' is no day; the last day of the quarantine must stand here, as in 2026-12-24", text);
    *ret_end_unix_s = (int64_t)begin + SECONDS_A_DAY;
    return 0;
}

static int read_entry(struct yaml_node map, struct quarantine_entry *entry, struct error *error)
{
    static const char *const keys[] = {"rows", "device", "platform", "reason", "owner", "expires", NULL};
    if (yaml_check_keys(map, "a quarantine", keys, error) || select_read(map, &entry->rows, error) ||
        read_text(map, "device", false, &entry->device, error) || read_text(map, "platform", false, &entry->platform, error) ||
        read_text(map, "reason", true, &entry->reason, error) || read_text(map, "owner", true, &entry->owner, error) ||
        read_text(map, "expires", true, &entry->expires, error) ||
        read_day(yaml_get(map, "expires"), entry->expires, &entry->expires_unix_s, error))
        return -1;
    if (asprintf(&entry->place, "%s:%d:%d", yaml_name(map.yaml), map.line, map.column) >= 0)
        return 0;
    entry->place = NULL;
    return error_set_memory(error);
}

static int read_entries(struct yaml_node root, struct quarantine *quarantine, struct error *error)
{
    static const char *const keys[] = {"format", "quarantine", NULL};
    struct yaml_node list = yaml_get(root, "quarantine");
    if (yaml_check_format(root, "quarantine files", QUARANTINE_FORMAT, error) || yaml_check_keys(root, QUARANTINE_FILE, keys, error))
        return -1;
    if (!yaml_is_list(list) || yaml_count(list) > QUARANTINE_MAX)
        return yaml_fail(yaml_is_there(list) ? list : root, error, "`quarantine` must be a list of at most %d", QUARANTINE_MAX);
    quarantine->items = calloc(yaml_count(list) + 1, sizeof *quarantine->items);
    if (!quarantine->items)
        return error_set_memory(error);
    for (size_t i = 0; i < yaml_count(list); i++) {
        quarantine->count++;
        if (read_entry(yaml_item_at(list, i), &quarantine->items[i], error))
            return -1;
    }
    return 0;
}

int quarantine_read_text(const char *text, size_t length_bytes, const char *name, struct quarantine *ret_quarantine, struct error *error)
{
    CLEANUP(yaml_free_cleanup) struct yaml *yaml = yaml_read_text(text, length_bytes, name, error);
    struct quarantine quarantine = {0};
    if (!yaml || read_entries(yaml_root(yaml), &quarantine, error)) {
        quarantine_done(&quarantine);
        return -1;
    }
    *ret_quarantine = quarantine;
    return 0;
}

int quarantine_read(const char *path, const char *shown, struct quarantine *ret_quarantine, struct error *error)
{
    CLEANUP(bytes_done) struct bytes text = {0};
    if (file_read(path, YAML_FILE_MAX_BYTES, &text, error))
        return -1;
    return quarantine_read_text(bytes_text(&text), text.length_bytes, shown, ret_quarantine, error);
}

void quarantine_done(struct quarantine *quarantine)
{
    for (size_t i = 0; i < quarantine->count; i++) {
        struct quarantine_entry *entry = &quarantine->items[i];
        char *texts[] = {entry->place, entry->device, entry->platform, entry->reason, entry->owner, entry->expires};
        for (size_t j = 0; j < ARRAY_COUNT(texts); j++)
            free(texts[j]);
        text_list_done(&entry->rows);
    }
    free(quarantine->items);
    *quarantine = (struct quarantine){0};
}

/* ---- looking ---- */

static int check_rows(const struct quarantine_entry *entry, const struct case_list *list, struct error *error)
{
    for (size_t i = 0; i < entry->rows.count; i++) {
        bool is_used = false;
        for (size_t j = 0; j < list->count && !is_used; j++)
            is_used = select_fits(entry->rows.items[i], list->rows[j]);
        if (!is_used)
            return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "%s: no case or row fits '%s'", entry->place, entry->rows.items[i]);
    }
    return 0;
}

int quarantine_check(const struct quarantine *quarantine, const struct case_list *list, struct error *error)
{
    for (size_t i = 0; i < quarantine->count; i++)
        if (check_rows(&quarantine->items[i], list, error))
            return -1;
    return 0;
}

static bool means(const struct quarantine_entry *entry, const struct case_row *row, const char *device, const char *platform)
{
    if ((entry->device && strcmp(entry->device, device) != 0) || (entry->platform && (!platform || strcmp(entry->platform, platform) != 0)))
        return false;
    for (size_t i = 0; i < entry->rows.count; i++)
        if (select_fits(entry->rows.items[i], row))
            return true;
    return false;
}

const struct quarantine_entry *quarantine_find(const struct quarantine *quarantine, const struct case_row *row, const char *device,
                                               const char *platform)
{
    for (size_t i = 0; i < quarantine->count; i++)
        if (means(&quarantine->items[i], row, device, platform))
            return &quarantine->items[i];
    return NULL;
}
