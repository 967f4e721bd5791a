/*
 * certs/recipe_model.h - a recipe as the reader leaves it for the forge; internal to certs/
 *
 * Lifetime: texts and nodes are lent by the recipe's YAML document and die with recipe_free().
 */
#ifndef CERTS_RECIPE_MODEL_H
#define CERTS_RECIPE_MODEL_H

#include "base/yaml.h"
#include "certs/recipe.h"

enum {
    RECIPE_NAME_ENTRIES_MAX = 16,
    RECIPE_SAN_MAX = 128,
    RECIPE_EKU_MAX = 8,
    RECIPE_MEMBER_NAME_MAX_BYTES = 32,
    RECIPE_PATHLEN_NONE = -1,
};

/* word in a recipe, OpenSSL's algorithm, RSA bits or the curve's group name */
#define RECIPE_KEYS(X)                                                                                                                     \
    X(RSA_2048, "rsa-2048", "RSA", 2048, NULL)                                                                                             \
    X(RSA_3072, "rsa-3072", "RSA", 3072, NULL)                                                                                             \
    X(RSA_4096, "rsa-4096", "RSA", 4096, NULL)                                                                                             \
    X(P_256, "p-256", "EC", 0, "P-256")                                                                                                    \
    X(P_384, "p-384", "EC", 0, "P-384")                                                                                                    \
    X(P_521, "p-521", "EC", 0, "P-521")                                                                                                    \
    X(ED25519, "ed25519", "ED25519", 0, NULL)

enum recipe_key {
#define X(id, word, algorithm, bits, group) RECIPE_KEY_##id,
    RECIPE_KEYS(X)
#undef X
};

struct recipe_name_entry {
    const char *type; /* "CN" */
    struct yaml_node value;
};

struct recipe_extensions {
    struct yaml_node node; /* not there: the defaults */
    bool has_basic_constraints;
    bool is_basic_constraints_critical;
    bool is_ca;
    int pathlen;             /* RECIPE_PATHLEN_NONE: none */
    unsigned key_usage_bits; /* bit n is RFC 5280's bit n; 0: no extension */
    int extended_key_usage_nids[RECIPE_EKU_MAX];
    size_t extended_key_usage_count;
    struct yaml_node subject_alt_names; /* a list, or not there */
    bool has_subject_key_identifier;
    bool has_authority_key_identifier;
};

struct recipe_member {
    const char *name;
    struct yaml_node node;
    struct recipe_name_entry subject[RECIPE_NAME_ENTRIES_MAX];
    size_t subject_count;
    size_t issuer; /* index; its own for "self" */
    enum recipe_key key;
    int version;
    int64_t not_before_s; /* from now */
    int64_t not_after_s;
    const char *digest;
    struct yaml_node digest_node;
    struct recipe_extensions extensions;
};

struct recipe {
    struct yaml *yaml;
    char *name;
    const char *defect;
    struct recipe_member members[RECIPE_MEMBERS_MAX];
    size_t member_count;
    size_t order[RECIPE_MEMBERS_MAX]; /* issuers before those whom they sign */
    bool is_for_server;
    size_t server_leaf;
    size_t server_root;
    size_t server_intermediates[RECIPE_MEMBERS_MAX];
    size_t server_intermediate_count;
};

/* certs/recipes/, made into tables by certs/recipes/embed.cmake at build time; both end in NULL. */
extern const char *const recipe_builtin_name_table[];
extern const char *const recipe_builtin_text_table[];

#endif
