#include "harness/device/zephyr_log.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- text: no escapes, nothing unprintable */

enum { ESC = 0x1B };

/* ECMA-48: CSI, parameter bytes 0x30-0x3F, intermediate bytes 0x20-0x2F, a final byte 0x40-0x7E. Length of the sequence, 0: none. */
static size_t ansi_length(const unsigned char *at, size_t left)
{
    if (left < 3 || at[0] != ESC || at[1] != '[')
        return 0;
    size_t i = 2;
    while (i < left && at[i] >= 0x30 && at[i] <= 0x3F)
        i++;
    while (i < left && at[i] >= 0x20 && at[i] <= 0x2F)
        i++;
    return i < left && at[i] >= 0x40 && at[i] <= 0x7E ? i + 1 : 0;
}

/* RFC 3629. Length of the character, 0: these bytes are none. */
static size_t utf8_length(const unsigned char *at, size_t left)
{
    size_t length = at[0] >= 0xC2 && at[0] <= 0xDF ? 2 : (at[0] & 0xF0) == 0xE0 ? 3 : at[0] >= 0xF0 && at[0] <= 0xF4 ? 4 : 0;
    if (!length || length > left)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((at[i] & 0xC0) != 0x80)
            return 0;
    bool is_overlong = (at[0] == 0xE0 && at[1] < 0xA0) || (at[0] == 0xF0 && at[1] < 0x90);
    bool is_surrogate = at[0] == 0xED && at[1] > 0x9F;
    bool is_too_high = at[0] == 0xF4 && at[1] > 0x8F;
    return is_overlong || is_surrogate || is_too_high ? 0 : length;
}

static size_t plain_length(const unsigned char *at, size_t left)
{
    if (*at == '\t' || (*at >= 0x20 && *at < 0x7F))
        return 1;
    return utf8_length(at, left);
}

static void make_text(const char *data, size_t length_bytes, char *text)
{
    const unsigned char *at = (const unsigned char *)data, *end = at + length_bytes;
    size_t length = 0;
    while (at < end && length + 4 <= ZEPHYR_TEXT_MAX_BYTES) {
        size_t skip = ansi_length(at, (size_t)(end - at));
        size_t plain = skip ? 0 : plain_length(at, (size_t)(end - at));
        memcpy(text + length, at, plain);
        length += plain;
        if (!skip && !plain)
            length += (size_t)snprintf(text + length, 5, "\\x%02X", *at);
        at += skip + plain ? skip + plain : 1;
    }
    text[length] = 0;
}

/* ---- the time in front */

/* scanf takes a sign for every number, also for one without. */
static bool is_made_of(const char *text, const char *characters)
{
    return text[0] == '[' && text[1 + strspn(text + 1, characters)] == ']';
}

/* `%n` is set only when everything before it matched. */
static size_t read_uptime(const char *text, struct zephyr_line *line)
{
    unsigned int hours, minutes, seconds, ms, us;
    int end = 0;
    if (!is_made_of(text, "0123456789:.,") || sscanf(text, "[%6u:%2u:%2u.%3u,%3u] %n", &hours, &minutes, &seconds, &ms, &us, &end) < 5 ||
        !end)
        return 0;
    line->has_uptime = true;
    line->uptime_us = ((int64_t)hours * 3600 + minutes * 60 + seconds) * 1000000 + (int64_t)ms * 1000 + us;
    return (size_t)end;
}

static size_t read_linux_uptime(const char *text, struct zephyr_line *line)
{
    unsigned int seconds, us;
    int end = 0;
    if (!is_made_of(text, "0123456789. ") || sscanf(text, "[%9u.%6u] %n", &seconds, &us, &end) < 2 || !end)
        return 0;
    line->has_uptime = true;
    line->uptime_us = (int64_t)seconds * 1000000 + us;
    return (size_t)end;
}

/* '#' stands for a digit, everything else for itself. */
static bool fits(const char *text, const char *form)
{
    for (; *form; form++, text++)
        if (*form == '#' ? !isdigit((unsigned char)*text) : *form != *text)
            return false;
    return true;
}

static bool is_a_date(const struct tm *tm)
{
    return tm->tm_mon >= 1 && tm->tm_mon <= 12 && tm->tm_mday >= 1 && tm->tm_mday <= 31 && tm->tm_hour <= 23 && tm->tm_min <= 59 &&
           tm->tm_sec <= 60;
}

/* The length of the form; 0: there is no such day. */
static size_t take_date(struct zephyr_line *line, const struct tm *date, int64_t us, size_t length)
{
    struct tm tm = *date;
    if (!is_a_date(&tm))
        return 0;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    line->has_unix_time = true;
    line->unix_us = (int64_t)timegm(&tm) * 1000000 + us;
    return length;
}

static size_t read_date(const char *text, struct zephyr_line *line)
{
    static const char form[] = "[####-##-## ##:##:##.###,###] ";
    struct tm tm = {0};
    int ms, us;
    if (!fits(text, form) || sscanf(text, "[%4d-%2d-%2d %2d:%2d:%2d.%3d,%3d]", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour,
                                    &tm.tm_min, &tm.tm_sec, &ms, &us) < 8)
        return 0;
    return take_date(line, &tm, ms * 1000 + us, sizeof(form) - 1);
}

static size_t read_iso8601(const char *text, struct zephyr_line *line)
{
    static const char form[] = "[####-##-##T##:##:##,######Z] ";
    struct tm tm = {0};
    int us;
    if (!fits(text, form) ||
        sscanf(text, "[%4d-%2d-%2dT%2d:%2d:%2d,%6dZ]", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &us) < 7)
        return 0;
    return take_date(line, &tm, us, sizeof(form) - 1);
}

static size_t read_ticks(const char *text, struct zephyr_line *line)
{
    size_t digits = strspn(text + 1, "0123456789");
    if (text[0] != '[' || digits < 8 || digits > 20 || text[1 + digits] != ']' || text[2 + digits] != ' ')
        return 0;
    line->has_ticks = true;
    line->ticks = strtoull(text + 1, NULL, 10);
    return digits + 3;
}

static size_t read_time(const char *text, struct zephyr_line *line)
{
    static size_t (*const readers[])(const char *, struct zephyr_line *) = {read_uptime, read_linux_uptime, read_date, read_iso8601,
                                                                            read_ticks};
    size_t length = 0;
    for (size_t i = 0; i < sizeof(readers) / sizeof(readers[0]) && !length && text[0] == '['; i++)
        length = readers[i](text, line);
    return length;
}

/* ---- level, module, message */

static const char *const level_names[] = {NULL, "err", "wrn", "inf", "dbg"};

const char *zephyr_level_name(enum zephyr_level level)
{
    return level_names[level];
}

static enum zephyr_level read_level(const char *at)
{
    for (int level = ZEPHYR_LEVEL_ERR; level <= ZEPHYR_LEVEL_DBG; level++)
        if (at[0] == '<' && strncmp(at + 1, level_names[level], 3) == 0 && at[4] == '>' && at[5] == ' ')
            return level;
    return ZEPHYR_LEVEL_NONE;
}

/* "E: text": nothing stands before it, and no module in it. */
static enum zephyr_level read_minimal_level(const char *text)
{
    static const char letters[] = "EWID";
    const char *letter = text[0] ? strchr(letters, text[0]) : NULL;
    return letter && text[1] == ':' && text[2] == ' ' ? (enum zephyr_level)(ZEPHYR_LEVEL_ERR + (letter - letters)) : ZEPHYR_LEVEL_NONE;
}

static void copy_name(char *ret_name, const char *at, size_t length)
{
    if (length >= ZEPHYR_NAME_MAX_BYTES)
        length = ZEPHYR_NAME_MAX_BYTES - 1;
    memcpy(ret_name, at, length);
    ret_name[length] = 0;
}

/* CONFIG_LOG_THREAD_ID_PREFIX puts "[thread] " before the module. */
static const char *skip_thread(const char *at)
{
    const char *end = at[0] == '[' ? strstr(at, "] ") : NULL;
    return end ? end + 2 : at;
}

/* "module: text", and for debug lines "module.function: text". Without such a word in front all of it is the message. */
static void read_module(const char *at, struct zephyr_line *line)
{
    at = skip_thread(at);
    size_t length = strcspn(at, ": ");
    line->message = at;
    if (!length || at[length] != ':' || at[length + 1] != ' ')
        return;
    line->message = at + length + 2;
    const char *dot = line->level == ZEPHYR_LEVEL_DBG ? memrchr(at, '.', length) : NULL;
    if (dot) {
        copy_name(line->function, dot + 1, (size_t)(at + length - dot - 1));
        length = (size_t)(dot - at);
    }
    copy_name(line->module, at, length);
}

/* ---- signs in a line */

static bool starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

static bool ends_with(const char *text, const char *end)
{
    size_t text_length = strlen(text), end_length = strlen(end);
    return text_length >= end_length && strcmp(text + text_length - end_length, end) == 0;
}

static bool is_banner(const char *text)
{
    return ((starts_with(text, "*** Booting ") || starts_with(text, "*** Using ")) && ends_with(text, " ***")) ||
           starts_with(text, "Booting TF-M ");
}

/* Any application may put its own name there (CONFIG_NCS_APPLICATION_BOOT_BANNER_STRING). */
static bool is_boot(const char *text)
{
    return starts_with(text, "*** Booting ") && !starts_with(text, "*** Booting MCUboot");
}

static bool is_dropped(const char *text, int64_t *ret_count)
{
    unsigned int count;
    int end = 0;
    if (sscanf(text, "--- %9u messages dropped ---%n", &count, &end) < 1 || !end)
        return false;
    *ret_count = count;
    return true;
}

/* Zephyr's fatal error dump and assertions, the modem's crash report (nRF Connect SDK lib/nrf_modem_lib/fault.c), lib/fatal_error, TF-M. */
static bool is_fault(const struct zephyr_line *line)
{
    static const struct {
        const char *module, *start;
    } signs[] = {
        {"os", "***** "},
        {"os", ">>> ZEPHYR FATAL ERROR"},
        {"os", "Faulting instruction address"},
        {"fatal_error", "Resetting system"},
        {"nrf_modem", "Modem has crashed"},
        {"", "ASSERTION FAIL"},
        {"", "FATAL ERROR: "},
        {"", "***** "},
        {"", ">>> ZEPHYR FATAL ERROR"},
    };
    for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++)
        if (strcmp(line->module, signs[i].module) == 0 && starts_with(line->message, signs[i].start))
            return true;
    return false;
}

const char *zephyr_kind_name(enum zephyr_kind kind)
{
    static const char *const names[] = {
#define X(id, name) [id] = name,
        ZEPHYR_KINDS(X)
#undef X
    };
    return names[kind];
}

/* ---- hexdumps */

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* -1: no two digits. */
static int hex_byte(const char *at)
{
    int high = hex_digit(at[0]), low = high < 0 ? -1 : hex_digit(at[1]);
    return low < 0 ? -1 : high * 16 + low;
}

/* hexdump_line_print(): "xx " for each byte, one more space before the ninth, the place of missing bytes in spaces, then '|' and the characters. */
size_t zephyr_hexdump_read(const char *text, uint8_t ret_bytes[ZEPHYR_HEXDUMP_LINE_BYTES])
{
    uint8_t bytes[ZEPHYR_HEXDUMP_LINE_BYTES];
    size_t count = 0;
    const char *at = text + strspn(text, " ");
    for (int byte; count < sizeof(bytes) && (byte = hex_byte(at)) >= 0 && at[2] == ' ';) {
        bytes[count++] = (uint8_t)byte;
        at += 3;
        if (count == sizeof(bytes) / 2 && at[0] == ' ')
            at++;
    }
    if (!count || at[strspn(at, " ")] != '|')
        return 0;
    memcpy(ret_bytes, bytes, count);
    return count;
}

/* ---- what kind of line */

static enum zephyr_kind kind_of(struct zephyr_line *line)
{
    if (is_fault(line))
        return ZEPHYR_FAULT;
    if (line->level)
        return ZEPHYR_LOG;
    if (is_banner(line->text))
        return is_boot(line->text) ? ZEPHYR_BOOT : ZEPHYR_BANNER;
    uint8_t bytes[ZEPHYR_HEXDUMP_LINE_BYTES];
    if (zephyr_hexdump_read(line->text, bytes))
        return ZEPHYR_HEXDUMP;
    return is_dropped(line->text, &line->dropped_count) ? ZEPHYR_DROPPED : ZEPHYR_OTHER;
}

/* What a UART picks up before a board drives it has no line end, so it stands in front of the first line: a banner or a log line. */
static size_t noise_length(const char *data, size_t length_bytes)
{
    size_t length = 0;
    while (length < length_bytes && data[length] != 0x1b && data[length] != '\t' && !(data[length] >= ' ' && data[length] < 0x7f))
        length++;
    return length < length_bytes && strchr("*[\033", data[length]) ? length : 0;
}

void zephyr_line_read(const char *data, size_t length_bytes, struct zephyr_line *ret_line)
{
    size_t noise = noise_length(data, length_bytes);
    data += noise;
    length_bytes -= noise;
    memset(ret_line, 0, offsetof(struct zephyr_line, text));
    make_text(data, length_bytes, ret_line->text);
    ret_line->message = ret_line->text;
    const char *behind_time = ret_line->text + read_time(ret_line->text, ret_line);
    ret_line->level = read_level(behind_time);
    ret_line->has_time_alone = !ret_line->level && behind_time > ret_line->text;
    if (ret_line->level)
        read_module(behind_time + 6, ret_line);
    else
        ret_line->has_uptime = ret_line->has_unix_time = ret_line->has_ticks = false;
    if (!ret_line->level && (ret_line->level = read_minimal_level(ret_line->text))) {
        ret_line->is_minimal = true;
        ret_line->message += 3;
    }
    ret_line->kind = kind_of(ret_line);
}

/* ---- damage */

/* make_text()'s mark of an unprintable byte. */
static bool has_unprintable(const char *text)
{
    for (const char *at = text; (at = strstr(at, "\\x")); at++)
        if (isxdigit((unsigned char)at[2]) && isxdigit((unsigned char)at[3]))
            return true;
    return false;
}

static bool has_head_inside(const char *message)
{
    for (const char *at = message; (at = strchr(at, '<')); at++)
        if (read_level(at))
            return true;
    return false;
}

bool zephyr_line_is_garbled(const struct zephyr_line *line)
{
    return line->has_time_alone || has_unprintable(line->text) || has_head_inside(line->message);
}
