/*
 * tests/e2e/sim_wire.h - a simulator of our own, its control plane, and a device that shows every byte
 *
 * What:     one dpsbench-sim for many checks; a raw TLS client on blocking sockets, which knows MQTT only as far as a check needs it and thinks
 *           well of nothing. Both are ours alone: no code of the simulator takes part.
 * Failing:  every function fails the test (cmocka) when what it waits for does not come in time.
 */
#ifndef TESTS_E2E_SIM_WIRE_H
#define TESTS_E2E_SIM_WIRE_H

#include "base/bytes.h"
#include "base/json.h"

#include <openssl/ssl.h>
#include <stdbool.h>

#define WIRE_ID "dev-01"
#define WIRE_PUT_TOPIC "$dps/registrations/PUT/iotdps-register/?$rid=1"
#define WIRE_FILTER "$dps/registrations/res/#"

enum { WIRE_WAIT_MS = 20000, WIRE_SILENCE_MS = 300 };

/* ---- the simulator ---- */

void wire_start(void);
void wire_stop(void);
/* Calls of the control plane; params as JSON text, NULL: none. The result is given. */
cJSON *wire_call(const char *method, const char *params);
/* The same, but it must be refused; the text is put into `text` (1024 bytes). */
void wire_refused(const char *method, const char *params, char *text);
/* {"puback_comes":"never"} */
void wire_set_device(const char *knobs);
void wire_set_lane(const char *knobs);
/* Nothing is turned, nobody is registered. */
void wire_clear(void);
/* The device's enrollment: by its own certificate, or not at all. */
void wire_enroll(bool is_known);
double wire_scaled_ms(double device_ms);
int64_t wire_now_ms(void);

/* ---- the device ---- */

/* How a connection ended, or did not. */
enum wire_end { WIRE_OPEN, WIRE_CLOSE_NOTIFY, WIRE_FIN, WIRE_RESET };

struct wire_device {
    int fd;
    SSL_CTX *tls;
    SSL *ssl;
    bool is_shaken;         /* the handshake stood */
    bool was_asked;         /* for a certificate */
    int ca_name_count;      /* in the CertificateRequest */
    int alert;              /* fatal, received; -1: none */
    int reason;             /* OpenSSL's, of the end */
    const char *last_heard; /* OpenSSL's state when the handshake ended */
    enum wire_end end;
    int64_t took_ms; /* the handshake */
    struct bytes in; /* plain text that nobody took yet */
    size_t reads;    /* pieces that it came in */
    uint16_t next_id;
};

struct wire_options {
    int version;       /* TLS1_2_VERSION ...; 0: any from 1.0 on */
    SSL_SESSION *from; /* to be resumed; NULL: none */
    const char *sni;   /* NULL: localhost */
};

void wire_open_tcp(struct wire_device *device);
void wire_open(struct wire_device *device, const struct wire_options *options); /* options NULL: TLS 1.2 */
void wire_close(struct wire_device *device);

void wire_send(struct wire_device *device, const void *data, size_t length_bytes);
void wire_send_connect(struct wire_device *device, bool is_hub);
void wire_send_connect_as(struct wire_device *device, const char *user_name, const char *password); /* NULL: none */
uint16_t wire_send_subscribe(struct wire_device *device, const char *filter);
uint16_t wire_send_unsubscribe(struct wire_device *device, const char *filter);
uint16_t wire_send_publish(struct wire_device *device, const char *topic, const char *body);
/* With another first byte than 0x32; another QoS than 1. */
uint16_t wire_send_publish_as(struct wire_device *device, int first_byte, const char *topic, const char *body);
uint16_t wire_send_subscribe_as(struct wire_device *device, const char *filter, uint8_t qos);
void wire_send_puback(struct wire_device *device, uint16_t packet_id);
void wire_send_pingreq(struct wire_device *device);

/* The next packet: its first byte, its body (initialised by the call); -1 when the connection ended, 0 when nothing came within `ms`. */
int wire_read(struct wire_device *device, struct bytes *body, int64_t ms);
/* The next packet is this one; returns its packet id where it has one in front. */
uint16_t wire_expect(struct wire_device *device, int first_byte);
/* These come next, packets or not; they stay in device->in. NULL: any. */
void wire_expect_bytes(struct wire_device *device, const void *data, size_t length_bytes);
/* Nothing comes for WIRE_SILENCE_MS, and it stays open. */
void wire_expect_silence(struct wire_device *device);
/* Wait for the end of the connection; what came before it stays in device->in. */
enum wire_end wire_wait_end(struct wire_device *device);
/* A PUBLISH: topic and body (both initialised by the call), acknowledged. */
void wire_expect_publish(struct wire_device *device, struct bytes *topic, struct bytes *body);

/* CONNECT, SUBSCRIBE: each as it should go. */
void wire_connect(struct wire_device *device);
void wire_subscribe(struct wire_device *device);
/* A register request; the next PUBLISH is its answer. */
void wire_register(struct wire_device *device, struct bytes *topic, struct bytes *body);
/* A status request for this operation. */
void wire_poll(struct wire_device *device, const char *operation_id, struct bytes *topic, struct bytes *body);
/* The whole of it: open, connect, subscribe. */
void wire_open_session(struct wire_device *device);

#endif
