/*
 * For real ports. The lock is taken on a descriptor of our own before libserialport opens the port: its sp_open() changes the line's
 * settings at once, and would disturb whoever holds it.
 */
#include "base/cleanup.h"
#include "harness/serial/serial_backend.h"

#include <errno.h>
#include <fcntl.h>
#include <libserialport.h>
#include <sys/ioctl.h>

struct serial_handle {
    struct sp_port *port;
    int fd; /* libserialport's */
    int lock_fd;
};

/* A failing call: the system's reason where there is one. */
static int set_failed(enum sp_return result, const char *doing, const char *path, struct error *error)
{
    if (result == SP_ERR_FAIL)
        return error_set_errno(error, ERROR_OWNER_RIG, sp_last_error_code(), "%s '%s'", doing, path);
    if (result == SP_ERR_MEM)
        return error_set_memory(error);
    if (result == SP_ERR_ARG)
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "%s '%s': not a serial port", doing, path);
    return error_set(error, ERROR_OWNER_RIG, ERROR_IO, "%s '%s': the driver does not support it", doing, path);
}

static int set_line(struct sp_port *port, const struct serial_settings *settings, struct error *error)
{
    enum sp_return result = sp_set_baudrate(port, settings->baud);
    if (result == SP_OK)
        result = sp_set_bits(port, 8);
    if (result == SP_OK)
        result = sp_set_parity(port, SP_PARITY_NONE);
    if (result == SP_OK)
        result = sp_set_stopbits(port, 1);
    if (result == SP_OK)
        result = sp_set_flowcontrol(port, settings->has_flow_control ? SP_FLOWCONTROL_RTSCTS : SP_FLOWCONTROL_NONE);
    if (result == SP_OK && !settings->has_flow_control)
        result = sp_set_rts(port, SP_RTS_ON);
    /* A DK's interface chip leaves the UART pins floating until the host asserts DTR. */
    if (result == SP_OK)
        result = sp_set_dtr(port, SP_DTR_ON);
    return result == SP_OK ? 0 : set_failed(result, "set up", settings->path, error);
}

static int open_handle(struct serial_handle *handle, const struct serial_settings *settings, struct error *error)
{
    handle->lock_fd = open(settings->path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (handle->lock_fd < 0)
        return serial_open_failed(settings->path, errno, error);
    if (serial_lock(handle->lock_fd, settings->path, error))
        return -1;
    enum sp_return result = sp_get_port_by_name(settings->path, &handle->port);
    if (result == SP_OK)
        result = sp_open(handle->port, SP_MODE_READ_WRITE);
    if (result == SP_OK)
        result = sp_get_port_handle(handle->port, &handle->fd);
    if (result != SP_OK)
        return set_failed(result, "open", settings->path, error);
    return set_line(handle->port, settings, error);
}

static void port_close(struct serial_handle *handle)
{
    if (handle->fd >= 0)
        ioctl(handle->fd, TIOCNXCL);
    if (handle->port) {
        sp_close(handle->port);
        sp_free_port(handle->port);
    }
    if (handle->lock_fd >= 0)
        close(handle->lock_fd);
    free(handle);
}

static int port_open(const struct serial_settings *settings, struct serial_handle **ret_handle, struct error *error)
{
    struct serial_handle *handle = malloc(sizeof(*handle));
    if (!handle)
        return error_set_memory(error);
    *handle = (struct serial_handle){.fd = -1, .lock_fd = -1};
    if (open_handle(handle, settings, error)) {
        port_close(handle);
        return -1;
    }
    /* Keeps out programs that know no flock. A driver that cannot is no reason to stop. */
    ioctl(handle->fd, TIOCEXCL);
    *ret_handle = handle;
    return 0;
}

static int port_fd(const struct serial_handle *handle)
{
    return handle->fd;
}

/* SP_ERR_FAIL leaves the reason in errno; a full line is EAGAIN there, not 0. */
static ssize_t moved(enum sp_return result)
{
    if (result >= 0)
        return result;
    if (result == SP_ERR_FAIL && (sp_last_error_code() == EAGAIN || sp_last_error_code() == EINTR))
        return 0;
    if (result != SP_ERR_FAIL)
        errno = EINVAL;
    return -1;
}

static ssize_t port_read(struct serial_handle *handle, void *data, size_t length_bytes)
{
    return moved(sp_nonblocking_read(handle->port, data, length_bytes));
}

static ssize_t port_write(struct serial_handle *handle, const void *data, size_t length_bytes)
{
    return moved(sp_nonblocking_write(handle->port, data, length_bytes));
}

const struct serial_backend serial_backend_libserialport = {
    .name = "libserialport", .open = port_open, .close = port_close, .fd = port_fd, .read = port_read, .write = port_write};
