#include "harness/provision/local_files.h"

#include "base/cleanup.h"
#include "base/files.h"
#include "harness/credentials/credential_kind.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>

enum { TYPE_ROOT = 0, TYPE_CERT = 1, TYPE_KEY = 2, TYPE_PSK = 3, TYPE_PSK_ID = 4 };

static int conflict(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int conflict(struct error *error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    error_setv(error, ERROR_OWNER_FILE, ERROR_CONFLICT, format, args);
    va_end(args);
    return -1;
}

/* ---- one file ---- */

static int check_certificates(const struct wanted_credential *wanted, x509_stack **ret_chain, struct error *error)
{
    return certificates_read_text(bytes_text(&wanted->text), wanted->text.length_bytes, wanted->path, ret_chain, error);
}

/* What a text editor or a wrong file would leave; the modem takes it without a word. */
static int check_psk(const struct wanted_credential *wanted, struct error *error)
{
    const char *text = bytes_text(&wanted->text);
    size_t length = wanted->text.length_bytes;
    if (strspn(text, "0123456789abcdefABCDEF") != length || length % 2)
        return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX,
                         "%s: a pre-shared key is an even number of hexadecimal digits, and nothing else (%zu bytes stand there)",
                         wanted->path, length);
    return 0;
}

/* DER and base64 are read by people's tools, not by a modem. */
static int check_is_pem(const struct wanted_credential *wanted, struct error *error)
{
    if (wanted->type > TYPE_KEY || strstr(bytes_text(&wanted->text), "-----BEGIN "))
        return 0;
    return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX,
                     "%s: this is DER or base64, and the modem wants PEM; convert it: openssl %s -inform DER -in FILE -out NEW.pem",
                     wanted->path, wanted->type == TYPE_KEY ? "pkey" : "x509");
}

/* DER begins with a SEQUENCE; its bytes would be refused one by one below. */
static bool is_der(const struct wanted_credential *wanted)
{
    return wanted->text.length_bytes > 1 && wanted->text.data[0] == 0x30 && wanted->text.data[1] >= 0x80;
}

static int interpret(struct local_files *files, const struct wanted_credential *wanted, struct error *error)
{
    const char *text = bytes_text(&wanted->text);
    switch (wanted->type) {
    case TYPE_ROOT:
        return check_certificates(wanted, &files->root, error) || check_is_pem(wanted, error) ? -1 : 0;
    case TYPE_CERT:
        return check_certificates(wanted, &files->chain, error) || check_is_pem(wanted, error) ? -1 : 0;
    case TYPE_KEY:
        return private_key_read_text(text, wanted->text.length_bytes, wanted->path, &files->key, error);
    case TYPE_PSK:
        return check_psk(wanted, error);
    default:
        return 0;
    }
}

/* The bytes that cannot pass the AT host, and the length that one command carries: both are known before anything is sent. */
static int check_passes(const struct wanted_credential *wanted, struct error *error)
{
    const struct bytes *text = &wanted->text;
    size_t frame = (size_t)snprintf(NULL, 0, "AT%%CMNG=0,%u,%d,\"\"", wanted->sec_tag, wanted->type);
    if (!text->length_bytes)
        return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "%s: it is empty", wanted->path);
    for (size_t i = 0; i < text->length_bytes; i++)
        if (text->data[i] == '"' || text->data[i] == 0 || text->data[i] == '\b' || text->data[i] == 0x7F)
            return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "%s: byte 0x%02X at offset %zu cannot pass an AT command", wanted->path,
                             text->data[i], i);
    if (text->length_bytes > AT_COMMAND_MAX_BYTES - frame)
        return error_set(error, ERROR_OWNER_FILE, ERROR_LIMIT, "%s: %zu bytes, and one AT command carries %zu of them; %s", wanted->path,
                         text->length_bytes, AT_COMMAND_MAX_BYTES - frame,
                         wanted->type == TYPE_CERT ? "leave the root out of the chain, or use P-256 keys for the CAs"
                                                   : "use a smaller one");
    return 0;
}

static int reserve(struct local_files *files, int type, const char *path, struct error *error)
{
    const struct credential_kind *kind = credential_kind_at(type);
    if (!kind || !kind->is_writable)
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "%s: %s cannot be written", path, credential_kind_word(type));
    for (size_t i = 0; i < files->count; i++)
        if (files->wanted[i].type == type)
            return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "%s: '%s' is for %s already", path, files->wanted[i].path, kind->word);
    return files->count == MATCH_WANTED_MAX ? error_set(error, ERROR_OWNER_FILE, ERROR_LIMIT, "%s: too many files", path) : 0;
}

int local_files_add_text(struct local_files *files, int type, const char *path, const void *data, size_t length_bytes, struct error *error)
{
    struct wanted_credential *wanted = &files->wanted[files->count];
    if (reserve(files, type, path, error))
        return -1;
    *wanted = (struct wanted_credential){.sec_tag = files->sec_tag, .type = type, .path = path};
    if (credential_text(data, length_bytes, &wanted->text, &wanted->had_cr, error))
        return error_prefix(error, "%s", path);
    files->count++;
    if (wanted->had_cr)
        notes_add(&files->notes, NOTE_REMARK, "file.crlf", "%s has CR LF line ends: LF is stored, which is what Azure's documentation does",
                  path);
    if (is_der(wanted) && check_is_pem(wanted, error))
        return -1;
    return check_passes(wanted, error) || interpret(files, wanted, error) ? -1 : 0;
}

int local_files_add(struct local_files *files, int type, const char *path, struct error *error)
{
    CLEANUP(bytes_wipe) struct bytes text = {0};
    if (file_read(path, CERTIFICATE_TEXT_MAX_BYTES, &text, error))
        return -1;
    return local_files_add_text(files, type, path, bytes_text(&text), text.length_bytes, error);
}

/* ---- all of them ---- */

static const char *path_of(const struct local_files *files, int type)
{
    for (size_t i = 0; i < files->count; i++)
        if (files->wanted[i].type == type)
            return files->wanted[i].path;
    return "";
}

static int check_pair(const struct local_files *files, struct error *error)
{
    if (!files->key || !files->chain || private_key_fits(files->key, sk_X509_value(files->chain, 0)))
        return 0;
    for (int i = 1; i < sk_X509_num(files->chain); i++)
        if (private_key_fits(files->key, sk_X509_value(files->chain, i)))
            return conflict(error,
                            "%s: the key belongs to certificate %d of it, not to the first; the device's own certificate stands first, "
                            "then its issuers",
                            path_of(files, TYPE_CERT), i + 1);
    CLEANUP_FREE char *subject = certificate_subject(sk_X509_value(files->chain, 0));
    return conflict(error, "%s is not the key of '%s' in %s; compare: openssl x509 -in CERT -noout -pubkey, openssl pkey -in KEY -pubout",
                    path_of(files, TYPE_KEY), subject ? subject : "?", path_of(files, TYPE_CERT));
}

static int check_order(const struct local_files *files, struct error *error)
{
    for (int i = 0; files->chain && i + 1 < sk_X509_num(files->chain); i++) {
        const X509 *lower = sk_X509_value(files->chain, i), *upper = sk_X509_value(files->chain, i + 1);
        if (certificate_is_signed_by(lower, upper))
            continue;
        CLEANUP_FREE char *subject = certificate_subject(lower), *issuer = certificate_issuer(lower), *other = certificate_subject(upper);
        return conflict(error,
                        "%s: '%s' was issued by '%s', but behind it stands '%s'; the order is: the device's own, then each one's issuer",
                        path_of(files, TYPE_CERT), subject ? subject : "?", issuer ? issuer : "?", other ? other : "?");
    }
    return 0;
}

static void note_dates(struct local_files *files, const x509_stack *chain, int type, int64_t now_s)
{
    for (int i = 0; chain && i < sk_X509_num(chain); i++) {
        int64_t from_s, until_s;
        const X509 *certificate = sk_X509_value(chain, i);
        CLEANUP_FREE char *subject = certificate_subject(certificate);
        if (certificate_validity(certificate, &from_s, &until_s) || (now_s >= from_s && now_s <= until_s))
            continue;
        notes_add(&files->notes, NOTE_WARNING, "certificate.dates", "%s: '%s' %s", path_of(files, type), subject ? subject : "?",
                  now_s > until_s ? "has expired" : "is not valid yet");
    }
}

static void note_leaf_only(struct local_files *files)
{
    if (!files->chain || sk_X509_num(files->chain) != 1 || certificate_is_self_issued(sk_X509_value(files->chain, 0)))
        return;
    notes_add(
        &files->notes, NOTE_WARNING, "chain.leaf-only",
        "%s holds the device's own certificate alone: with an enrollment group DPS needs the intermediates behind it, and else refuses",
        path_of(files, TYPE_CERT));
    notes_mend(&files->notes, "cat device.crt intermediate.pem > chain.pem");
}

static bool is_in(const X509 *certificate, const x509_stack *chain)
{
    for (int i = 0; chain && i < sk_X509_num(chain); i++)
        if (X509_cmp(certificate, sk_X509_value(chain, i)) == 0)
            return true;
    return false;
}

static int check_root(struct local_files *files, struct error *error)
{
    for (int i = 0; files->root && i < sk_X509_num(files->root); i++) {
        X509 *root = sk_X509_value(files->root, i);
        CLEANUP_FREE char *subject = certificate_subject(root);
        int is_ca = X509_check_ca(root);
        ERR_clear_error();
        if (files->key && private_key_fits(files->key, root))
            return conflict(
                error,
                "%s: this is the device's own certificate; the server root is whom the device trusts, such as DigiCert Global Root G2",
                path_of(files, TYPE_ROOT));
        if (is_in(root, files->chain))
            notes_add(&files->notes, NOTE_WARNING, "root.own",
                      "%s: '%s' is in the device's own chain too; the server root is the CA of the service, not yours",
                      path_of(files, TYPE_ROOT), subject ? subject : "?");
        if (!is_ca)
            notes_add(&files->notes, NOTE_WARNING, "root.no-ca", "%s: '%s' is no CA certificate", path_of(files, TYPE_ROOT),
                      subject ? subject : "?");
    }
    return 0;
}

int local_files_check(struct local_files *files, int64_t now_s, struct error *error)
{
    if (check_pair(files, error) || check_order(files, error) || check_root(files, error))
        return -1;
    note_leaf_only(files);
    note_dates(files, files->root, TYPE_ROOT, now_s);
    note_dates(files, files->chain, TYPE_CERT, now_s);
    return 0;
}

void local_files_done(struct local_files *files)
{
    if (!files)
        return;
    for (size_t i = 0; i < MATCH_WANTED_MAX; i++)
        bytes_wipe(&files->wanted[i].text);
    x509_stack_free(files->root);
    x509_stack_free(files->chain);
    EVP_PKEY_free(files->key);
    notes_done(&files->notes);
    *files = (struct local_files){0};
}
