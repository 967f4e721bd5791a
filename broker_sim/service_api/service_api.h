/*
 * broker_sim/service_api/service_api.h - the service API of DPS: enrollments, groups, registrations, certificates, as Azure's REST API has them
 *
 * What:     answers requests of broker_sim/http: SAS authentication, api-versions, etags, queries, bulk, errors in Azure's shape. docs/service-api.md is its
 *           manual. Changes go through certs/dps_state.h and broker_sim/dps/registration.h, as those of the control plane do, with the same events.
 * Errors:   Azure's body: {"errorCode","trackingId","message","timestampUtc"}; for certificates, which Azure has in its management plane,
 *           {"code","httpStatusCode","message","details"}.
 */
#ifndef BROKER_SIM_SERVICE_API_SERVICE_API_H
#define BROKER_SIM_SERVICE_API_SERVICE_API_H

#include "broker_sim/dps/registration.h"
#include "broker_sim/event_sink.h"
#include "broker_sim/http/http_server.h"
#include "broker_sim/service_api/policies.h"
#include "certs/dps_state.h"

struct service_api_options {
    struct dps_state *state; /* this and the following: lent */
    struct registration_store *registrations;
    const struct policies *policies;
    const char *const *hosts; /* that tokens may name */
    size_t host_count;
    struct event_sink sink;
    void *user;
    int (*commit)(void *user, struct error *error); /* what a caller is told is on disk: as in broker_sim/service_port.h */
};

struct service_api;

struct service_api *service_api_new(const struct service_api_options *options); /* NULL when out of memory */
void service_api_free(struct service_api *api);                                 /* NULL allowed */

/* For http_server_options; `user` is the service_api. */
void service_api_handle(void *user, const struct http_request *request, struct http_response *ret_response);
char *service_api_refusal_body(void *user, int status, const char *reason);

#endif
