#include "certs/signature_memory.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

struct pair {
    X509 *certificate; /* copies: the caller's may belong to a library context that ends before us */
    X509 *issuer;
    bool is_signed;
    uint64_t asked_at;
};

struct signature_memory {
    struct pair pairs[SIGNATURE_MEMORY_PAIRS];
    uint64_t question_count;
    size_t check_count;
};

struct signature_memory *signature_memory_new(void)
{
    return calloc(1, sizeof(struct signature_memory));
}

static void forget(struct pair *pair)
{
    X509_free(pair->certificate);
    X509_free(pair->issuer);
    *pair = (struct pair){.certificate = NULL};
}

void signature_memory_free(struct signature_memory *memory)
{
    if (!memory)
        return;
    for (size_t i = 0; i < SIGNATURE_MEMORY_PAIRS; i++)
        forget(&memory->pairs[i]);
    free(memory);
}

static X509 *copy_of(X509 *certificate)
{
    unsigned char *der = NULL;
    int length = i2d_X509(certificate, &der);
    const unsigned char *at = der;
    X509 *copy = length > 0 ? d2i_X509(NULL, &at, length) : NULL;
    OPENSSL_free(der);
    ERR_clear_error();
    return copy;
}

static struct pair *find(struct signature_memory *memory, const X509 *certificate, const X509 *issuer)
{
    for (size_t i = 0; i < SIGNATURE_MEMORY_PAIRS; i++) {
        struct pair *pair = &memory->pairs[i];
        if (pair->issuer && X509_cmp(pair->certificate, certificate) == 0 && X509_cmp(pair->issuer, issuer) == 0)
            return pair;
    }
    return NULL;
}

static struct pair *oldest(struct signature_memory *memory)
{
    struct pair *found = &memory->pairs[0];
    for (size_t i = 1; i < SIGNATURE_MEMORY_PAIRS; i++)
        if (memory->pairs[i].asked_at < found->asked_at)
            found = &memory->pairs[i];
    return found;
}

static void remember(struct signature_memory *memory, X509 *certificate, X509 *issuer, bool is_signed)
{
    struct pair *pair = oldest(memory);
    forget(pair);
    *pair = (struct pair){.certificate = copy_of(certificate), .issuer = copy_of(issuer), .is_signed = is_signed};
    pair->asked_at = memory->question_count;
    if (!pair->certificate || !pair->issuer)
        forget(pair);
}

bool signature_memory_is_signed_by(struct signature_memory *memory, X509 *certificate, X509 *issuer)
{
    bool is_ca = X509_check_ca(certificate) != 0;
    struct pair *known = is_ca ? find(memory, certificate, issuer) : NULL;
    memory->question_count++;
    if (known) {
        known->asked_at = memory->question_count;
        return known->is_signed;
    }
    bool is_signed = certificate_is_signed_by(certificate, issuer);
    memory->check_count++;
    if (is_ca)
        remember(memory, certificate, issuer, is_signed);
    return is_signed;
}

size_t signature_memory_check_count(const struct signature_memory *memory)
{
    return memory->check_count;
}
