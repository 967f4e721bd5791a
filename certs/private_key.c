#include "certs/chain.h"

#include "base/files.h"
#include "certs/pem.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

/* The BEGIN line of the first private key: "-----BEGIN EC PARAMETERS-----" may stand before it. */
static const char *find_key_block(const char *at, const char *end)
{
    for (const char *begin; (begin = pem_find(at, end, "-----BEGIN ")); at = begin + 1) {
        const char *label = begin + strlen("-----BEGIN ");
        const char *label_end = pem_find(label, end, "-----");
        if (label_end && pem_find(label, label_end, "PRIVATE KEY"))
            return begin;
    }
    return NULL;
}

/* Never ask a terminal for a password. */
static int no_password(char *buffer, int size, int is_writing, void *user)
{
    (void)buffer, (void)size, (void)is_writing, (void)user;
    return -1;
}

static int set_no_key(const char *at, const char *end, const char *name, struct error *error)
{
    const char *what = pem_find(at, end, "-----BEGIN CERTIFICATE-----")
                           ? "this is a certificate, not a private key; name the key's file (often *.key)"
                           : "no private key in it; expected PEM ('-----BEGIN PRIVATE KEY-----')";
    return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "%s: %s", name, what);
}

static int set_broken_key(const char *block, const char *end, const char *name, struct error *error)
{
    const char *what = "the private key is broken; copy the file again";
    if (pem_find(block, end, "ENCRYPTED"))
        what = "the private key is encrypted; remove the password: openssl pkey -in FILE -out NEW";
    else if (pem_find(block, end, "\\n"))
        what = "holds the two characters '\\n' where lines should end; turn them into line ends";
    else if (!pem_find(block, end, "-----END "))
        what = "the private key has no END line: the text is cut off; copy the whole block";
    return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "%s: %s", name, what);
}

int private_key_read_text(const void *data, size_t length_bytes, const char *name, EVP_PKEY **ret_key, struct error *error)
{
    const char *text = data, *end = text + length_bytes;
    if (length_bytes > PRIVATE_KEY_TEXT_MAX_BYTES)
        return error_set(error, ERROR_OWNER_FILE, ERROR_LIMIT, "%s: larger than %d bytes", name, PRIVATE_KEY_TEXT_MAX_BYTES);
    const char *block = find_key_block(text, end);
    if (!block)
        return set_no_key(text, end, name, error);
    CLEANUP_BIO BIO *bio = BIO_new_mem_buf(block, (int)(end - block));
    if (!bio)
        return error_set_memory(error);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
    ERR_clear_error();
    if (!key)
        return set_broken_key(block, end, name, error);
    *ret_key = key;
    return 0;
}

int private_key_read_file(const char *path, EVP_PKEY **ret_key, struct error *error)
{
    CLEANUP(bytes_wipe) struct bytes all = {0};
    if (file_read(path, PRIVATE_KEY_TEXT_MAX_BYTES, &all, error))
        return -1;
    return private_key_read_text(bytes_text(&all), all.length_bytes, path, ret_key, error);
}

int private_key_pem(const EVP_PKEY *key, struct bytes *ret_pem, struct error *error)
{
    CLEANUP_BIO BIO *bio = BIO_new(BIO_s_secmem());
    int written = bio && PEM_write_bio_PKCS8PrivateKey(bio, (EVP_PKEY *)key, NULL, NULL, 0, NULL, NULL) == 1;
    ERR_clear_error();
    if (!written)
        return error_set(error, ERROR_OWNER_OURS, ERROR_CRYPTO, "write a private key as PEM: OpenSSL refused");
    char *data = NULL;
    long length = BIO_get_mem_data(bio, &data);
    struct bytes pem;
    bytes_init(&pem, PRIVATE_KEY_TEXT_MAX_BYTES);
    if (length < 0 || bytes_append(&pem, data, (size_t)length))
        return error_set_memory(error);
    *ret_pem = pem;
    return 0;
}

bool private_key_fits(const EVP_PKEY *key, const X509 *certificate)
{
    EVP_PKEY *public_key = X509_get0_pubkey(certificate);
    bool fits = public_key && EVP_PKEY_eq(key, public_key) == 1;
    ERR_clear_error();
    return fits;
}
