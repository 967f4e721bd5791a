#include "reports/event_text.h"

#include "base/cleanup.h"
#include "reports/clean_text.h"

#include <string.h>

enum { TEXT_MAX_BYTES = 64 * 1024 };

/* ---- pieces ---- */

static const char *datum(const cJSON *data, const char *name)
{
    return json_string(data, name, "?");
}

/* Every topic of DPS begins so; what tells them apart stands behind it. */
static const char *short_topic(const char *topic)
{
    static const char prefix[] = "$dps/registrations/";
    return strncmp(topic, prefix, sizeof prefix - 1) == 0 ? topic + sizeof prefix - 1 : topic;
}

static void append_list(struct bytes *out, const cJSON *list, const char *member, const char *separator)
{
    const cJSON *item;
    const char *before = "";
    cJSON_ArrayForEach(item, list)
    {
        const cJSON *value = member ? json_member(item, member) : item;
        if (cJSON_IsString(value))
            bytes_printf(out, "%s%s", before, short_topic(value->valuestring));
        else if (cJSON_IsNumber(value))
            bytes_printf(out, "%s%g", before, value->valuedouble);
        before = separator;
    }
}

/* ": TEXT", when there is one. */
static void append_text(struct bytes *out, const cJSON *data, const char *name)
{
    const char *text = json_string(data, name, NULL);
    if (text && *text)
        bytes_printf(out, ": %s", text);
}

/* ---- console ---- */

static void tell_line(const cJSON *data, struct bytes *out)
{
    const char *message = json_string(data, "message", NULL);
    if (message)
        bytes_printf(out, "%s: %s [%s]", datum(data, "level"), message, datum(data, "module"));
    else
        bytes_append_text(out, json_string(data, "text", ""));
}

static void tell_gap(const cJSON *data, struct bytes *out)
{
    long long lost_bytes = json_integer(data, "lost_bytes", 0);
    if (lost_bytes)
        bytes_printf(out, "(%lld bytes are lost: they came faster than they were taken)", lost_bytes);
    else
        bytes_printf(out, "(the port was away for %lld ms)", (long long)json_integer(data, "gap_ms", 0));
}

static void tell_at_command(const cJSON *data, struct bytes *out)
{
    bytes_printf(out, "> %s", datum(data, "command"));
}

static void tell_at_reply(const cJSON *data, struct bytes *out)
{
    const cJSON *lines = json_member(data, "lines");
    bytes_printf(out, "< %s", datum(data, "result"));
    if (cJSON_GetArraySize(lines)) {
        bytes_append_text(out, ": ");
        append_list(out, lines, NULL, " / ");
    }
}

/* ---- wire ---- */

static void tell_accepted(const cJSON *data, struct bytes *out)
{
    bytes_printf(out, "-> TCP from %s", datum(data, "peer"));
}

static void tell_client_hello(const cJSON *data, struct bytes *out)
{
    bytes_printf(out, "-> ClientHello for %s, ", json_string(data, "sni", "no name"));
    append_list(out, json_member(data, "versions"), NULL, " ");
}

static void tell_handshake(const cJSON *data, struct bytes *out)
{
    const cJSON *chain = json_member(data, "chain"), *errors = json_member(data, "verify_errors");
    int count = cJSON_GetArraySize(chain);
    bytes_printf(out, "-- %s is up, %d certificate%s", datum(data, "version"), count, count == 1 ? "" : "s");
    if (count)
        bytes_printf(out, " from %s", datum(cJSON_GetArrayItem(chain, 0), "subject"));
    if (cJSON_GetArraySize(errors)) {
        bytes_append_text(out, "; ");
        append_list(out, errors, "name", ", ");
    }
}

static const char *arrow(const cJSON *data, const char *from_device)
{
    return strcmp(datum(data, "direction"), from_device) == 0 ? "->" : "<-";
}

static void tell_alert(const cJSON *data, struct bytes *out)
{
    bytes_printf(out, "%s alert %s (%s)", arrow(data, "received"), datum(data, "name"), datum(data, "level"));
}

static void tell_failed(const cJSON *data, struct bytes *out)
{
    bytes_printf(out, "-- no TLS, %s: %s", datum(data, "stage"), datum(data, "reason"));
}

static void tell_connect(const cJSON *data, struct bytes *out)
{
    bytes_printf(out, "-> CONNECT %s (%s), user name %s", datum(data, "client_id"), datum(data, "endpoint"), datum(data, "user_name"));
}

static void tell_connack(const cJSON *data, struct bytes *out)
{
    bytes_printf(out, "<- CONNACK %lld", (long long)json_integer(data, "return_code", -1));
}

static void tell_subscribe(const cJSON *data, struct bytes *out)
{
    bytes_append_text(out, "-> SUBSCRIBE ");
    append_list(out, json_member(data, "filters"), "filter", ", ");
}

static void tell_suback(const cJSON *data, struct bytes *out)
{
    bytes_append_text(out, "<- SUBACK ");
    append_list(out, json_member(data, "return_codes"), NULL, ", ");
}

static void tell_unsubscribe(const cJSON *data, struct bytes *out)
{
    bytes_append_text(out, "-> UNSUBSCRIBE ");
    append_list(out, json_member(data, "filters"), NULL, ", ");
}

static void tell_unsuback(const cJSON *data, struct bytes *out)
{
    (void)data;
    bytes_append_text(out, "<- UNSUBACK");
}

static void tell_publish(const cJSON *data, struct bytes *out)
{
    bytes_printf(out, "%s PUBLISH %s (%lld bytes)", arrow(data, "up"), short_topic(datum(data, "topic")),
                 (long long)json_integer(data, "payload_bytes", 0));
}

static void tell_puback(const cJSON *data, struct bytes *out)
{
    bytes_printf(out, "%s PUBACK %lld", arrow(data, "up"), (long long)json_integer(data, "packet_id", 0));
}

static void tell_pingreq(const cJSON *data, struct bytes *out)
{
    (void)data;
    bytes_append_text(out, "-> PINGREQ");
}

static void tell_pingresp(const cJSON *data, struct bytes *out)
{
    (void)data;
    bytes_append_text(out, "<- PINGRESP");
}

static void tell_disconnect(const cJSON *data, struct bytes *out)
{
    (void)data;
    bytes_append_text(out, "-> DISCONNECT");
}

static void tell_violation(const cJSON *data, struct bytes *out)
{
    bytes_append_text(out, "-- breaks MQTT");
    append_text(out, data, "reason");
}

static void tell_closed(const cJSON *data, struct bytes *out)
{
    bytes_printf(out, "-- closed by %s, %s (%s)", datum(data, "by"), datum(data, "how"), datum(data, "stage"));
}

/* ---- service ---- */

static void tell_verdict(const cJSON *data, struct bytes *out)
{
    const char *rule = json_string(data, "rule", NULL), *surface = json_string(data, "surface", NULL);
    bytes_append_text(out, datum(data, "verdict"));
    if (rule)
        bytes_printf(out, ", %s", rule);
    if (rule && surface)
        bytes_printf(out, " (%s)", surface);
    append_text(out, data, "text");
}

static void tell_hub_verdict(const cJSON *data, struct bytes *out)
{
    bytes_append_text(out, "hub: ");
    tell_verdict(data, out);
}

static void tell_request(const cJSON *data, struct bytes *out)
{
    bytes_printf(out, "%s asked", datum(data, "operation"));
}

static void tell_reply(const cJSON *data, struct bytes *out)
{
    const cJSON *body = json_member(data, "body");
    int64_t retry_after_s = json_integer(data, "retry_after_s", -1), error_code = json_integer(body, "errorCode", 0);
    bytes_printf(out, "answers %lld", (long long)json_integer(data, "status", 0));
    if (json_string(body, "status", NULL))
        bytes_printf(out, " %s", json_string(body, "status", ""));
    if (retry_after_s >= 0)
        bytes_printf(out, ", retry-after %lld s", (long long)retry_after_s);
    if (error_code)
        bytes_printf(out, ", errorCode %lld", (long long)error_code);
    append_text(out, body, "message");
}

static void tell_assigned(const cJSON *data, struct bytes *out)
{
    bytes_printf(out, "assigned to %s as %s", datum(data, "assigned_hub"), datum(data, "device_id"));
}

static void tell_central(const cJSON *data, struct bytes *out)
{
    bytes_printf(out, "IoT Central '%s': %s %s", datum(data, "application"), datum(data, "verdict"), datum(data, "status"));
    append_text(out, data, "rule");
    append_text(out, data, "text");
}

static void tell_webhook(const cJSON *data, struct bytes *out)
{
    const char *trouble = json_string(data, "trouble", NULL);
    bytes_printf(out, "webhook %s: %s", json_string(data, "url", "?"), trouble ? trouble : datum(data, "hub"));
}

static void tell_warning(const cJSON *data, struct bytes *out)
{
    bytes_printf(out, "warning, %s", datum(data, "rule"));
    append_text(out, data, "text");
}

static void tell_telemetry(const cJSON *data, struct bytes *out)
{
    bytes_printf(out, "telemetry, %lld bytes", (long long)json_integer(data, "payload_bytes", 0));
}

static void tell_twin(const cJSON *data, struct bytes *out)
{
    bytes_printf(out, "twin %s, %lld", datum(data, "operation"), (long long)json_integer(data, "status", 0));
}

static void tell_hub_connection(const cJSON *data, struct bytes *out)
{
    bytes_printf(out, "%s is %s at %s", datum(data, "device_id"), datum(data, "state"), datum(data, "hub"));
}

static void tell_message(const cJSON *data, struct bytes *out)
{
    bytes_printf(out, "message %s to the device: %s (%lld bytes)", datum(data, "message_id"), datum(data, "state"),
                 (long long)json_integer(data, "payload_bytes", 0));
}

static void tell_method(const cJSON *data, struct bytes *out)
{
    int64_t status = json_integer(data, "status", -1), error_code = json_integer(data, "error_code", 0);
    bytes_printf(out, "method %s: %s", datum(data, "method"), datum(data, "outcome"));
    if (status >= 0)
        bytes_printf(out, ", %lld", (long long)status);
    if (error_code)
        bytes_printf(out, ", errorCode %lld", (long long)error_code);
}

/* ---- bench ---- */

static void tell_http_request(const cJSON *data, struct bytes *out)
{
    bytes_printf(out, "%s %s, %lld", datum(data, "method"), datum(data, "path"), (long long)json_integer(data, "status", 0));
    append_text(out, data, "reason");
}

static void tell_http_refused(const cJSON *data, struct bytes *out)
{
    bytes_printf(out, "from %s", datum(data, "peer"));
    append_text(out, data, "reason");
}

static void tell_reason(const cJSON *data, struct bytes *out)
{
    bytes_append_text(out, json_string(data, "reason", "no reason given"));
}

static void tell_state(const cJSON *data, struct bytes *out)
{
    bytes_printf(out, "%s %s: %s", json_string(data, "what", "state"), json_string(data, "id", ""), datum(data, "action"));
}

static void tell_scenario(const cJSON *data, struct bytes *out)
{
    const cJSON *knob;
    bytes_append_text(out, "knobs");
    cJSON_ArrayForEach(knob, json_member(data, "knobs"))
    {
        CLEANUP_FREE char *value = cJSON_IsString(knob) ? strdup(knob->valuestring) : json_print_line(knob);
        bytes_printf(out, " %s=%s", knob->string ? knob->string : "?", value ? value : "?");
    }
}

static void tell_fault(const cJSON *data, struct bytes *out)
{
    bytes_printf(out, "misbehaves as asked: %s=%s", datum(data, "knob"), datum(data, "value"));
}

static void tell_reset(const cJSON *data, struct bytes *out)
{
    bytes_printf(out, "%s of %s", datum(data, "action"), datum(data, "device"));
}

static void tell_ended(const cJSON *data, struct bytes *out)
{
    bytes_printf(out, "%s ended: %s", datum(data, "device"), datum(data, "how"));
}

static void tell_hook(const cJSON *data, struct bytes *out)
{
    bytes_append_text(out, datum(data, "text"));
}

static void tell_lane(const cJSON *data, struct bytes *out)
{
    bytes_printf(out, "lane: %s", json_string(data, "recipe", json_string(data, "reason", json_string(data, "address", ""))));
}

/* ---- the table ---- */

typedef void tell_fn(const cJSON *data, struct bytes *out);

/* NULL: shown with its data. A test holds the kinds of base/event.h against it. */
static tell_fn *const tellers[EVENT_KIND_COUNT] = {
    [EVENT_CONSOLE_LINE] = tell_line,
    [EVENT_CONSOLE_GAP] = tell_gap,
    [EVENT_AT_COMMAND] = tell_at_command,
    [EVENT_AT_REPLY] = tell_at_reply,
    [EVENT_TCP_ACCEPTED] = tell_accepted,
    [EVENT_TLS_CLIENT_HELLO] = tell_client_hello,
    [EVENT_TLS_HANDSHAKE] = tell_handshake,
    [EVENT_TLS_ALERT] = tell_alert,
    [EVENT_TLS_FAILED] = tell_failed,
    [EVENT_MQTT_CONNECT] = tell_connect,
    [EVENT_MQTT_CONNACK] = tell_connack,
    [EVENT_MQTT_SUBSCRIBE] = tell_subscribe,
    [EVENT_MQTT_SUBACK] = tell_suback,
    [EVENT_MQTT_UNSUBSCRIBE] = tell_unsubscribe,
    [EVENT_MQTT_UNSUBACK] = tell_unsuback,
    [EVENT_MQTT_PUBLISH] = tell_publish,
    [EVENT_MQTT_PUBACK] = tell_puback,
    [EVENT_MQTT_PINGREQ] = tell_pingreq,
    [EVENT_MQTT_PINGRESP] = tell_pingresp,
    [EVENT_MQTT_DISCONNECT] = tell_disconnect,
    [EVENT_MQTT_VIOLATION] = tell_violation,
    [EVENT_CONNECTION_CLOSED] = tell_closed,
    [EVENT_ATTESTATION_VERDICT] = tell_verdict,
    [EVENT_DPS_REQUEST] = tell_request,
    [EVENT_DPS_REPLY] = tell_reply,
    [EVENT_DPS_ASSIGNED] = tell_assigned,
    [EVENT_CENTRAL_DEVICE] = tell_central,
    [EVENT_DPS_WARNING] = tell_warning,
    [EVENT_DPS_WEBHOOK] = tell_webhook,
    [EVENT_HUB_VERDICT] = tell_hub_verdict,
    [EVENT_HUB_TELEMETRY] = tell_telemetry,
    [EVENT_HUB_TWIN] = tell_twin,
    [EVENT_HUB_CONNECTION] = tell_hub_connection,
    [EVENT_HUB_MESSAGE] = tell_message,
    [EVENT_HUB_METHOD] = tell_method,
    [EVENT_HUB_WARNING] = tell_warning,
    [EVENT_HTTP_REQUEST] = tell_http_request,
    [EVENT_HTTP_REFUSED] = tell_http_refused,
    [EVENT_STORE_FAILED] = tell_reason,
    [EVENT_SIMULATOR_ENDING] = tell_reason,
    [EVENT_BROKER_DOWN] = tell_reason,
    [EVENT_STATE_CHANGED] = tell_state,
    [EVENT_SCENARIO_SET] = tell_scenario,
    [EVENT_SCENARIO_FAULT] = tell_fault,
    [EVENT_LANE_LEASED] = tell_lane,
    [EVENT_LANE_CONFIGURED] = tell_lane,
    [EVENT_LANE_RELEASED] = tell_lane,
    [EVENT_DEVICE_RESET] = tell_reset,
    [EVENT_DEVICE_ENDED] = tell_ended,
    [EVENT_HOOK_FAILED] = tell_hook,
};

static bool begins(const char *kind, const char *prefix)
{
    return strncmp(kind, prefix, strlen(prefix)) == 0;
}

static void tell_unknown(const cJSON *event, const char *kind, struct bytes *out)
{
    CLEANUP_FREE char *data = json_print_line(json_member(event, "data"));
    bytes_printf(out, "%s %s", kind, data ? data : "");
}

void event_text(const cJSON *event, struct bytes *out)
{
    CLEANUP(bytes_done) struct bytes text = {.max_bytes = TEXT_MAX_BYTES};
    const char *name = json_string(event, "kind", "");
    enum event_kind kind = event_kind_from_name(name);
    if (kind == EVENT_KIND_COUNT && begins(name, "console."))
        return;
    if (kind != EVENT_KIND_COUNT && event_kind_view(kind) == EVENT_VIEW_BENCH && kind != EVENT_DEVICE_RESET && kind != EVENT_DEVICE_ENDED &&
        kind != EVENT_HOOK_FAILED && kind != EVENT_STATE_CHANGED && kind != EVENT_SCENARIO_SET)
        bytes_printf(&text, "%s: ", name);
    if (kind == EVENT_KIND_COUNT || !tellers[kind])
        tell_unknown(event, name, &text);
    else
        tellers[kind](json_member(event, "data"), &text);
    clean_text_append(out, bytes_text(&text), CLEAN_TEXT_ONE_LINE);
}

enum event_view event_text_view(const cJSON *event)
{
    const char *name = json_string(event, "kind", "");
    enum event_kind kind = event_kind_from_name(name);
    if (kind != EVENT_KIND_COUNT)
        return event_kind_view(kind);
    if (begins(name, "console.") || begins(name, "at."))
        return EVENT_VIEW_CONSOLE;
    if (begins(name, "tcp.") || begins(name, "tls.") || begins(name, "mqtt.") || begins(name, "connection."))
        return EVENT_VIEW_WIRE;
    return begins(name, "dps.") || begins(name, "hub.") || begins(name, "attestation.") ? EVENT_VIEW_SERVICE : EVENT_VIEW_BENCH;
}

/* ---- weight ---- */

static enum event_weight weight_of_level(const char *level)
{
    if (strcmp(level, "err") == 0)
        return EVENT_WEIGHT_BAD;
    return strcmp(level, "wrn") == 0 ? EVENT_WEIGHT_WARNING : EVENT_WEIGHT_PLAIN;
}

enum event_weight event_weight(const cJSON *event)
{
    const cJSON *data = json_member(event, "data");
    switch (event_kind_from_name(json_string(event, "kind", ""))) {
    case EVENT_CONSOLE_LINE:
        return weight_of_level(json_string(data, "level", ""));
    case EVENT_AT_REPLY:
        return strcmp(json_string(data, "result", ""), "OK") == 0 ? EVENT_WEIGHT_PLAIN : EVENT_WEIGHT_WARNING;
    case EVENT_ATTESTATION_VERDICT:
    case EVENT_HUB_VERDICT:
        return strcmp(json_string(data, "verdict", ""), "accepted") == 0 ? EVENT_WEIGHT_PLAIN : EVENT_WEIGHT_BAD;
    case EVENT_MQTT_CONNACK:
        return json_integer(data, "return_code", 0) ? EVENT_WEIGHT_BAD : EVENT_WEIGHT_PLAIN;
    case EVENT_TLS_ALERT:
        return strcmp(json_string(data, "level", ""), "fatal") == 0 ? EVENT_WEIGHT_BAD : EVENT_WEIGHT_PLAIN;
    case EVENT_DPS_REPLY:
        return json_integer(data, "status", 0) >= 400 ? EVENT_WEIGHT_BAD : EVENT_WEIGHT_PLAIN;
    case EVENT_TLS_FAILED:
    case EVENT_MQTT_VIOLATION:
    case EVENT_SIMULATOR_ENDING:
    case EVENT_BROKER_DOWN:
        return EVENT_WEIGHT_BAD;
    case EVENT_CONSOLE_GAP:
    case EVENT_DPS_WARNING:
    case EVENT_HUB_WARNING:
        return EVENT_WEIGHT_WARNING;
    default:
        return EVENT_WEIGHT_PLAIN;
    }
}
