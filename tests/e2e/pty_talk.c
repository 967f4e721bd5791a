/*
 * pty_talk PTY LOG STEP... - what a person with a serial terminal does, for scripts
 *
 *   at TEXT               send an AT command; ends with 1 unless the device answers OK
 *   cmng TAG TYPE FILE    write FILE into the modem's credential store, as Nordic's nrfcredstore does: its text without white space at the
 *                         end, in quotes
 *   signal PID NUMBER     press a pin of a virtual DK
 *   expect TEXT SECONDS   wait for a line with TEXT, behind the lines that earlier steps have seen
 *
 * LOG gets every line without its colours. Built on termios alone, none of the harness: so that a mistake there is not made here too.
 */
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/files.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <termios.h>

enum { LINE_MAX_BYTES = 8192, COMMAND_MAX_BYTES = 8192, ANSWER_MS = 60000 };

struct talk {
    int fd;
    FILE *log;
    struct bytes pending; /* bytes of a line that has not ended yet */
};

static int say(const char *what, const char *about)
{
    fprintf(stderr, "pty_talk: %s '%s'\n", what, about);
    return -1;
}

static int open_port(const char *path)
{
    int fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    struct termios mode;
    if (fd < 0 || tcgetattr(fd, &mode))
        return say(strerror(errno), path);
    cfmakeraw(&mode);
    cfsetspeed(&mode, B115200);
    if (tcsetattr(fd, TCSANOW, &mode))
        return say(strerror(errno), path);
    return fd;
}

static void strip_colours(char *line)
{
    char *out = line;
    for (const char *c = line; *c;) {
        if (c[0] == '\033' && c[1] == '[') {
            c += 2 + strspn(c + 2, "0123456789;");
            c += *c != 0;
        } else if (*c == '\r') {
            c++;
        } else {
            *out++ = *c++;
        }
    }
    *out = 0;
}

/* The next whole line into `line`. -1: none before the deadline. */
static int read_line(struct talk *talk, deadline_t deadline, char *line)
{
    for (;;) {
        const char *start = bytes_text(&talk->pending), *end = strchr(start, '\n');
        if (end) {
            snprintf(line, LINE_MAX_BYTES, "%.*s", (int)(end - start), start);
            bytes_consume(&talk->pending, (size_t)(end - start) + 1);
            strip_colours(line);
            fprintf(talk->log, "%s\n", line);
            fflush(talk->log);
            return 0;
        }
        char chunk[512];
        struct pollfd poll_fd = {.fd = talk->fd, .events = POLLIN};
        if (poll(&poll_fd, 1, (int)deadline_left_ms(&clock_system, deadline)) <= 0)
            return -1;
        ssize_t got = read(talk->fd, chunk, sizeof chunk);
        if (got <= 0 || bytes_append(&talk->pending, chunk, (size_t)got))
            return say("the port went away", "");
    }
}

static int write_all(struct talk *talk, const char *data, size_t length_bytes, deadline_t deadline)
{
    while (length_bytes) {
        struct pollfd poll_fd = {.fd = talk->fd, .events = POLLOUT};
        if (poll(&poll_fd, 1, (int)deadline_left_ms(&clock_system, deadline)) <= 0)
            return say("the port does not take", data);
        ssize_t put = write(talk->fd, data, length_bytes);
        if (put < 0 && errno != EAGAIN)
            return say("the port went away", "");
        data += put > 0 ? put : 0;
        length_bytes -= put > 0 ? (size_t)put : 0;
    }
    return 0;
}

static int send_command(struct talk *talk, const char *command)
{
    deadline_t deadline = deadline_in_ms(&clock_system, ANSWER_MS);
    char line[LINE_MAX_BYTES];
    if (write_all(talk, command, strlen(command), deadline) || write_all(talk, "\r\n", 2, deadline))
        return -1;
    while (read_line(talk, deadline, line) == 0) {
        if (strcmp(line, "OK") == 0)
            return 0;
        if (strcmp(line, "ERROR") == 0 || strncmp(line, "+CME ERROR", 10) == 0)
            return say("refused with", line);
    }
    return say("no answer to", "an AT command");
}

static int write_credential(struct talk *talk, const char *tag, const char *type, const char *path)
{
    CLEANUP(bytes_wipe) struct bytes file = {0};
    CLEANUP(bytes_wipe) struct bytes command;
    struct error error = ERROR_INIT;
    bytes_init(&command, COMMAND_MAX_BYTES);
    if (file_read(path, COMMAND_MAX_BYTES, &file, &error))
        return say("cannot read", path);
    while (file.length_bytes && strchr(" \t\r\n", file.data[file.length_bytes - 1]))
        file.length_bytes--;
    if (bytes_printf(&command, "AT%%CMNG=0,%s,%s,\"%.*s\"", tag, type, (int)file.length_bytes, bytes_text(&file)))
        return say("too long", path);
    return send_command(talk, bytes_text(&command));
}

static int expect(struct talk *talk, const char *text, int seconds)
{
    deadline_t deadline = deadline_in_ms(&clock_system, (int64_t)seconds * 1000);
    char line[LINE_MAX_BYTES];
    while (read_line(talk, deadline, line) == 0)
        if (strstr(line, text))
            return 0;
    return say("never came:", text);
}

/* Gives how many arguments the step took, 0 when it failed. */
static int run_step(struct talk *talk, char **step, int count)
{
    if (count >= 2 && strcmp(step[0], "at") == 0)
        return send_command(talk, step[1]) ? 0 : 2;
    if (count >= 4 && strcmp(step[0], "cmng") == 0)
        return write_credential(talk, step[1], step[2], step[3]) ? 0 : 4;
    if (count >= 3 && strcmp(step[0], "signal") == 0)
        return kill((pid_t)strtol(step[1], NULL, 10), (int)strtol(step[2], NULL, 10)) ? (say(strerror(errno), step[1]), 0) : 3;
    if (count >= 3 && strcmp(step[0], "expect") == 0)
        return expect(talk, step[1], (int)strtol(step[2], NULL, 10)) ? 0 : 3;
    say("no such step:", step[0]);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    struct talk talk = {.fd = open_port(argv[1]), .log = fopen(argv[2], "ae")};
    bytes_init(&talk.pending, 64 * LINE_MAX_BYTES);
    if (talk.fd < 0 || !talk.log)
        return 1;
    int at = 3, taken = 1;
    for (; at < argc && taken; at += taken)
        taken = run_step(&talk, argv + at, argc - at);
    bytes_wipe(&talk.pending);
    fclose(talk.log);
    close(talk.fd);
    return taken ? 0 : 1;
}
