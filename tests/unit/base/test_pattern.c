/* Expressions that would take all memory are told before they are compiled. */
#include "base/pattern.h"

#include "tests/cmocka.h"

static void measures_what_the_unrolled_expression_holds(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t cost;
    } rows[] = {
        {"", 0},        {"abc", 3},     {"a+", 2},     {"ab+c", 4},   {"(ab)+", 6}, {"a{3}", 4},   {"a{2,9}", 10}, {"a{,4}", 5},
        {"[a+{9}]", 1}, {"[]+]b", 2},   {"[^]+]b", 2}, {"\\+\\{", 2}, {"a|b", 3},   {"(a", 2},     {"a)", 2},      {"[", 1},
        {"\\", 1},      {"(a(b+))", 5}, {"[a", 1},     {"[^", 1},     {"[^a", 1},   {"b[a{9}", 2},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(pattern_cost(rows[i].text), rows[i].cost);
}

static void tells_those_that_must_not_be_compiled(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "a++++++++++++++++++++++++++++++",
        "(((a{99}){99}){99})",
        "a{255}{255}{255}{255}{255}{255}{255}{255}{255}",
        "a{99999999999999999999}",
        "(a*)\\1",
        "a+++*+++++++++++",
        "(((((((((((a*)+)+)+)+)+)+)+)+)+)+)+",
        "((((((((((((((((((((((((((((((((((((((((a",
    };
    static const char *const fine[] = {
        ".{1,255}",
        "^([0-9A-F]{2}:){31}[0-9A-F]{2}$",
        "^(Booting (nRF Connect SDK|Zephyr OS) .*){1,5}[0-9]+(\\.[0-9]+)+$",
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_true(pattern_cost(rows[i]) > PATTERN_COST_MAX);
    for (size_t i = 0; i < sizeof fine / sizeof fine[0]; i++)
        assert_true(pattern_cost(fine[i]) <= PATTERN_COST_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(measures_what_the_unrolled_expression_holds),
        cmocka_unit_test(tells_those_that_must_not_be_compiled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
