#include "base/cleanup.h"
#include "broker_sim/dps/sas_attestation.h"
#include "broker_sim/dps/service.h"

#include <string.h>

enum { NOT_AUTHORIZED = 5, SERVER_UNAVAILABLE = 3 };

/* What is known of a CONNECT while it is looked at. */
struct inquiry {
    const struct dps *dps;
    const struct session *session;
    struct dps_user_name name;
    struct knobs knobs;
};

static const char *registration_id_of(const struct inquiry *inquiry)
{
    return inquiry->name.registration_id[0] ? inquiry->name.registration_id : NULL;
}

static const char *profile_name(const struct inquiry *inquiry)
{
    return knob_word(&inquiry->knobs, &knob_list[KNOB_profile]);
}

/* --- CONNECT's own rules --- */

#define X(id, rule_name, rule_code, rule_message, rule_mend)                                                                               \
    static const struct dps_rule RULE_##id = {                                                                                             \
        .name = (rule_name), .class = "C13", .error_code = (rule_code), .message = (rule_message), .mend = (rule_mend)};
DPS_CONNECT_RULES(X)
#undef X

int dps_refuse(struct dps_refusal *refusal, const struct dps_rule *rule, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(refusal->text, sizeof refusal->text, format, args);
    va_end(args);
    refusal->rule = rule;
    return -1;
}

static const struct dps_tenant *find_tenant(const struct dps *dps, const char *id_scope)
{
    for (size_t i = 0; i < dps->options.tenant_count; i++)
        if (strcmp(dps->options.tenants[i].id_scope, id_scope) == 0)
            return &dps->options.tenants[i];
    return NULL;
}

static int check_api_version(const struct inquiry *inquiry, struct dps_session *own, struct dps_refusal *refusal)
{
    const char *version = inquiry->name.api_version;
    if (!version[0])
        return dps_refuse(refusal, &RULE_API_VERSION, "user name '%.256s' has no api-version, or one that is not a date",
                          inquiry->session->user_name);
    own->api_version = api_version_read(version);
    if (own->api_version.is_known)
        return 0;
    return dps_refuse(refusal, &RULE_UNKNOWN_API_VERSION, "api-version %s is none that is known of the service", version);
}

static int check_connect(struct inquiry *inquiry, struct dps_session *own, struct dps_refusal *refusal)
{
    struct error error = ERROR_INIT;
    const struct session *session = inquiry->session;
    int rc = dps_user_name_read(session->user_name, &inquiry->name, &error);
    inquiry->knobs = scenario_knobs(inquiry->dps->options.scenarios, registration_id_of(inquiry));
    if (rc)
        return dps_refuse(refusal, &RULE_USER_NAME, "%s", error.text);
    snprintf(own->registration_id, sizeof own->registration_id, "%s", inquiry->name.registration_id);
    bool takes_any_version = inquiry->knobs.unknown_api_version == UNKNOWN_ACCEPTED;
    if (check_api_version(inquiry, own, refusal) && !(takes_any_version && refusal->rule == &RULE_UNKNOWN_API_VERSION))
        return -1;
    own->tenant = find_tenant(inquiry->dps, inquiry->name.id_scope);
    if (!own->tenant)
        return dps_refuse(refusal, &RULE_ID_SCOPE, "the device says ID scope '%s'; this service has '%s'", inquiry->name.id_scope,
                          inquiry->dps->options.tenants[0].id_scope);
    if (!registration_id_equals(session->client_id, inquiry->name.registration_id))
        return dps_refuse(refusal, &RULE_CLIENT_ID, "client id '%.255s' is not the registration id '%s' of the user name",
                          session->client_id, inquiry->name.registration_id);
    return 0;
}

/* Where a refusal of ours shows: CONNACK 5, unless a knob wants to see it in a reply. */
static bool shows_in_reply(const struct inquiry *inquiry, const struct dps_rule *rule)
{
    if (rule == &RULE_ID_SCOPE)
        return inquiry->knobs.unknown_id_scope == REFUSED_IN_REPLY;
    if (rule == &RULE_UNKNOWN_API_VERSION)
        return inquiry->knobs.unknown_api_version == UNKNOWN_IN_REPLY;
    return strcmp(rule->class, "sas") == 0 && inquiry->knobs.sas_refusal == REFUSED_IN_REPLY;
}

static bool closes_at_once(const struct inquiry *inquiry, const struct dps_rule *rule)
{
    return inquiry->knobs.bad_connect == BAD_CONNECT_CLOSES &&
           (rule == &RULE_USER_NAME || rule == &RULE_API_VERSION || rule == &RULE_CLIENT_ID);
}

static enum attestation_surface reply_surface(int error_code)
{
    return error_code / 1000 == 400   ? ATTESTATION_SURFACE_RES400
           : error_code / 1000 == 404 ? ATTESTATION_SURFACE_RES404
                                      : ATTESTATION_SURFACE_RES401;
}

static struct dps_decision decision_of(const struct inquiry *inquiry, const struct dps_refusal *refusal)
{
    const struct dps_rule *rule = refusal->rule;
    if (closes_at_once(inquiry, rule))
        return (struct dps_decision){.surface = ATTESTATION_SURFACE_CLOSED};
    if (!shows_in_reply(inquiry, rule))
        return (struct dps_decision){.surface = ATTESTATION_SURFACE_CONNACK, .return_code = NOT_AUTHORIZED};
    return (struct dps_decision){.surface = reply_surface(rule->error_code), .error_code = rule->error_code, .message = rule->message};
}

/* --- the verdict, in the judge's shape, where the judge was not asked --- */

static cJSON *rules_json(const struct dps_refusal *refusal)
{
    CLEANUP_JSON cJSON *rules = cJSON_CreateArray();
    cJSON *rule = refusal ? cJSON_CreateObject() : NULL;
    if (!rules || (refusal && !cJSON_AddItemToArray(rules, rule)))
        return NULL;
    if (!refusal)
        return TAKE(rules);
    json_set_string(rule, "id", refusal->rule->name);
    json_set_string(rule, "class", refusal->rule->class);
    json_set_string(rule, "severity", "refuse");
    json_set_string(rule, "text", refusal->text);
    json_set_string(rule, "mend", refusal->rule->mend);
    return TAKE(rules);
}

static void add_surface(cJSON *data, const struct dps_decision *decision)
{
    json_set_string(data, "surface", attestation_surface_name(decision->surface));
    if (decision->surface == ATTESTATION_SURFACE_CONNACK)
        json_set_integer(data, "return_code", decision->return_code);
    if (decision->error_code) {
        json_set_integer(data, "error_code", decision->error_code);
        json_set_string(data, "message", decision->message);
    }
}

static cJSON *evidence_json(const struct inquiry *inquiry, const struct dps_decision *decision)
{
    cJSON *evidence = cJSON_CreateObject();
    json_set_string(evidence, "registration_id", registration_id_of(inquiry));
    json_set_string(evidence, "client_id", inquiry->session->client_id);
    json_set_string(evidence, "user_name", inquiry->session->user_name);
    if (!decision->is_matched)
        return evidence;
    cJSON *enrollment = cJSON_CreateObject();
    json_set_string(enrollment, "kind", decision->match_kind == DPS_GROUP ? "group" : "individual");
    json_set_string(enrollment, "id", decision->match_id);
    json_set(evidence, "enrollment", enrollment);
    json_set_string(evidence, "matched", decision->matched);
    return evidence;
}

static void emit_refusal(const struct inquiry *inquiry, const struct dps_refusal *refusal, const struct dps_decision *decision)
{
    cJSON *event = dps_event_of(inquiry->dps, EVENT_ATTESTATION_VERDICT), *data = event_data(event);
    json_set_string(data, "verdict", "refused");
    json_set_string(data, "rule", refusal->rule->name);
    json_set(data, "rules", rules_json(refusal));
    add_surface(data, decision);
    json_set_string(data, "profile", profile_name(inquiry));
    json_set_string(data, "text", refusal->text);
    json_set_string(data, "mend", refusal->rule->mend);
    json_set(data, "evidence", evidence_json(inquiry, decision));
    dps_emit(inquiry->dps, event, inquiry->session, registration_id_of(inquiry));
}

/* --- symmetric keys --- */

static void emit_match(const struct inquiry *inquiry, const struct dps_decision *decision, const struct attestation_rule *rule)
{
    cJSON *event = dps_event_of(inquiry->dps, EVENT_ATTESTATION_VERDICT), *data = event_data(event);
    char text[512];
    snprintf(text, sizeof text, "the SAS token of '%.128s' was signed with the %s of %s '%s'%s", inquiry->name.registration_id,
             decision->matched, dps_kind_text(decision->match_kind), decision->match_id, rule ? ", which is disabled" : "");
    json_set_string(data, "verdict", rule ? "disabled" : "accepted");
    json_set_string(data, "rule", rule ? rule->id : NULL);
    json_set(data, "rules", rules_json(NULL));
    add_surface(data, decision);
    json_set_string(data, "profile", profile_name(inquiry));
    json_set_string(data, "text", text);
    json_set_string(data, "mend", rule ? "enable it (provisioningStatus \"enabled\")" : "");
    json_set(data, "evidence", evidence_json(inquiry, decision));
    dps_emit(inquiry->dps, event, inquiry->session, registration_id_of(inquiry));
}

/* A disabled enrollment shows where the judge shows it for certificates. */
static void decide_match(const struct inquiry *inquiry, const struct sas_match *match, struct dps_decision *decision)
{
    bool is_group = match->object->kind == DPS_GROUP;
    *decision = (struct dps_decision){.is_matched = true,
                                      .has_symmetric_key = true,
                                      .is_lower_id = match->is_lower_id,
                                      .match_kind = match->object->kind,
                                      .matched = match->is_secondary ? "secondary key" : "primary key"};
    snprintf(decision->match_id, sizeof decision->match_id, "%s", match->object->id);
    const struct attestation_rule *rule =
        match->object->is_enabled ? NULL : attestation_rule_find(is_group ? "group.disabled" : "enrollment.disabled");
    if (rule) {
        decision->surface = attestation_rule_surface(rule, attestation_profile_find(profile_name(inquiry)));
        attestation_surfaces_find(inquiry->knobs.rule_surfaces, rule, &decision->surface);
        decision->return_code = decision->surface == ATTESTATION_SURFACE_CONNACK ? NOT_AUTHORIZED : 0;
    }
    emit_match(inquiry, decision, rule);
}

static void judge_token(const struct inquiry *inquiry, const struct dps_session *own, struct dps_decision *decision)
{
    struct dps_refusal refusal = {.rule = NULL};
    struct sas_match match;
    const struct sas_question question = {
        .state = dps_state_seen_from(own->tenant->state, inquiry->session->lane),
        .id_scope = own->tenant->id_scope,
        .registration_id = inquiry->name.registration_id,
        .token = inquiry->session->password,
        .now_unix_s = clock_unix_s(inquiry->dps->options.sink.clock),
    };
    if (sas_attestation_judge(&question, &match, &refusal) == 0) {
        decide_match(inquiry, &match, decision);
        return;
    }
    *decision = decision_of(inquiry, &refusal);
    emit_refusal(inquiry, &refusal, decision);
}

/* --- certificates --- */

static void take_verdict(const struct attestation_verdict *verdict, struct dps_decision *decision)
{
    *decision = (struct dps_decision){.surface = verdict->surface,
                                      .return_code = verdict->return_code,
                                      .error_code = verdict->error_code,
                                      .message = verdict->message,
                                      .is_matched = verdict->is_matched,
                                      .match_kind = verdict->match_kind};
    snprintf(decision->match_id, sizeof decision->match_id, "%s", verdict->match_id ? verdict->match_id : "");
}

DEFINE_CLEANUP(struct attestation_verdict *, attestation_verdict_free)

static int judge_chain(const struct inquiry *inquiry, const struct dps_session *own, struct dps_decision *decision)
{
    const struct dps *dps = inquiry->dps;
    struct attestation_question question = {
        .chain = inquiry->session->chain,
        .signed_count = inquiry->session->signed_count,
        .registration_id = inquiry->name.registration_id,
        .state = dps_state_seen_from(own->tenant->state, inquiry->session->lane),
        .now_unix_s = clock_unix_s(dps->options.sink.clock),
        .profile = attestation_profile_find(profile_name(inquiry)),
        .surfaces = inquiry->knobs.rule_surfaces,
    };
    CLEANUP(attestation_verdict_free_cleanup) struct attestation_verdict *verdict = NULL;
    if (attestation_judge(&question, &verdict, NULL))
        return -1;
    /* The handshake is over; the CN was another, whose profile refused nothing. */
    if (verdict->surface == ATTESTATION_SURFACE_TLS_ALERT) {
        verdict->surface = ATTESTATION_SURFACE_CONNACK;
        verdict->return_code = NOT_AUTHORIZED;
    }
    take_verdict(verdict, decision);
    cJSON *event = dps_event_of(dps, EVENT_ATTESTATION_VERDICT);
    if (event)
        json_set(event, "data", attestation_verdict_json(verdict));
    dps_emit(dps, event, inquiry->session, registration_id_of(inquiry));
    return 0;
}

/* A token decides where one is sent: nothing public says what counts for a device with both. */
static int judge(const struct inquiry *inquiry, struct dps_session *own)
{
    if (!inquiry->session->password || !inquiry->session->password[0])
        return judge_chain(inquiry, own, &own->decision);
    judge_token(inquiry, own, &own->decision);
    return 0;
}

/* --- the answer --- */

/* Of a device that deserves to be admitted. */
static struct admission admit(const struct inquiry *inquiry)
{
    const struct knobs *knobs = &inquiry->knobs;
    const struct dps *dps = inquiry->dps;
    const char *registration_id = inquiry->name.registration_id;
    if (knobs->close_at == CLOSE_BEFORE_CONNACK && dps_has_fault(dps, inquiry->session, registration_id, KNOB_close_at))
        return (struct admission){.close_how = dps_close_how(knobs)};
    if (dps_has_fault(dps, inquiry->session, registration_id, KNOB_connack))
        return (struct admission){.return_code = (int)knobs->connack};
    struct admission admission = {.is_admitted = true,
                                  .keep_alive_percent = knobs->keep_alive_percent ? (int)knobs->keep_alive_percent : -1};
    if (dps_has_fault(dps, inquiry->session, registration_id, KNOB_silent_after))
        admission.silence = (enum admission_silence)knobs->silent_after;
    return admission;
}

struct admission dps_decide(struct dps *dps, struct session *session)
{
    struct inquiry inquiry = {.dps = dps, .session = session};
    struct dps_refusal refusal = {.rule = NULL};
    CLEANUP_FREE struct dps_session *own = calloc(1, sizeof *own);
    if (!own)
        return (struct admission){.return_code = SERVER_UNAVAILABLE};
    if (check_connect(&inquiry, own, &refusal)) {
        own->decision = decision_of(&inquiry, &refusal);
        emit_refusal(&inquiry, &refusal, &own->decision);
    } else if (!own->tenant || judge(&inquiry, own)) {
        return (struct admission){.return_code = SERVER_UNAVAILABLE};
    }
    if (own->decision.surface == ATTESTATION_SURFACE_CLOSED)
        return (struct admission){.close_how = "close_notify"};
    if (own->decision.surface == ATTESTATION_SURFACE_CONNACK)
        return (struct admission){.return_code = own->decision.return_code};
    struct admission admission = admit(&inquiry);
    if (!admission.is_admitted)
        return admission;
    session->service = TAKE(own);
    if (refusal.rule == &RULE_UNKNOWN_API_VERSION)
        dps_warn(dps, session, RULE_UNKNOWN_API_VERSION.name, refusal.text, RULE_UNKNOWN_API_VERSION.mend);
    return admission;
}
