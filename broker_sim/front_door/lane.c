#include "broker_sim/front_door/lane.h"

#include "base/cleanup.h"
#include "broker_sim/front_door/connection.h"
#include "broker_sim/front_door/tls.h"
#include "broker_sim/front_door/tls_library.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

enum {
    BACKLOG = 1024,
    ACCEPTS_PER_TURN_MAX = 16, /* a handshake blocks the loop for about a millisecond: the others must get in between */
    ACCEPT_PAUSE_MS = 50,      /* when the system has no descriptors left */
    PORT_TEXT_BYTES = 6,
    PEER_TEXT_BYTES = INET6_ADDRSTRLEN + PORT_TEXT_BYTES + 3,
};

/* Lives as long as libuv needs it, which may be longer than the lane. */
struct listener {
    uv_poll_t poll;
    uv_timer_t pause;
    struct lane *lane; /* NULL: closed */
    int fd;
    int open_handles;
};

struct lane {
    struct lane *next;
    struct front_door *door;
    char *name;
    struct lane *parent; /* NULL: has a listener */
    char *host;
    SSL_CTX *tls;
    struct tls_versions versions;
    struct listener *listener;
    struct knobs *knobs; /* NULL: nothing is turned */
    uint64_t spoiled_count;
};

const char *lane_name(const struct lane *lane)
{
    return lane->name;
}

SSL_CTX *lane_tls(const struct lane *lane)
{
    return lane->tls;
}

struct lane *lane_find(struct front_door *door, const char *name)
{
    for (struct lane *lane = door->lanes; lane; lane = lane->next)
        if (strcmp(lane->name, name) == 0)
            return lane;
    return NULL;
}

static struct lane *find_host(struct lane *listener, const char *host)
{
    for (struct lane *lane = listener->door->lanes; lane; lane = lane->next)
        if (lane->parent == listener && strcasecmp(lane->host, host) == 0)
            return lane;
    return NULL;
}

struct lane *lane_for_host(struct lane *listener, const char *host)
{
    struct lane *child = host ? find_host(listener, host) : NULL;
    return child ? child : listener;
}

bool lane_is_within(const struct lane *lane, const struct lane *ancestor)
{
    return lane && (lane == ancestor || lane->parent == ancestor);
}

int lane_apply(const struct lane *lane, SSL *ssl)
{
    return SSL_set_SSL_CTX(ssl, lane->tls) && SSL_set_min_proto_version(ssl, lane->versions.min) &&
                   SSL_set_max_proto_version(ssl, lane->versions.max)
               ? 0
               : -1;
}

/* Accepting. */

static void format_peer(const struct sockaddr_storage *address, socklen_t length, char *text)
{
    char host[INET6_ADDRSTRLEN] = "", port[PORT_TEXT_BYTES] = "";
    getnameinfo((const struct sockaddr *)address, length, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
    snprintf(text, PEER_TEXT_BYTES, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}

static void on_readable(uv_poll_t *poll, int status, int events);

static void on_pause_over(uv_timer_t *timer)
{
    struct listener *listener = timer->data;
    if (listener->lane)
        uv_poll_start(&listener->poll, UV_READABLE, on_readable);
}

/* Returns false when there is nothing more to accept for now. */
static bool accept_one(struct listener *listener)
{
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof address;
    char peer[PEER_TEXT_BYTES];
    int fd = accept4(listener->fd, (struct sockaddr *)&address, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
        uv_poll_stop(&listener->poll);
        uv_timer_start(&listener->pause, on_pause_over, ACCEPT_PAUSE_MS, 0);
        return false;
    }
    if (fd < 0)
        return errno == ECONNABORTED || errno == EINTR;
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    format_peer(&address, length, peer);
    connection_accept(listener->lane->door, listener->lane, fd, peer);
    return true;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    (void)status, (void)events;
    struct listener *listener = poll->data;
    for (int i = 0; i < ACCEPTS_PER_TURN_MAX && listener->lane && accept_one(listener); i++)
        continue;
}

/* Opening. */

static int parse_address(const struct lane_options *options, struct sockaddr_storage *ret_address, socklen_t *ret_length,
                         struct error *error)
{
    if (uv_ip4_addr(options->address, options->port, (struct sockaddr_in *)ret_address) == 0)
        *ret_length = sizeof(struct sockaddr_in);
    else if (uv_ip6_addr(options->address, options->port, (struct sockaddr_in6 *)ret_address) == 0)
        *ret_length = sizeof(struct sockaddr_in6);
    else
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "listen on '%s': not a numeric address", options->address);
    return 0;
}

static int listen_on(const struct lane_options *options, uint16_t *ret_port, int *ret_fd, struct error *error)
{
    struct sockaddr_storage name = {0};
    socklen_t length = 0;
    if (parse_address(options, &name, &length, error))
        return -1;
    CLEANUP_FD int fd = socket(name.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int on = 1;
    /* SO_REUSEADDR would share a kernel-chosen port with the reserved ones of the broker's listeners only if the kernel offered those: it
     * does not. */
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) || bind(fd, (struct sockaddr *)&name, length) ||
        listen(fd, BACKLOG) || getsockname(fd, (struct sockaddr *)&name, &length))
        return error_set_errno(error, ERROR_OWNER_RIG, errno, "listen on %s port %u", options->address, options->port);
    *ret_port = ntohs(name.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&name)->sin6_port : ((struct sockaddr_in *)&name)->sin_port);
    *ret_fd = TAKE_FD(fd);
    return 0;
}

static int start_listener(struct lane *lane, const struct lane_options *options, uint16_t *ret_port, struct error *error)
{
    CLEANUP_FREE struct listener *listener = calloc(1, sizeof *listener);
    if (!listener)
        return error_set_memory(error);
    if (listen_on(options, ret_port, &listener->fd, error))
        return -1;
    uv_loop_t *loop = lane->door->options.loop;
    uv_poll_init(loop, &listener->poll, listener->fd);
    uv_timer_init(loop, &listener->pause);
    listener->poll.data = listener->pause.data = listener;
    listener->open_handles = 2;
    listener->lane = lane;
    uv_poll_start(&listener->poll, UV_READABLE, on_readable);
    lane->listener = TAKE(listener);
    return 0;
}

static void on_listener_closed(uv_handle_t *handle)
{
    struct listener *listener = handle->data;
    if (--listener->open_handles == 0)
        free(listener);
}

static void stop_listener(struct listener *listener)
{
    listener->lane = NULL;
    uv_close((uv_handle_t *)&listener->poll, on_listener_closed);
    uv_close((uv_handle_t *)&listener->pause, on_listener_closed);
    close(listener->fd);
}

static void free_lane(struct lane *lane)
{
    if (lane->listener)
        stop_listener(lane->listener);
    SSL_CTX_free(lane->tls);
    free(lane->knobs);
    free(lane->name);
    free(lane->host);
    free(lane);
}

DEFINE_CLEANUP(struct lane *, free_lane)

static int find_parent(struct front_door *door, const struct lane_options *options, struct lane **ret_parent, struct error *error)
{
    struct lane *parent = lane_find(door, options->parent);
    if (!parent || parent->parent)
        return error_set(error, ERROR_OWNER_RIG, ERROR_NOT_FOUND, "open lane '%s': no lane '%s' with a listener", options->name,
                         options->parent);
    if (!options->host || find_host(parent, options->host))
        return error_set(error, ERROR_OWNER_OURS, ERROR_EXISTS, "open lane '%s': host '%s' is taken on lane '%s'", options->name,
                         options->host ? options->host : "", options->parent);
    *ret_parent = parent;
    return 0;
}

static int fill_lane(struct lane *lane, const struct lane_options *options, uint16_t *ret_port, struct error *error)
{
    lane->name = strdup(options->name);
    lane->host = options->host ? strdup(options->host) : NULL;
    if (!lane->name || (options->host && !lane->host))
        return error_set_memory(error);
    lane->versions = tls_versions_or_default(options->tls_min_version, options->tls_max_version);
    if (lane_set_identity(lane, &options->identity, error))
        return -1;
    return options->parent ? 0 : start_listener(lane, options, ret_port, error);
}

int lane_open(struct front_door *door, const struct lane_options *options, uint16_t *ret_port, struct error *error)
{
    if (lane_find(door, options->name))
        return error_set(error, ERROR_OWNER_OURS, ERROR_EXISTS, "lane '%s' is open already", options->name);
    struct lane *parent = NULL;
    if (options->parent && find_parent(door, options, &parent, error))
        return -1;
    CLEANUP(free_lane_cleanup) struct lane *lane = calloc(1, sizeof *lane);
    if (!lane)
        return error_set_memory(error);
    lane->door = door;
    lane->parent = parent;
    uint16_t port = 0;
    if (fill_lane(lane, options, &port, error))
        return -1;
    if (ret_port && !parent)
        *ret_port = port;
    lane->next = door->lanes;
    door->lanes = TAKE(lane);
    return 0;
}

int lane_set_identity(struct lane *lane, const struct lane_identity *identity, struct error *error)
{
    SSL_CTX *tls = NULL;
    if (tls_context_new(tls_library_context(lane->door->library), identity, lane->versions, &tls, error))
        return error_prefix(error, "lane '%s'", lane->name);
    SSL_CTX_free(lane->tls); /* handshakes under way hold their own reference */
    lane->tls = tls;
    tls_set_resumption(tls, lane->knobs && lane->knobs->resumption);
    return 0;
}

/* Knobs. */

static bool is_anything_turned(const struct knobs *knobs)
{
    for (size_t i = 0; knobs && i < KNOB_COUNT; i++)
        if (knob_list[i].layer != KNOB_LAYER_ANY && knob_is_for(&knob_list[i], KNOB_TARGET_LANE) && knob_is_turned(knobs, &knob_list[i]))
            return true;
    return false;
}

int lane_set_knobs(struct lane *lane, const struct knobs *knobs, struct error *error)
{
    CLEANUP_FREE struct knobs *copy = NULL;
    if (is_anything_turned(knobs)) {
        if (knobs->resumption && lane->parent)
            return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE,
                             "knob 'resumption': lane '%s' shares the sessions of '%s'; set it there, or use a lane with a port of its own",
                             lane->name, lane->parent->name);
        copy = malloc(sizeof *copy);
        if (!copy)
            return error_set_memory(error);
        *copy = *knobs;
    }
    free(lane->knobs);
    lane->knobs = TAKE(copy);
    lane->spoiled_count = 0;
    tls_set_resumption(lane->tls, lane->knobs && lane->knobs->resumption);
    return 0;
}

const struct knobs *lane_knobs(const struct lane *lane)
{
    return lane->knobs;
}

const struct knobs *lane_spoil(struct lane *lane, uint64_t *ret_seed)
{
    const struct knobs *knobs = lane->knobs;
    if (!knobs || (knobs->fault_times && lane->spoiled_count >= (uint64_t)knobs->fault_times))
        return NULL;
    uint64_t random = (uint64_t)knobs->seed + (lane->spoiled_count++ << 32);
    *ret_seed = seed_next(&random);
    return knobs;
}

bool lane_may_spoil(const struct lane *listener)
{
    for (const struct lane *lane = listener->door->lanes; lane; lane = lane->next)
        if (lane_is_within(lane, listener) && lane->knobs)
            return true;
    return false;
}

static void unlink_lane(struct front_door *door, struct lane *lane)
{
    struct lane **at = &door->lanes;
    while (*at && *at != lane)
        at = &(*at)->next;
    if (*at)
        *at = lane->next;
}

static struct lane *first_child(const struct front_door *door, const struct lane *lane)
{
    for (struct lane *child = door->lanes; child; child = child->next)
        if (child->parent == lane)
            return child;
    return NULL;
}

void lane_close(struct front_door *door, struct lane *lane)
{
    for (struct lane *child = first_child(door, lane); child; child = first_child(door, lane)) {
        unlink_lane(door, child);
        free_lane(child);
    }
    unlink_lane(door, lane);
    free_lane(lane);
}
