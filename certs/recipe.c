#include "certs/recipe.h"

#include "base/cleanup.h"
#include "certs/recipe_model.h"

#include <openssl/objects.h>
#include <stdlib.h>
#include <string.h>

DEFINE_CLEANUP(struct yaml *, yaml_free)
DEFINE_CLEANUP(struct recipe *, recipe_free)

static const char *const key_words[] = {
#define X(id, word, algorithm, bits, group) [RECIPE_KEY_##id] = (word),
    RECIPE_KEYS(X)
#undef X
        NULL,
};

static const char *const name_types[] = {"CN", "C", "ST", "L", "O", "OU", "emailAddress", "serialNumber", "DC", NULL};
static const char *const digests[] = {"sha256", "sha384", "sha512", "sha224", "sha1", "md5", NULL};
static const char *const variables[] = {"registration_id", "dps_host", "hosts", NULL};

/* In the order of RFC 5280's bits. */
static const char *const key_usages[] = {"digitalSignature", "nonRepudiation", "keyEncipherment", "dataEncipherment", "keyAgreement",
                                         "keyCertSign",      "cRLSign",        "encipherOnly",    "decipherOnly",     NULL};
static const char *const extended_key_usages[] = {"serverAuth",   "clientAuth",  "codeSigning", "emailProtection",
                                                  "timeStamping", "OCSPSigning", NULL};

/* "${name}" in a text: only names that the forge can fill; ${hosts} is a list and must be the whole of a SAN item. */
static int check_variables(struct yaml_node node, bool may_be_list, struct error *error)
{
    const char *text = yaml_text(node);
    if (!text)
        return yaml_fail(node, error, "a text is expected here");
    for (const char *at = text; (at = strstr(at, "${")); at += 2) {
        const char *end = strchr(at, '}');
        char name[32];
        if (!end)
            return yaml_fail(node, error, "'${' without '}' in '%s'", text);
        snprintf(name, sizeof name, "%.*s", (int)(end - at - 2), at + 2);
        bool is_known = false;
        for (const char *const *word = variables; *word; word++)
            is_known |= strcmp(*word, name) == 0;
        if (!is_known)
            return yaml_fail(node, error, "unknown variable '${%s}'; there are ${registration_id}, ${dps_host}, ${hosts}", name);
        if (strcmp(name, "hosts") == 0 && (!may_be_list || strcmp(text, "${hosts}") != 0))
            return yaml_fail(node, error, "${hosts} is a list: it may only be an item of its own in subjectAltName");
    }
    return 0;
}

static int add_subject(struct recipe_member *member, const char *type, struct yaml_node value, struct error *error)
{
    if (member->subject_count == RECIPE_NAME_ENTRIES_MAX)
        return yaml_fail(value, error, "a subject has at most %d parts", RECIPE_NAME_ENTRIES_MAX);
    if (check_variables(value, false, error))
        return -1;
    member->subject[member->subject_count++] = (struct recipe_name_entry){.type = type, .value = value};
    return 0;
}

/* "CN: dev-01", or "CN: [a, b]" for a name that holds two of them. */
static int read_subject(struct recipe_member *member, struct yaml_node node, struct error *error)
{
    if (yaml_check_keys(node, "subject", name_types, error))
        return -1;
    for (size_t i = 0; i < yaml_count(node); i++) {
        const char *type = yaml_text(yaml_key_at(node, i));
        struct yaml_node value = yaml_value_at(node, i);
        if (!yaml_is_list(value) && add_subject(member, type, value, error))
            return -1;
        for (size_t j = 0; yaml_is_list(value) && j < yaml_count(value); j++)
            if (add_subject(member, type, yaml_item_at(value, j), error))
                return -1;
    }
    return 0;
}

enum { TIME_MAX_S = 36500 * 86400LL };

static int read_time(struct yaml_node map, const char *key, int64_t *value_s, struct error *error)
{
    struct yaml_node node = yaml_get(map, key);
    if (!yaml_is_there(node))
        return 0;
    const char *text = yaml_text(node);
    char *unit = NULL;
    long long number = text ? strtoll(text, &unit, 10) : 0;
    int64_t factor = !text || unit == text ? 0 : *unit == 'd' ? 86400 : *unit == 'h' ? 3600 : *unit == 'm' ? 60 : *unit == 's' ? 1 : 0;
    if (!factor || unit[1])
        return yaml_fail(node, error, "'%s' is no time from now; write -1d, +365d, -2h, +30m or +10s", text ? text : "(not a plain value)");
    if (number > TIME_MAX_S / factor || number < -(TIME_MAX_S / factor))
        return yaml_fail(node, error, "'%s' is further away than 100 years", text);
    *value_s = number * factor;
    return 0;
}

static int read_times(struct recipe_member *member, struct error *error)
{
    member->not_before_s = -86400;
    member->not_after_s = 365 * (int64_t)86400;
    if (read_time(member->node, "not_before", &member->not_before_s, error) ||
        read_time(member->node, "not_after", &member->not_after_s, error))
        return -1;
    if (member->not_after_s <= member->not_before_s)
        return yaml_fail(yaml_get(member->node, "not_after"), error, "not_after must be later than not_before");
    return 0;
}

static int read_optional_bool(struct yaml_node map, const char *key, bool *value, struct error *error)
{
    struct yaml_node node = yaml_get(map, key);
    return yaml_is_there(node) ? yaml_read_bool(node, value, error) : 0;
}

static int read_basic_constraints(struct recipe_extensions *extensions, struct yaml_node node, struct error *error)
{
    static const char *const keys[] = {"ca", "pathlen", "critical", NULL};
    extensions->pathlen = RECIPE_PATHLEN_NONE;
    extensions->has_basic_constraints = yaml_is_there(node);
    extensions->is_basic_constraints_critical = true;
    if (!yaml_is_there(node))
        return 0;
    struct yaml_node ca;
    if (yaml_check_keys(node, "basicConstraints", keys, error) || yaml_require(node, "ca", &ca, error) ||
        yaml_read_bool(ca, &extensions->is_ca, error) ||
        read_optional_bool(node, "critical", &extensions->is_basic_constraints_critical, error))
        return -1;
    int64_t pathlen = RECIPE_PATHLEN_NONE;
    struct yaml_node pathlen_node = yaml_get(node, "pathlen");
    if (yaml_is_there(pathlen_node) && yaml_read_integer(pathlen_node, 0, 100, &pathlen, error))
        return -1;
    extensions->pathlen = (int)pathlen;
    return 0;
}

static int require_list(struct yaml_node node, const char *what, struct error *error)
{
    if (!yaml_is_list(node) || yaml_count(node) == 0)
        return yaml_fail(node, error, "%s must be a list with at least one item", what);
    return 0;
}

static int read_key_usage(struct recipe_extensions *extensions, struct yaml_node node, struct error *error)
{
    if (!yaml_is_there(node))
        return 0;
    if (require_list(node, "keyUsage", error))
        return -1;
    for (size_t i = 0; i < yaml_count(node); i++) {
        size_t bit;
        if (yaml_read_word(yaml_item_at(node, i), "a key usage", key_usages, &bit, error))
            return -1;
        extensions->key_usage_bits |= 1U << bit;
    }
    return 0;
}

static int read_extended_key_usage(struct recipe_extensions *extensions, struct yaml_node node, struct error *error)
{
    if (!yaml_is_there(node))
        return 0;
    if (require_list(node, "extendedKeyUsage", error))
        return -1;
    if (yaml_count(node) > RECIPE_EKU_MAX)
        return yaml_fail(node, error, "extendedKeyUsage holds at most %d items", RECIPE_EKU_MAX);
    for (size_t i = 0; i < yaml_count(node); i++) {
        size_t word;
        if (yaml_read_word(yaml_item_at(node, i), "an extended key usage", extended_key_usages, &word, error))
            return -1;
        extensions->extended_key_usage_nids[extensions->extended_key_usage_count++] = OBJ_sn2nid(extended_key_usages[word]);
    }
    return 0;
}

static int read_subject_alt_names(struct recipe_extensions *extensions, struct yaml_node node, struct error *error)
{
    extensions->subject_alt_names = node;
    if (!yaml_is_there(node))
        return 0;
    if (require_list(node, "subjectAltName", error))
        return -1;
    if (yaml_count(node) > RECIPE_SAN_MAX)
        return yaml_fail(node, error, "subjectAltName holds at most %d items", RECIPE_SAN_MAX);
    for (size_t i = 0; i < yaml_count(node); i++)
        if (check_variables(yaml_item_at(node, i), true, error))
            return -1;
    return 0;
}

static int read_extensions(struct recipe_member *member, struct error *error)
{
    static const char *const keys[] = {"basicConstraints",       "keyUsage", "extendedKeyUsage", "subjectAltName", "subjectKeyIdentifier",
                                       "authorityKeyIdentifier", NULL};
    struct recipe_extensions *extensions = &member->extensions;
    struct yaml_node node = yaml_get(member->node, "extensions");
    extensions->node = node;
    if (yaml_is_there(node) && yaml_check_keys(node, "extensions", keys, error))
        return -1;
    if (member->version == 1 && yaml_is_there(node))
        return yaml_fail(node, error, "a version 1 certificate has no extensions; drop them, or say 'version: 3'");
    extensions->has_subject_key_identifier = extensions->has_authority_key_identifier = member->version == 3;
    if (read_basic_constraints(extensions, yaml_get(node, "basicConstraints"), error) ||
        read_key_usage(extensions, yaml_get(node, "keyUsage"), error) ||
        read_extended_key_usage(extensions, yaml_get(node, "extendedKeyUsage"), error) ||
        read_subject_alt_names(extensions, yaml_get(node, "subjectAltName"), error))
        return -1;
    return read_optional_bool(node, "subjectKeyIdentifier", &extensions->has_subject_key_identifier, error) ||
                   read_optional_bool(node, "authorityKeyIdentifier", &extensions->has_authority_key_identifier, error)
               ? -1
               : 0;
}

static int read_key(struct recipe_member *member, struct error *error)
{
    struct yaml_node node;
    size_t word;
    if (yaml_require(member->node, "key", &node, error) || yaml_read_word(node, "a key type", key_words, &word, error))
        return -1;
    member->key = (enum recipe_key)word;
    return 0;
}

static int read_version_and_digest(struct recipe_member *member, struct error *error)
{
    struct yaml_node version = yaml_get(member->node, "version");
    int64_t number = 3;
    if (yaml_is_there(version) && yaml_read_integer(version, 1, 3, &number, error))
        return -1;
    if (number == 2)
        return yaml_fail(version, error, "version is 1 or 3");
    member->version = (int)number;
    size_t digest = 0;
    member->digest_node = yaml_get(member->node, "digest");
    if (yaml_is_there(member->digest_node) && yaml_read_word(member->digest_node, "a digest", digests, &digest, error))
        return -1;
    member->digest = digests[digest];
    return 0;
}

static int read_member(struct recipe_member *member, struct error *error)
{
    static const char *const keys[] = {"subject", "issuer", "key", "version", "digest", "not_before", "not_after", "extensions", NULL};
    struct yaml_node subject;
    if (yaml_check_keys(member->node, "a member", keys, error) || yaml_require(member->node, "subject", &subject, error) ||
        read_subject(member, subject, error) || read_key(member, error) || read_version_and_digest(member, error) ||
        read_times(member, error))
        return -1;
    return read_extensions(member, error);
}

/* Names become file names. */
static int check_member_name(struct yaml_node key, struct error *error)
{
    const char *name = yaml_text(key);
    size_t good = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");
    if (!good || name[good] || good > RECIPE_MEMBER_NAME_MAX_BYTES || name[0] == '-')
        return yaml_fail(key, error, "member name '%s': use 1 to %d small letters, digits and '-'", name, RECIPE_MEMBER_NAME_MAX_BYTES);
    return 0;
}

static int read_members(struct recipe *recipe, struct yaml_node members, struct error *error)
{
    if (!yaml_is_map(members) || yaml_count(members) == 0)
        return yaml_fail(members, error, "members must be a mapping of names to certificates");
    if (yaml_count(members) > RECIPE_MEMBERS_MAX)
        return yaml_fail(members, error, "a recipe has at most %d members", RECIPE_MEMBERS_MAX);
    for (size_t i = 0; i < yaml_count(members); i++) {
        struct recipe_member *member = &recipe->members[recipe->member_count++];
        member->node = yaml_value_at(members, i);
        member->name = yaml_text(yaml_key_at(members, i));
        if (check_member_name(yaml_key_at(members, i), error) || read_member(member, error))
            return -1;
    }
    return 0;
}

static int find_member(const struct recipe *recipe, struct yaml_node node, size_t *ret_index, struct error *error)
{
    const char *names[RECIPE_MEMBERS_MAX + 1] = {NULL};
    for (size_t i = 0; i < recipe->member_count; i++)
        names[i] = recipe->members[i].name;
    return yaml_read_word(node, "a member", names, ret_index, error);
}

static int read_issuers(struct recipe *recipe, struct error *error)
{
    for (size_t i = 0; i < recipe->member_count; i++) {
        struct recipe_member *member = &recipe->members[i];
        struct yaml_node issuer;
        if (yaml_require(member->node, "issuer", &issuer, error))
            return -1;
        member->issuer = i;
        if (yaml_text(issuer) && strcmp(yaml_text(issuer), "self") == 0)
            continue;
        if (find_member(recipe, issuer, &member->issuer, error))
            return -1;
        if (member->issuer == i)
            return yaml_fail(issuer, error, "a member that signs itself says 'issuer: self'");
    }
    return 0;
}

static int check_digests(const struct recipe *recipe, struct error *error)
{
    for (size_t i = 0; i < recipe->member_count; i++) {
        const struct recipe_member *member = &recipe->members[i];
        if (yaml_is_there(member->digest_node) && recipe->members[member->issuer].key == RECIPE_KEY_ED25519)
            return yaml_fail(member->digest_node, error, "the issuer's key is ed25519, which signs without a digest; drop 'digest'");
    }
    return 0;
}

static int place_in_order(struct recipe *recipe, bool *is_placed, size_t *count, struct error *error)
{
    size_t before = *count;
    for (size_t i = 0; i < recipe->member_count; i++) {
        size_t issuer = recipe->members[i].issuer;
        if (is_placed[i] || (issuer != i && !is_placed[issuer]))
            continue;
        is_placed[i] = true;
        recipe->order[(*count)++] = i;
    }
    if (*count > before)
        return 0;
    for (size_t i = 0; i < recipe->member_count; i++)
        if (!is_placed[i])
            return yaml_fail(yaml_get(recipe->members[i].node, "issuer"), error,
                             "the issuers run in a circle: no member on the way up from '%s' says 'issuer: self'", recipe->members[i].name);
    return 0;
}

static int find_order(struct recipe *recipe, struct error *error)
{
    bool is_placed[RECIPE_MEMBERS_MAX] = {false};
    for (size_t count = 0; count < recipe->member_count;)
        if (place_in_order(recipe, is_placed, &count, error))
            return -1;
    return 0;
}

static int read_server(struct recipe *recipe, struct yaml_node server, struct error *error)
{
    static const char *const keys[] = {"leaf", "intermediates", "root", NULL};
    struct yaml_node leaf, root;
    if (yaml_check_keys(server, "server", keys, error) || yaml_require(server, "leaf", &leaf, error) ||
        find_member(recipe, leaf, &recipe->server_leaf, error) || yaml_require(server, "root", &root, error) ||
        find_member(recipe, root, &recipe->server_root, error))
        return -1;
    struct yaml_node list = yaml_get(server, "intermediates");
    if (yaml_is_there(list) && !yaml_is_list(list))
        return yaml_fail(list, error, "intermediates must be a list of members");
    if (yaml_count(list) > RECIPE_MEMBERS_MAX)
        return yaml_fail(list, error, "intermediates holds at most %d members", RECIPE_MEMBERS_MAX);
    for (size_t i = 0; i < yaml_count(list); i++)
        if (find_member(recipe, yaml_item_at(list, i), &recipe->server_intermediates[recipe->server_intermediate_count++], error))
            return -1;
    recipe->is_for_server = true;
    return 0;
}

static int read_head(struct recipe *recipe, struct yaml_node root, struct error *error)
{
    static const char *const keys[] = {"format", "defect", "server", "members", NULL};
    if (yaml_check_format(root, "recipes", RECIPE_FORMAT, error) || yaml_check_keys(root, "a recipe", keys, error))
        return -1;
    struct yaml_node defect = yaml_get(root, "defect");
    return yaml_is_null(defect) ? 0 : yaml_read_string(defect, &recipe->defect, error);
}

static int read_document(struct recipe *recipe, struct error *error)
{
    struct yaml_node root = yaml_root(recipe->yaml), members;
    if (read_head(recipe, root, error) || yaml_require(root, "members", &members, error) || read_members(recipe, members, error) ||
        read_issuers(recipe, error) || check_digests(recipe, error) || find_order(recipe, error))
        return -1;
    struct yaml_node server = yaml_get(root, "server");
    return yaml_is_there(server) ? read_server(recipe, server, error) : 0;
}

/* Takes the document over, in every case. */
static int read_yaml(struct yaml *document, const char *name, struct recipe **ret_recipe, struct error *error)
{
    CLEANUP(yaml_free_cleanup) struct yaml *yaml = document;
    if (!yaml)
        return -1;
    CLEANUP(recipe_free_cleanup) struct recipe *recipe = calloc(1, sizeof *recipe);
    if (!recipe || !(recipe->name = strdup(name)))
        return error_set_memory(error);
    recipe->yaml = TAKE(yaml);
    if (read_document(recipe, error))
        return -1;
    *ret_recipe = TAKE(recipe);
    return 0;
}

int recipe_read_file(const char *path, struct recipe **ret_recipe, struct error *error)
{
    return read_yaml(yaml_read_file(path, error), path, ret_recipe, error);
}

int recipe_read_text(const char *text, size_t length_bytes, const char *name, struct recipe **ret_recipe, struct error *error)
{
    return read_yaml(yaml_read_text(text, length_bytes, name, error), name, ret_recipe, error);
}

void recipe_free(struct recipe *recipe)
{
    if (!recipe)
        return;
    yaml_free(recipe->yaml);
    free(recipe->name);
    free(recipe);
}

const char *recipe_name(const struct recipe *recipe)
{
    return recipe->name;
}

const char *recipe_defect(const struct recipe *recipe)
{
    return recipe->defect;
}

bool recipe_is_for_server(const struct recipe *recipe)
{
    return recipe->is_for_server;
}

size_t recipe_member_count(const struct recipe *recipe)
{
    return recipe->member_count;
}

const char *recipe_member_name(const struct recipe *recipe, size_t index)
{
    return index < recipe->member_count ? recipe->members[index].name : NULL;
}

static bool holds_variable(struct yaml_node node, const char *variable)
{
    size_t length = strlen(variable);
    for (const char *at = yaml_text(node); at && (at = strstr(at, "${")); at += 2)
        if (strncmp(at + 2, variable, length) == 0 && at[2 + length] == '}')
            return true;
    return false;
}

static bool member_uses(const struct recipe_member *member, const char *variable)
{
    struct yaml_node names = member->extensions.subject_alt_names;
    for (size_t i = 0; i < member->subject_count; i++)
        if (holds_variable(member->subject[i].value, variable))
            return true;
    for (size_t i = 0; i < yaml_count(names); i++)
        if (holds_variable(yaml_item_at(names, i), variable))
            return true;
    return false;
}

bool recipe_uses(const struct recipe *recipe, const char *variable)
{
    for (size_t i = 0; i < recipe->member_count; i++)
        if (member_uses(&recipe->members[i], variable))
            return true;
    return false;
}

size_t recipe_member_issuer(const struct recipe *recipe, size_t index)
{
    return recipe->members[index].issuer;
}

const char *recipe_member_key(const struct recipe *recipe, size_t index)
{
    return key_words[recipe->members[index].key];
}
