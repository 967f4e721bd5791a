#include "harness/case/select.h"

#include "base/cleanup.h"
#include "tests/unit/harness/test_case_support.h"

#include <string.h>

#include "tests/cmocka.h"

static size_t count_selected(const char *selector)
{
    CLEANUP(case_list_done) struct case_list list = {0};
    assert_int_equal(case_support_read(case_support_good, &list, NULL), 0);
    return select_rows(&list, &selector, 1, NULL) ? 0 : list.count;
}

static void takes_rows_cases_areas_and_globs(void **state)
{
    (void)state;
    assert_int_equal(count_selected("refused/wrong-chain:azure"), 1);
    assert_int_equal(count_selected("refused/wrong-chain"), 2);
    assert_int_equal(count_selected("refused"), 2);
    assert_int_equal(count_selected("refused/"), 2);
    assert_int_equal(count_selected("*:connack"), 1);
    assert_int_equal(count_selected("ref"), 0);
    assert_int_equal(count_selected("refused/wrong"), 0);
}

static void no_selector_selects_all(void **state)
{
    (void)state;
    CLEANUP(case_list_done) struct case_list list = {0};
    assert_int_equal(case_support_read(case_support_good, &list, NULL), 0);
    assert_int_equal(select_rows(&list, NULL, 0, NULL), 0);
    assert_int_equal(list.count, 2);
}

static void names_the_nearest_when_a_selector_fits_nothing(void **state)
{
    (void)state;
    CLEANUP(case_list_done) struct case_list list = {0};
    assert_int_equal(case_support_read(case_support_good, &list, NULL), 0);
    const char *const selectors[] = {"refused/wrong-chain", "refused/wrong-chian"};
    struct error error = ERROR_INIT;
    assert_int_equal(select_rows(&list, selectors, 2, &error), -1);
    assert_int_equal(error.code, ERROR_NOT_FOUND);
    assert_non_null(strstr(error.text, "'refused/wrong-chian'; did you mean 'refused/wrong-chain'?"));
    assert_int_equal(list.count, 2);
    const char *const area[] = {"refusd"};
    assert_int_equal(select_rows(&list, area, 1, &error), -1);
    assert_non_null(strstr(error.text, "did you mean 'refused'?"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_rows_cases_areas_and_globs),
        cmocka_unit_test(no_selector_selects_all),
        cmocka_unit_test(names_the_nearest_when_a_selector_fits_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
