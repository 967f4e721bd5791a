#include "broker_sim/pki/leaf_renewal.h"

#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <string.h>

static void free_names(GENERAL_NAMES **names)
{
    GENERAL_NAMES_free(*names);
}

static bool is_good_for(X509 *leaf, const char *host)
{
    return X509_check_ip_asc(leaf, host, 0) == 1 || X509_check_host(leaf, host, 0, 0, NULL) == 1;
}

bool leaf_needs_renewal(X509 *leaf, const char *const *hosts, size_t host_count, const struct clock *clock)
{
    int64_t from_s, to_s;
    if (certificate_validity(leaf, &from_s, &to_s) || clock_unix_s(clock) > to_s - LEAF_RENEWAL_MARGIN_S)
        return true;
    size_t i = 0;
    while (i < host_count && is_good_for(leaf, hosts[i]))
        i++;
    ERR_clear_error();
    return i < host_count;
}

static GENERAL_NAME *name_of(const char *host)
{
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_OCTET_STRING *address = a2i_IPADDRESS(host);
    ASN1_IA5STRING *dns = address ? NULL : ASN1_IA5STRING_new();
    if (name && address)
        GENERAL_NAME_set0_value(name, GEN_IPADD, address);
    else if (name && dns && ASN1_STRING_set(dns, host, -1))
        GENERAL_NAME_set0_value(name, GEN_DNS, dns);
    else
        return NULL;
    return name;
}

static int add_hosts(X509 *leaf, const char *const *hosts, size_t host_count)
{
    CLEANUP(free_names) GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
    if (!names)
        names = sk_GENERAL_NAME_new_null();
    for (size_t i = 0; i < host_count; i++) {
        if (is_good_for(leaf, hosts[i]))
            continue;
        GENERAL_NAME *name = name_of(hosts[i]);
        if (!name || !sk_GENERAL_NAME_push(names, name))
            return -1;
    }
    return X509_add1_ext_i2d(leaf, NID_subject_alt_name, names, 0, X509V3_ADD_REPLACE) == 1 ? 0 : -1;
}

static int set_life(X509 *leaf, const struct clock *clock)
{
    int64_t from_s, to_s, now_s = clock_unix_s(clock);
    if (certificate_validity(leaf, &from_s, &to_s))
        return -1;
    bool is_set = ASN1_TIME_set(X509_getm_notBefore(leaf), (time_t)(now_s - 3600)) &&
                  ASN1_TIME_set(X509_getm_notAfter(leaf), (time_t)(now_s - 3600 + to_s - from_s));
    return is_set ? 0 : -1;
}

static int set_serial(X509 *leaf)
{
    uint64_t number;
    if (RAND_bytes((unsigned char *)&number, sizeof number) != 1)
        return -1;
    return ASN1_INTEGER_set_uint64(X509_get_serialNumber(leaf), number >> 1 | 1) ? 0 : -1;
}

int leaf_renew(X509 *leaf, EVP_PKEY *issuer_key, const char *const *hosts, size_t host_count, const struct clock *clock, X509 **ret_leaf,
               struct error *error)
{
    CLEANUP_X509 X509 *made = X509_dup(leaf);
    int rc = made && add_hosts(made, hosts, host_count) == 0 && set_life(made, clock) == 0 && set_serial(made) == 0 &&
                     X509_sign(made, issuer_key, EVP_sha256()) > 0
                 ? 0
                 : -1;
    ERR_clear_error();
    if (rc)
        return error_set(error, ERROR_OWNER_OURS, ERROR_CRYPTO, "make the server's leaf certificate anew: OpenSSL refused");
    *ret_leaf = TAKE(made);
    return 0;
}
