#include "base/json.h"

#include "base/bytes.h"
#include "base/files.h"

#include <math.h>
#include <string.h>

static void place_of(const char *text, const char *at, int *ret_line, int *ret_column)
{
    *ret_line = 1;
    *ret_column = 1;
    for (const char *c = text; c < at; c++) {
        *ret_column = *c == '\n' ? 1 : *ret_column + 1;
        *ret_line += *c == '\n';
    }
}

static bool is_too_deep(const char *text, size_t length_bytes)
{
    int depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < length_bytes; i++) {
        char c = text[i];
        if (in_string && c == '\\')
            i++;
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string && (c == '{' || c == '[') && ++depth > JSON_DEPTH_MAX)
            return true;
        else if (!in_string && (c == '}' || c == ']'))
            depth--;
    }
    return false;
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
    if (is_too_deep(text, length_bytes)) {
        error_set(error, ERROR_OWNER_FILE, ERROR_LIMIT, "%s: JSON is nested deeper than %d", name, JSON_DEPTH_MAX);
        return NULL;
    }
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

static uint32_t decode_utf8(const unsigned char **at)
{
    const unsigned char *c = *at;
    int more = *c >= 0xF0 ? 3 : *c >= 0xE0 ? 2 : *c >= 0xC0 ? 1 : -1;
    uint32_t point = more == 3 ? *c & 7U : more == 2 ? *c & 15U : *c & 31U;
    for (int i = 1; i <= more; i++) {
        if ((c[i] & 0xC0) != 0x80) {
            more = -1;
            break;
        }
        point = point << 6 | (c[i] & 63U);
    }
    *at = c + (more < 0 ? 1 : more + 1);
    return more < 0 || point > 0x10FFFF ? 0xFFFD : point;
}

static char *escape_to_ascii(const char *text)
{
    CLEANUP(bytes_done) struct bytes out;
    bytes_init(&out, 6 * strlen(text) + 2);
    for (const unsigned char *c = (const unsigned char *)text; *c;) {
        if (*c < 0x80) {
            bytes_append_byte(&out, *c++);
            continue;
        }
        uint32_t point = decode_utf8(&c);
        if (point >= 0x10000) {
            point -= 0x10000;
            bytes_printf(&out, "\\u%04x\\u%04x", 0xD800 + (point >> 10), 0xDC00 + (point & 0x3FF));
        } else {
            bytes_printf(&out, "\\u%04x", point);
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
    if (!cJSON_IsNumber(member) || fabs(member->valuedouble) > 9007199254740992.0)
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
    if (cJSON_GetObjectItemCaseSensitive(object, name))
        return cJSON_ReplaceItemInObjectCaseSensitive(object, name, value) ? 0 : -1;
    return cJSON_AddItemToObject(object, name, value) ? 0 : -1;
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
