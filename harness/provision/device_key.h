/*
 * harness/provision/device_key.h - a key in the modem, its request, its certificate
 *
 * What:     the steps between an empty slot and a device that can prove who it is: KEYGEN, the request checked, signed by the user's CA, chain and
 *           root written and read back by hash.
 * Source:   Nordic, nRF91 AT command reference, %KEYGEN; Azure documentation, "X.509 certificate attestation": the CN is the registration id.
 */
#ifndef HARNESS_PROVISION_DEVICE_KEY_H
#define HARNESS_PROVISION_DEVICE_KEY_H

#include "certs/issuer.h"
#include "harness/credentials/keygen_answer.h"
#include "harness/credentials/modem_link.h"

/*
 * A new key in the modem, and its request, checked: signed with its own key, P-256, of the CN that was asked for.
 *
 * attributes     "CN=dev-01,O=Example"; NULL: CN is the device UUID.
 * may_replace    a key that is there is deleted first; else CONFLICT (file): the slot is taken.
 * ret_answer     keygen_answer_done() it.
 */
int device_key_make(struct modem_link *link, uint32_t sec_tag, const char *attributes, bool may_replace, struct keygen_answer *ret_answer,
                    struct error *error);

/* Write a text and see that the modem lists its hash. ret_is_verified (may be NULL): false when the firmware prints placeholders. */
int device_write_verified(struct modem_link *link, uint32_t sec_tag, int type, const struct bytes *text, bool *ret_is_verified,
                          struct error *error);

#endif
