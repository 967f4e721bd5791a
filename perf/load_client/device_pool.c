#include "perf/load_client/device_pool.h"

#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

enum { VALID_FROM_S = -3600, VALID_TO_S = 86400, SERIAL_BITS = 63 };

DEFINE_CLEANUP(struct device_pool *, device_pool_free)

static int crypto_error(struct error *error, const char *id)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    ERR_clear_error();
    return error_set(error, ERROR_OWNER_OURS, ERROR_CRYPTO, "make the leaf of '%s': %s", id, reason ? reason : "OpenSSL gives no reason");
}

static bool set_serial(X509 *leaf)
{
    BIGNUM *number = BN_new();
    bool is_set = number && BN_rand(number, SERIAL_BITS, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) &&
                  BN_to_ASN1_INTEGER(number, X509_get_serialNumber(leaf));
    BN_free(number);
    return is_set;
}

static bool set_subject(X509 *leaf, const char *id)
{
    X509_NAME *name = X509_get_subject_name(leaf);
    return X509_NAME_add_entry_by_NID(name, NID_organizationName, MBSTRING_ASC, (const unsigned char *)"Example", -1, -1, 0) &&
           X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_ASC, (const unsigned char *)id, -1, -1, 0);
}

static bool add_extension(X509 *leaf, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    bool is_added = extension && X509_add_ext(leaf, extension, -1);
    X509_EXTENSION_free(extension);
    return is_added;
}

static bool fill_leaf(X509 *leaf, const struct device *device, const X509 *issuer, EVP_PKEY *issuer_key)
{
    return X509_set_version(leaf, X509_VERSION_3) && set_serial(leaf) && set_subject(leaf, device->id) &&
           X509_set_issuer_name(leaf, X509_get_subject_name(issuer)) && X509_gmtime_adj(X509_getm_notBefore(leaf), VALID_FROM_S) &&
           X509_gmtime_adj(X509_getm_notAfter(leaf), VALID_TO_S) && X509_set_pubkey(leaf, device->key) &&
           add_extension(leaf, NID_basic_constraints, "critical,CA:FALSE") && add_extension(leaf, NID_ext_key_usage, "clientAuth") &&
           X509_sign(leaf, issuer_key, EVP_sha256());
}

static int make_device(struct device *device, size_t index, const X509 *issuer, EVP_PKEY *issuer_key, struct error *error)
{
    snprintf(device->id, sizeof device->id, "perf-%05zu", index);
    device->key = EVP_EC_gen("P-256");
    device->leaf = X509_new();
    if (!device->key || !device->leaf || !fill_leaf(device->leaf, device, issuer, issuer_key))
        return crypto_error(error, device->id);
    return 0;
}

int device_pool_new(const char *issuer_path, const char *issuer_key_path, size_t count, struct device_pool **ret_pool, struct error *error)
{
    CLEANUP(device_pool_free_cleanup) struct device_pool *pool = calloc(1, sizeof *pool);
    CLEANUP_PKEY EVP_PKEY *key = NULL;
    if (!pool)
        return error_set_memory(error);
    pool->devices = calloc(count, sizeof *pool->devices);
    if (!pool->devices)
        return error_set_memory(error);
    pool->count = count;
    if (certificates_read_file(issuer_path, &pool->issuers, error) || private_key_read_file(issuer_key_path, &key, error))
        return -1;
    for (size_t i = 0; i < count; i++)
        if (make_device(&pool->devices[i], i, sk_X509_value(pool->issuers, 0), key, error))
            return -1;
    *ret_pool = TAKE(pool);
    return 0;
}

void device_pool_free(struct device_pool *pool)
{
    if (!pool)
        return;
    for (size_t i = 0; i < pool->count; i++) {
        X509_free(pool->devices[i].leaf);
        EVP_PKEY_free(pool->devices[i].key);
    }
    free(pool->devices);
    x509_stack_free(pool->issuers);
    free(pool);
}
