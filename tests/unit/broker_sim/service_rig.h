/*
 * service_rig.h - DPS and hub with a list in place of Mosquitto, a list in place of the front door's closing, and devices with real certificates
 */
#ifndef TESTS_UNIT_BROKER_SIM_SERVICE_RIG_H
#define TESTS_UNIT_BROKER_SIM_SERVICE_RIG_H

#include "broker_sim/dps/dps.h"
#include "broker_sim/hub/hub.h"
#include "certs/forge.h"

enum { RIG_LIST_MAX = 512, RIG_ID_SCOPE_BYTES = 16 };

#define RIG_ID_SCOPE "0ne000AAAA1"

struct rig_reply {
    uint64_t session;
    char *topic;
    char *body;
};

struct rig_close {
    uint64_t session;
    int64_t after_ms; /* -1: at once */
    const char *how;
};

struct rig_webhook {
    char *url;
    cJSON *request;
    void (*done)(void *context, const struct webhook_answer *answer); /* NULL: none waits */
    void *context;
};

struct service_rig {
    char dir[64];
    struct clock_fake clock;
    struct dps_state *state;
    struct scenario_table *scenarios;
    struct registration_store *registrations;
    struct hub_registry *devices;
    struct dps *dps;
    struct hub *hub;
    struct pki *pki; /* members leaf and other: self-signed, CN dev-01 */
    cJSON *events[RIG_LIST_MAX];
    size_t event_count;
    struct rig_reply replies[RIG_LIST_MAX];
    size_t reply_count;
    struct rig_close closes[RIG_LIST_MAX];
    size_t close_count;
    struct rig_webhook webhook; /* the last one that was asked for */
    bool refuses_webhooks;
    bool is_disk_full;   /* commits fail */
    size_t commit_count; /* of those that did not */
    bool is_way_full;    /* publish_bytes fails */
};

void rig_setup(struct service_rig *rig);
/* With dps_options.time_scale. */
void rig_setup_scaled(struct service_rig *rig, double time_scale);
void rig_teardown(struct service_rig *rig);

/* An individual enrollment for dev-01 with the leaf, plus the members of `more` (JSON text). */
void rig_enroll(struct service_rig *rig, const char *more);
void rig_scenario(struct service_rig *rig, const char *knobs);

/* A session that presents `member` (NULL: no certificate). Texts lent; chain freed by rig_close_session. */
struct session rig_session(struct service_rig *rig, uint64_t number, const char *member);
struct session rig_dps_session(struct service_rig *rig, uint64_t number, const char *member);
struct session rig_hub_session(struct service_rig *rig, uint64_t number, const char *member);
void rig_close_session(struct session *session);

/* The webhook that waits answers; status 0: it cannot be reached. */
void rig_answer_webhook(struct service_rig *rig, int status, const char *body);

/* The data of the last event of that kind; NULL when there is none. */
const cJSON *rig_last_event(const struct service_rig *rig, enum event_kind kind);
/* Topic and body of the last reply; "" when there is none. */
const char *rig_last_topic(const struct service_rig *rig);
cJSON *rig_last_body(const struct service_rig *rig); /* given */

#endif
