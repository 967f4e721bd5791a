#include "harness/device/at.h"

#include <string.h>

/* Nordic, nRF91 AT command reference: CME error codes of the general part and of %CMNG; X(code, meaning, mend). */
#define CME_CODES(X)                                                                                                                       \
    X(0, "phone failure", "the modem gives no reason: reset the device and try again")                                                     \
    X(3, "operation not allowed", "not in this state of the modem: look at AT+CFUN? and at the SIM")                                       \
    X(4, "operation not supported", "the modem firmware does not know this command")                                                       \
    X(10, "SIM not inserted", "insert a SIM")                                                                                              \
    X(23, "memory failure", "reset the device and try again; if it stays, the modem cannot store any more")                                \
    X(50, "incorrect parameters", "look at sec tag and type: the sec tag is 0 to 2147483647")                                              \
    X(51, "command implemented but currently disabled", "the firmware or its configuration has switched it off")                           \
    X(60, "system error", "reset the device and try again")                                                                                \
    X(513, "not found", "there is no such credential; AT%CMNG=1 lists those that are there")                                               \
    X(514, "no access", "this credential cannot be read or changed; certificates and keys of types 1 to 3 are write-only")                 \
    X(515, "memory full", "delete credentials that are not needed: `dpsbench credentials list` and `delete`, or AT%CMNG=3")                \
    X(518, "not allowed in active state",                                                                                                  \
      "the modem changes credentials in flight mode alone (AT+CFUN=4): did the application switch it on meanwhile?")                       \
    X(519, "already exists", "delete the credential with AT%CMNG=3 first")                                                                 \
    X(520, "authentication failed", "the password of the encrypted key is wrong")                                                          \
    X(521, "PLMN search interrupted", NULL)                                                                                                \
    X(522, "band configuration invalid", NULL)                                                                                             \
    X(523, "key generation failed", "try again; a key that is in the slot must be deleted first")                                          \
    X(525, "JWT error", "the sec tag has no key that can sign one")                                                                        \
    X(527, "invalid content",                                                                                                              \
      "the modem does not take this text for PEM: real line feeds instead of the two characters \\n (a shell needs "                       \
      "CONFIG_AT_SHELL_UNESCAPE_LF=y), nothing before -----BEGIN")                                                                         \
    X(528, "not allowed while a power-off warning is active", "the supply voltage is low: check it, and AT%XPOFWARN")

static const struct {
    int code;
    const char *text, *mend;
} codes[] = {
#define X(code, text, mend) {code, text, mend},
    CME_CODES(X)
#undef X
};

const char *at_cme_text(int code)
{
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if (codes[i].code == code)
            return codes[i].text;
    return "unknown error";
}

const char *at_cme_mend(int code)
{
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if (codes[i].code == code)
            return codes[i].mend;
    return NULL;
}

/* A certificate in it tells nothing: nobody recognises it by its first lines. */
static int shown_length(const char *command)
{
    enum { SHOWN_MAX = 200 };
    const char *certificate = strstr(command, "\"-----BEGIN");
    size_t length = certificate ? (size_t)(certificate - command) : strlen(command);
    return length < SHOWN_MAX ? (int)length : SHOWN_MAX;
}

static int set_cme(const struct at_reply *reply, struct error *error)
{
    const char *mend = at_cme_mend(reply->code);
    int length = shown_length(reply->command);
    return error_set(error, ERROR_OWNER_DEVICE, ERROR_REFUSED, "%.*s%s: %s (%s)%s%s", length, reply->command,
                     reply->command[length] ? "..." : "", reply->text, at_cme_text(reply->code), mend ? "; " : "", mend ? mend : "");
}

int at_reply_check(const struct at_reply *reply, struct error *error)
{
    int length = shown_length(reply->command);
    const char *dots = reply->command[length] ? "..." : "";
    switch (reply->result) {
    case AT_OK:
        return 0;
    case AT_CME_ERROR:
        return set_cme(reply, error);
    case AT_ERROR:
    case AT_CMS_ERROR:
        return error_set(error, ERROR_OWNER_DEVICE, ERROR_REFUSED, "%.*s%s: %s; AT+CMEE=1 makes the modem say why", length, reply->command,
                         dots, reply->text);
    case AT_TIMEOUT:
        return error_set(error, ERROR_OWNER_DEVICE, ERROR_TIMEOUT, "%.*s%s: no answer in %lld ms", length, reply->command, dots,
                         (long long)(reply->duration_us / 1000));
    case AT_BOOTED:
        return error_set(error, ERROR_OWNER_DEVICE, ERROR_TIMEOUT, "%.*s%s: the device booted before it answered", length, reply->command,
                         dots);
    case AT_GONE:
        return error_set(error, ERROR_OWNER_RIG, ERROR_IO, "%.*s%s: the port went away", length, reply->command, dots);
    case AT_TOO_LONG:
        return error_set(error, ERROR_OWNER_FILE, ERROR_LIMIT,
                         "%.*s%s: longer than the %d bytes that the device takes in one line, and not sent; send a shorter certificate "
                         "chain, or give its "
                         "shell a larger CONFIG_SHELL_CMD_BUFF_SIZE and say so with `command_limit` in the rig",
                         length, reply->command, dots, reply->code);
    case AT_UNFIT:
        return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX,
                         "%.*s%s: a shell would change it, and it was not sent: a line feed goes through in AT%%CMNG=0 alone, and there no "
                         "backslash with an n",
                         length, reply->command, dots);
    case AT_CANCELLED:
        break;
    }
    return error_set(error, ERROR_OWNER_PERSON, ERROR_INTERRUPTED, "%.*s%s: cancelled", length, reply->command, dots);
}
