#include "harness/serial/raw_file.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

struct raw_file {
    int fd;
    char *path;
    uint64_t max_bytes;
    uint64_t length_bytes;
    uint64_t missing_bytes;
    struct error first_error;
};

int raw_file_open(const char *path, uint64_t max_bytes, struct raw_file **ret_file, struct error *error)
{
    CLEANUP_FD int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set_errno(error, ERROR_OWNER_RIG, errno, "open '%s'", path);
    off_t length = lseek(fd, 0, SEEK_END);
    struct raw_file *file = malloc(sizeof(*file));
    char *copy = strdup(path);
    if (!file || !copy) {
        free(file);
        free(copy);
        return error_set_memory(error);
    }
    *file = (struct raw_file){.fd = TAKE_FD(fd),
                              .path = copy,
                              .max_bytes = max_bytes ? max_bytes : RAW_FILE_MAX_BYTES,
                              .length_bytes = length > 0 ? (uint64_t)length : 0,
                              .first_error = ERROR_INIT};
    *ret_file = file;
    return 0;
}

static void remember(struct raw_file *file, int errno_value)
{
    if (file->first_error.code != ERROR_NONE)
        return;
    if (errno_value)
        error_set_errno(&file->first_error, ERROR_OWNER_RIG, errno_value, "write '%s'", file->path);
    else
        error_set(&file->first_error, ERROR_OWNER_RIG, ERROR_LIMIT, "'%s' is full: at most %llu bytes are kept", file->path,
                  (unsigned long long)file->max_bytes);
}

void raw_file_write(struct raw_file *file, const void *data, size_t length_bytes)
{
    uint64_t room = file->max_bytes > file->length_bytes ? file->max_bytes - file->length_bytes : 0;
    size_t wanted = length_bytes < room ? length_bytes : (size_t)room;
    size_t done = 0;
    int errno_value = 0;
    while (done < wanted && !errno_value) {
        ssize_t count = write(file->fd, (const char *)data + done, wanted - done);
        if (count > 0)
            done += (size_t)count;
        else if (count == 0 || errno != EINTR)
            errno_value = count ? errno : ENOSPC;
    }
    file->length_bytes += done;
    file->missing_bytes += length_bytes - done;
    if (done < length_bytes)
        remember(file, errno_value);
}

uint64_t raw_file_missing_bytes(const struct raw_file *file)
{
    return file->missing_bytes;
}

int raw_file_check(const struct raw_file *file, struct error *error)
{
    if (file->first_error.code == ERROR_NONE)
        return 0;
    if (error)
        *error = file->first_error;
    return -1;
}

void raw_file_close(struct raw_file *file)
{
    if (!file)
        return;
    close(file->fd);
    free(file->path);
    free(file);
}
