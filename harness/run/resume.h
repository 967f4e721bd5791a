/*
 * harness/run/resume.h - a run that was killed goes on: with the same options, on the same rig and cases
 *
 * What:     the header of a run's journal: every option that decides which rows run and how, and the hashes of what it was made of. And back:
 *           options from a header.
 * Paths:    relative ones are meant from the folder in which the run was started; from another one they are put behind it.
 */
#ifndef HARNESS_RUN_RESUME_H
#define HARNESS_RUN_RESUME_H

#include "base/json.h"
#include "harness/run/run.h"

/* time_scale: the one that was chosen. Given; NULL on failure. */
cJSON *resume_make_header(const struct run_options *options, double time_scale, const char *run_id, int64_t started_unix_us,
                          struct error *error);

/* What of the options stands in a header, in the words of the command line; texts are owned. */
struct resume_options {
    char *rig;        /* NULL: the built-in one */
    char *cases;      /* NULL: ours */
    char *quarantine; /* NULL: none was named */
    cJSON *header;    /* owns what the run_options below lend */
    const char **selectors;
    struct run_options run; /* without rig, cases_directory, cases_shown, directory, talk */
};
/* DIRECTORY's header. ret_options: resume_options_done() it. As journal_read_header; SYNTAX (file) also for options that nobody could have given. */
int resume_read_options(const char *directory, struct resume_options *ret_options, struct error *error);
void resume_options_done(struct resume_options *options);

/*
 * Is what the options lead to now what it was? The header's own. CONFLICT (file): another version of dpsbench, or a file that has changed, which the text
 * names.
 */
int resume_check(const cJSON *header, const struct run_options *options, struct error *error);

#endif
