/*
 * certs/holder_index.h - which object holds a certificate, by thumbprint; internal to certs/
 *
 * What:     a hash table from SHA-256 or SHA-1 (upper hex, as in struct certificate_ref) to the objects that hold it. With 10,000 enrollments a scan
 *           costs more than the rest of a judgement.
 * Lifetime: lends the objects; made anew when they change.
 */
#ifndef CERTS_HOLDER_INDEX_H
#define CERTS_HOLDER_INDEX_H

#include "certs/dps_state.h"

struct holder_slot {
    const char *thumbprint; /* lent by the object; NULL: free */
    const struct dps_object *object;
};

struct holder_index {
    struct holder_slot *slots; /* NULL: not made */
    size_t slot_count;         /* a power of two, at least twice what is in */
};

/* -1: out of memory. */
int holder_index_make(struct holder_index *index, const struct dps_object *const *objects, size_t count);
void holder_index_done(struct holder_index *index);
/* An object other than `except` that holds it. NULL: none. */
const struct dps_object *holder_index_find(const struct holder_index *index, const char *thumbprint, const struct dps_object *except);

#endif
