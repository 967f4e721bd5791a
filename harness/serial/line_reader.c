#include "harness/serial/line_reader.h"

#include <string.h>

void line_reader_init(struct line_reader *reader, line_fn *on_line, void *user)
{
    *reader = (struct line_reader){.on_line = on_line, .user = user, .number = 1};
}

static size_t text_length(const char *raw, size_t length)
{
    if (!length || raw[length - 1] != '\n')
        return length;
    length--;
    while (length && raw[length - 1] == '\r')
        length--;
    return length;
}

/* `length` raw bytes from the front of the buffer: a whole line when the last one is LF, else a part. */
static void deliver(struct line_reader *reader, size_t length)
{
    bool is_end = reader->buffer[length - 1] == '\n';
    size_t text_bytes = text_length(reader->buffer, length);
    memcpy(reader->text, reader->buffer, text_bytes);
    reader->text[text_bytes] = 0;
    struct line line = {.text = reader->text,
                        .length_bytes = text_bytes,
                        .raw = reader->buffer,
                        .raw_length_bytes = length,
                        .mono_us = reader->mono_us,
                        .unix_us = reader->unix_us,
                        .end_mono_us = reader->end_mono_us,
                        .end_unix_us = reader->end_unix_us,
                        .number = reader->number,
                        .offset_bytes = reader->offset_bytes,
                        .is_part = !is_end,
                        .is_continued = reader->is_continued};
    reader->offset_bytes += length;
    reader->is_continued = !is_end;
    reader->number += is_end;
    reader->on_line(reader->user, &line);
    reader->length_bytes -= length;
    memmove(reader->buffer, reader->buffer + length, reader->length_bytes);
}

static void push(struct line_reader *reader, const char *data, size_t length, int64_t mono_us, int64_t unix_us)
{
    if (!length)
        return;
    if (!reader->length_bytes) {
        reader->mono_us = mono_us;
        reader->unix_us = unix_us;
    }
    reader->end_mono_us = mono_us;
    reader->end_unix_us = unix_us;
    memcpy(reader->buffer + reader->length_bytes, data, length);
    reader->length_bytes += length;
}

/*
 * A line of exactly LINE_MAX_BYTES is no part, also with CR LF behind it: so when the buffer is full, one CR more is taken and the byte
 * after it decides.
 */
void line_reader_feed(struct line_reader *reader, const void *data, size_t length_bytes, int64_t mono_us, int64_t unix_us)
{
    const char *at = data, *end = at + length_bytes;
    while (at < end) {
        bool is_full = reader->length_bytes >= LINE_MAX_BYTES;
        bool may_end = *at == '\n' || (*at == '\r' && reader->length_bytes == LINE_MAX_BYTES);
        if (is_full && !may_end) {
            deliver(reader, LINE_MAX_BYTES);
            continue;
        }
        size_t room = is_full ? 1 : LINE_MAX_BYTES - reader->length_bytes;
        size_t left = (size_t)(end - at);
        size_t take = left < room ? left : room;
        const char *line_end = memchr(at, '\n', take);
        if (line_end)
            take = (size_t)(line_end - at) + 1;
        push(reader, at, take, mono_us, unix_us);
        at += take;
        if (line_end)
            deliver(reader, reader->length_bytes);
    }
}

void line_reader_flush(struct line_reader *reader)
{
    if (reader->length_bytes)
        deliver(reader, reader->length_bytes);
    if (reader->is_continued)
        reader->number++;
    reader->is_continued = false;
}
