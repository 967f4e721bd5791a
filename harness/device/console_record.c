#include "harness/device/console_record.h"

#include "base/cleanup.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { NAME_MAX_BYTES = 32, REGISTER_MAX_BYTES = 24 };

/* ---- telling */

static void tell(struct console_records *records, const char *event, const struct line *line, cJSON *fields)
{
    if (fields)
        records->on_record(records->user, event, line, fields);
}

static cJSON *new_text(const char *name, const char *text)
{
    CLEANUP_JSON cJSON *fields = cJSON_CreateObject();
    return fields && !json_set_string(fields, name, text) ? TAKE(fields) : NULL;
}

/* The first line of a record that has more: when it came, but not its text, which is gone by then. */
static struct line without_text(const struct line *line)
{
    struct line kept = *line;
    kept.text = kept.raw = NULL;
    kept.length_bytes = kept.raw_length_bytes = 0;
    return kept;
}

/* ---- hexdumps */

static int add_hexdump(const struct console_records *records, cJSON *fields)
{
    static const char digits[] = "0123456789abcdef";
    char text[2 * RECORD_HEXDUMP_MAX_BYTES + 1];
    for (size_t i = 0; i < records->hexdump_length; i++) {
        text[2 * i] = digits[records->hexdump[i] >> 4];
        text[2 * i + 1] = digits[records->hexdump[i] & 15];
    }
    text[2 * records->hexdump_length] = 0;
    if (records->module[0] && json_set_string(fields, "module", records->module))
        return -1;
    if (json_set_string(fields, "title", records->title) || json_set_string(fields, "bytes", text) ||
        json_set_integer(fields, "byte_count", (int64_t)records->hexdump_length))
        return -1;
    return records->is_hexdump_cut ? json_set_bool(fields, "is_cut", true) : 0;
}

static void end_hexdump(struct console_records *records)
{
    if (!records->hexdump_length)
        return;
    CLEANUP_JSON cJSON *fields = cJSON_CreateObject();
    if (fields && !add_hexdump(records, fields))
        tell(records, "console.hexdump", &records->hexdump_line, TAKE(fields));
    records->hexdump_length = 0;
    records->is_hexdump_cut = false;
}

static void take_hexdump(struct console_records *records, const struct line *line, const struct zephyr_line *zephyr)
{
    uint8_t bytes[ZEPHYR_HEXDUMP_LINE_BYTES];
    size_t count = zephyr_hexdump_read(zephyr->text, bytes);
    if (!records->hexdump_length)
        records->hexdump_line = without_text(line);
    if (records->hexdump_length + count > sizeof(records->hexdump)) {
        records->is_hexdump_cut = true;
        return;
    }
    memcpy(records->hexdump + records->hexdump_length, bytes, count);
    records->hexdump_length += count;
}

static void remember_title(struct console_records *records, const struct zephyr_line *zephyr)
{
    snprintf(records->title, sizeof(records->title), "%s", zephyr->message);
    snprintf(records->module, sizeof(records->module), "%s", zephyr->module);
}

/* ---- fault dumps */

static bool starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

static bool is_of_crash_module(const struct zephyr_line *zephyr)
{
    static const char *const modules[] = {"os", "fatal_error", "coredump"};
    for (size_t i = 0; i < ARRAY_COUNT(modules); i++)
        if (zephyr->level == ZEPHYR_LEVEL_ERR && strcmp(zephyr->module, modules[i]) == 0)
            return true;
    return false;
}

/* Registers and what stands around them, in a firmware that prints its dump by printk. */
static bool is_bare_dump_line(const char *message)
{
    static const char *const starts[] = {
        "r0/a1:",          "r3/a4:", "r4/v1:", "r7/v4:", "r10/v7:", "xpsr:", "s[", "fpscr:", "EXC_RETURN:", "Faulting instruction address",
        "Current thread:", "\t"};
    message += strspn(message, " ");
    for (size_t i = 0; i < ARRAY_COUNT(starts); i++)
        if (starts_with(message, starts[i]))
            return true;
    return false;
}

static bool goes_on(const struct zephyr_line *zephyr)
{
    return zephyr->kind == ZEPHYR_FAULT || is_of_crash_module(zephyr) || (!zephyr->module[0] && is_bare_dump_line(zephyr->message));
}

/* The modem's crash is one line; the application may live on. */
static bool is_modem_crash(const struct zephyr_line *zephyr)
{
    return zephyr->kind == ZEPHYR_FAULT && strcmp(zephyr->module, "nrf_modem") == 0;
}

static bool is_last(const struct zephyr_line *zephyr)
{
    return starts_with(zephyr->message, "Resetting system") || starts_with(zephyr->message, "Halting system");
}

/* An object with the reason alone says no more than console.fault did. */
static void end_dump(struct console_records *records)
{
    CLEANUP_JSON cJSON *fields = TAKE(records->dump);
    if (fields && cJSON_GetArraySize(fields) > 1)
        tell(records, "console.fault-dump", &records->dump_line, TAKE(fields));
}

static int keep_first(cJSON *object, const char *name, const char *text)
{
    return cJSON_HasObjectItem(object, name) ? 0 : json_set_string(object, name, text);
}

/* ">>> ZEPHYR FATAL ERROR 4: Kernel panic on CPU 0" */
static int keep_error(cJSON *dump, const char *message)
{
    int number;
    if (sscanf(message, ">>> ZEPHYR FATAL ERROR %9d:", &number) != 1)
        return 0;
    return json_set_integer(dump, "error", number);
}

static int keep_behind(cJSON *dump, const char *name, const char *message, const char *start)
{
    return starts_with(message, start) ? keep_first(dump, name, message + strlen(start)) : 0;
}

/* "r0/a1:  0x00000003  r1/a2:  0x00000004": the next name and value; NULL: no more. */
static const char *next_register(const char *at, char name[REGISTER_MAX_BYTES], char value[REGISTER_MAX_BYTES])
{
    int end = 0;
    return sscanf(at, " %23[a-zA-Z0-9/_[]: %23[x0-9a-fA-F]%n", name, value, &end) == 2 && end ? at + end : NULL;
}

static int keep_registers(cJSON *dump, const char *message)
{
    char name[REGISTER_MAX_BYTES], value[REGISTER_MAX_BYTES];
    cJSON *registers = cJSON_GetObjectItemCaseSensitive(dump, "registers");
    for (const char *at = message; (at = next_register(at, name, value));) {
        if (!starts_with(value, "0x"))
            return 0;
        if (!registers && !(registers = cJSON_AddObjectToObject(dump, "registers")))
            return -1;
        if (cJSON_GetArraySize(registers) < RECORD_REGISTERS_MAX && keep_first(registers, name, value))
            return -1;
    }
    return 0;
}

static int add_to_dump(cJSON *dump, const char *message)
{
    return keep_error(dump, message) || keep_behind(dump, "pc", message, "Faulting instruction address (r15/pc): ") ||
                   keep_behind(dump, "thread", message, "Current thread: ") || keep_registers(dump, message)
               ? -1
               : 0;
}

static void take_dump(struct console_records *records, const struct line *line, const struct zephyr_line *zephyr)
{
    if (!records->dump) {
        tell(records, "console.fault", line, new_text("reason", zephyr->message));
        records->dump = new_text("reason", zephyr->message);
        records->dump_line = without_text(line);
    }
    if (records->dump && add_to_dump(records->dump, zephyr->message))
        cJSON_Delete(TAKE(records->dump));
    if (is_last(zephyr))
        end_dump(records);
}

/* ---- the modem */

/* "Modem has crashed, reason 0x4 NRF_MODEM_FAULT_ASSERT, PC: 0xecb64"; the name only with CONFIG_NRF_MODEM_LIB_FAULT_STRERROR. */
static cJSON *modem_crash(const char *message)
{
    char reason[REGISTER_MAX_BYTES] = "", name[64] = "", pc[REGISTER_MAX_BYTES] = "";
    const char *at = strstr(message, "PC: ");
    CLEANUP_JSON cJSON *fields = cJSON_CreateObject();
    sscanf(message, "Modem has crashed, reason %23[0-9a-fx] %63[A-Z0-9_]", reason, name);
    if (at)
        sscanf(at, "PC: %23[0-9a-fx]", pc);
    if (!fields || json_set_string(fields, "reason", reason) || (name[0] && json_set_string(fields, "name", name)) ||
        json_set_string(fields, "pc", pc))
        return NULL;
    return TAKE(fields);
}

static void take_modem_crash(struct console_records *records, const struct line *line, const struct zephyr_line *zephyr)
{
    tell(records, "console.fault", line, new_text("reason", zephyr->message));
    tell(records, "console.modem-crash", line, modem_crash(zephyr->message));
}

/* "+CEREG: 5,1" and "%MDMEV: RESET LOOP". The length of the name, 0: it is none. */
static size_t notification_length(const struct zephyr_line *zephyr)
{
    const char *text = zephyr->text;
    if (zephyr->kind != ZEPHYR_OTHER || !text[0] || !strchr("+%#", text[0]) || !isupper((unsigned char)text[1]))
        return 0;
    size_t length = 1;
    while (length < NAME_MAX_BYTES && (isupper((unsigned char)text[length]) || isdigit((unsigned char)text[length])))
        length++;
    return text[length] == ':' ? length : 0;
}

static cJSON *notification(const char *name, const char *value)
{
    CLEANUP_JSON cJSON *fields = new_text("name", name);
    return fields && !json_set_string(fields, "value", value) ? TAKE(fields) : NULL;
}

static void take_notification(struct console_records *records, const struct line *line, const struct zephyr_line *zephyr)
{
    char name[NAME_MAX_BYTES + 1];
    size_t length = notification_length(zephyr);
    if (!length)
        return;
    memcpy(name, zephyr->text, length);
    name[length] = 0;
    const char *value = zephyr->text + length + 1;
    value += strspn(value, " ");
    tell(records, "console.notification", line, notification(name, value));
    if (strcmp(name, "%MDMEV") == 0)
        tell(records, "console.modem-event", line, new_text("event", value));
}

/* ---- lines */

/* The words between the asterisks. */
static cJSON *banner_of(const char *text)
{
    char banner[256];
    size_t start = strspn(text, "* "), length = strlen(text + start);
    while (length && strchr("* ", text[start + length - 1]))
        length--;
    snprintf(banner, sizeof(banner), "%.*s", (int)length, text + start);
    return new_text("banner", banner);
}

static cJSON *dropped(int64_t count)
{
    CLEANUP_JSON cJSON *fields = cJSON_CreateObject();
    return fields && !json_set_integer(fields, "count", count) ? TAKE(fields) : NULL;
}

bool console_records_has_in_dump(const struct console_records *records, const struct zephyr_line *zephyr)
{
    return records->dump && goes_on(zephyr);
}

void console_records_end(struct console_records *records, const struct zephyr_line *zephyr)
{
    if (zephyr->kind != ZEPHYR_HEXDUMP)
        end_hexdump(records);
    if (!goes_on(zephyr) || is_modem_crash(zephyr))
        end_dump(records);
}

void console_records_take(struct console_records *records, const struct line *line, const struct zephyr_line *zephyr)
{
    if (zephyr->kind == ZEPHYR_BOOT)
        tell(records, "console.boot", line, banner_of(zephyr->text));
    else if (zephyr->kind == ZEPHYR_BANNER)
        tell(records, "console.banner", line, banner_of(zephyr->text));
    else if (zephyr->kind == ZEPHYR_DROPPED)
        tell(records, "console.dropped", line, dropped(zephyr->dropped_count));
    else if (zephyr->kind == ZEPHYR_HEXDUMP)
        take_hexdump(records, line, zephyr);
    else if (is_modem_crash(zephyr))
        take_modem_crash(records, line, zephyr);
    else if (zephyr->kind == ZEPHYR_FAULT || console_records_has_in_dump(records, zephyr))
        take_dump(records, line, zephyr);
    else
        take_notification(records, line, zephyr);
    if (zephyr->kind == ZEPHYR_LOG)
        remember_title(records, zephyr);
}

void console_records_flush(struct console_records *records)
{
    end_hexdump(records);
    end_dump(records);
}

void console_records_init(struct console_records *records, console_record_fn *on_record, void *user)
{
    *records = (struct console_records){.on_record = on_record, .user = user};
}

void console_records_done(struct console_records *records)
{
    cJSON_Delete(TAKE(records->dump));
}

const char *console_record_type(const struct zephyr_line *zephyr)
{
    return notification_length(zephyr) ? "notification" : zephyr_kind_name(zephyr->kind);
}
