/*
 * base/clock.h - the two clocks, deadlines, and the time scale
 *
 * What:     an injectable clock (monotonic and wall), absolute deadlines, and the one factor that speeds waits up when the device is
 *           virtual. Waits that belong to the device or to Azure (20 s between polls, the 90 s watchdog, 500 ms before a close) are
 *           divided by the scale; handshakes, process starts and other work of the machine are not.
 * Units:    microseconds in 64 bits; `_ms` where a caller thinks in milliseconds. Wall time is microseconds since 1970, UTC.
 * Rules:    deadlines, never durations, cross function borders; nothing sleeps.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

struct clock {
    int64_t (*mono_us)(const struct clock *clock);
    int64_t (*unix_us)(const struct clock *clock);
};

/* CLOCK_MONOTONIC and CLOCK_REALTIME. */
extern const struct clock clock_system;

/* For tests: time stands still until somebody writes to the members. Use with &fake.clock. */
struct clock_fake {
    struct clock clock; /* first: set by clock_fake_init */
    int64_t mono_now_us;
    int64_t unix_now_us;
};
void clock_fake_init(struct clock_fake *fake, int64_t mono_us, int64_t unix_us);

int64_t clock_mono_us(const struct clock *clock);
int64_t clock_unix_us(const struct clock *clock);
int64_t clock_unix_s(const struct clock *clock);

/* An absolute point of the monotonic clock. */
typedef struct deadline {
    int64_t at_us;
} deadline_t;

deadline_t deadline_in_ms(const struct clock *clock, int64_t ms);
/* Never in the past, never more than `ms` away, in real time: for waits that scale. scale >= 1. */
deadline_t deadline_in_scaled_ms(const struct clock *clock, int64_t ms, double scale);
/* Milliseconds left, rounded up; 0 when it has passed. */
int64_t deadline_left_ms(const struct clock *clock, deadline_t deadline);
int deadline_has_passed(const struct clock *clock, deadline_t deadline);
deadline_t deadline_earlier(deadline_t a, deadline_t b);

/* A wait of `ms` device milliseconds in real milliseconds under `scale` (at least 1 when ms > 0). */
int64_t clock_scaled_ms(int64_t ms, double scale);

enum { CLOCK_ISO8601_BYTES = 48 };
/* "2026-11-21T20:52:41.123456Z" into text (CLOCK_ISO8601_BYTES bytes). */
void clock_format_iso8601(int64_t unix_us, char *text);

#endif
