#include "tests/e2e/vdk_rig.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>

#include "tests/cmocka.h"

enum { SAID_MAX_BYTES = 4 * 1024 * 1024, COMMAND_MAX_BYTES = 16 * 1024 };

static struct child *spawn(const char *const *argv, int *ret_stdout_fd)
{
    int pipe_fds[2];
    struct child *child = NULL;
    struct error error = ERROR_INIT;
    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
    const struct child_options options = {
        .argv = argv, .stdin_fd = -1, .stdout_fd = pipe_fds[1], .stderr_fd = STDERR_FILENO, .death_signal = SIGKILL};
    if (child_start(&options, &child, &error))
        fail_msg("%s", error.text);
    close(pipe_fds[1]);
    *ret_stdout_fd = pipe_fds[0];
    return child;
}

/* Append what comes within the deadline; 0 when something came, -1 at the deadline or the end. */
static int read_some(int fd, struct bytes *bytes, deadline_t deadline)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    char chunk[4096];
    if (poll(&poll_fd, 1, (int)deadline_left_ms(&clock_system, deadline)) <= 0)
        return -1;
    ssize_t got = read(fd, chunk, sizeof chunk);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (got <= 0)
        return -1;
    assert_int_equal(bytes_append(bytes, chunk, (size_t)got), 0);
    return 0;
}

static void read_until(int fd, struct bytes *bytes, const char *text)
{
    deadline_t deadline = deadline_in_ms(&clock_system, RIG_WAIT_MS);
    while (!strstr(bytes_text(bytes), text)) {
        if (read_some(fd, bytes, deadline))
            fail_msg("'%s' did not come; what came:\n%s", text, bytes_text(bytes));
    }
}

static const char *program(const char *variable, const char *fallback_dir, const char *name, char *path, size_t path_bytes)
{
    const char *dir = getenv(variable);
    if (dir)
        snprintf(path, path_bytes, "%s/%s", dir, name);
    else
        snprintf(path, path_bytes, "%s/%s/%s", DPSBENCH_BINARY_DIR, fallback_dir, name);
    return path;
}

static size_t append_options(const char **argv, size_t count, const char *const *options)
{
    for (; options && *options; options++) {
        assert_true(count < RIG_ARGS_MAX - 2);
        argv[count++] = *options;
    }
    return count;
}

void stub_start(struct stub *stub, const char *cert, const char *key, const char *const *options, const char *script)
{
    char path[512];
    const char *argv[RIG_ARGS_MAX] = {program("DPSBENCH_TESTS", "tests", "vdk_stub", path, sizeof path), "--cert", cert, "--key", key};
    size_t count = append_options(argv, 5, options);
    argv[count] = script;
    memset(stub, 0, sizeof *stub);
    bytes_init(&stub->said, SAID_MAX_BYTES);
    stub->child = spawn(argv, &stub->stdout_fd);
    read_until(stub->stdout_fd, &stub->said, "\n");
    assert_int_equal(sscanf(bytes_text(&stub->said), "port %u", &stub->port), 1);
}

void stub_expect(struct stub *stub, const char *text)
{
    read_until(stub->stdout_fd, &stub->said, text);
}

const char *stub_said(struct stub *stub)
{
    while (read_some(stub->stdout_fd, &stub->said, deadline_in_ms(&clock_system, 0)) == 0)
        ;
    return bytes_text(&stub->said);
}

void stub_stop(struct stub *stub)
{
    child_stop(stub->child, SIGTERM, RIG_WAIT_MS);
    child_free(stub->child);
    close(stub->stdout_fd);
    bytes_done(&stub->said);
}

static void read_ready(struct vdk *vdk)
{
    struct bytes line;
    bytes_init(&line, SAID_MAX_BYTES);
    read_until(vdk->stdout_fd, &line, "\n");
    CLEANUP_JSON cJSON *ready = json_parse(bytes_text(&line), line.length_bytes, "ready line", NULL);
    snprintf(vdk->pty, sizeof vdk->pty, "%s", json_string(ready, "pty", ""));
    bytes_done(&line);
    assert_string_not_equal(vdk->pty, "");
}

void vdk_open_pty(struct vdk *vdk)
{
    struct termios settings;
    vdk->pty_fd = open(vdk->pty, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    assert_true(vdk->pty_fd >= 0);
    assert_int_equal(tcgetattr(vdk->pty_fd, &settings), 0);
    cfmakeraw(&settings);
    assert_int_equal(tcsetattr(vdk->pty_fd, TCSANOW, &settings), 0);
}

void vdk_start(struct vdk *vdk, const char *state_dir, unsigned port, const char *const *options)
{
    char path[512], connect[64];
    snprintf(connect, sizeof connect, "127.0.0.1:%u", port);
    const char *argv[RIG_ARGS_MAX] = {program("DPSBENCH_BIN", "bin", "dpsbench-vdk", path, sizeof path),
                                      "--state",
                                      state_dir,
                                      "--connect",
                                      connect,
                                      "--id-scope",
                                      "0ne000AAAA1",
                                      "--registration-id",
                                      "dev-01",
                                      "--sec-tag",
                                      "42"};
    append_options(argv, 11, options);
    memset(vdk, 0, sizeof *vdk);
    bytes_init(&vdk->console, SAID_MAX_BYTES);
    vdk->child = spawn(argv, &vdk->stdout_fd);
    read_ready(vdk);
    vdk_open_pty(vdk);
}

void vdk_send(struct vdk *vdk, const char *text)
{
    deadline_t deadline = deadline_in_ms(&clock_system, RIG_WAIT_MS);
    size_t left = strlen(text);
    while (left) {
        struct pollfd poll_fd = {.fd = vdk->pty_fd, .events = POLLOUT};
        assert_int_equal(poll(&poll_fd, 1, (int)deadline_left_ms(&clock_system, deadline)), 1);
        ssize_t written = write(vdk->pty_fd, text, left);
        if (written > 0) {
            text += written;
            left -= (size_t)written;
        }
    }
}

void vdk_forget_console(struct vdk *vdk)
{
    bytes_clear(&vdk->console);
}

void vdk_expect(struct vdk *vdk, const char *text)
{
    read_until(vdk->pty_fd, &vdk->console, text);
}

const char *vdk_listen(struct vdk *vdk, int64_t ms)
{
    deadline_t deadline = deadline_in_ms(&clock_system, ms);
    while (read_some(vdk->pty_fd, &vdk->console, deadline) == 0)
        ;
    return bytes_text(&vdk->console);
}

static bool starts_line(const char *text, const char *start)
{
    const char *at = strstr(text, start);
    return at && (at == text || at[-1] == '\n') && strstr(at, "\r\n");
}

const char *vdk_command(struct vdk *vdk, const char *command)
{
    deadline_t deadline = deadline_in_ms(&clock_system, RIG_WAIT_MS);
    vdk_forget_console(vdk);
    vdk_send(vdk, command);
    vdk_send(vdk, "\r");
    for (;;) {
        const char *text = bytes_text(&vdk->console);
        if (starts_line(text, "OK\r\n") || starts_line(text, "ERROR\r\n") || starts_line(text, "+CME ERROR: "))
            return text;
        if (read_some(vdk->pty_fd, &vdk->console, deadline))
            fail_msg("no reply to a command; what came:\n%s", bytes_text(&vdk->console));
    }
}

static void write_credential(struct vdk *vdk, unsigned sec_tag, int type, const char *text)
{
    CLEANUP_FREE char *command = NULL;
    if (!text)
        return;
    assert_true(asprintf(&command, "AT%%CMNG=0,%u,%d,\"%s\"", sec_tag, type, text) > 0);
    const char *answer = vdk_command(vdk, command);
    if (!strstr(answer, "OK\r\n"))
        fail_msg("writing type %d: %s", type, answer);
}

void vdk_go_offline(struct vdk *vdk)
{
    vdk_expect(vdk, "+CEREG: 2,");
    assert_non_null(strstr(vdk_command(vdk, "AT+CFUN=4"), "OK\r\n"));
}

void vdk_write_credentials(struct vdk *vdk, unsigned sec_tag, const char *root, const char *chain, const char *key)
{
    vdk_go_offline(vdk);
    write_credential(vdk, sec_tag, 0, root);
    write_credential(vdk, sec_tag, 1, chain);
    write_credential(vdk, sec_tag, 2, key);
}

void vdk_signal(struct vdk *vdk, int number)
{
    child_signal(vdk->child, number);
}

void vdk_stop(struct vdk *vdk)
{
    int status = 0;
    child_signal(vdk->child, SIGTERM);
    assert_int_equal(child_wait(vdk->child, deadline_in_ms(&clock_system, RIG_WAIT_MS), &status, NULL), 0);
    child_free(vdk->child);
    close(vdk->stdout_fd);
    close(vdk->pty_fd);
    bytes_done(&vdk->console);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}
