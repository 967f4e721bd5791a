#include "base/json.h"

#include "base/bytes.h"
#include "base/files.h"
#include "base/utf8.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

static const double INTEGER_MAX = 9007199254740992.0; /* 2^53 */

enum { PRINT_MAX_BYTES = 256 * 1024 * 1024, PRINT_DEPTH_MAX = 2 * JSON_DEPTH_MAX };

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

int json_write_unsynced(const char *path, const cJSON *json, mode_t mode, struct error *error)
{
    CLEANUP_FREE char *text = json_print_pretty(json);
    if (!text)
        return error_set_memory(error);
    return file_write_unsynced(path, text, strlen(text), mode, error);
}

/*
 * Printing, in one pass over the tree: cJSON's own printer leaves UTF-8 as it is, writes 1790000000000000 as 1.79e+15 (right, and unreadable), and
 * asks the C library to print and to read back each number; a handshake's events are hundreds of them.
 */

struct printer {
    struct bytes *out;
    bool is_pretty;
    int depth;
    bool has_failed;
};

static void put(struct printer *printer, const char *text, size_t length_bytes)
{
    printer->has_failed |= bytes_append(printer->out, text, length_bytes) != 0;
}

static void put_text(struct printer *printer, const char *text)
{
    put(printer, text, strlen(text));
}

static void put_point(struct printer *printer, uint32_t point)
{
    char text[16];
    if (point >= 0x10000)
        snprintf(text, sizeof text, "\\u%04x\\u%04x", 0xD800 + ((point - 0x10000) >> 10), 0xDC00 + ((point - 0x10000) & 0x3FF));
    else
        snprintf(text, sizeof text, "\\u%04x", point);
    put_text(printer, text);
}

/* Stands in a string as it is: ASCII that can be printed, but for the quote and the backslash. */
static const bool is_plain[UINT8_MAX + 1] = {[' ' ... '!'] = true, ['#' ... '['] = true, [']' ... '~'] = true};

/* One character that cannot stand as it is. */
static void put_special(struct printer *printer, const char **at)
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    const char *found = strchr(from, **at);
    if ((unsigned char)**at >= 0x80) {
        put_point(printer, utf8_decode(at));
        return;
    }
    if (found) {
        const char pair[] = {'\\', to[found - from]};
        put(printer, pair, sizeof pair);
    } else {
        put_point(printer, (unsigned char)**at);
    }
    (*at)++;
}

static void put_string(struct printer *printer, const char *text)
{
    put(printer, "\"", 1);
    while (*text) {
        const char *end = text;
        while (is_plain[(uint8_t)*end])
            end++;
        put(printer, text, (size_t)(end - text));
        text = end;
        if (*text)
            put_special(printer, &text);
    }
    put(printer, "\"", 1);
}

static void put_integer(struct printer *printer, int64_t value)
{
    char digits[24];
    size_t at = sizeof digits;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do
        digits[--at] = (char)('0' + rest % 10);
    while (rest /= 10);
    if (value < 0)
        digits[--at] = '-';
    put(printer, digits + at, sizeof digits - at);
}

/* The shortest of 15 and 17 digits that reads back as the same number. */
static void put_number(struct printer *printer, double value)
{
    char text[32];
    if (fabs(value) <= INTEGER_MAX && value == floor(value)) {
        put_integer(printer, (int64_t)value);
        return;
    }
    if (!isfinite(value)) {
        put_text(printer, "null");
        return;
    }
    snprintf(text, sizeof text, "%.15g", value);
    if (strtod(text, NULL) != value)
        snprintf(text, sizeof text, "%.17g", value);
    put_text(printer, text);
}

static void put_line_end(struct printer *printer, int depth)
{
    if (printer->is_pretty)
        put(printer, "\n", 1);
    for (int i = 0; printer->is_pretty && i < depth; i++)
        put(printer, "  ", 2);
}

static void put_value(struct printer *printer, const cJSON *json);

static void put_array(struct printer *printer, const cJSON *array)
{
    const cJSON *item;
    put(printer, "[", 1);
    cJSON_ArrayForEach(item, array)
    {
        if (item != array->child)
            put(printer, ", ", printer->is_pretty ? 2 : 1);
        put_value(printer, item);
    }
    put(printer, "]", 1);
}

static void put_object(struct printer *printer, const cJSON *object)
{
    const cJSON *item;
    put(printer, "{", 1);
    cJSON_ArrayForEach(item, object)
    {
        if (item != object->child)
            put(printer, ",", 1);
        put_line_end(printer, printer->depth);
        put_string(printer, item->string ? item->string : "");
        put(printer, ": ", printer->is_pretty ? 2 : 1);
        put_value(printer, item);
    }
    if (object->child)
        put_line_end(printer, printer->depth - 1);
    put(printer, "}", 1);
}

static void put_container(struct printer *printer, const cJSON *json)
{
    if (printer->depth++ > PRINT_DEPTH_MAX)
        printer->has_failed = true;
    else if (cJSON_IsArray(json))
        put_array(printer, json);
    else
        put_object(printer, json);
    printer->depth--;
}

static void put_value(struct printer *printer, const cJSON *json)
{
    switch (json->type & 0xff) {
    case cJSON_String:
        put_string(printer, json->valuestring);
        break;
    case cJSON_Number:
        put_number(printer, json->valuedouble);
        break;
    case cJSON_Array:
    case cJSON_Object:
        put_container(printer, json);
        break;
    case cJSON_True:
        put(printer, "true", 4);
        break;
    case cJSON_False:
        put(printer, "false", 5);
        break;
    default:
        put(printer, "null", 4);
    }
}

static int append(const cJSON *json, bool is_pretty, struct bytes *out)
{
    struct printer printer = {.out = out, .is_pretty = is_pretty, .has_failed = !json};
    size_t before = out->length_bytes;
    if (json)
        put_value(&printer, json);
    if (is_pretty)
        put(&printer, "\n", 1);
    if (printer.has_failed)
        bytes_cut(out, before);
    return printer.has_failed ? -1 : 0;
}

static char *print(const cJSON *json, bool is_pretty)
{
    struct bytes out;
    bytes_init(&out, PRINT_MAX_BYTES);
    if (append(json, is_pretty, &out))
        bytes_done(&out);
    return (char *)out.data;
}

int json_append_line(const cJSON *json, struct bytes *out)
{
    return append(json, false, out);
}

char *json_print_line(const cJSON *json)
{
    return print(json, false);
}

char *json_print_pretty(const cJSON *json)
{
    return print(json, true);
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

int json_add(cJSON *object, const char *name, cJSON *value)
{
    if (value && cJSON_AddItemToObjectCS(object, name, value))
        return 0;
    cJSON_Delete(value);
    return -1;
}

int json_add_string(cJSON *object, const char *name, const char *text)
{
    return text ? json_add(object, name, cJSON_CreateString(text)) : 0;
}

int json_add_integer(cJSON *object, const char *name, int64_t value)
{
    return json_add(object, name, cJSON_CreateNumber((double)value));
}

int json_add_bool(cJSON *object, const char *name, bool value)
{
    return json_add(object, name, cJSON_CreateBool(value));
}
