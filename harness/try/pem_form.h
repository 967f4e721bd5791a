/*
 * harness/try/pem_form.h - how a PEM file is written: what one reader takes and the next one stumbles over
 *
 * What:     line ends, white space behind the last dash, a missing line end, text outside the blocks, and whether the text fits into a modem.
 *           Certificates inside are somebody else's matter (device_files.h, certificate_notes.h).
 * Source:   the modem stores what it is given byte for byte, and an AT command carries 4095 bytes: Nordic, nRF91 AT command reference, %CMNG;
 *           nRF Connect SDK, lib/at_host. White space behind the last dash: documentation of gateways says that the connection fails.
 */
#ifndef HARNESS_TRY_PEM_FORM_H
#define HARNESS_TRY_PEM_FORM_H

#include "base/bytes.h"
#include "base/error.h"
#include "harness/credentials/credential_set.h"
#include "harness/try/note.h"

/* The sec tag of the commands whose length is judged; the forum's favourite. */
enum { TRY_SEC_TAG = 56 };
/* What one command of that sec tag carries: AT%CMNG=0,56,1,"..." */
enum { MODEM_TEXT_MAX_BYTES = AT_COMMAND_MAX_BYTES - 17 };

/* SYNTAX (file): two blocks share a line, which OpenSSL and the modem cannot read. The text holds the command that parts them. */
int pem_form_require(const char *path, const struct bytes *text, struct error *error);
/*
 * Notes "file.crlf", "file.byte-order-mark", "file.white-space", "file.no-newline", "file.text-outside", "file.other-block".
 *
 * wanted  what the blocks are called, or end with: "CERTIFICATE", "PRIVATE KEY".
 */
void pem_form_check(const char *path, const char *wanted, const struct bytes *text, struct notes *notes);
/* Bytes that go into the modem: without the white space at the end. */
size_t pem_form_modem_bytes(const struct bytes *text);
/* Notes "modem.too-long", "modem.bad-byte". */
void pem_form_check_modem(const char *path, enum credential_type type, const struct bytes *text, struct notes *notes);

#endif
