#include "reports/line_file.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>

enum { READ_BYTES = 64 * 1024 };

struct line_file {
    int fd;
    char *path;
    off_t length_bytes; /* of whole lines */
    struct error first_error;
};

DEFINE_CLEANUP(struct line_file *, line_file_close)

/* Lines, and where the last whole one ends. */
static int measure(int fd, int64_t *ret_lines, off_t *ret_length)
{
    char buffer[READ_BYTES];
    int64_t lines = 0;
    off_t at = 0, length = 0;
    for (ssize_t got; (got = pread(fd, buffer, sizeof buffer, at)) != 0; at += got) {
        if (got < 0)
            return -1;
        for (ssize_t i = 0; i < got; i++)
            if (buffer[i] == '\n') {
                lines++;
                length = at + i + 1;
            }
    }
    *ret_lines = lines;
    *ret_length = length;
    return 0;
}

int line_file_open(const char *path, struct line_file **ret_file, int64_t *ret_lines, struct error *error)
{
    CLEANUP(line_file_close_cleanup) struct line_file *file = calloc(1, sizeof *file);
    int64_t lines = 0;
    if (!file)
        return error_set_memory(error);
    file->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (file->fd < 0)
        return error_set_errno(error, ERROR_OWNER_RIG, errno, "write '%s'", path);
    if (measure(file->fd, &lines, &file->length_bytes) || ftruncate(file->fd, file->length_bytes))
        return error_set_errno(error, ERROR_OWNER_RIG, errno, "go on with '%s'", path);
    file->path = strdup(path);
    if (!file->path)
        return error_set_memory(error);
    if (ret_lines)
        *ret_lines = lines;
    *ret_file = TAKE(file);
    return 0;
}

void line_file_sync(struct line_file *file)
{
    if (fdatasync(file->fd) && errno == EIO)
        error_set_errno(&file->first_error, ERROR_OWNER_RIG, errno, "write '%s'", file->path);
}

/* Bytes written, less than asked for when the system refused; then errno says why. */
static size_t write_parts(int fd, struct iovec *parts, int count)
{
    size_t done = 0;
    for (int i = 0; i < count;) {
        ssize_t put = writev(fd, parts + i, count - i);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0) {
            errno = put ? errno : ENOSPC;
            return done;
        }
        done += (size_t)put;
        for (; i < count && (size_t)put >= parts[i].iov_len; i++)
            put -= (ssize_t)parts[i].iov_len;
        if (i < count) {
            parts[i].iov_base = (char *)parts[i].iov_base + put;
            parts[i].iov_len -= (size_t)put;
        }
    }
    return done;
}

static int give_up(struct line_file *file, int number, struct error *error)
{
    error_set_errno(&file->first_error, ERROR_OWNER_RIG, number, "write '%s'", file->path);
    /* Best effort: a file system that refuses even this keeps the torn line, and readers skip it. */
    if (ftruncate(file->fd, file->length_bytes))
        error_prefix(&file->first_error, "its last line is torn");
    if (error)
        *error = file->first_error;
    return -1;
}

int line_file_append(struct line_file *file, const char *text, struct error *error)
{
    if (file->first_error.code != ERROR_NONE) {
        if (error)
            *error = file->first_error;
        return -1;
    }
    size_t length = strlen(text);
    struct iovec parts[] = {{(char *)(uintptr_t)text, length}, {(char *)(uintptr_t) "\n", 1}};
    if (write_parts(file->fd, parts, (int)ARRAY_COUNT(parts)) <= length)
        return give_up(file, errno, error);
    file->length_bytes += (off_t)length + 1;
    return 0;
}

void line_file_close(struct line_file *file)
{
    if (!file)
        return;
    if (file->fd >= 0)
        close(file->fd);
    free(file->path);
    free(file);
}
