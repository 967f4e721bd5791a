#include "certs/attestation_rules.h"

#include "base/yaml.h"

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

bool attestation_profile_alerts(const struct attestation_profile *profile, const char *surfaces)
{
    for (size_t i = 0; i < RULE_COUNT; i++) {
        enum attestation_surface surface = attestation_rule_surface(&rules[i], profile);
        attestation_surfaces_find(surfaces, &rules[i], &surface);
        if (surface == ATTESTATION_SURFACE_TLS_ALERT)
            return true;
    }
    return false;
}

/* ---- single rules ---- */

enum { SURFACE_WORD_BYTES = 96 };

/* The next RULE=SURFACE of the text, cut in two; false: there is none any more. */
static bool next_surface(const char **at, char rule[SURFACE_WORD_BYTES], char surface[SURFACE_WORD_BYTES])
{
    *at += strspn(*at, ", ");
    size_t length = strcspn(*at, ", "), rule_length = strcspn(*at, "=, ");
    if (length == 0)
        return false;
    snprintf(rule, SURFACE_WORD_BYTES, "%.*s", (int)rule_length, *at);
    snprintf(surface, SURFACE_WORD_BYTES, "%.*s", rule_length < length ? (int)(length - rule_length - 1) : 0, *at + rule_length + 1);
    *at += length;
    return true;
}

static int fail_rule(const char *rule, struct error *error)
{
    const char *names[RULE_COUNT + 1] = {NULL};
    for (size_t i = 0; i < RULE_COUNT; i++)
        names[i] = rules[i].id;
    const char *nearest = text_nearest(rule, names);
    return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "there is no rule '%s'%s%s%s; docs/fidelity.md has them all", rule,
                     nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'" : "");
}

static int fail_surface(const char *rule, const char *surface, struct error *error)
{
    const char *names[ARRAY_COUNT(surface_names) + 1] = {NULL};
    memcpy(names, surface_names, sizeof surface_names);
    const char *nearest = text_nearest(surface, names);
    return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "'%s=%s' names no surface%s%s%s; write such as '%s=connack' or '%s=none'", rule,
                     surface, nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'" : "", rule, rule);
}

int attestation_surfaces_check(const char *surfaces, struct error *error)
{
    char rule[SURFACE_WORD_BYTES], word[SURFACE_WORD_BYTES];
    enum attestation_surface surface;
    while (next_surface(&surfaces, rule, word)) {
        if (!attestation_rule_find(rule))
            return fail_rule(rule, error);
        if (!attestation_surface_from_name(word, &surface))
            return fail_surface(rule, word, error);
    }
    return 0;
}

bool attestation_surfaces_find(const char *surfaces, const struct attestation_rule *rule, enum attestation_surface *ret_surface)
{
    char id[SURFACE_WORD_BYTES], word[SURFACE_WORD_BYTES];
    while (surfaces && next_surface(&surfaces, id, word))
        if (strcmp(id, rule->id) == 0)
            return attestation_surface_from_name(word, ret_surface);
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
