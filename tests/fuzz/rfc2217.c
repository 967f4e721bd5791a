/*
 * The RFC 2217 client against a server that says what it likes. The first byte says how far the server is in earnest before it begins: not at all, until
 * the option is agreed upon, or until the line is set up. Whatever comes, the port opens or says why not, gives no more bytes than came, and closes.
 */
#include "base/clock.h"
#include "harness/serial/serial_backend.h"
#include "tests/fuzz/fuzz.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

enum { IAC = 255, DO = 253, SB = 250, SE = 240, COM_PORT = 44, SETTINGS = 7, HEARD_MAX_BYTES = 4096, PATIENCE_MS = 15000 };
enum { EARNEST_NOT, EARNEST_AGREED, EARNEST_SET_UP, EARNEST_COUNT };

struct server {
    int fd;
    int earnest;
    uint8_t heard[HEARD_MAX_BYTES];
    size_t heard_length;
    size_t used;
    int settings;
    bool has_spoken;
};

static int listen_fd = -1;
static char path[64];

static void start_listening(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    FUZZ_MUST(listen_fd >= 0 && bind(listen_fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(listen_fd, 8) == 0);
    FUZZ_MUST(getsockname(listen_fd, (struct sockaddr *)&address, &length) == 0);
    snprintf(path, sizeof path, "rfc2217://127.0.0.1:%u", ntohs(address.sin_port));
}

/* "IAC SB 44 command value IAC SE": said back, with 100 added to the command. */
static size_t answer_option(struct server *server, uint8_t *option, size_t left)
{
    uint8_t *end = memmem(option, left, "\377\360", 2);
    if (!end)
        return 0;
    option[3] = (uint8_t)(option[3] + 100);
    send(server->fd, option, (size_t)(end - option) + 2, MSG_NOSIGNAL);
    server->settings++;
    return (size_t)(end - option) + 2;
}

static void answer(struct server *server)
{
    while (server->heard_length - server->used >= 4) {
        uint8_t *at = server->heard + server->used;
        size_t left = server->heard_length - server->used;
        bool is_option = at[0] == IAC && at[1] == SB && at[2] == COM_PORT;
        size_t used = is_option ? answer_option(server, at, left) : at[0] == IAC ? 3 : 1;
        if (!used)
            return;
        server->used += used;
    }
}

static void speak(struct server *server, const uint8_t *data, size_t size)
{
    server->has_spoken = true;
    send(server->fd, data, size, MSG_NOSIGNAL);
    shutdown(server->fd, SHUT_WR);
}

static void serve(struct server *server, const uint8_t *data, size_t size)
{
    static const uint8_t agreement[] = {IAC, DO, COM_PORT};
    if (server->fd < 0) {
        server->fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (server->fd >= 0 && server->earnest != EARNEST_NOT)
            send(server->fd, agreement, sizeof agreement, MSG_NOSIGNAL);
    }
    if (server->fd < 0 || server->has_spoken)
        return;
    ssize_t count = recv(server->fd, server->heard + server->heard_length, sizeof server->heard - server->heard_length, 0);
    server->heard_length += count > 0 ? (size_t)count : 0;
    if (server->earnest == EARNEST_SET_UP)
        answer(server);
    if (server->earnest != EARNEST_SET_UP || server->settings == SETTINGS)
        speak(server, data, size);
}

/* Until it is over; returns the bytes that came through. */
static size_t run(struct serial_handle *handle, struct server *server, const uint8_t *data, size_t size)
{
    const struct serial_backend *backend = &serial_backend_gensio;
    deadline_t deadline = deadline_in_ms(&clock_system, PATIENCE_MS);
    struct error error = ERROR_INIT;
    bool is_open = false;
    size_t received = 0;
    for (;;) {
        struct pollfd items[] = {{.fd = server->fd < 0 ? listen_fd : server->fd, .events = server->has_spoken ? 0 : POLLIN},
                                 {.fd = backend->fd(handle), .events = POLLIN}};
        FUZZ_MUST(!deadline_has_passed(&clock_system, deadline));
        poll(items, 2, 1);
        serve(server, data, size);
        int rc = is_open ? 0 : backend->finish_open(handle, 0, &error);
        is_open = rc == 0;
        if (rc < 0) {
            fuzz_check_error(&error);
            return received;
        }
        uint8_t block[4096];
        ssize_t count = is_open ? backend->read(handle, block, sizeof block) : 0;
        if (count < 0)
            return received;
        received += (size_t)count;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    if (listen_fd < 0)
        start_listening();
    struct server server = {.fd = -1, .earnest = data[0] % EARNEST_COUNT};
    struct serial_settings settings = {.path = path, .baud = 115200};
    struct serial_handle *handle;
    FUZZ_MUST(serial_backend_gensio.open(&settings, &handle, NULL) == 0);
    FUZZ_MUST(run(handle, &server, data + 1, size - 1) <= size - 1);
    serial_backend_gensio.close(handle);
    if (server.fd >= 0)
        close(server.fd);
    return 0;
}
