/*
 * How libFuzzer changes texts that have lines and words (YAML, JSON): what its own mutations break in the first byte, these keep readable. The words
 * are the target's (fuzz_words): keys, values that mean something, numbers at the edges.
 */
#include "tests/fuzz/fuzz.h"

#include <stdbool.h>

enum { PIECE_MAX_BYTES = 512, EDITS_MAX = 4, INDENT_BYTES = 2 };

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

struct text {
    uint8_t *data;
    size_t size, max_size;
    uint64_t random;
};

struct range {
    size_t from, to;
};

static size_t choose(struct text *text, size_t count)
{
    text->random ^= text->random << 13;
    text->random ^= text->random >> 7;
    text->random ^= text->random << 17;
    return count ? (size_t)(text->random % count) : 0;
}

static void replace(struct text *text, struct range range, const void *piece, size_t length)
{
    size_t size = text->size - (range.to - range.from) + length;
    if (size > text->max_size)
        return;
    memmove(text->data + range.from + length, text->data + range.to, text->size - range.to);
    if (length)
        memcpy(text->data + range.from, piece, length);
    text->size = size;
}

/* The line around a random place, with its end. */
static struct range choose_line(struct text *text)
{
    struct range line = {0};
    line.from = line.to = choose(text, text->size);
    while (line.from > 0 && text->data[line.from - 1] != '\n')
        line.from--;
    while (line.to < text->size && text->data[line.to++] != '\n')
        ;
    return line;
}

static bool is_word_byte(uint8_t byte)
{
    return byte > ' ' && !strchr(",:{}[]\"'#", byte);
}

/* The word at or behind a random place; empty at the end of the text. */
static struct range choose_word(struct text *text)
{
    struct range word = {0};
    word.from = choose(text, text->size);
    while (word.from > 0 && is_word_byte(text->data[word.from - 1]))
        word.from--;
    while (word.from < text->size && !is_word_byte(text->data[word.from]))
        word.from++;
    for (word.to = word.from; word.to < text->size && is_word_byte(text->data[word.to]); word.to++)
        ;
    return word;
}

static size_t copy(const struct text *text, struct range range, uint8_t piece[PIECE_MAX_BYTES])
{
    size_t length = range.to - range.from;
    if (length > PIECE_MAX_BYTES)
        return 0;
    memcpy(piece, text->data + range.from, length);
    return length;
}

struct word {
    const char *text;
    int length;
};

static struct word choose_known_word(struct text *text)
{
    size_t at = choose(text, strlen(fuzz_words));
    while (at > 0 && fuzz_words[at - 1] != ' ')
        at--;
    return (struct word){fuzz_words + at, (int)strcspn(fuzz_words + at, " ")};
}

static size_t indent_of(const struct text *text, struct range line)
{
    size_t at = line.from;
    while (at < line.to && (text->data[at] == ' ' || text->data[at] == '-'))
        at++;
    return at - line.from;
}

/* "  key: value" below a line, as deep as that. */
static void insert_pair(struct text *text)
{
    char pair[PIECE_MAX_BYTES];
    struct range line = choose_line(text);
    struct word key = choose_known_word(text), value = choose_known_word(text);
    int indent = (int)indent_of(text, line);
    int length = snprintf(pair, sizeof pair, "%*s%.*s: %.*s\n", indent, "", key.length, key.text, value.length, value.text);
    if (length > 0 && (size_t)length < sizeof pair)
        replace(text, (struct range){line.to, line.to}, pair, (size_t)length);
}

static void copy_line(struct text *text)
{
    uint8_t piece[PIECE_MAX_BYTES];
    size_t length = copy(text, choose_line(text), piece), to = choose_line(text).to;
    replace(text, (struct range){to, to}, piece, length);
}

static void copy_word(struct text *text)
{
    uint8_t piece[PIECE_MAX_BYTES];
    size_t length = copy(text, choose_word(text), piece);
    replace(text, choose_word(text), piece, length);
}

static void indent_line(struct text *text)
{
    size_t from = choose_line(text).from;
    bool is_deeper = choose(text, 2);
    bool can_be_flatter = from + INDENT_BYTES <= text->size && memcmp(text->data + from, "  ", INDENT_BYTES) == 0;
    if (is_deeper)
        replace(text, (struct range){from, from}, "  ", INDENT_BYTES);
    else if (can_be_flatter)
        replace(text, (struct range){from, from + INDENT_BYTES}, "", 0);
}

/* One value more where a list or a mapping of one line begins, or an empty one. */
static void put_into_brackets(struct text *text)
{
    static const char *const forms[] = {"[%.*s]", "{%.*s: %.*s}", "[%.*s, %.*s]", "[]", "{}", "\"%.*s\""};
    char piece[PIECE_MAX_BYTES];
    struct word one = choose_known_word(text), other = choose_known_word(text);
    int length =
        snprintf(piece, sizeof piece, forms[choose(text, sizeof forms / sizeof forms[0])], one.length, one.text, other.length, other.text);
    if (length > 0 && (size_t)length < sizeof piece)
        replace(text, choose_word(text), piece, (size_t)length);
}

static void edit(struct text *text)
{
    struct word word = choose_known_word(text);
    switch (choose(text, 8)) {
    case 0:
        insert_pair(text);
        break;
    case 1:
        copy_line(text);
        break;
    case 2:
        replace(text, choose_line(text), "", 0);
        break;
    case 3:
        indent_line(text);
        break;
    case 4:
        copy_word(text);
        break;
    case 5:
        put_into_brackets(text);
        break;
    default:
        replace(text, choose_word(text), word.text, (size_t)word.length);
        break;
    }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
    struct text text = {.data = data, .size = size, .max_size = max_size, .random = ((uint64_t)seed << 1) | 1};
    if (size == 0 || choose(&text, 4) == 0)
        return LLVMFuzzerMutate(data, size, max_size);
    for (size_t edits = 1 + choose(&text, EDITS_MAX); edits > 0; edits--)
        edit(&text);
    return text.size;
}
