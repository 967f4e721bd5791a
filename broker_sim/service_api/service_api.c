#include "broker_sim/service_api/service_api.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "broker_sim/dps/reply.h"
#include "broker_sim/service_api/service_call.h"

#include <string.h>
#include <strings.h>

struct service_api {
    struct service_api_options options;
};

enum {
    OK = 200,
    BAD_REQUEST = 400,
    UNAUTHORIZED = 401,
    NOT_FOUND = 404,
    BAD_METHOD = 405,
    CONFLICT = 409,
    PRECONDITION_FAILED = 412,
    UNSUPPORTED_TYPE = 415,
    TROUBLE = 500,
    CODE_FACTOR = 1000,
    /* As in the error catalogue of devices; docs/fidelity.md says how each is known. */
    CODE_BAD_JSON = 400012,
    CODE_UNAUTHORIZED = 401000,
    CODE_NO_ENROLLMENT = 404201,
    CODE_NO_OTHER = 404202,
    CODE_EXISTS = 409201,
};

struct service_api *service_api_new(const struct service_api_options *options)
{
    struct service_api *api = calloc(1, sizeof *api);
    if (api)
        api->options = *options;
    return api;
}

void service_api_free(struct service_api *api)
{
    free(api);
}

/* --- what the resources share --- */

bool service_call_is(const struct service_call *call, const char *method)
{
    return strcmp(call->request->method, method) == 0;
}

int service_call_answer(struct service_call *call, int status, cJSON *result)
{
    if (!result)
        return error_set_memory(call->error);
    call->response->status = status;
    call->result = result;
    return 0;
}

int service_call_refuse_method(struct service_call *call)
{
    call->error_code = BAD_METHOD * CODE_FACTOR;
    return error_set(call->error, ERROR_OWNER_FILE, ERROR_USAGE, "Method Not Allowed: %.32s is nothing that can be done here",
                     call->request->method);
}

static bool is_json(const char *content_type)
{
    static const char wanted[] = "application/json";
    size_t length = sizeof wanted - 1;
    return !content_type || (strncasecmp(content_type, wanted, length) == 0 && strchr("; ", content_type[length]));
}

cJSON *service_call_body(struct service_call *call)
{
    const struct http_request *request = call->request;
    if (!is_json(request->content_type)) {
        call->error_code = UNSUPPORTED_TYPE * CODE_FACTOR;
        error_set(call->error, ERROR_OWNER_FILE, ERROR_USAGE, "Unsupported Media Type: send application/json");
        return NULL;
    }
    call->error_code = CODE_BAD_JSON;
    CLEANUP_JSON cJSON *json = json_parse(request->body, request->body_bytes, "Deserialization error: body", call->error);
    if (json && !cJSON_IsObject(json)) {
        error_set(call->error, ERROR_OWNER_FILE, ERROR_SYNTAX, "Deserialization error: the body is no JSON object");
        return NULL;
    }
    if (json)
        call->error_code = 0;
    return TAKE(json);
}

static void emit(const struct service_api_options *options, cJSON *event)
{
    options->sink.emit(options->sink.user, event);
}

void service_call_changed(const struct service_call *call, enum dps_kind kind, const char *id, const char *action, const char *etag)
{
    for (size_t i = 0; i < dps_state_notice_count(call->options->state); i++)
        log_warning("%s", dps_state_notice(call->options->state, i).text);
    cJSON *event = event_new(EVENT_STATE_CHANGED, call->options->sink.clock, EVENT_SOURCE), *data = event_data(event);
    json_set_string(data, "what", dps_kind_name(kind));
    json_set_string(data, "id", id);
    json_set_string(data, "action", action);
    json_set_string(data, "etag", etag);
    emit(call->options, event);
}

int service_call_commit(const struct service_call *call)
{
    return call->options->commit ? call->options->commit(call->options->user, call->error) : 0;
}

/* --- errors --- */

static int code_not_found(const struct service_call *call)
{
    return call->path.resource == SERVICE_ENROLLMENTS ? CODE_NO_ENROLLMENT : CODE_NO_OTHER;
}

int service_call_code(const struct service_call *call)
{
    if (call->error_code)
        return call->error_code;
    switch (call->error->code) {
    case ERROR_NOT_FOUND:
        return code_not_found(call);
    case ERROR_CONFLICT:
        return PRECONDITION_FAILED * CODE_FACTOR;
    case ERROR_EXISTS:
    case ERROR_BUSY:
        return CODE_EXISTS;
    case ERROR_SYNTAX:
    case ERROR_USAGE:
    case ERROR_REFUSED:
    case ERROR_CRYPTO:
        return BAD_REQUEST * CODE_FACTOR;
    case ERROR_LIMIT:
        return (call->error->owner == ERROR_OWNER_FILE ? BAD_REQUEST : TROUBLE) * CODE_FACTOR;
    default:
        return TROUBLE * CODE_FACTOR;
    }
}

static const char *status_word(int status)
{
    switch (status) {
    case BAD_REQUEST:
        return "BadRequest";
    case UNAUTHORIZED:
        return "Unauthorized";
    case NOT_FOUND:
        return "NotFound";
    case BAD_METHOD:
        return "MethodNotAllowed";
    case CONFLICT:
        return "Conflict";
    case PRECONDITION_FAILED:
        return "PreconditionFailed";
    default:
        return "InternalServerError";
    }
}

static cJSON *management_error(int code, const char *message)
{
    CLEANUP_JSON cJSON *body = cJSON_CreateObject();
    if (json_set_integer(body, "code", code) || json_set_string(body, "httpStatusCode", status_word(code / CODE_FACTOR)) ||
        json_set_string(body, "message", message) || json_set_string(body, "details", ""))
        return NULL;
    return TAKE(body);
}

static cJSON *error_body(const struct service_call *call, int code, const char *message)
{
    if (call->path.resource == SERVICE_CERTIFICATES)
        return management_error(code, message);
    return reply_error_body(code, message, clock_unix_us(call->options->sink.clock));
}

/* What an API tells a stranger: no paths of this machine, no list of what there is. */
const char *service_call_message(const struct service_call *call, int code, char text[SERVICE_MESSAGE_BYTES])
{
    static const char *const names[] = {[SERVICE_ENROLLMENTS] = "Enrollment",
                                        [SERVICE_GROUPS] = "Enrollment group",
                                        [SERVICE_REGISTRATIONS] = "Registration",
                                        [SERVICE_CERTIFICATES] = "Certificate"};
    if (code == CODE_UNAUTHORIZED)
        return "Unauthorized";
    if (call->error->code != ERROR_NOT_FOUND || !call->path.id[0])
        return call->error->text;
    bool is_group = call->path.resource == SERVICE_REGISTRATIONS && call->path.action == SERVICE_QUERY;
    snprintf(text, SERVICE_MESSAGE_BYTES, "%s not found: '%s'", names[is_group ? SERVICE_GROUPS : call->path.resource], call->path.id);
    return text;
}

/* Why a token is refused is our users' business, and a probing stranger's not: it stands in the event alone. */
static void fail(struct service_call *call)
{
    int code = service_call_code(call);
    call->response->status = code / CODE_FACTOR;
    char text[SERVICE_MESSAGE_BYTES];
    CLEANUP_JSON cJSON *body = error_body(call, code, service_call_message(call, code, text));
    call->response->body = body ? json_print_line(body) : NULL;
    call->error_code = code;
}

char *service_api_refusal_body(void *user, int status, const char *reason)
{
    const struct service_api *api = user;
    CLEANUP_JSON cJSON *body = reply_error_body(status * CODE_FACTOR, reason, clock_unix_us(api->options.sink.clock));
    return body ? json_print_line(body) : NULL;
}

/* --- a request --- */

static bool is_query(const struct service_call *call)
{
    return service_call_is(call, "POST") && (call->path.action == SERVICE_QUERY || call->path.action == SERVICE_ITEM);
}

static enum policy_right right_of(const struct service_call *call)
{
    bool writes = !service_call_is(call, "GET") && !is_query(call);
    switch (call->path.resource) {
    case SERVICE_CERTIFICATES:
        return POLICY_SERVICE_CONFIG;
    case SERVICE_REGISTRATIONS:
        return writes ? POLICY_REGISTRATION_WRITE : POLICY_REGISTRATION_READ;
    default:
        /* The keys of a device let in whoever has them. */
        return writes ? POLICY_ENROLLMENT_WRITE : POLICY_ENROLLMENT_READ;
    }
}

static int authorize(struct service_call *call, const char **ret_policy)
{
    const struct service_api_options *options = call->options;
    struct policy_request request = {.authorization = call->request->authorization,
                                     .hosts = options->hosts,
                                     .host_count = options->host_count,
                                     .now_unix_s = clock_unix_s(options->sink.clock),
                                     .right = right_of(call)};
    if (policies_authorize(options->policies, &request, ret_policy, call->error) == 0)
        return 0;
    call->error_code = CODE_UNAUTHORIZED;
    return -1;
}

/* "2021-10-01", "2025-07-01-preview": any date, as for devices. */
static bool is_api_version(const char *text)
{
    static const char form[] = "dddd-dd-dd";
    for (size_t i = 0; i < sizeof form - 1; i++)
        if (form[i] == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != form[i])
            return false;
    return text[sizeof form - 1] == 0 || strcmp(text + sizeof form - 1, "-preview") == 0;
}

static int check_api_version(const struct service_call *call)
{
    if (call->request->api_version && is_api_version(call->request->api_version))
        return 0;
    return error_set(call->error, ERROR_OWNER_FILE, ERROR_USAGE, "Bad Request: end the path with ?api-version=2021-10-01");
}

static int run(struct service_call *call, const char **ret_policy)
{
    static int (*const resources[])(struct service_call * call) = {[SERVICE_ENROLLMENTS] = service_enrollments,
                                                                   [SERVICE_GROUPS] = service_enrollments,
                                                                   [SERVICE_REGISTRATIONS] = service_registrations,
                                                                   [SERVICE_CERTIFICATES] = service_certificates};
    int rc = service_path_read(call->request->path, &call->path, call->error);
    if (rc && call->error->code == ERROR_NOT_FOUND)
        call->error_code = NOT_FOUND * CODE_FACTOR;
    /* Who has no token learns nothing of what there is. */
    int code = call->error_code;
    struct error error = *call->error;
    if (authorize(call, ret_policy))
        return -1;
    if (rc) {
        call->error_code = code;
        *call->error = error;
        return -1;
    }
    return check_api_version(call) || resources[call->path.resource](call) ? -1 : 0;
}

static void emit_request(const struct service_call *call, const char *policy)
{
    cJSON *event = event_new(EVENT_HTTP_REQUEST, call->options->sink.clock, EVENT_SOURCE), *data = event_data(event);
    json_set_string(data, "method", call->request->method);
    json_set_string(data, "path", call->request->path);
    json_set_integer(data, "status", call->response->status);
    json_set_string(data, "policy", policy);
    if (call->response->status >= BAD_REQUEST) {
        json_set_integer(data, "error_code", call->error_code);
        json_set_string(data, "reason", call->error->text);
    }
    emit(call->options, event);
}

void service_api_handle(void *user, const struct http_request *request, struct http_response *ret_response)
{
    const struct service_api *api = user;
    struct error error = ERROR_INIT;
    struct service_call call = {.options = &api->options, .request = request, .response = ret_response, .error = &error};
    const char *policy = NULL;
    if (run(&call, &policy))
        fail(&call);
    else if (call.result && !(ret_response->body = json_print_line(call.result)))
        ret_response->status = TROUBLE;
    cJSON_Delete(call.result);
    emit_request(&call, policy);
}
