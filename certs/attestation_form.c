/* What is said of the form of certificates: the leaf's, the CAs', keys and digests. Azure documents no rule on any of it. */
#include "certs/attestation_judge.h"

#include <ctype.h>
#include <openssl/x509v3.h>
#include <string.h>

/* ---- the leaf ---- */

/* RFC 5280 4.2.1.12 lets anyExtendedKeyUsage stand for all; OpenSSL does not. */
static bool has_client_auth(const struct judge *judge)
{
    uint32_t usages = X509_get_extended_key_usage(judge->leaf);
    uint32_t good = XKU_SSL_CLIENT | (judge_shows(judge, RULE_NO_CLIENT_AUTH) ? 0 : XKU_ANYEKU);
    return usages == UINT32_MAX || (usages & good);
}

static void check_client_auth(struct judge *judge)
{
    if (has_client_auth(judge))
        return;
    judge_add(judge, RULE_NO_CLIENT_AUTH, "the extended key usage of the device's certificate does not name clientAuth");
    judge_mend(judge, "make it with extendedKeyUsage = clientAuth, or without the extension");
}

static void check_key_usage(struct judge *judge)
{
    if (X509_get_key_usage(judge->leaf) & X509v3_KU_DIGITAL_SIGNATURE)
        return;
    judge_add(judge, RULE_KEY_USAGE, "the key usage of the device's certificate does not allow digitalSignature");
    judge_mend(judge, "make it with keyUsage = critical,digitalSignature, or without the extension");
}

static void check_version(struct judge *judge)
{
    long version = X509_get_version(judge->leaf);
    if (version >= X509_VERSION_3)
        return;
    judge_add(judge, RULE_LEAF_V1, "the device's certificate is version %ld, which has no extensions (openssl x509 -req without -extfile)",
              version + 1);
    judge_mend(
        judge,
        "make it with -extfile (basicConstraints, keyUsage, extendedKeyUsage = clientAuth); DPS takes it as it is, other services may not");
}

/* A self-signed leaf is one by openssl's defaults, and an individual enrollment with it is documented. */
static void check_not_a_ca(struct judge *judge)
{
    bool is_ca = X509_get_extension_flags(judge->leaf) & EXFLAG_CA;
    if (!is_ca || certificate_is_self_issued(judge->leaf))
        return;
    judge_add(judge, RULE_LEAF_CA, "the device's certificate '%s' is a CA certificate", name_shown(judge->leaf_subject));
    judge_mend(judge, "make it with basicConstraints = critical,CA:FALSE; who has its key can make devices");
}

/* ---- the CAs ---- */

static bool is_self_issued_step(const struct judge *judge, size_t step)
{
    return certificate_is_self_issued(judge->path.steps[step].certificate);
}

/* CAs between this one and the leaf that are not self-issued: RFC 5280 4.2.1.9. */
static long cas_below(const struct judge *judge, size_t step)
{
    long count = 0;
    for (size_t i = 1; i < step; i++)
        count += !is_self_issued_step(judge, i);
    return count;
}

static void check_path_length(struct judge *judge)
{
    for (size_t i = 1; i < judge->path.count; i++) {
        X509 *ca = judge->path.steps[i].certificate;
        long allowed = X509_get_pathlen(ca), below = cas_below(judge, i);
        if (allowed < 0 || below <= allowed)
            continue;
        CLEANUP_FREE char *subject = judge_subject_of(judge, ca);
        judge_add(judge, RULE_PATH_LENGTH, "'%s' allows %ld CA%s below it (pathLenConstraint), and there %s %ld", name_shown(subject),
                  allowed, allowed == 1 ? "" : "s", below == 1 ? "is" : "are", below);
        judge_mend(judge, "make that CA again with a longer pathlen, or sign the device's certificate by a CA higher up");
        return;
    }
}

static bool is_critical(const X509 *certificate, int nid)
{
    int at = X509_get_ext_by_NID(certificate, nid, -1);
    return at >= 0 && X509_EXTENSION_get_critical(X509_get_ext(certificate, at));
}

static const char *what_ca_lacks(X509 *ca)
{
    if (X509_get_version(ca) < X509_VERSION_3)
        return "version 3";
    if (X509_check_ca(ca) != 1)
        return "basicConstraints with CA:TRUE";
    if (!is_critical(ca, NID_basic_constraints))
        return "a critical basicConstraints";
    if (X509_get_key_usage(ca) == UINT32_MAX)
        return "keyUsage";
    return X509_get0_subject_key_id(ca) ? NULL : "subjectKeyIdentifier";
}

static const char *what_leaf_lacks(X509 *leaf)
{
    bool is_ca = X509_get_extension_flags(leaf) & EXFLAG_CA;
    uint32_t usage = X509_get_key_usage(leaf);
    if (!is_ca && usage != UINT32_MAX && (usage & X509v3_KU_KEY_CERT_SIGN))
        return "CA:TRUE, and its key usage says keyCertSign";
    return !is_ca && X509_get_pathlen(leaf) >= 0 ? "CA:TRUE, and it has a pathLenConstraint" : NULL;
}

/* What openssl verify -x509_strict demands, after RFC 5280 4.2.1. */
static const char *what_lacks(const struct judge *judge, size_t step)
{
    X509 *certificate = judge->path.steps[step].certificate;
    const char *lacking = step == 0 ? what_leaf_lacks(certificate) : what_ca_lacks(certificate);
    if (lacking)
        return lacking;
    if (is_critical(certificate, NID_authority_key_identifier) || is_critical(certificate, NID_subject_key_identifier))
        return "key identifiers that are not critical";
    if (X509_NAME_entry_count(X509_get_issuer_name(certificate)) == 0)
        return "the name of an issuer";
    bool needs_authority = step + 1 < judge->path.count && X509_get_version(certificate) == X509_VERSION_3;
    return needs_authority && !X509_get0_authority_key_id(certificate) ? "authorityKeyIdentifier" : NULL;
}

static void check_forms(struct judge *judge)
{
    for (size_t i = 0; i < judge->path.count; i++) {
        const char *lacking = what_lacks(judge, i);
        if (!lacking)
            continue;
        CLEANUP_FREE char *subject = judge_subject_of(judge, judge->path.steps[i].certificate);
        judge_add(judge, RULE_CHAIN_FORM, "'%s' lacks %s", name_shown(subject), lacking);
        judge_mend(judge,
                   "make a CA with basicConstraints = critical,CA:TRUE, keyUsage = critical,keyCertSign,cRLSign, subjectKeyIdentifier = "
                   "hash; all but the root with authorityKeyIdentifier = keyid");
        return;
    }
}

static bool is_permitted(X509 *certificate, NAME_CONSTRAINTS *constraints, bool is_leaf)
{
    return NAME_CONSTRAINTS_check(certificate, constraints) == X509_V_OK &&
           (!is_leaf || NAME_CONSTRAINTS_check_CN(certificate, constraints) == X509_V_OK);
}

/* All certificates below, but for CAs that are self-issued: RFC 5280 6.1.4 (b). */
static bool check_constraints_of(struct judge *judge, size_t step, NAME_CONSTRAINTS *constraints)
{
    for (size_t i = 0; i < step; i++) {
        X509 *below = judge->path.steps[i].certificate;
        if ((i > 0 && is_self_issued_step(judge, i)) || is_permitted(below, constraints, i == 0))
            continue;
        CLEANUP_FREE char *ca = judge_subject_of(judge, judge->path.steps[step].certificate), *subject = judge_subject_of(judge, below);
        judge_add(judge, RULE_NAME_CONSTRAINTS, "'%s' does not permit the name '%s' (nameConstraints)", name_shown(ca),
                  name_shown(subject));
        judge_mend(judge, "give it a name that the CA permits, or sign it by another CA");
        return false;
    }
    return true;
}

static void check_name_constraints(struct judge *judge)
{
    for (size_t i = 1; i < judge->path.count; i++) {
        X509 *ca = judge->path.steps[i].certificate;
        if (X509_get_ext_by_NID(ca, NID_name_constraints, -1) < 0)
            continue;
        NAME_CONSTRAINTS *constraints = X509_get_ext_d2i(ca, NID_name_constraints, NULL, NULL);
        bool is_good = !constraints || check_constraints_of(judge, i, constraints);
        NAME_CONSTRAINTS_free(constraints);
        if (!is_good)
            return;
    }
}

/* ---- all of them ---- */

static void check_critical_extensions(struct judge *judge)
{
    for (size_t i = 0; i < judge->path.count; i++) {
        X509 *certificate = judge->path.steps[i].certificate;
        if (!(X509_get_extension_flags(certificate) & EXFLAG_CRITICAL))
            continue;
        CLEANUP_FREE char *subject = judge_subject_of(judge, certificate);
        judge_add(judge, RULE_CRITICAL_EXTENSION, "'%s' has a critical extension that is not known here", name_shown(subject));
        judge_mend(judge, "make it without that extension, or not critical");
        return;
    }
}

static bool is_weak_key(const X509 *certificate)
{
    EVP_PKEY *key = X509_get0_pubkey(certificate);
    if (!key)
        return false;
    return EVP_PKEY_get_bits(key) < (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA ? 2048 : 224);
}

static bool is_weak_digest(const X509 *certificate)
{
    int digest = NID_undef;
    if (!OBJ_find_sigid_algs(X509_get_signature_nid(certificate), &digest, NULL))
        return false;
    return digest == NID_sha1 || digest == NID_md5;
}

static bool is_usual_curve(EVP_PKEY *key)
{
    char name[64];
    static const char *const curves[] = {"prime256v1", "secp384r1", "secp521r1"};
    if (EVP_PKEY_get_group_name(key, name, sizeof name, NULL) != 1)
        return false;
    for (size_t i = 0; i < sizeof curves / sizeof curves[0]; i++)
        if (strcmp(name, curves[i]) == 0)
            return true;
    return false;
}

static bool is_usual_key(const X509 *certificate)
{
    EVP_PKEY *key = X509_get0_pubkey(certificate);
    int type = key ? EVP_PKEY_get_base_id(key) : EVP_PKEY_NONE;
    return type == EVP_PKEY_RSA || (type == EVP_PKEY_EC && is_usual_curve(key));
}

static void check_key_types(struct judge *judge)
{
    for (size_t i = 0; i < judge->path.count; i++) {
        const X509 *certificate = judge->path.steps[i].certificate;
        if (is_usual_key(certificate))
            continue;
        EVP_PKEY *key = X509_get0_pubkey(certificate);
        const char *type = key ? EVP_PKEY_get0_type_name(key) : NULL;
        CLEANUP_FREE char *subject = judge_subject_of(judge, certificate);
        judge_add(judge, RULE_KEY_TYPE, "the key of '%s' (%s) is neither RSA nor on P-256, P-384 or P-521", name_shown(subject),
                  type ? type : "of a kind that is not known here");
        judge_mend(judge, "use P-256, or RSA with 2048 bits");
        return;
    }
}

static void check_key_lengths(struct judge *judge)
{
    for (size_t i = 0; i < judge->path.count; i++) {
        const X509 *certificate = judge->path.steps[i].certificate;
        if (!is_weak_key(certificate))
            continue;
        CLEANUP_FREE char *subject = judge_subject_of(judge, certificate);
        judge_add(judge, RULE_WEAK_KEY, "the key of '%s' is short: %d bits", name_shown(subject),
                  EVP_PKEY_get_bits(X509_get0_pubkey(certificate)));
        judge_mend(judge, "use RSA with at least 2048 bits, or P-256");
        return;
    }
}

/* A root's own signature is not what trust rests on: its digest does not matter. */
static void check_digests(struct judge *judge)
{
    for (size_t i = 0; i < judge->path.count; i++) {
        const X509 *certificate = judge->path.steps[i].certificate;
        if (certificate_is_self_issued(certificate) || !is_weak_digest(certificate))
            continue;
        CLEANUP_FREE char *subject = judge_subject_of(judge, certificate);
        judge_add(judge, RULE_WEAK_DIGEST, "'%s' is signed with %s", name_shown(subject), OBJ_nid2ln(X509_get_signature_nid(certificate)));
        judge_mend(judge, "sign it with -sha256");
        return;
    }
}

/* ---- what one profile alone looks at ---- */

static bool is_lower_alphanumeric(const char *text)
{
    for (; *text; text++)
        if (!islower((unsigned char)*text) && !isdigit((unsigned char)*text))
            return false;
    return true;
}

static void check_vendor_cn(struct judge *judge)
{
    const char *cn = judge->verdict->leaf_cn;
    if (!judge_shows(judge, RULE_VENDOR_CN) || !cn || is_lower_alphanumeric(cn))
        return;
    judge_add(judge, RULE_VENDOR_CN, "the CN '%s' has other characters than a-z and 0-9", cn);
    judge_mend(judge, "use lower-case letters and digits alone, if the gateway's manual is to be followed");
}

static void check_vendor_subject(struct judge *judge)
{
    if (!judge_shows(judge, RULE_VENDOR_SUBJECT) || X509_NAME_entry_count(X509_get_subject_name(judge->leaf)) > 1)
        return;
    judge_add(judge, RULE_VENDOR_SUBJECT, "the subject '%s' has no field beside the CN", name_shown(judge->leaf_subject));
    judge_mend(judge, "fill in one more field, such as -subj \"/O=test/CN=%s\"", judge->registration_id);
}

static void check_vendor_pem_tail(struct judge *judge)
{
    const char *pasted = judge->question->pasted;
    if (!pasted || !judge_shows(judge, RULE_VENDOR_PEM_TAIL) || !pem_has_white_tail(pasted))
        return;
    judge_add(judge, RULE_VENDOR_PEM_TAIL, "white space stands behind the last dash of the certificate");
    judge_mend(judge, "cut it off: the text ends with -----END CERTIFICATE-----");
}

void judge_check_leaf(struct judge *judge)
{
    check_version(judge);
    check_client_auth(judge);
    check_key_usage(judge);
    check_not_a_ca(judge);
    check_vendor_cn(judge);
    check_vendor_subject(judge);
    check_vendor_pem_tail(judge);
}

void judge_check_forms(struct judge *judge)
{
    check_path_length(judge);
    check_name_constraints(judge);
    check_critical_extensions(judge);
    if (judge_shows(judge, RULE_CHAIN_FORM))
        check_forms(judge);
    check_key_types(judge);
    check_key_lengths(judge);
    check_digests(judge);
}
