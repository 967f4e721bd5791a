/* What comes into a registration from elsewhere: a webhook's answer, service.json, a device's CSR. The first byte says which. */
#include "broker_sim/dps/custom_allocation.h"
#include "broker_sim/dps/linked_hubs.h"
#include "broker_sim/pki/issuing_ca.h"
#include "tests/fuzz/fuzz.h"

static void webhook_answer(const char *text)
{
    CLEANUP_JSON cJSON *hubs = cJSON_Parse("[\"hub-a\",\"hub-b\"]");
    struct custom_reply reply = {.payload = NULL};
    struct error error = ERROR_INIT;
    FUZZ_MUST(hubs);
    if (custom_allocation_read(text, strlen(text), hubs, &reply, &error)) {
        fuzz_check_error(&error);
        FUZZ_MUST(!reply.payload && !reply.initial_twin);
        return;
    }
    FUZZ_MUST(strcmp(reply.hub, "hub-a") == 0 || strcmp(reply.hub, "hub-b") == 0);
    FUZZ_MUST(!reply.payload || strlen(reply.payload) <= CUSTOM_PAYLOAD_MAX_BYTES);
    custom_reply_done(&reply);
}

static void service_file(const char *text)
{
    CLEANUP_JSON cJSON *json = json_parse(text, strlen(text), "service.json", NULL);
    struct linked_hubs hubs;
    struct error error = ERROR_INIT;
    if (!json)
        return;
    if (linked_hubs_read_json(json, &hubs, &error))
        fuzz_check_error(&error);
    else
        FUZZ_MUST(hubs.count <= LINKED_HUBS_MAX);
}

static void csr(const char *text)
{
    struct clock_fake clock;
    clock_fake_init(&clock, 1, 1795000000000000);
    struct issuing_ca *ca = issuing_ca_new(fuzz_folder(), &clock.clock);
    struct issued issued = {.chain = NULL};
    struct error error = ERROR_INIT;
    FUZZ_MUST(ca);
    if (issuing_ca_sign(ca, text, "dev-01", &issued, &error))
        fuzz_check_error(&error);
    else
        FUZZ_MUST(issued.chain && strlen(issued.leaf_sha256) == SHA256_HEX_BYTES - 1);
    free(issued.chain);
    issuing_ca_free(ca);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const readers[])(const char *) = {webhook_answer, service_file, csr};
    if (size < 1)
        return 0;
    CLEANUP_FREE char *text = fuzz_text(data + 1, size - 1);
    readers[(unsigned)(data[0] - 'a') % ARRAY_COUNT(readers)](text);
    return 0;
}
