#include "base/clock.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

static int64_t read_us(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static int64_t system_mono_us(const struct clock *clock)
{
    (void)clock;
    return read_us(CLOCK_MONOTONIC);
}

static int64_t system_unix_us(const struct clock *clock)
{
    (void)clock;
    return read_us(CLOCK_REALTIME);
}

const struct clock clock_system = {.mono_us = system_mono_us, .unix_us = system_unix_us};

static int64_t fake_mono_us(const struct clock *clock)
{
    return ((const struct clock_fake *)clock)->mono_now_us;
}

static int64_t fake_unix_us(const struct clock *clock)
{
    return ((const struct clock_fake *)clock)->unix_now_us;
}

void clock_fake_init(struct clock_fake *fake, int64_t mono_us, int64_t unix_us)
{
    fake->clock.mono_us = fake_mono_us;
    fake->clock.unix_us = fake_unix_us;
    fake->mono_now_us = mono_us;
    fake->unix_now_us = unix_us;
}

int64_t clock_mono_us(const struct clock *clock)
{
    return clock->mono_us(clock);
}

int64_t clock_unix_us(const struct clock *clock)
{
    return clock->unix_us(clock);
}

int64_t clock_unix_s(const struct clock *clock)
{
    return clock->unix_us(clock) / 1000000;
}

int64_t clock_scaled_ms(int64_t ms, double scale)
{
    if (ms <= 0)
        return 0;
    double real = ceil((double)ms / (scale >= 1 ? scale : 1));
    return real < 1 ? 1 : (int64_t)real;
}

deadline_t deadline_in_ms(const struct clock *clock, int64_t ms)
{
    return (deadline_t){clock_mono_us(clock) + ms * 1000};
}

deadline_t deadline_in_scaled_ms(const struct clock *clock, int64_t ms, double scale)
{
    return deadline_in_ms(clock, clock_scaled_ms(ms, scale));
}

int64_t deadline_left_ms(const struct clock *clock, deadline_t deadline)
{
    int64_t left_us = deadline.at_us - clock_mono_us(clock);
    return left_us <= 0 ? 0 : (left_us + 999) / 1000;
}

int deadline_has_passed(const struct clock *clock, deadline_t deadline)
{
    return clock_mono_us(clock) >= deadline.at_us;
}

deadline_t deadline_earlier(deadline_t a, deadline_t b)
{
    return a.at_us < b.at_us ? a : b;
}

void clock_format_iso8601(int64_t unix_us, char *text)
{
    int64_t micros = (unix_us % 1000000 + 1000000) % 1000000;
    time_t seconds = (time_t)((unix_us - micros) / 1000000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    snprintf(text, CLOCK_ISO8601_BYTES, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", (tm.tm_year + 1900) % 10000, tm.tm_mon + 1, tm.tm_mday,
             tm.tm_hour, tm.tm_min, tm.tm_sec, (int)micros & 0xFFFFF);
}
