/*
 * base/event.h - the event record: what happened, seen from where, on both clocks
 *
 * What:     one JSON object an event, the same on the wire (MQTT), in files (one line each) and in reports. docs/events.md is the contract;
 *           EVENT_KINDS is its list, and a test holds the two together.
 * Shape:    {"v":1,"seq":7,"kind":"tls.handshake","mono_us":..,"unix_us":..,"source":"dpsbench-sim","lane":"main","session":3,
 *           "registration_id":"dev-01","data":{...}}   seq is set by whoever publishes; lane, session and registration_id only where known.
 * Clocks:   mono_us is CLOCK_MONOTONIC of the source's host (one clock for all programs of one host); unix_us is UTC since 1970.
 * Secrets:  no private key, no password, no AT command that carries a key may be put into an event.
 */
#ifndef BASE_EVENT_H
#define BASE_EVENT_H

#include "base/clock.h"
#include "base/json.h"

enum { EVENT_VERSION = 1 };

/* Which of the judge's three views an event belongs to; BENCH is about the rig itself. */
enum event_view { EVENT_VIEW_CONSOLE, EVENT_VIEW_WIRE, EVENT_VIEW_SERVICE, EVENT_VIEW_BENCH };

#define EVENT_KINDS(X)                                                                                                                     \
    X(TCP_ACCEPTED, "tcp.accepted", WIRE, "a connection was accepted")                                                                     \
    X(TLS_CLIENT_HELLO, "tls.client_hello", WIRE, "the ClientHello, as sent")                                                              \
    X(TLS_HANDSHAKE, "tls.handshake", WIRE, "the handshake is complete: version, suite, the chain as sent, every verification error")      \
    X(TLS_ALERT, "tls.alert", WIRE, "a TLS alert, sent or received")                                                                       \
    X(TLS_FAILED, "tls.failed", WIRE, "the handshake ended without success")                                                               \
    X(MQTT_CONNECT, "mqtt.connect", WIRE, "CONNECT, as sent, without the password")                                                        \
    X(MQTT_CONNACK, "mqtt.connack", WIRE, "CONNACK, with its return code")                                                                 \
    X(MQTT_SUBSCRIBE, "mqtt.subscribe", WIRE, "SUBSCRIBE")                                                                                 \
    X(MQTT_SUBACK, "mqtt.suback", WIRE, "SUBACK, with its return codes")                                                                   \
    X(MQTT_UNSUBSCRIBE, "mqtt.unsubscribe", WIRE, "UNSUBSCRIBE")                                                                           \
    X(MQTT_UNSUBACK, "mqtt.unsuback", WIRE, "UNSUBACK")                                                                                    \
    X(MQTT_PUBLISH, "mqtt.publish", WIRE, "PUBLISH, up or down")                                                                           \
    X(MQTT_PUBACK, "mqtt.puback", WIRE, "PUBACK, up or down")                                                                              \
    X(MQTT_PINGREQ, "mqtt.pingreq", WIRE, "PINGREQ")                                                                                       \
    X(MQTT_PINGRESP, "mqtt.pingresp", WIRE, "PINGRESP")                                                                                    \
    X(MQTT_DISCONNECT, "mqtt.disconnect", WIRE, "DISCONNECT")                                                                              \
    X(MQTT_VIOLATION, "mqtt.violation", WIRE, "the device broke MQTT 3.1.1 or a rule of the service; the connection is closed")            \
    X(CONNECTION_CLOSED, "connection.closed", WIRE, "the connection ended: who closed it, and how")                                        \
    X(ATTESTATION_VERDICT, "attestation.verdict", SERVICE, "what DPS decides about a device, with rule, surface, text, mend, evidence")    \
    X(DPS_REQUEST, "dps.request", SERVICE, "a register or operation-status request")                                                       \
    X(DPS_REPLY, "dps.reply", SERVICE, "the reply to it")                                                                                  \
    X(DPS_ASSIGNED, "dps.assigned", SERVICE, "a registration ended as assigned")                                                           \
    X(DPS_WEBHOOK, "dps.webhook", SERVICE, "what the webhook of a custom allocation answered")                                             \
    X(DPS_WARNING, "dps.warning", SERVICE, "the device did something that works, or half works, and that a good device does not do")       \
    X(CENTRAL_DEVICE, "central.device", SERVICE, "what IoT Central decides about a device that has attested")                              \
    X(SCENARIO_FAULT, "scenario.fault", SERVICE, "a scenario makes the service misbehave here")                                            \
    X(HUB_VERDICT, "hub.verdict", SERVICE, "what the hub decides about a CONNECT")                                                         \
    X(HUB_TELEMETRY, "hub.telemetry", SERVICE, "a device-to-cloud message arrived")                                                        \
    X(HUB_TWIN, "hub.twin", SERVICE, "a twin request was answered, or desired properties changed")                                         \
    X(HUB_CONNECTION, "hub.connection", SERVICE, "a device is connected to its hub, or no longer")                                         \
    X(HUB_MESSAGE, "hub.message", SERVICE, "a message to a device: where it is")                                                           \
    X(HUB_METHOD, "hub.method", SERVICE, "a direct method was sent to a device, or ended")                                                 \
    X(HUB_WARNING, "hub.warning", SERVICE, "the device did something that the hub passes over without a word")                             \
    X(SIMULATOR_READY, "simulator.ready", BENCH, "the simulator serves")                                                                   \
    X(SIMULATOR_ENDING, "simulator.ending", BENCH, "the simulator ends")                                                                   \
    X(BROKER_DOWN, "broker.down", BENCH, "Mosquitto ended or its service connection is lost")                                              \
    X(BROKER_UP, "broker.up", BENCH, "Mosquitto serves again")                                                                             \
    X(LANE_LEASED, "lane.leased", BENCH, "a lane was leased")                                                                              \
    X(LANE_CONFIGURED, "lane.configured", BENCH, "a lane got a server PKI or knobs")                                                       \
    X(LANE_RELEASED, "lane.released", BENCH, "a lane was given back, or its lease ran out")                                                \
    X(STATE_CHANGED, "state.changed", BENCH, "an enrollment, a group or a certificate changed")                                            \
    X(HTTP_REQUEST, "http.request", BENCH, "the service API answered a request")                                                           \
    X(HTTP_REFUSED, "http.refused", BENCH,                                                                                                 \
      "the service API refused what came, before it was a request: broken, smuggled, slow, too large")                                     \
    X(STORE_FAILED, "store.failed", BENCH, "what devices did cannot be written: they are answered 500 until it can")                       \
    X(STORE_MENDED, "store.mended", BENCH, "it is written again, with all that had waited")                                                \
    X(SCENARIO_SET, "scenario.set", BENCH, "knobs were bound to a registration id")                                                        \
    X(CONSOLE_LINE, "console.line", CONSOLE, "a line of the device's console")                                                             \
    X(CONSOLE_GAP, "console.gap", CONSOLE, "the port was away, or bytes had no room: some are missing")                                    \
    X(AT_COMMAND, "at.command", CONSOLE, "an AT command was sent; content that is a secret is replaced by its SHA-256")                    \
    X(AT_REPLY, "at.reply", CONSOLE, "its final result")                                                                                   \
    X(DEVICE_RESET, "device.reset", BENCH, "the rig reset, erased or powered the device")                                                  \
    X(DEVICE_ENDED, "device.ended", BENCH, "the program that is the device ended by itself")                                               \
    X(HOOK_FAILED, "hook.failed", BENCH, "a hook of the rig failed")

enum event_kind {
#define X(id, name, view, text) EVENT_##id,
    EVENT_KINDS(X)
#undef X
        EVENT_KIND_COUNT
};

const char *event_kind_name(enum event_kind kind);
const char *event_kind_text(enum event_kind kind);
enum event_view event_kind_view(enum event_kind kind);
/* "console", "wire", "service", "bench". */
const char *event_view_name(enum event_view view);
/* EVENT_KIND_COUNT when there is none of that name. */
enum event_kind event_kind_from_name(const char *name);

/* A new record with v, kind, both clocks, source and an empty data object. Given: cJSON_Delete it. NULL when out of memory. */
cJSON *event_new(enum event_kind kind, const struct clock *clock, const char *source);
/* Its data object; lent. */
cJSON *event_data(const cJSON *event);
/* Each may be NULL or 0 for "not known". */
void event_set_origin(cJSON *event, const char *lane, uint64_t session, const char *registration_id);

/* Is it a record that we can read: version, kind, clocks, data? PROTOCOL (rig) when not. An unknown kind is fine: ret_kind is EVENT_KIND_COUNT.
 */
int event_check(const cJSON *event, enum event_kind *ret_kind, struct error *error);

#endif
