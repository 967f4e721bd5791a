#include "certs/attestation_rules.h"

#include <openssl/x509_vfy.h>
#include <string.h>

/* What it is called without the prefix; 0 stays 0. */
#define X509_V_ERR_0 0

static const struct attestation_rule rules[] = {
#define X(name, rule_id, rule_class, rule_severity, rule_evidence, surfaces, error, code, rule_message, text, rule_source)                 \
    [RULE_##name] = {.id = (rule_id),                                                                                                      \
                     .class = (rule_class),                                                                                                \
                     .severity = ATTESTATION_##rule_severity,                                                                              \
                     .evidence = ATTESTATION_##rule_evidence,                                                                              \
                     .azure = (text),                                                                                                      \
                     .source = (rule_source),                                                                                              \
                     .verify_error = X509_V_ERR_##error,                                                                                   \
                     .error_code = (code),                                                                                                 \
                     .message = (rule_message)},
    ATTESTATION_RULES(X)
#undef X
};

enum {
#define X(id, name, text) PROFILE_##id,
    ATTESTATION_PROFILES(X)
#undef X
        PROFILE_COUNT
};

static const struct attestation_profile profiles[] = {
#define X(id, profile_name, profile_text) [PROFILE_##id] = {.name = (profile_name), .text = (profile_text)},
    ATTESTATION_PROFILES(X)
#undef X
};

/* A profile is a column. */
static const unsigned char surface_table[RULE_COUNT][PROFILE_COUNT] = {
#define COLUMNS(azure, connack, azure_2018, strict_tls, gateway_guide)                                                                     \
    {                                                                                                                                      \
        ATTESTATION_SURFACE_##azure, ATTESTATION_SURFACE_##connack, ATTESTATION_SURFACE_##azure_2018, ATTESTATION_SURFACE_##strict_tls,    \
            ATTESTATION_SURFACE_##gateway_guide                                                                                            \
    }
#define X(name, id, class, severity, evidence, surfaces, ...) [RULE_##name] = COLUMNS surfaces,
    ATTESTATION_RULES(X)
#undef X
#undef COLUMNS
};

static const char *const surface_names[] = {
#define X(id, name) [ATTESTATION_SURFACE_##id] = (name),
    ATTESTATION_SURFACES(X)
#undef X
};

const struct attestation_rule *attestation_rule_at(size_t index)
{
    return index < RULE_COUNT ? &rules[index] : NULL;
}

const struct attestation_rule *attestation_rule_find(const char *id)
{
    for (size_t i = 0; i < RULE_COUNT; i++)
        if (strcmp(rules[i].id, id) == 0)
            return &rules[i];
    return NULL;
}

const struct attestation_profile *attestation_profile_at(size_t index)
{
    return index < PROFILE_COUNT ? &profiles[index] : NULL;
}

const struct attestation_profile *attestation_profile_find(const char *name)
{
    for (size_t i = 0; i < PROFILE_COUNT; i++)
        if (strcmp(profiles[i].name, name) == 0)
            return &profiles[i];
    return NULL;
}

enum attestation_surface attestation_rule_surface(const struct attestation_rule *rule, const struct attestation_profile *profile)
{
    return (enum attestation_surface)surface_table[rule - rules][profile - profiles];
}

bool attestation_profile_alerts(const struct attestation_profile *profile)
{
    for (size_t i = 0; i < RULE_COUNT; i++)
        if (attestation_rule_surface(&rules[i], profile) == ATTESTATION_SURFACE_TLS_ALERT)
            return true;
    return false;
}

enum attestation_severity attestation_rule_severity(const struct attestation_rule *rule, const struct attestation_profile *profile)
{
    return attestation_rule_surface(rule, profile) == ATTESTATION_SURFACE_NONE ? rule->severity : ATTESTATION_REFUSE;
}

const char *attestation_outcome_name(enum attestation_outcome outcome)
{
    static const char *const names[] = {
        [ATTESTATION_ACCEPTED] = "accepted", [ATTESTATION_REFUSED] = "refused", [ATTESTATION_DISABLED] = "disabled"};
    return names[outcome];
}

const char *attestation_surface_name(enum attestation_surface surface)
{
    return surface_names[surface];
}

bool attestation_surface_from_name(const char *name, enum attestation_surface *ret_surface)
{
    *ret_surface = ATTESTATION_SURFACE_NONE;
    for (size_t i = 0; i < sizeof surface_names / sizeof surface_names[0]; i++)
        if (strcmp(surface_names[i], name) == 0) {
            *ret_surface = (enum attestation_surface)i;
            return true;
        }
    return false;
}

const char *attestation_severity_name(enum attestation_severity severity)
{
    static const char *const names[] = {[ATTESTATION_NOTE] = "note", [ATTESTATION_WARN] = "warn", [ATTESTATION_REFUSE] = "refuse"};
    return names[severity];
}

const char *attestation_evidence_name(enum attestation_evidence evidence)
{
    static const char *const names[] = {[ATTESTATION_DOCUMENTED] = "documented",
                                        [ATTESTATION_FIELD_OBSERVED] = "field-observed",
                                        [ATTESTATION_VENDOR] = "vendor",
                                        [ATTESTATION_ASSUMED] = "assumed"};
    return names[evidence];
}
