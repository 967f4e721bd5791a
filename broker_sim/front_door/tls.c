#include "broker_sim/front_door/tls.h"

#include "base/cleanup.h"
#include "broker_sim/front_door/alert.h"
#include "broker_sim/front_door/connection.h"
#include "broker_sim/front_door/lane.h"

#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

enum { CLIENT_CHAIN_MAX_BYTES = 256 * 1024, SNI_MAX_BYTES = 255 };

struct tls_versions tls_versions_or_default(int min, int max)
{
    return (struct tls_versions){min ? min : TLS1_2_VERSION, max ? max : TLS1_2_VERSION};
}

/*
 * Several errors may be raised for one chain (self-signed and expired raises two), and SSL_get_verify_result() keeps only the last: so each
 * is noted here, and passed.
 */
static int on_verify(int is_good, X509_STORE_CTX *store)
{
    const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct connection *connection = SSL_get_app_data(ssl);
    struct session *session = &connection->session;
    int at = session->verify_error_count;
    if (is_good || at == SESSION_VERIFY_ERRORS_MAX)
        return 1;
    session->verify_errors[at] = (struct session_verify_error){X509_STORE_CTX_get_error(store), X509_STORE_CTX_get_error_depth(store)};
    X509 *subject = X509_STORE_CTX_get_current_cert(store);
    if (subject && X509_up_ref(subject))
        connection->verify_error_subjects[at] = subject;
    session->verify_error_count++;
    return 1;
}

/* `sent` is all that came, the leaf too. */
static int verify_chain(X509_STORE_CTX *store, void *unused)
{
    (void)unused;
    const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct connection *connection = SSL_get_app_data(ssl);
    const struct front_door_policy *policy = &connection->door->options.policy;
    int result = X509_verify_cert(store);
    int refusal = policy->verify ? policy->verify(policy->user, &connection->session, X509_STORE_CTX_get0_untrusted(store)) : 0;
    if (refusal == X509_V_OK)
        return result;
    X509_STORE_CTX_set_error(store, refusal);
    return 0;
}

/* The host name of the extension, malloc'ed; NULL when there is none. RFC 6066 section 3. Bytes that no host name has become '?'. */
static char *read_sni(SSL *ssl)
{
    const unsigned char *data;
    size_t length;
    if (!SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &data, &length))
        return NULL;
    struct cursor cursor = cursor_of(data, length);
    cursor_u16(&cursor);
    uint8_t type = cursor_u8(&cursor);
    uint16_t name_bytes = cursor_u16(&cursor);
    const uint8_t *name = cursor_take(&cursor, name_bytes);
    if (!name || type != TLSEXT_NAMETYPE_host_name || name_bytes > SNI_MAX_BYTES)
        return NULL;
    char *text = strndup((const char *)name, name_bytes);
    for (char *at = text; at && *at; at++)
        if (*at <= ' ' || *at > '~')
            *at = '?';
    return text;
}

/* Before the version is chosen: so the lane may decide on that too, which the later servername callback could not. */
static int on_client_hello(SSL *ssl, int *alert, void *unused)
{
    (void)unused;
    struct connection *connection = SSL_get_app_data(ssl);
    if (connection->has_seen_hello)
        return SSL_CLIENT_HELLO_SUCCESS;
    connection->has_seen_hello = true;
    connection->sni = read_sni(ssl);
    connection->session.sni = connection->sni;
    struct lane *lane = connection->lane ? lane_for_host(connection->lane, connection->sni) : NULL;
    char *name = lane ? strdup(lane_name(lane)) : NULL;
    if (!name || (lane != connection->lane && (lane_apply(lane, ssl) || device_change_lane(connection, lane)))) {
        free(name);
        *alert = SSL_AD_INTERNAL_ERROR;
        return SSL_CLIENT_HELLO_ERROR;
    }
    free(connection->lane_name);
    connection->lane = lane;
    connection->session.lane = connection->lane_name = name;
    emit_client_hello(connection);
    const struct front_door_policy *policy = &connection->door->options.policy;
    if (policy->needs_certificate && policy->needs_certificate(policy->user))
        SSL_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, on_verify);
    return SSL_CLIENT_HELLO_SUCCESS;
}

/* Without it OpenSSL would not acknowledge the extension. */
static int on_server_name(SSL *ssl, int *alert, void *unused)
{
    (void)ssl, (void)alert, (void)unused;
    return SSL_TLSEXT_ERR_OK;
}

static void on_info(const SSL *ssl, int where, int value)
{
    if (!(where & SSL_CB_ALERT))
        return;
    struct connection *connection = SSL_get_app_data(ssl);
    bool is_sent = where & SSL_CB_WRITE;
    int level = value >> 8, number = value & 0xff;
    if (level == ALERT_LEVEL_FATAL && is_sent)
        connection->has_sent_fatal_alert = true;
    else if (level == ALERT_LEVEL_FATAL)
        connection->has_received_fatal_alert = true;
    else if (number == ALERT_CLOSE_NOTIFY && !is_sent)
        connection->has_close_notify = true;
    emit_alert(connection, is_sent, level, number);
}

static int crypto_error(struct error *error, const char *what)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    ERR_clear_error();
    return error_set(error, ERROR_OWNER_OURS, ERROR_CRYPTO, "%s: %s", what, reason ? reason : "OpenSSL gives no reason");
}

static bool use_identity(SSL_CTX *tls, const struct lane_identity *identity)
{
    ERR_clear_error();
    return SSL_CTX_use_certificate(tls, identity->leaf) == 1 && SSL_CTX_use_PrivateKey(tls, identity->key) == 1 &&
           (!identity->intermediates || SSL_CTX_set1_chain(tls, identity->intermediates) == 1);
}

static void set_callbacks(SSL_CTX *tls)
{
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, on_verify);
    SSL_CTX_set_cert_verify_callback(tls, verify_chain, NULL);
    SSL_CTX_set_client_hello_cb(tls, on_client_hello, NULL);
    SSL_CTX_set_tlsext_servername_callback(tls, on_server_name);
    SSL_CTX_set_info_callback(tls, on_info);
}

static void set_options(SSL_CTX *tls)
{
    /* How a connection ended is told by wire.h: OpenSSL would answer a mere FIN with an alert. */
    SSL_CTX_set_options(tls, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_num_tickets(tls, 0);
    SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
    /* NO_AUTO_CHAIN: what is sent is what the identity says, no more. */
    SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS |
                              SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_max_cert_list(tls, CLIENT_CHAIN_MAX_BYTES);
}

DEFINE_CLEANUP(SSL_CTX *, SSL_CTX_free)

int tls_context_new(OSSL_LIB_CTX *library, const struct lane_identity *identity, struct tls_versions versions, SSL_CTX **ret_tls,
                    struct error *error)
{
    CLEANUP(SSL_CTX_free_cleanup) SSL_CTX *tls = SSL_CTX_new_ex(library, NULL, TLS_server_method());
    if (!tls || !SSL_CTX_set_min_proto_version(tls, versions.min) || !SSL_CTX_set_max_proto_version(tls, versions.max))
        return crypto_error(error, "make a TLS context");
    set_options(tls);
    set_callbacks(tls);
    if (!use_identity(tls, identity)) {
        /* The level that flags weak client certificates in the events forbids weak ones of our own: then this lane goes without it. */
        SSL_CTX_set_security_level(tls, 0);
        if (!use_identity(tls, identity))
            return crypto_error(error, "use the server certificate");
    }
    *ret_tls = TAKE(tls);
    return 0;
}

void tls_set_resumption(SSL_CTX *tls, bool is_on)
{
    static const unsigned char name[] = "lane";
    SSL_CTX_set_session_cache_mode(tls, is_on ? SSL_SESS_CACHE_SERVER : SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(tls, is_on ? 1 : 0); /* TLS 1.3: a ticket that is an id */
    SSL_CTX_set_session_id_context(tls, name, sizeof name - 1);
}

/* ---- knobs ---- */

static bool set_version(SSL *ssl, enum tls_version version)
{
    static const int numbers[] = {0, TLS1_VERSION, TLS1_1_VERSION, TLS1_2_VERSION, TLS1_3_VERSION};
    if (version == TLS_VERSION_DEFAULT)
        return true;
    if (version == TLS_VERSION_1_0 || version == TLS_VERSION_1_1)
        SSL_set_security_level(ssl, 0); /* their digest is below every other level */
    return SSL_set_min_proto_version(ssl, numbers[version]) && SSL_set_max_proto_version(ssl, numbers[version]);
}

static X509_NAME *made_up_name(int64_t number)
{
    char text[64];
    X509_NAME *name = X509_NAME_new();
    snprintf(text, sizeof text, "Made-up Certification Authority %lld", (long long)number);
    if (!name || !X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC, (const unsigned char *)"dpsbench", -1, -1, 0) ||
        !X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)text, -1, -1, 0)) {
        X509_NAME_free(name);
        return NULL;
    }
    return name;
}

static bool set_ca_names(SSL *ssl, int64_t count)
{
    STACK_OF(X509_NAME) *names = sk_X509_NAME_new_null();
    for (int64_t i = 1; names && i <= count; i++) {
        X509_NAME *name = made_up_name(i);
        if (!name || !sk_X509_NAME_push(names, name)) {
            X509_NAME_free(name);
            break;
        }
    }
    if (names)
        SSL_set0_CA_list(ssl, names);
    return sk_X509_NAME_num(names) == count;
}

int tls_spoil(SSL *ssl, const struct knobs *knobs)
{
    ERR_clear_error();
    bool is_set = set_version(ssl, (enum tls_version)knobs->tls_version);
    if (is_set && knobs->tls_suites[0])
        is_set = knob_apply_suites(knobs->tls_suites, ssl) == 0;
    if (is_set && knobs->request_cas)
        is_set = set_ca_names(ssl, knobs->request_cas);
    if (!knobs->asks_certificate)
        SSL_set_verify(ssl, SSL_VERIFY_NONE, NULL);
    ERR_clear_error();
    return is_set ? 0 : -1;
}
