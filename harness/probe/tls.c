#include "harness/probe/tls.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <uv.h>

static int fail(const char *what, struct error *error)
{
    char text[256];
    ERR_error_string_n(ERR_peek_last_error(), text, sizeof text);
    ERR_clear_error();
    return error_set(error, ERROR_OWNER_FILE, ERROR_CRYPTO, "use the %s in a TLS handshake: OpenSSL says %s", what, text);
}

static void tell(const struct probe_tls *tls, struct probe_event event)
{
    event.stage = tls->stage;
    event.mono_us = clock_mono_us(tls->clock);
    if (tls->observer.observe)
        tls->observer.observe(tls->observer.user, &event);
}

/* RFC 5246 7.4 and RFC 8446 4; NULL for what no server of ours or Azure's sends. */
static const char *message_name(unsigned char type)
{
    static const char *const names[] = {
        [SSL3_MT_HELLO_REQUEST] = "HelloRequest",
        [SSL3_MT_CLIENT_HELLO] = "ClientHello",
        [SSL3_MT_SERVER_HELLO] = "ServerHello",
        [SSL3_MT_NEWSESSION_TICKET] = "NewSessionTicket",
        [SSL3_MT_CERTIFICATE] = "Certificate",
        [SSL3_MT_SERVER_KEY_EXCHANGE] = "ServerKeyExchange",
        [SSL3_MT_CERTIFICATE_REQUEST] = "CertificateRequest",
        [SSL3_MT_SERVER_DONE] = "ServerHelloDone",
        [SSL3_MT_CERTIFICATE_VERIFY] = "CertificateVerify",
        [SSL3_MT_CLIENT_KEY_EXCHANGE] = "ClientKeyExchange",
        [SSL3_MT_FINISHED] = "Finished",
        [SSL3_MT_CERTIFICATE_STATUS] = "CertificateStatus",
    };
    return type < sizeof names / sizeof names[0] ? names[type] : NULL;
}

static void on_handshake_message(const struct probe_tls *tls, const SSL *ssl, bool is_from_server, unsigned char type)
{
    const char *name = message_name(type);
    tell(tls, (struct probe_event){
                  .step = PROBE_TLS_MESSAGE, .is_from_server = is_from_server, .code = type, .name = name ? name : "an unknown message"});
    if (type == SSL3_MT_FINISHED && is_from_server)
        tell(tls, (struct probe_event){
                      .step = PROBE_TLS_DONE, .name = SSL_get_version(ssl), .text = SSL_CIPHER_standard_name(SSL_get_current_cipher(ssl))});
}

static void on_tls_bytes(int is_written, int version, int content_type, const void *data, size_t length_bytes, SSL *ssl, void *user)
{
    (void)version;
    const struct probe_tls *tls = user;
    const unsigned char *bytes = data;
    if (content_type == SSL3_RT_HANDSHAKE && length_bytes >= 1)
        on_handshake_message(tls, ssl, !is_written, bytes[0]);
    else if (content_type == SSL3_RT_ALERT && length_bytes >= 2 && bytes[1] != SSL3_AD_CLOSE_NOTIFY)
        tell(tls,
             (struct probe_event){
                 .step = PROBE_TLS_ALERT, .is_from_server = !is_written, .code = bytes[1], .name = SSL_alert_desc_string_long(bytes[1])});
}

/* OpenSSL's own verification; we only look on. */
static int verify_server(X509_STORE_CTX *context, void *user)
{
    const struct probe_tls *tls = user;
    int is_good = X509_verify_cert(context) > 0, code = X509_STORE_CTX_get_error(context);
    X509 *certificate = X509_STORE_CTX_get_current_cert(context);
    CLEANUP_FREE char *subject = certificate ? certificate_subject(certificate) : NULL;
    char text[512] = "";
    if (!is_good)
        snprintf(text, sizeof text, "%s%s%s%s", X509_verify_cert_error_string(code), subject ? " ('" : "", subject ? subject : "",
                 subject ? "')" : "");
    tell(tls, (struct probe_event){.step = PROBE_SERVER,
                                   .is_from_server = true,
                                   .code = is_good ? X509_V_OK : code,
                                   .text = is_good ? NULL : text,
                                   .chain = X509_STORE_CTX_get0_untrusted(context)});
    return is_good;
}

static int load_roots(SSL_CTX *context, const char *path, struct error *error)
{
    if (!path)
        return SSL_CTX_set_default_verify_paths(context) == 1 ? 0 : fail("trust store of this machine", error);
    return SSL_CTX_load_verify_file(context, path) == 1 ? 0 : fail("server's root", error);
}

static int load_chain(SSL_CTX *context, const struct probe_tls_options *options, struct error *error)
{
    if (SSL_CTX_use_certificate(context, sk_X509_value(options->chain, 0)) != 1)
        return fail("certificate", error);
    for (int i = 1; i < sk_X509_num(options->chain); i++)
        if (SSL_CTX_add1_chain_cert(context, sk_X509_value(options->chain, i)) != 1)
            return fail("chain", error);
    return SSL_CTX_use_PrivateKey(context, options->key) == 1 ? 0 : fail("private key", error);
}

static void configure(SSL_CTX *context)
{
    SSL_CTX_set_security_level(context, 0);
    SSL_CTX_set_mode(context, SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
}

int probe_tls_init(const struct probe_tls_options *options, const struct clock *clock, const struct probe_observer *observer,
                   struct probe_tls *ret_tls, struct error *error)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (!context)
        return error_set_memory(error);
    configure(context);
    if (load_roots(context, options->root_path, error) || load_chain(context, options, error)) {
        SSL_CTX_free(context);
        return -1;
    }
    *ret_tls = (struct probe_tls){.context = context, .clock = clock, .observer = *observer};
    if (observer->observe) {
        SSL_CTX_set_msg_callback(context, on_tls_bytes);
        SSL_CTX_set_msg_callback_arg(context, ret_tls);
        SSL_CTX_set_cert_verify_callback(context, verify_server, ret_tls);
    }
    return 0;
}

int probe_tls_expect(struct probe_tls *tls, enum probe_stage stage, const char *host, struct error *error)
{
    X509_VERIFY_PARAM *parameters = SSL_CTX_get0_param(tls->context);
    struct in6_addr address;
    bool is_address = host && (uv_inet_pton(AF_INET, host, &address) == 0 || uv_inet_pton(AF_INET6, host, &address) == 0);
    tls->stage = stage;
    if (X509_VERIFY_PARAM_set1_ip(parameters, NULL, 0) != 1 || X509_VERIFY_PARAM_set1_host(parameters, is_address ? NULL : host, 0) != 1 ||
        (is_address && X509_VERIFY_PARAM_set1_ip_asc(parameters, host) != 1))
        return fail("server's name", error);
    return 0;
}

void probe_tls_done(struct probe_tls *tls)
{
    if (tls)
        SSL_CTX_free(TAKE(tls->context));
}
