#include "reports/clean_text.h"

#include "base/cleanup.h"
#include "base/utf8.h"

#include <string.h>

enum { ESCAPE = 0x1B, BELL = 0x07, C1_FIRST = 0x80, C1_LAST = 0x9F, C1_CSI = 0x9B, DELETE = 0x7F };

static const char *skip_range(const char *at, char first, char last)
{
    while (*at >= first && *at <= last)
        at++;
    return at;
}

/* Behind "ESC [": parameters, intermediates, one final byte. */
static const char *skip_control_sequence(const char *at)
{
    at = skip_range(skip_range(at, 0x30, 0x3F), 0x20, 0x2F);
    return *at >= 0x40 && *at <= 0x7E ? at + 1 : at;
}

/* Behind "ESC ]" and the like: up to BEL or "ESC \". Without an end it is no string: what follows is text. */
static const char *skip_string(const char *at)
{
    for (const char *end = at; *end; end++) {
        if (*end == BELL)
            return end + 1;
        if (end[0] == ESCAPE && end[1] == '\\')
            return end + 2;
    }
    return at;
}

static const char *skip_escape(const char *at)
{
    switch (*at) {
    case '[':
        return skip_control_sequence(at + 1);
    case ']':
    case 'P':
    case 'X':
    case '^':
    case '_':
        return skip_string(at + 1);
    default:
        at = skip_range(at, 0x20, 0x2F);
        return *at >= 0x30 && *at <= 0x7E ? at + 1 : at;
    }
}

/* U+FFFE and U+FFFF are no characters; surrogates do not come out of UTF-8. */
static bool is_printable(uint32_t point)
{
    return point >= 0x20 && point != DELETE && !(point >= C1_FIRST && point <= C1_LAST) && (point & 0xFFFE) != 0xFFFE;
}

/* utf8_decode() gives UTF8_REPLACEMENT for a byte that is none; the character itself is three bytes long. */
static bool is_character(uint32_t point, size_t length)
{
    return point != UTF8_REPLACEMENT || length > 1;
}

static int append_space(struct bytes *out, char c, enum clean_text_lines lines)
{
    return bytes_append_byte(out, (uint8_t)(lines == CLEAN_TEXT_ONE_LINE ? ' ' : c));
}

int clean_text_append(struct bytes *out, const char *text, enum clean_text_lines lines)
{
    int failed = 0;
    for (const char *at = text ? text : ""; *at && !failed;) {
        const char *start = at;
        uint32_t point = utf8_decode(&at);
        size_t length = (size_t)(at - start);
        if (point == ESCAPE)
            at = skip_escape(at);
        else if (point == C1_CSI)
            at = skip_control_sequence(at);
        else if (point == '\n' || point == '\t')
            failed = append_space(out, *start, lines);
        else if (point == '\r' && *at != '\n')
            failed = append_space(out, '\n', lines);
        else if (is_character(point, length) && is_printable(point))
            failed = bytes_append(out, start, length);
    }
    return failed;
}

char *clean_text(const char *text, enum clean_text_lines lines)
{
    CLEANUP(bytes_done) struct bytes out = {.max_bytes = text ? strlen(text) + 1 : 1};
    return clean_text_append(&out, text, lines) ? NULL : strdup(bytes_text(&out));
}
