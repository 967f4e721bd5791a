#include "certs/central_model.h"

#include "base/files.h"
#include "base/yaml.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/rand.h>
#include <string.h>
#include <strings.h>

enum { FILE_MAX_BYTES = 1024 * 1024, ID_SCOPE_BYTES = 12 };

DEFINE_CLEANUP(struct central *, central_free)
DEFINE_CLEANUP(struct central_application *, application_free)
DEFINE_CLEANUP(char **, names_free)

/* ---- lifetime ---- */

void application_free(struct central_application *application)
{
    if (!application)
        return;
    dps_state_free(application->state);
    cJSON_Delete(application->json);
    cJSON_Delete(application->devices);
    free(application->dir);
    free(application->id_scope);
    free(application);
}

void central_free(struct central *central)
{
    if (!central)
        return;
    for (size_t i = 0; i < central->count; i++)
        application_free(central->applications[i]);
    free(central->dir);
    free(central);
}

size_t central_count(const struct central *central)
{
    return central->count;
}

struct central_application *central_at(const struct central *central, size_t index)
{
    return index < central->count ? central->applications[index] : NULL;
}

const char *central_application_name(const struct central_application *application)
{
    return json_string(application->json, "name", "");
}

const char *central_application_id_scope(const struct central_application *application)
{
    return application->id_scope ? application->id_scope : "";
}

const char *central_application_dir(const struct central_application *application)
{
    return application->dir;
}

const cJSON *central_application_json(const struct central_application *application)
{
    return application->json;
}

struct dps_state *central_application_state(const struct central_application *application)
{
    return application->state;
}

static struct central_application *find(const struct central *central, const char *name)
{
    for (size_t i = 0; i < central->count; i++)
        if (strcasecmp(central_application_name(central->applications[i]), name) == 0)
            return central->applications[i];
    return NULL;
}

int central_require(const struct central *central, const char *name, struct central_application **ret_application, struct error *error)
{
    char names[512] = "";
    struct central_application *application = find(central, name);
    if (application)
        return (int)(*ret_application = application, 0);
    for (size_t i = 0; i < central->count; i++) {
        size_t used = strlen(names);
        snprintf(names + used, sizeof names - used, "%s%s",
                 used ? ", " : "; there are: ", central_application_name(central->applications[i]));
    }
    return error_set(error, ERROR_OWNER_FILE, ERROR_NOT_FOUND, "IoT Central application '%s' does not exist in '%s'%s", name, central->dir,
                     *names ? names : "; there is none at all: dpsbench central app create");
}

/* ---- the shape of an application ---- */

/* The name is a subdomain in Azure, and a folder here. */
static int check_name(const char *name, struct error *error)
{
    size_t length = strlen(name);
    bool is_good =
        length >= 2 && length <= CENTRAL_NAME_MAX_BYTES && isalnum((unsigned char)name[0]) && isalnum((unsigned char)name[length - 1]);
    for (const char *c = name; is_good && *c; c++)
        is_good = islower((unsigned char)*c) || isdigit((unsigned char)*c) || *c == '-';
    return is_good
               ? 0
               : error_set(
                     error, ERROR_OWNER_FILE, ERROR_SYNTAX,
                     "an application's name is 2 to %d lower-case letters, digits and '-', as in NAME.azureiotcentral.com; '%.100s' is not",
                     CENTRAL_NAME_MAX_BYTES, name);
}

static int check_id_scope(const struct central *central, const struct central_application *self, const char *id_scope, struct error *error)
{
    for (const char *c = id_scope; *c; c++)
        if (!isalnum((unsigned char)*c))
            return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "idScope '%.100s' holds something that is no letter and no digit",
                             id_scope);
    if (!*id_scope || strlen(id_scope) > 32)
        return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "idScope: 1 to 32 letters and digits are expected");
    if (self && strcmp(self->id_scope, id_scope) != 0)
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "an application keeps its ID scope, and that of '%s' is '%s'",
                         central_application_name(self), self->id_scope);
    for (size_t i = 0; i < central->count; i++)
        if (central->applications[i] != self && strcmp(central_application_id_scope(central->applications[i]), id_scope) == 0)
            return error_set(error, ERROR_OWNER_FILE, ERROR_EXISTS, "idScope '%s' is that of application '%s'", id_scope,
                             central_application_name(central->applications[i]));
    return 0;
}

static int check_texts(const cJSON *list, const char *name, struct error *error)
{
    const cJSON *item;
    bool is_list = !list || cJSON_IsArray(list);
    cJSON_ArrayForEach(item, list)
    {
        is_list = is_list && cJSON_IsString(item);
    }
    return is_list ? 0 : error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "%s: must be a list of texts", name);
}

static int check_templates(const cJSON *templates, struct error *error)
{
    const cJSON *item;
    bool is_good = !templates || cJSON_IsArray(templates);
    cJSON_ArrayForEach(item, templates)
    {
        is_good = is_good && *json_string(item, "modelId", "");
    }
    return is_good ? 0
                   : error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX,
                               "deviceTemplates: must be a list of {\"modelId\": \"dtmi:...\", \"displayName\": ...}");
}

static int set_default(cJSON *json, const char *name, cJSON *value)
{
    if (!json_member(json, name))
        return json_set(json, name, value);
    cJSON_Delete(value);
    return 0;
}

/* In the look of Azure's: 0ne and eight hex digits. */
static cJSON *random_id_scope(void)
{
    uint32_t random = 0;
    char text[ID_SCOPE_BYTES];
    if (RAND_bytes((unsigned char *)&random, sizeof random) != 1)
        return NULL;
    snprintf(text, sizeof text, "0ne%08X", random);
    return cJSON_CreateString(text);
}

/* Central's hubs have names that nobody chooses. */
static cJSON *default_hubs(const char *name)
{
    CLEANUP_JSON cJSON *hubs = cJSON_CreateArray();
    for (int i = 1; hubs && i <= 2; i++) {
        char host[CENTRAL_NAME_MAX_BYTES + 48];
        snprintf(host, sizeof host, "iotc-%s-%d.azure-devices.net", name, i);
        if (!cJSON_AddItemToArray(hubs, cJSON_CreateString(host)))
            return NULL;
    }
    return TAKE(hubs);
}

static int complete(cJSON *json, struct error *error)
{
    return set_default(json, "idScope", random_id_scope()) || set_default(json, "autoApprove", cJSON_CreateTrue()) ||
                   set_default(json, "hubs", default_hubs(json_string(json, "name", ""))) ||
                   set_default(json, "deviceTemplates", cJSON_CreateArray())
               ? error_set_memory(error)
               : 0;
}

static int check_members(const cJSON *json, struct error *error)
{
    static const char *const known[] = {"name", "idScope", "autoApprove", "hubs", "deviceTemplates", NULL};
    const cJSON *member;
    cJSON_ArrayForEach(member, json)
    {
        const char *const *name = known;
        while (*name && strcmp(*name, member->string) != 0)
            name++;
        const char *near = *name ? NULL : text_nearest(member->string, known);
        if (!*name)
            return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "unknown member '%.64s'%s%s%s", member->string,
                             near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    }
    return 0;
}

static bool has_hub(const struct central_application *application, const char *hub)
{
    const cJSON *hubs = json_member(application->json, "hubs"), *item;
    cJSON_ArrayForEach(item, hubs)
    {
        if (cJSON_IsString(item) && strcasecmp(item->valuestring, hub) == 0)
            return true;
    }
    return false;
}

/* Another application; NULL: none. */
static const struct central_application *find_owner(const struct central *central, const struct central_application *self, const char *hub)
{
    for (size_t i = 0; i < central->count; i++)
        if (central->applications[i] != self && has_hub(central->applications[i], hub))
            return central->applications[i];
    return NULL;
}

static int check_hubs(const struct central *central, const struct central_application *self, const cJSON *hubs, struct error *error)
{
    const cJSON *item;
    if (check_texts(hubs, "hubs", error))
        return -1;
    cJSON_ArrayForEach(item, hubs)
    {
        const struct central_application *owner = find_owner(central, self, item->valuestring);
        if (owner)
            return error_set(error, ERROR_OWNER_FILE, ERROR_EXISTS,
                             "hubs: '%.128s' belongs to application '%s' already; no two applications share a hub", item->valuestring,
                             central_application_name(owner));
    }
    return 0;
}

static int check_application(const struct central *central, const struct central_application *self, const cJSON *json, struct error *error)
{
    const cJSON *approve = json_member(json, "autoApprove");
    if (!cJSON_IsObject(json))
        return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "must be one JSON object");
    if (approve && !cJSON_IsBool(approve))
        return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "autoApprove: must be true or false");
    return check_members(json, error) || check_name(json_string(json, "name", ""), error) ||
                   check_id_scope(central, self, json_string(json, "idScope", ""), error) ||
                   check_hubs(central, self, json_member(json, "hubs"), error) ||
                   check_templates(json_member(json, "deviceTemplates"), error)
               ? -1
               : 0;
}

/* ---- the folder ---- */

static int read_device(cJSON *devices, const char *path, struct error *error)
{
    CLEANUP_JSON cJSON *device = json_read_file(path, error);
    if (!device)
        return -1;
    if (!*json_string(device, "id", ""))
        return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "%s: id: is missing: it is the device's name", path);
    return cJSON_AddItemToArray(devices, TAKE(device)) ? 0 : error_set_memory(error);
}

/* All or none: with one broken file the devices stay as they were. */
static int read_devices(struct central_application *application, struct error *error)
{
    CLEANUP_FREE char *dir = path_join(application->dir, "devices");
    CLEANUP(names_free_cleanup) char **names = NULL;
    CLEANUP_JSON cJSON *devices = cJSON_CreateArray();
    if (!dir || !devices)
        return error_set_memory(error);
    if (dir_make(dir, 0755, error) || dir_list(dir, ".json", &names, error))
        return -1;
    for (char **name = names; *name; name++) {
        CLEANUP_FREE char *path = path_join(dir, *name);
        if (!path)
            return error_set_memory(error);
        if (read_device(devices, path, error))
            return -1;
    }
    cJSON_Delete(application->devices);
    application->devices = TAKE(devices);
    return 0;
}

static int open_folder(struct central *central, const char *name, struct central_application **ret_application, struct error *error)
{
    CLEANUP(application_free_cleanup) struct central_application *application = calloc(1, sizeof *application);
    if (!application || asprintf(&application->dir, "%s/central/%s", central->dir, name) < 0)
        return error_set_memory(error);
    application->clock = central->clock;
    if (dir_make(application->dir, 0755, error) || dps_state_open(application->dir, central->clock, &application->state, error) ||
        read_devices(application, error))
        return -1;
    *ret_application = TAKE(application);
    return 0;
}

/* What it is from now on. Takes `json`. */
static int describe(struct central_application *application, cJSON *json, struct error *error)
{
    cJSON_Delete(application->json);
    application->json = json;
    if (!application->id_scope)
        application->id_scope = strdup(json_string(json, "idScope", ""));
    return application->id_scope ? 0 : error_set_memory(error);
}

static int add(struct central *central, struct central_application *application, struct error *error)
{
    if (central->count == CENTRAL_APPLICATIONS_MAX) {
        application_free(application);
        return error_set(error, ERROR_OWNER_FILE, ERROR_LIMIT, "a state folder holds at most %d IoT Central applications",
                         CENTRAL_APPLICATIONS_MAX);
    }
    central->applications[central->count++] = application;
    return 0;
}

static int write_application(const struct central_application *application, struct error *error)
{
    CLEANUP_FREE char *path = path_join(application->dir, "application.json");
    return path ? json_write_file(path, application->json, 0644, error) : error_set_memory(error);
}

/* One folder: a new application, or the one that is known. */
static int load(struct central *central, const char *name, size_t *changed, struct error *error)
{
    CLEANUP_FREE char *path = NULL;
    if (asprintf(&path, "%s/central/%s/application.json", central->dir, name) < 0)
        return error_set_memory(error);
    if (!path_exists(path))
        return 0;
    CLEANUP_JSON cJSON *json = json_read_file(path, error);
    struct central_application *known = find(central, name), *application = known;
    if (!json)
        return -1;
    if (complete(json, error) || check_application(central, known, json, error))
        return error_prefix(error, "central/%s/application.json", name);
    if (!known && (open_folder(central, name, &application, error) || add(central, application, error)))
        return -1;
    *changed += !application->json || !cJSON_Compare(application->json, json, true);
    if (describe(application, TAKE(json), error))
        return -1;
    return known && (dps_state_reload(known->state, NULL, error) || read_devices(known, error)) ? -1 : 0;
}

int central_reload(struct central *central, size_t *ret_changed, struct error *error)
{
    CLEANUP_FREE char *dir = path_join(central->dir, "central");
    CLEANUP(names_free_cleanup) char **names = NULL;
    size_t changed = 0;
    if (!dir)
        return error_set_memory(error);
    if (dir_list(dir, "", &names, error))
        return -1;
    for (char **name = names; *name; name++)
        if (load(central, *name, &changed, error))
            return -1;
    if (ret_changed)
        *ret_changed = changed;
    return 0;
}

int central_open(const char *dir, const struct clock *clock, struct central **ret_central, struct error *error)
{
    CLEANUP(central_free_cleanup) struct central *central = calloc(1, sizeof *central);
    if (!central || !(central->dir = strdup(dir)))
        return error_set_memory(error);
    central->clock = clock;
    if (central_reload(central, NULL, error))
        return -1;
    *ret_central = TAKE(central);
    return 0;
}

/* `json` laid over what the application has. */
static cJSON *merged(const struct central_application *known, const cJSON *json)
{
    CLEANUP_JSON cJSON *copy = known ? cJSON_Duplicate(known->json, true) : cJSON_CreateObject();
    const cJSON *member;
    cJSON_ArrayForEach(member, json) if (!copy || json_set(copy, member->string, cJSON_Duplicate(member, true))) return NULL;
    return TAKE(copy);
}

int central_put(struct central *central, const cJSON *json, struct central_application **ret_application, struct error *error)
{
    const char *name = json_string(json, "name", "");
    struct central_application *application = find(central, name);
    CLEANUP_JSON cJSON *whole = merged(application, json);
    if (!whole)
        return error_set_memory(error);
    if (check_name(name, error) || complete(whole, error) || check_application(central, application, whole, error))
        return -1;
    if (!application && (open_folder(central, name, &application, error) || add(central, application, error)))
        return -1;
    if (describe(application, TAKE(whole), error))
        return -1;
    *ret_application = application;
    return write_application(application, error);
}
