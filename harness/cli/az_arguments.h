/*
 * harness/cli/az_arguments.h - the arguments of `az iot dps ...`, as a table
 *
 * What:     every option that we know of Azure's command line with all its names, in its order; a command names those that it takes and those
 *           that it needs. Wrong usage ends the program, in az's words where those are known.
 * az:       flags take "true" or "false" behind them or stand alone; --iot-hubs takes several words; neither takes an equals sign only.
 * Source:   Azure/azure-cli (command_modules/iot/_params.py) and Azure/azure-iot-cli-extension (azext_iot/_params.py).
 */
#ifndef HARNESS_CLI_AZ_ARGUMENTS_H
#define HARNESS_CLI_AZ_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>

enum az_option_type {
    AZ_TEXT,
    AZ_FLAG,        /* alone: "true"; or with true or false behind it */
    AZ_WORDS,       /* one word or several */
    AZ_MEANINGLESS, /* of az and of an account in the cloud: taken, and without effect */
    AZ_SWITCH,      /* the same without a value */
};

/* X(id, names in az's order, short letter or 0, type, placeholder, text) */
#define AZ_OPTIONS(X)                                                                                                                      \
    X(STATE, "state", 0, AZ_TEXT, "DIR", "The simulator's state folder (default: $DPSBENCH_STATE, else ./sim)")                            \
    X(DPS_NAME, "dps-name", 0, AZ_MEANINGLESS, "NAME", NULL)                                                                               \
    X(ENROLLMENT_DPS_NAME, "dps-name", 'n', AZ_MEANINGLESS, "NAME", NULL)                                                                  \
    X(RESOURCE_GROUP, "resource-group", 'g', AZ_MEANINGLESS, "NAME", NULL)                                                                 \
    X(SUBSCRIPTION, "subscription", 0, AZ_MEANINGLESS, "ID", NULL)                                                                         \
    X(LOGIN, "login", 'l', AZ_MEANINGLESS, "TEXT", NULL)                                                                                   \
    X(AUTH_TYPE, "auth-type", 0, AZ_MEANINGLESS, "TYPE", NULL)                                                                             \
    X(ONLY_SHOW_ERRORS, "only-show-errors", 0, AZ_SWITCH, NULL, NULL)                                                                      \
    X(OUTPUT, "output", 'o', AZ_TEXT, "FORMAT", "json (default), jsonc, table, tsv or none")                                               \
    X(QUERY, "query", 0, AZ_TEXT, "JMESPATH", "Not built: pipe the JSON into jq")                                                          \
    X(CERTIFICATE_NAME, "certificate-name name", 'n', AZ_TEXT, "NAME", "Name of the certificate in the service")                           \
    X(PATH, "path", 'p', AZ_TEXT, "FILE", "PEM, DER, or base64 of either")                                                                 \
    X(VERIFIED, "verified", 'v', AZ_FLAG, "true|false", "Count it as verified without proof of possession")                                \
    X(ETAG, "etag", 'e', AZ_TEXT, "ETAG", "Refuse when the object has another etag by now; '*' takes any")                                 \
    X(ENROLLMENT_ID, "enrollment-id eid", 0, AZ_TEXT, "ID", "Of an individual enrollment it is the registration ID")                       \
    X(GROUP_ID, "enrollment-id eid group-id", 0, AZ_TEXT, "ID", "Of the enrollment group")                                                 \
    X(REGISTRATION_ID, "registration-id rid", 0, AZ_TEXT, "ID", "Of the device registration")                                              \
    X(ATTESTATION_TYPE, "attestation-type at", 0, AZ_TEXT, "TYPE", "x509, symmetricKey or tpm")                                            \
    X(CERTIFICATE_PATH, "certificate-path cp", 0, AZ_TEXT, "FILE", "Primary certificate: PEM, DER, or base64 of either")                   \
    X(SECONDARY_CERTIFICATE_PATH, "secondary-certificate-path scp", 0, AZ_TEXT, "FILE", "Secondary certificate")                           \
    X(CA_NAME, "ca-name cn root-ca-name", 0, AZ_TEXT, "NAME", "Primary CA: a certificate of the service, by its name")                     \
    X(SECONDARY_CA_NAME, "secondary-ca-name scn secondary-root-ca-name", 0, AZ_TEXT, "NAME", "Secondary CA, by its name")                  \
    X(REMOVE_CERTIFICATE, "remove-certificate rc", 0, AZ_FLAG, "true|false", "Remove the primary certificate")                             \
    X(REMOVE_SECONDARY_CERTIFICATE, "remove-secondary-certificate rsc", 0, AZ_FLAG, "true|false", "Remove the secondary certificate")      \
    X(PRIMARY_KEY, "primary-key pk", 0, AZ_TEXT, "BASE64", "Primary symmetric key (default on create: a random one)")                      \
    X(SECONDARY_KEY, "secondary-key sk", 0, AZ_TEXT, "BASE64", "Secondary symmetric key (likewise)")                                       \
    X(ENDORSEMENT_KEY, "endorsement-key ek", 0, AZ_TEXT, "BASE64", "Endorsement key of a TPM")                                             \
    X(STORAGE_ROOT_KEY, "storage-root-key srk", 0, AZ_TEXT, "BASE64", "Storage root key of a TPM")                                         \
    X(DEVICE_ID, "device-id did", 0, AZ_TEXT, "ID", "Device ID at the hub (default: the registration ID)")                                 \
    X(IOT_HUBS, "iot-hubs ih", 0, AZ_WORDS, "HOST", "Host names of hubs, separated by spaces")                                             \
    X(IOT_HUB_HOST_NAME, "iot-hub-host-name hn", 0, AZ_TEXT, "HOST", "Deprecated: --iot-hubs HOST --allocation-policy static")             \
    X(ALLOCATION_POLICY, "allocation-policy ap", 0, AZ_TEXT, "POLICY", "hashed, static, geolatency or custom")                             \
    X(REPROVISION_POLICY, "reprovision-policy rp", 0, AZ_TEXT, "POLICY", "reprovisionandmigratedata, reprovisionandresetdata or never")    \
    X(PROVISIONING_STATUS, "provisioning-status ps", 0, AZ_TEXT, "STATUS", "enabled or disabled")                                          \
    X(INITIAL_TWIN_TAGS, "initial-twin-tags tags", 0, AZ_TEXT, "JSON", "JSON text, or a file that holds it; '': empty")                    \
    X(INITIAL_TWIN_PROPERTIES, "initial-twin-properties props", 0, AZ_TEXT, "JSON", "Desired properties, as JSON text or file")            \
    X(DEVICE_INFORMATION, "device-information device-info info", 0, AZ_TEXT, "JSON", "Optional device information, likewise")              \
    X(EDGE_ENABLED, "edge-enabled ee", 0, AZ_FLAG, "true|false", "The device is an IoT Edge device")                                       \
    X(WEBHOOK_URL, "webhook-url wh", 0, AZ_TEXT, "URL", "For the allocation policy custom")                                                \
    X(API_VERSION, "api-version av", 0, AZ_TEXT, "VERSION", "Of the types that the webhook gets")                                          \
    X(SHOW_KEYS, "show-keys keys", 0, AZ_FLAG, "true|false", "Show symmetric keys")                                                        \
    X(APPLICATION, "app-id app", 'n', AZ_TEXT, "NAME", "The application")                                                                  \
    X(CENTRAL_DEVICE_ID, "device-id", 'd', AZ_TEXT, "ID", "The device: registration ID and common name too")                               \
    X(DEVICE_NAME, "device-name", 0, AZ_TEXT, "TEXT", "Its name for people (default: its id)")                                             \
    X(TEMPLATE, "template", 0, AZ_TEXT, "DTMI", "Model id of its device template")                                                         \
    X(ID_SCOPE, "id-scope", 0, AZ_TEXT, "SCOPE", "What devices say in CONNECT (default on create: a random one)")                          \
    X(AUTO_APPROVE, "auto-approve", 0, AZ_FLAG, "true|false", "Let devices of a group in without asking (default true)")                   \
    X(TEMPLATES, "device-templates", 0, AZ_TEXT, "JSON", "[{\"modelId\": \"dtmi:...\"}], as JSON text or file")                            \
    X(CENTRAL_GROUP_ID, "group-id id", 0, AZ_TEXT, "ID", "The enrollment group")                                                           \
    X(CERTIFICATE_ENTRY, "certificate-entry entry", 0, AZ_TEXT, "ENTRY", "primary (default) or secondary")                                 \
    X(TOP, "top", 0, AZ_TEXT, "N", "At most so many; -1: all")

enum az_option {
    AZ_OPTION_END, /* ends a list */
#define X(id, names, letter, type, placeholder, text) AZ_##id,
    AZ_OPTIONS(X)
#undef X
        AZ_OPTION_COUNT
};

enum { AZ_WORDS_MAX = 50 }; /* as many linked hubs as a service may have */

struct az_arguments {
    const char *values[AZ_OPTION_COUNT]; /* NULL: not given; a flag: "true" or "false" */
    const char *hubs[AZ_WORDS_MAX];      /* of --iot-hubs */
    size_t hub_count;
};

enum az_family {
    AZ_OF_ENROLLMENTS,
    AZ_OF_CERTIFICATES, /* -n is the certificate's name, not the service's */
    AZ_OF_OURS,         /* no command of az: nothing that is meaningless here */
};

struct az_signature {
    const enum az_option *options;  /* beside those that every command takes; ends with AZ_OPTION_END */
    const enum az_option *required; /* among them; likewise */
    enum az_family family;
    const char *text; /* for --help; behind a '\v' the examples */
};

/* argv[0]: the command's full name. Ends the program for --help (0) and for wrong usage (2). */
void az_arguments_parse(const struct az_signature *signature, int argc, char **argv, struct az_arguments *ret_arguments);

/* "--certificate-name/--name/-n", as az names an option in its errors. */
enum { AZ_NAMES_MAX_BYTES = 128 };
void az_option_names(enum az_option option, char text[AZ_NAMES_MAX_BYTES]);

/* Tell wrong usage on stderr and end the program with 2. */
void az_refuse(const char *command, const char *format, ...) __attribute__((noreturn, format(printf, 2, 3)));

bool az_flag(const struct az_arguments *arguments, enum az_option option);

#endif
