#include "broker_sim/simulator/print_fidelity.h"

#include "base/cleanup.h"
#include "broker_sim/fidelity/fidelity.h"

#include <errno.h>

enum { PAGE_MAX_BYTES = 4 * 1024 * 1024 };

DEFINE_CLEANUP(struct fidelity *, fidelity_free)

static int print_json(const struct fidelity *fidelity, const char *evidence, struct bytes *out)
{
    CLEANUP_JSON cJSON *json = fidelity_to_json(fidelity, evidence);
    CLEANUP_FREE char *text = json ? json_print_pretty(json) : NULL;
    return text ? bytes_printf(out, "%s\n", text) : -1;
}

static int print_as(const struct options *options, const struct fidelity *fidelity, struct bytes *out)
{
    if (options->wants_json)
        return print_json(fidelity, options->evidence, out);
    if (options->fidelity == FIDELITY_AS_MARKDOWN)
        return fidelity_print_markdown(fidelity, out);
    return fidelity_print_text(fidelity, options->evidence, out);
}

int print_fidelity(const struct options *options, FILE *out, struct error *error)
{
    CLEANUP(fidelity_free_cleanup) struct fidelity *fidelity = NULL;
    CLEANUP(bytes_done) struct bytes text;
    bytes_init(&text, PAGE_MAX_BYTES);
    if (fidelity_read(&fidelity, error))
        return -1;
    if (print_as(options, fidelity, &text))
        return error_set_memory(error);
    if (fwrite(text.data, 1, text.length_bytes, out) != text.length_bytes || fflush(out))
        return error_set_errno(error, ERROR_OWNER_RIG, errno, "write the fidelity table to stdout");
    return 0;
}
