/* Stands in for Zephyr's header of this name. */
#ifndef TESTS_ZEPHYR_UTIL_H
#define TESTS_ZEPHYR_UTIL_H

#include <stddef.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#endif
