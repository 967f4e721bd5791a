/*
 * harness/credentials/wear_ledger.h - how often each credential slot of each device was written
 *
 * What:     one SQLite file that counts writes, deletions and key generations a device, sec tag and type, kept across runs. A modem's
 *           credential store is flash: who writes it every night should know how often.
 * Safety:   each count is a transaction: two programs may count at once, and a kill loses at most the count under way. The file grows with
 *           slots, not with writes.
 * Device:   "imei:352656100000001" where the modem has an IMEI, else "rig:ID": a board keeps its counts when its port changes.
 */
#ifndef HARNESS_CREDENTIALS_WEAR_LEDGER_H
#define HARNESS_CREDENTIALS_WEAR_LEDGER_H

#include "base/error.h"
#include "base/json.h"

#include <stdint.h>

struct wear_ledger;

enum wear_kind { WEAR_WRITE, WEAR_DELETE, WEAR_KEYGEN, WEAR_KIND_COUNT };

/*
 * DPSBENCH_LEDGER, else dpsbench/wear.db below XDG_STATE_HOME or ~/.local/state. malloc'ed; NULL when out of memory or when none of them is set.
 */
char *wear_ledger_default_path(void);

/* Made when missing, with its folder. SYNTAX (file): not a ledger. IO (rig). */
int wear_ledger_open(const char *path, struct wear_ledger **ret_ledger, struct error *error);
void wear_ledger_close(struct wear_ledger *ledger); /* NULL allowed */

/* One more. IO (rig): it could not be counted. */
int wear_ledger_count(struct wear_ledger *ledger, const char *device, uint32_t sec_tag, int type, enum wear_kind kind, int64_t unix_s,
                      struct error *error);

/*
 * [{"device", "sec_tag", "type", "writes", "deletions", "key_generations", "first_unix_s", "last_unix_s"}], by device, sec tag and type.
 * device: NULL: all. Given.
 */
int wear_ledger_read(struct wear_ledger *ledger, const char *device, cJSON **ret_rows, struct error *error);

#endif
