/* dpsbench provision: the boards of a production line, each with an identity of its own */
#include "base/arguments.h"
#include "base/cleanup.h"
#include "base/files.h"
#include "base/log.h"
#include "harness/cli/cli.h"
#include "harness/control/control.h"
#include "harness/control/simulator_place.h"
#include "harness/provision/board.h"
#include "harness/provision/local_files.h"
#include "harness/provision/provision.h"
#include "harness/rig/place.h"
#include "reports/result.h"

#include <string.h>
#include <strings.h>

enum {
    OPTION_RIG = 256,
    OPTION_DEVICES,
    OPTION_CA,
    OPTION_CA_KEY,
    OPTION_CHAIN,
    OPTION_ROOT,
    OPTION_ID,
    OPTION_KEY,
    OPTION_DAYS,
    OPTION_TAG,
    OPTION_REPLACE,
    OPTION_STATE,
    OPTION_ENROLL,
    OPTION_CA_ROOT,
    OPTION_NO_PROOF,
    OPTION_TIMEOUT,
    OPTION_OUT,
    OPTION_JOBS,
    OPTION_LEDGER,
    OPTION_JSON,
    OPTION_BOARD,

    DAYS_DEFAULT = 365,
    DAYS_MAX = 36500,
    JOBS_DEFAULT = 16,
    TIMEOUT_S = 300,
    TIMEOUT_MAX_S = 3600,
    LEAF_MAX_BYTES = 1024, /* PEM of what we sign, generously */
    CLOSE_TURNS_MAX = 1000,
    WORKER_ARGUMENTS_MAX = 60,
};

struct provision_arguments {
    const char *rig;
    const char *devices;
    const char *ca;
    const char *ca_key;
    const char *chain;
    const char *root;
    const char *id;
    const char *key;
    const char *state;
    const char *enroll;
    const char *ca_root;
    const char *out;
    const char *ledger;
    const char *board; /* one board, in this process; NULL: all of them */
    int64_t days;
    int64_t sec_tag;
    int64_t jobs;
    int64_t timeout_s;
    bool may_replace;
    bool wants_no_proof;
    bool wants_json;
};

static const struct argp_option options[] = {
    {"rig", OPTION_RIG, "FILE", 0, "The rig file: one device a port of the line (required)", 1},
    {"devices", OPTION_DEVICES, "LIST", 0, "Which of them: 'all' (default), or ids with commas between", 1},
    {"ca", OPTION_CA, "CERT", 0, "The CA that signs, PEM: your intermediate (required)", 2},
    {"ca-key", OPTION_CA_KEY, "FILE", 0, "Its private key, PEM (required)", 2},
    {"chain", OPTION_CHAIN, "FILE", 0, "What a device sends behind its certificate (default: the CA)", 2},
    {"root", OPTION_ROOT, "FILE", 0, "The server root of the devices (default: the simulator's)", 2},
    {"id", OPTION_ID, "TEMPLATE", 0,
     "Registration id: 'imei', 'rig' (default: registration_id of the rig file), or a text with {imei}, {rig}, {device}", 3},
    {"key", OPTION_KEY, "WHERE", 0, "'modem' (default): it is made there and cannot leave it; 'host'", 3},
    {"days", OPTION_DAYS, "N", 0, "How long certificates are valid (365), never longer than their CA", 3},
    {"tag", OPTION_TAG, "N", 0, "The sec tag (default: the rig's)", 3},
    {"replace", OPTION_REPLACE, NULL, 0, "Make new keys where there are some already", 3},
    {"state", OPTION_STATE, "DIR", 0,
     "The simulator against which each board proves itself: its state folder, or a ticket (default: the rig's)", 4},
    {"enroll", OPTION_ENROLL, "NAME", 0, "Make an enrollment group of the CA there, when it has none", 4},
    {"ca-root", OPTION_CA_ROOT, "FILE", 0, "The root above the CA, uploaded there as verified (default: the CA, if it signs itself)", 4},
    {"no-proof", OPTION_NO_PROOF, NULL, 0, "Write and verify, register nowhere", 4},
    {"timeout", OPTION_TIMEOUT, "SECONDS", 0, "For one registration (300)", 4},
    {"out", OPTION_OUT, "DIR", 0, "Manifest, certificates, logs; the same folder goes on where it stopped (required)", 5},
    {"jobs", OPTION_JOBS, "N", 0, "Boards at a time (16)", 5},
    {"ledger", OPTION_LEDGER, "FILE", 0, "Count writes there (default: DPSBENCH_LEDGER, else a file in your state folder)", 5},
    {"json", OPTION_JSON, NULL, 0, "Print one JSON document (docs/mass-production.md)", 5},
    {"board", OPTION_BOARD, "ID", OPTION_HIDDEN, "One board, in this process", 5},
    {0},
};

static const char text[] =
    "Give each board of a production line an identity of its own: a key made in its modem, a certificate that your CA signs, chain and "
    "server root "
    "written and verified, one registration against the simulator as proof, a row in DIR/manifest.csv and DIR/manifest.json. Boards run in "
    "parallel; one that fails stops no other. Stop it with Ctrl-C; the same command goes on."
    "\vExit codes: 0 all boards are done; 1 a board failed; 2 wrong usage or a file; 3 rig or simulator; 4 a bug of ours; 130 "
    "interrupted.\n"
    "\n"
    "Examples:\n"
    "  dpsbench provision --rig line.yaml --ca sub-ca.pem --ca-key sub-ca.key \\\n"
    "    --id imei --state sim --enroll line-1 --ca-root root-ca.pem --out lot-7\n"
    "  dpsbench provision --rig line.yaml --devices slot-1,slot-2 --ca sub-ca.pem \\\n"
    "    --ca-key sub-ca.key --root DigiCertGlobalRootG2.crt.pem --no-proof --out lot-7\n";

/* ---- arguments ---- */

static const char **member_of(struct provision_arguments *arguments, int key)
{
    switch (key) {
    case OPTION_RIG:
        return &arguments->rig;
    case OPTION_DEVICES:
        return &arguments->devices;
    case OPTION_CA:
        return &arguments->ca;
    case OPTION_CA_KEY:
        return &arguments->ca_key;
    case OPTION_CHAIN:
        return &arguments->chain;
    case OPTION_ROOT:
        return &arguments->root;
    case OPTION_ID:
        return &arguments->id;
    case OPTION_KEY:
        return &arguments->key;
    case OPTION_STATE:
        return &arguments->state;
    case OPTION_ENROLL:
        return &arguments->enroll;
    case OPTION_CA_ROOT:
        return &arguments->ca_root;
    case OPTION_OUT:
        return &arguments->out;
    case OPTION_LEDGER:
        return &arguments->ledger;
    case OPTION_BOARD:
        return &arguments->board;
    default:
        return NULL;
    }
}

struct number {
    const char *name;
    int64_t *value;
    int64_t min, max;
};

/* `value` is NULL for an option that is no number. */
static struct number number_of(struct provision_arguments *arguments, int key)
{
    switch (key) {
    case OPTION_DAYS:
        return (struct number){"--days", &arguments->days, 1, DAYS_MAX};
    case OPTION_TAG:
        return (struct number){"--tag", &arguments->sec_tag, 0, CREDENTIAL_SEC_TAG_MAX};
    case OPTION_JOBS:
        return (struct number){"--jobs", &arguments->jobs, 1, RIG_DEVICES_MAX};
    case OPTION_TIMEOUT:
        return (struct number){"--timeout", &arguments->timeout_s, 1, TIMEOUT_MAX_S};
    default:
        return (struct number){.value = NULL};
    }
}

static error_t take_number(const struct number *number, const char *word, const struct argp_state *state)
{
    char *end;
    if (!number->value)
        return ARGP_ERR_UNKNOWN;
    long long value = strtoll(word, &end, 10);
    if (end == word || *end || value < number->min || value > number->max)
        arguments_refuse(state, "%s '%s' is not a number from %lld to %lld", number->name, word, (long long)number->min,
                         (long long)number->max);
    *number->value = value;
    return 0;
}

static void check(const struct provision_arguments *arguments, const struct argp_state *state)
{
    const char *missing = !arguments->rig      ? "--rig FILE"
                          : !arguments->ca     ? "--ca CERT"
                          : !arguments->ca_key ? "--ca-key FILE"
                          : !arguments->out    ? "--out DIR"
                                               : NULL;
    if (missing)
        arguments_refuse(state, "%s is missing", missing);
    if (arguments->key && strcmp(arguments->key, "modem") != 0 && strcmp(arguments->key, "host") != 0)
        arguments_refuse(state, "--key '%s': modem or host", arguments->key);
    if (arguments->ca_root && !arguments->enroll)
        arguments_refuse(state, "--ca-root is for --enroll NAME");
    if (arguments->wants_no_proof && arguments->enroll)
        arguments_refuse(state, "--no-proof and --enroll exclude each other: without a proof no simulator is asked");
}

static error_t take(int key, char *word, struct argp_state *state)
{
    struct provision_arguments *arguments = state->input;
    const char **member = member_of(arguments, key);
    const struct number number = number_of(arguments, key);
    if (member)
        *member = word;
    else if (key == OPTION_REPLACE)
        arguments->may_replace = true;
    else if (key == OPTION_NO_PROOF)
        arguments->wants_no_proof = true;
    else if (key == OPTION_JSON)
        arguments->wants_json = true;
    else if (key == ARGP_KEY_ARG)
        arguments_refuse(state, "'%s' is one argument too many: everything is an option here", word);
    else if (key == ARGP_KEY_END)
        check(arguments, state);
    else
        return take_number(&number, word, state);
    return 0;
}

/* ---- what all boards share ---- */

static const char *id_template(const struct provision_arguments *arguments)
{
    if (!arguments->id || strcmp(arguments->id, "rig") == 0)
        return "{rig}";
    return strcmp(arguments->id, "imei") == 0 ? "{imei}" : arguments->id;
}

static int read_simulator(const struct provision_arguments *arguments, const struct rig *rig, struct provision_job *job,
                          struct error *error)
{
    const char *folder = arguments->state ? arguments->state : rig->simulator_ready;
    if (arguments->wants_no_proof)
        return 0;
    if (!folder)
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE,
                         "against which simulator do the boards prove themselves? --state DIR, `simulator: {ready: DIR}` in the rig file, "
                         "or --no-proof");
    if (simulator_place_is_ticket(folder) && !arguments->root)
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE,
                         "%s: a ticket does not hold the simulator's server root: --root FILE (`root_ca` of its ready.json)", folder);
    return simulator_place_read(folder, &job->ready, error);
}

static int read_root(const struct provision_arguments *arguments, struct provision_job *job, struct error *error)
{
    CLEANUP(local_files_done) struct local_files files = {0};
    job->root_path = arguments->root ? arguments->root : json_string(job->ready, "root_ca", NULL);
    if (!job->root_path)
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE,
                         "which server root do the devices trust? --root FILE: for Azure, DigiCert Global Root G2 (fixtures/roots)");
    if (local_files_add(&files, CREDENTIAL_ROOT_CA, job->root_path, error) || local_files_check(&files, clock_unix_s(&clock_system), error))
        return -1;
    job->root = files.wanted[0].text;
    files.wanted[0].text = (struct bytes){0};
    return 0;
}

/* A chain that fits no command would be found out after each board has its key. */
static int check_chain_fits(const struct provision_job *job, const char *path, struct error *error)
{
    CLEANUP(bytes_done) struct bytes pem = {.max_bytes = 2 * AT_COMMAND_MAX_BYTES};
    if (certificates_append_pem(job->issuer.chain, &pem) || pem.length_bytes + LEAF_MAX_BYTES > AT_COMMAND_MAX_BYTES)
        return error_set(
            error, ERROR_OWNER_FILE, ERROR_LIMIT,
            "%s: the chain behind a device's certificate is too long for one AT command (%d bytes, of which the device's own needs about "
            "%d); leave the root out, or use P-256 keys for the CAs",
            path, AT_COMMAND_MAX_BYTES, LEAF_MAX_BYTES);
    return 0;
}

static int open_ledger(const struct provision_arguments *arguments, struct provision_job *job, struct error *error)
{
    CLEANUP_FREE char *path = arguments->ledger ? strdup(arguments->ledger) : wear_ledger_default_path();
    struct error why = ERROR_INIT;
    if (!path || wear_ledger_open(path, &job->ledger, &why) == 0)
        return 0;
    if (arguments->ledger)
        return error_set(error, why.owner, why.code, "%s", why.text);
    log_warning("nothing is counted: %s", why.text);
    return 0;
}

static int read_job(const struct provision_arguments *arguments, const struct rig *rig, struct provision_job *job, struct error *error)
{
    *job = (struct provision_job){.out = arguments->out,
                                  .rig_file = rig->file,
                                  .id_template = id_template(arguments),
                                  .sec_tag = arguments->sec_tag,
                                  .timeout_ms = arguments->timeout_s * 1000,
                                  .days = (int)arguments->days,
                                  .is_key_from_host = arguments->key && strcmp(arguments->key, "host") == 0,
                                  .may_replace = arguments->may_replace};
    return board_check_template(job->id_template, error) ||
                   issuer_read(arguments->ca, arguments->ca_key, arguments->chain, clock_unix_s(&clock_system), &job->issuer, error) ||
                   check_chain_fits(job, arguments->chain ? arguments->chain : arguments->ca, error) ||
                   read_simulator(arguments, rig, job, error) || read_root(arguments, job, error) || open_ledger(arguments, job, error)
               ? -1
               : 0;
}

/* ---- which boards ---- */

static bool is_named(const char *list, const char *id)
{
    size_t length = strlen(id);
    for (const char *at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        if (strncmp(at, id, length) == 0 && (at[length] == ',' || !at[length]))
            return true;
    return false;
}

static const struct rig_device *find_device(const struct rig *rig, const char *id, size_t length)
{
    for (size_t i = 0; i < rig->device_count; i++)
        if (strlen(rig->devices[i].id) == length && strncmp(rig->devices[i].id, id, length) == 0)
            return &rig->devices[i];
    return NULL;
}

static int check_names(const struct rig *rig, const char *list, struct error *error)
{
    for (const char *at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        if (!find_device(rig, at, strcspn(at, ",")))
            return error_set(error, ERROR_OWNER_FILE, ERROR_NOT_FOUND, "%s: there is no device '%.*s'", rig->file, (int)strcspn(at, ","),
                             at);
    return 0;
}

static int check_device(const struct rig_device *device, bool wants_proof, struct error *error)
{
    if (!device->serial)
        return error_set(
            error, ERROR_OWNER_FILE, ERROR_USAGE,
            "%s: '%s' has no port: a virtual DK lives only during a run, a program has no modem; start dpsbench-vdk, and name its pty "
            "in `serial`",
            device->place, device->id);
    if (wants_proof && !rig_device_has_hook(device, RIG_HOOK_RESET))
        return error_set(
            error, ERROR_OWNER_FILE, ERROR_USAGE,
            "%s: '%s' has no hook `reset`: after its credentials are written, the device must start anew to register; or --no-proof",
            device->place, device->id);
    return 0;
}

static int choose(const struct rig *rig, const char *list, bool wants_proof, struct board_report *boards, size_t *ret_count,
                  struct error *error)
{
    bool takes_all = !list || strcmp(list, "all") == 0;
    *ret_count = 0;
    if (!takes_all && check_names(rig, list, error))
        return -1;
    for (size_t i = 0; i < rig->device_count; i++) {
        const struct rig_device *device = &rig->devices[i];
        if (takes_all ? !device->is_connected : !is_named(list, device->id))
            continue;
        if (check_device(device, wants_proof, error))
            return -1;
        boards[(*ret_count)++] = (struct board_report){.device = device};
    }
    return 0;
}

/* ---- one board, in a process of its own ---- */

static int print_answer(const struct board_result *result, const char *outcome, const char *words)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (!json || json_set_string(json, "outcome", outcome) || json_set_string(json, "imei", result->imei) ||
        json_set_string(json, "registration_id", result->registration_id) || json_set_string(json, "text", words))
        return EXIT_OUR_BUG;
    CLEANUP_FREE char *line = json_print_line(json);
    return line ? (puts(line), EXIT_ALL_PASSED) : EXIT_OUR_BUG;
}

static int run_board(const struct provision_arguments *arguments, const struct rig *rig, struct waiting *waiting)
{
    CLEANUP(provision_job_done) struct provision_job job = {0};
    struct board_result result = {.was_done = false};
    struct error error = ERROR_INIT;
    const struct rig_device *device = find_device(rig, arguments->board, strlen(arguments->board));
    int rc = !device ? error_set(&error, ERROR_OWNER_FILE, ERROR_NOT_FOUND, "%s: there is no device '%s'", rig->file, arguments->board)
                     : read_job(arguments, rig, &job, &error) || board_provision(&job, device, waiting, &result, &error);
    if (rc == 0)
        return print_answer(&result, board_outcome_name(result.was_done ? BOARD_ALREADY : BOARD_DONE), result.text);
    int code = command_fail(&error);
    print_answer(&result, board_outcome_name(error.code == ERROR_INTERRUPTED ? BOARD_STOPPED : BOARD_FAILED), error.text);
    return code;
}

/* ---- the simulator ---- */

DEFINE_CLEANUP(struct control *, control_close)

static bool is_of_ca(const cJSON *group, const X509 *ca)
{
    CLEANUP_X509 X509 *certificate = NULL;
    const char *path = "attestation.x509.signingCertificates.primary.certificate";
    const cJSON *pem = json_path(group, path);
    if (!cJSON_IsString(pem) || certificate_read_text(pem->valuestring, strlen(pem->valuestring), "group", &certificate, NULL))
        return false;
    return X509_cmp(certificate, ca) == 0;
}

static cJSON *group_json(const char *name, const X509 *ca)
{
    CLEANUP(bytes_done) struct bytes pem = {.max_bytes = PRIVATE_KEY_TEXT_MAX_BYTES};
    CLEANUP_JSON cJSON *group = cJSON_CreateObject(), *primary = cJSON_CreateObject(), *signing = cJSON_CreateObject(),
                       *x509 = cJSON_CreateObject(), *attestation = cJSON_CreateObject(), *params = cJSON_CreateObject();
    if (certificate_append_pem(ca, &pem) || json_set_string(primary, "certificate", bytes_text(&pem)) ||
        json_set(signing, "primary", TAKE(primary)) || json_set(x509, "signingCertificates", TAKE(signing)) ||
        json_set_string(attestation, "type", "x509") || json_set(attestation, "x509", TAKE(x509)) ||
        json_set_string(group, "enrollmentGroupId", name) || json_set(group, "attestation", TAKE(attestation)) ||
        json_set_string(group, "provisioningStatus", "enabled") || json_set(params, "enrollmentGroup", TAKE(group)))
        return NULL;
    return TAKE(params);
}

static int check_scope(const struct rig *rig, const cJSON *ready, struct error *error)
{
    const char *scope = json_string(ready, "id_scope", "");
    for (size_t i = 0; i < rig->device_count; i++)
        if (rig->devices[i].is_connected && strcmp(rig->devices[i].id_scope, scope) != 0)
            return error_set(error, ERROR_OWNER_FILE, ERROR_CONFLICT, "%s: id_scope '%s', and the simulator has '%s'",
                             rig->devices[i].place, rig->devices[i].id_scope, scope);
    return 0;
}

static cJSON *root_json(const char *name, const X509 *root)
{
    CLEANUP(bytes_done) struct bytes pem = {.max_bytes = PRIVATE_KEY_TEXT_MAX_BYTES};
    CLEANUP_JSON cJSON *certificate = cJSON_CreateObject(), *properties = cJSON_CreateObject(), *params = cJSON_CreateObject();
    if (certificate_append_pem(root, &pem) || json_set_string(properties, "certificate", bytes_text(&pem)) ||
        json_set_bool(properties, "isVerified", true) || json_set_string(certificate, "name", name) ||
        json_set(certificate, "properties", TAKE(properties)) || json_set(params, "certificate", TAKE(certificate)))
        return NULL;
    return TAKE(params);
}

/* As Azure wants it: the root uploaded and verified, the group with the CA that signs. */
static int make_group(const struct provision_arguments *arguments, const struct provision_job *job, struct control *control,
                      struct error *error)
{
    deadline_t deadline = deadline_in_ms(&clock_system, CONTROL_DEADLINE_MS);
    CLEANUP_X509 X509 *root = NULL;
    const X509 *ca = job->issuer.certificate;
    if (arguments->ca_root && certificate_read_file(arguments->ca_root, &root, error))
        return -1;
    if (!root && !certificate_is_self_issued(ca))
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "--enroll: DPS must know the root above '%s' too: --ca-root FILE",
                         arguments->ca);
    return control_call(control, "certificate.put", root_json(arguments->enroll, root ? root : ca), deadline, NULL, error) ||
                   control_call(control, "enrollmentGroup.put", group_json(arguments->enroll, ca), deadline, NULL, error)
               ? -1
               : 0;
}

static int enroll(const struct provision_arguments *arguments, const struct provision_job *job, struct control *control,
                  struct error *error)
{
    CLEANUP_JSON cJSON *groups = NULL, *singles = NULL;
    deadline_t deadline = deadline_in_ms(&clock_system, CONTROL_DEADLINE_MS);
    const cJSON *group;
    if (control_call(control, "enrollmentGroup.list", NULL, deadline, &groups, error))
        return -1;
    cJSON_ArrayForEach(group, json_member(groups, "value"))
    {
        if (is_of_ca(group, job->issuer.certificate))
            return 0;
    }
    if (arguments->enroll)
        return make_group(arguments, job, control, error);
    /* A group by CA reference, an uploaded root, individual enrollments: the simulator judges. */
    if (cJSON_GetArraySize(json_member(groups, "value")) > 0)
        return 0;
    if (control_call(control, "enrollment.list", NULL, deadline, &singles, error))
        return -1;
    if (cJSON_GetArraySize(json_member(singles, "value")) > 0)
        return 0;
    return error_set(error, ERROR_OWNER_FILE, ERROR_NOT_FOUND,
                     "the simulator has no enrollments: each board would be refused; --enroll NAME makes an enrollment group of '%s' there",
                     arguments->ca);
}

static int prepare_simulator(const struct provision_arguments *arguments, const struct rig *rig, const struct provision_job *job,
                             struct waiting *waiting, struct error *error)
{
    CLEANUP(control_close_cleanup) struct control *control = NULL;
    char name[48];
    if (!job->ready)
        return 0;
    snprintf(name, sizeof name, "provision-%d", (int)getpid());
    const struct control_options options_of_control = {
        .waiting = waiting, .ready = job->ready, .name = name, .deadline = deadline_in_ms(&clock_system, CONTROL_DEADLINE_MS)};
    return check_scope(rig, job->ready, error) || control_open(&options_of_control, &control, error) ||
                   enroll(arguments, job, control, error)
               ? -1
               : 0;
}

/* ---- all boards ---- */

struct view {
    size_t total;
    bool is_quiet;
};

static void tell(void *user, const struct board_report *report, size_t ended)
{
    const struct view *view = user;
    FILE *file = view->is_quiet ? stderr : stdout;
    fprintf(file, "%3zu/%zu  %-16s %-8s %-24s %6.1f s  %s\n", ended, view->total, report->device->id, board_outcome_name(report->outcome),
            json_string(report->answer, "registration_id", ""), (double)report->duration_ms / 1000,
            json_string(report->answer, "text", ""));
    fflush(file);
}

static size_t count_of(const struct board_report *boards, size_t count, enum board_outcome outcome)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++)
        found += boards[i].outcome == outcome;
    return found;
}

static int add_board(cJSON *list, const struct board_report *board)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (!json || json_set_string(json, "device", board->device->id) ||
        json_set_string(json, "outcome", board_outcome_name(board->outcome)) ||
        json_set_string(json, "imei", json_string(board->answer, "imei", NULL)) ||
        json_set_string(json, "registration_id", json_string(board->answer, "registration_id", NULL)) ||
        json_set_string(json, "text", json_string(board->answer, "text", NULL)) ||
        json_set_integer(json, "duration_ms", board->duration_ms))
        return -1;
    return cJSON_AddItemToArray(list, TAKE(json)) ? 0 : -1;
}

static int print_json(const struct board_report *boards, size_t count)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject(), *list = cJSON_CreateArray();
    for (size_t i = 0; list && i < count; i++)
        if (add_board(list, &boards[i]))
            return EXIT_OUR_BUG;
    if (!json || json_set_integer(json, "v", 1) || json_set(json, "boards", TAKE(list)))
        return EXIT_OUR_BUG;
    for (int outcome = BOARD_WAITS; outcome <= BOARD_STOPPED; outcome++)
        if (outcome != BOARD_RUNS && json_set_integer(json, board_outcome_name((enum board_outcome)outcome),
                                                      (int64_t)count_of(boards, count, (enum board_outcome)outcome)))
            return EXIT_OUR_BUG;
    CLEANUP_FREE char *printed = json_print_pretty(json);
    return printed ? (fputs(printed, stdout), EXIT_ALL_PASSED) : EXIT_OUR_BUG;
}

/* A board's own exit code; of several the gravest for a line: our bug, then a board, then the rig, then a file. */
static int exit_code(const struct board_report *boards, size_t count)
{
    static const int order[] = {EXIT_OUR_BUG, EXIT_DEVICE_FAILED, EXIT_RIG_TROUBLE, EXIT_USAGE, EXIT_INTERRUPTED};
    for (size_t k = 0; k < ARRAY_COUNT(order); k++)
        for (size_t i = 0; i < count; i++)
            if (boards[i].outcome == BOARD_FAILED && boards[i].exit_code == order[k])
                return order[k] == EXIT_USAGE ? EXIT_DEVICE_FAILED : order[k];
    return count_of(boards, count, BOARD_FAILED) ? EXIT_DEVICE_FAILED : EXIT_ALL_PASSED;
}

static int finish(const struct provision_arguments *arguments, const struct board_report *boards, size_t count, const struct error *error)
{
    size_t failed = count_of(boards, count, BOARD_FAILED),
           left = count_of(boards, count, BOARD_WAITS) + count_of(boards, count, BOARD_STOPPED);
    int code = error->code ? command_fail(error) : exit_code(boards, count);
    if (arguments->wants_json && print_json(boards, count))
        return EXIT_OUR_BUG;
    if (!arguments->wants_json)
        printf("%zu done, %zu done before, %zu failed%s; manifest: %s/manifest.csv\n", count_of(boards, count, BOARD_DONE),
               count_of(boards, count, BOARD_ALREADY), failed, left ? ", the others not started or stopped: the same command goes on" : "",
               arguments->out);
    return code;
}

static int lock_out(const char *out, int *ret_fd, struct error *error)
{
    if (dir_make(out, 0755, error))
        return -1;
    struct error why = ERROR_INIT;
    if (dir_lock(out, ret_fd, &why) == 0)
        return 0;
    if (why.code != ERROR_BUSY)
        return (int)(*error = why, -1);
    return error_set(error, ERROR_OWNER_FILE, ERROR_BUSY,
                     "'%s' is in use by another `dpsbench provision`: end that one, or name another folder", out);
}

/* The same words, for a worker: argv[0] is "dpsbench provision". */
static int worker_words(int argc, char **argv, const char *program, const char **words, struct error *error)
{
    if (argc > WORKER_ARGUMENTS_MAX)
        return error_set(error, ERROR_OWNER_FILE, ERROR_LIMIT, "more than %d arguments", WORKER_ARGUMENTS_MAX);
    words[0] = program;
    words[1] = "provision";
    for (int i = 1; i <= argc; i++)
        words[i + 1] = argv[i];
    return 0;
}

struct line_parts {
    struct provision_job job;
    struct board_report boards[RIG_DEVICES_MAX];
    size_t count;
    int lock_fd;
};

static void line_parts_done(struct line_parts *parts)
{
    provision_job_done(&parts->job);
    board_reports_done(parts->boards, parts->count);
    cleanup_fd(&parts->lock_fd);
}

static int run_all(const struct provision_arguments *arguments, const struct rig *rig, struct waiting *waiting, int argc, char **argv)
{
    CLEANUP(line_parts_done) struct line_parts parts = {.lock_fd = -1};
    CLEANUP_FREE char *program = NULL;
    const char *words[WORKER_ARGUMENTS_MAX + 3];
    struct error error = ERROR_INIT;
    if (read_job(arguments, rig, &parts.job, &error) ||
        choose(rig, arguments->devices, parts.job.ready != NULL, parts.boards, &parts.count, &error) ||
        place_program("dpsbench", &program, &error) || worker_words(argc, argv, program, words, &error) ||
        lock_out(arguments->out, &parts.lock_fd, &error) || prepare_simulator(arguments, rig, &parts.job, waiting, &error))
        return command_fail(&error);
    struct view view = {.total = parts.count, .is_quiet = arguments->wants_json};
    const struct provision_options line = {.waiting = waiting,
                                           .argv = words,
                                           .out = arguments->out,
                                           .boards = parts.boards,
                                           .count = parts.count,
                                           .jobs = (size_t)arguments->jobs,
                                           .on_end = tell,
                                           .user = &view};
    provision_run(&line, &error);
    return finish(arguments, parts.boards, parts.count, &error);
}

int cli_provision(int argc, char **argv)
{
    static const struct argp argp = {.options = options, .parser = take, .doc = text};
    struct provision_arguments arguments = {.days = DAYS_DEFAULT, .sec_tag = -1, .jobs = JOBS_DEFAULT, .timeout_s = TIMEOUT_S};
    CLEANUP(rig_done) struct rig rig = {0};
    struct waiting *waiting = NULL;
    struct error error = ERROR_INIT;
    uv_loop_t loop;
    command_parse(&argp, argc, argv, &arguments);
    if (rig_read_file(arguments.rig, &rig, &error))
        return command_fail(&error);
    uv_loop_init(&loop);
    const struct waiting_options waiting_options = {.loop = &loop, .clock = &clock_system};
    int code = waiting_new(&waiting_options, &waiting, &error) ? command_fail(&error)
               : arguments.board                               ? run_board(&arguments, &rig, waiting)
                                                               : run_all(&arguments, &rig, waiting, argc, argv);
    waiting_free(waiting);
    for (int i = 0; i < CLOSE_TURNS_MAX && uv_run(&loop, UV_RUN_NOWAIT); i++)
        ;
    uv_loop_close(&loop);
    return code;
}
