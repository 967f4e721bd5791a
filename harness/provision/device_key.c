#include "harness/provision/device_key.h"

#include "base/cleanup.h"
#include "harness/credentials/credential_kind.h"
#include "harness/credentials/credential_match.h"

#include <openssl/err.h>
#include <string.h>

static int clear_slot(struct modem_link *link, uint32_t sec_tag, bool may_replace, struct error *error)
{
    CLEANUP_FREE struct credential_list *list = calloc(1, sizeof *list);
    if (!list)
        return error_set_memory(error);
    if (modem_link_list(link, list, error))
        return -1;
    if (!credential_list_find(list, sec_tag, CREDENTIAL_CLIENT_KEY))
        return 0;
    if (!may_replace)
        return error_set(
            error, ERROR_OWNER_FILE, ERROR_CONFLICT,
            "sec tag %u has a CLIENT_KEY already, and a new one would make its certificate worthless; --replace if that is meant", sec_tag);
    return modem_link_delete(link, sec_tag, CREDENTIAL_CLIENT_KEY, NULL, error);
}

/* The CN of "CN=dev-01,O=Example"; NULL: none, or out of memory. */
static char *wanted_common_name(const char *attributes)
{
    const char *at = attributes ? strstr(attributes, "CN=") : NULL;
    return at ? strndup(at + strlen("CN="), strcspn(at + strlen("CN="), ",")) : NULL;
}

static int check_request(const struct keygen_answer *answer, const char *attributes, struct error *error)
{
    CLEANUP_FREE char *wanted = wanted_common_name(attributes), *given = request_common_name(answer->request);
    EVP_PKEY *key = X509_REQ_get0_pubkey(answer->request);
    char group[32] = "";
    if (!given)
        return error_set(error, ERROR_OWNER_DEVICE, ERROR_PROTOCOL, "AT%%KEYGEN: the request has no CN, or more than one");
    if (wanted && strcmp(wanted, given) != 0)
        return error_set(error, ERROR_OWNER_DEVICE, ERROR_PROTOCOL, "AT%%KEYGEN: asked for the CN '%s', the request has '%.80s'", wanted,
                         given);
    EVP_PKEY_get_group_name(key, group, sizeof group, NULL);
    ERR_clear_error();
    if (strcmp(group, "prime256v1") != 0)
        return error_set(error, ERROR_OWNER_DEVICE, ERROR_PROTOCOL, "AT%%KEYGEN: the key of the request is not P-256");
    return 0;
}

int device_key_make(struct modem_link *link, uint32_t sec_tag, const char *attributes, bool may_replace, struct keygen_answer *ret_answer,
                    struct error *error)
{
    CLEANUP(bytes_done) struct bytes text = {0};
    CLEANUP(keygen_answer_done) struct keygen_answer answer = {0};
    if (clear_slot(link, sec_tag, may_replace, error) || modem_link_keygen(link, sec_tag, attributes, &text, error) ||
        keygen_answer_read(bytes_text(&text), text.length_bytes, sec_tag, &answer, error) || check_request(&answer, attributes, error))
        return -1;
    *ret_answer = answer;
    answer = (struct keygen_answer){0};
    return 0;
}

int device_write_verified(struct modem_link *link, uint32_t sec_tag, int type, const struct bytes *text, bool *ret_is_verified,
                          struct error *error)
{
    char wanted[CREDENTIAL_SHA256_BYTES];
    CLEANUP_FREE struct credential_list *list = calloc(1, sizeof *list);
    if (!list)
        return error_set_memory(error);
    if (modem_link_write(link, sec_tag, type, text, error))
        return error_prefix(error, "sec tag %u, %s", sec_tag, credential_kind_word(type));
    if (modem_link_list(link, list, error))
        return -1;
    credential_text_sha256(text, wanted);
    const char *listed = credential_list_sha256(list, sec_tag, type);
    bool is_hidden = *listed && credential_is_placeholder(listed);
    if (!is_hidden && !credential_text_is_listed(text, list, listed))
        return error_set(error, ERROR_OWNER_DEVICE, ERROR_CONFLICT,
                         "sec tag %u, %s: after writing, the modem lists SHA-256 %s, and %s was sent: bytes were changed on the way",
                         sec_tag, credential_kind_word(type), *listed ? listed : "(nothing)", wanted);
    if (ret_is_verified)
        *ret_is_verified = !is_hidden;
    return 0;
}
