/* tests/cmocka.h - CMocka with the headers that it needs before it; it must come last, so sorting is off */
#ifndef TESTS_CMOCKA_H
#define TESTS_CMOCKA_H
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#endif
