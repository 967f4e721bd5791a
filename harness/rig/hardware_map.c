/*
 * Zephyr Twister's hardware map (scripts/schemas/twister/hwmap-schema.yaml), read as it is: a list of boards, of which those with an nRF91 are ours.
 * PyYAML reads these files elsewhere, so its words for true and false hold, and an id of digits alone is a text. Keys that we have no use for are left
 * alone.
 */
#include "base/cleanup.h"
#include "harness/rig/rig_read.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What a map cannot say stands in `fixtures`, whose entries are NAME:CONFIG there: Twister's own schema allows no keys of others. */
static const char fixture_mark[] = "dpsbench_";

static int read_word(struct yaml_node map, const char *key, char **ret_text, struct error *error)
{
    return rig_read_optional(map, key, NULL, ret_text, error);
}

static int read_flag(struct yaml_node map, const char *key, bool *value, struct error *error)
{
    static const char *const words[] = {"false", "no", "off", "true", "yes", "on"};
    struct yaml_node node = yaml_get(map, key);
    const char *text = yaml_text(node);
    if (yaml_is_null(node))
        return 0;
    for (size_t i = 0; text && i < ARRAY_COUNT(words); i++)
        if (strcasecmp(text, words[i]) == 0) {
            *value = i >= ARRAY_COUNT(words) / 2;
            return 0;
        }
    return yaml_fail(node, error, "true or false is expected here");
}

/* One platform, or a list: the same board under several names. The first with an nRF91 counts. */
static const char *platform_of(struct yaml_node node)
{
    const char *first = yaml_text(node);
    for (size_t i = 0; yaml_is_list(node) && i < yaml_count(node); i++) {
        const char *text = yaml_text(yaml_item_at(node, i));
        if (text && (strcasestr(text, "nrf91") || strcasestr(text, "thingy91")))
            return text;
        first = first ? first : text;
    }
    return first;
}

static bool is_nrf91(const char *platform)
{
    return platform && (strcasestr(platform, "nrf91") || strcasestr(platform, "thingy91"));
}

/* ---- hooks ---- */

static int append_word(struct rig_command *command, const char *word, struct error *error)
{
    size_t count = 0;
    while (count < RIG_ARGUMENTS_MAX && command->argv[count])
        count++;
    if (count == RIG_ARGUMENTS_MAX)
        return error_set(error, ERROR_OWNER_FILE, ERROR_LIMIT, "more than %d arguments", RIG_ARGUMENTS_MAX);
    command->argv[count] = strdup(word);
    return command->argv[count] ? 0 : error_set_memory(error);
}

static int read_script(struct yaml_node map, const char *key, enum rig_hook hook, struct rig_device *device, struct error *error)
{
    struct rig_command *command = &device->hooks[hook];
    struct yaml_node script = yaml_get(map, key), parameters = yaml_get(map, "script_param");
    char name[48];
    int64_t seconds = RIG_HOOK_DEFAULT_S;
    const char *program;
    if (yaml_is_null(script))
        return 0;
    if (yaml_read_string(script, &program, error))
        return -1;
    if (!*program)
        return yaml_fail(script, error, "a hook is a program");
    snprintf(name, sizeof name, "%s_timeout", key);
    struct yaml_node timeout = yaml_get(parameters, name);
    if (append_word(command, program, error) || (!yaml_is_null(timeout) && yaml_read_integer(timeout, 1, RIG_HOOK_MAX_S, &seconds, error)))
        return -1;
    command->timeout_ms = seconds * 1000;
    snprintf(name, sizeof name, "%s_arg", key);
    struct yaml_node arguments = yaml_get(parameters, name);
    for (size_t i = 0; i < yaml_count(arguments); i++) {
        const char *word = yaml_text(yaml_item_at(arguments, i));
        if (!word || append_word(command, word, error))
            return yaml_fail(arguments, error, "a list of at most %d texts is expected here", RIG_ARGUMENTS_MAX - 1);
    }
    return 0;
}

/* The runner knows how to reset; it takes the probe's number. */
static int set_reset(struct yaml_node map, struct rig_device *device, struct error *error)
{
    const char *preset = hook_preset_of_runner(device->runner), *probe = yaml_text(yaml_get(map, "probe_id"));
    struct rig_device probed = *device;
    /* Only its number is looked at, and only a number is one. */
    probed.id = (char *)(uintptr_t)(probe ? probe : device->id);
    if (!preset || strspn(probed.id, "0123456789") != strlen(probed.id) || !*probed.id)
        return 0;
    return hook_preset_expand(map, preset, RIG_HOOK_RESET, &probed, &device->hooks[RIG_HOOK_RESET], error);
}

static int read_hooks(struct yaml_node map, struct rig_device *device, struct error *error)
{
    for (int i = 0; i < RIG_HOOK_COUNT; i++)
        device->hooks[i].timeout_ms = RIG_HOOK_DEFAULT_S * 1000LL;
    return set_reset(map, device, error) || read_script(map, "pre_script", RIG_HOOK_BEFORE_RUN, device, error) ||
                   read_script(map, "post_script", RIG_HOOK_AFTER_RUN, device, error)
               ? -1
               : 0;
}

/* ---- what the firmware was built with ---- */

static const char *marked(struct yaml_node fixtures, const char *key)
{
    size_t mark = sizeof fixture_mark - 1, length = strlen(key);
    for (size_t i = 0; i < yaml_count(fixtures); i++) {
        const char *text = yaml_text(yaml_item_at(fixtures, i));
        if (text && strncmp(text, fixture_mark, mark) == 0 && strncmp(text + mark, key, length) == 0 && text[mark + length] == ':')
            return text + mark + length + 1;
    }
    return NULL;
}

static int copy_marked(struct yaml_node fixtures, const char *key, const char *fallback, char **ret_text, struct error *error)
{
    const char *text = marked(fixtures, key);
    if (!text)
        text = fallback;
    if (text && !(*ret_text = strdup(text)))
        return error_set_memory(error);
    return 0;
}

static int read_sec_tag(struct yaml_node fixtures, struct rig_device *device, struct error *error)
{
    const char *text = marked(fixtures, "sec_tag");
    char *end;
    unsigned long value = text ? strtoul(text, &end, 10) : 0;
    if (text && (!*text || *end || *text == '-' || value > 2147483647))
        return yaml_fail(fixtures, error, "'%ssec_tag:%s' is no sec tag: a whole number from 0 to 2147483647", fixture_mark, text);
    device->sec_tag = (uint32_t)value;
    device->has_sec_tag = text != NULL;
    return 0;
}

static int read_identity(struct yaml_node map, struct rig_device *device, struct error *error)
{
    struct yaml_node fixtures = yaml_get(map, "fixtures");
    return copy_marked(fixtures, "registration_id", NULL, &device->registration_id, error) ||
                   copy_marked(fixtures, "id_scope", NULL, &device->id_scope, error) ||
                   (marked(fixtures, "imei") && rig_set_imei(device, fixtures, marked(fixtures, "imei"), error)) ||
                   copy_marked(fixtures, "dps_host", RIG_DPS_HOST_DEFAULT, &device->dps_host, error) ||
                   copy_marked(fixtures, "dialect", RIG_DIALECT_DEFAULT, &device->dialect, error) || read_sec_tag(fixtures, device, error)
               ? -1
               : 0;
}

/* A board that is not connected is not used, but whoever looks at it finds texts. */
static int fill_unused(struct rig_device *device, struct error *error)
{
    char **texts[] = {&device->registration_id, &device->id_scope};
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++)
        if (!*texts[i] && !(*texts[i] = strdup("")))
            return error_set_memory(error);
    return 0;
}

static int check_identity(struct yaml_node map, struct rig_device *device, struct error *error)
{
    const char *missing = !device->registration_id ? "registration_id" : !device->id_scope ? "id_scope" : "sec_tag";
    if (!device->is_connected)
        return fill_unused(device, error);
    if (device->registration_id && device->id_scope && device->has_sec_tag)
        return 0;
    return yaml_fail(map, error,
                     "a hardware map does not say the %s of '%s': add `%s%s:...` to its fixtures, or make a rig file of the map: "
                     "dpsbench rig init --from %s",
                     missing, device->id, fixture_mark, missing, yaml_name(map.yaml));
}

/* ---- a board ---- */

static int read_baud(struct yaml_node map, struct rig_device *device, struct error *error)
{
    struct yaml_node node = yaml_get(map, "baud");
    device->baud = 115200;
    return yaml_is_null(node) ? 0 : yaml_read_integer(node, 300, 4000000, &device->baud, error);
}

static int read_description(struct yaml_node map, struct rig_device *device, struct error *error)
{
    struct yaml_node id;
    const char *platform = platform_of(yaml_get(map, "platform"));
    if (yaml_require(map, "id", &id, error) || read_word(map, "id", &device->id, error) ||
        read_word(map, "product", &device->product, error) || read_word(map, "runner", &device->runner, error) ||
        read_word(map, "notes", &device->notes, error) || rig_read_port_name(map, "serial", &device->serial, error) ||
        read_flag(map, "connected", &device->is_connected, error) || read_baud(map, device, error))
        return -1;
    device->platform = strdup(platform ? platform : "");
    return device->platform ? 0 : error_set_memory(error);
}

static int read_fixtures(struct yaml_node map, struct rig_device *device, struct error *error)
{
    struct yaml_node list = yaml_get(map, "fixtures");
    for (size_t i = 0; i < yaml_count(list); i++) {
        const char *text = yaml_text(yaml_item_at(list, i));
        if (!text || device->fixtures.count == RIG_WORDS_MAX)
            return yaml_fail(list, error, "a list of at most %d texts is expected here", RIG_WORDS_MAX);
        if (strncmp(text, fixture_mark, sizeof fixture_mark - 1) == 0)
            continue;
        if (!(device->fixtures.items[device->fixtures.count] = strdup(text)))
            return error_set_memory(error);
        device->fixtures.count++;
    }
    return 0;
}

/* Twister opens a program's pty there; we would not know whose it is. */
static int check_port(struct yaml_node map, const struct rig_device *device, struct error *error)
{
    if (!device->is_connected || (device->serial && *device->serial))
        return 0;
    bool has_pty = !yaml_is_null(yaml_get(map, "serial_pty"));
    return yaml_fail(map, error,
                     has_pty ? "'%s' has `serial_pty`, a program of Twister's: dpsbench needs its port as `serial`"
                             : "'%s' is connected and has no `serial`",
                     device->id);
}

static const struct rig_device *find_same(const struct rig *rig, const struct rig_device *device)
{
    for (size_t i = 0; i + 1 < rig->device_count; i++)
        if (strcmp(rig->devices[i].id, device->id) == 0)
            return &rig->devices[i];
    return NULL;
}

static bool is_same_port(const struct rig_device *a, const struct rig_device *b)
{
    return a->serial && b->serial ? strcmp(a->serial, b->serial) == 0 : a->serial == b->serial;
}

static int read_board(struct rig *rig, struct yaml_node map, bool needs_identity, struct error *error)
{
    struct rig_device *device = &rig->devices[rig->device_count++];
    *device = (struct rig_device){.is_connected = false};
    if (read_description(map, device, error) || read_fixtures(map, device, error) || read_identity(map, device, error) ||
        read_hooks(map, device, error) || check_port(map, device, error) || (needs_identity && check_identity(map, device, error)))
        return -1;
    if (asprintf(&device->place, "%s:%d:%d", yaml_name(map.yaml), map.line, map.column) < 0)
        return error_set_memory(error);
    const struct rig_device *same = find_same(rig, device);
    if (!same)
        return 0;
    if (!is_same_port(same, device))
        return yaml_fail(map, error, "'%s' stands at %s with another port: which of the two is its console? Leave one in the map",
                         device->id, same->place);
    rig_drop_last_device(rig);
    return 0;
}

int hardware_map_read(struct rig *rig, struct yaml_node list, bool needs_identity, struct error *error)
{
    for (size_t i = 0; i < yaml_count(list); i++) {
        struct yaml_node map = yaml_item_at(list, i);
        if (!yaml_is_map(map))
            return yaml_fail(map, error, "a hardware map is a list of mappings, one a board");
        if (!is_nrf91(platform_of(yaml_get(map, "platform"))))
            continue;
        if (rig->device_count == RIG_DEVICES_MAX)
            return yaml_fail(map, error, "more than %d boards with an nRF91", RIG_DEVICES_MAX);
        if (read_board(rig, map, needs_identity, error))
            return -1;
    }
    if (rig->device_count == 0)
        return yaml_fail(list, error, "no board of this hardware map has an nRF91 (by its `platform`)");
    return !needs_identity || rig_connected_count(rig) ? 0 : yaml_fail(list, error, "no nRF91 board of this hardware map is connected");
}
