/*
 * broker_sim/scenario/knob_check.h - what the texts of knobs may be: bytes in hex, TLS suites, recipes
 *
 * What:     the checks that the list of knobs names, and the readers that whoever uses the knob needs.
 * Errors:   USAGE (file) with what could stand there.
 */
#ifndef BROKER_SIM_SCENARIO_KNOB_CHECK_H
#define BROKER_SIM_SCENARIO_KNOB_CHECK_H

#include "base/bytes.h"
#include "base/error.h"

/* "20 02 00 00", spaces anywhere between bytes. */
int knob_check_hex(const char *text, struct error *error);
/* Appends what the text says; -1 when it is no hex or does not fit. */
int knob_read_hex(const char *text, struct bytes *out);

/* One of certs/recipes/ that says what a server sends: "server/expired". */
int knob_check_server_recipe(const char *text, struct error *error);

/* Names of TLS suites, ':' between them, as the RFCs or as OpenSSL spell them. */
int knob_check_suites(const char *text, struct error *error);

/* RULE=SURFACE of the judge, a space or a comma between them. */
int knob_check_rule_surfaces(const char *text, struct error *error);

struct ssl_st;
/* Offer these and no others, weak ones too. */
int knob_apply_suites(const char *text, struct ssl_st *ssl);

#endif
