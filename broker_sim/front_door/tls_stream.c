#include "broker_sim/front_door/tls_stream.h"

#include "broker_sim/scenario/trigger.h"

enum { TYPE_CHANGE_CIPHER_SPEC = 20, TYPE_HANDSHAKE = 22, TYPE_APPLICATION_DATA = 23, MESSAGE_FINISHED = 20, MESSAGE_HEADER_BYTES = 4 };

static bool is_clear_handshake(const struct tls_stream *stream)
{
    return stream->type == TYPE_HANDSHAKE && !stream->is_encrypted;
}

static int name_of_record(const struct tls_stream *stream, const struct tls_stream_callbacks *callbacks)
{
    switch (stream->type) {
    case TYPE_CHANGE_CIPHER_SPEC:
        return TRIGGER_CHANGE_CIPHER_SPEC;
    case TYPE_HANDSHAKE:
        return MESSAGE_FINISHED;
    case TYPE_APPLICATION_DATA:
        return callbacks->name(callbacks->user);
    default:
        return TLS_STREAM_UNKNOWN;
    }
}

static void record_begins(struct tls_stream *stream, const struct tls_stream_callbacks *callbacks)
{
    stream->type = stream->header[0];
    stream->record_left = (uint64_t)stream->header[3] << 8 | stream->header[4];
    if (is_clear_handshake(stream))
        return;
    stream->message = name_of_record(stream, callbacks);
    if (stream->message != TLS_STREAM_UNKNOWN)
        callbacks->begins(callbacks->user, stream->message, stream->record_start, stream->offset);
}

static void record_ended(struct tls_stream *stream, const struct tls_stream_callbacks *callbacks)
{
    stream->header_bytes = 0;
    if (is_clear_handshake(stream))
        return;
    if (stream->message != TLS_STREAM_UNKNOWN)
        callbacks->ended(callbacks->user, stream->message, stream->offset);
    stream->is_encrypted |= stream->type == TYPE_CHANGE_CIPHER_SPEC;
}

static void take_header(struct tls_stream *stream, const struct tls_stream_callbacks *callbacks, uint8_t byte)
{
    if (stream->header_bytes == 0)
        stream->record_start = stream->offset;
    stream->header[stream->header_bytes++] = byte;
    stream->offset++;
    if (stream->header_bytes < sizeof stream->header)
        return;
    record_begins(stream, callbacks);
    if (stream->record_left == 0)
        record_ended(stream, callbacks);
}

static void message_ended(struct tls_stream *stream, const struct tls_stream_callbacks *callbacks)
{
    stream->message_bytes = 0;
    callbacks->ended(callbacks->user, stream->message, stream->offset);
}

/* The header of a message, byte by byte: it may be spread over records. */
static void take_message_header(struct tls_stream *stream, const struct tls_stream_callbacks *callbacks, uint8_t byte)
{
    bool is_first_in_record = stream->offset == stream->record_start + sizeof stream->header;
    if (stream->message_bytes == 0) {
        stream->message = byte;
        callbacks->begins(callbacks->user, byte, is_first_in_record ? stream->record_start : stream->offset,
                          stream->offset + MESSAGE_HEADER_BYTES);
    }
    stream->message_header[stream->message_bytes++] = byte;
    stream->offset++;
    stream->record_left--;
    if (stream->message_bytes < MESSAGE_HEADER_BYTES)
        return;
    stream->message_left =
        (uint64_t)stream->message_header[1] << 16 | (uint64_t)stream->message_header[2] << 8 | (uint64_t)stream->message_header[3];
    if (stream->message_left == 0)
        message_ended(stream, callbacks);
}

/* Bytes that need no look one by one. Returns how many. */
static size_t take_body(struct tls_stream *stream, const struct tls_stream_callbacks *callbacks, size_t length_bytes)
{
    uint64_t count = stream->record_left < length_bytes ? stream->record_left : length_bytes;
    if (is_clear_handshake(stream) && stream->message_left < count)
        count = stream->message_left;
    stream->offset += count;
    stream->record_left -= count;
    if (is_clear_handshake(stream)) {
        stream->message_left -= count;
        if (stream->message_left == 0)
            message_ended(stream, callbacks);
    }
    return (size_t)count;
}

void tls_stream_take(struct tls_stream *stream, const struct tls_stream_callbacks *callbacks, const uint8_t *data, size_t length_bytes)
{
    for (size_t at = 0; at < length_bytes;) {
        if (stream->header_bytes < sizeof stream->header) {
            take_header(stream, callbacks, data[at++]);
            continue;
        }
        if (is_clear_handshake(stream) && stream->message_bytes < MESSAGE_HEADER_BYTES)
            take_message_header(stream, callbacks, data[at++]);
        else
            at += take_body(stream, callbacks, length_bytes - at);
        if (stream->record_left == 0)
            record_ended(stream, callbacks);
    }
}

uint64_t tls_stream_known(const struct tls_stream *stream)
{
    bool is_before_name = stream->header_bytes > 0 && stream->header_bytes < sizeof stream->header;
    bool is_before_type = stream->header_bytes == sizeof stream->header && is_clear_handshake(stream) && stream->message_bytes == 0 &&
                          stream->offset == stream->record_start + sizeof stream->header;
    return is_before_name || is_before_type ? stream->record_start : stream->offset;
}
