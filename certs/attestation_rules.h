/*
 * certs/attestation_rules.h - the one table of the judge; internal to certs/
 *
 * Columns: constant, id, class, severity, evidence, surface under `azure`, surface under `connack`, error code, message, what Azure does, source.
 * Surface, error code and message matter for refusals alone. A rule's order here is the order of docs; precedence is the judge's (attestation.c).
 */
#ifndef CERTS_ATTESTATION_RULES_H
#define CERTS_ATTESTATION_RULES_H

#include "certs/attestation.h"

#define MESSAGE_INVALID "Invalid certificate."
#define MESSAGE_CA_NOT_FOUND "CA certificate not found."
#define MESSAGE_NOT_IN_CHAIN "Signing certificate info did not match chain elements"
#define MESSAGE_UNAUTHORIZED "Unauthorized"
#define MESSAGE_BAD_ID "Invalid RegistrationId"

/* clang-format off */
#define ATTESTATION_RULES(X)                                                                                                               \
    X(CHAIN_NONE, "chain.none", "C01", REFUSE, ASSUMED, CONNACK, CONNACK, 401000, MESSAGE_UNAUTHORIZED,                                    \
      "a connection with neither certificate nor SAS token is not authorized at CONNECT",                                                  \
      "azure-docs articles/iot/iot-mqtt-connect-to-iot-dps.md; the code as for a missing SAS token")                                       \
    X(CHAIN_ISSUER_NOT_SENT, "chain.issuer-not-sent", "C02", REFUSE, FIELD_OBSERVED, RES401, CONNACK, 401002, MESSAGE_CA_NOT_FOUND,        \
      "a group needs every certificate from the leaf up to one that is verified",                                                          \
      "azure-docs articles/iot-dps/concepts-x509-attestation.md; azure-iot-sdk-java issues 203, 239; azure-iot-sdk-python issue 797")      \
    X(CHAIN_ORDER, "chain.order", "C03", REFUSE, ASSUMED, RES401, CONNACK, 401002, MESSAGE_INVALID,                                        \
      "the first certificate must be the device's own; the order of the rest is taken as it comes",                                        \
      "RFC 5246 7.4.2; nothing public says what DPS does")                                                                                 \
    X(CHAIN_BAD_SIGNATURE, "chain.bad-signature", "C04", REFUSE, FIELD_OBSERVED, RES401, CONNACK, 401002, MESSAGE_INVALID,                 \
      "a certificate that its named issuer did not sign breaks the chain",                                                                 \
      "azure-iot-sdk-c issue 437, for the code and the message")                                                                           \
    X(CHAIN_EXTRA, "chain.extra", "C05", NOTE, ASSUMED, NONE, NONE, 0, NULL,                                                               \
      "unrelated certificates are ignored", "nothing public says what DPS does")                                                           \
    X(CHAIN_DUPLICATE, "chain.duplicate", "C06", NOTE, ASSUMED, NONE, NONE, 0, NULL,                                                       \
      "a certificate that is sent twice is ignored", "nothing public says what DPS does")                                                  \
    X(CHAIN_UNKNOWN_CA, "chain.unknown-ca", "C07", REFUSE, FIELD_OBSERVED, RES401, CONNACK, 401002, MESSAGE_CA_NOT_FOUND,                  \
      "the chain must lead to a certificate that is uploaded and verified",                                                                \
      "azure-docs articles/iot-dps/concepts-x509-attestation.md; azure-iot-sdk-c issues 1900, 2021")                                       \
    X(CHAIN_SAME_NAME, "chain.same-name-other-key", "C08", REFUSE, ASSUMED, RES401, CONNACK, 401002, MESSAGE_CA_NOT_FOUND,                 \
      "a CA is its key, not its name", "follows from chain building, RFC 5280 6.1")                                                        \
    X(CHAIN_SELF_SIGNED, "chain.self-signed-leaf", "C09", REFUSE, FIELD_OBSERVED, RES401, CONNACK, 401002, MESSAGE_NOT_IN_CHAIN,           \
      "a group does not take a self-signed device certificate, not even its own CA's",                                                     \
      "azure-iot-sdk-node issue 532")                                                                                                      \
    X(CHAIN_NOT_A_CA, "chain.not-a-ca", "C23", REFUSE, ASSUMED, RES401, CONNACK, 401002, MESSAGE_INVALID,                                  \
      "only a CA certificate may sign others", "RFC 5280 6.1.4 (k)")                                                                       \
    X(CA_NOT_VERIFIED, "ca.not-verified", "C10", REFUSE, DOCUMENTED, RES401, CONNACK, 401002, MESSAGE_CA_NOT_FOUND,                        \
      "an uploaded CA counts only after proof of possession, or when it was set to verified on upload",                                    \
      "azure-docs articles/iot-dps/how-to-verify-certificates.md; the answer: azure-iot-sdk-c issue 437")                                  \
    X(ID_MISMATCH, "registration-id.mismatch", "C11", REFUSE, DOCUMENTED, RES401, CONNACK, 401002, MESSAGE_INVALID,                        \
      "the registration id must be the CN of the leaf, without regard to case",                                                            \
      "azure-docs articles/iot-dps/concepts-x509-attestation.md; the answer's form is assumed")                                            \
    X(ID_GRAMMAR, "registration-id.grammar", "C12", REFUSE, FIELD_OBSERVED, RES400, CONNACK, 400004, MESSAGE_BAD_ID,                       \
      "a registration id is made of letters, digits and - . _ :, up to 128, with a letter, a digit or '-' at the end",                     \
      "azure-docs articles/iot-dps/concepts-service.md; azure-iot-sdk-c issue 405")                                                        \
    X(CN_MISSING, "leaf.cn-missing", "C12", REFUSE, ASSUMED, RES401, CONNACK, 401002, MESSAGE_INVALID,                                     \
      "a leaf without CN can be no device's", "follows from registration-id.mismatch")                                                     \
    X(CN_MULTIPLE, "leaf.cn-multiple", "C12", REFUSE, ASSUMED, RES401, CONNACK, 401002, MESSAGE_INVALID,                                   \
      "a leaf with several CNs is ambiguous", "nothing public says what DPS does")                                                         \
    X(LEAF_EXPIRED, "leaf.expired", "C14", REFUSE, DOCUMENTED, RES401, CONNACK, 401002, MESSAGE_INVALID,                                   \
      "an expired credential is answered with 401002",                                                                                     \
      "azure-docs articles/iot-central/core/troubleshoot-connection.md")                                                                   \
    X(LEAF_NOT_YET, "leaf.not-yet-valid", "C15", REFUSE, ASSUMED, RES401, CONNACK, 401002, MESSAGE_INVALID,                                \
      "as an expired one", "nothing public says what DPS does")                                                                            \
    X(CA_EXPIRED, "ca.expired", "C16", REFUSE, ASSUMED, RES401, CONNACK, 401002, MESSAGE_INVALID,                                          \
      "a CA must be replaced before it expires", "azure-docs articles/iot-dps/how-to-roll-certificates.md; the answer is assumed")         \
    X(CA_NOT_YET, "ca.not-yet-valid", "C16", REFUSE, ASSUMED, RES401, CONNACK, 401002, MESSAGE_INVALID,                                    \
      "as an expired one", "nothing public says what DPS does")                                                                            \
    X(ENROLLMENT_DISABLED, "enrollment.disabled", "C17", REFUSE, FIELD_OBSERVED, DISABLED, CONNACK, 0, NULL,                               \
      "a disabled individual enrollment wins over every group; the poll says status \"disabled\"",                                         \
      "azure-docs articles/iot-dps/how-to-revoke-device-access-portal.md; azure-iot-cli-extension azext_iot/dps/common.py")                \
    X(GROUP_DISABLED, "group.disabled", "C17", REFUSE, DOCUMENTED, DISABLED, CONNACK, 0, NULL,                                             \
      "the first group from the leaf upward decides, disabled or not",                                                                     \
      "azure-docs articles/iot-dps/how-to-revoke-device-access-portal.md; the answer as for an individual enrollment")                     \
    X(ENROLLMENT_NONE, "enrollment.none", "C17", REFUSE, FIELD_OBSERVED, RES401, CONNACK, 401002, MESSAGE_UNAUTHORIZED,                    \
      "a device for which there is no enrollment is unauthorized",                                                                         \
      "azure-docs articles/iot-dps/how-to-revoke-device-access-portal.md; azure-iot-cli-extension's tests of groups")                      \
    X(ENROLLMENT_OTHER, "enrollment.other-certificate", "C29", REFUSE, FIELD_OBSERVED, RES401, CONNACK, 401002, MESSAGE_INVALID,           \
      "an individual enrollment takes its primary or its secondary certificate and no other",                                              \
      "azure-docs articles/iot-dps/concepts-x509-attestation.md; esp-azure issue 64")                                                      \
    X(GROUP_NOT_IN_CHAIN, "group.not-in-chain", "C07", REFUSE, FIELD_OBSERVED, RES401, CONNACK, 401002, MESSAGE_NOT_IN_CHAIN,              \
      "the certificate of an enrollment group must be one of the chain's CAs", "azure-iot-sdk-node issue 532")                             \
    X(LEAF_V1, "leaf.v1", "C23", WARN, ASSUMED, NONE, NONE, 0, NULL,                                                                       \
      "a version 1 certificate is taken", "X509CertificateInfo has a version; nothing public says that 1 is refused")                      \
    X(NO_CLIENT_AUTH, "leaf.no-client-auth", "C21", WARN, ASSUMED, NONE, NONE, 0, NULL,                                                    \
      "an extended key usage without clientAuth is taken", "nothing public says that it is refused")                                       \
    X(WEAK_KEY, "weak.key", "C19", WARN, ASSUMED, NONE, NONE, 0, NULL,                                                                     \
      "a short key is taken", "nothing public names a least length")                                                                       \
    X(WEAK_DIGEST, "weak.digest", "C19", WARN, ASSUMED, NONE, NONE, 0, NULL,                                                               \
      "a signature with SHA-1 or MD5 is taken", "nothing public says that it is refused")
/* clang-format on */

enum rule_index {
#define X(name, id, class, severity, evidence, azure, connack, code, message, text, source) RULE_##name,
    ATTESTATION_RULES(X)
#undef X
        RULE_COUNT
};

#endif
