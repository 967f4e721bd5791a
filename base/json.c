#include "base/json.h"

#include "base/bytes.h"
#include "base/files.h"
#include "base/utf8.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

static const double INTEGER_MAX = 9007199254740992.0; /* 2^53 */

static void place_of(const char *text, const char *at, int *ret_line, int *ret_column)
{
    *ret_line = 1;
    *ret_column = 1;
    for (const char *c = text; c < at; c++) {
        *ret_column = *c == '\n' ? 1 : *ret_column + 1;
        *ret_line += *c == '\n';
    }
}

struct scan {
    bool is_too_deep;
    const char *nul; /* the first NUL byte, raw or escaped */
};

/* cJSON takes a NUL byte for white space or for the end of a string: what another reader sees would differ. */
static struct scan scan_text(const char *text, size_t length_bytes)
{
    struct scan scan = {0};
    int depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < length_bytes && !scan.nul; i++) {
        char c = text[i];
        if (!c || (in_string && length_bytes - i >= 6 && memcmp(text + i, "\\u0000", 6) == 0))
            scan.nul = text + i;
        else if (in_string && c == '\\')
            i++;
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string && (c == '{' || c == '['))
            scan.is_too_deep |= ++depth > JSON_DEPTH_MAX;
        else if (!in_string && (c == '}' || c == ']'))
            depth--;
    }
    return scan;
}

static int check_text(const char *text, size_t length_bytes, const char *name, struct error *error)
{
    struct scan scan = scan_text(text, length_bytes);
    if (scan.is_too_deep)
        return error_set(error, ERROR_OWNER_FILE, ERROR_LIMIT, "%s: JSON is nested deeper than %d", name, JSON_DEPTH_MAX);
    if (!scan.nul)
        return 0;
    int line, column;
    place_of(text, scan.nul, &line, &column);
    return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "%s:%d:%d: a NUL character is not allowed", name, line, column);
}

/* cJSON reads past the value only with require_null_terminated; that needs a NUL inside the length. */
cJSON *json_parse(const char *text, size_t length_bytes, const char *name, struct error *error)
{
    CLEANUP(bytes_done) struct bytes copy;
    bytes_init(&copy, length_bytes);
    if (bytes_append(&copy, text, length_bytes)) {
        error_set_memory(error);
        return NULL;
    }
    if (check_text(text, length_bytes, name, error))
        return NULL;
    const char *end = bytes_text(&copy);
    cJSON *json = cJSON_ParseWithLengthOpts(bytes_text(&copy), length_bytes + 1, &end, true);
    if (!json) {
        int line, column;
        place_of(bytes_text(&copy), end, &line, &column);
        error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "%s:%d:%d: not valid JSON here", name, line, column);
    }
    return json;
}

cJSON *json_read_file(const char *path, struct error *error)
{
    CLEANUP(bytes_done) struct bytes all = {0};
    if (file_read(path, JSON_FILE_MAX_BYTES, &all, error))
        return NULL;
    return json_parse(bytes_text(&all), all.length_bytes, path, error);
}

int json_write_file(const char *path, const cJSON *json, mode_t mode, struct error *error)
{
    CLEANUP_FREE char *text = json_print_pretty(json);
    if (!text)
        return error_set_memory(error);
    return file_write_atomic(path, text, strlen(text), mode, error);
}

static void put_escaped(struct bytes *out, uint32_t point)
{
    if (point >= 0x10000)
        bytes_printf(out, "\\u%04x\\u%04x", 0xD800 + ((point - 0x10000) >> 10), 0xDC00 + ((point - 0x10000) & 0x3FF));
    else
        bytes_printf(out, "\\u%04x", point);
}

/* cJSON prints 1790000000000000 as 1.79e+15: right, and unreadable. Gives the length of the number read. */
static size_t put_number(struct bytes *out, const char *text)
{
    size_t length = strspn(text, "0123456789+-.eE");
    double value = strtod(text, NULL);
    bool is_integer = fabs(value) <= INTEGER_MAX && value == floor(value);
    if (is_integer && memchr(text, 'e', length))
        bytes_printf(out, "%.0f", value);
    else
        bytes_append(out, text, length);
    return length;
}

static char *escape_to_ascii(const char *text)
{
    CLEANUP(bytes_done) struct bytes out;
    bytes_init(&out, 6 * strlen(text) + 2);
    bool in_string = false;
    for (const char *c = text; *c;) {
        if (!in_string && (*c == '-' || isdigit((unsigned char)*c))) {
            c += put_number(&out, c);
        } else if ((unsigned char)*c >= 0x80) {
            put_escaped(&out, utf8_decode(&c));
        } else {
            in_string ^= *c == '"';
            if (*c == '\\')
                bytes_append_byte(&out, (uint8_t)*c++);
            bytes_append_byte(&out, (uint8_t)*c++);
        }
    }
    return strdup(bytes_text(&out));
}

static char *print(const cJSON *json, bool pretty)
{
    char *raw = pretty ? cJSON_Print(json) : cJSON_PrintUnformatted(json);
    if (!raw)
        return NULL;
    char *ascii = escape_to_ascii(raw);
    cJSON_free(raw);
    return ascii;
}

char *json_print_line(const cJSON *json)
{
    return print(json, false);
}

/* cJSON indents with tabs; people and diff tools expect spaces, and a final newline. */
char *json_print_pretty(const cJSON *json)
{
    CLEANUP_FREE char *raw = print(json, true);
    if (!raw)
        return NULL;
    CLEANUP(bytes_done) struct bytes out;
    bytes_init(&out, 3 * strlen(raw) + 2);
    bool at_start = true;
    for (const char *c = raw; *c; c++) {
        if (at_start && *c == '\t') {
            bytes_append_text(&out, "  ");
        } else if (*c == '\t') {
            bytes_append_byte(&out, ' ');
        } else {
            bytes_append_byte(&out, (uint8_t)*c);
            at_start = *c == '\n';
        }
    }
    bytes_append_byte(&out, '\n');
    return strdup(bytes_text(&out));
}

const cJSON *json_member(const cJSON *object, const char *name)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(object, name);
    return member && !cJSON_IsNull(member) ? member : NULL;
}

const cJSON *json_path(const cJSON *object, const char *dotted)
{
    while (object && dotted) {
        char name[128];
        const char *dot = strchr(dotted, '.');
        snprintf(name, sizeof name, "%.*s", dot ? (int)(dot - dotted) : (int)strlen(dotted), dotted);
        object = json_member(object, name);
        dotted = dot ? dot + 1 : NULL;
    }
    return object;
}

const char *json_string(const cJSON *object, const char *name, const char *fallback)
{
    const cJSON *member = json_member(object, name);
    return cJSON_IsString(member) ? member->valuestring : fallback;
}

int64_t json_integer(const cJSON *object, const char *name, int64_t fallback)
{
    const cJSON *member = json_member(object, name);
    if (!cJSON_IsNumber(member) || fabs(member->valuedouble) > INTEGER_MAX)
        return fallback;
    return (int64_t)member->valuedouble;
}

double json_number(const cJSON *object, const char *name, double fallback)
{
    const cJSON *member = json_member(object, name);
    return cJSON_IsNumber(member) ? member->valuedouble : fallback;
}

bool json_bool(const cJSON *object, const char *name, bool fallback)
{
    const cJSON *member = json_member(object, name);
    return cJSON_IsBool(member) ? cJSON_IsTrue(member) : fallback;
}

int json_set(cJSON *object, const char *name, cJSON *value)
{
    if (!value)
        return -1;
    bool is_set = cJSON_GetObjectItemCaseSensitive(object, name) ? cJSON_ReplaceItemInObjectCaseSensitive(object, name, value)
                                                                 : cJSON_AddItemToObject(object, name, value);
    if (!is_set)
        cJSON_Delete(value);
    return is_set ? 0 : -1;
}

int json_set_string(cJSON *object, const char *name, const char *text)
{
    return text ? json_set(object, name, cJSON_CreateString(text)) : 0;
}

int json_set_integer(cJSON *object, const char *name, int64_t value)
{
    return json_set(object, name, cJSON_CreateNumber((double)value));
}

int json_set_bool(cJSON *object, const char *name, bool value)
{
    return json_set(object, name, cJSON_CreateBool(value));
}
