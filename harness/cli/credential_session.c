#include "harness/cli/credential_session.h"

#include "base/arguments.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "base/yaml.h"
#include "harness/cli/command.h"

#include <string.h>

enum { CLOSE_TURNS_MAX = 1000, DAYS_DEFAULT = 365, DAYS_MAX = 36500, BAUD_MIN = 300, BAUD_MAX = 4000000, NUMBER_BASE = 10 };

/* ---- arguments ---- */

static const char **text_of(struct credential_arguments *arguments, int key)
{
    switch (key) {
    case CREDENTIAL_OPTION_PORT:
        return &arguments->port;
    case CREDENTIAL_OPTION_RIG:
        return &arguments->rig;
    case CREDENTIAL_OPTION_DEVICE:
        return &arguments->device;
    case CREDENTIAL_OPTION_LEDGER:
        return &arguments->ledger;
    case CREDENTIAL_OPTION_ATTRIBUTES:
        return &arguments->attributes;
    case CREDENTIAL_OPTION_CN:
        return &arguments->common_name;
    case CREDENTIAL_OPTION_CA:
        return &arguments->ca;
    case CREDENTIAL_OPTION_CA_KEY:
        return &arguments->ca_key;
    case CREDENTIAL_OPTION_CHAIN:
        return &arguments->chain;
    case CREDENTIAL_OPTION_OUT:
        return &arguments->out;
    case CREDENTIAL_OPTION_CHALLENGE:
        return &arguments->challenge;
    default:
        return key >= CREDENTIAL_OPTION_ROOT && key <= CREDENTIAL_OPTION_PSK_ID ? &arguments->files[key - CREDENTIAL_OPTION_ROOT] : NULL;
    }
}

static bool *flag_of(struct credential_arguments *arguments, int key)
{
    switch (key) {
    case CREDENTIAL_OPTION_FLOW:
        return &arguments->has_flow_control;
    case CREDENTIAL_OPTION_JSON:
        return &arguments->wants_json;
    case CREDENTIAL_OPTION_WEAR:
        return &arguments->wants_wear;
    case CREDENTIAL_OPTION_DRY_RUN:
        return &arguments->is_dry_run;
    case CREDENTIAL_OPTION_FORCE:
        return &arguments->is_forced;
    case CREDENTIAL_OPTION_REPLACE:
        return &arguments->may_replace;
    default:
        return NULL;
    }
}

static int64_t read_number(const char *option, const char *word, int64_t min, int64_t max, const struct argp_state *state)
{
    char *end;
    long long value = strtoll(word, &end, NUMBER_BASE);
    if (end == word || *end || value < min || value > max)
        arguments_refuse(state, "%s '%s' is not a number from %lld to %lld", option, word, (long long)min, (long long)max);
    return value;
}

static enum at_transport read_transport(const char *word, const struct argp_state *state)
{
    static const char *const words[] = {"auto", "at", "shell", NULL};
    static const enum at_transport transports[] = {AT_TRANSPORT_AUTO, AT_TRANSPORT_HOST, AT_TRANSPORT_SHELL};
    for (size_t i = 0; words[i]; i++)
        if (strcmp(word, words[i]) == 0)
            return transports[i];
    arguments_refuse(state, "--cmd-type '%s' is none of auto, at, shell", word);
    return AT_TRANSPORT_AUTO;
}

static error_t take_value(struct credential_arguments *arguments, int key, const char *word, const struct argp_state *state)
{
    struct error error = ERROR_INIT;
    if (key == CREDENTIAL_OPTION_BAUD)
        arguments->baud = read_number("--baud", word, BAUD_MIN, BAUD_MAX, state);
    else if (key == CREDENTIAL_OPTION_DAYS)
        arguments->days = (int)read_number("--days", word, 1, DAYS_MAX, state);
    else if (key == CREDENTIAL_OPTION_CMD_TYPE)
        arguments->transport = read_transport(word, state);
    else if (key == CREDENTIAL_OPTION_TAG && credential_tag_read(word, &arguments->sec_tag, &error))
        arguments_refuse(state, "--tag: %s", error.text);
    else if (key == CREDENTIAL_OPTION_TYPE && strcmp(word, "ANY") != 0 && credential_kind_read(word, &arguments->kind, &error))
        arguments_refuse(state, "--type: %s", error.text);
    else if (key != CREDENTIAL_OPTION_TAG && key != CREDENTIAL_OPTION_TYPE)
        return ARGP_ERR_UNKNOWN;
    return 0;
}

static error_t take(int key, char *word, struct argp_state *state)
{
    struct credential_arguments *arguments = state->input;
    const char **text = text_of(arguments, key);
    bool *flag = flag_of(arguments, key);
    if (text)
        *text = word;
    else if (flag)
        *flag = true;
    else if (key == ARGP_KEY_ARG && !arguments->port && !arguments->rig && strchr(word, '/'))
        arguments->port = word;
    else if (key == ARGP_KEY_ARG && arguments->word_count < CREDENTIAL_WORDS_MAX)
        arguments->words[arguments->word_count++] = word;
    else if (key == ARGP_KEY_ARG)
        arguments_refuse(state, "'%s' is one argument too many", word);
    else if (key >= CREDENTIAL_OPTION_PORT && key <= CREDENTIAL_OPTION_REPLACE)
        return take_value(arguments, key, word, state);
    else
        return ARGP_ERR_UNKNOWN;
    return 0;
}

void credential_arguments_parse(const struct argp *argp, int argc, char **argv, struct credential_arguments *ret_arguments)
{
    struct argp own = *argp;
    own.parser = take;
    *ret_arguments = (struct credential_arguments){.sec_tag = CREDENTIAL_TAG_NONE, .days = DAYS_DEFAULT};
    command_parse(&own, argc, argv, ret_arguments);
}

int credential_tag_read(const char *word, int64_t *ret_tag, struct error *error)
{
    char *end;
    long long value = strtoll(word, &end, NUMBER_BASE);
    if (end == word || *end || value < 0 || value > CREDENTIAL_SEC_TAG_MAX)
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "'%s' is no sec tag: a number from 0 to %d", word, CREDENTIAL_SEC_TAG_MAX);
    *ret_tag = value;
    return 0;
}

int credential_kind_read(const char *word, const struct credential_kind **ret_kind, struct error *error)
{
    const struct credential_kind *kind = credential_kind_find(word);
    if (kind) {
        *ret_kind = kind;
        return 0;
    }
    const char *near = text_nearest(word, credential_kind_words());
    return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE,
                     "'%s' is no type of credential%s%s%s; ROOT_CA_CERT, CLIENT_CERT, CLIENT_KEY, PSK, PSK_ID and PUB_KEY can be written",
                     word, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

int credential_tag_of(const struct credential_arguments *arguments, const struct rig_device *device, uint32_t *ret_tag, struct error *error)
{
    if (arguments->sec_tag == CREDENTIAL_TAG_NONE && !device)
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE,
                         "which sec tag? --tag N: the one that the firmware was built with (CONFIG_MQTT_HELPER_SEC_TAG)");
    *ret_tag = arguments->sec_tag == CREDENTIAL_TAG_NONE ? device->sec_tag : (uint32_t)arguments->sec_tag;
    return 0;
}

/* ---- the device ---- */

static int refuse_to_guess(const struct rig *rig, const char *id, struct error *error)
{
    char ids[512] = "";
    size_t used = 0;
    for (size_t i = 0; i < rig->device_count && used < sizeof ids; i++)
        if (rig->devices[i].is_connected)
            used += (size_t)snprintf(ids + used, sizeof ids - used, "%s%s", used ? ", " : "", rig->devices[i].id);
    if (id)
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "%s: it has no device '%s'; there are: %s", rig->file, id, ids);
    return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "%s: which device? --device ID, one of: %s", rig->file, ids);
}

static int choose_device(struct credential_session *session, const char *id, struct error *error)
{
    for (size_t i = 0; i < session->rig.device_count; i++) {
        const struct rig_device *device = &session->rig.devices[i];
        if (id ? strcmp(device->id, id) != 0 : !device->is_connected)
            continue;
        if (session->device)
            return refuse_to_guess(&session->rig, NULL, error);
        session->device = device;
    }
    if (!session->device)
        return refuse_to_guess(&session->rig, id, error);
    if (session->device->serial)
        return 0;
    return error_set(
        error, ERROR_OWNER_FILE, ERROR_USAGE,
        "%s: '%s' has no port of its own: a virtual DK lives only during a run, a program has no modem; start dpsbench-vdk, and "
        "name its pty",
        session->device->place, session->device->id);
}

static int open_ledger(const struct credential_arguments *arguments, struct credential_session *session, struct error *error)
{
    CLEANUP_FREE char *path = arguments->ledger ? strdup(arguments->ledger) : wear_ledger_default_path();
    struct error why = ERROR_INIT;
    if (!path)
        log_warning("nothing is counted in a wear ledger: neither HOME nor XDG_STATE_HOME is set; name a file with --ledger");
    if (!path || wear_ledger_open(path, &session->ledger, &why) == 0)
        return 0;
    if (arguments->ledger)
        return error_set(error, why.owner, why.code, "%s", why.text);
    log_warning("nothing is counted: %s", why.text);
    return 0;
}

static int open_link(const struct credential_arguments *arguments, struct credential_session *session, struct error *error)
{
    const struct rig_device *device = session->device;
    const char *path = device ? device->serial : arguments->port;
    int64_t baud = arguments->baud ? arguments->baud : device ? device->baud : 0;
    struct modem_link_options options = {
        .waiting = session->waiting,
        .port = {.name = device ? device->id : path,
                 .path = path,
                 .console_path = device ? device->console : NULL,
                 .baud = (int)baud,
                 .transport =
                     arguments->transport != AT_TRANSPORT_AUTO || !device ? arguments->transport : (enum at_transport)device->transport,
                 .command_max_bytes = device ? (size_t)device->command_limit : 0,
                 .tx_chunk_bytes = device ? (size_t)device->pacing_bytes : 0,
                 .tx_gap_ms = device ? device->pacing_gap_ms : 0,
                 .has_flow_control = arguments->has_flow_control || (device && device->has_flow_control)},
        .ledger = session->ledger,
        .wear_id = device ? device->id : NULL,
    };
    return modem_link_open(&options, &session->link, error);
}

int credential_session_open(const struct credential_arguments *arguments, struct credential_session *session, struct error *error)
{
    *session = (struct credential_session){0};
    uv_loop_init(&session->loop);
    const struct waiting_options waiting = {.loop = &session->loop, .clock = &clock_system};
    if (waiting_new(&waiting, &session->waiting, error))
        return -1;
    if (arguments->port && arguments->rig)
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "a port and --rig exclude each other: both name the device");
    if (!arguments->port && !arguments->rig)
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE,
                         "which device? name its port (`dpsbench devices` lists those that there are), or --rig FILE");
    if (arguments->port && arguments->device)
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE,
                         "--device chooses among the devices of a rig file: --rig FILE in place of the port");
    if (arguments->rig && (rig_read_file(arguments->rig, &session->rig, error) || choose_device(session, arguments->device, error)))
        return -1;
    return open_ledger(arguments, session, error) || open_link(arguments, session, error) ? -1 : 0;
}

int credential_session_close(struct credential_session *session, int code)
{
    struct error error = ERROR_INIT;
    if (session->link && modem_link_restore(session->link, &error)) {
        int restored = command_fail(&error);
        code = code ? code : restored;
    }
    if (session->link && modem_link_uncounted(session->link)->code)
        log_warning("a write was not counted: %s", modem_link_uncounted(session->link)->text);
    modem_link_close(TAKE(session->link));
    wear_ledger_close(TAKE(session->ledger));
    waiting_free(TAKE(session->waiting));
    for (int i = 0; i < CLOSE_TURNS_MAX && uv_run(&session->loop, UV_RUN_NOWAIT); i++)
        ;
    uv_loop_close(&session->loop);
    rig_done(&session->rig);
    return code;
}

cJSON *credential_device_json(const struct credential_session *session)
{
    const struct dk_identity *identity = modem_link_identity(session->link);
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (!json || json_set_string(json, "manufacturer", identity->manufacturer) || json_set_string(json, "model", identity->model) ||
        json_set_string(json, "firmware", identity->firmware) || json_set_string(json, "imei", identity->imei) ||
        json_set_string(json, "wear_id", modem_link_wear_id(session->link)) ||
        (session->device && json_set_string(json, "id", session->device->id)) ||
        (identity->cfun != DK_CFUN_UNKNOWN && json_set_integer(json, "cfun", identity->cfun)))
        return NULL;
    return TAKE(json);
}
