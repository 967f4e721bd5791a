/* A recording from somebody else's desk: whatever it holds, it is read or refused. */
#include "broker_sim/replay/recording.h"
#include "base/json.h"
#include "tests/fuzz/fuzz.h"

const char fuzz_words[] =
    "t_ms stage step from code name text body dps hub connect connack suback publish message closed subscribe disconnect tls device "
    "service recording $dps/registrations/PUT/iotdps-register/?$rid=1 "
    "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=1&operationId=5 $dps/registrations/res/202/?$rid=1";

/* A CONNECT, or a handshake that the service ended before there could be one. */
static bool has_something(const struct recorded_stage *stage)
{
    return stage->is_there || stage->handshake.end != HANDSHAKE_STOOD;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct recording recording;
    struct error error = ERROR_INIT;
    if (recording_read_text((const char *)data, size, "fuzz", &recording, &error)) {
        fuzz_check_error(&error);
        return 0;
    }
    FUZZ_MUST(has_something(&recording.stages[RECORDED_DPS]) || has_something(&recording.stages[RECORDED_HUB]));
    for (int stage = 0; stage < RECORDED_STAGES; stage++)
        FUZZ_MUST(recording.stages[stage].exchange_count <= RECORDED_EXCHANGES_MAX);
    recording_done(&recording);
    return 0;
}
