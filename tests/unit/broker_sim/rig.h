/*
 * tests/unit/broker_sim/rig.h - a front door before a real Mosquitto, a small service behind it, and TLS clients: all on one loop
 *
 * What:     everything runs in the test's own thread: each wait of a client turns the loop. So a test reads from top to bottom and sees the
 *           front door's memory between two steps.
 * Service:  answers "echo/up" with the same payload on "echo/down", a DPS register with 202 on "$dps/registrations/res/202/?$rid=...", and
 *           counts what comes to "devices/...".
 * Failing:  every function fails the test (cmocka) when what it waits for does not come within RIG_WAIT_MS.
 */
#ifndef TESTS_UNIT_BROKER_SIM_RIG_H
#define TESTS_UNIT_BROKER_SIM_RIG_H

#include "base/bytes.h"
#include "base/json.h"
#include "base/mqtt_link.h"
#include "broker_sim/broker/broker.h"
#include "broker_sim/front_door/front_door.h"
#include "certs/forge.h"

enum { RIG_WAIT_MS = 20000 };

#define DPS_USER(id) "0ne000AAAA1/registrations/" id "/api-version=2019-03-31"

struct rig_options {
    bool has_broker;   /* false: the front door stands alone, its gate shut */
    double time_scale; /* 0: 1 */
    int64_t connect_deadline_ms;
    size_t sessions_max;
    int tls_max_version;
};

struct rig {
    uv_loop_t loop;
    uv_timer_t tick;
    char dir[32];
    struct broker *broker;
    struct front_door *door;
    struct mqtt_link *service;
    uint16_t port;
    cJSON *events;
    struct key_cache *keys;
    struct pki *server, *control;

    /* what the service and the policy saw, and how they are to act */
    int up_count, down_count, gave_up_count;
    int connect_count, closed_count;
    int refuse_with;       /* CONNACK code; 0: admit */
    const char *close_how; /* no CONNACK: closed so */
    enum admission_silence silence;
    const char *refused_filter; /* granted 0x80 */
    const char *refused_topic;  /* may_publish says no */
    int telemetry_count;
    size_t telemetry_bytes;
    char telemetry_topic[128]; /* of the last one */
    bool is_service_ready;
    char subscribed[128], unsubscribed[128];
    char sent[128]; /* the topic of the last PUBLISH that went down ... */
    int sent_id;    /* ... and its packet id */
    int acknowledged_id;
    const char *restored_filter; /* of the admission */
    bool is_session_present;
    char decided_user_name[256];
    int decided_chain_count;
    uint64_t last_session;
    bool is_mute; /* the service answers nothing */
};

void rig_start(struct rig *rig, const struct rig_options *options);
void rig_stop(struct rig *rig);
/* Turn the loop for at most a millisecond. */
void rig_turn(struct rig *rig);
void rig_turn_ms(struct rig *rig, int64_t ms);
void rig_wait_count(struct rig *rig, const int *count, int at_least);
void rig_wait_ready(struct rig *rig); /* Mosquitto is up, the service subscribed, the gate open */
/* The `index`th event of that kind; waits for it. Lent. */
const cJSON *rig_event(struct rig *rig, const char *kind, int index);
const cJSON *rig_event_data(struct rig *rig, const char *kind, int index);
int rig_event_count(const struct rig *rig, const char *kind);
const char *rig_closed_how(struct rig *rig, int index);
void rig_publish(struct rig *rig, const char *topic, const void *payload, size_t length_bytes, int qos);

struct identity {
    X509 *leaf;
    EVP_PKEY *key;
    STACK_OF(X509) * others;
};

struct client_options {
    const struct identity *identity; /* NULL: no certificate */
    const char *sni;                 /* NULL: none */
    int tls_max_version;             /* 0: TLS 1.2 */
    const char *suites;
    uint16_t port;      /* 0: rig->port */
    X509 *trusted_root; /* NULL: anything goes */
};

struct client {
    struct rig *rig;
    int fd;
    SSL_CTX *tls;
    SSL *ssl;
    struct bytes in;
    bool has_ended; /* nothing more will come */
    bool has_close_notify;
    int end_errno;
    char handshake_error[128]; /* "" when it stood */
};

/* TCP, and TLS as far as it gets. */
void client_open(struct client *client, struct rig *rig, const struct client_options *options);
void client_open_tcp(struct client *client, struct rig *rig, uint16_t port);
void client_shake_hands(struct client *client, const struct client_options *options);
void client_close(struct client *client); /* close_notify and FIN; free */
void client_fin(struct client *client);   /* FIN without close_notify */
void client_reset(struct client *client); /* RST */
void client_free(struct client *client);
void client_send(struct client *client, const struct bytes *packet);
void client_send_raw(struct client *client, const void *data, size_t length_bytes);
/* Wait until at least that much has arrived in client->in. */
void client_wait_bytes(struct client *client, size_t length_bytes);
/* The next `length_bytes` are exactly these. */
void client_expect(struct client *client, const void *data, size_t length_bytes);
/* Nothing more comes and the connection ends. */
void client_expect_end(struct client *client);
/* Read one packet; its body is in `body` (initialised by the call). Returns the first byte. */
int client_read_packet(struct client *client, struct bytes *body);
/* CONNECT as DPS_USER(id), CONNACK 0. */
void client_connect(struct client *client, const char *id);

/* Packets, written here a second time and by hand, so that tests do not trust what they test. */
void put_connect(struct bytes *out, const char *client_id, const char *user_name, uint16_t keep_alive_s, bool is_clean);
void put_publish(struct bytes *out, const char *topic, const void *payload, size_t length_bytes, int qos, uint16_t packet_id);
void put_subscribe(struct bytes *out, uint16_t packet_id, const char *filter, uint8_t qos);
void put_raw(struct bytes *out, const void *data, size_t length_bytes);
void put_remaining(struct bytes *out, size_t remaining);

/* A device PKI of P-256 keys. `chain`: leaf and intermediate. */
void device_identity(struct rig *rig, const char *id, struct identity *ret_identity, struct pki **ret_pki);

#endif
