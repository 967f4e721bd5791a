#include "harness/rig/rig.h"

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/files.h"
#include "harness/rig/placeholder.h"
#include "harness/rig/rig_read.h"
#include "harness/serial/network_address.h"

#include <string.h>

enum { CANDIDATES_MAX_BYTES = 700 };

DEFINE_CLEANUP(struct yaml *, yaml_free)

static const char builtin_text[] = "format: 1\n"
                                   "devices:\n"
                                   "  - id: virtual-dk\n"
                                   "    platform: nrf9160dk/nrf9160/ns\n"
                                   "    product: virtual DK\n"
                                   "    registration_id: nrf-352656100000001\n"
                                   "    id_scope: 0ne000AAAA1\n"
                                   "    sec_tag: 56\n"
                                   "    virtual: {personality: nordic-sample}\n"
                                   "simulator: {start: local}\n";

const char *rig_builtin_text(void)
{
    return builtin_text;
}

/* ---- reading ---- */

int rig_read_optional(struct yaml_node map, const char *key, const char *fallback, char **ret_text, struct error *error)
{
    struct yaml_node node = yaml_get(map, key);
    const char *text = fallback;
    if (!yaml_is_null(node) && yaml_read_string(node, &text, error))
        return -1;
    if (text && !(*ret_text = strdup(text)))
        return error_set_memory(error);
    return 0;
}

static int require_text(struct yaml_node map, const char *key, char **ret_text, struct error *error)
{
    struct yaml_node node;
    return yaml_require(map, key, &node, error) || rig_read_optional(map, key, NULL, ret_text, error) ? -1 : 0;
}

int rig_read_words(struct yaml_node list, size_t max, char **items, size_t *ret_count, struct error *error)
{
    if (yaml_is_null(list))
        return 0;
    if (!yaml_is_list(list) || yaml_count(list) > max)
        return yaml_fail(list, error, "a list of at most %zu texts is expected here", max);
    for (size_t i = 0; i < yaml_count(list); i++) {
        const char *text;
        if (yaml_read_string(yaml_item_at(list, i), &text, error))
            return -1;
        if (!(items[i] = strdup(text)))
            return error_set_memory(error);
        *ret_count = i + 1;
    }
    return 0;
}

static int read_bool(struct yaml_node map, const char *key, bool *value, struct error *error)
{
    struct yaml_node node = yaml_get(map, key);
    return yaml_is_null(node) ? 0 : yaml_read_bool(node, value, error);
}

static int read_virtual(struct rig_device *device, struct yaml_node map, struct error *error)
{
    static const char *const keys[] = {"personality", "mfw", "weaknesses", "misbehaviours", "hardware_profile", NULL};
    if (!yaml_is_there(map))
        return 0;
    device->is_virtual = true;
    if (yaml_check_keys(map, "virtual", keys, error) ||
        rig_read_optional(map, "personality", "nordic-sample", &device->personality, error) ||
        rig_read_optional(map, "mfw", NULL, &device->mfw, error) ||
        rig_read_optional(map, "hardware_profile", NULL, &device->hardware_profile, error))
        return -1;
    if (rig_read_words(yaml_get(map, "weaknesses"), RIG_WORDS_MAX, device->weaknesses.items, &device->weaknesses.count, error))
        return -1;
    return rig_read_words(yaml_get(map, "misbehaviours"), RIG_WORDS_MAX, device->misbehaviours.items, &device->misbehaviours.count, error);
}

/* A path is looked at when it is opened; an address is wrong or right by its form. */
int rig_read_port_name(struct yaml_node map, const char *key, char **ret_name, struct error *error)
{
    struct network_address address;
    struct error why = ERROR_INIT;
    char *name = NULL;
    if (rig_read_optional(map, key, NULL, &name, error))
        return -1;
    if (name && network_address_is(name) && network_address_read(name, &address, &why)) {
        free(name);
        return yaml_fail(yaml_get(map, key), error, "%s", why.text);
    }
    *ret_name = name;
    return 0;
}

static int read_transport(struct rig_device *device, struct yaml_node map, struct error *error)
{
    static const char *const names[] = {
#define X(id, name) name,
        RIG_TRANSPORTS(X)
#undef X
    };
    struct yaml_node limit = yaml_get(map, "command_limit");
    CLEANUP_FREE char *name = NULL;
    if (rig_read_optional(map, "transport", names[RIG_TRANSPORT_AUTO], &name, error) ||
        (!yaml_is_null(limit) && yaml_read_integer(limit, 64, 4095, &device->command_limit, error)))
        return -1;
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (name && strcmp(name, names[i]) == 0) {
            device->transport = (enum rig_transport)i;
            return 0;
        }
    return yaml_fail(yaml_get(map, "transport"), error, "transport '%.40s': auto, at-host or at-shell", name);
}

static int read_pacing(struct rig_device *device, struct yaml_node map, struct error *error)
{
    static const char *const keys[] = {"bytes", "gap_ms", NULL};
    struct yaml_node bytes, gap;
    if (!yaml_is_there(map))
        return 0;
    if (yaml_check_keys(map, "pacing", keys, error) || yaml_require(map, "bytes", &bytes, error) ||
        yaml_require(map, "gap_ms", &gap, error))
        return -1;
    return yaml_read_integer(bytes, 1, 4096, &device->pacing_bytes, error) || yaml_read_integer(gap, 1, 1000, &device->pacing_gap_ms, error)
               ? -1
               : 0;
}

static int read_port(struct rig_device *device, struct yaml_node map, struct error *error)
{
    struct yaml_node baud = yaml_get(map, "baud"), serial = yaml_get(map, "serial");
    if (device->is_virtual && !yaml_is_null(serial))
        return yaml_fail(serial, error, "a virtual device brings its own port: leave `serial` out");
    if (device->is_virtual && !yaml_is_null(yaml_get(map, "console")))
        return yaml_fail(yaml_get(map, "console"), error, "a virtual device brings its own ports: leave `console` out");
    if (!device->is_virtual && !device->is_exec && device->is_connected && yaml_is_null(serial))
        return yaml_fail(map, error, "a connected device needs `serial` (its port), or `virtual`, or `kind: exec`");
    device->baud = 115200;
    if (!yaml_is_null(baud) && yaml_read_integer(baud, 300, 4000000, &device->baud, error))
        return -1;
    if (rig_read_port_name(map, "console", &device->console, error) || read_transport(device, map, error) ||
        read_pacing(device, yaml_get(map, "pacing"), error))
        return -1;
    return rig_read_port_name(map, "serial", &device->serial, error) || read_bool(map, "flow_control", &device->has_flow_control, error)
               ? -1
               : 0;
}

int rig_set_imei(struct rig_device *device, struct yaml_node node, const char *text, struct error *error)
{
    if (!text || strlen(text) != RIG_IMEI_DIGITS || strspn(text, "0123456789") != RIG_IMEI_DIGITS)
        return yaml_fail(node, error, "an IMEI has %d digits: AT+CGSN tells it", RIG_IMEI_DIGITS);
    device->imei = strdup(text);
    return device->imei ? 0 : error_set_memory(error);
}

static int read_imei(struct rig_device *device, struct yaml_node node, struct error *error)
{
    return yaml_is_null(node) ? 0 : rig_set_imei(device, node, yaml_text(node), error);
}

static int read_sec_tag(struct rig_device *device, struct yaml_node map, struct error *error)
{
    int64_t sec_tag = 0;
    struct yaml_node node;
    if (yaml_require(map, "sec_tag", &node, error) || yaml_read_integer(node, 0, 2147483647, &sec_tag, error))
        return -1;
    device->sec_tag = (uint32_t)sec_tag;
    device->has_sec_tag = true;
    return 0;
}

static int read_identity(struct rig_device *device, struct yaml_node map, struct error *error)
{
    if (require_text(map, "registration_id", &device->registration_id, error) || require_text(map, "id_scope", &device->id_scope, error) ||
        rig_read_optional(map, "dps_host", RIG_DPS_HOST_DEFAULT, &device->dps_host, error) ||
        (!device->is_exec && read_sec_tag(device, map, error)))
        return -1;
    return rig_read_optional(map, "dialect", device->is_exec ? NULL : RIG_DIALECT_DEFAULT, &device->dialect, error) ||
                   read_imei(device, yaml_get(map, "imei"), error)
               ? -1
               : 0;
}

static int read_description(struct rig_device *device, struct yaml_node map, struct error *error)
{
    return require_text(map, "id", &device->id, error) || rig_read_optional(map, "platform", NULL, &device->platform, error) ||
                   rig_read_optional(map, "product", NULL, &device->product, error) ||
                   rig_read_optional(map, "runner", NULL, &device->runner, error) ||
                   rig_read_optional(map, "notes", NULL, &device->notes, error) ||
                   read_bool(map, "connected", &device->is_connected, error) ||
                   rig_read_words(yaml_get(map, "fixtures"), RIG_WORDS_MAX, device->fixtures.items, &device->fixtures.count, error)
               ? -1
               : 0;
}

static int read_device(struct rig *rig, struct yaml_node map, struct error *error)
{
    static const char *const keys[] = {"id",       "platform", "product",  "runner",  "connected",       "serial",
                                       "baud",     "notes",    "fixtures", "hooks",   "registration_id", "id_scope",
                                       "dps_host", "sec_tag",  "dialect",  "virtual", "flow_control",    "imei",
                                       "kind",     "command",  "client",   "console", "transport",       "command_limit",
                                       "pacing",   NULL};
    struct rig_device *device = &rig->devices[rig->device_count];
    *device = (struct rig_device){.is_connected = true};
    rig->device_count++;
    if (yaml_check_keys(map, "a device", keys, error) || read_description(device, map, error) || rig_read_exec(device, map, error) ||
        read_virtual(device, yaml_get(map, "virtual"), error) || read_port(device, map, error) || read_identity(device, map, error) ||
        rig_read_hooks(device, yaml_get(map, "hooks"), error))
        return -1;
    for (size_t i = 0; i + 1 < rig->device_count; i++)
        if (strcmp(rig->devices[i].id, device->id) == 0)
            return yaml_fail(yaml_get(map, "id"), error, "a device '%s' stands already at %s", device->id, rig->devices[i].place);
    return asprintf(&device->place, "%s:%d:%d", yaml_name(map.yaml), map.line, map.column) < 0 ? error_set_memory(error) : 0;
}

static int read_devices(struct rig *rig, struct yaml_node list, struct error *error)
{
    if (!yaml_is_list(list) || yaml_count(list) == 0 || yaml_count(list) > RIG_DEVICES_MAX)
        return yaml_fail(list, error, "devices must be a list of 1 to %d devices", RIG_DEVICES_MAX);
    for (size_t i = 0; i < yaml_count(list); i++)
        if (read_device(rig, yaml_item_at(list, i), error))
            return -1;
    return rig_connected_count(rig) ? 0 : yaml_fail(list, error, "no device is connected");
}

/* Two devices do not go together. In a rig file the key has a place; the boards of a hardware map have theirs. */
static int fail_pair(struct yaml_node devices, size_t index, const char *key, const struct rig_device *device, const char *text,
                     struct error *error)
{
    if (yaml_is_there(devices))
        return yaml_fail(yaml_get(yaml_item_at(devices, index), key), error, "%s", text);
    return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "%s: %s", device->place, text);
}

/* A simulator has one id scope: devices with another would be refused for a reason that no case means. */
static int check_one_scope(const struct rig *rig, struct yaml_node devices, struct error *error)
{
    const char *scope = NULL;
    for (size_t i = 0; i < rig->device_count; i++) {
        const struct rig_device *device = &rig->devices[i];
        char text[ERROR_TEXT_MAX_BYTES];
        if (!device->is_connected)
            continue;
        snprintf(text, sizeof text, "devices of one rig share one id scope: '%s' here, '%s' before", device->id_scope, scope ? scope : "");
        if (scope && strcmp(scope, device->id_scope) != 0)
            return fail_pair(devices, i, "id_scope", device, text, error);
        scope = device->id_scope;
    }
    return 0;
}

/* Two devices with one registration ID are one device for the service, which knows no upper and lower case there. */
static bool is_same_registration(const struct rig_device *a, const struct rig_device *b)
{
    return a->is_connected && b->is_connected && strcasecmp(a->registration_id, b->registration_id) == 0;
}

static int check_own_ids(const struct rig *rig, struct yaml_node devices, struct error *error)
{
    for (size_t i = 0; i < rig->device_count; i++)
        for (size_t j = 0; j < i; j++) {
            const struct rig_device *first = &rig->devices[j];
            char text[ERROR_TEXT_MAX_BYTES];
            if (!is_same_registration(&rig->devices[i], first))
                continue;
            snprintf(text, sizeof text, "each connected device needs a registration id of its own: device '%s' at %s has '%s' too",
                     first->id, first->place, first->registration_id);
            return fail_pair(devices, i, "registration_id", &rig->devices[i], text, error);
        }
    return 0;
}

static bool is_same_port(const struct rig_device *a, const struct rig_device *b)
{
    return a->is_connected && b->is_connected && a->serial && b->serial && strcmp(a->serial, b->serial) == 0;
}

static int check_own_ports(const struct rig *rig, struct yaml_node devices, struct error *error)
{
    for (size_t i = 0; i < rig->device_count; i++)
        for (size_t j = 0; j < i; j++) {
            const struct rig_device *first = &rig->devices[j];
            char text[ERROR_TEXT_MAX_BYTES];
            if (!is_same_port(&rig->devices[i], first))
                continue;
            snprintf(text, sizeof text, "each connected device needs a port of its own: device '%s' at %s has '%s' too", first->id,
                     first->place, first->serial);
            return fail_pair(devices, i, "serial", &rig->devices[i], text, error);
        }
    return 0;
}

static int read_lane(struct rig *rig, struct yaml_node node, struct error *error)
{
    static const char *const words[] = {"auto", "listener", "host", "exclusive", NULL};
    size_t word = RIG_LANE_AUTO;
    if (!yaml_is_null(node) && yaml_read_word(node, "a kind of lane", words, &word, error))
        return -1;
    rig->lane = (enum rig_lane)word;
    return 0;
}

static int read_simulator(struct rig *rig, struct yaml_node map, struct error *error)
{
    static const char *const keys[] = {"start", "listen", "ready", "lane", NULL};
    static const char *const starts[] = {"local", NULL};
    size_t word;
    if (rig_read_optional(map, "listen", "127.0.0.1:0", &rig->simulator_listen, error))
        return -1;
    if (yaml_is_null(map))
        return 0;
    if (yaml_check_keys(map, "simulator", keys, error) || read_lane(rig, yaml_get(map, "lane"), error))
        return -1;
    struct yaml_node start = yaml_get(map, "start"), ready = yaml_get(map, "ready");
    if (!yaml_is_null(start) && !yaml_is_null(ready))
        return yaml_fail(ready, error, "either `start: local` or `ready: FOLDER`, not both");
    if (!yaml_is_null(start) && yaml_read_word(start, "a way to start a simulator", starts, &word, error))
        return -1;
    if (!yaml_is_null(ready) && !yaml_is_null(yaml_get(map, "listen")))
        return yaml_fail(yaml_get(map, "listen"), error, "`listen` is for a simulator that dpsbench starts; this one runs already");
    return rig_read_optional(map, "ready", NULL, &rig->simulator_ready, error);
}

static int read_rig(struct rig *rig, struct yaml_node root, struct error *error)
{
    static const char *const keys[] = {"format", "devices", "simulator", "health", NULL};
    struct yaml_node devices;
    return yaml_check_format(root, "rig files", RIG_FORMAT, error) || yaml_check_keys(root, "a rig file", keys, error) ||
                   yaml_require(root, "devices", &devices, error) || read_devices(rig, devices, error) ||
                   check_one_scope(rig, devices, error) || check_own_ids(rig, devices, error) || check_own_ports(rig, devices, error) ||
                   read_simulator(rig, yaml_get(root, "simulator"), error) || rig_read_optional(root, "health", NULL, &rig->health, error)
               ? -1
               : 0;
}

static int read_map(struct rig *rig, struct yaml_node root, bool needs_identity, struct error *error)
{
    struct yaml_node nothing = {.yaml = root.yaml};
    return hardware_map_read(rig, root, needs_identity, error) ||
                   (needs_identity &&
                    (check_one_scope(rig, nothing, error) || check_own_ids(rig, nothing, error) || check_own_ports(rig, nothing, error))) ||
                   read_simulator(rig, nothing, error)
               ? -1
               : 0;
}

enum form { FORM_RIG_OR_MAP, FORM_MAP };

static int read_form(const char *text, size_t length_bytes, const char *name, enum form form, struct rig *ret_rig, struct error *error)
{
    CLEANUP(yaml_free_cleanup) struct yaml *yaml = yaml_read_text(text, length_bytes, name, error);
    CLEANUP(rig_done) struct rig rig = {0};
    if (!yaml)
        return -1;
    struct yaml_node root = yaml_root(yaml);
    if (form == FORM_MAP && !yaml_is_list(root))
        return yaml_fail(root, error, "a hardware map is a list of boards");
    if (yaml_is_list(root) ? read_map(&rig, root, form == FORM_RIG_OR_MAP, error) : read_rig(&rig, root, error))
        return -1;
    if (!(rig.file = strdup(name)))
        return error_set_memory(error);
    *ret_rig = rig;
    rig = (struct rig){0};
    return 0;
}

int rig_read_text(const char *text, size_t length_bytes, const char *name, struct rig *ret_rig, struct error *error)
{
    return read_form(text, length_bytes, name, FORM_RIG_OR_MAP, ret_rig, error);
}

int rig_read_map_text(const char *text, size_t length_bytes, const char *name, struct rig *ret_rig, struct error *error)
{
    return read_form(text, length_bytes, name, FORM_MAP, ret_rig, error);
}

static int read_form_file(const char *path, enum form form, struct rig *ret_rig, struct error *error)
{
    CLEANUP(bytes_done) struct bytes text = {0};
    if (file_read(path, YAML_FILE_MAX_BYTES, &text, error))
        return -1;
    return read_form(bytes_text(&text), text.length_bytes, path, form, ret_rig, error);
}

int rig_read_file(const char *path, struct rig *ret_rig, struct error *error)
{
    return read_form_file(path, FORM_RIG_OR_MAP, ret_rig, error);
}

int rig_read_map(const char *path, struct rig *ret_rig, struct error *error)
{
    return read_form_file(path, FORM_MAP, ret_rig, error);
}

int rig_builtin(struct rig *ret_rig, struct error *error)
{
    struct rig rig;
    if (rig_read_text(builtin_text, strlen(builtin_text), "(built-in rig)", &rig, error))
        return -1;
    free(TAKE(rig.file));
    *ret_rig = rig;
    return 0;
}

static void free_words(char **items)
{
    for (char **item = items; *item; item++)
        free(*item);
}

static void free_device(struct rig_device *device)
{
    char *texts[] = {device->id,       device->platform, device->product,         device->runner, device->notes,
                     device->serial,   device->console,  device->registration_id, device->imei,   device->id_scope,
                     device->dps_host, device->dialect,  device->personality,     device->mfw,    device->hardware_profile,
                     device->place,    device->client};
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++)
        free(texts[i]);
    free_words(device->fixtures.items);
    free_words(device->weaknesses.items);
    free_words(device->misbehaviours.items);
    free_words(device->command);
    for (int i = 0; i < RIG_HOOK_COUNT; i++) {
        free_words(device->hooks[i].argv);
        free(device->hooks[i].input);
        free(device->hooks[i].serial_number);
    }
}

void rig_drop_last_device(struct rig *rig)
{
    free_device(&rig->devices[--rig->device_count]);
}

void rig_done(struct rig *rig)
{
    if (!rig)
        return;
    for (size_t i = 0; i < rig->device_count; i++)
        free_device(&rig->devices[i]);
    free(rig->file);
    free(rig->simulator_ready);
    free(rig->health);
    free(rig->simulator_listen);
    *rig = (struct rig){0};
}

/* ---- asking ---- */

size_t rig_connected_count(const struct rig *rig)
{
    size_t count = 0;
    for (size_t i = 0; i < rig->device_count; i++)
        count += rig->devices[i].is_connected;
    return count;
}

static bool is_of_every_device(const struct rig *rig, bool (*is_so)(const struct rig_device *device))
{
    for (size_t i = 0; i < rig->device_count; i++)
        if (rig->devices[i].is_connected && !is_so(&rig->devices[i]))
            return false;
    return true;
}

static bool takes_time_scale(const struct rig_device *device)
{
    for (size_t i = 0; device->is_exec && device->command[i]; i++)
        if (placeholder_stands_in(device->command[i], PLACEHOLDER_TIME_SCALE))
            return true;
    return device->is_virtual;
}

bool rig_takes_time_scale(const struct rig *rig)
{
    return is_of_every_device(rig, takes_time_scale);
}

/* Of what is a program of this host we need no hook for it. */
static bool has_by_itself(const struct rig_device *device, const char *capability)
{
    if (strcmp(capability, "reset") == 0 || strcmp(capability, "chip-erase") == 0)
        return device->is_virtual || device->is_exec;
    if (strcmp(capability, RIG_NEED_CONSOLE) == 0)
        return device->dialect != NULL;
    return strcmp(capability, "power") == 0 && device->is_exec;
}

static bool is_on_this_host(const struct rig_device *device)
{
    return device->is_virtual || device->is_exec;
}

static bool offers(const struct rig_device *device, const char *capability)
{
    for (size_t i = 0; i < device->fixtures.count; i++)
        if (strcmp(device->fixtures.items[i], capability) == 0)
            return true;
    return has_by_itself(device, capability) || rig_device_has_hooks_of(device, capability);
}

bool rig_device_offers(const struct rig_device *device, const char *capability)
{
    if (strcmp(capability, "start") == 0)
        return offers(device, "reset") || offers(device, "chip-erase");
    return offers(device, capability);
}

bool rig_is_on_this_host(const struct rig *rig)
{
    return is_of_every_device(rig, is_on_this_host);
}

const char *rig_lane_name(const struct rig *rig)
{
    static const char *const names[] = {"auto", "listener", "host", "exclusive"};
    if (rig->lane != RIG_LANE_AUTO)
        return names[rig->lane];
    return rig_is_on_this_host(rig) ? "listener" : "exclusive";
}

/* ---- which device ---- */

static bool is_named(const struct rig_device *device, const char *word)
{
    return strcmp(device->id, word) == 0 || strcmp(device->id + strspn(device->id, "0"), word) == 0 ||
           (device->serial && strcmp(device->serial, word) == 0) || (device->imei && strcmp(device->imei, word) == 0) ||
           strcmp(device->registration_id, word) == 0;
}

static bool is_described(const struct rig_device *device, const char *word)
{
    size_t board = device->platform ? strcspn(device->platform, "/") : 0;
    return (device->platform && strcmp(device->platform, word) == 0) ||
           (board && strlen(word) == board && strncmp(device->platform, word, board) == 0) ||
           (device->product && strcmp(device->product, word) == 0);
}

static size_t count_fitting(const struct rig *rig, const char *word, bool (*fits)(const struct rig_device *, const char *),
                            const struct rig_device **ret_device)
{
    size_t count = 0;
    for (size_t i = 0; i < rig->device_count; i++)
        if (rig->devices[i].is_connected && fits(&rig->devices[i], word)) {
            *ret_device = &rig->devices[i];
            count++;
        }
    return count;
}

static bool is_any(const struct rig_device *device, const char *word)
{
    (void)device, (void)word;
    return true;
}

static void list_devices(const struct rig *rig, const char *word, bool (*fits)(const struct rig_device *, const char *), struct bytes *text)
{
    for (size_t i = 0; i < rig->device_count; i++) {
        const struct rig_device *device = &rig->devices[i];
        if (device->is_connected && fits(device, word))
            bytes_printf(text, "%s%s (%s)", text->length_bytes ? ", " : "", device->id, device->serial ? device->serial : device->place);
    }
}

static const char *nearest_id(const struct rig *rig, const char *word)
{
    const char *names[RIG_DEVICES_MAX + 1] = {NULL};
    size_t count = 0;
    for (size_t i = 0; i < rig->device_count; i++)
        if (rig->devices[i].is_connected)
            names[count++] = rig->devices[i].id;
    return text_nearest(word, names);
}

int rig_find_device(const struct rig *rig, const char *word, const struct rig_device **ret_device, struct error *error)
{
    CLEANUP(bytes_done) struct bytes text = {.max_bytes = CANDIDATES_MAX_BYTES};
    const struct rig_device *device = NULL;
    if (count_fitting(rig, word, is_named, &device) == 1) {
        *ret_device = device;
        return 0;
    }
    size_t count = count_fitting(rig, word, is_described, &device);
    if (count == 1) {
        *ret_device = device;
        return 0;
    }
    list_devices(rig, word, count ? is_described : is_any, &text);
    if (count)
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "'%s' fits %zu devices of the rig: %s; name one by its id", word, count,
                         bytes_text(&text));
    const char *near = nearest_id(rig, word);
    return error_set(error, ERROR_OWNER_FILE, ERROR_NOT_FOUND, "the rig has no connected device '%s'%s%s%s; there are: %s", word,
                     near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "", bytes_text(&text));
}
