/*
 * harness/case/select.h - which rows a person means
 *
 * What:     a row is selected when one of the selectors fits; no selector selects all. A selector is a row id ("refused/wrong-chain:connack"),
 *           a case id (all its rows), an area ("refused", "refused/": all below it), or a glob on row ids ("refused/?*:azure"), in which `*`
 *           also crosses '/'.
 */
#ifndef HARNESS_CASE_SELECT_H
#define HARNESS_CASE_SELECT_H

#include "base/yaml.h"
#include "harness/case/case.h"

bool select_fits(const char *selector, const struct case_row *row);
/* Drop the rows that no selector fits. NOT_FOUND (file): a selector that fits no row; the text suggests the nearest id. */
int select_rows(struct case_list *list, const char *const *selectors, size_t count, struct error *error);
/* The selectors under `rows` of an entry in a file: 1 to CASE_LIST_MAX of them. SYNTAX (file). `ret_rows` starts empty; text_list_done() it. */
int select_read(struct yaml_node map, struct text_list *ret_rows, struct error *error);

#endif
