/*
 * harness/run/network_state.h - what a device said of its network since its boot
 *
 * What:     a device that is not registered does nothing that a row waits for, and that says nothing about its firmware. Reads the modem's
 *           notifications and the warnings of Nordic's network interface, which are the same in every firmware, so no dialect is needed.
 * Source:   Nordic, AT commands reference: +CEREG (1, 5: registered; 2: searching; 3: denied; 90: UICC failure), %MDMEV; nWP-042, modem reset
 *           loop restriction; nRF Connect SDK, lib/nrf_modem_lib/lte_net_if.c.
 */
#ifndef HARNESS_RUN_NETWORK_STATE_H
#define HARNESS_RUN_NETWORK_STATE_H

#include "base/json.h"

#include <stdbool.h>

enum network_trouble {
    NETWORK_FINE,
    NETWORK_NO_SIM,
    NETWORK_DENIED,     /* may pass: the modem may try another network */
    NETWORK_RESTRICTED, /* after too many resets */
};

struct network_state {
    bool is_searching;
    bool is_up;
    int64_t up_us; /* monotonic, of the bench; 0: it was never up */
    enum network_trouble trouble;
    int64_t trouble_us; /* since when */
    bool has_answered;  /* AT+CEREG? was answered: the device does not tell by itself, on a shell for instance */
};

/* A lent event; anything but console.line is ignored. */
void network_state_take(struct network_state *state, const cJSON *event);
/* A line of the answer to AT+CEREG?: "+CEREG: 5,3,..."; anything else is ignored. */
void network_state_answer(struct network_state *state, const char *line, int64_t now_us);
/* What is wrong, and the mend: one sentence. */
const char *network_trouble_text(enum network_trouble trouble);

#endif
