/* What we print between other words of a command. The judge is a real shell. */
#include "base/shell_word.h"

#include "base/cleanup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/cmocka.h"

static void leaves_alone_what_no_shell_minds_and_quotes_the_rest(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {{"certs/device-01.pem", "certs/device-01.pem"},
                                           {"a=b,c+d@e%f:g_h", "a=b,c+d@e%f:g_h"},
                                           {"my file", "'my file'"},
                                           {"it's", "'it'\\''s'"},
                                           {"", "''"},
                                           {"$(x)", "'$(x)'"},
                                           {"~", "'~'"},
                                           {"\xc3\xa9", "'\xc3\xa9'"}};
    for (size_t i = 0; i < ARRAY_COUNT(pairs); i++) {
        CLEANUP_FREE char *word = shell_word(pairs[i][0]);
        assert_string_equal(word, pairs[i][1]);
    }
}

static void is_read_back_by_a_shell_as_it_was(void **state)
{
    (void)state;
    static const char *const texts[] = {"a b", "'",  "''a'", "$HOME `id` $(id) \\", "*?[a]{b,c}", "a;b|c&d>e<f",
                                        "#x",  "!x", "\"",   "line\nline"};
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        CLEANUP_FREE char *word = shell_word(texts[i]), *command = NULL;
        char got[256] = "";
        assert_true(asprintf(&command, "printf %%s %s", word) > 0);
        FILE *shell = popen(command, "r");
        assert_non_null(shell);
        assert_true(fread(got, 1, sizeof got - 1, shell) > 0);
        assert_int_equal(pclose(shell), 0);
        assert_string_equal(got, texts[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaves_alone_what_no_shell_minds_and_quotes_the_rest),
        cmocka_unit_test(is_read_back_by_a_shell_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
