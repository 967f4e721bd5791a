/*
 * tests/fuzz/fuzz.h - what the fuzz targets share
 *
 * What:     a target is one LLVMFuzzerTestOneInput that eats foreign bytes and checks what must hold whatever they are. Built twice: with libFuzzer
 *           (preset fuzz), and with replay.c, which runs the corpus alone and needs no clang.
 * Rules:    a target gives the same result for the same bytes: clock and randomness stand still where they can, nothing is kept between inputs.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include "base/cleanup.h"
#include "base/error.h"
#include "base/files.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_MUST(condition)                                                                                                               \
    do {                                                                                                                                   \
        if (!(condition)) {                                                                                                                \
            fprintf(stderr, "%s:%d: must hold: %s\n", __FILE__, __LINE__, #condition);                                                     \
            abort();                                                                                                                       \
        }                                                                                                                                  \
    } while (0)

/* A NUL-terminated copy in memory of its very size, so that a read past its end is seen. */
static inline __attribute__((unused)) char *fuzz_text(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    FUZZ_MUST(text);
    if (size > 0)
        memcpy(text, data, size);
    text[size] = 0;
    return text;
}

/* base/error.h: a failure has a code and one line of text. */
static inline __attribute__((unused)) void fuzz_check_error(const struct error *error)
{
    FUZZ_MUST(error->code != ERROR_NONE);
    FUZZ_MUST(error->text[0] != 0);
    for (const char *at = error->text; *at; at++)
        FUZZ_MUST((unsigned char)*at >= 0x20 && *at != 0x7f);
}

/* A folder of this process, in memory where the machine has such a place; made once, and emptied by the next process of the same id. */
static inline __attribute__((unused)) const char *fuzz_folder(void)
{
    static char path[64];
    if (!path[0]) {
        snprintf(path, sizeof path, "%s/dpsbench-fuzz-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        FUZZ_MUST(mkdtemp(path));
    }
    return path;
}

#endif
