#include "perf/load_client/load.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>

enum { EVENTS_PER_TURN = 64, READ_BYTES = 4096, TICK_MS = 100 };

enum place_state { PLACE_FREE, PLACE_CONNECTING, PLACE_HANDSHAKE, PLACE_TALKING, PLACE_HOLDING, PLACE_CLOSING };

/* Where one device at a time stands. */
struct place {
    enum place_state state;
    int fd;
    SSL *ssl;
    const struct device *device;
    struct script script;
    struct bytes in, out;
    int64_t started_us;
    deadline_t deadline;
};

struct load {
    const struct load_options *options;
    struct load_result result;
    SSL_CTX *tls;
    int epoll_fd;
    struct place *places;
    size_t place_count;
    int64_t *latencies_us;
    size_t begun, ended; /* conversations */
    int64_t last_us;     /* when the last script ended */
};

static int64_t now_us(void)
{
    return clock_mono_us(&clock_system);
}

static int64_t cpu_us(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * INT64_C(1000000) + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

/* The end of a place. */

static void vacate(struct load *load, struct place *place)
{
    SSL_free(place->ssl);
    ERR_clear_error();
    if (place->fd >= 0)
        close(place->fd);
    bytes_done(&place->in);
    bytes_done(&place->out);
    place->ssl = NULL;
    place->fd = -1;
    place->state = PLACE_FREE;
    load->ended++;
}

static void note_failure(struct load *load, const struct place *place, const char *stage, const char *reason)
{
    if (!load->result.first_failure[0])
        snprintf(load->result.first_failure, sizeof load->result.first_failure, "%s, %s: %s", place->device->id, stage, reason);
}

static const char *stage_of(const struct place *place)
{
    static const char *const names[] = {"free", "connect", "handshake", "conversation", "hold", "close"};
    return names[place->state];
}

static void fail(struct load *load, struct place *place, const char *reason)
{
    load->result.failures++;
    note_failure(load, place, stage_of(place), reason);
    vacate(load, place);
}

/* Why a call into OpenSSL failed; NULL: it only has to wait. */
static const char *failure_of(const struct place *place, int result)
{
    int why = SSL_get_error(place->ssl, result);
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
        return NULL;
    unsigned long code = ERR_peek_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    return reason ? reason : why == SSL_ERROR_ZERO_RETURN ? "the server said close_notify" : "the server closed the connection";
}

/* Steps. Each returns whether the next one may go on at once. */

static bool flush(struct load *load, struct place *place)
{
    while (place->out.length_bytes) {
        ERR_clear_error();
        int sent = SSL_write(place->ssl, place->out.data, (int)place->out.length_bytes);
        if (sent <= 0) {
            const char *reason = failure_of(place, sent);
            if (reason)
                fail(load, place, reason);
            return false;
        }
        bytes_consume(&place->out, (size_t)sent);
    }
    return true;
}

static bool begin_close(struct load *load, struct place *place)
{
    script_end(&place->script, &place->out);
    ERR_clear_error();
    if (place->out.length_bytes)
        SSL_write(place->ssl, place->out.data, (int)place->out.length_bytes);
    SSL_shutdown(place->ssl);
    ERR_clear_error();
    (void)load;
    shutdown(place->fd, SHUT_WR);
    place->state = PLACE_CLOSING;
    return true;
}

static void end_script(struct load *load, struct place *place, enum script_result result)
{
    load->last_us = now_us();
    if (result == SCRIPT_WRONG) {
        load->result.wrong++;
        note_failure(load, place, "conversation", "a wrong reply");
    } else {
        load->latencies_us[load->result.done++] = load->last_us - place->started_us;
    }
}

static bool talk(struct load *load, struct place *place)
{
    uint8_t buffer[READ_BYTES];
    ERR_clear_error();
    int got = SSL_read(place->ssl, buffer, sizeof buffer);
    if (got <= 0) {
        const char *reason = failure_of(place, got);
        if (reason)
            fail(load, place, reason);
        return false;
    }
    if (bytes_append(&place->in, buffer, (size_t)got)) {
        fail(load, place, "more bytes than any reply has");
        return false;
    }
    enum script_result result = script_feed(&place->script, &place->in, &place->out);
    if (!flush(load, place))
        return false;
    if (result == SCRIPT_MORE)
        return true;
    end_script(load, place, result);
    if (place->script.kind == SCRIPT_IDLE && result == SCRIPT_DONE) {
        place->state = PLACE_HOLDING;
        return false;
    }
    return begin_close(load, place);
}

static bool shake_hands(struct load *load, struct place *place)
{
    ERR_clear_error();
    int result = SSL_connect(place->ssl);
    if (result != 1) {
        const char *reason = failure_of(place, result);
        if (reason)
            fail(load, place, reason);
        return false;
    }
    place->state = PLACE_TALKING;
    script_begin(&place->script, &place->out);
    return flush(load, place);
}

static bool finish_connect(struct load *load, struct place *place)
{
    int number = 0;
    socklen_t length = sizeof number;
    struct tcp_info info;
    socklen_t info_bytes = sizeof info;
    if (getsockopt(place->fd, SOL_SOCKET, SO_ERROR, &number, &length) || number) {
        fail(load, place, strerror(number ? number : errno));
        return false;
    }
    if (getsockopt(place->fd, IPPROTO_TCP, TCP_INFO, &info, &info_bytes) || info.tcpi_state == TCP_SYN_SENT)
        return false;
    place->state = PLACE_HANDSHAKE;
    return true;
}

/* What the server says now no longer counts; its FIN does. */
static bool drain(struct load *load, struct place *place)
{
    uint8_t buffer[READ_BYTES];
    ssize_t got = recv(place->fd, buffer, sizeof buffer, 0);
    if (got > 0)
        return true;
    if (got == 0 || errno != EAGAIN)
        vacate(load, place);
    return false;
}

static void advance(struct load *load, struct place *place)
{
    static bool (*const steps[])(struct load *, struct place *) = {
        [PLACE_CONNECTING] = finish_connect, [PLACE_HANDSHAKE] = shake_hands, [PLACE_TALKING] = talk, [PLACE_CLOSING] = drain};
    while (place->state != PLACE_FREE && place->state != PLACE_HOLDING && steps[place->state](load, place))
        continue;
}

/* The beginning of a place. */

static int open_socket(struct load *load, struct place *place)
{
    const struct load_options *options = load->options;
    const int on = 1;
    place->fd = socket(options->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (place->fd < 0)
        return -1;
    setsockopt(place->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(place->fd, (const struct sockaddr *)&options->address, options->address_bytes) && errno != EINPROGRESS)
        return -1;
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = place};
    return epoll_ctl(load->epoll_fd, EPOLL_CTL_ADD, place->fd, &event);
}

static int open_tls(struct load *load, struct place *place)
{
    place->ssl = SSL_new(load->tls);
    if (!place->ssl || SSL_use_cert_and_key(place->ssl, place->device->leaf, place->device->key, load->options->pool->issuers, 1) != 1 ||
        SSL_set_fd(place->ssl, place->fd) != 1 || SSL_set_tlsext_host_name(place->ssl, load->options->sni) != 1)
        return -1;
    SSL_set_connect_state(place->ssl);
    return 0;
}

static void begin(struct load *load, struct place *place)
{
    const struct load_options *options = load->options;
    place->device = &options->pool->devices[load->begun++ % options->pool->count];
    place->script = (struct script){.kind = options->kind, .id_scope = options->id_scope, .id = place->device->id};
    bytes_init(&place->in, SCRIPT_BUFFER_MAX_BYTES);
    bytes_init(&place->out, SCRIPT_BUFFER_MAX_BYTES);
    place->state = PLACE_CONNECTING;
    place->started_us = now_us();
    place->deadline = deadline_in_ms(&clock_system, DEVICE_MAX_MS);
    if (open_socket(load, place))
        fail(load, place, strerror(errno));
    else if (open_tls(load, place))
        fail(load, place, "OpenSSL refuses the device's certificate");
    else
        advance(load, place);
}

static bool is_busy(const struct place *place)
{
    return place->state != PLACE_FREE && place->state != PLACE_HOLDING;
}

static size_t count_busy(const struct load *load)
{
    size_t count = 0;
    for (size_t i = 0; i < load->place_count; i++)
        count += is_busy(&load->places[i]);
    return count;
}

/* A device that fails at once frees its place at once. */
static void fill_places(struct load *load)
{
    size_t busy = count_busy(load);
    for (size_t i = 0; i < load->place_count && busy < load->options->concurrency; i++)
        while (load->places[i].state == PLACE_FREE && load->begun < load->options->count && busy < load->options->concurrency) {
            begin(load, &load->places[i]);
            busy += is_busy(&load->places[i]);
        }
}

/* All of it. */

static void check_deadlines(struct load *load)
{
    bool is_over = deadline_has_passed(&clock_system, load->options->deadline);
    if (is_over) {
        load->result.failures += load->options->count - load->begun; /* those that had no turn */
        load->begun = load->options->count;
    }
    for (size_t i = 0; i < load->place_count; i++) {
        struct place *place = &load->places[i];
        if (is_busy(place) && (is_over || deadline_has_passed(&clock_system, place->deadline)))
            fail(load, place, is_over ? "the load's time is over" : "too slow");
    }
}

static void turn(struct load *load, int64_t *next_check_us)
{
    struct epoll_event events[EVENTS_PER_TURN];
    int count = epoll_wait(load->epoll_fd, events, EVENTS_PER_TURN, TICK_MS);
    for (int i = 0; i < count; i++)
        advance(load, events[i].data.ptr);
    if (now_us() >= *next_check_us) {
        check_deadlines(load);
        *next_check_us = now_us() + TICK_MS * 1000;
    }
    fill_places(load);
}

static void release_held(struct load *load)
{
    for (size_t i = 0; i < load->place_count; i++) {
        struct place *place = &load->places[i];
        if (place->state != PLACE_HOLDING)
            continue;
        place->deadline = deadline_in_ms(&clock_system, DEVICE_MAX_MS);
        begin_close(load, place);
        advance(load, place);
    }
}

static void run_until_quiet(struct load *load)
{
    int64_t next_check_us = 0;
    fill_places(load);
    while (count_busy(load))
        turn(load, &next_check_us);
}

static int compare(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

static void summarise(struct load *load, int64_t began_us, int64_t began_cpu_us)
{
    struct load_result *result = &load->result;
    size_t count = result->done;
    result->wall_us = load->last_us - began_us;
    result->cpu_us = cpu_us() - began_cpu_us;
    if (!count)
        return;
    qsort(load->latencies_us, count, sizeof *load->latencies_us, compare);
    result->p50_us = load->latencies_us[count / 2];
    result->p90_us = load->latencies_us[count * 9 / 10];
    result->p99_us = load->latencies_us[count * 99 / 100];
    result->max_us = load->latencies_us[count - 1];
}

static int pass_any(X509_STORE_CTX *store, void *unused)
{
    (void)store, (void)unused;
    return 1;
}

static SSL_CTX *make_tls(void)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
    if (!tls)
        return NULL;
    SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION);
    SSL_CTX_set_max_proto_version(tls, TLS1_2_VERSION);
    SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(tls, SSL_OP_NO_TICKET);
    SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_cert_verify_callback(tls, pass_any, NULL);
    return tls;
}

static void load_done(struct load *load)
{
    for (size_t i = 0; load->places && i < load->place_count; i++)
        if (load->places[i].state != PLACE_FREE)
            vacate(load, &load->places[i]);
    SSL_CTX_free(load->tls);
    if (load->epoll_fd >= 0)
        close(load->epoll_fd);
    free(load->places);
    free(load->latencies_us);
}

static int load_init(struct load *load, struct error *error)
{
    load->tls = make_tls();
    load->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    load->place_count = load->options->kind == SCRIPT_IDLE ? load->options->count : load->options->concurrency;
    load->places = calloc(load->place_count, sizeof *load->places);
    load->latencies_us = calloc(load->options->count, sizeof *load->latencies_us);
    if (load->epoll_fd < 0)
        return error_set_errno(error, ERROR_OWNER_RIG, errno, "make an epoll descriptor");
    if (!load->tls || !load->places || !load->latencies_us)
        return error_set_memory(error);
    for (size_t i = 0; i < load->place_count; i++)
        load->places[i].fd = -1;
    return 0;
}

int load_run(const struct load_options *options, struct load_result *ret_result, struct error *error)
{
    CLEANUP(load_done) struct load load = {.options = options, .epoll_fd = -1};
    if (load_init(&load, error))
        return -1;
    int64_t began_us = now_us(), began_cpu_us = cpu_us();
    load.last_us = began_us;
    run_until_quiet(&load);
    summarise(&load, began_us, began_cpu_us);
    if (options->hold && load.result.done)
        options->hold(options->user);
    release_held(&load);
    run_until_quiet(&load);
    *ret_result = load.result;
    return 0;
}
