#include "broker_sim/hub/authentication.h"

#include "base/cleanup.h"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>

enum { NOT_AUTHORIZED = 5, CHAIN_DEPTH_MAX = 10 };

static const struct {
    const char *name;
    int code;
    const char *mend;
} rules[] = {[HUB_ACCEPTED] = {NULL, 0, ""},
#define X(id, rule_name, rule_code, rule_mend) [HUB_##id] = {rule_name, rule_code, rule_mend},
             HUB_RULES(X)
#undef X
};

const char *hub_rule_name(enum hub_rule rule)
{
    return rules[rule].name;
}

const char *hub_rule_mend(enum hub_rule rule)
{
    return rules[rule].mend;
}

int hub_rule_code(enum hub_rule rule)
{
    return rules[rule].code;
}

int hub_refuse(struct hub_judgement *judgement, enum hub_rule rule, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(judgement->text, sizeof judgement->text, format, args);
    va_end(args);
    judgement->rule = rule;
    judgement->return_code = NOT_AUTHORIZED;
    return -1;
}

/* ---- certificates ---- */

static X509 *leaf_of(const struct session *session)
{
    return sk_X509_num(session->chain) > 0 ? sk_X509_value(session->chain, 0) : NULL;
}

static int check_validity(const char *whose, const X509 *certificate, const struct hub_device *device, int64_t now_unix_s,
                          struct hub_judgement *judgement)
{
    int64_t from_s = 0, to_s = 0;
    if (certificate_validity(certificate, &from_s, &to_s) || now_unix_s < from_s || now_unix_s > to_s)
        return hub_refuse(judgement, HUB_EXPIRED, "%s of device '%s' is %s", whose, device->device_id,
                          now_unix_s < from_s ? "not valid yet" : "expired");
    return 0;
}

static bool has_thumbprint(const struct hub_device *device, const char *thumbprint)
{
    return strcmp(thumbprint, device->thumbprints[0]) == 0 || strcmp(thumbprint, device->thumbprints[1]) == 0;
}

static int check_thumbprint(const struct hub_device *device, const struct session *session, int64_t now_unix_s,
                            struct hub_judgement *judgement)
{
    const X509 *leaf = leaf_of(session);
    const char *primary = device->thumbprints[0], *secondary = device->thumbprints[1];
    char sha1[SHA1_HEX_BYTES] = "", sha256[SHA256_HEX_BYTES] = "";
    if (leaf) {
        certificate_sha1(leaf, sha1);
        certificate_sha256(leaf, sha256);
    }
    if (!leaf || (!has_thumbprint(device, sha256) && !has_thumbprint(device, sha1)))
        return hub_refuse(judgement, HUB_THUMBPRINT, "device '%s' presented %s%s; it registered with %s%s%s%s", device->device_id,
                          leaf ? "the certificate with SHA-256 " : "no certificate", sha256, *primary ? "the one with thumbprint " : "none",
                          primary, *secondary ? " or " : "", secondary);
    return check_validity("the certificate", leaf, device, now_unix_s, judgement);
}

static X509_STORE *trusted_store(const struct dps_state *state)
{
    X509_STORE *store = X509_STORE_new();
    size_t count = state ? dps_state_count(state, DPS_CERTIFICATE) : 0;
    for (size_t i = 0; store && i < count; i++) {
        const struct dps_object *object = dps_state_at(state, DPS_CERTIFICATE, i);
        if (object->is_verified && object->certificates[DPS_PRIMARY].certificate)
            X509_STORE_add_cert(store, object->certificates[DPS_PRIMARY].certificate);
    }
    return store;
}
DEFINE_CLEANUP(X509_STORE *, X509_STORE_free)
DEFINE_CLEANUP(X509_STORE_CTX *, X509_STORE_CTX_free)

/* Any verified certificate is an anchor, also an intermediate. Weak keys and digests are taken, as at DPS. X509_V_OK or what is wrong. */
static int verify_chain(const struct session *session, const struct dps_state *state, int64_t now_unix_s)
{
    CLEANUP(X509_STORE_free_cleanup) X509_STORE *store = trusted_store(state);
    CLEANUP(X509_STORE_CTX_free_cleanup) X509_STORE_CTX *context = X509_STORE_CTX_new();
    int result = X509_V_ERR_OUT_OF_MEM;
    if (store && context && X509_STORE_CTX_init(context, store, leaf_of(session), session->chain) == 1) {
        X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(context);
        X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
        X509_VERIFY_PARAM_set_auth_level(param, 0);
        X509_VERIFY_PARAM_set_depth(param, CHAIN_DEPTH_MAX);
        X509_VERIFY_PARAM_set_time(param, (time_t)now_unix_s);
        result = X509_verify_cert(context) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(context);
        result = result == X509_V_OK || X509_STORE_CTX_get_error(context) != X509_V_OK ? result : X509_V_ERR_UNSPECIFIED;
    }
    ERR_clear_error();
    return result;
}

static int check_cn(const struct hub_device *device, const X509 *leaf, struct hub_judgement *judgement)
{
    CLEANUP_FREE char *cn = NULL;
    size_t count = certificate_common_names(leaf, &cn);
    if (count != 1 || strcmp(cn, device->device_id) != 0)
        return hub_refuse(judgement, HUB_CN, "the certificate of device '%s' has %s%.128s%s", device->device_id,
                          count == 1 ? "CN '"
                          : count    ? "several CNs"
                                     : "no CN",
                          count == 1 ? cn : "", count == 1 ? "'" : "");
    return 0;
}

static int check_ca(const struct hub_device *device, const struct session *session, const struct dps_state *state, int64_t now_unix_s,
                    struct hub_judgement *judgement)
{
    const X509 *leaf = leaf_of(session);
    if (!leaf)
        return hub_refuse(judgement, HUB_UNKNOWN_CA, "device '%s' presented no certificate", device->device_id);
    if (check_validity("the certificate", leaf, device, now_unix_s, judgement))
        return -1;
    int result = verify_chain(session, state, now_unix_s);
    if (result == X509_V_ERR_CERT_HAS_EXPIRED || result == X509_V_ERR_CERT_NOT_YET_VALID)
        return hub_refuse(judgement, HUB_EXPIRED, "a CA certificate of device '%s' is not valid now: %s", device->device_id,
                          X509_verify_cert_error_string(result));
    if (result != X509_V_OK)
        return hub_refuse(judgement, HUB_UNKNOWN_CA, "the chain of device '%s' leads to no verified CA: %s", device->device_id,
                          X509_verify_cert_error_string(result));
    return check_cn(device, leaf, judgement);
}

/* ---- tokens ---- */

/* The token is for `resource`, or for what is above it: a token of the whole hub is good for each device. */
static bool covers(const struct sas_token *token, const char *resource)
{
    size_t length = strlen(token->resource);
    return strncasecmp(token->resource, resource, length) == 0 && (resource[length] == 0 || resource[length] == '/');
}

static bool is_signed(const struct sas_token *token, const struct hub_device *device)
{
    bool is_good = false;
    for (size_t i = 0; i < ARRAY_COUNT(device->keys); i++) {
        CLEANUP_SAS_KEY struct sas_key key = {.length_bytes = 0};
        if (device->keys[i][0] && sas_key_read(device->keys[i], &key, NULL) == 0)
            is_good |= sas_token_is_signed_by(token, &key);
    }
    return is_good;
}

static int check_token(const struct hub_device *device, const struct session *session, int64_t now_unix_s, struct hub_judgement *judgement)
{
    struct sas_token token;
    struct error error = ERROR_INIT;
    char resource[HUB_TEXT_MAX_BYTES + HUB_DEVICE_ID_MAX_BYTES + 16];
    snprintf(resource, sizeof resource, "%s/devices/%s", device->hub, device->device_id);
    if (sas_token_read(session->password, &token, &error))
        return hub_refuse(judgement, HUB_TOKEN, "%.480s", error.text);
    if (!covers(&token, resource))
        return hub_refuse(judgement, HUB_TOKEN_RESOURCE, "the token of device '%s' is for '%.200s'", device->device_id, token.resource);
    if (!is_signed(&token, device))
        return hub_refuse(judgement, HUB_TOKEN_SIGNATURE, "neither key of device '%s' made the token's signature", device->device_id);
    if (token.expiry_unix_s <= now_unix_s)
        return hub_refuse(judgement, HUB_TOKEN_EXPIRED, "the token of device '%s' expired %lld s ago", device->device_id,
                          (long long)(now_unix_s - token.expiry_unix_s));
    judgement->token_expires_unix_s = token.expiry_unix_s;
    return 0;
}

/* ---- all ---- */

static int check_kind(const struct hub_device *device, const struct session *session, struct hub_judgement *judgement)
{
    bool has_password = session->password && *session->password, has_certificate = leaf_of(session) != NULL;
    const char *name = hub_authentication_name(device->authentication);
    if (device->authentication == HUB_BY_SAS && !has_password)
        return hub_refuse(judgement, HUB_OTHER_KIND, "device '%s' is set up for %s; it sent %s, and the password is empty",
                          device->device_id, name, has_certificate ? "a certificate" : "nothing");
    if (device->authentication != HUB_BY_SAS && has_password && !has_certificate)
        return hub_refuse(judgement, HUB_OTHER_KIND, "device '%s' is set up for %s; it sent a password and no certificate",
                          device->device_id, name);
    return 0;
}

int hub_authenticate(const struct hub_device *device, const struct session *session, const struct dps_state *state, int64_t now_unix_s,
                     struct hub_judgement *judgement)
{
    judgement->token_expires_unix_s = INT64_MAX;
    if (check_kind(device, session, judgement))
        return -1;
    switch (device->authentication) {
    case HUB_BY_THUMBPRINT:
        return check_thumbprint(device, session, now_unix_s, judgement);
    case HUB_BY_CA:
        return check_ca(device, session, state, now_unix_s, judgement);
    case HUB_BY_SAS:
        break;
    }
    return check_token(device, session, now_unix_s, judgement);
}
