/*
 * certs/dps_object.h - one object of the state folder: from JSON to what the judge reads; internal to certs/
 *
 * What:     checks the shape (types of known members; unknown ones are told, not refused), reads certificates and references, and makes the
 *           read-only members that Azure would show.
 * Errors:   owner file, SYNTAX or LIMIT: "PLACE: MEMBER: what is wrong; the mend".
 */
#ifndef CERTS_DPS_OBJECT_H
#define CERTS_DPS_OBJECT_H

#include "certs/dps_state.h"

/* Owns all that `object` lends. */
struct dps_entry {
    struct dps_object object; /* first */
    cJSON *json;
    char *place;
    char *lease;                        /* NULL: of the folder */
    char *file_name;                    /* in the kind's folder; NULL for leased objects */
    char file_sha256[SHA256_HEX_BYTES]; /* of the file's bytes, to see whether it has changed */
};

/* Somebody to tell about an unknown member (`text` is lent), and what reading takes. */
struct dps_listener {
    void *user;
    void (*tell)(void *user, const char *text);
    OSSL_LIB_CTX *keyless; /* of certs/keyless_library.h, for certificates of enrollments; NULL: OpenSSL's own */
};

/*
 * json   taken over, in every case.
 * place  "enrollments/dev-01.json": stands in errors; copied.
 */
int dps_entry_new(enum dps_kind kind, cJSON *json, const char *place, const struct clock *clock, const struct dps_listener *listener,
                  struct dps_entry **ret_entry, struct error *error);
void dps_entry_free(struct dps_entry *entry); /* NULL allowed */
DEFINE_CLEANUP(struct dps_entry *, dps_entry_free)
#define CLEANUP_ENTRY CLEANUP(dps_entry_free_cleanup)

/*
 * New etag and update time, and symmetric keys where they are left out; creation time and keys are `old`'s when there is one. Before
 * dps_entry_new. Returns -1 when out of memory.
 */
int dps_json_stamp(enum dps_kind kind, cJSON *json, const struct dps_entry *old, const struct clock *clock);
/* Where a certificate object keeps certificate and isVerified: its `properties`, or the object itself. Lent. */
cJSON *dps_certificate_holder(cJSON *json);

/* Tell the unknown members of `json`, refuse known ones of a wrong type. (certs/dps_shape.c) */
int dps_shape_check(enum dps_kind kind, const cJSON *json, const char *place, const struct dps_listener *listener, struct error *error);

/*
 * "my-hub.azure-devices.net", and "localhost:18883" too: Microsoft's SDK for Node.js connects to the port that stands in assignedHub, and so a
 * simulator is the hub of its own devices without any change of names.
 */
bool dps_is_hub_name(const char *name);

/* "Fri, 06 May 2022 17:50:01 GMT", as Azure writes dates of certificates. */
void dps_http_time_format(int64_t unix_s, char text[DPS_TIME_BYTES]);

#endif
