#include "broker_sim/hub/registry.h"

#include "certs/dps_object.h"

#include <ctype.h>
#include <search.h>
#include <string.h>
#include <strings.h>

struct hub_registry {
    struct store *kept; /* NULL: nothing is kept */
    void *tree;         /* of struct hub_device, by device id; those of one id hang together by `next`, sorted by hub */
    size_t count;
    uint64_t message_count; /* so far: the next one's number */
    void (*leaving)(void *user, struct hub_device *device);
    void *leaving_user;
};

static const char *const authentication_names[] = {
    [HUB_BY_THUMBPRINT] = "selfSigned", [HUB_BY_CA] = "certificateAuthority", [HUB_BY_SAS] = "sas"};

const char *hub_authentication_name(enum hub_authentication authentication)
{
    return authentication_names[authentication];
}

int hub_authentication_read(const char *name, enum hub_authentication *ret_authentication, struct error *error)
{
    for (size_t i = 0; i < ARRAY_COUNT(authentication_names); i++)
        if (strcmp(name, authentication_names[i]) == 0)
            return (int)(*ret_authentication = (enum hub_authentication)i, 0);
    return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "authentication '%.64s' is none of sas, selfSigned, certificateAuthority", name);
}

/* ---- the tree ---- */

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct hub_device *)a)->device_id, ((const struct hub_device *)b)->device_id);
}

static void device_free(struct hub_device *device)
{
    twin_done(&device->twin);
    while (device->messages.first)
        c2d_queue_end(&device->messages, device->messages.first, C2D_PURGED);
    free(device);
}

static inline void device_free_cleanup(struct hub_device **device)
{
    if (*device)
        device_free(*device);
}
#define CLEANUP_DEVICE CLEANUP(device_free_cleanup)

static void free_all(void *pointer)
{
    struct hub_device *next;
    for (struct hub_device *device = pointer; device; device = next) {
        next = device->next;
        device_free(device);
    }
}

struct hub_registry *hub_registry_new(void)
{
    return calloc(1, sizeof(struct hub_registry));
}

void hub_registry_free(struct hub_registry *registry)
{
    if (registry)
        tdestroy(registry->tree, free_all);
    free(registry);
}

void hub_registry_watch(struct hub_registry *registry, void (*leaving)(void *user, struct hub_device *device), void *user)
{
    registry->leaving = leaving;
    registry->leaving_user = user;
}

/* The tree's own pointer to the first identity of that id; NULL: none. */
static struct hub_device **find_slot(const struct hub_registry *registry, const char *device_id)
{
    struct hub_device key;
    if (snprintf(key.device_id, sizeof key.device_id, "%s", device_id) >= (int)sizeof key.device_id)
        return NULL;
    return tfind(&key, &registry->tree, compare);
}

struct hub_device *hub_registry_first(const struct hub_registry *registry, const char *device_id)
{
    struct hub_device *const *slot = find_slot(registry, device_id);
    return slot ? *slot : NULL;
}

struct hub_device *hub_registry_find(const struct hub_registry *registry, const char *hub, const char *device_id)
{
    struct hub_device *device = hub_registry_first(registry, device_id);
    while (device && strcasecmp(device->hub, hub) != 0)
        device = device->next;
    return device;
}

/* "a.net, b.net" */
static void list_hubs(const struct hub_device *first, char *text, size_t size)
{
    size_t used = 0;
    for (const struct hub_device *device = first; device && used < size; device = device->next)
        used += (size_t)snprintf(text + used, size - used, "%s%s", device == first ? "" : ", ", device->hub);
}

struct hub_device *hub_registry_pick(const struct hub_registry *registry, const char *hub, const char *device_id, struct error *error)
{
    enum { LIST_BYTES = 512 };
    char hubs[LIST_BYTES] = "";
    struct hub_device *first = hub_registry_first(registry, device_id);
    struct hub_device *device = hub && first ? hub_registry_find(registry, hub, device_id) : first;
    list_hubs(first, hubs, sizeof hubs);
    if (!first)
        error_set(error, ERROR_OWNER_FILE, ERROR_NOT_FOUND, "no hub knows device '%.128s' (IoT Hub: 404001 DeviceNotFound)", device_id);
    else if (!device)
        error_set(error, ERROR_OWNER_FILE, ERROR_NOT_FOUND,
                  "hub '%.128s' does not know device '%s' (IoT Hub: 404001 DeviceNotFound); it is at %s", hub, device_id, hubs);
    else if (!hub && first->next)
        error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "several hubs know device '%s': %s; say which one: --hub HOST", device_id, hubs);
    else
        return device;
    return NULL;
}

size_t hub_registry_count(const struct hub_registry *registry)
{
    return registry->count;
}

struct walk {
    void (*visit)(void *user, struct hub_device *device);
    void *user;
};

static void walk_node(const void *node, VISIT order, void *closure)
{
    const struct walk *walk = closure;
    if (order != postorder && order != leaf)
        return;
    for (struct hub_device *device = *(struct hub_device *const *)node; device; device = device->next)
        walk->visit(walk->user, device);
}

void hub_registry_each(const struct hub_registry *registry, void (*visit)(void *user, struct hub_device *device), void *user)
{
    struct walk walk = {visit, user};
    twalk_r(registry->tree, walk_node, &walk);
}

static int check_name(const char *what, const char *name, size_t max_bytes, struct error *error)
{
    if (!name || !*name || strlen(name) > max_bytes)
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "%s is missing, or longer than %zu bytes", what, max_bytes);
    return 0;
}

/* "A-Z, a-z, 0-9 and - . + % _ # * ? ! ( ) , : = @ $ '" is the documentation's list; it fits no topic with '/', '+' or '#'. */
static int check_device_id(const char *device_id, struct error *error)
{
    if (check_name("deviceId", device_id, HUB_DEVICE_ID_MAX_BYTES, error))
        return -1;
    for (const char *at = device_id; *at; at++)
        if (!isalnum((unsigned char)*at) && !strchr("-.%_*?!(),:=@$'", *at))
            return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "deviceId '%.128s' has a character that is not allowed", device_id);
    return 0;
}

/* Of one that a person makes: a device could not even say another one in its user name. */
static int check_host(const char *hub, struct error *error)
{
    if (check_name("hub", hub, HUB_TEXT_MAX_BYTES, error))
        return -1;
    if (!dps_is_hub_name(hub))
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "hub '%.255s' is no host name, such as my-hub.azure-devices.net", hub);
    return 0;
}

/* Not in the tree yet. */
static struct hub_device *make(struct hub_registry *registry, const char *hub, const char *device_id, struct error *error)
{
    if (registry->count >= HUB_DEVICES_MAX) {
        error_set(error, ERROR_OWNER_RIG, ERROR_LIMIT, "the hubs hold %d devices already", HUB_DEVICES_MAX);
        return NULL;
    }
    CLEANUP_DEVICE struct hub_device *made = calloc(1, sizeof *made);
    if (!made) {
        error_set_memory(error);
        return NULL;
    }
    made->registry = registry;
    snprintf(made->device_id, sizeof made->device_id, "%s", device_id);
    snprintf(made->hub, sizeof made->hub, "%s", hub);
    return twin_init(&made->twin, NULL, error) ? NULL : TAKE(made);
}

static int add(struct hub_device *device, struct error *error)
{
    struct hub_device **at = tsearch(device, &device->registry->tree, compare);
    if (!at)
        return error_set_memory(error);
    if (*at != device) {
        while (*at && strcasecmp((*at)->hub, device->hub) < 0)
            at = &(*at)->next;
        device->next = *at;
        *at = device;
    }
    device->registry->count++;
    return 0;
}

/* The last one of its id takes the tree's node with it. */
static void take_out(struct hub_device *device)
{
    struct hub_device **at = find_slot(device->registry, device->device_id);
    if (*at == device && !device->next) {
        tdelete(device, &device->registry->tree, compare);
    } else {
        while (*at != device)
            at = &(*at)->next;
        *at = device->next;
    }
    device->registry->count--;
}

/* ---- JSON ---- */

static int add_pair(cJSON *object, const char *first_name, const char *first, const char *second_name, const char *second)
{
    return json_set_string(object, first_name, *first ? first : NULL) || json_set_string(object, second_name, *second ? second : NULL);
}

static cJSON *authentication_json(const struct hub_device *device)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (json_set_string(json, "type", hub_authentication_name(device->authentication)))
        return NULL;
    cJSON *x509 = cJSON_AddObjectToObject(json, "x509Thumbprint"), *keys = cJSON_AddObjectToObject(json, "symmetricKey");
    if (!x509 || !keys || add_pair(x509, "primaryThumbprint", device->thumbprints[0], "secondaryThumbprint", device->thumbprints[1]) ||
        add_pair(keys, "primaryKey", device->keys[0], "secondaryKey", device->keys[1]))
        return NULL;
    return TAKE(json);
}

cJSON *hub_device_to_json(const struct hub_device *device)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (json_set_string(json, "deviceId", device->device_id) || json_set_string(json, "hub", device->hub) ||
        json_set_string(json, "status", device->is_disabled ? "disabled" : "enabled") ||
        json_set(json, "authentication", authentication_json(device)) || json_set(json, "twin", twin_json(&device->twin)))
        return NULL;
    if (device->has_kept_subscription && json_set_integer(json, "keptSubscriptionQos", device->kept_qos))
        return NULL;
    return TAKE(json);
}

static int read_status(const cJSON *json, struct hub_device *device, struct error *error)
{
    const char *status = json_string(json, "status", device->is_disabled ? "disabled" : "enabled");
    bool is_disabled = strcmp(status, "disabled") == 0;
    if (!is_disabled && strcmp(status, "enabled") != 0)
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "status '%.64s' is neither enabled nor disabled", status);
    device->is_disabled = is_disabled;
    return 0;
}

/* Hex of SHA-1 or SHA-256; people paste it with colons and in lower case. */
static int read_thumbprint(const char *text, char ret_thumbprint[SHA256_HEX_BYTES], struct error *error)
{
    char hex[SHA256_HEX_BYTES];
    size_t length = 0;
    for (const char *at = text; *at; at++) {
        if (*at == ':' || *at == ' ')
            continue;
        if (!isxdigit((unsigned char)*at) || length + 1 >= sizeof hex)
            return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "a thumbprint is 40 or 64 hex digits, not '%.80s'", text);
        hex[length++] = (char)toupper((unsigned char)*at);
    }
    hex[length] = 0;
    if (length != 0 && length != SHA1_HEX_BYTES - 1 && length != SHA256_HEX_BYTES - 1)
        return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "a thumbprint is 40 or 64 hex digits, not '%.80s'", text);
    snprintf(ret_thumbprint, SHA256_HEX_BYTES, "%s", hex);
    return 0;
}

static int read_key(const char *text, char ret_key[SAS_KEY_TEXT_BYTES], struct error *error)
{
    CLEANUP_SAS_KEY struct sas_key key = {.length_bytes = 0};
    struct error why = ERROR_INIT;
    if (*text && sas_key_read(text, &key, &why))
        return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "a symmetric key %s", why.text);
    snprintf(ret_key, SAS_KEY_TEXT_BYTES, "%s", text);
    return 0;
}

static int read_authentication(const cJSON *json, struct hub_device *device, struct error *error)
{
    static const char *const thumbprint_paths[] = {"x509Thumbprint.primaryThumbprint", "x509Thumbprint.secondaryThumbprint"};
    static const char *const key_paths[] = {"symmetricKey.primaryKey", "symmetricKey.secondaryKey"};
    const char *type = json_string(json, "type", NULL);
    if (type && hub_authentication_read(type, &device->authentication, error))
        return -1;
    for (int i = 0; i < 2; i++) {
        const cJSON *thumbprint = json_path(json, thumbprint_paths[i]), *key = json_path(json, key_paths[i]);
        if ((cJSON_IsString(thumbprint) && read_thumbprint(thumbprint->valuestring, device->thumbprints[i], error)) ||
            (cJSON_IsString(key) && read_key(key->valuestring, device->keys[i], error)))
            return -1;
    }
    return 0;
}

/* What a person may change, and what is in the store. */
static int read_identity(const cJSON *json, struct hub_device *device, struct error *error)
{
    return read_status(json, device, error) || read_authentication(json_member(json, "authentication"), device, error) ? -1 : 0;
}

int hub_device_from_json(const cJSON *json, struct hub_device *device, struct error *error)
{
    const cJSON *twin_member = json_member(json, "twin");
    struct twin twin;
    if (read_identity(json, device, error))
        return -1;
    if (twin_member) {
        if (twin_read(twin_member, &twin, error))
            return -1;
        twin_done(&device->twin);
        device->twin = twin;
    }
    device->has_kept_subscription = json_member(json, "keptSubscriptionQos") != NULL;
    device->kept_qos = (int)json_integer(json, "keptSubscriptionQos", 0);
    return 0;
}

/* ---- what is kept ---- */

enum {
    DEVICE_KEY_BYTES = HUB_DEVICE_ID_MAX_BYTES + 1 + HUB_TEXT_MAX_BYTES + 1,
    MESSAGE_KEY_BYTES = DEVICE_KEY_BYTES + 24,
};

/* "{device id}/{hub in lower case}": no device id has a '/'. */
static void device_key(const struct hub_device *device, char key[DEVICE_KEY_BYTES])
{
    size_t length = (size_t)snprintf(key, DEVICE_KEY_BYTES, "%s/", device->device_id);
    for (const char *at = device->hub; *at; at++)
        key[length++] = (char)tolower((unsigned char)*at);
    key[length] = 0;
}

int hub_device_keep(struct hub_device *device, struct error *error)
{
    char key[DEVICE_KEY_BYTES];
    if (!device->registry->kept)
        return 0;
    CLEANUP_JSON cJSON *json = hub_device_to_json(device);
    if (!json)
        return error_set_memory(error);
    device_key(device, key);
    return store_put(device->registry->kept, STORE_DEVICE, key, json, error);
}

static int load_device(void *user, const char *id, const cJSON *json, struct error *error)
{
    (void)id;
    const char *device_id = json_string(json, "deviceId", NULL), *hub = json_string(json, "hub", NULL);
    if (check_name("deviceId", device_id, HUB_DEVICE_ID_MAX_BYTES, error) || check_name("hub", hub, HUB_TEXT_MAX_BYTES, error))
        return -1;
    CLEANUP_DEVICE struct hub_device *device = make(user, hub, device_id, error);
    if (!device || hub_device_from_json(json, device, error) || add(device, error))
        return -1;
    (void)TAKE(device);
    return 0;
}

/* Sorted by id, which begins with the device's and ends with the number: each queue gets its order back. One that nobody can have any more is left out. */
static int load_message(void *user, const char *id, const cJSON *json, struct error *error)
{
    (void)id;
    struct hub_registry *registry = user;
    struct c2d_message *message = NULL;
    struct hub_device *device = hub_registry_find(registry, json_string(json, "hub", ""), json_string(json, "deviceId", ""));
    if (!device)
        return 0;
    if (c2d_message_read(json, &message, error))
        return -1;
    if (message->number >= registry->message_count)
        registry->message_count = message->number + 1;
    if (c2d_queue_add(&device->messages, message, NULL))
        c2d_message_free(message);
    return 0;
}

int hub_registry_load(struct hub_registry *registry, struct store *kept, struct error *error)
{
    if (store_each(kept, STORE_DEVICE, load_device, registry, error) || store_each(kept, STORE_MESSAGE, load_message, registry, error))
        return -1;
    registry->kept = kept;
    return 0;
}

/* ---- changes ---- */

static void copy_key(char to[SAS_KEY_TEXT_BYTES], const char *from)
{
    snprintf(to, SAS_KEY_TEXT_BYTES, "%s", from ? from : "");
}

static void apply(struct hub_device *device, const struct hub_assignment *assignment)
{
    device->authentication = assignment->authentication;
    snprintf(device->thumbprints[0], SHA256_HEX_BYTES, "%s", assignment->thumbprint ? assignment->thumbprint : "");
    device->thumbprints[1][0] = 0;
    copy_key(device->keys[0], assignment->keys[0]);
    copy_key(device->keys[1], assignment->keys[1]);
}

static void purge(struct hub_device *device)
{
    while (device->messages.first)
        hub_device_end_message(device, device->messages.first, C2D_PURGED);
}

/* The identity that the device leaves behind at another hub. NULL: none. */
static struct hub_device *find_left(const struct hub_registry *registry, const struct hub_assignment *assignment)
{
    const char *hub = assignment->hub_before;
    if (!hub || !*hub || strcasecmp(hub, assignment->hub) == 0)
        return NULL;
    return hub_registry_find(registry, hub, assignment->device_id_before ? assignment->device_id_before : assignment->device_id);
}

static int copy_twin(const struct twin *from, struct twin *ret_twin, struct error *error)
{
    CLEANUP_JSON cJSON *json = twin_json(from);
    return json ? twin_read(json, ret_twin, error) : error_set_memory(error);
}

/* As it is to be: `left` is where the device comes from, `present` what its hub has already. ret_twin is untouched when the present one's stays. */
static int plan_twin(const struct hub_assignment *assignment, const struct hub_device *left, const struct hub_device *present,
                     struct twin *ret_twin, struct error *error)
{
    if (assignment->twin == HUB_TWIN_RESET || (!left && !present))
        return twin_init(ret_twin, assignment->initial_twin, error);
    return left ? copy_twin(&left->twin, ret_twin, error) : 0;
}

static int replace(struct hub_device *device, const struct hub_assignment *assignment, struct twin *twin, struct error *error)
{
    if (twin->parts[TWIN_TAGS]) {
        twin_done(&device->twin);
        device->twin = *twin;
        *twin = (struct twin){.version = 0};
    }
    if (assignment->twin == HUB_TWIN_RESET)
        purge(device);
    apply(device, assignment);
    return hub_device_keep(device, error);
}

int hub_registry_assign(struct hub_registry *registry, const struct hub_assignment *assignment, struct error *error)
{
    CLEANUP(twin_done) struct twin twin = {.version = 0};
    if (check_device_id(assignment->device_id, error) || check_name("hub", assignment->hub, HUB_TEXT_MAX_BYTES, error))
        return -1;
    struct hub_device *left = find_left(registry, assignment);
    struct hub_device *present = hub_registry_find(registry, assignment->hub, assignment->device_id);
    CLEANUP_DEVICE struct hub_device *made = present ? NULL : make(registry, assignment->hub, assignment->device_id, error);
    if ((!present && !made) || plan_twin(assignment, left, present, &twin, error) ||
        replace(present ? present : made, assignment, &twin, error) || (made && add(made, error)))
        return -1;
    (void)TAKE(made);
    return left ? hub_registry_delete(registry, left, error) : 0;
}

static int make_keys(struct hub_device *device, struct error *error)
{
    CLEANUP_SAS_KEY struct sas_key key = {.length_bytes = 0};
    for (int i = 0; i < 2; i++) {
        if (device->keys[i][0])
            continue;
        if (sas_key_make(&key, error))
            return -1;
        sas_key_format(&key, device->keys[i]);
    }
    return 0;
}

int hub_registry_create(struct hub_registry *registry, const cJSON *json, struct hub_device **ret_device, struct error *error)
{
    const char *device_id = json_string(json, "deviceId", NULL), *hub = json_string(json, "hub", NULL);
    if (check_device_id(device_id, error) || check_host(hub, error))
        return -1;
    if (hub_registry_find(registry, hub, device_id))
        return error_set(error, ERROR_OWNER_FILE, ERROR_EXISTS, "hub '%s' has device '%s' already (IoT Hub: 409001 DeviceAlreadyExists)",
                         hub, device_id);
    CLEANUP_DEVICE struct hub_device *device = make(registry, hub, device_id, error);
    if (!device)
        return -1;
    device->authentication = HUB_BY_SAS;
    if (read_identity(json, device, error) || (device->authentication == HUB_BY_SAS && make_keys(device, error)) ||
        hub_device_keep(device, error) || add(device, error))
        return -1;
    *ret_device = TAKE(device);
    return 0;
}

int hub_device_update(struct hub_device *device, const cJSON *json, struct error *error)
{
    struct hub_device changed = *device;
    if (read_identity(json, &changed, error) || (changed.authentication == HUB_BY_SAS && make_keys(&changed, error)))
        return -1;
    *device = changed;
    return hub_device_keep(device, error);
}

int hub_registry_delete(struct hub_registry *registry, struct hub_device *device, struct error *error)
{
    char key[DEVICE_KEY_BYTES];
    device_key(device, key);
    if (store_delete(registry->kept, STORE_DEVICE, key, error))
        return -1;
    if (registry->leaving)
        registry->leaving(registry->leaving_user, device);
    purge(device);
    take_out(device);
    device_free(device);
    return 0;
}

int hub_device_twin_patch(struct hub_device *device, enum twin_part part, const cJSON *patch, struct error *error)
{
    struct twin *twin = &device->twin, before = *twin;
    CLEANUP_JSON cJSON *copy = cJSON_Duplicate(twin->parts[part], true);
    if (!copy)
        return error_set_memory(error);
    if (twin_patch(twin, part, patch, error))
        return -1;
    if (hub_device_keep(device, error) == 0)
        return 0;
    cJSON_Delete(twin->parts[part]);
    *twin = before;
    twin->parts[part] = TAKE(copy);
    return -1;
}

/* ---- messages ---- */

static void message_key(const struct hub_device *device, const struct c2d_message *message, char key[MESSAGE_KEY_BYTES])
{
    char owner[DEVICE_KEY_BYTES];
    device_key(device, owner);
    snprintf(key, MESSAGE_KEY_BYTES, "%s/%020llu", owner, (unsigned long long)message->number);
}

static int keep_message(const struct hub_device *device, const struct c2d_message *message, struct error *error)
{
    char key[MESSAGE_KEY_BYTES];
    if (!device->registry->kept)
        return 0;
    CLEANUP_JSON cJSON *json = c2d_message_json(message);
    if (!json || json_set_string(json, "deviceId", device->device_id) || json_set_string(json, "hub", device->hub))
        return error_set_memory(error);
    message_key(device, message, key);
    return store_put(device->registry->kept, STORE_MESSAGE, key, json, error);
}

DEFINE_CLEANUP(struct c2d_message *, c2d_message_free)

int hub_device_enqueue(struct hub_device *device, const cJSON *params, int64_t now_unix_s, struct c2d_message **ret_message,
                       struct error *error)
{
    CLEANUP(c2d_message_free_cleanup) struct c2d_message *message = NULL;
    uint64_t number = device->registry->message_count;
    if (c2d_message_new(params, device->device_id, number, now_unix_s, &message, error) || keep_message(device, message, error))
        return -1;
    if (c2d_queue_add(&device->messages, message, error)) {
        char key[MESSAGE_KEY_BYTES];
        message_key(device, message, key);
        store_delete(device->registry->kept, STORE_MESSAGE, key, NULL);
        return -1;
    }
    device->registry->message_count++;
    *ret_message = TAKE(message);
    return 0;
}

void hub_device_count_delivery(struct hub_device *device, struct c2d_message *message)
{
    message->deliveries++;
    keep_message(device, message, NULL);
}

void hub_device_end_message(struct hub_device *device, struct c2d_message *message, enum c2d_outcome outcome)
{
    char key[MESSAGE_KEY_BYTES];
    message_key(device, message, key);
    store_delete(device->registry->kept, STORE_MESSAGE, key, NULL);
    c2d_queue_end(&device->messages, message, outcome);
}
