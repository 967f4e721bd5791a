/*
 * broker_sim/control/control.h - the control plane: every method of docs/control.md
 *
 * What:     reads requests, carries them out in the order in which they come, replies through the publisher's queue; keeps leases and ends them.
 * Not here: the connection (broker_sim/bus), what an enrollment is (certs/dps_state.h), what a lane is (lane.h).
 */
#ifndef BROKER_SIM_CONTROL_CONTROL_H
#define BROKER_SIM_CONTROL_CONTROL_H

#include "broker_sim/central/central_service.h"
#include "broker_sim/control/lane.h"
#include "broker_sim/control/publisher.h"
#include "broker_sim/dps/registration.h"
#include "broker_sim/hub/hub.h"
#include "broker_sim/scenario/scenario.h"
#include "certs/dps_state.h"

struct control;

struct control_options {
    uv_loop_t *loop;
    const struct clock *clock;
    struct dps_state *state; /* this and the following: lent */
    struct scenario_table *scenarios;
    struct registration_store *registrations;
    struct hub *hub;                 /* NULL: there are no hub methods */
    struct central_service *central; /* NULL: none */
    struct lanes *lanes;
    struct publisher *publisher;
    /* Fills version and those of the libraries, id_scope, host, profile, time_scale, dps, state, sessions: simulator.info. */
    cJSON *(*info)(void *user);
    /* As in broker_sim/service_port.h: before a caller is told that a record is gone. NULL: there is nothing to write to. */
    int (*commit)(void *user, struct error *error);
    void *user;
};

#define CONTROL_FILTER "dpsbench/v1/control/+/request"

struct control *control_new(const struct control_options *options); /* NULL when out of memory */
/* Its timer closes on the loop, which must turn afterwards. NULL allowed. */
void control_free(struct control *control);

/* A message on CONTROL_FILTER. */
void control_message(struct control *control, const char *topic, const void *payload, size_t length_bytes);
/* End the leases whose time has come; called by its own timer. */
void control_expire(struct control *control);
/* The methods' names, NULL-terminated; lent for ever. For a test that holds them against docs/control.md. */
const char *const *control_method_names(void);

#endif
