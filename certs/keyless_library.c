#include "certs/keyless_library.h"

#include "base/cleanup.h"

#include <openssl/err.h>
#include <openssl/provider.h>
#include <stdlib.h>

struct keyless_library {
    OSSL_LIB_CTX *context;
    OSSL_PROVIDER *provider; /* without one of its own the context would load the default provider */
};

DEFINE_CLEANUP(struct keyless_library *, keyless_library_free)

struct keyless_library *keyless_library_new(void)
{
    CLEANUP(keyless_library_free_cleanup) struct keyless_library *library = calloc(1, sizeof *library);
    if (!library)
        return NULL;
    library->context = OSSL_LIB_CTX_new();
    library->provider = library->context ? OSSL_PROVIDER_load(library->context, "null") : NULL;
    ERR_clear_error();
    return library->provider ? TAKE(library) : NULL;
}

void keyless_library_free(struct keyless_library *library)
{
    if (!library)
        return;
    if (library->provider)
        OSSL_PROVIDER_unload(library->provider);
    OSSL_LIB_CTX_free(library->context);
    free(library);
}

OSSL_LIB_CTX *keyless_library_context(const struct keyless_library *library)
{
    return library ? library->context : NULL;
}
