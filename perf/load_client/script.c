#include "perf/load_client/script.h"

#include "base/cleanup.h"

#include <stdio.h>
#include <string.h>

enum step { STEP_CONNACK, STEP_SUBACK, STEP_REPLY };

enum { TEXT_MAX_BYTES = 512, POLLS_MAX = 10, GREETING_BYTES = 4, KEEP_ALIVE_S = 600 };

#define RESPONSE_FILTER "$dps/registrations/res/#"

const char *const script_names[] = {"handshake", "connack", "registration", "idle", NULL};

/* Writing. */

static void put_text(struct bytes *out, const char *text)
{
    size_t length = strlen(text);
    bytes_append_byte(out, (uint8_t)(length >> 8));
    bytes_append_byte(out, (uint8_t)length);
    bytes_append(out, text, length);
}

static void put_u16(struct bytes *out, int value)
{
    bytes_append_byte(out, (uint8_t)(value >> 8));
    bytes_append_byte(out, (uint8_t)value);
}

static void put_header(struct bytes *out, uint8_t first, size_t remaining)
{
    bytes_append_byte(out, first);
    do {
        uint8_t digit = remaining % 128;
        remaining /= 128;
        bytes_append_byte(out, remaining ? digit | 0x80 : digit);
    } while (remaining);
}

static void put_connect(const struct script *script, struct bytes *out)
{
    char user_name[TEXT_MAX_BYTES];
    snprintf(user_name, sizeof user_name, "%s/registrations/%s/api-version=2019-03-31", script->id_scope, script->id);
    put_header(out, 0x10, 10 + 2 + strlen(script->id) + 2 + strlen(user_name));
    bytes_append(out, "\0\4MQTT\4\x82", 8);
    put_u16(out, KEEP_ALIVE_S);
    put_text(out, script->id);
    put_text(out, user_name);
}

static void put_subscribe(struct bytes *out)
{
    put_header(out, 0x82, 2 + 2 + strlen(RESPONSE_FILTER) + 1);
    put_u16(out, 1);
    put_text(out, RESPONSE_FILTER);
    bytes_append_byte(out, 1);
}

static void put_publish(struct bytes *out, const char *topic, int packet_id)
{
    put_header(out, 0x32, 2 + strlen(topic) + 2);
    put_text(out, topic);
    put_u16(out, packet_id);
}

/* All devices use the same request ids: a reply that came to the wrong one would look right but for its content. */
static void put_register(struct script *script, struct bytes *out)
{
    script->rid = 1;
    put_publish(out, "$dps/registrations/PUT/iotdps-register/?$rid=1", script->rid + 1);
}

static void put_poll(struct script *script, const char *operation_id, struct bytes *out)
{
    char topic[TEXT_MAX_BYTES];
    script->rid++;
    snprintf(topic, sizeof topic, "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=%d&operationId=%s", script->rid, operation_id);
    put_publish(out, topic, script->rid + 1);
}

/* Reading. */

static void copy(struct cursor *cursor, size_t length_bytes, char *text)
{
    const uint8_t *data = cursor_take(cursor, length_bytes);
    size_t kept = data && length_bytes < TEXT_MAX_BYTES ? length_bytes : 0;
    if (kept)
        memcpy(text, data, kept);
    text[kept] = 0;
}

static bool read_operation_id(const char *body, char *ret_id)
{
    static const char key[] = "\"operationId\":\"";
    const char *at = strstr(body, key);
    if (!at)
        return false;
    at += sizeof key - 1;
    size_t length = strcspn(at, "\"");
    snprintf(ret_id, TEXT_MAX_BYTES, "%.*s", (int)(length < TEXT_MAX_BYTES ? length : 0), at);
    return length > 0 && length < TEXT_MAX_BYTES;
}

static bool is_assignment_of(const char *body, const char *id)
{
    char wanted[TEXT_MAX_BYTES];
    snprintf(wanted, sizeof wanted, "\"registrationId\":\"%s\"", id);
    return strstr(body, "\"status\":\"assigned\"") && strstr(body, wanted);
}

static enum script_result take_reply(struct script *script, const char *topic, const char *body, struct bytes *out)
{
    char operation_id[TEXT_MAX_BYTES];
    int status = 0, rid = 0;
    if (sscanf(topic, "$dps/registrations/res/%d/?$rid=%d", &status, &rid) != 2 || rid != script->rid)
        return SCRIPT_WRONG;
    if (status == 200 && script->rid > 1)
        return is_assignment_of(body, script->id) ? SCRIPT_DONE : SCRIPT_WRONG;
    if (status != 202 || script->rid > POLLS_MAX || !read_operation_id(body, operation_id))
        return SCRIPT_WRONG;
    put_poll(script, operation_id, out);
    return SCRIPT_MORE;
}

static enum script_result take_publish(struct script *script, uint8_t first, struct cursor body, struct bytes *out)
{
    char topic[TEXT_MAX_BYTES], text[SCRIPT_BUFFER_MAX_BYTES];
    copy(&body, cursor_u16(&body), topic);
    if ((first & 6) == 2) {
        bytes_append(out, "\x40\x02", 2);
        put_u16(out, cursor_u16(&body));
    }
    size_t length = cursor_left(&body);
    if (body.has_failed || script->kind != SCRIPT_REGISTRATION || script->step != STEP_REPLY || length >= sizeof text)
        return SCRIPT_WRONG;
    if (length)
        memcpy(text, body.at, length);
    text[length] = 0;
    return take_reply(script, topic, text, out);
}

static enum script_result take_connack(struct script *script, struct cursor body, struct bytes *out)
{
    if (script->step != STEP_CONNACK || cursor_left(&body) != 2 || cursor_u16(&body) != 0)
        return SCRIPT_WRONG;
    if (script->kind == SCRIPT_CONNACK)
        return SCRIPT_DONE;
    script->step = STEP_SUBACK;
    put_subscribe(out);
    return SCRIPT_MORE;
}

static enum script_result take_suback(struct script *script, struct cursor body, struct bytes *out)
{
    if (script->step != STEP_SUBACK || cursor_left(&body) != 3 || cursor_u16(&body) != 1 || cursor_u8(&body) > 1)
        return SCRIPT_WRONG;
    script->step = STEP_REPLY;
    if (script->kind == SCRIPT_IDLE)
        return SCRIPT_DONE;
    put_register(script, out);
    return SCRIPT_MORE;
}

static enum script_result take_packet(struct script *script, uint8_t first, struct cursor body, struct bytes *out)
{
    switch (first >> 4) {
    case 2:
        return take_connack(script, body, out);
    case 3:
        return take_publish(script, first, body, out);
    case 4: /* PUBACK */
        return SCRIPT_MORE;
    case 9:
        return take_suback(script, body, out);
    default:
        return SCRIPT_WRONG;
    }
}

/* The whole packet at the front of `in`. Returns its length, 0 when it is not there yet. */
static size_t find_packet(const struct bytes *in, struct cursor *ret_body)
{
    struct cursor cursor = cursor_of(in->data, in->length_bytes);
    size_t remaining = 0;
    cursor_u8(&cursor);
    for (unsigned shift = 0; shift < 28; shift += 7) {
        uint8_t digit = cursor_u8(&cursor);
        remaining |= (size_t)(digit & 0x7f) << shift;
        if (!(digit & 0x80))
            break;
    }
    if (cursor.has_failed || cursor_left(&cursor) < remaining)
        return 0;
    *ret_body = cursor_of(cursor.at, remaining);
    return in->length_bytes - cursor_left(&cursor) + remaining;
}

void script_begin(struct script *script, struct bytes *out)
{
    script->step = STEP_CONNACK;
    script->rid = 0;
    if (script->kind != SCRIPT_HANDSHAKE)
        put_connect(script, out);
}

enum script_result script_feed(struct script *script, struct bytes *in, struct bytes *out)
{
    struct cursor body;
    size_t length;
    if (script->kind == SCRIPT_HANDSHAKE)
        return in->length_bytes < GREETING_BYTES ? SCRIPT_MORE : in->length_bytes == GREETING_BYTES ? SCRIPT_DONE : SCRIPT_WRONG;
    while ((length = find_packet(in, &body))) {
        enum script_result result = take_packet(script, in->data[0], body, out);
        if (result != SCRIPT_MORE)
            return result;
        bytes_consume(in, length);
    }
    return SCRIPT_MORE;
}

void script_end(const struct script *script, struct bytes *out)
{
    if (script->kind != SCRIPT_HANDSHAKE)
        bytes_append(out, "\xe0\x00", 2);
}
