/* dpsbench credentials: list, delete, imei, attoken, wear; and the order of words of nrfcredstore */
#include "harness/cli/cli_credentials.h"
#include "base/arguments.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "harness/cli/cli.h"
#include "harness/credentials/attestation_token.h"
#include "reports/result.h"

#include <inttypes.h>
#include <string.h>

int credentials_print_json(cJSON *json)
{
    CLEANUP_FREE char *printed = json ? json_print_pretty(json) : NULL;
    cJSON_Delete(json);
    if (!printed)
        return EXIT_OUR_BUG;
    fputs(printed, stdout);
    return EXIT_ALL_PASSED;
}

/* ---- list ---- */

static const cJSON *find_wear(const cJSON *rows, uint32_t sec_tag, int type)
{
    const cJSON *row;
    cJSON_ArrayForEach(row, rows)
    {
        if (json_integer(row, "sec_tag", -1) == sec_tag && json_integer(row, "type", -1) == type)
            return row;
    }
    return NULL;
}

static bool is_asked_for(const struct credential_arguments *arguments, const struct credential_entry *entry)
{
    return (arguments->sec_tag == CREDENTIAL_TAG_NONE || entry->sec_tag == arguments->sec_tag) &&
           (!arguments->kind || entry->type == arguments->kind->type);
}

static void print_list(const struct credential_arguments *arguments, const struct credential_list *list, const cJSON *wear)
{
    printf("%-12s %-18s %-64s%s\n", "Secure tag", "Key type", "SHA", wear ? " WRITES" : "");
    for (size_t i = 0; i < list->count; i++) {
        const struct credential_entry *entry = &list->entries[i];
        if (!is_asked_for(arguments, entry))
            continue;
        printf("%-12u %-18s %-64s", entry->sec_tag, credential_kind_word(entry->type), entry->sha256);
        const cJSON *row = wear ? find_wear(wear, entry->sec_tag, entry->type) : NULL;
        if (wear)
            printf(" %" PRId64, json_integer(row, "writes", 0) + json_integer(row, "key_generations", 0));
        putchar('\n');
    }
}

static int add_entry(cJSON *entries, const struct credential_entry *entry, const cJSON *wear)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    const cJSON *row = find_wear(wear, entry->sec_tag, entry->type);
    if (!json || json_set_integer(json, "sec_tag", entry->sec_tag) || json_set_integer(json, "type", entry->type) ||
        json_set_string(json, "word", credential_kind_word(entry->type)) || json_set_string(json, "sha256", entry->sha256) ||
        json_set_bool(json, "is_placeholder", credential_is_placeholder(entry->sha256)) ||
        (row && (json_set_integer(json, "writes", json_integer(row, "writes", 0)) ||
                 json_set_integer(json, "deletions", json_integer(row, "deletions", 0)) ||
                 json_set_integer(json, "key_generations", json_integer(row, "key_generations", 0)))))
        return -1;
    return cJSON_AddItemToArray(entries, TAKE(json)) ? 0 : -1;
}

static cJSON *list_json(const struct credential_arguments *arguments, const struct credential_session *session,
                        const struct credential_list *list, const cJSON *wear)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject(), *entries = cJSON_CreateArray();
    for (size_t i = 0; entries && i < list->count; i++)
        if (is_asked_for(arguments, &list->entries[i]) && add_entry(entries, &list->entries[i], wear))
            return NULL;
    if (!json || !entries || json_set_integer(json, "v", CREDENTIALS_VERSION) ||
        json_set(json, "device", credential_device_json(session)) || json_set(json, "credentials", TAKE(entries)))
        return NULL;
    return TAKE(json);
}

static int list(const struct credential_arguments *arguments, struct credential_session *session, struct error *error)
{
    CLEANUP_FREE struct credential_list *found = calloc(1, sizeof *found);
    CLEANUP_JSON cJSON *wear = NULL;
    if (!found)
        return error_set_memory(error);
    if (modem_link_list(session->link, found, error))
        return -1;
    if (arguments->wants_wear && session->ledger && wear_ledger_read(session->ledger, modem_link_wear_id(session->link), &wear, error))
        return -1;
    if (arguments->wants_json)
        return credentials_print_json(list_json(arguments, session, found, wear));
    print_list(arguments, found, wear);
    return EXIT_ALL_PASSED;
}

/* ---- delete ---- */

static int delete_slot(const struct credential_arguments *arguments, struct credential_session *session, struct error *error)
{
    bool was_there = false;
    const char *word = arguments->kind->word;
    if (arguments->is_dry_run) {
        printf("%s in secure tag %lld would be deleted\n", word, (long long)arguments->sec_tag);
        return EXIT_ALL_PASSED;
    }
    if (modem_link_delete(session->link, (uint32_t)arguments->sec_tag, arguments->kind->type, &was_there, error))
        return error_prefix(error, "sec tag %lld, %s", (long long)arguments->sec_tag, word);
    if (!was_there)
        return error_set(error, ERROR_OWNER_DEVICE, ERROR_NOT_FOUND,
                         "sec tag %lld, %s: there is no such credential (CME 513); `dpsbench credentials list` shows those that are there",
                         (long long)arguments->sec_tag, word);
    printf("%s in secure tag %lld deleted\n", word, (long long)arguments->sec_tag);
    return EXIT_ALL_PASSED;
}

/* What is above belongs to the modem itself. */
static bool is_deletable(const struct credential_entry *entry)
{
    return entry->sec_tag <= CREDENTIAL_SEC_TAG_MAX;
}

static int delete_all(const struct credential_arguments *arguments, struct credential_session *session, struct error *error)
{
    CLEANUP_FREE struct credential_list *found = calloc(1, sizeof *found);
    if (!found)
        return error_set_memory(error);
    if (modem_link_list(session->link, found, error))
        return -1;
    for (size_t i = 0; i < found->count; i++) {
        const struct credential_entry *entry = &found->entries[i];
        if (!is_deletable(entry))
            continue;
        if (!arguments->is_dry_run && modem_link_delete(session->link, entry->sec_tag, entry->type, NULL, error))
            return error_prefix(error, "sec tag %u, %s", entry->sec_tag, credential_kind_word(entry->type));
        printf("%s in secure tag %u %s\n", credential_kind_word(entry->type), entry->sec_tag,
               arguments->is_dry_run ? "would be deleted" : "deleted");
    }
    puts(arguments->is_dry_run ? "nothing was deleted" : "All credentials deleted.");
    return EXIT_ALL_PASSED;
}

static int imei(const struct credential_arguments *arguments, struct credential_session *session, struct error *error)
{
    const char *text = modem_link_identity(session->link)->imei;
    (void)arguments;
    if (!*text)
        return error_set(error, ERROR_OWNER_DEVICE, ERROR_NOT_FOUND, "AT+CGSN: the modem has no IMEI");
    printf("IMEI: %s\n", text);
    return EXIT_ALL_PASSED;
}

/* ---- the attestation token ---- */

static cJSON *token_json(const struct credential_session *session, const char *text, const struct attestation_token *token)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (!json || json_set_integer(json, "v", CREDENTIALS_VERSION) || json_set(json, "device", credential_device_json(session)) ||
        json_set_string(json, "token", text) || json_set_string(json, "device_uuid", token->device_uuid) ||
        json_set_integer(json, "device_type", token->device_type) || json_set_string(json, "modem_firmware_uuid", token->firmware_uuid) ||
        json_set_string(json, "nonce", token->nonce))
        return NULL;
    return TAKE(json);
}

static int attest(const struct credential_arguments *arguments, struct credential_session *session, struct error *error)
{
    CLEANUP(bytes_done) struct bytes text = {0};
    struct attestation_token token;
    if (modem_link_attest(session->link, arguments->challenge, &text, error) ||
        attestation_token_read(bytes_text(&text), text.length_bytes, arguments->challenge, &token, error))
        return -1;
    if (arguments->wants_json)
        return credentials_print_json(token_json(session, bytes_text(&text), &token));
    printf("Attestation token: %s\n", bytes_text(&text));
    return EXIT_ALL_PASSED;
}

/* ---- the ledger ---- */

static void print_wear(const cJSON *rows)
{
    const cJSON *row;
    printf("%-24s %-12s %-18s %7s %9s %8s\n", "DEVICE", "SEC TAG", "TYPE", "WRITES", "DELETIONS", "KEYS");
    cJSON_ArrayForEach(row, rows)
    {
        printf("%-24s %-12lld %-18s %7lld %9lld %8lld\n", json_string(row, "device", ""), (long long)json_integer(row, "sec_tag", 0),
               credential_kind_word((int)json_integer(row, "type", 0)), (long long)json_integer(row, "writes", 0),
               (long long)json_integer(row, "deletions", 0), (long long)json_integer(row, "key_generations", 0));
    }
}

static int read_wear(const struct credential_arguments *arguments, struct wear_ledger **ret_ledger, cJSON **ret_rows, struct error *error)
{
    CLEANUP_FREE char *path = arguments->ledger ? strdup(arguments->ledger) : wear_ledger_default_path();
    if (!path)
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "where is the ledger? --ledger FILE, or set HOME or XDG_STATE_HOME");
    return wear_ledger_open(path, ret_ledger, error) || wear_ledger_read(*ret_ledger, arguments->device, ret_rows, error) ? -1 : 0;
}

static int show_wear(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"device", CREDENTIAL_OPTION_DEVICE, "ID", 0, "This one alone, as the list names it: imei:352656100000001", 1},
        {"ledger", CREDENTIAL_OPTION_LEDGER, "FILE", 0, "The ledger (default: DPSBENCH_LEDGER, else a file in your state folder)", 1},
        CREDENTIAL_JSON_OPTION,
        {0}};
    static const struct argp argp = {
        .options = options,
        .doc = "How often each credential slot of each device was written, by all runs and commands so far."
               "\vExamples:\n  dpsbench credentials wear\n  dpsbench credentials wear --device imei:352656100000001 "
               "--json\n"};
    struct credential_arguments arguments;
    CLEANUP_JSON cJSON *rows = NULL;
    struct wear_ledger *ledger = NULL;
    struct error error = ERROR_INIT;
    credential_arguments_parse(&argp, argc, argv, &arguments);
    int rc = read_wear(&arguments, &ledger, &rows, &error);
    wear_ledger_close(ledger);
    if (rc)
        return command_fail(&error);
    if (arguments.wants_json)
        return credentials_print_json(TAKE(rows));
    print_wear(rows);
    return EXIT_ALL_PASSED;
}

/* ---- how the commands run ---- */

int credentials_run(const struct credential_arguments *arguments, credentials_work *work)
{
    struct credential_session session;
    struct error error = ERROR_INIT;
    int code = credential_session_open(arguments, &session, &error) ? -1 : work(arguments, &session, &error);
    return credential_session_close(&session, code < 0 ? command_fail(&error) : code);
}

void credentials_refuse_words(const struct credential_arguments *arguments, size_t from)
{
    if (arguments->word_count <= from)
        return;
    log_error("'%s' is one argument too many%s", arguments->words[from],
              arguments->port || arguments->rig ? "" : "; a port is a path: /dev/ttyACM0");
    exit(EXIT_USAGE);
}

static int run_list(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"tag", CREDENTIAL_OPTION_TAG, "N", 0, "This sec tag alone", 1},
        {"type", CREDENTIAL_OPTION_TYPE, "TYPE", 0, "This type alone: ROOT_CA_CERT, CLIENT_CERT, CLIENT_KEY, PSK ...; ANY (default)", 1},
        {"wear", CREDENTIAL_OPTION_WEAR, NULL, 0, "With the number of times that each was written (the wear ledger)", 1},
        CREDENTIAL_JSON_OPTION,
        CREDENTIAL_DEVICE_OPTIONS,
        {0}};
    static const struct argp argp = {.options = options,
                                     .args_doc = "PORT",
                                     .doc = "List the credentials in the modem. Nothing is changed: the device keeps its connection."
                                            "\vExamples:\n  dpsbench credentials list /dev/ttyACM0\n"
                                            "  dpsbench credentials list --rig rig.yaml --tag 56 --json\n"};
    struct credential_arguments arguments;
    credential_arguments_parse(&argp, argc, argv, &arguments);
    credentials_refuse_words(&arguments, 0);
    return credentials_run(&arguments, list);
}

static int run_delete(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"dry-run", CREDENTIAL_OPTION_DRY_RUN, NULL, 0, "Say what would be done, do nothing", 1}, CREDENTIAL_DEVICE_OPTIONS, {0}};
    static const struct argp argp = {.options = options,
                                     .args_doc = "PORT SECTAG TYPE",
                                     .doc = "Delete one credential."
                                            "\vExamples:\n  dpsbench credentials delete /dev/ttyACM0 56 CLIENT_CERT\n"};
    struct credential_arguments arguments;
    struct error error = ERROR_INIT;
    credential_arguments_parse(&argp, argc, argv, &arguments);
    credentials_refuse_words(&arguments, 2);
    if (arguments.word_count < 2)
        return command_fail(
            (error_set(&error, ERROR_OWNER_FILE, ERROR_USAGE, "what is to be deleted? SECTAG TYPE, as in: 56 CLIENT_CERT"), &error));
    if (credential_tag_read(arguments.words[0], &arguments.sec_tag, &error) ||
        credential_kind_read(arguments.words[1], &arguments.kind, &error))
        return command_fail(&error);
    return credentials_run(&arguments, delete_slot);
}

static int run_delete_all(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"dry-run", CREDENTIAL_OPTION_DRY_RUN, NULL, 0, "Say what would be done, do nothing", 1}, CREDENTIAL_DEVICE_OPTIONS, {0}};
    static const struct argp argp = {.options = options,
                                     .args_doc = "PORT",
                                     .doc = "Delete all credentials but the modem's own (sec tags above 2147483647)."
                                            "\vExamples:\n  dpsbench credentials deleteall /dev/ttyACM0 --dry-run\n"};
    struct credential_arguments arguments;
    credential_arguments_parse(&argp, argc, argv, &arguments);
    credentials_refuse_words(&arguments, 0);
    return credentials_run(&arguments, delete_all);
}

static int run_imei(int argc, char **argv)
{
    static const struct argp_option options[] = {CREDENTIAL_DEVICE_OPTIONS, {0}};
    static const struct argp argp = {.options = options, .args_doc = "PORT", .doc = "Print the modem's IMEI."};
    struct credential_arguments arguments;
    credential_arguments_parse(&argp, argc, argv, &arguments);
    credentials_refuse_words(&arguments, 0);
    return credentials_run(&arguments, imei);
}

static int check_challenge(const char *challenge, struct error *error)
{
    enum { DIGITS = ATTESTATION_NONCE_TEXT_BYTES - 1 };
    if (!challenge || (strlen(challenge) == DIGITS && strspn(challenge, "0123456789abcdefABCDEF") == DIGITS))
        return 0;
    return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "--challenge '%.80s': %d hexadecimal digits", challenge, DIGITS);
}

static int run_attest(int argc, char **argv)
{
    static const struct argp_option options[] = {{"challenge", CREDENTIAL_OPTION_CHALLENGE, "HEX", 0,
                                                  "32 hexadecimal digits that the token must contain, so that it is no old one", 1},
                                                 CREDENTIAL_JSON_OPTION,
                                                 CREDENTIAL_DEVICE_OPTIONS,
                                                 {0}};
    static const struct argp argp = {
        .options = options,
        .args_doc = "PORT",
        .doc = "Print the modem's attestation token: who it is (device UUID, modem firmware), signed with the key of its identity. "
               "Its form is checked; its signature can only be checked by Nordic's cloud. Needs modem firmware 1.3.0 or newer."
               "\vExamples:\n  dpsbench credentials attoken /dev/ttyACM0\n"
               "  dpsbench credentials attoken /dev/ttyACM0 --json\n"};
    struct credential_arguments arguments;
    struct error error = ERROR_INIT;
    credential_arguments_parse(&argp, argc, argv, &arguments);
    credentials_refuse_words(&arguments, 0);
    return check_challenge(arguments.challenge, &error) ? command_fail(&error) : credentials_run(&arguments, attest);
}

const struct command cli_credentials_commands[] = {
    {"list", "List the credentials in the modem, with their SHA-256", run_list, NULL},
    {"plan", "Show what writing these files would change, by SHA-256", credentials_plan, NULL},
    {"write", "Write files into the modem: checked together first, only what differs, verified", credentials_write, NULL},
    {"verify", "Compare the modem with local files, and say what is wrong", credentials_verify, NULL},
    {"delete", "Delete one credential", run_delete, NULL},
    {"deleteall", "Delete all credentials but the modem's own", run_delete_all, NULL},
    {"keygen", "A key made in the modem: CSR, and with a CA its certificate, written and verified", credentials_keygen, NULL},
    {"generate", "As keygen, by the word of nrfcredstore", credentials_keygen, NULL},
    {"imei", "Print the modem's IMEI", run_imei, NULL},
    {"attoken", "Print the modem's attestation token, or what it says", run_attest, NULL},
    {"wear", "How often each slot of each device was written", show_wear, NULL},
    {NULL, NULL, NULL, NULL},
};

static const char intro[] = "The credentials in a modem: what nrfcredstore does, and what it lacks\v"
                            "Examples:\n"
                            "  dpsbench credentials list /dev/ttyACM0\n"
                            "  dpsbench credentials verify /dev/ttyACM0 --tag 56 --root root.pem --cert chain.pem --key device.key\n"
                            "  dpsbench credentials /dev/ttyACM0 write 56 CLIENT_CERT chain.pem\n"
                            "The port may stand before the command, as with nrfcredstore.";

/* nrfcredstore PORT COMMAND ...: the port goes behind the command. */
int cli_credentials(int argc, char **argv)
{
    if (argc > 2 && strchr(argv[1], '/')) {
        char *port = argv[1];
        argv[1] = argv[2];
        argv[2] = port;
    }
    return command_dispatch(cli_credentials_commands, "dpsbench credentials", intro, argc, argv);
}
