#include "broker_sim/replay/replay.h"

#include "base/bytes.h"
#include "base/cleanup.h"
#include "broker_sim/dps/request.h"
#include "broker_sim/front_door/alert.h"
#include "broker_sim/front_door/user_name.h"
#include "broker_sim/mqtt/packet.h"

#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <string.h>
#include <strings.h>

enum { TEXT_MAX_BYTES = 1024 * 1024, PENDING_MAX = 4096, REFUSED_FILTER = 0x80 };

/* A reply on its way to a device. */
struct pending {
    uv_timer_t timer; /* first: libuv gives it back when it is closed */
    struct replay *replay;
    uint64_t session;
    char *registration_id;
    char *topic;
    char *body;
    int64_t closes_after_ms; /* behind this reply; RECORDED_NOTHING: it stays */
    struct pending *next;
};

struct replay {
    struct replay_options options;
    struct recording recording;
    struct pending *pending;
    size_t pending_count;
};

/* What one connection has had so far. */
struct progress {
    const struct recorded_stage *stage;
    char *registration_id;
    char *id_scope;
    deadline_t connack_due;
    deadline_t suback_due;
    size_t subacks;
    size_t registers;
    size_t statuses;
};

int replay_new(const char *path, const struct replay_options *options, struct replay **ret_replay, struct error *error)
{
    struct replay *replay = calloc(1, sizeof *replay);
    if (!replay)
        return error_set_memory(error);
    replay->options = *options;
    if (recording_read(path, &replay->recording, error)) {
        free(replay);
        return -1;
    }
    *ret_replay = replay;
    return 0;
}

/* ---- replies on their way ---- */

static void on_pending_closed(uv_handle_t *handle)
{
    struct pending *pending = handle->data;
    free(pending->registration_id);
    free(pending->topic);
    free(pending->body);
    free(pending);
}

static void drop(struct pending *pending)
{
    struct replay *replay = pending->replay;
    struct pending **at = &replay->pending;
    while (*at != pending)
        at = &(*at)->next;
    *at = pending->next;
    replay->pending_count--;
    uv_close((uv_handle_t *)&pending->timer, on_pending_closed);
}

void replay_free(struct replay *replay)
{
    if (!replay)
        return;
    while (replay->pending)
        drop(replay->pending);
    recording_done(&replay->recording);
    free(replay);
}

static void emit(const struct replay *replay, cJSON *event, uint64_t session, const char *registration_id)
{
    if (event)
        event_set_origin(event, NULL, session, registration_id);
    replay->options.sink.emit(replay->options.sink.user, event);
}

/* "$dps/registrations/res/202/..." -> 202. */
static int64_t status_of(const char *topic)
{
    const char *at = strstr(topic, "/res/");
    return at ? strtoll(at + 5, NULL, 10) : 0;
}

static void emit_reply(const struct replay *replay, const struct pending *pending)
{
    cJSON *event = event_new(EVENT_DPS_REPLY, replay->options.sink.clock, EVENT_SOURCE), *data = event_data(event);
    cJSON *body = json_parse(pending->body, strlen(pending->body), "body", NULL);
    json_add_integer(data, "status", status_of(pending->topic));
    if (body)
        json_add(data, "body", body);
    else
        json_add_string(data, "body_text", pending->body);
    json_add_string(data, "topic", pending->topic);
    emit(replay, event, pending->session, pending->registration_id);
}

static void on_due(uv_timer_t *timer)
{
    struct pending *pending = timer->data;
    const struct replay *replay = pending->replay;
    replay->options.port.publish(replay->options.port.user, pending->session, pending->topic, pending->body);
    emit_reply(replay, pending);
    if (pending->closes_after_ms != RECORDED_NOTHING)
        replay->options.port.close_after_reply(replay->options.port.user, pending->session, pending->closes_after_ms,
                                               pending->closes_after_ms, "refused");
    drop(pending);
}

/* ---- words of the recording ---- */

static bool take_word(const char **at, const char *word, const char *value, struct bytes *out)
{
    size_t length = strlen(word);
    if (strncmp(*at, word, length) != 0)
        return false;
    bytes_append_text(out, value);
    *at += length;
    return true;
}

/* malloc'ed; NULL when out of memory. rid: NULL in bodies. */
static char *fill(const char *text, const struct progress *progress, const char *rid)
{
    CLEANUP(bytes_done) struct bytes out;
    bytes_init(&out, TEXT_MAX_BYTES);
    for (const char *at = text; *at;) {
        if (take_word(&at, "{registration_id}", progress->registration_id, &out) || take_word(&at, "{id_scope}", progress->id_scope, &out))
            continue;
        if (rid && take_word(&at, "$rid=", "$rid=", &out)) {
            bytes_append_text(&out, rid);
            at += strcspn(at, "&");
            continue;
        }
        if (bytes_append_byte(&out, (uint8_t)*at++))
            return NULL;
    }
    return strdup(bytes_text(&out));
}

static void schedule(struct replay *replay, const struct session *session, const struct recorded_reply *reply, const char *rid,
                     int64_t closes_after_ms)
{
    const struct progress *progress = session->service;
    struct pending *pending = replay->pending_count < PENDING_MAX ? calloc(1, sizeof *pending) : NULL;
    if (!pending)
        return;
    *pending = (struct pending){.replay = replay,
                                .session = session->number,
                                .registration_id = strdup(progress->registration_id),
                                .topic = fill(reply->topic, progress, rid),
                                .body = fill(reply->body, progress, NULL),
                                .closes_after_ms = closes_after_ms,
                                .next = replay->pending};
    uv_timer_init(replay->options.loop, &pending->timer);
    pending->timer.data = pending;
    replay->pending = pending;
    replay->pending_count++;
    if (!pending->registration_id || !pending->topic || !pending->body) {
        drop(pending);
        return;
    }
    uv_timer_start(&pending->timer, on_due, (uint64_t)clock_scaled_ms(reply->after_ms, replay->options.time_scale), 0);
}

/* ---- the handshake ---- */

/* The alerts that OpenSSL has for a client's certificate, and what makes it send them. */
static const struct certificate_alert {
    int alert, verify_error;
} certificate_alerts[] = {
    {SSL_AD_UNKNOWN_CA, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY},
    {SSL_AD_CERTIFICATE_EXPIRED, X509_V_ERR_CERT_HAS_EXPIRED},
    {SSL_AD_CERTIFICATE_REVOKED, X509_V_ERR_CERT_REVOKED},
    {SSL_AD_BAD_CERTIFICATE, X509_V_ERR_CERT_REJECTED},
    {SSL_AD_UNSUPPORTED_CERTIFICATE, X509_V_ERR_INVALID_PURPOSE},
    {SSL_AD_CERTIFICATE_UNKNOWN, X509_V_ERR_SUBJECT_ISSUER_MISMATCH},
    {SSL_AD_DECRYPT_ERROR, X509_V_ERR_CERT_SIGNATURE_FAILURE},
    {SSL_AD_HANDSHAKE_FAILURE, X509_V_ERR_APPLICATION_VERIFICATION},
    {SSL_AD_INTERNAL_ERROR, X509_V_ERR_UNSPECIFIED},
};

/* The stage whose handshake ended; the hub's when none did. */
static const struct recorded_stage *ended_stage(const struct replay *replay)
{
    const struct recorded_stage *stages = replay->recording.stages;
    return &stages[stages[RECORDED_DPS].handshake.end != HANDSHAKE_STOOD ? RECORDED_DPS : RECORDED_HUB];
}

/* The host name that the lane of that stage has; NULL: it is the main one. */
static const char *ended_host(const struct replay *replay)
{
    return replay->recording.stages[RECORDED_DPS].is_there ? replay->recording.hub : NULL;
}

/* An alert behind the device's Finished is encrypted: OpenSSL alone can send it, where it judges the certificate. */
static int verify(void *user, struct session *session, const STACK_OF(X509) * chain)
{
    (void)chain;
    const struct replay *replay = user;
    const struct recorded_handshake *handshake = &ended_stage(replay)->handshake;
    const char *host = ended_host(replay);
    if (host && (!session->sni || strcasecmp(session->sni, host) != 0))
        return X509_V_OK;
    for (size_t i = 0; handshake->is_behind && i < ARRAY_COUNT(certificate_alerts); i++)
        if (certificate_alerts[i].alert == handshake->alert)
            return certificate_alerts[i].verify_error;
    return X509_V_OK;
}

static bool needs_certificate(void *user)
{
    const struct recorded_handshake *handshake = &((const struct replay *)user)->recording.stages[RECORDED_DPS].handshake;
    return handshake->is_behind && handshake->alert == SSL_AD_CERTIFICATE_REQUIRED;
}

bool replay_needs_tls_1_3(const struct replay *replay)
{
    return replay->recording.stages[RECORDED_DPS].is_tls_1_3 || replay->recording.stages[RECORDED_HUB].is_tls_1_3;
}

static int put_end(cJSON *knobs, const struct recorded_handshake *handshake)
{
    bool is_alert = handshake->end == HANDSHAKE_ALERT, is_late = handshake->after_ms > 0;
    const char *fault = is_alert ? "stall" : handshake->end == HANDSHAKE_RESET ? "reset" : "cut";
    if (is_alert && !handshake->is_behind &&
        (json_set_string(knobs, "tls_alert", alert_name(handshake->alert)) || json_set_string(knobs, "tls_alert_at", handshake->at)))
        return -1;
    if (is_alert && !is_late)
        return 0;
    return json_set_string(knobs, "net_fault", fault) || json_set_string(knobs, "net_at", handshake->at) ||
                   json_set_integer(knobs, "stall_ms", handshake->after_ms)
               ? -1
               : 0;
}

bool replay_handshake(const struct replay *replay, struct knobs *ret_knobs, const char **ret_host, struct error *error)
{
    const struct recorded_stage *ended = ended_stage(replay);
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (ended->handshake.end == HANDSHAKE_STOOD)
        return false;
    knobs_init(ret_knobs);
    *ret_host = ended_host(replay);
    if (put_end(json, &ended->handshake))
        error_set_memory(error);
    else
        knobs_apply(ret_knobs, KNOB_TARGET_LANE, json, error);
    return true;
}

/* ---- a connection ---- */

static void warn(const struct replay *replay, uint64_t session, const char *registration_id, const char *rule, const char *text,
                 const char *mend)
{
    cJSON *event = event_new(EVENT_DPS_WARNING, replay->options.sink.clock, EVENT_SOURCE), *data = event_data(event);
    json_add_string(data, "rule", rule);
    json_add_string(data, "text", text);
    json_add_string(data, "mend", mend);
    emit(replay, event, session, registration_id);
}

static void warn_went_on(const struct replay *replay, const struct session *session, const struct recorded_handshake *handshake)
{
    const struct progress *progress = session->service;
    char text[160];
    snprintf(text, sizeof text,
             "the recorded %s ended this handshake with the alert %s; here it stands, and what the service says now nobody has "
             "recorded",
             handshake->is_ended_by_device ? "device" : "service",
             alert_name(handshake->is_ended_by_device ? handshake->device_alert : handshake->alert));
    warn(replay, session->number, progress->registration_id, "replay.went-on", text,
         handshake->is_ended_by_device
             ? "this device trusts the server where the recorded one did not; record the conversation again to have the rest"
             : "that alert is for a device with a certificate: let this one present its own");
}

static char *scope_of(const char *user_name)
{
    return strndup(user_name, strcspn(user_name, "/"));
}

static deadline_t due_in(const struct replay *replay, int64_t ms)
{
    return deadline_in_scaled_ms(replay->options.sink.clock, ms, replay->options.time_scale);
}

static int start(struct replay *replay, struct session *session)
{
    struct user_name name = user_name_parse(session->user_name);
    int stage = name.endpoint == SESSION_ENDPOINT_HUB ? RECORDED_HUB : RECORDED_DPS;
    struct progress *progress = name.endpoint == SESSION_ENDPOINT_UNKNOWN ? NULL : calloc(1, sizeof *progress);
    if (!progress)
        return -1;
    *progress = (struct progress){.stage = &replay->recording.stages[stage],
                                  .registration_id = strndup(name.id, name.id_bytes),
                                  .id_scope = scope_of(session->user_name)};
    progress->connack_due = due_in(replay, progress->stage->connack_ms);
    session->service = progress;
    return progress->registration_id && progress->id_scope ? 0 : -1;
}

/* Closed before its answer, answered, or left without: as it was. A connection that the recording does not have is not authorized. */
static struct admission decide(void *user, struct session *session)
{
    struct replay *replay = user;
    enum { NOT_AUTHORIZED = 5 };
    if (start(replay, session))
        return (struct admission){.return_code = NOT_AUTHORIZED};
    const struct recorded_stage *stage = ((const struct progress *)session->service)->stage;
    if (!stage->is_there && (stage->handshake.is_ended_by_device || stage->handshake.is_behind))
        warn_went_on(replay, session, &stage->handshake);
    if (!stage->is_there && stage->handshake.is_behind)
        return (struct admission){.close_how = "close_notify"};
    if (!stage->is_there)
        return (struct admission){.return_code = NOT_AUTHORIZED};
    if (stage->connack == RECORDED_NOTHING && stage->closed_after_ms == 0)
        return (struct admission){.close_how = "fin"};
    if (stage->connack > 0)
        return (struct admission){.return_code = stage->connack};
    if (stage->closed_after_ms != RECORDED_NOTHING)
        replay->options.port.close_later(replay->options.port.user, session->number, stage->closed_after_ms, "fin");
    return (struct admission){.is_admitted = true, .silence = stage->connack == RECORDED_NOTHING ? SILENCE_AFTER_CONNECT : SILENCE_NEVER};
}

static void closed(void *user, struct session *session)
{
    (void)user;
    struct progress *progress = TAKE(session->service);
    if (progress) {
        free(progress->registration_id);
        free(progress->id_scope);
    }
    free(progress);
}

static enum publish_permit may_publish(void *user, struct session *session, const struct publish_request *request)
{
    (void)user;
    bool is_known = session->endpoint == SESSION_ENDPOINT_HUB || dps_topic_is_request(request->topic);
    return session->service && is_known && request->qos < 2 ? PUBLISH_TAKEN : PUBLISH_REFUSED;
}

/* Behind the recorded ones, what was asked for, as both services do. */
static int grant(void *user, struct session *session, const char *filter, int qos)
{
    (void)filter;
    const struct replay *replay = user;
    struct progress *progress = session->service;
    if (!progress)
        return REFUSED_FILTER;
    if (progress->subacks == progress->stage->suback_count)
        return qos > 1 ? 1 : qos;
    const struct recorded_suback *suback = &progress->stage->subacks[progress->subacks++];
    progress->suback_due = due_in(replay, suback->after_ms);
    return suback->code;
}

static deadline_t ack_due(void *user, const struct session *session, int packet_type)
{
    (void)user;
    const struct progress *progress = session->service;
    if (!progress)
        return (deadline_t){0};
    return packet_type == MQTT_CONNACK ? progress->connack_due : progress->suback_due;
}

struct front_door_policy replay_policy(struct replay *replay)
{
    return (struct front_door_policy){.user = replay,
                                      .decide = decide,
                                      .may_publish = may_publish,
                                      .grant = grant,
                                      .ack_due = ack_due,
                                      .closed = closed,
                                      .verify = verify,
                                      .needs_certificate = needs_certificate};
}

/* ---- requests ---- */

static void emit_request(const struct replay *replay, const struct session *session, const struct dps_request *request, const char *rid,
                         size_t length_bytes)
{
    const struct progress *progress = session->service;
    cJSON *event = event_new(EVENT_DPS_REQUEST, replay->options.sink.clock, EVENT_SOURCE), *data = event_data(event);
    json_add_string(data, "operation", dps_operation_name(request->operation));
    json_add_string(data, "rid", rid);
    json_add_integer(data, "payload_bytes", (int64_t)length_bytes);
    emit(replay, event, session->number, progress->registration_id);
}

static void warn_exhausted(const struct replay *replay, const struct session *session, const char *text)
{
    const struct progress *progress = session->service;
    warn(replay, session->number, progress->registration_id, "replay.exhausted", text,
         "record a longer conversation, or look why the device asks more often than the recorded one");
}

/* The n-th of its kind, else the last one; NULL: there is none of that kind. ret_is_exhausted: it is not the n-th. */
static const struct recorded_exchange *find_exchange(const struct recorded_stage *stage, bool is_register, size_t n, bool *ret_is_exhausted)
{
    const struct recorded_exchange *found = NULL;
    size_t seen = 0;
    for (size_t i = 0; i < stage->exchange_count && seen <= n; i++) {
        if (stage->exchanges[i].is_register != is_register)
            continue;
        found = &stage->exchanges[i];
        seen++;
    }
    *ret_is_exhausted = seen <= n;
    return found;
}

static void answer(struct replay *replay, const struct session *session, const struct recorded_exchange *exchange, const char *rid)
{
    bool closes = exchange->closed_after_ms != RECORDED_NOTHING;
    for (size_t i = 0; i < exchange->reply_count; i++) {
        const struct recorded_reply *reply = &exchange->replies[i];
        bool is_last = i + 1 == exchange->reply_count;
        schedule(replay, session, reply, rid, closes && is_last ? exchange->closed_after_ms - reply->after_ms : RECORDED_NOTHING);
    }
    if (closes && exchange->reply_count == 0)
        replay->options.port.close_later(replay->options.port.user, session->number, exchange->closed_after_ms, "refused");
}

void replay_message(struct replay *replay, const struct session *session, const char *topic, const void *payload, size_t length_bytes)
{
    (void)payload;
    struct progress *progress = session ? session->service : NULL;
    struct dps_request request;
    bool is_exhausted;
    if (!progress || dps_request_read(topic, &request, NULL))
        return;
    CLEANUP_FREE char *rid = strndup(request.rid.text, request.rid.length);
    bool is_register = request.operation == DPS_REGISTER;
    size_t n = is_register ? progress->registers++ : progress->statuses++;
    const struct recorded_exchange *exchange = find_exchange(progress->stage, is_register, n, &is_exhausted);
    if (!rid)
        return;
    emit_request(replay, session, &request, rid, length_bytes);
    if (is_exhausted)
        warn_exhausted(replay, session,
                       exchange ? "the device asks more often than the recorded one did: the last answer repeats"
                                : "the recorded device never asked this: there is no answer");
    if (exchange)
        answer(replay, session, exchange, rid);
}
