#include "harness/probe/probe.h"

#include "base/cleanup.h"
#include "harness/probe/answer.h"

#include <string.h>

enum { ACCEPTED = 0, HTTP_OK = 200, HTTP_ACCEPTED = 202 };

const char *probe_outcome_name(enum probe_outcome outcome)
{
    static const char *const names[] = {
#define X(id, name) name,
        PROBE_OUTCOMES(X)
#undef X
    };
    return names[outcome];
}

/* What an outcome depends on and the conversation does not hold. */
struct view {
    const struct probe_observer *observer;
    enum probe_stage stage;
    bool has_stood, has_connack; /* of that stage: the handshake; any CONNACK */
    int alert;                   /* that the server sent; -1: none */
    char *distrust;              /* why we refuse the server; NULL: we do not */
};

static void look(void *user, const struct probe_event *event)
{
    struct view *view = user;
    if (view->stage != event->stage)
        view->has_stood = view->has_connack = false;
    view->stage = event->stage;
    view->has_stood |= event->step == PROBE_TLS_DONE;
    view->has_connack |= event->step == PROBE_CONNACK;
    if (event->step == PROBE_TLS_ALERT && event->is_from_server)
        view->alert = event->code;
    if (event->step == PROBE_SERVER && event->text && !view->distrust)
        view->distrust = strdup(event->text);
    if (view->observer->observe)
        view->observer->observe(view->observer->user, event);
}

static int set(struct probe_result *result, enum probe_outcome outcome, const char *mend, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static int set(struct probe_result *result, enum probe_outcome outcome, const char *mend, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int rc = vasprintf(&result->text, format, args);
    va_end(args);
    result->outcome = outcome;
    result->text = rc < 0 ? NULL : result->text;
    result->mend = strdup(mend);
    return result->text && result->mend ? 0 : -1;
}

static int set_answer(struct probe_result *result, enum probe_stage stage, struct answer_meaning meaning, const char *answer)
{
    enum probe_outcome outcome = meaning.is_transient ? PROBE_PASSING_TROUBLE
                                 : stage == PROBE_HUB ? PROBE_REFUSED_BY_HUB
                                                      : PROBE_REFUSED_BY_DPS;
    return set(result, outcome, meaning.mend, "%s: %s", answer, meaning.text);
}

/* How far it came says where to look. */
static int set_silence(struct probe_result *result, const struct view *view, const char *server, const char *why)
{
    if (view->has_connack)
        return set(result, PROBE_NO_ANSWER,
                   "try again; when it stays so, look at the steps above for what came last, and on a simulator for knobs that are turned "
                   "(`dpsbench sim show`)",
                   "%s took the connection, and gave no answer then: %s", server, why);
    if (view->has_stood)
        return set(
            result, PROBE_NO_ANSWER,
            "is it MQTT that is spoken there (port 8883)? try again; on a simulator, look for knobs that are turned (`dpsbench sim show`)",
            "the TLS handshake with %s stood, and CONNECT was not answered: %s", server, why);
    return set(result, PROBE_NO_ANSWER, "is the address right, and does a firewall let port 8883 through?", "%s did not answer: %s", server,
               why);
}

/* The connection ended, or nothing came, before the stage's answer. */
static int set_unanswered(struct probe_result *result, const struct view *view, const char *why)
{
    const char *server = view->stage == PROBE_HUB ? "the hub" : "DPS";
    if (view->distrust)
        return set(result, PROBE_SERVER_NOT_TRUSTED,
                   "give the device the root that this server stands under: DigiCert Global Root G2 for Azure, root_ca of ready.json for "
                   "the simulator; "
                   "or connect to the name that the certificate has",
                   "with this root, a client refuses %s: %s", server, view->distrust);
    if (view->alert >= 0) {
        char answer[96];
        snprintf(answer, sizeof answer, "TLS alert %d (%s)", view->alert, SSL_alert_desc_string_long(view->alert));
        return set_answer(result, view->stage, answer_of_alert(view->alert), answer);
    }
    return set_silence(result, view, server, why);
}

/* An operation that ended without a hub: status "failed" or "disabled" in a 200. */
static int set_ended(struct probe_result *result, const cJSON *body)
{
    const cJSON *state = json_member(body, "registrationState");
    const char *status = json_string(body, "status", "?"), *message = json_string(state, "errorMessage", "");
    int code = (int)json_integer(state, "errorCode", 0);
    char answer[160];
    if (strcmp(status, "disabled") == 0)
        return set(result, PROBE_REFUSED_BY_DPS, "enable the enrollment", "status \"disabled\": the enrollment of this device is disabled");
    snprintf(answer, sizeof answer, "status \"%.32s\", error %d '%.64s'", status, code, message);
    return set_answer(result, PROBE_DPS, answer_of_error(HTTP_OK, code, message), answer);
}

/* Nothing that it says can be read; that it refuses, its status says all the same. */
static int set_unreadable(struct probe_result *result, int status)
{
    enum { REFUSALS = 400, THROTTLED = 429 };
    bool is_refusal = status >= REFUSALS && status < THROTTLED;
    return set(result, is_refusal ? PROBE_REFUSED_BY_DPS : PROBE_PASSING_TROUBLE,
               "look at the body above: something between that is not DPS, or a knob of the simulator that is turned (`dpsbench sim show`)",
               "DPS answers %d with a body that is no JSON%s", status, is_refusal ? ": it refuses, and does not say what" : "");
}

static int set_dps_reply(struct probe_result *result)
{
    const struct dps_conversation *conversation = &result->conversation;
    const char *message = json_string(conversation->body, "message", "");
    int code = (int)json_integer(conversation->body, "errorCode", 0);
    char answer[160];
    if (!conversation->body)
        return set_unreadable(result, conversation->status);
    if (conversation->status == HTTP_OK)
        return set_ended(result, conversation->body);
    if (conversation->status < HTTP_OK + 100 && !json_string(conversation->body, "operationId", NULL))
        return set(result, PROBE_PASSING_TROUBLE, "register again", "DPS answers %d without an operationId: there is nothing to ask for",
                   conversation->status);
    if (conversation->is_too_late)
        return set(result, PROBE_PASSING_TROUBLE, "give it more time: --timeout",
                   "DPS still assigns, and wants to be asked again in %lld s (retry-after): --timeout comes first",
                   (long long)conversation->retry_after_s);
    if (conversation->status < HTTP_OK + 100)
        return set(result, PROBE_PASSING_TROUBLE, "try again later: the operation goes on", "DPS still assigns after %d status requests",
                   conversation->polls);
    snprintf(answer, sizeof answer, "%d, error %d '%.64s'", conversation->status, code, message);
    return set_answer(result, PROBE_DPS, answer_of_error(conversation->status, code, message), answer);
}

static int set_hub(struct probe_result *result, const struct view *view)
{
    const struct dps_conversation *conversation = &result->conversation;
    char answer[64];
    if (!dps_client_is_host(conversation->hub))
        return set(result, PROBE_PASSING_TROUBLE,
                   "the credentials are good as far as DPS goes; look at the hubs that are linked to it, and on a simulator at its knobs",
                   "DPS assigned '%s' to '%.64s' (%zu bytes), which is no name of a host", conversation->device_id, conversation->hub,
                   strlen(conversation->hub));
    snprintf(answer, sizeof answer, "CONNACK %d of the hub", conversation->hub_connack);
    if (conversation->hub_connack == DPS_CLIENT_NONE)
        return set_unanswered(result, view, conversation->ended ? conversation->ended : "the connection ended");
    if (conversation->hub_connack != ACCEPTED)
        return set_answer(result, PROBE_HUB, answer_of_hub_connack(conversation->hub_connack), answer);
    return set(result, PROBE_ACCEPTED,
               "does the device hold exactly these files, in the sec tag that it uses; has it the right server root, ID scope and time?",
               "DPS assigned '%s' to %s, and the hub took it: these credentials are good, so a device that fails with them is itself wrong",
               conversation->device_id, conversation->hub);
}

static int judge(struct probe_result *result, const struct view *view)
{
    const struct dps_conversation *conversation = &result->conversation;
    const char *ended = conversation->ended ? conversation->ended : "the connection ended";
    char answer[32];
    if (conversation->connack == DPS_CLIENT_NONE)
        return set_unanswered(result, view, ended);
    snprintf(answer, sizeof answer, "CONNACK %d", conversation->connack);
    if (conversation->connack != ACCEPTED)
        return set_answer(result, PROBE_DPS, answer_of_dps_connack(conversation->connack), answer);
    if (conversation->status == DPS_CLIENT_NONE || (conversation->status == HTTP_ACCEPTED && conversation->ended))
        return set_unanswered(result, view, ended);
    return conversation->is_assigned ? set_hub(result, view) : set_dps_reply(result);
}

/* Nothing came: that is what the person asked about. */
static bool is_outcome(const struct error *error)
{
    return error->owner == ERROR_OWNER_RIG && (error->code == ERROR_TIMEOUT || error->code == ERROR_NOT_FOUND || error->code == ERROR_IO);
}

int probe_run(const struct dps_client_options *options, struct probe_result *ret_result, struct error *error)
{
    struct view view = {.observer = &options->observer, .alert = -1};
    struct probe_result result = {.conversation = {.connack = DPS_CLIENT_NONE, .status = DPS_CLIENT_NONE, .hub_connack = DPS_CLIENT_NONE}};
    struct dps_client_options watched = *options;
    struct error inner = ERROR_INIT;
    watched.observer = (struct probe_observer){.observe = look, .user = &view};
    int rc = dps_client_run(&watched, &result.conversation, &inner);
    if (rc && is_outcome(&inner))
        rc = set_unanswered(&result, &view, inner.text);
    else if (rc == 0)
        rc = judge(&result, &view);
    free(view.distrust);
    if (rc == 0) {
        *ret_result = result;
        return 0;
    }
    probe_result_done(&result);
    return inner.code ? error_set(error, inner.owner, inner.code, "%s", inner.text) : error_set_memory(error);
}

void probe_result_done(struct probe_result *result)
{
    if (!result)
        return;
    free(TAKE(result->text));
    free(TAKE(result->mend));
    dps_conversation_done(&result->conversation);
}
