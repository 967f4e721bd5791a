#include "harness/provision/board.h"

#include "base/cleanup.h"
#include "base/files.h"
#include "base/log.h"
#include "harness/credentials/credential_match.h"
#include "harness/device/dialect.h"
#include "harness/provision/device_key.h"
#include "harness/provision/manifest.h"
#include "harness/provision/registration_proof.h"
#include "harness/rig/place.h"

#include <libgen.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <string.h>

enum { STATE_VERSION = 1, FOLDER_MODE = 0755, FILE_MODE = 0644, PEM_MAX_BYTES = 64 * 1024 };

struct board {
    const struct provision_job *job;
    const struct rig_device *device;
    struct waiting *waiting;
    struct board_result *result;
    struct manifest *manifest;
    struct dialect *dialect;
    struct modem_link *link;
    struct credential_list *list; /* what the modem holds */
    uint32_t sec_tag;
    char *folder; /* OUT/boards/IMEI */
    cJSON *state; /* OUT/boards/IMEI/state.json: what an earlier start has done */
    int imei_claim;
    int id_claim;
    X509_REQ *request;
    X509 *leaf;
    struct bytes chain; /* as it is to be stored */
    cJSON *proof;       /* NULL: not asked for */
    bool is_verified;
};

void provision_job_done(struct provision_job *job)
{
    if (!job)
        return;
    bytes_done(&job->root);
    issuer_done(&job->issuer);
    wear_ledger_close(job->ledger);
    cJSON_Delete(job->ready);
    *job = (struct provision_job){0};
}

static int board_file(const struct board *board, const char *name, char **ret_path, struct error *error)
{
    *ret_path = path_join(board->folder, name);
    return *ret_path ? 0 : error_set_memory(error);
}

/* ---- the registration id ---- */

struct placeholder {
    const char *name;
    const char *value;
};

/* The text between braces, NULL: no such name. */
static const char *value_of(const struct placeholder *placeholders, size_t count, const char *name, size_t length)
{
    for (size_t i = 0; i < count; i++)
        if (strlen(placeholders[i].name) == length && strncmp(placeholders[i].name, name, length) == 0)
            return placeholders[i].value;
    return NULL;
}

static int expand(const char *id_template, const struct placeholder *placeholders, size_t count, struct bytes *id, struct error *error)
{
    for (const char *at = id_template; *at;) {
        const char *close = *at == '{' ? strchr(at, '}') : NULL;
        const char *value = close ? value_of(placeholders, count, at + 1, (size_t)(close - at - 1)) : NULL;
        if (*at == '{' && !value)
            return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE,
                             "--id '%s': {imei}, {device} (the rig's id) and {rig} (its registration_id) can stand there", id_template);
        if (value ? bytes_append_text(id, value) : bytes_append_byte(id, (uint8_t)*at))
            return error_set(error, ERROR_OWNER_FILE, ERROR_LIMIT, "--id '%s': longer than %d characters", id_template,
                             BOARD_ID_MAX_BYTES - 1);
        at = value ? close + 1 : at + 1;
    }
    return 0;
}

/* Azure: alphanumeric characters and - . _ : , the last one alphanumeric or a dash; 64 is X.509's limit of a CN. */
static int check_id(const char *id, struct error *error)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-";
    size_t length = strlen(id);
    bool has_good_end = length && strchr(letters, id[length - 1]);
    if (has_good_end && strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._:") == length)
        return 0;
    return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE,
                     "'%s' is no registration id: letters, digits and - . _ : are allowed, the last one a letter, a digit or a dash", id);
}

static int make_id(const char *id_template, const char *imei, const char *device, const char *rig, char *ret_id, struct error *error)
{
    const struct placeholder placeholders[] = {{"imei", imei}, {"device", device}, {"rig", rig}};
    CLEANUP(bytes_done) struct bytes id = {.max_bytes = BOARD_ID_MAX_BYTES - 1};
    if (expand(id_template, placeholders, ARRAY_COUNT(placeholders), &id, error) || check_id(bytes_text(&id), error))
        return -1;
    snprintf(ret_id, BOARD_ID_MAX_BYTES, "%s", bytes_text(&id));
    return 0;
}

int board_check_template(const char *id_template, struct error *error)
{
    char id[BOARD_ID_MAX_BYTES];
    return make_id(id_template, "352656100000000", "device", "rig", id, error);
}

/* ---- who it is ---- */

static int read_dialect(struct board *board, struct error *error)
{
    CLEANUP_FREE char *file = board->job->rig_file ? strdup(board->job->rig_file) : NULL, *path = NULL;
    if (!board->device->dialect)
        return 0;
    if (board->job->rig_file && !file)
        return error_set_memory(error);
    return place_dialect(board->device->dialect, file ? dirname(file) : NULL, &path, error) ||
                   dialect_read_file(path, &board->dialect, error)
               ? -1
               : 0;
}

static int open_link(struct board *board, struct error *error)
{
    const struct rig_device *device = board->device;
    const struct modem_link_options options = {.waiting = board->waiting,
                                               .port = {.name = device->id,
                                                        .path = device->serial,
                                                        .console_path = device->console,
                                                        .baud = (int)device->baud,
                                                        .has_flow_control = device->has_flow_control,
                                                        .transport = (enum at_transport)device->transport,
                                                        .command_max_bytes = (size_t)device->command_limit,
                                                        .tx_chunk_bytes = (size_t)device->pacing_bytes,
                                                        .tx_gap_ms = device->pacing_gap_ms,
                                                        .dialect = board->dialect},
                                               .ledger = board->job->ledger,
                                               .wear_id = device->id};
    return modem_link_open(&options, &board->link, error);
}

static int claim(struct board *board, struct error *error)
{
    const struct board_result *result = board->result;
    return manifest_claim(board->manifest, "imei", result->imei, board->device->id, &board->imei_claim, error) ||
                   manifest_claim(board->manifest, "id", result->registration_id, board->device->id, &board->id_claim, error)
               ? -1
               : 0;
}

static int identify(struct board *board, struct error *error)
{
    const struct dk_identity *identity = modem_link_identity(board->link);
    struct board_result *result = board->result;
    snprintf(result->imei, sizeof result->imei, "%s", identity->imei);
    if (!*result->imei || strspn(result->imei, "0123456789") != strlen(result->imei))
        return error_set(error, ERROR_OWNER_DEVICE, ERROR_NOT_FOUND,
                         "AT+CGSN gave no IMEI ('%s'): the modem is not provisioned by Nordic, or this is no nRF91", result->imei);
    if (make_id(board->job->id_template, result->imei, board->device->id, board->device->registration_id, result->registration_id, error))
        return -1;
    log_info("%s: IMEI %s, registration id '%s', %s", board->device->id, result->imei, result->registration_id, identity->firmware);
    return claim(board, error);
}

/* ---- what was done before ---- */

static bool is_listed(const struct board *board, int type, const char *sha256)
{
    return *sha256 && strcmp(credential_list_sha256(board->list, board->sec_tag, type), sha256) == 0;
}

static bool holds_record(const struct board *board, const cJSON *record)
{
    return json_integer(record, "sec_tag", -1) == board->sec_tag &&
           is_listed(board, CREDENTIAL_CLIENT_CERT, json_string(record, "chain_sha256", "")) &&
           is_listed(board, CREDENTIAL_ROOT_CA, json_string(record, "root_sha256", ""));
}

/* Is the record what this line would make now? */
static bool is_current(const struct board *board, const cJSON *record)
{
    char ca[SHA256_HEX_BYTES];
    certificate_sha256(board->job->issuer.certificate, ca);
    return strcmp(json_string(record, "ca_sha256", ""), ca) == 0 &&
           credential_text_is_listed(&board->job->root, board->list, json_string(record, "root_sha256", "")) &&
           strcmp(json_string(record, "registration_id", ""), board->result->registration_id) == 0 &&
           (!board->job->ready || json_member(record, "proof"));
}

static int refuse_other_board(const struct board *board, const cJSON *record, struct error *error)
{
    return error_set(
        error, ERROR_OWNER_FILE, ERROR_CONFLICT,
        "IMEI %s was provisioned as '%s' (%s) before, and the modem does not hold what was written then: another board with the same "
        "IMEI, or its credentials were changed since; --replace provisions it anew",
        board->result->imei, json_string(record, "registration_id", ""), json_string(record, "device", ""));
}

static int check_id_is_free(const struct board *board, struct error *error)
{
    const cJSON *record = manifest_find(board->manifest, "registration_id", board->result->registration_id);
    const char *imei = json_string(record, "imei", board->result->imei);
    if (strcmp(imei, board->result->imei) == 0)
        return 0;
    return error_set(error, ERROR_OWNER_FILE, ERROR_CONFLICT,
                     "the registration id '%s' belongs to the board with IMEI %s already: ids must differ; use {imei} in --id",
                     board->result->registration_id, imei);
}

/* Sets was_done. */
static int look_back(struct board *board, struct error *error)
{
    if (manifest_reread(board->manifest, error) || check_id_is_free(board, error))
        return -1;
    const cJSON *record = manifest_find(board->manifest, "imei", board->result->imei);
    if (!record || board->job->may_replace)
        return 0;
    /* The key tells boards apart. Another chain or root is a change that goes on below. */
    if (!is_listed(board, CREDENTIAL_CLIENT_KEY, json_string(record, "key_sha256", "")))
        return refuse_other_board(board, record, error);
    board->result->was_done = is_current(board, record) && holds_record(board, record);
    if (board->result->was_done)
        snprintf(board->result->text, sizeof board->result->text, "provisioned before, as '%s' on %s; the modem holds it",
                 json_string(record, "device", ""), json_string(record, "provisioned_at", "?"));
    return 0;
}

static int read_state(struct board *board, struct error *error)
{
    CLEANUP_FREE char *boards = path_join(board->job->out, "boards"), *path = NULL;
    board->folder = boards ? path_join(boards, board->result->imei) : NULL;
    if (!board->folder || board_file(board, "state.json", &path, error))
        return error_set_memory(error);
    if (dir_make(board->folder, FOLDER_MODE, error))
        return -1;
    board->state = path_exists(path) ? json_read_file(path, error) : cJSON_CreateObject();
    return board->state ? 0 : -1;
}

/* "" stands for what is not known yet. */
static int write_state(struct board *board, const char *request_sha256, const char *key_sha256, const char *uuid, struct error *error)
{
    CLEANUP_FREE char *path = NULL;
    cJSON *state = board->state;
    if (board_file(board, "state.json", &path, error))
        return -1;
    if (json_set_integer(state, "v", STATE_VERSION) || json_set_integer(state, "sec_tag", board->sec_tag) ||
        json_set_string(state, "registration_id", board->result->registration_id) ||
        json_set_string(state, "key", board->job->is_key_from_host ? "host" : "modem") ||
        json_set_string(state, "request_sha256", request_sha256) || json_set_string(state, "key_sha256", key_sha256) ||
        json_set_string(state, "device_uuid", uuid))
        return error_set_memory(error);
    return json_write_file(path, state, FILE_MODE, error);
}

/* ---- the key ---- */

/* The request that the state names. */
static int read_request(struct board *board, struct error *error)
{
    CLEANUP_FREE char *path = NULL;
    CLEANUP(bytes_done) struct bytes der = {0};
    char sha256[CREDENTIAL_SHA256_BYTES];
    if (board_file(board, "request.der", &path, error) || file_read(path, PEM_MAX_BYTES, &der, error))
        return -1;
    credential_text_sha256(&der, sha256);
    if (strcmp(sha256, json_string(board->state, "request_sha256", "")) != 0)
        return error_set(error, ERROR_OWNER_FILE, ERROR_CONFLICT, "%s: of another key", path);
    const unsigned char *at = der.data;
    board->request = d2i_X509_REQ(NULL, &at, (long)der.length_bytes);
    ERR_clear_error();
    return board->request ? 0 : error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "%s: no certificate request", path);
}

/* Killed before the modem's list was read: then the request says that the key in the slot is its own, for the state was emptied before. */
static bool is_key_of_state(const struct board *board)
{
    const char *sha256 = json_string(board->state, "key_sha256", "");
    return *sha256 ? is_listed(board, CREDENTIAL_CLIENT_KEY, sha256)
                   : credential_list_find(board->list, board->sec_tag, CREDENTIAL_CLIENT_KEY) != NULL;
}

/* An earlier start has made the key, and its request is here. */
static bool has_key(struct board *board)
{
    const cJSON *state = board->state;
    const char *kind = board->job->is_key_from_host ? "host" : "modem";
    return !board->job->may_replace && json_integer(state, "sec_tag", -1) == board->sec_tag &&
           strcmp(json_string(state, "key", ""), kind) == 0 &&
           strcmp(json_string(state, "registration_id", ""), board->result->registration_id) == 0 && is_key_of_state(board) &&
           read_request(board, NULL) == 0;
}

static int keep_request(struct board *board, const char *uuid, struct error *error)
{
    CLEANUP_FREE char *path = NULL;
    CLEANUP(bytes_done) struct bytes request = {.max_bytes = PEM_MAX_BYTES};
    unsigned char *der = NULL;
    char sha256[CREDENTIAL_SHA256_BYTES];
    int length = i2d_X509_REQ(board->request, &der);
    int rc = length <= 0 || bytes_append(&request, der, (size_t)length) ? error_set_memory(error)
                                                                        : board_file(board, "request.der", &path, error);
    OPENSSL_free(der);
    if (rc || file_write_atomic(path, request.data, request.length_bytes, FILE_MODE, error))
        return -1;
    credential_text_sha256(&request, sha256);
    return write_state(board, sha256, "", uuid, error);
}

/* The slot's hash, now that the key is there. */
static int keep_key_hash(struct board *board, struct error *error)
{
    CLEANUP_FREE char *request = strdup(json_string(board->state, "request_sha256", ""));
    CLEANUP_FREE char *uuid = strdup(json_string(board->state, "device_uuid", ""));
    if (!request || !uuid)
        return error_set_memory(error);
    return write_state(board, request, credential_list_sha256(board->list, board->sec_tag, CREDENTIAL_CLIENT_KEY), uuid, error);
}

static int make_key_in_modem(struct board *board, bool may_replace, struct error *error)
{
    char attributes[BOARD_ID_MAX_BYTES + 3];
    struct keygen_answer answer;
    snprintf(attributes, sizeof attributes, "CN=%s", board->result->registration_id);
    if (device_key_make(board->link, board->sec_tag, attributes, may_replace, &answer, error))
        return -1;
    board->request = TAKE(answer.request);
    keygen_answer_done(&answer);
    return keep_request(board, answer.uuid, error);
}

static X509_REQ *request_for(EVP_PKEY *key, const char *common_name)
{
    X509_REQ *request = X509_REQ_new();
    bool is_good = request && X509_REQ_set_version(request, X509_REQ_VERSION_1) == 1 && X509_REQ_set_pubkey(request, key) == 1 &&
                   X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(request), "CN", MBSTRING_UTF8, (const unsigned char *)common_name,
                                              -1, -1, 0) == 1 &&
                   X509_REQ_sign(request, key, EVP_sha256()) > 0;
    ERR_clear_error();
    if (is_good)
        return request;
    X509_REQ_free(request);
    return NULL;
}

static int make_key_here(struct board *board, struct error *error)
{
    CLEANUP_PKEY EVP_PKEY *key = EVP_EC_gen("P-256");
    CLEANUP(bytes_wipe) struct bytes pem = {0}, text = {0};
    if (!key || !(board->request = request_for(key, board->result->registration_id)))
        return error_set(error, ERROR_OWNER_OURS, ERROR_CRYPTO, "make a P-256 key: OpenSSL refused");
    if (private_key_pem(key, &pem, error) || credential_text(bytes_text(&pem), pem.length_bytes, &text, NULL, error))
        return -1;
    return device_write_verified(board->link, board->sec_tag, CREDENTIAL_CLIENT_KEY, &text, NULL, error) || keep_request(board, "", error)
               ? -1
               : 0;
}

/* A slot that somebody else has filled is not emptied without being asked to; one that an earlier start of ours has filled is. */
static int check_slot(const struct board *board, bool may_replace, struct error *error)
{
    if (may_replace || !credential_list_find(board->list, board->sec_tag, CREDENTIAL_CLIENT_KEY))
        return 0;
    return error_set(
        error, ERROR_OWNER_FILE, ERROR_CONFLICT,
        "sec tag %u has a CLIENT_KEY already that this line has not made: was the board provisioned elsewhere? --replace makes a new one",
        board->sec_tag);
}

static int make_key(struct board *board, struct error *error)
{
    bool may_replace = board->job->may_replace || json_member(board->state, "v");
    if (has_key(board))
        return keep_key_hash(board, error);
    /* Before the key is made: a kill right behind it leaves a key of ours in the slot. */
    if (check_slot(board, may_replace, error) || write_state(board, "", "", "", error))
        return -1;
    if (board->job->is_key_from_host ? make_key_here(board, error) : make_key_in_modem(board, may_replace, error))
        return -1;
    log_info("%s: key made %s", board->device->id, board->job->is_key_from_host ? "on this host" : "in the modem");
    return modem_link_list(board->link, board->list, error) || keep_key_hash(board, error) ? -1 : 0;
}

/* ---- the certificate ---- */

/* Is it what this start would sign? */
static bool is_leaf_wanted(const struct board *board, const X509 *leaf)
{
    CLEANUP_FREE char *cn = NULL;
    int64_t from_s, until_s;
    bool is_wanted = EVP_PKEY_eq(X509_get0_pubkey(leaf), X509_REQ_get0_pubkey(board->request)) == 1 &&
                     certificate_is_signed_by(leaf, board->job->issuer.certificate) && certificate_common_names(leaf, &cn) == 1 &&
                     strcmp(cn, board->result->registration_id) == 0 && certificate_validity(leaf, &from_s, &until_s) == 0 &&
                     until_s > clock_unix_s(&clock_system);
    ERR_clear_error();
    return is_wanted && !board->job->may_replace;
}

/* What an earlier start has signed. */
static void find_leaf(struct board *board, const char *path)
{
    CLEANUP_CHAIN x509_stack *chain = NULL;
    if (path_exists(path) && certificates_read_file(path, &chain, NULL) == 0 && is_leaf_wanted(board, sk_X509_value(chain, 0)))
        board->leaf = sk_X509_shift(chain);
}

static int sign(struct board *board, struct error *error)
{
    CLEANUP_FREE char *path = NULL;
    CLEANUP(bytes_done) struct bytes pem = {.max_bytes = PEM_MAX_BYTES};
    const struct issuer *issuer = &board->job->issuer;
    if (board_file(board, "chain.pem", &path, error))
        return -1;
    find_leaf(board, path);
    if (!board->leaf && issuer_sign(issuer, X509_REQ_get0_pubkey(board->request), board->result->registration_id,
                                    clock_unix_s(&clock_system), board->job->days, &board->leaf, error))
        return -1;
    if (issuer_append_chain(issuer, board->leaf, &pem))
        return error_set_memory(error);
    /* Kept before it is written: a certificate that left this host is never forgotten. */
    return file_write_atomic(path, bytes_text(&pem), pem.length_bytes, FILE_MODE, error) ||
                   credential_text(bytes_text(&pem), pem.length_bytes, &board->chain, NULL, error)
               ? -1
               : 0;
}

static int store(struct board *board, int type, const struct bytes *text, struct error *error)
{
    bool is_verified = true;
    const char *listed = credential_list_sha256(board->list, board->sec_tag, type);
    if (*listed && credential_text_is_listed(text, board->list, listed))
        return 0;
    if (device_write_verified(board->link, board->sec_tag, type, text, &is_verified, error))
        return -1;
    board->is_verified &= is_verified;
    return 0;
}

static int store_all(struct board *board, struct error *error)
{
    board->is_verified = true;
    if (store(board, CREDENTIAL_CLIENT_CERT, &board->chain, error) || store(board, CREDENTIAL_ROOT_CA, &board->job->root, error) ||
        modem_link_list(board->link, board->list, error))
        return -1;
    log_info("%s: chain and root written%s", board->device->id, board->is_verified ? " and verified" : "; this firmware prints no hashes");
    return 0;
}

/* ---- the proof and the record ---- */

/* A device that was assigned before goes straight to its hub, which knows it by its old certificate. */
static enum rig_hook hook_of(const struct board *board)
{
    const cJSON *record = manifest_find(board->manifest, "imei", board->result->imei);
    bool must_forget = json_member(record, "proof") && rig_device_has_hook(board->device, RIG_HOOK_CHIP_ERASE);
    return must_forget ? RIG_HOOK_CHIP_ERASE : RIG_HOOK_RESET;
}

static int prove(struct board *board, struct error *error)
{
    CLEANUP_FREE char *log_path = NULL;
    if (!board->job->ready)
        return 0;
    if (board_file(board, "hooks.log", &log_path, error))
        return -1;
    const struct proof_options options = {.waiting = board->waiting,
                                          .link = board->link,
                                          .device = board->device,
                                          .hook = hook_of(board),
                                          .ready = board->job->ready,
                                          .registration_id = board->result->registration_id,
                                          .log_path = log_path,
                                          .timeout_ms = board->job->timeout_ms};
    return registration_prove(&options, &board->proof, error);
}

static cJSON *certificate_record(const X509 *leaf)
{
    cJSON *json = certificate_json(leaf);
    cJSON_DeleteItemFromObjectCaseSensitive(json, "pem");
    return json;
}

/* As the modem lists them. */
static int add_hashes(const struct board *board, cJSON *record)
{
    static const struct {
        const char *member;
        enum credential_type type;
    } slots[] = {{"root_sha256", CREDENTIAL_ROOT_CA}, {"chain_sha256", CREDENTIAL_CLIENT_CERT}, {"key_sha256", CREDENTIAL_CLIENT_KEY}};
    char ca[SHA256_HEX_BYTES];
    certificate_sha256(board->job->issuer.certificate, ca);
    for (size_t i = 0; i < ARRAY_COUNT(slots); i++)
        if (json_set_string(record, slots[i].member, credential_list_sha256(board->list, board->sec_tag, (int)slots[i].type)))
            return -1;
    return json_set_string(record, "ca_sha256", ca);
}

/* A proof belongs to key and chain: another root does not undo it. */
static cJSON *proof_of(struct board *board)
{
    const cJSON *record = manifest_find(board->manifest, "imei", board->result->imei);
    if (!board->proof && record && is_listed(board, CREDENTIAL_CLIENT_CERT, json_string(record, "chain_sha256", "")))
        board->proof = cJSON_Duplicate(json_member(record, "proof"), true);
    return TAKE(board->proof);
}

static cJSON *make_record(struct board *board)
{
    const struct dk_identity *identity = modem_link_identity(board->link);
    const char *uuid = json_string(board->state, "device_uuid", "");
    char now[CLOCK_ISO8601_BYTES];
    CLEANUP_JSON cJSON *record = cJSON_CreateObject(), *proof = proof_of(board);
    clock_format_iso8601(clock_unix_s(&clock_system) * 1000000, now);
    if (!record || json_set_integer(record, "v", MANIFEST_VERSION) || json_set_string(record, "imei", board->result->imei) ||
        json_set_string(record, "registration_id", board->result->registration_id) ||
        json_set_string(record, "device", board->device->id) || json_set_string(record, "model", identity->model) ||
        json_set_string(record, "firmware", identity->firmware) || (*uuid && json_set_string(record, "device_uuid", uuid)) ||
        json_set_integer(record, "sec_tag", board->sec_tag) ||
        json_set_string(record, "key", board->job->is_key_from_host ? "host" : "modem") || add_hashes(board, record) ||
        json_set(record, "certificate", certificate_record(board->leaf)) || json_set_bool(record, "is_verified", board->is_verified) ||
        (proof && json_set(record, "proof", TAKE(proof))) || json_set_string(record, "provisioned_at", now))
        return NULL;
    return TAKE(record);
}

static int record_it(struct board *board, struct error *error)
{
    CLEANUP_JSON cJSON *record = make_record(board);
    if (!record)
        return error_set_memory(error);
    CLEANUP_FREE char *subject = certificate_subject(board->leaf);
    snprintf(board->result->text, sizeof board->result->text, "'%s' until %.10s%s%s", subject ? subject : "?",
             json_string(json_member(record, "certificate"), "not_after", "?"), json_member(record, "proof") ? ", registered at " : "",
             json_string(json_member(record, "proof"), "hub", ""));
    return manifest_append(board->manifest, record, error);
}

/* ---- together ---- */

static int change(struct board *board, struct error *error)
{
    return make_key(board, error) || sign(board, error) || store_all(board, error) || prove(board, error) || record_it(board, error) ? -1
                                                                                                                                     : 0;
}

static int provision(struct board *board, struct error *error)
{
    if (manifest_open(board->job->out, &board->manifest, error) || read_dialect(board, error) || open_link(board, error) ||
        identify(board, error) || modem_link_list(board->link, board->list, error) || look_back(board, error))
        return -1;
    if (board->result->was_done)
        return 0;
    if (read_state(board, error))
        return -1;
    int rc = change(board, error);
    /* After a proof there is nothing to restore; after a failure the modem goes back to where it was. */
    struct error why = ERROR_INIT;
    if (modem_link_restore(board->link, &why))
        log_warning("%s: %s", board->device->id, why.text);
    return rc;
}

static void board_done(struct board *board)
{
    if (board->link && modem_link_uncounted(board->link)->code)
        log_warning("%s: a write was not counted: %s", board->device->id, modem_link_uncounted(board->link)->text);
    modem_link_close(board->link);
    dialect_free(board->dialect);
    manifest_close(board->manifest);
    X509_REQ_free(board->request);
    X509_free(board->leaf);
    bytes_done(&board->chain);
    cJSON_Delete(board->state);
    cJSON_Delete(board->proof);
    cleanup_fd(&board->imei_claim);
    cleanup_fd(&board->id_claim);
    free(board->folder);
    free(board->list);
}

int board_provision(const struct provision_job *job, const struct rig_device *device, struct waiting *waiting,
                    struct board_result *ret_result, struct error *error)
{
    *ret_result = (struct board_result){.was_done = false};
    CLEANUP(board_done)
    struct board board = {.job = job,
                          .device = device,
                          .waiting = waiting,
                          .result = ret_result,
                          .sec_tag = job->sec_tag < 0 ? device->sec_tag : (uint32_t)job->sec_tag,
                          .imei_claim = -1,
                          .id_claim = -1,
                          .list = calloc(1, sizeof(struct credential_list))};
    return board.list ? provision(&board, error) : error_set_memory(error);
}
