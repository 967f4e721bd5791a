#include "harness/probe/observer.h"

#include <string.h>

const char *probe_stage_name(enum probe_stage stage)
{
    static const char *const names[] = {
#define X(id, name) name,
        PROBE_STAGES(X)
#undef X
    };
    return names[stage];
}

static const char *const step_names[] = {
#define X(id, name) name,
    PROBE_STEPS(X)
#undef X
};

const char *probe_step_name(enum probe_step step)
{
    return step_names[step];
}

bool probe_step_from_name(const char *name, enum probe_step *ret_step)
{
    for (size_t i = 0; i < sizeof step_names / sizeof step_names[0]; i++) {
        if (strcmp(step_names[i], name) != 0)
            continue;
        *ret_step = (enum probe_step)i;
        return true;
    }
    return false;
}
