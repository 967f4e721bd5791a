#include "certs/attestation_rules.h"

#include <string.h>

static const struct attestation_rule rules[] = {
#define X(name, rule_id, rule_class, rule_severity, rule_evidence, azure_surface, connack_surface, code, rule_message, text, rule_source)  \
    [RULE_##name] = {.id = (rule_id),                                                                                                      \
                     .class = (rule_class),                                                                                                \
                     .severity = ATTESTATION_##rule_severity,                                                                              \
                     .evidence = ATTESTATION_##rule_evidence,                                                                              \
                     .azure = (text),                                                                                                      \
                     .source = (rule_source),                                                                                              \
                     .error_code = (code),                                                                                                 \
                     .message = (rule_message)},
    ATTESTATION_RULES(X)
#undef X
};

enum { PROFILE_AZURE, PROFILE_CONNACK, PROFILE_COUNT };

static const struct attestation_profile profiles[] = {
    [PROFILE_AZURE] = {.name = "azure",
                       .text = "each refusal where the best public evidence shows it, mostly 401 after the registration request"},
    [PROFILE_CONNACK] = {.name = "connack", .text = "every refusal at CONNECT, with return code 5"},
};

/* A profile is a column. */
static const unsigned char surfaces[PROFILE_COUNT][RULE_COUNT] = {
    [PROFILE_AZURE] =
        {
#define X(name, id, class, severity, evidence, azure_surface, connack_surface, code, message, text, source)                                \
    [RULE_##name] = ATTESTATION_SURFACE_##azure_surface,
            ATTESTATION_RULES(X)
#undef X
        },
    [PROFILE_CONNACK] =
        {
#define X(name, id, class, severity, evidence, azure_surface, connack_surface, code, message, text, source)                                \
    [RULE_##name] = ATTESTATION_SURFACE_##connack_surface,
            ATTESTATION_RULES(X)
#undef X
        },
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
    return (enum attestation_surface)surfaces[profile - profiles][rule - rules];
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
