#include "broker_sim/broker/broker.h"

#include "base/child.h"
#include "base/cleanup.h"
#include "base/files.h"
#include "broker_sim/broker/keeper.h"
#include "broker_sim/broker/mosquitto_conf.h"
#include "broker_sim/broker/reserved_port.h"
#include "broker_sim/broker/runtime_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

enum {
    STOP_GRACE_MS = 2000,
    PROBE_INTERVAL_MS = 5,
    PROBE_DEADLINE_MS = 10000,
    RESTART_FIRST_MS = 25,
    RESTART_MAX_MS = 1000,
    RESTART_WINDOW_MS = 60000,
    REASON_MAX_BYTES = 512,
    COMPLAINT_MAX_BYTES = 200,
    LOG_MAX_BYTES = 16 * 1024 * 1024,
    VERSION_MAX_BYTES = 16, /* as in sscanf below */
    VERSION_DEADLINE_MS = 2000,
    HELP_MAX_BYTES = 256,
};

struct broker {
    uv_loop_t *loop;
    struct broker_callbacks callbacks;
    char *dir;
    char *device_path, *service_path, *hand_path, *conf_path, *log_path;
    struct reserved_port control, observer;
    struct keeper *keeper;
    struct child *child; /* NULL between an end and the next start */
    uv_timer_t *timer;   /* the next probe, or the next start */
    deadline_t probe_deadline;
    int64_t restarts_us[BROKER_RESTARTS_MAX]; /* a ring */
    size_t restart_count;
    char version[VERSION_MAX_BYTES]; /* "": not asked yet, or not told */
};

static void free_broker(struct broker *broker)
{
    if (broker->timer)
        uv_close((uv_handle_t *)broker->timer, (uv_close_cb)free);
    child_stop(broker->child, SIGTERM, STOP_GRACE_MS);
    child_free(broker->child);
    keeper_stop(broker->keeper);
    if (broker->dir)
        dir_remove(broker->dir, NULL);
    reserved_port_close(&broker->control);
    reserved_port_close(&broker->observer);
    free(broker->device_path);
    free(broker->service_path);
    free(broker->hand_path);
    free(broker->conf_path);
    free(broker->log_path);
    free(broker->dir);
    free(broker);
}

DEFINE_CLEANUP(struct broker *, free_broker)

static void start_later(struct broker *broker, int64_t delay_ms);

/* What Mosquitto complained of first, "" when it did not: behind it follow only OpenSSL's layers. "1795298115: Error: Unable to ..." */
static void read_complaint(const struct broker *broker, char *text)
{
    static const char mark[] = "Error: ";
    CLEANUP(bytes_done) struct bytes log = {0};
    text[0] = 0;
    if (file_read(broker->log_path, LOG_MAX_BYTES, &log, NULL))
        return;
    const char *complaint = strstr(bytes_text(&log), mark);
    if (!complaint)
        return;
    complaint += strlen(mark);
    snprintf(text, COMPLAINT_MAX_BYTES, "%.*s", (int)strcspn(complaint, "\r\n"), complaint);
}

static void describe_end(const struct broker *broker, int status, char *reason)
{
    char how[CHILD_STATUS_TEXT_BYTES], complaint[COMPLAINT_MAX_BYTES];
    child_status_text(status, how);
    read_complaint(broker, complaint);
    snprintf(reason, REASON_MAX_BYTES, "Mosquitto ended with %s%s%s", how, complaint[0] ? ": " : "", complaint);
}

/* How many restarts lie within the window, this one not counted. */
static size_t recent_restarts(const struct broker *broker)
{
    int64_t since = clock_mono_us(&clock_system) - (int64_t)RESTART_WINDOW_MS * 1000;
    size_t known = broker->restart_count < BROKER_RESTARTS_MAX ? broker->restart_count : BROKER_RESTARTS_MAX;
    size_t recent = 0;
    for (size_t i = 0; i < known; i++)
        recent += broker->restarts_us[i] >= since;
    return recent;
}

static int64_t restart_delay_ms(size_t recent)
{
    int64_t delay = recent ? RESTART_FIRST_MS : 0;
    for (size_t i = 1; i < recent && delay < RESTART_MAX_MS; i++)
        delay *= 2;
    return delay < RESTART_MAX_MS ? delay : RESTART_MAX_MS;
}

/* May call back; the caller must not touch the broker's child afterwards. */
static void restart(struct broker *broker, const char *reason)
{
    size_t recent = recent_restarts(broker);
    if (recent >= BROKER_RESTARTS_MAX) {
        if (broker->callbacks.gave_up)
            broker->callbacks.gave_up(broker->callbacks.user, reason);
        return;
    }
    broker->restarts_us[broker->restart_count++ % BROKER_RESTARTS_MAX] = clock_mono_us(&clock_system);
    start_later(broker, restart_delay_ms(recent));
    if (broker->callbacks.down)
        broker->callbacks.down(broker->callbacks.user, reason);
}

static void on_exit_of_child(void *user, struct child *child, int status)
{
    struct broker *broker = user;
    char reason[REASON_MAX_BYTES];
    describe_end(broker, status, reason);
    child_free(child);
    broker->child = NULL;
    uv_timer_stop(broker->timer); /* it may be probing */
    keeper_watch(broker->keeper, 0);
    restart(broker, reason);
}

static bool accepts_connections(const char *path)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    CLEANUP_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    snprintf(name.sun_path, sizeof name.sun_path, "%s", path);
    return fd >= 0 && connect(fd, (struct sockaddr *)&name, sizeof name) == 0;
}

static void on_probe(uv_timer_t *timer)
{
    struct broker *broker = timer->data;
    if (accepts_connections(broker->hand_path)) {
        uv_timer_stop(timer);
        if (broker->callbacks.up)
            broker->callbacks.up(broker->callbacks.user);
        return;
    }
    if (!deadline_has_passed(&clock_system, broker->probe_deadline))
        return;
    uv_timer_stop(timer);
    child_signal(broker->child, SIGKILL); /* on_exit_of_child starts another */
}

/* Debian puts Mosquitto where only root's PATH leads. */
static const char *find_mosquitto(void)
{
    static const char *const places[] = {"/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"};
    const char *path = getenv("PATH");
    CLEANUP_FREE char *list = strdup(path ? path : "");
    char *rest = NULL;
    for (char *dir = list ? strtok_r(list, ":", &rest) : NULL; dir; dir = strtok_r(NULL, ":", &rest)) {
        CLEANUP_FREE char *candidate = path_join(dir, "mosquitto");
        if (candidate && access(candidate, X_OK) == 0)
            return "mosquitto";
    }
    for (size_t i = 0; i < ARRAY_COUNT(places); i++)
        if (access(places[i], X_OK) == 0)
            return places[i];
    return NULL;
}

/* Mosquitto has no switch for its version; its help begins with it. The help fits into a pipe: nobody reads while it is written. */
static void ask_version(struct broker *broker, int read_fd, int write_fd)
{
    const char *const argv[] = {find_mosquitto(), "-h", NULL};
    const struct child_options options = {.argv = argv, .stdin_fd = -1, .stdout_fd = write_fd, .stderr_fd = -1, .death_signal = SIGKILL};
    struct child *child = NULL;
    char help[HELP_MAX_BYTES] = "";
    if (!argv[0] || child_start(&options, &child, NULL))
        return;
    if (child_wait(child, deadline_in_ms(&clock_system, VERSION_DEADLINE_MS), NULL, NULL) == 0 && read(read_fd, help, sizeof help - 1) > 0)
        sscanf(help, "mosquitto version %15[0-9A-Za-z.+~-]", broker->version);
    child_free(child);
}

const char *broker_version(struct broker *broker)
{
    int fds[2];
    if (broker->version[0] || pipe2(fds, O_CLOEXEC | O_NONBLOCK))
        return broker->version;
    ask_version(broker, fds[0], fds[1]);
    close(fds[0]);
    close(fds[1]);
    return broker->version;
}

static int start_child(struct broker *broker, struct error *error)
{
    const char *program = find_mosquitto();
    if (!program)
        return error_set(error, ERROR_OWNER_RIG, ERROR_NOT_FOUND, "start Mosquitto: it is not installed; apt-get install mosquitto");
    CLEANUP_FD int log_fd = open(broker->log_path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    if (log_fd < 0)
        return error_set_errno(error, ERROR_OWNER_RIG, errno, "write '%s'", broker->log_path);
    const char *const argv[] = {program, "-c", broker->conf_path, NULL};
    const struct child_options options = {.argv = argv,
                                          .stdin_fd = -1,
                                          .stdout_fd = log_fd,
                                          .stderr_fd = log_fd,
                                          .death_signal = SIGTERM,
                                          .has_own_group = true, /* the last events still go out after Ctrl-C */
                                          .loop = broker->loop,
                                          .on_exit = on_exit_of_child,
                                          .user = broker};
    if (child_start(&options, &broker->child, error))
        return -1;
    keeper_watch(broker->keeper, child_pid(broker->child));
    broker->probe_deadline = deadline_in_ms(&clock_system, PROBE_DEADLINE_MS);
    uv_timer_start(broker->timer, on_probe, PROBE_INTERVAL_MS, PROBE_INTERVAL_MS);
    return 0;
}

static void on_start_timer(uv_timer_t *timer)
{
    struct broker *broker = timer->data;
    struct error error = ERROR_INIT;
    if (start_child(broker, &error))
        restart(broker, error.text);
}

static void start_later(struct broker *broker, int64_t delay_ms)
{
    uv_timer_start(broker->timer, on_start_timer, (uint64_t)delay_ms, 0);
}

static int make_timer(struct broker *broker, struct error *error)
{
    broker->timer = calloc(1, sizeof *broker->timer);
    if (!broker->timer)
        return error_set_memory(error);
    uv_timer_init(broker->loop, broker->timer);
    broker->timer->data = broker;
    return 0;
}

static int make_paths(struct broker *broker, struct error *error)
{
    if (runtime_dir_make(&broker->dir, error))
        return -1;
    broker->device_path = path_join(broker->dir, MOSQUITTO_DEVICE_SOCKET);
    broker->service_path = path_join(broker->dir, MOSQUITTO_SERVICE_SOCKET);
    broker->hand_path = path_join(broker->dir, MOSQUITTO_HAND_SOCKET);
    broker->conf_path = path_join(broker->dir, MOSQUITTO_CONF_FILE);
    broker->log_path = path_join(broker->dir, MOSQUITTO_LOG_FILE);
    if (!broker->device_path || !broker->service_path || !broker->hand_path || !broker->conf_path || !broker->log_path)
        return error_set_memory(error);
    return 0;
}

static int write_conf(const struct broker *broker, const struct broker_options *options, struct error *error)
{
    const struct mosquitto_conf conf = {.dir = broker->dir,
                                        .address = options->address,
                                        .control_port = broker->control.port,
                                        .observer_port = broker->observer.port,
                                        .control_ca = options->control_ca,
                                        .server_cert = options->server_cert,
                                        .server_key = options->server_key};
    return mosquitto_conf_write(&conf, error);
}

int broker_start(const struct broker_options *options, struct broker **ret_broker, struct error *error)
{
    CLEANUP(free_broker_cleanup) struct broker *broker = calloc(1, sizeof *broker);
    if (!broker)
        return error_set_memory(error);
    *broker = (struct broker){.loop = options->loop, .callbacks = options->callbacks, .control.fd = -1, .observer.fd = -1};
    if (make_paths(broker, error) || keeper_start(broker->dir, options->ready_path, &broker->keeper, error))
        return -1;
    if (reserved_port_open(options->address, options->control_port, &broker->control, error) ||
        reserved_port_open(options->address, 0, &broker->observer, error))
        return -1;
    if (write_conf(broker, options, error) || make_timer(broker, error) || start_child(broker, error))
        return -1;
    *ret_broker = TAKE(broker);
    return 0;
}

void broker_stop(struct broker *broker)
{
    if (broker)
        free_broker(broker);
}

const char *broker_device_path(const struct broker *broker)
{
    return broker->device_path;
}

const char *broker_service_path(const struct broker *broker)
{
    return broker->service_path;
}

const char *broker_hand_path(const struct broker *broker)
{
    return broker->hand_path;
}

uint16_t broker_control_port(const struct broker *broker)
{
    return broker->control.port;
}

uint16_t broker_observer_port(const struct broker *broker)
{
    return broker->observer.port;
}

int broker_pid(const struct broker *broker)
{
    return broker->child ? (int)child_pid(broker->child) : 0;
}
