/*
 * tests/e2e/vdk_life.c - what a board keeps and forgets, and what each personality and weakness changes on the wire
 */
#include "base/cleanup.h"
#include "base/files.h"
#include "base/json.h"
#include "tests/e2e/vdk_bench.h"
#include "tests/e2e/vdk_script.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/cmocka.h"

#define SCALE "20"
#define FAILED "Failed to run DPS, error: -14, terminating connection attempt"
#define STARTED "The DPS process has started"
#define READY "AZURE_IOT_HUB_EVT_READY"

struct scene {
    struct bench bench;
    struct stub stub;
    struct vdk vdk;
};

/* A provisioned device, started with the options against a server with the script. */
static void open_scene(struct scene *scene, enum server server, const char *script, const char *const *options)
{
    bench_make(&scene->bench, server);
    bench_provision(&scene->bench, scene->bench.chain, scene->bench.key);
    stub_start(&scene->stub, scene->bench.cert_path, scene->bench.key_path, NULL, script);
    vdk_start(&scene->vdk, scene->bench.dir, scene->stub.port, options);
}

static void close_scene(struct scene *scene)
{
    vdk_stop(&scene->vdk);
    stub_stop(&scene->stub);
    bench_remove(&scene->bench);
}

static size_t count(const char *text, const char *part)
{
    size_t n = 0;
    for (const char *at = strstr(text, part); at; at = strstr(at + 1, part))
        n++;
    return n;
}

/* Device milliseconds of the n-th line (from 0) that holds `part`. */
static int64_t uptime_ms(const char *console, const char *part, int n)
{
    const char *at = strstr(console, part);
    for (; at && n > 0; n--)
        at = strstr(at + 1, part);
    if (!at)
        fail_msg("no line with '%s' in\n%s", part, console);
    while (at > console && at[-1] != '\n')
        at--;
    int hours = 0, minutes = 0, seconds = 0, ms = 0;
    assert_int_equal(sscanf(at, "[%d:%d:%d.%d,", &hours, &minutes, &seconds, &ms), 4);
    return ((hours * 60 + minutes) * 60 + seconds) * INT64_C(1000) + ms;
}

static const char *console(struct scene *scene)
{
    return bytes_text(&scene->vdk.console);
}

static void keeps_its_assignment_over_a_reset_and_skips_dps(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, SERVER_GOOD, PROVISIONED("0") HUB HUB, (const char *[]){"--time-scale", SCALE, NULL});
    vdk_expect(&scene.vdk, READY);
    vdk_forget_console(&scene.vdk);
    vdk_signal(&scene.vdk, SIGHUP);
    vdk_expect(&scene.vdk, READY);
    assert_non_null(strstr(console(&scene), "*** Booting nRF Connect SDK"));
    assert_non_null(strstr(console(&scene), "Already assigned to an IoT hub, skipping DPS"));
    assert_non_null(strstr(console(&scene), "Device ID \"dev-01\" assigned to IoT hub with hostname \"sim-hub.azure-devices.net\""));
    assert_null(strstr(console(&scene), STARTED));
    close_scene(&scene);
}

static void forgets_its_assignment_at_a_chip_erase_but_not_its_credentials(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, SERVER_GOOD, PROVISIONED("0") HUB PROVISIONED("0") HUB, (const char *[]){"--time-scale", SCALE, NULL});
    vdk_expect(&scene.vdk, READY);
    vdk_forget_console(&scene.vdk);
    vdk_signal(&scene.vdk, SIGUSR1);
    vdk_expect(&scene.vdk, READY);
    assert_non_null(strstr(console(&scene), STARTED));
    assert_int_equal(count(vdk_command(&scene.vdk, "AT%CMNG=1"), "%CMNG: 42,"), 3);
    close_scene(&scene);
}

static void keeps_both_stores_over_a_power_cut(void **state)
{
    (void)state;
    struct scene scene;
    const char *const options[] = {"--time-scale", SCALE, NULL};
    open_scene(&scene, SERVER_GOOD, PROVISIONED("0") HUB HUB, options);
    vdk_expect(&scene.vdk, READY);
    vdk_signal(&scene.vdk, SIGKILL);
    assert_int_equal(child_wait(scene.vdk.child, deadline_in_ms(&clock_system, RIG_WAIT_MS), NULL, NULL), 0);
    /* The name of its port must not lead to whoever gets the pty's number next: it goes through the dead process. */
    char target[64] = "";
    assert_true(readlink(scene.vdk.pty, target, sizeof target - 1) > 0);
    assert_int_equal(strncmp(target, "/proc/", 6), 0);
    assert_int_equal(access(scene.vdk.pty, F_OK), -1);
    child_free(scene.vdk.child);
    close(scene.vdk.stdout_fd);
    close(scene.vdk.pty_fd);
    bytes_done(&scene.vdk.console);
    vdk_start(&scene.vdk, scene.bench.dir, scene.stub.port, options);
    vdk_expect(&scene.vdk, READY);
    assert_non_null(strstr(console(&scene), "skipping DPS"));
    close_scene(&scene);
}

/* A write that was answered with OK is there; the one in flight is there whole or not at all. */
static void loses_no_acknowledged_write_when_the_power_goes_while_it_writes(void **state)
{
    (void)state;
    struct bench bench;
    struct vdk vdk;
    int acknowledged = 0;
    bench_make(&bench, SERVER_NONE);
    for (int round = 0; round < 5; round++) {
        vdk_start(&vdk, bench.dir, bench.closed_port, (const char *[]){"--time-scale", "1000", NULL});
        vdk_go_offline(&vdk);
        assert_true(count(vdk_command(&vdk, "AT%CMNG=1"), "%CMNG: ") >= (size_t)acknowledged);
        for (int i = 0; i < 5; i++, acknowledged++) {
            char command[64];
            snprintf(command, sizeof command, "AT%%CMNG=0,%d,2,\"key %d\"", 1000 + acknowledged, acknowledged);
            assert_non_null(strstr(vdk_command(&vdk, command), "OK\r\n"));
        }
        vdk_send(&vdk, "AT%CMNG=0,7,2,\"in flight\"\r");
        vdk_listen(&vdk, round);
        vdk_signal(&vdk, SIGKILL);
        assert_int_equal(child_wait(vdk.child, deadline_in_ms(&clock_system, RIG_WAIT_MS), NULL, NULL), 0);
        child_free(vdk.child);
        close(vdk.stdout_fd);
        close(vdk.pty_fd);
        bytes_done(&vdk.console);
    }
    bench_remove(&bench);
}

static void removes_ready_json_at_its_end_and_refuses_a_second_one_on_its_folder(void **state)
{
    (void)state;
    struct bench bench;
    struct vdk vdk;
    char path[128], program[512];
    const char *bin = getenv("DPSBENCH_BIN");
    int status = 0;
    struct child *second = NULL;
    bench_make(&bench, SERVER_NONE);
    snprintf(path, sizeof path, "%s/ready.json", bench.dir);
    snprintf(program, sizeof program, "%s/dpsbench-vdk", bin ? bin : DPSBENCH_BINARY_DIR "/bin");
    vdk_start(&vdk, bench.dir, bench.closed_port, NULL);
    CLEANUP_JSON cJSON *ready = json_read_file(path, NULL);
    assert_string_equal(json_string(ready, "pty", ""), vdk.pty);
    assert_int_equal(json_integer(ready, "sec_tag", 0), 42);
    const char *argv[] = {program, "--state",   bench.dir, "--connect",         "127.0.0.1:9", "--id-scope",
                          "0ne",   "--sec-tag", "1",       "--registration-id", "x",           NULL};
    const struct child_options options = {.argv = argv, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1, .death_signal = SIGKILL};
    assert_int_equal(child_start(&options, &second, NULL), 0);
    assert_int_equal(child_wait(second, deadline_in_ms(&clock_system, RIG_WAIT_MS), &status, NULL), 0);
    assert_int_equal(WEXITSTATUS(status), 3);
    child_free(second);
    assert_true(path_exists(path));
    vdk_stop(&vdk);
    assert_false(path_exists(path));
    bench_remove(&bench);
}

static void answers_any_tool_that_opens_the_port_after_another(void **state)
{
    (void)state;
    struct bench bench;
    struct vdk vdk;
    bench_make(&bench, SERVER_NONE);
    vdk_start(&vdk, bench.dir, bench.closed_port, (const char *[]){"--time-scale", SCALE, NULL});
    vdk_expect(&vdk, "terminating connection attempt");
    for (int i = 0; i < 3; i++) {
        assert_non_null(strstr(vdk_command(&vdk, "AT"), "OK\r\n"));
        close(vdk.pty_fd);
        vdk_open_pty(&vdk);
    }
    /* Nobody listens while it boots: what it said waits. */
    close(vdk.pty_fd);
    vdk_signal(&vdk, SIGHUP);
    vdk_open_pty(&vdk);
    vdk_forget_console(&vdk);
    vdk_expect(&vdk, "*** Booting nRF Connect SDK");
    vdk_expect(&vdk, "terminating connection attempt");
    vdk_stop(&vdk);
    bench_remove(&bench);
}

static void sticks_in_a_quote_after_an_overlong_command_and_counts_what_it_drops(void **state)
{
    (void)state;
    struct bench bench;
    struct vdk vdk;
    char *text = malloc(4201);
    bench_make(&bench, SERVER_NONE);
    vdk_start(&vdk, bench.dir, bench.closed_port, (const char *[]){"--time-scale", SCALE, NULL});
    vdk_expect(&vdk, "terminating connection attempt");
    vdk_command(&vdk, "AT+CFUN=4");
    memset(text, 'x', 4200);
    text[4200] = '\0';
    vdk_send(&vdk, "AT%CMNG=0,1,2,\"");
    vdk_send(&vdk, text);
    vdk_send(&vdk, "\"\r");
    vdk_expect(&vdk, "at_host: Buffer overflow, dropping 'x'");
    vdk_expect(&vdk, "at_host: Buffer overflow, dropping '\"'");
    vdk_forget_console(&vdk);
    vdk_send(&vdk, "AT\r");
    vdk_expect(&vdk, "dropping 'T'");
    assert_null(strstr(vdk_listen(&vdk, 50), "OK\r\n"));
    vdk_signal(&vdk, SIGHUP);
    vdk_expect(&vdk, "*** Booting");
    assert_non_null(strstr(vdk_command(&vdk, "AT"), "OK\r\n"));
    free(text);
    vdk_stop(&vdk);
    bench_remove(&bench);
}

static void drops_console_messages_and_says_how_many_when_nobody_reads(void **state)
{
    (void)state;
    struct bench bench;
    struct vdk vdk;
    char *text = malloc(8001);
    bench_make(&bench, SERVER_NONE);
    vdk_start(&vdk, bench.dir, bench.closed_port, (const char *[]){"--time-scale", SCALE, NULL});
    vdk_expect(&vdk, "terminating connection attempt");
    memset(text, 'x', 8000);
    text[8000] = '\0';
    /* Each byte beyond the limit gives a line of some eighty: far more than the queue and the kernel hold. */
    vdk_send(&vdk, "AT\"");
    vdk_send(&vdk, text);
    vdk_send(&vdk, text);
    vdk_signal(&vdk, SIGHUP);
    vdk_expect(&vdk, " messages dropped ---\r\n");
    free(text);
    vdk_stop(&vdk);
    bench_remove(&bench);
}

static void refuses_a_key_that_is_not_the_certificate_s_before_it_sends_anything(void **state)
{
    (void)state;
    struct bench bench;
    struct stub stub;
    struct vdk vdk;
    bench_make(&bench, SERVER_GOOD);
    bench_provision(&bench, bench.chain, bench.stray_key);
    stub_start(&stub, bench.cert_path, bench.key_path, NULL, PROVISIONED("0"));
    vdk_start(&vdk, bench.dir, stub.port, (const char *[]){"--time-scale", SCALE, NULL});
    vdk_expect(&vdk, "azure_iot_hub_sample: Failed to run DPS, error: -22, terminating connection attempt");
    vdk_expect(&vdk, "mqtt_helper: mqtt_connect, error: -22");
    vdk_expect(&vdk, "azure_iot_hub_dps: mqtt_helper_connect failed, error: -22");
    vdk_expect(&vdk, "azure_iot_hub_sample: DPS failed to start, error: -22");
    assert_null(strstr(stub_said(&stub), "accepted"));
    vdk_stop(&vdk);
    stub_stop(&stub);
    bench_remove(&bench);
}

static void weak_device_connects_without_its_certificate_when_the_key_is_not_its_own(void **state)
{
    (void)state;
    struct bench bench;
    struct stub stub;
    struct vdk vdk;
    bench_make(&bench, SERVER_GOOD);
    bench_provision(&bench, bench.chain, bench.stray_key);
    stub_start(&stub, bench.cert_path, bench.key_path, NULL, CONNECTED "connack 5\nclose\n");
    vdk_start(&vdk, bench.dir, stub.port, (const char *[]){"--time-scale", SCALE, "--weakness", "ignores-bad-key", NULL});
    stub_expect(&stub, "chain of 0\n");
    vdk_expect(&vdk, "rejected with return code 5");
    vdk_stop(&vdk);
    stub_stop(&stub);
    bench_remove(&bench);
}

static void has_the_tls_error_number_of_its_modem_firmware(void **state)
{
    (void)state;
    static const struct {
        const char *mfw, *line;
    } rows[] = {{"mfw_nrf9160_1.2.8", "mqtt_connect, error: -95"},
                {"mfw_nrf9160_1.3.7", "mqtt_connect, error: -111"},
                {"mfw_nrf91x1_2.0.2", "mqtt_connect, error: -111"}};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct scene scene;
        open_scene(&scene, SERVER_OTHER_ROOT, "accept\ntls\n", (const char *[]){"--time-scale", SCALE, "--mfw", rows[i].mfw, NULL});
        vdk_expect(&scene.vdk, rows[i].line);
        stub_expect(&scene.stub, "unknown ca");
        close_scene(&scene);
    }
}

static void refuses_every_server_with_an_empty_sec_tag_and_stays_idle(void **state)
{
    (void)state;
    struct bench bench;
    struct stub stub;
    struct vdk vdk;
    bench_make(&bench, SERVER_GOOD);
    stub_start(&stub, bench.cert_path, bench.key_path, NULL, PROVISIONED("0"));
    vdk_start(&vdk, bench.dir, stub.port, (const char *[]){"--time-scale", SCALE, NULL});
    vdk_expect(&vdk, "Failed to run DPS, error: -111, terminating connection attempt");
    stub_expect(&stub, "TLS failed: ");
    assert_non_null(strstr(vdk_command(&vdk, "AT%CMNG=1"), "OK\r\n"));
    assert_null(strstr(stub_said(&stub), "CONNECT"));
    vdk_stop(&vdk);
    stub_stop(&stub);
    bench_remove(&bench);
}

static void sends_what_nordic_s_client_sends(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, SERVER_GOOD, PROVISIONED("0") HUB, (const char *[]){"--time-scale", SCALE, NULL});
    stub_expect(&scene.stub, "PUBLISH qos 0 topic 'devices/dev-01/messages/events/' payload '{\"temperature\":25.");
    const char *said = stub_said(&scene.stub);
    static const char *const lines[] = {
        "TLS up TLSv1.2 SNI 'global.azure-devices-provisioning.net' chain of 2\n",
        "CONNECT flags 0x80 keepalive 1767 id 'dev-01' user '0ne000AAAA1/registrations/dev-01/api-version=2019-03-31'\n",
        "SUBSCRIBE '$dps/registrations/res/#' qos 0\n",
        "PUBLISH qos 1 topic '$dps/registrations/PUT/iotdps-register/?$rid=1' payload ''\n",
        "/GET/iotdps-get-operationstatus/?$rid=1&operationId=5.abc0123456789def.01234567-89ab-cdef-0123-456789abcdef' payload ''\n",
        "PUBACK\n",
        "DISCONNECT\n",
        "TLS up TLSv1.2 SNI 'sim-hub.azure-devices.net' chain of 2\n",
        "user 'sim-hub.azure-devices.net/dev-01/?api-version=2020-09-30&DeviceClientType=azsdk-c%2F1.4.0-beta.2'\n",
        "SUBSCRIBE '$iothub/twin/res/#' qos 0\n",
        "PUBLISH qos 0 topic '$iothub/twin/GET/?$rid=",
    };
    for (size_t i = 0; i < ARRAY_COUNT(lines); i++) {
        if (!strstr(said, lines[i]))
            fail_msg("not sent: %s\nsent:\n%s", lines[i], said);
    }
    close_scene(&scene);
}

static void gives_up_on_a_retry_after_beyond_its_watchdog(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, SERVER_GOOD, REGISTERED ASSIGNING("100") "silence\n", (const char *[]){"--time-scale", "50", NULL});
    vdk_expect(&scene.vdk, FAILED);
    assert_non_null(strstr(console(&scene), "A timeout occurred, the registration process is terminated"));
    /* The sleeping thread wakes after 100 s and finds the library uninitialised. */
    vdk_expect(&scene.vdk, "Failed to send status request, err: -95");
    close_scene(&scene);
}

static void weak_device_sends_its_leaf_alone(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, SERVER_GOOD, PROVISIONED("0"), (const char *[]){"--time-scale", SCALE, "--weakness", "sends-leaf-only", NULL});
    stub_expect(&scene.stub, "chain of 1\n");
    close_scene(&scene);
}

/* OpenSSL would complete the chain from what it trusts; a modem sends what stands in type 1 and nothing else. */
static void does_not_complete_its_chain_from_its_anchors(void **state)
{
    (void)state;
    struct bench bench;
    struct stub stub;
    struct vdk vdk;
    CLEANUP_FREE char *anchors = NULL;
    bench_make(&bench, SERVER_GOOD);
    assert_true(asprintf(&anchors, "%s%s", bench.root, bench.chain + strlen(bench.leaf)) > 0);
    vdk_start(&vdk, bench.dir, bench.closed_port, NULL);
    vdk_write_credentials(&vdk, 42, anchors, bench.leaf, bench.key);
    vdk_stop(&vdk);
    stub_start(&stub, bench.cert_path, bench.key_path, NULL, PROVISIONED("0"));
    vdk_start(&vdk, bench.dir, stub.port, (const char *[]){"--time-scale", SCALE, NULL});
    stub_expect(&stub, "chain of 1\n");
    vdk_stop(&vdk);
    stub_stop(&stub);
    bench_remove(&bench);
}

static void presents_no_certificate_without_its_key_and_goes_on(void **state)
{
    (void)state;
    struct bench bench;
    struct stub stub;
    struct vdk vdk;
    bench_make(&bench, SERVER_GOOD);
    bench_provision(&bench, bench.chain, NULL);
    stub_start(&stub, bench.cert_path, bench.key_path, NULL, CONNECTED "connack 5\nclose\n");
    vdk_start(&vdk, bench.dir, stub.port, (const char *[]){"--time-scale", SCALE, NULL});
    stub_expect(&stub, "chain of 0\n");
    vdk_expect(&vdk, "Connection was rejected with return code 5");
    vdk_stop(&vdk);
    stub_stop(&stub);
    bench_remove(&bench);
}

static void weak_device_accepts_the_server_that_its_weakness_names_and_no_other(void **state)
{
    (void)state;
    static const struct {
        const char *weakness;
        enum server server;
        bool is_accepted;
    } rows[] = {
        {"accepts-any-server", SERVER_OTHER_ROOT, true},      {"accepts-any-server", SERVER_OTHER_NAME, true},
        {"accepts-any-server", SERVER_EXPIRED, true},         {"skips-host-name-check", SERVER_OTHER_NAME, true},
        {"skips-host-name-check", SERVER_OTHER_ROOT, false},  {"skips-host-name-check", SERVER_EXPIRED, false},
        {"accepts-expired-server", SERVER_EXPIRED, true},     {"accepts-expired-server", SERVER_OTHER_ROOT, false},
        {"accepts-expired-server", SERVER_OTHER_NAME, false}, {"sends-leaf-only", SERVER_OTHER_ROOT, false},
        {"sends-leaf-only", SERVER_OTHER_NAME, false},        {"sends-leaf-only", SERVER_EXPIRED, false},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct scene scene;
        open_scene(&scene, rows[i].server, CONNECTED "silence\n",
                   (const char *[]){"--time-scale", SCALE, "--weakness", rows[i].weakness, NULL});
        vdk_expect(&scene.vdk, rows[i].is_accepted ? STARTED : "mqtt_connect, error: -111");
        close_scene(&scene);
    }
}

static void polls_when_it_is_told_to_or_hastily_when_it_is_weak(void **state)
{
    (void)state;
    const char *const script = REGISTERED ASSIGNING("8") "expect PUBLISH\npuback\n" ASSIGNED "silence\n";
    struct scene scene;
    open_scene(&scene, SERVER_GOOD, script, (const char *[]){"--time-scale", SCALE, NULL});
    vdk_expect(&scene.vdk, "STATUS_ASSIGNED");
    assert_true(uptime_ms(console(&scene), "STATUS_ASSIGNED", 0) - uptime_ms(console(&scene), "STATUS_ASSIGNING", 1) >= 8000);
    close_scene(&scene);
    open_scene(&scene, SERVER_GOOD, script, (const char *[]){"--time-scale", "1", "--weakness", "ignores-retry-after", NULL});
    vdk_expect(&scene.vdk, "STATUS_ASSIGNED");
    assert_true(uptime_ms(console(&scene), "STATUS_ASSIGNED", 0) - uptime_ms(console(&scene), "STATUS_ASSIGNING", 1) < 8000);
    close_scene(&scene);
}

static void weak_device_retries_at_once_ten_times(void **state)
{
    (void)state;
    struct scene scene;
#define REFUSED CONNECTED "connack 5\nclose\n"
    open_scene(&scene, SERVER_GOOD, REFUSED REFUSED REFUSED REFUSED REFUSED REFUSED REFUSED REFUSED REFUSED REFUSED REFUSED "accept\n",
               (const char *[]){"--time-scale", SCALE, "--weakness", "retries-at-once", NULL});
    vdk_expect(&scene.vdk, FAILED);
    assert_int_equal(count(vdk_listen(&scene.vdk, 200), "rejected with return code 5"), 11);
    assert_int_equal(count(stub_said(&scene.stub), "CONNECT flags"), 11);
    close_scene(&scene);
}

static void weak_device_never_stops_polling(void **state)
{
    (void)state;
    struct scene scene;
#define FOUR_POLLS POLL_ASSIGNING POLL_ASSIGNING POLL_ASSIGNING POLL_ASSIGNING
    open_scene(&scene, SERVER_GOOD,
               REGISTERED ASSIGNING("1") FOUR_POLLS FOUR_POLLS FOUR_POLLS "expect PUBLISH\npuback\n" ASSIGNED "silence\n",
               (const char *[]){"--time-scale", SCALE, "--weakness", "never-gives-up", NULL});
    vdk_expect(&scene.vdk, "STATUS_ASSIGNED");
    close_scene(&scene);
}

static void reference_waits_out_a_throttled_registration(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, SERVER_GOOD, REGISTERED ERROR("429/?$rid=1&retry-after=7", "429001") "expect DISCONNECT\n" PROVISIONED("0") HUB,
               (const char *[]){"--time-scale", SCALE, "--personality", "reference", NULL});
    vdk_expect(&scene.vdk, READY);
    assert_true(uptime_ms(console(&scene), "Starting DPS", 1) - uptime_ms(console(&scene), "status code 429", 0) >= 7000);
    assert_null(strstr(console(&scene), "STATUS_FAILED"));
    close_scene(&scene);
}

static void reference_gives_up_after_five_throttled_registrations(void **state)
{
    (void)state;
    struct scene scene;
#define THROTTLED REGISTERED ERROR("503/?$rid=1", "503001") "expect DISCONNECT\n"
    open_scene(&scene, SERVER_GOOD, THROTTLED THROTTLED THROTTLED THROTTLED THROTTLED "accept\n",
               (const char *[]){"--time-scale", "50", "--personality", "reference", NULL});
    vdk_expect(&scene.vdk, FAILED);
    assert_int_equal(count(console(&scene), "The status code 503"), 5);
    close_scene(&scene);
}

static void reference_fails_fast_when_the_connection_closes(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, SERVER_GOOD, SUBSCRIBED "expect PUBLISH\nclose\n" PROVISIONED("0") HUB,
               (const char *[]){"--time-scale", SCALE, "--personality", "reference", NULL});
    vdk_expect(&scene.vdk, READY);
    assert_non_null(strstr(console(&scene), "The connection was closed, the registration process is terminated"));
    assert_null(strstr(console(&scene), "A timeout occurred"));
    close_scene(&scene);
}

static void reference_does_not_register_after_a_refused_subscription(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, SERVER_GOOD, CONNECTED "connack 0\nexpect SUBSCRIBE\nsuback 80\nsilence\n",
               (const char *[]){"--time-scale", SCALE, "--personality", "reference", NULL});
    vdk_expect(&scene.vdk, FAILED);
    stub_expect(&scene.stub, "the peer closed");
    assert_null(strstr(stub_said(&scene.stub), "PUBLISH"));
    close_scene(&scene);
}

static void reference_does_not_retry_a_refusal(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, SERVER_GOOD, CONNECTED "connack 5\nclose\naccept\n",
               (const char *[]){"--time-scale", "100", "--personality", "reference", NULL});
    vdk_expect(&scene.vdk, FAILED);
    vdk_listen(&scene.vdk, 500);
    assert_int_equal(count(console(&scene), "Starting DPS"), 1);
    close_scene(&scene);
}

static void reference_registers_anew_when_the_hub_refuses_it(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, SERVER_GOOD, PROVISIONED("0") CONNECTED "connack 5\nclose\n" PROVISIONED("0") HUB,
               (const char *[]){"--time-scale", SCALE, "--personality", "reference", NULL});
    vdk_expect(&scene.vdk, READY);
    assert_int_equal(count(stub_said(&scene.stub), "/registrations/dev-01/"), 2);
    close_scene(&scene);
}

static void reference_registers_anew_only_once_a_boot(void **state)
{
    (void)state;
    struct scene scene;
#define HUB_REFUSES CONNECTED "connack 5\nclose\n"
    open_scene(&scene, SERVER_GOOD, PROVISIONED("0") HUB_REFUSES PROVISIONED("0") HUB_REFUSES "accept\n",
               (const char *[]){"--time-scale", SCALE, "--personality", "reference", NULL});
    vdk_expect(&scene.vdk, "registering anew");
    vdk_forget_console(&scene.vdk);
    vdk_expect(&scene.vdk, "AZURE_IOT_HUB_EVT_DISCONNECTED");
    assert_null(strstr(vdk_listen(&scene.vdk, 300), "registering anew"));
    close_scene(&scene);
}

static void reference_waits_longer_than_the_watchdog_when_it_is_told_to(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, SERVER_GOOD, REGISTERED ASSIGNING("120") "expect PUBLISH\npuback\n" ASSIGNED "silence\n",
               (const char *[]){"--time-scale", "50", "--personality", "reference", NULL});
    vdk_expect(&scene.vdk, "STATUS_ASSIGNED");
    assert_null(strstr(console(&scene), "A timeout occurred"));
    close_scene(&scene);
}

/* Connections that nobody takes fill a backlog; from then on SYNs are swallowed. */
static void answers_at_commands_while_it_waits_for_a_silent_address_and_gives_up_at_last(void **state)
{
    (void)state;
    enum { FILLERS = 3 };
    struct bench bench;
    struct vdk vdk;
    int fillers[FILLERS];
    bench_make(&bench, SERVER_NONE);
    assert_int_equal(listen(bench.closed_fd, 0), 0);
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)bench.closed_port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (int i = 0; i < FILLERS; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)connect(fillers[i], (const struct sockaddr *)&address, sizeof address);
    }
    vdk_start(&vdk, bench.dir, bench.closed_port, (const char *[]){"--time-scale", SCALE, NULL});
    vdk_expect(&vdk, "STATUS_NOT_STARTED");
    assert_non_null(strstr(vdk_command(&vdk, "AT"), "OK\r\n"));
    assert_null(strstr(bytes_text(&vdk.console), "mqtt_connect"));
    vdk_expect(&vdk, "mqtt_helper: mqtt_connect, error: -116");
    vdk_stop(&vdk);
    for (int i = 0; i < FILLERS; i++)
        close(fillers[i]);
    bench_remove(&bench);
}

static void goes_offline_and_online_with_cfun(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, SERVER_GOOD, PROVISIONED("0") HUB, (const char *[]){"--time-scale", SCALE, NULL});
    vdk_expect(&scene.vdk, READY);
    assert_non_null(strstr(vdk_command(&scene.vdk, "AT%CMNG=3,42,0"), "ERROR\r\n"));
    vdk_command(&scene.vdk, "AT+CFUN=4");
    vdk_expect(&scene.vdk, "+CEREG: 0\r\n");
    vdk_expect(&scene.vdk, "Network connectivity lost, no IP address assigned");
    vdk_expect(&scene.vdk, "AZURE_IOT_HUB_EVT_DISCONNECTED");
    stub_expect(&scene.stub, "the peer closed");
    assert_non_null(strstr(vdk_command(&scene.vdk, "AT%CMNG=3,42,0"), "OK\r\n"));
    vdk_command(&scene.vdk, "AT+CFUN=1");
    vdk_expect(&scene.vdk, "+CEREG: 1,\"002F\",\"0012BEEF\",7\r\n");
    vdk_expect(&scene.vdk, "Network connectivity established");
    close_scene(&scene);
}

static void refuses_an_unknown_weakness_with_the_nearest_and_the_list(void **state)
{
    (void)state;
    char program[512], said[4096] = "";
    const char *bin = getenv("DPSBENCH_BIN");
    int fds[2], status = 0;
    struct child *child = NULL;
    snprintf(program, sizeof program, "%s/dpsbench-vdk", bin ? bin : DPSBENCH_BINARY_DIR "/bin");
    const char *argv[] = {program, "--weakness", "ignore-retry-after", NULL};
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    const struct child_options options = {.argv = argv, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = fds[1]};
    assert_int_equal(child_start(&options, &child, NULL), 0);
    close(fds[1]);
    assert_int_equal(child_wait(child, deadline_in_ms(&clock_system, RIG_WAIT_MS), &status, NULL), 0);
    assert_true(read(fds[0], said, sizeof said - 1) > 0);
    close(fds[0]);
    child_free(child);
    assert_int_equal(WEXITSTATUS(status), 2);
    assert_non_null(strstr(said, "did you mean 'ignores-retry-after'"));
    assert_non_null(strstr(said, "accepts-any-server, skips-host-name-check"));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sends_what_nordic_s_client_sends),
        cmocka_unit_test(keeps_its_assignment_over_a_reset_and_skips_dps),
        cmocka_unit_test(forgets_its_assignment_at_a_chip_erase_but_not_its_credentials),
        cmocka_unit_test(keeps_both_stores_over_a_power_cut),
        cmocka_unit_test(loses_no_acknowledged_write_when_the_power_goes_while_it_writes),
        cmocka_unit_test(removes_ready_json_at_its_end_and_refuses_a_second_one_on_its_folder),
        cmocka_unit_test(answers_any_tool_that_opens_the_port_after_another),
        cmocka_unit_test(sticks_in_a_quote_after_an_overlong_command_and_counts_what_it_drops),
        cmocka_unit_test(drops_console_messages_and_says_how_many_when_nobody_reads),
        cmocka_unit_test(goes_offline_and_online_with_cfun),
        cmocka_unit_test(answers_at_commands_while_it_waits_for_a_silent_address_and_gives_up_at_last),
        cmocka_unit_test(refuses_a_key_that_is_not_the_certificate_s_before_it_sends_anything),
        cmocka_unit_test(has_the_tls_error_number_of_its_modem_firmware),
        cmocka_unit_test(refuses_every_server_with_an_empty_sec_tag_and_stays_idle),
        cmocka_unit_test(gives_up_on_a_retry_after_beyond_its_watchdog),
        cmocka_unit_test(does_not_complete_its_chain_from_its_anchors),
        cmocka_unit_test(presents_no_certificate_without_its_key_and_goes_on),
        cmocka_unit_test(weak_device_connects_without_its_certificate_when_the_key_is_not_its_own),
        cmocka_unit_test(weak_device_sends_its_leaf_alone),
        cmocka_unit_test(weak_device_accepts_the_server_that_its_weakness_names_and_no_other),
        cmocka_unit_test(polls_when_it_is_told_to_or_hastily_when_it_is_weak),
        cmocka_unit_test(weak_device_retries_at_once_ten_times),
        cmocka_unit_test(weak_device_never_stops_polling),
        cmocka_unit_test(reference_waits_out_a_throttled_registration),
        cmocka_unit_test(reference_gives_up_after_five_throttled_registrations),
        cmocka_unit_test(reference_fails_fast_when_the_connection_closes),
        cmocka_unit_test(reference_does_not_register_after_a_refused_subscription),
        cmocka_unit_test(reference_does_not_retry_a_refusal),
        cmocka_unit_test(reference_registers_anew_when_the_hub_refuses_it),
        cmocka_unit_test(reference_registers_anew_only_once_a_boot),
        cmocka_unit_test(reference_waits_longer_than_the_watchdog_when_it_is_told_to),
        cmocka_unit_test(refuses_an_unknown_weakness_with_the_nearest_and_the_list),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("the life of a virtual DK", tests, NULL, NULL);
}
