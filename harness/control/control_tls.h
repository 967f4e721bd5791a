/*
 * harness/control/control_tls.h - TLS for the control plane, from ready.json (paths) or from a ticket (PEM texts)
 */
#ifndef HARNESS_CONTROL_CONTROL_TLS_H
#define HARNESS_CONTROL_CONTROL_TLS_H

#include "base/json.h"

#include <openssl/ssl.h>

/*
 * ready    control_ca, control_cert, control_key: each the path of a PEM file, or the text of one.
 * ret_tls  given: SSL_CTX_free() it. The server must be of that CA; its name is not looked at: nobody else has a certificate of it.
 * Errors:  CRYPTO (rig). OpenSSL's error queue is empty afterwards.
 */
int control_tls_new(const cJSON *ready, SSL_CTX **ret_tls, struct error *error);

#endif
