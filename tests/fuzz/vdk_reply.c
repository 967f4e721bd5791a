/* A reply of DPS as the virtual DK reads it: the topic's line, then the payload. */
#include "fixtures/virtual_dk/dps_reply.h"

#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char topic_start[] = "$dps/registrations/res/";
    const uint8_t *line_end = size ? memchr(data, '\n', size) : NULL;
    size_t topic_bytes = line_end ? (size_t)(line_end - data) : 0, payload_at = line_end ? topic_bytes + 1 : 0;
    /* Without a line of its own the topic is a good one. */
    CLEANUP_FREE char *topic = line_end ? fuzz_text(data, topic_bytes) : strdup("$dps/registrations/res/202/?$rid=1&retry-after=3");
    struct dps_reply reply;
    memset(&reply, 0x5a, sizeof reply);
    FUZZ_MUST(topic);
    if (dps_reply_parse(topic, data + payload_at, size - payload_at, &reply)) {
        FUZZ_MUST(reply.status == 0x5a5a5a5a && reply.operation_id[0] == 0x5a && reply.hub[0] == 0x5a && reply.device_id[0] == 0x5a);
        return 0;
    }
    FUZZ_MUST(strncmp(topic, topic_start, strlen(topic_start)) == 0);
    FUZZ_MUST(reply.retry_after_s >= 0 && reply.retry_after_s <= DPS_RETRY_AFTER_MAX_S);
    FUZZ_MUST(memchr(reply.operation_id, 0, sizeof reply.operation_id) && memchr(reply.hub, 0, sizeof reply.hub));
    FUZZ_MUST(memchr(reply.device_id, 0, sizeof reply.device_id) && !reply.hub[0] == !reply.device_id[0]);
    return 0;
}
