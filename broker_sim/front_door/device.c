#include "broker_sim/front_door/alert.h"
#include "broker_sim/front_door/connection.h"
#include "broker_sim/front_door/lane.h"
#include "broker_sim/front_door/net_filter.h"
#include "broker_sim/front_door/session_fault.h"
#include "broker_sim/front_door/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/socket.h>

enum {
    RECORD_MAX_BYTES = 16 * 1024,
    READS_PER_TURN_MAX = 8, /* then the others have their turn */
    DRAINS_PER_TURN_MAX = 8,
    DRAIN_BYTES = 256 * 1024,
};

static bool is_reading(const struct connection *connection)
{
    if (connection->phase == PHASE_CONNECT)
        return true;
    return connection->phase == PHASE_SESSION && connection->upstream_out.length_bytes < QUEUE_HIGH_BYTES;
}

static bool wants_write(const struct connection *connection)
{
    /* What OpenSSL has read already wakes no poll; that the socket takes bytes nearly always does. */
    return connection->out.length_bytes || connection->wants_write || (connection->has_unread && is_reading(connection));
}

static int mask_of_phase(const struct connection *connection)
{
    switch (connection->phase) {
    case PHASE_HANDSHAKE:
        return connection->wants_write ? UV_WRITABLE : UV_READABLE;
    case PHASE_FINISHING:
        return faults_are_pending(connection) ? UV_READABLE : UV_WRITABLE;
    case PHASE_LINGER:
        return UV_READABLE;
    default:
        return (is_reading(connection) ? UV_READABLE : 0) | (wants_write(connection) ? UV_WRITABLE : 0);
    }
}

/* What goes down waits in the filter for its time, not for the socket; and while it waits the device may give up. */
static int mask_with_net(const struct connection *connection, int mask)
{
    bool is_ending = connection->phase == PHASE_FINISHING || connection->phase == PHASE_LINGER;
    bool is_readable = is_ending || (mask & UV_READABLE && net_filter_has_room(connection->net));
    return (is_readable ? UV_READABLE : 0) | (net_filter_is_blocked(connection->net) ? UV_WRITABLE : 0);
}

int device_mask(const struct connection *connection)
{
    int mask = mask_of_phase(connection);
    return connection->net ? mask_with_net(connection, mask) : mask;
}

/* The bad network. */

static void on_net_fault(void *user, int knob)
{
    struct connection *connection = user;
    emit_fault(connection, net_filter_knobs(connection->net), knob);
}

static void on_message(int is_sent, int version, int content_type, const void *data, size_t length, SSL *ssl, void *unused)
{
    (void)version, (void)unused;
    const struct connection *connection = SSL_get_app_data(ssl);
    if (content_type == SSL3_RT_HANDSHAKE && length && connection->net)
        net_filter_message(connection->net, is_sent, *(const uint8_t *)data);
}

/* A filter on top of the socket's BIO. */
static BIO *push_net(struct connection *connection, BIO *wire, const struct knobs *knobs, uint64_t seed)
{
    const struct front_door_options *options = &connection->door->options;
    const struct net_filter_options net = {
        .clock = options->clock,
        .time_scale = options->time_scale,
        .knobs = knobs,
        .seed = seed,
        .user = connection,
        .happened = on_net_fault,
    };
    BIO *bio = net_filter_bio_new(connection->door->net_method, &net, &connection->net);
    if (!bio) {
        BIO_free(wire);
        return NULL;
    }
    SSL_set_msg_callback(connection->ssl, on_message);
    connection->phase_deadline = connection_deadline_ms(connection, NET_PATIENCE_MS);
    return BIO_push(bio, wire);
}

/* Parts of another knob, or told when they happen. */
static bool is_told_by_itself(int knob)
{
    switch (knob) {
    case KNOB_net_fault:
    case KNOB_net_at:
    case KNOB_stall_ms:
    case KNOB_net_direction:
    case KNOB_dribble_ms:
    case KNOB_tls_alert:
    case KNOB_tls_alert_at:
        return false;
    default:
        return knob_list[knob].layer == KNOB_LAYER_NET || knob_list[knob].layer == KNOB_LAYER_TLS;
    }
}

void device_tell_knobs(struct connection *connection)
{
    const struct knobs *knobs = connection->net ? net_filter_knobs(connection->net) : NULL;
    for (int i = 0; knobs && i < KNOB_COUNT; i++)
        if (is_told_by_itself(i) && knob_is_turned(knobs, &knob_list[i]))
            emit_fault(connection, knobs, i);
}

/* Where no lane asks for a bad network there is no filter, and it costs nothing. */
static BIO *make_bio(struct connection *connection)
{
    struct knobs conforming;
    uint64_t seed = 0;
    BIO *wire = wire_bio_new(connection->door->wire_method, &connection->wire);
    if (!wire || !lane_may_spoil(connection->lane))
        return wire;
    knobs_init(&conforming);
    const struct knobs *knobs = lane_spoil(connection->lane, &seed);
    if (knobs && tls_spoil(connection->ssl, knobs)) {
        BIO_free(wire);
        return NULL;
    }
    return push_net(connection, wire, knobs ? knobs : &conforming, seed);
}

int device_change_lane(struct connection *connection, struct lane *lane)
{
    uint64_t seed = 0;
    const struct knobs *knobs = connection->net ? lane_spoil(lane, &seed) : NULL;
    if (!knobs)
        return 0;
    net_filter_configure(connection->net, knobs, seed);
    device_tell_knobs(connection);
    return tls_spoil(connection->ssl, knobs);
}

deadline_t device_net_due(const struct connection *connection)
{
    if (!connection->net || connection->phase == PHASE_GONE)
        return deadline_none;
    return net_filter_due(connection->net, mask_of_phase(connection) & UV_READABLE);
}

static void half_close(struct connection *connection)
{
    if (connection->has_said_end)
        return;
    connection->has_said_end = true;
    shutdown(connection->wire.fd, SHUT_WR);
}

void device_net_pump(struct connection *connection)
{
    if (!connection->net || connection->phase == PHASE_GONE)
        return;
    net_filter_pump(connection->net);
    switch (net_filter_end(connection->net)) {
    case NET_GOES_ON:
        break;
    case NET_CUT:
        connection_finish(connection, "service", "fin");
        break;
    case NET_ALERT:
        connection_finish(connection, "service", "alert");
        break;
    case NET_RESET:
        connection_finish(connection, "service", "reset");
        break;
    case NET_HALF_CLOSED:
        half_close(connection);
        break;
    }
}

bool device_net_awaits_packet(const struct connection *connection)
{
    return connection->net && connection->phase != PHASE_GONE && net_filter_awaits_packet(connection->net);
}

bool device_net_packet(struct connection *connection, bool is_behind, bool is_up, int type, const char *topic)
{
    if (!device_net_awaits_packet(connection))
        return false;
    if (!is_up)
        device_flush(connection); /* what stands in front of this place */
    net_filter_packet(connection->net, is_behind, is_up, type, topic);
    device_net_pump(connection);
    return !connection_is_open(connection);
}

int device_start(struct connection *connection)
{
    connection->ssl = SSL_new(lane_tls(connection->lane));
    BIO *bio = connection->ssl ? make_bio(connection) : NULL;
    if (!bio) {
        ERR_clear_error();
        return -1;
    }
    SSL_set_bio(connection->ssl, bio, bio);
    SSL_set_app_data(connection->ssl, connection);
    SSL_set_accept_state(connection->ssl);
    /*
     * Else OpenSSL asks the socket twice for each record, and the end of a client's handshake is five of them. A bad network holds the bytes
     * back itself, and must see when TLS asks for them.
     */
    SSL_set_read_ahead(connection->ssl, !connection->net);
    return 0;
}

/* The end. */

void device_close(struct connection *connection)
{
    if (connection->phase == PHASE_GONE)
        return;
    connection->phase = PHASE_GONE;
    connection->phase_deadline = deadline_none;
    connection->door->device_count--;
    uv_close((uv_handle_t *)&connection->poll, connection_handle_closed);
    close(connection->wire.fd);
    connection->wire.fd = -1;
    SSL_free(connection->ssl);
    connection->ssl = NULL;
    connection->net = NULL;
    ERR_clear_error();
    for (int i = 0; i < SESSION_VERIFY_ERRORS_MAX; i++)
        X509_free(connection->verify_error_subjects[i]);
    bytes_done(&connection->out);
    emit_closed(connection);
    upstream_end(connection);
    connection_try_retire(connection);
}

void device_reset(struct connection *connection)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    setsockopt(connection->wire.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    device_close(connection);
}

/* Wait for the device's FIN, or it might get a reset in place of our last bytes. */
static void drain(struct connection *connection)
{
    for (int i = 0; i < DRAINS_PER_TURN_MAX; i++) {
        ssize_t got = recv(connection->wire.fd, NULL, DRAIN_BYTES, MSG_TRUNC); /* TCP throws the bytes away: no buffer */
        if (got > 0 || (got < 0 && errno == EINTR))
            continue;
        if (got < 0 && errno == EAGAIN)
            return;
        device_close(connection);
        return;
    }
}

static void send_close_notify(struct connection *connection)
{
    bool is_left_out = connection->closed_how && strcmp(connection->closed_how, "fin") == 0;
    if (connection->is_tls_up && !connection->has_sent_fatal_alert && !connection->wire.write_errno && !is_left_out)
        SSL_shutdown(connection->ssl);
    ERR_clear_error();
}

/* Our last bytes are with the socket. */
static bool is_all_out(struct connection *connection)
{
    bool is_waiting = faults_are_pending(connection) && strcmp(connection->closed_by, "device") != 0;
    if (connection->out.length_bytes || is_waiting)
        return false;
    if (!connection->has_said_end)
        send_close_notify(connection);
    connection->has_said_end = true;
    if (!connection->net)
        return true;
    net_filter_pump(connection->net);
    return net_filter_is_drained(connection->net) && !net_filter_is_stalled(connection->net);
}

void device_finish(struct connection *connection)
{
    device_flush(connection);
    if (connection->phase != PHASE_FINISHING)
        return;
    if (!is_all_out(connection)) {
        if (connection->net || faults_are_pending(connection))
            drain(connection);
        return;
    }
    shutdown(connection->wire.fd, SHUT_WR);
    connection->phase = PHASE_LINGER;
    if (connection->net || connection->faults)
        connection->phase_deadline = connection_deadline_ms(connection, LINGER_MS);
    drain(connection);
}

/* Writing. */

/*
 * The device may be gone while what it sent before is still unread: 200 messages, then a close, and our first PUBACK meets a reset. So
 *                                                                   a
 * failed write only throws away what was to be written; the end is what reading finds.
 */
static void write_failed(struct connection *connection)
{
    if (connection->wire.write_errno == 0)
        connection->wire.write_errno = EIO;
    bytes_done(&connection->out);
}

void device_flush(struct connection *connection)
{
    if (connection->wire.write_errno)
        bytes_done(&connection->out);
    while (connection->out.length_bytes) {
        size_t length = connection->out.length_bytes < RECORD_MAX_BYTES ? connection->out.length_bytes : RECORD_MAX_BYTES;
        ERR_clear_error();
        int sent = SSL_write(connection->ssl, connection->out.data, (int)length);
        if (sent <= 0) {
            int why = SSL_get_error(connection->ssl, sent);
            ERR_clear_error();
            if (why != SSL_ERROR_WANT_WRITE && why != SSL_ERROR_WANT_READ)
                write_failed(connection);
            return;
        }
        connection->bytes_down += (uint64_t)sent;
        bytes_consume(&connection->out, (size_t)sent);
    }
    bytes_done(&connection->out);
}

/* Reading. */

static void lost(struct connection *connection)
{
    const struct wire *wire = &connection->wire;
    if (connection->has_received_fatal_alert)
        connection_note_end(connection, "device", "alert");
    else if (connection->has_close_notify)
        connection_note_end(connection, "device", "close_notify");
    else if (wire->read_errno || wire->write_errno == ECONNRESET) /* EPIPE: its FIN came before the reset */
        connection_note_end(connection, "device", "reset");
    else if (wire->has_ended)
        connection_note_end(connection, "device", "fin");
    else {
        connection_finish(connection, "service", "alert");
        return;
    }
    if (connection->has_close_notify)
        send_close_notify(connection);
    device_close(connection);
}

static bool has_ended(struct connection *connection, int result)
{
    int why = SSL_get_error(connection->ssl, result);
    ERR_clear_error();
    connection->wants_write = why == SSL_ERROR_WANT_WRITE;
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
        return false;
    lost(connection);
    return true;
}

static void read_device(struct connection *connection)
{
    uint8_t *buffer = connection->door->scratch;
    connection->has_unread = false;
    for (int i = 0; i < READS_PER_TURN_MAX && is_reading(connection); i++) {
        ERR_clear_error();
        int got = SSL_read(connection->ssl, buffer, RECORD_MAX_BYTES);
        if (got <= 0) {
            has_ended(connection, got);
            return;
        }
        connection->bytes_up += (uint64_t)got;
        connection->last_received_us = clock_mono_us(connection->door->options.clock);
        relay_up(connection, buffer, (size_t)got);
        upstream_flush(connection);
        /* Read-ahead took all that was there: the poll tells when there is more. */
        if (!connection->net && connection->ssl && !SSL_has_pending(connection->ssl))
            return;
    }
    connection->has_unread = connection->ssl && SSL_has_pending(connection->ssl);
}

/* The handshake. */

static void tell_missing_certificate(struct connection *connection)
{
    const struct front_door_policy *policy = &connection->door->options.policy;
    if (policy->verify)
        policy->verify(policy->user, &connection->session, connection->session.chain);
}

static void handshake_failed(struct connection *connection)
{
    char system_text[128];
    unsigned long code = ERR_peek_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    if (!reason && connection->wire.read_errno)
        reason = strerror_r(connection->wire.read_errno, system_text, sizeof system_text);
    if (!reason)
        reason = connection->wire.has_ended ? "the device closed the connection" : "the handshake failed";
    ERR_clear_error();
    if (ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE)
        tell_missing_certificate(connection);
    emit_failed(connection, reason);
    lost(connection);
}

static int take_chain(struct connection *connection)
{
    X509 *leaf = SSL_get0_peer_certificate(connection->ssl);
    /* On the server this stack leaves the leaf out. */
    STACK_OF(X509) *rest = SSL_get_peer_cert_chain(connection->ssl);
    if (leaf && (!X509_up_ref(leaf) || !sk_X509_push(connection->session.chain, leaf)))
        return -1;
    for (int i = 0; i < sk_X509_num(rest); i++) {
        X509 *certificate = sk_X509_value(rest, i);
        if (!X509_up_ref(certificate) || !sk_X509_push(connection->session.chain, certificate))
            return -1;
    }
    return 0;
}

static bool has_signature_error(const struct session *session)
{
    if (session->verify_error_count == SESSION_VERIFY_ERRORS_MAX)
        return true; /* the list is full: who knows what came behind */
    for (int i = 0; i < session->verify_error_count; i++)
        if (session->verify_errors[i].code == X509_V_ERR_CERT_SIGNATURE_FAILURE ||
            session->verify_errors[i].code == X509_V_ERR_UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY)
            return true;
    return false;
}

/*
 * OpenSSL checks the signature of each certificate of the chain that it could build, by the one above, and says so when one is wrong:
 * the judge need not do it again. Only what it built in the order sent counts.
 */
static int count_signed(const struct connection *connection)
{
    const STACK_OF(X509) *built = SSL_get0_verified_chain(connection->ssl), *sent = connection->session.chain;
    int count = 0;
    if (!built || has_signature_error(&connection->session))
        return 0;
    while (count < sk_X509_num(built) && count < sk_X509_num(sent) && sk_X509_value(built, count) == sk_X509_value(sent, count))
        count++;
    return count > 0 ? count - 1 : 0;
}

static void handshake_done(struct connection *connection)
{
    connection->is_tls_up = true;
    connection->wants_write = false;
    if (connection->net)
        net_filter_handshake_done(connection->net);
    connection->phase = PHASE_CONNECT;
    connection->session.tls_version = SSL_get_version(connection->ssl);
    connection->session.tls_suite = SSL_CIPHER_standard_name(SSL_get_current_cipher(connection->ssl));
    if (take_chain(connection)) {
        connection_finish(connection, "service", "alert");
        return;
    }
    connection->session.signed_count = count_signed(connection);
    connection->has_unread = SSL_has_pending(connection->ssl);
    emit_handshake(connection);
}

static void shake_hands(struct connection *connection)
{
    ERR_clear_error();
    int result = SSL_accept(connection->ssl);
    if (result == 1) {
        handshake_done(connection);
        return;
    }
    int why = SSL_get_error(connection->ssl, result);
    connection->wants_write = why == SSL_ERROR_WANT_WRITE;
    if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
        handshake_failed(connection);
}

/*
 * What the socket is ready for. libuv stops the poll and reports an error for POLLERR; reading and writing then find out what it was.
 */
void device_poll(uv_poll_t *poll, int status, int events)
{
    struct connection *connection = poll->data;
    if (status < 0) {
        connection->poll_mask = 0;
        events = UV_READABLE | UV_WRITABLE;
    }
    connection->is_disturbed = events & UV_READABLE && device_mask(connection) == 0;
    if (connection->phase == PHASE_HANDSHAKE)
        shake_hands(connection);
    else if (connection->phase == PHASE_LINGER)
        drain(connection);
    else if (connection->phase == PHASE_FINISHING)
        device_finish(connection);
    else {
        if (events & UV_WRITABLE)
            device_flush(connection);
        if (events & UV_READABLE || connection->wants_write || connection->has_unread)
            read_device(connection);
    }
    connection_update(connection);
}
