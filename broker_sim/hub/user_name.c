#include "broker_sim/hub/user_name.h"

#include <stdbool.h>
#include <string.h>

static bool take(const char *at, size_t length, char *to)
{
    if (length == 0 || length > HUB_USER_NAME_PART_MAX_BYTES)
        return false;
    memcpy(to, at, length);
    to[length] = 0;
    return true;
}

int hub_user_name_read(const char *text, struct hub_user_name *ret_name, struct error *error)
{
    struct hub_user_name name = {.hub = ""};
    size_t hub_length = strcspn(text, "/");
    const char *device = text + hub_length + (text[hub_length] == '/');
    size_t device_length = strcspn(device, "/");
    const char *rest = device + device_length;
    rest += *rest == '/';
    rest += *rest == '?';
    if (!take(text, hub_length, name.hub) || !take(device, device_length, name.device_id) || strncmp(rest, "api-version=", 12) != 0)
        return error_set(error, ERROR_OWNER_DEVICE, ERROR_PROTOCOL, "user name '%.200s' is not {hub}/{deviceId}/?api-version=2021-04-12",
                         text);
    *ret_name = name;
    return 0;
}
