/*
 * For ports of another machine: RFC 2217 and bare TCP, by libgensio.
 *
 * gensio has an event loop of its own, and its waiting descriptors cannot be had from outside. So each port has a thread that does nothing but turn that
 * loop; it and the program meet at a socket pair, which is the descriptor that this back end shows, and at the few words of `shared`.
 * Whatever may block, name look-up foremost, blocks the thread alone (docs/adr/0130-network-ports-in-a-thread.md).
 */
#include "base/cleanup.h"
#include "base/clock.h"
#include "harness/serial/network_address.h"
#include "harness/serial/serial_backend.h"

#include <errno.h>
#include <fcntl.h>
#include <gensio/gensio.h>
#include <gensio/gensio_unix.h>
#include <gensio/selector.h>
#include <gensio/sergensio.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <uv.h>

/* For the one leak of gensio that we know (set_next). */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_LEAK_SANITIZER
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define HAS_LEAK_SANITIZER
#endif
#ifdef HAS_LEAK_SANITIZER
#include <sanitizer/lsan_interface.h>
#define lsan_disable __lsan_disable
#define lsan_enable __lsan_enable
#else
#define lsan_disable() ((void)0)
#define lsan_enable() ((void)0)
#endif

enum {
    CONNECT_MS = 10000, /* connection, negotiation and settings together; gensio waits 4 s for a server that knows no RFC 2217 */
    FAREWELL_MS = 200,
    QUIET_MS = 1000,          /* after so long without a word of the server it is asked for the baud rate, ... */
    ANSWER_MS = 3000,         /* ... and is gone when this brings none: before an AT command times out, and the device is blamed */
    SEND_BUFFER_BYTES = 4096, /* small: what waits there is counted as sent already */
    CHUNK_BYTES = 4096,
    ADDRESSES_MAX = 4, /* of one name */
    SPECIFICATION_BYTES = 64 + ADDRESSES_MAX * (INET6_ADDRSTRLEN + IF_NAMESIZE + NETWORK_PORT_MAX_BYTES + 2),
};

enum phase { PHASE_RESOLVING, PHASE_CONNECTING, PHASE_OPEN, PHASE_FAILED };

struct link;

struct link {
    char *path;
    struct network_address address;
    unsigned int baud;
    bool has_flow_control;
    int near_fd; /* the program's end of the socket pair */
    int far_fd;  /* the thread's */
    int stop_fd;

    /* Shared, under the lock. */
    uv_mutex_t lock;
    uv_cond_t changed;
    enum phase phase;
    struct error error; /* PHASE_FAILED, or why it is gone; code ERROR_NONE: nothing is wrong */
    int references;

    /* The thread's alone. */
    struct selector_s *selector;
    struct gensio_os_funcs *os;
    struct gensio *io;
    bool is_stopping;
    bool is_closed;
    bool is_reading_paused; /* the program does not take what came */
    bool is_far_end_closed;
    bool is_watching;
    size_t setting; /* that the server was asked for last */
    int64_t heard_us;
    int64_t asked_us; /* 0: no question is open */
    size_t tx_start, tx_length;
    unsigned char tx[CHUNK_BYTES];
};

struct serial_handle {
    struct link *link;
    pthread_t thread;
    struct error gone;
};

/*
 * gensio fills its tables at its first use, for all threads, and keeps the operating system functions that it was given then: a set that lives as long as the
 * program, and that nobody turns.
 */
static pthread_mutex_t gensio_table = PTHREAD_MUTEX_INITIALIZER;
static struct gensio_os_funcs *gensio_first_os;

/* ---- what both sides know */

static void free_link(struct link *link)
{
    uv_mutex_destroy(&link->lock);
    uv_cond_destroy(&link->changed);
    int fds[] = {link->near_fd, link->far_fd, link->stop_fd};
    for (size_t i = 0; i < ARRAY_COUNT(fds); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    OPENSSL_cleanse(link->tx, sizeof(link->tx));
    free(link->path);
    free(link);
}

static void drop_link(struct link *link)
{
    uv_mutex_lock(&link->lock);
    bool is_last = --link->references == 0;
    uv_mutex_unlock(&link->lock);
    if (is_last)
        free_link(link);
}

static void set_phase(struct link *link, enum phase phase)
{
    uv_mutex_lock(&link->lock);
    if (link->phase != PHASE_FAILED)
        link->phase = phase;
    uv_cond_broadcast(&link->changed);
    uv_mutex_unlock(&link->lock);
}

/* ---- the thread: the end */

static bool is_connecting(struct link *link)
{
    uv_mutex_lock(&link->lock);
    bool is = link->phase == PHASE_CONNECTING;
    uv_mutex_unlock(&link->lock);
    return is;
}

/* The first reason counts. The program reads what is still in the socket pair, then the end of the file. */
static void give_up(struct link *link, const struct error *error)
{
    uv_mutex_lock(&link->lock);
    if (link->error.code == ERROR_NONE)
        link->error = *error;
    if (link->phase != PHASE_OPEN)
        link->phase = PHASE_FAILED;
    uv_cond_broadcast(&link->changed);
    uv_mutex_unlock(&link->lock);
    if (!link->is_far_end_closed)
        shutdown(link->far_fd, SHUT_RDWR);
    link->is_far_end_closed = true;
    link->is_stopping = true;
}

static enum error_code code_of(int gensio_error)
{
    return gensio_error == GE_TIMEDOUT ? ERROR_TIMEOUT : ERROR_IO;
}

static const char *mend_of(int gensio_error)
{
    if (gensio_error == GE_CONNREFUSE)
        return "; does ser2net (or what serves the port) run there, and is this its port number?";
    if (gensio_error == GE_REMCLOSE)
        return "; does another client hold the port, and is the device plugged in there?";
    return "";
}

static void fail_open(struct link *link, int gensio_error)
{
    struct error error = ERROR_INIT;
    error_set(&error, ERROR_OWNER_RIG, code_of(gensio_error), "open '%s': %s%s", link->path, gensio_err_to_str(gensio_error),
              mend_of(gensio_error));
    give_up(link, &error);
}

/* ---- the thread: bytes */

static void pause_reading_network(struct link *link, bool is_paused)
{
    link->is_reading_paused = is_paused;
    gensio_set_read_callback_enable(link->io, !is_paused);
    sel_set_fd_write_handler(link->selector, link->far_fd, is_paused ? SEL_FD_HANDLER_ENABLED : SEL_FD_HANDLER_DISABLED);
}

static void pause_reading_program(struct link *link, bool is_paused)
{
    sel_set_fd_read_handler(link->selector, link->far_fd, is_paused ? SEL_FD_HANDLER_DISABLED : SEL_FD_HANDLER_ENABLED);
    gensio_set_write_callback_enable(link->io, is_paused);
}

/* Bytes of the device. What the program does not take at once stays with gensio, and then with TCP. */
static void to_program(struct link *link, const unsigned char *data, gensiods *length)
{
    ssize_t count = link->is_far_end_closed ? (ssize_t)*length : send(link->far_fd, data, *length, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0)
        count = 0;
    if ((gensiods)count < *length)
        pause_reading_network(link, true);
    *length = (gensiods)count;
}

static void on_program_has_room(int fd, void *user)
{
    (void)fd;
    pause_reading_network(user, false);
}

static void on_network_error(struct link *link, int gensio_error)
{
    struct error error = ERROR_INIT;
    gensio_set_read_callback_enable(link->io, false);
    if (is_connecting(link)) {
        fail_open(link, gensio_error);
        return;
    }
    error_set(&error, ERROR_OWNER_RIG, ERROR_IO, "%s",
              gensio_error == GE_REMCLOSE ? "the server closed the connection" : gensio_err_to_str(gensio_error));
    give_up(link, &error);
}

/* false: the rest waits until the network takes more. */
static bool flush_tx(struct link *link)
{
    gensiods count = 0;
    int rc = gensio_write(link->io, &count, link->tx + link->tx_start, link->tx_length, NULL);
    if (rc) {
        on_network_error(link, rc);
        return true;
    }
    OPENSSL_cleanse(link->tx + link->tx_start, count);
    link->tx_start += count;
    link->tx_length -= count;
    return link->tx_length == 0;
}

static void on_program_sent(int fd, void *user)
{
    struct link *link = user;
    ssize_t count = recv(fd, link->tx, sizeof(link->tx), MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (count <= 0) {
        link->is_stopping = true;
        return;
    }
    link->tx_start = 0;
    link->tx_length = (size_t)count;
    if (!flush_tx(link))
        pause_reading_program(link, true);
}

static void on_stop(int fd, void *user)
{
    (void)fd;
    ((struct link *)user)->is_stopping = true;
}

static void hear(struct link *link, const unsigned char *data, gensiods *length)
{
    link->heard_us = clock_mono_us(&clock_system);
    to_program(link, data, length);
}

static int on_event(struct gensio *io, void *user, int event, int error, unsigned char *data, gensiods *length, const char *const *auxdata)
{
    (void)io;
    (void)auxdata;
    struct link *link = user;
    if (event == GENSIO_EVENT_READ && error)
        on_network_error(link, error);
    else if (event == GENSIO_EVENT_READ)
        hear(link, data, length);
    else if (event == GENSIO_EVENT_WRITE_READY && flush_tx(link))
        pause_reading_program(link, false);
    return event == GENSIO_EVENT_READ || event == GENSIO_EVENT_WRITE_READY ? 0 : GE_NOTSUP;
}

/* ---- the thread: opening */

static void start_bytes(struct link *link)
{
    pause_reading_program(link, false);
    set_phase(link, PHASE_OPEN);
}

struct setting {
    const char *name;
    int (*set)(struct sergensio *serial, unsigned int value, sergensio_done done, void *user);
    unsigned int value; /* 0: the baud rate that is wanted */
    bool is_needed;     /* false: whatever is answered is taken. A server has no modem lines for a pty, say, no more than we would */
    enum { ALWAYS, WITH_FLOW_CONTROL, WITHOUT_FLOW_CONTROL } when;
};

/* One after the other: gensio 2.6.2 does not free a request that is unanswered when it is closed, so at most one is lost. */
static const struct setting line_settings[] = {
    {"baud rate", sergensio_baud, 0, true, ALWAYS},
    {"data size", sergensio_datasize, 8, true, ALWAYS},
    {"parity", sergensio_parity, SERGENSIO_PARITY_NONE, true, ALWAYS},
    {"stop bits", sergensio_stopbits, 1, true, ALWAYS},
    {"flow control", sergensio_flowcontrol, SERGENSIO_FLOWCONTROL_RTS_CTS, true, WITH_FLOW_CONTROL},
    {"flow control", sergensio_flowcontrol, SERGENSIO_FLOWCONTROL_NONE, false, WITHOUT_FLOW_CONTROL},
    {"RTS", sergensio_rts, SERGENSIO_RTS_ON, false, WITHOUT_FLOW_CONTROL},
    {"DTR", sergensio_dtr, SERGENSIO_DTR_ON, false, ALWAYS},
};

static void fail_rfc2217(struct link *link);

static bool is_wanted(const struct link *link, const struct setting *setting)
{
    return setting->when == ALWAYS || (setting->when == WITH_FLOW_CONTROL) == link->has_flow_control;
}

static unsigned int value_of(const struct link *link, const struct setting *setting)
{
    return setting->value ? setting->value : link->baud;
}

static void refuse_setting(struct link *link, const struct setting *setting, int gensio_error, unsigned int value)
{
    struct error error = ERROR_INIT;
    if (gensio_error)
        error_set(&error, ERROR_OWNER_RIG, code_of(gensio_error), "open '%s': the server does not set the %s: %s", link->path,
                  setting->name, gensio_err_to_str(gensio_error));
    else
        error_set(&error, ERROR_OWNER_RIG, ERROR_IO, "open '%s': the server set the %s to %u, and not to %u", link->path, setting->name,
                  value, value_of(link, setting));
    give_up(link, &error);
}

static void on_set(struct sergensio *serial, int error, unsigned int value, void *user);

static void set_next(struct link *link, struct sergensio *serial)
{
    while (link->setting < ARRAY_COUNT(line_settings) && !is_wanted(link, &line_settings[link->setting]))
        link->setting++;
    if (link->setting == ARRAY_COUNT(line_settings)) {
        start_bytes(link);
        return;
    }
    const struct setting *setting = &line_settings[link->setting];
    lsan_disable();
    int rc = setting->set(serial, value_of(link, setting), on_set, link);
    lsan_enable();
    if (rc)
        fail_rfc2217(link);
}

static void on_set(struct sergensio *serial, int error, unsigned int value, void *user)
{
    struct link *link = user;
    const struct setting *setting = &line_settings[link->setting];
    if (setting->is_needed && (error || value != value_of(link, setting))) {
        refuse_setting(link, setting, error, value);
        return;
    }
    link->setting++;
    set_next(link, serial);
}

static void fail_rfc2217(struct link *link)
{
    struct error error = ERROR_INIT;
    error_set(
        &error, ERROR_OWNER_RIG, ERROR_PROTOCOL,
        "open '%s': the server does not speak RFC 2217 (ser2net: accepter telnet(rfc2217)); tcp://HOST:PORT takes a port that is set up "
        "on its side",
        link->path);
    give_up(link, &error);
}

static void on_open(struct gensio *io, int gensio_error, void *user)
{
    struct link *link = user;
    if (gensio_error) {
        fail_open(link, gensio_error);
        return;
    }
    gensio_set_read_callback_enable(io, true);
    struct sergensio *serial = link->address.is_rfc2217 ? gensio_to_sergensio(io) : NULL;
    if (!link->address.is_rfc2217)
        start_bytes(link);
    else if (serial)
        set_next(link, serial);
    else
        fail_rfc2217(link);
}

/* May block for as long as a name server lets it. gensio would look the name up itself, with its table locked. */
static int look_up(struct link *link, char *specification)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;
    int rc = getaddrinfo(link->address.host, link->address.port, &hints, &list);
    if (rc) {
        struct error error = ERROR_INIT;
        error_set(&error, ERROR_OWNER_RIG, ERROR_NOT_FOUND, "open '%s': look up '%s': %s", link->path, link->address.host,
                  gai_strerror(rc));
        give_up(link, &error);
        return -1;
    }
    int length =
        snprintf(specification, SPECIFICATION_BYTES, "%stcp(nodelay=true)", link->address.is_rfc2217 ? "telnet(rfc2217=true)," : "");
    int left = ADDRESSES_MAX;
    for (const struct addrinfo *item = list; item && left; item = item->ai_next, left--) {
        char host[INET6_ADDRSTRLEN + IF_NAMESIZE];
        if (!getnameinfo(item->ai_addr, item->ai_addrlen, host, sizeof(host), NULL, 0, NI_NUMERICHOST))
            length += snprintf(specification + length, SPECIFICATION_BYTES - (size_t)length, ",%s,%s", host, link->address.port);
    }
    freeaddrinfo(list);
    return 0;
}

/* With the table locked. Of all kinds that we use. */
static int fill_tables(void)
{
    struct selector_s *selector;
    struct gensio *io;
    if (gensio_first_os)
        return 0;
    if (sel_alloc_selector_nothread(&selector) || gensio_unix_funcs_alloc(selector, 0, &gensio_first_os))
        return GE_NOMEM;
    int rc = str_to_gensio("telnet(rfc2217=true),tcp(nodelay=true),127.0.0.1,1", gensio_first_os, NULL, NULL, &io);
    if (!rc)
        gensio_free(io);
    return rc;
}

static int make_io(struct link *link, const char *specification)
{
    pthread_mutex_lock(&gensio_table);
    int rc = fill_tables();
    if (!rc)
        rc = sel_alloc_selector_nothread(&link->selector) ? GE_NOMEM : gensio_unix_funcs_alloc(link->selector, 0, &link->os);
    if (!rc)
        rc = str_to_gensio(specification, link->os, on_event, link, &link->io);
    pthread_mutex_unlock(&gensio_table);
    return rc;
}

static void watch_program(struct link *link)
{
    sel_set_fd_handlers(link->selector, link->far_fd, link, on_program_sent, on_program_has_room, NULL, NULL);
    sel_set_fd_handlers(link->selector, link->stop_fd, link, on_stop, NULL, NULL, NULL);
    sel_set_fd_read_handler(link->selector, link->stop_fd, SEL_FD_HANDLER_ENABLED);
    link->is_watching = true;
}

/* ---- the thread: its life */

static void turn(struct link *link, int64_t ms)
{
    gensio_time timeout = {.secs = ms / 1000, .nsecs = (int)(ms % 1000) * 1000000};
    gensio_os_funcs_service(link->os, &timeout);
}

/* A server that stands still, or a network that is cut without a word: TCP would tell after a quarter of an hour. */
static void on_answer(struct sergensio *serial, int error, unsigned int value, void *user)
{
    (void)serial;
    (void)value;
    struct link *link = user;
    link->asked_us = 0;
    if (!error)
        link->heard_us = clock_mono_us(&clock_system);
}

static void ask(struct link *link, int64_t now_us)
{
    struct sergensio *serial = gensio_to_sergensio(link->io);
    link->asked_us = now_us;
    lsan_disable();
    if (!serial || sergensio_baud(serial, 0, on_answer, link))
        link->asked_us = 0;
    lsan_enable();
}

/* Not while the program does not read: then the answer waits behind what it has not taken. */
static void look_after_server(struct link *link)
{
    int64_t now_us = clock_mono_us(&clock_system);
    struct error error = ERROR_INIT;
    if (link->is_reading_paused) {
        link->heard_us = now_us;
        link->asked_us = link->asked_us ? now_us : 0;
    }
    if (link->asked_us && now_us - link->asked_us > (int64_t)ANSWER_MS * 1000 && now_us - link->heard_us > (int64_t)ANSWER_MS * 1000) {
        error_set(&error, ERROR_OWNER_RIG, ERROR_TIMEOUT, "the server does not answer any more");
        give_up(link, &error);
    } else if (!link->asked_us && now_us - link->heard_us > (int64_t)QUIET_MS * 1000) {
        ask(link, now_us);
    }
}

static void serve(struct link *link)
{
    deadline_t deadline = deadline_in_ms(&clock_system, CONNECT_MS);
    while (!link->is_stopping && is_connecting(link) && !deadline_has_passed(&clock_system, deadline))
        turn(link, deadline_left_ms(&clock_system, deadline));
    if (!link->is_stopping && is_connecting(link))
        fail_open(link, GE_TIMEDOUT);
    link->heard_us = clock_mono_us(&clock_system);
    while (!link->is_stopping) {
        turn(link, QUIET_MS);
        if (link->address.is_rfc2217 && !link->is_stopping)
            look_after_server(link);
    }
}

static void on_closed(struct gensio *io, void *user)
{
    (void)io;
    ((struct link *)user)->is_closed = true;
}

static void close_io(struct link *link)
{
    deadline_t deadline = deadline_in_ms(&clock_system, FAREWELL_MS);
    if (gensio_close(link->io, on_closed, link))
        link->is_closed = true;
    while (!link->is_closed && !deadline_has_passed(&clock_system, deadline))
        turn(link, deadline_left_ms(&clock_system, deadline));
    if (!link->is_closed)
        gensio_disable(link->io);
    gensio_free(link->io);
}

/* Twice: what gensio frees is freed by its loop, in a later turn. */
static void tear_down(struct link *link)
{
    if (link->is_watching) {
        sel_clear_fd_handlers(link->selector, link->far_fd);
        sel_clear_fd_handlers(link->selector, link->stop_fd);
    }
    if (link->io)
        close_io(link);
    for (int i = 0; i < 2 && link->os; i++)
        turn(link, 0);
    if (link->os)
        gensio_os_funcs_free(link->os);
    if (link->selector)
        sel_free_selector(link->selector);
}

static void connect_and_serve(struct link *link, const char *specification)
{
    int rc = make_io(link, specification);
    if (!rc) {
        watch_program(link);
        rc = gensio_open(link->io, on_open, link);
    }
    if (rc)
        fail_open(link, rc);
    serve(link);
}

static void *run(void *user)
{
    struct link *link = user;
    char specification[SPECIFICATION_BYTES];
    if (!look_up(link, specification)) {
        set_phase(link, PHASE_CONNECTING);
        connect_and_serve(link, specification);
        tear_down(link);
    }
    drop_link(link);
    return NULL;
}

/* ---- the program's side */

static int make_descriptors(struct link *link, struct error *error)
{
    int pair[2], size = SEND_BUFFER_BYTES;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair))
        return error_set_errno(error, ERROR_OWNER_RIG, errno, "open '%s': make a socket pair", link->path);
    link->near_fd = pair[0];
    link->far_fd = pair[1];
    setsockopt(link->near_fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    link->stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return link->stop_fd < 0 ? error_set_errno(error, ERROR_OWNER_RIG, errno, "open '%s': make an event descriptor", link->path) : 0;
}

static struct link *new_link(const struct serial_settings *settings)
{
    struct link *link = calloc(1, sizeof(*link));
    char *path = strdup(settings->path);
    if (!link || !path || uv_mutex_init(&link->lock)) {
        free(link);
        free(path);
        return NULL;
    }
    uv_cond_init(&link->changed);
    link->path = path;
    link->baud = (unsigned int)settings->baud;
    link->has_flow_control = settings->has_flow_control;
    link->near_fd = link->far_fd = link->stop_fd = -1;
    link->references = 2;
    return link;
}

/* Signals are the program's: its loop waits for them. */
static int start_thread(struct serial_handle *handle)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&handle->thread, NULL, run, handle->link);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

static int network_open(const struct serial_settings *settings, struct serial_handle **ret_handle, struct error *error)
{
    struct network_address address;
    if (network_address_read(settings->path, &address, error))
        return -1;
    struct serial_handle *handle = calloc(1, sizeof(*handle));
    if (!handle)
        return error_set_memory(error);
    struct link *link = new_link(settings);
    if (!link) {
        free(handle);
        return error_set_memory(error);
    }
    handle->link = link;
    link->address = address;
    int rc = make_descriptors(link, error);
    if (!rc && start_thread(handle))
        rc = error_set(error, ERROR_OWNER_RIG, ERROR_IO, "open '%s': no thread can be made", link->path);
    if (rc) {
        free_link(link);
        free(handle);
        return -1;
    }
    *ret_handle = handle;
    return 0;
}

static int network_finish_open(struct serial_handle *handle, int64_t wait_ms, struct error *error)
{
    struct link *link = handle->link;
    deadline_t deadline = deadline_in_ms(&clock_system, wait_ms);
    uv_mutex_lock(&link->lock);
    while (link->phase < PHASE_OPEN && !deadline_has_passed(&clock_system, deadline))
        uv_cond_timedwait(&link->changed, &link->lock, (uint64_t)deadline_left_ms(&clock_system, deadline) * 1000000);
    int rc = link->phase == PHASE_OPEN ? 0 : link->phase == PHASE_FAILED ? -1 : 1;
    if (rc < 0 && error)
        *error = link->error;
    uv_mutex_unlock(&link->lock);
    return rc;
}

/* Nobody waits for a name server: a thread that is with one ends by itself, later. */
static void network_close(struct serial_handle *handle)
{
    struct link *link = handle->link;
    uint64_t one = 1;
    uv_mutex_lock(&link->lock);
    bool is_resolving = link->phase == PHASE_RESOLVING;
    uv_mutex_unlock(&link->lock);
    if (write(link->stop_fd, &one, sizeof(one)) < 0)
        shutdown(link->near_fd, SHUT_RDWR);
    if (is_resolving)
        pthread_detach(handle->thread);
    else
        pthread_join(handle->thread, NULL);
    drop_link(link);
    free(handle);
}

static int network_fd(const struct serial_handle *handle)
{
    return handle->link->near_fd;
}

static ssize_t network_read(struct serial_handle *handle, void *data, size_t length_bytes)
{
    ssize_t count = recv(handle->link->near_fd, data, length_bytes, MSG_DONTWAIT);
    if (count > 0)
        return count;
    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (count == 0)
        errno = ECONNRESET;
    return -1;
}

static ssize_t network_write(struct serial_handle *handle, const void *data, size_t length_bytes)
{
    ssize_t count = send(handle->link->near_fd, data, length_bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
    return count < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : count;
}

static const char *network_gone_reason(struct serial_handle *handle)
{
    uv_mutex_lock(&handle->link->lock);
    handle->gone = handle->link->error;
    uv_mutex_unlock(&handle->link->lock);
    return handle->gone.code == ERROR_NONE ? NULL : handle->gone.text;
}

const struct serial_backend serial_backend_gensio = {.name = "gensio",
                                                     .does_sender_wait = true, /* TCP's window closes */
                                                     .open = network_open,
                                                     .finish_open = network_finish_open,
                                                     .close = network_close,
                                                     .fd = network_fd,
                                                     .read = network_read,
                                                     .write = network_write,
                                                     .gone_reason = network_gone_reason};
