#include "perf/run/server.h"

#include "base/files.h"
#include "base/log.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum {
    START_MS = 20000,
    STOP_MS = 5000,
    LINE_MAX_BYTES = 16 * 1024,
    PROC_MAX_BYTES = 64 * 1024,
    ARGUMENTS_MAX = 24,
    CORE_TEXT_BYTES = 16,
    PROBE_MS = 10,
    CHILDREN_MAX = 16,
};

/* Starting. */

int program_start(int core, const char *const *program, const int fds[3], struct child **ret_child, struct error *error)
{
    char core_text[CORE_TEXT_BYTES];
    const char *arguments[ARGUMENTS_MAX] = {"taskset", "-c", core_text};
    snprintf(core_text, sizeof core_text, "%d", core);
    for (size_t i = 0; program[i] && i + 4 < ARGUMENTS_MAX; i++)
        arguments[i + 3] = program[i];
    const struct child_options options = {
        .argv = arguments, .stdin_fd = fds[0], .stdout_fd = fds[1], .stderr_fd = fds[2], .death_signal = SIGTERM};
    return child_start(&options, ret_child, error);
}

/* What a server says is of interest only when it fails. */

int program_open_log(const struct lab *lab, const char *name)
{
    char path[LAB_PATH_BYTES];
    lab_path(lab, name, path);
    return open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
}

void program_show_log(const struct lab *lab, const char *name)
{
    char path[LAB_PATH_BYTES];
    CLEANUP(bytes_done) struct bytes text = {0};
    lab_path(lab, name, path);
    if (file_read(path, PROC_MAX_BYTES, &text, NULL) == 0)
        log_info("%s said:\n%s", name, bytes_text(&text));
}

static int start(const struct lab *lab, const char *const *program, struct server *server, struct error *error)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC))
        return error_set_errno(error, ERROR_OWNER_RIG, errno, "make a pipe");
    CLEANUP_FD int write_fd = ends[1];
    CLEANUP_FD int log_fd = program_open_log(lab, server->name);
    const int fds[] = {-1, write_fd, log_fd};
    server->output_fd = ends[0];
    return program_start(lab->server_core, program, fds, &server->child, error);
}

int program_read_line(const char *name, int output_fd, deadline_t deadline, cJSON **ret_json, struct error *error)
{
    CLEANUP(bytes_done) struct bytes line;
    bytes_init(&line, LINE_MAX_BYTES);
    for (char byte = 0; byte != '\n';) {
        struct pollfd input = {.fd = output_fd, .events = POLLIN};
        if (poll(&input, 1, (int)deadline_left_ms(&clock_system, deadline)) <= 0)
            return error_set(error, ERROR_OWNER_RIG, ERROR_TIMEOUT, "%s did not say a line in time", name);
        if (read(output_fd, &byte, 1) != 1 || bytes_append_byte(&line, (uint8_t)byte))
            return error_set(error, ERROR_OWNER_RIG, ERROR_IO, "%s ended too early", name);
    }
    cJSON *json = json_parse(bytes_text(&line), line.length_bytes, name, error);
    if (!json)
        return -1;
    *ret_json = json;
    return 0;
}

static int read_address(struct server *server, const char *member, struct error *error)
{
    CLEANUP_JSON cJSON *json = NULL;
    if (program_read_line(server->name, server->output_fd, deadline_in_ms(&clock_system, START_MS), &json, error))
        return -1;
    snprintf(server->address, sizeof server->address, "%s", json_string(json, member, ""));
    return 0;
}

static int start_and_ask(const struct lab *lab, const char *const *program, const char *member, struct server *ret_server,
                         struct error *error)
{
    int64_t began_us = clock_mono_us(&clock_system);
    if (start(lab, program, ret_server, error) || read_address(ret_server, member, error)) {
        program_show_log(lab, ret_server->name);
        server_stop(ret_server);
        return -1;
    }
    ret_server->ready_us = clock_mono_us(&clock_system) - began_us;
    return 0;
}

int server_start_simulator(const struct lab *lab, struct server *ret_server, struct error *error)
{
    const char *const program[] = {lab->simulator, "--state", lab->state, "--server-key", lab->key_kind, "--id-scope", LAB_ID_SCOPE, NULL};
    *ret_server = (struct server){.name = "dpsbench-sim", .output_fd = -1};
    return start_and_ask(lab, program, "dps", ret_server, error);
}

int server_start_bare_loop(const struct lab *lab, const char *more, struct server *ret_server, struct error *error)
{
    char path[LAB_PATH_BYTES + 16];
    const char *const program[] = {path, "--certificate", lab->server_chain, "--key", lab->server_key, more, NULL};
    snprintf(path, sizeof path, "%s/bare_loop", lab->programs);
    *ret_server = (struct server){.name = "bare_loop", .output_fd = -1};
    return start_and_ask(lab, program, "address", ret_server, error);
}

/* Mosquitto. It cannot ask the kernel for a port, nor say that it serves. */

static int reserve_port(uint16_t *ret_port, int *ret_fd, struct error *error)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    const int on = 1;
    CLEANUP_FD int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    /* Bound and never listening, with SO_REUSEADDR: Mosquitto, which sets that too, may bind it, and nobody else is offered it. */
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) || bind(fd, (struct sockaddr *)&address, length) ||
        getsockname(fd, (struct sockaddr *)&address, &length))
        return error_set_errno(error, ERROR_OWNER_RIG, errno, "reserve a port");
    *ret_port = ntohs(address.sin_port);
    *ret_fd = TAKE_FD(fd);
    return 0;
}

static int write_configuration(const struct lab *lab, uint16_t port, const char *path, struct error *error)
{
    CLEANUP(bytes_done) struct bytes text;
    bytes_init(&text, LINE_MAX_BYTES);
    if (bytes_printf(&text,
                     "persistence false\nsys_interval 0\nlog_dest stderr\nlog_type error\nconnection_messages false\n%s"
                     "set_tcp_nodelay true\nlistener %u 127.0.0.1\nallow_anonymous true\nrequire_certificate true\ntls_version tlsv1.2\n"
                     "cafile %s\ncertfile %s\nkeyfile %s\n",
                     geteuid() == 0 ? "user root\n" : "", port, lab->device_root, lab->server_chain, lab->server_key))
        return error_set_memory(error);
    return file_write_atomic(path, text.data, text.length_bytes, 0600, error);
}

static bool accepts(uint16_t port)
{
    const struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    CLEANUP_FD int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) == 0;
}

static int wait_until_it_accepts(const struct server *server, uint16_t port, struct error *error)
{
    deadline_t deadline = deadline_in_ms(&clock_system, START_MS);
    while (!accepts(port)) {
        if (deadline_has_passed(&clock_system, deadline))
            return error_set(error, ERROR_OWNER_RIG, ERROR_TIMEOUT, "Mosquitto does not listen within %d s", START_MS / 1000);
        /* Its stdout says nothing until it ends. */
        struct pollfd output = {.fd = server->output_fd, .events = POLLIN};
        if (poll(&output, 1, PROBE_MS) > 0)
            return error_set(error, ERROR_OWNER_RIG, ERROR_IO, "Mosquitto ended before it served");
    }
    return 0;
}

int server_start_mosquitto(const struct lab *lab, struct server *ret_server, struct error *error)
{
    char path[LAB_PATH_BYTES];
    uint16_t port = 0;
    CLEANUP_FD int reserved_fd = -1;
    const char *const program[] = {"mosquitto", "-c", path, NULL};
    *ret_server = (struct server){.name = "mosquitto", .output_fd = -1};
    lab_path(lab, "mosquitto.conf", path);
    if (reserve_port(&port, &reserved_fd, error) || write_configuration(lab, port, path, error))
        return -1;
    snprintf(ret_server->address, sizeof ret_server->address, "127.0.0.1:%u", port);
    if (start(lab, program, ret_server, error) || wait_until_it_accepts(ret_server, port, error)) {
        program_show_log(lab, ret_server->name);
        server_stop(ret_server);
        return -1;
    }
    return 0;
}

void server_stop(struct server *server)
{
    if (!server->child)
        return;
    close(server->output_fd);
    child_stop(server->child, SIGTERM, STOP_MS);
    child_free(server->child);
    *server = (struct server){.output_fd = -1};
}

/* Looking at it. */

/* The parent stands behind the name, which may hold anything. */
static pid_t read_parent(pid_t pid)
{
    char path[64];
    CLEANUP(bytes_done) struct bytes text = {0};
    int parent = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (file_read(path, PROC_MAX_BYTES, &text, NULL))
        return 0;
    const char *rest = strrchr(bytes_text(&text), ')');
    return rest && sscanf(rest, ") %*c %d", &parent) == 1 ? parent : 0;
}

/* To the nanosecond, where /proc/PID/stat counts in hundredths of a second. */
static int64_t read_cpu_us(pid_t pid)
{
    clockid_t clock;
    struct timespec used = {0};
    if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &used))
        return 0;
    return used.tv_sec * INT64_C(1000000) + used.tv_nsec / 1000;
}

static int64_t read_resident_bytes(pid_t pid)
{
    char path[64];
    CLEANUP(bytes_done) struct bytes text = {0};
    long long kib = 0;
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    if (file_read(path, PROC_MAX_BYTES, &text, NULL))
        return 0;
    const char *line = strstr(bytes_text(&text), "\nPss:");
    if (line)
        sscanf(line, "\nPss: %lld", &kib);
    return kib * 1024;
}

static size_t find_children(pid_t parent, pid_t children[CHILDREN_MAX])
{
    size_t count = 0;
    DIR *proc = opendir("/proc");
    if (!proc)
        return 0;
    for (struct dirent *entry; count < CHILDREN_MAX && (entry = readdir(proc));) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (pid > 0 && read_parent(pid) == parent)
            children[count++] = pid;
    }
    closedir(proc);
    return count;
}

int server_read_use(const struct server *server, struct server_use *ret_use, struct error *error)
{
    pid_t pid = child_pid(server->child), children[CHILDREN_MAX];
    if (!child_is_running(server->child))
        return error_set(error, ERROR_OWNER_RIG, ERROR_IO, "%s has ended", server->name);
    struct server_use use = {.cpu_us = read_cpu_us(pid), .resident_bytes = read_resident_bytes(pid)};
    size_t count = find_children(pid, children);
    for (size_t i = 0; i < count; i++) {
        int64_t bytes = read_resident_bytes(children[i]);
        use.cpu_us += read_cpu_us(children[i]);
        use.broker_bytes += bytes;
        use.resident_bytes += bytes;
    }
    *ret_use = use;
    return 0;
}
