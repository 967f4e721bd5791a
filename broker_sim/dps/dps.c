#include "broker_sim/dps/dps.h"

#include "base/cleanup.h"
#include "broker_sim/dps/service.h"
#include "broker_sim/scenario/fault.h"

#include <string.h>

const char *const dps_filters[] = {"s/+/$dps/registrations/PUT/#", "s/+/$dps/registrations/GET/#"};
const size_t dps_filter_count = ARRAY_COUNT(dps_filters);

int dps_add_tenant(struct dps *dps, const struct dps_tenant *tenant, struct error *error)
{
    if (dps->options.tenant_count == DPS_TENANTS_MAX)
        return error_set(error, ERROR_OWNER_FILE, ERROR_LIMIT, "there are %d ID scopes already", DPS_TENANTS_MAX);
    struct dps_tenant *added = &dps->options.tenants[dps->options.tenant_count++];
    *added = *tenant;
    if (!added->linked_hubs)
        added->linked_hubs = &dps->default_hubs;
    return 0;
}

struct dps *dps_new(const struct dps_options *options)
{
    struct dps *dps = calloc(1, sizeof *dps);
    if (!dps)
        return NULL;
    dps->options = *options;
    dps->options.tenant_count = 0;
    linked_hubs_init(&dps->default_hubs);
    for (size_t i = 0; i < options->tenant_count; i++)
        dps_add_tenant(dps, &options->tenants[i], NULL);
    return dps;
}

void dps_free(struct dps *dps)
{
    free(dps);
}

/* --- events --- */

cJSON *dps_event_of(const struct dps *dps, enum event_kind kind)
{
    return event_new(kind, dps->options.sink.clock, EVENT_SOURCE);
}

void dps_emit(const struct dps *dps, cJSON *event, const struct session *session, const char *registration_id)
{
    if (event)
        event_set_origin(event, session->lane, session->number, registration_id);
    dps->options.sink.emit(dps->options.sink.user, event);
}

void dps_warn(const struct dps *dps, const struct session *session, const char *rule, const char *text, const char *mend)
{
    const struct dps_session *own = session->service;
    cJSON *event = dps_event_of(dps, EVENT_DPS_WARNING);
    json_set_string(event_data(event), "rule", rule);
    json_set_string(event_data(event), "text", text);
    json_set_string(event_data(event), "mend", mend);
    dps_emit(dps, event, session, own->registration_id);
}

bool dps_has_fault(const struct dps *dps, const struct session *session, const char *registration_id, int knob)
{
    return fault_happens(dps->options.scenarios, &dps->options.sink, session, registration_id, knob);
}

const char *dps_close_how(const struct knobs *knobs)
{
    return knob_word(knobs, &knob_list[KNOB_close_how]);
}

void dps_closed(struct dps *dps, struct session *session)
{
    (void)dps;
    CLEANUP_FREE struct dps_session *own = TAKE(session->service);
    if (own && own->tenant)
        registration_release(own->tenant->registrations, own->registration_id, session->number);
}

/* --- SUBSCRIBE, PUBLISH --- */

enum { FILTER_REFUSED_CODE = 0x80 };

static int close_at_subscribe(const struct dps *dps, const struct session *session)
{
    dps->options.port.close(dps->options.port.user, session->number, "close_notify");
    return FILTER_REFUSED_CODE;
}

static int grant_responses(const struct dps *dps, const struct session *session, int qos, const struct knobs *knobs)
{
    struct dps_session *own = session->service;
    if (qos > 1 && knobs->subscribe_qos_2 == QOS_2_CLOSES)
        return close_at_subscribe(dps, session);
    if (qos > 1 && knobs->subscribe_qos_2 == QOS_2_REFUSED)
        return FILTER_REFUSED_CODE;
    own->is_subscribed = true;
    return qos > 1 ? 1 : qos;
}

static int grant_other(const struct dps *dps, const struct session *session, const char *filter, int qos, const struct knobs *knobs)
{
    static const char *const answers[] = {[FILTER_REFUSED] = "SUBACK 0x80",
                                          [FILTER_GRANTED] = "granted, and nothing will come",
                                          [FILTER_CLOSES] = "the connection is closed"};
    char text[512];
    snprintf(text, sizeof text, "the device subscribes to '%.256s'; DPS serves " RESPONSE_FILTER " alone: %s", filter,
             answers[knobs->other_filter]);
    dps_warn(dps, session, "subscribe.filter", text, "subscribe to " RESPONSE_FILTER);
    if (knobs->other_filter == FILTER_CLOSES)
        return close_at_subscribe(dps, session);
    return knobs->other_filter == FILTER_REFUSED ? FILTER_REFUSED_CODE : qos > 1 ? 1 : qos;
}

int dps_grant(struct dps *dps, const struct session *session, const char *filter, int qos)
{
    const struct dps_session *own = session->service;
    if (!own)
        return FILTER_REFUSED_CODE;
    struct knobs knobs = scenario_knobs(dps->options.scenarios, own->registration_id);
    return strcmp(filter, RESPONSE_FILTER) == 0 ? grant_responses(dps, session, qos, &knobs)
                                                : grant_other(dps, session, filter, qos, &knobs);
}

void dps_subscribed(struct dps *dps, struct session *session, const char *filter)
{
    struct dps_session *own = session->service;
    if (!own || own->is_ending || strcmp(filter, RESPONSE_FILTER) != 0)
        return;
    struct knobs knobs = scenario_knobs(dps->options.scenarios, own->registration_id);
    if (knobs.close_at != CLOSE_AFTER_SUBACK || !dps_has_fault(dps, session, own->registration_id, KNOB_close_at))
        return;
    own->is_ending = true;
    dps->options.port.close_later(dps->options.port.user, session->number, CLOSE_DELAY_MS, dps_close_how(&knobs));
}

static enum publish_permit permit_qos_2(const struct dps *dps, const struct session *session, const struct knobs *knobs)
{
    static const enum publish_permit permits[] = {
        [QOS_2_PUBLISH_CLOSES] = PUBLISH_REFUSED, [QOS_2_PUBLISH_AS_1] = PUBLISH_TAKEN, [QOS_2_PUBLISH_IGNORED] = PUBLISH_IGNORED};
    dps_warn(dps, session, "publish.qos-2", "a PUBLISH with QoS 2", "publish with QoS 0 or 1");
    return permits[knobs->publish_qos_2];
}

static enum publish_permit permit_retain(const struct dps *dps, const struct session *session, const struct knobs *knobs)
{
    static const enum publish_permit permits[] = {
        [RETAIN_TAKEN] = PUBLISH_TAKEN, [RETAIN_CLOSES] = PUBLISH_REFUSED, [RETAIN_IGNORED] = PUBLISH_IGNORED};
    dps_warn(dps, session, "publish.retain", "a PUBLISH with RETAIN", "publish requests without RETAIN: the service keeps nothing");
    return permits[knobs->publish_retain];
}

/* Nothing comes of a request that is no request, and a client may wait for its acknowledgement: it gets one. */
static enum publish_permit permit_topic(const struct dps *dps, const struct session *session, const char *topic, const struct knobs *knobs)
{
    if (dps_topic_is_request(topic))
        return PUBLISH_TAKEN;
    bool is_closed = knobs->wrong_topic == WRONG_TOPIC_CLOSES;
    dps_warn(dps, session, "publish.topic",
             is_closed ? "a PUBLISH on a topic that is no request" : "a PUBLISH on a topic that is no request: nothing happens",
             "publish to $dps/registrations/PUT/iotdps-register/ and $dps/registrations/GET/iotdps-get-operationstatus/ alone");
    return is_closed ? PUBLISH_REFUSED : PUBLISH_TAKEN;
}

enum publish_permit dps_may_publish(struct dps *dps, const struct session *session, const struct publish_request *request)
{
    const struct dps_session *own = session->service;
    if (!own)
        return PUBLISH_REFUSED;
    struct knobs knobs = scenario_knobs(dps->options.scenarios, own->registration_id);
    enum publish_permit permit = request->qos > 1 ? permit_qos_2(dps, session, &knobs) : PUBLISH_TAKEN;
    if (permit == PUBLISH_TAKEN && request->is_retained)
        permit = permit_retain(dps, session, &knobs);
    return permit == PUBLISH_TAKEN ? permit_topic(dps, session, request->topic, &knobs) : permit;
}
