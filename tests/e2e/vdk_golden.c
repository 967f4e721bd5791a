/*
 * tests/e2e/vdk_golden.c - the virtual DK's console against the captured consoles of fixtures/consoles
 *
 * What:     for each capture, the scripted server does what the capture's server did, and the console must have the same lines, levels, modules
 *           and order. vdk_README.md names each normalisation with its reason.
 * Usage:    vdk_golden [NAME]...    all without a name
 */
#include "base/cleanup.h"
#include "base/files.h"
#include "tests/e2e/vdk_bench.h"
#include "tests/e2e/vdk_script.h"

#include <string.h>

#include "tests/cmocka.h"

enum { LINES_MAX = 64, LINE_MAX_BYTES = 512, FILE_MAX_BYTES = 64 * 1024, SETTLE_MS = 150 };

struct golden {
    const char *name; /* of the capture */
    const char *script;
    const char *stub_option;
    const char *time_scale;
    const char *options[4];
    enum server server;
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
    {.name = "put-401", .script = REGISTERED ERROR("401/?$rid=1", "401002") "expect DISCONNECT\n"},
    {.name = "put-404", .script = REGISTERED ERROR("404/?$rid=1", "404201") "expect DISCONNECT\n"},
    {.name = "put-429", .script = REGISTERED ERROR("429/?$rid=1", "429001") "expect DISCONNECT\n"},
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
    bench_make(&bench, golden->server);
    bench_provision(&bench, bench.leaf, bench.key);
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
    bench_remove(&bench);
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
