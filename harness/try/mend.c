#include "harness/try/mend.h"

#include "base/shell_word.h"
#include "certs/attestation.h"
#include "harness/try/certificate_notes.h"
#include "harness/try/pem_form.h"

#include <string.h>

#define DPS "--dps-name DPS --resource-group GROUP"

/* Everything that the lines are made of. */
struct mender {
    const struct try_request *request;
    const struct device_files *files;
    const struct assumed_service *service;
    char *cert; /* as a shell word, like the next two */
    char *key;
    char *ca;     /* the file of --group-ca, else a name to be filled in */
    char *cn;     /* of the leaf; NULL */
    char *issuer; /* name of the leaf's issuer */
    char *top_issuer;
    char *top;
    cJSON *lines;
};

static void line(struct mender *mender, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void line(struct mender *mender, const char *format, ...)
{
    CLEANUP_FREE char *text = NULL;
    va_list args;
    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    va_end(args);
    cJSON_AddItemToArray(mender->lines, cJSON_CreateString(text ? text : "#"));
}

static const X509 *leaf_of(const struct mender *mender)
{
    return sk_X509_value(mender->files->chain, 0);
}

/* The last certificate of the chain that has its issuer in it. */
static const X509 *top_of(const struct mender *mender)
{
    const x509_stack *chain = mender->files->chain;
    int index = 0;
    for (int i = 0; i < sk_X509_num(chain); i++) {
        int signer = chain_signer(chain, index);
        if (signer < 0 || signer == index)
            break;
        index = signer;
    }
    return sk_X509_value(chain, index);
}

static bool is_self_signed(const struct mender *mender)
{
    return chain_signer(mender->files->chain, 0) == 0;
}

static bool is_of_group_ca(const struct mender *mender, const X509 *certificate)
{
    return mender->service->group_ca && certificate_is_signed_by(certificate, mender->service->group_ca);
}

/* The file of the CA that signed the leaf: a name of ours when it was never given. */
static const char *issuer_file(const struct mender *mender)
{
    return is_of_group_ca(mender, leaf_of(mender)) ? mender->ca : "issuer.pem";
}

/* ---- pieces ---- */

static const char *wanted_id(const struct mender *mender)
{
    return registration_id_is_valid(mender->request->registration_id) ? mender->request->registration_id : "REGISTRATION-ID";
}

static void enroll_again(struct mender *mender, const char *file)
{
    if (mender->service->kind == DPS_ENROLLMENT)
        line(mender, "az iot dps enrollment update " DPS " --enrollment-id %s --certificate-path %s", wanted_id(mender), file);
}

static void remake_self_signed(struct mender *mender)
{
    line(mender, "openssl req -x509 -new -key %s -sha256 -days 365 -subj \"/CN=%s\" -out device-new.crt", mender->key, wanted_id(mender));
}

static void remake_signed(struct mender *mender, const char *ca)
{
    line(mender, "openssl req -new -key %s -out device-new.csr -subj \"/CN=%s\"", mender->key, wanted_id(mender));
    line(mender, "openssl x509 -req -in device-new.csr -CA %s -CAkey CA.key -CAcreateserial -out device-new.crt -days 500 -sha256", ca);
    if (strcmp(ca, "issuer.pem") == 0)
        line(mender, "# issuer.pem is the certificate of '%s', CA.key its key", mender->issuer);
    else
        line(mender, "# CA.key is the key of %s", ca);
    if (sk_X509_num(mender->files->chain) > 1)
        line(mender, "cat device-new.crt %s > chain-new.pem", ca);
}

static void remake(struct mender *mender)
{
    if (is_self_signed(mender))
        remake_self_signed(mender);
    else
        remake_signed(mender, issuer_file(mender));
    enroll_again(mender, "device-new.crt");
}

static void prove(struct mender *mender, const char *name, const char *file)
{
    line(mender, "az iot dps certificate generate-verification-code " DPS " --certificate-name %s --etag ETAG", name);
    line(mender, "openssl req -new -key CA.key -out verification.csr -subj \"/CN=VERIFICATION-CODE\"");
    line(mender, "openssl x509 -req -in verification.csr -CA %s -CAkey CA.key -CAcreateserial -out verification.pem -days 1 -sha256", file);
    line(mender, "az iot dps certificate verify " DPS " --certificate-name %s --path verification.pem --etag NEW-ETAG", name);
    line(mender, "# CA.key is the key of %s; each step prints the etag that the next one wants", file);
}

/* ---- rule by rule ---- */

static void mend_issuer_not_sent(struct mender *mender)
{
    bool is_at_hand = is_of_group_ca(mender, top_of(mender));
    const char *file = is_at_hand ? mender->ca : "issuer.pem";
    line(mender, "cat %s %s > chain.pem", mender->cert, file);
    if (!is_at_hand)
        line(mender, "# issuer.pem is the certificate of '%s', which signed '%s'", mender->top_issuer, mender->top);
    if (!is_at_hand && mender->service->group_ca)
        line(mender, "# the chain must lead to the group's CA, '%s' (%s)", mender->service->group_ca_text, mender->ca);
    line(mender, "nrfcredstore PORT write %d CLIENT_CERT chain.pem", TRY_SEC_TAG);
}

static void mend_order(struct mender *mender)
{
    line(mender, "cat device.crt ca.pem > chain.pem");
    line(mender, "# device.crt is the device's own certificate, and --key must be its key, not the CA's");
}

static void mend_bad_signature(struct mender *mender)
{
    line(mender, "openssl verify -partial_chain -trusted ca.pem device.crt");
    line(mender, "# fails: take the CA certificate that belongs to the key that signed, or sign again:");
    remake_signed(mender, "issuer.pem");
}

static void mend_unknown_ca(struct mender *mender)
{
    const char *shown = mender->top_issuer;
    if (mender->service->group_ca) {
        line(mender, "# '%s' (%s) did not sign this chain, which leads to '%s'; have it sign the device's certificate:",
             mender->service->group_ca_text, mender->ca, shown);
        remake_signed(mender, mender->ca);
        line(mender, "# or give the CA that did sign: --group-ca FILE, the certificate of '%s'", shown);
        return;
    }
    line(mender, "# ca.pem is the certificate of '%s'", shown);
    line(mender, "az iot dps certificate create " DPS " --certificate-name root-ca --path ca.pem --verified true");
    line(mender, "# or without --verified, and then prove that its key is yours:");
    prove(mender, "root-ca", "ca.pem");
}

static void mend_same_name(struct mender *mender)
{
    line(mender, "openssl x509 -in %s -noout -subject -fingerprint -sha256", mender->ca);
    line(mender, "openssl verify -partial_chain -trusted %s %s", mender->ca, mender->cert);
    line(mender, "# two CAs have one name: sign with the key of the one that DPS has:");
    remake_signed(mender, mender->ca);
}

static void mend_self_signed(struct mender *mender)
{
    line(mender, "az iot dps enrollment create " DPS " --enrollment-id %s --attestation-type x509 --certificate-path %s", wanted_id(mender),
         mender->cert);
    line(mender, "# tried here without --group-ca; or have the group's CA sign:");
    remake_signed(mender, mender->ca);
}

static void mend_not_a_ca(struct mender *mender)
{
    line(mender, "openssl req -x509 -new -key CA.key -sha256 -days 1024 -subj \"/CN=NAME\" -addext basicConstraints=critical,CA:TRUE \\");
    line(mender, "  -addext keyUsage=critical,keyCertSign,cRLSign -out ca.pem");
    line(mender, "# a certificate without CA:TRUE may sign nobody; then sign the device's again:");
    remake_signed(mender, "issuer.pem");
}

static void mend_not_verified(struct mender *mender)
{
    const char *name = mender->service->certificate_name ? mender->service->certificate_name : "NAME";
    prove(mender, name, mender->ca);
    line(mender, "# or delete it and upload it as verified:");
    line(mender, "az iot dps certificate create " DPS " --certificate-name %s --path %s --verified true", name, mender->ca);
}

static void mend_mismatch(struct mender *mender)
{
    line(mender, "# either the certificate gets the device's name:");
    remake(mender);
    if (mender->cn && registration_id_is_valid(mender->cn))
        line(mender, "# or the device gets the certificate's (prj.conf): CONFIG_AZURE_IOT_HUB_DPS_REG_ID=\"%s\"", mender->cn);
}

static void mend_grammar(struct mender *mender)
{
    line(mender, "# 1 to 128 letters, digits and - . _ :, with a letter, a digit or '-' at the end; in prj.conf and in the CN:");
    line(mender, "CONFIG_AZURE_IOT_HUB_DPS_REG_ID=\"REGISTRATION-ID\"");
    remake(mender);
}

static void mend_clock(struct mender *mender)
{
    line(mender, "date -u");
    line(mender, "openssl x509 -in %s -noout -dates", mender->cert);
    line(mender, "# the machine that made it had a wrong clock: make it again, or wait:");
    remake(mender);
}

static void mend_ca_times(struct mender *mender)
{
    line(mender, "openssl x509 -in %s -noout -subject -dates", mender->ca);
    line(mender, "openssl x509 -in %s -signkey CA.key -days 1024 -sha256 -out ca-new.pem", mender->ca);
    line(mender, "# same name and key: certificates that it signed stay good; upload the new one and prove it, put it into the group and "
                 "the chain:");
    prove(mender, "NAME", "ca-new.pem");
}

static void mend_enrollment_disabled(struct mender *mender)
{
    line(mender, "az iot dps enrollment update " DPS " --enrollment-id %s --provisioning-status enabled", wanted_id(mender));
}

static void mend_group_disabled(struct mender *mender)
{
    line(mender, "az iot dps enrollment-group update " DPS " --enrollment-id %s --provisioning-status enabled",
         mender->service->enrollment_id ? mender->service->enrollment_id : "GROUP-ID");
}

static void mend_no_enrollment(struct mender *mender)
{
    line(mender, "az iot dps enrollment create " DPS " --enrollment-id %s --attestation-type x509 --certificate-path %s", wanted_id(mender),
         mender->cert);
    if (mender->service->enrollment_id)
        line(mender, "# the enrollment that was given is '%s'", mender->service->enrollment_id);
}

static void mend_other_certificate(struct mender *mender)
{
    line(mender, "az iot dps enrollment update " DPS " --enrollment-id %s --certificate-path %s", wanted_id(mender), mender->cert);
    line(mender, "# or write the enrolled certificate, with its own key, into the device");
}

static void mend_not_in_chain(struct mender *mender)
{
    line(mender, "az iot dps enrollment-group update " DPS " --enrollment-id %s --certificate-path ca.pem",
         mender->service->enrollment_id ? mender->service->enrollment_id : "GROUP-ID");
    line(mender, "# ca.pem is a CA of this chain, such as '%s'", mender->issuer);
}

static const struct {
    const char *rule;
    void (*mend)(struct mender *mender);
} mends[] = {
    {"chain.issuer-not-sent", mend_issuer_not_sent},
    {"chain.order", mend_order},
    {"chain.bad-signature", mend_bad_signature},
    {"chain.unknown-ca", mend_unknown_ca},
    {"chain.same-name-other-key", mend_same_name},
    {"chain.self-signed-leaf", mend_self_signed},
    {"chain.not-a-ca", mend_not_a_ca},
    {"ca.not-verified", mend_not_verified},
    {"registration-id.mismatch", mend_mismatch},
    {"registration-id.grammar", mend_grammar},
    {"leaf.cn-missing", remake},
    {"leaf.cn-multiple", remake},
    {"leaf.expired", remake},
    {"leaf.not-yet-valid", mend_clock},
    {"ca.expired", mend_ca_times},
    {"ca.not-yet-valid", mend_ca_times},
    {"enrollment.disabled", mend_enrollment_disabled},
    {"group.disabled", mend_group_disabled},
    {"enrollment.none", mend_no_enrollment},
    {"enrollment.other-certificate", mend_other_certificate},
    {"group.not-in-chain", mend_not_in_chain},
};

/* ---- together ---- */

static bool prepare(struct mender *mender)
{
    const X509 *top = top_of(mender);
    mender->cert = shell_word(mender->files->cert_path);
    mender->key = shell_word(mender->files->key_path);
    mender->ca = mender->request->group_ca_path ? shell_word(mender->request->group_ca_path) : strdup("ca.pem");
    mender->issuer = certificate_issuer(leaf_of(mender));
    mender->top = certificate_subject(top);
    mender->top_issuer = certificate_issuer(top);
    mender->lines = cJSON_CreateArray();
    certificate_common_names(leaf_of(mender), &mender->cn);
    return mender->cert && mender->key && mender->ca && mender->issuer && mender->top && mender->top_issuer && mender->lines;
}

cJSON *mend_commands(const char *rule, const struct try_request *request, const struct device_files *files,
                     const struct assumed_service *service)
{
    struct mender mender = {.request = request, .files = files, .service = service};
    bool is_ready = prepare(&mender);
    for (size_t i = 0; is_ready && i < ARRAY_COUNT(mends); i++)
        if (strcmp(mends[i].rule, rule) == 0)
            mends[i].mend(&mender);
    char *texts[] = {mender.cert, mender.key, mender.ca, mender.cn, mender.issuer, mender.top, mender.top_issuer};
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++)
        free(texts[i]);
    if (!is_ready) {
        cJSON_Delete(mender.lines);
        return NULL;
    }
    return mender.lines;
}
