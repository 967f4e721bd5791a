#include "harness/control/control_tls.h"

#include "base/cleanup.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

DEFINE_CLEANUP(SSL_CTX *, SSL_CTX_free)
DEFINE_CLEANUP(BIO *, BIO_free_all)
DEFINE_CLEANUP(X509 *, X509_free)
DEFINE_CLEANUP(EVP_PKEY *, EVP_PKEY_free)

static bool is_text(const char *source)
{
    return strncmp(source, "-----BEGIN ", 11) == 0;
}

static int fail(const char *what, const char *source, struct error *error)
{
    char text[256];
    ERR_error_string_n(ERR_get_error(), text, sizeof text);
    ERR_clear_error();
    return error_set(error, ERROR_OWNER_RIG, ERROR_CRYPTO, "load the control plane's %s '%s': %s", what,
                     is_text(source) ? "(of the ticket)" : source, text);
}

static BIO *open_source(const char *source)
{
    return is_text(source) ? BIO_new_mem_buf(source, -1) : BIO_new_file(source, "r");
}

static X509 *read_certificate(const char *source)
{
    CLEANUP(BIO_free_all_cleanup) BIO *bio = open_source(source);
    return bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
}

static EVP_PKEY *read_key(const char *source)
{
    CLEANUP(BIO_free_all_cleanup) BIO *bio = open_source(source);
    return bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;
}

int control_tls_new(const cJSON *ready, SSL_CTX **ret_tls, struct error *error)
{
    const char *ca_source = json_string(ready, "control_ca", ""), *certificate_source = json_string(ready, "control_cert", "");
    const char *key_source = json_string(ready, "control_key", "");
    CLEANUP(SSL_CTX_free_cleanup) SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
    if (!tls)
        return error_set_memory(error);
    SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION);
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
    CLEANUP(X509_free_cleanup) X509 *ca = read_certificate(ca_source);
    if (!ca || X509_STORE_add_cert(SSL_CTX_get_cert_store(tls), ca) != 1)
        return fail("CA", ca_source, error);
    CLEANUP(X509_free_cleanup) X509 *certificate = read_certificate(certificate_source);
    if (!certificate || SSL_CTX_use_certificate(tls, certificate) != 1)
        return fail("client certificate", certificate_source, error);
    CLEANUP(EVP_PKEY_free_cleanup) EVP_PKEY *key = read_key(key_source);
    if (!key || SSL_CTX_use_PrivateKey(tls, key) != 1)
        return fail("client key", key_source, error);
    *ret_tls = TAKE(tls);
    return 0;
}
