/* Knobs as a person or a case writes them: a set is taken whole or not at all, and what was taken reads back as itself. */
#include "broker_sim/scenario/knobs.h"
#include "tests/fuzz/fuzz.h"

static void check_taken(const struct knobs *knobs, enum knob_target target)
{
    struct knobs again;
    knobs_init(&again);
    CLEANUP_JSON cJSON *json = knobs_to_json(knobs, target);
    FUZZ_MUST(json && knobs_apply(&again, target, json, NULL) == 0);
    FUZZ_MUST(knobs_are_equal(knobs, &again));
}

static void apply(const cJSON *json, enum knob_target target)
{
    struct error error = ERROR_INIT;
    struct knobs knobs, before;
    knobs_init(&knobs);
    before = knobs;
    if (knobs_apply(&knobs, target, json, &error) == 0) {
        check_taken(&knobs, target);
        return;
    }
    fuzz_check_error(&error);
    FUZZ_MUST(knobs_are_equal(&knobs, &before));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP_FREE char *text = fuzz_text(data, size);
    CLEANUP_JSON cJSON *json = json_parse(text, size, "knobs", NULL);
    struct trigger trigger;
    if (trigger_read(text, &trigger, NULL) == 0)
        FUZZ_MUST(trigger.first <= trigger.last);
    if (json) {
        apply(json, KNOB_TARGET_LANE);
        apply(json, KNOB_TARGET_DEVICE);
    }
    return 0;
}
