#include "reports/junit.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/files.h"
#include "base/json.h"
#include "reports/account.h"
#include "reports/clean_text.h"

#include <libxml/xmlwriter.h>
#include <string.h>
#include <time.h>

enum { JUNIT_MAX_BYTES = 64 * 1024 * 1024, HOST_MAX_BYTES = 256 };

DEFINE_CLEANUP(xmlBufferPtr, xmlBufferFree)

/* ---- the writer, with one sticky error ---- */

struct junit {
    xmlTextWriterPtr writer;
    const struct key *keys; /* of the rows, in their order */
    bool has_failed;        /* out of memory */
};

static void check(struct junit *junit, int result)
{
    junit->has_failed |= result < 0;
}

static void start(struct junit *junit, const char *element)
{
    check(junit, xmlTextWriterStartElement(junit->writer, BAD_CAST element));
}

static void end(struct junit *junit)
{
    check(junit, xmlTextWriterEndElement(junit->writer));
}

static void attribute(struct junit *junit, const char *name, const char *text)
{
    CLEANUP_FREE char *clean = clean_text(text, CLEAN_TEXT_ONE_LINE);
    check(junit, clean ? xmlTextWriterWriteAttribute(junit->writer, BAD_CAST name, BAD_CAST(*clean ? clean : "?")) : -1);
}

static void attribute_number(struct junit *junit, const char *name, size_t number)
{
    check(junit, xmlTextWriterWriteFormatAttribute(junit->writer, BAD_CAST name, "%zu", number));
}

static void attribute_time(struct junit *junit, int64_t ms)
{
    check(junit, xmlTextWriterWriteFormatAttribute(junit->writer, BAD_CAST "time", "%.3f", (double)ms / 1000));
}

static void content(struct junit *junit, const char *text)
{
    CLEANUP_FREE char *clean = clean_text(text, CLEAN_TEXT_LINES);
    check(junit, clean ? xmlTextWriterWriteString(junit->writer, BAD_CAST clean) : -1);
}

/* ---- rows of one device ---- */

static const char *text_or(const char *text, const char *fallback)
{
    return text ? text : fallback;
}

static bool is_same_device(const struct result_row *a, const struct result_row *b)
{
    return strcmp(text_or(a->device, ""), text_or(b->device, "")) == 0;
}

static bool is_first_of_device(const struct result_run *run, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (is_same_device(&run->rows[i], &run->rows[index]))
            return false;
    return true;
}

struct tally {
    size_t tests, failures, errors, skipped;
    int64_t duration_ms;
};

/* A quarantined row that is not well is skipped: it must not fail a job, and a reader shall see it. */
static enum verdict shown_verdict(const struct result_row *row)
{
    return row->verdict >= VERDICT_INCONCLUSIVE && result_row_is_quarantined(row) ? VERDICT_SKIP : row->verdict;
}

static void count(struct tally *tally, const struct result_row *row)
{
    enum verdict verdict = shown_verdict(row);
    tally->tests++;
    tally->failures += verdict == VERDICT_FAIL;
    tally->errors += verdict == VERDICT_INCONCLUSIVE || verdict == VERDICT_ERROR;
    tally->skipped += verdict == VERDICT_SKIP || verdict == VERDICT_KNOWN;
    tally->duration_ms += row->duration_ms;
}

/* `of`: count the rows of its device; NULL: all. */
static struct tally tally_of(const struct result_run *run, const struct result_row *of)
{
    struct tally tally = {0};
    for (size_t i = 0; run->rows && i < run->row_count; i++)
        if (!of || is_same_device(of, &run->rows[i]))
            count(&tally, &run->rows[i]);
    return tally;
}

static void write_tally(struct junit *junit, const struct tally *tally)
{
    attribute_number(junit, "tests", tally->tests);
    attribute_number(junit, "failures", tally->failures);
    attribute_number(junit, "errors", tally->errors);
    attribute_number(junit, "skipped", tally->skipped);
    attribute_time(junit, tally->duration_ms);
}

/* ---- one row ---- */

/* What a reader knows a row by. */
struct key {
    char *class;
    char *name;
};

static void free_keys(struct key *keys, size_t count)
{
    for (size_t i = 0; keys && i < count; i++) {
        free(keys[i].class);
        free(keys[i].name);
    }
    free(keys);
}

static int make_key(const struct result_row *row, struct key *key)
{
    CLEANUP_FREE char *class = NULL;
    const char *id = text_or(row->id, "?"), *slash = strchr(id, '/');
    result_setf(&class, "%s%s%.*s", text_or(row->device, "?"), slash ? "." : "", slash ? (int)(slash - id) : 0, id);
    key->class = clean_text(class, CLEAN_TEXT_ONE_LINE);
    key->name = clean_text(slash ? slash + 1 : id, CLEAN_TEXT_ONE_LINE);
    return class && key->class && key->name ? 0 : -1;
}

static size_t count_same_before(const struct key *keys, size_t index)
{
    size_t same = 0;
    for (size_t i = 0; i < index; i++)
        same += strcmp(keys[i].name, keys[index].name) == 0 && strcmp(keys[i].class, keys[index].class) == 0;
    return same;
}

static struct key *make_keys(const struct result_run *run)
{
    struct key *keys = calloc(run->row_count + 1, sizeof *keys);
    for (size_t i = 0; keys && i < run->row_count; i++)
        if (make_key(&run->rows[i], &keys[i])) {
            free_keys(keys, run->row_count);
            return NULL;
        }
    return keys;
}

static void write_key(struct junit *junit, size_t index)
{
    const struct key *key = &junit->keys[index];
    CLEANUP_FREE char *name = NULL;
    size_t before = count_same_before(junit->keys, index);
    if (before)
        result_setf(&name, "%s (%zu)", key->name, before + 1);
    attribute(junit, "classname", key->class);
    attribute(junit, "name", name ? name : key->name);
}

static char *account_text(const struct result_row *row)
{
    CLEANUP(bytes_done) struct bytes text = {.max_bytes = JUNIT_MAX_BYTES};
    struct account_line lines[ACCOUNT_LINES_MAX];
    size_t line_count = account_lines(&row->account, lines);
    for (size_t i = 0; i < line_count; i++)
        bytes_printf(&text, "%s: %s\n", lines[i].label, lines[i].text);
    return strdup(bytes_text(&text));
}

static char *message_of(const struct result_row *row)
{
    char *message = NULL;
    const char *text = text_or(row->reason.text, verdict_name(row->verdict));
    if (shown_verdict(row) != row->verdict)
        result_setf(&message, "quarantined until %s by %s (%s): %s: %s", text_or(row->quarantine.expires, "?"),
                    text_or(row->quarantine.owner, "?"), row->quarantine.reason, verdict_name(row->verdict), text);
    else
        result_setf(&message, "%s%s", row->is_unstable ? "unstable, passed when it was run again: " : "", text);
    return message;
}

static void write_reason(struct junit *junit, const struct result_row *row)
{
    static const char *const elements[] = {[VERDICT_SKIP] = "skipped",
                                           [VERDICT_KNOWN] = "skipped", /* neither passed nor news; nothing in the format comes nearer */
                                           [VERDICT_INCONCLUSIVE] = "error",
                                           [VERDICT_FAIL] = "failure",
                                           [VERDICT_ERROR] = "error"};
    CLEANUP_FREE char *text = account_text(row), *message = message_of(row);
    enum verdict shown = shown_verdict(row);
    if (row->verdict == VERDICT_PASS)
        return;
    start(junit, elements[shown]);
    attribute(junit, "message", text_or(message, ""));
    attribute(junit, "type", shown != row->verdict ? "quarantined" : verdict_name(row->verdict));
    if (shown >= VERDICT_INCONCLUSIVE)
        content(junit, text);
    end(junit);
}

/* What a reader of a passed or known row may want to know: why the device was refused, and what is known about it. */
static void write_output(struct junit *junit, const struct result_row *row)
{
    bool has_account_here = shown_verdict(row) < VERDICT_INCONCLUSIVE && row->verdict != VERDICT_SKIP;
    CLEANUP_FREE char *account = has_account_here ? account_text(row) : strdup("");
    CLEANUP(bytes_done) struct bytes text = {.max_bytes = JUNIT_MAX_BYTES};
    bytes_append_text(&text, text_or(account, ""));
    for (size_t i = 0; i < row->attempt_count; i++)
        bytes_printf(&text, "attempt %zu: %s%s%s\n", i + 1, verdict_name(row->attempts[i].verdict), row->attempts[i].reason ? ", " : "",
                     text_or(row->attempts[i].reason, ""));
    if (row->interruptions)
        bytes_printf(&text, "interrupted %u times, run again\n", row->interruptions);
    for (size_t i = 0; i < row->finding_count; i++)
        bytes_printf(&text, "%s: %s (%s)\n", row->findings[i].kind == RESULT_FINDING_FIXED ? "fixed" : "known finding",
                     text_or(row->findings[i].text, ""), text_or(row->findings[i].source, "no source"));
    if (text.length_bytes == 0)
        return;
    start(junit, "system-out");
    content(junit, bytes_text(&text));
    end(junit);
}

static void write_row(struct junit *junit, const struct result_run *run, size_t index)
{
    const struct result_row *row = &run->rows[index];
    start(junit, "testcase");
    write_key(junit, index);
    attribute_time(junit, row->duration_ms);
    write_reason(junit, row);
    write_output(junit, row);
    end(junit);
}

/* ---- one device ---- */

static void property(struct junit *junit, const char *name, const char *value)
{
    if (!value)
        return;
    start(junit, "property");
    attribute(junit, "name", name);
    attribute(junit, "value", value);
    end(junit);
}

static const cJSON *find_device(const struct result_run *run, const char *id)
{
    const cJSON *device;
    cJSON_ArrayForEach(device, run->devices)
    {
        if (strcmp(json_string(device, "id", ""), text_or(id, "")) == 0)
            return device;
    }
    return NULL;
}

/* "version.simulator.mosquitto" */
static void write_versions(struct junit *junit, const cJSON *of)
{
    const cJSON *version;
    cJSON_ArrayForEach(version, of)
    {
        CLEANUP_FREE char *name = NULL;
        result_setf(&name, "version.%s.%s", of->string, version->string);
        property(junit, text_or(name, "version"), cJSON_IsString(version) ? version->valuestring : NULL);
    }
}

static void write_properties(struct junit *junit, const struct result_run *run, const char *device_id)
{
    static const char *const names[] = {"product", "platform", "personality", "registration_id", "client", "judged_on"};
    const cJSON *device = find_device(run, device_id), *of;
    start(junit, "properties");
    property(junit, "run", text_or(run->id, "?"));
    property(junit, "complete", run->ended_unix_us ? "true" : "false");
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        property(junit, names[i], json_string(device, names[i], NULL));
    property(junit, "firmware", json_string(json_member(device, "identity"), "firmware", NULL));
    cJSON_ArrayForEach(of, run->versions)
    {
        write_versions(junit, of);
    }
    end(junit);
}

/* xs:dateTime as the strictest reader wants it: no fraction, no zone; UTC. */
static void write_time(struct junit *junit, int64_t unix_us)
{
    char text[32];
    time_t seconds = (time_t)(unix_us / 1000000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
    attribute(junit, "timestamp", text);
}

static void write_host(struct junit *junit)
{
    char host[HOST_MAX_BYTES] = "";
    if (gethostname(host, sizeof host - 1) || !host[0])
        snprintf(host, sizeof host, "localhost");
    attribute(junit, "hostname", host);
}

static void write_suite(struct junit *junit, const struct result_run *run, size_t first)
{
    const struct result_row *of = &run->rows[first];
    struct tally tally = tally_of(run, of);
    start(junit, "testsuite");
    attribute(junit, "name", text_or(of->device, "?"));
    write_tally(junit, &tally);
    write_time(junit, of->started_unix_us);
    write_host(junit);
    write_properties(junit, run, of->device);
    for (size_t i = first; i < run->row_count; i++)
        if (is_same_device(of, &run->rows[i]))
            write_row(junit, run, i);
    end(junit);
}

/* ---- the document ---- */

static void write_document(struct junit *junit, const struct result_run *run)
{
    struct tally all = tally_of(run, NULL);
    check(junit, xmlTextWriterSetIndent(junit->writer, 1));
    check(junit, xmlTextWriterStartDocument(junit->writer, NULL, "UTF-8", NULL));
    start(junit, "testsuites");
    attribute(junit, "name", "dpsbench");
    write_tally(junit, &all);
    for (size_t i = 0; i < run->row_count; i++)
        if (is_first_of_device(run, i))
            write_suite(junit, run, i);
    end(junit);
    check(junit, xmlTextWriterEndDocument(junit->writer));
}

static int print(const struct result_run *run, const struct key *keys, xmlBufferPtr buffer)
{
    struct junit junit = {.writer = buffer && keys ? xmlNewTextWriterMemory(buffer, 0) : NULL, .keys = keys};
    if (!junit.writer)
        return -1;
    write_document(&junit, run);
    xmlFreeTextWriter(junit.writer);
    return junit.has_failed ? -1 : 0;
}

static int print_all(const struct result_run *run, struct bytes *ret_xml, struct error *error)
{
    CLEANUP(xmlBufferFree_cleanup) xmlBufferPtr buffer = xmlBufferCreate();
    struct key *keys = make_keys(run);
    int failed = print(run, keys, buffer);
    free_keys(keys, run->row_count);
    struct bytes xml = {.max_bytes = JUNIT_MAX_BYTES};
    if (failed || bytes_append(&xml, xmlBufferContent(buffer), (size_t)xmlBufferLength(buffer))) {
        bytes_done(&xml);
        return error_set_memory(error);
    }
    *ret_xml = xml;
    return 0;
}

/* Rows that did not run are skipped test cases behind the others: a reader shall miss them. */
int junit_print(const struct result_run *run, struct bytes *ret_xml, struct error *error)
{
    struct result_run all = *run;
    size_t count = run->row_count + run->not_run_count;
    CLEANUP_FREE struct result_row *rows = calloc(count + 1, sizeof *rows);
    if (!rows)
        return error_set_memory(error);
    for (size_t i = 0; i < count; i++)
        rows[i] = i < run->row_count ? run->rows[i] : run->not_run[i - run->row_count];
    all.rows = rows;
    all.row_count = count;
    return print_all(&all, ret_xml, error);
}

int junit_write(const struct result_run *run, struct error *error)
{
    CLEANUP(bytes_done) struct bytes xml = {0};
    CLEANUP_FREE char *path = path_join(run->directory, JUNIT_FILE);
    if (!path)
        return error_set_memory(error);
    if (junit_print(run, &xml, error))
        return -1;
    return run->ended_unix_us ? file_write_atomic(path, xml.data, xml.length_bytes, 0644, error)
                              : file_write_unsynced(path, xml.data, xml.length_bytes, 0644, error);
}
