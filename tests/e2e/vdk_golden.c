/*
 * tests/e2e/vdk_golden.c - the virtual DK's console against the captured consoles of fixtures/consoles
 *
 * What:     for each capture, the scripted server does what the capture's server did, and the console must have the same lines, levels, modules
 *           and order. vdk_README.md names each normalisation with its reason.
 * Usage:    vdk_golden [NAME]...    all without a name
 */
#include "base/cleanup.h"
#include "base/files.h"
#include "tests/e2e/vdk_pki.h"
#include "tests/e2e/vdk_rig.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/cmocka.h"

enum { LINES_MAX = 64, LINE_MAX_BYTES = 512, FILE_MAX_BYTES = 64 * 1024, SETTLE_MS = 150 };

#define OP_ID "5.abc0123456789def.01234567-89ab-cdef-0123-456789abcdef"
#define RES "publish $dps/registrations/res/"
#define CONNECTED "accept\ntls\nexpect CONNECT\n"
#define SUBSCRIBED CONNECTED "connack 0\nexpect SUBSCRIBE\nsuback 0\n"
#define REGISTERED SUBSCRIBED "expect PUBLISH\npuback\n"
#define ASSIGNING(seconds) RES "202/?$rid=1&retry-after=" seconds " {\"operationId\":\"" OP_ID "\",\"status\":\"assigning\"}\n"
#define ASSIGNED                                                                                                                           \
    RES "200/?$rid=1 {\"operationId\":\"" OP_ID "\",\"status\":\"assigned\",\"registrationState\":{\"registrationId\":\"dev-01\","         \
        "\"assignedHub\":\"sim-hub.azure-devices.net\",\"deviceId\":\"dev-01\",\"status\":\"assigned\"}}\n"
#define ENDED(status)                                                                                                                      \
    RES "200/?$rid=1 {\"operationId\":\"" OP_ID "\",\"status\":\"" status "\",\"registrationState\":{\"registrationId\":\"dev-01\","       \
        "\"status\":\"" status "\"}}\n"
#define ERROR(status, code)                                                                                                                \
    RES status "/?$rid=1 {\"errorCode\":" code ",\"trackingId\":\"0\",\"message\":\"No.\",\"timestampUtc\":\"2026-01-01T00:00:00Z\"}\n"
#define POLL_ASSIGNING "expect PUBLISH\npuback\n" ASSIGNING("1")
#define PROVISIONED(suback)                                                                                                                \
    CONNECTED "connack 0\nexpect SUBSCRIBE\nsuback " suback                                                                                \
              "\nexpect PUBLISH\npuback\n" ASSIGNING("2") "expect PUBLISH\npuback\n" ASSIGNED "expect DISCONNECT\nclose\n"
#define TWIN "publish $iothub/twin/res/200/?$rid=1 {\"desired\":{\"$version\":1},\"reported\":{\"$version\":1}}\n"
#define HUB CONNECTED "connack 0\nexpect SUBSCRIBE\ncork\nsuback 0,0,0,0\n" TWIN "uncork\nsilence\n"

enum server { SERVER_GOOD, SERVER_OTHER_ROOT, SERVER_OTHER_NAME, SERVER_EXPIRED, SERVER_NONE };

struct golden {
    const char *name; /* of the capture */
    const char *script;
    enum server server;
    const char *stub_option;
    const char *time_scale;
    const char *options[4];
    int captured_tls_errno; /* mbedTLS's, where the modem has another */
};

#define SLOW "10" /* the second event must not come before the test has looked */
#define FAST "30" /* ninety seconds of silence */

static const struct golden goldens[] = {
    {.name = "success", .script = PROVISIONED("0") HUB, .time_scale = SLOW},
    {.name = "connack-1", .script = CONNECTED "connack 1\nclose\n"},
    {.name = "connack-3", .script = CONNECTED "connack 3\nclose\n"},
    {.name = "connack-5", .script = CONNECTED "connack 5\nclose\n"},
    {.name = "hub-connack-5", .script = PROVISIONED("0") CONNECTED "connack 5\nclose\n"},
    {.name = "put-401", .script = REGISTERED ERROR("401", "401002") "expect DISCONNECT\n"},
    {.name = "put-404", .script = REGISTERED ERROR("404", "404201") "expect DISCONNECT\n"},
    {.name = "put-429", .script = REGISTERED ERROR("429", "429001") "expect DISCONNECT\n"},
    {.name = "status-failed", .script = REGISTERED ASSIGNING("2") "expect PUBLISH\npuback\n" ENDED("failed") "silence\n"},
    {.name = "status-disabled", .script = REGISTERED ASSIGNING("2") "expect PUBLISH\npuback\n" ENDED("disabled") "silence\n"},
    {.name = "garbage", .script = REGISTERED RES "200/?$rid=1 no JSON at all\nsilence\n"},
    {.name = "assigning-for-ever",
     .script = REGISTERED ASSIGNING("1") POLL_ASSIGNING POLL_ASSIGNING POLL_ASSIGNING POLL_ASSIGNING POLL_ASSIGNING POLL_ASSIGNING
         POLL_ASSIGNING POLL_ASSIGNING POLL_ASSIGNING POLL_ASSIGNING "silence\n"},
    {.name = "suback-0x80",
     .script =
         PROVISIONED("80") CONNECTED "connack 0\nexpect SUBSCRIBE\nsuback 80,80,80,80\nexpect PUBLISH\nexpect PUBLISH\n" TWIN "silence\n",
     .time_scale = SLOW},
    {.name = "no-connack", .script = CONNECTED "silence\n", .time_scale = FAST},
    {.name = "no-answer-to-put", .script = SUBSCRIBED "silence\n", .time_scale = FAST},
    {.name = "reset-before-connack", .script = CONNECTED "rst\n", .time_scale = FAST},
    {.name = "reset-after-suback", .script = SUBSCRIBED "expect PUBLISH\nrst\n", .time_scale = FAST},
    {.name = "close-before-connack", .script = CONNECTED "close\n", .time_scale = FAST},
    {.name = "tcp-refused", .script = "", .server = SERVER_NONE},
    {.name = "tcp-reset", .script = "accept\nrst\n", .captured_tls_errno = -5},
    {.name = "tcp-closed", .script = "accept\nfin\n", .captured_tls_errno = -5},
    {.name = "tls-wrong-root", .script = "accept\ntls\n", .server = SERVER_OTHER_ROOT, .captured_tls_errno = -113},
    {.name = "tls-name-mismatch", .script = "accept\ntls\n", .server = SERVER_OTHER_NAME, .captured_tls_errno = -113},
    {.name = "tls-expired-server",
     .script = PROVISIONED("0") HUB,
     .server = SERVER_EXPIRED,
     .time_scale = SLOW,
     .options = {"--weakness", "accepts-expired-server"}},
    {.name = "tls-client-certificate-refused", .script = "accept\ntls\n", .stub_option = "--client-ca", .captured_tls_errno = -113},
    {.name = "tls-1.3-only-server", .script = "accept\ntls\n", .stub_option = "--tls13", .captured_tls_errno = -113},
    {.name = "nxdomain", .script = "", .server = SERVER_NONE, .options = {"--dps-host", "dps.invalid"}},
    {.name = "no-id-scope", .script = "", .server = SERVER_NONE, .options = {"--id-scope", ""}},
};

struct lines {
    size_t count;
    char text[LINES_MAX][LINE_MAX_BYTES];
};

static void drop_colours(char *line)
{
    char *to = line;
    for (const char *from = line; *from; from++) {
        if (*from == '\033')
            from += strcspn(from, "m");
        else if (*from != '\r')
            *to++ = *from;
    }
    *to = '\0';
}

/* Keep log lines alone, without their timestamp and without the numbers of an event. */
static void add_line(struct lines *lines, const char *start, size_t length, int captured_tls_errno)
{
    char line[LINE_MAX_BYTES], number[32];
    snprintf(line, sizeof line, "%.*s", (int)length, start);
    drop_colours(line);
    char *text = line[0] == '[' ? strchr(line, '<') : NULL;
    if (!text)
        return;
    assert_true(lines->count < LINES_MAX);
    char *event = strstr(text, "Sending event:");
    if (event)
        event[strlen("Sending event:")] = '\0';
    snprintf(number, sizeof number, "error: %d", captured_tls_errno);
    char *at = captured_tls_errno ? strstr(text, number) : NULL;
    char *kept = lines->text[lines->count++];
    if (at)
        snprintf(kept, LINE_MAX_BYTES, "%.*serror: -111%s", (int)(at - text), text, at + strlen(number));
    else
        snprintf(kept, LINE_MAX_BYTES, "%s", text);
}

/* The last line counts only once it is whole. */
static void split(struct lines *lines, const char *text, int captured_tls_errno)
{
    lines->count = 0;
    for (const char *end = strchr(text, '\n'); end; text = end + 1, end = strchr(text, '\n'))
        add_line(lines, text, (size_t)(end - text), captured_tls_errno);
}

static void read_capture(const struct golden *golden, struct lines *lines)
{
    char path[512];
    CLEANUP(bytes_done) struct bytes bytes = {0};
    snprintf(path, sizeof path, "%s/fixtures/consoles/%s.txt", DPSBENCH_SOURCE_DIR, golden->name);
    assert_int_equal(file_read(path, FILE_MAX_BYTES, &bytes, NULL), 0);
    split(lines, bytes_text(&bytes), golden->captured_tls_errno);
    assert_true(lines->count > 5);
}

static void compare(const struct lines *expected, const struct lines *seen)
{
    for (size_t i = 0; i < expected->count || i < seen->count; i++) {
        const char *left = i < expected->count ? expected->text[i] : "(nothing more)";
        const char *right = i < seen->count ? seen->text[i] : "(nothing more)";
        if (strcmp(left, right) != 0)
            fail_msg("log line %zu:\n  captured: %s\n  got:      %s", i + 1, left, right);
    }
}

/* A bound socket that does not listen refuses, and nobody else can take its port. */
static int closed_port(unsigned *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length_bytes = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length_bytes), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

struct bench {
    char dir[64];
    char cert_path[128], key_path[128], ca_path[128];
    int closed_fd;
    unsigned closed_port;
};

#define NAMES "DNS:global.azure-devices-provisioning.net,DNS:*.azure-devices.net"

static void forge(struct bench *bench, enum server server, char **ret_root, char **ret_chain, char **ret_key)
{
    struct pair root = pki_make("Test root", NULL, true, NULL, 30);
    struct pair other = pki_make("Other root", NULL, true, NULL, 30);
    struct pair device = pki_make("dev-01", NULL, false, NULL, 30);
    struct pair leaf = pki_make("server", server == SERVER_OTHER_ROOT ? &other : &root, false,
                                server == SERVER_OTHER_NAME ? "DNS:example.org" : NAMES, server == SERVER_EXPIRED ? -1 : 30);
    CLEANUP_FREE char *certificate = pki_certificate(&leaf);
    CLEANUP_FREE char *key = pki_key(&leaf);
    CLEANUP_FREE char *other_text = pki_certificate(&other);
    pki_write(bench->cert_path, certificate);
    pki_write(bench->key_path, key);
    pki_write(bench->ca_path, other_text);
    *ret_root = pki_certificate(&root);
    *ret_chain = pki_certificate(&device);
    *ret_key = pki_key(&device);
    pki_drop(&root);
    pki_drop(&other);
    pki_drop(&device);
    pki_drop(&leaf);
}

static void bench_up(struct bench *bench, enum server server)
{
    CLEANUP_FREE char *root = NULL, *chain = NULL, *key = NULL;
    struct vdk vdk;
    snprintf(bench->dir, sizeof bench->dir, "/tmp/dpsbench-vdk.XXXXXX");
    assert_non_null(mkdtemp(bench->dir));
    snprintf(bench->cert_path, sizeof bench->cert_path, "%s/server.pem", bench->dir);
    snprintf(bench->key_path, sizeof bench->key_path, "%s/server.key", bench->dir);
    snprintf(bench->ca_path, sizeof bench->ca_path, "%s/client-ca.pem", bench->dir);
    bench->closed_fd = closed_port(&bench->closed_port);
    forge(bench, server, &root, &chain, &key);
    vdk_start(&vdk, bench->dir, bench->closed_port, NULL);
    vdk_write_credentials(&vdk, 42, root, chain, key);
    vdk_stop(&vdk);
}

static void bench_down(struct bench *bench)
{
    close(bench->closed_fd);
    dir_remove(bench->dir, NULL);
}

static void observe(struct vdk *vdk, const struct lines *expected, struct lines *seen)
{
    deadline_t deadline = deadline_in_ms(&clock_system, RIG_WAIT_MS);
    do {
        split(seen, vdk_listen(vdk, SETTLE_MS), 0);
    } while (seen->count < expected->count && !deadline_has_passed(&clock_system, deadline));
    split(seen, vdk_listen(vdk, SETTLE_MS), 0);
}

static void console_is_as_captured(void **state)
{
    const struct golden *golden = *state;
    struct lines *expected = test_calloc(1, sizeof *expected), *seen = test_calloc(1, sizeof *seen);
    struct bench bench;
    struct stub stub = {0};
    struct vdk vdk;
    bench_up(&bench, golden->server);
    const char *const stub_options[] = {golden->stub_option, bench.ca_path, NULL};
    const char *const tls13_options[] = {"--tls13", NULL};
    bool is_tls13 = golden->stub_option && strcmp(golden->stub_option, "--tls13") == 0;
    if (golden->server != SERVER_NONE)
        stub_start(&stub, bench.cert_path, bench.key_path,
                   !golden->stub_option ? NULL
                   : is_tls13           ? tls13_options
                                        : stub_options,
                   golden->script);
    const char *options[] = {"--time-scale", golden->time_scale ? golden->time_scale : "20", golden->options[0], golden->options[1], NULL};
    read_capture(golden, expected);
    vdk_start(&vdk, bench.dir, golden->server == SERVER_NONE ? bench.closed_port : stub.port, options);
    observe(&vdk, expected, seen);
    compare(expected, seen);
    vdk_stop(&vdk);
    if (golden->server != SERVER_NONE)
        stub_stop(&stub);
    bench_down(&bench);
    test_free(expected);
    test_free(seen);
}

static bool is_wanted(int argc, char **argv, const char *name)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], name) == 0)
            return true;
    }
    return argc == 1;
}

int main(int argc, char **argv)
{
    struct CMUnitTest tests[ARRAY_COUNT(goldens)];
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_COUNT(goldens); i++) {
        if (is_wanted(argc, argv, goldens[i].name))
            tests[count++] = (struct CMUnitTest){goldens[i].name, console_is_as_captured, NULL, NULL, (void *)(uintptr_t)&goldens[i]};
    }
    if (count == 0) {
        fprintf(stderr, "vdk_golden: no capture of that name\n");
        return 2;
    }
    return _cmocka_run_group_tests("captured consoles", tests, count, NULL, NULL);
}
