#include "harness/run/start.h"

#include "harness/plan/device_plan.h"
#include "harness/run/exec_client.h"

#include <signal.h>
#include <string.h>

/* ---- goodbye ---- */

struct goodbye {
    bool is_done;
    bool is_graceful;
};

static void on_goodbye(void *user, const struct at_reply *reply)
{
    struct goodbye *goodbye = user;
    goodbye->is_done = true;
    goodbye->is_graceful = reply->result == AT_OK;
}

static bool has_said_goodbye(void *user)
{
    return ((struct goodbye *)user)->is_done;
}

/* A device that does not answer is reset all the same: that is what a reset is for. */
static int say_goodbye(struct bench *bench, bool *ret_graceful, struct error *error)
{
    struct goodbye goodbye = {.is_done = false};
    struct error ignored = ERROR_INIT;
    int64_t timeout_ms = clock_scaled_ms(START_GOODBYE_MS, bench->time_scale) + BENCH_WORK_MS;
    const struct at_command command = {.text = "AT+CFUN=0", .timeout_ms = timeout_ms, .on_done = on_goodbye, .user = &goodbye};
    *ret_graceful = false;
    if (!dk_has_answered(bench->dk) || at_send(dk_at(bench->dk), &command, &ignored))
        return 0;
    /* at.c ends every command; the guard is for a command that waits behind a sync that is lost. */
    deadline_t guard = deadline_in_ms(bench->clock, timeout_ms + BENCH_AT_MS);
    if (waiting_until(bench->waiting, has_said_goodbye, &goodbye, guard, "the modem's goodbye", error)) {
        /* Its callback must not find our stack gone. */
        dk_close(TAKE(bench->dk));
        return -1;
    }
    *ret_graceful = goodbye.is_graceful;
    return 0;
}

/* ---- the budget of resets ---- */

static bool is_never(void *user)
{
    return bench_check(user, NULL);
}

/* A virtual DK's minute is as short as its other times. */
static deadline_t calm_after_reset(const struct bench *bench)
{
    return (deadline_t){.at_us = bench->reset_us + clock_scaled_ms(START_CALM_S * 1000LL, bench->time_scale) * 1000};
}

static int keep_calm(struct bench *bench, struct error *error)
{
    deadline_t calm = calm_after_reset(bench);
    struct error ignored = ERROR_INIT;
    if (bench->harsh_resets + 1 < START_RESETS_MAX || deadline_has_passed(bench->clock, calm))
        return 0;
    progress_say(bench->progress, "%u resets without AT+CFUN=0: waiting until the modem has been left alone for %d s", bench->harsh_resets,
                 START_CALM_S);
    if (waiting_until(bench->waiting, is_never, bench, calm, "a minute without a reset", &ignored) && ignored.code != ERROR_TIMEOUT)
        return error_set(error, ignored.owner, ignored.code, "%s", ignored.text);
    return bench_check(bench, error);
}

static void count_reset(struct bench *bench, bool is_graceful)
{
    if (is_graceful || deadline_has_passed(bench->clock, calm_after_reset(bench)))
        bench->harsh_resets = 0;
    bench->harsh_resets += !is_graceful;
    bench->reset_us = clock_mono_us(bench->clock);
}

/* ---- the pull ---- */

static enum case_step resolve(const struct bench *bench, enum case_step step)
{
    if (step != CASE_STEP_FRESH)
        return step;
    bool must_forget = bench->assignment != ASSIGNMENT_NONE && forget_way_of(bench->device) == FORGET_ERASE;
    return must_forget || !rig_device_offers(bench->device, "reset") ? CASE_STEP_CHIP_ERASE : CASE_STEP_RESET;
}

const char *start_obstacle(const struct bench *bench, const struct case_row *row)
{
    if (!row_needs_fresh(row) || bench->assignment != ASSIGNMENT_STORED || forget_way_of(bench->device) != FORGET_NOT)
        return NULL;
    return "the device has stored an assignment and skips DPS, and nothing in the rig can make it forget: give it a chip_erase hook, or "
           "build "
           "its application so that each boot forgets (docs/rig.md, \"The stored assignment\")";
}

static int pull(struct bench *bench, enum case_step step, struct error *error)
{
    bench_tell_reset(bench, step == CASE_STEP_POWER_CYCLE ? "power-cut" : case_step_name(step));
    if (bench->virtual_device && step != CASE_STEP_POWER_CYCLE) {
        served_signal(bench->virtual_device, step == CASE_STEP_RESET ? SIGHUP : SIGUSR1);
        return 0;
    }
    if (step == CASE_STEP_POWER_CYCLE)
        return bench_hook(bench, RIG_HOOK_POWER_OFF, NULL, error) || bench_hook(bench, RIG_HOOK_POWER_ON, NULL, error) ? -1 : 0;
    return bench_hook(bench, step == CASE_STEP_RESET ? RIG_HOOK_RESET : RIG_HOOK_CHIP_ERASE, NULL, error);
}

/* ---- the boot ---- */

struct boot {
    struct bench *bench;
    bool is_done;
    struct error error;
};

static void on_boot(void *user, const char *banner, const struct error *error)
{
    (void)banner;
    struct boot *boot = user;
    boot->is_done = true;
    if (error)
        boot->error = *error;
}

static bool has_booted(void *user)
{
    const struct boot *boot = user;
    return boot->is_done || bench_check(boot->bench, NULL);
}

static int boot(struct bench *bench, enum case_step step, struct error *error)
{
    struct boot boot = {.bench = bench, .error = ERROR_INIT};
    deadline_t deadline = bench_device_deadline(bench, BENCH_BOOT_MS);
    if (!bench->virtual_device)
        deadline = deadline_in_ms(bench->clock, BENCH_BOOT_MS + 2 * rig_hooks_longest_ms(bench->device));
    if (dk_expect_boot(bench->dk, deadline, on_boot, &boot, error))
        return -1;
    /* The dk's own deadline ends the wait; ours, a little later, only guards against a dk that forgets. */
    deadline_t guard = {.at_us = deadline.at_us + 1000000LL};
    if (pull(bench, step, error) || waiting_until(bench->waiting, has_booted, &boot, guard, "the device's boot", error)) {
        dk_expect_no_boot(bench->dk);
        return -1;
    }
    if (!boot.is_done)
        dk_expect_no_boot(bench->dk);
    if (bench_check(bench, error))
        return -1;
    return boot.error.code ? error_set(error, boot.error.owner, boot.error.code, "%s", boot.error.text) : 0;
}

int start_step(struct bench *bench, enum case_step step, struct error *error)
{
    enum case_step resolved = resolve(bench, step);
    bool is_graceful;
    if (bench->program)
        return exec_client_start(bench, step, error);
    if (say_goodbye(bench, &is_graceful, error) || (!is_graceful && keep_calm(bench, error)))
        return -1;
    count_reset(bench, is_graceful);
    /* What the boot itself says of an assignment counts: see bench_take_own_event. */
    if (resolved == CASE_STEP_CHIP_ERASE || forget_way_of(bench->device) == FORGET_AT_BOOT)
        bench->assignment = ASSIGNMENT_NONE;
    return boot(bench, resolved, error);
}
