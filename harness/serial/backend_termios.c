/* For ptys: a pty has no modem lines, so there is nothing to assert, and its baud rate means nothing. */
#include "base/cleanup.h"
#include "harness/serial/serial_backend.h"

#include <errno.h>
#include <fcntl.h>
#include <termios.h>

struct serial_handle {
    int fd;
};

static int make_raw(int fd, const char *path, struct error *error)
{
    struct termios mode;
    if (tcgetattr(fd, &mode))
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "open '%s': not a serial port", path);
    cfmakeraw(&mode);
    mode.c_cflag |= CLOCAL | CREAD;
    /* At least one byte: so "none now" is EAGAIN, and 0 can only mean a hang-up. */
    mode.c_cc[VMIN] = 1;
    mode.c_cc[VTIME] = 0;
    return tcsetattr(fd, TCSANOW, &mode) ? error_set_errno(error, ERROR_OWNER_RIG, errno, "set '%s' to raw", path) : 0;
}

static int pty_open(const struct serial_settings *settings, struct serial_handle **ret_handle, struct error *error)
{
    CLEANUP_FD int fd = open(settings->path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return serial_open_failed(settings->path, errno, error);
    if (serial_lock(fd, settings->path, error) || make_raw(fd, settings->path, error))
        return -1;
    struct serial_handle *handle = malloc(sizeof(*handle));
    if (!handle)
        return error_set_memory(error);
    handle->fd = TAKE_FD(fd);
    *ret_handle = handle;
    return 0;
}

static void pty_close(struct serial_handle *handle)
{
    close(handle->fd);
    free(handle);
}

static int pty_fd(const struct serial_handle *handle)
{
    return handle->fd;
}

static ssize_t pty_read(struct serial_handle *handle, void *data, size_t length_bytes)
{
    ssize_t count = read(handle->fd, data, length_bytes);
    if (count > 0)
        return count;
    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (count == 0)
        errno = EIO;
    return -1;
}

static ssize_t pty_write(struct serial_handle *handle, const void *data, size_t length_bytes)
{
    ssize_t count = write(handle->fd, data, length_bytes);
    return count < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : count;
}

const struct serial_backend serial_backend_termios = {
    .name = "termios", .does_sender_wait = true, .open = pty_open, .close = pty_close, .fd = pty_fd, .read = pty_read, .write = pty_write};
