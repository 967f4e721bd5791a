/*
 * harness/run/bench.h - everything that is up during a run: loop, simulator, device, timeline
 *
 * What:     the one struct that the parts of the runner share, and how it is brought up and taken down. Collects events from both sides, and
 *           the first trouble of the rig in the row that is running.
 * Not here: what a row does (attempt.h), the order of rows (run.h).
 */
#ifndef HARNESS_RUN_BENCH_H
#define HARNESS_RUN_BENCH_H

#include "certs/forge.h"
#include "harness/control/control.h"
#include "harness/device/dk.h"
#include "harness/device/exec_device.h"
#include "harness/rig/rig.h"
#include "harness/rig/served.h"
#include "harness/run/network_state.h"
#include "harness/run/pki_store.h"
#include "harness/run/watch.h"
#include "reports/line_file.h"
#include "reports/progress.h"
#include "reports/timeline.h"

#include <limits.h>

enum {
    /* Work of the machine that no time scale makes faster; generous: a busy machine under sanitizers is no verdict. */
    BENCH_START_MS = 60000,
    BENCH_CALL_MS = 30000,
    BENCH_RECONNECT_MS = 10000,
    BENCH_RECONNECT_PAUSE_MS = 100,
    BENCH_AT_MS = 120000,
    BENCH_BOOT_MS = 30000, /* device milliseconds, on top of BENCH_WORK_MS */
    BENCH_WORK_MS = 5000,  /* real time, beside a scaled wait: handshakes and processes */
    BENCH_LEASE_MARGIN_S = 60,
    BENCH_LEASE_MAX_S = 86400, /* docs/control.md */
};

/* Does the device have an assignment stored, so that its next boot skips DPS? */
enum bench_assignment { ASSIGNMENT_UNKNOWN, ASSIGNMENT_NONE, ASSIGNMENT_STORED };

struct bench {
    /* for the whole run */
    struct waiting *waiting;
    const struct clock *clock;
    const struct rig *rig;
    double time_scale;
    const char *directory;
    bool wants_flash;              /* run the hook `flash` on each device before its first row */
    const char *private_directory; /* removed at the run's end */
    struct progress *progress;
    struct timeline *timeline; /* NULL: nothing is written down */
    struct key_cache *keys;
    struct pki_store *pkis;
    const char *simulator_folder; /* of one that runs already; NULL: one is started */
    bool is_simulator_ours;       /* the run started it, be it in another process of the run */
    struct served *simulator;     /* NULL: this process did not start it */
    cJSON *ready;                 /* of the simulator */
    bool wants_events;
    struct control *control;
    cJSON *knobs;          /* knob.list */
    cJSON *simulator_info; /* simulator.info */

    /* for the device in use */
    const struct rig_device *device;
    char *device_directory;
    bool has_own_timeline; /* `timeline` is the device's */
    struct line_file *console_log;
    struct served *virtual_device; /* NULL: a real one */
    struct dialect *dialect;       /* NULL: a program whose lines mean nothing to us */
    struct dk *dk;
    struct exec_device *program; /* in place of dk: a device of kind exec */
    char *lease;                 /* NULL: none */
    char *lane;
    char *lane_address;
    char *lane_root_ca;       /* PEM of the lane as it is configured now */
    char *lane_chain;         /* PEM of what its server sends */
    char *lane_server_recipe; /* NULL: the main PKI */
    char *name_suffix;        /* own_names.h; NULL: names stay as the case has them */
    bool has_lane_knobs;      /* the last row spoiled the lane */
    char wear_id[128];        /* in the wear ledger: "imei:..." */
    bool has_said_uncounted;  /* a ledger that cannot be written is told once a run */
    bool is_known_good;       /* a row has passed on it in this run */
    enum bench_assignment assignment;
    bool has_skipped_dps;  /* in the row in flight: an assignment was stored */
    unsigned harsh_resets; /* without AT+CFUN=0 before them, in a row */
    int64_t reset_us;      /* when the last one was, monotonic; 0: none */

    /* for the row in flight */
    const char *row_id;           /* NULL: none is */
    unsigned repetition;          /* from 1; 0: a health check */
    unsigned attempt;             /* likewise */
    struct watch *watch;          /* NULL: events only go to the timeline */
    bool has_booted;              /* console events count from the boot on */
    struct network_state network; /* of this boot */
    bool is_network_asked;        /* AT+CEREG? waits for its answer */
    uint64_t last_session;        /* highest session number seen on the lane */
    uint64_t first_session;       /* sessions above it belong to the row */
    bool has_trouble;
    struct error trouble; /* the first: rig */

    struct error unwritten;             /* the first file of the report that could not be written; code NONE: all could. Never forgotten */
    const struct case_row *left_behind; /* a row whose objects the service still has: the connection was lost */
};

/* The simulator: start or find it, connect, ask for its knobs. */
int bench_open_simulator(struct bench *bench, struct error *error);
/* When the connection to it was lost under an earlier row and it lives: connect again. Leases and lanes are as they were. IO, TIMEOUT (rig). */
int bench_reconnect(struct bench *bench, struct error *error);
void bench_close_simulator(struct bench *bench);

/* The device: lease a lane, start it when it is virtual, open its port, ask who it is. ret_identity: malloc'ed JSON object for the report. */
int bench_open_device(struct bench *bench, const struct rig_device *device, cJSON **ret_identity, struct error *error);
void bench_close_device(struct bench *bench);
/* NULL: it is not open, or was given up. */
struct console *bench_console(const struct bench *bench);

/* A request to the simulator within BENCH_CALL_MS; `params` taken over. */
int bench_call(struct bench *bench, const char *method, cJSON *params, cJSON **ret_result, struct error *error);
/* Everything that must live does: 0. Else the trouble, as an error of the rig. */
int bench_check(struct bench *bench, struct error *error);
/* Remember the first trouble of a row. */
void bench_report_trouble(struct bench *bench, const struct error *error);
/* A file of the report could not be written: a trouble of the row, and the end of the run. */
void bench_report_unwritten(struct bench *bench, const struct error *error);
/* Lent event of the harness: to the timeline, the console's log, the watch. */
void bench_take_own_event(struct bench *bench, cJSON *event);
/* Lent event of the simulator. */
void bench_take_simulator_event(struct bench *bench, const cJSON *event);
/* A wait of the device, with what the machine itself may need on top. */
deadline_t bench_device_deadline(const struct bench *bench, int64_t device_ms);
/*
 * Run a hook of the device in use; nothing when it has none. verdict: of the row that has ended; NULL: none has.
 * Errors: as hook_run.
 */
int bench_hook(struct bench *bench, enum rig_hook hook, const char *verdict, struct error *error);
/* "device.reset", as the rig does it. */
void bench_tell_reset(struct bench *bench, const char *action);

/* Several devices share the folder and the simulator. */
bool bench_has_many_devices(const struct bench *bench);
/* Private parts of the harness's own runs, removed at the end: PRIVATE_DIRECTORY/NAME. malloc'ed. */
char *bench_private_path(const struct bench *bench, const char *name);

#endif
