#include "base/mqtt_link.h"

#include "base/cleanup.h"

#include <errno.h>
#include <mosquitto.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

enum {
    /* libmosquitto's keepalive and message clean-up want to be called about once a second. */
    MISC_INTERVAL_MS = 500,
    /* Bound of packets read in one turn of the loop, so that a flood cannot starve the timers. */
    READS_PER_TURN_MAX = 64,
};

/* libuv frees handles later than we die: they live in a block of their own. */
struct handles {
    uv_poll_t poll;
    uv_timer_t misc;
    uv_timer_t late; /* reports a close that happened inside a call of the owner */
    int events;      /* what is polled for; 0: nothing */
    int closing_count;
};

struct mqtt_link {
    struct mosquitto *mosquitto;
    uv_loop_t *loop;
    struct handles *handles; /* NULL while there is no socket */
    char *unix_path;
    char *host;
    char *address;
    uint16_t port;
    SSL_CTX *tls; /* lent */
    int keep_alive_s;
    bool is_disconnecting; /* our own DISCONNECT is on its way */
    bool is_paused;
    bool was_established; /* the TCP connection stood */
    bool was_reset;       /* the peer's RST was seen: libmosquitto reports it under several codes */
    int late_rc;
    struct mqtt_link_callbacks callbacks;
};

static int library_users;

static void pump(struct mqtt_link *link);
static void on_misc(uv_timer_t *timer);

static void on_handle_closed(uv_handle_t *handle)
{
    struct handles *handles = handle->data;
    if (--handles->closing_count == 0)
        free(handles);
}

/* libuv takes the socket out of epoll and puts it in again for every start, changed or not; a publisher comes here with every message. */
static void poll_for(struct handles *handles, int events, uv_poll_cb callback)
{
    if (handles->events == events)
        return;
    handles->events = events;
    if (events)
        uv_poll_start(&handles->poll, events, callback);
    else
        uv_poll_stop(&handles->poll);
}

static void drop_handles(struct mqtt_link *link)
{
    struct handles *handles = TAKE(link->handles);
    if (!handles)
        return;
    uv_poll_stop(&handles->poll);
    uv_timer_stop(&handles->misc);
    uv_timer_stop(&handles->late);
    handles->closing_count = 3;
    handles->poll.data = handles;
    handles->misc.data = handles;
    handles->late.data = handles;
    uv_close((uv_handle_t *)&handles->poll, on_handle_closed);
    uv_close((uv_handle_t *)&handles->misc, on_handle_closed);
    uv_close((uv_handle_t *)&handles->late, on_handle_closed);
}

static void report_closed(struct mqtt_link *link, int rc, int system_errno)
{
    if (!link->handles)
        return;
    drop_handles(link);
    if (link->is_disconnecting)
        rc = 0;
    link->is_disconnecting = false;
    /* Between our look and the write. */
    link->was_reset |= rc && link->was_established && (system_errno == ECONNRESET || system_errno == EPIPE);
    int number = !rc ? 0 : link->was_reset ? ECONNRESET : rc == MOSQ_ERR_ERRNO ? system_errno : 0;
    const char *text = number ? strerror(number) : rc ? mosquitto_strerror(rc) : "disconnected";
    if (link->callbacks.on_closed)
        link->callbacks.on_closed(link->callbacks.user, rc, number, text);
}

static void on_late(uv_timer_t *timer)
{
    struct mqtt_link *link = timer->data;
    report_closed(link, link->late_rc, 0);
}

/* The socket went away inside a call of the owner: on_closed must come from the loop. The poll stops now, before the number is used anew.
 */
static void report_closed_later(struct mqtt_link *link, int rc)
{
    if (!link->handles || uv_is_active((uv_handle_t *)&link->handles->late))
        return;
    link->late_rc = rc;
    poll_for(link->handles, 0, NULL);
    uv_timer_stop(&link->handles->misc);
    uv_timer_start(&link->handles->late, on_late, 0, 0);
}

static void update_poll(struct mqtt_link *link);

/* A reset leaves the socket closed, a FIN leaves it half open. SO_ERROR would say it too, but would take the error from the reader. */
static void note_reset(struct mqtt_link *link)
{
    struct tcp_info info = {0};
    socklen_t length_bytes = sizeof info;
    int socket = mosquitto_socket(link->mosquitto);
    if (getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &length_bytes))
        return;
    /* A round trip was measured: it stood, though we look at it for the first time when it is over. */
    if (info.tcpi_rtt || (info.tcpi_state != TCP_CLOSE && info.tcpi_state != TCP_SYN_SENT))
        link->was_established = true;
    if (info.tcpi_state == TCP_CLOSE)
        link->was_reset = link->was_established;
}

/* A connection that never stood: libmosquitto would take the failed write for one that has to wait, and wait for ever. */
static int connect_errno(const struct mqtt_link *link)
{
    struct tcp_info info = {0};
    socklen_t info_bytes = sizeof info, number_bytes = sizeof(int);
    int socket = mosquitto_socket(link->mosquitto), number = 0;
    if (link->was_established || getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &info_bytes) || info.tcpi_state != TCP_CLOSE)
        return 0;
    /* The write that came first has taken the reason with it, where there is none. */
    return getsockopt(socket, SOL_SOCKET, SO_ERROR, &number, &number_bytes) || !number ? ECONNREFUSED : number;
}

/* Bytes that OpenSSL holds already do not wake the poll again. */
static bool has_pending(struct mqtt_link *link)
{
    SSL *ssl = mosquitto_ssl_get(link->mosquitto);
    return ssl && SSL_has_pending(ssl);
}

static bool has_more(struct mqtt_link *link)
{
    int waiting = 0;
    return has_pending(link) || (!ioctl(mosquitto_socket(link->mosquitto), FIONREAD, &waiting) && waiting > 0);
}

static int read_packets(struct mqtt_link *link)
{
    for (int i = 0; i < READS_PER_TURN_MAX && link->handles && !link->is_paused; i++) {
        errno = 0;
        int rc = mosquitto_loop_read(link->mosquitto, 1);
        if (rc)
            return rc;
        if (!has_more(link))
            break;
    }
    return MOSQ_ERR_SUCCESS;
}

/* A handshake that was reset: libmosquitto takes the failed write for one that has to wait, and its poll would wake for ever. */
static bool is_handshake_reset(struct mqtt_link *link)
{
    const SSL *ssl = link->handles && link->was_reset ? mosquitto_ssl_get(link->mosquitto) : NULL;
    return ssl && !SSL_is_init_finished(ssl) && !has_more(link);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct mqtt_link *link = poll->data;
    /* status < 0 is libuv's word for an error of the socket, a reset above all: it has stopped polling, and reading tells more. */
    if (status < 0)
        link->handles->events = 0;
    note_reset(link);
    int refused = connect_errno(link);
    if (refused) {
        report_closed(link, MOSQ_ERR_ERRNO, refused);
        return;
    }
    int rc = status < 0 || events & (UV_READABLE | UV_DISCONNECT) ? read_packets(link) : MOSQ_ERR_SUCCESS;
    if (rc == MOSQ_ERR_SUCCESS && is_handshake_reset(link))
        rc = MOSQ_ERR_CONN_LOST;
    if (rc == MOSQ_ERR_SUCCESS && link->handles)
        pump(link);
    else
        report_closed(link, rc, errno);
}

static void on_misc(uv_timer_t *timer)
{
    struct mqtt_link *link = timer->data;
    note_reset(link);
    errno = 0;
    int rc = mosquitto_loop_misc(link->mosquitto);
    if (rc == MOSQ_ERR_SUCCESS && has_pending(link))
        rc = read_packets(link);
    if (rc == MOSQ_ERR_SUCCESS)
        pump(link);
    else
        report_closed(link, rc, errno);
}

/* Write what is queued (what callbacks published waits until somebody does), then poll for what is left. */
static void pump(struct mqtt_link *link)
{
    errno = 0;
    int rc = mosquitto_want_write(link->mosquitto) ? mosquitto_loop_write(link->mosquitto, 1) : MOSQ_ERR_SUCCESS;
    if (rc == MOSQ_ERR_SUCCESS)
        update_poll(link);
    else
        report_closed(link, rc, errno);
}

static void update_poll(struct mqtt_link *link)
{
    if (!link->handles)
        return;
    if (mosquitto_socket(link->mosquitto) < 0) {
        report_closed_later(link, MOSQ_ERR_CONN_LOST);
        return;
    }
    if (link->is_paused)
        return;
    if (has_pending(link))
        uv_timer_start(&link->handles->misc, on_misc, 0, MISC_INTERVAL_MS);
    int events = UV_READABLE | UV_DISCONNECT | (mosquitto_want_write(link->mosquitto) ? UV_WRITABLE : 0);
    poll_for(link->handles, events, on_poll);
}

static void on_connect(struct mosquitto *mosquitto, void *user, int code)
{
    (void)mosquitto;
    struct mqtt_link *link = user;
    if (link->callbacks.on_connack)
        link->callbacks.on_connack(link->callbacks.user, code);
}

static void on_message(struct mosquitto *mosquitto, void *user, const struct mosquitto_message *message)
{
    (void)mosquitto;
    struct mqtt_link *link = user;
    if (link->callbacks.on_message)
        link->callbacks.on_message(link->callbacks.user, message->topic, message->payload, (size_t)message->payloadlen, message->qos,
                                   message->retain);
}

static void on_subscribe(struct mosquitto *mosquitto, void *user, int packet_id, int count, const int *codes)
{
    (void)mosquitto;
    struct mqtt_link *link = user;
    if (link->callbacks.on_suback)
        link->callbacks.on_suback(link->callbacks.user, packet_id, codes, (size_t)count);
}

static void on_unsubscribe(struct mosquitto *mosquitto, void *user, int packet_id)
{
    (void)mosquitto;
    struct mqtt_link *link = user;
    if (link->callbacks.on_unsuback)
        link->callbacks.on_unsuback(link->callbacks.user, packet_id);
}

static void on_publish(struct mosquitto *mosquitto, void *user, int packet_id)
{
    (void)mosquitto;
    struct mqtt_link *link = user;
    if (link->callbacks.on_published)
        link->callbacks.on_published(link->callbacks.user, packet_id);
}

static void set_sni(const SSL *ssl, int where, int result)
{
    (void)result;
    const char *host = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    if (where & SSL_CB_HANDSHAKE_START && host)
        SSL_set_tlsext_host_name((SSL *)(uintptr_t)ssl, host);
}

static int set_tls(struct mqtt_link *link, SSL_CTX *tls, struct error *error)
{
    /* Without the first option libmosquitto loads its own defaults into our context. */
    if (mosquitto_int_option(link->mosquitto, MOSQ_OPT_SSL_CTX_WITH_DEFAULTS, 0) ||
        mosquitto_void_option(link->mosquitto, MOSQ_OPT_SSL_CTX, tls))
        return error_set(error, ERROR_OWNER_OURS, ERROR_CRYPTO, "libmosquitto refused the TLS context");
    /* libmosquitto sends the address as SNI: correct it, unless the caller's own info callback does. */
    if (link->address && !SSL_CTX_get_info_callback(tls))
        SSL_CTX_set_info_callback(tls, set_sni);
    link->tls = tls;
    return 0;
}

static int configure(struct mqtt_link *link, const struct mqtt_link_options *options, struct error *error)
{
    struct mosquitto *mosquitto = link->mosquitto;
    mosquitto_connect_callback_set(mosquitto, on_connect);
    mosquitto_message_callback_set(mosquitto, on_message);
    mosquitto_subscribe_callback_set(mosquitto, on_subscribe);
    mosquitto_unsubscribe_callback_set(mosquitto, on_unsubscribe);
    mosquitto_publish_callback_set(mosquitto, on_publish);
    /* The defaults hold at most 20 messages in flight and queue the rest: a burst of events must not wait for acknowledgements. */
    mosquitto_int_option(mosquitto, MOSQ_OPT_SEND_MAXIMUM, 1000);
    mosquitto_int_option(mosquitto, MOSQ_OPT_TCP_NODELAY, 1);
    if (options->user_name && mosquitto_username_pw_set(mosquitto, options->user_name, options->password))
        return error_set_memory(error);
    return options->tls ? set_tls(link, options->tls, error) : 0;
}

static char *copy(const char *text)
{
    return text ? strdup(text) : NULL;
}

DEFINE_CLEANUP(struct mqtt_link *, mqtt_link_free)

int mqtt_link_new(const struct mqtt_link_options *options, struct mqtt_link **ret_link, struct error *error)
{
    if (library_users++ == 0)
        mosquitto_lib_init();
    CLEANUP(mqtt_link_free_cleanup) struct mqtt_link *link = calloc(1, sizeof *link);
    if (!link)
        return error_set_memory(error);
    link->loop = options->loop;
    link->unix_path = copy(options->unix_path);
    link->host = copy(options->host);
    link->address = copy(options->address);
    link->port = options->port;
    link->keep_alive_s = options->keep_alive_s;
    link->callbacks = options->callbacks;
    link->mosquitto = mosquitto_new(options->client_id, !options->keeps_session, link);
    if (!link->mosquitto)
        return error_set(error, ERROR_OWNER_OURS, ERROR_OTHER, "make MQTT client '%s': %s", options->client_id, strerror(errno));
    if (configure(link, options, error))
        return -1;
    *ret_link = TAKE(link);
    return 0;
}

static int attach(struct mqtt_link *link, struct error *error)
{
    struct handles *handles = calloc(1, sizeof *handles);
    if (!handles)
        return error_set_memory(error);
    if (uv_poll_init(link->loop, &handles->poll, mosquitto_socket(link->mosquitto))) {
        free(handles);
        return error_set(error, ERROR_OWNER_OURS, ERROR_OTHER, "watch the MQTT socket: libuv refused it");
    }
    uv_timer_init(link->loop, &handles->misc);
    uv_timer_init(link->loop, &handles->late);
    handles->poll.data = link;
    handles->misc.data = link;
    handles->late.data = link;
    link->handles = handles;
    uv_timer_start(&handles->misc, on_misc, MISC_INTERVAL_MS, MISC_INTERVAL_MS);
    update_poll(link);
    return 0;
}

/* The handshake starts within: only for so long does a context, which several links may share, belong to this link's name. */
static int start(struct mqtt_link *link, const char *target)
{
    bool names_server = link->tls && SSL_CTX_get_info_callback(link->tls) == set_sni;
    if (names_server)
        SSL_CTX_set_app_data(link->tls, link->host);
    errno = 0;
    /* A numeric address needs no look-up, so that nothing at all blocks: an address that swallows our SYN costs no more than a time-out. */
    int rc = link->address && !link->unix_path
                 ? mosquitto_connect_async(link->mosquitto, target, link->port, link->keep_alive_s)
                 : mosquitto_connect(link->mosquitto, target, link->unix_path ? 0 : link->port, link->keep_alive_s);
    int number = errno;
    if (names_server)
        SSL_CTX_set_app_data(link->tls, NULL);
    errno = number;
    return rc;
}

int mqtt_link_connect(struct mqtt_link *link, int *ret_rc, int *ret_errno, struct error *error)
{
    const char *target = link->unix_path ? link->unix_path : link->address ? link->address : link->host;
    link->is_disconnecting = link->is_paused = link->was_established = link->was_reset = false;
    int rc = start(link, target);
    int number = rc == MOSQ_ERR_ERRNO ? errno : 0;
    if (ret_rc)
        *ret_rc = rc;
    if (ret_errno)
        *ret_errno = number;
    if (rc) {
        const char *why = number ? strerror(number) : mosquitto_strerror(rc);
        if (link->unix_path)
            return error_set(error, ERROR_OWNER_RIG, ERROR_IO, "connect to '%s': %s", target, why);
        return error_set(error, ERROR_OWNER_RIG, ERROR_IO, "connect to %s:%u: %s", target, link->port, why);
    }
    return attach(link, error);
}

bool mqtt_link_is_open(const struct mqtt_link *link)
{
    return link && link->handles;
}

void mqtt_link_disconnect(struct mqtt_link *link)
{
    if (!link || !link->handles)
        return;
    link->is_disconnecting = true;
    link->is_paused = false;
    mosquitto_disconnect(link->mosquitto);
    /* libmosquitto closes as soon as DISCONNECT is written: now, or (within a callback, or with a full socket) later from the loop. */
    update_poll(link);
}

void mqtt_link_pause(struct mqtt_link *link)
{
    if (!link->handles || link->is_paused)
        return;
    link->is_paused = true;
    poll_for(link->handles, 0, NULL);
    uv_timer_stop(&link->handles->misc);
}

void mqtt_link_resume(struct mqtt_link *link)
{
    if (!link->handles || !link->is_paused)
        return;
    link->is_paused = false;
    uv_timer_start(&link->handles->misc, on_misc, MISC_INTERVAL_MS, MISC_INTERVAL_MS);
    update_poll(link);
}

void mqtt_link_abort(struct mqtt_link *link)
{
    if (!link)
        return;
    drop_handles(link);
    int socket = link->mosquitto ? mosquitto_socket(link->mosquitto) : -1;
    if (socket >= 0)
        shutdown(socket, SHUT_RDWR);
}

static int translate(int rc, const char *what, const char *topic, struct error *error)
{
    return error_set(error, rc == MOSQ_ERR_NO_CONN ? ERROR_OWNER_RIG : ERROR_OWNER_OURS, ERROR_IO, "%s '%s': %s", what, topic,
                     mosquitto_strerror(rc));
}

int mqtt_link_subscribe_many(struct mqtt_link *link, const char *const *filters, size_t count, int qos, int *ret_packet_id,
                             struct error *error)
{
    int rc = mosquitto_subscribe_multiple(link->mosquitto, ret_packet_id, (int)count, (char *const *)(uintptr_t)filters, qos, 0, NULL);
    update_poll(link);
    return rc ? translate(rc, "subscribe to", filters[0], error) : 0;
}

int mqtt_link_subscribe(struct mqtt_link *link, const char *filter, int qos, int *ret_packet_id, struct error *error)
{
    return mqtt_link_subscribe_many(link, &filter, 1, qos, ret_packet_id, error);
}

int mqtt_link_unsubscribe(struct mqtt_link *link, const char *filter, int *ret_packet_id, struct error *error)
{
    int rc = mosquitto_unsubscribe(link->mosquitto, ret_packet_id, filter);
    update_poll(link);
    return rc ? translate(rc, "unsubscribe from", filter, error) : 0;
}

int mqtt_link_publish(struct mqtt_link *link, const char *topic, const void *payload, size_t length_bytes, int qos, bool retain,
                      int *ret_packet_id, struct error *error)
{
    int rc = mosquitto_publish(link->mosquitto, ret_packet_id, topic, (int)length_bytes, payload, qos, retain);
    update_poll(link);
    return rc ? translate(rc, "publish to", topic, error) : 0;
}

void mqtt_link_free(struct mqtt_link *link)
{
    if (!link)
        return;
    mqtt_link_abort(link);
    if (link->mosquitto)
        mosquitto_destroy(link->mosquitto);
    free(link->unix_path);
    free(link->host);
    free(link->address);
    free(link);
    if (--library_users == 0)
        mosquitto_lib_cleanup();
}
