#include "base/cleanup.h"
#include "certs/issuer.h"
#include "harness/credentials/attestation_token.h"
#include "harness/credentials/credential_kind.h"
#include "harness/credentials/credential_match.h"
#include "harness/credentials/keygen_answer.h"
#include "harness/credentials/wear_ledger.h"
#include "tests/unit/base/scratch.h"

#include <limits.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/wait.h>

#include "tests/cmocka.h"

enum { SEC_TAG = 56, WRITES_EACH = 40 };

/* ---- an answer of AT%KEYGEN, made by hand ---- */

static const uint8_t cose_head[] = {0xD2, 0x84, 0x43, 0xA1, 0x01, 0x26, 0xA1, 0x04, 0x41, 0x21, 0x58};

struct made_answer {
    X509_REQ *request;
    uint8_t der[1024];
    size_t der_bytes;
    uint8_t cose[256];
    size_t cose_bytes;
};

static void put(struct made_answer *made, const void *data, size_t length)
{
    memcpy(made->cose + made->cose_bytes, data, length);
    made->cose_bytes += length;
}

static void put_statement(struct made_answer *made)
{
    uint8_t payload[128] = {0x85, 0x09, 0x50}, signature[66] = {0x58, 0x40}, digest[32];
    size_t at = 3;
    memset(payload + at, 0xAB, 16);
    at += 16;
    memcpy(payload + at, (const uint8_t[]){0x42, 0x18, SEC_TAG, 0x58, 0x20}, 5);
    at += 5;
    assert_true(EVP_Digest(made->der, made->der_bytes, digest, NULL, EVP_sha256(), NULL));
    memcpy(payload + at, digest, 32);
    at += 32;
    payload[at++] = 0x50;
    at += 16;
    put(made, cose_head, sizeof cose_head);
    put(made, (const uint8_t[]){(uint8_t)at}, 1);
    put(made, payload, at);
    put(made, signature, sizeof signature);
}

static void make_answer(struct made_answer *made)
{
    CLEANUP_PKEY EVP_PKEY *key = EVP_EC_gen("P-256");
    *made = (struct made_answer){.request = X509_REQ_new()};
    unsigned char *at = made->der;
    assert_true(X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(made->request), "CN", MBSTRING_UTF8, (const unsigned char *)"dev-01",
                                           -1, -1, 0));
    assert_true(X509_REQ_set_pubkey(made->request, key) && X509_REQ_sign(made->request, key, EVP_sha256()));
    int length = i2d_X509_REQ(made->request, NULL);
    assert_true(length > 0 && (size_t)length < sizeof made->der);
    made->der_bytes = (size_t)i2d_X509_REQ(made->request, &at);
    put_statement(made);
}

static size_t append(char *text, const uint8_t *data, size_t length)
{
    int count = EVP_EncodeBlock((unsigned char *)text, data, (int)length);
    for (char *at = text; *at; at++)
        *at = (char)(*at == '+' ? '-' : *at == '/' ? '_' : *at);
    while (count && text[count - 1] == '=')
        text[--count] = 0;
    return (size_t)count;
}

static size_t spell(const struct made_answer *made, char *text)
{
    size_t length = append(text, made->der, made->der_bytes);
    text[length++] = '.';
    return length + append(text + length, made->cose, made->cose_bytes);
}

static void reads_request_and_statement(void **state)
{
    (void)state;
    struct made_answer made;
    struct keygen_answer answer;
    struct error error = ERROR_INIT;
    char text[4096];
    make_answer(&made);
    size_t length = spell(&made, text);
    assert_int_equal(keygen_answer_read(text, length, SEC_TAG, &answer, &error), 0);
    CLEANUP_FREE char *cn = request_common_name(answer.request);
    assert_string_equal(cn, "dev-01");
    assert_true(answer.has_statement);
    assert_string_equal(answer.uuid, "abababab-abab-abab-abab-abababababab");
    keygen_answer_done(&answer);
    length = append(text, made.der, made.der_bytes);
    assert_int_equal(keygen_answer_read(text, length, SEC_TAG, &answer, &error), 0);
    assert_false(answer.has_statement);
    keygen_answer_done(&answer);
    X509_REQ_free(made.request);
}

static void refuses(const struct made_answer *made, uint32_t sec_tag, const char *reason)
{
    struct keygen_answer answer;
    struct error error = ERROR_INIT;
    char text[4096];
    size_t length = spell(made, text);
    assert_int_equal(keygen_answer_read(text, length, sec_tag, &answer, &error), -1);
    assert_int_equal(error.owner, ERROR_OWNER_DEVICE);
    assert_int_equal(error.code, ERROR_PROTOCOL);
    assert_non_null(strstr(error.text, reason));
    assert_int_equal(ERR_peek_error(), 0);
}

static void refuses_what_was_changed_on_the_way(void **state)
{
    (void)state;
    struct made_answer made, changed;
    make_answer(&made);
    refuses(&made, SEC_TAG + 1, "another sec tag");
    changed = made;
    changed.der[made.der_bytes - 1] ^= 1;
    refuses(&changed, SEC_TAG, "not signed with its own key");
    changed = made;
    changed.cose[12 + 3 + 16 + 5] ^= 1;
    refuses(&changed, SEC_TAG, "of another request");
    for (size_t length = 1; length < made.cose_bytes - 66 - 17; length++) {
        changed = made;
        changed.cose_bytes = length;
        refuses(&changed, SEC_TAG, "COSE");
    }
    X509_REQ_free(made.request);
}

/* Older modem firmware gives ecdsa-with-SHA256 a NULL, which RFC 5758 forbids: nRFCloud/utils mends it too. */
static void takes_a_request_whose_algorithm_has_a_null(void **state)
{
    (void)state;
    static const uint8_t algorithm[] = {0x30, 0x0A, 0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x02};
    struct made_answer made;
    struct keygen_answer answer;
    struct error error = ERROR_INIT;
    char text[4096];
    make_answer(&made);
    uint8_t *at = memmem(made.der, made.der_bytes, algorithm, sizeof algorithm);
    assert_non_null(at);
    assert_true(made.der[0] == 0x30 && made.der[1] == 0x81 && made.der[2] < 0xFE);
    uint8_t *behind = at + sizeof algorithm;
    memmove(behind + 2, behind, made.der_bytes - (size_t)(behind - made.der));
    memcpy(behind, (const uint8_t[]){0x05, 0x00}, 2);
    at[1] += 2;
    made.der[2] += 2;
    made.der_bytes += 2;
    made.cose_bytes = 0;
    put_statement(&made);
    size_t length = spell(&made, text);
    if (keygen_answer_read(text, length, SEC_TAG, &answer, &error))
        fail_msg("%s", error.text);
    assert_true(answer.has_statement);
    keygen_answer_done(&answer);
    X509_REQ_free(made.request);
}

/* ---- an answer of AT%ATTESTTOKEN, made by hand ---- */

static const char nonce_text[] = "0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e";

static size_t spell_token(const uint8_t *message, size_t message_bytes, size_t cose_bytes, char *text)
{
    uint8_t cose[13 + 64] = {0xD2, 0x84, 0x43, 0xA1, 0x01, 0x26, 0xA1, 0x04, 0x41, 0x21, 0xF6, 0x58, 0x40};
    size_t length = append(text, message, message_bytes);
    text[length++] = '.';
    return length + append(text + length, cose, cose_bytes);
}

static void make_message(uint8_t *message)
{
    memcpy(message, (const uint8_t[]){0xD9, 0xD9, 0xF7, 0x85, 0x01, 0x50}, 6);
    memset(message + 6, 0xAB, 16);
    message[22] = 0x04;
    message[23] = 0x50;
    memset(message + 24, 0xCD, 16);
    message[40] = 0x50;
    memset(message + 41, 0x0E, 16);
}

enum { MESSAGE_BYTES = 57, TOKEN_COSE_BYTES = 13 + 64 };

static void reads_an_attestation_token(void **state)
{
    (void)state;
    uint8_t message[MESSAGE_BYTES];
    char text[512];
    struct attestation_token token;
    make_message(message);
    size_t length = spell_token(message, sizeof message, TOKEN_COSE_BYTES, text);
    assert_int_equal(attestation_token_read(text, length, NULL, &token, NULL), 0);
    assert_string_equal(token.device_uuid, "abababab-abab-abab-abab-abababababab");
    assert_string_equal(token.firmware_uuid, "cdcdcdcd-cdcd-cdcd-cdcd-cdcdcdcdcdcd");
    assert_int_equal(token.device_type, 4);
    assert_string_equal(token.nonce, nonce_text);
    assert_int_equal(attestation_token_read(text, length, "0E0E0E0E0E0E0E0E0E0E0E0E0E0E0E0E", &token, NULL), 0);
}

static void refuses_token(const char *text, size_t length, const char *challenge, const char *reason)
{
    struct attestation_token token;
    struct error error = ERROR_INIT;
    assert_int_equal(attestation_token_read(text, length, challenge, &token, &error), -1);
    assert_int_equal(error.code, ERROR_PROTOCOL);
    assert_int_equal(error.owner, ERROR_OWNER_DEVICE);
    assert_non_null(strstr(error.text, reason));
}

static void refuses_an_attestation_token_that_is_cut_or_of_another_challenge(void **state)
{
    (void)state;
    uint8_t message[MESSAGE_BYTES];
    char text[512];
    make_message(message);
    size_t length = spell_token(message, sizeof message, TOKEN_COSE_BYTES, text);
    refuses_token(text, length, "0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0f", "another challenge");
    refuses_token(text, (size_t)(strchr(text, '.') - text), NULL, "device identity message");
    for (size_t bytes = 0; bytes < TOKEN_COSE_BYTES; bytes++)
        refuses_token(text, spell_token(message, sizeof message, bytes, text), NULL, "COSE_Sign1");
    for (size_t bytes = 0; bytes < sizeof message; bytes++)
        refuses_token(text, spell_token(message, bytes, TOKEN_COSE_BYTES, text), NULL, "device identity message");
    message[4] = 0x05; /* another kind of message */
    refuses_token(text, spell_token(message, sizeof message, TOKEN_COSE_BYTES, text), NULL, "device identity message");
}

/* ---- local files against the list ---- */

static void want(struct wanted_credential *wanted, int type, const char *path, const char *text)
{
    *wanted = (struct wanted_credential){.sec_tag = SEC_TAG, .type = type, .path = path};
    assert_int_equal(credential_text(text, strlen(text), &wanted->text, &wanted->had_cr, NULL), 0);
}

static void hold(struct credential_list *list, uint32_t sec_tag, int type, const char *text)
{
    struct bytes stored = {.max_bytes = 1024};
    struct credential_entry *entry = &list->entries[list->count++];
    entry->sec_tag = sec_tag;
    entry->type = type;
    assert_int_equal(bytes_append_text(&stored, text), 0);
    credential_text_sha256(&stored, entry->sha256);
    bytes_done(&stored);
}

static void explains_each_slot(void **state)
{
    (void)state;
    static const struct {
        uint32_t sec_tag;
        int type;
        const char *stored;
        enum match_state expected;
        const char *reason;
    } rows[] = {
        {SEC_TAG, 3, "00ff", MATCH_SAME, "holds 'psk'"},
        {SEC_TAG, 3, "00ff\n", MATCH_ALTERED, "a line end behind it"},
        {SEC_TAG, 3, "\n00ff", MATCH_ALTERED, "a line end before it"},
        {SEC_TAG, 3, "one\ntwo", MATCH_OTHER_FILE, "which belongs into PSK_ID"},
        {SEC_TAG, 3, "one\r\ntwo", MATCH_OTHER_FILE, "CR LF"},
        {SEC_TAG, 3, "something else", MATCH_UNKNOWN, "none of the local files"},
        {SEC_TAG, 5, "00ff", MATCH_ABSENT, "is in PUB_KEY: wrong type"},
        {SEC_TAG + 1, 3, "00ff", MATCH_ABSENT, "wrong sec tag"},
    };
    struct credential_list *list = calloc(1, sizeof *list);
    struct match_report *report = calloc(1, sizeof *report);
    assert_true(list && report);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct wanted_credential wanted[2];
        want(&wanted[0], 3, "psk", "  00ff\r\n");
        want(&wanted[1], 4, "psk-id", "one\ntwo\n");
        list->count = 0;
        hold(list, rows[i].sec_tag, rows[i].type, rows[i].stored);
        assert_int_equal(credential_match(wanted, 2, list, report, NULL), 0);
        assert_int_equal(report->findings[0].state, rows[i].expected);
        assert_non_null(strstr(report->findings[0].text, rows[i].reason));
        assert_false(report->is_good);
        bytes_wipe(&wanted[0].text);
        bytes_wipe(&wanted[1].text);
    }
    free(report);
    free(list);
}

static void knows_types_by_word_and_number(void **state)
{
    (void)state;
    assert_int_equal(credential_kind_find("client_cert")->type, 1);
    assert_int_equal(credential_kind_find("11")->type, 11);
    assert_null(credential_kind_find("12"));
    assert_null(credential_kind_find(""));
    assert_false(credential_kind_at(8)->is_writable);
    assert_string_equal(credential_kind_word(99), "UNKNOWN_TYPE");
}

/* ---- the ledger ---- */

static void count_in(const char *path, int count)
{
    struct wear_ledger *ledger = NULL;
    if (wear_ledger_open(path, &ledger, NULL))
        _exit(1);
    for (int i = 0; i < count; i++)
        if (wear_ledger_count(ledger, "imei:1", SEC_TAG, 1, WEAR_WRITE, 1000 + i, NULL))
            _exit(1);
    wear_ledger_close(ledger);
    _exit(0);
}

static void loses_no_count_of_two_programs(void **state)
{
    /* On the stack: a child ends without going back, and valgrind would miss what nobody holds any more. */
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/sub/wear.db", (const char *)*state);
    struct wear_ledger *ledger;
    cJSON *rows;
    pid_t children[2];
    for (size_t i = 0; i < ARRAY_COUNT(children); i++)
        if ((children[i] = fork()) == 0)
            count_in(path, WRITES_EACH);
    for (size_t i = 0; i < ARRAY_COUNT(children); i++) {
        int status = -1;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(wear_ledger_open(path, &ledger, NULL), 0);
    assert_int_equal(wear_ledger_read(ledger, "imei:1", &rows, NULL), 0);
    assert_int_equal(json_integer(cJSON_GetArrayItem(rows, 0), "writes", 0), 2 * WRITES_EACH);
    cJSON_Delete(rows);
    assert_int_equal(wear_ledger_read(ledger, "imei:2", &rows, NULL), 0);
    assert_int_equal(cJSON_GetArraySize(rows), 0);
    cJSON_Delete(rows);
    wear_ledger_close(ledger);
}

static void refuses_a_file_that_is_no_ledger(void **state)
{
    struct wear_ledger *ledger;
    struct error error = ERROR_INIT;
    char *path = path_join(*state, "text");
    assert_int_equal(file_write_atomic(path, "this is a text, and a rather long one at that", 45, 0644, NULL), 0);
    assert_int_equal(wear_ledger_open(path, &ledger, &error), -1);
    assert_int_equal(error.owner, ERROR_OWNER_FILE);
    assert_non_null(strstr(error.text, path));
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_request_and_statement),
        cmocka_unit_test(refuses_what_was_changed_on_the_way),
        cmocka_unit_test(takes_a_request_whose_algorithm_has_a_null),
        cmocka_unit_test(reads_an_attestation_token),
        cmocka_unit_test(refuses_an_attestation_token_that_is_cut_or_of_another_challenge),
        cmocka_unit_test(explains_each_slot),
        cmocka_unit_test(knows_types_by_word_and_number),
        cmocka_unit_test_setup_teardown(loses_no_count_of_two_programs, scratch_make, scratch_remove),
        cmocka_unit_test_setup_teardown(refuses_a_file_that_is_no_ledger, scratch_make, scratch_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
