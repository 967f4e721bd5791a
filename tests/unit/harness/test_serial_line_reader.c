#include "harness/serial/line_reader.h"

#include "base/bytes.h"
#include "tests/cmocka.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Lines as "text|", parts as "text+", with '~' before what continues a line. */
struct seen {
    struct bytes shown;
    struct bytes raw;
    size_t count;
    size_t longest;
    struct line first, last;
};

static void on_line(void *user, const struct line *line)
{
    struct seen *seen = user;
    assert_int_equal(line->offset_bytes, seen->raw.length_bytes);
    assert_int_equal(line->text[line->length_bytes], 0);
    if (line->is_continued)
        bytes_append_byte(&seen->shown, '~');
    bytes_append(&seen->shown, line->text, line->length_bytes);
    bytes_append_byte(&seen->shown, line->is_part ? '+' : '|');
    bytes_append(&seen->raw, line->raw, line->raw_length_bytes);
    if (!seen->count++)
        seen->first = *line;
    seen->last = *line;
    if (line->length_bytes > seen->longest)
        seen->longest = line->length_bytes;
}

static void start(struct seen *seen, struct line_reader *reader)
{
    *seen = (struct seen){0};
    bytes_init(&seen->shown, 16 * 1024 * 1024);
    bytes_init(&seen->raw, 16 * 1024 * 1024);
    line_reader_init(reader, on_line, seen);
}

static void stop(struct seen *seen)
{
    bytes_done(&seen->shown);
    bytes_done(&seen->raw);
}

static void splits_at_lf_and_drops_the_crs_before_it(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } rows[] = {{"a\r\nb\n", "a|b|"},     {"\n\r\n", "||"},   {"a\rb\r\n", "a\rb|"},
                {"a\r\r\nb\r\n", "a|b|"}, {"unfinished", ""}, {"a\nunfinished\r", "a|"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct seen seen;
        struct line_reader reader;
        start(&seen, &reader);
        line_reader_feed(&reader, rows[i].in, strlen(rows[i].in), 1, 2);
        assert_string_equal(bytes_text(&seen.shown), rows[i].out);
        stop(&seen);
    }
}

static void keeps_nul_and_every_other_byte(void **state)
{
    (void)state;
    struct seen seen;
    struct line_reader reader;
    start(&seen, &reader);
    line_reader_feed(&reader, "a\0b\xff\x80\n", 6, 1, 2);
    assert_int_equal(seen.last.length_bytes, 5);
    assert_memory_equal(seen.shown.data, "a\0b\xff\x80|", 6);
    stop(&seen);
}

static void stamps_a_line_with_the_time_of_its_first_byte(void **state)
{
    (void)state;
    struct seen seen;
    struct line_reader reader;
    start(&seen, &reader);
    line_reader_feed(&reader, "one\ntw", 6, 100, 1000);
    assert_int_equal(seen.last.mono_us, 100);
    line_reader_feed(&reader, "o", 1, 200, 2000);
    line_reader_feed(&reader, "\n", 1, 300, 3000);
    assert_int_equal(seen.last.mono_us, 100);
    assert_int_equal(seen.last.unix_us, 1000);
    line_reader_feed(&reader, "three\n", 6, 400, 4000);
    assert_int_equal(seen.last.mono_us, 400);
    assert_int_equal(seen.last.number, 3);
    stop(&seen);
}

static void a_line_of_the_limit_is_no_part(void **state)
{
    (void)state;
    static const char *const ends[] = {"\n", "\r\n"};
    for (int i = 0; i < 2; i++) {
        struct seen seen;
        struct line_reader reader;
        char text[LINE_MAX_BYTES + 3];
        start(&seen, &reader);
        memset(text, 'x', LINE_MAX_BYTES);
        strcpy(text + LINE_MAX_BYTES, ends[i]);
        line_reader_feed(&reader, text, strlen(text), 1, 2);
        assert_int_equal(seen.count, 1);
        assert_false(seen.last.is_part);
        assert_int_equal(seen.last.length_bytes, LINE_MAX_BYTES);
        stop(&seen);
    }
}

static void delivers_a_longer_line_in_marked_parts(void **state)
{
    (void)state;
    struct seen seen;
    struct line_reader reader;
    char text[LINE_MAX_BYTES + 1];
    start(&seen, &reader);
    memset(text, 'x', sizeof(text));
    line_reader_feed(&reader, text, sizeof(text), 1, 2);
    line_reader_feed(&reader, "yz\r\n", 4, 3, 4);
    assert_int_equal(seen.count, 2);
    assert_true(seen.first.is_part && !seen.first.is_continued);
    assert_true(!seen.last.is_part && seen.last.is_continued);
    assert_int_equal(seen.first.length_bytes, LINE_MAX_BYTES);
    assert_int_equal(seen.last.length_bytes, 3);
    assert_int_equal(seen.first.number, seen.last.number);
    stop(&seen);
}

static void a_cr_at_the_limit_is_kept_when_the_line_goes_on(void **state)
{
    (void)state;
    struct seen seen;
    struct line_reader reader;
    char text[LINE_MAX_BYTES];
    start(&seen, &reader);
    memset(text, 'x', sizeof(text));
    line_reader_feed(&reader, text, sizeof(text), 1, 2);
    line_reader_feed(&reader, "\ry\n", 3, 3, 4);
    assert_int_equal(seen.count, 2);
    assert_int_equal(seen.first.length_bytes, LINE_MAX_BYTES);
    assert_int_equal(seen.last.length_bytes, 2);
    assert_memory_equal(seen.raw.data + LINE_MAX_BYTES, "\ry\n", 3);
    stop(&seen);
}

static void takes_a_line_of_a_megabyte(void **state)
{
    (void)state;
    enum { BYTES = 1024 * 1024 };
    struct seen seen;
    struct line_reader reader;
    char *text = malloc(BYTES + 1);
    start(&seen, &reader);
    memset(text, 'm', BYTES);
    text[BYTES] = '\n';
    line_reader_feed(&reader, text, BYTES + 1, 1, 2);
    assert_int_equal(seen.count, BYTES / LINE_MAX_BYTES);
    assert_int_equal(seen.longest, LINE_MAX_BYTES);
    assert_int_equal(seen.raw.length_bytes, BYTES + 1);
    assert_memory_equal(seen.raw.data, text, BYTES + 1);
    free(text);
    stop(&seen);
}

static void flush_delivers_an_unfinished_line_as_a_part(void **state)
{
    (void)state;
    struct seen seen;
    struct line_reader reader;
    start(&seen, &reader);
    line_reader_feed(&reader, "uart:~$ ", 8, 1, 2);
    line_reader_flush(&reader);
    line_reader_flush(&reader);
    line_reader_feed(&reader, "next\n", 5, 3, 4);
    assert_string_equal(bytes_text(&seen.shown), "uart:~$ +next|");
    assert_int_equal(seen.last.number, 2);
    assert_false(seen.last.is_continued);
    stop(&seen);
}

/* However the bytes are cut, the same lines come, and the raw parts are the stream. */
static void does_not_depend_on_how_the_bytes_come(void **state)
{
    (void)state;
    enum { BYTES = 200000 };
    static const char alphabet[] = "ab\r\r\n\0c\xf0";
    char *stream = malloc(BYTES);
    unsigned int seed = 7;
    for (size_t i = 0; i < BYTES; i++) {
        seed = seed * 1103515245 + 12345;
        bool is_long_stretch = i % 20000 > 10000;
        stream[i] = is_long_stretch ? (seed >> 16) % 4000 ? 'q' : '\r' : alphabet[(seed >> 16) % (sizeof(alphabet) - 1)];
    }
    struct seen whole, cut;
    struct line_reader reader;
    start(&whole, &reader);
    line_reader_feed(&reader, stream, BYTES, 1, 2);
    line_reader_flush(&reader);
    assert_int_equal(whole.raw.length_bytes, BYTES);
    assert_memory_equal(whole.raw.data, stream, BYTES);
    for (size_t step = 1; step < 5000; step = step * 3 + 1) {
        start(&cut, &reader);
        for (size_t at = 0; at < BYTES; at += step)
            line_reader_feed(&reader, stream + at, at + step > BYTES ? BYTES - at : step, 1, 2);
        line_reader_flush(&reader);
        assert_int_equal(cut.count, whole.count);
        assert_int_equal(cut.shown.length_bytes, whole.shown.length_bytes);
        assert_memory_equal(cut.shown.data, whole.shown.data, whole.shown.length_bytes);
        stop(&cut);
    }
    stop(&whole);
    free(stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(splits_at_lf_and_drops_the_crs_before_it),
        cmocka_unit_test(keeps_nul_and_every_other_byte),
        cmocka_unit_test(stamps_a_line_with_the_time_of_its_first_byte),
        cmocka_unit_test(a_line_of_the_limit_is_no_part),
        cmocka_unit_test(delivers_a_longer_line_in_marked_parts),
        cmocka_unit_test(a_cr_at_the_limit_is_kept_when_the_line_goes_on),
        cmocka_unit_test(takes_a_line_of_a_megabyte),
        cmocka_unit_test(flush_delivers_an_unfinished_line_as_a_part),
        cmocka_unit_test(does_not_depend_on_how_the_bytes_come),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
