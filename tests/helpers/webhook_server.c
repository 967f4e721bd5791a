/*
 * webhook_server - a web server for shell tests: the webhook of a custom allocation, good and bad
 *
 * Usage:    webhook_server LOG: prints its port, serves 127.0.0.1 until it is killed. Each request's body becomes a line of LOG.
 * Paths:    /hub/NAME answers {"iotHubHostName":NAME,"initialTwin":...,"payload":{"echo":the device's payload}}; /status/N with that status;
 *           /text with no JSON; /large with more than is taken; /redirect to /hub/; /close with nothing; /silent never.
 */
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/json.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REQUEST_MAX_BYTES = 1024 * 1024, LARGE_BYTES = 300 * 1024, READ_LIMIT_MS = 10000 };

static int listen_on_loopback(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) || listen(fd, 64) || getsockname(fd, (struct sockaddr *)&address, &size))
        exit(1);
    printf("%u\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

/* The body of a whole request, NULL while it is not whole. */
static const char *body_of(const struct bytes *request)
{
    const char *text = bytes_text(request), *end = strstr(text, "\r\n\r\n"), *length = strcasestr(text, "\r\nContent-Length:");
    if (!end || !length)
        return NULL;
    return strlen(end + 4) >= strtoul(length + strlen("\r\nContent-Length:"), NULL, 10) ? end + 4 : NULL;
}

static const char *read_request(int fd, struct bytes *request)
{
    char part[4096];
    while (!body_of(request)) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        ssize_t count = poll(&wait, 1, READ_LIMIT_MS) == 1 ? read(fd, part, sizeof part) : -1;
        if (count <= 0 || bytes_append(request, part, (size_t)count))
            return NULL;
        if (strcasestr(bytes_text(request), "\r\nExpect: 100-continue") && !body_of(request))
            dprintf(fd, "HTTP/1.1 100 Continue\r\n\r\n");
    }
    return body_of(request);
}

static void answer(int fd, int status, const char *more, const char *body)
{
    dprintf(fd, "HTTP/1.1 %d Word\r\nContent-Type: application/json\r\n%sConnection: close\r\nContent-Length: %zu\r\n\r\n%s", status, more,
            strlen(body), body);
}

static void answer_hub(int fd, const char *hub, const char *body)
{
    CLEANUP_JSON cJSON *request = cJSON_Parse(body),
                       *reply = cJSON_Parse("{\"initialTwin\":{\"tags\":{\"by\":\"webhook\"}},\"payload\":{}}");
    const cJSON *payload = json_path(request, "deviceRuntimeContext.payload");
    json_set_string(reply, "iotHubHostName", hub);
    if (payload)
        json_set((cJSON *)(uintptr_t)json_member(reply, "payload"), "echo", cJSON_Duplicate(payload, true));
    CLEANUP_FREE char *text = json_print_line(reply);
    answer(fd, 200, "", text);
}

static void answer_large(int fd)
{
    CLEANUP_FREE char *text = calloc(1, LARGE_BYTES + 1);
    memset(text, ' ', LARGE_BYTES);
    answer(fd, 200, "", text);
}

static void answer_path(int fd, const char *path, const char *body)
{
    if (strncmp(path, "/hub/", 5) == 0)
        answer_hub(fd, path + 5, body);
    else if (strncmp(path, "/status/", 8) == 0)
        answer(fd, atoi(path + 8), "", "as asked");
    else if (strcmp(path, "/text") == 0)
        answer(fd, 200, "", "hello");
    else if (strcmp(path, "/large") == 0)
        answer_large(fd);
    else if (strcmp(path, "/redirect") == 0)
        answer(fd, 302, "Location: /hub/a\r\n", "");
}

static void serve(int fd, FILE *log)
{
    CLEANUP(bytes_done) struct bytes request;
    bytes_init(&request, REQUEST_MAX_BYTES);
    const char *body = read_request(fd, &request);
    if (body) {
        char path[256] = "";
        sscanf(bytes_text(&request), "POST %255s", path);
        path[strcspn(path, "?")] = 0;
        fprintf(log, "%s\n", body);
        fflush(log);
        if (strcmp(path, "/silent") == 0)
            return; /* the connection stays until we end */
        answer_path(fd, path, body);
    }
    close(fd);
}

int main(int argc, char **argv)
{
    CLEANUP_FILE FILE *log = argc == 2 ? fopen(argv[1], "we") : NULL;
    if (!log)
        return 2;
    int listener = listen_on_loopback();
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd >= 0)
            serve(fd, log);
    }
}
