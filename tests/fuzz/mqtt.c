/* MQTT as a device sends it: however the stream is cut, the same packets come out; what is read can be written and read again. */
#include "broker_sim/mqtt/ack.h"
#include "broker_sim/mqtt/connack.h"
#include "broker_sim/mqtt/connect.h"
#include "broker_sim/mqtt/framer.h"
#include "broker_sim/mqtt/subscribe.h"
#include "broker_sim/mqtt/topic.h"
#include "broker_sim/mqtt/utf8.h"
#include "tests/fuzz/fuzz.h"

enum { PACKET_MAX_BYTES = 8 * 1024, PAYLOAD_MAX_BYTES = 64 * 1024, TRACE_MAX_BYTES = 1024 * 1024 };

static void check_text(struct mqtt_text text)
{
    FUZZ_MUST(utf8_is_mqtt_text(text.data, text.length_bytes));
    CLEANUP_FREE char *copy = mqtt_text_copy(text);
    FUZZ_MUST(copy && strlen(copy) == text.length_bytes);
}

/* What goes on to Mosquitto is a CONNECT that we can read ourselves. */
static void check_forwarded(const struct mqtt_connect *connect)
{
    CLEANUP(bytes_done) struct bytes out = {0};
    struct mqtt_header header;
    struct mqtt_connect again;
    bytes_init(&out, 2 * MQTT_TEXT_MAX_BYTES);
    if (mqtt_write_connect(&out, "7", "s/7/", connect))
        return;
    FUZZ_MUST(mqtt_read_header(out.data, out.length_bytes, &header) == MQTT_DONE);
    FUZZ_MUST(header.size_bytes + (size_t)header.remaining_bytes == out.length_bytes);
    FUZZ_MUST(mqtt_read_connect(out.data + header.size_bytes, header.remaining_bytes, &again, NULL) == 0);
    FUZZ_MUST(again.is_clean_session && again.keep_alive_s == 0 && !again.has_user_name && !again.has_password && !again.is_will_retained);
    FUZZ_MUST(again.has_will == connect->has_will &&
              (!again.has_will || again.will_topic.length_bytes == connect->will_topic.length_bytes + 4));
}

static int read_connect(const uint8_t *body, size_t length, struct error *error)
{
    struct mqtt_connect connect;
    if (mqtt_read_connect(body, length, &connect, error))
        return -1;
    if (connect.protocol_level != MQTT_LEVEL_3_1_1)
        return 0;
    check_text(connect.client_id);
    if (connect.has_user_name)
        check_text(connect.user_name);
    if (connect.has_will)
        check_text(connect.will_topic);
    check_forwarded(&connect);
    return 0;
}

static int read_filters(const struct mqtt_header *header, const uint8_t *body, size_t length, struct error *error)
{
    struct mqtt_filters filters;
    struct mqtt_filter filter;
    size_t count = 0;
    if (mqtt_read_filters(header, body, length, &filters, error))
        return -1;
    while (mqtt_next_filter(&filters, &filter)) {
        check_text(filter.text);
        FUZZ_MUST(!topic_filter_fault(filter.text) && filter.qos <= 2);
        count++;
    }
    FUZZ_MUST(count == filters.count && count > 0);
    return 0;
}

static int read_packet(const struct mqtt_header *header, const uint8_t *body, size_t length, struct error *error)
{
    struct mqtt_connack connack;
    struct mqtt_suback suback;
    uint16_t packet_id;
    switch (header->type) {
    case MQTT_CONNECT:
        return read_connect(body, length, error);
    case MQTT_SUBSCRIBE:
    case MQTT_UNSUBSCRIBE:
        return read_filters(header, body, length, error);
    case MQTT_CONNACK:
        return mqtt_read_connack(body, length, &connack, error);
    case MQTT_SUBACK:
        return mqtt_read_suback(body, length, &suback, error);
    case MQTT_PUBACK:
    case MQTT_UNSUBACK:
        return mqtt_read_ack(header, body, length, &packet_id, error);
    default:
        return mqtt_read_bare(header, error);
    }
}

/* A line a packet: what must not depend on how the bytes arrive. */
static int on_packet(void *user, const struct mqtt_header *header, const uint8_t *body, size_t length, struct error *error)
{
    FUZZ_MUST(length == header->remaining_bytes && length <= PACKET_MAX_BYTES);
    struct error fault = ERROR_INIT;
    int result = read_packet(header, body, length, &fault);
    if (result)
        fuzz_check_error(&fault);
    (void)error;
    return bytes_printf(user, "%s %zu %d %s\n", mqtt_type_name(header->type), length, result, fault.text);
}

static int on_publish(void *user, const struct mqtt_publish *publish, struct error *error)
{
    (void)error;
    check_text(publish->topic);
    FUZZ_MUST(publish->payload_bytes <= PAYLOAD_MAX_BYTES);
    const char *fault = topic_name_fault(publish->topic);
    CLEANUP(bytes_done) struct bytes out = {0};
    bytes_init(&out, 2 * MQTT_TEXT_MAX_BYTES);
    if (mqtt_write_publish_head(&out, "s/7/", publish) == 0) {
        struct mqtt_header header;
        size_t head_bytes = 0;
        FUZZ_MUST(mqtt_read_header(out.data, out.length_bytes, &header) == MQTT_DONE);
        FUZZ_MUST(mqtt_publish_head_bytes(&header, out.data, out.length_bytes, &head_bytes) == MQTT_DONE && head_bytes == out.length_bytes);
    }
    return bytes_printf(user, "PUBLISH %u %u %u %s\n", publish->topic.length_bytes, publish->qos, publish->payload_bytes,
                        fault ? fault : "-");
}

static int on_payload(void *user, const uint8_t *data, size_t length, struct error *error)
{
    (void)error;
    FUZZ_MUST(length > 0);
    return bytes_append(user, data, length);
}

static void run(const uint8_t *data, size_t size, size_t piece, struct bytes *trace)
{
    struct mqtt_framer framer;
    const struct mqtt_framer_callbacks callbacks = {trace, on_packet, on_publish, on_payload};
    struct error error = ERROR_INIT;
    int result = 0;
    bytes_init(trace, TRACE_MAX_BYTES);
    mqtt_framer_init(&framer, PACKET_MAX_BYTES, PAYLOAD_MAX_BYTES);
    for (size_t at = 0; at < size && result == 0; at += piece) {
        size_t length = size - at < piece ? size - at : piece, used = 0;
        result = mqtt_framer_feed(&framer, &callbacks, data + at, length, &used, &error);
        FUZZ_MUST(used <= length && result <= 0 && (result || used == length));
    }
    if (result)
        fuzz_check_error(&error);
    bytes_printf(trace, "end %d %d %s\n", result, !result && mqtt_framer_is_idle(&framer), error.text);
    mqtt_framer_done(&framer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    CLEANUP(bytes_done) struct bytes whole = {0};
    CLEANUP(bytes_done) struct bytes cut = {0};
    size_t piece = data[0] % 7 + 1;
    run(data + 1, size - 1, size, &whole);
    run(data + 1, size - 1, piece, &cut);
    FUZZ_MUST(whole.length_bytes == cut.length_bytes && memcmp(whole.data, cut.data, cut.length_bytes) == 0);
    return 0;
}
