/*
 * harness/try/device_files.h - what a person means to write into a device: certificate chain and private key
 *
 * What:     reads --cert and --key, and tells the usual mix-ups apart, each with the command that mends it: swapped files, a request in place of
 *           a certificate, DER, base64 without its frame, PKCS#12, PKCS#7, an encrypted key, a public key, a key of another certificate, a
 *           chain that does not begin with the device's own certificate.
 * Errors:   file, beginning with the file's name. OpenSSL's error queue is empty after every call.
 * Secrets:  the key's text is wiped by device_files_done(); no error quotes it.
 */
#ifndef HARNESS_TRY_DEVICE_FILES_H
#define HARNESS_TRY_DEVICE_FILES_H

#include "base/bytes.h"
#include "certs/chain.h"

struct device_files {
    const char *cert_path; /* lent */
    const char *key_path;  /* lent */
    struct bytes cert_text;
    struct bytes key_text;
    x509_stack *chain; /* as it stands in the file; the key belongs to the first */
    EVP_PKEY *key;
};

/* Both paths lent as long as `ret_files`, which is {0} before; device_files_done() it, also after a failure. */
int device_files_read(const char *cert_path, const char *key_path, struct device_files *ret_files, struct error *error);
void device_files_done(struct device_files *files); /* NULL allowed */

/* Certificates that a device takes: PEM. `option` names the file in errors about its use: "--root". ret_text: given, bytes_done() it. */
int device_certificates_read(const char *path, struct bytes *ret_text, x509_stack **ret_chain, struct error *error);

enum { PUBLIC_KEY_HASH_BYTES = 65 };
/* SHA-256, lower hex, of the key as PEM: what `openssl x509 -noout -pubkey | openssl sha256` prints. "" when OpenSSL fails. */
void public_key_hash(const EVP_PKEY *key, char hex[PUBLIC_KEY_HASH_BYTES]);

#endif
