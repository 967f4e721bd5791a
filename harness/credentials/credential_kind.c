#include "harness/credentials/credential_kind.h"

#include "base/cleanup.h"

#include <stddef.h>
#include <strings.h>

#define KINDS(X)                                                                                                                           \
    X(0, "ROOT_CA_CERT", "server root: whom the device trusts", true)                                                                      \
    X(1, "CLIENT_CERT", "the device's own certificate, with its chain", true)                                                              \
    X(2, "CLIENT_KEY", "the device's private key", true)                                                                                   \
    X(3, "PSK", "pre-shared key, hexadecimal", true)                                                                                       \
    X(4, "PSK_ID", "identity of the pre-shared key", true)                                                                                 \
    X(5, "PUB_KEY", "public key for authenticated AT commands", true)                                                                      \
    X(6, "DEV_ID_PUB_KEY", "public key of the device's identity", false)                                                                   \
    X(7, "RESERVED", "reserved", false)                                                                                                    \
    X(8, "ENDORSEMENT_KEY", "endorsement key", false)                                                                                      \
    X(9, "OWNERSHIP_KEY", "ownership key", false)                                                                                          \
    X(10, "NORDIC_ID_ROOT_CA", "Nordic's identity root", false)                                                                            \
    X(11, "NORDIC_PUB_KEY", "Nordic's public key", false)

static const struct credential_kind kinds[] = {
#define X(type, word, text, is_writable) {type, word, text, is_writable},
    KINDS(X)
#undef X
};

static const char *const words[] = {
#define X(type, word, text, is_writable) word,
    KINDS(X)
#undef X
        NULL};

static const char *const numbers[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"};

const struct credential_kind *credential_kind_at(int type)
{
    return type >= 0 && type < CREDENTIAL_KIND_COUNT ? &kinds[type] : NULL;
}

const struct credential_kind *credential_kind_find(const char *word)
{
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++)
        if (strcasecmp(word, kinds[i].word) == 0 || strcasecmp(word, numbers[i]) == 0)
            return &kinds[i];
    return NULL;
}

const char *credential_kind_word(int type)
{
    return type >= 0 && type < CREDENTIAL_KIND_COUNT ? kinds[type].word : "UNKNOWN_TYPE";
}

const char *const *credential_kind_words(void)
{
    return words;
}
