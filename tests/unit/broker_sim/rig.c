#include "tests/unit/broker_sim/rig.h"

#include "base/clock.h"
#include "base/files.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/cmocka.h"

static const char device_recipe[] = "format: 1\n"
                                    "members:\n"
                                    "  root:\n"
                                    "    subject: {CN: test root}\n"
                                    "    issuer: self\n"
                                    "    key: p-256\n"
                                    "    not_after: +1000d\n"
                                    "    extensions:\n"
                                    "      basicConstraints: {ca: true}\n"
                                    "  intermediate:\n"
                                    "    subject: {CN: test intermediate}\n"
                                    "    issuer: root\n"
                                    "    key: p-256\n"
                                    "    not_after: +1000d\n"
                                    "    extensions:\n"
                                    "      basicConstraints: {ca: true}\n"
                                    "  leaf:\n"
                                    "    subject: {CN: \"${registration_id}\"}\n"
                                    "    issuer: intermediate\n"
                                    "    key: p-256\n"
                                    "    not_after: +500d\n";

static struct pki *forge(struct rig *rig, struct recipe *recipe, const char *registration_id)
{
    struct error error = ERROR_INIT;
    struct pki *pki = NULL;
    const struct forge_variables variables = {.registration_id = registration_id, .dps_host = "localhost"};
    if (forge_pki(recipe, &variables, &clock_system, rig->keys, &pki, &error))
        fail_msg("forge: %s", error.text);
    recipe_free(recipe);
    return pki;
}

static struct pki *forge_builtin(struct rig *rig, const char *name)
{
    struct error error = ERROR_INIT;
    struct recipe *recipe = NULL;
    if (recipe_read_builtin(name, &recipe, &error))
        fail_msg("recipe %s: %s", name, error.text);
    return forge(rig, recipe, NULL);
}

void device_identity(struct rig *rig, const char *id, struct identity *ret_identity, struct pki **ret_pki)
{
    struct error error = ERROR_INIT;
    struct recipe *recipe = NULL;
    if (recipe_read_text(device_recipe, strlen(device_recipe), "device", &recipe, &error))
        fail_msg("%s", error.text);
    struct pki *pki = forge(rig, recipe, id);
    ret_identity->leaf = pki_certificate(pki, "leaf");
    ret_identity->key = pki_key(pki, "leaf");
    ret_identity->others = sk_X509_new_null();
    sk_X509_push(ret_identity->others, pki_certificate(pki, "intermediate"));
    *ret_pki = pki;
}

/* Events. */

static void collect(void *user, cJSON *event)
{
    struct rig *rig = user;
    assert_non_null(event);
    enum event_kind kind;
    struct error error = ERROR_INIT;
    if (event_check(event, &kind, &error) || kind == EVENT_KIND_COUNT)
        fail_msg("event: %s", error.text);
    cJSON_AddItemToArray(rig->events, event);
}

static const cJSON *find_event(const struct rig *rig, const char *kind, int index)
{
    const cJSON *event;
    cJSON_ArrayForEach(event, rig->events)
    {
        if (strcmp(json_string(event, "kind", ""), kind) == 0 && index-- == 0)
            return event;
    }
    return NULL;
}

int rig_event_count(const struct rig *rig, const char *kind)
{
    int count = 0;
    while (find_event(rig, kind, count))
        count++;
    return count;
}

const cJSON *rig_event(struct rig *rig, const char *kind, int index)
{
    deadline_t deadline = deadline_in_ms(&clock_system, RIG_WAIT_MS);
    const cJSON *event;
    while (!(event = find_event(rig, kind, index))) {
        if (deadline_has_passed(&clock_system, deadline)) {
            char *all = json_print_pretty(rig->events);
            fail_msg("no event %s[%d] in %s", kind, index, all);
        }
        rig_turn(rig);
    }
    return event;
}

const cJSON *rig_event_data(struct rig *rig, const char *kind, int index)
{
    return event_data(rig_event(rig, kind, index));
}

const char *rig_closed_how(struct rig *rig, int index)
{
    static char text[128];
    const cJSON *data = rig_event_data(rig, "connection.closed", index);
    snprintf(text, sizeof text, "%s %s %s", json_string(data, "by", "?"), json_string(data, "how", "?"), json_string(data, "stage", "?"));
    return text;
}

/* The loop. */

static void on_tick(uv_timer_t *timer)
{
    (void)timer;
}

void rig_turn(struct rig *rig)
{
    uv_run(&rig->loop, UV_RUN_ONCE);
}

void rig_turn_ms(struct rig *rig, int64_t ms)
{
    deadline_t deadline = deadline_in_ms(&clock_system, ms);
    while (!deadline_has_passed(&clock_system, deadline))
        rig_turn(rig);
}

void rig_wait_count(struct rig *rig, const int *count, int at_least)
{
    deadline_t deadline = deadline_in_ms(&clock_system, RIG_WAIT_MS);
    while (*count < at_least) {
        if (deadline_has_passed(&clock_system, deadline))
            fail_msg("waited for %d, have %d", at_least, *count);
        rig_turn(rig);
    }
}

/* The service. */

static void on_service_connack(void *user, int return_code)
{
    struct rig *rig = user;
    static const char *const filters[] = {"s/+/echo/up", "s/+/$dps/registrations/PUT/#", "s/+/devices/#"};
    assert_int_equal(return_code, 0);
    assert_int_equal(mqtt_link_subscribe_many(rig->service, filters, ARRAY_COUNT(filters), 0, NULL, NULL), 0);
}

static void on_service_suback(void *user, int packet_id, const int *codes, size_t count)
{
    (void)packet_id, (void)codes, (void)count;
    struct rig *rig = user;
    rig->is_service_ready = true;
    front_door_set_gate(rig->door, true);
}

static void answer_register(struct rig *rig, const char *prefix, int prefix_bytes, const char *topic)
{
    char reply[512];
    const char *rid = strstr(topic, "$rid=");
    snprintf(reply, sizeof reply, "%.*s$dps/registrations/res/202/?%s&retry-after=3", prefix_bytes, prefix, rid ? rid : "$rid=");
    mqtt_link_publish(rig->service, reply, "{\"operationId\":\"4\",\"status\":\"assigning\"}", 41, 1, false, NULL, NULL);
}

static void on_service_message(void *user, const char *topic, const void *payload, size_t length_bytes, int qos, bool is_retained)
{
    (void)is_retained;
    struct rig *rig = user;
    const char *rest = strchr(topic + 2, '/') + 1;
    int prefix_bytes = (int)(rest - topic);
    if (strncmp(rest, "devices/", 8) == 0) {
        rig->telemetry_count++;
        rig->telemetry_bytes += length_bytes;
        snprintf(rig->telemetry_topic, sizeof rig->telemetry_topic, "%s", topic);
    } else if (!rig->is_mute && strcmp(rest, "echo/up") == 0) {
        char reply[64];
        snprintf(reply, sizeof reply, "%.*secho/down", prefix_bytes, topic);
        mqtt_link_publish(rig->service, reply, payload, length_bytes, qos ? 1 : 0, false, NULL, NULL);
    } else if (!rig->is_mute && strncmp(rest, "$dps", 4) == 0)
        answer_register(rig, topic, prefix_bytes, rest);
}

static void on_service_closed(void *user, int rc, int system_errno, const char *text)
{
    (void)rc, (void)system_errno, (void)text;
    struct rig *rig = user;
    rig->is_service_ready = false;
    front_door_set_gate(rig->door, false);
}

void rig_publish(struct rig *rig, const char *topic, const void *payload, size_t length_bytes, int qos)
{
    assert_int_equal(mqtt_link_publish(rig->service, topic, payload, length_bytes, qos, false, NULL, NULL), 0);
}

static void on_broker_up(void *user)
{
    struct rig *rig = user;
    rig->up_count++;
    mqtt_link_connect(rig->service, NULL, NULL, NULL);
}

static void on_broker_down(void *user, const char *reason)
{
    struct rig *rig = user;
    assert_non_null(reason);
    rig->down_count++;
}

static void on_broker_gave_up(void *user, const char *reason)
{
    struct rig *rig = user;
    assert_non_null(reason);
    rig->gave_up_count++;
}

/* The policy. */

static struct admission on_decide(void *user, struct session *session)
{
    struct rig *rig = user;
    rig->connect_count++;
    rig->last_session = session->number;
    session->service = rig;
    snprintf(rig->decided_user_name, sizeof rig->decided_user_name, "%s", session->user_name);
    rig->decided_chain_count = sk_X509_num(session->chain);
    struct admission admission = {.is_admitted = rig->refuse_with == 0 && !rig->close_how,
                                  .return_code = rig->refuse_with,
                                  .close_how = rig->close_how,
                                  .silence = rig->silence,
                                  .is_session_present = rig->is_session_present};
    snprintf(admission.restored_filter, sizeof admission.restored_filter, "%s", rig->restored_filter ? rig->restored_filter : "");
    return admission;
}

static void on_subscribed(void *user, struct session *session, const char *filter, int granted_qos)
{
    struct rig *rig = user;
    assert_ptr_equal(session->service, rig);
    snprintf(rig->subscribed, sizeof rig->subscribed, "%s %d", filter, granted_qos);
}

static void on_unsubscribed(void *user, struct session *session, const char *filter)
{
    (void)session;
    struct rig *rig = user;
    snprintf(rig->unsubscribed, sizeof rig->unsubscribed, "%s", filter);
}

static char *on_amend_topic(void *user, const struct session *session, const char *topic, bool is_will, bool is_retained)
{
    (void)user, (void)session;
    char *amended;
    return asprintf(&amended, "%s%s%s", topic, is_will ? "=will" : "", is_retained ? "=retained" : "") < 0 ? NULL : amended;
}

static void on_sent(void *user, struct session *session, const char *topic, uint16_t packet_id)
{
    (void)session;
    struct rig *rig = user;
    snprintf(rig->sent, sizeof rig->sent, "%s", topic);
    rig->sent_id = packet_id;
}

static void on_acknowledged(void *user, struct session *session, uint16_t packet_id)
{
    (void)session;
    struct rig *rig = user;
    rig->acknowledged_id = packet_id;
}

static enum publish_permit on_may_publish(void *user, struct session *session, const struct publish_request *request)
{
    (void)session;
    const struct rig *rig = user;
    bool is_refused = request->qos > 1 || (rig->refused_topic && strcmp(rig->refused_topic, request->topic) == 0);
    return is_refused ? PUBLISH_REFUSED : PUBLISH_TAKEN;
}

static int on_grant(void *user, struct session *session, const char *filter, int qos)
{
    (void)session;
    const struct rig *rig = user;
    return rig->refused_filter && strcmp(rig->refused_filter, filter) == 0 ? 0x80 : qos;
}

static void on_closed(void *user, struct session *session)
{
    struct rig *rig = user;
    assert_ptr_equal(session->service, rig);
    session->service = NULL;
    rig->closed_count++;
}

/* Starting. */

static void write_control_files(struct rig *rig)
{
    struct error error = ERROR_INIT;
    strcpy(rig->dir, "/tmp/door-test-XXXXXX");
    assert_non_null(mkdtemp(rig->dir));
    rig->control = forge_builtin(rig, "control");
    if (pki_write(rig->control, rig->dir, &error))
        fail_msg("%s", error.text);
}

static void start_broker(struct rig *rig)
{
    struct error error = ERROR_INIT;
    char ca[64], cert[64], key[64];
    snprintf(ca, sizeof ca, "%s/ca.crt.pem", rig->dir);
    snprintf(cert, sizeof cert, "%s/server.crt.pem", rig->dir);
    snprintf(key, sizeof key, "%s/server.key.pem", rig->dir);
    const struct broker_options options = {.loop = &rig->loop,
                                           .address = "127.0.0.1",
                                           .control_ca = ca,
                                           .server_cert = cert,
                                           .server_key = key,
                                           .callbacks = {rig, on_broker_up, on_broker_down, on_broker_gave_up}};
    if (broker_start(&options, &rig->broker, &error))
        fail_msg("%s", error.text);
    const struct mqtt_link_options link = {.loop = &rig->loop,
                                           .client_id = "test-service",
                                           .unix_path = broker_service_path(rig->broker),
                                           .callbacks = {.user = rig,
                                                         .on_connack = on_service_connack,
                                                         .on_suback = on_service_suback,
                                                         .on_message = on_service_message,
                                                         .on_closed = on_service_closed}};
    if (mqtt_link_new(&link, &rig->service, &error))
        fail_msg("%s", error.text);
}

static void start_door(struct rig *rig, const struct rig_options *options)
{
    struct error error = ERROR_INIT;
    const struct front_door_options door = {
        .loop = &rig->loop,
        .clock = &clock_system,
        .time_scale = options->time_scale,
        .upstream_path = rig->broker ? broker_device_path(rig->broker) : "/nonexistent.sock",
        .sink = {collect, rig, &clock_system},
        .policy = {.user = rig,
                   .decide = on_decide,
                   .subscribed = on_subscribed,
                   .unsubscribed = on_unsubscribed,
                   .may_publish = on_may_publish,
                   .amend_topic = on_amend_topic,
                   .sent = on_sent,
                   .acknowledged = on_acknowledged,
                   .grant = on_grant,
                   .closed = on_closed},
        .connect_deadline_ms = options->connect_deadline_ms ? options->connect_deadline_ms : RIG_WAIT_MS,
        .sessions_max = options->sessions_max,
    };
    if (front_door_new(&door, &rig->door, &error))
        fail_msg("%s", error.text);
    x509_stack *chain = X509_chain_up_ref((x509_stack *)pki_server_intermediates(rig->server));
    const struct lane_options lane = {
        .name = "main",
        .address = "127.0.0.1",
        .tls_max_version = options->tls_max_version,
        .identity = {pki_server_leaf(rig->server), pki_server_key(rig->server), chain},
    };
    if (front_door_lane_open(rig->door, &lane, &rig->port, &error))
        fail_msg("%s", error.text);
    x509_stack_free(chain);
}

void rig_start(struct rig *rig, const struct rig_options *options)
{
    *rig = (struct rig){.events = cJSON_CreateArray(), .keys = key_cache_new()};
    signal(SIGPIPE, SIG_IGN);
    uv_loop_init(&rig->loop);
    uv_timer_init(&rig->loop, &rig->tick);
    uv_timer_start(&rig->tick, on_tick, 1, 1);
    rig->server = forge_builtin(rig, "server/p256");
    if (options->has_broker) {
        write_control_files(rig);
        start_broker(rig);
    }
    start_door(rig, options);
    if (options->has_broker)
        rig_wait_ready(rig);
}

void rig_wait_ready(struct rig *rig)
{
    deadline_t deadline = deadline_in_ms(&clock_system, RIG_WAIT_MS);
    while (!rig->is_service_ready) {
        if (deadline_has_passed(&clock_system, deadline))
            fail_msg("the service is not ready");
        rig_turn(rig);
    }
}

void rig_stop(struct rig *rig)
{
    front_door_free(rig->door);
    mqtt_link_free(rig->service);
    broker_stop(rig->broker);
    uv_close((uv_handle_t *)&rig->tick, NULL);
    uv_run(&rig->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&rig->loop), 0);
    cJSON_Delete(rig->events);
    pki_free(rig->server);
    pki_free(rig->control);
    key_cache_free(rig->keys);
    if (rig->dir[0])
        dir_remove(rig->dir, NULL);
}

/* Clients. */

static int accept_any(int is_good, X509_STORE_CTX *store)
{
    (void)is_good, (void)store;
    return 1;
}

void client_open_tcp(struct client *client, struct rig *rig, uint16_t port)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(port ? port : rig->port)};
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    *client = (struct client){.rig = rig, .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    bytes_init(&client->in, 64 * 1024 * 1024);
    assert_int_equal(connect(client->fd, (struct sockaddr *)&name, sizeof name), 0);
    fcntl(client->fd, F_SETFL, fcntl(client->fd, F_GETFL) | O_NONBLOCK);
    const int on = 1;
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static void set_identity(SSL_CTX *tls, const struct identity *identity)
{
    assert_int_equal(SSL_CTX_use_certificate(tls, identity->leaf), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(tls, identity->key), 1);
    if (identity->others)
        assert_int_equal(SSL_CTX_set1_chain(tls, identity->others), 1);
}

static void make_client_tls(struct client *client, const struct client_options *options)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
    client->tls = tls;
    SSL_CTX_set_security_level(tls, 0);
    SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_max_proto_version(tls, options->tls_max_version ? options->tls_max_version : TLS1_2_VERSION);
    if (options->suites)
        assert_int_equal(SSL_CTX_set_cipher_list(tls, options->suites), 1);
    if (options->identity)
        set_identity(tls, options->identity);
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, options->trusted_root ? NULL : accept_any);
    if (options->trusted_root)
        X509_STORE_add_cert(SSL_CTX_get_cert_store(tls), options->trusted_root);
    client->ssl = SSL_new(tls);
    SSL_set_fd(client->ssl, client->fd);
    if (options->sni)
        SSL_set_tlsext_host_name(client->ssl, options->sni);
    SSL_set_connect_state(client->ssl);
}

void client_shake_hands(struct client *client, const struct client_options *options)
{
    deadline_t deadline = deadline_in_ms(&clock_system, RIG_WAIT_MS);
    make_client_tls(client, options);
    for (;;) {
        ERR_clear_error();
        int result = SSL_connect(client->ssl);
        if (result == 1)
            return;
        int why = SSL_get_error(client->ssl, result);
        if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) {
            unsigned long code = ERR_peek_error();
            snprintf(client->handshake_error, sizeof client->handshake_error, "%s", code ? ERR_reason_error_string(code) : "closed");
            ERR_clear_error();
            return;
        }
        if (deadline_has_passed(&clock_system, deadline))
            fail_msg("the handshake takes too long");
        rig_turn(client->rig);
    }
}

void client_open(struct client *client, struct rig *rig, const struct client_options *options)
{
    client_open_tcp(client, rig, options->port);
    client_shake_hands(client, options);
}

void client_free(struct client *client)
{
    SSL_free(client->ssl);
    SSL_CTX_free(client->tls);
    if (client->fd >= 0)
        close(client->fd);
    bytes_done(&client->in);
    client->ssl = NULL;
    client->tls = NULL;
    client->fd = -1;
    ERR_clear_error();
}

void client_close(struct client *client)
{
    SSL_shutdown(client->ssl);
    client_free(client);
}

void client_fin(struct client *client)
{
    shutdown(client->fd, SHUT_WR);
}

void client_reset(struct client *client)
{
    const struct linger linger = {.l_onoff = 1, .l_linger = 0};
    setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    close(client->fd);
    client->fd = -1;
    client_free(client);
}

static void note_end(struct client *client, int result)
{
    int why = SSL_get_error(client->ssl, result);
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
        return;
    client->has_ended = true;
    client->has_close_notify = SSL_get_shutdown(client->ssl) & SSL_RECEIVED_SHUTDOWN;
    client->end_errno = why == SSL_ERROR_SYSCALL ? errno : 0;
    ERR_clear_error();
}

static void client_pull(struct client *client)
{
    uint8_t buffer[16384];
    while (!client->has_ended) {
        ERR_clear_error();
        errno = 0;
        int got = SSL_read(client->ssl, buffer, sizeof buffer);
        if (got <= 0) {
            note_end(client, got);
            return;
        }
        assert_int_equal(bytes_append(&client->in, buffer, (size_t)got), 0);
    }
}

void client_send_raw(struct client *client, const void *data, size_t length_bytes)
{
    deadline_t deadline = deadline_in_ms(&clock_system, RIG_WAIT_MS);
    const uint8_t *at = data;
    while (length_bytes) {
        ERR_clear_error();
        int sent = SSL_write(client->ssl, at, (int)(length_bytes < 16384 ? length_bytes : 16384));
        if (sent > 0) {
            at += sent;
            length_bytes -= (size_t)sent;
            continue;
        }
        int why = SSL_get_error(client->ssl, sent);
        if (why != SSL_ERROR_WANT_WRITE && why != SSL_ERROR_WANT_READ) {
            client->has_ended = true;
            ERR_clear_error();
            return;
        }
        if (deadline_has_passed(&clock_system, deadline))
            fail_msg("sending takes too long");
        rig_turn(client->rig);
    }
}

void client_send(struct client *client, const struct bytes *packet)
{
    client_send_raw(client, packet->data, packet->length_bytes);
}

void client_wait_bytes(struct client *client, size_t length_bytes)
{
    deadline_t deadline = deadline_in_ms(&clock_system, RIG_WAIT_MS);
    client_pull(client);
    while (client->in.length_bytes < length_bytes) {
        if (client->has_ended || deadline_has_passed(&clock_system, deadline))
            fail_msg("waited for %zu bytes, %zu came%s", length_bytes, client->in.length_bytes, client->has_ended ? " before the end" : "");
        rig_turn(client->rig);
        client_pull(client);
    }
}

void client_expect(struct client *client, const void *data, size_t length_bytes)
{
    client_wait_bytes(client, length_bytes);
    assert_memory_equal(client->in.data, data, length_bytes);
    bytes_consume(&client->in, length_bytes);
}

void client_expect_end(struct client *client)
{
    deadline_t deadline = deadline_in_ms(&clock_system, RIG_WAIT_MS);
    client_pull(client);
    while (!client->has_ended) {
        if (deadline_has_passed(&clock_system, deadline))
            fail_msg("the connection does not end");
        rig_turn(client->rig);
        client_pull(client);
    }
    assert_int_equal(client->in.length_bytes, 0);
}

int client_read_packet(struct client *client, struct bytes *body)
{
    size_t length = 0, header = 1;
    client_wait_bytes(client, 2);
    for (unsigned shift = 0;; shift += 7) {
        client_wait_bytes(client, header + 1);
        uint8_t digit = client->in.data[header++];
        length |= (size_t)(digit & 0x7f) << shift;
        if (!(digit & 0x80))
            break;
    }
    client_wait_bytes(client, header + length);
    int first = client->in.data[0];
    bytes_init(body, 64 * 1024 * 1024);
    assert_int_equal(bytes_append(body, client->in.data + header, length), 0);
    bytes_consume(&client->in, header + length);
    return first;
}

void client_connect(struct client *client, const char *id)
{
    struct bytes packet;
    char user[128];
    bytes_init(&packet, 4096);
    snprintf(user, sizeof user, "0ne000AAAA1/registrations/%s/api-version=2019-03-31", id);
    put_connect(&packet, id, user, 0, true);
    client_send(client, &packet);
    client_expect(client, "\x20\x02\x00\x00", 4);
    bytes_done(&packet);
}

/* Packets. */

void put_raw(struct bytes *out, const void *data, size_t length_bytes)
{
    assert_int_equal(bytes_append(out, data, length_bytes), 0);
}

void put_remaining(struct bytes *out, size_t remaining)
{
    do {
        uint8_t digit = remaining % 128;
        remaining /= 128;
        bytes_append_byte(out, remaining ? digit | 0x80 : digit);
    } while (remaining);
}

static void put_text(struct bytes *out, const char *text)
{
    size_t length = strlen(text);
    bytes_append_byte(out, (uint8_t)(length >> 8));
    bytes_append_byte(out, (uint8_t)length);
    put_raw(out, text, length);
}

void put_connect(struct bytes *out, const char *client_id, const char *user_name, uint16_t keep_alive_s, bool is_clean)
{
    bytes_append_byte(out, 0x10);
    put_remaining(out, 10 + 2 + strlen(client_id) + 2 + strlen(user_name));
    put_raw(out, "\0\4MQTT\4", 7);
    bytes_append_byte(out, is_clean ? 0x82 : 0x80);
    bytes_append_byte(out, (uint8_t)(keep_alive_s >> 8));
    bytes_append_byte(out, (uint8_t)keep_alive_s);
    put_text(out, client_id);
    put_text(out, user_name);
}

void put_publish(struct bytes *out, const char *topic, const void *payload, size_t length_bytes, int qos, uint16_t packet_id)
{
    bytes_append_byte(out, (uint8_t)(0x30 | qos << 1));
    put_remaining(out, 2 + strlen(topic) + (qos ? 2 : 0) + length_bytes);
    put_text(out, topic);
    if (qos) {
        bytes_append_byte(out, (uint8_t)(packet_id >> 8));
        bytes_append_byte(out, (uint8_t)packet_id);
    }
    put_raw(out, payload, length_bytes);
}

void put_subscribe(struct bytes *out, uint16_t packet_id, const char *filter, uint8_t qos)
{
    bytes_append_byte(out, 0x82);
    put_remaining(out, 2 + 2 + strlen(filter) + 1);
    bytes_append_byte(out, (uint8_t)(packet_id >> 8));
    bytes_append_byte(out, (uint8_t)packet_id);
    put_text(out, filter);
    bytes_append_byte(out, qos);
}
