/* dpsbench plan */
#include "base/arguments.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "harness/cli/cli.h"
#include "harness/cli/run_words.h"
#include "harness/rig/place.h"
#include "harness/run/plan.h"
#include "reports/result.h"

#include <string.h>

enum { SELECTORS_MAX = 256, OPTION_JSON = 256, OPTION_CASES, OPTION_RIG, OPTION_DEVICE, OPTION_ORDER };

struct plan_arguments {
    const char *selectors[SELECTORS_MAX];
    size_t selector_count;
    const char *cases;
    const char *rig;
    const char *device;
    bool keeps_order;
    bool wants_json;
};

static const struct argp_option options[] = {
    {"rig", OPTION_RIG, "FILE", 0, "The rig (docs/rig.md). Default: the virtual DK of `dpsbench run`", 0},
    {"device", OPTION_DEVICE, "ID", 0, "This device of the rig alone. Default: each that is connected", 0},
    {"cases", OPTION_CASES, "DIR", 0, "Another folder of cases", 0},
    {"order", OPTION_ORDER, "ORDER", 0, "planned (default), or listed: what the order of `dpsbench list` costs", 0},
    {"json", OPTION_JSON, NULL, 0, "Print one JSON document", 0},
    {0},
};

static const char text[] = "Show in which order the rows that SELECT names (default: all) would run on each device of a rig, and what that "
                           "costs: writes to the modem's "
                           "flash, resets, assignments to forget, minutes; beside it what the order of `dpsbench list` would cost, and "
                           "what no order can go below. Nothing "
                           "runs. docs/plan.md says how the costs are reckoned."
                           "\vExamples:\n"
                           "  dpsbench plan\n"
                           "  dpsbench plan refused --rig fixtures/rigs/nrf9160dk.yaml\n"
                           "  dpsbench plan --json | jq '.devices[].planned'\n";

static error_t take(int key, char *word, struct argp_state *state)
{
    struct plan_arguments *arguments = state->input;
    switch (key) {
    case OPTION_CASES:
        arguments->cases = word;
        return 0;
    case OPTION_RIG:
        arguments->rig = word;
        return 0;
    case OPTION_DEVICE:
        arguments->device = word;
        return 0;
    case OPTION_ORDER:
        arguments->keeps_order = run_words_keeps_order(word, state);
        return 0;
    case OPTION_JSON:
        arguments->wants_json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (arguments->selector_count == SELECTORS_MAX)
            arguments_refuse(state, "more than %d selectors", SELECTORS_MAX);
        arguments->selectors[arguments->selector_count++] = word;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* ---- JSON ---- */

static cJSON *bill_to_json(const struct order_bill *bill)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (!json || json_set_integer(json, "credential_writes", (int64_t)bill->writes) ||
        json_set_integer(json, "resets", (int64_t)bill->resets) || json_set_integer(json, "forgets", (int64_t)bill->forgets) ||
        json_set(json, "device_s", cJSON_CreateNumber(bill->device_s)))
        return NULL;
    return TAKE(json);
}

static cJSON *rows_to_json(const struct case_list *rows, size_t first, size_t end)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateArray();
    for (size_t i = first; json && i < end; i++)
        if (!cJSON_AddItemToArray(json, cJSON_CreateString(rows->rows[i]->id)))
            return NULL;
    return TAKE(json);
}

static cJSON *device_to_json(const struct rig_device *device, const struct case_list *rows, const struct device_plan *plan)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (!json || json_set_string(json, "id", device->id) || json_set_string(json, "forgets_by", forget_way_text(plan->forget)) ||
        json_set(json, "planned", bill_to_json(&plan->planned)) || json_set(json, "as_listed", bill_to_json(&plan->as_listed)) ||
        json_set(json, "bound", bill_to_json(&plan->bound)) || json_set_integer(json, "stuck", (int64_t)plan->stuck_count) ||
        json_set(json, "rows", rows_to_json(rows, 0, plan->row_count)) ||
        json_set(json, "unmet", rows_to_json(rows, plan->row_count, rows->count)))
        return NULL;
    return TAKE(json);
}

static int print_json(const struct plan *plan)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    cJSON *devices = json ? cJSON_AddArrayToObject(json, "devices") : NULL;
    for (size_t i = 0; devices && i < plan->device_count; i++)
        if (!cJSON_AddItemToArray(devices, device_to_json(plan->devices[i].device, &plan->devices[i].rows, &plan->devices[i].plan)))
            return -1;
    if (!devices || json_set_integer(json, "v", 1))
        return -1;
    CLEANUP_FREE char *printed = json_print_pretty(json);
    return printed && fputs(printed, stdout) >= 0 ? 0 : -1;
}

/* ---- for a person ---- */

static void print_row(const struct rig_device *device, const struct case_row *row, size_t number)
{
    const char *need = device_unmet_need(device, row);
    if (need)
        printf("    -  %s (needs '%s')\n", row->id, need);
    else
        printf("%5zu  %s%s\n", number, row->id, row_leaves_assignment(row) ? "  (leaves an assignment)" : "");
}

static void print_bill(const char *name, const struct order_bill *bill)
{
    printf("  %-18s %6zu %7zu %8zu %9.1f\n", name, bill->writes, bill->resets, bill->forgets, bill->device_s / 60);
}

static void print_device(const struct rig_device *device, const struct case_list *rows, const struct device_plan *plan)
{
    printf("%s: %zu rows; a stored assignment is forgotten by: %s\n", device->id, plan->row_count, forget_way_text(plan->forget));
    for (size_t i = 0; i < rows->count; i++)
        print_row(device, rows->rows[i], i + 1);
    printf("\n  %-18s %6s %7s %8s %9s\n", "", "writes", "resets", "forgets", "minutes");
    print_bill("planned", &plan->planned);
    print_bill("as listed", &plan->as_listed);
    print_bill("no order below", &plan->bound);
    if (plan->stuck_count)
        printf(
            "  %zu rows will be skipped: an assignment is stored by then and nothing in the rig can forget it (docs/rig.md, \"The stored "
            "assignment\")\n",
            plan->stuck_count);
    if (plan->unmet_count)
        printf("  %zu rows will be skipped: the device does not offer what they need\n", plan->unmet_count);
}

static void print_text(const struct plan *plan)
{
    for (size_t i = 0; i < plan->device_count; i++) {
        if (i)
            putchar('\n');
        print_device(plan->devices[i].device, &plan->devices[i].rows, &plan->devices[i].plan);
    }
    puts("\nSeconds of a board are assumed, not measured: docs/plan.md.");
}

/* ---- the command ---- */

static int fail(const struct error *error)
{
    int code = command_fail(error);
    return error->owner == ERROR_OWNER_FILE && error->code == ERROR_NOT_FOUND ? EXIT_NOTHING_SELECTED : code;
}

static int show(const struct rig *rig, const struct plan_arguments *arguments)
{
    struct error error = ERROR_INIT;
    CLEANUP_FREE char *cases = NULL;
    CLEANUP(plan_done) struct plan plan = {.device_count = 0};
    if (!arguments->cases && place_data("cases", &cases, &error))
        return command_fail(&error);
    const struct run_options run = {
        .rig = rig,
        .cases_directory = arguments->cases ? arguments->cases : cases,
        .cases_shown = arguments->cases ? arguments->cases : "cases",
        .selectors = arguments->selectors,
        .selector_count = arguments->selector_count,
        .device_id = arguments->device,
        .keeps_order = arguments->keeps_order,
    };
    if (plan_make(&run, &plan, &error))
        return fail(&error);
    if (!arguments->wants_json)
        print_text(&plan);
    else if (print_json(&plan))
        return error_set_memory(&error), command_fail(&error);
    return EXIT_SUCCESS;
}

int cli_plan(int argc, char **argv)
{
    static const struct argp argp = {.options = options, .parser = take, .args_doc = "[SELECT]...", .doc = text};
    struct plan_arguments arguments = {0};
    struct error error = ERROR_INIT;
    CLEANUP(rig_done) struct rig rig = {0};
    command_parse(&argp, argc, argv, &arguments);
    if (arguments.rig ? rig_read_file(arguments.rig, &rig, &error) : rig_builtin(&rig, &error))
        return command_fail(&error);
    return show(&rig, &arguments);
}
