/*
 * base/mqtt_link.h - one MQTT 3.1.1 client connection (libmosquitto) on a libuv loop
 *
 * What:      connect (Unix socket, or TCP with TLS), subscribe, publish, receive. libmosquitto's socket is polled by libuv; no thread is used.
 *            With `address` nothing blocks; without it, the name look-up and the TCP connect do.
 * Not here:  reconnecting (the owner decides: call mqtt_link_connect again), and what the payloads mean.
 * TLS:       the caller's SSL_CTX is used as it is (versions, verification, callbacks); the host name is not checked unless the context says
 *            so (X509_VERIFY_PARAM_set1_host on SSL_CTX_get0_param). SNI is the host argument.
 * Callbacks: run from the loop, never from within a call of yours except mqtt_link_connect's failure, which is returned instead. A callback
 *            may publish and subscribe; it must not free the link (use mqtt_link_disconnect and free later).
 * Source:    libmosquitto 2.0.11: it reads one packet a loop_read, and queues what is published inside a callback until loop_write.
 */
#ifndef BASE_MQTT_LINK_H
#define BASE_MQTT_LINK_H

#include "base/error.h"

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct mqtt_link;

struct mqtt_link_callbacks {
    void *user;
    /* CONNACK: 0 accepted, 1 to 5 refused (on_closed follows). */
    void (*on_connack)(void *user, int return_code);
    /* Topic NUL-terminated; payload lent for the call, not NUL-terminated, NULL when empty. */
    void (*on_message)(void *user, const char *topic, const void *payload, size_t length_bytes, int qos, bool is_retained);
    /* `packet_id` as returned by mqtt_link_subscribe; codes 0, 1, 2 or 0x80. */
    void (*on_suback)(void *user, int packet_id, const int *codes, size_t count);
    void (*on_unsuback)(void *user, int packet_id);
    /* QoS 1: the PUBACK came. QoS 0: written. */
    void (*on_published)(void *user, int packet_id);
    /*
     * The connection ended, for whatever reason, once per successful mqtt_link_connect. rc: libmosquitto's code, 0 after our own
     * mqtt_link_disconnect; system_errno: 0 when the system said nothing, ECONNRESET for a reset by the peer under whichever rc;
     * text: one line for a person.
     */
    void (*on_closed)(void *user, int rc, int system_errno, const char *text);
};

struct mqtt_link_options {
    uv_loop_t *loop;
    const char *client_id; /* copied */
    const char *user_name; /* copied; NULL: none */
    const char *password;  /* copied; NULL: none */
    const char *unix_path; /* set: connect there */
    const char *host;      /* else here: the name for SNI and look-up */
    const char *address;   /* NULL: look `host` up; else connect to this numeric address while SNI stays `host` */
    uint16_t port;
    SSL_CTX *tls;                         /* NULL: plain (Unix sockets only by convention); lent, must live as long as the link */
    bool keeps_session;                   /* clean session 0 */
    int keep_alive_s;                     /* 0: none. libmosquitto wants 0 or at least 5 */
    struct mqtt_link_callbacks callbacks; /* members may be NULL */
};

int mqtt_link_new(const struct mqtt_link_options *options, struct mqtt_link **ret_link, struct error *error);
/*
 * Start a connection. Returns as soon as the TCP connection stands or, with `address`, is on its way; on_connack or on_closed tell the rest.
 * There is no time limit but the keepalive's: owners who want one keep it.
 * IO (rig): no connection, or, on a fast path, a TLS handshake that has failed already; ret_rc, ret_errno (each may be NULL) hold
 * libmosquitto's code and the system's number.
 */
int mqtt_link_connect(struct mqtt_link *link, int *ret_rc, int *ret_errno, struct error *error);
bool mqtt_link_is_open(const struct mqtt_link *link); /* between a successful connect and on_closed */
/* Send DISCONNECT (when connected) and close. on_closed follows from the loop. */
void mqtt_link_disconnect(struct mqtt_link *link);
/*
 * Stop reading and stop the keepalive until mqtt_link_resume, as a client does whose only thread sleeps: what the peer sends meanwhile, its
 * close included, waits in the kernel. What is published meanwhile is still written. mqtt_link_disconnect resumes.
 */
void mqtt_link_pause(struct mqtt_link *link);
void mqtt_link_resume(struct mqtt_link *link);
/* Close without DISCONNECT, as a device that loses power does. on_closed is not called. */
void mqtt_link_abort(struct mqtt_link *link);
int mqtt_link_subscribe(struct mqtt_link *link, const char *filter, int qos, int *ret_packet_id, struct error *error);
int mqtt_link_subscribe_many(struct mqtt_link *link, const char *const *filters, size_t count, int qos, int *ret_packet_id,
                             struct error *error);
int mqtt_link_unsubscribe(struct mqtt_link *link, const char *filter, int *ret_packet_id, struct error *error);
int mqtt_link_publish(struct mqtt_link *link, const char *topic, const void *payload, size_t length_bytes, int qos, bool retain,
                      int *ret_packet_id, struct error *error);
/* Aborts first. Call from outside the link's callbacks. NULL allowed. */
void mqtt_link_free(struct mqtt_link *link);

#endif
