#include "reports/progress.h"

#include "base/log.h"

#include <stdarg.h>
#include <unistd.h>

enum { REDRAW_INTERVAL_US = 100000 };

void progress_init(struct progress *progress, FILE *file, const struct clock *clock, size_t row_total)
{
    *progress = (struct progress){.file = file, .clock = clock, .row_total = row_total};
    if (!file)
        return;
    progress->is_terminal = isatty(fileno(file));
    progress->has_colour = log_has_colour(fileno(file));
}

static void wipe(struct progress *progress)
{
    if (progress->is_drawn)
        fprintf(progress->file, "\r\033[K");
    progress->is_drawn = false;
}

static void end_drawing(struct progress *progress, int64_t now)
{
    fflush(progress->file);
    progress->drawn_us = now;
    progress->is_drawn = true;
}

static void draw(struct progress *progress)
{
    int64_t now = clock_mono_us(progress->clock);
    if (!progress->file || !progress->is_terminal || !(progress->row || progress->is_many))
        return;
    if (progress->is_many) {
        fprintf(progress->file, "\r\033[K[%zu/%zu] %.100s", progress->row_number, progress->row_total, progress->step);
        end_drawing(progress, now);
        return;
    }
    double elapsed = (double)(now - progress->row_started_us) / 1e6;
    double left = (double)deadline_left_ms(progress->clock, progress->row_deadline) / 1e3;
    fprintf(progress->file, "\r\033[K[%zu/%zu] %s: %.80s, %.1f s, at most %.0f s left", progress->row_number, progress->row_total,
            progress->row, progress->step, elapsed, left);
    end_drawing(progress, now);
}

void progress_row(struct progress *progress, const char *row, deadline_t deadline)
{
    progress->row = row;
    progress->row_started_us = clock_mono_us(progress->clock);
    progress->row_deadline = deadline;
    progress_step(progress, "starts");
}

void progress_set_number(struct progress *progress, size_t number)
{
    progress->row_number = number;
}

void progress_step(struct progress *progress, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(progress->step, sizeof progress->step, format, args);
    va_end(args);
    draw(progress);
}

void progress_many(struct progress *progress, const char *text)
{
    progress->is_many = progress->names_device = true;
    progress_step(progress, "%s", text);
}

void progress_tick(struct progress *progress)
{
    if (clock_mono_us(progress->clock) - progress->drawn_us >= REDRAW_INTERVAL_US)
        draw(progress);
}

static const char *colour_of(const struct progress *progress, enum verdict verdict)
{
    if (!progress->has_colour)
        return "";
    return verdict == VERDICT_PASS ? "\033[32m" : verdict >= VERDICT_FAIL ? "\033[1;31m" : "\033[33m";
}

void progress_verdict(struct progress *progress, const struct result_row *row)
{
    if (!progress->file)
        return;
    wipe(progress);
    char name[RESULT_NAME_BYTES];
    fprintf(progress->file, "[%zu/%zu] %s%s%s %s%s%s, %.1f s%s%s\n", progress->row_number, progress->row_total,
            colour_of(progress, row->verdict), verdict_name(row->verdict), progress->has_colour ? "\033[0m" : "",
            result_row_name(row, name), progress->names_device ? " @" : "", progress->names_device && row->device ? row->device : "",
            (double)row->duration_ms / 1000, row->reason.text ? ": " : "", row->reason.text ? row->reason.text : "");
    fflush(progress->file);
    progress->row = NULL;
}

void progress_say(struct progress *progress, const char *format, ...)
{
    if (!progress->file)
        return;
    wipe(progress);
    va_list args;
    va_start(args, format);
    vfprintf(progress->file, format, args);
    va_end(args);
    fputc('\n', progress->file);
    fflush(progress->file);
}

void progress_done(struct progress *progress)
{
    if (progress->file)
        wipe(progress);
}
