/*
 * base/error.h - what went wrong, on what, and whose fault it is
 *
 * What:     the one error value of all programs. A function that can fail takes a `struct error *` last, returns 0 or -1
 *           (or a pointer or NULL) and fills the error on failure alone.
 * Not here: exit codes (harness/cli), verdicts (reports/result.h): both follow from the owner.
 * Rules:    success outputs are untouched on failure; an error's text says what was attempted, on what, why, and where there is
 *           one, the mend: "open '/dev/ttyACM0': permission denied; add yourself to group dialout". One line, no final stop; control characters become '?'.
 *           `error` may be NULL: then nothing is recorded.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stdarg.h>
#include <stddef.h>

/* Whose fault it is. The verdict of a case and the exit code of a program follow from this. */
enum error_owner {
    ERROR_OWNER_OURS = 0, /* a bug of ours, or the machine is out of memory */
    ERROR_OWNER_FILE,     /* the user's input: an argument, a case, a rig file, an enrollment */
    ERROR_OWNER_RIG,      /* the bench: a port, the simulator, the broker, the disk */
    ERROR_OWNER_DEVICE,   /* the device under test */
    ERROR_OWNER_PERSON,   /* somebody pressed Ctrl-C */
};

/* One list gives the enum, the names and nothing else: what the caller may branch on. */
#define ERROR_CODES(X)                                                                                                                     \
    X(ERROR_OTHER, "other")             /* nothing that a caller could branch on */                                                        \
    X(ERROR_TIMEOUT, "timeout")         /* a deadline passed */                                                                            \
    X(ERROR_SYNTAX, "syntax")           /* the bytes are not of the expected form */                                                       \
    X(ERROR_NOT_FOUND, "not-found")     /* the thing named does not exist */                                                               \
    X(ERROR_EXISTS, "exists")           /* it exists already */                                                                            \
    X(ERROR_CONFLICT, "conflict")       /* stale etag */                                                                                   \
    X(ERROR_BUSY, "busy")               /* somebody else holds it; the text names the holder */                                            \
    X(ERROR_LIMIT, "limit")             /* larger than a named limit */                                                                    \
    X(ERROR_IO, "io")                   /* the operating system refused or the peer went away */                                           \
    X(ERROR_CRYPTO, "crypto")           /* OpenSSL refused */                                                                              \
    X(ERROR_PROTOCOL, "protocol")       /* the peer broke the protocol */                                                                  \
    X(ERROR_REFUSED, "refused")         /* the peer answered: no */                                                                        \
    X(ERROR_BAD_PATTERN, "bad-pattern") /* a forbidden line arrived */                                                                     \
    X(ERROR_USAGE, "usage")             /* wrong arguments */                                                                              \
    X(ERROR_INTERRUPTED, "interrupted") /* a signal asked us to end */                                                                     \
    X(ERROR_MEMORY, "memory")           /* out of memory */

enum error_code {
    ERROR_NONE = 0,
#define X(name, text) name,
    ERROR_CODES(X)
#undef X
};

enum { ERROR_TEXT_MAX_BYTES = 1024 };

struct error {
    enum error_owner owner;
    enum error_code code;
    char text[ERROR_TEXT_MAX_BYTES]; /* one line, NUL-terminated; cut with "..." when longer */
};

#define ERROR_INIT                                                                                                                         \
    {                                                                                                                                      \
        .owner = ERROR_OWNER_OURS, .code = ERROR_NONE, .text = ""                                                                          \
    }

/* Fill `error` (may be NULL). Always returns -1, so that `return error_set(...)` reads as the failing branch. */
int error_set(struct error *error, enum error_owner owner, enum error_code code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
int error_setv(struct error *error, enum error_owner owner, enum error_code code, const char *format, va_list args)
    __attribute__((format(printf, 4, 0)));

/* As error_set, with ": " and strerror(errno_value) behind the text; code ERROR_IO. */
int error_set_errno(struct error *error, enum error_owner owner, int errno_value, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Out of memory: owner ours, code ERROR_MEMORY. */
int error_set_memory(struct error *error);

/* Put "prefix: " before the text that is there: for callers that know the file or the place. Returns -1. */
int error_prefix(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * The compiler cannot see into base/error.c: tell it that the failing branch returns -1, so that it does not take "untouched on failure" for
 * "may be used uninitialised".
 */
#define error_set(...)                                                                                                                     \
    ({                                                                                                                                     \
        (void)(error_set)(__VA_ARGS__);                                                                                                    \
        -1;                                                                                                                                \
    })
#define error_set_errno(...)                                                                                                               \
    ({                                                                                                                                     \
        (void)(error_set_errno)(__VA_ARGS__);                                                                                              \
        -1;                                                                                                                                \
    })
#define error_set_memory(error)                                                                                                            \
    ({                                                                                                                                     \
        (void)(error_set_memory)(error);                                                                                                   \
        -1;                                                                                                                                \
    })
#define error_prefix(...)                                                                                                                  \
    ({                                                                                                                                     \
        (void)(error_prefix)(__VA_ARGS__);                                                                                                 \
        -1;                                                                                                                                \
    })

/* "timeout", "syntax" ...; "none" for ERROR_NONE. Never NULL. */
const char *error_code_name(enum error_code code);
/* "ours", "file", "rig", "device", "person". Never NULL. */
const char *error_owner_name(enum error_owner owner);
/* The code of that name, ERROR_OTHER when there is none (a newer peer may know more). */
enum error_code error_code_from_name(const char *name);

#endif
