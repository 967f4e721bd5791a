#include "broker_sim/dps/dps.h"

#include "base/cleanup.h"
#include "broker_sim/dps/service.h"
#include "broker_sim/scenario/fault.h"

#include <string.h>

const char *const dps_filters[] = {"s/+/$dps/registrations/PUT/#", "s/+/$dps/registrations/GET/#"};
const size_t dps_filter_count = ARRAY_COUNT(dps_filters);

struct dps *dps_new(const struct dps_options *options)
{
    struct dps *dps = calloc(1, sizeof *dps);
    if (dps)
        dps->options = *options;
    return dps;
}

void dps_free(struct dps *dps)
{
    free(dps);
}

static void dps_session_free(struct dps_session *own)
{
    attestation_verdict_free(own->verdict);
    free(own);
}
DEFINE_CLEANUP(struct dps_session *, dps_session_free)

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

static const char *profile_name(const struct knobs *knobs)
{
    return knob_list[KNOB_profile].words[knobs->profile];
}

/* --- CONNECT --- */

struct connect_refusal {
    const char *rule; /* NULL: none */
    const char *mend;
    char text[ERROR_TEXT_MAX_BYTES];
};

#define X(id, rule_name, rule_mend)                                                                                                        \
    static const char *const RULE_##id = rule_name;                                                                                        \
    static const char *const MEND_##id = rule_mend;
DPS_CONNECT_RULES(X)
#undef X

static int refuse(struct connect_refusal *refusal, const char *rule, const char *mend, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static int refuse(struct connect_refusal *refusal, const char *rule, const char *mend, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(refusal->text, sizeof refusal->text, format, args);
    va_end(args);
    refusal->rule = rule;
    refusal->mend = mend;
    return -1;
}

static int check_connect(const struct dps *dps, const struct session *session, struct dps_user_name *name, struct connect_refusal *refusal)
{
    struct error error = ERROR_INIT;
    if (dps_user_name_read(session->user_name, name, &error))
        return refuse(refusal, RULE_USER_NAME, MEND_USER_NAME, "%s", error.text);
    if (!name->api_version[0])
        return refuse(refusal, RULE_API_VERSION, MEND_API_VERSION, "user name '%.256s' has no api-version, or one that is not a date",
                      session->user_name);
    if (strcmp(name->id_scope, dps->options.id_scope) != 0)
        return refuse(refusal, RULE_ID_SCOPE, MEND_ID_SCOPE, "the device says ID scope '%s'; this service has '%s'", name->id_scope,
                      dps->options.id_scope);
    if (!registration_id_equals(session->client_id, name->registration_id))
        return refuse(refusal, RULE_CLIENT_ID, MEND_CLIENT_ID, "client id '%.255s' is not the registration id '%s' of the user name",
                      session->client_id, name->registration_id);
    return 0;
}

static cJSON *connect_rules_json(const struct connect_refusal *refusal)
{
    CLEANUP_JSON cJSON *rules = cJSON_CreateArray();
    cJSON *rule = cJSON_CreateObject();
    if (!rules || !cJSON_AddItemToArray(rules, rule))
        return NULL;
    json_set_string(rule, "id", refusal->rule);
    json_set_string(rule, "class", "C13");
    json_set_string(rule, "severity", "refuse");
    json_set_string(rule, "text", refusal->text);
    json_set_string(rule, "mend", refusal->mend);
    return TAKE(rules);
}

/* The judge was not asked: the same shape of verdict from CONNECT's own rules. */
static void emit_connect_refusal(const struct dps *dps, const struct session *session, const struct dps_user_name *name,
                                 const struct connect_refusal *refusal, const struct knobs *knobs)
{
    const char *registration_id = name->registration_id[0] ? name->registration_id : NULL;
    cJSON *event = dps_event_of(dps, EVENT_ATTESTATION_VERDICT), *data = event_data(event), *evidence = cJSON_CreateObject();
    json_set_string(data, "verdict", "refused");
    json_set_string(data, "rule", refusal->rule);
    json_set(data, "rules", connect_rules_json(refusal));
    json_set_string(data, "surface", "connack");
    json_set_integer(data, "return_code", 5);
    json_set_string(data, "profile", profile_name(knobs));
    json_set_string(data, "text", refusal->text);
    json_set_string(data, "mend", refusal->mend);
    json_set_string(evidence, "registration_id", registration_id);
    json_set_string(evidence, "client_id", session->client_id);
    json_set_string(evidence, "user_name", session->user_name);
    json_set(data, "evidence", evidence);
    dps_emit(dps, event, session, registration_id);
}

static int judge(const struct dps *dps, const struct session *session, const char *registration_id, const struct knobs *knobs,
                 struct attestation_verdict **ret_verdict)
{
    struct attestation_question question = {
        .chain = session->chain,
        .signed_count = session->signed_count,
        .registration_id = registration_id,
        .state = dps->options.state,
        .now_unix_s = clock_unix_s(dps->options.sink.clock),
        .profile = attestation_profile_find(profile_name(knobs)),
    };
    if (attestation_judge(&question, ret_verdict, NULL))
        return -1;
    cJSON *event = dps_event_of(dps, EVENT_ATTESTATION_VERDICT);
    if (event)
        json_set(event, "data", attestation_verdict_json(*ret_verdict));
    dps_emit(dps, event, session, registration_id);
    return 0;
}

bool dps_has_fault(const struct dps *dps, const struct session *session, const char *registration_id, int knob)
{
    return fault_happens(dps->options.scenarios, &dps->options.sink, session, registration_id, knob);
}

const char *dps_close_how(const struct knobs *knobs)
{
    return knob_word(knobs, &knob_list[KNOB_close_how]);
}

/* Of a device that deserves to be admitted. */
static struct admission admit(const struct dps *dps, const struct session *session, const char *registration_id, const struct knobs *knobs)
{
    if (knobs->close_at == CLOSE_BEFORE_CONNACK && dps_has_fault(dps, session, registration_id, KNOB_close_at))
        return (struct admission){.close_how = dps_close_how(knobs)};
    if (dps_has_fault(dps, session, registration_id, KNOB_connack))
        return (struct admission){.return_code = (int)knobs->connack};
    struct admission admission = {.is_admitted = true};
    if (dps_has_fault(dps, session, registration_id, KNOB_silent_after))
        admission.silence = (enum admission_silence)knobs->silent_after;
    return admission;
}

static const struct admission refused = {.is_admitted = false, .return_code = 5};

struct admission dps_decide(struct dps *dps, struct session *session)
{
    struct dps_user_name name = {.registration_id = ""};
    struct connect_refusal refusal = {.rule = NULL};
    int rc = check_connect(dps, session, &name, &refusal);
    struct knobs knobs = scenario_knobs(dps->options.scenarios, name.registration_id[0] ? name.registration_id : NULL);
    if (rc) {
        emit_connect_refusal(dps, session, &name, &refusal, &knobs);
        return refused;
    }
    CLEANUP(dps_session_free_cleanup) struct dps_session *own = calloc(1, sizeof *own);
    if (!own || judge(dps, session, name.registration_id, &knobs, &own->verdict))
        return (struct admission){.is_admitted = false, .return_code = 3};
    if (own->verdict->surface == ATTESTATION_SURFACE_CONNACK)
        return (struct admission){.is_admitted = false, .return_code = own->verdict->return_code};
    snprintf(own->registration_id, sizeof own->registration_id, "%s", name.registration_id);
    struct admission admission = admit(dps, session, name.registration_id, &knobs);
    if (admission.is_admitted)
        session->service = TAKE(own);
    return admission;
}

void dps_closed(struct dps *dps, struct session *session)
{
    (void)dps;
    struct dps_session *own = TAKE(session->service);
    if (own)
        dps_session_free(own);
}

/* --- SUBSCRIBE, PUBLISH --- */

int dps_grant(struct dps *dps, const struct session *session, const char *filter, int qos)
{
    struct dps_session *own = session->service;
    if (!own)
        return 0x80;
    if (strcmp(filter, RESPONSE_FILTER) == 0) {
        own->is_subscribed = true;
        return qos > 1 ? 1 : qos;
    }
    char text[512];
    snprintf(text, sizeof text, "the device subscribes to '%.256s'; DPS serves " RESPONSE_FILTER " alone: SUBACK 0x80", filter);
    dps_warn(dps, session, "subscribe.filter", text, "subscribe to " RESPONSE_FILTER);
    return 0x80;
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

bool dps_may_publish(struct dps *dps, const struct session *session, const char *topic)
{
    (void)dps;
    return session->service && dps_topic_is_request(topic);
}
