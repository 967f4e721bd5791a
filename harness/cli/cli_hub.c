/* dpsbench hub ...: the devices of the hubs behind a running simulator */
#include "base/cleanup.h"
#include "base/log.h"
#include "certs/chain.h"
#include "harness/cli/cli.h"
#include "harness/cli/hub_arguments.h"
#include "reports/result.h"

#include <stdio.h>
#include <string.h>

/* ---- looking ---- */

static void print_device(const cJSON *device)
{
    printf("%-32s  %-20s  %-8s  %-12s  %3lld  %s\n", json_string(device, "deviceId", "?"),
           json_string(json_member(device, "authentication"), "type", "?"), json_string(device, "status", "?"),
           json_string(device, "connectionState", "?"), (long long)json_integer(device, "cloudToDeviceMessageCount", 0),
           json_string(device, "hub", "?"));
}

static int hub_devices(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"hub", HUB_OPTION_HUB, "HOST", 0, "Those of this hub alone", 0}, HUB_STATE_OPTION, HUB_JSON_OPTION, {0}};
    static const struct hub_usage usage = {
        options, "",
        "List the devices that the hubs know, each hub its own: id, how it proves itself, enabled or not, connected or not, messages "
        "that wait for it, hub."
        "\vExamples:\n"
        "  dpsbench hub devices --state sim\n"
        "  dpsbench hub devices --state sim --json | jq -r '.[].deviceId'\n",
        0, 0};
    struct hub_arguments arguments;
    struct error error = ERROR_INIT;
    CLEANUP_JSON cJSON *result = NULL, *params = cJSON_CreateObject();
    hub_arguments_read(&usage, argc, argv, &arguments);
    if (json_set_string(params, "hub", arguments.hub) || hub_call(&arguments, "hub.list", TAKE(params), 0, &result, &error))
        return command_fail(&error);
    const cJSON *list = json_member(result, "value"), *device;
    if (arguments.wants_json)
        return hub_print(&arguments, list);
    cJSON_ArrayForEach(device, list)
    {
        print_device(device);
    }
    return 0;
}

/* The device in the shape of Azure's API, and its twin. */
static int call_and_print(const struct hub_arguments *arguments, const char *method, cJSON *params)
{
    struct error error = ERROR_INIT;
    CLEANUP_JSON cJSON *result = NULL;
    if (hub_call(arguments, method, params, 0, &result, &error))
        return command_fail(&error);
    return hub_print(arguments, result);
}

static int hub_show(int argc, char **argv)
{
    static const struct argp_option options[] = {HUB_HUB_OPTION, HUB_STATE_OPTION, HUB_JSON_OPTION, {0}};
    static const struct hub_usage usage = {options, "DEVICE",
                                           "Print a device: its identity with keys or thumbprints, its connection, its twin."
                                           "\vExamples:\n"
                                           "  dpsbench hub show dev-01 --state sim\n"
                                           "  dpsbench hub show dev-01 --hub my-hub.azure-devices.net --state sim\n",
                                           1, 1};
    struct hub_arguments arguments;
    hub_arguments_read(&usage, argc, argv, &arguments);
    return call_and_print(&arguments, "hub.show", hub_params(&arguments));
}

/* ---- changing ---- */

/* az's words, and Azure's own. */
static int read_auth(const char *word, const char **ret_type, struct error *error)
{
    static const struct {
        const char *word;
        const char *type;
    } rows[] = {{"sas", "sas"},
                {"shared_private_key", "sas"},
                {"thumbprint", "selfSigned"},
                {"x509_thumbprint", "selfSigned"},
                {"selfSigned", "selfSigned"},
                {"ca", "certificateAuthority"},
                {"x509_ca", "certificateAuthority"},
                {"certificateAuthority", "certificateAuthority"}};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (strcmp(word, rows[i].word) == 0)
            return (int)(*ret_type = rows[i].type, 0);
    return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "--auth is sas, thumbprint or ca, not '%s'", word);
}

static int read_certificate(const char *path, char thumbprint[SHA256_HEX_BYTES], struct error *error)
{
    CLEANUP_CHAIN x509_stack *chain = NULL;
    if (certificates_read_file(path, &chain, error))
        return -1;
    certificate_sha256(sk_X509_value(chain, 0), thumbprint);
    return 0;
}

static int add_authentication(cJSON *params, const struct hub_arguments *arguments, struct error *error)
{
    char thumbprint[SHA256_HEX_BYTES] = "";
    const char *type = arguments->certificate || arguments->thumbprint ? "selfSigned" : NULL;
    if ((arguments->auth && read_auth(arguments->auth, &type, error)) ||
        (arguments->certificate && read_certificate(arguments->certificate, thumbprint, error)))
        return -1;
    if (arguments->certificate && arguments->thumbprint)
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "--certificate and --primary-thumbprint exclude each other");
    if (!type)
        return 0;
    cJSON *authentication = cJSON_AddObjectToObject(params, "authentication");
    const char *primary = *thumbprint ? thumbprint : arguments->thumbprint;
    if (json_set_string(authentication, "type", type))
        return error_set_memory(error);
    cJSON *x509 = primary ? cJSON_AddObjectToObject(authentication, "x509Thumbprint") : NULL;
    return primary && json_set_string(x509, "primaryThumbprint", primary) ? error_set_memory(error) : 0;
}

static int add_tags(cJSON *params, const char *text, struct error *error)
{
    cJSON *tags = text ? json_parse(text, strlen(text), "--tags", error) : NULL;
    return !text || (tags && json_set(params, "tags", tags) == 0) ? 0 : -1;
}

static int change(const struct hub_arguments *arguments, const char *method)
{
    struct error error = ERROR_INIT;
    CLEANUP_JSON cJSON *params = hub_params(arguments);
    if (json_set_string(params, "status", arguments->status))
        error_set_memory(&error);
    if (error.code || add_authentication(params, arguments, &error) || add_tags(params, arguments->tags, &error))
        return command_fail(&error);
    return call_and_print(arguments, method, TAKE(params));
}

#define IDENTITY_OPTIONS                                                                                                                   \
    {"auth", HUB_OPTION_AUTH, "sas|thumbprint|ca", 0, "How the device proves itself", 0},                                                  \
        {"certificate", HUB_OPTION_CERTIFICATE, "FILE", 0, "By the thumbprint of this certificate, the first one of the file", 0},         \
        {"primary-thumbprint", HUB_OPTION_THUMBPRINT, "HEX", 0, "By this thumbprint, SHA-1 or SHA-256", 0},                                \
    {                                                                                                                                      \
        "status", HUB_OPTION_STATUS, "enabled|disabled", 0, "A disabled device is refused with CONNACK 5", 0                               \
    }

static int hub_create(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"hub", HUB_OPTION_HUB, "HOST", 0, "The hub's host name, as the device says it in its user name", 0},
        IDENTITY_OPTIONS,
        HUB_STATE_OPTION,
        HUB_JSON_OPTION,
        {0}};
    static const struct hub_usage usage = {
        options, "DEVICE",
        "Make a device by hand, without DPS, and print it. Without --auth it is one for SAS, with two new keys; with --certificate or "
        "--primary-thumbprint one by thumbprint. --hub is required."
        "\vExamples:\n"
        "  dpsbench hub create dev-02 --hub my-hub.azure-devices.net --state sim\n"
        "  dpsbench hub create dev-03 --hub my-hub.azure-devices.net --certificate dev-03.pem --state sim\n"
        "  dpsbench hub create dev-04 --hub my-hub.azure-devices.net --auth ca --state sim\n",
        1, 1};
    struct hub_arguments arguments;
    hub_arguments_read(&usage, argc, argv, &arguments);
    if (!arguments.hub) {
        struct error error = ERROR_INIT;
        error_set(&error, ERROR_OWNER_FILE, ERROR_USAGE, "--hub HOST is missing: the hub whose device it is to be");
        return command_fail(&error);
    }
    return change(&arguments, "hub.create");
}

static int hub_update(int argc, char **argv)
{
    static const struct argp_option options[] = {
        HUB_HUB_OPTION,   IDENTITY_OPTIONS, {"tags", HUB_OPTION_TAGS, "JSON", 0, "Merge this into the twin's tags", 0},
        HUB_STATE_OPTION, HUB_JSON_OPTION,  {0}};
    static const struct hub_usage usage = {options, "DEVICE",
                                           "Change what the options say and print the device. A device that is disabled is disconnected."
                                           "\vExamples:\n"
                                           "  dpsbench hub update dev-01 --status disabled --state sim\n"
                                           "  dpsbench hub update dev-01 --tags '{\"site\":\"roof\"}' --state sim\n",
                                           1, 1};
    struct hub_arguments arguments;
    hub_arguments_read(&usage, argc, argv, &arguments);
    return change(&arguments, "hub.update");
}

static int hub_delete(int argc, char **argv)
{
    static const struct argp_option options[] = {HUB_HUB_OPTION, HUB_STATE_OPTION, {0}};
    static const struct hub_usage usage = {
        options, "DEVICE",
        "Delete a device with its twin and the messages that wait for it. It comes back when it registers with DPS."
        "\vExamples:\n"
        "  dpsbench hub delete dev-02 --state sim\n",
        1, 1};
    struct hub_arguments arguments;
    struct error error = ERROR_INIT;
    hub_arguments_read(&usage, argc, argv, &arguments);
    return hub_call(&arguments, "hub.delete", hub_params(&arguments), 0, NULL, &error) ? command_fail(&error) : 0;
}

const struct command cli_hub_commands[] = {
    {"devices", "List the devices", hub_devices, NULL},
    {"show", "Print a device and its twin", hub_show, NULL},
    {"watch", "Print connections, telemetry, twins, messages and methods as they happen", cli_hub_watch, NULL},
    {"send", "Send a message to a device, and wait until it has it", cli_hub_send, NULL},
    {"invoke", "Call a direct method of a device, and print its answer", cli_hub_invoke, NULL},
    {"desired", "Change desired properties of a device's twin", cli_hub_desired, NULL},
    {"create", "Make a device by hand", hub_create, NULL},
    {"update", "Enable, disable or change a device", hub_update, NULL},
    {"delete", "Delete a device", hub_delete, NULL},
    {NULL, NULL, NULL, NULL},
};
