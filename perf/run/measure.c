#include "perf/run/measure.h"

#include "base/files.h"
#include "base/log.h"
#include "perf/run/server.h"
#include "perf/run/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

enum { CLIENT_MS = 90000, SUITE_MS = 120000, STARTS_MAX = 25, NUMBER_BYTES = 24, WARM_UP_COUNT = 64, CONNECTING_COUNT = 64 };

#define SUITE_LOG "suite.log"

DEFINE_CLEANUP(struct child *, child_free)

const char *const load_names[LOAD_COUNT] = {
    [LOAD_BARE] = "bare TLS loop",
    [LOAD_BARE_LIBRARY] = "bare TLS loop, front door's library",
    [LOAD_MOSQUITTO] = "Mosquitto's TLS listener, CONNACK",
    [LOAD_CONNACK] = "simulator, CONNACK",
    [LOAD_REGISTRATION] = "simulator, registration",
};

static const char *const modes[LOAD_COUNT] = {[LOAD_BARE] = "handshake",
                                              [LOAD_BARE_LIBRARY] = "handshake",
                                              [LOAD_MOSQUITTO] = "connack",
                                              [LOAD_CONNACK] = "connack",
                                              [LOAD_REGISTRATION] = "registration"};

/* Statistics. */

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

struct ratio figures_spread(double *values, size_t count)
{
    if (!count)
        return (struct ratio){0};
    qsort(values, count, sizeof *values, compare);
    double median = count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
    return (struct ratio){median, values[0], values[count - 1]};
}

double figures_rate(const struct figures *figures, enum load_id load)
{
    double values[ROUNDS_MAX];
    for (size_t i = 0; i < figures->rounds; i++)
        values[i] = figures->samples[load][i].rate;
    return figures_spread(values, figures->rounds).median;
}

double figures_cpu_us(const struct figures *figures, enum load_id load)
{
    double values[ROUNDS_MAX];
    for (size_t i = 0; i < figures->rounds; i++)
        values[i] = figures->samples[load][i].server_cpu_us;
    return figures_spread(values, figures->rounds).median;
}

struct ratio figures_rate_ratio(const struct figures *figures, enum load_id load, enum load_id base)
{
    double values[ROUNDS_MAX];
    for (size_t i = 0; i < figures->rounds; i++) {
        double rate = figures->samples[base][i].rate;
        values[i] = rate > 0 ? figures->samples[load][i].rate / rate : 0;
    }
    return figures_spread(values, figures->rounds);
}

struct ratio figures_core_ratio(const struct figures *figures, enum load_id load, enum load_id base)
{
    double values[ROUNDS_MAX];
    for (size_t i = 0; i < figures->rounds; i++) {
        double cpu_us = figures->samples[load][i].server_cpu_us;
        values[i] = cpu_us > 0 ? figures->samples[base][i].server_cpu_us / cpu_us : 0;
    }
    return figures_spread(values, figures->rounds);
}

/* The client. */

struct client {
    struct child *child;
    int input_fd;  /* closing it ends what is held */
    int output_fd; /* its lines */
};

static void client_done(struct client *client)
{
    if (client->input_fd >= 0)
        close(client->input_fd);
    if (client->output_fd >= 0)
        close(client->output_fd);
    child_stop(client->child, SIGTERM, 0);
    child_free(client->child);
}

static int client_start(const struct lab *lab, const struct server *server, const char *mode, size_t count, size_t concurrency,
                        struct client *client, struct error *error)
{
    char path[LAB_PATH_BYTES + 16], count_text[NUMBER_BYTES], concurrency_text[NUMBER_BYTES];
    const char *const program[] = {path,        "--connect",    server->address, "--mode",         mode,
                                   "--count",   count_text,     "--concurrency", concurrency_text, "--issuer",
                                   lab->issuer, "--issuer-key", lab->issuer_key, "--id-scope",     LAB_ID_SCOPE,
                                   NULL};
    int input[2], output[2];
    snprintf(path, sizeof path, "%s/load_client", lab->programs);
    snprintf(count_text, sizeof count_text, "%zu", count);
    snprintf(concurrency_text, sizeof concurrency_text, "%zu", concurrency);
    if (pipe2(input, O_CLOEXEC))
        return error_set_errno(error, ERROR_OWNER_RIG, errno, "make a pipe");
    CLEANUP_FD int input_fd = input[0];
    client->input_fd = input[1];
    if (pipe2(output, O_CLOEXEC))
        return error_set_errno(error, ERROR_OWNER_RIG, errno, "make a pipe");
    CLEANUP_FD int output_fd = output[1];
    client->output_fd = output[0];
    const int fds[] = {input_fd, output_fd, STDERR_FILENO};
    return program_start(lab->client_core, program, fds, &client->child, error);
}

static int read_line(const struct client *client, cJSON **ret_json, struct error *error)
{
    return program_read_line("load_client", client->output_fd, deadline_in_ms(&clock_system, CLIENT_MS), ret_json, error);
}

/* Rates. */

static int run_load(const struct lab *lab, const struct server *server, enum load_id load, size_t count, size_t concurrency,
                    struct sample *ret_sample, struct error *error)
{
    CLEANUP(client_done) struct client client = {.input_fd = -1, .output_fd = -1};
    CLEANUP_JSON cJSON *json = NULL;
    struct server_use before, after;
    if (server_read_use(server, &before, error) || client_start(lab, server, modes[load], count, concurrency, &client, error) ||
        read_line(&client, &json, error) || server_read_use(server, &after, error))
        return -1;
    *ret_sample = (struct sample){
        .rate = json_number(json, "rate", 0),
        .p50_ms = json_number(json, "p50_ms", 0),
        .p90_ms = json_number(json, "p90_ms", 0),
        .p99_ms = json_number(json, "p99_ms", 0),
        .server_cpu_us = (double)(after.cpu_us - before.cpu_us) / (double)count,
        .client_share = json_number(json, "cpu_share", 0),
        .failures = json_integer(json, "failures", 0),
        .wrong = json_integer(json, "wrong", 0),
    };
    return 0;
}

struct field {
    struct server bare, bare_library, mosquitto, simulator;
};

static void field_stop(struct field *field)
{
    server_stop(&field->bare);
    server_stop(&field->bare_library);
    server_stop(&field->mosquitto);
    server_stop(&field->simulator);
}

static int field_start(const struct lab *lab, struct field *field, struct error *error)
{
    if (server_start_bare_loop(lab, NULL, &field->bare, error) ||
        server_start_bare_loop(lab, "--front-door-library", &field->bare_library, error))
        return -1;
    return server_start_mosquitto(lab, &field->mosquitto, error) || server_start_simulator(lab, &field->simulator, error) ? -1 : 0;
}

static const struct server *server_of(const struct field *field, enum load_id load)
{
    switch (load) {
    case LOAD_BARE:
        return &field->bare;
    case LOAD_BARE_LIBRARY:
        return &field->bare_library;
    case LOAD_MOSQUITTO:
        return &field->mosquitto;
    default:
        return &field->simulator;
    }
}

static int run_round(const struct lab *lab, const struct field *field, size_t round, struct figures *figures, struct error *error)
{
    for (int i = 0; i < LOAD_COUNT; i++) {
        enum load_id load = (enum load_id)(round % 2 ? LOAD_COUNT - 1 - i : i);
        struct sample *sample = &figures->samples[load][round];
        if (run_load(lab, server_of(field, load), load, figures->count, figures->concurrency, sample, error))
            return -1;
        log_info("round %zu of %zu: %s: %.0f a second%s", round + 1, figures->rounds, load_names[load], sample->rate,
                 sample->failures || sample->wrong ? ", WITH FAILURES" : "");
    }
    return 0;
}

/* First accesses, first allocations, the first fetch of each algorithm. */
static int warm_up(const struct lab *lab, const struct field *field, struct error *error)
{
    struct sample unused;
    for (int load = 0; load < LOAD_COUNT; load++)
        if (run_load(lab, server_of(field, (enum load_id)load), (enum load_id)load, WARM_UP_COUNT, WARM_UP_COUNT, &unused, error))
            return -1;
    return 0;
}

int measure_rates(const struct lab *lab, struct figures *figures, struct error *error)
{
    CLEANUP(field_stop) struct field field = {0};
    if (field_start(lab, &field, error) || warm_up(lab, &field, error))
        return -1;
    for (size_t round = 0; round < figures->rounds; round++)
        if (run_round(lab, &field, round, figures, error))
            return -1;
    return 0;
}

/* Memory of devices that do nothing. */

static int hold_devices(const struct lab *lab, const struct server *server, size_t count, struct server_use *ret_use, struct error *error)
{
    CLEANUP(client_done) struct client client = {.input_fd = -1, .output_fd = -1};
    CLEANUP_JSON cJSON *held = NULL, *end = NULL;
    if (client_start(lab, server, "idle", count, CONNECTING_COUNT, &client, error) || read_line(&client, &held, error) ||
        server_read_use(server, ret_use, error))
        return -1;
    close(client.input_fd);
    client.input_fd = -1;
    if (read_line(&client, &end, error))
        return -1;
    int64_t failed = json_integer(end, "failures", 0) + json_integer(end, "wrong", 0);
    return failed ? error_set(error, ERROR_OWNER_OURS, ERROR_OTHER, "%lld of %zu idle devices failed", (long long)failed, count) : 0;
}

int measure_idle(const struct lab *lab, size_t count, struct figures *figures, struct error *error)
{
    CLEANUP(server_stop) struct server simulator = {0};
    struct server_use before, after;
    struct sample unused;
    /* The first devices bring the libraries' pages into memory: those are no device's. */
    if (server_start_simulator(lab, &simulator, error) ||
        run_load(lab, &simulator, LOAD_REGISTRATION, WARM_UP_COUNT, WARM_UP_COUNT, &unused, error) ||
        server_read_use(&simulator, &before, error) || hold_devices(lab, &simulator, count, &after, error))
        return -1;
    figures->idle_count = count;
    figures->idle_bytes = (double)(after.resident_bytes - before.resident_bytes) / (double)count;
    figures->idle_broker_bytes = (double)(after.broker_bytes - before.broker_bytes) / (double)count;
    log_info("%zu idle devices: %.1f KiB each", count, figures->idle_bytes / 1024);
    return 0;
}

/* Starting. */

int measure_ready(struct lab *lab, size_t starts, struct figures *figures, struct error *error)
{
    double values[STARTS_MAX];
    for (size_t i = 0; i <= starts && i <= STARTS_MAX; i++) {
        CLEANUP(server_stop) struct server simulator = {0};
        if (server_start_simulator(lab, &simulator, error))
            return -1;
        if (i > 0)
            values[i - 1] = (double)simulator.ready_us / 1000;
    }
    figures->ready_ms = figures_spread(values, starts).median;
    log_info("ready in %.0f ms", figures->ready_ms);
    return lab_take_server_pki(lab, error);
}

/* The suite. */

static int wait_for_suite(const struct lab *lab, struct child *child, struct error *error)
{
    int status;
    if (child_wait(child, deadline_in_ms(&clock_system, SUITE_MS), &status, error) == 0 && WIFEXITED(status) && WEXITSTATUS(status) <= 1)
        return 0; /* 1: a row failed, which is not our business here */
    program_show_log(lab, SUITE_LOG);
    return error_set(error, ERROR_OWNER_RIG, ERROR_OTHER, "dpsbench run did not end well within %d s", SUITE_MS / 1000);
}

/* Not on one core: the suite has the machine. */
static int run_suite(const struct lab *lab, const char *dir, struct suite *suite, struct error *error)
{
    CLEANUP(child_free_cleanup) struct child *child = NULL;
    CLEANUP_FD int log_fd = program_open_log(lab, SUITE_LOG);
    const char *const program[] = {lab->harness, "run", "--out", dir, NULL};
    const struct child_options options = {
        .argv = program, .stdin_fd = -1, .stdout_fd = log_fd, .stderr_fd = log_fd, .death_signal = SIGTERM};
    int64_t began_us = clock_mono_us(&clock_system);
    if (child_start(&options, &child, error) || wait_for_suite(lab, child, error))
        return -1;
    suite->wall_s = (double)(clock_mono_us(&clock_system) - began_us) / 1e6;
    return 0;
}

int measure_suite(const struct lab *lab, struct figures *figures, struct error *error)
{
    char dir[LAB_PATH_BYTES];
    struct suite_cost cost;
    if (!path_exists(lab->harness))
        return 0;
    lab_path(lab, "suite", dir);
    if (run_suite(lab, dir, &figures->suite, error) || suite_read_cost(dir, &cost, error))
        return -1;
    figures->suite.is_there = true;
    figures->suite.rows = cost.rows;
    figures->suite.overhead_ms = cost.overhead_ms;
    log_info("the suite: %lld rows in %.1f s", (long long)cost.rows, figures->suite.wall_s);
    return 0;
}
