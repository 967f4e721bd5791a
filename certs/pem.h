/*
 * certs/pem.h - what the readers of PEM share; internal to certs/
 */
#ifndef CERTS_PEM_H
#define CERTS_PEM_H

#include "base/cleanup.h"

#include <openssl/bio.h>
#include <string.h>

DEFINE_CLEANUP(BIO *, BIO_free)
#define CLEANUP_BIO CLEANUP(BIO_free_cleanup)

/* `what` between `at` and `end`, NULL when it is not there. */
static inline const char *pem_find(const char *at, const char *end, const char *what)
{
    return at < end ? memmem(at, (size_t)(end - at), what, strlen(what)) : NULL;
}

#endif
