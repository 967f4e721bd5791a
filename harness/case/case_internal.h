/*
 * harness/case/case_internal.h - what the parts of the case reader share
 */
#ifndef HARNESS_CASE_CASE_INTERNAL_H
#define HARNESS_CASE_CASE_INTERNAL_H

#include "certs/recipe.h"
#include "harness/case/case.h"

struct case_reader {
    const struct case_options *options;
    struct substitution substitution; /* the permutation's and the device's */
    size_t vary_count;                /* the first of them are the case's own */
    struct recipe *recipe;            /* of the credentials, for checking members; owned */
    struct case_row *row;             /* being filled */
};

/* Optional text: NULL when the key is missing. */
int case_read_optional(struct case_reader *reader, struct yaml_node map, const char *key, char **ret_text, struct error *error);
int case_read_required(struct case_reader *reader, struct yaml_node map, const char *key, char **ret_text, struct error *error);
/* A list of texts, or nothing. */
int case_read_list(struct case_reader *reader, struct yaml_node list, struct text_list *ret_list, struct error *error);
/* Is `name` (at `node`) a member of the credentials recipe? */
int case_check_member(const struct case_reader *reader, struct yaml_node node, const char *name, struct error *error);
/* As case_read_optional, for the name of a member. */
int case_read_member(struct case_reader *reader, struct yaml_node map, const char *key, char **ret_member, struct error *error);

int case_read_service(struct case_reader *reader, struct yaml_node service, struct error *error);
int case_read_views(struct case_reader *reader, struct yaml_node expect, struct error *error);
/* Each of `fails_under` is caught by an expectation on wire or service, and nothing else is. `list`: where the first kind of error stands. */
int case_check_catches(const struct case_reader *reader, struct yaml_node list, struct error *error);
int case_read_findings(struct case_reader *reader, struct yaml_node findings, struct error *error);

#endif
