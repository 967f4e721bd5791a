/* The device side against dpsbench-vdk, the real program: what the two were built to, each without the other, must fit. */
#include "base/child.h"
#include "base/files.h"
#include "base/ready.h"
#include "harness/credentials/credential_set.h"
#include "harness/device/dk.h"
#include "test_device_host.h"
#include "tests/cmocka.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TAG = 56, START_MS = 20000 };

struct bench {
    const char *misbehaviour; /* of the virtual DK; NULL: none */
    uv_loop_t loop;
    struct events events;
    struct dialect *dialect;
    struct dk *dk;
    struct child *child;
    char dir[64], state[96], link[96], second_link[96], raw_path[96], connect[32];
    int refusing_fd;
    int done_count, boot_count;
    struct dk_identity identity;
    struct credential_result result;
    struct error error;
    char text[128];
    enum at_result at_result;
};

/* A port that is ours and refuses: bound, never listening. */
static void reserve_port(struct bench *bench)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    bench->refusing_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(bench->refusing_fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(getsockname(bench->refusing_fd, (struct sockaddr *)&address, &length), 0);
    snprintf(bench->connect, sizeof(bench->connect), "127.0.0.1:%d", ntohs(address.sin_port));
}

static cJSON *wait_ready(struct bench *bench)
{
    deadline_t deadline = deadline_in_ms(&clock_system, START_MS);
    cJSON *ready = NULL;
    while (!deadline_has_passed(&clock_system, deadline)) {
        if (!ready_read(bench->state, "dpsbench-vdk", &ready, NULL))
            return ready;
        run_for(&bench->loop, 10);
    }
    fail_msg("dpsbench-vdk wrote no ready.json");
    return NULL;
}

static void start_vdk(struct bench *bench)
{
    const char *program = DPSBENCH_BINARY_DIR "/bin/dpsbench-vdk";
    const char *const argv[] = {program,
                                "--state",
                                bench->state,
                                "--connect",
                                bench->connect,
                                "--id-scope",
                                "0ne000AAAA1",
                                "--registration-id",
                                "dev-01",
                                "--sec-tag",
                                "56",
                                "--time-scale",
                                "10",
                                bench->misbehaviour ? "--misbehaviour" : NULL,
                                bench->misbehaviour,
                                NULL};
    struct child_options options = {.argv = argv, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = 2, .death_signal = SIGKILL};
    struct error error = ERROR_INIT;
    if (child_start(&options, &bench->child, &error))
        fail_msg("%s", error.text);
    cJSON *ready = wait_ready(bench);
    unlink(bench->link);
    assert_int_equal(symlink(json_string(ready, "pty", ""), bench->link), 0);
    unlink(bench->second_link);
    if (json_string(ready, "pty2", NULL))
        assert_int_equal(symlink(json_string(ready, "pty2", ""), bench->second_link), 0);
    cJSON_Delete(ready);
}

static int set_up_with(void **state, const char *misbehaviour, bool are_swapped)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    bench->misbehaviour = misbehaviour;
    struct error error = ERROR_INIT;
    uv_loop_init(&bench->loop);
    events_init(&bench->events);
    strcpy(bench->dir, "/tmp/dpsbench-dk-XXXXXX");
    assert_non_null(mkdtemp(bench->dir));
    snprintf(bench->state, sizeof(bench->state), "%s/state", bench->dir);
    snprintf(bench->link, sizeof(bench->link), "%s/port", bench->dir);
    snprintf(bench->second_link, sizeof(bench->second_link), "%s/port2", bench->dir);
    snprintf(bench->raw_path, sizeof(bench->raw_path), "%s/console.raw", bench->dir);
    reserve_port(bench);
    assert_int_equal(dialect_read_file(DPSBENCH_SOURCE_DIR "/fixtures/dialects/nordic.yaml", &bench->dialect, NULL), 0);
    start_vdk(bench);
    bool has_second = access(bench->second_link, F_OK) == 0;
    struct dk_options options = {.loop = &bench->loop,
                                 .clock = &clock_system,
                                 .name = "dev-01",
                                 .path = are_swapped ? bench->second_link : bench->link,
                                 .console_path = has_second ? (are_swapped ? bench->link : bench->second_link) : NULL,
                                 .sync_try_ms = are_swapped ? 100 : 0,
                                 .raw_path = bench->raw_path,
                                 .dialect = bench->dialect,
                                 .sink = events_sink(&bench->events)};
    if (dk_open(&options, &bench->dk, &error))
        fail_msg("%s", error.text);
    *state = bench;
    return 0;
}

static int set_up(void **state)
{
    return set_up_with(state, NULL, false);
}

static int set_up_re_enumerating(void **state)
{
    return set_up_with(state, "re-enumerates", false);
}

static int set_up_shell(void **state)
{
    return set_up_with(state, "mosh-shell", false);
}

static int set_up_two_ports(void **state)
{
    return set_up_with(state, "second-vcom", false);
}

static int set_up_two_ports_swapped(void **state)
{
    return set_up_with(state, "second-vcom", true);
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    dk_close(bench->dk);
    child_stop(bench->child, SIGTERM, 5000);
    child_free(bench->child);
    finish_loop(&bench->loop);
    close(bench->refusing_fd);
    events_done(&bench->events);
    dialect_free(bench->dialect);
    dir_remove(bench->dir, NULL);
    free(bench);
    return 0;
}

static bool is_done(void *user)
{
    return ((struct bench *)user)->done_count > 0;
}

static void wait_done(struct bench *bench)
{
    assert_true(run_until(&bench->loop, is_done, bench));
    if (bench->error.code != ERROR_NONE)
        fail_msg("%s", bench->error.text);
}

static void on_identity(void *user, const struct dk_identity *identity, const struct error *error)
{
    struct bench *bench = user;
    bench->done_count++;
    if (identity)
        bench->identity = *identity;
    if (error)
        bench->error = *error;
}

static void identify(struct bench *bench)
{
    bench->done_count = 0;
    assert_int_equal(dk_identify(bench->dk, on_identity, bench, NULL), 0);
    wait_done(bench);
}

static void on_applied(void *user, const struct credential_result *result, const struct error *error)
{
    struct bench *bench = user;
    bench->done_count++;
    if (result)
        bench->result = *result;
    if (error)
        bench->error = *error;
}

static void on_boot(void *user, const char *banner, const struct error *error)
{
    struct bench *bench = user;
    bench->done_count++;
    assert_true(!banner == !!error);
    if (error)
        bench->error = *error;
}

static bool is_at_rest(void *user)
{
    return dk_is_at_rest(((struct bench *)user)->dk);
}

static void reset(struct bench *bench)
{
    bench->done_count = 0;
    assert_int_equal(dk_expect_boot(bench->dk, deadline_in_ms(&clock_system, START_MS), on_boot, bench, NULL), 0);
    child_signal(bench->child, SIGHUP);
    wait_done(bench);
    assert_true(run_until(&bench->loop, is_at_rest, bench));
}

/* ---- PEM texts of real objects: the modem of newer firmware checks them */

static void read_command(const char *command, char *text, size_t size)
{
    FILE *pipe_file = popen(command, "r");
    assert_non_null(pipe_file);
    size_t length = fread(text, 1, size - 1, pipe_file);
    text[length] = 0;
    pclose(pipe_file);
    assert_non_null(strstr(text, "-----END"));
}

static void put_credentials(struct bench *bench, struct credential_set *set)
{
    static char cert[8192], key[8192], command[512];
    snprintf(command, sizeof(command),
             "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=dev-01 -days 1 -keyout %s/key.pem 2>/dev/null",
             bench->dir);
    read_command(command, cert, sizeof(cert));
    snprintf(command, sizeof(command), "cat %s/key.pem", bench->dir);
    read_command(command, key, sizeof(key));
    credential_set_init(set, TAG);
    assert_int_equal(credential_set_put(set, CREDENTIAL_ROOT_CA, cert, strlen(cert), NULL), 0);
    assert_int_equal(credential_set_put(set, CREDENTIAL_CLIENT_CERT, cert, strlen(cert), NULL), 0);
    assert_int_equal(credential_set_put(set, CREDENTIAL_CLIENT_KEY, key, strlen(key), NULL), 0);
}

static void apply(struct bench *bench, const struct credential_set *set, enum credential_action expected)
{
    bench->done_count = 0;
    assert_int_equal(credential_apply(dk_at(bench->dk), set, on_applied, bench, NULL), 0);
    wait_done(bench);
    for (int type = 0; type < CREDENTIAL_TYPE_COUNT; type++)
        assert_string_equal(credential_action_name(bench->result.actions[type]), credential_action_name(expected));
}

/* ---- the tests */

static void identifies_it(void **state)
{
    struct bench *bench = *state;
    identify(bench);
    assert_string_equal(bench->identity.manufacturer, "Nordic Semiconductor ASA");
    assert_string_equal(bench->identity.firmware, "mfw_nrf91x1_2.0.2");
    assert_int_equal(strspn(bench->identity.imei, "0123456789"), 15);
    assert_int_equal(dk_unexpected_boot_count(bench->dk), 0);
}

static void identifies_it_although_it_boots_meanwhile(void **state)
{
    struct bench *bench = *state;
    for (int i = 0; i < 5; i++) {
        bench->done_count = 0;
        assert_int_equal(dk_identify(bench->dk, on_identity, bench, NULL), 0);
        run_for(&bench->loop, 5 + 3 * i);
        child_signal(bench->child, SIGHUP);
        wait_done(bench);
        assert_string_equal(bench->identity.firmware, "mfw_nrf91x1_2.0.2");
    }
}

static void sees_its_boot_and_why_it_gave_up(void **state)
{
    static const char *const kinds[] = {
        "console.boot",           "console.started", "console.device-id", "console.dps-started", "console.registration-status",
        "console.connect-failed", "console.failed"};
    struct bench *bench = *state;
    identify(bench);
    reset(bench);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (!events_find(&bench->events, kinds[i], 0))
            fail_msg("no %s", kinds[i]);
    int boots = events_count(&bench->events, "console.boot");
    assert_true(json_bool(event_data(events_find(&bench->events, "console.boot", boots - 1)), "is_expected", false));
    assert_string_equal(json_string(event_data(events_find(&bench->events, "console.device-id", 0)), "device_id", ""), "dev-01");
    assert_int_equal(dk_unexpected_boot_count(bench->dk), 0);
}

static void tells_a_boot_that_nobody_asked_for(void **state)
{
    struct bench *bench = *state;
    identify(bench);
    uint64_t boots = dk_boot_count(bench->dk);
    child_signal(bench->child, SIGHUP);
    for (int i = 0; i < 500 && dk_boot_count(bench->dk) == boots; i++)
        run_for(&bench->loop, 20);
    assert_int_equal(dk_unexpected_boot_count(bench->dk), 1);
}

static void writes_credentials_once_and_finds_them_after_a_reset(void **state)
{
    struct bench *bench = *state;
    struct credential_set set;
    identify(bench);
    put_credentials(bench, &set);
    apply(bench, &set, CREDENTIAL_WRITTEN);
    assert_true(bench->result.is_verified);
    apply(bench, &set, CREDENTIAL_KEPT);
    reset(bench);
    apply(bench, &set, CREDENTIAL_KEPT);
    credential_set_done(&set);
    credential_set_init(&set, TAG);
    apply(bench, &set, CREDENTIAL_DELETED);
    apply(bench, &set, CREDENTIAL_ABSENT);
    assert_false(events_contain(&bench->events, "PRIVATE KEY"));
}

static void frees_it_from_a_stuck_quote(void **state)
{
    struct bench *bench = *state;
    char text[6000];
    identify(bench);
    memset(text, 'x', sizeof(text));
    memcpy(text, "AT%CMNG=0,56,0,\"", 16);
    memcpy(text + sizeof(text) - 2, "\"\r", 2);
    assert_int_equal(serial_write(console_port(dk_console(bench->dk)), text, sizeof(text), NULL), 0);
    run_for(&bench->loop, 100);
    identify(bench);
    assert_string_equal(bench->identity.manufacturer, "Nordic Semiconductor ASA");
    struct credential_set nothing;
    credential_set_init(&nothing, TAG);
    apply(bench, &nothing, CREDENTIAL_ABSENT); /* what it had swallowed was not executed */
}

static bool is_back(void *user)
{
    return events_count(&((struct bench *)user)->events, "console.gap") > 0;
}

static void follows_it_through_a_power_cut(void **state)
{
    struct bench *bench = *state;
    identify(bench);
    child_signal(bench->child, SIGKILL);
    child_wait(bench->child, deadline_in_ms(&clock_system, START_MS), NULL, NULL);
    child_free(bench->child);
    bench->child = NULL;
    start_vdk(bench);
    assert_true(run_until(&bench->loop, is_back, bench));
    identify(bench);
    assert_string_equal(bench->identity.manufacturer, "Nordic Semiconductor ASA");
}

static void on_boot_seen(void *user, const char *banner, const struct error *error)
{
    struct bench *bench = user;
    assert_non_null(banner);
    bench->done_count++;
    if (error)
        bench->error = *error;
}

static void infers_a_boot_whose_banner_was_lost_while_the_port_was_away(void **state)
{
    struct bench *bench = *state;
    identify(bench);
    bench->done_count = 0;
    assert_int_equal(dk_expect_boot(bench->dk, deadline_in_ms(&clock_system, START_MS), on_boot_seen, bench, NULL), 0);
    child_signal(bench->child, SIGHUP);
    wait_done(bench);
    const cJSON *boot = events_find(&bench->events, "console.boot", events_count(&bench->events, "console.boot") - 1);
    assert_true(json_bool(event_data(boot), "is_inferred", false));
    assert_true(json_bool(event_data(boot), "is_expected", false));
    assert_int_equal(dk_unexpected_boot_count(bench->dk), 0);
}

static void types_credentials_into_a_shell_and_shows_none_of_the_key(void **state)
{
    struct bench *bench = *state;
    struct credential_set set;
    struct bytes raw;
    char part[33] = "";
    put_credentials(bench, &set);
    identify(bench);
    assert_int_equal(dk_transport(bench->dk), AT_TRANSPORT_SHELL);
    apply(bench, &set, CREDENTIAL_WRITTEN);
    assert_true(bench->result.is_verified);
    reset(bench);
    apply(bench, &set, CREDENTIAL_KEPT);
    memcpy(part, strchr(bytes_text(&set.text[CREDENTIAL_CLIENT_KEY]), '\n') + 1, sizeof(part) - 1);
    assert_false(events_contain(&bench->events, part));
    assert_int_equal(file_read(bench->raw_path, 16 * 1024 * 1024, &raw, NULL), 0);
    assert_null(strstr(bytes_text(&raw), part));
    bytes_done(&raw);
    credential_set_done(&set);
    assert_int_equal(dk_unexpected_boot_count(bench->dk), 0);
}

static void clears_what_somebody_typed_into_the_shell(void **state)
{
    struct bench *bench = *state;
    char text[6000];
    memset(text, 'x', sizeof(text));
    memcpy(text, "at 'AT%CMNG=0,56,0,\"", 20);
    identify(bench);
    for (size_t sent = 0; sent < sizeof(text); sent += 1000) {
        assert_int_equal(serial_write(console_port(dk_console(bench->dk)), text + sent, 1000, NULL), 0);
        run_for(&bench->loop, 20);
    }
    identify(bench);
    struct credential_set nothing;
    credential_set_init(&nothing, TAG);
    apply(bench, &nothing, CREDENTIAL_ABSENT);
}

static int count_from(const struct bench *bench, const char *kind, const char *port)
{
    int count = 0;
    for (int i = 0; i < events_count(&bench->events, kind); i++)
        count += strcmp(json_string(event_data(events_find(&bench->events, kind, i)), "port", ""), port) == 0;
    return count;
}

static void merges_two_ports_and_says_which(void **state)
{
    struct bench *bench = *state;
    identify(bench);
    reset(bench);
    assert_true(count_from(bench, "console.line", "console") > 5);
    assert_true(count_from(bench, "console.boot", "console") > 0);
    assert_int_equal(count_from(bench, "console.boot", "serial"), 0);
    assert_int_equal(count_from(bench, "console.line", ""), 0);
    assert_int_equal(dk_unexpected_boot_count(bench->dk), 0);
}

static void finds_which_of_two_ports_takes_commands(void **state)
{
    struct bench *bench = *state;
    identify(bench);
    assert_string_equal(bench->identity.manufacturer, "Nordic Semiconductor ASA");
    assert_string_equal(serial_path(console_port(dk_console(bench->dk))), bench->link);
    reset(bench);
    assert_true(count_from(bench, "console.boot", "serial") > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define SHELL_TEST(name) cmocka_unit_test_setup_teardown(name, set_up_shell, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(identifies_it),
        TEST(identifies_it_although_it_boots_meanwhile),
        TEST(sees_its_boot_and_why_it_gave_up),
        TEST(tells_a_boot_that_nobody_asked_for),
        TEST(writes_credentials_once_and_finds_them_after_a_reset),
        TEST(frees_it_from_a_stuck_quote),
        TEST(follows_it_through_a_power_cut),
        cmocka_unit_test_setup_teardown(infers_a_boot_whose_banner_was_lost_while_the_port_was_away, set_up_re_enumerating, tear_down),
        SHELL_TEST(sees_its_boot_and_why_it_gave_up),
        SHELL_TEST(types_credentials_into_a_shell_and_shows_none_of_the_key),
        SHELL_TEST(clears_what_somebody_typed_into_the_shell),
        cmocka_unit_test_setup_teardown(merges_two_ports_and_says_which, set_up_two_ports, tear_down),
        cmocka_unit_test_setup_teardown(finds_which_of_two_ports_takes_commands, set_up_two_ports_swapped, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
