/*
 * broker_sim/store/store.h - what the service remembers besides the folders of JSON: registration records, hub devices, messages
 *
 * What:     one SQLite file DIR/state.db, a table a kind, a row an object: its id and its JSON. Memory stays the working copy of the modules;
 *           they put what changed, and read all of it once at the start.
 * When:     store_put and store_delete collect changes in memory; store_flush writes all of them in one transaction. What a device or a person
 *           was told must be flushed before it leaves. A change that was flushed survives the end of the process at any instant, kill -9
 *           included; a power cut may take the last ones, and leaves the file whole (WAL, synchronous NORMAL).
 * Older:    a file of an earlier version is brought up to this one when it is opened, in one transaction.
 * Failing:  a flush that fails (a full disk) keeps its changes for the next one: nothing is lost while the process lives, and nobody may be told.
 *           Beyond STORE_PENDING_MAX changes store_put refuses.
 * Not here: enrollments and certificates (certs/dps_state.h: the folders are their store), who may write (the folder's lock).
 * Errors:   rig: IO (the disk, or another process that holds the file). file: SYNTAX (damaged, or no store of ours; the text says how to mend it),
 *           CONFLICT (written by a newer dpsbench-sim). LIMIT, MEMORY.
 */
#ifndef BROKER_SIM_STORE_STORE_H
#define BROKER_SIM_STORE_STORE_H

#include "base/error.h"
#include "base/json.h"

/* X(id, table, collation): registration ids are compared without regard to ASCII case, device ids with it. Append only. */
#define STORE_KINDS(X)                                                                                                                     \
    X(REGISTRATION, "registrations", "NOCASE")                                                                                             \
    X(DEVICE, "devices", "BINARY")                                                                                                         \
    X(MESSAGE, "messages", "BINARY")

enum store_kind {
#define X(id, table, collation) STORE_##id,
    STORE_KINDS(X)
#undef X
        STORE_KIND_COUNT
};

#define STORE_FILE "state.db"
enum { STORE_VERSION = 2, STORE_PENDING_MAX = 20000, STORE_BUSY_MS = 2000 };

struct store;

/* dir: of the file STORE_FILE, made (mode 0600) when missing; NULL: in memory alone. Given: store_close() it. */
int store_open(const char *dir, struct store **ret_store, struct error *error);
/* Flushes first; what cannot be written is lost. NULL allowed. */
void store_close(struct store *store);
/* Move DIR/state.db and its journal to a name that is free beside it, so that store_open begins anew. ret_path: where it is; malloc'ed. NOT_FOUND (file),
 * IO (rig). */
int store_set_aside(const char *dir, char **ret_path, struct error *error);

/* In these four `store` may be NULL: then nothing is kept, and the call succeeds. */

/* Create or replace; an id that was there keeps its spelling. `json` lent. */
int store_put(struct store *store, enum store_kind kind, const char *id, const cJSON *json, struct error *error);
/* One that does not exist is fine. */
int store_delete(struct store *store, enum store_kind kind, const char *id, struct error *error);
/* Write what is pending; cheap when nothing is. */
int store_flush(struct store *store, struct error *error);
/* All objects of a kind, sorted by id; `id` and `json` lent for the call of `row`. A row that returns not 0 ends it: -1, with the row's error. */
int store_each(struct store *store, enum store_kind kind, int (*row)(void *user, const char *id, const cJSON *json, struct error *error),
               void *user, struct error *error);

#endif
