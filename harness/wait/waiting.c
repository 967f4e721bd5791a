#include "harness/wait/waiting.h"

#include "base/cleanup.h"

#include <signal.h>

enum { TICK_MS = 100 };

struct waiting {
    uv_timer_t timer;
    uv_signal_t interrupt;
    uv_signal_t terminate;
    int closing_count;
    const struct clock *clock;
    void (*tick)(void *user);
    void *user;
    int signal_number;
    bool is_interrupted;
};

static void on_signal(uv_signal_t *handle, int signal_number)
{
    struct waiting *waiting = handle->data;
    waiting->signal_number = signal_number;
    waiting->is_interrupted = true;
}

static void on_timer(uv_timer_t *timer)
{
    struct waiting *waiting = timer->data;
    if (waiting->tick)
        waiting->tick(waiting->user);
}

int waiting_new(const struct waiting_options *options, struct waiting **ret_waiting, struct error *error)
{
    struct waiting *waiting = calloc(1, sizeof *waiting);
    if (!waiting)
        return error_set_memory(error);
    waiting->clock = options->clock;
    waiting->tick = options->tick;
    waiting->user = options->user;
    uv_timer_init(options->loop, &waiting->timer);
    uv_signal_init(options->loop, &waiting->interrupt);
    uv_signal_init(options->loop, &waiting->terminate);
    waiting->timer.data = waiting->interrupt.data = waiting->terminate.data = waiting;
    if (uv_signal_start(&waiting->interrupt, on_signal, SIGINT) || uv_signal_start(&waiting->terminate, on_signal, SIGTERM)) {
        waiting_free(waiting);
        return error_set(error, ERROR_OWNER_OURS, ERROR_OTHER, "watch for Ctrl-C: libuv refused it");
    }
    *ret_waiting = waiting;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct waiting *waiting = handle->data;
    if (--waiting->closing_count == 0)
        free(waiting);
}

void waiting_free(struct waiting *waiting)
{
    if (!waiting)
        return;
    waiting->closing_count = 3;
    uv_close((uv_handle_t *)&waiting->timer, on_closed);
    uv_close((uv_handle_t *)&waiting->interrupt, on_closed);
    uv_close((uv_handle_t *)&waiting->terminate, on_closed);
}

uv_loop_t *waiting_loop(const struct waiting *waiting)
{
    return waiting->timer.loop;
}

const struct clock *waiting_clock(const struct waiting *waiting)
{
    return waiting->clock;
}

int waiting_signal(const struct waiting *waiting)
{
    return waiting->signal_number;
}

void waiting_resume(struct waiting *waiting)
{
    waiting->is_interrupted = false;
}

/* 0: done. Otherwise the reason, without a text. */
static enum error_code turn(struct waiting *waiting, bool (*is_done)(void *user), void *user, deadline_t deadline)
{
    while (!is_done(user)) {
        int64_t left = deadline_left_ms(waiting->clock, deadline);
        if (waiting->is_interrupted)
            return ERROR_INTERRUPTED;
        if (left == 0)
            return ERROR_TIMEOUT;
        uv_update_time(waiting->timer.loop);
        uv_timer_start(&waiting->timer, on_timer, (uint64_t)(left < TICK_MS ? left : TICK_MS), 0);
        uv_run(waiting->timer.loop, UV_RUN_ONCE);
    }
    return ERROR_NONE;
}

int waiting_until(struct waiting *waiting, bool (*is_done)(void *user), void *user, deadline_t deadline, const char *what,
                  struct error *error)
{
    int64_t started_us = clock_mono_us(waiting->clock);
    enum error_code code = turn(waiting, is_done, user, deadline);
    uv_timer_stop(&waiting->timer);
    if (code == ERROR_INTERRUPTED)
        return error_set(error, ERROR_OWNER_PERSON, code, "interrupted while waiting for %s", what);
    if (code == ERROR_TIMEOUT)
        return error_set(error, ERROR_OWNER_RIG, code, "waited %.1f s for %s", (double)(clock_mono_us(waiting->clock) - started_us) / 1e6,
                         what);
    return 0;
}

static bool never(void *user)
{
    (void)user;
    return false;
}

int waiting_settle(struct waiting *waiting, int64_t ms, struct error *error)
{
    struct error inner = ERROR_INIT;
    waiting_until(waiting, never, NULL, deadline_in_ms(waiting->clock, ms), "the device to settle", &inner);
    if (inner.code == ERROR_TIMEOUT)
        return 0;
    return error_set(error, inner.owner, inner.code, "%s", inner.text);
}
