#include "broker_sim/dps/user_name.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#define FORM "{idScope}/registrations/{registrationId}/api-version=2019-03-31"

static int fail(const char *text, const char *why, struct error *error)
{
    return error_set(error, ERROR_OWNER_DEVICE, ERROR_PROTOCOL, "user name '%.200s' %s; it should be " FORM, text, why);
}

/* Copies up to `end`; false when it is empty or does not fit. */
static bool take(const char *at, const char *end, char *to, size_t max_bytes)
{
    size_t length = (size_t)(end - at);
    if (length == 0 || length > max_bytes)
        return false;
    memcpy(to, at, length);
    to[length] = 0;
    return true;
}

/* YYYY-MM-DD, with "-preview" or another word behind it. */
static bool is_api_version(const char *text)
{
    static const char form[] = "dddd-dd-dd";
    for (size_t i = 0; i < sizeof form - 1; i++)
        if (form[i] == 'd' ? !isdigit((unsigned char)text[i]) : text[i] != form[i])
            return false;
    return text[10] == 0 || text[10] == '-';
}

static void read_api_version(const char *query, char *ret_version)
{
    static const char key[] = "api-version=";
    for (const char *at = query; at; at = strchr(at, '&')) {
        at += *at == '&';
        if (strncmp(at, key, sizeof key - 1) != 0)
            continue;
        at += sizeof key - 1;
        if (!take(at, at + strcspn(at, "&"), ret_version, API_VERSION_MAX_BYTES) || !is_api_version(ret_version))
            ret_version[0] = 0;
        return;
    }
}

int dps_user_name_read(const char *text, struct dps_user_name *ret_name, struct error *error)
{
    static const char middle[] = "/registrations/";
    struct dps_user_name name = {.api_version = ""};
    const char *scope_end = strchr(text, '/');
    if (!scope_end || strncmp(scope_end, middle, sizeof middle - 1) != 0)
        return fail(text, "has no /registrations/ behind the ID scope", error);
    if (!take(text, scope_end, name.id_scope, ID_SCOPE_MAX_BYTES))
        return fail(text, "has no usable ID scope", error);
    const char *id = scope_end + sizeof middle - 1, *id_end = strchr(id, '/');
    if (!id_end)
        return fail(text, "ends after the registration id", error);
    if (!take(id, id_end, name.registration_id, CLAIMED_ID_MAX_BYTES))
        return fail(text, "has a registration id that is empty or too long", error);
    read_api_version(id_end + 1, name.api_version);
    *ret_name = name;
    return 0;
}
