#include "tests/e2e/vdk_pki.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DAY_S = 24 * 60 * 60 };

static void must(int condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "test PKI: %s failed\n", what);
    abort();
}

static void add_extension(X509 *certificate, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    must(extension && X509_add_ext(certificate, extension, -1), "an extension");
    X509_EXTENSION_free(extension);
}

struct pair pki_make(const char *common_name, const struct pair *issuer, bool is_ca, const char *dns, int days_left)
{
    static long serial = 1;
    struct pair pair = {X509_new(), EVP_EC_gen("P-256")};
    must(pair.certificate && pair.key, "memory");
    X509 *certificate = pair.certificate;
    X509_NAME *name = X509_get_subject_name(certificate);
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -10L * DAY_S);
    X509_gmtime_adj(X509_getm_notAfter(certificate), (long)days_left * DAY_S);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)common_name, -1, -1, 0);
    X509_set_issuer_name(certificate, issuer ? X509_get_subject_name(issuer->certificate) : name);
    X509_set_pubkey(certificate, pair.key);
    add_extension(certificate, NID_basic_constraints, is_ca ? "critical,CA:TRUE" : "CA:FALSE");
    if (dns)
        add_extension(certificate, NID_subject_alt_name, dns);
    must(X509_sign(certificate, issuer ? issuer->key : pair.key, EVP_sha256()), "signing");
    return pair;
}

void pki_drop(struct pair *pair)
{
    X509_free(pair->certificate);
    EVP_PKEY_free(pair->key);
}

static char *text_of(BIO *bio)
{
    char *data = NULL;
    long length = BIO_get_mem_data(bio, &data);
    char *text = strndup(data, (size_t)length);
    must(text != NULL, "memory");
    BIO_free(bio);
    return text;
}

char *pki_certificate(const struct pair *pair)
{
    BIO *bio = BIO_new(BIO_s_mem());
    must(bio && PEM_write_bio_X509(bio, pair->certificate), "writing a certificate");
    return text_of(bio);
}

char *pki_key(const struct pair *pair)
{
    BIO *bio = BIO_new(BIO_s_mem());
    must(bio && PEM_write_bio_PrivateKey(bio, pair->key, NULL, NULL, 0, NULL, NULL), "writing a key");
    return text_of(bio);
}

void pki_write(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    must(file && fputs(text, file) >= 0 && fclose(file) == 0, path);
}
