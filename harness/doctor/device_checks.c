/* One device of the rig: its port, what answers there, its modem. */
#include "base/cleanup.h"
#include "base/files.h"
#include "base/json.h"
#include "harness/credentials/modem_link.h"
#include "harness/discover/port_list.h"
#include "harness/doctor/doctor.h"
#include "harness/rig/hook.h"

#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

DEFINE_CLEANUP(struct modem_link *, modem_link_close)

enum { LINE_BYTES = 256, LISTEN_MS = 200 };

struct answer {
    bool is_done;
    bool is_ok;
    char line[LINE_BYTES]; /* the first of the reply */
    char text[LINE_BYTES]; /* how it ended */
};

struct examination {
    const struct doctor_options *options;
    const struct rig_device *device;
    struct checkup *checkup;
    struct modem_link *link;
    bool has_reset_loop;   /* the console said so */
    struct answer pending; /* here, because a command that Ctrl-C left behind still ends: when the link is closed */
};

static int add_plain(const struct examination *at, enum doctor_check check, enum doctor_result result, const char *mend, const char *text)
{
    return checkup_add(at->checkup, check, at->device->id, result, mend, "%s", text);
}

/* ---- the port, without opening it ---- */

static bool is_on_this_host(const struct rig_device *device)
{
    return !strstr(device->serial, "://");
}

/* A group that may open it, and that is not root's: then joining it is the mend. */
static void rights_mend(const struct stat *status, char *mend)
{
    const struct group *group = getgrgid(status->st_gid);
    bool may_join = status->st_gid != 0 && (status->st_mode & (S_IRGRP | S_IWGRP)) == (S_IRGRP | S_IWGRP);
    if (may_join && group)
        snprintf(mend, FINDING_TEXT_BYTES, "sudo usermod -aG %s $USER, then log in again", group->gr_name);
    else
        snprintf(mend, FINDING_TEXT_BYTES,
                 "install dpsbench's udev rules (70-dpsbench.rules), which give boards to group dialout, and plug it in again");
}

static bool check_rights(const struct examination *at, const struct stat *status)
{
    char mend[FINDING_TEXT_BYTES];
    if (access(at->device->serial, R_OK | W_OK) == 0)
        return checkup_add(at->checkup, CHECK_RIGHTS, at->device->id, DOCTOR_OK, NULL, "this user may open it");
    int errno_value = errno;
    rights_mend(status, mend);
    return checkup_add(at->checkup, CHECK_RIGHTS, at->device->id, DOCTOR_BAD, mend, "'%s': %s", at->device->serial, strerror(errno_value));
}

static bool check_port(const struct examination *at)
{
    struct stat status;
    const char *serial = at->device->serial;
    if (!is_on_this_host(at->device))
        return checkup_add(at->checkup, CHECK_PORT, at->device->id, DOCTOR_OK, NULL, "'%s' is a port of another host", serial);
    if (stat(serial, &status))
        return checkup_add(at->checkup, CHECK_PORT, at->device->id, DOCTOR_BAD,
                           "is the board plugged in and switched on? `dpsbench devices` lists the ports that there are", "'%s': %s", serial,
                           strerror(errno));
    if (!S_ISCHR(status.st_mode))
        return checkup_add(at->checkup, CHECK_PORT, at->device->id, DOCTOR_BAD, "`dpsbench devices` lists the ports that there are",
                           "'%s' is no serial port", serial);
    if (strstr(serial, "/ttyACM") || strstr(serial, "/ttyUSB"))
        checkup_add(at->checkup, CHECK_PORT, at->device->id, DOCTOR_WARNING,
                    "give the name below /dev/serial/by-id in the rig file: `dpsbench devices` shows it",
                    "'%s' is there, but may be another board's name after the next plugging", serial);
    else
        checkup_add(at->checkup, CHECK_PORT, at->device->id, DOCTOR_OK, NULL, "'%s' is there", serial);
    return check_rights(at, &status);
}

/* ---- ModemManager ---- */

/* udev's database of a port: lines "E:KEY=VALUE". */
static bool is_ignored(const char *serial)
{
    struct stat status;
    char line[LINE_BYTES];
    CLEANUP_FREE char *path = NULL, *full = NULL;
    if (stat(serial, &status) || asprintf(&path, "/run/udev/data/c%u:%u", major(status.st_rdev), minor(status.st_rdev)) < 0)
        return false;
    full = port_root_path(path);
    CLEANUP_FILE FILE *file = full ? fopen(full, "re") : NULL;
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, "E:ID_MM_DEVICE_IGNORE=1", 23) == 0 || strncmp(line, "E:ID_MM_PORT_IGNORE=1", 21) == 0)
            return true;
    return false;
}

static void check_modem_manager(const struct examination *at)
{
    if (!is_on_this_host(at->device) || !doctor_runs_modem_manager())
        return;
    if (is_ignored(at->device->serial))
        add_plain(at, CHECK_MODEM_MANAGER, DOCTOR_OK, NULL, "ModemManager runs, and udev tells it to leave this port alone");
    else
        add_plain(at, CHECK_MODEM_MANAGER, DOCTOR_BAD,
                  "systemctl disable --now ModemManager, or install dpsbench's udev rules (70-dpsbench.rules), and plug it in again",
                  "ModemManager runs and may take this port: it sends AT commands of its own");
}

/* ---- who answers ---- */

static void on_event(void *user, cJSON *event)
{
    struct examination *at = user;
    const char *text = json_string(json_member(event, "data"), "text", "");
    /* The modem's own notification, and what nrf_modem_lib_netif makes of it. */
    at->has_reset_loop |= strstr(text, "%MDMEV: RESET LOOP") || strstr(text, "has detected a reset loop");
    cJSON_Delete(event);
}

/* The finding names the device already. */
static const char *text_without_name(const struct error *error, const char *name)
{
    size_t length = strlen(name);
    return strncmp(error->text, name, length) == 0 && strncmp(error->text + length, ": ", 2) == 0 ? error->text + length + 2 : error->text;
}

static void tell_no_contact(const struct examination *at, const struct error *error)
{
    const char *text = text_without_name(error, at->device->id);
    if (error->code == ERROR_BUSY) {
        add_plain(at, CHECK_FREE, DOCTOR_BAD, "end that program, or give the rig another port", text);
        return;
    }
    if (error->code != ERROR_TIMEOUT && error->code != ERROR_REFUSED) {
        add_plain(at, CHECK_FREE, DOCTOR_BAD, NULL, text);
        return;
    }
    add_plain(at, CHECK_FREE, DOCTOR_OK, NULL, "nobody else holds it");
    add_plain(
        at, CHECK_AT, DOCTOR_BAD,
        "is it powered, is this its console port (`dpsbench devices`), does its firmware have CONFIG_AT_HOST_LIBRARY, is the speed right?",
        text);
}

static int open_link(struct examination *at, struct error *error)
{
    const struct rig_device *device = at->device;
    const struct modem_link_options options = {
        .waiting = at->options->waiting,
        .port = {.name = device->id,
                 .path = device->serial,
                 .baud = (int)device->baud,
                 .has_flow_control = device->has_flow_control,
                 .console_path = device->console,
                 .transport = (enum at_transport)device->transport,
                 .command_max_bytes = (size_t)device->command_limit,
                 .tx_chunk_bytes = (size_t)device->pacing_bytes,
                 .tx_gap_ms = device->pacing_gap_ms,
                 .reopen_ms = -1,
                 .sink = {.emit = on_event, .user = at}},
    };
    return modem_link_open(&options, &at->link, error);
}

/* ---- the modem ---- */

static void on_reply(void *user, const struct at_reply *reply)
{
    struct answer *answer = user;
    answer->is_done = true;
    answer->is_ok = reply->result == AT_OK;
    snprintf(answer->line, sizeof answer->line, "%s", reply->line_count ? reply->lines[0] : "");
    snprintf(answer->text, sizeof answer->text, "%s", reply->text);
}

static bool is_answered(void *user)
{
    return ((const struct answer *)user)->is_done;
}

/* false: no OK; then `text` says what came. */
static bool ask(struct examination *at, const char *command, struct answer *ret_answer)
{
    struct at_command question = {.text = command, .on_done = on_reply, .user = &at->pending};
    struct error error = ERROR_INIT;
    *ret_answer = (struct answer){.text = "interrupted"};
    if (waiting_signal(at->options->waiting))
        return false;
    at->pending = (struct answer){.is_done = false};
    /* The command's own time limit ends it long before. */
    if (at_send(dk_at(modem_link_dk(at->link)), &question, &error) ||
        waiting_until(at->options->waiting, is_answered, &at->pending, deadline_in_ms(&clock_system, 4 * DOCTOR_ASK_MS), command, &error)) {
        snprintf(ret_answer->text, sizeof ret_answer->text, "%s", error.text);
        return false;
    }
    *ret_answer = at->pending;
    return ret_answer->is_ok;
}

static void tell_unanswered(const struct examination *at, enum doctor_check check, const char *command, const struct answer *answer)
{
    checkup_add(at->checkup, check, at->device->id, DOCTOR_NOT_CHECKED, NULL, "the firmware does not answer %s: %s", command, answer->text);
}

static void check_imei(const struct examination *at, const struct dk_identity *identity)
{
    const char *wanted = at->device->imei;
    if (wanted && strcmp(wanted, identity->imei) != 0)
        checkup_add(at->checkup, CHECK_IMEI, at->device->id, DOCTOR_BAD, "is it another board? Correct `serial` or `imei` in the rig file",
                    "IMEI %s answers, the rig file says %s", *identity->imei ? identity->imei : "(none)", wanted);
    else if (!*identity->imei)
        add_plain(at, CHECK_IMEI, DOCTOR_WARNING, NULL, "the modem has no IMEI: it has not been through production");
    else if (!wanted)
        checkup_add(at->checkup, CHECK_IMEI, at->device->id, DOCTOR_OK, "put `imei` into the rig file: another board is noticed then",
                    "IMEI %s; the rig file names none", identity->imei);
    else
        checkup_add(at->checkup, CHECK_IMEI, at->device->id, DOCTOR_OK, NULL, "IMEI %s", identity->imei);
}

/* "mfw_nrf9160_1.3.5": the number behind the last underscore, as one. */
static int firmware_number(const char *firmware)
{
    const char *version = strrchr(firmware, '_');
    int major_number = 0, minor_number = 0, patch = 0;
    if (!version || sscanf(version, "_%3d.%3d.%3d", &major_number, &minor_number, &patch) != 3)
        return 0;
    return major_number * 1000000 + minor_number * 1000 + patch;
}

static void check_firmware(const struct examination *at, const struct dk_identity *identity)
{
    enum { WITH_KEYGEN = 1003000, WITH_HASHES = 1003002 };
    int number = firmware_number(identity->firmware);
    if (strncmp(identity->firmware, "mfw_", 4) != 0 || number == 0)
        checkup_add(at->checkup, CHECK_FIRMWARE, at->device->id, DOCTOR_WARNING, "is it an nRF91?",
                    "'%s' is no modem firmware that is known", identity->firmware);
    else if (number < WITH_HASHES)
        checkup_add(at->checkup, CHECK_FIRMWARE, at->device->id, DOCTOR_WARNING,
                    "update the modem firmware: nrfutil device program --firmware mfw_....zip", "%s %s", identity->firmware,
                    number < WITH_KEYGEN ? "has neither AT%KEYGEN nor hashes of credentials"
                                         : "lists no hashes of credentials: what the modem holds cannot be compared");
    else
        checkup_add(at->checkup, CHECK_FIRMWARE, at->device->id, DOCTOR_OK, NULL, "%s, %s", identity->model, identity->firmware);
}

static void check_cfun(const struct examination *at, int cfun)
{
    if (cfun == DK_CFUN_UNKNOWN)
        add_plain(at, CHECK_CFUN, DOCTOR_NOT_CHECKED, NULL, "the firmware does not answer AT+CFUN?");
    else if (cfun == 1 || cfun == 21)
        checkup_add(at->checkup, CHECK_CFUN, at->device->id, DOCTOR_OK, NULL, "%d: the modem is on", cfun);
    else
        checkup_add(at->checkup, CHECK_CFUN, at->device->id, DOCTOR_WARNING,
                    "does the firmware switch the modem on when it boots? A run resets the board first; by hand: AT+CFUN=1",
                    "%d: the modem is not on, so the device is in no network", cfun);
}

static void check_sim_card(struct examination *at)
{
    struct answer sim, pin;
    bool has_sim = ask(at, "AT%XSIM?", &sim);
    if (has_sim && strncmp(sim.line, "%XSIM: 1", 8) != 0) {
        /* Before the modem is on nobody looks at the card. */
        bool is_failure = strchr(sim.line, ',') != NULL;
        add_plain(at, CHECK_SIM_CARD, is_failure ? DOCTOR_BAD : DOCTOR_NOT_CHECKED,
                  is_failure ? "put a SIM card in, the right way round" : NULL,
                  is_failure ? "the modem finds no SIM card" : "the modem has not initialised the card: it is not on");
        return;
    }
    if (!ask(at, "AT+CPIN?", &pin))
        tell_unanswered(at, CHECK_SIM_CARD, "AT+CPIN?", &pin);
    else if (strcmp(pin.line, "+CPIN: READY") != 0)
        checkup_add(at->checkup, CHECK_SIM_CARD, at->device->id, DOCTOR_BAD, "AT+CPIN=\"...\", or remove the PIN with a telephone",
                    "the SIM card wants something: %s", pin.line);
    else
        add_plain(at, CHECK_SIM_CARD, DOCTOR_OK, NULL, "the SIM card is ready");
}

/* 3GPP TS 27.007, +CEREG; 90 is Nordic's: UICC failure. */
static const struct {
    int status;
    enum doctor_result result;
    const char *text;
    const char *mend;
} registrations[] = {
    {0, DOCTOR_WARNING, "not registered, and not searching", "AT+CFUN=1, or a reset of the board"},
    {1, DOCTOR_OK, "registered, home network", NULL},
    {2, DOCTOR_WARNING, "searching for a network", "wait; then: antenna, coverage, LTE-M or NB-IoT as the network has it (AT%XSYSTEMMODE)"},
    {3, DOCTOR_BAD, "the network denies registration", "is the SIM card activated, and for LTE-M or NB-IoT?"},
    {4, DOCTOR_WARNING, "unknown, out of coverage perhaps", "antenna and coverage"},
    {5, DOCTOR_OK, "registered, roaming", NULL},
    {90, DOCTOR_BAD, "not registered: the SIM card fails", "put a SIM card in, the right way round"},
};

/* Returns whether it is registered. */
static bool check_registration(struct examination *at)
{
    struct answer answer;
    int status = -1;
    if (!ask(at, "AT+CEREG?", &answer) || sscanf(answer.line, "+CEREG: %*d,%3d", &status) != 1) {
        tell_unanswered(at, CHECK_REGISTRATION, "AT+CEREG?", &answer);
        return false;
    }
    for (size_t i = 0; i < ARRAY_COUNT(registrations); i++)
        if (registrations[i].status == status) {
            add_plain(at, CHECK_REGISTRATION, registrations[i].result, registrations[i].mend, registrations[i].text);
            return status == 1 || status == 5;
        }
    checkup_add(at->checkup, CHECK_REGISTRATION, at->device->id, DOCTOR_WARNING, NULL, "state %d", status);
    return false;
}

static bool has_said_so(void *user)
{
    return ((const struct examination *)user)->has_reset_loop;
}

/* The modem says it once, when it is switched on; there is no command that asks. */
static void restart_modem(struct examination *at)
{
    struct answer answer;
    ask(at, "AT%MDMEV=1", &answer);
    ask(at, "AT+CFUN=4", &answer);
    ask(at, "AT+CFUN=1", &answer);
    waiting_until(at->options->waiting, has_said_so, at, deadline_in_ms(&clock_system, DOCTOR_MODEM_MS), "a reset loop", NULL);
}

static void check_reset_loop(struct examination *at, bool is_registered)
{
    if (at->has_reset_loop)
        add_plain(at, CHECK_RESET_LOOP, DOCTOR_BAD,
                  "leave it on for 30 minutes; then reset it less often, and with AT+CFUN=0 before (Nordic nWP042)",
                  "the modem restricts attaching: it was reset too often without AT+CFUN=0");
    else if (is_registered)
        add_plain(at, CHECK_RESET_LOOP, DOCTOR_OK, NULL, "it is registered, so attaching is not restricted");
    else if (at->options->may_restart_modem)
        add_plain(at, CHECK_RESET_LOOP, DOCTOR_OK, NULL, "switched on anew, the modem did not announce a restriction");
    else
        add_plain(at, CHECK_RESET_LOOP, DOCTOR_NOT_CHECKED, "dpsbench doctor --restart-modem",
                  "the modem announces it only when it is switched on (%MDMEV: RESET LOOP)");
}

static void check_modem(struct examination *at)
{
    const struct dk_identity *identity = modem_link_identity(at->link);
    add_plain(at, CHECK_FREE, DOCTOR_OK, NULL, "nobody else holds it");
    add_plain(at, CHECK_AT, DOCTOR_OK, NULL, "AT commands are answered");
    check_imei(at, identity);
    check_firmware(at, identity);
    check_cfun(at, identity->cfun);
    if (at->options->may_restart_modem)
        restart_modem(at);
    check_sim_card(at);
    bool is_registered = check_registration(at);
    waiting_settle(at->options->waiting, LISTEN_MS, NULL);
    check_reset_loop(at, is_registered);
}

/* ---- hooks ---- */

/* A tool that is not installed would be found out by the first row that needs it, in the night. */
static bool has_programs(const struct examination *at)
{
    bool has_all = true;
    for (enum rig_hook hook = 0; hook < RIG_HOOK_COUNT; hook++) {
        const struct rig_command *command = &at->device->hooks[hook];
        if (!command->argv[0] || hook_program_is_there(command))
            continue;
        has_all = false;
        checkup_add(at->checkup, CHECK_HOOKS, at->device->id, DOCTOR_BAD, "install it for this user, or give its path in the rig file",
                    "hook `%s`: there is no program '%s' here", rig_hook_name(hook), command->argv[0]);
    }
    return has_all;
}

static void check_hooks(const struct examination *at)
{
    const struct rig_device *device = at->device;
    bool has_all = has_programs(at);
    if (!rig_device_offers(device, "reset"))
        add_plain(at, CHECK_HOOKS, DOCTOR_BAD, "hooks: {reset: {preset: nrfutil}}; docs/rig.md",
                  "there is no hook that resets it: no row can start");
    else if (!rig_device_offers(device, "chip-erase"))
        add_plain(at, CHECK_HOOKS, DOCTOR_WARNING, "hooks: {chip_erase: {preset: nrfutil, file: FIRMWARE.hex}}; docs/rig.md",
                  "there is no hook `chip_erase`: rows that need a device without an assignment are skipped");
    else if (has_all)
        add_plain(at, CHECK_HOOKS, DOCTOR_OK, NULL, "it can be reset, and be made to forget its assignment");
}

int doctor_check_device(const struct doctor_options *options, const struct rig_device *device, struct checkup *checkup, struct error *error)
{
    struct examination at = {.options = options, .device = device, .checkup = checkup};
    struct error reason = ERROR_INIT;
    if (!device->serial) {
        checkup_add(checkup, CHECK_PORT, device->id, DOCTOR_NOT_CHECKED, NULL, "it has no port before a run starts it");
        return 0;
    }
    check_hooks(&at);
    check_modem_manager(&at);
    if (!check_port(&at))
        return 0;
    int failed = open_link(&at, &reason);
    if (failed)
        tell_no_contact(&at, &reason);
    else
        check_modem(&at);
    modem_link_close(at.link);
    /* Its handles close on the loop. */
    waiting_settle(options->waiting, 1, NULL);
    return waiting_signal(options->waiting) ? error_set(error, ERROR_OWNER_PERSON, ERROR_INTERRUPTED, "interrupted") : 0;
}
