#include "certs/chain.h"

#include "base/files.h"
#include "certs/pem.h"

#include <ctype.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

/* One text under the reader's eyes. Positions are kept as line numbers, because that is what a person can look up. */
struct reader {
    const char *text;
    const char *end;
    const char *name;
    x509_stack *chain;
    OSSL_LIB_CTX *library; /* NULL: OpenSSL's own */
    bool has_private_key;
    bool has_request;
    struct error *error;
};

static int line_of(const struct reader *reader, const char *at)
{
    int line = 1;
    for (const char *c = reader->text; c < at; c++)
        line += *c == '\n' || (*c == '\r' && c + 1 < reader->end && c[1] != '\n');
    return line;
}

static int add_certificate(struct reader *reader, X509 *certificate)
{
    if (sk_X509_num(reader->chain) >= CHAIN_MAX_CERTIFICATES) {
        X509_free(certificate);
        return error_set(reader->error, ERROR_OWNER_FILE, ERROR_LIMIT, "%s: holds more than %d certificates", reader->name,
                         CHAIN_MAX_CERTIFICATES);
    }
    if (!sk_X509_push(reader->chain, certificate)) {
        X509_free(certificate);
        return error_set_memory(reader->error);
    }
    return 0;
}

/* NULL when the bytes are no certificate; trailing bytes count as part of a broken one. */
static X509 *decode_der(const struct reader *reader, const uint8_t *der, size_t length_bytes)
{
    const uint8_t *at = der;
    X509 *empty = reader->library ? X509_new_ex(reader->library, NULL) : NULL;
    /* On failure OpenSSL frees what it was given. */
    X509 *certificate = reader->library && !empty ? NULL : d2i_X509(empty ? &empty : NULL, &at, (long)length_bytes);
    if (certificate && at != der + length_bytes) {
        X509_free(certificate);
        certificate = NULL;
    }
    ERR_clear_error();
    return certificate;
}

/* Base64 with any white space in it. -1 when it is not. `ret_bytes` is initialised here. */
static int decode_base64(const char *at, const char *end, struct bytes *ret_bytes)
{
    CLEANUP(bytes_done) struct bytes packed;
    bytes_init(&packed, CERTIFICATE_TEXT_MAX_BYTES);
    for (; at < end; at++)
        if (!isspace((unsigned char)*at) && bytes_append_byte(&packed, (uint8_t)*at))
            return -1;
    if (packed.length_bytes == 0 || packed.length_bytes % 4 != 0)
        return -1;
    size_t padding = 0;
    while (padding < 2 && packed.data[packed.length_bytes - 1 - padding] == '=')
        padding++;
    CLEANUP_FREE uint8_t *decoded = malloc(packed.length_bytes / 4 * 3 + 1);
    int length = decoded ? EVP_DecodeBlock(decoded, packed.data, (int)packed.length_bytes) : -1;
    ERR_clear_error();
    if (length < (int)padding)
        return -1;
    bytes_init(ret_bytes, CERTIFICATE_TEXT_MAX_BYTES);
    return bytes_append(ret_bytes, decoded, (size_t)length - padding);
}

static int set_literal_newlines(const struct reader *reader)
{
    return error_set(reader->error, ERROR_OWNER_FILE, ERROR_SYNTAX,
                     "%s: holds the two characters '\\n' where lines should end (copied from a C string or from JSON?); "
                     "turn them into line ends: printf '%%b' \"$(cat FILE)\" > NEW",
                     reader->name);
}

static int read_block(struct reader *reader, const char *begin, const char *body, const char *end)
{
    int number = sk_X509_num(reader->chain) + 1;
    if (pem_find(body, end, "\\n"))
        return set_literal_newlines(reader);
    CLEANUP(bytes_done) struct bytes der = {0};
    if (decode_base64(body, end, &der))
        return error_set(reader->error, ERROR_OWNER_FILE, ERROR_SYNTAX,
                         "%s: certificate %d (line %d): what stands between BEGIN and END is not base64: characters are missing or added; "
                         "copy the file again",
                         reader->name, number, line_of(reader, begin));
    X509 *certificate = decode_der(reader, der.data, der.length_bytes);
    if (!certificate)
        return error_set(reader->error, ERROR_OWNER_FILE, ERROR_SYNTAX,
                         "%s: certificate %d (line %d): the base64 is whole, but holds no X.509 certificate; copy the file again",
                         reader->name, number, line_of(reader, begin));
    return add_certificate(reader, certificate);
}

static bool label_is(const char *label, size_t length, const char *word)
{
    return length == strlen(word) && memcmp(label, word, length) == 0;
}

static bool label_is_certificate(const char *label, size_t length)
{
    return label_is(label, length, "CERTIFICATE") || label_is(label, length, "X509 CERTIFICATE");
}

static void note_other_label(struct reader *reader, const char *label, size_t length)
{
    reader->has_private_key |= pem_find(label, label + length, "PRIVATE KEY") != NULL;
    reader->has_request |= pem_find(label, label + length, "CERTIFICATE REQUEST") != NULL;
}

static int set_no_end(const struct reader *reader, const char *begin)
{
    return error_set(reader->error, ERROR_OWNER_FILE, ERROR_SYNTAX,
                     "%s: certificate %d (line %d) has no line '-----END CERTIFICATE-----': the text is cut off; copy the whole block",
                     reader->name, sk_X509_num(reader->chain) + 1, line_of(reader, begin));
}

/* One "-----BEGIN x-----" ... "-----END x-----". ret_next: where to go on. */
static int read_one_block(struct reader *reader, const char *begin, const char **ret_next)
{
    const char *label = begin + strlen("-----BEGIN ");
    const char *body = pem_find(label, reader->end, "-----");
    if (!body)
        return set_no_end(reader, begin);
    size_t length = (size_t)(body - label);
    body += strlen("-----");
    *ret_next = body;
    if (!label_is_certificate(label, length)) {
        note_other_label(reader, label, length);
        return 0;
    }
    const char *end = pem_find(body, reader->end, "-----END ");
    const char *next_begin = pem_find(body, reader->end, "-----BEGIN ");
    if (!end || (next_begin && next_begin < end))
        return pem_find(body, reader->end, "\\n") ? set_literal_newlines(reader) : set_no_end(reader, begin);
    *ret_next = end + strlen("-----END ");
    return read_block(reader, begin, body, end);
}

static int read_pem(struct reader *reader)
{
    const char *at = reader->text;
    for (const char *begin; (begin = pem_find(at, reader->end, "-----BEGIN "));)
        if (read_one_block(reader, begin, &at))
            return -1;
    return 0;
}

static int set_nothing_found(const struct reader *reader)
{
    const char *what = "no certificate in it; expected PEM ('-----BEGIN CERTIFICATE-----'), DER, or base64 of either";
    if (reader->has_private_key)
        what = "this is a private key, not a certificate; name the certificate's file (often *.crt or *.pem), and keep the key to yourself";
    else if (reader->has_request)
        what = "this is a certificate signing request (CSR), not a certificate; have a CA sign it and take what comes back";
    return error_set(reader->error, ERROR_OWNER_FILE, ERROR_SYNTAX, "%s: %s", reader->name, what);
}

/* A whole text that is one run of base64: of DER, or of a PEM text (what Azure's REST interface takes). */
static int read_bare_base64(struct reader *reader)
{
    if (pem_find(reader->text, reader->end, "\\n"))
        return set_literal_newlines(reader);
    CLEANUP(bytes_done) struct bytes inner = {0};
    if (decode_base64(reader->text, reader->end, &inner))
        return 0;
    X509 *certificate = decode_der(reader, inner.data, inner.length_bytes);
    if (certificate)
        return add_certificate(reader, certificate);
    struct reader pem = *reader;
    pem.text = bytes_text(&inner);
    pem.end = pem.text + inner.length_bytes;
    if (read_pem(&pem))
        return -1;
    reader->has_private_key = pem.has_private_key;
    reader->has_request = pem.has_request;
    return 0;
}

static int read_any(struct reader *reader)
{
    X509 *certificate = decode_der(reader, (const uint8_t *)reader->text, (size_t)(reader->end - reader->text));
    if (certificate)
        return add_certificate(reader, certificate);
    if (pem_find(reader->text, reader->end, "-----BEGIN "))
        return read_pem(reader);
    return read_bare_base64(reader);
}

static const char *skip_byte_order_mark(const char *text, size_t length_bytes)
{
    return length_bytes >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0 ? text + 3 : text;
}

static int read_texts(OSSL_LIB_CTX *library, const void *data, size_t length_bytes, const char *name, x509_stack **ret_chain,
                      struct error *error)
{
    if (length_bytes == 0)
        return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "%s: the file is empty; expected a certificate in PEM", name);
    if (length_bytes > CERTIFICATE_TEXT_MAX_BYTES)
        return error_set(error, ERROR_OWNER_FILE, ERROR_LIMIT, "%s: larger than %d bytes", name, CERTIFICATE_TEXT_MAX_BYTES);
    CLEANUP_CHAIN x509_stack *chain = sk_X509_new_null();
    if (!chain)
        return error_set_memory(error);
    struct reader reader = {.end = (const char *)data + length_bytes, .name = name, .chain = chain, .library = library, .error = error};
    reader.text = skip_byte_order_mark(data, length_bytes);
    if (read_any(&reader))
        return -1;
    if (sk_X509_num(chain) == 0)
        return set_nothing_found(&reader);
    *ret_chain = TAKE(chain);
    return 0;
}

int certificates_read_text(const void *data, size_t length_bytes, const char *name, x509_stack **ret_chain, struct error *error)
{
    return read_texts(NULL, data, length_bytes, name, ret_chain, error);
}

int certificates_read_file(const char *path, x509_stack **ret_chain, struct error *error)
{
    CLEANUP(bytes_done) struct bytes all = {0};
    if (file_read(path, CERTIFICATE_TEXT_MAX_BYTES, &all, error))
        return -1;
    return certificates_read_text(all.data, all.length_bytes, path, ret_chain, error);
}

static int take_single(x509_stack *chain, const char *name, X509 **ret_certificate, struct error *error)
{
    if (sk_X509_num(chain) != 1)
        return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "%s: holds %d certificates; exactly one is expected here", name,
                         sk_X509_num(chain));
    *ret_certificate = sk_X509_pop(chain);
    return 0;
}

int certificate_read_text_in(OSSL_LIB_CTX *library, const void *data, size_t length_bytes, const char *name, X509 **ret_certificate,
                             struct error *error)
{
    CLEANUP_CHAIN x509_stack *chain = NULL;
    if (read_texts(library, data, length_bytes, name, &chain, error))
        return -1;
    return take_single(chain, name, ret_certificate, error);
}

int certificate_read_text(const void *data, size_t length_bytes, const char *name, X509 **ret_certificate, struct error *error)
{
    return certificate_read_text_in(NULL, data, length_bytes, name, ret_certificate, error);
}

int certificate_read_file(const char *path, X509 **ret_certificate, struct error *error)
{
    CLEANUP_CHAIN x509_stack *chain = NULL;
    if (certificates_read_file(path, &chain, error))
        return -1;
    return take_single(chain, path, ret_certificate, error);
}

bool pem_has_white_tail(const char *text)
{
    const char *dash = strrchr(text, '-');
    return dash && dash[1] && strcmp(dash + 1, "\n") != 0 && strcmp(dash + 1, "\r\n") != 0;
}
