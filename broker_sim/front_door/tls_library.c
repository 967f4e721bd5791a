#include "broker_sim/front_door/tls_library.h"

#include "base/cleanup.h"

#include <openssl/core_dispatch.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { CHOSEN_MAX = 128 };

#define PROVIDER_NAME "handshake"

/*
 * OpenSSL hands a provider's functions nothing but the context of the algorithms, which here is the default provider's: so what they need
 * besides is static. It is the same for the whole process, and the default provider is never unloaded.
 */
static OSSL_PROVIDER *default_provider;

static bool names_one_of(const OSSL_ALGORITHM *algorithm, const char *const *parts)
{
    while (*parts && !strstr(algorithm->algorithm_names, *parts))
        parts++;
    return *parts != NULL;
}

static bool is_needed_decoder(const OSSL_ALGORITHM *algorithm)
{
    return strstr(algorithm->property_definition, "input=der") && strstr(algorithm->property_definition, "structure=SubjectPublicKeyInfo");
}

/* In a mode that some suite has. */
static bool is_needed_cipher(const OSSL_ALGORITHM *algorithm)
{
    static const char *const modes[] = {"-CBC", "-GCM", "-CCM", "ChaCha20", "NULL", NULL};
    return names_one_of(algorithm, modes) && !strstr(algorithm->algorithm_names, "-CTS");
}

static bool is_needed_kdf(const OSSL_ALGORITHM *algorithm)
{
    static const char *const of_tls[] = {"TLS1-PRF", "TLS13-KDF", "HKDF", NULL};
    return names_one_of(algorithm, of_tls);
}

static bool is_needed_mac(const OSSL_ALGORITHM *algorithm)
{
    static const char *const of_tls[] = {"HMAC", NULL};
    return names_one_of(algorithm, of_tls);
}

/* What a certificate may hold, and HMAC for the suites in CBC mode. */
static bool is_needed_key(const OSSL_ALGORITHM *algorithm)
{
    static const char *const others[] = {"TLS1-PRF", "HKDF", "SCRYPT", "SIPHASH", "POLY1305", "CMAC", NULL};
    return !names_one_of(algorithm, others);
}

static struct choice {
    int operation;
    bool (*is_needed)(const OSSL_ALGORITHM *);
    OSSL_ALGORITHM chosen[CHOSEN_MAX + 1];
} choices[] = {
    {.operation = OSSL_OP_DECODER, .is_needed = is_needed_decoder}, {.operation = OSSL_OP_CIPHER, .is_needed = is_needed_cipher},
    {.operation = OSSL_OP_KDF, .is_needed = is_needed_kdf},         {.operation = OSSL_OP_MAC, .is_needed = is_needed_mac},
    {.operation = OSSL_OP_KEYMGMT, .is_needed = is_needed_key},
};

/* Returns whether anything is left: if not, OpenSSL names its algorithms differently from what we know. */
static bool choose(struct choice *choice)
{
    int no_store = 0;
    size_t count = 0;
    const OSSL_ALGORITHM *all = OSSL_PROVIDER_query_operation(default_provider, choice->operation, &no_store);
    for (; all && all->algorithm_names && count < CHOSEN_MAX; all++)
        if (choice->is_needed(all))
            choice->chosen[count++] = *all;
    choice->chosen[count] = (OSSL_ALGORITHM){0};
    return count > 0;
}

static const OSSL_ALGORITHM *query(void *context, int operation, int *no_store)
{
    (void)context;
    const OSSL_ALGORITHM *all = OSSL_PROVIDER_query_operation(default_provider, operation, no_store);
    for (size_t i = 0; i < ARRAY_COUNT(choices); i++)
        if (choices[i].operation == operation)
            return choices[i].chosen;
    return all;
}

/* The groups and the like of TLS. */
static int get_capabilities(void *context, const char *capability, OSSL_CALLBACK *callback, void *argument)
{
    (void)context;
    return OSSL_PROVIDER_get_capabilities(default_provider, capability, callback, argument);
}

static const OSSL_DISPATCH functions[] = {
    {OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))query},
    {OSSL_FUNC_PROVIDER_GET_CAPABILITIES, (void (*)(void))get_capabilities},
    {0, NULL},
};

static int start_provider(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *core, const OSSL_DISPATCH **ret_functions,
                          void **ret_context)
{
    (void)handle, (void)core;
    *ret_functions = functions;
    *ret_context = OSSL_PROVIDER_get0_provider_ctx(default_provider);
    return 1;
}

static int prepare(void)
{
    if (!default_provider)
        default_provider = OSSL_PROVIDER_load(NULL, "default");
    if (!default_provider || !OSSL_PROVIDER_get0_provider_ctx(default_provider))
        return -1;
    for (size_t i = 0; i < ARRAY_COUNT(choices); i++)
        if (!choose(&choices[i]))
            return -1;
    return 0;
}

struct tls_library {
    OSSL_LIB_CTX *context;
    OSSL_PROVIDER *provider;
};

DEFINE_CLEANUP(struct tls_library *, tls_library_free)

static int load(struct tls_library *library)
{
    library->context = OSSL_LIB_CTX_new();
    if (prepare() || !library->context || !OSSL_PROVIDER_add_builtin(library->context, PROVIDER_NAME, start_provider))
        return -1;
    library->provider = OSSL_PROVIDER_load(library->context, PROVIDER_NAME);
    return library->provider ? 0 : -1;
}

struct tls_library *tls_library_new(void)
{
    CLEANUP(tls_library_free_cleanup) struct tls_library *library = calloc(1, sizeof *library);
    bool is_loaded = library && load(library) == 0;
    ERR_clear_error();
    return is_loaded ? TAKE(library) : NULL;
}

void tls_library_free(struct tls_library *library)
{
    if (!library)
        return;
    if (library->provider)
        OSSL_PROVIDER_unload(library->provider);
    OSSL_LIB_CTX_free(library->context);
    free(library);
}

OSSL_LIB_CTX *tls_library_context(const struct tls_library *library)
{
    return library ? library->context : NULL;
}
