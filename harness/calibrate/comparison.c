#include "harness/calibrate/comparison.h"

#include "base/bytes.h"
#include "base/cleanup.h"

#include <string.h>

enum { LINES_SHOWN_MAX = 10, TIMES_FACTOR = 2, TEXT_MAX_BYTES = 256 * 1024 };

/* ---- findings ---- */

static const char *verdict_of(const char *assumed, const char *observed, bool agrees)
{
    if (!observed || !assumed)
        return "not-observed";
    return agrees ? "confirmed" : "refuted";
}

/* Nothing that can be left out: NULL texts are. */
static cJSON *add_finding(cJSON *list, const char *id, const char *what, const char *assumed, const char *observed, bool agrees)
{
    cJSON *finding = cJSON_CreateObject();
    if (!finding || !cJSON_AddItemToArray(list, finding)) {
        cJSON_Delete(finding);
        return NULL;
    }
    if (json_set_string(finding, "id", id) || json_set_string(finding, "what", what) || json_set_string(finding, "assumed", assumed) ||
        json_set_string(finding, "observed", observed) || json_set_string(finding, "verdict", verdict_of(assumed, observed, agrees)))
        return NULL;
    return finding;
}

static const char *number(int64_t value, const char *unit, char text[32])
{
    if (value == MEASURE_UNKNOWN)
        return NULL;
    snprintf(text, 32, "%lld%s", (long long)value, unit);
    return text;
}

static int compare_errnos(cJSON *list, const struct measures *board, const struct measures *virtual_dk)
{
    for (size_t i = 0; i < MEASURE_CAUSE_COUNT; i++) {
        char id[64], what[128], assumed[32], observed[32];
        snprintf(id, sizeof id, "tls-errno.%s", measure_cause_name(i));
        snprintf(what, sizeof what, "errno after a TLS handshake that failed: %s%s", measure_cause_name(i),
                 board->is_tls_errno_mixed[i] ? " (the rows of this cause differ: the first)" : "");
        if (!add_finding(list, id, what, number(virtual_dk->tls_errno[i], "", assumed), number(board->tls_errno[i], "", observed),
                         board->tls_errno[i] == virtual_dk->tls_errno[i]))
            return -1;
    }
    return 0;
}

static bool is_near(int64_t a, int64_t b)
{
    if (a == MEASURE_UNKNOWN || b == MEASURE_UNKNOWN)
        return false;
    return a <= TIMES_FACTOR * b && b <= TIMES_FACTOR * a;
}

static int compare_times(cJSON *list, const struct measures *board, const struct measures *virtual_dk)
{
    const struct {
        const char *id, *what;
        struct measure_time assumed, observed;
    } times[] = {
        {"time.start", "banner to the application's first line", virtual_dk->start, board->start},
        {"time.attach", "from there until the network is there", virtual_dk->attach, board->attach},
        {"time.at", "an AT command to its answer", virtual_dk->at, board->at},
        {"time.write", "writing one credential", virtual_dk->write, board->write},
    };
    for (size_t i = 0; i < ARRAY_COUNT(times); i++) {
        char assumed[32], observed[32];
        if (!add_finding(list, times[i].id, times[i].what, number(times[i].assumed.ms, " ms", assumed),
                         number(times[i].observed.ms, " ms", observed), is_near(times[i].assumed.ms, times[i].observed.ms)))
            return -1;
    }
    return 0;
}

static char *join(const cJSON *list)
{
    struct bytes text = {.max_bytes = TEXT_MAX_BYTES};
    const cJSON *item;
    if (!list)
        return NULL;
    cJSON_ArrayForEach(item, list)
    {
        bytes_printf(&text, "%s%s", text.length_bytes ? " " : "", cJSON_GetStringValue(item));
    }
    char *joined = strdup(bytes_text(&text));
    bytes_done(&text);
    return joined;
}

static int compare_hello(cJSON *list, const struct measures *board, const struct measures *virtual_dk)
{
    CLEANUP_FREE char *versions = join(virtual_dk->versions), *seen_versions = join(board->versions);
    CLEANUP_FREE char *suites = join(virtual_dk->suites), *seen_suites = join(board->suites);
    bool same_versions = versions && seen_versions && strcmp(versions, seen_versions) == 0;
    bool same_suites = suites && seen_suites && strcmp(suites, seen_suites) == 0;
    return add_finding(list, "hello.versions", "TLS versions in the ClientHello", versions, seen_versions, same_versions) &&
                   add_finding(list, "hello.suites", "cipher suites in the ClientHello, in their order", suites, seen_suites, same_suites)
               ? 0
               : -1;
}

/* ---- lines ---- */

static bool has_line(const cJSON *list, const char *line)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        if (strcmp(cJSON_GetStringValue(item), line) == 0)
            return true;
    }
    return false;
}

static cJSON *lines_without(const cJSON *from, const cJSON *others)
{
    cJSON *left = cJSON_CreateArray();
    const cJSON *item;
    cJSON_ArrayForEach(item, from)
    {
        if (left && !has_line(others, cJSON_GetStringValue(item)))
            cJSON_AddItemToArray(left, cJSON_CreateString(cJSON_GetStringValue(item)));
    }
    return left;
}

static int compare_row_lines(cJSON *list, const cJSON *board, const cJSON *virtual_dk)
{
    char id[128], assumed[32], observed[32];
    CLEANUP_JSON cJSON *only_board = lines_without(board, virtual_dk), *only_virtual = lines_without(virtual_dk, board);
    if (!only_board || !only_virtual)
        return -1;
    snprintf(id, sizeof id, "lines.%s", board->string);
    cJSON *finding = add_finding(list, id, "kinds of console lines in this row", number(cJSON_GetArraySize(virtual_dk), "", assumed),
                                 number(cJSON_GetArraySize(board), "", observed),
                                 cJSON_GetArraySize(only_board) == 0 && cJSON_GetArraySize(only_virtual) == 0);
    return finding && json_set(finding, "only_board", TAKE(only_board)) == 0 && json_set(finding, "only_virtual", TAKE(only_virtual)) == 0
               ? 0
               : -1;
}

static int compare_lines(cJSON *list, const struct measures *board, const struct measures *virtual_dk)
{
    const cJSON *row;
    cJSON_ArrayForEach(row, board->lines)
    {
        const cJSON *other = json_member(virtual_dk->lines, row->string);
        if (other && compare_row_lines(list, row, other))
            return -1;
    }
    return 0;
}

cJSON *comparison_make(const struct measures *board, const struct measures *virtual_dk)
{
    CLEANUP_JSON cJSON *list = cJSON_CreateArray();
    if (!list || compare_errnos(list, board, virtual_dk) || compare_times(list, board, virtual_dk) ||
        compare_hello(list, board, virtual_dk) || compare_lines(list, board, virtual_dk))
        return NULL;
    return TAKE(list);
}

/* ---- for a person ---- */

static void print_lines(const cJSON *lines, const char *who, FILE *out)
{
    int count = 0;
    const cJSON *line;
    cJSON_ArrayForEach(line, lines)
    {
        if (count++ == LINES_SHOWN_MAX)
            break;
        fprintf(out, "      %s: %s\n", who, cJSON_GetStringValue(line));
    }
    if (cJSON_GetArraySize(lines) > LINES_SHOWN_MAX)
        fprintf(out, "      %s: and %d more\n", who, cJSON_GetArraySize(lines) - LINES_SHOWN_MAX);
}

void comparison_print(const cJSON *comparison, FILE *out)
{
    const cJSON *finding;
    cJSON_ArrayForEach(finding, comparison)
    {
        const char *assumed = json_string(finding, "assumed", "-"), *observed = json_string(finding, "observed", "-");
        bool is_long = strlen(assumed) > 20 || strlen(observed) > 20;
        fprintf(out, "  %-12s  %-34s  %s\n", json_string(finding, "verdict", ""), json_string(finding, "id", ""),
                json_string(finding, "what", ""));
        if (!is_long)
            fprintf(out, "      assumed %s, observed %s\n", assumed, observed);
        else if (strcmp(assumed, observed) != 0)
            fprintf(out, "      assumed  %s\n      observed %s\n", assumed, observed);
        print_lines(json_member(finding, "only_board"), "only the board", out);
        print_lines(json_member(finding, "only_virtual"), "only the virtual DK", out);
    }
}

/* ---- the profile ---- */

/* A device's own words: printable ASCII without quotes; nothing else comes through, so it needs no escapes. */
static void append_quoted(struct bytes *yaml, const char *text)
{
    bytes_append_text(yaml, "'");
    for (; *text; text++)
        if (*text >= ' ' && *text <= '~' && *text != '\'')
            bytes_printf(yaml, "%c", *text);
    bytes_append_text(yaml, "'");
}

static void append_pair(struct bytes *yaml, const char *key, const char *text)
{
    if (!*text)
        return;
    bytes_printf(yaml, "  %s: ", key);
    append_quoted(yaml, text);
    bytes_append_text(yaml, "\n");
}

static void append_time(struct bytes *yaml, const char *key, const struct measure_time *time)
{
    if (time->ms != MEASURE_UNKNOWN)
        bytes_printf(yaml, "  %s: %lld # median of %zu\n", key, (long long)time->ms, time->count);
}

static void append_list(struct bytes *yaml, const char *key, const cJSON *list)
{
    const cJSON *item;
    if (!list)
        return;
    bytes_printf(yaml, "  %s:\n", key);
    cJSON_ArrayForEach(item, list)
    {
        bytes_append_text(yaml, "    - ");
        append_quoted(yaml, cJSON_GetStringValue(item));
        bytes_append_text(yaml, "\n");
    }
}

static void append_errnos(struct bytes *yaml, const struct measures *board)
{
    bool has_any = false;
    for (size_t i = 0; i < MEASURE_CAUSE_COUNT; i++)
        has_any |= board->tls_errno[i] != MEASURE_UNKNOWN;
    if (has_any)
        bytes_append_text(yaml, "tls_errno:\n");
    for (size_t i = 0; i < MEASURE_CAUSE_COUNT; i++)
        if (board->tls_errno[i] != MEASURE_UNKNOWN)
            bytes_printf(yaml, "  %s: %lld%s\n", measure_cause_name(i), (long long)board->tls_errno[i],
                         board->is_tls_errno_mixed[i] ? " # the rows of this cause differ" : "");
}

static bool has_times(const struct measures *board)
{
    return board->start.ms != MEASURE_UNKNOWN || board->attach.ms != MEASURE_UNKNOWN || board->at.ms != MEASURE_UNKNOWN ||
           board->write.ms != MEASURE_UNKNOWN;
}

char *profile_write(const struct measures *board, const char *date)
{
    CLEANUP(bytes_done) struct bytes yaml = {.max_bytes = TEXT_MAX_BYTES};
    bytes_append_text(
        &yaml,
        "# What a board is like, as `dpsbench calibrate` saw it: docs/calibrate.md. For `dpsbench-vdk --hardware-profile`.\nformat: 1\n");
    bytes_append_text(&yaml, "title: ");
    append_quoted(&yaml, *board->model ? board->model : "a device");
    bytes_printf(&yaml, "\nobserved: '%s'\n", date);
    if (*board->model || *board->firmware || *board->banner)
        bytes_append_text(&yaml, "board:\n");
    append_pair(&yaml, "model", board->model);
    append_pair(&yaml, "firmware", board->firmware);
    append_pair(&yaml, "banner", board->banner);
    if (has_times(board))
        bytes_append_text(&yaml, "times_ms:\n");
    append_time(&yaml, "start", &board->start);
    append_time(&yaml, "attach", &board->attach);
    append_time(&yaml, "at", &board->at);
    append_time(&yaml, "write", &board->write);
    append_errnos(&yaml, board);
    if (board->suites || board->versions)
        bytes_append_text(&yaml, "client_hello:\n");
    append_list(&yaml, "versions", board->versions);
    append_list(&yaml, "suites", board->suites);
    return strdup(bytes_text(&yaml));
}
