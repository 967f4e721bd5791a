/* dpsbench hub watch: what happens between devices and hubs, as it happens */
#include "base/cleanup.h"
#include "base/event.h"
#include "base/log.h"
#include "harness/cli/command.h"
#include "harness/cli/hub_arguments.h"
#include "reports/result.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

struct watch {
    const struct hub_arguments *arguments;
    int64_t printed;
    bool is_lost;
};

static bool is_wanted(const struct watch *watch, const cJSON *event)
{
    const char *only = watch->arguments->words[0], *hub = watch->arguments->hub;
    const cJSON *data = json_member(event, "data");
    return strncmp(json_string(event, "kind", ""), "hub.", 4) == 0 && (!only || strcmp(only, json_string(data, "device_id", "")) == 0) &&
           (!hub || strcasecmp(hub, json_string(data, "hub", "")) == 0);
}

static void print_json(const char *before, const cJSON *json)
{
    CLEANUP_FREE char *text = json ? json_print_line(json) : NULL;
    if (text)
        printf("%s%s", before, text);
}

static void print_verdict(const cJSON *data)
{
    printf("%s  %s", json_string(data, "verdict", "?"), json_string(data, "text", ""));
    if (json_string(data, "rule", NULL))
        printf(" (%s); %s", json_string(data, "rule", ""), json_string(data, "mend", ""));
}

static void print_connection(const cJSON *data)
{
    printf("%s  %s", json_string(data, "state", "?"), json_string(data, "hub", "?"));
}

static void print_telemetry(const cJSON *data)
{
    printf("telemetry  %lld bytes", (long long)json_integer(data, "payload_bytes", 0));
    print_json("  ", json_member(data, "body"));
    print_json("  ", cJSON_GetObjectItemCaseSensitive(data, "body_text"));
    print_json("  ", json_member(data, "properties"));
}

static void print_twin(const cJSON *data)
{
    printf("twin %s  %lld", json_string(data, "operation", "?"), (long long)json_integer(data, "status", 0));
    if (json_integer(data, "version", 0))
        printf("  version %lld", (long long)json_integer(data, "version", 0));
}

static void print_message(const cJSON *data)
{
    printf("message %s  %s  %lld bytes", json_string(data, "state", "?"), json_string(data, "message_id", "?"),
           (long long)json_integer(data, "payload_bytes", 0));
}

static void print_method(const cJSON *data)
{
    printf("method %s  %s", json_string(data, "outcome", "?"), json_string(data, "method", "?"));
    if (cJSON_HasObjectItem(data, "status"))
        printf("  %lld", (long long)json_integer(data, "status", 0));
}

static void print_warning(const cJSON *data)
{
    printf("warning %s  %s", json_string(data, "rule", "?"), json_string(data, "text", ""));
}

static void print_event(const cJSON *event)
{
    static const struct {
        enum event_kind kind;
        void (*print)(const cJSON *data);
    } rows[] = {
        {EVENT_HUB_VERDICT, print_verdict}, {EVENT_HUB_CONNECTION, print_connection}, {EVENT_HUB_TELEMETRY, print_telemetry},
        {EVENT_HUB_TWIN, print_twin},       {EVENT_HUB_MESSAGE, print_message},       {EVENT_HUB_METHOD, print_method},
        {EVENT_HUB_WARNING, print_warning},
    };
    char time[CLOCK_ISO8601_BYTES];
    const cJSON *data = json_member(event, "data");
    clock_format_iso8601(json_integer(event, "unix_us", 0), time);
    printf("%.12s  %-24s  ", time + 11, json_string(data, "device_id", "-"));
    enum event_kind kind = event_kind_from_name(json_string(event, "kind", ""));
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (rows[i].kind == kind)
            rows[i].print(data);
    putchar('\n');
}

static bool is_over(void *user)
{
    const struct watch *watch = user;
    return watch->is_lost || ferror(stdout) || (watch->arguments->count && watch->printed >= watch->arguments->count);
}

static void on_event(void *user, const cJSON *event)
{
    struct watch *watch = user;
    if (is_over(watch) || !is_wanted(watch, event))
        return;
    CLEANUP_FREE char *line = watch->arguments->wants_json ? json_print_line(event) : NULL;
    if (line)
        puts(line);
    else
        print_event(event);
    watch->printed++;
    fflush(stdout);
}

static void on_lost(void *user, const char *reason)
{
    struct watch *watch = user;
    log_warning("the simulator is gone: %s", reason);
    watch->is_lost = true;
}

DEFINE_CLEANUP(struct sim_link *, sim_link_close)

/* A person ends it with Ctrl-C, a script with --timeout or --count. */
static int wait(struct watch *watch, struct sim_link *link)
{
    enum { FOREVER_S = 14 * 24 * 3600 };
    struct error error = ERROR_INIT;
    const struct hub_arguments *arguments = watch->arguments;
    int64_t seconds = arguments->timeout_s < 0 ? FOREVER_S : arguments->timeout_s;
    if (waiting_until(sim_link_waiting(link), is_over, watch, deadline_in_ms(&clock_system, seconds * 1000), "events", &error) == 0)
        return watch->is_lost ? EXIT_RIG_TROUBLE : 0;
    if (error.code == ERROR_TIMEOUT && arguments->count) {
        log_error("%lld of %lld events came in %lld s", (long long)watch->printed, (long long)arguments->count, (long long)seconds);
        return EXIT_DEVICE_FAILED;
    }
    return error.code == ERROR_INTERRUPTED || error.code == ERROR_TIMEOUT ? 0 : command_fail(&error);
}

int cli_hub_watch(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"timeout", HUB_OPTION_TIMEOUT, "SECONDS", 0, "End after so long (default: never)", 0},
        {"count", HUB_OPTION_COUNT, "N", 0, "End after so many events; exit status 1 when the time is over before", 0},
        {"hub", HUB_OPTION_HUB, "HOST", 0, "Of this hub alone", 0},
        HUB_STATE_OPTION,
        {"json", HUB_OPTION_JSON, NULL, 0, "Print each event as one line of JSON", 0},
        {0},
    };
    static const struct hub_usage usage = {
        options, "[DEVICE]",
        "Print what happens between devices and hubs, as it happens: connections, refusals, telemetry, twins, messages, "
        "direct methods; of one device, or of all. Ends with Ctrl-C, or when the simulator does."
        "\vExamples:\n"
        "  dpsbench hub watch --state sim\n"
        "  dpsbench hub watch dev-01 --count 1 --timeout 60 --json --state sim\n",
        0, 1};
    struct hub_arguments arguments;
    struct watch watch = {.arguments = &arguments};
    const struct control_callbacks callbacks = {.user = &watch, .on_event = on_event, .on_lost = on_lost};
    struct error error = ERROR_INIT;
    CLEANUP(sim_link_close_cleanup) struct sim_link *link = NULL;
    hub_arguments_read(&usage, argc, argv, &arguments);
    if (sim_link_open(arguments.state, &callbacks, &link, &error))
        return command_fail(&error);
    fputs("watching; Ctrl-C ends\n", stderr);
    return wait(&watch, link);
}
