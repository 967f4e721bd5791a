#include "broker_sim/scenario/knob_check.h"

#include "base/cleanup.h"
#include "base/yaml.h"
#include "certs/attestation.h"
#include "certs/recipe.h"

#include <ctype.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>

#define TLS_1_3_SUITES                                                                                                                     \
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_CCM_SHA256:TLS_AES_128_CCM_8_SHA256"

enum { SUITES_MAX = 256, SUITES_TEXT_MAX_BYTES = 512 };

/* ---- hex ---- */

static int digit(char c)
{
    return isdigit((unsigned char)c) ? c - '0' : isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10 : -1;
}

int knob_read_hex(const char *text, struct bytes *out)
{
    while (*text) {
        if (*text == ' ') {
            text++;
            continue;
        }
        int high = digit(text[0]), low = high < 0 ? -1 : digit(text[1]);
        if (low < 0 || bytes_append_byte(out, (uint8_t)(high << 4 | low)))
            return -1;
        text += 2;
    }
    return 0;
}

int knob_check_hex(const char *text, struct error *error)
{
    CLEANUP(bytes_done) struct bytes bytes = {.max_bytes = strlen(text) + 1};
    return knob_read_hex(text, &bytes)
               ? error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "'%s' is no row of bytes; write such as '20 02 00 00'", text)
               : 0;
}

/* ---- rules ---- */

int knob_check_rule_surfaces(const char *text, struct error *error)
{
    return attestation_surfaces_check(text, error);
}

/* ---- recipes ---- */

DEFINE_CLEANUP(struct recipe *, recipe_free)

int knob_check_server_recipe(const char *text, struct error *error)
{
    CLEANUP(recipe_free_cleanup) struct recipe *recipe = NULL;
    const char *nearest = text_nearest(text, recipe_builtin_names());
    if (recipe_read_builtin(text, &recipe, NULL) == 0 && recipe_is_for_server(recipe))
        return 0;
    return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "there is no server recipe '%s'%s%s%s; `dpsbench certs list` names them", text,
                     nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'" : "");
}

/* ---- suites ---- */

DEFINE_CLEANUP(SSL_CTX *, SSL_CTX_free)

static STACK_OF(SSL_CIPHER) * all_suites(SSL_CTX *tls)
{
    SSL_CTX_set_security_level(tls, 0);
    bool is_set = SSL_CTX_set_cipher_list(tls, "ALL:COMPLEMENTOFALL") == 1 && SSL_CTX_set_ciphersuites(tls, TLS_1_3_SUITES) == 1;
    ERR_clear_error();
    return is_set ? SSL_CTX_get_ciphers(tls) : NULL;
}

static const SSL_CIPHER *find(const STACK_OF(SSL_CIPHER) * suites, const char *name)
{
    for (int i = 0; i < sk_SSL_CIPHER_num(suites); i++) {
        const SSL_CIPHER *suite = sk_SSL_CIPHER_value(suites, i);
        const char *standard = SSL_CIPHER_standard_name(suite);
        if (strcmp(SSL_CIPHER_get_name(suite), name) == 0 || (standard && strcmp(standard, name) == 0))
            return suite;
    }
    return NULL;
}

static int fail_suite(const STACK_OF(SSL_CIPHER) * suites, const char *name, struct error *error)
{
    const char *names[SUITES_MAX + 1] = {NULL};
    for (int i = 0; i < sk_SSL_CIPHER_num(suites) && i < SUITES_MAX; i++)
        names[i] = SSL_CIPHER_standard_name(sk_SSL_CIPHER_value(suites, i));
    const char *nearest = text_nearest(name, names);
    return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE,
                     "there is no TLS suite '%s'%s%s%s; write such as TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", name,
                     nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'" : "");
}

/* The names in OpenSSL's spelling: TLS 1.3 has a list of its own. */
struct suite_lists {
    char old[SUITES_TEXT_MAX_BYTES];
    char new[SUITES_TEXT_MAX_BYTES];
};

static void add(char *list, const char *name)
{
    size_t length = strlen(list);
    snprintf(list + length, SUITES_TEXT_MAX_BYTES - length, "%s%s", length ? ":" : "", name);
}

static int read_suites(const char *text, const STACK_OF(SSL_CIPHER) * suites, struct suite_lists *lists, struct error *error)
{
    CLEANUP_FREE char *copy = strdup(text);
    char *rest = NULL;
    if (!copy)
        return error_set_memory(error);
    for (char *name = strtok_r(copy, ": ", &rest); name; name = strtok_r(NULL, ": ", &rest)) {
        const SSL_CIPHER *suite = find(suites, name);
        if (!suite)
            return fail_suite(suites, name, error);
        add(strcmp(SSL_CIPHER_get_version(suite), "TLSv1.3") == 0 ? lists->new : lists->old, SSL_CIPHER_get_name(suite));
    }
    return 0;
}

static int read_lists(const char *text, struct suite_lists *lists, struct error *error)
{
    CLEANUP(SSL_CTX_free_cleanup) SSL_CTX *tls = SSL_CTX_new(TLS_method());
    const STACK_OF(SSL_CIPHER) *suites = tls ? all_suites(tls) : NULL;
    return suites ? read_suites(text, suites, lists, error) : error_set_memory(error);
}

int knob_check_suites(const char *text, struct error *error)
{
    struct suite_lists lists = {.old = ""};
    return read_lists(text, &lists, error);
}

int knob_apply_suites(const char *text, struct ssl_st *ssl)
{
    struct suite_lists lists = {.old = ""};
    if (read_lists(text, &lists, NULL))
        return -1;
    SSL_set_security_level(ssl, 0);
    /* A version without a suite would be no version. */
    if (!lists.new[0] && SSL_get_max_proto_version(ssl) == TLS1_3_VERSION)
        SSL_set_max_proto_version(ssl, TLS1_2_VERSION);
    if (!lists.old[0] && (!SSL_set_max_proto_version(ssl, TLS1_3_VERSION) || !SSL_set_min_proto_version(ssl, TLS1_3_VERSION)))
        return -1;
    bool is_set = (!lists.old[0] || SSL_set_cipher_list(ssl, lists.old)) && SSL_set_ciphersuites(ssl, lists.new);
    ERR_clear_error();
    return is_set ? 0 : -1;
}
