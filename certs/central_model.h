/*
 * certs/central_model.h - applications in memory, as the parts of certs/central share them; internal to certs/
 */
#ifndef CERTS_CENTRAL_MODEL_H
#define CERTS_CENTRAL_MODEL_H

#include "certs/central.h"

struct central_application {
    char *dir;
    char *id_scope; /* for good: others hold it */
    const struct clock *clock;
    cJSON *json;
    cJSON *devices; /* array of {"id", ...}, in no order */
    struct dps_state *state;
};

struct central {
    char *dir;
    const struct clock *clock;
    struct central_application *applications[CENTRAL_APPLICATIONS_MAX]; /* they stay where they are: others hold pointers */
    size_t count;
};

void application_free(struct central_application *application); /* NULL allowed */

#endif
