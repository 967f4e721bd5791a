/* The simulator, and the way of a device to it. */
#include "base/cleanup.h"
#include "base/files.h"
#include "harness/control/control.h"
#include "harness/control/simulator_place.h"
#include "harness/doctor/doctor.h"
#include "harness/doctor/public_path.h"
#include "harness/rig/place.h"
#include "harness/serial/serial_backend.h"

#include <string.h>

#define SIMULATOR "dpsbench-sim"
enum { CLOCK_BAD_US = 5000000, CLOCK_WARNING_US = 1000000, SETTLE_MS = 1, MOSQUITTO_MAJOR = 2 };

DEFINE_CLEANUP(struct control *, control_close)

static const char *state_of(const struct doctor_options *options)
{
    if (options->simulator)
        return options->simulator;
    return options->rig ? options->rig->simulator_ready : NULL;
}

/* ---- who uses it ---- */

/* What hangs on a pty runs on this host, whatever it takes itself for. */
static bool is_board(const struct rig_device *device)
{
    return device->is_connected && device->serial && serial_backend_for(device->serial) != &serial_backend_termios;
}

static bool has_boards(const struct doctor_options *options)
{
    for (size_t i = 0; options->rig && i < options->rig->device_count; i++)
        if (is_board(&options->rig->devices[i]))
            return true;
    return !options->rig;
}

/* ---- one that the run starts ---- */

static void check_local(const struct doctor_options *options, struct checkup *checkup)
{
    CLEANUP_FREE char *program = NULL;
    struct error error = ERROR_INIT;
    if (place_program(SIMULATOR, &program, &error))
        checkup_add(checkup, CHECK_SIMULATOR, NULL, DOCTOR_BAD, "build or install it beside dpsbench", "%s", error.text);
    else if (has_boards(options))
        checkup_add(checkup, CHECK_SIMULATOR, NULL, DOCTOR_WARNING,
                    "on a host that it reaches: dpsbench-sim --state DIR --listen ADDR:8883 --host NAME; then `simulator: {ready: DIR}` in "
                    "the rig file",
                    "the run starts one at %s: does the board reach that?", options->rig->simulator_listen);
    else
        checkup_add(checkup, CHECK_SIMULATOR, NULL, DOCTOR_OK, NULL, "the run starts one at %s", options->rig->simulator_listen);
}

/* ---- its control plane ---- */

static void check_scope(const struct doctor_options *options, const cJSON *info, struct checkup *checkup)
{
    const char *scope = json_string(info, "id_scope", "");
    for (size_t i = 0; options->rig && i < options->rig->device_count; i++) {
        const struct rig_device *device = &options->rig->devices[i];
        if (!device->is_connected || !device->id_scope)
            continue;
        if (strcmp(device->id_scope, scope) != 0)
            checkup_add(checkup, CHECK_ID_SCOPE, device->id, DOCTOR_BAD,
                        "start the simulator with the rig's: dpsbench-sim --id-scope SCOPE", "the rig says '%s', the simulator has '%s'",
                        device->id_scope, scope);
        else
            checkup_add(checkup, CHECK_ID_SCOPE, device->id, DOCTOR_OK, NULL, "both have '%s'", scope);
    }
}

/* `asked_us`, `told_us`: our wall clock before the question and behind the answer. */
static void check_clock(const cJSON *info, int64_t asked_us, int64_t told_us, struct checkup *checkup)
{
    static const char mend[] = "NTP on both hosts: certificates are dated by the one and judged by the other";
    int64_t its_us = json_integer(info, "unix_us", 0);
    int64_t off_us = its_us < asked_us ? asked_us - its_us : its_us > told_us ? its_us - told_us : 0;
    enum doctor_result result = off_us > CLOCK_BAD_US ? DOCTOR_BAD : off_us > CLOCK_WARNING_US ? DOCTOR_WARNING : DOCTOR_OK;
    if (its_us == 0)
        checkup_add(checkup, CHECK_SIM_CLOCK, NULL, DOCTOR_NOT_CHECKED, NULL, "this version of the simulator does not tell its time");
    else
        checkup_add(checkup, CHECK_SIM_CLOCK, NULL, result, result == DOCTOR_OK ? NULL : mend, "they differ by %s%.1f s",
                    off_us ? "" : "less than ", off_us ? (double)off_us / 1e6 : 0.1);
}

static void check_broker(const cJSON *info, struct checkup *checkup)
{
    const char *version = json_string(info, "mosquitto", "?");
    bool is_old = strtol(version, NULL, 10) < MOSQUITTO_MAJOR;
    checkup_add(checkup, CHECK_MOSQUITTO, "simulator", is_old ? DOCTOR_BAD : DOCTOR_OK,
                is_old ? "install Mosquitto 2.0 or newer there" : NULL, "Mosquitto %s", version);
    checkup_add(checkup, CHECK_OPENSSL, "simulator", DOCTOR_OK, NULL, "OpenSSL %s", json_string(info, "openssl", "?"));
}

static int ask_info(const struct doctor_options *options, struct control *control, cJSON *ready, struct checkup *checkup,
                    struct error *error)
{
    CLEANUP_JSON cJSON *info = NULL;
    int64_t asked_us = clock_unix_us(&clock_system);
    if (control_call(control, "simulator.info", NULL, deadline_in_ms(&clock_system, DOCTOR_NET_MS), &info, error))
        return -1;
    int64_t told_us = clock_unix_us(&clock_system);
    /* A ticket does not say where devices connect. */
    if (!json_string(ready, "dps", NULL) && json_set_string(ready, "dps", json_string(info, "dps", NULL)))
        return error_set_memory(error);
    checkup_add(checkup, CHECK_SIMULATOR, NULL, DOCTOR_OK, NULL, "dpsbench-sim %s answers at %s", json_string(info, "version", "?"),
                json_string(info, "dps", "?"));
    check_scope(options, info, checkup);
    check_clock(info, asked_us, told_us, checkup);
    check_broker(info, checkup);
    return 0;
}

static void check_control(const struct doctor_options *options, cJSON *ready, struct checkup *checkup)
{
    static const char mend[] = "does its host let the control port through, and is the state folder's copy of today?";
    CLEANUP(control_close_cleanup) struct control *control = NULL;
    struct error error = ERROR_INIT;
    char name[48];
    snprintf(name, sizeof name, "dpsbench-doctor-%d", (int)getpid());
    const struct control_options control_options = {
        .waiting = options->waiting, .ready = ready, .name = name, .deadline = deadline_in_ms(&clock_system, DOCTOR_NET_MS)};
    if (control_open(&control_options, &control, &error) || ask_info(options, control, ready, checkup, &error))
        checkup_add(checkup, CHECK_SIMULATOR, NULL, DOCTOR_BAD, mend, "%s", error.text);
}

/* ---- the way of a device ---- */

struct way {
    const struct doctor_options *options;
    struct checkup *checkup;
    const cJSON *ready;
    char host[ENDPOINT_HOST_BYTES];
    uint16_t port;
    struct endpoint endpoint;
    struct endpoint simulator; /* where it listens, as it says itself */
    bool is_for_boards;        /* somebody outside of this host must reach it */
};

static bool is_azure(const char *host)
{
    static const char domain[] = ".azure-devices-provisioning.net";
    size_t length = strlen(host), end = sizeof domain - 1;
    return length > end && strcasecmp(host + length - end, domain) == 0;
}

/* Virtual devices take any name for the simulator's. */
static bool is_for_nobody(const struct way *way)
{
    if (way->is_for_boards || !is_azure(way->host))
        return false;
    checkup_add(way->checkup, CHECK_NAME, way->host, DOCTOR_NOT_CHECKED, NULL,
                "virtual devices take any name for the simulator's; for a board it would be the real Azure");
    return true;
}

static void judge_address(const struct way *way)
{
    const char *address = way->endpoint.address;
    bool is_private = public_path_is_private(address);
    if (!way->is_for_boards || (!is_private && !is_azure(way->host)))
        checkup_add(way->checkup, CHECK_NAME, way->host, DOCTOR_OK, NULL, "it leads to %s", address);
    else if (is_private)
        checkup_add(way->checkup, CHECK_NAME, way->host, DOCTOR_WARNING,
                    "a public address, or a VPN or private APN between the network and this one; DNS of the network must know the name",
                    "it leads to %s, which a device on LTE does not reach from the Internet", address);
    else
        checkup_add(
            way->checkup, CHECK_NAME, way->host, DOCTOR_BAD,
            "build the firmware with a name that leads to the simulator (CONFIG_AZURE_IOT_HUB_DPS_HOSTNAME), and start the simulator "
            "with --host of it",
            "it leads to %s: the real Azure, where a board would register", address);
}

/* 0: there is an address to try; 1: there is none. */
static int check_name(struct way *way, struct error *error)
{
    struct error reason = ERROR_INIT;
    deadline_t deadline = deadline_in_ms(&clock_system, DOCTOR_NET_MS);
    if (is_for_nobody(way))
        return 1;
    if (endpoint_resolve(way->options->waiting, way->host, way->port, deadline, &way->endpoint, &reason)) {
        checkup_add(way->checkup, CHECK_NAME, way->host, DOCTOR_BAD, "a DNS entry for it that leads to the simulator's public address",
                    "%s", reason.text);
        return reason.code == ERROR_INTERRUPTED ? error_set(error, reason.owner, reason.code, "%s", reason.text) : 1;
    }
    judge_address(way);
    return is_azure(way->host) && !public_path_is_private(way->endpoint.address);
}

static void check_certificate(const struct way *way, const struct public_path *path)
{
    if (path->has_root && !path->is_trusted)
        checkup_add(way->checkup, CHECK_CERTIFICATE, way->host, DOCTOR_BAD,
                    "is it this simulator that answers there? Its root is `root_ca` of ready.json; a middlebox may break TLS open",
                    "'%s' does not lead to the simulator's root: %s", path->subject, path->why_not);
    else if (!path->has_name)
        checkup_add(way->checkup, CHECK_CERTIFICATE, way->host, DOCTOR_BAD, "start the simulator with --host of that name",
                    "'%s' is not for the name '%s'", path->subject, way->host);
    else if (!path->has_root)
        checkup_add(way->checkup, CHECK_CERTIFICATE, way->host, DOCTOR_OK,
                    "a ticket holds no root: look for that on the simulator's machine",
                    "'%s' is for that name; whether it leads to the simulator's root is not known here", path->subject);
    else
        checkup_add(way->checkup, CHECK_CERTIFICATE, way->host, DOCTOR_OK, NULL, "'%s' is for that name, and leads to the simulator's root",
                    path->subject);
}

static void check_reach(const struct way *way)
{
    struct public_path path;
    struct error error = ERROR_INIT;
    char text[ENDPOINT_TEXT_BYTES];
    endpoint_format(&way->endpoint, text);
    if (public_path_try(&way->endpoint, way->host, json_string(way->ready, "root_ca", NULL), deadline_in_ms(&clock_system, DOCTOR_NET_MS),
                        &path, &error)) {
        checkup_add(way->checkup, CHECK_REACH, way->host, DOCTOR_BAD,
                    "is the port forwarded, does a firewall let it through, does the simulator listen on a public address (--listen)?",
                    "%s", error.text);
        return;
    }
    if (way->is_for_boards && public_path_is_loopback(way->endpoint.address))
        checkup_add(way->checkup, CHECK_REACH, way->host, DOCTOR_BAD,
                    "dpsbench-sim --listen 0.0.0.0:8883, and a name that leads to this host", "%s is this host itself: no board reaches it",
                    text);
    else
        checkup_add(way->checkup, CHECK_REACH, way->host, DOCTOR_OK,
                    way->is_for_boards ? "the board has the last word: a run's first row is the proof from outside" : NULL,
                    "TLS with %s, from this host", text);
    check_certificate(way, &path);
}

static int take_way(struct way *way, struct error *error)
{
    int result = check_name(way, error);
    if (result == 0)
        check_reach(way);
    return result < 0 ? -1 : 0;
}

/* ---- the names that devices use ---- */

static bool is_asked_already(const struct rig *rig, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (rig->devices[i].is_connected && rig->devices[i].dps_host && strcmp(rig->devices[i].dps_host, rig->devices[index].dps_host) == 0)
            return true;
    return false;
}

static int check_named(struct way *way, const char *name, struct error *error)
{
    struct error reason = ERROR_INIT;
    if (endpoint_split(name, way->simulator.port, way->host, &way->port, &reason)) {
        checkup_add(way->checkup, CHECK_NAME, name, DOCTOR_BAD, NULL, "%s", reason.text);
        return 0;
    }
    return take_way(way, error);
}

static int check_ways(const struct doctor_options *options, const cJSON *ready, struct checkup *checkup, struct error *error)
{
    struct way way = {.options = options, .checkup = checkup, .ready = ready, .is_for_boards = has_boards(options)};
    struct error reason = ERROR_INIT;
    if (endpoint_read(json_string(ready, "dps", ""), &way.simulator, &reason)) {
        checkup_add(checkup, CHECK_REACH, NULL, DOCTOR_NOT_CHECKED, NULL, "%s", reason.text);
        return 0;
    }
    if (options->public_name || !options->rig)
        return check_named(&way, options->public_name ? options->public_name : json_string(ready, "host", ""), error);
    for (size_t i = 0; i < options->rig->device_count; i++) {
        const struct rig_device *device = &options->rig->devices[i];
        if (device->is_connected && device->dps_host && !is_asked_already(options->rig, i) && check_named(&way, device->dps_host, error))
            return -1;
    }
    return 0;
}

int doctor_check_simulator(const struct doctor_options *options, struct checkup *checkup, struct error *error)
{
    CLEANUP_JSON cJSON *ready = NULL;
    struct error reason = ERROR_INIT;
    const char *state = state_of(options);
    if (!state && options->rig)
        check_local(options, checkup);
    if (!state)
        return 0;
    if (simulator_place_read(state, &ready, &reason)) {
        checkup_add(checkup, CHECK_SIMULATOR, NULL, DOCTOR_BAD, "dpsbench-sim --state DIR, with the rig's ID scope", "%s", reason.text);
        return 0;
    }
    check_control(options, ready, checkup);
    waiting_settle(options->waiting, SETTLE_MS, NULL);
    if (waiting_signal(options->waiting))
        return error_set(error, ERROR_OWNER_PERSON, ERROR_INTERRUPTED, "interrupted");
    return check_ways(options, ready, checkup, error);
}
