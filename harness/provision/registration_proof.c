#include "harness/provision/registration_proof.h"

#include "base/cleanup.h"
#include "base/event.h"
#include "harness/control/control.h"
#include "harness/rig/hook.h"

#include <string.h>
#include <strings.h>

enum { BOOT_MS = 60000, REASON_MAX_BYTES = 700, NAME_MAX_BYTES = 256 };

struct proving {
    const struct proof_options *options;
    struct control *control;
    bool is_watching; /* from the reset on: before it, the device is in flight mode, or runs with what it had */
    bool has_booted;
    struct error boot_error;
    const char *kind; /* "assigned", "hub"; NULL: not yet */
    char hub[NAME_MAX_BYTES];
    char device_id[NAME_MAX_BYTES];
    bool is_refused;
    bool is_refused_by_hub;
    char reason[REASON_MAX_BYTES];
    bool is_lost;
};

/* ---- what the simulator says ---- */

static void take_assigned(struct proving *proving, const char *kind, const cJSON *data, const char *hub)
{
    if (proving->kind)
        return;
    proving->kind = kind;
    snprintf(proving->hub, sizeof proving->hub, "%s", json_string(data, hub, ""));
    snprintf(proving->device_id, sizeof proving->device_id, "%s", json_string(data, "device_id", ""));
}

static void take_refusal(struct proving *proving, const cJSON *data, bool is_of_hub)
{
    const cJSON *rules = json_member(data, "rules"), *rule = rules ? cJSON_GetArrayItem(rules, 0) : NULL;
    const char *name = json_string(data, "rule", "refused"), *candidate;
    const cJSON *each;
    cJSON_ArrayForEach(each, rules)
    {
        candidate = json_string(each, "id", "");
        rule = strcmp(candidate, name) == 0 ? each : rule;
    }
    const char *text = json_string(rule ? rule : data, "text", ""), *mend = json_string(rule ? rule : data, "mend", "");
    proving->is_refused = true;
    proving->is_refused_by_hub = is_of_hub;
    snprintf(proving->reason, sizeof proving->reason, "%s: %s%s%s", name, text, *mend ? "; " : "", mend);
}

static void on_event(void *user, const cJSON *event)
{
    struct proving *proving = user;
    const cJSON *data = json_member(event, "data");
    const char *kind = json_string(event, "kind", ""), *id = json_string(event, "registration_id", json_string(data, "device_id", ""));
    if (!data || !proving->is_watching || strcasecmp(id, proving->options->registration_id) != 0)
        return;
    const char *verdict = json_string(data, "verdict", "");
    if (strcmp(kind, "dps.assigned") == 0)
        take_assigned(proving, "assigned", data, "assigned_hub");
    else if (strcmp(kind, "hub.verdict") == 0 && strcmp(verdict, "accepted") == 0)
        take_assigned(proving, "hub", data, "hub");
    else if ((strcmp(kind, "attestation.verdict") == 0 || strcmp(kind, "hub.verdict") == 0) && strcmp(verdict, "accepted") != 0)
        take_refusal(proving, data, strcmp(kind, "hub.verdict") == 0);
}

static void on_lost(void *user, const char *reason)
{
    struct proving *proving = user;
    proving->is_lost = true;
    snprintf(proving->reason, sizeof proving->reason, "the connection to the simulator was lost: %s", reason);
}

static int open_control(struct proving *proving, struct error *error)
{
    char name[48];
    snprintf(name, sizeof name, "provision-%d", (int)getpid());
    const struct control_options options = {.waiting = proving->options->waiting,
                                            .ready = proving->options->ready,
                                            .name = name,
                                            .wants_events = true,
                                            .deadline = deadline_in_ms(&clock_system, CONTROL_DEADLINE_MS),
                                            .callbacks = {.user = proving, .on_event = on_event, .on_lost = on_lost}};
    return control_open(&options, &proving->control, error);
}

/* ---- the reset ---- */

static void on_boot(void *user, const char *banner, const struct error *error)
{
    struct proving *proving = user;
    (void)banner;
    proving->has_booted = true;
    if (error)
        proving->boot_error = *error;
}

static bool has_booted(void *user)
{
    return ((struct proving *)user)->has_booted;
}

static int run_reset(const struct proof_options *options, struct error *error)
{
    CLEANUP_FREE char *device = NULL, *port = NULL, *name = NULL;
    if (asprintf(&name, "DPSBENCH_HOOK=%s", rig_hook_name(options->hook)) < 0 ||
        asprintf(&device, "DPSBENCH_DEVICE=%s", options->device->id) < 0 ||
        asprintf(&port, "DPSBENCH_PORT=%s", options->device->serial) < 0)
        return error_set_memory(error);
    const char *const environment[] = {name, device, port, NULL};
    const struct hook_options hook = {.command = &options->device->hooks[options->hook],
                                      .name = rig_hook_name(options->hook),
                                      .log_path = options->log_path,
                                      .waiting = options->waiting,
                                      .environment = environment};
    return hook_run(&hook, error);
}

static int reset(struct proving *proving, struct error *error)
{
    const struct proof_options *options = proving->options;
    struct dk *dk = modem_link_dk(options->link);
    deadline_t deadline = deadline_in_ms(&clock_system, BOOT_MS + options->device->hooks[options->hook].timeout_ms);
    if (dk_expect_boot(dk, deadline, on_boot, proving, error))
        return -1;
    modem_link_forget_mode(options->link);
    proving->is_watching = true;
    if (run_reset(options, error) ||
        waiting_until(options->waiting, has_booted, proving, deadline_in_ms(&clock_system, 2 * BOOT_MS), "the boot of the device", error)) {
        dk_expect_no_boot(dk);
        return -1;
    }
    if (proving->boot_error.code)
        return error_set(error, proving->boot_error.owner, proving->boot_error.code, "%s", proving->boot_error.text);
    return 0;
}

/* ---- the verdict ---- */

static bool is_decided(void *user)
{
    const struct proving *proving = user;
    return proving->kind || proving->is_refused || proving->is_lost || dk_is_at_rest(modem_link_dk(proving->options->link));
}

static int explain(const struct proving *proving, struct error *error)
{
    const char *id = proving->options->registration_id;
    if (proving->is_lost)
        return error_set(error, ERROR_OWNER_RIG, ERROR_IO, "%s", proving->reason);
    if (proving->is_refused)
        return error_set(error, ERROR_OWNER_DEVICE, ERROR_REFUSED, "the simulator refused '%s': %s%s", id, proving->reason,
                         proving->is_refused_by_hub
                             ? "; the device went to its hub without registering: it has an assignment from before; a hook "
                               "`chip_erase` in the rig file makes it forget that"
                             : "");
    return error_set(
        error, ERROR_OWNER_DEVICE, ERROR_REFUSED,
        "the device gave up, and the simulator saw no registration of '%s': does its firmware use this id, the simulator's host "
        "name and this sec tag?",
        id);
}

static int await_verdict(struct proving *proving, struct error *error)
{
    const struct proof_options *options = proving->options;
    if (waiting_until(options->waiting, is_decided, proving, deadline_in_ms(&clock_system, options->timeout_ms),
                      "the device's registration at the simulator", error))
        return -1;
    /* The device may be at rest before the event has travelled. */
    uint64_t missing = 0;
    if (!proving->kind && !proving->is_lost &&
        control_sync(proving->control, deadline_in_ms(&clock_system, CONTROL_DEADLINE_MS), &missing, error))
        return -1;
    return proving->kind ? 0 : explain(proving, error);
}

static cJSON *proof_json(const struct proving *proving)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (!json || json_set_string(json, "kind", proving->kind) || json_set_string(json, "hub", proving->hub) ||
        json_set_string(json, "device_id", proving->device_id) || json_set_integer(json, "unix_s", clock_unix_s(&clock_system)))
        return NULL;
    return TAKE(json);
}

static int prove(struct proving *proving, cJSON **ret_proof, struct error *error)
{
    if (open_control(proving, error) || reset(proving, error) || await_verdict(proving, error))
        return -1;
    *ret_proof = proof_json(proving);
    return *ret_proof ? 0 : error_set_memory(error);
}

int registration_prove(const struct proof_options *options, cJSON **ret_proof, struct error *error)
{
    struct proving proving = {.options = options, .boot_error = ERROR_INIT};
    int rc = prove(&proving, ret_proof, error);
    control_close(proving.control);
    return rc;
}
