/*
 * Sources: docs.nordicsemi.com, nRF Util, `nrfutil device program`, "Programming options"; the help of nrfjprog 10; SEGGER, "J-Link Commander" (it reads
 * commands from its standard input); the README of uhubctl. The names of the parts are those of Zephyr's boards/nordic/<board>/board.cmake.
 */
#include "base/bytes.h"
#include "base/cleanup.h"
#include "harness/rig/rig_read.h"

#include <ctype.h>
#include <string.h>

enum { WORD_MAX_BYTES = 4096, PRESET_WORDS_MAX = 16 };

struct preset {
    const char *name;
    enum rig_hook hook;
    const char *argv[PRESET_WORDS_MAX]; /* {serial_number} ...: the parameter of that name */
    const char *input;                  /* for its standard input; NULL: none */
};

#define NRFUTIL_PROGRAM(options)                                                                                                           \
    {                                                                                                                                      \
        "nrfutil", "device", "program", "--serial-number", "{serial_number}", "--firmware", "{file}", "--options", options                 \
    }
#define JLINK                                                                                                                              \
    {                                                                                                                                      \
        "JLinkExe", "-NoGui", "1", "-ExitOnError", "1", "-SelectEmuBySN", "{serial_number}", "-Device", "{part}", "-If", "SWD", "-Speed",  \
            "4000", "-AutoConnect", "1"                                                                                                    \
    }

static const struct preset presets[] = {
    {"nrfutil", RIG_HOOK_RESET, {"nrfutil", "device", "reset", "--serial-number", "{serial_number}"}, NULL},
    {"nrfutil", RIG_HOOK_FLASH, NRFUTIL_PROGRAM("chip_erase_mode=ERASE_RANGES_TOUCHED_BY_FIRMWARE,verify=VERIFY_READ,reset=RESET_SYSTEM"),
     NULL},
    {"nrfutil", RIG_HOOK_CHIP_ERASE, NRFUTIL_PROGRAM("chip_erase_mode=ERASE_ALL,verify=VERIFY_READ,reset=RESET_SYSTEM"), NULL},
    {"nrfjprog", RIG_HOOK_RESET, {"nrfjprog", "-f", "NRF91", "--snr", "{serial_number}", "--reset"}, NULL},
    {"nrfjprog",
     RIG_HOOK_FLASH,
     {"nrfjprog", "-f", "NRF91", "--snr", "{serial_number}", "--program", "{file}", "--sectorerase", "--verify", "--reset"},
     NULL},
    {"nrfjprog",
     RIG_HOOK_CHIP_ERASE,
     {"nrfjprog", "-f", "NRF91", "--snr", "{serial_number}", "--program", "{file}", "--chiperase", "--verify", "--reset"},
     NULL},
    {"jlink", RIG_HOOK_RESET, JLINK, "ExitOnError 1\nr\ng\nqc\n"},
    {"jlink", RIG_HOOK_FLASH, JLINK, "ExitOnError 1\nr\nh\nloadfile \"{file}\"\nr\ng\nqc\n"},
    {"jlink", RIG_HOOK_CHIP_ERASE, JLINK, "ExitOnError 1\nr\nh\nerase\nloadfile \"{file}\"\nr\ng\nqc\n"},
    {"uhubctl", RIG_HOOK_POWER_OFF, {"uhubctl", "-l", "{location}", "-p", "{port}", "-a", "off"}, NULL},
    {"uhubctl", RIG_HOOK_POWER_ON, {"uhubctl", "-l", "{location}", "-p", "{port}", "-a", "on"}, NULL},
    {"uhubctl", RIG_HOOK_RESET, {"uhubctl", "-l", "{location}", "-p", "{port}", "-a", "cycle"}, NULL},
};

static const char *const names[] = {"nrfutil", "nrfjprog", "jlink", "uhubctl", NULL};

static const char *const parameters_of[] = {"preset", "timeout_s", "serial_number", "file", "location", "port", "part", NULL};

/* ---- parameters ---- */

/* The tools take the number that is printed on the probe; USB has zeros before it. */
static const char *without_zeros(const char *serial_number)
{
    size_t zeros = strspn(serial_number, "0");
    return serial_number + (serial_number[zeros] || zeros == 0 ? zeros : zeros - 1);
}

static bool is_number(const char *text)
{
    return *text && strspn(text, "0123456789") == strlen(text);
}

static const char *part_of(const char *platform)
{
    static const char *const parts[][2] = {{"nrf9161", "nRF9161_xxCA"}, {"nrf9151", "nRF9151_xxCA"}};
    for (size_t i = 0; platform && i < ARRAY_COUNT(parts); i++)
        if (strstr(platform, parts[i][0]))
            return parts[i][1];
    return "nRF9160_xxAA";
}

static const char *default_of(const struct rig_device *device, const char *parameter)
{
    if (strcmp(parameter, "serial_number") == 0 && is_number(device->id))
        return device->id;
    return strcmp(parameter, "part") == 0 ? part_of(device->platform) : NULL;
}

static int find_value(struct yaml_node map, const struct preset *preset, const struct rig_device *device, const char *parameter,
                      const char **ret_value, struct error *error)
{
    struct yaml_node node = yaml_get(map, parameter);
    const char *value = default_of(device, parameter);
    if (!yaml_is_null(node) && !yaml_is_scalar(node))
        return yaml_fail(node, error, "%s of preset '%s' is one word or number", parameter, preset->name);
    if (!yaml_is_null(node))
        value = yaml_text(node);
    if (!value || !*value)
        return yaml_fail(map, error, "preset '%s' needs `%s` here", preset->name, parameter);
    /* They would end the word on the standard input of a program. */
    if (strpbrk(value, "\r\n\""))
        return yaml_fail(node, error, "%s of preset '%s' is one line without quotes", parameter, preset->name);
    *ret_value = strcmp(parameter, "serial_number") == 0 && is_number(value) ? without_zeros(value) : value;
    return 0;
}

/* ---- words ---- */

static int fill(struct yaml_node map, const struct preset *preset, const struct rig_device *device, const char *pattern, char **ret_text,
                struct error *error)
{
    CLEANUP(bytes_done) struct bytes text = {.max_bytes = WORD_MAX_BYTES};
    while (*pattern) {
        size_t plain = strcspn(pattern, "{");
        char parameter[32];
        const char *value = "";
        int length = 0;
        if (pattern[plain] && sscanf(pattern + plain, "{%31[a-z_]}%n", parameter, &length) == 1 &&
            find_value(map, preset, device, parameter, &value, error))
            return -1;
        if (bytes_append(&text, pattern, plain) || bytes_append_text(&text, value))
            return yaml_fail(map, error, "a value of preset '%s' is longer than %d bytes", preset->name, WORD_MAX_BYTES);
        pattern += plain + (size_t)length;
    }
    *ret_text = strdup(bytes_text(&text));
    return *ret_text ? 0 : error_set_memory(error);
}

static int keep_number(struct yaml_node map, const struct preset *preset, const struct rig_device *device, struct rig_command *command,
                       struct error *error)
{
    const char *value;
    command->preset = preset->name;
    if (strcmp(preset->name, "uhubctl") == 0)
        return 0;
    if (find_value(map, preset, device, "serial_number", &value, error))
        return -1;
    command->serial_number = strdup(value);
    return command->serial_number ? 0 : error_set_memory(error);
}

static int fill_command(struct yaml_node map, const struct preset *preset, const struct rig_device *device, struct rig_command *command,
                        struct error *error)
{
    if (keep_number(map, preset, device, command, error))
        return -1;
    for (size_t i = 0; i < PRESET_WORDS_MAX && preset->argv[i]; i++)
        if (fill(map, preset, device, preset->argv[i], &command->argv[i], error))
            return -1;
    return preset->input ? fill(map, preset, device, preset->input, &command->input, error) : 0;
}

static const struct preset *find(const char *name, enum rig_hook hook)
{
    for (size_t i = 0; i < ARRAY_COUNT(presets); i++)
        if (presets[i].hook == hook && strcmp(presets[i].name, name) == 0)
            return &presets[i];
    return NULL;
}

static int refuse(struct yaml_node map, const char *name, enum rig_hook hook, struct error *error)
{
    char can[128] = "";
    for (size_t i = 0; i < ARRAY_COUNT(presets); i++)
        if (strcmp(presets[i].name, name) == 0)
            snprintf(can + strlen(can), sizeof can - strlen(can), "%s%s", *can ? ", " : "", rig_hook_name(presets[i].hook));
    return yaml_fail(yaml_get(map, "preset"), error, "preset '%s' cannot do %s; it can: %s. For anything else give `command: [...]`", name,
                     rig_hook_name(hook), can);
}

int hook_preset_expand(struct yaml_node parameters, const char *preset_name, enum rig_hook hook, const struct rig_device *device,
                       struct rig_command *command, struct error *error)
{
    size_t index;
    struct yaml_node name = yaml_get(parameters, "preset");
    if (yaml_is_there(name) &&
        (yaml_check_keys(parameters, "a preset", parameters_of, error) || yaml_read_word(name, "a preset", names, &index, error)))
        return -1;
    const struct preset *preset = find(preset_name, hook);
    return preset ? fill_command(parameters, preset, device, command, error) : refuse(parameters, preset_name, hook, error);
}

const char *hook_preset_of_runner(const char *runner)
{
    for (size_t i = 0; runner && i < ARRAY_COUNT(presets); i++)
        if (presets[i].hook == RIG_HOOK_RESET && strcmp(presets[i].name, runner) == 0 && strcmp(runner, "uhubctl") != 0)
            return presets[i].name;
    return NULL;
}
