/*
 * How libFuzzer changes texts that have lines and words (YAML, JSON): what its own mutations break in the first byte, these keep readable. The words
 * are the target's (fuzz_words): keys, values that mean something, numbers at the edges.
 */
#include "tests/fuzz/fuzz.h"

#include <stdbool.h>

enum { PIECE_MAX_BYTES = 512, EDITS_LOG_MAX = 3, TIMES_LOG_MAX = 7, INDENT_BYTES = 2 };

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

static size_t line_end(const struct text *text, size_t from)
{
    const uint8_t *end = from < text->size ? memchr(text->data + from, '\n', text->size - from) : NULL;
    return end ? (size_t)(end - text->data) + 1 : text->size;
}

/* Each line as likely as any other, however long it is. With its end. */
static struct range choose_line(struct text *text)
{
    size_t count = 0;
    for (size_t at = 0; at < text->size; at = line_end(text, at))
        count++;
    struct range line = {0, line_end(text, 0)};
    for (size_t skip = choose(text, count); skip > 0; skip--)
        line = (struct range){line.to, line_end(text, line.to)};
    return line;
}

static bool is_word_byte(uint8_t byte)
{
    return byte > ' ' && !strchr(",:{}[]\"'#", byte);
}

/* Empty, and at the end, when there is none. */
static struct range next_word(const struct text *text, size_t from, size_t end)
{
    struct range word = {from, from};
    while (word.from < end && !is_word_byte(text->data[word.from]))
        word.from++;
    for (word.to = word.from; word.to < end && is_word_byte(text->data[word.to]); word.to++)
        ;
    return word;
}

static struct range choose_word(struct text *text)
{
    struct range line = choose_line(text), word = next_word(text, line.from, line.to);
    size_t count = 0;
    for (struct range at = word; at.from < at.to; at = next_word(text, at.to, line.to))
        count++;
    for (size_t skip = choose(text, count); skip > 0; skip--)
        word = next_word(text, word.to, line.to);
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

static struct word choose_of(struct text *text, const char *words)
{
    size_t count = 1;
    for (const char *at = words; *at; at++)
        count += *at == ' ';
    for (size_t skip = choose(text, count); skip > 0; skip--)
        words = strchr(words, ' ') + 1;
    return (struct word){words, (int)strcspn(words, " ")};
}

static struct word choose_known_word(struct text *text)
{
    return choose_of(text, choose(text, 8) ? fuzz_words : "null ~ '' ${surface} a * .. \\xff");
}

/* In place of a number mostly another one, in place of a truth its opposite. */
static struct word choose_instead_of(struct text *text, struct range word)
{
    static const char numbers[] = "0 1 -1 2 100 3600 65536 2147483647 4294967296 9223372036854775807 1e300 nan";
    uint8_t first = word.from < word.to ? text->data[word.from] : 0;
    bool is_truth = word.to - word.from == 4 && memcmp(text->data + word.from, "true", 4) == 0;
    if (choose(text, 4) == 0)
        return choose_known_word(text);
    if ((first >= '0' && first <= '9') || first == '-' || first == '+')
        return choose_of(text, numbers);
    if (is_truth || (word.to - word.from == 5 && memcmp(text->data + word.from, "false", 5) == 0))
        return choose_of(text, is_truth ? "false" : "true");
    return choose_known_word(text);
}

static void replace_word(struct text *text)
{
    struct range at = choose_word(text);
    struct word word = choose_instead_of(text, at);
    replace(text, at, word.text, (size_t)word.length);
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

/* Mostly once, sometimes often enough to go beyond a limit. */
static size_t choose_times(struct text *text)
{
    return choose(text, 4) ? 1 : (size_t)1 << choose(text, TIMES_LOG_MAX);
}

static void insert(struct text *text, size_t at, const void *piece, size_t length)
{
    for (size_t times = choose_times(text); times > 0; times--)
        replace(text, (struct range){at, at}, piece, length);
}

static void copy_line(struct text *text)
{
    uint8_t piece[PIECE_MAX_BYTES];
    struct range line = choose_line(text);
    size_t length = copy(text, line, piece), to = choose(text, 2) ? line.to : choose_line(text).to;
    insert(text, to, piece, length);
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

/* One item or pair more behind the first bracket of a line. */
static void insert_into_brackets(struct text *text)
{
    char piece[PIECE_MAX_BYTES];
    struct range line = choose_line(text);
    struct word key = choose_known_word(text), value = choose_known_word(text);
    while (line.from < line.to && text->data[line.from] != '[' && text->data[line.from] != '{')
        line.from++;
    if (line.from == line.to)
        return;
    bool is_list = text->data[line.from++] == '[';
    /* As another item of the same list most often has the right type. */
    struct range item = next_word(text, line.from, line.to);
    if (is_list && choose(text, 2) && item.to > item.from && item.to - item.from < sizeof piece / 2)
        value = (struct word){(const char *)text->data + item.from, (int)(item.to - item.from)};
    int length = is_list ? snprintf(piece, sizeof piece, "%.*s, ", value.length, value.text)
                         : snprintf(piece, sizeof piece, "%.*s: %.*s, ", key.length, key.text, value.length, value.text);
    if (length > 0 && (size_t)length < sizeof piece)
        insert(text, line.from, piece, (size_t)length);
}

static void edit(struct text *text)
{
    switch (choose(text, 10)) {
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
    case 6:
    case 7:
        insert_into_brackets(text);
        break;
    default:
        replace_word(text);
        break;
    }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
    struct text text = {.data = data, .size = size, .max_size = max_size, .random = ((uint64_t)seed << 1) | 1};
    if (size == 0 || choose(&text, 8) == 0)
        return LLVMFuzzerMutate(data, size, max_size);
    for (size_t edits = (size_t)1 << choose(&text, EDITS_LOG_MAX); edits > 0; edits--)
        edit(&text);
    return text.size;
}
