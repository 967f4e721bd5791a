/*
 * harness/doctor/doctor.h - is everything there that a run needs?
 *
 * What:     looks at this host, at the devices of a rig, at the simulator and the way to it, and says what is wrong and how to mend it. It changes
 *           nothing, but for `may_restart_modem`.
 * Not here: what the cases need of the device's firmware: a run tells that.
 * Tests:    DPSBENCH_PORTS_ROOT (discover/port_list.h) stands for `/` where udev's data and ModemManager are looked for, too.
 */
#ifndef HARNESS_DOCTOR_DOCTOR_H
#define HARNESS_DOCTOR_DOCTOR_H

#include "base/error.h"
#include "harness/doctor/checkup.h"
#include "harness/rig/rig.h"
#include "harness/wait/waiting.h"

enum { DOCTOR_ASK_MS = 15000, DOCTOR_NET_MS = 10000, DOCTOR_MODEM_MS = 8000 };

struct doctor_options {
    const struct rig *rig;   /* NULL: this host and the simulator alone */
    const char *device_id;   /* NULL: each that is connected */
    const char *simulator;   /* state folder; NULL: the rig's */
    const char *public_name; /* HOST or HOST:PORT where devices reach the simulator; NULL: the devices' DPS host, at the simulator's port */
    const char *folder;      /* where runs are written */
    bool may_restart_modem;  /* AT+CFUN=4, then 1, and listen for a reset loop: the device loses its network for a while */
    struct waiting *waiting;
};

/* INTERRUPTED (person). Everything else is a finding. */
int doctor_examine(const struct doctor_options *options, struct checkup *checkup, struct error *error);

/* Its parts. */
bool doctor_runs_modem_manager(void);
void doctor_check_host(const struct doctor_options *options, struct checkup *checkup);
int doctor_check_device(const struct doctor_options *options, const struct rig_device *device, struct checkup *checkup,
                        struct error *error);
int doctor_check_simulator(const struct doctor_options *options, struct checkup *checkup, struct error *error);

#endif
