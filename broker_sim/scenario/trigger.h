/*
 * broker_sim/scenario/trigger.h - when a fault happens, in the words of the protocols
 *
 * What:     a text names a protocol event: "at ServerHelloDone", "after the 2nd PUBLISH on $dps/registrations/PUT/#", "after 300 bytes down".
 *           `at` is in place of the event, `after` behind it.
 *
 *             start
 *             at|after [the] [client|server] MESSAGE           ClientHello, ServerHello, Certificate, ChangeCipherSpec, Finished ...
 *             after N bytes [down|up]                          N on the wire, TLS records included
 *             at|after [the] [Nth] PACKET [down|up] [on FILTER]  CONNECT, SUBACK, PUBLISH ...; on FILTER: PUBLISH alone
 *
 *           N may be a range, "100-2000" or "2nd-5th": then the number is drawn from a seed, and the same seed draws the same number.
 * Direction: down is from the service to the device. Without a word: the side that sends the message; `down` for bytes; `up` for PUBLISH,
 *           `down` for PUBACK, of Certificate, ChangeCipherSpec and Finished the server's.
 * Not here: who watches for the event (broker_sim/front_door).
 */
#ifndef BROKER_SIM_SCENARIO_TRIGGER_H
#define BROKER_SIM_SCENARIO_TRIGGER_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TRIGGER_MAX_BYTES = 160, TRIGGER_CHANGE_CIPHER_SPEC = 256 };

enum trigger_kind { TRIGGER_START, TRIGGER_MESSAGE, TRIGGER_BYTES, TRIGGER_PACKET };

/* A plain value. */
struct trigger {
    enum trigger_kind kind;
    bool is_after;
    bool is_up;
    int number;                         /* MESSAGE: HandshakeType of RFC 5246, or TRIGGER_CHANGE_CIPHER_SPEC; PACKET: enum mqtt_type */
    int64_t first, last;                /* BYTES, PACKET: how many; a range is drawn */
    char filter[TRIGGER_MAX_BYTES + 1]; /* PACKET: "" any topic */
};

/* USAGE (file): the text names what could stand there. "" is "start". */
int trigger_read(const char *text, struct trigger *ret_trigger, struct error *error);
/* For the list of knobs: any, of packets alone, and of what is in the clear alone (start, messages, bytes). */
int trigger_check(const char *text, struct error *error);
int trigger_check_packet(const char *text, struct error *error);
int trigger_check_wire(const char *text, struct error *error);
/* first to last, by `random`. */
int64_t trigger_count(const struct trigger *trigger, uint64_t *random);
/* Does this packet count? `topic` of a PUBLISH, NULL of others. */
bool trigger_is_packet(const struct trigger *trigger, bool is_up, int type, const char *topic);

/* The next of a sequence that depends on the start value alone. */
uint64_t seed_next(uint64_t *random);

#endif
