/*
 * broker_sim/scenario/knobs.h - everything that a scenario may turn, in one list
 *
 * What:     the knobs, each with its layer, type, range, default, one sentence and the evidence for it. The defaults are conforming
 *           behaviour. Help, validation, `knob.list` of the control plane, `dpsbench sim knobs` and docs/control.md come from this list: a new
 *           knob is one line here, one use in its layer and one row of tests/e2e/sim_knobs.c.
 * Not here: whom a knob applies to (scenario.h; a lane: broker_sim/front_door): what happens before CONNECT cannot depend on who connects.
 */
#ifndef BROKER_SIM_SCENARIO_KNOBS_H
#define BROKER_SIM_SCENARIO_KNOBS_H

#include "base/error.h"
#include "base/json.h"
#include "broker_sim/scenario/knob_check.h"
#include "broker_sim/scenario/trigger.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/*
 * INTEGER(layer, name, min, max, default, text, evidence)   inclusive
 * BOOLEAN(layer, name, default, text, evidence)
 * WORD(layer, name, default, text, evidence, word...)       its value is the index of the word
 * TEXT(layer, name, max_bytes, check, text, evidence)       "" by default; `check` refuses what it cannot be: int check(const char *, error)
 *
 * The layer says where a fault sits and who carries it: NET and TLS belong to a lane, MQTT, DPS and HUB to a registration id, ANY to both.
 * Evidence: where the fault, or the default, was seen; NULL where it is a fault of networks and servers in general.
 */
#define KNOBS(INTEGER, BOOLEAN, WORD, TEXT)                                                                                                \
    INTEGER(ANY, fault_times, 0, 1000, 0,                                                                                                  \
            "how often each of the faults below happens, then the service behaves; 0: every time. Counted from scenario.set on", NULL)     \
    INTEGER(                                                                                                                               \
        ANY, seed, 0, 9007199254740991, 1,                                                                                                 \
        "start of whatever is random: the same seed draws the same numbers; on a lane, the nth connection since it was set draws its own", \
        NULL)                                                                                                                              \
    INTEGER(NET, delay_ms, 0, 600000, 0, "hold back what goes through for so long (device milliseconds)", NULL)                            \
    INTEGER(NET, jitter_ms, 0, 600000, 0, "hold each piece back for up to so much longer, at random; pieces do not overtake each other",   \
            NULL)                                                                                                                          \
    INTEGER(NET, dribble_bytes, 0, 16384, 0, "let through at most so many bytes at a time; 0: as many as there are", NULL)                 \
    INTEGER(NET, dribble_ms, 0, 60000, 10, "device milliseconds from one piece of dribble_bytes to the next", NULL)                        \
    WORD(NET, net_direction, 0, "where delay, jitter and dribble act: to the device is down", NULL, "both", "down", "up")                  \
    WORD(NET, net_fault, 0,                                                                                                                \
         "what the network does at net_at: nothing goes through any more; FIN; RST; FIN, but the device may go on sending; a bit of the "  \
         "next byte is wrong",                                                                                                             \
         NULL, "none", "stall", "cut", "reset", "half-close", "corrupt")                                                                   \
    TEXT(NET, net_at, TRIGGER_MAX_BYTES, trigger_check,                                                                                    \
         "when: 'at ServerHelloDone', 'after client Certificate', 'after 300 bytes down', 'after 100-2000 bytes up' (random), "            \
         "'after the 2nd PUBLISH on $dps/registrations/PUT/#'; empty: from the start",                                                     \
         NULL)                                                                                                                             \
    INTEGER(                                                                                                                               \
        NET, stall_ms, 0, 3600000, 0,                                                                                                      \
        "a stall ends after so many device milliseconds, 0: never; before a cut, reset or half-close nothing goes through for so long",    \
        NULL)                                                                                                                              \
    TEXT(TLS, server_recipe, 64, knob_check_server_recipe,                                                                                 \
         "the server's chain: a recipe of certs/recipes such as server/expired, forged anew; every connection gets it, whatever "          \
         "fault_times says",                                                                                                               \
         NULL)                                                                                                                             \
    WORD(TLS, tls_version, 0, "the one TLS version that is offered; 1.0 and 1.1 with the suites and digests of their time",                \
         "azure-docs articles/iot-dps/tls-support.md: 1.2, no less", "default", "1.0", "1.1", "1.2", "1.3")                                \
    TEXT(TLS, tls_suites, 256, knob_check_suites,                                                                                          \
         "the TLS suites that are offered, ':' between them, as the RFCs or as OpenSSL spell them; empty: OpenSSL's default",              \
         "azure-docs articles/iot-dps/tls-support.md names those of Azure")                                                                \
    BOOLEAN(TLS, asks_certificate, 1, "the handshake has a CertificateRequest", "docs/fidelity.md, 'DPS: connecting'")                     \
    INTEGER(TLS, request_cas, 0, 300, 0, "so many names of certification authorities, made up, stand in the CertificateRequest",           \
            "RFC 5246 section 7.4.4; without names any will do")                                                                           \
    BOOLEAN(TLS, resumption, 0, "sessions can be resumed by their id; not on a lane that is chosen by host name", NULL)                    \
    WORD(TLS, tls_alert, 0, "send this fatal alert at tls_alert_at, and close", "RFC 5246 section 7.2", "none", "unexpected_message",      \
         "bad_record_mac", "record_overflow", "handshake_failure", "bad_certificate", "unsupported_certificate", "certificate_revoked",    \
         "certificate_expired", "certificate_unknown", "illegal_parameter", "unknown_ca", "access_denied", "decode_error",                 \
         "decrypt_error", "protocol_version", "insufficient_security", "internal_error", "user_canceled", "unsupported_extension",         \
         "unrecognized_name", "certificate_required")                                                                                      \
    TEXT(TLS, tls_alert_at, TRIGGER_MAX_BYTES, trigger_check_wire,                                                                         \
         "when, as net_at: in the clear, so up to the server's ChangeCipherSpec; empty: 'at ServerHello'", NULL)                           \
    WORD(DPS, profile, 0,                                                                                                                  \
         "where a refusal shows: 'azure' at the register request (res/401), as the service does today; 'connack' as CONNACK 5; "           \
         "'azure-2018' as a failed operation; 'strict-tls' as an alert in the TLS handshake, for which the certificate's CN is the "       \
         "registration id; 'gateway-guide' as azure, with a vendor's statements",                                                          \
         "azure-iot-sdk-c issue 2021 for res/401, azure-docs issue 69882 for CONNACK 5, azure-iot-sdk-c issue 437 for 2018", "azure",      \
         "connack", "azure-2018", "strict-tls", "gateway-guide")                                                                           \
    TEXT(DPS, rule_surfaces, 256, knob_check_rule_surfaces,                                                                                \
         "single rules about certificates that show elsewhere than the profile says: 'leaf.expired=tls-alert "                             \
         "chain.self-signed-leaf=connack', 'leaf.expired=none' (taken all the same); surfaces as docs/fidelity.md has them, and closed",   \
         "nothing public says how DPS's handshake takes an expired or self-signed certificate")                                            \
    INTEGER(DPS, retry_after_s, 0, 999999999999, 3, "seconds in retry-after of a 202", "practically all public logs of DPS")               \
    BOOLEAN(DPS, has_retry_after, 1, "a 202 carries retry-after; false leaves it out", "practically all public logs of DPS")               \
    INTEGER(DPS, polls_until_assigned, 0, 1000, 1,                                                                                         \
            "status polls until a registration ends; 0 ends it in the reply to the register request", "one to three polls in public logs") \
    INTEGER(DPS, close_after_refusal_ms, 0, 600000, 500,                                                                                   \
            "after a refusal, close this many milliseconds after the device acknowledged it, or at its DISCONNECT",                        \
            "azure-iot-sdk-c issue 2021, azure-iot-sdk-python issue 797")                                                                  \
    BOOLEAN(DPS, is_silent, 0, "the service does not answer requests, so that a person can answer by hand", NULL)                          \
    INTEGER(MQTT, connack, 0, 255, 0, "return code of DPS's CONNACK; 0: as the device deserves. MQTT 3.1.1 knows 1 to 5", NULL)            \
    INTEGER(HUB, hub_connack, 0, 255, 0,                                                                                                   \
            "return code of the hub's CONNACK, where the device id is the registration id; 0: as the device deserves",                     \
            "azure-iot-sdk-c issues 510, 647, 1589")                                                                                       \
    INTEGER(DPS, reply_status, 0, 599, 0, "status of the reply to a register request, 400 to 599 with its error body; 0: as it is",        \
            "azure-docs articles/iot-dps/how-to-troubleshoot-dps.md")                                                                      \
    INTEGER(DPS, poll_status, 0, 599, 0, "status of the reply to a status request, 400 to 599 with its error body; 0: as it is",           \
            "azure-docs articles/iot-dps/how-to-troubleshoot-dps.md")                                                                      \
    INTEGER(DPS, error_retry_after_s, 0, 999999999999, 0, "seconds in retry-after of a reply_status or poll_status; 0 leaves it out",      \
            "tests of azure-iot-middleware-freertos and of netxduo")                                                                       \
    WORD(DPS, reply_body, 0, "body of the reply to a register request: 'json'; its first half; nothing; 'text' that is no JSON", NULL,     \
         "json", "truncated", "empty", "text")                                                                                             \
    WORD(DPS, end_as, 0, "how a registration ends that could be assigned: 'never' stays assigning",                                        \
         "azure-sdk-for-c, test_az_iot_provisioning_client_parser.c", "assigned", "failed", "disabled", "never")                           \
    WORD(DPS, close_at, 0,                                                                                                                 \
         "the service closes the connection: in place of CONNACK, after SUBACK, or after the first reply to a status request that is "     \
         "still assigning (set polls_until_assigned to 2 or more)",                                                                        \
         NULL, "never", "before-connack", "after-suback", "between-polls")                                                                 \
    WORD(MQTT, close_how, 0, "how the service closes: close_notify and FIN, FIN alone, or RST", NULL, "close_notify", "fin", "reset")      \
    WORD(MQTT, silent_after, 0,                                                                                                            \
         "nothing goes down to the device any more after its CONNECT, the CONNACK, the SUBACK; is_silent is: after the PUBACK", NULL,      \
         "never", "connect", "connack", "suback")                                                                                          \
    WORD(DPS, poll_body, 0, "body of the reply to a status request, as reply_body", NULL, "json", "truncated", "empty", "text")            \
    TEXT(DPS, body_text, 512, NULL, "the text of reply_body and poll_body; empty: a web page of a proxy that lost its server", NULL)       \
    WORD(DPS, reply_rid, 0, "$rid in the topic of a reply: the request's, another, none, an empty one", NULL, "right", "other", "absent",  \
         "empty")                                                                                                                          \
    TEXT(DPS, retry_after_text, 64, NULL, "stands in place of the number behind retry-after=: 'soon', '-1', '99999999999999999999'", NULL) \
    INTEGER(DPS, reply_times, 1, 16, 1, "each reply is sent so many times", "MQTT 3.1.1 section 4.3.2: QoS 1 is at least once")            \
    TEXT(DPS, reply_topic, 256, NULL,                                                                                                      \
         "topic of each reply in place of $dps/registrations/res/..., whether the device has subscribed to it or not", NULL)               \
    INTEGER(DPS, operation_id_bytes, 0, 8000, 0, "make operationId so long (polls for it are understood); 0: as it is",                    \
            "the buffers of clients: Azure's has 55 bytes, and no documented limit")                                                       \
    TEXT(DPS, assigned_hub, 255, NULL,                                                                                                     \
         "assignedHub of an assigned device in place of its hub's: a name that nobody resolves, no name at all", NULL)                     \
    INTEGER(DPS, assigned_hub_bytes, 0, 8000, 0, "make assignedHub so long by labels in front of it; 0: as it is",                         \
            "RFC 1035: 253 is the longest name")                                                                                           \
    TEXT(MQTT, connack_bytes, 192, knob_check_hex, "these bytes in place of each CONNACK, such as '20 02 00 00 90' or '20 03 00 00 00'",   \
         NULL)                                                                                                                             \
    WORD(MQTT, connack_comes, 0, "CONNACK: once; after ack_delay_ms; never; twice; before the service has decided (then with code 0)",     \
         NULL, "once", "late", "never", "twice", "early")                                                                                  \
    WORD(MQTT, suback_comes, 0, "SUBACK: as connack_comes; early is behind CONNACK, for the packet id 1", NULL, "once", "late", "never",   \
         "twice", "early")                                                                                                                 \
    WORD(MQTT, unsuback_comes, 0, "UNSUBACK: as connack_comes; early is behind SUBACK, for the next packet id", NULL, "once", "late",      \
         "never", "twice", "early")                                                                                                        \
    WORD(MQTT, puback_comes, 0, "PUBACK: as connack_comes; early is behind SUBACK, for the next packet id", NULL, "once", "late", "never", \
         "twice", "early")                                                                                                                 \
    WORD(MQTT, pingresp_comes, 0, "PINGRESP: as connack_comes; early is behind CONNACK", NULL, "once", "late", "never", "twice", "early")  \
    INTEGER(MQTT, ack_delay_ms, 0, 3600000, 2000, "how late a late acknowledgement is (device milliseconds)", NULL)                        \
    WORD(MQTT, mqtt_on, 0, "the connections on which the knobs of this layer act: to DPS, to the hub, both", NULL, "both", "dps", "hub")   \
    TEXT(MQTT, close_when, TRIGGER_MAX_BYTES, trigger_check_packet,                                                                        \
         "close the connection (close_how) at or after a packet: 'after the 2nd PUBLISH on $dps/registrations/#', 'at SUBACK'", NULL)      \
    WORD(MQTT, junk, 0,                                                                                                                    \
         "what no MQTT 3.1.1 client may take, sent at junk_when: packet type 15; a remaining length of five bytes; SUBACK with flags; "    \
         "PUBLISH with "                                                                                                                   \
         "QoS 3; with a topic that is no UTF-8; with an empty topic; a SUBACK without codes; a PUBLISH of junk_bytes; random bytes",       \
         "MQTT 3.1.1 sections 2.2, 3.3, 3.9", "none", "reserved-type", "bad-length", "bad-flags", "qos-3", "bad-utf8", "empty-topic",      \
         "short-suback", "oversized", "random")                                                                                            \
    TEXT(MQTT, junk_when, TRIGGER_MAX_BYTES, trigger_check_packet, "when: as close_when; empty: 'after SUBACK'", NULL)                     \
    INTEGER(MQTT, junk_bytes, 1, 268435455, 1048576,                                                                                       \
            "length that an oversized PUBLISH claims (64 KiB of it come), or of random bytes (64 KiB at most)", NULL)                      \
    WORD(HUB, hub_puback, 0, "the hub's PUBACK, as puback_comes", NULL, "once", "late", "never", "twice", "early")                         \
    WORD(HUB, hub_twin_comes, 0,                                                                                                           \
         "the hub's answers to twin requests: once, after ack_delay_ms, never, twice; early is before the PUBACK of a request at QoS 1",   \
         NULL, "once", "late", "never", "twice", "early")                                                                                  \
    INTEGER(HUB, hub_close_after, 0, 100000, 0, "the hub closes the connection after so many messages of telemetry; 0: it does not", NULL) \
    INTEGER(HUB, hub_twin_status, 0, 599, 0, "status in the topic of the hub's answers to twin requests; 0: as it is",                     \
            "azure-docs articles/iot/iot-mqtt-connect-to-iot-hub.md: 429 and 5xx")                                                         \
    INTEGER(HUB, hub_twin_per_s, 0, 100000, 0, "twin requests of a device in a second before the hub answers 429; 0: no limit",            \
            "azure-docs articles/iot-hub/iot-hub-devguide-quotas-throttling.md: 100 reads, 50 updates of a hub of tier S1")                \
    WORD(DPS, unknown_api_version, 0,                                                                                                      \
         "an api-version that is a date, but none that is known: taken, CONNACK 5, or 400 with 400000 to the register request",            \
         "nothing public", "accept", "connack", "reply")                                                                                   \
    WORD(DPS, bad_connect, 0,                                                                                                              \
         "a CONNECT whose user name cannot be read, that has no api-version or another client id: CONNACK 5, or the connection is closed", \
         "nothing public", "connack", "close")                                                                                             \
    WORD(DPS, wrong_topic, 0, "a PUBLISH to DPS on a topic that is no request: the connection is closed, or nothing happens",              \
         "azure-docs articles/iot/iot-mqtt-connect-to-iot-hub.md: so does the hub", "close", "ignore")                                     \
    WORD(DPS, other_filter, 0,                                                                                                             \
         "a SUBSCRIBE to another filter than $dps/registrations/res/#: SUBACK 0x80, granted, the connection is closed",                    \
         "nothing public; logs show clients that subscribe to more and go on", "refuse", "grant", "close")                                 \
    WORD(DPS, subscribe_qos_2, 0, "a SUBSCRIBE to $dps/registrations/res/# with QoS 2: granted 1, SUBACK 0x80, the connection is closed",  \
         "azure-docs articles/iot/iot-mqtt-connect-to-iot-dps.md for the first", "grant-1", "refuse", "close")                             \
    WORD(DPS, publish_qos_2, 0,                                                                                                            \
         "a PUBLISH to DPS with QoS 2: the connection is closed; it is served and acknowledged as one with QoS 1; nothing happens",        \
         "azure-docs articles/iot/iot-mqtt-connect-to-iot-hub.md: the hub closes", "close", "as-qos-1", "ignore")                          \
    WORD(DPS, publish_retain, 0,                                                                                                           \
         "a PUBLISH to DPS with RETAIN: it is taken, and nothing is retained; the connection is closed; nothing happens",                  \
         "azure-docs articles/iot/iot-mqtt-connect-to-iot-hub.md: the hub takes it", "take", "close", "ignore")                            \
    INTEGER(DPS, keep_alive_percent, 0, 1000, 150,                                                                                         \
            "after how much of its keep-alive DPS closes on a silent device (29.45 minutes at most); 0: never",                            \
            "MQTT 3.1.1 section 3.1.2.10 and azure-docs articles/iot/iot-mqtt-connect-to-iot-hub.md for 150")                              \
    WORD(DPS, unknown_id_scope, 0, "an unknown ID scope: CONNACK 5, or 404 with 404001 to the register request", "nothing public",         \
         "connack", "reply")                                                                                                               \
    WORD(DPS, sas_refusal, 0, "a bad SAS token: CONNACK 5, or 401 with 401000 (no enrollment: 404 with 404201) to the register request",   \
         "azure-sdk-for-c issue 2235 for CONNACK 5, tests of Microsoft's device SDKs for 401000", "connack", "reply")                      \
    INTEGER(DPS, conflict_ms, 0, 600000, 300,                                                                                              \
            "a register request while another connection's for the same id is younger than this is answered 409 with 409203; 0: never",    \
            "azure-iot-sdk-c common_prov_e2e.c for the code; the time is ours")                                                            \
    INTEGER(DPS, registrations_per_min, 0, 1000000, 0,                                                                                     \
            "register requests a minute, of all devices together, before 429; 0: no limit. Azure: 1000 (--quotas)",                        \
            "azure-docs includes/iot-dps-limits.md")                                                                                       \
    INTEGER(DPS, polls_per_10_s, 0, 1000, 0, "status requests of a device in 10 s before 429; 0: no limit. Azure: 5 (--quotas)",           \
            "azure-docs includes/iot-dps-limits.md")                                                                                       \
    WORD(DPS, hub_link, 0,                                                                                                                 \
         "what DPS hears of the hub: 'unauthorized' ends as failed with 400209, 'nested' with 401002 and JSON in errorMessage",            \
         "azure-iot-sdk-c issue 2362", "ok", "unauthorized", "nested")

struct knobs {
#define NUMBER(layer, name, ...) int64_t name;
#define TEXT(layer, name, max_bytes, ...) char name[(max_bytes) + 1];
    KNOBS(NUMBER, NUMBER, NUMBER, TEXT)
#undef TEXT
#undef NUMBER
};

enum {
#define X(layer, name, ...) KNOB_##name,
    KNOBS(X, X, X, X)
#undef X
        KNOB_COUNT
};

enum knob_type { KNOB_INTEGER, KNOB_BOOLEAN, KNOB_WORD, KNOB_TEXT };

#define KNOB_LAYERS(X) X(NET, "net") X(TLS, "tls") X(MQTT, "mqtt") X(DPS, "dps") X(HUB, "hub") X(ANY, "any")
enum knob_layer {
#define X(layer, name) KNOB_LAYER_##layer,
    KNOB_LAYERS(X)
#undef X
};

/* Who carries a set of knobs. */
enum knob_target { KNOB_TARGET_LANE, KNOB_TARGET_DEVICE };

struct knob {
    const char *name;
    enum knob_layer layer;
    enum knob_type type;
    int64_t min;              /* KNOB_INTEGER: the range, inclusive */
    int64_t max;              /* KNOB_TEXT: its longest, in bytes */
    const char *const *words; /* KNOB_WORD: NULL-terminated */
    int64_t fallback;
    int (*check)(const char *text, struct error *error); /* KNOB_TEXT; may be NULL */
    const char *text;
    const char *evidence; /* NULL: none */
    size_t offset;        /* in struct knobs */
};

/* The words of knobs that services ask for, in the order of the list. */
enum net_direction { NET_BOTH, NET_DOWN, NET_UP };
enum net_fault { NET_FAULT_NONE, NET_FAULT_STALL, NET_FAULT_CUT, NET_FAULT_RESET, NET_FAULT_HALF_CLOSE, NET_FAULT_CORRUPT };
enum tls_version { TLS_VERSION_DEFAULT, TLS_VERSION_1_0, TLS_VERSION_1_1, TLS_VERSION_1_2, TLS_VERSION_1_3 };
enum ack_comes { ACK_ONCE, ACK_LATE, ACK_NEVER, ACK_TWICE, ACK_EARLY };
enum mqtt_on { MQTT_ON_BOTH, MQTT_ON_DPS, MQTT_ON_HUB };
enum junk {
    JUNK_NONE,
    JUNK_RESERVED_TYPE,
    JUNK_BAD_LENGTH,
    JUNK_BAD_FLAGS,
    JUNK_QOS_3,
    JUNK_BAD_UTF8,
    JUNK_EMPTY_TOPIC,
    JUNK_SHORT_SUBACK,
    JUNK_OVERSIZED,
    JUNK_RANDOM,
};
enum reply_rid { RID_RIGHT, RID_OTHER, RID_ABSENT, RID_EMPTY };
enum other_filter { FILTER_REFUSED, FILTER_GRANTED, FILTER_CLOSES };
enum subscribe_qos_2 { QOS_2_GRANTED_1, QOS_2_REFUSED, QOS_2_CLOSES };
enum publish_qos_2 { QOS_2_PUBLISH_CLOSES, QOS_2_PUBLISH_AS_1, QOS_2_PUBLISH_IGNORED };
enum publish_retain { RETAIN_TAKEN, RETAIN_CLOSES, RETAIN_IGNORED };
enum wrong_topic { WRONG_TOPIC_CLOSES, WRONG_TOPIC_IGNORED };
enum bad_connect { BAD_CONNECT_CONNACK, BAD_CONNECT_CLOSES };
enum reply_body { REPLY_BODY_JSON, REPLY_BODY_TRUNCATED, REPLY_BODY_EMPTY, REPLY_BODY_TEXT };
enum end_as { END_AS_ASSIGNED, END_AS_FAILED, END_AS_DISABLED, END_AS_NEVER };
enum unknown_api_version { UNKNOWN_ACCEPTED, UNKNOWN_AT_CONNECT, UNKNOWN_IN_REPLY };
enum hub_link { HUB_LINK_OK, HUB_LINK_UNAUTHORIZED, HUB_LINK_NESTED };
enum refused_where { REFUSED_AT_CONNECT, REFUSED_IN_REPLY };
enum close_at { CLOSE_NEVER, CLOSE_BEFORE_CONNACK, CLOSE_AFTER_SUBACK, CLOSE_BETWEEN_POLLS };

extern const struct knob knob_list[KNOB_COUNT];

/* The conforming behaviour. */
void knobs_init(struct knobs *knobs);

/*
 * Turn the knobs that `object` names: {"retry_after_s":7,"is_silent":true,"profile":"connack"}.
 *
 * error     USAGE (file): no such knob (the nearest is suggested), one that `target` does not carry, wrong type, out of range. Untouched on
 *           failure.
 */
int knobs_apply(struct knobs *knobs, enum knob_target target, const cJSON *object, struct error *error);

bool knob_is_for(const struct knob *knob, enum knob_target target);
/* Turned away from the value that it has in the list. */
bool knob_is_turned(const struct knobs *knobs, const struct knob *knob);
/* Of any type but KNOB_TEXT. */
int64_t knob_value(const struct knobs *knobs, const struct knob *knob);
/* The word that is its value, or the text. KNOB_WORD and KNOB_TEXT alone. */
const char *knob_word(const struct knobs *knobs, const struct knob *knob);
bool knobs_are_equal(const struct knobs *a, const struct knobs *b);
/* The value of this knob alone. */
void knob_copy(struct knobs *to, const struct knobs *from, const struct knob *knob);
/* "net", "tls", "mqtt", "dps", "hub", "any". */
const char *knob_layer_name(enum knob_layer layer);
/* {"profile":"azure",...}: all that `target` carries. NULL when out of memory. */
cJSON *knobs_to_json(const struct knobs *knobs, enum knob_target target);
/* The same, but the turned ones alone. */
cJSON *knobs_turned_to_json(const struct knobs *knobs, enum knob_target target);
/* [{"name","layer","type","default","text","evidence"}], `defaults` in place of the list's own. NULL when out of memory. */
cJSON *knobs_describe(const struct knobs *defaults);
/* A line or two a knob, for --help. malloc'ed; NULL when out of memory. */
char *knobs_help(void);

#endif
