#include "certs/sole_holder.h"

#include <string.h>
#include <strings.h>

/* What an object holds: two of its own, two by name. */
enum { HELD_MAX = 2 * DPS_PAIR };

struct held {
    const struct certificate_ref *refs[HELD_MAX];
    size_t count;
};

static const struct dps_object *find_certificate(const struct dps_state *state, const char *name)
{
    size_t at = dps_list_find(&state->folder[DPS_CERTIFICATE], name);
    return at < state->folder[DPS_CERTIFICATE].count ? &state->folder[DPS_CERTIFICATE].items[at]->object : NULL;
}

static struct held held_by(const struct dps_state *state, const struct dps_object *object)
{
    struct held held = {.count = 0};
    bool is_enrollment = object->is_x509 && object->kind != DPS_CERTIFICATE;
    for (int i = 0; i < DPS_PAIR && is_enrollment; i++) {
        const struct dps_object *named = object->ca_references[i] ? find_certificate(state, object->ca_references[i]) : NULL;
        if (certificate_ref_is_set(&object->certificates[i]))
            held.refs[held.count++] = &object->certificates[i];
        if (named)
            held.refs[held.count++] = &named->certificates[DPS_PRIMARY];
    }
    return held;
}

static bool is_same_text(const char *a, const char *b)
{
    return *a && strcmp(a, b) == 0;
}

static bool holds_one_of(const struct held *held, const struct held *others)
{
    for (size_t i = 0; i < held->count; i++)
        for (size_t k = 0; k < others->count; k++)
            if (is_same_text(held->refs[i]->sha256, others->refs[k]->sha256) || is_same_text(held->refs[i]->sha1, others->refs[k]->sha1))
                return true;
    return false;
}

static bool is_itself(const struct dps_object *a, const struct dps_object *b)
{
    return a->kind == b->kind && strcasecmp(a->id, b->id) == 0;
}

int sole_holder_check(const struct dps_state *state, const struct dps_object *object, struct error *error)
{
    static const enum dps_kind kinds[] = {DPS_ENROLLMENT, DPS_GROUP};
    const struct held held = held_by(state, object);
    for (size_t k = 0; k < ARRAY_COUNT(kinds) && held.count; k++)
        for (size_t i = 0; i < state->folder[kinds[k]].count; i++) {
            const struct dps_object *other = &state->folder[kinds[k]].items[i]->object;
            const struct held others = held_by(state, other);
            if (!is_itself(object, other) && holds_one_of(&held, &others))
                return error_set(error, ERROR_OWNER_FILE, ERROR_EXISTS,
                                 "the certificate of %s '%s' stands in %s '%s' already: Azure takes one in one enrollment alone; "
                                 "take it out there first",
                                 dps_kind_text(object->kind), object->id, dps_kind_text(other->kind), other->id);
        }
    return 0;
}
