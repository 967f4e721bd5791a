/* Our own Mosquitto: who may do what on which listener, and what is left when something is killed. */
#include "tests/unit/broker_sim/rig.h"

#include "base/child.h"
#include "base/clock.h"
#include "base/files.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/cmocka.h"

static struct rig rig;

static int start(void **state)
{
    (void)state;
    const struct rig_options options = {.has_broker = true};
    rig_start(&rig, &options);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    rig_stop(&rig);
    return 0;
}

/* Run a program while the loop turns; its output goes to `output` (initialised by the call). */

struct program {
    struct child *child;
    char path[64];
};

static void program_start(struct program *program, const char *const *argv)
{
    struct error error = ERROR_INIT;
    strcpy(program->path, "/tmp/broker-test-out-XXXXXX");
    int fd = mkstemp(program->path);
    assert_true(fd >= 0);
    const struct child_options options = {.argv = argv, .stdin_fd = -1, .stdout_fd = fd, .stderr_fd = fd, .death_signal = SIGKILL};
    if (child_start(&options, &program->child, &error))
        fail_msg("%s", error.text);
    close(fd);
}

static bool output_has(const struct program *program, const char *text)
{
    struct bytes output;
    bytes_init(&output, 0);
    assert_int_equal(file_read(program->path, 1024 * 1024, &output, NULL), 0);
    bool has = strstr(bytes_text(&output), text);
    bytes_done(&output);
    return has;
}

static void program_wait_output(const struct program *program, const char *text)
{
    deadline_t deadline = deadline_in_ms(&clock_system, RIG_WAIT_MS);
    while (!output_has(program, text)) {
        if (deadline_has_passed(&clock_system, deadline))
            fail_msg("'%s' does not appear in %s", text, program->path);
        rig_turn(&rig);
    }
}

/* Returns the exit status as of waitpid(). */
static int program_wait(struct program *program)
{
    deadline_t deadline = deadline_in_ms(&clock_system, RIG_WAIT_MS);
    int status = -1;
    while (child_wait(program->child, deadline_in_ms(&clock_system, 0), &status, NULL)) {
        if (deadline_has_passed(&clock_system, deadline))
            fail_msg("the program does not end");
        rig_turn(&rig);
    }
    return status;
}

static void program_stop(struct program *program)
{
    child_free(program->child);
    unlink(program->path);
}

static void run(const char *const *argv)
{
    struct program program;
    program_start(&program, argv);
    program_wait(&program);
    program_stop(&program);
}

/* mosquitto_sub or mosquitto_pub over TLS with the certificate of `name`. */
struct tls_arguments {
    char port[8], ca[64], cert[64], key[64];
};

static struct tls_arguments tls_arguments(uint16_t port, const char *name)
{
    struct tls_arguments arguments;
    snprintf(arguments.port, sizeof arguments.port, "%u", port);
    snprintf(arguments.ca, sizeof arguments.ca, "%s/ca.crt.pem", rig.dir);
    snprintf(arguments.cert, sizeof arguments.cert, "%s/%s.crt.pem", rig.dir, name);
    snprintf(arguments.key, sizeof arguments.key, "%s/%s.key.pem", rig.dir, name);
    return arguments;
}

static void publish_over_tls(uint16_t port, const char *name, const char *topic, const char *text)
{
    struct tls_arguments tls = tls_arguments(port, name);
    const char *const argv[] = {"mosquitto_pub", "-h",    "127.0.0.1", "-p", tls.port, "--cafile", tls.ca, "--cert", tls.cert,
                                "--key",         tls.key, "-q",        "1",  "-t",     topic,      "-m",   text,     NULL};
    run(argv);
}

static void subscribe_over_tls(struct program *program, uint16_t port, const char *name)
{
    struct tls_arguments tls = tls_arguments(port, name);
    const char *const argv[] = {"stdbuf", "-oL",    "mosquitto_sub", "-h",    "127.0.0.1", "-p", tls.port, "--cafile",
                                tls.ca,   "--cert", tls.cert,        "--key", tls.key,     "-v", "-d",     "-t",
                                "s/#",    "-t",     "dpsbench/v1/#", "-t",    "other/#",   NULL};
    program_start(program, argv);
    program_wait_output(program, "Subscribed (mid");
}

static void an_observer_sees_sessions_and_events_and_can_write_nothing(void **state)
{
    (void)state;
    struct program observer, control;
    uint16_t port = broker_observer_port(rig.broker);
    subscribe_over_tls(&observer, port, "observer");
    subscribe_over_tls(&control, broker_control_port(rig.broker), "control");
    publish_over_tls(port, "observer", "s/1/forged", "x");
    publish_over_tls(port, "observer", "dpsbench/v1/control/x/request", "x");
    rig_publish(&rig, "other/secret", "x", 1, 1);
    rig_publish(&rig, "dpsbench/v1/control/me/reply", "x", 1, 1);
    rig_publish(&rig, "s/1/seen", "x", 1, 1);
    rig_publish(&rig, "dpsbench/v1/events/main/tcp.accepted", "last", 4, 1);
    program_wait_output(&observer, "tcp.accepted last");
    program_wait_output(&control, "tcp.accepted last");
    assert_true(output_has(&observer, "s/1/seen x"));
    assert_false(output_has(&observer, "other/secret"));
    assert_false(output_has(&observer, "reply"));
    assert_false(output_has(&control, "forged"));
    assert_false(output_has(&control, "request"));
    assert_false(output_has(&control, "other/secret"));
    assert_true(output_has(&control, "reply x"));
    assert_true(output_has(&control, "s/1/seen x"));
    program_stop(&observer);
    program_stop(&control);
}

static void the_control_listener_serves_the_certificate_of_control_alone(void **state)
{
    (void)state;
    struct program control, stranger;
    uint16_t port = broker_control_port(rig.broker);
    subscribe_over_tls(&control, port, "control");
    subscribe_over_tls(&stranger, port, "observer");
    publish_over_tls(port, "observer", "dpsbench/v1/control/me/request", "forged");
    publish_over_tls(port, "control", "dpsbench/v1/events/main/x", "forged");
    publish_over_tls(port, "control", "s/1/x", "forged");
    publish_over_tls(port, "control", "dpsbench/v1/control/me/request", "real");
    program_wait_output(&control, "request real");
    assert_false(output_has(&control, "forged"));
    assert_false(output_has(&stranger, "real"));
    program_stop(&control);
    program_stop(&stranger);
}

static void without_a_certificate_nobody_gets_in(void **state)
{
    (void)state;
    struct program program;
    struct tls_arguments tls = tls_arguments(broker_observer_port(rig.broker), "observer");
    const char *const argv[] = {"stdbuf", "-oL", "mosquitto_sub", "-h", "127.0.0.1", "-p", tls.port, "--cafile",
                                tls.ca,   "-t",  "s/#",           "-W", "5",         NULL};
    program_start(&program, argv);
    assert_int_not_equal(program_wait(&program), 0);
    program_stop(&program);
}

static void a_person_can_answer_a_device_by_hand(void **state)
{
    (void)state;
    struct client client;
    struct bytes packet, body;
    char topic[64];
    client_open(&client, &rig, &(struct client_options){.sni = "localhost"});
    client_connect(&client, "dev-01");
    bytes_init(&packet, 4096);
    put_subscribe(&packet, 1, "$dps/registrations/res/#", 1);
    client_send(&client, &packet);
    client_expect(&client, "\x90\x03\x00\x01\x01", 5);
    snprintf(topic, sizeof topic, "s/%llu/$dps/registrations/res/202/?$rid=9", (unsigned long long)rig.last_session);
    const char *const argv[] = {"mosquitto_pub", "--unix", broker_hand_path(rig.broker), "-t", topic, "-m", "by hand", NULL};
    const char *const empty[] = {"mosquitto_pub", "--unix", broker_hand_path(rig.broker), "-t", "s/1/", "-m", "x", NULL};
    run(empty);
    run(argv);
    client_read_packet(&client, &body);
    assert_memory_equal(body.data + 2, "$dps/registrations/res/202/?$rid=9by hand", 41);
    bytes_done(&body);
    bytes_done(&packet);
    client_close(&client);
}

static void the_hand_socket_writes_to_sessions_and_reads_nothing(void **state)
{
    (void)state;
    struct program spy, witness;
    const char *path = broker_hand_path(rig.broker);
    const char *const listen[] = {"stdbuf", "-oL", "mosquitto_sub", "--unix", path, "-v", "-d", "-t", "#", NULL};
    const char *const all[] = {"stdbuf", "-oL", "mosquitto_sub", "--unix", broker_service_path(rig.broker), "-v", "-d", "-t", "#", NULL};
    const char *const events[] = {"mosquitto_pub", "--unix", path, "-q", "1", "-t", "dpsbench/v1/events/main/forged", "-m", "x", NULL};
    const char *const session[] = {"mosquitto_pub", "--unix", path, "-q", "1", "-t", "s/1/x", "-m", "last", NULL};
    program_start(&spy, listen);
    program_start(&witness, all);
    program_wait_output(&spy, "Subscribed (mid");
    program_wait_output(&witness, "Subscribed (mid");
    run(events);
    run(session);
    program_wait_output(&witness, "s/1/x last");
    assert_false(output_has(&witness, "forged"));
    rig_turn_ms(&rig, 100);
    assert_false(output_has(&spy, "s/1/x"));
    program_stop(&spy);
    program_stop(&witness);
}

static void a_message_to_the_bare_prefix_is_swallowed(void **state)
{
    (void)state;
    struct client client;
    char topic[64];
    client_open(&client, &rig, &(struct client_options){.sni = "localhost"});
    client_connect(&client, "dev-01");
    client_send_raw(&client, "\x82\x06\x00\x01\x00\x01#\x01", 8);
    client_expect(&client, "\x90\x03\x00\x01\x01", 5);
    snprintf(topic, sizeof topic, "s/%llu/", (unsigned long long)rig.last_session);
    rig_publish(&rig, topic, "lost", 4, 1);
    strcat(topic, "x");
    rig_publish(&rig, topic, "y", 1, 0);
    client_expect(&client, "\x30\x04\x00\x01xy", 6);
    client_close(&client);
}

/* A client that is not ours, with the client certificate of "control": to the front door any will do. */
static void start_foreign_device(struct program *program, const char *user_name)
{
    struct tls_arguments tls = tls_arguments(rig.port, "control");
    char root[64];
    struct bytes pem;
    struct error error = ERROR_INIT;
    snprintf(root, sizeof root, "%s/front.crt.pem", rig.dir);
    bytes_init(&pem, 65536);
    assert_int_equal(certificate_append_pem(pki_server_root(rig.server), &pem), 0);
    assert_int_equal(file_write_atomic(root, pem.data, pem.length_bytes, 0644, &error), 0);
    bytes_done(&pem);
    const char *const argv[] = {"stdbuf",   "-oL",       "mosquitto_sub",
                                "-h",       "localhost", "-p",
                                tls.port,   "--cafile",  root,
                                "--cert",   tls.cert,    "--key",
                                tls.key,    "-i",        "control",
                                "-u",       user_name,   "-V",
                                "mqttv311", "-d",        "-q",
                                "1",        "-t",        "$dps/registrations/res/#",
                                "-C",       "1",         NULL};
    program_start(program, argv);
}

static void mosquitto_sub_sees_connack_5(void **state)
{
    (void)state;
    struct program device;
    rig.refuse_with = 5;
    start_foreign_device(&device, DPS_USER("control"));
    program_wait(&device);
    assert_true(output_has(&device, "Connection error: Connection Refused: not authorised."));
    assert_string_equal(rig_closed_how(&rig, 0), "service refused connect");
    program_stop(&device);
}

static void mosquitto_sub_is_served_as_a_device(void **state)
{
    (void)state;
    struct program device;
    char topic[64];
    start_foreign_device(&device, DPS_USER("control"));
    program_wait_output(&device, "Subscribed (mid");
    snprintf(topic, sizeof topic, "s/%llu/$dps/registrations/res/200/?$rid=1", (unsigned long long)rig.last_session);
    rig_publish(&rig, topic, "hello there", 11, 1);
    assert_int_equal(program_wait(&device), 0);
    assert_true(output_has(&device, "hello there"));
    assert_string_equal(rig_closed_how(&rig, 0), "device disconnect session");
    program_stop(&device);
}

/* The second wall: what Mosquitto itself allows on the devices' socket, should a rewriting bug ever send something wrong. */
static void on_the_device_socket_a_client_id_reaches_its_own_prefix_alone(void **state)
{
    (void)state;
    struct program spy;
    const char *path = broker_device_path(rig.broker);
    const char *const argv[] = {"stdbuf", "-oL", "mosquitto_sub", "--unix", path, "-i", "77", "-v", "-d", "-t", "#", "-t", "s/+/#", NULL};
    program_start(&spy, argv);
    program_wait_output(&spy, "Subscribed (mid");
    const char *const forge[] = {"mosquitto_pub", "--unix", path, "-i", "78", "-q", "1", "-t", "s/77/forged", "-m", "x", NULL};
    run(forge);
    rig_publish(&rig, "s/78/other", "x", 1, 1);
    rig_publish(&rig, "s/77/own", "last", 4, 1);
    program_wait_output(&spy, "s/77/own last");
    assert_false(output_has(&spy, "s/78/other"));
    assert_false(output_has(&spy, "s/77/forged"));
    program_stop(&spy);
}

static void what_lies_in_the_runtime_folder_is_for_us_alone(void **state)
{
    (void)state;
    struct stat info;
    char *dir = strdup(broker_device_path(rig.broker));
    *strrchr(dir, '/') = 0;
    assert_int_equal(stat(dir, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
    assert_true(strlen(broker_service_path(rig.broker)) < 108);
    free(dir);
}

static void a_killed_mosquitto_is_back_within_a_second_on_the_same_ports(void **state)
{
    (void)state;
    uint16_t port = broker_control_port(rig.broker);
    for (int round = 1; round <= 3; round++) {
        int pid = broker_pid(rig.broker);
        int64_t before = clock_mono_us(&clock_system);
        kill(pid, SIGKILL);
        rig_wait_count(&rig, &rig.up_count, round + 1);
        assert_true(clock_mono_us(&clock_system) - before < 3000000);
        assert_int_equal(rig.down_count, round);
        assert_int_equal(broker_control_port(rig.broker), port);
        rig_wait_ready(&rig);
        struct program control;
        subscribe_over_tls(&control, port, "control");
        program_stop(&control);
    }
    assert_int_equal(rig.gave_up_count, 0);
}

/* Ports. */

static int try_to_listen(uint16_t port, bool reuses)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = reuses;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    int result = bind(fd, (struct sockaddr *)&name, sizeof name) || listen(fd, 1) ? errno : 0;
    close(fd);
    return result;
}

static void nobody_else_gets_the_reserved_ports(void **state)
{
    (void)state;
    enum { MANY = 500 };
    uint16_t control = broker_control_port(rig.broker), observer = broker_observer_port(rig.broker);
    int fds[MANY];
    assert_int_not_equal(control, observer);
    assert_int_equal(try_to_listen(control, false), EADDRINUSE);
    assert_int_equal(try_to_listen(control, true), EADDRINUSE);
    for (int i = 0; i < MANY; i++) {
        struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t length = sizeof name;
        const int on = 1;
        fds[i] = socket(AF_INET, SOCK_STREAM, 0);
        setsockopt(fds[i], SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        assert_int_equal(bind(fds[i], (struct sockaddr *)&name, sizeof name), 0);
        assert_int_equal(getsockname(fds[i], (struct sockaddr *)&name, &length), 0);
        assert_int_not_equal(ntohs(name.sin_port), control);
        assert_int_not_equal(ntohs(name.sin_port), observer);
    }
    for (int i = 0; i < MANY; i++)
        close(fds[i]);
}

/* kill -9: a process of its own runs a broker; we are the reaper of whatever it leaves. */

struct victim {
    int pid;
    int mosquitto;
    char dir[128];
    char ready[64];
};

struct victim_report {
    int mosquitto;
    char dir[128];
};

static int victim_pipe = -1;
static struct broker *victim_broker;

static void on_victim_up(void *user)
{
    (void)user;
    struct victim_report report = {.mosquitto = broker_pid(victim_broker)};
    snprintf(report.dir, sizeof report.dir, "%s", broker_device_path(victim_broker));
    *strrchr(report.dir, '/') = 0;
    if (write(victim_pipe, &report, sizeof report) != sizeof report)
        _exit(9);
}

static void run_victim(const char *ready_path)
{
    uv_loop_t loop;
    char ca[64], cert[64], key[64], text[64];
    struct error error = ERROR_INIT;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setpgid(0, 0);
    snprintf(text, sizeof text, "{\"v\":1,\"pid\":%d}\n", getpid());
    uv_loop_init(&loop);
    snprintf(ca, sizeof ca, "%s/ca.crt.pem", rig.dir);
    snprintf(cert, sizeof cert, "%s/server.crt.pem", rig.dir);
    snprintf(key, sizeof key, "%s/server.key.pem", rig.dir);
    const struct broker_options options = {.loop = &loop,
                                           .address = "127.0.0.1",
                                           .control_ca = ca,
                                           .server_cert = cert,
                                           .server_key = key,
                                           .ready_path = ready_path,
                                           .callbacks = {.up = on_victim_up}};
    if (broker_start(&options, &victim_broker, &error) || file_write_atomic(ready_path, text, strlen(text), 0644, &error)) {
        fprintf(stderr, "%s\n", error.text);
        _exit(9);
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    _exit(0);
}

static void victim_start(struct victim *victim)
{
    int ends[2];
    struct victim_report report;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    victim_pipe = ends[1];
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    snprintf(victim->ready, sizeof victim->ready, "%s/ready.json", rig.dir);
    victim->pid = fork();
    if (victim->pid == 0)
        run_victim(victim->ready);
    close(ends[1]);
    assert_int_equal(read(ends[0], &report, sizeof report), sizeof report);
    close(ends[0]);
    victim->mosquitto = report.mosquitto;
    strcpy(victim->dir, report.dir);
    assert_true(path_exists(victim->dir));
    assert_true(path_exists(victim->ready));
}

/* Every process that the victim started ends, and no file stays. */
static void nothing_is_left(const struct victim *victim)
{
    deadline_t deadline = deadline_in_ms(&clock_system, RIG_WAIT_MS);
    for (;;) {
        int pid = waitpid(-1, NULL, WNOHANG);
        if (pid < 0 && errno == ECHILD)
            break;
        if (deadline_has_passed(&clock_system, deadline))
            fail_msg("a process is left");
        if (pid == 0)
            poll(NULL, 0, 5);
    }
    assert_false(path_exists(victim->dir));
    assert_false(path_exists(victim->ready));
}

static int start_victims(void **state)
{
    (void)state;
    const struct rig_options options = {.has_broker = true};
    rig_start(&rig, &options); /* for its certificates */
    front_door_free(rig.door);
    mqtt_link_free(rig.service);
    broker_stop(rig.broker);
    rig.door = NULL;
    rig.service = NULL;
    rig.broker = NULL;
    return 0;
}

static void kill_9_of_the_simulator_leaves_nothing(void **state)
{
    (void)state;
    struct victim victim;
    victim_start(&victim);
    kill(victim.pid, SIGKILL);
    nothing_is_left(&victim);
}

static void kill_9_of_simulator_and_mosquitto_together_leaves_nothing(void **state)
{
    (void)state;
    struct victim victim;
    victim_start(&victim);
    kill(victim.mosquitto, SIGKILL);
    kill(victim.pid, SIGKILL);
    nothing_is_left(&victim);
}

static void kill_9_leaves_nothing_of_a_frozen_mosquitto_either(void **state)
{
    (void)state;
    struct victim victim;
    victim_start(&victim);
    kill(victim.mosquitto, SIGSTOP);
    kill(victim.pid, SIGKILL);
    nothing_is_left(&victim);
}

static void a_ctrl_c_for_the_whole_group_leaves_the_keeper_to_its_work(void **state)
{
    (void)state;
    struct victim victim;
    victim_start(&victim);
    kill(-victim.pid, SIGINT); /* the victim does not handle it and dies of it */
    nothing_is_left(&victim);
}

static void a_ctrl_c_does_not_reach_mosquitto(void **state)
{
    (void)state;
    struct victim victim;
    victim_start(&victim);
    assert_int_equal(getpgid(victim.mosquitto), victim.mosquitto);
    kill(victim.pid, SIGKILL);
    nothing_is_left(&victim);
}

static void the_ready_file_of_a_successor_is_not_removed(void **state)
{
    (void)state;
    struct victim victim;
    struct error error = ERROR_INIT;
    victim_start(&victim);
    assert_int_equal(file_write_atomic(victim.ready, "{\"v\":1,\"pid\":1}", 15, 0644, &error), 0);
    kill(victim.pid, SIGKILL);
    while (waitpid(-1, NULL, 0) > 0)
        continue;
    assert_false(path_exists(victim.dir));
    assert_true(path_exists(victim.ready));
}

/* Failing. */

static int start_alone(void **state)
{
    (void)state;
    const struct rig_options options = {.has_broker = false};
    rig_start(&rig, &options);
    return 0;
}

static char last_reason[512];
static int down_count, gave_up_count;

static void on_down(void *user, const char *reason)
{
    (void)user;
    snprintf(last_reason, sizeof last_reason, "%s", reason);
    down_count++;
}

static void on_gave_up(void *user, const char *reason)
{
    (void)user, (void)reason;
    gave_up_count++;
}

static void a_mosquitto_that_never_starts_is_given_up_with_its_own_words(void **state)
{
    (void)state;
    struct broker *broker;
    struct error error = ERROR_INIT;
    const struct broker_options options = {.loop = &rig.loop,
                                           .address = "127.0.0.1",
                                           .control_ca = "/nonexistent/ca.pem",
                                           .server_cert = "/nonexistent/cert.pem",
                                           .server_key = "/nonexistent/key.pem",
                                           .callbacks = {.down = on_down, .gave_up = on_gave_up}};
    if (broker_start(&options, &broker, &error))
        fail_msg("%s", error.text);
    rig_wait_count(&rig, &gave_up_count, 1);
    assert_int_equal(down_count, BROKER_RESTARTS_MAX);
    assert_string_equal(last_reason,
                        "Mosquitto ended with exit status 1: Unable to load CA certificates. Check cafile \"/nonexistent/ca.pem\".");
    assert_int_equal(broker_pid(broker), 0);
    broker_stop(broker);
}

static void a_path_with_a_line_end_is_refused(void **state)
{
    (void)state;
    struct broker *broker = NULL;
    struct error error = ERROR_INIT;
    const struct broker_options options = {
        .loop = &rig.loop, .address = "127.0.0.1", .control_ca = "a\nlistener 1883", .server_cert = "b", .server_key = "c"};
    assert_int_equal(broker_start(&options, &broker, &error), -1);
    assert_int_equal(error.code, ERROR_USAGE);
    assert_null(broker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_observer_sees_sessions_and_events_and_can_write_nothing, start, stop),
        cmocka_unit_test_setup_teardown(the_control_listener_serves_the_certificate_of_control_alone, start, stop),
        cmocka_unit_test_setup_teardown(without_a_certificate_nobody_gets_in, start, stop),
        cmocka_unit_test_setup_teardown(a_person_can_answer_a_device_by_hand, start, stop),
        cmocka_unit_test_setup_teardown(the_hand_socket_writes_to_sessions_and_reads_nothing, start, stop),
        cmocka_unit_test_setup_teardown(a_message_to_the_bare_prefix_is_swallowed, start, stop),
        cmocka_unit_test_setup_teardown(mosquitto_sub_sees_connack_5, start, stop),
        cmocka_unit_test_setup_teardown(mosquitto_sub_is_served_as_a_device, start, stop),
        cmocka_unit_test_setup_teardown(on_the_device_socket_a_client_id_reaches_its_own_prefix_alone, start, stop),
        cmocka_unit_test_setup_teardown(what_lies_in_the_runtime_folder_is_for_us_alone, start, stop),
        cmocka_unit_test_setup_teardown(a_killed_mosquitto_is_back_within_a_second_on_the_same_ports, start, stop),
        cmocka_unit_test_setup_teardown(nobody_else_gets_the_reserved_ports, start, stop),
        cmocka_unit_test_setup_teardown(kill_9_of_the_simulator_leaves_nothing, start_victims, stop),
        cmocka_unit_test_setup_teardown(kill_9_of_simulator_and_mosquitto_together_leaves_nothing, start_victims, stop),
        cmocka_unit_test_setup_teardown(kill_9_leaves_nothing_of_a_frozen_mosquitto_either, start_victims, stop),
        cmocka_unit_test_setup_teardown(a_ctrl_c_for_the_whole_group_leaves_the_keeper_to_its_work, start_victims, stop),
        cmocka_unit_test_setup_teardown(a_ctrl_c_does_not_reach_mosquitto, start_victims, stop),
        cmocka_unit_test_setup_teardown(the_ready_file_of_a_successor_is_not_removed, start_victims, stop),
        cmocka_unit_test_setup_teardown(a_mosquitto_that_never_starts_is_given_up_with_its_own_words, start_alone, stop),
        cmocka_unit_test_setup_teardown(a_path_with_a_line_end_is_refused, start_alone, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
