/*
 * certs/attestation_judge.h - one judgement on its way, as the parts of the judge share it; internal to certs/
 */
#ifndef CERTS_ATTESTATION_JUDGE_H
#define CERTS_ATTESTATION_JUDGE_H

#include "certs/attestation_path.h"
#include "certs/attestation_rules.h"

/*
 * Findings are added in the order in which they decide: the first refusal is the verdict's rule. What cannot be allocated sets is_out_of_memory and
 * is looked at once, at the end.
 */
struct judge {
    const struct attestation_question *question;
    const struct dps_state *state;
    const char *registration_id;
    const char *dir;
    X509 *leaf;
    char *leaf_subject;
    struct chain_path path;
    struct attestation_verdict *verdict;
    bool is_out_of_memory;
};

/* A rule fires. Control characters in the text become '?'. Past ATTESTATION_FINDINGS_MAX it is dropped. */
void judge_add(struct judge *judge, enum rule_index rule, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The mend of the finding that was added last. */
void judge_mend(struct judge *judge, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* malloc'ed; NULL, and noted, when out of memory. */
char *judge_subject_of(struct judge *judge, const X509 *certificate);
/* A name for people, also when it is empty or NULL. */
const char *name_shown(const char *text);

/* Does the profile show the rule? Some are silent unless it does. */
bool judge_shows(const struct judge *judge, enum rule_index rule);

/* What is taken all the same, and what a profile adds: the form of the leaf; then of the CAs, keys and digests. (attestation_form.c) */
void judge_check_leaf(struct judge *judge);
void judge_check_forms(struct judge *judge);

#endif
