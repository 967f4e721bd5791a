#include "broker_sim/control/publisher.h"

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

enum {
    LINES_MAX_BYTES = 16 * 1024 * 1024, /* one event has less, by far */
    LINES_FLUSH_BYTES = 64 * 1024,
    TOPIC_MAX_BYTES = 512,
};

struct publisher {
    struct bus *bus;
    const struct clock *clock;
    char *path;
    int fd; /* -1: lines are lost */
    int64_t file_bytes;
    struct bytes lines; /* not written yet */
    uint64_t seq;
    uint64_t lost_count;
};

static int open_file(struct publisher *publisher, struct error *error)
{
    struct stat status;
    publisher->fd = open(publisher->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (publisher->fd < 0 || fstat(publisher->fd, &status))
        return error_set_errno(error, ERROR_OWNER_RIG, errno, "open '%s'", publisher->path);
    publisher->file_bytes = status.st_size;
    return 0;
}

DEFINE_CLEANUP(struct publisher *, publisher_free)

int publisher_new(struct bus *bus, const char *path, const struct clock *clock, struct publisher **ret_publisher, struct error *error)
{
    CLEANUP(publisher_free_cleanup) struct publisher *publisher = calloc(1, sizeof *publisher);
    if (!publisher)
        return error_set_memory(error);
    *publisher = (struct publisher){.bus = bus, .clock = clock, .fd = -1, .path = strdup(path)};
    bytes_init(&publisher->lines, LINES_MAX_BYTES);
    if (!publisher->path)
        return error_set_memory(error);
    if (open_file(publisher, error))
        return -1;
    *ret_publisher = TAKE(publisher);
    return 0;
}

void publisher_free(struct publisher *publisher)
{
    if (!publisher)
        return;
    publisher_flush(publisher);
    if (publisher->fd >= 0)
        close(publisher->fd);
    bytes_done(&publisher->lines);
    free(publisher->path);
    free(publisher);
}

static void rotate(struct publisher *publisher)
{
    CLEANUP_FREE char *older = NULL;
    if (asprintf(&older, "%s.1", publisher->path) < 0)
        older = NULL;
    close(publisher->fd);
    publisher->fd = -1;
    struct error error = ERROR_INIT;
    if (!older || rename(publisher->path, older))
        log_warning("rotate '%s': %s", publisher->path, strerror(errno));
    if (open_file(publisher, &error))
        log_warning("%s: events are no longer written to the file", error.text);
}

/* The lines of a turn are one write: a reader never sees half of one unless the disk is full. */
static void write_lines(struct publisher *publisher)
{
    ssize_t put = write(publisher->fd, publisher->lines.data, publisher->lines.length_bytes);
    if (put < 0) {
        log_warning("write '%s': %s; events are no longer written to the file", publisher->path, strerror(errno));
        close(publisher->fd);
        publisher->fd = -1;
        return;
    }
    publisher->file_bytes += put;
    if (publisher->file_bytes >= EVENTS_FILE_MAX_BYTES)
        rotate(publisher);
}

void publisher_flush(struct publisher *publisher)
{
    if (publisher->lines.length_bytes && publisher->fd >= 0)
        write_lines(publisher);
    bytes_clear(&publisher->lines);
}

static int publish(struct publisher *publisher, const cJSON *event, const void *line, size_t length_bytes)
{
    char topic[TOPIC_MAX_BYTES];
    int length =
        snprintf(topic, sizeof topic, "dpsbench/v1/events/%s/%s", json_string(event, "lane", "-"), json_string(event, "kind", "unknown"));
    if (length < 0 || (size_t)length >= sizeof topic)
        return -1;
    return bus_publish(publisher->bus, topic, line, length_bytes);
}

static void emit(void *user, cJSON *event)
{
    struct publisher *publisher = user;
    struct bytes *lines = &publisher->lines;
    CLEANUP_JSON cJSON *owned = event;
    publisher->seq++;
    if (lines->length_bytes >= LINES_FLUSH_BYTES)
        publisher_flush(publisher);
    size_t start = lines->length_bytes;
    if (!owned || json_add_integer(owned, "seq", (int64_t)publisher->seq) || json_append_line(owned, lines)) {
        publisher->lost_count++;
        return;
    }
    if (publish(publisher, owned, lines->data + start, lines->length_bytes - start))
        publisher->lost_count++;
    if (bytes_append_byte(lines, '\n'))
        bytes_cut(lines, start);
}

struct event_sink publisher_sink(struct publisher *publisher)
{
    return (struct event_sink){.emit = emit, .user = publisher, .clock = publisher->clock};
}

void publisher_reply(struct publisher *publisher, const char *topic, const cJSON *reply)
{
    CLEANUP_FREE char *line = json_print_line(reply);
    publisher_flush(publisher);
    if (line)
        bus_publish(publisher->bus, topic, line, strlen(line));
}

uint64_t publisher_seq(const struct publisher *publisher)
{
    return publisher->seq;
}

uint64_t publisher_lost_count(const struct publisher *publisher)
{
    return publisher->lost_count;
}
