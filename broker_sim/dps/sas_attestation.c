#include "broker_sim/dps/sas_attestation.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define X(id, rule_name, rule_code, rule_message, rule_mend)                                                                               \
    static const struct dps_rule RULE_##id = {                                                                                             \
        .name = (rule_name), .class = "sas", .error_code = (rule_code), .message = (rule_message), .mend = (rule_mend)};
DPS_SAS_RULES(X)
#undef X

typedef char id_text[CLAIMED_ID_MAX_BYTES + 1];

struct search {
    const struct sas_question *question;
    struct sas_token token;
    id_text lower_id;
    struct sas_match match;
    const char *bare_group; /* a group whose own key signed; NULL: none */
};

static void make_lower(const char *registration_id, id_text ret_lower)
{
    snprintf(ret_lower, sizeof(id_text), "%s", registration_id);
    for (char *c = ret_lower; *c; c++)
        *c = (char)tolower((unsigned char)*c);
}

static int check_token(const struct sas_question *question, struct search *search, struct dps_refusal *refusal)
{
    struct error error = ERROR_INIT;
    const struct sas_token *token = &search->token;
    char resource[ID_SCOPE_MAX_BYTES + CLAIMED_ID_MAX_BYTES + sizeof "/registrations/"];
    if (sas_token_read(question->token, &search->token, &error))
        return dps_refuse(refusal, &RULE_TOKEN, "%s", error.text);
    snprintf(resource, sizeof resource, "%s/registrations/%s", question->id_scope, question->registration_id);
    if (strcasecmp(token->resource, resource) != 0)
        return dps_refuse(refusal, &RULE_RESOURCE, "the SAS token is for '%.256s'; this CONNECT is for '%s'", token->resource, resource);
    if (token->policy[0] && strcmp(token->policy, "registration") != 0)
        return dps_refuse(refusal, &RULE_POLICY, "the SAS token says skn=%s; DPS knows 'registration' alone for devices", token->policy);
    if (token->expiry_unix_s <= question->now_unix_s)
        return dps_refuse(refusal, &RULE_EXPIRED, "the SAS token expired %lld s ago, at %lld",
                          (long long)(question->now_unix_s - token->expiry_unix_s), (long long)token->expiry_unix_s);
    return 0;
}

static bool is_signed_by_derived(const struct search *search, const struct sas_key *group_key, const char *registration_id)
{
    CLEANUP_SAS_KEY struct sas_key key = {.length_bytes = 0};
    return sas_key_derive(group_key, registration_id, &key, NULL) == 0 && sas_token_is_signed_by(&search->token, &key);
}

/* The state has checked the text of the key. */
static bool key_fits(struct search *search, const struct dps_object *object, size_t which)
{
    CLEANUP_SAS_KEY struct sas_key key = {.length_bytes = 0};
    if (!object->symmetric_keys[which] || sas_key_read(object->symmetric_keys[which], &key, NULL))
        return false;
    bool is_bare = sas_token_is_signed_by(&search->token, &key);
    if (object->kind == DPS_ENROLLMENT)
        return is_bare;
    if (is_bare)
        search->bare_group = object->id;
    if (is_signed_by_derived(search, &key, search->question->registration_id))
        return true;
    search->match.is_lower_id = is_signed_by_derived(search, &key, search->lower_id);
    return search->match.is_lower_id;
}

static bool object_fits(struct search *search, const struct dps_object *object)
{
    for (size_t which = 0; which < DPS_PAIR; which++) {
        if (!key_fits(search, object, which))
            continue;
        search->match.object = object;
        search->match.is_secondary = which == DPS_SECONDARY;
        return true;
    }
    return false;
}

static int judge_individual(struct search *search, const struct dps_object *object, struct dps_refusal *refusal)
{
    if (object->attestation == DPS_ATTESTATION_TPM)
        return dps_refuse(refusal, &RULE_TPM, "the individual enrollment '%s' is for TPM attestation", object->id);
    if (object->attestation != DPS_ATTESTATION_SYMMETRIC_KEY)
        return dps_refuse(refusal, &RULE_NO_ENROLLMENT,
                          "the individual enrollment '%s' is for certificates, and the device sent a SAS token", object->id);
    if (!object_fits(search, object))
        return dps_refuse(refusal, &RULE_SIGNATURE, "the SAS token was signed with neither key of the individual enrollment '%s'",
                          object->id);
    return 0;
}

static int judge_groups(struct search *search, struct dps_refusal *refusal)
{
    const struct dps_state *state = search->question->state;
    size_t group_count = 0;
    for (size_t i = 0; i < dps_state_count(state, DPS_GROUP); i++) {
        const struct dps_object *object = dps_state_at(state, DPS_GROUP, i);
        if (object->attestation != DPS_ATTESTATION_SYMMETRIC_KEY)
            continue;
        group_count++;
        if (object_fits(search, object))
            return 0;
    }
    if (search->bare_group)
        return dps_refuse(refusal, &RULE_GROUP_KEY, "the SAS token was signed with the key of group '%s' itself", search->bare_group);
    if (!group_count)
        return dps_refuse(refusal, &RULE_NO_ENROLLMENT, "there is no individual enrollment '%s', and no group with symmetric keys",
                          search->question->registration_id);
    return dps_refuse(refusal, &RULE_SIGNATURE, "the SAS token was signed with no key that is derived for '%s' from one of %zu groups",
                      search->question->registration_id, group_count);
}

int sas_attestation_judge(const struct sas_question *question, struct sas_match *ret_match, struct dps_refusal *refusal)
{
    struct search search = {.question = question};
    if (check_token(question, &search, refusal))
        return -1;
    make_lower(question->registration_id, search.lower_id);
    const struct dps_object *individual = dps_state_find(question->state, DPS_ENROLLMENT, question->registration_id);
    if (individual ? judge_individual(&search, individual, refusal) : judge_groups(&search, refusal))
        return -1;
    *ret_match = search.match;
    return 0;
}

int sas_attestation_device_keys(const struct dps_object *object, const char *registration_id, bool is_lower_id,
                                char ret_keys[DPS_PAIR][SAS_KEY_TEXT_BYTES])
{
    id_text lower;
    make_lower(registration_id, lower);
    for (size_t which = 0; which < DPS_PAIR; which++) {
        CLEANUP_SAS_KEY struct sas_key key = {.length_bytes = 0}, derived = {.length_bytes = 0};
        const char *text = object->symmetric_keys[which];
        ret_keys[which][0] = 0;
        if (!text)
            continue;
        if (sas_key_read(text, &key, NULL) || sas_key_derive(&key, is_lower_id ? lower : registration_id, &derived, NULL))
            return -1;
        sas_key_format(object->kind == DPS_GROUP ? &derived : &key, ret_keys[which]);
    }
    return 0;
}
