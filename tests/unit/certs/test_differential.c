/*
 * Generated chains, judged three ways: by the judge, by OpenSSL's own verification with the matching trust, and by hand. A class is written once and
 * becomes a chain for each number of intermediates and each kind of key.
 *
 *   azure    what the judge must say by default: a rule, and whether it refuses
 *   strict   what it must do in the handshake under strict-tls
 *   openssl  what `openssl verify -x509_strict -purpose sslclient -partial_chain -auth_level 2` says
 *
 * strict and openssl agree, or the class says why not; a reason without a difference fails, too.
 */
#include "certs/attestation.h"

#include "tests/cmocka.h"
#include "tests/unit/certs/support.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>

DEFINE_CLEANUP(struct dps_state *, dps_state_free)
DEFINE_CLEANUP(struct attestation_verdict *, attestation_verdict_free)
DEFINE_CLEANUP(X509_STORE_CTX *, X509_STORE_CTX_free)
DEFINE_CLEANUP(X509_STORE *, X509_STORE_free)
#define CLEANUP_VERDICT CLEANUP(attestation_verdict_free_cleanup)

#define LEASE "differential"
#define DEVICE "dev-01"
enum { DEPTH_MAX = 2, MEMBERS_MAX = DEPTH_MAX + 2, DAY_S = 86400 };

/* ---- classes ---- */

enum where { NOWHERE, LEAF, ISSUER, MIDDLE, ROOT }; /* ISSUER: the CA directly above the leaf, which may be the root */
enum sent { WITHOUT_ROOT, WHOLE, LEAF_ALONE, CAS_REVERSED, CA_FIRST, WITH_STRANGER, DOUBLED, WITH_NAMESAKE };
enum known {
    GROUP,
    GROUP_OF_STRANGER,
    GROUP_OF_NAMESAKE,
    UNPROVEN,
    NOTHING,
    DISABLED_GROUP,
    INDIVIDUAL,
    INDIVIDUAL_OTHER,
    DISABLED_INDIVIDUAL
};
enum key { KEY_P256, KEY_RSA2048, KEY_P384, KEY_RSA1024, KEY_ED25519, KEY_SECP256K1, KEY_KINDS };
#define FIRST_STRANGE_KEY KEY_RSA1024

struct spoil {
    enum where where;
    int from_days, to_days;        /* 0, 0: good */
    const char *extensions;        /* replaces the member's own; NULL: good */
    const EVP_MD *(*digest)(void); /* of its signature; NULL: SHA-256 */
    enum key key;                  /* a strange one, or KEY_P256: as it comes */
    bool is_version_1;
};

struct class
{
    const char *id;
    const char *name;
    int depth_min, depth_max; /* intermediates */
    struct spoil spoil;
    enum sent sent;
    enum known known;
    const char *subject;         /* of the leaf; NULL: CN=dev-01 */
    const char *registration_id; /* NULL: dev-01 */
    bool is_self_signed;
    const char *rule; /* that must fire first by default; "" none */
    bool is_refused;  /* by default */
    bool is_alerted;  /* under strict-tls */
    int openssl;
    const char *reason; /* why strict and openssl differ; NULL: they do not */
};

#define SKI ";subjectKeyIdentifier=hash"
#define AKI ";authorityKeyIdentifier=keyid"
#define CA_BASE "basicConstraints=critical,CA:TRUE;keyUsage=critical,keyCertSign,cRLSign"
#define CA_EXT CA_BASE SKI AKI
#define LEAF_BASE "basicConstraints=critical,CA:FALSE;keyUsage=critical,digitalSignature"
#define LEAF_EXT LEAF_BASE ";extendedKeyUsage=clientAuth" SKI AKI
#define ANY 0, DEPTH_MAX
#define SPOIL(where, ...) .spoil = {where, __VA_ARGS__}
#define TAKEN(rule_) .rule = (rule_)
#define REFUSED(rule_) .rule = (rule_), .is_refused = true
#define ALERT(code) .is_alerted = true, .openssl = X509_V_ERR_##code
#define ALERT_OF_OURS(reason_) .is_alerted = true, .reason = (reason_)

static const struct class classes[] = {
    {"C00", "a good chain without its root", ANY, .sent = WITHOUT_ROOT, TAKEN("")},
    {"C06", "a good chain with its root", ANY, .sent = WHOLE, TAKEN("")},
    {"C02", "the intermediates are not sent", 1, 2, .sent = LEAF_ALONE, REFUSED("chain.issuer-not-sent"),
     ALERT(UNABLE_TO_GET_ISSUER_CERT_LOCALLY)},
    {"C03", "the CAs are sent in reverse", 2, 2, .sent = CAS_REVERSED, TAKEN("chain.order")},
    {"C03", "a CA is sent first", ANY, .sent = CA_FIRST, REFUSED("chain.order"), ALERT(INVALID_PURPOSE)},
    {"C04", "a CA of the issuer's name and another key is sent", 1, 2, .sent = WITH_NAMESAKE, REFUSED("chain.bad-signature"),
     ALERT(UNABLE_TO_GET_ISSUER_CERT_LOCALLY)},
    {"C04", "the same, and no key identifier tells them apart", 1, 2, SPOIL(LEAF, .extensions = LEAF_BASE), .sent = WITH_NAMESAKE,
     REFUSED("chain.bad-signature"), ALERT(SELF_SIGNED_CERT_IN_CHAIN)},
    {"C05", "an unrelated certificate is sent along", ANY, .sent = WITH_STRANGER, TAKEN("chain.extra")},
    {"C06", "each certificate is sent twice", ANY, .sent = DOUBLED, TAKEN("chain.duplicate")},
    {"C07", "an unknown root, sent", ANY, .sent = WHOLE, .known = GROUP_OF_STRANGER, REFUSED("chain.unknown-ca"),
     ALERT(SELF_SIGNED_CERT_IN_CHAIN)},
    {"C07", "an unknown root, not sent", 1, 2, .sent = WITHOUT_ROOT, .known = GROUP_OF_STRANGER, REFUSED("chain.unknown-ca"),
     ALERT(UNABLE_TO_GET_ISSUER_CERT_LOCALLY)},
    {"C08", "a root of the right name and another key", ANY, .sent = WITHOUT_ROOT, .known = GROUP_OF_NAMESAKE,
     REFUSED("chain.same-name-other-key"), ALERT(UNABLE_TO_GET_ISSUER_CERT_LOCALLY)},
    {"C09", "a self-signed leaf for a group", 0, 0, .is_self_signed = true, .sent = WITHOUT_ROOT, REFUSED("chain.self-signed-leaf"),
     ALERT(DEPTH_ZERO_SELF_SIGNED_CERT)},
    {"C09", "a self-signed leaf that is enrolled", 0, 0, .is_self_signed = true, .sent = WITHOUT_ROOT, .known = INDIVIDUAL, TAKEN("")},
    {"C10", "the root is uploaded and not proven", ANY, .sent = WHOLE, .known = UNPROVEN, REFUSED("ca.not-verified"),
     ALERT(SELF_SIGNED_CERT_IN_CHAIN)},
    {"C11", "the CN is another device's", ANY, .sent = WITHOUT_ROOT, .registration_id = "dev-02", REFUSED("registration-id.mismatch")},
    {"C11", "the case differs", ANY, .sent = WITHOUT_ROOT, .registration_id = "DEV-01", TAKEN("")},
    {"C12", "no CN", ANY, .sent = WITHOUT_ROOT, .subject = "O=Example", REFUSED("leaf.cn-missing")},
    {"C12", "two CNs", ANY, .sent = WITHOUT_ROOT, .subject = "CN=dev-01;CN=dev-02", REFUSED("leaf.cn-multiple")},
    {"C12", "an id of a wrong form", ANY, .sent = WITHOUT_ROOT, .subject = "CN=dev 01", .registration_id = "dev 01",
     REFUSED("registration-id.grammar")},
    {"C14", "the leaf expired", ANY, SPOIL(LEAF, .from_days = -20, .to_days = -10), .sent = WITHOUT_ROOT, REFUSED("leaf.expired"),
     ALERT(CERT_HAS_EXPIRED)},
    {"C15", "the leaf is not valid yet", ANY, SPOIL(LEAF, .from_days = 10, .to_days = 20), .sent = WITHOUT_ROOT,
     REFUSED("leaf.not-yet-valid"), ALERT(CERT_NOT_YET_VALID)},
    {"C16", "the issuer expired", ANY, SPOIL(ISSUER, .from_days = -20, .to_days = -10), .sent = WITHOUT_ROOT, REFUSED("ca.expired"),
     ALERT(CERT_HAS_EXPIRED)},
    {"C16", "the CA between expired", 2, 2, SPOIL(MIDDLE, .from_days = -20, .to_days = -10), .sent = WITHOUT_ROOT, REFUSED("ca.expired"),
     ALERT(CERT_HAS_EXPIRED)},
    {"C16", "the root expired", ANY, SPOIL(ROOT, .from_days = -20, .to_days = -10), .sent = WITHOUT_ROOT, REFUSED("ca.expired"),
     ALERT(CERT_HAS_EXPIRED)},
    {"C16", "the issuer is not valid yet", ANY, SPOIL(ISSUER, .from_days = 10, .to_days = 20), .sent = WITHOUT_ROOT,
     REFUSED("ca.not-yet-valid"), ALERT(CERT_NOT_YET_VALID)},
    {"C16", "the root is not valid yet", ANY, SPOIL(ROOT, .from_days = 10, .to_days = 20), .sent = WHOLE, REFUSED("ca.not-yet-valid"),
     ALERT(CERT_NOT_YET_VALID)},
    {"C17", "no enrollment", ANY, .sent = WITHOUT_ROOT, .known = NOTHING, REFUSED("enrollment.none")},
    {"C17", "the group is disabled", ANY, .sent = WITHOUT_ROOT, .known = DISABLED_GROUP, REFUSED("group.disabled")},
    {"C17", "the individual enrollment is disabled, the group is not", ANY, .sent = WITHOUT_ROOT, .known = DISABLED_INDIVIDUAL,
     REFUSED("enrollment.disabled")},
    {"C29", "the individual enrollment holds another certificate", ANY, .sent = WITHOUT_ROOT, .known = INDIVIDUAL_OTHER,
     REFUSED("enrollment.other-certificate")},
    {"C19", "a leaf with RSA-1024", ANY, SPOIL(LEAF, .key = KEY_RSA1024), .sent = WITHOUT_ROOT, TAKEN("weak.key"), ALERT(EE_KEY_TOO_SMALL)},
    {"C19", "an issuer with RSA-1024", ANY, SPOIL(ISSUER, .key = KEY_RSA1024), .sent = WITHOUT_ROOT, TAKEN("weak.key"),
     ALERT(CA_KEY_TOO_SMALL)},
    {"C19", "a leaf signed with SHA-1", ANY, SPOIL(LEAF, .digest = EVP_sha1), .sent = WITHOUT_ROOT, TAKEN("weak.digest"),
     ALERT(CA_MD_TOO_WEAK)},
    {"C19", "a CA signed with SHA-1", 1, 2, SPOIL(ISSUER, .digest = EVP_sha1), .sent = WITHOUT_ROOT, TAKEN("weak.digest"),
     ALERT(CA_MD_TOO_WEAK)},
    {"C19", "a root that signed itself with SHA-1", ANY, SPOIL(ROOT, .digest = EVP_sha1), .sent = WHOLE, TAKEN("")},
    {"C20", "a leaf with Ed25519", ANY, SPOIL(LEAF, .key = KEY_ED25519), .sent = WITHOUT_ROOT, TAKEN("key.type"),
     ALERT_OF_OURS("OpenSSL takes each key that it can check; Azure documents RSA and ECC alone")},
    {"C20", "a leaf on secp256k1", ANY, SPOIL(LEAF, .key = KEY_SECP256K1), .sent = WITHOUT_ROOT, TAKEN("key.type"),
     ALERT_OF_OURS("OpenSSL takes each curve that it knows; TLS servers offer the NIST curves")},
    {"C21", "EKU serverAuth", ANY, SPOIL(LEAF, .extensions = LEAF_BASE ";extendedKeyUsage=serverAuth" AKI), .sent = WITHOUT_ROOT,
     TAKEN("leaf.no-client-auth"), ALERT(INVALID_PURPOSE)},
    {"C21", "any EKU", ANY, SPOIL(LEAF, .extensions = LEAF_BASE ";extendedKeyUsage=anyExtendedKeyUsage" AKI), .sent = WITHOUT_ROOT,
     TAKEN(""), ALERT(INVALID_PURPOSE)},
    {"C21", "no EKU", ANY, SPOIL(LEAF, .extensions = LEAF_BASE AKI), .sent = WITHOUT_ROOT, TAKEN("")},
    {"C22", "KU keyEncipherment", ANY, SPOIL(LEAF, .extensions = "keyUsage=critical,keyEncipherment" AKI), .sent = WITHOUT_ROOT,
     TAKEN("leaf.key-usage"), ALERT(INVALID_PURPOSE)},
    {"C22", "KU keyAgreement", ANY, SPOIL(LEAF, .extensions = "keyUsage=critical,keyAgreement" AKI), .sent = WITHOUT_ROOT,
     TAKEN("leaf.key-usage"),
     ALERT_OF_OURS("OpenSSL takes it for static Diffie-Hellman; every suite of today has the client sign the handshake")},
    {"C23", "the leaf is a CA", ANY,
     SPOIL(LEAF, .extensions = "basicConstraints=critical,CA:TRUE;keyUsage=digitalSignature,keyCertSign" SKI AKI), .sent = WITHOUT_ROOT,
     TAKEN("leaf.ca"), ALERT_OF_OURS("RFC 5280 forbids no CA as an end entity; its key could make devices")},
    {"C23", "the leaf is version 1", ANY, SPOIL(LEAF, .is_version_1 = true), .sent = WITHOUT_ROOT, TAKEN("leaf.v1"),
     ALERT_OF_OURS("OpenSSL has no purpose to check in version 1; RFC 5280 6.1.4 (k) lets a server refuse what says nothing")},
    {"C23", "the issuer is no CA", ANY, SPOIL(ISSUER, .extensions = "basicConstraints=critical,CA:FALSE" SKI AKI), .sent = WITHOUT_ROOT,
     REFUSED("chain.not-a-ca"), ALERT(INVALID_CA)},
    {"C23", "the issuer may not sign certificates", ANY,
     SPOIL(ISSUER, .extensions = "basicConstraints=critical,CA:TRUE;keyUsage=cRLSign" SKI AKI), .sent = WITHOUT_ROOT,
     REFUSED("chain.not-a-ca"), ALERT(INVALID_CA)},
    {"C23", "the root is version 1", ANY, SPOIL(ROOT, .is_version_1 = true), .sent = WHOLE, TAKEN(""), ALERT(INVALID_CA)},
    {"C23", "the root allows no CA below it", 1, 2,
     SPOIL(ROOT, .extensions = "basicConstraints=critical,CA:TRUE,pathlen:0;keyUsage=keyCertSign" SKI), .sent = WITHOUT_ROOT,
     TAKEN("chain.path-length"), ALERT(PATH_LENGTH_EXCEEDED)},
    {"C23", "the issuer allows no CA below it, and there is none", ANY,
     SPOIL(ISSUER, .extensions = "basicConstraints=critical,CA:TRUE,pathlen:0;keyUsage=keyCertSign" SKI AKI), .sent = WITHOUT_ROOT,
     TAKEN("")},
    {"C23", "a CA without key usage", ANY, SPOIL(ISSUER, .extensions = "basicConstraints=critical,CA:TRUE" SKI AKI), .sent = WITHOUT_ROOT,
     TAKEN(""), ALERT(CA_CERT_MISSING_KEY_USAGE)},
    {"C23", "a CA whose basic constraints are not critical", ANY,
     SPOIL(ISSUER, .extensions = "basicConstraints=CA:TRUE;keyUsage=critical,keyCertSign" SKI AKI), .sent = WITHOUT_ROOT, TAKEN(""),
     ALERT(CA_BCONS_NOT_CRITICAL)},
    {"C23", "a CA without subject key identifier", 1, 2, SPOIL(MIDDLE, .extensions = CA_BASE AKI), .sent = WITHOUT_ROOT, TAKEN(""),
     ALERT(MISSING_SUBJECT_KEY_IDENTIFIER)},
    {"C23", "a CA without authority key identifier", 1, 2, SPOIL(ISSUER, .extensions = CA_BASE SKI), .sent = WITHOUT_ROOT, TAKEN(""),
     ALERT(MISSING_AUTHORITY_KEY_IDENTIFIER)},
    {"C23", "a leaf without authority key identifier", ANY, SPOIL(LEAF, .extensions = LEAF_BASE), .sent = WITHOUT_ROOT, TAKEN(""),
     ALERT(MISSING_AUTHORITY_KEY_IDENTIFIER)},
    {"C23", "a leaf that is no CA and may sign certificates", ANY,
     SPOIL(LEAF, .extensions = "basicConstraints=critical,CA:FALSE;keyUsage=digitalSignature,keyCertSign" AKI), .sent = WITHOUT_ROOT,
     TAKEN(""), ALERT(KU_KEY_CERT_SIGN_INVALID_FOR_NON_CA)},
    {"C24", "a name that the root does not permit", ANY,
     SPOIL(ROOT, .extensions = CA_BASE SKI ";nameConstraints=critical,permitted;DNS:else.example"), .sent = WITHOUT_ROOT,
     TAKEN("chain.name-constraints"), ALERT(PERMITTED_VIOLATION)},
    {"C24", "a name that the issuer excludes", ANY,
     SPOIL(ISSUER, .extensions = CA_EXT ";nameConstraints=critical,excluded;DNS:devices.example"), .sent = WITHOUT_ROOT,
     TAKEN("chain.name-constraints"), ALERT(EXCLUDED_VIOLATION)},
    {"C24", "a name that the root permits", ANY,
     SPOIL(ROOT, .extensions = CA_BASE SKI ";nameConstraints=critical,permitted;DNS:devices.example"), .sent = WITHOUT_ROOT, TAKEN("")},
    {"C25", "an unknown critical extension of the leaf", ANY, SPOIL(LEAF, .extensions = LEAF_EXT ";1.2.3.4.5=critical,DER:0500"),
     .sent = WITHOUT_ROOT, TAKEN("chain.unknown-critical-extension"), ALERT(UNHANDLED_CRITICAL_EXTENSION)},
    {"C25", "an unknown critical extension of the issuer", ANY, SPOIL(ISSUER, .extensions = CA_EXT ";1.2.3.4.5=critical,DER:0500"),
     .sent = WITHOUT_ROOT, TAKEN("chain.unknown-critical-extension"), ALERT(UNHANDLED_CRITICAL_EXTENSION)},
    {"C25", "an unknown extension that is not critical", ANY, SPOIL(LEAF, .extensions = LEAF_EXT ";1.2.3.4.5=DER:0500"),
     .sent = WITHOUT_ROOT, TAKEN("")},
};

/* ---- making chains ---- */

struct made {
    X509 *members[MEMBERS_MAX]; /* leaf, issuer ... root */
    size_t count;
    X509 *stranger; /* a root of its own */
    X509 *namesake; /* the issuer's name, another key */
    X509 *root_namesake;
    X509 *other_leaf;
};

static EVP_PKEY *keys[KEY_KINDS][MEMBERS_MAX + 1]; /* a key a place in the chain; the last one is the strangers' */

static EVP_PKEY *make_key(enum key kind)
{
    switch (kind) {
    case KEY_RSA2048:
        return EVP_RSA_gen(2048);
    case KEY_RSA1024:
        return EVP_RSA_gen(1024);
    case KEY_P384:
        return EVP_EC_gen("P-384");
    case KEY_SECP256K1:
        return EVP_EC_gen("secp256k1");
    case KEY_ED25519:
        return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    default:
        return EVP_EC_gen("P-256");
    }
}

/* Keys are used again and again: a good one costs more than all that is done with it. */
static EVP_PKEY *key_of(enum key kind, size_t place)
{
    if (!keys[kind][place])
        keys[kind][place] = make_key(kind);
    assert_non_null(keys[kind][place]);
    return keys[kind][place];
}

/* "CN=a;O=b" */
static void set_name(X509_NAME *name, const char *text)
{
    CLEANUP_FREE char *copy = strdup(text);
    char *save = NULL;
    for (char *part = strtok_r(copy, ";", &save); part; part = strtok_r(NULL, ";", &save)) {
        char *value = strchr(part, '=');
        *value++ = 0;
        assert_true(X509_NAME_add_entry_by_txt(name, part, MBSTRING_UTF8, (unsigned char *)value, -1, -1, 0));
    }
}

/* "name=value;name=value"; nameConstraints holds a ';' of its own. */
static void add_extensions(X509 *certificate, X509 *issuer, const char *text)
{
    CLEANUP_FREE char *copy = strdup(text);
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    char *save = NULL;
    for (char *part = strtok_r(copy, ";", &save); part; part = strtok_r(NULL, ";", &save)) {
        char value[256], *equals = strchr(part, '=');
        *equals = 0;
        snprintf(value, sizeof value, "%s", equals + 1);
        if (strcmp(part, "nameConstraints") == 0)
            snprintf(value, sizeof value, "%s;%s", equals + 1, strtok_r(NULL, ";", &save));
        /* An issuer without an identifier of its own: some key identifier, or that lack would hide what the class is about. */
        if (strcmp(part, "authorityKeyIdentifier") == 0 && !X509_get0_subject_key_id(issuer))
            snprintf(value, sizeof value, "DER:3006800401020304");
        X509_EXTENSION *extension = X509V3_EXT_nconf(NULL, &context, part, value);
        if (!extension)
            fail_msg("extension '%s' = '%s'", part, value);
        X509_add_ext(certificate, extension, -1);
        X509_EXTENSION_free(extension);
    }
}

struct plan {
    const char *subject;
    EVP_PKEY *key;
    X509 *issuer; /* NULL: itself */
    EVP_PKEY *issuer_key;
    const char *extensions;
    const struct spoil *spoil; /* NULL: good */
    int64_t now_unix_s;
};

static void set_times(X509 *certificate, const struct plan *plan)
{
    bool is_spoilt = plan->spoil && (plan->spoil->from_days || plan->spoil->to_days);
    int64_t from = is_spoilt ? plan->spoil->from_days : -1, to = is_spoilt ? plan->spoil->to_days : 100;
    ASN1_TIME_set(X509_getm_notBefore(certificate), (time_t)(plan->now_unix_s + from * DAY_S));
    ASN1_TIME_set(X509_getm_notAfter(certificate), (time_t)(plan->now_unix_s + to * DAY_S));
}

static X509 *make(const struct plan *plan)
{
    static long serial; /* the test's own; any number does */
    X509 *certificate = X509_new(), *issuer = plan->issuer ? plan->issuer : certificate;
    const EVP_MD *digest = plan->spoil && plan->spoil->digest ? plan->spoil->digest() : EVP_sha256();
    bool is_version_1 = plan->spoil && plan->spoil->is_version_1;
    X509_set_version(certificate, is_version_1 ? X509_VERSION_1 : X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
    set_name(X509_get_subject_name(certificate), plan->subject);
    X509_set_issuer_name(certificate, X509_get_subject_name(issuer));
    set_times(certificate, plan);
    X509_set_pubkey(certificate, plan->key);
    if (!is_version_1)
        add_extensions(certificate, issuer, plan->spoil && plan->spoil->extensions ? plan->spoil->extensions : plan->extensions);
    bool has_digest = EVP_PKEY_get_base_id(plan->issuer_key) != EVP_PKEY_ED25519;
    assert_true(X509_sign(certificate, plan->issuer_key, has_digest ? digest : NULL) > 0);
    /* What was made is read anew, as from the wire: OpenSSL keeps what it once looked up in a certificate. */
    unsigned char *der = NULL;
    int length = i2d_X509(certificate, &der);
    const unsigned char *at = der;
    X509 *fresh = d2i_X509(NULL, &at, length);
    OPENSSL_free(der);
    X509_free(certificate);
    assert_non_null(fresh);
    return fresh;
}

static bool is_spoilt(const struct class *class, size_t place, size_t root)
{
    switch (class->spoil.where) {
    case LEAF:
        return place == 0;
    case ISSUER:
        return place == 1;
    case MIDDLE:
        return place == (root > 2 ? 2 : 1);
    case ROOT:
        return place == root;
    default:
        return false;
    }
}

static enum key key_kind(const struct class *class, size_t place, size_t root, enum key usual)
{
    return is_spoilt(class, place, root) && class->spoil.key >= FIRST_STRANGE_KEY ? class->spoil.key : usual;
}

static X509 *make_root(const char *subject, EVP_PKEY *key, int64_t now)
{
    return make(&(struct plan){subject, key, NULL, key, CA_BASE SKI, NULL, now});
}

static const char *name_of(const struct class *class, size_t place, size_t root)
{
    static const char *const cas[] = {NULL, "CN=Sub;O=Example", "CN=Policy;O=Example"};
    if (place == 0)
        return class->subject ? class->subject : "CN=" DEVICE;
    return place == root ? "CN=Root;O=Example" : cas[place];
}

#define LEAF_WITH_NAME LEAF_EXT ";subjectAltName=DNS:dev-01.devices.example"

/* From the root down. */
static void make_chain(const struct class *class, int depth, enum key usual, int64_t now, struct made *made)
{
    size_t root = class->is_self_signed ? 0 : (size_t)depth + 1;
    *made = (struct made){.count = root + 1};
    for (size_t i = made->count; i-- > 0;) {
        EVP_PKEY *key = key_of(key_kind(class, i, root, usual), i);
        const struct plan plan = {.subject = name_of(class, i, root),
                                  .key = key,
                                  .issuer = i == root ? NULL : made->members[i + 1],
                                  .issuer_key = i == root ? key : key_of(key_kind(class, i + 1, root, usual), i + 1),
                                  .extensions = i == 0      ? LEAF_WITH_NAME
                                                : i == root ? CA_BASE SKI
                                                            : CA_EXT,
                                  .spoil = is_spoilt(class, i, root) ? &class->spoil : NULL,
                                  .now_unix_s = now};
        /* A self-signed one has no authority to name. */
        made->members[i] =
            class->is_self_signed ? make(&(struct plan){plan.subject, key, NULL, key, LEAF_BASE SKI, NULL, now}) : make(&plan);
    }
    EVP_PKEY *strange = key_of(usual, MEMBERS_MAX);
    made->stranger = make_root("CN=Stranger", strange, now);
    made->root_namesake = make_root("CN=Root;O=Example", strange, now);
    made->other_leaf = make_root("CN=" DEVICE, strange, now);
    made->namesake = make_root(name_of(class, root ? 1 : 0, root), strange, now);
}

static void free_chain(struct made *made)
{
    for (size_t i = 0; i < made->count; i++)
        X509_free(made->members[i]);
    X509_free(made->stranger);
    X509_free(made->namesake);
    X509_free(made->root_namesake);
    X509_free(made->other_leaf);
}

static void push(x509_stack *stack, X509 *certificate)
{
    X509_up_ref(certificate);
    sk_X509_push(stack, certificate);
}

static x509_stack *sent_of(const struct class *class, const struct made *made)
{
    x509_stack *sent = sk_X509_new_null();
    size_t root = made->count - 1, with_root = made->count, count = root ? root : 1;
    switch (class->sent) {
    case WHOLE:
        count = with_root;
        break;
    case LEAF_ALONE:
    case WITH_NAMESAKE:
        count = 1;
        break;
    case CA_FIRST:
        push(sent, made->members[1]);
        break;
    case CAS_REVERSED:
        push(sent, made->members[0]);
        for (size_t i = root; i-- > 1;)
            push(sent, made->members[i]);
        return sent;
    default:
        break;
    }
    for (size_t i = 0; i < count; i++) {
        push(sent, made->members[i]);
        if (class->sent == DOUBLED)
            push(sent, made->members[i]);
    }
    if (class->sent == WITH_NAMESAKE)
        push(sent, made->namesake);
    if (class->sent == WITH_STRANGER)
        push(sent, made->stranger);
    return sent;
}

/* ---- what DPS knows ---- */

static cJSON *pem_object(const X509 *certificate)
{
    CLEANUP(bytes_done) struct bytes pem;
    bytes_init(&pem, 64 * 1024);
    assert_int_equal(certificate_append_pem(certificate, &pem), 0);
    cJSON *json = cJSON_CreateObject();
    json_set_string(json, "certificate", bytes_text(&pem));
    return json;
}

static void put(struct dps_state *state, enum dps_kind kind, cJSON *json)
{
    struct error error = ERROR_INIT;
    if (dps_state_put(state, kind, json, NULL, LEASE, NULL, &error))
        fail_msg("%s", error.text);
    cJSON_Delete(json);
}

static void put_ca(struct dps_state *state, const X509 *certificate, bool is_verified)
{
    cJSON *json = cJSON_CreateObject(), *properties = pem_object(certificate);
    json_set_string(json, "name", "ca");
    json_set_bool(properties, "isVerified", is_verified);
    json_set(json, "properties", properties);
    put(state, DPS_CERTIFICATE, json);
}

static void put_enrollment(struct dps_state *state, enum dps_kind kind, const char *id, const char *how, cJSON *primary, bool is_enabled)
{
    cJSON *json = cJSON_CreateObject(), *attestation = cJSON_CreateObject(), *x509 = cJSON_CreateObject(), *pair = cJSON_CreateObject();
    json_set(pair, "primary", primary);
    json_set(x509, how, pair);
    json_set_string(attestation, "type", "x509");
    json_set(attestation, "x509", x509);
    json_set_string(json, dps_kind_id_member(kind), id);
    json_set(json, "attestation", attestation);
    json_set_string(json, "provisioningStatus", is_enabled ? "enabled" : "disabled");
    put(state, kind, json);
}

/* Of the CA that DPS has; NULL: of none. */
static X509 *known_ca(const struct class *class, const struct made *made)
{
    switch (class->known) {
    case GROUP_OF_STRANGER:
        return made->stranger;
    case GROUP_OF_NAMESAKE:
        return made->root_namesake;
    default:
        return class->is_self_signed ? made->stranger : made->members[made->count - 1];
    }
}

static void tell_dps(struct dps_state *state, const struct class *class, const struct made *made)
{
    enum known known = class->known;
    dps_state_drop_lease(state, LEASE);
    put_ca(state, known_ca(class, made), known != UNPROVEN);
    if (known != NOTHING)
        put_enrollment(state, DPS_GROUP, "group", "caReferences", cJSON_CreateString("ca"), known != DISABLED_GROUP);
    if (known == INDIVIDUAL || known == DISABLED_INDIVIDUAL)
        put_enrollment(state, DPS_ENROLLMENT, DEVICE, "clientCertificates", pem_object(made->members[0]), known == INDIVIDUAL);
    if (known == INDIVIDUAL_OTHER)
        put_enrollment(state, DPS_ENROLLMENT, DEVICE, "clientCertificates", pem_object(made->other_leaf), true);
}

/* ---- three opinions ---- */

static struct attestation_verdict *judge(const struct dps_state *state, const x509_stack *sent, const char *id, const char *profile,
                                         int64_t now)
{
    const struct attestation_question question = {.chain = sent,
                                                  .registration_id = id,
                                                  .state = state,
                                                  .now_unix_s = now,
                                                  .profile = attestation_profile_find(profile),
                                                  .is_in_handshake = strcmp(profile, "strict-tls") == 0};
    struct attestation_verdict *verdict = NULL;
    assert_int_equal(attestation_judge(&question, &verdict, NULL), 0);
    return verdict;
}

static X509_STORE *trust_of(const struct class *class, const struct made *made)
{
    X509_STORE *store = X509_STORE_new();
    if (class->known != UNPROVEN)
        X509_STORE_add_cert(store, known_ca(class, made));
    if (class->known == INDIVIDUAL || class->known == DISABLED_INDIVIDUAL)
        X509_STORE_add_cert(store, made->members[0]);
    if (class->known == INDIVIDUAL_OTHER)
        X509_STORE_add_cert(store, made->other_leaf);
    return store;
}

static int openssl_says(const struct class *class, const struct made *made, x509_stack *sent, int64_t now)
{
    enum { AUTH_LEVEL = 2 };
    CLEANUP(X509_STORE_free_cleanup) X509_STORE *store = trust_of(class, made);
    CLEANUP(X509_STORE_CTX_free_cleanup) X509_STORE_CTX *context = X509_STORE_CTX_new();
    assert_true(X509_STORE_CTX_init(context, store, sk_X509_value(sent, 0), sent));
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(context);
    X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT | X509_V_FLAG_PARTIAL_CHAIN);
    X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_CLIENT);
    X509_VERIFY_PARAM_set_auth_level(param, AUTH_LEVEL);
    X509_VERIFY_PARAM_set_time(param, (time_t)now);
    int result = X509_verify_cert(context) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(context);
    ERR_clear_error();
    return result;
}

/* The deciding rule, or the first that fired. */
static const char *first_rule(const struct attestation_verdict *verdict)
{
    return verdict->finding_count ? verdict->findings[0].rule->id : "";
}

struct trial {
    const struct class *class;
    int depth;
    enum key key;
    bool differs;
};

static void complain(const struct trial *trial, bool *has_failed, const char *what, const char *wanted, const char *got)
{
    static const char *const key_names[] = {"P-256", "RSA-2048", "P-384"};
    print_error("%s, %s, %d intermediates, %s: %s: wanted %s, got %s\n", trial->class->id, trial->class->name, trial->depth,
                key_names[trial->key], what, wanted, got);
    *has_failed = true;
}

static void check_azure(const struct trial *trial, const struct dps_state *state, const x509_stack *sent, int64_t now, bool *has_failed)
{
    const char *id = trial->class->registration_id ? trial->class->registration_id : DEVICE;
    CLEANUP_VERDICT struct attestation_verdict *verdict = judge(state, sent, id, "azure", now);
    bool is_refused = verdict->outcome != ATTESTATION_ACCEPTED;
    if (strcmp(first_rule(verdict), trial->class->rule) != 0)
        complain(trial, has_failed, "azure", trial->class->rule, first_rule(verdict));
    if (is_refused != trial->class->is_refused)
        complain(trial, has_failed, "azure", trial->class->is_refused ? "a refusal" : "acceptance", verdict->text);
}

static void check_strict(struct trial *trial, const struct dps_state *state, const struct made *made, x509_stack *sent, int64_t now,
                         bool *has_failed)
{
    CLEANUP_FREE char *cn = NULL;
    certificate_common_names(sk_X509_value(sent, 0), &cn);
    CLEANUP_VERDICT struct attestation_verdict *verdict = judge(state, sent, cn ? cn : "", "strict-tls", now);
    bool is_alerted = verdict->surface == ATTESTATION_SURFACE_TLS_ALERT;
    int openssl = openssl_says(trial->class, made, sent, now);
    if (is_alerted != trial->class->is_alerted)
        complain(trial, has_failed, "strict-tls", trial->class->is_alerted ? "an alert" : "no alert", verdict->text);
    if (openssl != trial->class->openssl)
        complain(trial, has_failed, "openssl", X509_verify_cert_error_string(trial->class->openssl),
                 X509_verify_cert_error_string(openssl));
    trial->differs = is_alerted != (openssl != X509_V_OK);
    if (trial->differs && !trial->class->reason)
        complain(trial, has_failed, "a difference without a reason", X509_verify_cert_error_string(openssl), verdict->text);
}

static struct dps_state *state;
static struct scratch scratch;
static size_t chain_count;

static void check_chain(struct trial *trial, bool *has_failed)
{
    int64_t now = clock_unix_s(&clock_system);
    struct made made;
    make_chain(trial->class, trial->depth, trial->key, now, &made);
    CLEANUP_CHAIN x509_stack *sent = sent_of(trial->class, &made);
    tell_dps(state, trial->class, &made);
    check_azure(trial, state, sent, now, has_failed);
    check_strict(trial, state, &made, sent, now, has_failed);
    free_chain(&made);
    chain_count++;
}

static void check_class(const struct class *class, bool *has_failed)
{
    bool has_differed = false;
    for (int depth = class->depth_min; depth <= class->depth_max; depth++)
        for (int key = 0; key < FIRST_STRANGE_KEY; key++) {
            struct trial trial = {class, depth, (enum key)key, false};
            check_chain(&trial, has_failed);
            has_differed |= trial.differs;
        }
    if (class->reason && !has_differed) {
        print_error("%s, %s: has a reason for a difference that there is not\n", class->id, class->name);
        *has_failed = true;
    }
}

static void judge_openssl_and_hand_agree_or_the_class_says_why(void **unused)
{
    (void)unused;
    bool has_failed = false;
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++)
        check_class(&classes[i], &has_failed);
    assert_false(has_failed);
    assert_true(chain_count > 300);
}

static void every_rule_of_the_handshake_has_a_class(void **unused)
{
    (void)unused;
    const struct attestation_profile *strict = attestation_profile_find("strict-tls");
    const struct attestation_rule *rule;
    for (size_t i = 0; (rule = attestation_rule_at(i)); i++) {
        bool is_there = attestation_rule_surface(rule, strict) != ATTESTATION_SURFACE_TLS_ALERT || strcmp(rule->id, "chain.none") == 0 ||
                        strcmp(rule->id, "chain.form") == 0;
        for (size_t j = 0; j < sizeof classes / sizeof classes[0] && !is_there; j++)
            is_there = strcmp(classes[j].rule, rule->id) == 0;
        if (!is_there)
            fail_msg("no class for '%s'", rule->id);
    }
}

static int open_state(void **unused)
{
    (void)unused;
    scratch = scratch_make();
    return dps_state_open(scratch.dir, &clock_system, &state, NULL);
}

static int close_state(void **unused)
{
    (void)unused;
    dps_state_free(state);
    scratch_remove(&scratch);
    for (size_t i = 0; i < KEY_KINDS; i++)
        for (size_t j = 0; j <= MEMBERS_MAX; j++)
            EVP_PKEY_free(keys[i][j]);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(judge_openssl_and_hand_agree_or_the_class_says_why),
        cmocka_unit_test(every_rule_of_the_handshake_has_a_class),
    };
    return cmocka_run_group_tests(tests, open_state, close_state);
}
