#include "harness/run/attempt.h"

#include "base/cleanup.h"
#include "base/files.h"
#include "harness/credentials/credential_set.h"
#include "harness/plan/device_plan.h"
#include "harness/run/evidence.h"
#include "harness/run/exec_client.h"
#include "harness/run/service_state.h"
#include "harness/run/start.h"
#include "harness/run/wear.h"

#include <string.h>

/* ENDED: real time, for what a program that is gone left on its way through the simulator. */
enum { ENDED_MS = 1000, SETTLE_DEVICE_MS = 2000, SETTLE_MIN_MS = 50, CHAIN_MAX_BYTES = 64 * 1024, CLOCK_STEP_US = 2 * 1000 * 1000 };

/* Device seconds: a first search of all bands takes minutes; a modem that one network denied tries the next. */
enum { ATTACH_MAX_S = 300, DENIED_GRACE_S = 30 };

/* ---- whose fault ---- */

/* Silence is the cable's or the firmware's fault as long as nothing has worked; afterwards it is the device's. */
static enum verdict verdict_of(const struct bench *bench, const struct error *error)
{
    bool is_silence = error->code == ERROR_TIMEOUT && error->owner == ERROR_OWNER_DEVICE;
    if (is_silence && !bench->is_known_good)
        return VERDICT_INCONCLUSIVE;
    return verdict_of_owner(error->owner);
}

void attempt_blame(const struct bench *bench, const struct error *error, struct result_row *result)
{
    result->verdict = verdict_worse(result->verdict, verdict_of(bench, error));
    if (!result->reason.text)
        result_set(&result->reason.text, error->text);
}

/* ---- what the server shows ---- */

static bool is_same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static int configure_lane(struct bench *bench, const struct case_row *row, struct error *error)
{
    if (is_same(bench->lane_server_recipe, row->server_recipe))
        return 0;
    const char *text = row->server_recipe ? recipe_builtin_text(row->server_recipe) : NULL;
    CLEANUP_JSON cJSON *result = NULL, *params = cJSON_CreateObject();
    if (!params || json_set_string(params, "lease", bench->lease) ||
        json_set(params, "server_recipe", text ? cJSON_CreateString(text) : cJSON_CreateNull()))
        return error_set_memory(error);
    if (bench_call(bench, "lane.configure", TAKE(params), &result, error))
        return -1;
    result_set(&bench->lane_root_ca, json_string(result, "root_ca", ""));
    result_set(&bench->lane_chain, json_string(result, "chain", ""));
    result_set(&bench->lane_server_recipe, row->server_recipe);
    return 0;
}

static int renew_lease(struct bench *bench, const struct case_row *row, struct error *error)
{
    int64_t budget_s = clock_scaled_ms((row->budget_s + ATTACH_MAX_S) * 1000, bench->time_scale) / 1000;
    /* A power cycle is two hooks; and one runs after this row, one before the next. */
    int64_t hooks_s = 2 * rig_hooks_longest_ms(bench->device) / 1000 * ((int64_t)row->step_count + 1);
    int64_t ttl_s = budget_s + hooks_s + BENCH_LEASE_MARGIN_S;
    CLEANUP_JSON cJSON *params = cJSON_CreateObject();
    if (!params || json_set_string(params, "lease", bench->lease) ||
        json_set_integer(params, "ttl_s", ttl_s < BENCH_LEASE_MAX_S ? ttl_s : BENCH_LEASE_MAX_S))
        return error_set_memory(error);
    return bench_call(bench, "lease.renew", TAKE(params), NULL, error);
}

/* ---- credentials ---- */

static int forge(struct bench *bench, const struct case_row *row, const struct pki **ret_pki, struct error *error)
{
    const struct forge_variables variables = {.registration_id = bench->device->registration_id, .dps_host = bench->device->dps_host};
    return pki_store_get(bench->pkis, row->credentials.recipe, &variables, bench->clock, bench->keys, ret_pki, error);
}

static int want_root(struct bench *bench, const struct case_credentials *credentials, const struct pki *pki, struct credential_set *set,
                     struct error *error)
{
    CLEANUP(bytes_done) struct bytes pem = {.max_bytes = CHAIN_MAX_BYTES};
    const char *const members[] = {credentials->root_ca_member, NULL};
    switch (credentials->root_ca) {
    case CASE_ROOT_NONE:
        return 0;
    case CASE_ROOT_LANE:
        return credential_set_put(set, CREDENTIAL_ROOT_CA, bench->lane_root_ca, strlen(bench->lane_root_ca), error);
    case CASE_ROOT_MEMBER:
        break;
    }
    if (pki_append_pem(pki, members, &pem, error))
        return -1;
    return credential_set_put(set, CREDENTIAL_ROOT_CA, bytes_text(&pem), pem.length_bytes, error);
}

static int want_chain(const struct case_credentials *credentials, const struct pki *pki, struct credential_set *set, struct error *error)
{
    CLEANUP(bytes_done) struct bytes pem = {.max_bytes = CHAIN_MAX_BYTES};
    if (credentials->client_cert.count == 0)
        return 0;
    if (pki_append_pem(pki, (const char *const *)credentials->client_cert.items, &pem, error))
        return -1;
    return credential_set_put(set, CREDENTIAL_CLIENT_CERT, bytes_text(&pem), pem.length_bytes, error);
}

static int want_key(const struct case_credentials *credentials, const struct pki *pki, struct credential_set *set, struct error *error)
{
    CLEANUP(bytes_wipe) struct bytes pem = {0};
    if (!credentials->client_key)
        return 0;
    if (pki_key_pem(pki, credentials->client_key, &pem, error))
        return -1;
    return credential_set_put(set, CREDENTIAL_CLIENT_KEY, bytes_text(&pem), pem.length_bytes, error);
}

struct applied {
    bool is_done;
    struct credential_result result;
    struct error error;
};

static void on_applied(void *user, const struct credential_result *result, const struct error *error)
{
    struct applied *applied = user;
    applied->is_done = true;
    applied->result = *result;
    if (error)
        applied->error = *error;
}

static bool is_applied(void *user)
{
    return ((struct applied *)user)->is_done;
}

static int apply_credentials(struct bench *bench, const struct credential_set *set, int64_t *ret_writes, struct error *error)
{
    struct applied applied = {.error = ERROR_INIT};
    if (credential_apply(dk_at(bench->dk), set, on_applied, &applied, error))
        return -1;
    if (waiting_until(bench->waiting, is_applied, &applied, deadline_in_ms(bench->clock, BENCH_AT_MS), "the device to take its credentials",
                      error)) {
        /* Its callback must not find our stack gone. */
        dk_close(TAKE(bench->dk));
        return -1;
    }
    wear_count(bench, set->sec_tag, &applied.result);
    for (int i = 0; i < CREDENTIAL_TYPE_COUNT; i++)
        *ret_writes += applied.result.actions[i] == CREDENTIAL_WRITTEN || applied.result.actions[i] == CREDENTIAL_DELETED;
    if (!applied.error.code)
        return 0;
    /* A modem that refuses credentials (a full store, a low supply), or holds others, keeps the row from being tried: nothing is said about the firmware. */
    bool was_not_tried = applied.error.code == ERROR_REFUSED || applied.error.code == ERROR_CONFLICT;
    enum error_owner owner = was_not_tried ? ERROR_OWNER_RIG : applied.error.owner;
    return error_set(error, owner, applied.error.code, "%s", applied.error.text);
}

static int keep_evidence(struct bench *bench, const struct case_row *row, const struct pki *pki, const struct credential_set *set,
                         struct result_row *result, struct error *error)
{
    CLEANUP_FREE char *folder = evidence_folder(bench, row->id);
    if (!folder)
        return error_set_memory(error);
    struct error unwritten = ERROR_INIT;
    if (evidence_write(bench, folder, pki, set, &unwritten)) {
        bench_report_unwritten(bench, &unwritten);
        return error_set(error, unwritten.owner, unwritten.code, "%s", unwritten.text);
    }
    result_set(&result->certificates, folder);
    return 0;
}

static int write_credentials(struct bench *bench, const struct case_row *row, const struct pki *pki, struct result_row *result,
                             struct error *error)
{
    CLEANUP(credential_set_done) struct credential_set set;
    credential_set_init(&set, bench->device->sec_tag);
    if (want_root(bench, &row->credentials, pki, &set, error) || want_chain(&row->credentials, pki, &set, error) ||
        want_key(&row->credentials, pki, &set, error) || keep_evidence(bench, row, pki, &set, result, error))
        return -1;
    if (bench->program)
        return exec_client_write(bench, &set, error);
    return apply_credentials(bench, &set, &result->credential_writes, error);
}

/* ---- the start ---- */

/* The watch begins with the last step: what the device does before it belongs to nobody. */
static int start(struct bench *bench, const struct case_row *row, struct watch *watch, struct error *error)
{
    uint64_t missing;
    for (size_t i = 0; i + 1 < row->step_count; i++)
        if (start_step(bench, row->steps[i], error) || (bench->program && exec_client_let_run(bench, error)))
            return -1;
    /* A device that is still busy with the row before may have had its faults. */
    if (service_state_set_scenario(bench, row, error) ||
        control_sync(bench->control, deadline_in_ms(bench->clock, BENCH_CALL_MS), &missing, error))
        return -1;
    bench->first_session = bench->last_session;
    bench->has_booted = false;
    bench->has_skipped_dps = false;
    bench->network = (struct network_state){0};
    if (bench->dk)
        dk_forget_fault(bench->dk);
    bench->watch = watch;
    return start_step(bench, row->steps[row->step_count - 1], error);
}

/* ---- the watch ---- */

struct observation {
    struct bench *bench;
    struct watch *watch;
    uint64_t unexpected_boots;
    int64_t start_us;
    int64_t budget_us; /* real time */
    deadline_t rest;   /* a little after the device came to rest; {0}: it has not */
    char told[WATCH_TEXT_BYTES];
};

static bool is_broken(const struct observation *observation)
{
    const struct bench *bench = observation->bench;
    if (bench->program)
        return exec_device_has_crashed(bench->program);
    return dk_has_fault(bench->dk) || dk_unexpected_boot_count(bench->dk) > observation->unexpected_boots;
}

/* At rest the device does nothing more; what is on its way to us may still come. */
static bool is_rest_over(struct observation *observation)
{
    struct bench *bench = observation->bench;
    if (!(bench->program ? exec_device_is_at_rest(bench->program) : dk_is_at_rest(bench->dk)))
        return false;
    if (observation->rest.at_us == 0)
        observation->rest = deadline_in_ms(bench->clock, bench->program && exec_device_end(bench->program) ? ENDED_MS : BENCH_WORK_MS);
    return watch_is_met(observation->watch) || deadline_has_passed(bench->clock, observation->rest);
}

/* Only when it changed: this is asked at every turn of the loop. */
static void tell_progress(struct observation *observation)
{
    char text[WATCH_TEXT_BYTES];
    watch_progress(observation->watch, text);
    if (strcmp(text, observation->told) == 0)
        return;
    memcpy(observation->told, text, sizeof text);
    progress_step(observation->bench->progress, "watching: %s", text);
}

/* ---- the network ---- */

static int64_t scaled_us(const struct bench *bench, int64_t seconds)
{
    return clock_scaled_ms(seconds * 1000, bench->time_scale) * 1000;
}

/* Who connects has a network, whatever its console told or lost. */
static bool has_network(const struct bench *bench)
{
    return bench->network.up_us || bench->last_session > bench->first_session;
}

/* The budget is for what the firmware does: it runs from the registration in the network on, where the device tells of it. */
static bool is_budget_over(const struct observation *observation, int64_t now_us)
{
    const struct network_state *network = &observation->bench->network;
    int64_t from_us = network->up_us > observation->start_us ? network->up_us : observation->start_us;
    int64_t limit_us = observation->budget_us;
    if (network->is_searching && !has_network(observation->bench))
        limit_us = scaled_us(observation->bench, ATTACH_MAX_S);
    return now_us - from_us >= limit_us;
}

/* Denied may be one network of several; the other troubles do not pass. */
static bool is_network_hopeless(const struct observation *observation, int64_t now_us)
{
    const struct network_state *network = &observation->bench->network;
    if (network->trouble == NETWORK_FINE || has_network(observation->bench))
        return false;
    return network->trouble != NETWORK_DENIED || now_us - network->trouble_us >= scaled_us(observation->bench, DENIED_GRACE_S);
}

static void on_registration(void *user, const struct at_reply *reply)
{
    struct bench *bench = user;
    bench->is_network_asked = false;
    for (size_t i = 0; reply->result == AT_OK && i < reply->line_count; i++)
        network_state_answer(&bench->network, reply->lines[i], clock_mono_us(bench->clock));
}

static bool is_network_told(void *user)
{
    return !((struct bench *)user)->is_network_asked;
}

/* No notification came, as on a shell. Without an answer nothing is known. */
static void ask_network(struct bench *bench)
{
    struct error error = ERROR_INIT;
    const struct at_command question = {.text = "AT+CEREG?", .on_done = on_registration, .user = bench};
    if (!bench->dk || bench->is_network_asked || at_send(dk_at(bench->dk), &question, &error))
        return;
    bench->is_network_asked = true;
    waiting_until(bench->waiting, is_network_told, bench, deadline_in_ms(bench->clock, BENCH_WORK_MS), "AT+CEREG?", &error);
}

/* A device without a network did nothing that could be judged. */
static int check_network(struct bench *bench, const struct watch *watch, struct error *error)
{
    const struct network_state *network = &bench->network;
    if (has_network(bench))
        return 0;
    if (network->trouble == NETWORK_FINE && !network->is_searching && !watch_is_met(watch))
        ask_network(bench);
    if (network->trouble != NETWORK_FINE)
        return error_set(error, ERROR_OWNER_RIG, ERROR_IO, "%s: %s", bench->device->id, network_trouble_text(network->trouble));
    if (network->is_searching)
        return error_set(
            error, ERROR_OWNER_RIG, ERROR_TIMEOUT,
            "%s: not registered in the network, it is still searching: is there coverage, and is the antenna connected? AT+CESQ says "
            "what the modem hears",
            bench->device->id);
    return 0;
}

/* ---- the watch, until it is over ---- */

static bool is_over(void *user)
{
    struct observation *observation = user;
    struct bench *bench = observation->bench;
    int64_t now_us = clock_mono_us(bench->clock);
    tell_progress(observation);
    if (watch_is_violated(observation->watch) || is_broken(observation) || bench_check(bench, NULL) || is_rest_over(observation) ||
        watch_is_overdue(observation->watch, now_us) || is_network_hopeless(observation, now_us))
        return true;
    /* A device that never comes to rest (it tries again and again) has its whole budget to do what it must never do, and no more. */
    if (watch_is_met(observation->watch))
        return is_budget_over(observation, now_us);
    return is_budget_over(observation, now_us - BENCH_WORK_MS * 1000);
}

static int64_t settle_ms(const struct bench *bench)
{
    int64_t ms = clock_scaled_ms(SETTLE_DEVICE_MS, bench->time_scale);
    return ms < SETTLE_MIN_MS ? SETTLE_MIN_MS : ms;
}

static int tell_broken(const struct bench *bench, struct error *error)
{
    enum error_owner owner = bench->is_known_good ? ERROR_OWNER_DEVICE : ERROR_OWNER_RIG;
    if (bench->program)
        return error_set(error, owner, ERROR_BAD_PATTERN, "the program crashed: %s", exec_device_end(bench->program));
    if (dk_fault(bench->dk))
        return error_set(error, owner, ERROR_BAD_PATTERN, "the device dumped a fault: %s", dk_fault(bench->dk));
    return error_set(error, owner, ERROR_BAD_PATTERN, "the device booted without being asked to");
}

static int observe(struct bench *bench, const struct case_row *row, struct watch *watch, struct error *error)
{
    struct observation observation = {
        .bench = bench,
        .watch = watch,
        .unexpected_boots = bench->dk ? dk_unexpected_boot_count(bench->dk) : 0,
        .start_us = clock_mono_us(bench->clock),
        .budget_us = scaled_us(bench, row->budget_s),
    };
    struct error late = ERROR_INIT;
    /* The end of the budget is no error: the judge says what is missing. */
    if (waiting_until(bench->waiting, is_over, &observation, bench_device_deadline(bench, (row->budget_s + ATTACH_MAX_S) * 1000),
                      "the device", &late) &&
        late.code == ERROR_INTERRUPTED)
        return error_set(error, late.owner, late.code, "%s", late.text);
    if (waiting_settle(bench->waiting, settle_ms(bench), error) || bench_check(bench, error))
        return -1;
    if (is_broken(&observation))
        return tell_broken(bench, error);
    return watch_is_violated(watch) ? 0 : check_network(bench, watch, error);
}

/* ---- the row ---- */

static int prepare(struct bench *bench, const struct case_row *row, const struct pki **ret_pki, struct result_row *result,
                   struct error *error)
{
    progress_step(bench->progress, "preparing the service");
    if (renew_lease(bench, row, error) || configure_lane(bench, row, error) || forge(bench, row, ret_pki, error) ||
        service_state_put(bench, row, *ret_pki, error))
        return -1;
    progress_step(bench->progress, "writing credentials");
    return write_credentials(bench, row, *ret_pki, result, error);
}

/* A device that goes straight to its hub was not in the state that the row begins with: that is nobody's fault but the rig's. */
static int check_fresh(const struct bench *bench, const struct case_row *row, struct error *error)
{
    static const char *const advice[] = {
        [FORGET_NOT] = "nothing in the rig can make it forget",
        [FORGET_AT_BOOT] = "its fixture says that each boot forgets: the application is not built so",
        [FORGET_ERASE] = "the chip_erase hook left it there",
    };
    if (!row_needs_fresh(row) || !bench->has_skipped_dps)
        return 0;
    return error_set(error, ERROR_OWNER_RIG, ERROR_CONFLICT,
                     "the device had an assignment stored and skipped DPS; %s (docs/rig.md, \"The stored assignment\")",
                     advice[forget_way_of(bench->device)]);
}

static int run_row(struct bench *bench, const struct case_row *row, struct watch *watch, struct result_row *result, struct error *error)
{
    const struct pki *pki = NULL;
    uint64_t missing_before = control_missing_events(bench->control), missing = 0;
    if (!bench->dk && !bench->program)
        return error_set(error, ERROR_OWNER_RIG, ERROR_IO, "the device was given up after an earlier row");
    if (bench_check(bench, error) || prepare(bench, row, &pki, result, error))
        return -1;
    progress_step(bench->progress, "starting the device");
    if (start(bench, row, watch, error) || observe(bench, row, watch, error) ||
        control_sync(bench->control, deadline_in_ms(bench->clock, BENCH_CALL_MS), &missing, error))
        return -1;
    if (missing > missing_before)
        return error_set(error, ERROR_OWNER_RIG, ERROR_PROTOCOL, "%llu events of the simulator were lost: nobody knows all that happened",
                         (unsigned long long)(missing - missing_before));
    if (bench->program && exec_client_check_contact(bench, watch, error))
        return -1;
    return bench_check(bench, error) || check_fresh(bench, row, error) ? -1 : 0;
}

/* The service names its state folder in its advice; that of a simulator of our own is gone when somebody reads it. */
static void hide_state_folder(const struct bench *bench, char **text)
{
    CLEANUP_FREE char *private_path = bench->is_simulator_ours ? bench_private_path(bench, "simulator") : NULL;
    CLEANUP_FREE char *state = private_path ? path_absolute(private_path) : NULL;
    for (char *at; state && *text && (at = strstr(*text, state));)
        result_setf(text, "%.*sSTATE%s", (int)(at - *text), *text, at + strlen(state));
}

/* What an earlier row lost: the connection, and with it the chance to tidy up. */
static int restore(struct bench *bench, struct error *error)
{
    if (bench_reconnect(bench, error))
        return -1;
    const struct case_row *row = TAKE(bench->left_behind);
    return row && control_is_open(bench->control) ? service_state_remove(bench, row, error) : 0;
}

/* Certificates, tokens and the times of expectations are about the clock that somebody has set meanwhile. */
static void look_at_clock(const struct bench *bench, int64_t skew_us, struct result_row *result)
{
    int64_t step_us = clock_unix_us(bench->clock) - clock_mono_us(bench->clock) - skew_us;
    if (result->verdict != VERDICT_FAIL || llabs(step_us) < CLOCK_STEP_US)
        return;
    CLEANUP_FREE char *reason = result->reason.text ? strdup(result->reason.text) : NULL;
    result_setf(&result->reason.text,
                "the clock of this machine was set by %+.1f s while the row ran, so nobody knows whose fault this is: %s",
                (double)step_us / 1e6, reason ? reason : "it failed");
    result->verdict = VERDICT_INCONCLUSIVE;
}

void attempt_run(struct bench *bench, const struct case_row *row, struct result_row *result)
{
    struct error error = ERROR_INIT;
    int64_t skew_us = clock_unix_us(bench->clock) - clock_mono_us(bench->clock);
    CLEANUP(watch_done) struct watch watch;
    watch_init(&watch, row, bench->time_scale);
    bench->has_trouble = false;
    int failed = restore(bench, &error) || run_row(bench, row, &watch, result, &error);
    bench->watch = NULL;
    watch_tell(&watch, result);
    hide_state_folder(bench, &result->mend);
    /* What was seen of a row that the rig broke off proves nothing. */
    if (failed)
        attempt_blame(bench, &error, result);
    else
        watch_judge(&watch, result);
    look_at_clock(bench, skew_us, result);
    /* What stays would be known to DPS in the rows that follow. */
    if (!control_is_open(bench->control))
        bench->left_behind = row;
    else if (service_state_remove(bench, row, &error) && error.code != ERROR_INTERRUPTED)
        attempt_blame(bench, &error, result);
    bench->is_known_good |= result->verdict == VERDICT_PASS || result->verdict == VERDICT_KNOWN;
}
