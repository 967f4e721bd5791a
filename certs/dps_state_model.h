/*
 * certs/dps_state_model.h - the state in memory, as its parts share it; internal to certs/
 */
#ifndef CERTS_DPS_STATE_MODEL_H
#define CERTS_DPS_STATE_MODEL_H

#include "certs/dps_object.h"
#include "certs/holder_index.h"
#include "certs/keyless_library.h"
#include "certs/signature_memory.h"

struct dps_list {
    struct dps_entry **items;
    size_t count;
    size_t capacity;
};

struct dps_told {
    bool is_error;
    char *text;
};

struct dps_state {
    char *dir;
    const struct clock *clock;
    struct dps_list folder[DPS_KIND_COUNT];
    struct dps_list leased[DPS_KIND_COUNT];
    struct dps_list visible[DPS_KIND_COUNT];     /* lent from the two above; sorted by id */
    struct holder_index holders[DPS_KIND_COUNT]; /* of the visible ones; made when asked for */
    struct lease_view *views;                    /* one a lease that has a lane */
    struct signature_memory *signatures;         /* of the judge */
    struct keyless_library *keyless;             /* NULL: OpenSSL's own serves */
    struct dps_told *notices;
    size_t notice_count;
    char **warned; /* every warning ever given: each only once */
    size_t warned_count;
};

/* Notices. A warning that was given before is dropped. */
void dps_state_clear_notices(struct dps_state *state);
void dps_state_note_error(struct dps_state *state, const char *text);
struct dps_listener dps_state_listener(struct dps_state *state);

/* Index in the list, or its count. */
size_t dps_list_find(const struct dps_list *list, const char *id);
int dps_list_add(struct dps_list *list, struct dps_entry *entry);
/* The entry is not freed. */
void dps_list_remove(struct dps_list *list, size_t index);
/* After every change of folder or leased. -1: out of memory; what is not shown is not found until the next change. */
int dps_state_show(struct dps_state *state, enum dps_kind kind);

/* The visible list, for a lease alone when `lease` is not NULL. ret_list: its items are given, the entries lent. -1: out of memory. */
int dps_state_list_visible(const struct dps_state *state, enum dps_kind kind, const char *lease, struct dps_list *ret_list);
/* What a lease sees is made anew when it is asked for. */
void lease_views_forget(struct lease_view *views);
void lease_views_drop(struct dps_state *state, const char *lease); /* NULL: all */

/* The visible entry. NULL: NOT_FOUND, as dps_state_get says. */
struct dps_entry *dps_state_require(struct dps_state *state, enum dps_kind kind, const char *id, struct error *error);
/* CONFLICT unless `etag` is NULL, or "*" and there is an object, or its etag. entry: NULL for "there is none". */
int dps_state_check_etag(const struct dps_entry *entry, const char *etag, enum dps_kind kind, const char *id, struct error *error);
/*
 * Replace a visible entry by one made from `json` (taken over in every case), with new etag and date, written when it is of the folder.
 */
int dps_state_replace(struct dps_state *state, struct dps_entry *old, cJSON *json, const struct dps_object **ret_object,
                      struct error *error);

#endif
