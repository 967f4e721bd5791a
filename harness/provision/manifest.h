/*
 * harness/provision/manifest.h - what a production line has made: one record a board, in a folder of the line's own
 *
 * What:     OUT/journal.jsonl takes a line a board, appended and synced by whoever provisioned it; OUT/manifest.json and OUT/manifest.csv are made
 *           from it, each replaced in one step. No record holds a key.
 * Safety:   a kill or a power cut leaves every line that was synced; a torn last line is left out. Several programs may append.
 * Claims:   a board (by IMEI) and a registration id belong to one program at a time: the kernel drops a claim with its holder.
 * Limits:   MANIFEST_MAX_BYTES of journal, some ten thousand boards; then begin a new folder (a lot).
 */
#ifndef HARNESS_PROVISION_MANIFEST_H
#define HARNESS_PROVISION_MANIFEST_H

#include "base/json.h"

enum { MANIFEST_VERSION = 1, MANIFEST_MAX_BYTES = 32 * 1024 * 1024 };

struct manifest;

/* The folder is made when missing. LIMIT (file). IO (rig). */
int manifest_open(const char *folder, struct manifest **ret_manifest, struct error *error);
void manifest_close(struct manifest *manifest); /* NULL allowed */

/* The newest record of that value; member: "imei" or "registration_id" (case does not matter). Lent until the next reading; NULL: none. */
const cJSON *manifest_find(const struct manifest *manifest, const char *member, const char *value);
/* Boards, each once. */
size_t manifest_count(const struct manifest *manifest);

/* Append, sync. `record` lent: it has "imei" and "registration_id". */
int manifest_append(struct manifest *manifest, const cJSON *record, struct error *error);
/* Read what others have appended. */
int manifest_reread(struct manifest *manifest, struct error *error);
/* manifest.json and manifest.csv of what was read. */
int manifest_write(const struct manifest *manifest, struct error *error);

/*
 * Take what nobody else may work on meanwhile: `kind` "imei" or "id". holder: who we are, for others to say.
 * ret_fd: close it to let go. BUSY (file): another program has it; the text names it.
 */
int manifest_claim(const struct manifest *manifest, const char *kind, const char *value, const char *holder, int *ret_fd,
                   struct error *error);

#endif
