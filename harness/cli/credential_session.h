/*
 * harness/cli/credential_session.h - what the commands of `dpsbench credentials` share: arguments, and the device at the other end
 *
 * What:     the union of their options, read by one parser (each command's table says which of them it takes); the device by its port or by a
 *           rig file; the wear ledger; the end, at which the modem goes back into the functional mode in which it was found.
 */
#ifndef HARNESS_CLI_CREDENTIAL_SESSION_H
#define HARNESS_CLI_CREDENTIAL_SESSION_H

#include "base/json.h"
#include "harness/credentials/credential_kind.h"
#include "harness/credentials/modem_link.h"
#include "harness/rig/rig.h"

#include <argp.h>

enum { CREDENTIAL_WORDS_MAX = 4, CREDENTIAL_TAG_NONE = -1 };

enum {
    CREDENTIAL_OPTION_PORT = 256,
    CREDENTIAL_OPTION_RIG,
    CREDENTIAL_OPTION_DEVICE,
    CREDENTIAL_OPTION_BAUD,
    CREDENTIAL_OPTION_FLOW,
    CREDENTIAL_OPTION_LEDGER,
    CREDENTIAL_OPTION_JSON,
    CREDENTIAL_OPTION_TAG,
    CREDENTIAL_OPTION_TYPE,
    CREDENTIAL_OPTION_WEAR,
    CREDENTIAL_OPTION_ROOT,
    CREDENTIAL_OPTION_CERT,
    CREDENTIAL_OPTION_KEY,
    CREDENTIAL_OPTION_PSK,
    CREDENTIAL_OPTION_PSK_ID,
    CREDENTIAL_OPTION_DRY_RUN,
    CREDENTIAL_OPTION_FORCE,
    CREDENTIAL_OPTION_ATTRIBUTES,
    CREDENTIAL_OPTION_CN,
    CREDENTIAL_OPTION_CA,
    CREDENTIAL_OPTION_CA_KEY,
    CREDENTIAL_OPTION_CHAIN,
    CREDENTIAL_OPTION_DAYS,
    CREDENTIAL_OPTION_OUT,
    CREDENTIAL_OPTION_CHALLENGE,
    CREDENTIAL_OPTION_CMD_TYPE,
    CREDENTIAL_OPTION_REPLACE,
};

struct credential_arguments {
    const char *words[CREDENTIAL_WORDS_MAX]; /* what is no option, behind the port */
    size_t word_count;
    const char *port;
    const char *rig;
    const char *device;
    const char *ledger;
    const char *files[CREDENTIAL_KIND_COUNT]; /* by type; NULL: not named */
    const char *attributes;
    const char *common_name;
    const char *ca;
    const char *ca_key;
    const char *chain;
    const char *out;
    const char *challenge;
    int64_t baud;
    int64_t sec_tag; /* CREDENTIAL_TAG_NONE */
    int days;
    const struct credential_kind *kind;
    enum at_transport transport; /* AUTO: found */
    bool has_flow_control;
    bool wants_json;
    bool wants_wear;
    bool is_dry_run;
    bool is_forced;
    bool may_replace;
};

/* For each command's table. */
#define CREDENTIAL_DEVICE_OPTIONS                                                                                                          \
    {"port", CREDENTIAL_OPTION_PORT, "PORT", 0, "The device's port, in place of the word PORT", 8},                                        \
        {"rig", CREDENTIAL_OPTION_RIG, "FILE", 0, "A device of this rig file: its port, speed and sec tag", 8},                            \
        {"device", CREDENTIAL_OPTION_DEVICE, "ID", 0, "Which of the rig's devices, when there are several", 8},                            \
        {"baud", CREDENTIAL_OPTION_BAUD, "N", 0, "Speed of the port (115200)", 8},                                                         \
        {"baudrate", CREDENTIAL_OPTION_BAUD, NULL, OPTION_ALIAS, NULL, 8},                                                                 \
        {"cmd-type", CREDENTIAL_OPTION_CMD_TYPE, "TYPE", 0, "What answers there: at, shell, or auto, which finds it (auto)", 8},           \
        {"flow-control", CREDENTIAL_OPTION_FLOW, NULL, 0, "The port has RTS/CTS", 8},                                                      \
    {                                                                                                                                      \
        "ledger", CREDENTIAL_OPTION_LEDGER, "FILE", 0, "Count writes there (default: DPSBENCH_LEDGER, else a file in your state folder)",  \
            8                                                                                                                              \
    }

#define CREDENTIAL_JSON_OPTION                                                                                                             \
    {                                                                                                                                      \
        "json", CREDENTIAL_OPTION_JSON, NULL, 0, "Print one JSON document (docs/credentials.md)", 7                                        \
    }

/* Parses; wrong usage ends the program. */
void credential_arguments_parse(const struct argp *argp, int argc, char **argv, struct credential_arguments *ret_arguments);
/* "16842753" -> sec tag. USAGE (file). */
int credential_tag_read(const char *word, int64_t *ret_tag, struct error *error);
int credential_kind_read(const char *word, const struct credential_kind **ret_kind, struct error *error);
/* The tag that was named, else the rig's. USAGE (file): neither. */
int credential_tag_of(const struct credential_arguments *arguments, const struct rig_device *device, uint32_t *ret_tag,
                      struct error *error);

struct credential_session {
    uv_loop_t loop;
    struct waiting *waiting;
    struct rig rig;
    const struct rig_device *device; /* NULL: by port alone */
    struct wear_ledger *ledger;      /* NULL: nothing is counted */
    struct modem_link *link;
};

/* Open loop, ledger and device. credential_session_close() it in any case. */
int credential_session_open(const struct credential_arguments *arguments, struct credential_session *session, struct error *error);
/* Restores the modem's mode. Returns `code`, or what restoring gave when that is worse than success. */
int credential_session_close(struct credential_session *session, int code);

/* Who is there: model, firmware, IMEI ... NULL when out of memory. */
cJSON *credential_device_json(const struct credential_session *session);

#endif
