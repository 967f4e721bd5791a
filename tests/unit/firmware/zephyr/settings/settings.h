/* Stands in for Zephyr's header of this name. */
#ifndef TESTS_ZEPHYR_SETTINGS_H
#define TESTS_ZEPHYR_SETTINGS_H

int settings_subsys_init(void);
int settings_delete(const char *name);

#endif
