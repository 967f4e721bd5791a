/*
 * harness/try/trial.h - one try: a person's files against a private simulator, and what came of it
 *
 * What:     reads the files, makes the DPS that the arguments describe in a temporary folder, starts a simulator on it, lets a client (or, for
 *           --console, the virtual DK) register, and gathers verdict, wire and warnings from the simulator's events.
 * Two steps: trial_run ends as soon as the verdict is known; trial_end stops the programs and removes the folder. Print between the two.
 * Errors:   file: a file or an argument cannot be used; rig: simulator, broker, disk; INTERRUPTED (person).
 */
#ifndef HARNESS_TRY_TRIAL_H
#define HARNESS_TRY_TRIAL_H

#include "harness/try/assumed_service.h"
#include "harness/try/device_files.h"
#include "harness/try/note.h"
#include "harness/try/request.h"
#include "harness/try/server_root.h"

enum { TRIAL_VERSION = 1, TRIAL_TIME_SCALE = 40 };

/* Who ends it: in the order of the conversation. */
#define TRIAL_OUTCOMES(X)                                                                                                                  \
    X(TRIAL_ASSIGNED, "assigned")                   /* DPS assigned a hub, and the hub took the device */                                  \
    X(TRIAL_REFUSED_BY_DEVICE, "refused-by-device") /* the device does not get as far as DPS: its root, or its modem's memory */           \
    X(TRIAL_REFUSED_BY_DPS, "refused-by-dps")                                                                                              \
    X(TRIAL_REFUSED_BY_HUB, "refused-by-hub")

enum trial_outcome {
#define X(id, name) id,
    TRIAL_OUTCOMES(X)
#undef X
};
const char *trial_outcome_name(enum trial_outcome outcome);

struct trial_result {
    enum trial_outcome outcome;
    char *text;      /* one sentence for a person */
    cJSON *commands; /* array: what to type (mend.h) */
    struct device_files files;
    struct assumed_service service;
    struct server_root root;
    bool has_root;
    struct notes notes;
    /* From the simulator's events; `data` objects. NULL: there was none. */
    cJSON *verdict;     /* attestation.verdict */
    cJSON *handshake;   /* tls.handshake of the same session */
    cJSON *alert;       /* the tls.alert that ended the handshake, where the verdict shows as one; then there is no handshake */
    cJSON *connack;     /* mqtt.connack of the same session */
    cJSON *reply;       /* the last dps.reply */
    cJSON *assigned;    /* dps.assigned */
    cJSON *hub_verdict; /* hub.verdict */
    /* --console */
    cJSON *console;        /* array of lines; NULL: none was asked for, or the modem did not take the files */
    char *console_trouble; /* why there is none, or what the modem said; NULL */
    int64_t duration_us;
};

struct trial;

/* `request` lent until trial_end. ret_trial: trial_end() it. */
int trial_run(const struct try_request *request, struct trial **ret_trial, struct error *error);
const struct trial_result *trial_result(const struct trial *trial); /* lent */
void trial_end(struct trial *trial);                                /* NULL allowed */

#endif
