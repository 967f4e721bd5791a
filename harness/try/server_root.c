#include "harness/try/server_root.h"

#include "harness/try/device_files.h"
#include "harness/try/pem_form.h"

#include <openssl/x509v3.h>
#include <string.h>

#define G2_MEND "curl -o DigiCertGlobalRootG2.crt.pem https://cacerts.digicert.com/DigiCertGlobalRootG2.crt.pem"

struct known_root {
    const char *subject; /* RFC 2253 */
    const char *sha256;
    bool is_enough; /* for DPS and IoT Hub as they are today */
    const char *text;
};

static const struct known_root known_roots[] = {
    {"CN=DigiCert Global Root G2,OU=www.digicert.com,O=DigiCert Inc,C=US",
     "CB3CCBB76031E5E0138F8DD39A23F9DE47FFC35E43C1144CEA27D46A5AB1CB5F", true,
     "it is DigiCert Global Root G2, the root of DPS and IoT Hub"},
    {"CN=Microsoft RSA Root Certificate Authority 2017,O=Microsoft Corporation,C=US",
     "C741F70F4B2A8D88BF2E71C14122EF53EF10EBA0CFA5E64CFA20F418853073E0", false,
     "it is Microsoft RSA Root Certificate Authority 2017, which Azure keeps in reserve; DPS and IoT Hub stand under DigiCert Global Root "
     "G2 today, so "
     "this one alone is not enough"},
    {"CN=Baltimore CyberTrust Root,OU=CyberTrust,O=Baltimore,C=IE", "16AF57A9F676B0AB126095AA5EBADEF22AB31119D644AC95CD4B93DBF3F26AEB",
     false, "it is Baltimore CyberTrust Root, which Azure left in 2023 and 2024, and which expired in May 2025"},
};

static const struct known_root *find_by_name(const char *subject)
{
    for (size_t i = 0; i < ARRAY_COUNT(known_roots); i++)
        if (strcmp(known_roots[i].subject, subject) == 0)
            return &known_roots[i];
    return NULL;
}

static bool is_in(const x509_stack *chain, const X509 *certificate)
{
    for (int i = 0; i < sk_X509_num(chain); i++)
        if (X509_cmp(sk_X509_value(chain, i), certificate) == 0)
            return true;
    return false;
}

static bool is_self_signed(const X509 *certificate)
{
    return certificate_is_self_issued(certificate) && certificate_is_signed_by(certificate, certificate);
}

static int say(struct server_root *root, const char *mend, const char *format, ...) __attribute__((format(printf, 3, 4)));
static int say(struct server_root *root, const char *mend, const char *format, ...)
{
    va_list args;
    free(root->said);
    free(root->mend);
    va_start(args, format);
    if (vasprintf(&root->said, format, args) < 0)
        root->said = NULL;
    va_end(args);
    root->mend = strdup(mend);
    return root->said && root->mend ? 0 : -1;
}

static int judge_known(struct server_root *root, const struct known_root *known, X509 *certificate)
{
    char sha256[SHA256_HEX_BYTES];
    certificate_sha256(certificate, sha256);
    if (strcmp(sha256, known->sha256) != 0)
        return say(root, G2_MEND,
                   "it has the name '%s' and another fingerprint (SHA-256 %s): a look-alike, which no server of Azure stands under",
                   known->subject, sha256);
    root->is_good = known->is_enough;
    return say(root, known->is_enough ? "" : G2_MEND, "%s", known->text);
}

static int judge_other(struct server_root *root, X509 *certificate, const char *subject, bool is_own)
{
    if (is_own)
        return say(root, G2_MEND,
                   "it is '%s', which belongs to the device's own chain: DPS needs that; the device needs the root of Azure's servers",
                   subject);
    if (!is_self_signed(certificate))
        return say(root, G2_MEND, "it is '%s', which is not a root: %s", subject,
                   X509_check_ca(certificate) ? "an intermediate, which Azure changes without notice"
                                              : "a leaf, which Azure changes every few months");
    if (!X509_check_ca(certificate))
        return say(root, G2_MEND, "it is '%s', which is self-signed and no CA", subject);
    return say(root, G2_MEND, "it is '%s', under which no server of DPS or IoT Hub stands", subject);
}

static int judge_one(struct server_root *root, X509 *certificate, const x509_stack *chain, const X509 *group_ca, struct error *error)
{
    CLEANUP_FREE char *subject = certificate_subject(certificate);
    if (!subject)
        return error_set_memory(error);
    const struct known_root *known = find_by_name(subject);
    bool is_own = is_in(chain, certificate) || (group_ca && X509_cmp(group_ca, certificate) == 0);
    if (known ? judge_known(root, known, certificate) : judge_other(root, certificate, subject, is_own))
        return error_set_memory(error);
    return 0;
}

static void note_several(const char *path, int count, const struct server_root *root, struct notes *notes)
{
    notes_add(notes, NOTE_WARNING, "root.several",
              "'%s' holds %d certificates%s: a device trusts each of them, and some firmware reads only the first", path, count,
              root->is_good ? ", one of which is the right one" : "");
    notes_mend(notes, "write one root a security tag");
}

int server_root_check(const char *path, const x509_stack *chain, const X509 *group_ca, struct notes *notes, struct server_root *ret_root,
                      struct error *error)
{
    CLEANUP_CHAIN x509_stack *roots = NULL;
    CLEANUP(server_root_done) struct server_root root = {0};
    if (device_certificates_read(path, &root.text, &roots, error))
        return -1;
    for (int i = 0; i < sk_X509_num(roots) && !root.is_good; i++)
        if (judge_one(&root, sk_X509_value(roots, i), chain, group_ca, error))
            return -1;
    if (sk_X509_num(roots) > 1)
        note_several(path, sk_X509_num(roots), &root, notes);
    pem_form_check(path, "CERTIFICATE", &root.text, notes);
    pem_form_check_modem(path, CREDENTIAL_ROOT_CA, &root.text, notes);
    *ret_root = root;
    root = (struct server_root){0};
    return 0;
}

void server_root_done(struct server_root *root)
{
    if (!root)
        return;
    bytes_done(&root->text);
    free(root->said);
    free(root->mend);
    *root = (struct server_root){0};
}
