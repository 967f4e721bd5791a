/*
 * certs/attestation_rules.h - the one table of the judge; internal to certs/
 *
 * Columns: constant, id, class, severity, evidence, surfaces, what OpenSSL's verification calls it (0: a TLS server does not see it), error code,
 * message, what Azure does, source. Error code and message matter for refusals with a body alone. A rule's order here is the order of docs;
 * precedence is the judge's (attestation.c).
 *
 * Surfaces are a column a profile, in the order of ATTESTATION_PROFILES. Most rules share one of a few rows, which have names. A surface on a rule
 * whose severity is a warning or a note makes it a refusal under that profile.
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
#define ATTESTATION_PROFILES(X)                                                                                                            \
    X(AZURE, "azure", "each refusal where the best public evidence shows it, mostly 401 after the registration request")                   \
    X(CONNACK, "connack", "every refusal at CONNECT, with return code 5")                                                                  \
    X(AZURE_2018, "azure-2018", "as the service of 2018: 202, then a poll with status \"failed\" and errorCode 401002")                    \
    X(STRICT_TLS, "strict-tls", "a TLS server that verifies as RFC 5280 says: an alert in the handshake; what TLS cannot see as `azure`")  \
    X(GATEWAY_GUIDE, "gateway-guide", "as `azure`, and a gateway vendor's statements about certificates on top")

/*                           azure     connack  azure-2018 strict-tls gateway-guide */
#define WITHOUT_CERTIFICATE (CONNACK,  CONNACK, CONNACK,   TLS_ALERT, CONNACK)
#define ALERTED             (RES401,   CONNACK, FAILED,    TLS_ALERT, RES401)
#define ANSWERED            (RES401,   CONNACK, FAILED,    RES401,    RES401)
#define BAD_ID              (RES400,   CONNACK, RES400,    RES400,    RES400)
#define DISABLING           (DISABLED, CONNACK, DISABLED,  DISABLED,  DISABLED)
#define UNSEEN              (NONE,     NONE,    NONE,      NONE,      NONE)
#define STRICT              (NONE,     NONE,    NONE,      TLS_ALERT, NONE)
#define ONLY_2018           (NONE,     NONE,    RES400,    NONE,      NONE)
#define ONLY_GUIDE          (NONE,     NONE,    NONE,      NONE,      RES401)

#define ATTESTATION_RULES(X)                                                                                                               \
    X(CHAIN_NONE, "chain.none", "C01", REFUSE, ASSUMED, WITHOUT_CERTIFICATE, 0, 401000, MESSAGE_UNAUTHORIZED,                              \
      "a connection with neither certificate nor SAS token is not authorized at CONNECT",                                                  \
      "azure-docs articles/iot/iot-mqtt-connect-to-iot-dps.md; the code as for a missing SAS token")                                       \
    X(CHAIN_ISSUER_NOT_SENT, "chain.issuer-not-sent", "C02", REFUSE, FIELD_OBSERVED, ALERTED, UNABLE_TO_GET_ISSUER_CERT_LOCALLY,           \
      401002, MESSAGE_CA_NOT_FOUND,                                                                                                        \
      "a group needs every certificate from the leaf up to one that is verified",                                                          \
      "azure-docs articles/iot-dps/concepts-x509-attestation.md; azure-iot-sdk-java issues 203, 239; azure-iot-sdk-python issue 797")      \
    X(CHAIN_ORDER, "chain.order", "C03", REFUSE, ASSUMED, ALERTED, INVALID_PURPOSE, 401002, MESSAGE_INVALID,                               \
      "the first certificate must be the device's own; the order of the rest is taken as it comes",                                        \
      "RFC 5246 7.4.2; nothing public says what DPS does")                                                                                 \
    X(CHAIN_BAD_SIGNATURE, "chain.bad-signature", "C04", REFUSE, FIELD_OBSERVED, ALERTED, CERT_SIGNATURE_FAILURE, 401002, MESSAGE_INVALID, \
      "a certificate that its named issuer did not sign breaks the chain", "azure-iot-sdk-c issue 437, for the code and the message")      \
    X(CHAIN_EXTRA, "chain.extra", "C05", NOTE, ASSUMED, UNSEEN, 0, 0, NULL,                                                                \
      "unrelated certificates are ignored", "nothing public says what DPS does")                                                           \
    X(CHAIN_DUPLICATE, "chain.duplicate", "C06", NOTE, ASSUMED, UNSEEN, 0, 0, NULL,                                                        \
      "a certificate that is sent twice is ignored", "nothing public says what DPS does")                                                  \
    X(CHAIN_UNKNOWN_CA, "chain.unknown-ca", "C07", REFUSE, FIELD_OBSERVED, ALERTED, SELF_SIGNED_CERT_IN_CHAIN, 401002,                     \
      MESSAGE_CA_NOT_FOUND,                                                                                                                \
      "the chain must lead to a certificate that is uploaded and verified",                                                                \
      "azure-docs articles/iot-dps/concepts-x509-attestation.md; azure-iot-sdk-c issues 1900, 2021")                                       \
    X(CHAIN_SAME_NAME, "chain.same-name-other-key", "C08", REFUSE, ASSUMED, ALERTED, UNABLE_TO_GET_ISSUER_CERT_LOCALLY, 401002,            \
      MESSAGE_CA_NOT_FOUND,                                                                                                                \
      "a CA is its key, not its name", "follows from chain building, RFC 5280 6.1")                                                        \
    X(CHAIN_SELF_SIGNED, "chain.self-signed-leaf", "C09", REFUSE, FIELD_OBSERVED, ALERTED, DEPTH_ZERO_SELF_SIGNED_CERT, 401002,            \
      MESSAGE_NOT_IN_CHAIN,                                                                                                                \
      "a group does not take a self-signed device certificate, not even its own CA's", "azure-iot-sdk-node issue 532")                     \
    X(CHAIN_NOT_A_CA, "chain.not-a-ca", "C23", REFUSE, ASSUMED, ALERTED, INVALID_CA, 401002, MESSAGE_INVALID,                              \
      "only a CA certificate may sign others", "RFC 5280 6.1.4 (k)")                                                                       \
    X(CA_NOT_VERIFIED, "ca.not-verified", "C10", REFUSE, DOCUMENTED, ALERTED, UNABLE_TO_GET_ISSUER_CERT_LOCALLY, 401002,                   \
      MESSAGE_CA_NOT_FOUND,                                                                                                                \
      "an uploaded CA counts only after proof of possession, or when it was set to verified on upload",                                    \
      "azure-docs articles/iot-dps/how-to-verify-certificates.md; the answer: azure-iot-sdk-c issue 437")                                  \
    X(ID_MISMATCH, "registration-id.mismatch", "C11", REFUSE, DOCUMENTED, ANSWERED, 0, 401002, MESSAGE_INVALID,                            \
      "the registration id must be the CN of the leaf, without regard to case",                                                            \
      "azure-docs articles/iot-dps/concepts-x509-attestation.md; the answer's form is assumed")                                            \
    X(ID_GRAMMAR, "registration-id.grammar", "C12", REFUSE, FIELD_OBSERVED, BAD_ID, 0, 400004, MESSAGE_BAD_ID,                             \
      "a registration id is made of letters, digits and - . _ :, up to 128, with a letter, a digit or '-' at the end",                     \
      "azure-docs articles/iot-dps/concepts-service.md; azure-iot-sdk-c issue 405")                                                        \
    X(ID_UPPER_CASE, "registration-id.upper-case", "C12", NOTE, FIELD_OBSERVED, ONLY_2018, 0, 400004, MESSAGE_BAD_ID,                      \
      "the service of 2018 took no upper case letter",                                                                                     \
      "azure-iot-sdk-c issue 405; gone with api-version 2018-11-01: Azure/iotedge pull request 4575")                                      \
    X(CN_MISSING, "leaf.cn-missing", "C12", REFUSE, ASSUMED, ANSWERED, 0, 401002, MESSAGE_INVALID,                                         \
      "a leaf without CN can be no device's", "follows from registration-id.mismatch")                                                     \
    X(CN_MULTIPLE, "leaf.cn-multiple", "C12", REFUSE, ASSUMED, ANSWERED, 0, 401002, MESSAGE_INVALID,                                       \
      "a leaf with several CNs is ambiguous", "nothing public says what DPS does")                                                         \
    X(LEAF_EXPIRED, "leaf.expired", "C14", REFUSE, DOCUMENTED, ALERTED, CERT_HAS_EXPIRED, 401002, MESSAGE_INVALID,                         \
      "an expired credential is answered with 401002", "azure-docs articles/iot-central/core/troubleshoot-connection.md")                  \
    X(LEAF_NOT_YET, "leaf.not-yet-valid", "C15", REFUSE, ASSUMED, ALERTED, CERT_NOT_YET_VALID, 401002, MESSAGE_INVALID,                    \
      "as an expired one", "nothing public says what DPS does")                                                                            \
    X(CA_EXPIRED, "ca.expired", "C16", REFUSE, ASSUMED, ALERTED, CERT_HAS_EXPIRED, 401002, MESSAGE_INVALID,                                \
      "a CA must be replaced before it expires", "azure-docs articles/iot-dps/how-to-roll-certificates.md; the answer is assumed")         \
    X(CA_NOT_YET, "ca.not-yet-valid", "C16", REFUSE, ASSUMED, ALERTED, CERT_NOT_YET_VALID, 401002, MESSAGE_INVALID,                        \
      "as an expired one", "nothing public says what DPS does")                                                                            \
    X(ENROLLMENT_DISABLED, "enrollment.disabled", "C17", REFUSE, FIELD_OBSERVED, DISABLING, 0, 0, NULL,                                    \
      "a disabled individual enrollment wins over every group; the poll says status \"disabled\"",                                         \
      "azure-docs articles/iot-dps/how-to-revoke-device-access-portal.md; azure-iot-cli-extension azext_iot/dps/common.py")                \
    X(GROUP_DISABLED, "group.disabled", "C17", REFUSE, DOCUMENTED, DISABLING, 0, 0, NULL,                                                  \
      "the first group from the leaf upward decides, disabled or not",                                                                     \
      "azure-docs articles/iot-dps/how-to-revoke-device-access-portal.md; the answer as for an individual enrollment")                     \
    X(ENROLLMENT_NONE, "enrollment.none", "C17", REFUSE, FIELD_OBSERVED, ANSWERED, 0, 401002, MESSAGE_UNAUTHORIZED,                        \
      "a device for which there is no enrollment is unauthorized",                                                                         \
      "azure-docs articles/iot-dps/how-to-revoke-device-access-portal.md; azure-iot-cli-extension's tests of groups")                      \
    X(ENROLLMENT_OTHER, "enrollment.other-certificate", "C29", REFUSE, FIELD_OBSERVED, ANSWERED, 0, 401002, MESSAGE_INVALID,               \
      "an individual enrollment takes its primary or its secondary certificate and no other",                                              \
      "azure-docs articles/iot-dps/concepts-x509-attestation.md; esp-azure issue 64")                                                      \
    X(ENROLLMENT_TWICE, "enrollment.certificate-twice", "C32", WARN, DOCUMENTED, UNSEEN, 0, 0, NULL,                                       \
      "a certificate stands in one enrollment alone: Azure does not make a second one with it, so what it would do then cannot be seen",   \
      "azure-docs articles/iot-dps/concepts-x509-attestation.md")                                                                          \
    X(GROUP_NOT_IN_CHAIN, "group.not-in-chain", "C07", REFUSE, FIELD_OBSERVED, ANSWERED, 0, 401002, MESSAGE_NOT_IN_CHAIN,                  \
      "the certificate of an enrollment group must be one of the chain's CAs", "azure-iot-sdk-node issue 532")                             \
    X(LEAF_V1, "leaf.v1", "C23", WARN, ASSUMED, STRICT, INVALID_PURPOSE, 0, NULL,                                                          \
      "a version 1 certificate is taken", "X509CertificateInfo has a version; nothing public says that 1 is refused")                      \
    X(NO_CLIENT_AUTH, "leaf.no-client-auth", "C21", WARN, ASSUMED, STRICT, INVALID_PURPOSE, 0, NULL,                                       \
      "an extended key usage without clientAuth is taken", "nothing public says that it is refused")                                       \
    X(KEY_USAGE, "leaf.key-usage", "C22", WARN, ASSUMED, STRICT, INVALID_PURPOSE, 0, NULL,                                                 \
      "a key usage without digitalSignature is taken",                                                                                     \
      "nothing public says that it is refused; RFC 5246 7.4.8 has the device sign the handshake")                                          \
    X(LEAF_CA, "leaf.ca", "C23", WARN, ASSUMED, STRICT, INVALID_PURPOSE, 0, NULL,                                                          \
      "a device certificate of a group that is a CA itself is taken", "nothing public says that it is refused")                            \
    X(PATH_LENGTH, "chain.path-length", "C23", WARN, ASSUMED, STRICT, PATH_LENGTH_EXCEEDED, 0, NULL,                                       \
      "a chain that is longer than a CA of it allows (pathLenConstraint) is taken",                                                        \
      "nothing public says that it is refused; RFC 5280 6.1.4 (l)")                                                                        \
    X(NAME_CONSTRAINTS, "chain.name-constraints", "C24", WARN, ASSUMED, STRICT, PERMITTED_VIOLATION, 0, NULL,                              \
      "a name that a CA of the chain does not permit is taken", "nothing public says that it is refused; RFC 5280 6.1.4 (g)")              \
    X(CRITICAL_EXTENSION, "chain.unknown-critical-extension", "C25", WARN, ASSUMED, STRICT, UNHANDLED_CRITICAL_EXTENSION, 0, NULL,         \
      "a critical extension that nobody knows is taken", "nothing public says that it is refused; RFC 5280 4.2")                           \
    X(CHAIN_FORM, "chain.form", "C23", NOTE, ASSUMED, STRICT, INVALID_CA, 0, NULL,                                                         \
      "a chain without all that RFC 5280 demands of a CA is taken", "nothing public says that it is refused; RFC 5280 4.2.1")              \
    X(KEY_TYPE, "key.type", "C20", WARN, ASSUMED, STRICT, UNSUPPORTED_SIGNATURE_ALGORITHM, 0, NULL,                                        \
      "a key that is neither RSA nor on P-256, P-384 or P-521 is taken",                                                                   \
      "azure-docs articles/iot-hub/iot-hub-tls-support.md names RSA and ECC; nothing public says that it is refused")                      \
    X(WEAK_KEY, "weak.key", "C19", WARN, ASSUMED, STRICT, EE_KEY_TOO_SMALL, 0, NULL,                                                       \
      "a short key is taken", "nothing public names a least length")                                                                       \
    X(WEAK_DIGEST, "weak.digest", "C19", WARN, ASSUMED, STRICT, CA_MD_TOO_WEAK, 0, NULL,                                                   \
      "a signature with SHA-1 or MD5 is taken", "nothing public says that it is refused")                                                  \
    X(VENDOR_CN, "vendor.cn-lower-case", "C12", NOTE, VENDOR, ONLY_GUIDE, 0, 401002, MESSAGE_INVALID,                                      \
      "a vendor says: the CN must be lower-case letters and digits alone, or the authentication fails",                                    \
      "manual of the ESF Cloud Connector for Azure IoT, X.509 provisioning: its statement; Microsoft documents more characters")           \
    X(VENDOR_SUBJECT, "vendor.subject-only-cn", "C12", NOTE, VENDOR, ONLY_GUIDE, 0, 401002, MESSAGE_INVALID,                               \
      "a vendor says: at least one field of the subject beside the CN must be filled in, or the authentication fails",                     \
      "manual of the ESF Cloud Connector for Azure IoT, X.509 provisioning: its statement; Microsoft documents no such rule")              \
    X(VENDOR_PEM_TAIL, "vendor.pem-tail", "C26", NOTE, VENDOR, ONLY_GUIDE, 0, 401002, MESSAGE_INVALID,                                     \
      "a vendor says: white space behind the last dash of a pasted certificate makes the connection fail",                                 \
      "manual of the ESF Cloud Connector for Azure IoT, X.509 provisioning: its statement")
/* clang-format on */

enum rule_index {
#define X(name, ...) RULE_##name,
    ATTESTATION_RULES(X)
#undef X
        RULE_COUNT
};

#endif
