/*
 * harness/serial/line_reader.h - lines from a serial port, none lost, each with its time
 *
 * What:     splits the byte stream of one port into lines. Joined, the `raw` parts of all lines are the stream, byte by byte.
 * Not here: what a line means (device/zephyr_log.h, device/at.h).
 * Rules:    a line ends with LF; CRs before it do not belong to the text. A lone CR, NUL and every other byte stay in the text.
 * Limits:   LINE_MAX_BYTES of text a line; a longer one is delivered in parts, marked, never dropped. Linear in the input.
 */
#ifndef HARNESS_SERIAL_LINE_READER_H
#define HARNESS_SERIAL_LINE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LINE_MAX_BYTES = 4096 };

/* Lent for the callback. */
struct line {
    const char *text; /* without the line end; NUL-terminated, but NULs may stand in it */
    size_t length_bytes;
    const char *raw; /* the text with its line end, as it came */
    size_t raw_length_bytes;
    int64_t mono_us; /* when the first byte of this line (or part) came */
    int64_t unix_us;
    int64_t end_mono_us; /* when its last byte came: for what was printed behind a prompt that had stood there for long */
    int64_t end_unix_us;
    uint64_t number;       /* from 1; the parts of a line share it */
    uint64_t offset_bytes; /* of raw in the stream */
    bool is_part;          /* not the end of the line: more of it follows, or the stream broke off */
    bool is_continued;     /* not the beginning of the line */
};

typedef void line_fn(void *user, const struct line *line);

struct line_reader {
    line_fn *on_line;
    void *user;
    char buffer[LINE_MAX_BYTES + 2]; /* text, CR, LF */
    char text[LINE_MAX_BYTES + 2];
    size_t length_bytes;
    int64_t mono_us;
    int64_t unix_us;
    int64_t end_mono_us;
    int64_t end_unix_us;
    uint64_t number;
    uint64_t offset_bytes;
    bool is_continued;
};

void line_reader_init(struct line_reader *reader, line_fn *on_line, void *user);
/* Bytes that came at this time. Calls on_line for every line that they end, and for full parts. */
void line_reader_feed(struct line_reader *reader, const void *data, size_t length_bytes, int64_t mono_us, int64_t unix_us);
/* Deliver an unfinished line as a part: the port went away, or the capture ends. The next byte begins a new line. */
void line_reader_flush(struct line_reader *reader);

#endif
