/* dpsbench hub send, invoke, desired: what a back end does to a device */
#include "base/cleanup.h"
#include "base/log.h"
#include "harness/cli/command.h"
#include "harness/cli/hub_arguments.h"
#include "reports/result.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

enum { BODY_MAX_BYTES = 64 * 1024, INVOKE_MAX_S = 300 };

/* ---- send ---- */

static int add_base64(cJSON *params, const struct bytes *body)
{
    CLEANUP_FREE char *text = malloc(body->length_bytes / 3 * 4 + 8);
    if (!text)
        return -1;
    EVP_EncodeBlock((uint8_t *)text, body->length_bytes ? body->data : (const uint8_t *)"", (int)body->length_bytes);
    return json_set_string(params, "bodyBase64", body->length_bytes ? text : "");
}

static int add_stdin(cJSON *params, struct error *error)
{
    CLEANUP(bytes_done) struct bytes body = {.max_bytes = BODY_MAX_BYTES};
    uint8_t buffer[4096];
    size_t got;
    while ((got = fread(buffer, 1, sizeof buffer, stdin)) > 0)
        if (bytes_append(&body, buffer, got))
            return error_set(error, ERROR_OWNER_FILE, ERROR_LIMIT, "standard input: a message to a device may have %d bytes",
                             BODY_MAX_BYTES);
    return add_base64(params, &body) ? error_set_memory(error) : 0;
}

static int add_properties(cJSON *params, const struct hub_arguments *arguments)
{
    cJSON *properties = arguments->property_count ? cJSON_AddObjectToObject(params, "properties") : NULL;
    for (size_t i = 0; i < arguments->property_count; i++) {
        const char *equals = strchr(arguments->properties[i], '=');
        CLEANUP_FREE char *name = strndup(arguments->properties[i], (size_t)(equals - arguments->properties[i]));
        if (!name || json_set_string(properties, name, equals + 1))
            return -1;
    }
    return 0;
}

static int fill_send(cJSON *params, const struct hub_arguments *arguments, int64_t timeout_s, struct error *error)
{
    const char *body = arguments->words[1];
    if (strcmp(body, "-") == 0 ? add_stdin(params, error) : json_set_string(params, "body", body))
        return error->code ? -1 : error_set_memory(error);
    if (json_set_string(params, "messageId", arguments->message_id) || json_set_string(params, "contentType", arguments->content_type) ||
        add_properties(params, arguments) || json_set_integer(params, "waitInSeconds", timeout_s))
        return error_set_memory(error);
    return arguments->ttl_s && json_set_integer(params, "ttlInSeconds", arguments->ttl_s) ? error_set_memory(error) : 0;
}

static int tell_sent(const struct hub_arguments *arguments, const cJSON *result, int64_t timeout_s)
{
    const char *outcome = json_string(result, "outcome", "?"), *id = json_string(result, "messageId", "?");
    bool is_delivered = strcmp(outcome, "completed") == 0, is_waiting = strcmp(outcome, "waiting") == 0;
    if (arguments->wants_json)
        hub_print(arguments, result);
    else if (is_delivered)
        printf("delivered %s\n", id);
    else if (is_waiting && timeout_s == 0)
        printf("enqueued %s\n", id);
    fflush(stdout);
    if (is_delivered || (is_waiting && timeout_s == 0))
        return 0;
    if (is_waiting)
        log_error("message %s: device '%s' did not take it in %lld s; it waits until the device subscribes to its messages, or it expires",
                  id, arguments->words[0], (long long)timeout_s);
    else
        log_error("message %s was not delivered to device '%s': %s", id, arguments->words[0], outcome);
    return EXIT_DEVICE_FAILED;
}

int cli_hub_send(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"timeout", HUB_OPTION_TIMEOUT, "SECONDS", 0, "Wait so long for the device's PUBACK (default 30); 0: do not wait", 0},
        {"property", HUB_OPTION_PROPERTY, "NAME=VALUE", 0, "A property of the application; may be repeated", 0},
        {"id", HUB_OPTION_ID, "ID", 0, "The message id (default: a new UUID)", 0},
        {"content-type", HUB_OPTION_TYPE, "TYPE", 0, "Such as application/json", 0},
        {"expire-after", HUB_OPTION_TTL, "SECONDS", 0, "How long it waits for the device (default 3600, at most 172800)", 0},
        HUB_HUB_OPTION,
        HUB_STATE_OPTION,
        HUB_JSON_OPTION,
        {0},
    };
    static const struct hub_usage usage = {
        options, "DEVICE BODY",
        "Send a cloud-to-device message and wait until the device has acknowledged it. BODY - is standard input, any "
        "bytes. Exit status 1: the device did not take it."
        "\vExamples:\n"
        "  dpsbench hub send dev-01 'hello' --state sim\n"
        "  dpsbench hub send dev-01 '{\"led\":1}' --property level=high --state sim\n"
        "  dpsbench hub send dev-01 - --timeout 0 --state sim < firmware.txt\n",
        2, 2};
    struct hub_arguments arguments;
    struct error error = ERROR_INIT;
    CLEANUP_JSON cJSON *result = NULL;
    hub_arguments_read(&usage, argc, argv, &arguments);
    CLEANUP_JSON cJSON *params = hub_params(&arguments);
    int64_t timeout_s = arguments.timeout_s < 0 ? HUB_TIMEOUT_DEFAULT_S : arguments.timeout_s;
    if (fill_send(params, &arguments, timeout_s, &error) ||
        hub_call(&arguments, "hub.send", TAKE(params), timeout_s * 1000, &result, &error))
        return command_fail(&error);
    return tell_sent(&arguments, result, timeout_s);
}

/* ---- invoke ---- */

static int fill_invoke(cJSON *params, const struct hub_arguments *arguments, int64_t timeout_s, struct error *error)
{
    const char *text = arguments->words[2];
    if (timeout_s < 1 || timeout_s > INVOKE_MAX_S || arguments->connect_s > INVOKE_MAX_S) {
        error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "--timeout is 1 to %d seconds, --connect-timeout at most %d", INVOKE_MAX_S,
                  INVOKE_MAX_S);
        return -1;
    }
    cJSON *payload = text ? json_parse(text, strlen(text), "BODY", error) : NULL;
    if (text && !payload)
        return -1;
    if ((payload && json_set(params, "payload", payload)) || json_set_string(params, "methodName", arguments->words[1]) ||
        json_set_integer(params, "responseTimeoutInSeconds", timeout_s) ||
        json_set_integer(params, "connectTimeoutInSeconds", arguments->connect_s))
        return error_set_memory(error);
    return 0;
}

static int tell_answer(const struct hub_arguments *arguments, const cJSON *result)
{
    bool is_answered = strcmp(json_string(result, "outcome", ""), "answered") == 0;
    const cJSON *payload = cJSON_GetObjectItemCaseSensitive(result, "payload");
    CLEANUP_FREE char *text = payload ? json_print_line(payload) : NULL;
    if (arguments->wants_json)
        hub_print(arguments, result);
    else if (is_answered)
        printf("%lld %s\n", (long long)json_integer(result, "status", 0), text ? text : "null");
    fflush(stdout);
    if (is_answered)
        return 0;
    log_error("method '%s' of device '%s': %lld %s", arguments->words[1], arguments->words[0],
              (long long)json_integer(result, "errorCode", 0), json_string(result, "message", "no answer"));
    return EXIT_DEVICE_FAILED;
}

int cli_hub_invoke(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"timeout", HUB_OPTION_TIMEOUT, "SECONDS", 0, "Wait so long for the answer (default 30, 1 to 300)", 0},
        {"connect-timeout", HUB_OPTION_CONNECT, "SECONDS", 0, "Wait so long for the device to be there (default 0, at most 300)", 0},
        HUB_HUB_OPTION,
        HUB_STATE_OPTION,
        HUB_JSON_OPTION,
        {0},
    };
    static const struct hub_usage usage = {
        options, "DEVICE METHOD [BODY]",
        "Call a direct method and print the device's answer: its status and its body. BODY is JSON (default: null). "
        "Exit status 0 whatever the device's status is, 1 when it did not answer."
        "\vExamples:\n"
        "  dpsbench hub invoke dev-01 reboot --state sim\n"
        "  dpsbench hub invoke dev-01 led '{\"on\":true}' --timeout 5 --state sim\n",
        2, 3};
    struct hub_arguments arguments;
    struct error error = ERROR_INIT;
    CLEANUP_JSON cJSON *result = NULL;
    hub_arguments_read(&usage, argc, argv, &arguments);
    CLEANUP_JSON cJSON *params = hub_params(&arguments);
    int64_t timeout_s = arguments.timeout_s < 0 ? HUB_TIMEOUT_DEFAULT_S : arguments.timeout_s;
    if (fill_invoke(params, &arguments, timeout_s, &error) ||
        hub_call(&arguments, "hub.invoke", TAKE(params), (timeout_s + arguments.connect_s) * 1000, &result, &error))
        return command_fail(&error);
    return tell_answer(&arguments, result);
}

/* ---- desired ---- */

int cli_hub_desired(int argc, char **argv)
{
    static const struct argp_option options[] = {HUB_HUB_OPTION, HUB_STATE_OPTION, HUB_JSON_OPTION, {0}};
    static const struct hub_usage usage = {
        options, "DEVICE JSON",
        "Merge an object into the desired properties of a device's twin; null removes. A device that is connected and "
        "subscribed is told at once. Prints the new version."
        "\vExamples:\n"
        "  dpsbench hub desired dev-01 '{\"interval\":5}' --state sim\n"
        "  dpsbench hub desired dev-01 '{\"interval\":null}' --state sim\n",
        2, 2};
    struct hub_arguments arguments;
    struct error error = ERROR_INIT;
    CLEANUP_JSON cJSON *result = NULL;
    hub_arguments_read(&usage, argc, argv, &arguments);
    const char *text = arguments.words[1];
    CLEANUP_JSON cJSON *params = hub_params(&arguments);
    cJSON *desired = json_parse(text, strlen(text), "JSON", &error);
    if (!desired || json_set(params, "desired", desired) || hub_call(&arguments, "hub.desired", TAKE(params), 0, &result, &error))
        return command_fail(&error);
    if (arguments.wants_json)
        return hub_print(&arguments, result);
    printf("version %lld, %s\n", (long long)json_integer(json_path(result, "twin.properties.desired"), "$version", 0),
           json_bool(result, "isPublished", false) ? "the device was told" : "the device is not there, or has not subscribed");
    return 0;
}
