/*
 * harness/try/request.h - what a person asks `dpsbench try`
 */
#ifndef HARNESS_TRY_REQUEST_H
#define HARNESS_TRY_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

enum { TRY_CERTIFICATES_MAX = 16 };

/* --certificate NAME=PEM */
struct try_certificate {
    char *name;       /* given */
    const char *path; /* lent */
};

/* Texts are lent. NULL: not given. */
struct try_request {
    const char *cert_path;
    const char *key_path;
    const char *root_path;
    const char *registration_id;
    const char *group_ca_path;
    const char *enrollment_path;
    struct try_certificate certificates[TRY_CERTIFICATES_MAX];
    size_t certificate_count;
    bool is_unverified; /* CA certificates count as uploaded only */
    const char *profile;
    bool wants_console;
    double time_scale; /* of simulator, client and virtual DK; at least 1 */
};

#endif
