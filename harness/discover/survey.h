/*
 * harness/discover/survey.h - the ports that a person asks for, and what answers there
 *
 * What:     list, choose, ask: what `dpsbench devices` prints and `dpsbench rig init` writes down.
 * Asked:    ports of vendors whose boards we know (board_kind.h), virtual DKs, and whatever is named. Other devices are not sent a byte: nobody knows
 *           what it means to them.
 */
#ifndef HARNESS_DISCOVER_SURVEY_H
#define HARNESS_DISCOVER_SURVEY_H

#include "harness/discover/port_match.h"

struct survey_options {
    const char *const *words; /* paths, state folders of virtual DKs, and words of port_match.h */
    size_t word_count;
    const char *const *virtuals; /* state folders, or folders of such */
    size_t virtual_count;
    bool asks_all;  /* also ports of other vendors */
    bool asks_none; /* list alone */
    int baud;       /* 0: 115200 */
    int64_t deadline_ms;
};

struct survey {
    struct port_list list;
    struct port_probe *probes;
    bool *is_chosen; /* what the words named; all when there were none */
    size_t chosen_count;
};

/*
 * ret_survey  survey_done() it. Untouched on failure.
 * error       NOT_FOUND, USAGE (file): a word that names nothing, or more than one board. INTERRUPTED (person).
 */
int survey_make(const struct survey_options *options, struct survey *ret_survey, struct error *error);
void survey_done(struct survey *survey); /* NULL allowed */

#endif
