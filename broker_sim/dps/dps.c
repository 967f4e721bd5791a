#include "broker_sim/dps/dps.h"

#include "base/cleanup.h"
#include "broker_sim/dps/allocation.h"
#include "broker_sim/dps/reply.h"
#include "broker_sim/scenario/fault.h"
#include "certs/attestation.h"

#include <string.h>

#define RESPONSE_FILTER "$dps/registrations/res/#"

struct dps {
    struct dps_options options;
};

/* What DPS knows of one admitted connection: session->service. */
struct dps_session {
    struct attestation_verdict *verdict;
    bool is_subscribed;
    bool is_ending; /* a scenario closes it: no request is answered any more */
    char registration_id[CLAIMED_ID_MAX_BYTES + 1];
};

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

static cJSON *event_of(const struct dps *dps, enum event_kind kind)
{
    return event_new(kind, dps->options.sink.clock, EVENT_SOURCE);
}

static void emit(const struct dps *dps, cJSON *event, const struct session *session, const char *registration_id)
{
    if (event)
        event_set_origin(event, session->lane, session->number, registration_id);
    dps->options.sink.emit(dps->options.sink.user, event);
}

static void warn(const struct dps *dps, const struct session *session, const char *rule, const char *text, const char *mend)
{
    const struct dps_session *own = session->service;
    cJSON *event = event_of(dps, EVENT_DPS_WARNING);
    json_set_string(event_data(event), "rule", rule);
    json_set_string(event_data(event), "text", text);
    json_set_string(event_data(event), "mend", mend);
    emit(dps, event, session, own->registration_id);
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
    cJSON *event = event_of(dps, EVENT_ATTESTATION_VERDICT), *data = event_data(event), *evidence = cJSON_CreateObject();
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
    emit(dps, event, session, registration_id);
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
    cJSON *event = event_of(dps, EVENT_ATTESTATION_VERDICT);
    if (event)
        json_set(event, "data", attestation_verdict_json(*ret_verdict));
    emit(dps, event, session, registration_id);
    return 0;
}

static bool has_fault(const struct dps *dps, const struct session *session, const char *registration_id, int knob)
{
    return fault_happens(dps->options.scenarios, &dps->options.sink, session, registration_id, knob);
}

static const char *close_how(const struct knobs *knobs)
{
    return knob_word(knobs, &knob_list[KNOB_close_how]);
}

/* Of a device that deserves to be admitted. */
static struct admission admit(const struct dps *dps, const struct session *session, const char *registration_id, const struct knobs *knobs)
{
    if (knobs->close_at == CLOSE_BEFORE_CONNACK && has_fault(dps, session, registration_id, KNOB_close_at))
        return (struct admission){.close_how = close_how(knobs)};
    if (has_fault(dps, session, registration_id, KNOB_connack))
        return (struct admission){.return_code = (int)knobs->connack};
    struct admission admission = {.is_admitted = true};
    if (has_fault(dps, session, registration_id, KNOB_silent_after))
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
    warn(dps, session, "subscribe.filter", text, "subscribe to " RESPONSE_FILTER);
    return 0x80;
}

/* The device has time to send its register request: so far the registration works, then it breaks. */
enum { CLOSE_DELAY_MS = 300 };

void dps_subscribed(struct dps *dps, struct session *session, const char *filter)
{
    struct dps_session *own = session->service;
    if (!own || own->is_ending || strcmp(filter, RESPONSE_FILTER) != 0)
        return;
    struct knobs knobs = scenario_knobs(dps->options.scenarios, own->registration_id);
    if (knobs.close_at != CLOSE_AFTER_SUBACK || !has_fault(dps, session, own->registration_id, KNOB_close_at))
        return;
    own->is_ending = true;
    dps->options.port.close_later(dps->options.port.user, session->number, CLOSE_DELAY_MS, close_how(&knobs));
}

bool dps_may_publish(struct dps *dps, const struct session *session, const char *topic)
{
    (void)dps;
    return session->service && dps_topic_is_request(topic);
}

/* --- requests --- */

struct exchange {
    const struct session *session;
    const struct dps_session *own;
    struct dps_request request;
    struct knobs knobs;
};

static cJSON *slice_json(struct slice slice)
{
    CLEANUP_FREE char *text = strndup(slice.text, slice.length);
    return text ? cJSON_CreateString(text) : NULL;
}

static void emit_request(const struct dps *dps, const struct exchange *exchange, size_t length_bytes)
{
    cJSON *event = event_of(dps, EVENT_DPS_REQUEST), *data = event_data(event);
    json_add_string(data, "operation", dps_operation_name(exchange->request.operation));
    json_add(data, "rid", slice_json(exchange->request.rid));
    if (exchange->request.operation_id.length)
        json_add(data, "operation_id", slice_json(exchange->request.operation_id));
    json_add_integer(data, "payload_bytes", (int64_t)length_bytes);
    emit(dps, event, exchange->session, exchange->own->registration_id);
}

static bool exchange_has_fault(const struct dps *dps, const struct exchange *exchange, int knob)
{
    return has_fault(dps, exchange->session, exchange->own->registration_id, knob);
}

struct answer {
    int status;
    int64_t retry_after_s; /* or RETRY_AFTER_ABSENT */
    const cJSON *body;
    const char *spoiled; /* NULL; or what is sent in place of the body */
};

static void emit_reply(const struct dps *dps, const struct exchange *exchange, const struct answer *answer, const char *topic)
{
    cJSON *event = event_of(dps, EVENT_DPS_REPLY), *data = event_data(event);
    json_add_integer(data, "status", answer->status);
    json_add(data, "rid", slice_json(exchange->request.rid));
    if (answer->retry_after_s != RETRY_AFTER_ABSENT)
        json_add_integer(data, "retry_after_s", answer->retry_after_s);
    if (answer->spoiled)
        json_add_string(data, "body_text", answer->spoiled);
    else
        json_add(data, "body", cJSON_Duplicate(answer->body, true));
    json_add_string(data, "topic", topic);
    emit(dps, event, exchange->session, exchange->own->registration_id);
}

static void send_answer(const struct dps *dps, const struct exchange *exchange, const struct answer *answer)
{
    CLEANUP_FREE char *topic = reply_topic(answer->status, exchange->request.rid, answer->retry_after_s);
    CLEANUP_FREE char *text = answer->body ? json_print_line(answer->body) : NULL;
    if (!topic || !text)
        return;
    dps->options.port.publish(dps->options.port.user, exchange->session->number, topic, answer->spoiled ? answer->spoiled : text);
    emit_reply(dps, exchange, answer, topic);
}

/* What a proxy that lost its server answers, more or less. */
#define NO_JSON "<html><body><h1>502 Bad Gateway</h1></body></html>"

/* malloc'ed; NULL: the body goes as it is. */
static char *spoil(const struct dps *dps, const struct exchange *exchange, const cJSON *body)
{
    CLEANUP_FREE char *text = body ? json_print_line(body) : NULL;
    if (exchange->request.operation != DPS_REGISTER || !text || !exchange_has_fault(dps, exchange, KNOB_reply_body))
        return NULL;
    switch ((enum reply_body)exchange->knobs.reply_body) {
    case REPLY_BODY_TRUNCATED:
        return strndup(text, strlen(text) / 2);
    case REPLY_BODY_TEXT:
        return strdup(NO_JSON);
    default:
        return strdup("");
    }
}

/* Takes `body`. */
static void reply(const struct dps *dps, const struct exchange *exchange, int status, cJSON *body)
{
    CLEANUP_JSON cJSON *owned = body;
    CLEANUP_FREE char *spoiled = spoil(dps, exchange, owned);
    bool has_retry_after = status == 202 && exchange->knobs.has_retry_after;
    const struct answer answer = {status, has_retry_after ? exchange->knobs.retry_after_s : RETRY_AFTER_ABSENT, owned, spoiled};
    send_answer(dps, exchange, &answer);
}

static void reply_error(const struct dps *dps, const struct exchange *exchange, int error_code, const char *message)
{
    reply(dps, exchange, error_code / 1000, reply_error_body(error_code, message, clock_unix_us(dps->options.sink.clock)));
}

static void close_after_refusal(const struct dps *dps, const struct exchange *exchange)
{
    dps->options.port.close_after_reply(dps->options.port.user, exchange->session->number, exchange->knobs.close_after_refusal_ms,
                                        "refused");
}

/* Throttling and trouble pass; everything else is a refusal, after which the service closes. */
static void reply_fault(const struct dps *dps, const struct exchange *exchange, int status)
{
    enum { THROTTLED = 429 };
    struct reply_error error = reply_error_of(status);
    CLEANUP_JSON cJSON *body = reply_error_body(error.code, error.message, clock_unix_us(dps->options.sink.clock));
    int64_t retry_after_s = exchange->knobs.error_retry_after_s;
    send_answer(dps, exchange, &(struct answer){status, retry_after_s ? retry_after_s : RETRY_AFTER_ABSENT, body, NULL});
    if (status < THROTTLED)
        close_after_refusal(dps, exchange);
}

static bool is_refused_in_reply(const struct attestation_verdict *verdict)
{
    return verdict->surface == ATTESTATION_SURFACE_RES400 || verdict->surface == ATTESTATION_SURFACE_RES401 ||
           verdict->surface == ATTESTATION_SURFACE_RES404;
}

/* Field logs show the refusal and then a closed connection (azure-iot-sdk-c issue 2021, azure-iot-sdk-python issue 797). */
static void reply_refusal(const struct dps *dps, const struct exchange *exchange)
{
    const struct attestation_verdict *verdict = exchange->own->verdict;
    reply_error(dps, exchange, verdict->error_code, verdict->message);
    close_after_refusal(dps, exchange);
}

/* Individual: the enrollment's deviceId, else the registration id. Group: always the registration id. */
static void fill_assignment(const struct dps *dps, const struct exchange *exchange, struct registration_outcome *outcome)
{
    const struct attestation_verdict *verdict = exchange->own->verdict;
    const char *registration_id = exchange->own->registration_id;
    const struct dps_object *object = dps_state_find(dps->options.state, verdict->match_kind, verdict->match_id);
    const cJSON *json = object ? object->json : NULL;
    const char *device_id = outcome->is_group ? registration_id : json_string(json, "deviceId", registration_id);
    snprintf(outcome->device_id, sizeof outcome->device_id, "%s", device_id);
    snprintf(outcome->assigned_hub, sizeof outcome->assigned_hub, "%s", allocation_hub(json, registration_id));
    if (sk_X509_num(exchange->session->chain) > 0)
        certificate_sha256(sk_X509_value(exchange->session->chain, 0), outcome->leaf_sha256);
}

/* The failure is the one that the documentation of custom allocation policies shows. */
static void end_otherwise(const struct dps *dps, const struct exchange *exchange, struct registration_outcome *outcome, int64_t *polls)
{
    if (!exchange_has_fault(dps, exchange, KNOB_end_as))
        return;
    if (exchange->knobs.end_as == END_AS_NEVER) {
        *polls = INT64_MAX;
    } else if (exchange->knobs.end_as == END_AS_DISABLED) {
        outcome->status = REGISTRATION_DISABLED;
    } else {
        outcome->status = REGISTRATION_FAILED;
        outcome->error_code = 400207;
        snprintf(outcome->error_message, sizeof outcome->error_message, "Custom allocation failed with status code: 400");
    }
}

/* polls: how many status requests it takes; may be changed. */
static struct registration_outcome outcome_of(const struct dps *dps, const struct exchange *exchange, int64_t *polls)
{
    const struct attestation_verdict *verdict = exchange->own->verdict;
    struct registration_outcome outcome = {.status = REGISTRATION_ASSIGNED, .is_group = verdict->match_kind == DPS_GROUP};
    snprintf(outcome.enrollment_id, sizeof outcome.enrollment_id, "%s", verdict->match_id ? verdict->match_id : "");
    if (verdict->surface == ATTESTATION_SURFACE_FAILED) {
        outcome.status = REGISTRATION_FAILED;
        outcome.error_code = verdict->error_code;
        snprintf(outcome.error_message, sizeof outcome.error_message, "%s", verdict->message ? verdict->message : "");
    } else if (verdict->surface == ATTESTATION_SURFACE_DISABLED) {
        outcome.status = REGISTRATION_DISABLED;
    } else {
        fill_assignment(dps, exchange, &outcome);
        end_otherwise(dps, exchange, &outcome, polls);
    }
    return outcome;
}

/* The identity at the hub is made before the device hears of it. */
static void on_ended(const struct dps *dps, const struct exchange *exchange, const struct registration *registration)
{
    const struct registration_outcome *outcome = &registration->outcome;
    if (registration->status != REGISTRATION_ASSIGNED)
        return;
    hub_registry_put(dps->options.hubs, outcome->assigned_hub, outcome->device_id, outcome->leaf_sha256, NULL);
    cJSON *event = event_of(dps, EVENT_DPS_ASSIGNED), *data = event_data(event), *enrollment = cJSON_CreateObject();
    json_add_string(data, "device_id", outcome->device_id);
    json_add_string(data, "assigned_hub", outcome->assigned_hub);
    json_add_string(enrollment, "kind", outcome->is_group ? "group" : "individual");
    json_add_string(enrollment, "id", outcome->enrollment_id);
    json_add(data, "enrollment", enrollment);
    json_add_integer(data, "polls", registration->polls);
    emit(dps, event, exchange->session, exchange->own->registration_id);
}

static void on_register(const struct dps *dps, const struct exchange *exchange, const void *payload, size_t length_bytes)
{
    struct error error = ERROR_INIT;
    if (dps_register_body_check(payload, length_bytes, exchange->own->registration_id, &error)) {
        warn(dps, exchange->session, "register.body", error.text, "send no body, or {\"registrationId\":\"...\"} with the id of CONNECT");
        if (error.code == ERROR_CONFLICT)
            reply_error(dps, exchange, 400004, "Invalid RegistrationId");
        else
            reply_error(dps, exchange, 400012, "Deserialization error");
        return;
    }
    int64_t polls = exchange->knobs.polls_until_assigned;
    struct registration_outcome outcome = outcome_of(dps, exchange, &polls);
    const struct registration *registration;
    int status;
    if (registration_register(dps->options.registrations, exchange->own->registration_id, &outcome, polls, &status, &registration, NULL)) {
        reply_error(dps, exchange, 500000, "Internal server error");
        return;
    }
    if (status == 200)
        on_ended(dps, exchange, registration);
    reply(dps, exchange, status, reply_operation_body(registration, status == 200));
}

static void on_status(const struct dps *dps, const struct exchange *exchange)
{
    const struct registration *registration;
    bool has_ended_now;
    int status;
    if (registration_poll(dps->options.registrations, exchange->own->registration_id, exchange->request.operation_id, &status,
                          &has_ended_now, &registration, NULL)) {
        reply_error(dps, exchange, 404203, "Operation not found.");
        return;
    }
    if (has_ended_now)
        on_ended(dps, exchange, registration);
    reply(dps, exchange, status, reply_operation_body(registration, true));
    if (status == 202 && exchange->knobs.close_at == CLOSE_BETWEEN_POLLS && exchange_has_fault(dps, exchange, KNOB_close_at))
        dps->options.port.close_after_reply(dps->options.port.user, exchange->session->number, CLOSE_DELAY_MS, close_how(&exchange->knobs));
}

static void warn_unsubscribed(const struct dps *dps, const struct exchange *exchange)
{
    if (!exchange->own->is_subscribed)
        warn(dps, exchange->session, "subscribe.missing",
             "the device sends a request before it has subscribed to " RESPONSE_FILTER ": it will not see the reply",
             "subscribe to " RESPONSE_FILTER " and wait for the SUBACK");
}

void dps_message(struct dps *dps, const struct session *session, const char *topic, const void *payload, size_t length_bytes)
{
    struct exchange exchange = {.session = session, .own = session->service};
    if (!exchange.own || dps_request_read(topic, &exchange.request, NULL))
        return;
    exchange.knobs = scenario_knobs(dps->options.scenarios, exchange.own->registration_id);
    emit_request(dps, &exchange, length_bytes);
    warn_unsubscribed(dps, &exchange);
    if (exchange.knobs.is_silent || exchange.own->is_ending)
        return;
    bool is_register = exchange.request.operation == DPS_REGISTER;
    if (exchange_has_fault(dps, &exchange, is_register ? KNOB_reply_status : KNOB_poll_status))
        reply_fault(dps, &exchange, (int)(is_register ? exchange.knobs.reply_status : exchange.knobs.poll_status));
    else if (is_refused_in_reply(exchange.own->verdict))
        reply_refusal(dps, &exchange);
    else if (is_register)
        on_register(dps, &exchange, payload, length_bytes);
    else
        on_status(dps, &exchange);
}
