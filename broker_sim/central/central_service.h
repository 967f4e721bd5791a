/*
 * broker_sim/central/central_service.h - IoT Central's applications as tenants of the service
 *
 * What:     each application of the state folder (certs/central.h) has its ID scope, its enrollments, its registrations and its hubs. Decides about
 *           devices that have attested (dps.h, dps_application), and carries a person's word about a device to its hub: a blocked one is
 *           disabled there and thrown out, a moved one finds itself at another hub. Emits central.device.
 * Kept:     registrations in a store of the application's own (DIR/central/NAME/state.db); devices in their files.
 */
#ifndef BROKER_SIM_CENTRAL_CENTRAL_SERVICE_H
#define BROKER_SIM_CENTRAL_CENTRAL_SERVICE_H

#include "broker_sim/dps/dps.h"
#include "broker_sim/hub/hub.h"
#include "certs/central.h"

struct central_service;

struct central_service_options {
    const char *dir; /* the state folder; this and the following: lent */
    struct dps *dps;
    struct hub *hub;
    struct event_sink sink;
    struct service_port port;
};

/* Reads the applications and makes tenants of them. Given: central_service_free() it. Errors as central_open, store_open, dps_add_tenant. */
int central_service_new(const struct central_service_options *options, struct central_service **ret_service, struct error *error);
void central_service_free(struct central_service *service); /* NULL allowed; after dps_free */

/* Read the folders again; new applications serve from now on. */
int central_service_reload(struct central_service *service, struct error *error);
/* Write what the registrations have changed. */
int central_service_flush(struct central_service *service, struct error *error);

/* The state of the application's enrollments, groups and certificates. NOT_FOUND (file). */
int central_service_state(struct central_service *service, const char *application, struct dps_state **ret_state, struct error *error);
/* NULL when there is none. */
struct registration_store *central_service_registrations(struct central_service *service, const char *application);
/* central_call, with what follows from it here. */
int central_service_call(struct central_service *service, const char *method, const cJSON *params, cJSON **ret_result, struct error *error);

#endif
