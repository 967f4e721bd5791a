#include "broker_sim/replay/recording.h"

#include "base/bytes.h"
#include "base/files.h"
#include "base/json.h"
#include "broker_sim/dps/request.h"
#include "broker_sim/scenario/trigger.h"

#include <string.h>

/* docs/recording.md; what is not named here is of no use to a replay and is skipped. */
enum { DECODE_ERROR = 50 };

enum step {
    STEP_TLS_MESSAGE,
    STEP_TLS_ALERT,
    STEP_TLS_DONE,
    STEP_CONNECT,
    STEP_CONNACK,
    STEP_SUBSCRIBE,
    STEP_SUBACK,
    STEP_PUBLISH,
    STEP_MESSAGE,
    STEP_CLOSED,
    STEP_SKIPPED
};

static const struct {
    const char *name;
    enum step step;
} steps[] = {
    {"tls-message", STEP_TLS_MESSAGE}, {"tls-alert", STEP_TLS_ALERT}, {"connect", STEP_CONNECT}, {"connack", STEP_CONNACK},
    {"subscribe", STEP_SUBSCRIBE},     {"suback", STEP_SUBACK},       {"publish", STEP_PUBLISH}, {"message", STEP_MESSAGE},
    {"closed", STEP_CLOSED},           {"server", STEP_SKIPPED},      {"tls", STEP_TLS_DONE},    {"disconnect", STEP_SKIPPED},
};

struct reader {
    const char *name;
    size_t line;
    struct recording recording;
    int64_t connect_ms[RECORDED_STAGES];
    int64_t request_ms[RECORDED_STAGES];
    int64_t subscribe_ms[RECORDED_STAGES]; /* RECORDED_NOTHING: answered, or not written down */
    bool has_stood[RECORDED_STAGES];       /* the handshake */
    int64_t message_ms[RECORDED_STAGES];   /* of the handshake */
    int64_t stood_ms[RECORDED_STAGES];
    int64_t last_ms;
};

static int fail(const struct reader *reader, struct error *error, const char *format, ...) __attribute__((format(printf, 3, 4)));
static int fail(const struct reader *reader, struct error *error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    error_setv(error, ERROR_OWNER_FILE, ERROR_SYNTAX, format, args);
    va_end(args);
    return error_prefix(error, "%s:%zu", reader->name, reader->line);
}

/* ---- members ---- */

static int check_text(const struct reader *reader, const cJSON *line, const char *member, const char **ret_text, struct error *error)
{
    *ret_text = json_string(line, member, NULL);
    return *ret_text ? 0 : fail(reader, error, "'%s' is missing, or is no text", member);
}

static int check_code(const struct reader *reader, const cJSON *line, int max, int *ret_code, struct error *error)
{
    int64_t code = json_integer(line, "code", -1);
    if (code < 0 || code > max)
        return fail(reader, error, "'code' is missing, or is not a whole number from 0 to %d", max);
    *ret_code = (int)code;
    return 0;
}

static int read_time(struct reader *reader, const cJSON *line, int64_t *ret_ms, struct error *error)
{
    enum { DAY_MS = 24 * 3600 * 1000 };
    int64_t t_ms = json_integer(line, "t_ms", -1);
    if (t_ms < reader->last_ms || t_ms > DAY_MS)
        return fail(reader, error, "'t_ms' is missing, goes back in time, or is more than a day");
    *ret_ms = reader->last_ms = t_ms;
    return 0;
}

static int read_stage(const struct reader *reader, const cJSON *line, int *ret_stage, struct error *error)
{
    const char *stage = json_string(line, "stage", "");
    *ret_stage = strcmp(stage, "hub") == 0 ? RECORDED_HUB : RECORDED_DPS;
    return strcmp(stage, "hub") == 0 || strcmp(stage, "dps") == 0 ? 0 : fail(reader, error, "'stage' is '%.32s'; it is dps or hub", stage);
}

static int read_step(const struct reader *reader, const cJSON *line, enum step *ret_step, struct error *error)
{
    const char *name = json_string(line, "step", "");
    for (size_t i = 0; i < ARRAY_COUNT(steps); i++) {
        if (strcmp(steps[i].name, name) != 0)
            continue;
        *ret_step = steps[i].step;
        return 0;
    }
    return fail(reader, error, "'step' is '%.32s'; docs/recording.md names those that there are", name);
}

/* ---- the handshake ---- */

static bool is_from_device(const cJSON *line)
{
    return strcmp(json_string(line, "from", ""), "device") == 0;
}

/* What the service sends next stands there: behind its last message, or in place of its answer to what the device has said. */
static void on_tls_message(struct reader *reader, int stage, int64_t t_ms, const cJSON *line)
{
    struct recorded_handshake *handshake = &reader->recording.stages[stage].handshake;
    const char *name = json_string(line, "name", "");
    char place[RECORDED_PLACE_BYTES];
    reader->message_ms[stage] = t_ms;
    if (!is_from_device(line))
        snprintf(place, sizeof place, "after server %.32s", name);
    else
        snprintf(place, sizeof place, "at %s", strcmp(name, "ClientHello") == 0 ? "ServerHello" : "ChangeCipherSpec");
    if (trigger_check_wire(place, NULL) == 0)
        memcpy(handshake->at, place, sizeof place);
}

/* The handshake stood, and the end came before CONNECT: a replay closes in place of CONNACK. */
static bool is_late_end(struct reader *reader, int stage, int64_t t_ms)
{
    struct recorded_stage *recorded = &reader->recording.stages[stage];
    if (!reader->has_stood[stage])
        return false;
    recorded->is_there = true;
    recorded->closed_after_ms = 0;
    reader->connect_ms[stage] = t_ms;
    return true;
}

/* OpenSSL's last word to a server that is gone already is decode_error. */
static int on_alert_of_device(struct reader *reader, int stage, const cJSON *line, struct error *error)
{
    struct recorded_handshake *handshake = &reader->recording.stages[stage].handshake;
    if (handshake->end != HANDSHAKE_STOOD || json_integer(line, "code", -1) == DECODE_ERROR)
        return 0;
    handshake->is_ended_by_device = true;
    return check_code(reader, line, UINT8_MAX, &handshake->device_alert, error);
}

/* In TLS 1.3 the service looks at the device's certificate when the device thinks that all is well, and has said CONNECT perhaps. */
static bool is_behind(const struct reader *reader, int stage)
{
    const struct recorded_stage *recorded = &reader->recording.stages[stage];
    return recorded->is_tls_1_3 && reader->has_stood[stage] && recorded->connack == RECORDED_NOTHING;
}

static int on_tls_alert(struct reader *reader, int stage, int64_t t_ms, const cJSON *line, struct error *error)
{
    struct recorded_stage *recorded = &reader->recording.stages[stage];
    struct recorded_handshake *handshake = &recorded->handshake;
    bool is_behind_it = !is_from_device(line) && is_behind(reader, stage);
    if (recorded->is_there && !is_behind_it)
        return 0; /* the connection ends by it, and that is replayed */
    if (is_from_device(line))
        return on_alert_of_device(reader, stage, line, error);
    if (!is_behind_it && is_late_end(reader, stage, t_ms))
        return 0;
    handshake->end = HANDSHAKE_ALERT;
    handshake->is_behind = is_behind_it;
    handshake->after_ms = t_ms - (is_behind_it ? reader->stood_ms[stage] : reader->message_ms[stage]);
    if (is_behind_it)
        snprintf(handshake->at, sizeof handshake->at, "after server Finished");
    recorded->is_there = false;
    return check_code(reader, line, UINT8_MAX, &handshake->alert, error);
}

static void on_tls_done(struct reader *reader, int stage, int64_t t_ms, const cJSON *line)
{
    reader->has_stood[stage] = true;
    reader->stood_ms[stage] = t_ms;
    reader->recording.stages[stage].is_tls_1_3 = strcmp(json_string(line, "name", ""), "TLSv1.3") == 0;
}

static void on_handshake_closed(struct reader *reader, int stage, int64_t t_ms, const cJSON *line)
{
    struct recorded_handshake *handshake = &reader->recording.stages[stage].handshake;
    if (handshake->end != HANDSHAKE_STOOD || handshake->is_ended_by_device || is_late_end(reader, stage, t_ms))
        return;
    handshake->end = strstr(json_string(line, "text", ""), "reset") ? HANDSHAKE_RESET : HANDSHAKE_CLOSED;
    handshake->after_ms = t_ms - reader->message_ms[stage];
}

/* ---- steps ---- */

static int on_connect(struct reader *reader, int stage, int64_t t_ms, struct error *error)
{
    struct recorded_stage *recorded = &reader->recording.stages[stage];
    if (recorded->is_there)
        return fail(reader, error, "a second CONNECT of one stage: a recording has one connection to DPS and one to the hub");
    recorded->is_there = true;
    recorded->handshake = (struct recorded_handshake){.end = HANDSHAKE_STOOD};
    reader->connect_ms[stage] = t_ms;
    return 0;
}

static int on_connack(struct reader *reader, int stage, int64_t t_ms, const cJSON *line, struct error *error)
{
    struct recorded_stage *recorded = &reader->recording.stages[stage];
    recorded->connack_ms = t_ms - reader->connect_ms[stage];
    return check_code(reader, line, 5, &recorded->connack, error);
}

static int on_suback(struct reader *reader, int stage, int64_t t_ms, const cJSON *line, struct error *error)
{
    struct recorded_stage *recorded = &reader->recording.stages[stage];
    if (recorded->suback_count == RECORDED_SUBACKS_MAX)
        return fail(reader, error, "more than %d SUBACKs", RECORDED_SUBACKS_MAX);
    struct recorded_suback *suback = &recorded->subacks[recorded->suback_count++];
    suback->after_ms = reader->subscribe_ms[stage] == RECORDED_NOTHING ? 0 : t_ms - reader->subscribe_ms[stage];
    return check_code(reader, line, 0x80, &suback->code, error);
}

static int on_publish(struct reader *reader, int stage, int64_t t_ms, const cJSON *line, struct error *error)
{
    struct recorded_stage *recorded = &reader->recording.stages[stage];
    struct dps_request request;
    const char *topic;
    if (check_text(reader, line, "name", &topic, error))
        return -1;
    if (stage != RECORDED_DPS || dps_request_read(topic, &request, NULL))
        return 0; /* telemetry and the like: the hub acknowledges it */
    if (recorded->exchange_count == RECORDED_EXCHANGES_MAX)
        return fail(reader, error, "more than %d requests", RECORDED_EXCHANGES_MAX);
    struct recorded_exchange *grown = reallocarray(recorded->exchanges, recorded->exchange_count + 1, sizeof *grown);
    if (!grown)
        return error_set_memory(error);
    recorded->exchanges = grown;
    grown[recorded->exchange_count++] =
        (struct recorded_exchange){.is_register = request.operation == DPS_REGISTER, .closed_after_ms = RECORDED_NOTHING};
    reader->request_ms[stage] = t_ms;
    return 0;
}

static struct recorded_exchange *last_exchange(struct recorded_stage *recorded)
{
    return recorded->exchange_count ? &recorded->exchanges[recorded->exchange_count - 1] : NULL;
}

static void note_hub(struct reader *reader, const char *body)
{
    CLEANUP_JSON cJSON *json = json_parse(body, strlen(body), "body", NULL);
    const char *hub = json_string(json_member(json, "registrationState"), "assignedHub", NULL);
    if (hub && strlen(hub) < sizeof reader->recording.hub)
        memcpy(reader->recording.hub, hub, strlen(hub) + 1);
}

static int on_message(struct reader *reader, int stage, int64_t t_ms, const cJSON *line, struct error *error)
{
    struct recorded_exchange *exchange = last_exchange(&reader->recording.stages[stage]);
    const char *topic;
    if (check_text(reader, line, "name", &topic, error))
        return -1;
    if (stage != RECORDED_DPS)
        return 0;
    if (!exchange)
        return fail(reader, error, "a reply stands before any request");
    if (exchange->reply_count == RECORDED_REPLIES_MAX)
        return fail(reader, error, "more than %d replies to one request", RECORDED_REPLIES_MAX);
    note_hub(reader, json_string(line, "body", ""));
    struct recorded_reply *reply = &exchange->replies[exchange->reply_count++];
    *reply = (struct recorded_reply){
        .after_ms = t_ms - reader->request_ms[stage], .topic = strdup(topic), .body = strdup(json_string(line, "body", ""))};
    return reply->topic && reply->body ? 0 : error_set_memory(error);
}

static void on_closed(struct reader *reader, int stage, int64_t t_ms)
{
    struct recorded_stage *recorded = &reader->recording.stages[stage];
    struct recorded_exchange *exchange = last_exchange(recorded);
    if (exchange)
        exchange->closed_after_ms = t_ms - reader->request_ms[stage];
    else
        recorded->closed_after_ms = t_ms - reader->connect_ms[stage];
}

static int take_step(struct reader *reader, const cJSON *line, enum step step, struct error *error)
{
    int64_t t_ms = 0;
    int stage;
    if (read_time(reader, line, &t_ms, error) || read_stage(reader, line, &stage, error))
        return -1;
    if (step > STEP_CONNECT && step < STEP_CLOSED && !reader->recording.stages[stage].is_there)
        return fail(reader, error, "it stands before the stage's CONNECT");
    switch (step) {
    case STEP_TLS_MESSAGE:
        on_tls_message(reader, stage, t_ms, line);
        return 0;
    case STEP_TLS_ALERT:
        return on_tls_alert(reader, stage, t_ms, line, error);
    case STEP_TLS_DONE:
        on_tls_done(reader, stage, t_ms, line);
        return 0;
    case STEP_CONNECT:
        return on_connect(reader, stage, t_ms, error);
    case STEP_CONNACK:
        return on_connack(reader, stage, t_ms, line, error);
    case STEP_SUBSCRIBE:
        reader->subscribe_ms[stage] = t_ms;
        return 0;
    case STEP_SUBACK:
        return on_suback(reader, stage, t_ms, line, error);
    case STEP_PUBLISH:
        return on_publish(reader, stage, t_ms, line, error);
    case STEP_MESSAGE:
        return on_message(reader, stage, t_ms, line, error);
    case STEP_CLOSED:
        if (reader->recording.stages[stage].is_there)
            on_closed(reader, stage, t_ms);
        else
            on_handshake_closed(reader, stage, t_ms, line);
        return 0;
    case STEP_SKIPPED:
        return 0;
    }
    return 0;
}

/* ---- the file ---- */

static int take_header(const struct reader *reader, const cJSON *line, struct error *error)
{
    int64_t version = json_integer(line, "v", 0);
    if (strcmp(json_string(line, "kind", ""), "recording") != 0)
        return fail(reader, error, "this is no recording: its first line is {\"v\":%d,\"kind\":\"recording\",...}", RECORDING_VERSION);
    return version == RECORDING_VERSION
               ? 0
               : fail(reader, error, "version %lld; this program reads version %d", (long long)version, RECORDING_VERSION);
}

static int take_line(struct reader *reader, const char *text, size_t length_bytes, struct error *error)
{
    struct error inner = ERROR_INIT;
    enum step step = STEP_SKIPPED;
    CLEANUP_JSON cJSON *line = json_parse(text, length_bytes, "line", &inner);
    if (!cJSON_IsObject(line))
        return fail(reader, error, "not a JSON object%s%s", inner.code ? ": " : "", inner.text);
    if (reader->line == 1)
        return take_header(reader, line, error);
    return read_step(reader, line, &step, error) || take_step(reader, line, step, error) ? -1 : 0;
}

static bool is_told(const struct recorded_stage *stage)
{
    return stage->is_there || stage->handshake.end != HANDSHAKE_STOOD || stage->handshake.is_ended_by_device;
}

static int check_whole(const struct reader *reader, struct error *error)
{
    if (reader->line == 0)
        return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "%s: it is empty; record one with `dpsbench probe --record`", reader->name);
    const struct recorded_stage *dps = &reader->recording.stages[RECORDED_DPS], *hub = &reader->recording.stages[RECORDED_HUB];
    if (!is_told(dps) && !is_told(hub))
        return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "%s: it holds no CONNECT, and no end of a TLS handshake", reader->name);
    if (hub->handshake.end != HANDSHAKE_STOOD && dps->is_there && !reader->recording.hub[0])
        return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX,
                         "%s: the hub's handshake ends, and no reply before it names that hub (assignedHub)", reader->name);
    return 0;
}

static int take_text(struct reader *reader, const char *text, size_t length_bytes, struct error *error)
{
    const char *end = text + length_bytes;
    for (const char *at = text; at < end;) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t length = (size_t)((newline ? newline : end) - at);
        reader->line++;
        if (length > 0 && take_line(reader, at, length, error))
            return -1;
        at += length + 1;
    }
    return check_whole(reader, error);
}

int recording_read_text(const char *text, size_t length_bytes, const char *name, struct recording *ret_recording, struct error *error)
{
    struct reader reader = {.name = name};
    for (int i = 0; i < RECORDED_STAGES; i++)
        reader.recording.stages[i].connack = reader.recording.stages[i].closed_after_ms = reader.subscribe_ms[i] = RECORDED_NOTHING;
    if (take_text(&reader, text, length_bytes, error)) {
        recording_done(&reader.recording);
        return -1;
    }
    *ret_recording = reader.recording;
    return 0;
}

int recording_read(const char *path, struct recording *ret_recording, struct error *error)
{
    CLEANUP(bytes_done) struct bytes text = {0};
    if (file_read(path, RECORDING_FILE_MAX_BYTES, &text, error))
        return -1;
    return recording_read_text(bytes_text(&text), text.length_bytes, path, ret_recording, error);
}

static void exchange_done(struct recorded_exchange *exchange)
{
    for (size_t i = 0; i < exchange->reply_count; i++) {
        free(exchange->replies[i].topic);
        free(exchange->replies[i].body);
    }
}

void recording_done(struct recording *recording)
{
    for (int stage = 0; recording && stage < RECORDED_STAGES; stage++) {
        struct recorded_stage *recorded = &recording->stages[stage];
        for (size_t i = 0; i < recorded->exchange_count; i++)
            exchange_done(&recorded->exchanges[i]);
        free(TAKE(recorded->exchanges));
        recorded->exchange_count = 0;
    }
}
