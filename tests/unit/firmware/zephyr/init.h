/* Stands in for Zephyr's header of this name: as much as firmware/ uses, so that it is compiled and run here. */
#ifndef TESTS_ZEPHYR_INIT_H
#define TESTS_ZEPHYR_INIT_H

#define CONFIG_APPLICATION_INIT_PRIORITY 90
#define SYS_INIT(function, level, priority) int (*const zephyr_init_##level)(void) = (function)

extern int (*const zephyr_init_APPLICATION)(void);

#endif
