/* dpsbench devices */
#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "harness/cli/cli.h"
#include "harness/cli/survey_arguments.h"
#include "reports/result.h"

#include <string.h>

enum { OPTION_JSON = 256, USB_BYTES = 12 };

struct devices_arguments {
    struct survey_arguments survey;
    bool wants_json;
};

static const struct argp_option options[] = {
    SURVEY_OPTIONS,
    {"json", OPTION_JSON, NULL, 0, "Print a JSON document (docs/devices.md)", 0},
    {0},
};

static const char text[] =
    "List the serial ports of boards and what answers there. PORT is a path, a name below /dev/serial/by-id, a serial number, a USB "
    "location, a kind of board "
    "(nrf9160dk), or the state folder of a virtual DK. Default: all, of which those of known vendors are asked."
    "\vAsking sends AT commands that only read. Exit codes: 0 listed, 2 wrong usage or a PORT that fits two boards, 5 no port found.\n"
    "\n"
    "Examples:\n"
    "  dpsbench devices\n"
    "  dpsbench devices 960012345 --json\n"
    "  dpsbench devices /dev/ttyUSB0 --baud 1000000\n"
    "  dpsbench devices --virtual dk\n";

static error_t take(int key, char *word, struct argp_state *state)
{
    struct devices_arguments *arguments = state->input;
    if (key != OPTION_JSON)
        return survey_arguments_take(key, word, state, &arguments->survey);
    arguments->wants_json = true;
    return 0;
}

/* ---- for a person ---- */

static int width_of_paths(const struct survey *survey)
{
    size_t width = 12;
    for (size_t i = 0; i < survey->list.count; i++)
        if (survey->is_chosen[i] && strlen(survey->list.items[i].path) > width)
            width = strlen(survey->list.items[i].path);
    return (int)width;
}

static void print_port(const struct port_info *port, const struct port_probe *probe, int width)
{
    char usb[USB_BYTES] = "-", vcom[16] = "-";
    if (port->is_usb)
        snprintf(usb, sizeof usb, "%04x:%04x", port->vendor_id & 0xffff, port->product_id & 0xffff);
    if (port->vcom != PORT_UNKNOWN)
        snprintf(vcom, sizeof vcom, "%d", port->vcom);
    printf("%-*s  %-9s  %-14s  %-4s  %-9s  %s\n", width, port->path, usb, *port->usb_serial ? port->usb_serial : "-", vcom,
           port_answer_name(probe->answer), port->kind ? port->kind->name : port->product);
    if (*port->by_id)
        printf("    %s\n", port->by_id);
    if (*probe->identity.model)
        printf("    %s, %s, IMEI %s, CFUN %d\n", probe->identity.model, probe->identity.firmware,
               *probe->identity.imei ? probe->identity.imei : "none", probe->identity.cfun);
    if (*probe->text)
        printf("    %s\n", probe->text);
}

static void print_table(const struct survey *survey)
{
    int width = width_of_paths(survey);
    printf("%-*s  %-9s  %-14s  %-4s  %-9s  %s\n", width, "PORT", "USB", "SERIAL", "VCOM", "ANSWERS", "BOARD");
    for (size_t i = 0; i < survey->list.count; i++)
        if (survey->is_chosen[i])
            print_port(&survey->list.items[i], &survey->probes[i], width);
}

/* ---- for a program ---- */

static int add_some(cJSON *json, const char *name, const char *value)
{
    return value && *value ? json_set_string(json, name, value) : 0;
}

static int add_usb(cJSON *json, const struct port_info *port)
{
    char vendor[8], product[8];
    if (!port->is_usb)
        return 0;
    snprintf(vendor, sizeof vendor, "%04x", port->vendor_id & 0xffff);
    snprintf(product, sizeof product, "%04x", port->product_id & 0xffff);
    cJSON *usb = cJSON_AddObjectToObject(json, "usb");
    return !usb || json_set_string(usb, "vendor_id", vendor) || json_set_string(usb, "product_id", product) ||
                   add_some(usb, "serial", port->usb_serial) || add_some(usb, "manufacturer", port->manufacturer) ||
                   add_some(usb, "product", port->product) || add_some(usb, "location", port->location) ||
                   (port->interface_number != PORT_UNKNOWN && json_set_integer(usb, "interface", port->interface_number))
               ? -1
               : 0;
}

static int add_identity(cJSON *json, const struct port_probe *probe)
{
    const struct dk_identity *identity = &probe->identity;
    return add_some(json, "manufacturer", identity->manufacturer) || add_some(json, "model", identity->model) ||
                   add_some(json, "firmware", identity->firmware) || add_some(json, "imei", identity->imei) ||
                   (identity->cfun != DK_CFUN_UNKNOWN && json_set_integer(json, "cfun", identity->cfun))
               ? -1
               : 0;
}

static cJSON *port_to_json(const struct port_info *port, const struct port_probe *probe)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (!json || json_set_string(json, "path", port->path) || add_some(json, "by_id", port->by_id) || add_usb(json, port) ||
        (port->vcom != PORT_UNKNOWN && json_set_integer(json, "vcom", port->vcom)) || add_some(json, "state", port->state) ||
        (port->kind && (json_set_string(json, "board", port->kind->name) || json_set_string(json, "platform", port->kind->platform))) ||
        json_set_string(json, "answers", port_answer_name(probe->answer)) || add_some(json, "text", probe->text) ||
        add_identity(json, probe))
        return NULL;
    return TAKE(json);
}

static int print_json(const struct survey *survey)
{
    CLEANUP_JSON cJSON *document = cJSON_CreateObject();
    cJSON *ports = document && !json_set_integer(document, "v", 1) ? cJSON_AddArrayToObject(document, "ports") : NULL;
    for (size_t i = 0; ports && i < survey->list.count; i++)
        if (survey->is_chosen[i] && !cJSON_AddItemToArray(ports, port_to_json(&survey->list.items[i], &survey->probes[i])))
            ports = NULL;
    CLEANUP_FREE char *printed = ports ? json_print_pretty(document) : NULL;
    return printed ? (fputs(printed, stdout), 0) : -1;
}

static int report(const struct survey *survey, bool wants_json)
{
    if (wants_json && print_json(survey))
        return EXIT_OUR_BUG;
    if (!wants_json && survey->chosen_count)
        print_table(survey);
    if (survey->chosen_count)
        return EXIT_ALL_PASSED;
    log_error("no serial port found; is the board plugged in and switched on, and does the cable carry data? In a container: is /dev "
              "mapped into it? "
              "A virtual DK: --virtual DIR");
    return EXIT_NOTHING_SELECTED;
}

int cli_devices(int argc, char **argv)
{
    static const struct argp argp = {.options = options, .parser = take, .args_doc = "[PORT]...", .doc = text};
    struct devices_arguments arguments = {.wants_json = false};
    struct error error = ERROR_INIT;
    CLEANUP(survey_done) struct survey survey = {.list = {0}};
    survey_arguments_init(&arguments.survey);
    command_parse(&argp, argc, argv, &arguments);
    if (survey_make(&arguments.survey.options, &survey, &error))
        return command_fail(&error);
    return report(&survey, arguments.wants_json);
}
