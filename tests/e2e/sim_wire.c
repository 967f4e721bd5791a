#include "tests/e2e/sim_wire.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "certs/forge.h"
#include "harness/control/control.h"
#include "harness/rig/served.h"
#include "harness/rig/tempdir.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/cmocka.h"

enum { ARGUMENT_MAX = 12, PATH_BYTES = 512, LOOK_MS = 20 };

static struct {
    uv_loop_t loop;
    struct waiting *waiting;
    struct served *served;
    struct control *control;
    struct pki *pki;
    struct tempdir *dir;
    struct sockaddr_in address;
    double scale;
} sim;

/* ---- the simulator ---- */

static struct error error;

static void must(int result)
{
    if (result)
        fail_msg("%s", error.text);
}

static const char *environment(const char *name)
{
    const char *value = getenv(name);
    if (!value || !*value)
        fail_msg("environment variable %s is missing: ctest sets it", name);
    return value;
}

static void read_address(const char *text)
{
    char host[64];
    const char *colon = strrchr(text, ':');
    assert_non_null(colon);
    snprintf(host, sizeof host, "%.*s", (int)(colon - text), text);
    sim.address.sin_family = AF_INET;
    sim.address.sin_port = htons((uint16_t)strtol(colon + 1, NULL, 10));
    assert_int_equal(inet_pton(AF_INET, host, &sim.address.sin_addr), 1);
}

static void start_program(void)
{
    char program[PATH_BYTES], state[PATH_BYTES], log[PATH_BYTES], scale[32];
    snprintf(program, sizeof program, "%s/dpsbench-sim", environment("DPSBENCH_BIN"));
    snprintf(state, sizeof state, "%s/state", tempdir_path(sim.dir));
    snprintf(log, sizeof log, "%s/log", tempdir_path(sim.dir));
    snprintf(scale, sizeof scale, "%g", sim.scale);
    const char *const argv[ARGUMENT_MAX] = {program, "--state",      state, "--host",    "localhost", "--server-key",
                                            "p-256", "--time-scale", scale, "--tls-max", "1.3",       NULL};
    const struct served_options options = {
        .loop = &sim.loop, .program = "dpsbench-sim", .argv = argv, .log_path = log, .deadline = deadline_in_ms(&clock_system, 60000)};
    must(served_start(&options, &sim.served, &error));
}

static void open_control(void)
{
    const cJSON *ready = served_ready(sim.served);
    const struct control_options options = {
        .waiting = sim.waiting, .ready = ready, .name = "sim-knobs", .deadline = deadline_in_ms(&clock_system, WIRE_WAIT_MS)};
    read_address(json_string(ready, "dps", ""));
    must(control_open(&options, &sim.control, &error));
}

static void forge_device(void)
{
    static const char recipe_text[] =
        "format: 1\nmembers:\n  leaf:\n    subject: {CN: \"${registration_id}\"}\n    issuer: self\n    key: p-256\n"
        "    not_after: +30d\n";
    const struct forge_variables variables = {.registration_id = WIRE_ID, .dps_host = "localhost"};
    struct recipe *recipe = NULL;
    must(recipe_read_text(recipe_text, sizeof recipe_text - 1, "device", &recipe, &error));
    must(forge_pki(recipe, &variables, &clock_system, NULL, &sim.pki, &error));
    recipe_free(recipe);
}

void wire_enroll(bool is_known)
{
    static const char shape[] = "{\"enrollment\":{\"registrationId\":\"" WIRE_ID
                                "\",\"attestation\":{\"type\":\"x509\",\"x509\":{\"clientCertificates\":{\"primary\":{}}}}}}";
    static const char *const members[] = {"leaf", NULL};
    CLEANUP(bytes_done) struct bytes pem = {.max_bytes = 16 * 1024};
    if (!is_known) {
        cJSON_Delete(wire_call("enrollment.delete", "{\"registrationId\":\"" WIRE_ID "\"}"));
        return;
    }
    must(pki_append_pem(sim.pki, members, &pem, &error));
    CLEANUP_JSON cJSON *params = json_parse(shape, sizeof shape - 1, "enrollment", NULL);
    cJSON *primary = (cJSON *)(uintptr_t)json_path(params, "enrollment.attestation.x509.clientCertificates.primary");
    json_set_string(primary, "certificate", bytes_text(&pem));
    CLEANUP_FREE char *text = json_print_line(params);
    cJSON_Delete(wire_call("enrollment.put", text));
}

void wire_start(void)
{
    sim.scale = strtod(environment("DPSBENCH_TIME_SCALE"), NULL);
    must(tempdir_make("dpsbench-knobs", &sim.dir, &error));
    uv_loop_init(&sim.loop);
    const struct waiting_options waiting = {.loop = &sim.loop, .clock = &clock_system};
    must(waiting_new(&waiting, &sim.waiting, &error));
    start_program();
    open_control();
    forge_device();
    wire_enroll(true);
}

void wire_stop(void)
{
    control_close(sim.control);
    served_stop(sim.served);
    waiting_free(sim.waiting);
    while (uv_run(&sim.loop, UV_RUN_NOWAIT))
        continue;
    uv_loop_close(&sim.loop);
    pki_free(sim.pki);
    tempdir_remove(sim.dir);
}

static int call(const char *method, const char *params, cJSON **ret_result)
{
    cJSON *json = params ? json_parse(params, strlen(params), "params", &error) : NULL;
    if (params && !json)
        fail_msg("%s: %s", params, error.text);
    return control_call(sim.control, method, json, deadline_in_ms(&clock_system, WIRE_WAIT_MS), ret_result, &error);
}

cJSON *wire_call(const char *method, const char *params)
{
    cJSON *result = NULL;
    must(call(method, params, &result));
    return result;
}

void wire_refused(const char *method, const char *params, char *text)
{
    assert_int_equal(call(method, params, NULL), -1);
    snprintf(text, ERROR_TEXT_MAX_BYTES, "%s", error.text);
}

void wire_set_device(const char *knobs)
{
    char params[4096];
    snprintf(params, sizeof params, "{\"registration_id\":\"" WIRE_ID "\",\"knobs\":%s}", knobs);
    cJSON_Delete(wire_call("scenario.set", params));
}

void wire_set_lane(const char *knobs)
{
    char params[4096];
    snprintf(params, sizeof params, "{\"lane\":\"main\",\"knobs\":%s}", knobs);
    cJSON_Delete(wire_call("lane.set", params));
}

void wire_clear(void)
{
    wire_set_lane("{}");
    wire_set_device("{}");
    if (call("registration.delete", "{\"registrationId\":\"" WIRE_ID "\"}", NULL))
        assert_int_equal(error.code, ERROR_NOT_FOUND);
}

double wire_scaled_ms(double device_ms)
{
    return device_ms / sim.scale;
}

int64_t wire_now_ms(void)
{
    return clock_mono_us(&clock_system) / 1000;
}

/* ---- the device: TLS ---- */

static void on_info(const SSL *ssl, int where, int value)
{
    struct wire_device *device = SSL_get_app_data(ssl);
    if (where & SSL_CB_ALERT && where & SSL_CB_READ && value >> 8 == SSL3_AL_FATAL)
        device->alert = value & 0xff;
}

static int on_request(SSL *ssl, X509 **ret_certificate, EVP_PKEY **ret_key)
{
    struct wire_device *device = SSL_get_app_data(ssl);
    const STACK_OF(X509_NAME) *names = SSL_get_client_CA_list(ssl);
    device->was_asked = true;
    device->ca_name_count = names ? sk_X509_NAME_num(names) : 0;
    *ret_certificate = pki_certificate(sim.pki, "leaf");
    *ret_key = pki_key(sim.pki, "leaf");
    return X509_up_ref(*ret_certificate) && EVP_PKEY_up_ref(*ret_key);
}

void wire_open_tcp(struct wire_device *device)
{
    *device = (struct wire_device){.alert = -1, .next_id = 1};
    bytes_init(&device->in, 1024 * 1024);
    device->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(device->fd, (const struct sockaddr *)&sim.address, sizeof sim.address), 0);
    fcntl(device->fd, F_SETFL, O_NONBLOCK);
}

/* false: not within `ms`. */
static bool is_readable(const struct wire_device *device, int64_t ms)
{
    struct pollfd poll_fd = {.fd = device->fd, .events = POLLIN};
    return poll(&poll_fd, 1, (int)ms) > 0;
}

static void note_end(struct wire_device *device, int result)
{
    int system_errno = errno, why = SSL_get_error(device->ssl, result);
    unsigned long code = ERR_peek_last_error();
    device->reason = ERR_GET_REASON(code);
    bool is_reset = why == SSL_ERROR_SYSCALL && (system_errno == ECONNRESET || system_errno == EPIPE);
    device->end = why == SSL_ERROR_ZERO_RETURN ? WIRE_CLOSE_NOTIFY : is_reset ? WIRE_RESET : WIRE_FIN;
    ERR_clear_error();
}

static bool is_waiting(struct wire_device *device, int result)
{
    int why = SSL_get_error(device->ssl, result);
    return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE;
}

static void shake(struct wire_device *device)
{
    int64_t start = wire_now_ms();
    for (;;) {
        ERR_clear_error();
        errno = 0;
        int result = SSL_connect(device->ssl);
        device->last_heard = SSL_state_string_long(device->ssl);
        device->took_ms = wire_now_ms() - start;
        if (result == 1) {
            device->is_shaken = true;
            return;
        }
        if (!is_waiting(device, result)) {
            note_end(device, result);
            return;
        }
        if (wire_now_ms() - start > WIRE_WAIT_MS)
            fail_msg("the handshake is still under way after %d ms: %s", WIRE_WAIT_MS, device->last_heard);
        is_readable(device, LOOK_MS);
    }
}

void wire_open(struct wire_device *device, const struct wire_options *options)
{
    int version = options ? options->version : TLS1_2_VERSION;
    wire_open_tcp(device);
    device->tls = SSL_CTX_new(TLS_client_method());
    assert_non_null(device->tls);
    SSL_CTX_set_security_level(device->tls, 0);
    SSL_CTX_set_min_proto_version(device->tls, version ? version : TLS1_VERSION);
    SSL_CTX_set_max_proto_version(device->tls, version);
    SSL_CTX_set_cipher_list(device->tls, "ALL:@SECLEVEL=0");
    SSL_CTX_set_client_cert_cb(device->tls, on_request);
    SSL_CTX_set_info_callback(device->tls, on_info);
    SSL_CTX_set_session_cache_mode(device->tls, SSL_SESS_CACHE_CLIENT);
    device->ssl = SSL_new(device->tls);
    assert_non_null(device->ssl);
    SSL_set_app_data(device->ssl, device);
    SSL_set_fd(device->ssl, device->fd);
    SSL_set_tlsext_host_name(device->ssl, (char *)(uintptr_t)(options && options->sni ? options->sni : "localhost"));
    if (options && options->from)
        SSL_set_session(device->ssl, options->from);
    shake(device);
}

void wire_close(struct wire_device *device)
{
    if (device->is_shaken && device->end == WIRE_OPEN)
        SSL_shutdown(device->ssl);
    ERR_clear_error();
    SSL_free(device->ssl);
    SSL_CTX_free(device->tls);
    bytes_done(&device->in);
    close(device->fd);
}

/* ---- the device: MQTT ---- */

void wire_send(struct wire_device *device, const void *data, size_t length_bytes)
{
    if (device->end != WIRE_OPEN)
        return;
    ERR_clear_error();
    int sent = SSL_write(device->ssl, data, (int)length_bytes);
    if (sent <= 0)
        note_end(device, sent);
}

static void put_text(struct bytes *out, const char *text)
{
    size_t length = strlen(text);
    bytes_append_byte(out, (uint8_t)(length >> 8));
    bytes_append_byte(out, (uint8_t)length);
    bytes_append(out, text, length);
}

static void put_id(struct bytes *out, uint16_t packet_id)
{
    bytes_append_byte(out, (uint8_t)(packet_id >> 8));
    bytes_append_byte(out, (uint8_t)packet_id);
}

static void send_packet(struct wire_device *device, int first_byte, const struct bytes *body)
{
    CLEANUP(bytes_done) struct bytes packet = {.max_bytes = 64 * 1024};
    size_t left = body ? body->length_bytes : 0;
    bytes_append_byte(&packet, (uint8_t)first_byte);
    for (; left > 127; left >>= 7)
        bytes_append_byte(&packet, (uint8_t)(left & 127) | 128);
    bytes_append_byte(&packet, (uint8_t)left);
    if (body)
        bytes_append(&packet, body->data, body->length_bytes);
    wire_send(device, packet.data, packet.length_bytes);
}

void wire_send_connect_as(struct wire_device *device, const char *user_name, const char *password)
{
    CLEANUP(bytes_done) struct bytes body = {.max_bytes = 1024};
    put_text(&body, "MQTT");
    bytes_append(&body, password ? "\x04\xC2\x00\x78" : "\x04\x82\x00\x78", 4); /* level 4, clean session, user name, keepalive 120 */
    put_text(&body, WIRE_ID);
    put_text(&body, user_name);
    if (password)
        put_text(&body, password);
    send_packet(device, 0x10, &body);
}

void wire_send_connect(struct wire_device *device, bool is_hub)
{
    wire_send_connect_as(device,
                         is_hub ? "dpsbench-hub.azure-devices.net/" WIRE_ID "/?api-version=2021-04-12"
                                : "0ne00000001/registrations/" WIRE_ID "/api-version=2019-03-31",
                         NULL);
}

enum { NO_QOS = 3 };

static uint16_t send_filter(struct wire_device *device, int first_byte, const char *filter, uint8_t qos)
{
    CLEANUP(bytes_done) struct bytes body = {.max_bytes = 1024};
    uint16_t packet_id = device->next_id++;
    put_id(&body, packet_id);
    put_text(&body, filter);
    if (qos != NO_QOS)
        bytes_append_byte(&body, qos);
    send_packet(device, first_byte, &body);
    return packet_id;
}

uint16_t wire_send_subscribe(struct wire_device *device, const char *filter)
{
    return send_filter(device, 0x82, filter, 1);
}

uint16_t wire_send_subscribe_as(struct wire_device *device, const char *filter, uint8_t qos)
{
    return send_filter(device, 0x82, filter, qos);
}

uint16_t wire_send_unsubscribe(struct wire_device *device, const char *filter)
{
    return send_filter(device, 0xA2, filter, NO_QOS);
}

uint16_t wire_send_publish(struct wire_device *device, const char *topic, const char *text)
{
    return wire_send_publish_as(device, 0x32, topic, text);
}

uint16_t wire_send_publish_as(struct wire_device *device, int first_byte, const char *topic, const char *text)
{
    CLEANUP(bytes_done) struct bytes body = {.max_bytes = 16 * 1024};
    uint16_t packet_id = device->next_id++;
    put_text(&body, topic);
    put_id(&body, packet_id);
    bytes_append_text(&body, text);
    send_packet(device, first_byte, &body);
    return packet_id;
}

void wire_send_puback(struct wire_device *device, uint16_t packet_id)
{
    CLEANUP(bytes_done) struct bytes body = {.max_bytes = 2};
    put_id(&body, packet_id);
    send_packet(device, 0x40, &body);
}

void wire_send_pingreq(struct wire_device *device)
{
    send_packet(device, 0xC0, NULL);
}

/* More plain text; false: nothing within `ms`, or the end. */
static bool read_more(struct wire_device *device, int64_t ms)
{
    uint8_t buffer[16 * 1024];
    for (int64_t until = wire_now_ms() + ms; device->end == WIRE_OPEN;) {
        ERR_clear_error();
        errno = 0;
        int got = SSL_read(device->ssl, buffer, sizeof buffer);
        if (got > 0) {
            device->reads++;
            return bytes_append(&device->in, buffer, (size_t)got) == 0;
        }
        if (!is_waiting(device, got))
            note_end(device, got);
        else if (wire_now_ms() >= until)
            return false;
        else
            is_readable(device, LOOK_MS);
    }
    return false;
}

/* Size of the packet at the front; 0: it has not come whole. */
static size_t whole_packet(const struct bytes *in, size_t *ret_header)
{
    size_t left = 0, at = 1;
    for (int shift = 0; at < in->length_bytes && at <= 4; shift += 7, at++) {
        left |= (size_t)(in->data[at] & 127) << shift;
        if (in->data[at] & 128)
            continue;
        *ret_header = at + 1;
        return at + 1 + left <= in->length_bytes ? at + 1 + left : 0;
    }
    return 0;
}

int wire_read(struct wire_device *device, struct bytes *body, int64_t ms)
{
    size_t header = 0, size;
    bytes_init(body, 1024 * 1024);
    while ((size = whole_packet(&device->in, &header)) == 0)
        if (!read_more(device, ms))
            return device->end == WIRE_OPEN ? 0 : -1;
    int first_byte = device->in.data[0];
    bytes_append(body, device->in.data + header, size - header);
    bytes_consume(&device->in, size);
    return first_byte;
}

uint16_t wire_expect(struct wire_device *device, int first_byte)
{
    CLEANUP(bytes_done) struct bytes body;
    int got = wire_read(device, &body, WIRE_WAIT_MS);
    if (got != first_byte)
        fail_msg("expected a packet 0x%02X, got 0x%02X (%zu bytes)", (unsigned)first_byte, (unsigned)got, body.length_bytes);
    return body.length_bytes >= 2 ? (uint16_t)(body.data[0] << 8 | body.data[1]) : 0;
}

void wire_expect_bytes(struct wire_device *device, const void *data, size_t length_bytes)
{
    while (device->in.length_bytes < length_bytes)
        if (!read_more(device, WIRE_WAIT_MS))
            fail_msg("only %zu of %zu bytes came", device->in.length_bytes, length_bytes);
    if (data)
        assert_memory_equal(device->in.data, data, length_bytes);
}

void wire_expect_silence(struct wire_device *device)
{
    CLEANUP(bytes_done) struct bytes body;
    int got = wire_read(device, &body, WIRE_SILENCE_MS);
    if (got != 0)
        fail_msg("expected silence, got 0x%02X", (unsigned)got);
}

enum wire_end wire_wait_end(struct wire_device *device)
{
    int64_t until = wire_now_ms() + WIRE_WAIT_MS;
    while (device->end == WIRE_OPEN && wire_now_ms() < until)
        read_more(device, LOOK_MS);
    return device->end;
}

void wire_expect_publish(struct wire_device *device, struct bytes *topic, struct bytes *body)
{
    CLEANUP(bytes_done) struct bytes packet;
    int first_byte = wire_read(device, &packet, WIRE_WAIT_MS);
    if ((first_byte & 0xF0) != 0x30)
        fail_msg("expected a PUBLISH, got 0x%02X", (unsigned)first_byte);
    struct cursor cursor = cursor_of(packet.data, packet.length_bytes);
    uint16_t length = cursor_u16(&cursor);
    const uint8_t *text = cursor_take(&cursor, length);
    assert_non_null(text);
    bytes_init(topic, 64 * 1024);
    bytes_init(body, 1024 * 1024);
    bytes_append(topic, text, length);
    uint16_t packet_id = first_byte & 0x06 ? cursor_u16(&cursor) : 0;
    size_t left = cursor_left(&cursor);
    if (left)
        bytes_append(body, cursor_take(&cursor, left), left);
    if (packet_id)
        wire_send_puback(device, packet_id);
}

void wire_connect(struct wire_device *device)
{
    if (!device->is_shaken)
        fail_msg("no handshake: %s, alert %d", device->last_heard, device->alert);
    wire_send_connect(device, false);
    assert_int_equal(wire_expect(device, 0x20), 0);
}

void wire_subscribe(struct wire_device *device)
{
    uint16_t packet_id = wire_send_subscribe(device, WIRE_FILTER);
    assert_int_equal(wire_expect(device, 0x90), packet_id);
}

void wire_open_session(struct wire_device *device)
{
    wire_open(device, NULL);
    wire_connect(device);
    wire_subscribe(device);
}

void wire_register(struct wire_device *device, struct bytes *topic, struct bytes *body)
{
    uint16_t packet_id = wire_send_publish(device, WIRE_PUT_TOPIC, "{\"registrationId\":\"" WIRE_ID "\"}");
    assert_int_equal(wire_expect(device, 0x40), packet_id);
    wire_expect_publish(device, topic, body);
}

void wire_poll(struct wire_device *device, const char *operation_id, struct bytes *topic, struct bytes *body)
{
    char request[4096];
    snprintf(request, sizeof request, "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=2&operationId=%s", operation_id);
    uint16_t packet_id = wire_send_publish(device, request, "");
    assert_int_equal(wire_expect(device, 0x40), packet_id);
    wire_expect_publish(device, topic, body);
}
