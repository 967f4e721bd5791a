/*
 * broker_sim/front_door/session_fault.h - inside of the front door: MQTT that is wrong on request
 *
 * What:     the mqtt knobs of one connection, and those of dps and hub that only the last hop can do: acknowledgements that come late, never,
 *           twice or early; packets that no client may take; a close at a packet; another topic. A bad network that waits for a packet hears of
 *           it here. Connections of devices for which nothing is turned have none of it: connection->faults is NULL.
 * Rule:     any call may close the connection; after it, look at the phase before going on.
 */
#ifndef BROKER_SIM_FRONT_DOOR_SESSION_FAULT_H
#define BROKER_SIM_FRONT_DOOR_SESSION_FAULT_H

#include "broker_sim/front_door/connection.h"

/* At CONNECT, and when scenarios changed. What has been counted stays counted. */
void faults_load(struct connection *connection);
void faults_free(struct session_faults *faults); /* NULL allowed */

/*
 * A packet is about to pass (`is_behind` false) or has passed. Returns true when it must not pass: the connection ends, or something else went in
 * its place. topic: of a PUBLISH, NULL of others.
 */
bool faults_packet(struct connection *connection, bool is_behind, bool is_up, int type, const char *topic);
/* The same behind the PUBLISH that the last call was about: its payload is whole. */
void faults_publish_ended(struct connection *connection, bool is_up);

/* This PUBLISH goes up; packet_id: 0 at QoS 0. It may be a twin request, whose answer is to come before its PUBACK. */
void faults_twin_request(struct connection *connection, const char *topic, uint16_t packet_id);

/*
 * The acknowledgement of `type` stands in connection->out behind the first `before_bytes`. Returns false when it does not go, or not now.
 */
bool faults_ack(struct connection *connection, int type, size_t before_bytes);
/* In place of CONNACK: true when something else went out. */
bool faults_connack(struct connection *connection);
/* Acknowledgements that come before what they acknowledge: behind the packet of `type` with this id. */
void faults_early(struct connection *connection, int behind_type, uint16_t packet_id);
/* Another topic for this PUBLISH down, malloc'ed; NULL: it keeps its own. */
char *faults_topic(struct connection *connection, const char *topic);

/* Late acknowledgements: when the next one is due, and what is due. */
deadline_t faults_due(const struct connection *connection);
void faults_run(struct connection *connection);
bool faults_are_pending(const struct connection *connection);

#endif
