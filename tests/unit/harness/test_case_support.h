/*
 * tests/unit/harness/test_case_support.h - a small case text, and reading it with one line changed
 */
#ifndef TESTS_UNIT_HARNESS_TEST_CASE_SUPPORT_H
#define TESTS_UNIT_HARNESS_TEST_CASE_SUPPORT_H

#include "harness/case/case.h"

extern const char case_support_good[];

/* Read `text` as cases/refused/wrong-chain.yaml. */
int case_support_read(const char *text, struct case_list *list, struct error *error);
/* The good case with `from` replaced by `to`; malloc'ed. */
char *case_support_with(const char *from, const char *to);

#endif
