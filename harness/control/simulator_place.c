#include "harness/control/simulator_place.h"

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/files.h"
#include "base/ready.h"

#include <string.h>
#include <sys/stat.h>

#define SIMULATOR "dpsbench-sim"

enum { TICKET_MAX_BYTES = 64 * 1024, PEM_MAX_BYTES = 16 * 1024 };

/* Members of ready.json that are true on any machine. */
static const char *const kept[] = {"host", "id_scope", "profile", "version"};
static const char *const pems[] = {"control_ca", "control_cert", "control_key"};

bool simulator_place_is_ticket(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISREG(status.st_mode);
}

/* ---- reading ---- */

static int check_ticket(const cJSON *ticket, const char *path, struct error *error)
{
    if (strcmp(json_string(ticket, "program", ""), TICKET_PROGRAM) != 0 || json_integer(ticket, "v", 0) != READY_VERSION)
        return error_set(
            error, ERROR_OWNER_FILE, ERROR_SYNTAX,
            "%s: not a ticket of this version; on the simulator's machine: dpsbench sim ticket --state DIR --control HOST:PORT --out FILE",
            path);
    if (!json_string(ticket, "control", NULL))
        return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "%s: a ticket without `control`", path);
    for (size_t i = 0; i < ARRAY_COUNT(pems); i++)
        if (strncmp(json_string(ticket, pems[i], ""), "-----BEGIN ", 11) != 0)
            return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "%s: `%s` is no PEM text", path, pems[i]);
    return 0;
}

static int ticket_read(const char *path, cJSON **ret_ready, struct error *error)
{
    CLEANUP(bytes_wipe) struct bytes text = {0};
    if (file_read(path, TICKET_MAX_BYTES, &text, error))
        return -1;
    CLEANUP_JSON cJSON *ticket = cJSON_ParseWithLength(bytes_text(&text), text.length_bytes);
    if (check_ticket(ticket, path, error))
        return -1;
    *ret_ready = TAKE(ticket);
    return 0;
}

int simulator_place_read(const char *path, cJSON **ret_ready, struct error *error)
{
    return simulator_place_is_ticket(path) ? ticket_read(path, ret_ready, error) : ready_read(path, SIMULATOR, ret_ready, error);
}

/* ---- writing ---- */

static int add_pem(cJSON *ticket, const char *name, const char *path, struct error *error)
{
    CLEANUP(bytes_wipe) struct bytes pem = {0};
    if (file_read(path, PEM_MAX_BYTES, &pem, error))
        return -1;
    return json_set_string(ticket, name, bytes_text(&pem)) ? error_set_memory(error) : 0;
}

static int fill(cJSON *ticket, const cJSON *ready, const char *control, struct error *error)
{
    if (json_set_integer(ticket, "v", READY_VERSION) || json_set_string(ticket, "program", TICKET_PROGRAM) ||
        json_set_string(ticket, "control", control) ||
        json_set(ticket, "time_scale", cJSON_CreateNumber(json_number(ready, "time_scale", 1))))
        return error_set_memory(error);
    for (size_t i = 0; i < ARRAY_COUNT(kept); i++)
        if (json_set_string(ticket, kept[i], json_string(ready, kept[i], "")))
            return error_set_memory(error);
    for (size_t i = 0; i < ARRAY_COUNT(pems); i++)
        if (add_pem(ticket, pems[i], json_string(ready, pems[i], ""), error))
            return -1;
    return 0;
}

int ticket_make(const cJSON *ready, const char *control, cJSON **ret_ticket, struct error *error)
{
    CLEANUP_JSON cJSON *ticket = cJSON_CreateObject();
    if (!ticket)
        return error_set_memory(error);
    if (fill(ticket, ready, control, error))
        return -1;
    *ret_ticket = TAKE(ticket);
    return 0;
}
