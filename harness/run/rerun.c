#include "harness/run/rerun.h"

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/shell_word.h"
#include "harness/rig/place.h"

#include <string.h>

enum { COMMAND_MAX_BYTES = 64 * 1024 };

static int append_word(struct bytes *text, const char *word)
{
    CLEANUP_FREE char *quoted = shell_word(word);
    return quoted ? bytes_append_text(text, quoted) : -1;
}

static int append_option(struct bytes *text, const char *option, const char *value)
{
    return bytes_printf(text, " %s ", option) || append_word(text, value) ? -1 : 0;
}

static int append_options(struct bytes *text, const struct run_options *options, const struct rig_device *device)
{
    char scale[32];
    snprintf(scale, sizeof scale, "%g", options->time_scale);
    return (options->rig->file && append_option(text, "--rig", options->rig->file)) ||
                   (rig_connected_count(options->rig) > 1 && append_option(text, "--device", device->id)) ||
                   (options->has_own_cases && append_option(text, "--cases", options->cases_directory)) ||
                   (options->time_scale > 0 && append_option(text, "--time-scale", scale))
               ? -1
               : 0;
}

char *rerun_command(const struct run_options *options, const struct rig_device *device, const char *row)
{
    CLEANUP(bytes_done) struct bytes text = {.max_bytes = COMMAND_MAX_BYTES};
    CLEANUP_FREE char *program = place_self();
    if (!program || append_word(&text, program) || bytes_append_text(&text, " run ") || append_word(&text, row) ||
        append_options(&text, options, device))
        return NULL;
    return strdup(bytes_text(&text));
}

char *rerun_show_command(const struct run_options *options, const char *row)
{
    CLEANUP(bytes_done) struct bytes text = {.max_bytes = COMMAND_MAX_BYTES};
    CLEANUP_FREE char *program = place_self();
    if (!program || append_word(&text, program) || bytes_append_text(&text, " show ") || append_word(&text, options->directory) ||
        bytes_append_text(&text, " ") || append_word(&text, row))
        return NULL;
    return strdup(bytes_text(&text));
}
