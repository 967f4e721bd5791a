/* An object of the state folder, in the shape of Azure's service API. The first byte says of which kind. What was taken can be written and taken again. */
#include "certs/dps_object.h"
#include "certs/dps_state.h"
#include "tests/fuzz/fuzz.h"

#include <openssl/err.h>

static void tell(void *user, const char *text)
{
    (void)user;
    FUZZ_MUST(text[0]);
}

static struct dps_entry *take(enum dps_kind kind, cJSON *json, struct error *error)
{
    static struct clock_fake clock;
    const struct dps_listener listener = {.tell = tell};
    struct dps_entry *entry = NULL;
    clock_fake_init(&clock, 1000000, 1795000000000000);
    if (dps_entry_new(kind, json, "folder/object.json", &clock.clock, &listener, &entry, error)) {
        FUZZ_MUST(!entry);
        fuzz_check_error(error);
    }
    FUZZ_MUST(ERR_peek_error() == 0);
    return entry;
}

static void check(const struct dps_object *object)
{
    FUZZ_MUST(object->id && object->id[0] && strlen(object->id) <= DPS_ID_MAX_BYTES && object->place);
    for (int i = 0; i < DPS_PAIR; i++)
        if (certificate_ref_is_set(&object->certificates[i]) && object->certificates[i].certificate)
            FUZZ_MUST(certificate_ref_matches(&object->certificates[i], object->certificates[i].certificate));
    CLEANUP_FREE char *file_name = dps_state_file_name(object->id);
    FUZZ_MUST(file_name && !strchr(file_name, '/') && file_name[0] != '.');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct error error = ERROR_INIT;
    enum dps_kind kind = (enum dps_kind)(data[0] % DPS_KIND_COUNT);
    cJSON *json = json_parse((const char *)data + 1, size - 1, "object.json", &error);
    if (!json) {
        fuzz_check_error(&error);
        return 0;
    }
    struct dps_entry *entry = take(kind, json, &error);
    if (!entry)
        return 0;
    check(&entry->object);
    CLEANUP_FREE char *text = json_print_line(entry->object.json);
    FUZZ_MUST(text);
    struct error again_error = ERROR_INIT;
    struct dps_entry *again = take(kind, json_parse(text, strlen(text), "object.json", &again_error), &again_error);
    FUZZ_MUST(again && strcmp(again->object.id, entry->object.id) == 0 && again->object.is_enabled == entry->object.is_enabled);
    FUZZ_MUST(again->object.is_x509 == entry->object.is_x509 && again->object.is_verified == entry->object.is_verified);
    dps_entry_free(again);
    dps_entry_free(entry);
    return 0;
}
