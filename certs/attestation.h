/*
 * certs/attestation.h - the judge: what DPS decides about a device, by which rule, and what the device will see of it
 *
 * What:     (chain as presented, registration id, what DPS knows, the time, a profile) in; a verdict out, with every rule that fired. Three
 *           readers: the simulator decides with it, lint predicts with it, diagnose explains with it.
 * Not here: CONNECT's own rules (id scope, user name, client id: class C13), allocation, hubs.
 * Rules:    one table (certs/attestation_rules.h): id, class, severity, evidence, what Azure does, source, the surface under each profile. Ids
 *           never change.
 * Surface:  where the device sees a refusal. Public evidence is mixed, so it is a table a profile, not code.
 * Source:   azure-docs articles/iot-dps: concepts-x509-attestation, how-to-verify-certificates, how-to-revoke-device-access-portal,
 *           how-to-roll-certificates, iot-dps-https-x509-support; issues of Azure's SDKs where a rule says so.
 */
#ifndef CERTS_ATTESTATION_H
#define CERTS_ATTESTATION_H

#include "certs/dps_state.h"

enum attestation_outcome { ATTESTATION_ACCEPTED, ATTESTATION_REFUSED, ATTESTATION_DISABLED };

/* In this order a deciding rule is looked for: a refusal beats a warning. */
enum attestation_severity { ATTESTATION_NOTE, ATTESTATION_WARN, ATTESTATION_REFUSE };

#define ATTESTATION_SURFACES(X)                                                                                                            \
    X(NONE, "none")           /* the device sees nothing of it */                                                                          \
    X(CONNACK, "connack")     /* CONNACK with a return code */                                                                             \
    X(RES400, "res400")       /* $dps/registrations/res/400/ with an error body */                                                         \
    X(RES401, "res401")       /* $dps/registrations/res/401/ with an error body, then the connection is closed */                          \
    X(RES404, "res404")       /* $dps/registrations/res/404/ with an error body */                                                         \
    X(FAILED, "failed")       /* 202, then a poll says status "failed" with errorCode and errorMessage */                                  \
    X(DISABLED, "disabled")   /* 202, then a poll says status "disabled" */                                                                \
    X(CLOSED, "closed")       /* no CONNACK: the connection is closed */                                                                   \
    X(TLS_ALERT, "tls-alert") /* the handshake ends with a TLS alert */

enum attestation_surface {
#define X(id, name) ATTESTATION_SURFACE_##id,
    ATTESTATION_SURFACES(X)
#undef X
};

enum attestation_evidence {
    ATTESTATION_DOCUMENTED,     /* Microsoft's documentation or specification says it */
    ATTESTATION_FIELD_OBSERVED, /* somebody's log shows it */
    ATTESTATION_VENDOR,         /* a third party states it */
    ATTESTATION_ASSUMED,        /* no public source: our choice */
};

struct attestation_rule {
    const char *id;    /* "chain.unknown-ca": stable */
    const char *class; /* "C07" */
    enum attestation_severity severity;
    enum attestation_evidence evidence;
    const char *azure;   /* what Azure does, one sentence */
    const char *source;  /* where that stands */
    int verify_error;    /* X509_V_ERR_...: what a verifying TLS server calls it; 0: it does not see it */
    int error_code;      /* of the error body: 401002 ...; 0: none */
    const char *message; /* of the error body; NULL: none */
};

/* How a rule shows under a profile. */
struct attestation_profile {
    const char *name;
    const char *text; /* one sentence */
};

/* All rules, all profiles: for documentation, lint, --help. NULL past the end. Lent for ever. */
const struct attestation_rule *attestation_rule_at(size_t index);
const struct attestation_rule *attestation_rule_find(const char *id);
const struct attestation_profile *attestation_profile_at(size_t index);
/* NULL when there is none of that name. "azure" is the default profile. */
const struct attestation_profile *attestation_profile_find(const char *name);
/* Some rule shows as a TLS alert: there is something to ask in the handshake. */
bool attestation_profile_alerts(const struct attestation_profile *profile, const char *surfaces);
enum attestation_surface attestation_rule_surface(const struct attestation_rule *rule, const struct attestation_profile *profile);
/* The rule's own, or REFUSE where the profile shows it. */
enum attestation_severity attestation_rule_severity(const struct attestation_rule *rule, const struct attestation_profile *profile);

/*
 * Single rules that show elsewhere than the profile says, as text: "leaf.expired=tls-alert chain.self-signed-leaf=none", a space or a comma between
 * them; "" or NULL: none. `none` takes the device all the same, where an enrollment is found.
 * error     USAGE (file): no such rule, no such surface; the nearest is named.
 */
int attestation_surfaces_check(const char *surfaces, struct error *error);
/* false: they do not name the rule. */
bool attestation_surfaces_find(const char *surfaces, const struct attestation_rule *rule, enum attestation_surface *ret_surface);

const char *attestation_outcome_name(enum attestation_outcome outcome); /* "accepted", "refused", "disabled" */
const char *attestation_surface_name(enum attestation_surface surface); /* "connack" ... */
/* ATTESTATION_SURFACE_NONE, and false, for another word. */
bool attestation_surface_from_name(const char *name, enum attestation_surface *ret_surface);
const char *attestation_severity_name(enum attestation_severity severity); /* "refuse", "warn", "note" */
const char *attestation_evidence_name(enum attestation_evidence evidence); /* "documented", "field-observed", "vendor", "assumed" */

struct attestation_question {
    const x509_stack *chain; /* as presented, leaf first; NULL or empty: none came */
    int signed_count;        /* so many certificates, from the first on, are known to be signed by the one behind: the handshake checked */
    const char *registration_id; /* as in the user name */
    const struct dps_state *state;
    int64_t now_unix_s;
    const struct attestation_profile *profile; /* NULL: azure */
    const char *surfaces;                      /* rules that show elsewhere: attestation_surfaces_check(); NULL: none */
    const char *pasted;                        /* the device's PEM as a person pasted it, where one did; NULL: not known */
    bool is_in_handshake;                      /* only what shows as a TLS alert decides: who connects is not said yet */
};

/* One rule that fired. Texts are malloc'ed and belong to the verdict. */
struct attestation_finding {
    const struct attestation_rule *rule;
    enum attestation_severity severity; /* the rule's, or lower where the rule has a harmless form (chain.order) */
    char *text;                         /* one sentence for a person; names both sides of a mismatch */
    char *mend;                         /* what to do, what to type; "" for a note that needs nothing */
};

enum { ATTESTATION_FINDINGS_MAX = 32 };

/* Owns everything but rules and profile; nothing in it is lent from the state. */
struct attestation_verdict {
    enum attestation_outcome outcome;
    const struct attestation_rule *rule; /* the deciding one; NULL when accepted */
    const struct attestation_profile *profile;
    struct attestation_finding findings[ATTESTATION_FINDINGS_MAX]; /* the deciding one first */
    size_t finding_count;
    enum attestation_surface surface; /* NONE when accepted */
    int return_code;                  /* surface connack, else 0 */
    int verify_error;                 /* surface tls-alert: X509_V_ERR_..., or 0 where no certificate came; else 0 */
    int error_code;                   /* surfaces res4xx and failed, else 0 */
    const char *message;              /* likewise, else NULL; lent for ever */
    bool is_matched;                  /* an enrollment or a group was found (accepted, disabled, or refused afterwards) */
    enum dps_kind match_kind;         /* DPS_ENROLLMENT or DPS_GROUP */
    char *match_id;                   /* NULL when not matched */
    char *matched;                    /* how: "primary client certificate", "caReferences.primary 'root-ca'"; NULL when not matched */
    char *registration_id;
    char *leaf_cn; /* NULL: no leaf, or no CN */
    char *text;    /* one sentence for a person */
    char *mend;    /* "" when accepted */
    cJSON *chain;  /* array of subjects, as presented */
    cJSON *path;   /* array of texts: the chain as DPS builds it, "CN=Root (known, verified as 'root-ca')"; empty without a leaf */
};

/* error: MEMORY (ours). The judge itself never refuses: a refusal is a verdict. ret_verdict: given; attestation_verdict_free() it. */
int attestation_judge(const struct attestation_question *question, struct attestation_verdict **ret_verdict, struct error *error);
void attestation_verdict_free(struct attestation_verdict *verdict); /* NULL allowed */

/* The `data` of the event attestation.verdict (docs/events.md). NULL when out of memory. */
cJSON *attestation_verdict_json(const struct attestation_verdict *verdict);

/* 1 to 128 ASCII letters, digits and - . _ :, the last one a letter, a digit or '-' (azure-docs articles/iot-dps/concepts-service.md). */
bool registration_id_is_valid(const char *registration_id);
/* Without regard to ASCII case. */
bool registration_id_equals(const char *a, const char *b);

#endif
