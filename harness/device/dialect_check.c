#include "harness/device/dialect_check.h"

#include "base/cleanup.h"
#include "harness/device/console_record.h"
#include "harness/serial/line_reader.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { TABLE_SIZE = 2 * DIALECT_CHECK_GROUPS_MAX, NO_GROUP = -1 };

struct dialect_check {
    const struct dialect *dialect;
    dialect_check_fn *on_line;
    void *user;
    struct line_reader reader;
    struct dialect_state state;
    struct console_records records; /* for what is open alone */
    struct zephyr_line zephyr;
    uint64_t counts[DIALECT_FINDING_COUNT];
    uint64_t ungrouped;
    uint64_t *entry_counts;
    struct dialect_missed groups[DIALECT_CHECK_GROUPS_MAX];
    size_t group_count;
    int table[TABLE_SIZE]; /* open addressing by the hash of a line without its numbers */
};

const char *dialect_finding_name(enum dialect_finding finding)
{
    static const char *const names[] = {
#define X(id, name) [id] = name,
        DIALECT_FINDINGS(X)
#undef X
    };
    return names[finding];
}

/* ---- what somebody put in front of a line */

/* '#' stands for a digit. */
static bool fits(const char *text, size_t length, const char *form)
{
    if (length < strlen(form))
        return false;
    for (; *form; form++, text++)
        if (*form == '#' ? !isdigit((unsigned char)*text) : *form != *text)
            return false;
    return true;
}

/* console.log of a run, and the time stamps of tio; Zephyr's own have six digits behind the seconds. */
static size_t foreign_time_length(const char *text, size_t length)
{
    static const char *const forms[] = {"####-##-##T##:##:##.######Z ", "[##:##:##.###] "};
    for (size_t i = 0; i < ARRAY_COUNT(forms); i++)
        if (fits(text, length, forms[i]))
            return strlen(forms[i]);
    return 0;
}

/* ---- missed lines */

/* The next character of a line's kind: a run of digits is one '#'. 0: the end. */
static int next_of_kind(const char **at)
{
    int c = (unsigned char)**at;
    if (isdigit(c)) {
        *at += strspn(*at, "0123456789");
        return '#';
    }
    *at += c != 0;
    return c;
}

static bool is_same_kind(const char *one, const char *other)
{
    for (int c; (c = next_of_kind(&one)) == next_of_kind(&other);)
        if (!c)
            return true;
    return false;
}

static void sample(const struct zephyr_line *zephyr, char text[DIALECT_CHECK_SAMPLE_MAX_BYTES + 1])
{
    snprintf(text, DIALECT_CHECK_SAMPLE_MAX_BYTES + 1, "%s", zephyr->message);
}

/* FNV-1a. */
static uint32_t hash_of(const struct zephyr_line *zephyr, const char *message)
{
    uint32_t hash = 2166136261U ^ (uint32_t)zephyr->level;
    for (const char *at = zephyr->module; *at; at++)
        hash = (hash ^ (unsigned char)*at) * 16777619U;
    for (int c; (c = next_of_kind(&message));)
        hash = (hash ^ (uint32_t)c) * 16777619U;
    return hash;
}

static bool is_group(const struct dialect_missed *group, const struct zephyr_line *zephyr, const char *message)
{
    return group->level == zephyr->level && strcmp(group->module, zephyr->module) == 0 && is_same_kind(group->message, message);
}

/* NULL: there are too many. */
static struct dialect_missed *find_group(struct dialect_check *check, const char *message)
{
    const struct zephyr_line *zephyr = &check->zephyr;
    size_t slot = hash_of(zephyr, message) % TABLE_SIZE;
    for (; check->table[slot] != NO_GROUP; slot = (slot + 1) % TABLE_SIZE)
        if (is_group(&check->groups[check->table[slot]], zephyr, message))
            return &check->groups[check->table[slot]];
    if (check->group_count == DIALECT_CHECK_GROUPS_MAX)
        return NULL;
    struct dialect_missed *group = &check->groups[check->group_count];
    check->table[slot] = (int)check->group_count++;
    *group = (struct dialect_missed){.first_line = 0, .level = zephyr->level};
    memcpy(group->module, zephyr->module, sizeof(group->module));
    memcpy(group->message, message, DIALECT_CHECK_SAMPLE_MAX_BYTES + 1);
    return group;
}

static void count_missed(struct dialect_check *check, uint64_t number)
{
    char message[DIALECT_CHECK_SAMPLE_MAX_BYTES + 1] = "";
    sample(&check->zephyr, message);
    struct dialect_missed *group = find_group(check, message);
    if (!group) {
        check->ungrouped++;
        return;
    }
    if (!group->count++)
        group->first_line = number;
}

static int compare_groups(const void *one, const void *other)
{
    const struct dialect_missed *a = one, *b = other;
    if (a->count != b->count)
        return a->count < b->count ? 1 : -1;
    return a->first_line < b->first_line ? -1 : a->first_line > b->first_line;
}

/* ---- lines */

static bool starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

static bool is_at_text(const char *text)
{
    return strcmp(text, "OK") == 0 || strcmp(text, "ERROR") == 0 || strcmp(text, "AT") == 0 || starts_with(text, "AT+") ||
           starts_with(text, "AT%") || starts_with(text, "+CME ERROR") || starts_with(text, "+CMS ERROR");
}

static enum dialect_finding find(struct dialect_check *check, const struct line *line, struct dialect_match *match)
{
    const struct zephyr_line *zephyr = &check->zephyr;
    if (!line->is_continued && dialect_find(check->dialect, &check->state, zephyr, match))
        return DIALECT_RECOGNISED;
    if (!zephyr->text[0])
        return DIALECT_EMPTY;
    if (zephyr_line_is_garbled(zephyr))
        return DIALECT_UNREADABLE;
    if (console_records_has_in_dump(&check->records, zephyr))
        return DIALECT_TYPED;
    if (zephyr->kind == ZEPHYR_LOG)
        return DIALECT_MISSED;
    if (strcmp(console_record_type(zephyr), zephyr_kind_name(ZEPHYR_OTHER)) != 0)
        return DIALECT_TYPED;
    return is_at_text(zephyr->text) ? DIALECT_AT : DIALECT_MISSED;
}

static void drop_record(void *user, const char *event, const struct line *line, cJSON *fields)
{
    (void)user, (void)event, (void)line;
    cJSON_Delete(fields);
}

static void on_line(void *user, const struct line *line)
{
    struct dialect_check *check = user;
    struct dialect_match match = {0};
    size_t skip = line->is_continued ? 0 : foreign_time_length(line->text, line->length_bytes);
    zephyr_line_read(line->text + skip, line->length_bytes - skip, &check->zephyr);
    enum dialect_finding finding = find(check, line, &match);
    console_records_end(&check->records, &check->zephyr);
    console_records_take(&check->records, line, &check->zephyr);
    check->counts[finding]++;
    if (finding == DIALECT_RECOGNISED)
        check->entry_counts[match.entry]++;
    if (finding == DIALECT_MISSED)
        count_missed(check, line->number);
    if (check->on_line)
        check->on_line(check->user, &(struct dialect_check_line){.number = line->number,
                                                                 .finding = finding,
                                                                 .zephyr = &check->zephyr,
                                                                 .match = finding == DIALECT_RECOGNISED ? &match : NULL});
    cJSON_Delete(match.fields);
}

/* ---- the whole */

struct dialect_check *dialect_check_new(const struct dialect *dialect, dialect_check_fn *on_line_, void *user)
{
    struct dialect_check *check = calloc(1, sizeof(*check));
    uint64_t *entry_counts = calloc(dialect_entry_count(dialect), sizeof(*entry_counts));
    if (!check || !entry_counts) {
        free(check);
        free(entry_counts);
        return NULL;
    }
    check->dialect = dialect;
    check->on_line = on_line_;
    check->user = user;
    check->entry_counts = entry_counts;
    for (size_t i = 0; i < TABLE_SIZE; i++)
        check->table[i] = NO_GROUP;
    line_reader_init(&check->reader, on_line, check);
    console_records_init(&check->records, drop_record, NULL);
    return check;
}

void dialect_check_free(struct dialect_check *check)
{
    if (!check)
        return;
    console_records_done(&check->records);
    free(check->entry_counts);
    free(check);
}

void dialect_check_feed(struct dialect_check *check, const void *data, size_t length_bytes)
{
    line_reader_feed(&check->reader, data, length_bytes, 0, 0);
}

void dialect_check_end(struct dialect_check *check)
{
    line_reader_flush(&check->reader);
    qsort(check->groups, check->group_count, sizeof(check->groups[0]), compare_groups);
}

uint64_t dialect_check_count(const struct dialect_check *check, enum dialect_finding finding)
{
    return check->counts[finding];
}

uint64_t dialect_check_entry_count(const struct dialect_check *check, size_t entry)
{
    return check->entry_counts[entry];
}

const struct dialect_missed *dialect_check_missed(const struct dialect_check *check, size_t *ret_count)
{
    *ret_count = check->group_count;
    return check->groups;
}

uint64_t dialect_check_ungrouped(const struct dialect_check *check)
{
    return check->ungrouped;
}
