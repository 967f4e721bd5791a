/*
 * base/cleanup.h - the compiler cleans up
 *
 * What:     `CLEANUP(free)`-style attributes for gcc and clang. `_cleanup_` variables must be initialised where they are declared.
 */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(function) __attribute__((cleanup(function)))

/* Make `name_cleanup`, which calls `function` on the variable's value when that is not NULL. */
#define DEFINE_CLEANUP(type, function)                                                                                                     \
    static inline __attribute__((unused)) void function##_cleanup(type *variable)                                                          \
    {                                                                                                                                      \
        if (*variable)                                                                                                                     \
            function(*variable);                                                                                                           \
    }

static inline __attribute__((unused)) void cleanup_free(void *pointer_to_pointer)
{
    free(*(void **)pointer_to_pointer);
}

static inline __attribute__((unused)) void cleanup_fd(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static inline __attribute__((unused)) void cleanup_file(FILE **file)
{
    if (*file)
        fclose(*file);
}

#define CLEANUP_FREE CLEANUP(cleanup_free)
#define CLEANUP_FD CLEANUP(cleanup_fd)
#define CLEANUP_FILE CLEANUP(cleanup_file)

/* Hand the value over to the caller: the variable is NULL afterwards. */
#define TAKE(pointer)                                                                                                                      \
    ({                                                                                                                                     \
        __typeof__(pointer) taken_ = (pointer);                                                                                            \
        (pointer) = NULL;                                                                                                                  \
        taken_;                                                                                                                            \
    })

#define TAKE_FD(fd)                                                                                                                        \
    ({                                                                                                                                     \
        int taken_ = (fd);                                                                                                                 \
        (fd) = -1;                                                                                                                         \
        taken_;                                                                                                                            \
    })

#define ARRAY_COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif
