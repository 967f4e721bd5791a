/* Before CONNECT: what is accepted in the handshake, what is recorded of it, and what is not accepted. */
#include "tests/unit/broker_sim/rig.h"

#include "base/child.h"
#include "base/clock.h"

#include <netinet/in.h>
#include <openssl/ec.h>
#include <openssl/param_build.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/cmocka.h"

static struct rig rig;
static struct identity device;
static struct pki *device_pki;

static void start_with(struct rig_options options)
{
    rig_start(&rig, &options);
    device_identity(&rig, "dev-01", &device, &device_pki);
}

static int start(void **state)
{
    (void)state;
    start_with((struct rig_options){.has_broker = false});
    return 0;
}

static int start_1_3(void **state)
{
    (void)state;
    start_with((struct rig_options){.has_broker = false, .tls_max_version = TLS1_3_VERSION});
    return 0;
}

static int stop(void **state)
{
    (void)state;
    sk_X509_free(device.others);
    pki_free(device_pki);
    rig_stop(&rig);
    return 0;
}

static void open_tls(struct client *client, const struct identity *identity)
{
    client_open(client, &rig, &(struct client_options){.identity = identity, .sni = "localhost"});
    assert_string_equal(client->handshake_error, "");
}

/* A certificate made by hand, so that it may be as wrong as we like. */
static X509 *make_certificate(const char *name, EVP_PKEY *key, const char *issuer, EVP_PKEY *issuer_key, long from_s, long to_s,
                              const EVP_MD *digest)
{
    X509 *certificate = X509_new();
    X509_NAME *subject = X509_NAME_new(), *by = X509_NAME_new();
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1, -1, 0);
    X509_NAME_add_entry_by_txt(by, "CN", MBSTRING_UTF8, (const unsigned char *)issuer, -1, -1, 0);
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 7);
    X509_set_subject_name(certificate, subject);
    X509_set_issuer_name(certificate, by);
    X509_gmtime_adj(X509_getm_notBefore(certificate), from_s);
    X509_gmtime_adj(X509_getm_notAfter(certificate), to_s);
    X509_set_pubkey(certificate, key);
    assert_true(X509_sign(certificate, issuer_key, digest) > 0);
    X509_NAME_free(subject);
    X509_NAME_free(by);
    return certificate;
}

static const cJSON *verify_errors(int handshake)
{
    return json_member(rig_event_data(&rig, "tls.handshake", handshake), "verify_errors");
}

static bool has_verify_error(int handshake, const char *name, int depth)
{
    const cJSON *error;
    cJSON_ArrayForEach(error, verify_errors(handshake))
    {
        if (strcmp(json_string(error, "name", ""), name) == 0 && json_integer(error, "depth", -1) == depth)
            return true;
    }
    return false;
}

static void the_chain_is_recorded_as_sent_with_its_leaf(void **state)
{
    (void)state;
    struct client client;
    open_tls(&client, &device);
    const cJSON *data = rig_event_data(&rig, "tls.handshake", 0);
    const cJSON *chain = json_member(data, "chain");
    assert_int_equal(cJSON_GetArraySize(chain), 2);
    assert_string_equal(json_string(cJSON_GetArrayItem(chain, 0), "subject", ""), "CN=dev-01");
    assert_string_equal(json_string(cJSON_GetArrayItem(chain, 1), "subject", ""), "CN=test intermediate");
    assert_non_null(strstr(json_string(cJSON_GetArrayItem(chain, 0), "pem", ""), "BEGIN CERTIFICATE"));
    assert_string_equal(json_string(data, "version", ""), "TLSv1.2");
    assert_string_equal(json_string(data, "suite", ""), "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384");
    assert_string_equal(json_string(data, "group", ""), "X25519");
    assert_string_equal(json_string(data, "sni", ""), "localhost");
    assert_false(json_bool(data, "is_resumed", true));
    assert_true(has_verify_error(0, "X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY", 1));
    client_close(&client);
    assert_string_equal(rig_closed_how(&rig, 0), "device close_notify connect");
}

static void the_client_hello_is_recorded(void **state)
{
    (void)state;
    struct client client;
    client_open(&client, &rig,
                &(struct client_options){.identity = &device,
                                         .sni = "global.azure-devices-provisioning.net",
                                         .suites = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-SHA"});
    const cJSON *data = rig_event_data(&rig, "tls.client_hello", 0);
    assert_string_equal(json_string(data, "sni", ""), "global.azure-devices-provisioning.net");
    const cJSON *suites = json_member(data, "suites"), *versions = json_member(data, "versions");
    assert_string_equal(cJSON_GetArrayItem(suites, 0)->valuestring, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256");
    assert_string_equal(cJSON_GetArrayItem(suites, 1)->valuestring, "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA");
    assert_string_equal(cJSON_GetArrayItem(versions, 0)->valuestring, "TLSv1.2");
    client_close(&client);
    client_open(&client, &rig, &(struct client_options){.identity = &device});
    assert_null(json_string(rig_event_data(&rig, "tls.client_hello", 1), "sni", NULL));
    client_close(&client);
}

static void a_client_without_certificate_gets_in_with_an_empty_chain(void **state)
{
    (void)state;
    struct client client;
    open_tls(&client, NULL);
    assert_int_equal(cJSON_GetArraySize(json_member(rig_event_data(&rig, "tls.handshake", 0), "chain")), 0);
    assert_int_equal(cJSON_GetArraySize(verify_errors(0)), 0);
    client_close(&client);
}

static int signed_count_of(int handshake)
{
    const struct session *session =
        front_door_session(rig.door, (uint64_t)json_integer(rig_event(&rig, "tls.handshake", handshake), "session", 0));
    assert_non_null(session);
    return session->signed_count;
}

/* What the judge need not check again: it must never be told of a signature that is not there. */
/* The lane's library context has fewer ciphers than OpenSSL's own. */
static void every_suite_for_its_certificate_shakes_hands(void **state)
{
    (void)state;
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
    const STACK_OF(SSL_CIPHER) *suites = SSL_CTX_get_ciphers(tls);
    int count = 0;
    for (int i = 0; i < sk_SSL_CIPHER_num(suites); i++) {
        const SSL_CIPHER *suite = sk_SSL_CIPHER_value(suites, i);
        if (SSL_CIPHER_get_auth_nid(suite) != NID_auth_ecdsa || SSL_CIPHER_get_kx_nid(suite) != NID_kx_ecdhe)
            continue;
        struct client client;
        client_open(&client, &rig, &(struct client_options){.identity = &device, .suites = SSL_CIPHER_get_name(suite)});
        if (client.handshake_error[0])
            fail_msg("%s: %s", SSL_CIPHER_get_name(suite), client.handshake_error);
        assert_string_equal(json_string(rig_event_data(&rig, "tls.handshake", count++), "suite", ""), SSL_CIPHER_standard_name(suite));
        client_close(&client);
    }
    assert_true(count >= 6);
    SSL_CTX_free(tls);
}

static void signatures_that_the_handshake_found_good_are_counted(void **state)
{
    (void)state;
    EVP_PKEY *keys[] = {EVP_EC_gen("P-256"), EVP_EC_gen("P-256"), EVP_EC_gen("P-256")};
    X509 *root = make_certificate("root", keys[2], "root", keys[2], -60, 3600, EVP_sha256());
    X509 *ca = make_certificate("ca", keys[1], "root", keys[2], -60, 3600, EVP_sha256());
    X509 *namesake = make_certificate("ca", keys[2], "root", keys[2], -60, 3600, EVP_sha256());
    X509 *leaf = make_certificate("leaf", keys[0], "ca", keys[1], -60, 3600, EVP_sha256());
    X509 *alone = make_certificate("leaf", keys[0], "leaf", keys[0], -60, 3600, EVP_sha256());
    const struct {
        X509 *chain[4];
        int count;
    } rows[] = {
        {{leaf, ca}, 1},       {{leaf, ca, root}, 2}, {{leaf}, 0},       {{leaf, namesake}, 0},
        {{leaf, root, ca}, 0}, {{alone}, 0},          {{leaf, root}, 0}, {{leaf, namesake, root}, 0},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct client client;
        STACK_OF(X509) *others = sk_X509_new_null();
        for (size_t j = 1; rows[i].chain[j]; j++)
            sk_X509_push(others, rows[i].chain[j]);
        open_tls(&client, &(struct identity){rows[i].chain[0], keys[0], others});
        if (signed_count_of((int)i) != rows[i].count)
            fail_msg("chain %zu: %d signatures, expected %d", i, signed_count_of((int)i), rows[i].count);
        client_close(&client);
        sk_X509_free(others);
    }
    X509 *all[] = {root, ca, namesake, leaf, alone};
    for (size_t i = 0; i < ARRAY_COUNT(all); i++)
        X509_free(all[i]);
    for (size_t i = 0; i < ARRAY_COUNT(keys); i++)
        EVP_PKEY_free(keys[i]);
}

static void every_error_of_a_self_signed_and_expired_certificate_is_recorded(void **state)
{
    (void)state;
    struct client client;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *leaf = make_certificate("old", key, "old", key, -7200, -3600, EVP_sha256());
    open_tls(&client, &(struct identity){leaf, key, NULL});
    assert_true(has_verify_error(0, "X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT", 0));
    assert_true(has_verify_error(0, "X509_V_ERR_CERT_HAS_EXPIRED", 0));
    assert_string_equal(json_string(cJSON_GetArrayItem(verify_errors(0), 0), "subject", ""), "CN=old");
    client_close(&client);
    X509_free(leaf);
    EVP_PKEY_free(key);
}

static EVP_PKEY *generate_key(const char *type)
{
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    assert_int_equal(EVP_PKEY_keygen_init(context), 1);
    assert_int_equal(EVP_PKEY_generate(context, &key), 1);
    EVP_PKEY_CTX_free(context);
    return key;
}

static void keys_of_any_kind_prove_themselves(void **state)
{
    (void)state;
    static const struct {
        const char *type, *group;
        const char *digest;
    } rows[] = {
        {"RSA", NULL, "SHA256"},   {"RSA-PSS", NULL, "SHA256"}, {"EC", "P-384", "SHA384"},
        {"EC", "P-521", "SHA512"}, {"ED25519", NULL, NULL},     {"ED448", NULL, NULL},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct client client;
        EVP_PKEY *key = rows[i].group ? EVP_EC_gen(rows[i].group) : generate_key(rows[i].type);
        const EVP_MD *digest = rows[i].digest ? EVP_get_digestbyname(rows[i].digest) : NULL;
        X509 *leaf = make_certificate("leaf", key, "leaf", key, -60, 3600, digest);
        open_tls(&client, &(struct identity){leaf, key, NULL});
        assert_int_equal(cJSON_GetArraySize(json_member(rig_event_data(&rig, "tls.handshake", (int)i), "chain")), 1);
        client_close(&client);
        X509_free(leaf);
        EVP_PKEY_free(key);
    }
}

static void certificates_of_any_kind_are_accepted(void **state)
{
    (void)state;
    static const struct {
        const char *issuer;
        long from_s, to_s;
        bool is_rsa_1024, is_sha1;
    } rows[] = {
        {"nobody", -60, 3600, false, false}, {"nobody", 3600, 7200, false, false}, {"nobody", -7200, -3600, false, false},
        {"leaf", -60, 3600, true, false},    {"nobody", -60, 3600, false, true},
    };
    EVP_PKEY *issuer_key = EVP_EC_gen("P-256");
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct client client;
        EVP_PKEY *key = rows[i].is_rsa_1024 ? EVP_RSA_gen(1024) : EVP_EC_gen("P-256");
        EVP_PKEY *signer = strcmp(rows[i].issuer, "leaf") == 0 ? key : issuer_key;
        X509 *leaf = make_certificate("leaf", key, rows[i].issuer, signer, rows[i].from_s, rows[i].to_s,
                                      rows[i].is_sha1 ? EVP_sha1() : EVP_sha256());
        open_tls(&client, &(struct identity){leaf, key, NULL});
        assert_true(cJSON_GetArraySize(verify_errors((int)i)) > 0);
        client_close(&client);
        X509_free(leaf);
        EVP_PKEY_free(key);
    }
    assert_true(has_verify_error(3, "X509_V_ERR_EE_KEY_TOO_SMALL", 0));
    EVP_PKEY_free(issuer_key);
}

/* Another private scalar behind the certificate's public point: what a thief of the certificate alone could build. */
static EVP_PKEY *forge_key(EVP_PKEY *real)
{
    EVP_PKEY *other = EVP_EC_gen("P-256"), *forged = NULL;
    BIGNUM *scalar = NULL;
    unsigned char point[128];
    size_t point_bytes = 0;
    assert_int_equal(EVP_PKEY_get_bn_param(other, "priv", &scalar), 1);
    assert_int_equal(EVP_PKEY_get_octet_string_param(real, "pub", point, sizeof point, &point_bytes), 1);
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    OSSL_PARAM_BLD_push_utf8_string(build, "group", "P-256", 0);
    OSSL_PARAM_BLD_push_octet_string(build, "pub", point, point_bytes);
    OSSL_PARAM_BLD_push_BN(build, "priv", scalar);
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    assert_int_equal(EVP_PKEY_fromdata_init(context), 1);
    assert_int_equal(EVP_PKEY_fromdata(context, &forged, EVP_PKEY_KEYPAIR, params), 1);
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    BN_free(scalar);
    EVP_PKEY_free(other);
    return forged;
}

static void a_certificate_without_its_key_does_not_get_in(void **state)
{
    (void)state;
    struct client client;
    EVP_PKEY *forged = forge_key(device.key);
    client_open(&client, &rig, &(struct client_options){.identity = &(struct identity){device.leaf, forged, device.others}});
    assert_string_not_equal(client.handshake_error, "");
    client_free(&client);
    const cJSON *failed = rig_event_data(&rig, "tls.failed", 0);
    assert_string_equal(json_string(failed, "stage", ""), "handshake");
    assert_string_equal(json_string(failed, "reason", ""), "bad signature");
    const cJSON *alert = rig_event_data(&rig, "tls.alert", 0);
    assert_string_equal(json_string(alert, "direction", ""), "sent");
    assert_string_equal(json_string(alert, "level", ""), "fatal");
    assert_string_equal(json_string(alert, "name", ""), "decrypt_error");
    assert_int_equal(json_integer(alert, "number", 0), 51);
    assert_string_equal(rig_closed_how(&rig, 0), "service alert handshake");
    assert_int_equal(rig_event_count(&rig, "tls.handshake"), 0);
    EVP_PKEY_free(forged);
}

static void a_device_that_distrusts_the_server_is_heard(void **state)
{
    (void)state;
    struct client client;
    client_open(&client, &rig, &(struct client_options){.identity = &device, .trusted_root = pki_certificate(device_pki, "root")});
    assert_string_not_equal(client.handshake_error, "");
    const cJSON *alert = rig_event_data(&rig, "tls.alert", 0);
    assert_string_equal(json_string(alert, "direction", ""), "received");
    assert_string_equal(json_string(alert, "name", ""), "unknown_ca");
    assert_string_equal(json_string(rig_event_data(&rig, "tls.failed", 0), "stage", ""), "handshake");
    assert_string_equal(rig_closed_how(&rig, 0), "device alert handshake");
    client_free(&client);
    client_open(&client, &rig, &(struct client_options){.identity = &device, .trusted_root = pki_server_root(rig.server)});
    assert_string_equal(client.handshake_error, ""); /* leaf and intermediate were sent */
    client_close(&client);
}

static void tls_1_3_is_off_by_default_and_on_where_a_lane_says_so(void **state)
{
    (void)state;
    struct client client;
    client_open(&client, &rig, &(struct client_options){.identity = &device, .tls_max_version = TLS1_3_VERSION});
    assert_string_equal(json_string(rig_event_data(&rig, "tls.handshake", 0), "version", ""), "TLSv1.2");
    const cJSON *versions = json_member(rig_event_data(&rig, "tls.client_hello", 0), "versions");
    assert_string_equal(cJSON_GetArrayItem(versions, 0)->valuestring, "TLSv1.3");
    client_close(&client);
}

static void a_lane_of_tls_1_3_records_the_same(void **state)
{
    (void)state;
    struct client client;
    client_open(&client, &rig, &(struct client_options){.identity = &device, .tls_max_version = TLS1_3_VERSION});
    const cJSON *data = rig_event_data(&rig, "tls.handshake", 0);
    assert_string_equal(json_string(data, "version", ""), "TLSv1.3");
    assert_string_equal(json_string(data, "suite", ""), "TLS_AES_256_GCM_SHA384");
    assert_int_equal(cJSON_GetArraySize(json_member(data, "chain")), 2);
    client_close(&client);
    EVP_PKEY *forged = forge_key(device.key);
    client_open(
        &client, &rig,
        &(struct client_options){.identity = &(struct identity){device.leaf, forged, device.others}, .tls_max_version = TLS1_3_VERSION});
    assert_string_equal(json_string(rig_event_data(&rig, "tls.failed", 0), "reason", ""), "bad signature");
    client_free(&client);
    EVP_PKEY_free(forged);
}

static void an_old_version_is_refused_with_an_alert(void **state)
{
    (void)state;
    struct client client;
    client_open(&client, &rig, &(struct client_options){.identity = &device, .tls_max_version = TLS1_1_VERSION});
    assert_string_not_equal(client.handshake_error, "");
    assert_string_equal(json_string(rig_event_data(&rig, "tls.alert", 0), "name", ""), "protocol_version");
    assert_string_equal(rig_closed_how(&rig, 0), "service alert handshake");
    client_free(&client);
}

static void what_is_not_tls_fails_as_a_client_hello(void **state)
{
    (void)state;
    struct client client;
    client_open_tcp(&client, &rig, 0);
    assert_int_equal(send(client.fd, "GET / HTTP/1.0\r\n\r\n", 18, 0), 18);
    const cJSON *failed = rig_event_data(&rig, "tls.failed", 0);
    assert_string_equal(json_string(failed, "stage", ""), "client_hello");
    assert_string_equal(json_string(failed, "reason", ""), "http request");
    client_free(&client);
    rig_closed_how(&rig, 0);
}

static void who_closed_tcp_and_how_is_told(void **state)
{
    (void)state;
    struct client client;
    client_open_tcp(&client, &rig, 0);
    client_free(&client);
    assert_string_equal(rig_closed_how(&rig, 0), "device fin tcp");
    client_open_tcp(&client, &rig, 0);
    client_reset(&client);
    assert_string_equal(rig_closed_how(&rig, 1), "device reset tcp");
    client_open_tcp(&client, &rig, 0);
    assert_int_equal(send(client.fd, "\x16\x03\x01", 3, 0), 3);
    client_fin(&client);
    assert_string_equal(rig_closed_how(&rig, 2), "device fin handshake");
    assert_string_equal(json_string(rig_event_data(&rig, "tls.failed", 2), "reason", ""), "the device closed the connection");
    client_free(&client);
    open_tls(&client, &device);
    client_fin(&client);
    assert_string_equal(rig_closed_how(&rig, 3), "device fin connect");
    assert_int_equal(rig_event_count(&rig, "tls.alert"), 0); /* a mere FIN is not answered with an alert */
    client_free(&client);
    open_tls(&client, &device);
    client_reset(&client);
    assert_string_equal(rig_closed_how(&rig, 4), "device reset connect");
}

static void sessions_are_never_resumed(void **state)
{
    (void)state;
    struct client client;
    SSL_SESSION *session;
    open_tls(&client, &device);
    session = SSL_get1_session(client.ssl);
    assert_int_equal(SSL_SESSION_has_ticket(session), 0);
    unsigned int id_bytes;
    SSL_SESSION_get_id(session, &id_bytes);
    assert_int_equal(id_bytes, 0);
    SSL_SESSION_free(session);
    client_close(&client);
}

/* Lanes. */

static void open_lane(const char *name, const char *parent, const char *host, const struct pki *pki, int max_version, uint16_t *ret_port)
{
    struct error error = ERROR_INIT;
    const struct lane_options lane = {
        .name = name,
        .address = "127.0.0.1",
        .parent = parent,
        .host = host,
        .tls_max_version = max_version,
        .identity = {pki_certificate(pki, "leaf"), pki_key(pki, "leaf"), NULL},
    };
    if (front_door_lane_open(rig.door, &lane, ret_port, &error))
        fail_msg("%s", error.text);
}

static const char *server_name_for(const char *sni, uint16_t port, int max_version)
{
    static char name[64];
    struct client client;
    client_open(&client, &rig, &(struct client_options){.identity = &device, .sni = sni, .port = port, .tls_max_version = max_version});
    assert_string_equal(client.handshake_error, "");
    X509_NAME_get_text_by_NID(X509_get_subject_name(SSL_get0_peer_certificate(client.ssl)), NID_commonName, name, sizeof name);
    client_close(&client);
    return name;
}

static void sni_chooses_a_lane_with_its_own_certificate_and_version(void **state)
{
    (void)state;
    struct identity other;
    struct pki *pki;
    device_identity(&rig, "other server", &other, &pki);
    open_lane("lane-7", "main", "seven.example", pki, TLS1_3_VERSION, NULL);
    assert_string_equal(server_name_for("seven.example", 0, TLS1_3_VERSION), "other server");
    assert_string_equal(server_name_for("SEVEN.example", 0, TLS1_2_VERSION), "other server");
    assert_string_equal(server_name_for("eight.example", 0, TLS1_3_VERSION), "dpsbench simulator");
    assert_string_equal(server_name_for(NULL, 0, TLS1_3_VERSION), "dpsbench simulator");
    assert_string_equal(json_string(rig_event(&rig, "tcp.accepted", 0), "lane", ""), "main");
    assert_string_equal(json_string(rig_event(&rig, "tls.client_hello", 0), "lane", ""), "lane-7");
    assert_string_equal(json_string(rig_event(&rig, "tls.handshake", 0), "lane", ""), "lane-7");
    assert_string_equal(json_string(rig_event_data(&rig, "tls.handshake", 0), "version", ""), "TLSv1.3");
    assert_string_equal(json_string(rig_event_data(&rig, "tls.handshake", 2), "version", ""), "TLSv1.2");
    assert_string_equal(json_string(rig_event(&rig, "tls.handshake", 2), "lane", ""), "main");
    struct error error = ERROR_INIT;
    assert_int_equal(front_door_lane_close(rig.door, "lane-7", &error), 0);
    assert_string_equal(server_name_for("seven.example", 0, TLS1_2_VERSION), "dpsbench simulator");
    sk_X509_free(other.others);
    pki_free(pki);
}

static void a_lane_with_a_listener_of_its_own_takes_its_sessions_along_when_it_closes(void **state)
{
    (void)state;
    struct identity other;
    struct pki *pki;
    struct client client, bystander;
    struct error error = ERROR_INIT;
    uint16_t port = 0;
    device_identity(&rig, "other server", &other, &pki);
    open_lane("lane-1", NULL, NULL, pki, 0, &port);
    assert_int_not_equal(port, 0);
    assert_int_not_equal(port, rig.port);
    client_open(&client, &rig, &(struct client_options){.identity = &device, .port = port});
    open_tls(&bystander, &device);
    assert_int_equal(front_door_lane_close(rig.door, "lane-1", &error), 0);
    client_expect_end(&client);
    client_free(&client);
    assert_string_equal(rig_closed_how(&rig, 0), "service shutdown connect");
    assert_int_equal(front_door_session_count(rig.door), 1);
    client_close(&bystander);
    sk_X509_free(other.others);
    pki_free(pki);
}

static void a_new_identity_counts_from_the_next_handshake_on(void **state)
{
    (void)state;
    struct identity other;
    struct pki *pki;
    struct error error = ERROR_INIT;
    device_identity(&rig, "renewed", &other, &pki);
    const struct lane_identity identity = {other.leaf, other.key, other.others};
    assert_string_equal(server_name_for(NULL, 0, 0), "dpsbench simulator");
    assert_int_equal(front_door_lane_set_identity(rig.door, "main", &identity, &error), 0);
    assert_string_equal(server_name_for(NULL, 0, 0), "renewed");
    assert_int_equal(front_door_lane_set_identity(rig.door, "nowhere", &identity, &error), -1);
    assert_int_equal(error.code, ERROR_NOT_FOUND);
    sk_X509_free(other.others);
    pki_free(pki);
}

static void lanes_that_cannot_be_are_refused_with_a_reason(void **state)
{
    (void)state;
    struct error error = ERROR_INIT;
    const struct lane_identity identity = {device.leaf, device.key, NULL};
    struct lane_options lane = {.name = "main", .address = "127.0.0.1", .identity = identity};
    uint16_t port = 4711;
    assert_int_equal(front_door_lane_open(rig.door, &lane, &port, &error), -1);
    assert_int_equal(error.code, ERROR_EXISTS);
    lane.name = "lane-1";
    lane.port = rig.port;
    assert_int_equal(front_door_lane_open(rig.door, &lane, &port, &error), -1);
    assert_int_equal(error.code, ERROR_IO);
    assert_non_null(strstr(error.text, "127.0.0.1"));
    lane.port = 0;
    lane.parent = "nobody";
    lane.host = "h";
    assert_int_equal(front_door_lane_open(rig.door, &lane, &port, &error), -1);
    assert_int_equal(error.code, ERROR_NOT_FOUND);
    lane.parent = NULL;
    lane.identity.key = pki_server_key(rig.server);
    assert_int_equal(front_door_lane_open(rig.door, &lane, &port, &error), -1);
    assert_int_equal(error.code, ERROR_CRYPTO);
    assert_int_equal(port, 4711);
    assert_int_equal(front_door_lane_close(rig.door, "lane-1", &error), -1);
    assert_int_equal(error.code, ERROR_NOT_FOUND);
}

static void a_lane_may_send_a_certificate_that_is_too_weak_for_openssl(void **state)
{
    (void)state;
    struct client client;
    struct error error = ERROR_INIT;
    uint16_t port = 0;
    EVP_PKEY *key = EVP_RSA_gen(1024);
    X509 *leaf = make_certificate("weak server", key, "weak server", key, -60, 3600, EVP_sha1());
    const struct lane_options lane = {.name = "weak", .address = "127.0.0.1", .identity = {leaf, key, NULL}};
    if (front_door_lane_open(rig.door, &lane, &port, &error))
        fail_msg("%s", error.text);
    client_open(&client, &rig, &(struct client_options){.identity = &device, .port = port});
    assert_string_equal(client.handshake_error, "");
    client_close(&client);
    X509_free(leaf);
    EVP_PKEY_free(key);
}

static void a_lane_listens_on_ipv6_too(void **state)
{
    (void)state;
    struct error error = ERROR_INIT;
    uint16_t port = 0;
    const struct lane_options lane = {.name = "six", .address = "::1", .identity = {device.leaf, device.key, NULL}};
    if (front_door_lane_open(rig.door, &lane, &port, &error)) {
        assert_int_equal(error.code, ERROR_IO); /* a machine without IPv6 */
        skip();
    }
    struct sockaddr_in6 name = {.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = in6addr_loopback};
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&name, sizeof name), 0);
    assert_int_equal(strncmp(json_string(rig_event_data(&rig, "tcp.accepted", 0), "peer", ""), "[::1]:", 6), 0);
    close(fd);
    rig_closed_how(&rig, 0);
}

/* The openssl command line, as a client that is not ours. */

static void wait_for_child(struct child *child)
{
    deadline_t deadline = deadline_in_ms(&clock_system, RIG_WAIT_MS);
    while (child_is_running(child) && child_wait(child, deadline_in_ms(&clock_system, 0), NULL, NULL)) {
        if (deadline_has_passed(&clock_system, deadline))
            fail_msg("the child does not end");
        rig_turn(&rig);
    }
}

static void openssl_s_client_shakes_hands(void **state)
{
    (void)state;
    char address[32];
    struct child *child;
    struct error error = ERROR_INIT;
    snprintf(address, sizeof address, "127.0.0.1:%u", rig.port);
    const char *const argv[] = {"openssl", "s_client", "-connect", address, "-servername", "localhost", NULL};
    const struct child_options options = {.argv = argv, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1};
    if (child_start(&options, &child, &error))
        fail_msg("%s", error.text);
    wait_for_child(child);
    child_free(child);
    assert_string_equal(json_string(rig_event_data(&rig, "tls.handshake", 0), "sni", ""), "localhost");
    assert_string_equal(rig_closed_how(&rig, 0), "device close_notify connect");
    assert_string_equal(json_string(rig_event_data(&rig, "tls.alert", 0), "name", ""), "close_notify");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_chain_is_recorded_as_sent_with_its_leaf, start, stop),
        cmocka_unit_test_setup_teardown(the_client_hello_is_recorded, start, stop),
        cmocka_unit_test_setup_teardown(a_client_without_certificate_gets_in_with_an_empty_chain, start, stop),
        cmocka_unit_test_setup_teardown(every_suite_for_its_certificate_shakes_hands, start, stop),
        cmocka_unit_test_setup_teardown(signatures_that_the_handshake_found_good_are_counted, start, stop),
        cmocka_unit_test_setup_teardown(every_error_of_a_self_signed_and_expired_certificate_is_recorded, start, stop),
        cmocka_unit_test_setup_teardown(keys_of_any_kind_prove_themselves, start, stop),
        cmocka_unit_test_setup_teardown(certificates_of_any_kind_are_accepted, start, stop),
        cmocka_unit_test_setup_teardown(a_certificate_without_its_key_does_not_get_in, start, stop),
        cmocka_unit_test_setup_teardown(a_device_that_distrusts_the_server_is_heard, start, stop),
        cmocka_unit_test_setup_teardown(tls_1_3_is_off_by_default_and_on_where_a_lane_says_so, start, stop),
        cmocka_unit_test_setup_teardown(a_lane_of_tls_1_3_records_the_same, start_1_3, stop),
        cmocka_unit_test_setup_teardown(an_old_version_is_refused_with_an_alert, start, stop),
        cmocka_unit_test_setup_teardown(what_is_not_tls_fails_as_a_client_hello, start, stop),
        cmocka_unit_test_setup_teardown(who_closed_tcp_and_how_is_told, start, stop),
        cmocka_unit_test_setup_teardown(sessions_are_never_resumed, start, stop),
        cmocka_unit_test_setup_teardown(sni_chooses_a_lane_with_its_own_certificate_and_version, start, stop),
        cmocka_unit_test_setup_teardown(a_lane_with_a_listener_of_its_own_takes_its_sessions_along_when_it_closes, start, stop),
        cmocka_unit_test_setup_teardown(a_new_identity_counts_from_the_next_handshake_on, start, stop),
        cmocka_unit_test_setup_teardown(lanes_that_cannot_be_are_refused_with_a_reason, start, stop),
        cmocka_unit_test_setup_teardown(a_lane_may_send_a_certificate_that_is_too_weak_for_openssl, start, stop),
        cmocka_unit_test_setup_teardown(a_lane_listens_on_ipv6_too, start, stop),
        cmocka_unit_test_setup_teardown(openssl_s_client_shakes_hands, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
