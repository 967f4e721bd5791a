#include "broker_sim/webhook/webhook.h"

#include "base/bytes.h"
#include "base/cleanup.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

struct call {
    struct webhooks *webhooks;
    struct call *next;
    CURL *easy;
    struct curl_slist *headers;
    struct curl_slist *names; /* NULL: the system resolves */
    char *body;
    struct bytes answer;
    bool is_over_limit, is_refused;
    int64_t started_us;
    void (*done)(void *context, const struct webhook_answer *answer);
    void *context;
};

struct webhooks {
    struct webhooks_options options;
    CURLM *multi; /* NULL before the first call */
    uv_timer_t *timer;
    struct call *calls;
    size_t count;
};

/* One socket of libcurl on the loop. */
struct watch {
    struct webhooks *webhooks;
    uv_poll_t poll;
    curl_socket_t socket;
};

/* --- who may be asked --- */

static bool is_loopback_v6(const struct in6_addr *address)
{
    return IN6_IS_ADDR_LOOPBACK(address) || (IN6_IS_ADDR_V4MAPPED(address) && address->s6_addr[12] == 127);
}

static bool is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr) >> 24 == 127;
    return address->sa_family == AF_INET6 && is_loopback_v6(&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
}

/* A name may lead anywhere: what counts is where the connection goes. */
static curl_socket_t open_socket(void *user, curlsocktype purpose, struct curl_sockaddr *address)
{
    (void)purpose;
    struct call *call = user;
    if (!call->webhooks->options.allows_any_host && !is_loopback(&address->addr)) {
        call->is_refused = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, address->protocol);
}

static bool is_local_host(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;
    char bare[64];
    size_t length = strlen(host);
    if (strcasecmp(host, "localhost") == 0)
        return true;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    if (length < 3 || length >= sizeof bare || host[0] != '[')
        return false;
    snprintf(bare, sizeof bare, "%.*s", (int)length - 2, host + 1);
    return inet_pton(AF_INET6, bare, &v6) == 1 && is_loopback_v6(&v6);
}

static int fail_host(struct error *error, const char *host)
{
    return error_set(error, ERROR_OWNER_FILE, ERROR_REFUSED,
                     "host '%.200s' of the webhook is not this machine; run it on 127.0.0.1, or start dpsbench-sim with --webhook-any-host",
                     host);
}

static int fail_url(struct error *error)
{
    return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "the webhook's URL is none; write http://127.0.0.1:8080/api/allocate");
}

static int check_parts(const struct webhooks *webhooks, CURLU *url, struct error *error)
{
    char *scheme = NULL, *host = NULL;
    int rc = 0;
    if (curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) || curl_url_get(url, CURLUPART_HOST, &host, 0))
        rc = fail_url(error);
    else if (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)
        rc = error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "the webhook's URL begins with '%.20s:'; give http or https", scheme);
    else if (!webhooks->options.allows_any_host && !is_local_host(host))
        rc = fail_host(error, host);
    curl_free(scheme);
    curl_free(host);
    return rc;
}

static int check_url(const struct webhooks *webhooks, const char *text, struct error *error)
{
    if (strlen(text) > WEBHOOK_URL_MAX_BYTES)
        return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "the webhook's URL is longer than %d characters", WEBHOOK_URL_MAX_BYTES);
    CURLU *url = curl_url();
    if (!url)
        return error_set_memory(error);
    int rc = curl_url_set(url, CURLUPART_URL, text, 0) ? fail_url(error) : check_parts(webhooks, url, error);
    curl_url_cleanup(url);
    return rc;
}

/* --- calls --- */

static void call_free(struct call *call)
{
    if (call->easy)
        curl_easy_cleanup(call->easy);
    curl_slist_free_all(call->headers);
    curl_slist_free_all(call->names);
    free(call->body);
    bytes_done(&call->answer);
    free(call);
}
DEFINE_CLEANUP(struct call *, call_free)

static void unlink_call(struct webhooks *webhooks, struct call *call)
{
    struct call **at = &webhooks->calls;
    while (*at != call)
        at = &(*at)->next;
    *at = call->next;
    webhooks->count--;
}

/* Takes the call. trouble: NULL when an answer came. */
static void finish(struct call *call, const char *trouble, bool is_timeout)
{
    struct webhooks *webhooks = call->webhooks;
    long status = 0;
    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_multi_remove_handle(webhooks->multi, call->easy);
    unlink_call(webhooks, call);
    const struct webhook_answer answer = {
        .status = trouble ? 0 : (int)status,
        .body = trouble ? "" : bytes_text(&call->answer),
        .length_bytes = trouble ? 0 : call->answer.length_bytes,
        .trouble = trouble,
        .is_timeout = is_timeout,
        .duration_ms = (clock_mono_us(webhooks->options.clock) - call->started_us) / 1000,
    };
    call->done(call->context, &answer);
    call_free(call);
}

static void finish_with(struct call *call, CURLcode code)
{
    char text[256];
    if (call->is_refused)
        snprintf(text, sizeof text,
                 "the webhook's name leads to another machine; start dpsbench-sim with --webhook-any-host to allow that");
    else if (call->is_over_limit)
        snprintf(text, sizeof text, "the webhook's answer is larger than %d bytes", WEBHOOK_ANSWER_MAX_BYTES);
    else if (code == CURLE_OPERATION_TIMEDOUT)
        snprintf(text, sizeof text, "the webhook did not answer within %lld ms", (long long)call->webhooks->options.timeout_ms);
    else
        snprintf(text, sizeof text, "the webhook cannot be reached: %s", curl_easy_strerror(code));
    finish(call, code ? text : NULL, code == CURLE_OPERATION_TIMEDOUT);
}

static void look_for_ends(struct webhooks *webhooks)
{
    int left;
    CURLMsg *message;
    while ((message = curl_multi_info_read(webhooks->multi, &left))) {
        struct call *call = NULL;
        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&call);
        finish_with(call, message->data.result);
    }
}

/* --- libcurl on libuv --- */

static void drive(struct webhooks *webhooks, curl_socket_t socket, int flags)
{
    int running;
    curl_multi_socket_action(webhooks->multi, socket, flags, &running);
    look_for_ends(webhooks);
}

static void on_timer(uv_timer_t *timer)
{
    drive(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static int on_timer_wanted(CURLM *multi, long timeout_ms, void *user)
{
    (void)multi;
    struct webhooks *webhooks = user;
    if (timeout_ms < 0)
        uv_timer_stop(webhooks->timer);
    else
        uv_timer_start(webhooks->timer, on_timer, (uint64_t)timeout_ms, 0);
    return 0;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct watch *watch = poll->data;
    int flags = status < 0 ? CURL_CSELECT_ERR : 0;
    flags |= events & UV_READABLE ? CURL_CSELECT_IN : 0;
    flags |= events & UV_WRITABLE ? CURL_CSELECT_OUT : 0;
    drive(watch->webhooks, watch->socket, flags);
}

static void on_watch_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void end_watch(struct watch *watch)
{
    uv_poll_stop(&watch->poll);
    uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
}

static struct watch *begin_watch(struct webhooks *webhooks, curl_socket_t socket)
{
    CLEANUP_FREE struct watch *watch = calloc(1, sizeof *watch);
    if (!watch || uv_poll_init_socket(webhooks->options.loop, &watch->poll, socket))
        return NULL;
    watch->webhooks = webhooks;
    watch->socket = socket;
    watch->poll.data = watch;
    curl_multi_assign(webhooks->multi, socket, watch);
    return TAKE(watch);
}

static int on_socket_wanted(CURL *easy, curl_socket_t socket, int what, void *user, void *of_socket)
{
    (void)easy;
    struct watch *watch = of_socket;
    if (what == CURL_POLL_REMOVE) {
        if (watch)
            end_watch(watch);
        return 0;
    }
    if (!watch && !(watch = begin_watch(user, socket)))
        return -1;
    int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    uv_poll_start(&watch->poll, events, on_poll);
    return 0;
}

/* --- starting --- */

static int open_multi(struct webhooks *webhooks, struct error *error)
{
    if (webhooks->multi)
        return 0;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) || !(webhooks->multi = curl_multi_init()))
        return error_set_memory(error);
    curl_multi_setopt(webhooks->multi, CURLMOPT_SOCKETFUNCTION, on_socket_wanted);
    curl_multi_setopt(webhooks->multi, CURLMOPT_SOCKETDATA, webhooks);
    curl_multi_setopt(webhooks->multi, CURLMOPT_TIMERFUNCTION, on_timer_wanted);
    curl_multi_setopt(webhooks->multi, CURLMOPT_TIMERDATA, webhooks);
    return 0;
}

static size_t on_answer(char *data, size_t size, size_t count, void *user)
{
    struct call *call = user;
    if (bytes_append(&call->answer, data, size * count) == 0)
        return size * count;
    call->is_over_limit = true;
    return 0;
}

static bool set_options(struct call *call, const char *url)
{
    CURL *easy = call->easy;
    const struct webhooks_options *options = &call->webhooks->options;
    CURLcode code = curl_easy_setopt(easy, CURLOPT_URL, url);
    call->names = options->resolve ? curl_slist_append(NULL, options->resolve) : NULL;
    code |= curl_easy_setopt(easy, CURLOPT_RESOLVE, call->names);
    code |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    code |= curl_easy_setopt(easy, CURLOPT_PROXY, "");
    code |= curl_easy_setopt(easy, CURLOPT_POST, 1L);
    code |= curl_easy_setopt(easy, CURLOPT_POSTFIELDS, call->body);
    code |= curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(call->body));
    code |= curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->headers);
    code |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    code |= curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)options->timeout_ms);
    code |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_answer);
    code |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
    code |= curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    code |= curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, call);
    code |= curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
    return code == CURLE_OK;
}

static struct call *call_new(struct webhooks *webhooks, const char *url, const char *body)
{
    CLEANUP(call_free_cleanup) struct call *call = calloc(1, sizeof *call);
    if (!call)
        return NULL;
    bytes_init(&call->answer, WEBHOOK_ANSWER_MAX_BYTES);
    call->webhooks = webhooks;
    call->started_us = clock_mono_us(webhooks->options.clock);
    call->body = strdup(body);
    call->easy = curl_easy_init();
    call->headers = curl_slist_append(NULL, "Content-Type: application/json; charset=utf-8");
    return call->body && call->easy && call->headers && set_options(call, url) ? TAKE(call) : NULL;
}

static int post(void *user, const char *url, const char *body, void (*done)(void *context, const struct webhook_answer *answer),
                void *context, struct error *error)
{
    struct webhooks *webhooks = user;
    if (webhooks->count >= WEBHOOKS_MAX)
        return error_set(error, ERROR_OWNER_RIG, ERROR_LIMIT, "%d webhooks are under way already", WEBHOOKS_MAX);
    if (check_url(webhooks, url, error) || open_multi(webhooks, error))
        return -1;
    CLEANUP(call_free_cleanup) struct call *call = call_new(webhooks, url, body);
    if (!call || curl_multi_add_handle(webhooks->multi, call->easy))
        return error_set_memory(error);
    call->done = done;
    call->context = context;
    call->next = webhooks->calls;
    webhooks->calls = TAKE(call);
    webhooks->count++;
    return 0;
}

struct webhooks *webhooks_new(const struct webhooks_options *options)
{
    CLEANUP_FREE struct webhooks *webhooks = calloc(1, sizeof *webhooks);
    CLEANUP_FREE uv_timer_t *timer = calloc(1, sizeof *timer);
    if (!webhooks || !timer)
        return NULL;
    webhooks->options = *options;
    if (!webhooks->options.timeout_ms)
        webhooks->options.timeout_ms = WEBHOOK_TIMEOUT_MS;
    uv_timer_init(options->loop, timer);
    timer->data = webhooks;
    webhooks->timer = TAKE(timer);
    return TAKE(webhooks);
}

static void on_timer_closed(uv_handle_t *handle)
{
    free(handle);
}

void webhooks_free(struct webhooks *webhooks)
{
    if (!webhooks)
        return;
    while (webhooks->calls)
        finish(webhooks->calls, "the simulator ends", false);
    if (webhooks->multi) {
        curl_multi_cleanup(webhooks->multi);
        curl_global_cleanup();
    }
    uv_close((uv_handle_t *)webhooks->timer, on_timer_closed);
    free(webhooks);
}

struct webhook_port webhooks_port(struct webhooks *webhooks)
{
    return (struct webhook_port){.user = webhooks, .post = post};
}
