/* Stands in for Zephyr's header of this name. */
#ifndef TESTS_ZEPHYR_PRINTK_H
#define TESTS_ZEPHYR_PRINTK_H

int printk(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
