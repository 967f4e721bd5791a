/*
 * harness/doctor/public_path.h - the way that a device takes to the simulator: TCP, TLS, the certificate that is shown there
 *
 * What:     connects as a device does, with the name in SNI, and says how far it came. No client certificate is shown, and no MQTT spoken.
 */
#ifndef HARNESS_DOCTOR_PUBLIC_PATH_H
#define HARNESS_DOCTOR_PUBLIC_PATH_H

#include "harness/probe/endpoint.h"

#include <stdbool.h>

enum { PUBLIC_PATH_TEXT_BYTES = 256 };

struct public_path {
    bool has_certificate;
    bool has_root;                        /* there was one to compare with */
    bool is_trusted;                      /* the chain leads to the root */
    char why_not[PUBLIC_PATH_TEXT_BYTES]; /* when it is not: OpenSSL's reason */
    bool has_name;                        /* the certificate is for the name */
    char subject[PUBLIC_PATH_TEXT_BYTES];
};

/*
 * name       goes into SNI, and must stand in the certificate.
 * root_path  PEM; what the device must trust. NULL: not known.
 * error      IO, TIMEOUT (rig): no TCP connection, or nothing of TLS came. CRYPTO (file): the root cannot be read.
 */
int public_path_try(const struct endpoint *endpoint, const char *name, const char *root_path, deadline_t deadline,
                    struct public_path *ret_path, struct error *error);

/* Loopback, private (RFC 1918, RFC 4193, 100.64/10) and link-local addresses: nobody on the Internet reaches them. */
bool public_path_is_private(const char *address);
bool public_path_is_loopback(const char *address);

#endif
