#include "harness/device/at.h"

#include "base/bytes.h"
#include "base/cleanup.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <string.h>

/* Below this a hash could be guessed back: passwords, PINs. */
enum { HASHED_MIN_BYTES = 32, SHOWN_MAX_BYTES = 64 * 1024 };

static const char *skip_space(const char *at)
{
    return at + strspn(at, " \t\r\n");
}

/* The arguments of `name`, behind '='; NULL: another command. Spaces are tolerated, as the modem tolerates them. */
static const char *arguments_of(const char *command, const char *name)
{
    const char *at = skip_space(command);
    if (strncasecmp(at, "AT", 2) != 0 || strncasecmp(at + 2, name, strlen(name)) != 0)
        return NULL;
    at = skip_space(at + 2 + strlen(name));
    return *at == '=' ? skip_space(at + 1) : NULL;
}

static const char *next_argument(const char *at)
{
    at = strchr(at, ',');
    return at ? skip_space(at + 1) : "";
}

/* %CMNG=0,<sec tag>,<type>,...: 0 and 1 are certificates, 4 a PSK's identity, 5 a public key; 2 is a key, 3 a PSK, the rest unknown. */
static bool writes_a_secret(const char *arguments)
{
    if (arguments[0] != '0')
        return strchr(arguments, '"') != NULL;
    const char *type = next_argument(next_argument(arguments));
    bool is_public = (type[0] == '0' || type[0] == '1') && *skip_space(type + 1) == ',';
    return !is_public;
}

bool at_is_secret(const char *command)
{
    static const char *const names[] = {"%KEYINJECT", "%XSUDO", "+CPIN", "+CPWD", "+CLCK", "%XPMNG", NULL};
    const char *arguments = arguments_of(command, "%CMNG");
    if ((arguments && writes_a_secret(arguments)) || strstr(command, "PRIVATE KEY"))
        return true;
    for (size_t i = 0; names[i]; i++)
        if (arguments_of(command, names[i]))
            return true;
    return false;
}

static int append_hidden(struct bytes *shown, const char *text, size_t length)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int digest_bytes = 0;
    if (length < HASHED_MIN_BYTES || !EVP_Digest(text, length, digest, &digest_bytes, EVP_sha256(), NULL))
        return bytes_append_text(shown, "<removed>");
    int rc = bytes_append_text(shown, "<SHA-256 ");
    for (unsigned int i = 0; i < digest_bytes && !rc; i++)
        rc = bytes_printf(shown, "%02X", digest[i]);
    return rc ? rc : bytes_append_byte(shown, '>');
}

/* Every text between quotes is hidden; what stands outside is shown only while it is no secret by its form. */
static int append_redacted(struct bytes *shown, const char *command)
{
    const char *at = command;
    while (*at) {
        size_t plain = strcspn(at, "\"");
        if (bytes_append(shown, at, plain))
            return -1;
        at += plain;
        if (!*at)
            break;
        size_t hidden = strcspn(at + 1, "\"");
        if (bytes_append_byte(shown, '"') || append_hidden(shown, at + 1, hidden))
            return -1;
        at += 1 + hidden;
        if (*at && bytes_append_byte(shown, *at++))
            return -1;
    }
    return 0;
}

char *at_redact(const char *command)
{
    if (!at_is_secret(command))
        return strdup(command);
    if (!strchr(command, '"')) /* a PIN may come without quotes */
        return strndup(command, strcspn(command, "="));
    struct bytes shown;
    bytes_init(&shown, SHOWN_MAX_BYTES);
    char *text = append_redacted(&shown, command) ? NULL : strdup(bytes_text(&shown));
    bytes_done(&shown);
    return text;
}
