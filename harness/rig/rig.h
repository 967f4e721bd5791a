/*
 * harness/rig/rig.h - the rig file: which devices, how to reset them, which simulator
 *
 * What:     reads a rig file (strict YAML, docs/rig.md is the manual; the keys of Zephyr Twister's hardware map where they exist), and
 *           knows the built-in rig: one virtual DK and a simulator of its own.
 * Not here: opening ports (harness/device), starting programs (served.h), running hooks (hook.h).
 * Errors:   owner file, "rig.yaml:7:5: ...".
 */
#ifndef HARNESS_RIG_RIG_H
#define HARNESS_RIG_RIG_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RIG_FORMAT = 1, RIG_DEVICES_MAX = 128, RIG_ARGUMENTS_MAX = 32, RIG_WORDS_MAX = 16, RIG_IMEI_DIGITS = 15 };

#define RIG_DPS_HOST_DEFAULT "global.azure-devices-provisioning.net"
#define RIG_DIALECT_DEFAULT "nordic"
#define RIG_HEALTH_NONE "none"
/* The fixture of a device whose application forgets the stored assignment at every boot (docs/rig.md). */
#define RIG_FORGETS_AT_BOOT "forgets-assignment"

/* What the rig can do to a device, or around it: a hook's key in the file, and the capability that a case may need (NULL: none). */
#define RIG_HOOKS(X)                                                                                                                       \
    X(RIG_HOOK_RESET, "reset", "reset")                                                                                                    \
    X(RIG_HOOK_CHIP_ERASE, "chip_erase", "chip-erase")                                                                                     \
    X(RIG_HOOK_POWER_OFF, "power_off", "power")                                                                                            \
    X(RIG_HOOK_POWER_ON, "power_on", "power")                                                                                              \
    X(RIG_HOOK_FLASH, "flash", "flash")                                                                                                    \
    X(RIG_HOOK_BEFORE_RUN, "before_run", NULL)                                                                                             \
    X(RIG_HOOK_AFTER_RUN, "after_run", NULL)                                                                                               \
    X(RIG_HOOK_BEFORE_CASE, "before_case", NULL)                                                                                           \
    X(RIG_HOOK_AFTER_CASE, "after_case", NULL)

/* What a row needs that can be judged by nothing but the lines of a console: a board has it, a program without a dialect has not. */
#define RIG_NEED_CONSOLE "console"

enum rig_hook {
#define X(id, key, capability) id,
    RIG_HOOKS(X)
#undef X
        RIG_HOOK_COUNT
};

enum { RIG_HOOK_DEFAULT_S = 180 /* programming a board */, RIG_HOOK_MAX_S = 3600 };

/* The program of a hook. */
struct rig_command {
    char *argv[RIG_ARGUMENTS_MAX + 1]; /* NULL-terminated; empty: no hook */
    char *input;                       /* for its standard input; NULL: none */
    const char *preset;                /* what it was made of: "nrfutil"; NULL: written out. Lent for ever */
    char *serial_number;               /* the preset's; NULL: it has none */
    int64_t timeout_ms;                /* then it is killed, with all that it started */
};

struct rig_words {
    char *items[RIG_WORDS_MAX + 1]; /* NULL-terminated */
    size_t count;
};

/* What takes AT commands: found, or told. The names are those of the key `transport`. */
#define RIG_TRANSPORTS(X)                                                                                                                  \
    X(RIG_TRANSPORT_AUTO, "auto")                                                                                                          \
    X(RIG_TRANSPORT_AT_HOST, "at-host")                                                                                                    \
    X(RIG_TRANSPORT_AT_SHELL, "at-shell")

enum rig_transport {
#define X(id, name) id,
    RIG_TRANSPORTS(X)
#undef X
};

struct rig_device {
    char *id; /* Twister: the probe's serial number, or any name */
    char *platform;
    char *product;
    char *runner;
    char *notes;
    char *serial;  /* the port; NULL for a virtual device */
    char *console; /* a second port of the same board; NULL: none */
    enum rig_transport transport;
    int64_t pacing_bytes; /* at most so many, then a pause of pacing_gap_ms; 0: as the transport needs it */
    int64_t pacing_gap_ms;
    int64_t command_limit; /* bytes that the device takes in one line; 0: by the transport */
    int64_t baud;
    bool has_flow_control;
    bool is_connected;
    struct rig_words fixtures;
    char *registration_id;
    char *id_scope;
    char *dps_host;
    uint32_t sec_tag;
    bool has_sec_tag; /* false only in what rig_read_map gives */
    char *imei;       /* who must answer; NULL: anybody */
    char *dialect;    /* NULL: a program whose lines mean nothing to us */
    struct rig_command hooks[RIG_HOOK_COUNT];
    bool is_virtual;
    char *personality;
    char *mfw; /* NULL: the virtual DK's default */
    struct rig_words weaknesses;
    struct rig_words misbehaviours;
    char *hardware_profile;               /* NULL: the virtual DK's own */
    bool is_exec;                         /* a program of this host: no port, no sec tag, no dialect unless one is named */
    char *command[RIG_ARGUMENTS_MAX + 1]; /* with placeholders (placeholder.h), NULL-terminated */
    char *client;                         /* what it is, for known findings; NULL: not said */
    char *place;                          /* "rig.yaml:4:3" */
};

enum rig_lane { RIG_LANE_AUTO, RIG_LANE_LISTENER, RIG_LANE_HOST, RIG_LANE_EXCLUSIVE };

struct rig {
    char *file; /* NULL: built in */
    struct rig_device devices[RIG_DEVICES_MAX];
    size_t device_count;
    char *simulator_ready;  /* state folder of a running simulator; NULL: start one */
    char *simulator_listen; /* "ADDR:PORT" for one that we start; never NULL */
    enum rig_lane lane;
    char *health; /* the row that opens and closes a run on each device; RIG_HEALTH_NONE; NULL: the default of harness/run */
};

/*
 * A rig file, or a hardware map of Zephyr's Twister: a list instead of a mapping. Of a map the boards with an nRF91 are taken; what it cannot say
 * (registration_id, id_scope, sec_tag) stands in its `fixtures` (docs/rig.md).
 *
 * ret_rig: rig_done() it. Untouched on failure.
 */
int rig_read_file(const char *path, struct rig *ret_rig, struct error *error);
/* `name` stands for the path in errors, and becomes `file`. */
int rig_read_text(const char *text, size_t length_bytes, const char *name, struct rig *ret_rig, struct error *error);
/* A hardware map alone, and what it does not say may be missing: registration_id, id_scope (NULL), has_sec_tag. To be made a rig file of. */
int rig_read_map(const char *path, struct rig *ret_rig, struct error *error);
int rig_read_map_text(const char *text, size_t length_bytes, const char *name, struct rig *ret_rig, struct error *error);
/* The built-in rig. */
int rig_builtin(struct rig *ret_rig, struct error *error);
const char *rig_builtin_text(void);
void rig_done(struct rig *rig); /* NULL allowed */

/* Devices that are connected, hence used. */
size_t rig_connected_count(const struct rig *rig);
/*
 * The connected device that a person means: by its id (zeros before it may be left out), port, IMEI or registration ID, or by a platform or product that one
 * device alone has. NOT_FOUND (file): none, the text lists the devices. USAGE (file): several, the text lists them.
 */
int rig_find_device(const struct rig *rig, const char *word, const struct rig_device **ret_device, struct error *error);
/* Every connected device is virtual or a program: they share the processors of this host. */
bool rig_is_on_this_host(const struct rig *rig);
/* Every connected device lives by the run's time scale: virtual ones, and programs whose command says {time_scale}. */
bool rig_takes_time_scale(const struct rig *rig);
/* "start" (a reset or a chip erase), "reset", "chip-erase", "power", or a fixture of the device. */
bool rig_device_offers(const struct rig_device *device, const char *capability);
bool rig_device_has_hook(const struct rig_device *device, enum rig_hook hook);
/* "reset", "power": all hooks of that capability are there. */
bool rig_device_has_hooks_of(const struct rig_device *device, const char *capability);
/* The longest time that one hook of the device may take; 0: it has none. */
int64_t rig_hooks_longest_ms(const struct rig_device *device);
const char *rig_hook_name(enum rig_hook hook); /* "chip_erase" */
/* -1: there is no hook of that name. */
int rig_hook_find(const char *name, enum rig_hook *ret_hook);
const char *const *rig_hook_names(void); /* NULL-terminated, in the order of the enum */
/* "host", "listener", "exclusive"; AUTO is a listener of its own when all devices are on this host, else exclusive. */
const char *rig_lane_name(const struct rig *rig);

#endif
