#include "harness/device/terminal.h"

#include <ctype.h>
#include <string.h>

enum { ESC = 0x1B, PROMPT_NAME_MAX_BYTES = 16, COUNT_MAX = 10000 };

static const char prompt_end[] = ":~$ ";
enum { PROMPT_END_BYTES = sizeof(prompt_end) - 1 };

/* Length of the prompt in front; 0: none. */
static size_t prompt_length(const char *text, size_t length)
{
    size_t name = 0;
    while (name < length && name <= PROMPT_NAME_MAX_BYTES && (isalnum((unsigned char)text[name]) || strchr("_-", text[name])) && text[name])
        name++;
    bool is_prompt = name && name <= PROMPT_NAME_MAX_BYTES && length - name >= PROMPT_END_BYTES &&
                     memcmp(text + name, prompt_end, PROMPT_END_BYTES) == 0;
    return is_prompt ? name + PROMPT_END_BYTES : 0;
}

bool terminal_is_needed(const char *data, size_t length_bytes)
{
    return memchr(data, ESC, length_bytes) || prompt_length(data, length_bytes);
}

struct cells {
    char *text;
    size_t length;
    size_t cursor;
    bool was_erased;
};

static void erase_to_end(struct cells *cells)
{
    cells->was_erased |= cells->length > cells->cursor;
    cells->length = cells->cursor;
}

/* ESC [ COUNT final. Colours and what we do not know show nothing. */
static void carry_out(struct cells *cells, size_t count, char final)
{
    size_t left = cells->cursor, right = cells->length - cells->cursor;
    size_t by = count ? count : 1;
    if (final == 'D')
        cells->cursor -= by < left ? by : left;
    else if (final == 'C')
        cells->cursor += by < right ? by : right;
    else if (final == 'A')
        cells->cursor = 0; /* of a line above, which was delivered already */
    else if (final == 'J' || final == 'K')
        erase_to_end(cells);
}

/* A whole sequence at `at`, carried out; its length, 0: none. */
static size_t take_sequence(struct cells *cells, const char *at, size_t left)
{
    size_t i = 2, count = 0;
    if (left < 3 || at[0] != ESC || at[1] != '[')
        return 0;
    for (; i < left && at[i] >= 0x30 && at[i] <= 0x3F; i++)
        if (isdigit((unsigned char)at[i]) && count < COUNT_MAX)
            count = count * 10 + (size_t)(at[i] - '0');
    while (i < left && at[i] >= 0x20 && at[i] <= 0x2F)
        i++;
    if (i == left || at[i] < 0x40 || at[i] > 0x7E)
        return 0;
    carry_out(cells, count, at[i]);
    return i + 1;
}

static void show(struct cells *cells, char byte)
{
    cells->text[cells->cursor++] = byte;
    if (cells->cursor > cells->length)
        cells->length = cells->cursor;
}

static size_t take_prompts(struct cells *cells)
{
    size_t count = 0, at = 0;
    for (size_t length; (length = prompt_length(cells->text + at, cells->length - at)); at += length)
        count++;
    cells->length -= at;
    memmove(cells->text, cells->text + at, cells->length);
    return count;
}

struct terminal_line terminal_render(const char *data, size_t length_bytes, char *text)
{
    struct cells cells = {.text = text};
    for (size_t i = 0; i < length_bytes;) {
        size_t length = take_sequence(&cells, data + i, length_bytes - i);
        if (!length)
            show(&cells, data[i]);
        i += length ? length : 1;
    }
    size_t prompts = take_prompts(&cells);
    text[cells.length] = 0;
    return (struct terminal_line){.length_bytes = cells.length, .prompt_count = prompts, .was_erased = cells.was_erased};
}
