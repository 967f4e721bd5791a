/* A device of kind exec: a program in place of a board. */
#include "base/cleanup.h"
#include "harness/rig/placeholder.h"
#include "harness/rig/rig_read.h"

static int check_placeholders(const struct rig_device *device, struct yaml_node list, struct error *error)
{
    struct error inner = ERROR_INIT;
    for (size_t i = 0; device->command[i]; i++)
        if (placeholder_check(device->command[i], &inner))
            return yaml_fail(yaml_item_at(list, i), error, "%s", inner.text);
    return 0;
}

/* What a program does not have is not left unsaid: a key that does nothing would look as if it did. */
static int check_no_board(struct yaml_node map, struct error *error)
{
    static const char *const keys[] = {"serial", "baud", "flow_control", "virtual", "sec_tag", "imei"};
    static const enum rig_hook ours[] = {RIG_HOOK_RESET, RIG_HOOK_CHIP_ERASE, RIG_HOOK_POWER_OFF, RIG_HOOK_POWER_ON};
    for (size_t i = 0; i < ARRAY_COUNT(keys); i++)
        if (yaml_is_there(yaml_get(map, keys[i])))
            return yaml_fail(yaml_get(map, keys[i]), error, "a device of kind exec is a program: leave `%s` out", keys[i]);
    for (size_t i = 0; i < ARRAY_COUNT(ours); i++) {
        struct yaml_node hook = yaml_get(yaml_get(map, "hooks"), rig_hook_name(ours[i]));
        if (yaml_is_there(hook))
            return yaml_fail(hook, error, "a device of kind exec is started and ended by dpsbench: leave this hook out");
    }
    return 0;
}

static int read_program(struct rig_device *device, struct yaml_node map, struct error *error)
{
    struct yaml_node command;
    size_t count = 0;
    if (check_no_board(map, error) || yaml_require(map, "command", &command, error) ||
        rig_read_words(command, RIG_ARGUMENTS_MAX, device->command, &count, error) ||
        rig_read_optional(map, "client", NULL, &device->client, error))
        return -1;
    if (count == 0)
        return yaml_fail(command, error, "a command is a list: program and arguments, as in [node, client.js, --host, '{host}']");
    return check_placeholders(device, command, error);
}

int rig_read_exec(struct rig_device *device, struct yaml_node map, struct error *error)
{
    static const char *const kinds[] = {"dk", "exec", NULL};
    static const char *const keys[] = {"command", "client"};
    struct yaml_node kind = yaml_get(map, "kind");
    size_t word = 0;
    if (!yaml_is_null(kind) && yaml_read_word(kind, "a kind of device", kinds, &word, error))
        return -1;
    device->is_exec = word == 1;
    if (device->is_exec)
        return read_program(device, map, error);
    for (size_t i = 0; i < ARRAY_COUNT(keys); i++)
        if (yaml_is_there(yaml_get(map, keys[i])))
            return yaml_fail(yaml_get(map, keys[i]), error, "`%s` is for a device of kind exec: `kind: exec`", keys[i]);
    return 0;
}
