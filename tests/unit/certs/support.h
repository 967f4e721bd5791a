/*
 * tests/unit/certs/support.h - what the tests of certs/ share: a scratch folder, forged members, the real openssl command line
 *
 * Each helper fails the running test itself; nothing here returns an error.
 */
#ifndef TESTS_UNIT_CERTS_SUPPORT_H
#define TESTS_UNIT_CERTS_SUPPORT_H

#include "certs/forge.h"

#include <stdbool.h>

enum { OUTPUT_MAX_BYTES = 64 * 1024, SCRATCH_MAX_BYTES = 64 };

/* A folder of its own under the system's temporary folder. */
struct scratch {
    char dir[SCRATCH_MAX_BYTES];
};
struct scratch scratch_make(void);
void scratch_remove(struct scratch *scratch);
#define CLEANUP_SCRATCH CLEANUP(scratch_remove)
/* "DIR/name"; one of a few buffers that are used in turn. */
const char *scratch_path(const struct scratch *scratch, const char *name);
void write_text(const char *path, const char *text);
/* The whole file; free() it. */
char *read_text(const char *path);

/* Run a program (argv[0] looked up in PATH) in `dir`; stdout and stderr together into output. Returns the exit status. */
int run_in(const char *dir, const char *const *argv, char output[OUTPUT_MAX_BYTES]);
#define RUN(dir, output, ...) run_in(dir, (const char *const[]){__VA_ARGS__, NULL}, output)

/* Forge a recipe's text, or a built-in, for registration id "dev-01"; keys are remembered for the length of the test program. */
struct pki *forge_text(const char *text);
struct pki *forge_builtin(const char *name);
DEFINE_CLEANUP(struct pki *, pki_free)
#define CLEANUP_PKI CLEANUP(pki_free_cleanup)

/* PEM of members, NUL-terminated; free() it. */
#define PEM(pki, ...) pem_of(pki, (const char *const[]){__VA_ARGS__, NULL})
char *pem_of(const struct pki *pki, const char *const *members);

#endif
