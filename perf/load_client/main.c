/* load_client: the load of many devices on one TLS server. */
#include "base/json.h"
#include "base/log.h"
#include "perf/load_client/options.h"

#include <poll.h>
#include <signal.h>
#include <sys/resource.h>

enum { EXIT_DEVICES = 1, EXIT_MACHINE = 3 };

DEFINE_CLEANUP(struct device_pool *, device_pool_free)

static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* Whoever started us measures now; a byte or the end of stdin ends it. */
static void hold(void *user)
{
    const deadline_t *deadline = user;
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    printf("{\"held\":true}\n");
    fflush(stdout);
    poll(&input, 1, (int)deadline_left_ms(&clock_system, *deadline));
}

static void print_result(const struct client_options *options, const struct load_result *result)
{
    double seconds = (double)result->wall_us / 1e6;
    printf(
        "{\"mode\":\"%s\",\"count\":%zu,\"concurrency\":%zu,\"seconds\":%.3f,\"rate\":%.1f,\"p50_ms\":%.2f,\"p90_ms\":%.2f,\"p99_ms\":%.2f,"
        "\"max_ms\":%.2f,\"failures\":%zu,\"wrong\":%zu,\"cpu_share\":%.2f}\n",
        script_names[options->load.kind], options->load.count, options->load.concurrency, seconds,
        seconds > 0 ? (double)result->done / seconds : 0, (double)result->p50_us / 1e3, (double)result->p90_us / 1e3,
        (double)result->p99_us / 1e3, (double)result->max_us / 1e3, result->failures, result->wrong,
        seconds > 0 ? (double)result->cpu_us / (double)result->wall_us : 0);
}

static int fail(const struct error *error)
{
    log_error("%s", error->text);
    return EXIT_MACHINE;
}

int main(int argc, char **argv)
{
    struct client_options options;
    struct error error = ERROR_INIT;
    struct load_result result = {0};
    CLEANUP(device_pool_free_cleanup) struct device_pool *pool = NULL;
    client_options_parse(argc, argv, &options);
    log_init("load_client", LOG_INFO);
    signal(SIGPIPE, SIG_IGN);
    raise_descriptor_limit();
    if (device_pool_new(options.issuer, options.issuer_key, options.device_count, &pool, &error))
        return fail(&error);
    options.load.pool = pool;
    options.load.deadline = deadline_in_ms(&clock_system, options.deadline_ms);
    if (options.load.kind == SCRIPT_IDLE) {
        options.load.hold = hold;
        options.load.user = &options.load.deadline;
    }
    if (load_run(&options.load, &result, &error))
        return fail(&error);
    print_result(&options, &result);
    if (result.first_failure[0])
        log_warning("%s", result.first_failure);
    return result.failures || result.wrong ? EXIT_DEVICES : 0;
}
