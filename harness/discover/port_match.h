/*
 * harness/discover/port_match.h - which port a person means
 *
 * What:     a word names a port by its path, its name below /dev/serial/by-id, its board's serial number (zeros before it may be left out), USB
 *           location, IMEI, or kind ("nrf9160dk"). Two equal boards are never guessed between: the candidates are listed.
 */
#ifndef HARNESS_DISCOVER_PORT_MATCH_H
#define HARNESS_DISCOVER_PORT_MATCH_H

#include "harness/discover/port_probe.h"

/* probes: NULL when nobody was asked: then no IMEI fits. */
bool port_fits(const struct port_info *port, const struct port_probe *probe, const char *word);
/*
 * Mark the ports of the one board that `word` names.
 *
 * is_chosen  one for each port; only set to true.
 * error      NOT_FOUND (file): none, the text lists the boards that there are; USAGE (file): several, the text lists them.
 */
int port_choose(const struct port_list *list, const struct port_probe *probes, const char *word, bool *is_chosen, struct error *error);

#endif
