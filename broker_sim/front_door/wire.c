#include "broker_sim/front_door/wire.h"

#include <errno.h>
#include <sys/socket.h>

static int wire_read(BIO *bio, char *data, int length)
{
    struct wire *wire = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    ssize_t got;
    do
        got = recv(wire->fd, data, (size_t)length, 0);
    while (got < 0 && errno == EINTR);
    if (got > 0)
        wire->bytes_in += (uint64_t)got;
    else if (got == 0)
        wire->has_ended = true;
    else if (errno == EAGAIN)
        BIO_set_retry_read(bio);
    else
        wire->read_errno = errno;
    return (int)got;
}

static int wire_write(BIO *bio, const char *data, int length)
{
    struct wire *wire = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    ssize_t sent;
    do
        sent = send(wire->fd, data, (size_t)length, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent < 0 && errno == EAGAIN)
        BIO_set_retry_write(bio);
    else if (sent < 0)
        wire->write_errno = errno;
    return (int)sent;
}

static long wire_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)number, (void)pointer;
    const struct wire *wire = BIO_get_data(bio);
    switch (command) {
    case BIO_CTRL_FLUSH:
    case BIO_CTRL_DUP:
        return 1;
    case BIO_CTRL_EOF:
        return wire->has_ended;
    default:
        return 0;
    }
}

BIO_METHOD *wire_method_new(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "device socket");
    if (!method)
        return NULL;
    BIO_meth_set_read(method, wire_read);
    BIO_meth_set_write(method, wire_write);
    BIO_meth_set_ctrl(method, wire_ctrl);
    return method;
}

BIO *wire_bio_new(const BIO_METHOD *method, struct wire *wire)
{
    BIO *bio = BIO_new(method);
    if (!bio)
        return NULL;
    BIO_set_data(bio, wire);
    BIO_set_init(bio, 1);
    return bio;
}
