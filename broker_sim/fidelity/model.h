/*
 * broker_sim/fidelity/model.h - the table in memory, as its parts share it; internal to broker_sim/fidelity/
 */
#ifndef BROKER_SIM_FIDELITY_MODEL_H
#define BROKER_SIM_FIDELITY_MODEL_H

#include "broker_sim/fidelity/fidelity.h"

#include "base/yaml.h"

struct fidelity {
    struct yaml *yaml; /* lends all texts */
    struct fidelity_area areas[FIDELITY_AREAS_MAX];
    size_t area_count;
    struct fidelity_row rows[FIDELITY_ROWS_MAX];
    size_t row_count;
};

/* The file, NUL-terminated. */
extern const char behaviours_text[];

#endif
