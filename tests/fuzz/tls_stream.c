/* A direction of TLS as a peer sends it: however the stream is cut, the same messages begin and end at the same bytes. */
#include "broker_sim/front_door/tls_stream.h"

#include "base/bytes.h"
#include "tests/fuzz/fuzz.h"

enum { TRACE_MAX_BYTES = 16 * 1024 * 1024 };

struct trace {
    struct tls_stream stream;
    struct bytes text;
    uint64_t last;
};

static void on_begins(void *user, int message, uint64_t start, uint64_t body)
{
    struct trace *trace = user;
    FUZZ_MUST(start <= body && start >= trace->last);
    trace->last = start;
    bytes_printf(&trace->text, "+%d %llu %llu\n", message, (unsigned long long)start, (unsigned long long)body);
}

static void on_ended(void *user, int message, uint64_t end)
{
    struct trace *trace = user;
    FUZZ_MUST(end == trace->stream.offset && end >= trace->last);
    trace->last = end;
    bytes_printf(&trace->text, "-%d %llu\n", message, (unsigned long long)end);
}

static int on_name(void *user)
{
    const struct trace *trace = user;
    return trace->stream.offset % 3 ? TLS_STREAM_UNKNOWN : 11;
}

static void feed(struct trace *trace, const uint8_t *data, size_t size, size_t step)
{
    const struct tls_stream_callbacks callbacks = {trace, on_begins, on_ended, on_name};
    bytes_init(&trace->text, TRACE_MAX_BYTES);
    for (size_t at = 0; at < size; at += step) {
        size_t length = size - at < step ? size - at : step;
        CLEANUP_FREE char *copy = fuzz_text(data + at, length);
        tls_stream_take(&trace->stream, &callbacks, (const uint8_t *)copy, length);
        FUZZ_MUST(tls_stream_known(&trace->stream) <= trace->stream.offset);
        FUZZ_MUST(trace->stream.offset - tls_stream_known(&trace->stream) <= sizeof trace->stream.header);
    }
    FUZZ_MUST(trace->stream.offset == size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct trace whole = {.last = 0}, cut = {.last = 0};
    feed(&whole, data, size, size ? size : 1);
    feed(&cut, data, size, size ? 1 + data[0] % 7U : 1);
    FUZZ_MUST(whole.text.length_bytes == cut.text.length_bytes);
    FUZZ_MUST(!whole.text.length_bytes || memcmp(whole.text.data, cut.text.data, whole.text.length_bytes) == 0);
    bytes_done(&whole.text);
    bytes_done(&cut.text);
    return 0;
}
