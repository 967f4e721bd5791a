#include "base/cleanup.h"
#include "harness/rig/rig_read.h"

#include <string.h>

static const struct {
    const char *key;
    const char *capability;
} hooks[] = {
#define X(id, hook_key, hook_capability) [id] = {hook_key, hook_capability},
    RIG_HOOKS(X)
#undef X
};

const char *rig_hook_name(enum rig_hook hook)
{
    return hooks[hook].key;
}

int rig_hook_find(const char *name, enum rig_hook *ret_hook)
{
    for (int i = 0; i < RIG_HOOK_COUNT; i++)
        if (strcmp(hooks[i].key, name) == 0) {
            *ret_hook = (enum rig_hook)i;
            return 0;
        }
    return -1;
}

const char *const *rig_hook_names(void)
{
    static const char *const names[] = {
#define X(id, hook_key, hook_capability) hook_key,
        RIG_HOOKS(X)
#undef X
            NULL};
    return names;
}

/* ---- reading ---- */

static int read_timeout(struct yaml_node map, struct rig_command *command, struct error *error)
{
    struct yaml_node node = yaml_get(map, "timeout_s");
    int64_t seconds;
    if (yaml_is_null(node))
        return 0;
    if (yaml_read_integer(node, 1, RIG_HOOK_MAX_S, &seconds, error))
        return -1;
    command->timeout_ms = seconds * 1000;
    return 0;
}

static int read_argv(struct yaml_node node, struct rig_command *command, struct error *error)
{
    size_t count = 0;
    if (rig_read_words(node, RIG_ARGUMENTS_MAX, command->argv, &count, error))
        return -1;
    if (count == 0 || !*command->argv[0])
        return yaml_fail(node, error, "a hook is a list: program and arguments, as in [nrfutil, device, reset]");
    return 0;
}

static int read_mapping(struct yaml_node map, enum rig_hook hook, const struct rig_device *device, struct rig_command *command,
                        struct error *error)
{
    static const char *const keys[] = {"command", "timeout_s", NULL};
    struct yaml_node preset = yaml_get(map, "preset");
    const char *name;
    if (read_timeout(map, command, error))
        return -1;
    if (yaml_is_null(preset)) {
        struct yaml_node argv;
        if (yaml_check_keys(map, "a hook without `preset`", keys, error) || yaml_require(map, "command", &argv, error))
            return -1;
        return read_argv(argv, command, error);
    }
    return yaml_read_string(preset, &name, error) || hook_preset_expand(map, name, hook, device, command, error) ? -1 : 0;
}

static int read_hook(struct yaml_node node, enum rig_hook hook, const struct rig_device *device, struct rig_command *command,
                     struct error *error)
{
    command->timeout_ms = RIG_HOOK_DEFAULT_S * 1000LL;
    if (yaml_is_map(node))
        return read_mapping(node, hook, device, command, error);
    return yaml_is_null(node) ? 0 : read_argv(node, command, error);
}

int rig_read_hooks(struct rig_device *device, struct yaml_node map, struct error *error)
{
    if (!yaml_is_null(map) && yaml_check_keys(map, "hooks", rig_hook_names(), error))
        return -1;
    for (int i = 0; i < RIG_HOOK_COUNT; i++)
        if (read_hook(yaml_get(map, hooks[i].key), (enum rig_hook)i, device, &device->hooks[i], error))
            return -1;
    return 0;
}

/* ---- asking ---- */

bool rig_device_has_hook(const struct rig_device *device, enum rig_hook hook)
{
    return device->hooks[hook].argv[0];
}

/* Off and on are two hooks of one capability: all hooks of a capability must be there. */
bool rig_device_has_hooks_of(const struct rig_device *device, const char *capability)
{
    bool is_known = false;
    for (int i = 0; i < RIG_HOOK_COUNT; i++) {
        if (!hooks[i].capability || strcmp(hooks[i].capability, capability) != 0)
            continue;
        is_known = true;
        if (!rig_device_has_hook(device, (enum rig_hook)i))
            return false;
    }
    return is_known;
}

int64_t rig_hooks_longest_ms(const struct rig_device *device)
{
    int64_t longest_ms = 0;
    for (int i = 0; i < RIG_HOOK_COUNT; i++)
        if (rig_device_has_hook(device, (enum rig_hook)i) && device->hooks[i].timeout_ms > longest_ms)
            longest_ms = device->hooks[i].timeout_ms;
    return longest_ms;
}
