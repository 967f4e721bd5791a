#include "harness/run/network_state.h"

#include "base/event.h"

#include <stdio.h>
#include <string.h>

enum { CEREG_HOME = 1, CEREG_SEARCHING = 2, CEREG_DENIED = 3, CEREG_ROAMING = 5, CEREG_UICC_FAILURE = 90 };

const char *network_trouble_text(enum network_trouble trouble)
{
    switch (trouble) {
    case NETWORK_FINE:
        break;
    case NETWORK_NO_SIM:
        return "the modem finds no SIM card (+CEREG: 90): insert one, or clean its contacts; AT%XSIM? says what the modem sees";
    case NETWORK_DENIED:
        return "the network denies the registration (+CEREG: 3): is the subscription active, and does the operator offer LTE-M or NB-IoT "
               "here?";
    case NETWORK_RESTRICTED:
        return "the modem does not attach for 30 minutes after too many resets without AT+CFUN=0 (%MDMEV: RESET LOOP): switch the device "
               "off and "
               "on, or wait";
    }
    return "";
}

static void set_trouble(struct network_state *state, enum network_trouble trouble, int64_t now_us)
{
    if (state->trouble == trouble)
        return;
    state->trouble = trouble;
    state->trouble_us = now_us;
}

static void take_status(struct network_state *state, int status, int64_t now_us)
{
    bool was_up = state->is_up;
    state->is_up = status == CEREG_HOME || status == CEREG_ROAMING;
    state->is_searching = status == CEREG_SEARCHING;
    if (state->is_up && !was_up)
        state->up_us = now_us;
    if (status == CEREG_DENIED)
        set_trouble(state, NETWORK_DENIED, now_us);
    else if (status == CEREG_UICC_FAILURE)
        set_trouble(state, NETWORK_NO_SIM, now_us);
    else if (state->is_up)
        set_trouble(state, NETWORK_FINE, now_us);
}

void network_state_take(struct network_state *state, const cJSON *event)
{
    const char *text = json_string(event_data(event), "text", "");
    int64_t now_us = json_integer(event, "mono_us", 0);
    int status;
    if (strcmp(json_string(event, "kind", ""), "console.line") != 0)
        return;
    if (sscanf(text, "+CEREG: %9d", &status) == 1)
        take_status(state, status, now_us);
    else if (strcmp(text, "%MDMEV: RESET LOOP") == 0 || strstr(text, "The modem has detected a reset loop"))
        set_trouble(state, NETWORK_RESTRICTED, now_us);
    else if (strstr(text, "The modem reports a UICC failure"))
        set_trouble(state, NETWORK_NO_SIM, now_us);
}

void network_state_answer(struct network_state *state, const char *line, int64_t now_us)
{
    int mode, status;
    if (sscanf(line, "+CEREG: %9d,%9d", &mode, &status) != 2)
        return;
    state->has_answered = true;
    take_status(state, status, now_us);
}
