#include "harness/run/wear.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "harness/credentials/wear_ledger.h"

DEFINE_CLEANUP(struct wear_ledger *, wear_ledger_close)

static int count_all(const struct bench *bench, const char *path, uint32_t sec_tag, const struct credential_result *result,
                     struct error *error)
{
    CLEANUP(wear_ledger_close_cleanup) struct wear_ledger *ledger = NULL;
    if (wear_ledger_open(path, &ledger, error))
        return -1;
    for (int type = 0; type < CREDENTIAL_TYPE_COUNT; type++) {
        enum credential_action action = result->actions[type];
        if (action != CREDENTIAL_WRITTEN && action != CREDENTIAL_DELETED)
            continue;
        if (wear_ledger_count(ledger, bench->wear_id, sec_tag, type, action == CREDENTIAL_WRITTEN ? WEAR_WRITE : WEAR_DELETE,
                              clock_unix_s(bench->clock), error))
            return -1;
    }
    return 0;
}

void wear_count(struct bench *bench, uint32_t sec_tag, const struct credential_result *result)
{
    struct error error = ERROR_INIT;
    if (bench->device->is_virtual && !getenv("DPSBENCH_LEDGER"))
        return;
    CLEANUP_FREE char *path = wear_ledger_default_path();
    if (!path || count_all(bench, path, sec_tag, result, &error) == 0 || bench->has_said_uncounted)
        return;
    bench->has_said_uncounted = true;
    log_warning("writes of credentials are not counted: %s", error.text);
}
