/*
 * certs/dps_state.h - what DPS knows: individual enrollments, enrollment groups, certificates
 *
 * What:     the state folder (docs/state-folder.md is the contract: DIR/enrollments, DIR/enrollmentGroups, DIR/certificates, one JSON file an
 *           object in the shape of Azure's service API) in memory, with put, get, list, delete, etags, proof of possession, and objects that
 *           live in memory alone under a lease.
 * Not here: who may write (the caller holds the folder's lock, base/files.h dir_lock), what the objects decide (certs/attestation.h).
 * Lenient:  unknown members are kept, noticed once, written back unchanged; read-only members may be absent and are made in memory.
 * Names:    registration ids, group ids and certificate names are compared without regard to ASCII case, as Azure does.
 * Errors:   file for the objects' content (text: "certificates/root-ca.json: properties.certificate: ...; mend"), rig for the disk. NOT_FOUND,
 *           CONFLICT (Azure's 412: the etag is stale), EXISTS, BUSY, SYNTAX, LIMIT. Success outputs are untouched on failure.
 */
#ifndef CERTS_DPS_STATE_H
#define CERTS_DPS_STATE_H

#include "base/clock.h"
#include "base/json.h"
#include "certs/chain.h"

#define DPS_KINDS(X)                                                                                                                       \
    X(ENROLLMENT, "enrollment", "enrollments", "registrationId", "individual enrollment")                                                  \
    X(GROUP, "enrollmentGroup", "enrollmentGroups", "enrollmentGroupId", "enrollment group")                                               \
    X(CERTIFICATE, "certificate", "certificates", "name", "certificate")

enum dps_kind {
#define X(id, name, folder, id_member, text) DPS_##id,
    DPS_KINDS(X)
#undef X
        DPS_KIND_COUNT
};

const char *dps_kind_name(enum dps_kind kind);      /* "enrollmentGroup": as in the control plane and in events */
const char *dps_kind_folder(enum dps_kind kind);    /* "enrollmentGroups" */
const char *dps_kind_id_member(enum dps_kind kind); /* "enrollmentGroupId" */
const char *dps_kind_text(enum dps_kind kind);      /* "enrollment group" */

enum { DPS_ID_MAX_BYTES = 128, DPS_OBJECTS_MAX = 20000, DPS_VERIFICATION_CODE_BYTES = 49 };

/* A certificate as an object holds it: the certificate, or thumbprints alone. */
struct certificate_ref {
    X509 *certificate;             /* NULL: not there, or known by thumbprint only, as all of individual enrollments are */
    char sha1[SHA1_HEX_BYTES];     /* upper hex; "" when not known */
    char sha256[SHA256_HEX_BYTES]; /* upper hex; "" when not known */
};

bool certificate_ref_is_set(const struct certificate_ref *ref);
/* Same certificate: by SHA-256 when known, else by SHA-1. */
bool certificate_ref_matches(const struct certificate_ref *ref, const X509 *certificate);

enum { DPS_PRIMARY, DPS_SECONDARY, DPS_PAIR };

/* attestation.type of an enrollment or a group. */
enum dps_attestation { DPS_ATTESTATION_X509, DPS_ATTESTATION_SYMMETRIC_KEY, DPS_ATTESTATION_TPM, DPS_ATTESTATION_NONE };

/* Read only; lent by the state, valid until the next call that changes it (put, delete, reload, verify, drop, free). */
struct dps_object {
    enum dps_kind kind;
    const char *id;
    const cJSON *json; /* as Azure would show it, read-only members included */
    const char *etag;
    const char *place;                             /* "certificates/root-ca.json", or "lease 'L'" */
    const char *lease;                             /* NULL: an object of the folder */
    bool is_enabled;                               /* enrollment, group: provisioningStatus; true for a certificate */
    enum dps_attestation attestation;              /* enrollment, group; tpm and none are kept and never match */
    bool is_x509;                                  /* enrollment, group: attestation is that; true for a certificate */
    bool is_verified;                              /* certificate */
    struct certificate_ref certificates[DPS_PAIR]; /* enrollment: clientCertificates; group: signingCertificates; certificate: the first */
    const char *ca_references[DPS_PAIR];           /* group: names of certificates; NULL: none */
    const char *symmetric_keys[DPS_PAIR];          /* enrollment, group: base64 that sas_key_read takes; NULL: none */
    const char *verification_code;                 /* certificate: asked for and not yet used; else NULL */
};

/* Something to tell a person about the folder: an unknown member (a warning), a broken file (an error). */
struct dps_notice {
    bool is_error;
    const char *text; /* begins with the file; lent until the next call that changes the state */
};

struct dps_state;

/* Make the folders when missing, load all files. Broken files do not fail the call: see the notices. IO (rig). Given: dps_state_free() it.
 */
int dps_state_open(const char *dir, const struct clock *clock, struct dps_state **ret_state, struct error *error);
void dps_state_free(struct dps_state *state); /* NULL allowed */
const char *dps_state_dir(const struct dps_state *state);

/*
 * Read the folders again (SIGHUP). A file that has not changed keeps its object and etag; a file that is broken now keeps the last good
 * version of its object, and a notice says so; a file that is gone takes its object with it. Leased objects stay.
 * ret_changed (may be NULL): how many objects are new, changed or gone.
 */
int dps_state_reload(struct dps_state *state, size_t *ret_changed, struct error *error);

/* What the last open, reload or put had to say. Each unknown member is reported once in the life of a state. */
size_t dps_state_notice_count(const struct dps_state *state);
struct dps_notice dps_state_notice(const struct dps_state *state, size_t index);

/* The visible objects (a leased one hides one of the folder with the same name), sorted by id. */
size_t dps_state_count(const struct dps_state *state, enum dps_kind kind);
const struct dps_object *dps_state_at(const struct dps_state *state, enum dps_kind kind, size_t index);
/* NULL when there is none. */
const struct dps_object *dps_state_find(const struct dps_state *state, enum dps_kind kind, const char *id);
/*
 * An enrollment or a group, other than `except` (NULL: any), that holds the certificate as primary or secondary, by thumbprint. Both thumbprints of
 * `certificate` are given. Does not scan. NULL when there is none.
 */
const struct dps_object *dps_state_find_holder(const struct dps_state *state, enum dps_kind kind, const struct certificate_ref *certificate,
                                               const struct dps_object *except);
/* As find, NOT_FOUND (file) with a text that names what there is. */
int dps_state_get(const struct dps_state *state, enum dps_kind kind, const char *id, const struct dps_object **ret_object,
                  struct error *error);
/* An array with copies of all visible objects' JSON. NULL when out of memory. */
cJSON *dps_state_list(const struct dps_state *state, enum dps_kind kind);

/*
 * Create or replace.
 *
 * json        lent; Azure's shape; its etag and dates are ignored and made anew. Symmetric keys that it leaves out are those of the object that
 *             is replaced, or are made.
 * etag        NULL: no check; "*": must exist; else must be the present one (CONFLICT).
 * lease       NULL: into the folder, written before the call returns. Else memory only, gone with dps_state_drop_lease(). BUSY (rig):
 *             another lease has an object of that name.
 * ret_object  may be NULL; the object as stored.
 */
int dps_state_put(struct dps_state *state, enum dps_kind kind, const cJSON *json, const char *etag, const char *lease,
                  const struct dps_object **ret_object, struct error *error);
/*
 * Delete the visible object. etag: as above. A leased object uncovers the folder's. ret_json (may be NULL): what was deleted; given.
 */
int dps_state_delete(struct dps_state *state, enum dps_kind kind, const char *id, const char *etag, cJSON **ret_json, struct error *error);
/* Drop all objects of a lease, and its lane. Returns how many. */
size_t dps_state_drop_lease(struct dps_state *state, const char *lease);
/* `lease` has the lane `lane`: see dps_state_seen_from. MEMORY (ours). */
int dps_state_bind_lane(struct dps_state *state, const char *lease, const char *lane, struct error *error);
/*
 * The state for whoever connects on `lane`: without the objects of other leases, when a lease has that lane; else `state` itself. So several runs, and
 * several devices of a run, share one service without seeing each other's enrollments. Read only; lent, valid as a dps_object is. When memory is short
 * it is `state` itself.
 */
const struct dps_state *dps_state_seen_from(const struct dps_state *state, const char *lane);

/*
 * Proof of possession, step 1: a new code (48 upper hex digits) and a new etag; the code is kept with the object
 * (properties.verificationCode) until it is used. Asking again replaces it. etag: as in dps_state_put.
 */
int dps_state_verification_code(struct dps_state *state, const char *name, const char *etag, const struct dps_object **ret_object,
                                struct error *error);
/*
 * Step 2: `pem` is a certificate with CN = the code, signed directly by the key of the certificate `name`. Then it counts as verified.
 * CONFLICT: stale etag. REFUSED (file): no code was asked for, the CN is another, or another key signed; the text says which and what to
 * do.
 */
int dps_state_verify(struct dps_state *state, const char *name, const char *etag, const void *pem, size_t length_bytes,
                     const struct dps_object **ret_object, struct error *error);

/* "ID.json" with everything but [A-Za-z0-9._:-], and a leading dot, percent-encoded. malloc'ed; NULL when out of memory. */
char *dps_state_file_name(const char *id);
/* A new etag in Azure's look. malloc'ed; NULL when out of memory or randomness. For registration records too. */
char *dps_etag_new(const struct clock *clock);
enum { DPS_TIME_BYTES = 32 };
/* "2022-08-27T17:53:19.5143497Z", as Azure writes dates in enrollments and registration states. */
void dps_time_format(int64_t unix_us, char text[DPS_TIME_BYTES]);

#endif
