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

/* Of a target made with dpsbench_fuzz_text(): the words of its format, with a space between them, for text_mutator.c. */
extern const char fuzz_words[];

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

static char fuzz_folder_path[64];

static inline __attribute__((unused)) void fuzz_remove_folder(void)
{
    dir_remove(fuzz_folder_path, NULL);
}

/* A folder of this process, in memory where the machine has such a place; gone with the process, unless that crashes. */
static inline __attribute__((unused)) const char *fuzz_folder(void)
{
    if (!fuzz_folder_path[0]) {
        snprintf(fuzz_folder_path, sizeof fuzz_folder_path, "%s/dpsbench-fuzz-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        FUZZ_MUST(mkdtemp(fuzz_folder_path));
        atexit(fuzz_remove_folder);
    }
    return fuzz_folder_path;
}

#endif
