#include "harness/discover/rig_draft.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "base/ready.h"
#include "base/utf8.h"

#include <string.h>
#include <strings.h>

#define VIRTUAL_DK "dpsbench-vdk"
enum { NAME_BYTES = 2 * PORT_TEXT_BYTES };

void rig_draft_done(struct rig_draft *draft)
{
    if (!draft)
        return;
    bytes_done(&draft->text);
    *draft = (struct rig_draft){.device_count = 0};
}

/* ---- scalars ---- */

/* What YAML might take for something else than the text that it is goes into quotes. */
static bool is_plain(const char *text)
{
    static const char *const words[] = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"};
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    static const char others[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./+";
    for (size_t i = 0; i < ARRAY_COUNT(words); i++)
        if (strcasecmp(text, words[i]) == 0)
            return false;
    return *text && (strchr(letters, *text) || *text == '/') && strspn(text, others) == strlen(text);
}

/* YAML 1.2, 5.1: what is not printable must be escaped. */
static bool is_printable(uint32_t letter)
{
    return letter >= ' ' && letter != 0x7f && (letter < 0x80 || letter > 0x9f) && letter != 0x2028 && letter != 0x2029 && letter != 0xfeff;
}

static void put_quoted(struct rig_draft *draft, const char *text)
{
    bytes_append_byte(&draft->text, '"');
    while (*text) {
        const char *start = text;
        uint32_t letter = utf8_decode(&text);
        if (letter == '"' || letter == '\\')
            bytes_append_byte(&draft->text, '\\');
        if (is_printable(letter))
            bytes_append(&draft->text, start, (size_t)(text - start));
        else
            bytes_printf(&draft->text, "\\u%04x", letter);
    }
    bytes_append_byte(&draft->text, '"');
}

static void put_scalar(struct rig_draft *draft, const char *text)
{
    if (is_plain(text))
        bytes_append_text(&draft->text, text);
    else
        put_quoted(draft, text);
}

static void put_key(struct rig_draft *draft, const char *key, const char *value)
{
    if (!value || !*value)
        return;
    bytes_printf(&draft->text, "    %s: ", key);
    put_scalar(draft, value);
    bytes_append_byte(&draft->text, '\n');
}

/* A value that only a person knows. */
static void put_gap(struct rig_draft *draft, const char *key, const char *value, const char *sentence)
{
    if (value && *value) {
        put_key(draft, key, value);
        return;
    }
    bytes_printf(&draft->text, "    %s: # FILL IN: %s\n", key, sentence);
    draft->gap_count++;
}

static void put_words(struct rig_draft *draft, char *const *words)
{
    bytes_append_byte(&draft->text, '[');
    for (char *const *word = words; *word; word++) {
        bytes_append_text(&draft->text, word == words ? "" : ", ");
        put_scalar(draft, *word);
    }
    bytes_append_byte(&draft->text, ']');
}

/* A comment's text must stay on its line. */
static void put_comment(struct rig_draft *draft, const char *indent, const char *format, ...) __attribute__((format(printf, 3, 4)));

static void put_comment(struct rig_draft *draft, const char *indent, const char *format, ...)
{
    char text[ERROR_TEXT_MAX_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    for (char *at = text; *at; at++)
        if ((unsigned char)*at < ' ' || (unsigned char)*at >= 0x7f)
            *at = '?';
    bytes_printf(&draft->text, "%s# %s\n", indent, text);
}

/* ---- what is the same for all ---- */

static void put_head(struct rig_draft *draft)
{
    bytes_append_text(&draft->text, "# Written by `dpsbench rig init`; docs/rig.md is the manual. Where FILL IN stands, a person must.\n"
                                    "# Then: dpsbench doctor --rig FILE\n"
                                    "format: 1\n"
                                    "devices:\n");
}

static char *fill_imei(const char *pattern, const char *imei)
{
    const char *mark = pattern ? strstr(pattern, "{imei}") : NULL;
    char *text = NULL;
    if (!pattern || (mark && !*imei))
        return NULL;
    if (!mark)
        return strdup(pattern);
    return asprintf(&text, "%.*s%s%s", (int)(mark - pattern), pattern, imei, mark + strlen("{imei}")) < 0 ? NULL : text;
}

static void put_firmware(struct rig_draft *draft, const char *registration_id, const char *id_scope, const char *sec_tag)
{
    put_gap(draft, "registration_id", registration_id, "what the firmware registers as (CONFIG_AZURE_IOT_HUB_DPS_REG_ID)");
    put_gap(draft, "id_scope", id_scope, "that of the firmware (CONFIG_AZURE_IOT_HUB_DPS_ID_SCOPE), the same for all devices");
    if (sec_tag)
        bytes_printf(&draft->text, "    sec_tag: %s\n", sec_tag);
    else
        put_gap(draft, "sec_tag", NULL, "where the firmware finds its credentials (CONFIG_MQTT_HELPER_SEC_TAG)");
}

static void put_simulator(struct rig_draft *draft, const struct rig_draft_options *options)
{
    if (!options->simulator) {
        bytes_append_text(&draft->text,
                          "# One that the run starts and that this host alone reaches. A board on LTE needs one that it can reach:\n"
                          "# simulator: {ready: FOLDER}\n"
                          "simulator: {start: local}\n");
        return;
    }
    bytes_append_text(&draft->text, "simulator: {ready: ");
    put_scalar(draft, options->simulator);
    bytes_append_text(&draft->text, "}\n");
}

/* ---- a board of a survey ---- */

struct board {
    const struct survey *survey;
    size_t first, end; /* its ports */
    const struct port_info *port;
    const struct port_probe *probe; /* of the port that answers AT commands; NULL: none does */
};

static struct board find_board(const struct survey *survey, size_t first)
{
    const struct port_info *ports = survey->list.items;
    struct board board = {.survey = survey, .first = first, .end = first + 1, .port = &ports[first]};
    while (board.end < survey->list.count && port_is_same_board(&ports[first], &ports[board.end]))
        board.end++;
    for (size_t i = first; i < board.end && !board.probe; i++)
        if (survey->is_chosen[i] && *survey->probes[i].identity.model) {
            board.probe = &survey->probes[i];
            board.port = &ports[i];
        }
    return board;
}

static bool is_serial_doubled(const struct board *board)
{
    const struct port_list *list = &board->survey->list;
    for (size_t i = 0; i < list->count; i++)
        if ((i < board->first || i >= board->end) && strcmp(list->items[i].usb_serial, board->port->usb_serial) == 0)
            return true;
    return false;
}

/* Boards of makers who give all of them the same serial number are told apart by where they hang. */
static void name_board(const struct board *board, char *name)
{
    const char *slash = strrchr(board->port->path, '/');
    if (*board->port->usb_serial && is_serial_doubled(board))
        snprintf(name, NAME_BYTES, "%s@%s", board->port->usb_serial, board->port->location);
    else if (*board->port->usb_serial)
        snprintf(name, NAME_BYTES, "%s", board->port->usb_serial);
    else if (board->probe && *board->probe->identity.imei)
        snprintf(name, NAME_BYTES, "%s", board->probe->identity.imei);
    else
        snprintf(name, NAME_BYTES, "%.200s", slash ? slash + 1 : board->port->path);
}

static void put_other_ports(struct rig_draft *draft, const struct board *board)
{
    for (size_t i = board->first; i < board->end; i++) {
        const struct port_info *port = &board->survey->list.items[i];
        const struct port_probe *probe = &board->survey->probes[i];
        if (port != board->port && probe->answer == PORT_TALKS)
            put_key(draft, "console", port_name(port));
        else if (port != board->port)
            put_comment(draft, "    ", "its port %d, %s: %s%s%s", port->vcom, port_name(port), port_answer_text(probe->answer),
                        *probe->text ? ": " : "", probe->text);
    }
}

static bool is_installed(const char *program)
{
    const char *path = getenv("PATH");
    while (path && *path) {
        CLEANUP_FREE char *full = NULL;
        size_t length = strcspn(path, ":");
        if (asprintf(&full, "%.*s/%s", (int)length, path, program) >= 0 && access(full, X_OK) == 0)
            return true;
        path += length + (path[length] == ':');
    }
    return false;
}

static void put_probe_hooks(struct rig_draft *draft, const struct board *board)
{
    static const char *const tools[][2] = {{"nrfutil", "nrfutil"}, {"nrfjprog", "nrfjprog"}, {"JLinkExe", "jlink"}};
    const char *preset = NULL, *number = board->port->usb_serial;
    if (!*number || strspn(number, "0123456789") != strlen(number))
        return;
    for (size_t i = 0; i < ARRAY_COUNT(tools) && !preset; i++)
        preset = is_installed(tools[i][0]) ? tools[i][1] : NULL;
    if (!preset)
        put_comment(draft, "    ", "No tool that resets it was found in PATH (nrfutil, nrfjprog, JLinkExe):");
    bytes_printf(&draft->text, "    %shooks:\n    %s  reset: {preset: %s, serial_number: '%s'}\n", preset ? "" : "# ", preset ? "" : "# ",
                 preset ? preset : "nrfutil", number);
    put_comment(draft, "    ", "  chip_erase: {preset: %s, serial_number: '%s', file: FIRMWARE.hex}", preset ? preset : "nrfutil", number);
}

static void put_virtual(struct rig_draft *draft, const cJSON *ready)
{
    char number[24];
    snprintf(number, sizeof number, "%lld", (long long)json_integer(ready, "sec_tag", 0));
    put_firmware(draft, json_string(ready, "registration_id", NULL), json_string(ready, "id_scope", NULL), number);
    put_key(draft, "dps_host", json_string(ready, "dps_host", NULL));
    put_comment(draft, "    ", "A virtual DK that runs already: its process and its port are gone when it ends");
    bytes_printf(&draft->text, "    hooks: {reset: [kill, -HUP, '%lld'], chip_erase: [kill, -USR1, '%lld']}\n",
                 (long long)json_integer(ready, "pid", 0), (long long)json_integer(ready, "pid", 0));
}

static int put_board(struct rig_draft *draft, const struct board *board, const struct rig_draft_options *options, struct error *error)
{
    const struct dk_identity *identity = &board->probe->identity;
    CLEANUP_JSON cJSON *ready = NULL;
    CLEANUP_FREE char *registration_id = fill_imei(options->registration_id, identity->imei);
    char name[NAME_BYTES];
    if (*board->port->state && ready_read(board->port->state, VIRTUAL_DK, &ready, error))
        return -1;
    name_board(board, name);
    put_comment(draft, "  ", "%s; %s%s%s", board->port->kind ? board->port->kind->name : "an unknown board",
                port_answer_text(board->probe->answer), *identity->firmware ? ", " : "", identity->firmware);
    bytes_append_text(&draft->text, "  - id: ");
    put_scalar(draft, name);
    bytes_append_byte(&draft->text, '\n');
    put_key(draft, "platform", board->port->kind ? board->port->kind->platform : NULL);
    put_key(draft, "product", board->port->product);
    bytes_append_text(&draft->text, "    connected: true\n");
    put_key(draft, "serial", port_name(board->port));
    put_other_ports(draft, board);
    put_key(draft, "imei", identity->imei);
    if (ready) {
        put_virtual(draft, ready);
    } else {
        put_firmware(draft, registration_id, options->id_scope, options->sec_tag);
        put_probe_hooks(draft, board);
    }
    draft->device_count++;
    return 0;
}

static void put_silent(struct rig_draft *draft, const struct board *board)
{
    char name[NAME_BYTES];
    name_board(board, name);
    for (size_t i = board->first; i < board->end; i++) {
        const struct port_probe *probe = &board->survey->probes[i];
        if (board->survey->is_chosen[i])
            put_comment(draft, "  ", "left out: %s, %s: %s%s%s", name, board->survey->list.items[i].path, port_answer_text(probe->answer),
                        *probe->text ? ": " : "", probe->text);
    }
}

static int refuse_none(const struct survey *survey, struct error *error)
{
    CLEANUP(bytes_done) struct bytes seen = {.max_bytes = ERROR_TEXT_MAX_BYTES / 2};
    for (size_t i = 0; i < survey->list.count; i++)
        if (survey->is_chosen[i])
            bytes_printf(&seen, "%s%s: %s", seen.length_bytes ? ", " : "", survey->list.items[i].path,
                         port_answer_text(survey->probes[i].answer));
    return error_set(error, ERROR_OWNER_FILE, ERROR_NOT_FOUND, "no board answers AT commands%s%s%s; `dpsbench devices` shows more",
                     seen.length_bytes ? " (" : ", and there is no port to ask", bytes_text(&seen), seen.length_bytes ? ")" : "");
}

static int finish(struct rig_draft *draft, const struct rig_draft_options *options, struct rig_draft *ret_draft, struct error *error)
{
    put_simulator(draft, options);
    /* Appending fails when the limit is reached; what was refused is missing. */
    if (draft->text.length_bytes + ERROR_TEXT_MAX_BYTES > draft->text.max_bytes)
        return error_set(error, ERROR_OWNER_FILE, ERROR_LIMIT, "the rig file would be longer than %d bytes", RIG_DRAFT_MAX_BYTES);
    *ret_draft = *draft;
    *draft = (struct rig_draft){.device_count = 0};
    return 0;
}

int rig_draft_from_survey(const struct survey *survey, const struct rig_draft_options *options, struct rig_draft *ret_draft,
                          struct error *error)
{
    CLEANUP(rig_draft_done) struct rig_draft draft = {.text = {.max_bytes = RIG_DRAFT_MAX_BYTES}};
    put_head(&draft);
    for (size_t i = 0; i < survey->list.count;) {
        struct board board = find_board(survey, i);
        if (board.probe && draft.device_count == RIG_DEVICES_MAX)
            return error_set(error, ERROR_OWNER_FILE, ERROR_LIMIT, "more than %d boards: name those that belong to the rig",
                             RIG_DEVICES_MAX);
        if (board.probe && put_board(&draft, &board, options, error))
            return -1;
        if (!board.probe)
            put_silent(&draft, &board);
        i = board.end;
    }
    return draft.device_count ? finish(&draft, options, ret_draft, error) : refuse_none(survey, error);
}

/* ---- a board of a hardware map ---- */

static void put_hook(struct rig_draft *draft, const struct rig_device *device, enum rig_hook hook)
{
    const struct rig_command *command = &device->hooks[hook];
    bytes_printf(&draft->text, "      %s: {", rig_hook_name(hook));
    if (command->preset) {
        bytes_printf(&draft->text, "preset: %s, serial_number: '%s'", command->preset, command->serial_number);
    } else {
        bytes_append_text(&draft->text, "command: ");
        put_words(draft, command->argv);
    }
    bytes_printf(&draft->text, ", timeout_s: %lld}\n", (long long)command->timeout_ms / 1000);
}

static void put_hooks(struct rig_draft *draft, const struct rig_device *device)
{
    if (rig_hooks_longest_ms(device) == 0)
        return;
    bytes_append_text(&draft->text, "    hooks:\n");
    for (int i = 0; i < RIG_HOOK_COUNT; i++)
        if (rig_device_has_hook(device, (enum rig_hook)i))
            put_hook(draft, device, (enum rig_hook)i);
}

static const char *told(const char *own, const char *general)
{
    return own ? own : general;
}

static void put_map_board(struct rig_draft *draft, const struct rig_device *device, const struct rig_draft_options *options)
{
    char number[24], tag[16];
    CLEANUP_FREE char *registration_id = fill_imei(options->registration_id, device->imei ? device->imei : "");
    snprintf(number, sizeof number, "%lld", (long long)device->baud);
    snprintf(tag, sizeof tag, "%u", device->sec_tag);
    bytes_append_text(&draft->text, "  - id: ");
    put_scalar(draft, device->id);
    bytes_append_byte(&draft->text, '\n');
    put_key(draft, "platform", device->platform);
    put_key(draft, "product", device->product);
    put_key(draft, "runner", device->runner);
    put_key(draft, "notes", device->notes);
    bytes_append_text(&draft->text, "    connected: true\n");
    put_key(draft, "serial", device->serial);
    bytes_printf(&draft->text, "    baud: %s\n", number);
    if (device->fixtures.count) {
        bytes_append_text(&draft->text, "    fixtures: ");
        put_words(draft, device->fixtures.items);
        bytes_append_byte(&draft->text, '\n');
    }
    put_key(draft, "imei", device->imei);
    put_firmware(draft, told(device->registration_id, registration_id), told(device->id_scope, options->id_scope),
                 device->has_sec_tag ? tag : options->sec_tag);
    if (strcmp(device->dps_host, RIG_DPS_HOST_DEFAULT) != 0)
        put_key(draft, "dps_host", device->dps_host);
    if (strcmp(device->dialect, RIG_DIALECT_DEFAULT) != 0)
        put_key(draft, "dialect", device->dialect);
    put_hooks(draft, device);
    draft->device_count++;
}

int rig_draft_from_map(const struct rig *map, const struct rig_draft_options *options, struct rig_draft *ret_draft, struct error *error)
{
    CLEANUP(rig_draft_done) struct rig_draft draft = {.text = {.max_bytes = RIG_DRAFT_MAX_BYTES}};
    put_head(&draft);
    for (size_t i = 0; i < map->device_count; i++)
        if (map->devices[i].is_connected)
            put_map_board(&draft, &map->devices[i], options);
        else
            put_comment(&draft, "  ", "left out: %s, %s: not connected", map->devices[i].id, map->devices[i].platform);
    if (draft.device_count == 0)
        return error_set(error, ERROR_OWNER_FILE, ERROR_NOT_FOUND, "%s: no nRF91 board of this hardware map is connected", map->file);
    return finish(&draft, options, ret_draft, error);
}
