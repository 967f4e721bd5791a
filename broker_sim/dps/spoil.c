#include "broker_sim/dps/spoil.h"

#include "base/cleanup.h"
#include "broker_sim/dps/reply.h"

#include <string.h>

/* No digit of an operationId: so the way back is known. */
enum { PADDING = 'x', LABEL_BYTES = 60, TOPIC_MAX_BYTES = 16 * 1024 };

/* What a proxy that lost its server answers, more or less. */
#define NO_JSON "<html><body><h1>502 Bad Gateway</h1></body></html>"

/* ---- members ---- */

static void lengthen_operation_id(cJSON *body, size_t wanted_bytes)
{
    const char *id = json_string(body, "operationId", NULL);
    size_t length = id ? strlen(id) : wanted_bytes;
    if (length >= wanted_bytes)
        return;
    CLEANUP_FREE char *text = malloc(wanted_bytes + 1);
    if (!text)
        return;
    memcpy(text, id, length);
    memset(text + length, PADDING, wanted_bytes - length);
    text[wanted_bytes] = 0;
    json_set_string(body, "operationId", text);
}

/* Labels of a host name in front of it, each as long as labels usually are at most. */
static char *lengthen_host(const char *host, size_t wanted_bytes)
{
    size_t length = strlen(host), more = wanted_bytes > length ? wanted_bytes - length : 0;
    char *text = malloc(length + more + 1);
    if (!text)
        return NULL;
    for (size_t i = 0; i < more; i++)
        text[i] = (more - i) % (LABEL_BYTES + 1) == 1 ? '.' : PADDING;
    memcpy(text + more, host, length + 1);
    return text;
}

static void spoil_hub(const struct dps *dps, const struct exchange *exchange, cJSON *state)
{
    const struct knobs *knobs = &exchange->knobs;
    if (!json_string(state, "assignedHub", NULL))
        return;
    if (knobs->assigned_hub[0] && exchange_has_fault(dps, exchange, KNOB_assigned_hub))
        json_set_string(state, "assignedHub", knobs->assigned_hub);
    if (!knobs->assigned_hub_bytes || !exchange_has_fault(dps, exchange, KNOB_assigned_hub_bytes))
        return;
    CLEANUP_FREE char *text = lengthen_host(json_string(state, "assignedHub", ""), (size_t)knobs->assigned_hub_bytes);
    json_set_string(state, "assignedHub", text);
}

void spoil_members(const struct dps *dps, const struct exchange *exchange, cJSON *body)
{
    if (exchange->knobs.operation_id_bytes && json_string(body, "operationId", NULL) &&
        exchange_has_fault(dps, exchange, KNOB_operation_id_bytes))
        lengthen_operation_id(body, (size_t)exchange->knobs.operation_id_bytes);
    cJSON *state = cJSON_GetObjectItemCaseSensitive(body, "registrationState");
    if (state)
        spoil_hub(dps, exchange, state);
}

void spoil_undo(const struct knobs *knobs, struct dps_request *request)
{
    const char *padding = request->operation_id.length ? memchr(request->operation_id.text, PADDING, request->operation_id.length) : NULL;
    if (knobs->operation_id_bytes && padding)
        request->operation_id.length = (size_t)(padding - request->operation_id.text);
}

/* ---- body ---- */

char *spoil_body(const struct dps *dps, const struct exchange *exchange, const cJSON *body)
{
    bool is_register = exchange->request.operation == DPS_REGISTER;
    if (!body || !exchange_has_fault(dps, exchange, is_register ? KNOB_reply_body : KNOB_poll_body))
        return NULL;
    CLEANUP_FREE char *text = json_print_line(body);
    if (!text)
        return NULL;
    switch ((enum reply_body)(is_register ? exchange->knobs.reply_body : exchange->knobs.poll_body)) {
    case REPLY_BODY_TRUNCATED:
        return strndup(text, strlen(text) / 2);
    case REPLY_BODY_TEXT:
        return strdup(exchange->knobs.body_text[0] ? exchange->knobs.body_text : NO_JSON);
    default:
        return strdup("");
    }
}

/* ---- topic ---- */

static int put_rid(const struct exchange *exchange, bool is_spoiled, struct bytes *topic)
{
    switch (is_spoiled ? (enum reply_rid)exchange->knobs.reply_rid : RID_RIGHT) {
    case RID_OTHER:
        return bytes_printf(topic, "$rid=%.*s0", (int)exchange->request.rid.length, exchange->request.rid.text);
    case RID_ABSENT:
        return 0;
    case RID_EMPTY:
        return bytes_append_text(topic, "$rid=");
    default:
        return bytes_printf(topic, "$rid=%.*s", (int)exchange->request.rid.length, exchange->request.rid.text);
    }
}

char *spoil_topic(const struct dps *dps, const struct exchange *exchange, int status, int64_t retry_after_s)
{
    const struct knobs *knobs = &exchange->knobs;
    bool has_retry_after = retry_after_s != RETRY_AFTER_ABSENT;
    bool is_rid = knobs->reply_rid != RID_RIGHT && exchange_has_fault(dps, exchange, KNOB_reply_rid);
    bool is_text = has_retry_after && knobs->retry_after_text[0] && exchange_has_fault(dps, exchange, KNOB_retry_after_text);
    CLEANUP(bytes_done) struct bytes topic = {.max_bytes = TOPIC_MAX_BYTES};
    if (!is_rid && !is_text)
        return NULL;
    int failed = bytes_printf(&topic, "$dps/registrations/res/%d/?", status) || put_rid(exchange, is_rid, &topic);
    const char *link = topic.length_bytes && topic.data[topic.length_bytes - 1] == '?' ? "" : "&";
    if (!failed && is_text)
        failed = bytes_printf(&topic, "%sretry-after=%s", link, knobs->retry_after_text);
    else if (!failed && has_retry_after)
        failed = bytes_printf(&topic, "%sretry-after=%lld", link, (long long)retry_after_s);
    return failed ? NULL : strdup(bytes_text(&topic));
}

int64_t spoil_times(const struct dps *dps, const struct exchange *exchange)
{
    bool is_repeated = exchange->knobs.reply_times > 1 && exchange_has_fault(dps, exchange, KNOB_reply_times);
    return is_repeated ? exchange->knobs.reply_times : 1;
}
