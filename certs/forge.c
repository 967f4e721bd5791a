#include "certs/forge.h"

#include "certs/pki.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <string.h>

enum { SERIAL_BYTES = 16, VALUE_MAX_BYTES = 1024 };

/* Everything that a forging needs, lent for its length. */
struct forge {
    const struct recipe *recipe;
    const struct forge_variables *variables;
    int64_t now_s;
    struct key_cache *cache;
    struct pki *pki;
    struct error *error;
};

static int set_openssl_error(struct forge *forge, const char *what, const struct recipe_member *member)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    error_set(forge->error, ERROR_OWNER_OURS, ERROR_CRYPTO, "%s: %s of member '%s': %s", forge->recipe->name, what, member->name,
              reason ? reason : "OpenSSL refused");
    ERR_clear_error();
    return -1;
}

struct cached_key {
    struct cached_key *next;
    char *recipe;
    char *member;
    enum recipe_key type;
    EVP_PKEY *key;
};

struct key_cache {
    struct cached_key *first;
};

struct key_cache *key_cache_new(void)
{
    return calloc(1, sizeof(struct key_cache));
}

static void free_cached_key(struct cached_key *cached)
{
    free(cached->recipe);
    free(cached->member);
    EVP_PKEY_free(cached->key);
    free(cached);
}

void key_cache_free(struct key_cache *cache)
{
    while (cache && cache->first) {
        struct cached_key *cached = cache->first;
        cache->first = cached->next;
        free_cached_key(cached);
    }
    free(cache);
}

static EVP_PKEY *look_up_key(const struct forge *forge, const struct recipe_member *member)
{
    for (struct cached_key *cached = forge->cache ? forge->cache->first : NULL; cached; cached = cached->next)
        if (cached->type == member->key && strcmp(cached->recipe, forge->recipe->name) == 0 && strcmp(cached->member, member->name) == 0)
            return EVP_PKEY_up_ref(cached->key) ? cached->key : NULL;
    return NULL;
}

/* A key that cannot be remembered is only made again. */
static void remember_key(const struct forge *forge, const struct recipe_member *member, EVP_PKEY *key)
{
    struct cached_key *cached = forge->cache ? calloc(1, sizeof *cached) : NULL;
    if (!cached)
        return;
    cached->type = member->key;
    cached->recipe = strdup(forge->recipe->name);
    cached->member = strdup(member->name);
    if (!cached->recipe || !cached->member || !EVP_PKEY_up_ref(key)) {
        free_cached_key(cached);
        return;
    }
    cached->key = key;
    cached->next = forge->cache->first;
    forge->cache->first = cached;
}

static EVP_PKEY *generate_key(enum recipe_key type)
{
    static const struct {
        const char *algorithm;
        unsigned bits;
        const char *group;
    } keys[] = {
#define X(id, word, key_algorithm, key_bits, key_group) [RECIPE_KEY_##id] = {key_algorithm, key_bits, key_group},
        RECIPE_KEYS(X)
#undef X
    };
    if (keys[type].bits)
        return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)keys[type].bits);
    if (keys[type].group)
        return EVP_PKEY_Q_keygen(NULL, NULL, "EC", keys[type].group);
    return EVP_PKEY_Q_keygen(NULL, NULL, keys[type].algorithm);
}

static int make_key(struct forge *forge, size_t index)
{
    const struct recipe_member *member = &forge->recipe->members[index];
    struct pki_member *made = &forge->pki->members[index];
    made->key = look_up_key(forge, member);
    if (made->key)
        return 0;
    made->key = generate_key(member->key);
    if (!made->key)
        return set_openssl_error(forge, "key", member);
    remember_key(forge, member, made->key);
    return 0;
}

static const char *variable_value(const struct forge *forge, const char *name, size_t length)
{
    const struct forge_variables *variables = forge->variables;
    if (!variables)
        return NULL;
    if (length == strlen("registration_id") && strncmp(name, "registration_id", length) == 0)
        return variables->registration_id;
    return length == strlen("dps_host") && strncmp(name, "dps_host", length) == 0 ? variables->dps_host : NULL;
}

/* Replace every ${name}. The reader has checked that the names are known and closed. ret_value: initialised here. */
static int expand(const struct forge *forge, struct yaml_node node, struct bytes *ret_value)
{
    bytes_init(ret_value, VALUE_MAX_BYTES);
    const char *at = yaml_text(node);
    for (const char *open; (open = strstr(at, "${"));) {
        const char *close = strchr(open, '}');
        const char *value = variable_value(forge, open + 2, (size_t)(close - open - 2));
        if (!value)
            return yaml_fail(node, forge->error, "the recipe needs a value for %.*s, and the caller has none", (int)(close - open + 1),
                             open);
        if (bytes_append(ret_value, at, (size_t)(open - at)) || bytes_append_text(ret_value, value))
            return yaml_fail(node, forge->error, "longer than %d bytes", VALUE_MAX_BYTES);
        at = close + 1;
    }
    return bytes_append_text(ret_value, at) ? yaml_fail(node, forge->error, "longer than %d bytes", VALUE_MAX_BYTES) : 0;
}

static int add_name_entry(struct forge *forge, X509_NAME *name, const struct recipe_name_entry *entry)
{
    CLEANUP(bytes_done) struct bytes value = {0};
    if (expand(forge, entry->value, &value))
        return -1;
    if (X509_NAME_add_entry_by_txt(name, entry->type, MBSTRING_UTF8, (const unsigned char *)bytes_text(&value), -1, -1, 0) == 1)
        return 0;
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    yaml_fail(entry->value, forge->error, "%s='%s' cannot stand in an X.509 name: %s", entry->type, bytes_text(&value),
              reason ? reason : "OpenSSL refused");
    ERR_clear_error();
    return -1;
}

static int set_subject(struct forge *forge, const struct recipe_member *member, X509 *certificate)
{
    for (size_t i = 0; i < member->subject_count; i++)
        if (add_name_entry(forge, X509_get_subject_name(certificate), &member->subject[i]))
            return -1;
    return 0;
}

/* RFC 5280 4.1.2.2: positive, at most 20 octets. The second highest bit keeps it at exactly 16. */
static int set_serial(X509 *certificate)
{
    unsigned char octets[SERIAL_BYTES];
    if (RAND_bytes(octets, sizeof octets) != 1)
        return -1;
    octets[0] = (unsigned char)((octets[0] & 0x7F) | 0x40);
    BIGNUM *number = BN_bin2bn(octets, sizeof octets, NULL);
    bool is_set = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
    BN_free(number);
    return is_set ? 0 : -1;
}

static int add_extension(X509 *certificate, int nid, void *value, bool is_critical)
{
    return value && X509_add1_ext_i2d(certificate, nid, value, is_critical, X509V3_ADD_APPEND) == 1 ? 0 : -1;
}

static int add_basic_constraints(X509 *certificate, const struct recipe_extensions *extensions)
{
    if (!extensions->has_basic_constraints)
        return 0;
    BASIC_CONSTRAINTS *value = BASIC_CONSTRAINTS_new();
    if (!value)
        return -1;
    value->ca = extensions->is_ca ? 0xFF : 0;
    bool is_good = true;
    if (extensions->pathlen != RECIPE_PATHLEN_NONE)
        is_good = (value->pathlen = ASN1_INTEGER_new()) && ASN1_INTEGER_set(value->pathlen, extensions->pathlen) == 1;
    int rc = is_good ? add_extension(certificate, NID_basic_constraints, value, extensions->is_basic_constraints_critical) : -1;
    BASIC_CONSTRAINTS_free(value);
    return rc;
}

static int add_key_usage(X509 *certificate, const struct recipe_extensions *extensions)
{
    if (!extensions->key_usage_bits)
        return 0;
    ASN1_BIT_STRING *value = ASN1_BIT_STRING_new();
    bool is_good = value != NULL;
    for (int bit = 0; is_good && bit < 9; bit++)
        if (extensions->key_usage_bits & 1U << bit)
            is_good = ASN1_BIT_STRING_set_bit(value, bit, 1) == 1;
    int rc = is_good ? add_extension(certificate, NID_key_usage, value, true) : -1;
    ASN1_BIT_STRING_free(value);
    return rc;
}

static void free_eku(EXTENDED_KEY_USAGE **value)
{
    EXTENDED_KEY_USAGE_free(*value);
}

static int add_extended_key_usage(X509 *certificate, const struct recipe_extensions *extensions)
{
    if (!extensions->extended_key_usage_count)
        return 0;
    CLEANUP(free_eku) EXTENDED_KEY_USAGE *value = sk_ASN1_OBJECT_new_null();
    for (size_t i = 0; value && i < extensions->extended_key_usage_count; i++)
        if (!sk_ASN1_OBJECT_push(value, OBJ_nid2obj(extensions->extended_key_usage_nids[i])))
            return -1;
    return add_extension(certificate, NID_ext_key_usage, value, false);
}

static int add_subject_key_identifier(X509 *certificate, const struct recipe_extensions *extensions)
{
    if (!extensions->has_subject_key_identifier)
        return 0;
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    /* RFC 5280 4.2.1.2, method 1 */
    bool is_good = value && X509_pubkey_digest(certificate, EVP_sha1(), digest, &length) == 1 &&
                   ASN1_OCTET_STRING_set(value, digest, (int)length) == 1;
    int rc = is_good ? add_extension(certificate, NID_subject_key_identifier, value, false) : -1;
    ASN1_OCTET_STRING_free(value);
    return rc;
}

/* The issuer's own identifier where it has one, else what it would be. */
static ASN1_OCTET_STRING *key_identifier_of(X509 *issuer)
{
    /* X509_get0_subject_key_id() would cache a digest of the certificate as it stands now, and a root is not finished yet. */
    ASN1_OCTET_STRING *own = X509_get_ext_d2i(issuer, NID_subject_key_identifier, NULL, NULL);
    if (own)
        return own;
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    ASN1_OCTET_STRING *made = ASN1_OCTET_STRING_new();
    if (made && X509_pubkey_digest(issuer, EVP_sha1(), digest, &length) == 1 && ASN1_OCTET_STRING_set(made, digest, (int)length) == 1)
        return made;
    ASN1_OCTET_STRING_free(made);
    return NULL;
}

static int add_authority_key_identifier(X509 *certificate, X509 *issuer, const struct recipe_extensions *extensions)
{
    if (!extensions->has_authority_key_identifier)
        return 0;
    AUTHORITY_KEYID *value = AUTHORITY_KEYID_new();
    if (!value)
        return -1;
    value->keyid = key_identifier_of(issuer);
    int rc = value->keyid ? add_extension(certificate, NID_authority_key_identifier, value, false) : -1;
    AUTHORITY_KEYID_free(value);
    return rc;
}

static GENERAL_NAME *make_text_name(int type, int string_type, const char *text)
{
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_STRING *value = ASN1_STRING_type_new(string_type);
    if (!name || !value || ASN1_STRING_set(value, text, -1) != 1) {
        GENERAL_NAME_free(name);
        ASN1_STRING_free(value);
        return NULL;
    }
    GENERAL_NAME_set0_value(name, type, value);
    return name;
}

static GENERAL_NAME *make_ip_name(const char *text)
{
    ASN1_OCTET_STRING *address = a2i_IPADDRESS(text);
    GENERAL_NAME *name = address ? GENERAL_NAME_new() : NULL;
    if (!name) {
        ASN1_OCTET_STRING_free(address);
        return NULL;
    }
    GENERAL_NAME_set0_value(name, GEN_IPADD, address);
    return name;
}

static bool is_ip_address(const char *text)
{
    unsigned char address[16];
    return inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1;
}

/* "DNS:x", "IP:x", "URI:x", "email:x"; without a prefix an address is an IP and the rest is a DNS name. */
static GENERAL_NAME *make_alt_name(const char *text)
{
    if (strncmp(text, "DNS:", 4) == 0)
        return make_text_name(GEN_DNS, V_ASN1_IA5STRING, text + 4);
    if (strncmp(text, "URI:", 4) == 0)
        return make_text_name(GEN_URI, V_ASN1_IA5STRING, text + 4);
    if (strncmp(text, "email:", 6) == 0)
        return make_text_name(GEN_EMAIL, V_ASN1_IA5STRING, text + 6);
    if (strncmp(text, "IP:", 3) == 0)
        return make_ip_name(text + 3);
    return is_ip_address(text) ? make_ip_name(text) : make_text_name(GEN_DNS, V_ASN1_IA5STRING, text);
}

static bool has_alt_name(const GENERAL_NAMES *names, GENERAL_NAME *name)
{
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++)
        if (GENERAL_NAME_cmp(sk_GENERAL_NAME_value(names, i), name) == 0)
            return true;
    return false;
}

static int add_alt_name(struct forge *forge, GENERAL_NAMES *names, struct yaml_node node, const char *text)
{
    GENERAL_NAME *name = make_alt_name(text);
    ERR_clear_error();
    if (!name)
        return yaml_fail(node, forge->error,
                         "'%s' is no subject alternative name; write a host name, an address, DNS:x, IP:x, URI:x or email:x", text);
    if (has_alt_name(names, name)) { /* --host localhost: once is enough */
        GENERAL_NAME_free(name);
        return 0;
    }
    if (!sk_GENERAL_NAME_push(names, name)) {
        GENERAL_NAME_free(name);
        return error_set_memory(forge->error);
    }
    return 0;
}

static int add_alt_name_item(struct forge *forge, GENERAL_NAMES *names, struct yaml_node node)
{
    if (strcmp(yaml_text(node), "${hosts}") == 0) {
        for (size_t i = 0; forge->variables && i < forge->variables->host_count; i++)
            if (add_alt_name(forge, names, node, forge->variables->hosts[i]))
                return -1;
        return 0;
    }
    CLEANUP(bytes_done) struct bytes value = {0};
    if (expand(forge, node, &value))
        return -1;
    return add_alt_name(forge, names, node, bytes_text(&value));
}

static void free_alt_names(GENERAL_NAMES **names)
{
    GENERAL_NAMES_free(*names);
}

static int add_subject_alt_names(struct forge *forge, X509 *certificate, const struct recipe_member *member)
{
    struct yaml_node list = member->extensions.subject_alt_names;
    CLEANUP(free_alt_names) GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
    if (!names)
        return error_set_memory(forge->error);
    for (size_t i = 0; i < yaml_count(list); i++)
        if (add_alt_name_item(forge, names, yaml_item_at(list, i)))
            return -1;
    if (sk_GENERAL_NAME_num(names) == 0)
        return 0;
    /* RFC 5280 4.2.1.6: critical when the subject is empty */
    return add_extension(certificate, NID_subject_alt_name, names, member->subject_count == 0)
               ? set_openssl_error(forge, "subjectAltName", member)
               : 0;
}

static int add_extensions(struct forge *forge, X509 *certificate, X509 *issuer, const struct recipe_member *member)
{
    const struct recipe_extensions *extensions = &member->extensions;
    if (member->version == 1)
        return 0;
    if (add_basic_constraints(certificate, extensions) || add_key_usage(certificate, extensions) ||
        add_extended_key_usage(certificate, extensions) || add_subject_key_identifier(certificate, extensions) ||
        add_authority_key_identifier(certificate, issuer, extensions))
        return set_openssl_error(forge, "extensions", member);
    return add_subject_alt_names(forge, certificate, member);
}

static int fill(struct forge *forge, const struct recipe_member *member, X509 *certificate, EVP_PKEY *key, X509 *issuer)
{
    if (set_subject(forge, member, certificate))
        return -1;
    if (X509_set_version(certificate, member->version - 1) != 1 || set_serial(certificate) ||
        !ASN1_TIME_set(X509_getm_notBefore(certificate), (time_t)(forge->now_s + member->not_before_s)) ||
        !ASN1_TIME_set(X509_getm_notAfter(certificate), (time_t)(forge->now_s + member->not_after_s)) ||
        X509_set_issuer_name(certificate, X509_get_subject_name(issuer)) != 1 || X509_set_pubkey(certificate, key) != 1)
        return set_openssl_error(forge, "certificate", member);
    return add_extensions(forge, certificate, issuer, member);
}

static int sign(struct forge *forge, const struct recipe_member *member, X509 *certificate)
{
    const struct recipe_member *issuer = &forge->recipe->members[member->issuer];
    const EVP_MD *digest = issuer->key == RECIPE_KEY_ED25519 ? NULL : EVP_get_digestbyname(member->digest);
    if (X509_sign(certificate, forge->pki->members[member->issuer].key, digest) <= 0)
        return set_openssl_error(forge, "signature", member);
    return 0;
}

static int make_certificate(struct forge *forge, size_t index)
{
    const struct recipe_member *member = &forge->recipe->members[index];
    struct pki_member *made = &forge->pki->members[index];
    made->certificate = X509_new();
    if (!made->certificate)
        return error_set_memory(forge->error);
    X509 *issuer = forge->pki->members[member->issuer].certificate;
    return fill(forge, member, made->certificate, made->key, issuer) || sign(forge, member, made->certificate) ? -1 : 0;
}

int forge_pki(const struct recipe *recipe, const struct forge_variables *variables, const struct clock *clock, struct key_cache *cache,
              struct pki **ret_pki, struct error *error)
{
    CLEANUP(pki_free_cleanup) struct pki *pki = pki_new(recipe);
    if (!pki)
        return error_set_memory(error);
    struct forge forge = {
        .recipe = recipe, .variables = variables, .now_s = clock_unix_s(clock), .cache = cache, .pki = pki, .error = error};
    for (size_t i = 0; i < recipe->member_count; i++)
        if (make_key(&forge, recipe->order[i]) || make_certificate(&forge, recipe->order[i]))
            return -1;
    if (pki_finish(pki, recipe, error))
        return -1;
    ERR_clear_error();
    *ret_pki = TAKE(pki);
    return 0;
}
