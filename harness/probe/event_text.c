#include "harness/probe/probe.h"

#include "base/cleanup.h"

#include <ctype.h>

enum { TEXT_MAX_BYTES = 64 * 1024, BODY_MAX_BYTES = 2048 };

static const char *connack_words(int code)
{
    static const char *const words[] = {"accepted",           "unacceptable protocol version", "identifier rejected",
                                        "server unavailable", "bad user name or password",     "not authorized"};
    return code >= 0 && code < (int)ARRAY_COUNT(words) ? words[code] : "a code that MQTT 3.1.1 does not have";
}

/* Foreign bytes on a terminal. */
static void append_printable(struct bytes *text, const char *bytes, size_t length_bytes)
{
    for (size_t i = 0; i < length_bytes && i < BODY_MAX_BYTES; i++)
        if (isprint((unsigned char)bytes[i]))
            bytes_append_byte(text, (uint8_t)bytes[i]);
        else
            bytes_printf(text, "\\x%02x", (unsigned char)bytes[i]);
    if (length_bytes > BODY_MAX_BYTES)
        bytes_printf(text, "... (%zu bytes)", length_bytes);
}

static void append_name(struct bytes *text, const char *name)
{
    append_printable(text, name ? name : "", name ? strlen(name) : 0);
}

static void append_server(struct bytes *text, const struct probe_event *event)
{
    bytes_append_text(text, "certificate of the server: ");
    for (int i = 0; event->chain && i < sk_X509_num(event->chain); i++) {
        CLEANUP_FREE char *subject = certificate_subject(sk_X509_value(event->chain, i));
        bytes_append_text(text, i ? ", then " : "");
        append_name(text, subject && *subject ? subject : "(no subject)");
    }
    bytes_append_text(text, event->text ? "; NOT trusted: " : "; trusted");
    append_name(text, event->text);
}

static void append_packet(struct bytes *text, const struct probe_event *event)
{
    append_name(text, event->name);
    bytes_append_text(text, event->body_bytes ? "\n    " : "");
    append_printable(text, event->body, event->body_bytes);
}

static void append_words(struct bytes *text, const struct probe_event *event)
{
    switch (event->step) {
    case PROBE_RESOLVED:
        append_name(text, event->name);
        bytes_append_text(text, " is at ");
        append_name(text, event->text);
        break;
    case PROBE_UNREACHED:
    case PROBE_CLOSED:
        bytes_append_text(text, event->step == PROBE_CLOSED ? "the connection ended: " : "no connection: ");
        append_name(text, event->text);
        break;
    case PROBE_TLS_MESSAGE:
        append_name(text, event->name);
        break;
    case PROBE_TLS_ALERT:
        bytes_printf(text, "TLS alert %d, %s", event->code, event->name);
        break;
    case PROBE_SERVER:
        append_server(text, event);
        break;
    case PROBE_TLS_DONE:
        bytes_printf(text, "the TLS handshake is done: %s, %s", event->name, event->text);
        break;
    case PROBE_CONNECT:
        bytes_append_text(text, "CONNECT as ");
        append_name(text, event->name);
        break;
    case PROBE_CONNACK:
        bytes_printf(text, "CONNACK %d, %s", event->code, connack_words(event->code));
        break;
    case PROBE_SUBSCRIBE:
        bytes_append_text(text, "SUBSCRIBE ");
        append_name(text, event->name);
        break;
    case PROBE_SUBACK:
        bytes_printf(text, event->code > 2 ? "SUBACK 0x%02x, refused" : "SUBACK %d", (unsigned)event->code);
        break;
    case PROBE_PUBLISH:
    case PROBE_MESSAGE:
        bytes_append_text(text, "PUBLISH ");
        append_packet(text, event);
        break;
    case PROBE_DISCONNECT:
        bytes_append_text(text, "DISCONNECT");
        break;
    }
}

char *probe_event_text(const struct probe_event *event)
{
    CLEANUP(bytes_done) struct bytes text;
    bytes_init(&text, TEXT_MAX_BYTES);
    bool is_ours = event->step == PROBE_RESOLVED || event->step == PROBE_UNREACHED || event->step == PROBE_TLS_DONE;
    bytes_append_text(&text, is_ours ? "  " : event->is_from_server ? "< " : "> ");
    append_words(&text, event);
    return strdup(bytes_text(&text));
}

static int set_body(cJSON *json, const struct probe_event *event)
{
    if (!event->body_bytes)
        return 0;
    cJSON *body = json_parse(event->body, event->body_bytes, "body", NULL);
    return body ? json_set(json, "body", body) : json_set_integer(json, "body_bytes", (int64_t)event->body_bytes);
}

cJSON *probe_event_json(const struct probe_event *event, int64_t first_us)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (json_set_integer(json, "t_us", event->mono_us - first_us) || json_set_string(json, "stage", probe_stage_name(event->stage)) ||
        json_set_string(json, "step", probe_step_name(event->step)) ||
        json_set_string(json, "from", event->is_from_server ? "service" : "device") || json_set_integer(json, "code", event->code) ||
        json_set_string(json, "name", event->name) || json_set_string(json, "text", event->text) || set_body(json, event) ||
        (event->chain && json_set(json, "chain", certificates_json(event->chain))))
        return NULL;
    return TAKE(json);
}
