/*
 * harness/doctor/checkup.h - what was looked at, what it is like, and the mend
 */
#ifndef HARNESS_DOCTOR_CHECKUP_H
#define HARNESS_DOCTOR_CHECKUP_H

#include <stddef.h>

/* Each check: id, and what it looks at. In the order of the table of docs/doctor.md. */
#define DOCTOR_CHECKS(X)                                                                                                                   \
    X(CHECK_CLOCK, "clock", "the clock of this host is plausible and synchronised")                                                        \
    X(CHECK_DISK, "disk", "a run's folder can be written, and there is room")                                                              \
    X(CHECK_OPENSSL, "openssl", "the version of OpenSSL")                                                                                  \
    X(CHECK_MOSQUITTO, "mosquitto", "the version of Mosquitto, which the simulator starts")                                                \
    X(CHECK_MODEM_MANAGER, "modem-manager", "ModemManager leaves the ports of the rig alone")                                              \
    X(CHECK_PORT, "port", "the port is there")                                                                                             \
    X(CHECK_RIGHTS, "rights", "this user may open it")                                                                                     \
    X(CHECK_FREE, "free", "nobody else holds it")                                                                                          \
    X(CHECK_AT, "at", "AT commands are answered")                                                                                          \
    X(CHECK_IMEI, "imei", "it is the board of the rig file")                                                                               \
    X(CHECK_FIRMWARE, "firmware", "the version of the modem firmware")                                                                     \
    X(CHECK_CFUN, "cfun", "the functional mode of the modem")                                                                              \
    X(CHECK_SIM_CARD, "sim-card", "the SIM card is there and needs no PIN")                                                                \
    X(CHECK_REGISTRATION, "registration", "the device is registered to a network")                                                         \
    X(CHECK_RESET_LOOP, "reset-loop", "the modem does not restrict attaching because of a reset loop")                                     \
    X(CHECK_HOOKS, "hooks", "the rig can reset the board, and make it forget its assignment")                                              \
    X(CHECK_SIMULATOR, "simulator", "the simulator runs, and its control plane answers")                                                   \
    X(CHECK_ID_SCOPE, "id-scope", "the rig and the simulator have one ID scope")                                                           \
    X(CHECK_SIM_CLOCK, "sim-clock", "the clocks of this host and of the simulator agree")                                                  \
    X(CHECK_NAME, "name", "the name under which devices look for DPS leads to the simulator")                                              \
    X(CHECK_REACH, "reach", "the simulator can be reached under that name")                                                                \
    X(CHECK_CERTIFICATE, "certificate", "the simulator's certificate is good for that name")

enum doctor_check {
#define X(id, name, text) id,
    DOCTOR_CHECKS(X)
#undef X
        DOCTOR_CHECK_COUNT
};

enum doctor_result { DOCTOR_OK, DOCTOR_WARNING, DOCTOR_BAD, DOCTOR_NOT_CHECKED };

enum { FINDING_SUBJECT_BYTES = 128, FINDING_TEXT_BYTES = 640, FINDINGS_MAX = 512 };

struct finding {
    enum doctor_check check;
    enum doctor_result result;
    char subject[FINDING_SUBJECT_BYTES]; /* a device's id, a name; "": this host */
    char text[FINDING_TEXT_BYTES];       /* what was seen; of NOT_CHECKED: why not */
    char mend[FINDING_TEXT_BYTES];       /* what to do; "": nothing */
};

struct checkup {
    struct finding *items;
    size_t count; /* at most FINDINGS_MAX; what comes later is dropped */
};

/* mend: NULL: nothing to do. Returns whether the result is no hindrance: ok or a warning. */
int checkup_add(struct checkup *checkup, enum doctor_check check, const char *subject, enum doctor_result result, const char *mend,
                const char *format, ...) __attribute__((format(printf, 6, 7)));
void checkup_done(struct checkup *checkup); /* NULL allowed */
size_t checkup_count(const struct checkup *checkup, enum doctor_result result);

const char *doctor_check_name(enum doctor_check check);    /* "modem-manager" */
const char *doctor_check_text(enum doctor_check check);    /* what it looks at */
const char *doctor_result_name(enum doctor_result result); /* "ok", "warning", "bad", "not-checked" */

#endif
