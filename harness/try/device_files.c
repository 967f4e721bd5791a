#include "harness/try/device_files.h"

#include "base/files.h"
#include "base/shell_word.h"
#include "harness/try/pem_form.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <string.h>

DEFINE_CLEANUP(BIO *, BIO_free)
DEFINE_CLEANUP(PKCS12 *, PKCS12_free)

/* ---- what kind of file it is ---- */

static bool has(const struct bytes *text, const char *what)
{
    return text->length_bytes && memmem(text->data, text->length_bytes, what, strlen(what));
}

static bool is_pem(const struct bytes *text)
{
    return has(text, "-----BEGIN ");
}

static bool is_pkcs12(const struct bytes *text)
{
    const unsigned char *at = text->data;
    CLEANUP(PKCS12_free_cleanup) PKCS12 *store = at ? d2i_PKCS12(NULL, &at, (long)text->length_bytes) : NULL;
    ERR_clear_error();
    return store != NULL;
}

static bool is_der_key(const struct bytes *text)
{
    const unsigned char *at = text->data;
    CLEANUP_PKEY EVP_PKEY *key = at ? d2i_AutoPrivateKey(NULL, &at, (long)text->length_bytes) : NULL;
    ERR_clear_error();
    return key != NULL;
}

static bool holds_certificate(const struct bytes *text)
{
    CLEANUP_CHAIN x509_stack *chain = NULL;
    return certificates_read_text(text->data, text->length_bytes, "", &chain, NULL) == 0;
}

static bool holds_key(const struct bytes *text)
{
    return has(text, " PRIVATE KEY-----") || is_der_key(text);
}

static int fail(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int fail(struct error *error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    error_setv(error, ERROR_OWNER_FILE, ERROR_SYNTAX, format, args);
    va_end(args);
    return -1;
}

/* ---- certificates ---- */

static int fail_not_pem(const char *path, const char *word, const struct bytes *text, struct error *error)
{
    if (text->data[0] == 0x30)
        return fail(error, "%s: this is DER (binary), and a device takes PEM; convert it: openssl x509 -inform DER -in %s -out %s.pem",
                    path, word, word);
    return fail(error,
                "%s: this is base64 without its frame, and a device takes PEM; frame it: (echo '-----BEGIN CERTIFICATE-----'; tr -d "
                "'[:space:]' < %s "
                "| fold -w 64; echo; echo '-----END CERTIFICATE-----') > %s.pem",
                path, word, word);
}

/* The reader has said what it found; some things have a better answer. */
static int explain_no_certificate(const char *path, const char *word, const struct bytes *text, struct error *error)
{
    if (is_pkcs12(text))
        return fail(error,
                    "%s: this is PKCS#12 (.pfx, .p12); take certificates and key out: openssl pkcs12 -in %s -nokeys -out chain.pem; "
                    "openssl pkcs12 -in %s -nocerts -nodes -out device.key",
                    path, word, word);
    if (has(text, "-----BEGIN PKCS7-----"))
        return fail(error, "%s: this is PKCS#7 (.p7b); take the certificates out: openssl pkcs7 -print_certs -in %s -out chain.pem", path,
                    word);
    return -1;
}

static int interpret_certificates(const char *path, const struct bytes *text, x509_stack **ret_chain, struct error *error)
{
    CLEANUP_CHAIN x509_stack *chain = NULL;
    CLEANUP_FREE char *word = shell_word(path);
    if (!word)
        return error_set_memory(error);
    if (pem_form_require(path, text, error))
        return -1;
    if (certificates_read_text(text->data, text->length_bytes, path, &chain, error))
        return explain_no_certificate(path, word, text, error);
    if (!is_pem(text))
        return fail_not_pem(path, word, text, error);
    *ret_chain = TAKE(chain);
    return 0;
}

int device_certificates_read(const char *path, struct bytes *ret_text, x509_stack **ret_chain, struct error *error)
{
    CLEANUP(bytes_wipe) struct bytes text = {0};
    if (file_read(path, CERTIFICATE_TEXT_MAX_BYTES, &text, error) || interpret_certificates(path, &text, ret_chain, error))
        return -1;
    *ret_text = text;
    text = (struct bytes){0};
    return 0;
}

/* ---- the key ---- */

void public_key_hash(const EVP_PKEY *key, char hex[PUBLIC_KEY_HASH_BYTES])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int digest_bytes = 0;
    char *data = NULL;
    CLEANUP(BIO_free_cleanup) BIO *bio = BIO_new(BIO_s_mem());
    hex[0] = 0;
    if (bio && PEM_write_bio_PUBKEY(bio, (EVP_PKEY *)(uintptr_t)key) == 1) {
        long length = BIO_get_mem_data(bio, &data);
        EVP_Digest(data, (size_t)length, digest, &digest_bytes, EVP_sha256(), NULL);
    }
    ERR_clear_error();
    for (unsigned int i = 0; i < digest_bytes; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

static int explain_no_key(const char *path, const char *word, const struct bytes *text, struct error *error)
{
    if (has(text, "ENCRYPTED"))
        return fail(error,
                    "%s: the private key is encrypted, and the bench (like most devices) has no password; write it without: "
                    "openssl pkey -in %s -out %s.plain",
                    path, word, word);
    if (is_der_key(text))
        return fail(error, "%s: this is DER (binary), and a device takes PEM; convert it: openssl pkey -inform DER -in %s -out %s.pem",
                    path, word, word);
    if (is_pkcs12(text))
        return explain_no_certificate(path, word, text, error);
    if (has(text, "-----BEGIN PUBLIC KEY-----"))
        return fail(error, "%s: this is a public key; name the file with the private key (-----BEGIN PRIVATE KEY-----)", path);
    if (has(text, "CERTIFICATE REQUEST-----"))
        return fail(error, "%s: this is a certificate signing request (CSR), not a private key; name the key that it was made with", path);
    return -1;
}

static int interpret_key(struct device_files *files, struct error *error)
{
    CLEANUP_FREE char *word = shell_word(files->key_path);
    if (!word)
        return error_set_memory(error);
    if (private_key_read_text(bytes_text(&files->key_text), files->key_text.length_bytes, files->key_path, &files->key, error))
        return explain_no_key(files->key_path, word, &files->key_text, error);
    return 0;
}

/* ---- both ---- */

static int refuse_swapped(const struct device_files *files, struct error *error)
{
    const struct bytes *cert_text = &files->cert_text, *key_text = &files->key_text;
    if (!holds_key(cert_text) || holds_certificate(cert_text) || !holds_certificate(key_text) || holds_key(key_text))
        return 0;
    CLEANUP_FREE char *cert = shell_word(files->key_path), *key = shell_word(files->cert_path);
    return fail(error, "--cert and --key are swapped: '%s' is a private key, '%s' a certificate; type --cert %s --key %s", files->cert_path,
                files->key_path, cert ? cert : "", key ? key : "");
}

static int find_own(const struct device_files *files)
{
    for (int i = 0; i < sk_X509_num(files->chain); i++)
        if (private_key_fits(files->key, sk_X509_value(files->chain, i)))
            return i;
    return -1;
}

static int fail_other_key(const struct device_files *files, struct error *error)
{
    char of_certificate[PUBLIC_KEY_HASH_BYTES] = "", of_key[PUBLIC_KEY_HASH_BYTES] = "";
    const X509 *leaf = sk_X509_value(files->chain, 0);
    EVP_PKEY *public_key = X509_get0_pubkey(leaf);
    CLEANUP_FREE char *subject = certificate_subject(leaf), *cert = shell_word(files->cert_path), *key = shell_word(files->key_path);
    if (!subject || !cert || !key)
        return error_set_memory(error);
    if (public_key)
        public_key_hash(public_key, of_certificate);
    public_key_hash(files->key, of_key);
    return fail(
        error,
        "%s does not belong to %s: the public key of the certificate '%s' has SHA-256 %s, that of the key %s; compare: openssl x509 -in %s "
        "-noout -pubkey | openssl sha256; openssl pkey -in %s -pubout | openssl sha256",
        files->key_path, files->cert_path, subject, of_certificate, of_key, cert, key);
}

static int fail_not_first(const struct device_files *files, int own, struct error *error)
{
    CLEANUP_FREE char *first = certificate_subject(sk_X509_value(files->chain, 0));
    CLEANUP_FREE char *subject = certificate_subject(sk_X509_value(files->chain, own));
    if (!first || !subject)
        return error_set_memory(error);
    return fail(error,
                "%s: the private key belongs to certificate %d, '%s', and '%s' stands first: the device's own certificate must come first, "
                "then its "
                "issuers in order: %s",
                files->cert_path, own + 1, subject, first,
                sk_X509_num(files->chain) > 2 ? "cat device.crt sub-ca.pem root-ca.pem > chain.pem" : "cat device.crt ca.pem > chain.pem");
}

static int check_pair(const struct device_files *files, struct error *error)
{
    int own = find_own(files);
    if (own == 0)
        return 0;
    return own < 0 ? fail_other_key(files, error) : fail_not_first(files, own, error);
}

/* Each file is read once: it may be a pipe of the shell's. */
int device_files_read(const char *cert_path, const char *key_path, struct device_files *ret_files, struct error *error)
{
    struct device_files *files = ret_files;
    files->cert_path = cert_path;
    files->key_path = key_path;
    if (file_read(cert_path, CERTIFICATE_TEXT_MAX_BYTES, &files->cert_text, error) ||
        file_read(key_path, PRIVATE_KEY_TEXT_MAX_BYTES, &files->key_text, error))
        return -1;
    if (refuse_swapped(files, error) || interpret_certificates(cert_path, &files->cert_text, &files->chain, error) ||
        interpret_key(files, error))
        return -1;
    return check_pair(files, error);
}

void device_files_done(struct device_files *files)
{
    if (!files)
        return;
    bytes_wipe(&files->cert_text);
    bytes_wipe(&files->key_text);
    x509_stack_free(files->chain);
    EVP_PKEY_free(files->key);
    *files = (struct device_files){0};
}
