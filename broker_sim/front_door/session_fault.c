#include "broker_sim/front_door/session_fault.h"

#include "base/cleanup.h"
#include "broker_sim/mqtt/ack.h"
#include "broker_sim/mqtt/connack.h"

#include <stdlib.h>
#include <string.h>

enum {
    LATE_MAX = 64,
    TWIN_REQUESTS_MAX = 16,
    TWIN_PATIENCE_MS = 10000,
    JUNK_MAX_BYTES = 64 * 1024,
    FIRST_PACKET_ID = 1,
    STATUS_DIGITS = 3
};

#define TELEMETRY_FILTER "devices/+/messages/events/#"
#define TWIN_ANSWERS "$iothub/twin/res/"
#define TWIN_GETS "$iothub/twin/GET/"
#define TWIN_PATCHES "$iothub/twin/PATCH/properties/reported/"

struct late {
    struct late *next;
    deadline_t due;
    int type;
    size_t length_bytes;
    uint8_t data[];
};

/* Counts packets until its trigger has come. */
struct watch {
    bool is_armed;
    struct trigger trigger;
    int64_t left;
};

struct session_faults {
    struct knobs knobs;
    uint64_t random;
    struct watch close, junk, hub_close;
    struct late *late; /* the earliest first */
    size_t late_count;
    struct late *overtaken;                    /* PUBACKs of twin requests that wait for the answers to go first */
    uint16_t twin_requests[TWIN_REQUESTS_MAX]; /* their packet ids, until the PUBACK comes */
    size_t twin_request_count;
    unsigned early_types;       /* a bit a type: it is out, and what it acknowledges has not come */
    bool is_publish_watched[2]; /* down, up: its payload is not whole yet */
    char *publish_topic[2];
};

/* ---- loading ---- */

static void arm(struct watch *watch, bool is_turned, const char *text, uint64_t *random)
{
    bool is_new = is_turned && trigger_read(text, &watch->trigger, NULL) == 0;
    watch->is_armed = is_new;
    if (is_new)
        watch->left = trigger_count(&watch->trigger, random);
}

static void arm_telemetry(struct watch *watch, int64_t count)
{
    watch->is_armed = count > 0;
    watch->left = count;
    watch->trigger = (struct trigger){.kind = TRIGGER_PACKET,
                                      .is_after = true,
                                      .is_up = true,
                                      .number = MQTT_PUBLISH,
                                      .first = count,
                                      .last = count,
                                      .filter = TELEMETRY_FILTER};
}

static void load(struct session_faults *faults, const struct knobs *knobs, bool is_hub)
{
    if (knobs_are_equal(&faults->knobs, knobs))
        return;
    faults->knobs = *knobs;
    faults->random = (uint64_t)knobs->seed;
    arm(&faults->close, knobs->close_when[0] != 0, knobs->close_when, &faults->random);
    arm(&faults->junk, knobs->junk != JUNK_NONE, knobs->junk_when[0] ? knobs->junk_when : "after SUBACK", &faults->random);
    arm_telemetry(&faults->hub_close, is_hub ? knobs->hub_close_after : 0);
}

static bool is_hub(const struct connection *connection)
{
    return connection->session.endpoint == SESSION_ENDPOINT_HUB;
}

static bool is_meant(const struct connection *connection, const struct knobs *knobs)
{
    return knobs->mqtt_on == MQTT_ON_BOTH || (knobs->mqtt_on == MQTT_ON_HUB) == is_hub(connection);
}

/* The knobs of this layer are at rest on a connection that they are not meant for. */
static struct knobs meant(const struct connection *connection, const struct knobs *knobs)
{
    struct knobs own = *knobs, conforming;
    if (is_meant(connection, knobs))
        return own;
    knobs_init(&conforming);
    for (size_t i = 0; i < KNOB_COUNT; i++)
        if (knob_list[i].layer == KNOB_LAYER_MQTT)
            knob_copy(&own, &conforming, &knob_list[i]);
    return own;
}

void faults_load(struct connection *connection)
{
    const struct front_door_policy *policy = &connection->door->options.policy;
    const struct knobs *knobs = policy->knobs ? policy->knobs(policy->user, &connection->session, connection->registration_id) : NULL;
    struct knobs conforming;
    if (!knobs && !connection->faults && !policy->ack_due && !device_net_awaits_packet(connection))
        return;
    knobs_init(&conforming);
    if (!connection->faults)
        connection->faults = calloc(1, sizeof *connection->faults);
    if (!connection->faults)
        return;
    struct knobs own = meant(connection, knobs ? knobs : &conforming);
    load(connection->faults, &own, is_hub(connection));
}

static void free_all(struct late *late)
{
    while (late) {
        struct late *next = late->next;
        free(late);
        late = next;
    }
}

void faults_free(struct session_faults *faults)
{
    if (faults) {
        free_all(faults->late);
        free_all(faults->overtaken);
        free(faults->publish_topic[0]);
        free(faults->publish_topic[1]);
    }
    free(faults);
}

static bool happens(struct connection *connection, int knob)
{
    const struct front_door_policy *policy = &connection->door->options.policy;
    return policy->fault && policy->fault(policy->user, &connection->session, connection->registration_id, knob);
}

/* ---- junk ---- */

static void put_random(struct session_faults *faults, struct bytes *out)
{
    int64_t count = faults->knobs.junk_bytes < JUNK_MAX_BYTES ? faults->knobs.junk_bytes : JUNK_MAX_BYTES;
    for (int64_t i = 0; i < count; i++)
        bytes_append_byte(out, (uint8_t)seed_next(&faults->random));
}

/* Its head, and as much of it as anybody needs to see that it is too long. */
static void put_oversized(const struct session_faults *faults, struct bytes *out)
{
    static const uint8_t nothing[1024];
    int64_t claimed = faults->knobs.junk_bytes, left = claimed < JUNK_MAX_BYTES ? claimed : JUNK_MAX_BYTES;
    mqtt_write_header(out, MQTT_PUBLISH, 0, (uint32_t)claimed);
    if (claimed >= 4) {
        bytes_append(out, "\0\2$d", 4);
        left -= 4;
    }
    for (; left > 0; left -= (int64_t)sizeof nothing)
        bytes_append(out, nothing, left < (int64_t)sizeof nothing ? (size_t)left : sizeof nothing);
}

static void put_junk(struct session_faults *faults, struct bytes *out)
{
    static const struct {
        const char *data;
        size_t length_bytes;
    } fixed[] = {
#define PACKET(text) {text, sizeof(text) - 1}
        [JUNK_RESERVED_TYPE] = PACKET("\xF0\x00"),
        [JUNK_BAD_LENGTH] = PACKET("\x30\xFF\xFF\xFF\xFF\x7F"),
        [JUNK_BAD_FLAGS] = PACKET("\x9F\x03\x00\x01\x00"),
        [JUNK_QOS_3] = PACKET("\x36\x07\x00\x03$ab\x00\x01"),
        [JUNK_BAD_UTF8] = PACKET("\x30\x05\x00\x03\xC0\x80\xFF"),
        [JUNK_EMPTY_TOPIC] = PACKET("\x30\x02\x00\x00"),
        [JUNK_SHORT_SUBACK] = PACKET("\x90\x02\x00\x01"),
#undef PACKET
    };
    enum junk junk = (enum junk)faults->knobs.junk;
    if (junk == JUNK_OVERSIZED)
        put_oversized(faults, out);
    else if (junk == JUNK_RANDOM)
        put_random(faults, out);
    else
        bytes_append(out, fixed[junk].data, fixed[junk].length_bytes);
}

/* ---- packets ---- */

static bool fires(struct watch *watch, bool is_behind, bool is_up, int type, const char *topic)
{
    if (!watch->is_armed || watch->trigger.is_after != is_behind || !trigger_is_packet(&watch->trigger, is_up, type, topic))
        return false;
    if (--watch->left > 0)
        return false;
    watch->is_armed = false;
    return true;
}

static const char *close_how(const struct session_faults *faults)
{
    return knob_word(&faults->knobs, &knob_list[KNOB_close_how]);
}

bool faults_packet(struct connection *connection, bool is_behind, bool is_up, int type, const char *topic)
{
    struct session_faults *faults = connection->faults;
    if (faults && device_net_packet(connection, is_behind, is_up, type, topic))
        return true;
    if (!faults || connection->is_mute)
        return false;
    if (fires(&faults->junk, is_behind, is_up, type, topic) && happens(connection, KNOB_junk)) {
        put_junk(faults, &connection->out);
        device_flush(connection);
        return !is_behind;
    }
    bool is_hub_close = fires(&faults->hub_close, is_behind, is_up, type, topic);
    if (is_hub_close ? happens(connection, KNOB_hub_close_after)
                     : fires(&faults->close, is_behind, is_up, type, topic) && happens(connection, KNOB_close_when)) {
        connection_finish(connection, "service", close_how(faults));
        return true;
    }
    if (type == MQTT_PUBLISH && !is_behind) {
        free(faults->publish_topic[is_up]);
        faults->publish_topic[is_up] = strdup(topic);
    }
    return false;
}

/* ---- acknowledgements ---- */

static const struct ack_knob {
    int type;
    int knob;
} ack_knobs[] = {
    {MQTT_CONNACK, KNOB_connack_comes},   {MQTT_SUBACK, KNOB_suback_comes},     {MQTT_PUBACK, KNOB_puback_comes},
    {MQTT_UNSUBACK, KNOB_unsuback_comes}, {MQTT_PINGRESP, KNOB_pingresp_comes},
};

static int knob_of(const struct connection *connection, int type)
{
    if (type == MQTT_PUBACK && is_hub(connection) && connection->faults->knobs.hub_puback != ACK_ONCE)
        return KNOB_hub_puback;
    for (size_t i = 0; i < ARRAY_COUNT(ack_knobs); i++)
        if (ack_knobs[i].type == type)
            return ack_knobs[i].knob;
    return KNOB_puback_comes;
}

static enum ack_comes comes(const struct connection *connection, int type)
{
    return (enum ack_comes)knob_value(&connection->faults->knobs, &knob_list[knob_of(connection, type)]);
}

static void put_off(struct connection *connection, struct late **list, int type, size_t before_bytes, deadline_t due)
{
    struct session_faults *faults = connection->faults;
    size_t length = connection->out.length_bytes - before_bytes;
    struct late *late = faults->late_count < LATE_MAX ? malloc(sizeof *late + length) : NULL;
    if (!late)
        return;
    late->next = NULL;
    late->due = due;
    late->type = type;
    late->length_bytes = length;
    memcpy(late->data, connection->out.data + before_bytes, length);
    while (*list)
        list = &(*list)->next;
    *list = late;
    faults->late_count++;
}

/* An answer can be early by its PUBACK alone: before the request nobody knows its $rid, and a request at QoS 0 leaves nothing to be ahead of. */
void faults_twin_request(struct connection *connection, const char *topic, uint16_t packet_id)
{
    struct session_faults *faults = connection->faults;
    bool is_request = strncmp(topic, TWIN_GETS, sizeof TWIN_GETS - 1) == 0 || strncmp(topic, TWIN_PATCHES, sizeof TWIN_PATCHES - 1) == 0;
    if (faults->knobs.hub_twin_comes == ACK_EARLY && is_request && packet_id && faults->twin_request_count < TWIN_REQUESTS_MAX &&
        happens(connection, KNOB_hub_twin_comes))
        faults->twin_requests[faults->twin_request_count++] = packet_id;
}

/* The PUBACK of such a request waits; an answer that never comes holds it no longer than this. */
static bool is_overtaken(struct connection *connection, int type, size_t before_bytes)
{
    enum { ID_AT = 2 };
    const struct front_door_options *options = &connection->door->options;
    struct session_faults *faults = connection->faults;
    const uint8_t *data = connection->out.data + before_bytes;
    for (size_t i = 0; type == MQTT_PUBACK && i < faults->twin_request_count; i++) {
        if (faults->twin_requests[i] != (data[ID_AT] << 8 | data[ID_AT + 1]))
            continue;
        faults->twin_requests[i] = faults->twin_requests[--faults->twin_request_count];
        put_off(connection, &faults->overtaken, type, before_bytes,
                deadline_in_scaled_ms(options->clock, TWIN_PATIENCE_MS, options->time_scale));
        return true;
    }
    return false;
}

static void repeat(struct connection *connection, size_t before_bytes)
{
    CLEANUP(bytes_done) struct bytes copy = {.max_bytes = QUEUE_HIGH_BYTES};
    if (bytes_append(&copy, connection->out.data + before_bytes, connection->out.length_bytes - before_bytes) == 0)
        bytes_append(&connection->out, copy.data, copy.length_bytes);
}

/* A refusal still comes, behind a CONNACK that was too early. */
static bool has_come_early(struct connection *connection, int type)
{
    unsigned bit = 1U << type;
    bool has_come = connection->faults->early_types & bit && (type != MQTT_CONNACK || connection->phase == PHASE_SESSION);
    connection->faults->early_types &= ~bit;
    return has_come;
}

/* What the policy keeps back, and what would overtake it. */
static bool is_kept_back(const struct connection *connection, int type, deadline_t *ret_due)
{
    const struct front_door_policy *policy = &connection->door->options.policy;
    if (!connection->faults || !policy->ack_due || (type != MQTT_CONNACK && type != MQTT_SUBACK))
        return false;
    *ret_due = policy->ack_due(policy->user, &connection->session, type);
    return connection->faults->late || !deadline_has_passed(connection->door->options.clock, *ret_due);
}

bool faults_ack(struct connection *connection, int type, size_t before_bytes)
{
    const struct front_door_options *options = &connection->door->options;
    deadline_t due = {0};
    enum ack_comes how = connection->faults ? comes(connection, type) : ACK_ONCE;
    if (how == ACK_EARLY)
        how = has_come_early(connection, type) ? ACK_NEVER : ACK_ONCE;
    else if (how != ACK_ONCE && !happens(connection, knob_of(connection, type)))
        how = ACK_ONCE;
    if (how == ACK_TWICE)
        repeat(connection, before_bytes);
    if (how == ACK_LATE)
        due = deadline_in_scaled_ms(options->clock, connection->faults->knobs.ack_delay_ms, options->time_scale);
    else if (how == ACK_ONCE && is_kept_back(connection, type, &due))
        how = ACK_LATE;
    if (how == ACK_LATE)
        put_off(connection, &connection->faults->late, type, before_bytes, due);
    if (how == ACK_ONCE && connection->faults && is_overtaken(connection, type, before_bytes))
        how = ACK_NEVER;
    if (how == ACK_LATE || how == ACK_NEVER)
        bytes_cut(&connection->out, before_bytes);
    return how != ACK_LATE && how != ACK_NEVER;
}

bool faults_connack(struct connection *connection)
{
    const struct session_faults *faults = connection->faults;
    if (!faults || !faults->knobs.connack_bytes[0] || !happens(connection, KNOB_connack_bytes))
        return false;
    knob_read_hex(faults->knobs.connack_bytes, &connection->out);
    return true;
}

static void put_early(struct connection *connection, int type, uint16_t packet_id)
{
    if (comes(connection, type) != ACK_EARLY || !happens(connection, knob_of(connection, type)))
        return;
    connection->faults->early_types |= 1U << type;
    const uint8_t suback[] = {(uint8_t)(packet_id >> 8), (uint8_t)packet_id, 1};
    if (type == MQTT_SUBACK)
        mqtt_write_packet(&connection->out, MQTT_SUBACK, 0, suback, sizeof suback);
    else if (type == MQTT_PINGRESP)
        mqtt_write_bare(&connection->out, MQTT_PINGRESP);
    else if (type == MQTT_CONNACK)
        mqtt_write_connack(&connection->out, false, CONNACK_ACCEPTED);
    else
        mqtt_write_ack(&connection->out, (enum mqtt_type)type, packet_id);
}

void faults_early(struct connection *connection, int behind_type, uint16_t packet_id)
{
    if (!connection->faults)
        return;
    switch (behind_type) {
    case MQTT_CONNECT:
        put_early(connection, MQTT_CONNACK, 0);
        break;
    case MQTT_CONNACK:
        put_early(connection, MQTT_SUBACK, FIRST_PACKET_ID);
        put_early(connection, MQTT_PINGRESP, 0);
        break;
    default:
        put_early(connection, MQTT_UNSUBACK, (uint16_t)(packet_id + 1));
        put_early(connection, MQTT_PUBACK, (uint16_t)(packet_id + 1));
        break;
    }
    device_flush(connection);
}

/* ---- topics ---- */

static char *twin_topic(const struct session_faults *faults, const char *topic)
{
    const char *rest = topic + sizeof TWIN_ANSWERS - 1;
    char *changed;
    rest += strcspn(rest, "/");
    return asprintf(&changed, TWIN_ANSWERS "%0*lld%s", STATUS_DIGITS, (long long)faults->knobs.hub_twin_status, rest) < 0 ? NULL : changed;
}

char *faults_topic(struct connection *connection, const char *topic)
{
    const struct session_faults *faults = connection->faults;
    if (!faults)
        return NULL;
    bool is_twin = is_hub(connection) && strncmp(topic, TWIN_ANSWERS, sizeof TWIN_ANSWERS - 1) == 0;
    if (is_twin && faults->knobs.hub_twin_status && happens(connection, KNOB_hub_twin_status))
        return twin_topic(faults, topic);
    if (!is_hub(connection) && faults->knobs.reply_topic[0] && happens(connection, KNOB_reply_topic))
        return strdup(faults->knobs.reply_topic);
    return NULL;
}

/* ---- what is late ---- */

bool faults_are_pending(const struct connection *connection)
{
    return connection->faults && connection->faults->late;
}

deadline_t faults_due(const struct connection *connection)
{
    const struct session_faults *faults = connection->faults;
    deadline_t late = faults && faults->late ? faults->late->due : deadline_none;
    return faults && faults->overtaken ? deadline_earlier(late, faults->overtaken->due) : late;
}

static void tell_late(struct connection *connection, const struct late *late)
{
    size_t head_bytes = late->data[1] & 0x80 ? 3 : 2; /* of a SUBACK with more than 125 codes, and of the others */
    const uint8_t *body = late->data + head_bytes;
    size_t body_bytes = late->length_bytes - head_bytes;
    uint16_t packet_id = body_bytes >= 2 ? (uint16_t)(body[0] << 8 | body[1]) : 0;
    switch (late->type) {
    case MQTT_CONNACK:
        emit_connack(connection, body[1]);
        break;
    case MQTT_SUBACK:
        emit_suback(connection, body + 2, body_bytes - 2, packet_id);
        break;
    case MQTT_UNSUBACK:
        emit_unsuback(connection, NULL, packet_id);
        break;
    case MQTT_PUBACK:
        emit_puback(connection, false, packet_id);
        break;
    default:
        emit_bare(connection, EVENT_MQTT_PINGRESP);
        break;
    }
}

static void send_first(struct connection *connection, struct late **list)
{
    CLEANUP_FREE struct late *late = *list;
    *list = late->next;
    connection->faults->late_count--;
    bytes_append(&connection->out, late->data, late->length_bytes);
    tell_late(connection, late);
}

static void send_due(struct connection *connection, struct late **list)
{
    while (*list && deadline_has_passed(connection->door->options.clock, (*list)->due))
        send_first(connection, list);
}

void faults_publish_ended(struct connection *connection, bool is_up)
{
    struct session_faults *faults = connection->faults;
    CLEANUP_FREE char *topic = faults ? TAKE(faults->publish_topic[is_up]) : NULL;
    if (topic)
        faults_packet(connection, true, is_up, MQTT_PUBLISH, topic);
    bool is_answer = topic && !is_up && strncmp(topic, TWIN_ANSWERS, sizeof TWIN_ANSWERS - 1) == 0;
    if (is_answer && faults->overtaken && connection->phase == PHASE_SESSION)
        send_first(connection, &faults->overtaken);
}

void faults_run(struct connection *connection)
{
    if (connection->faults) {
        send_due(connection, &connection->faults->late);
        send_due(connection, &connection->faults->overtaken);
    }
    if (connection->phase == PHASE_FINISHING)
        device_finish(connection);
    else if (connection->phase < PHASE_FINISHING)
        device_flush(connection);
}
