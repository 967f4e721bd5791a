/*
 * harness/discover/port_probe.h - what answers at a port
 *
 * What:     opens ports, all at the same time, asks each with AT commands that only read (CMEE?, CGMI, CGMM, CGMR, CGSN, CFUN?), and closes them. No
 *           credential is touched and nothing is switched. A port that somebody holds is left alone, and the holder is named.
 * Traps:    a first contact that is not understood sends two backspaces, a quote and a mark (device/at.h), in case that an AT host is stuck inside
 *           a quote. Opening asserts DTR.
 */
#ifndef HARNESS_DISCOVER_PORT_PROBE_H
#define HARNESS_DISCOVER_PORT_PROBE_H

#include "harness/device/dk.h"
#include "harness/discover/port_list.h"
#include "harness/wait/waiting.h"

/* Name, and a sentence for a person. */
#define PORT_ANSWERS(X)                                                                                                                    \
    X(PORT_NOT_ASKED, "not-asked", "not asked")                                                                                            \
    X(PORT_AT_HOST, "at-host", "AT host")                                                                                                  \
    X(PORT_SHELL, "shell", "shell")                                                                                                        \
    X(PORT_TALKS, "talks", "prints, answers no AT command")                                                                                \
    X(PORT_NOTHING, "nothing", "nothing answers")                                                                                          \
    X(PORT_BUSY, "busy", "busy")                                                                                                           \
    X(PORT_NO_ACCESS, "no-access", "cannot be opened")

enum port_answer {
#define X(id, name, text) id,
    PORT_ANSWERS(X)
#undef X
};

struct port_probe {
    enum port_answer answer;
    char text
        [ERROR_TEXT_MAX_BYTES];  /* who holds it, why it cannot be opened, with the mend, or why its shell takes no AT command; "" else */
    struct dk_identity identity; /* when AT commands are answered; else its texts are "" and cfun is DK_CFUN_UNKNOWN */
};

enum { PORT_PROBE_DEADLINE_MS = 15000 };

struct port_probe_options {
    struct waiting *waiting;
    int baud;            /* 0: 115200 */
    deadline_t deadline; /* for all of them together */
};

/*
 * Ask the ports of `list` for which `wanted` is true (NULL: all).
 *
 * ret_probes  one for each entry of `list`; those that were not asked are PORT_NOT_ASKED.
 * error       INTERRUPTED (person). A port that does not answer is no error.
 */
int port_probe_all(const struct port_list *list, const bool *wanted, const struct port_probe_options *options,
                   struct port_probe *ret_probes, struct error *error);

const char *port_answer_name(enum port_answer answer); /* "at-host" */
const char *port_answer_text(enum port_answer answer); /* "AT host" */

#endif
