/*
 * tests/e2e/vdk_pki.h - the few certificates that the tests of the virtual DK need, made in a moment
 */
#ifndef TESTS_E2E_VDK_PKI_H
#define TESTS_E2E_VDK_PKI_H

#include <stdbool.h>

/* A certificate and its key. */
struct pair {
    struct x509_st *certificate;
    struct evp_pkey_st *key;
};

/* Signed by `issuer`, or self-signed when that is NULL. dns: subjectAltName, comma-separated "DNS:a,DNS:b"; NULL: none. days_left may be negative. */
struct pair pki_make(const char *common_name, const struct pair *issuer, bool is_ca, const char *dns, int days_left);
void pki_drop(struct pair *pair);
/* PEM text, malloc'ed. */
char *pki_certificate(const struct pair *pair);
char *pki_key(const struct pair *pair);
void pki_write(const char *path, const char *text);

#endif
