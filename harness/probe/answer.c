#include "harness/probe/answer.h"

#include "base/cleanup.h"

#include <openssl/ssl.h>
#include <string.h>

struct code_meaning {
    int code;
    const char *message; /* the beginning of the message; "": any */
    struct answer_meaning meaning;
};

static struct answer_meaning find(const struct code_meaning *rows, size_t count, int code, const char *message, struct answer_meaning other)
{
    for (size_t i = 0; i < count; i++)
        if (rows[i].code == code && strncasecmp(rows[i].message, message, strlen(rows[i].message)) == 0)
            return rows[i].meaning;
    return other;
}

/* MQTT 3.1.1, table 3.1; what DPS means by it. */
static const struct code_meaning dps_connacks[] = {
    {1, "", {"DPS does not take this version of MQTT", "speak MQTT 3.1.1", false}},
    {2, "", {"DPS does not take the client id", "use the registration id as MQTT client id", false}},
    {3, "", {"DPS is not available", "try again in some minutes", true}},
    {4, "", {"DPS does not take user name or password", "check --id-scope and --registration-id", false}},
    {5,
     "",
     {"DPS does not authorize this connection: nobody outside knows all reasons; an unknown ID scope, a client id that is not the "
      "registration id, no client certificate, and a certificate that no enrollment accepts are among them",
      "check --id-scope against the overview page of the DPS instance, then the enrollment; `dpsbench try` names the rule", false}},
};

static const struct code_meaning hub_connacks[] = {
    {3, "", {"the hub is not available", "try again in some minutes", true}},
    {4, "", {"the hub does not take user name or password", "register again: the assignment may be stale", false}},
    {5,
     "",
     {"the hub does not authorize the device: it is disabled, was deleted, or the hub has another certificate for it than the one shown "
      "here",
      "look at the device in the hub: is it enabled, and is its thumbprint the one of this certificate; register again when it was rolled",
      false}},
};

static const struct code_meaning errors[] = {
    {400004,
     "",
     {"DPS does not take the registration id", "letters, digits and - . _ : only, the last one a letter, a digit or '-'", false}},
    {400012, "", {"DPS could not read the request's body", "", false}},
    {400207, "", {"the webhook of the custom allocation policy failed", "look at the function's own log", false}},
    {400208,
     "",
     {"no IoT hub is linked to this DPS instance, or none that the enrollment may use", "link a hub: az iot dps linked-hub create", false}},
    {400209,
     "",
     {"the credentials are good, and still the device is not let in: an IoT Central device that waits for approval or is blocked, or a hub "
      "that "
      "refuses DPS",
      "approve or unblock the device in IoT Central; or renew the link from DPS to the hub", false}},
    {401000, "", {"DPS does not authorize the request", "check the enrollment of this registration id", false}},
    {401002,
     "CA certificate not found",
     {"no certificate of the chain that was sent leads to a CA which DPS knows and whose possession is proven",
      "send the whole chain up to the CA of the enrollment group, and verify that CA in DPS", false}},
    {401002,
     "Signing certificate info did not match",
     {"the certificate of the enrollment group is none of the CAs in the chain that was sent",
      "let the group name the CA that signed this leaf; a CA certificate cannot be the device's own", false}},
    {401002,
     "Invalid certificate",
     {"the leaf is not the one of the enrollment, has expired, or its signature is not its issuer's",
      "compare thumbprint and dates of the leaf with the enrollment: openssl x509 -noout -fingerprint -dates", false}},
    /* IoT Hub's own code, handed on: azure-iot-sdk-c issue 2362, azure-iot-sdk-csharp issue 898. */
    {401002,
     "{\"Message\"",
     {"the credentials are good, and the hub refuses DPS", "renew the link from DPS to the hub: az iot dps linked-hub", false}},
    {401002,
     "IotHubUnauthorizedAccess",
     {"the credentials are good, and the hub refuses DPS", "renew the link from DPS to the hub: az iot dps linked-hub", false}},
    {401002,
     "",
     {"DPS does not accept this certificate; it does not say why", "`dpsbench try` with the same files and the enrollment names the rule",
      false}},
    {403000, "", {"DPS forbids the request", "check quotas and the enrollment", false}},
    {404001, "", {"there is no DPS instance with this ID scope", "copy the ID scope from the overview page of the DPS instance", false}},
    {404201, "", {"DPS has no enrollment for this registration id", "make one, or check --registration-id", false}},
    {404203, "", {"DPS does not know the operation any more", "register again", true}},
    {409203, "", {"another client registers the same id at the same time", "stop the other one, then try again", true}},
    {429001, "", {"DPS throttles: too many requests", "try again after the time that retry-after names", true}},
};

struct answer_meaning answer_of_dps_connack(int code)
{
    const struct answer_meaning other = {"DPS answers CONNECT with a code that MQTT 3.1.1 does not have", "is this an MQTT 3.1.1 server?",
                                         false};
    return find(dps_connacks, ARRAY_COUNT(dps_connacks), code, "", other);
}

struct answer_meaning answer_of_hub_connack(int code)
{
    const struct answer_meaning other = {"the hub refuses the connection", "register again, and look at the device in the hub", false};
    return find(hub_connacks, ARRAY_COUNT(hub_connacks), code, "", other);
}

struct answer_meaning answer_of_error(int status, int error_code, const char *message)
{
    enum { THROTTLED = 429, SERVER_ERRORS = 500 };
    const struct answer_meaning passing = {"the service has trouble of its own", "try again in some minutes", true};
    const struct answer_meaning other = {"DPS refuses, with a code that is not known here", "look the code up in Azure's documentation",
                                         false};
    return find(errors, ARRAY_COUNT(errors), error_code, message, status == THROTTLED || status >= SERVER_ERRORS ? passing : other);
}

struct answer_meaning answer_of_alert(int alert)
{
    static const struct code_meaning alerts[] = {
        {SSL_AD_CERTIFICATE_EXPIRED, "", {"the server says that the client certificate has expired", "renew it", false}},
        {SSL_AD_UNKNOWN_CA,
         "",
         {"the server does not know the CA of the client certificate, or it has expired", "send the whole chain, and check its dates",
          false}},
        {SSL_AD_BAD_CERTIFICATE, "", {"the server cannot use the client certificate", "check its signature and its form", false}},
        {SSL_AD_UNSUPPORTED_CERTIFICATE,
         "",
         {"the server does not take this kind of client certificate", "use RSA with 2048 bits, or P-256, with clientAuth", false}},
        {SSL_AD_DECRYPT_ERROR,
         "",
         {"the signature of the client's CertificateVerify is wrong: the key is not the certificate's",
          "use the key that belongs to the certificate", false}},
        {SSL_AD_HANDSHAKE_FAILURE, "", {"the server finds no cipher suite, or misses a client certificate", "", false}},
        {SSL_AD_PROTOCOL_VERSION, "", {"the server does not speak TLS 1.2", "", false}},
        {SSL_AD_UNRECOGNIZED_NAME, "", {"the server has no certificate for the name that was asked for", "check --endpoint", false}},
    };
    const struct answer_meaning other = {"the server ended the handshake", "", false};
    return find(alerts, ARRAY_COUNT(alerts), alert, "", other);
}
