/* One list of behaviours for every back end: compiled once with each as BACKEND. */
#include "harness/serial/serial_port.h"
#include "test_device_fake.h"
#include "tests/cmocka.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

extern const struct serial_backend BACKEND;

struct bench {
    uv_loop_t loop;
    struct fake fake;
    struct serial_options options;
    struct serial_port *port;
    struct bytes heard; /* from the device */
    size_t wanted;
    int gone_count, back_count, lost_count;
    int64_t gap_ms;
    struct error lost;
    size_t heard_before_hole, heard_when_gone;
    uint64_t hole_bytes;
};

static void on_bytes(void *user, const void *data, size_t length, int64_t mono_us, int64_t unix_us)
{
    struct bench *bench = user;
    assert_true(mono_us > 0 && unix_us > 0);
    assert_int_equal(bytes_append(&bench->heard, data, length), 0);
}

static void on_overflow(void *user, uint64_t lost_bytes)
{
    struct bench *bench = user;
    bench->heard_before_hole = bench->heard.length_bytes;
    bench->hole_bytes += lost_bytes;
}

static void on_gone(void *user, const char *reason)
{
    struct bench *bench = user;
    bench->gone_count++;
    bench->heard_when_gone = bench->heard.length_bytes;
    assert_true(strlen(reason) > 0);
}

static void on_back(void *user, int64_t gap_ms)
{
    struct bench *bench = user;
    bench->back_count++;
    bench->gap_ms = gap_ms;
}

static void on_lost(void *user, const struct error *error)
{
    struct bench *bench = user;
    bench->lost_count++;
    bench->lost = *error;
}

static int set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    uv_loop_init(&bench->loop);
    fake_init(&bench->fake, &bench->loop);
    bytes_init(&bench->heard, 64 * 1024 * 1024);
    bench->options = (struct serial_options){
        .loop = &bench->loop,
        .clock = &clock_system,
        .path = bench->fake.path,
        .backend = &BACKEND,
        .callbacks = {
            .user = bench, .on_bytes = on_bytes, .on_overflow = on_overflow, .on_gone = on_gone, .on_back = on_back, .on_lost = on_lost}};
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    serial_close(bench->port);
    fake_done(&bench->fake);
    finish_loop(&bench->loop);
    bytes_done(&bench->heard);
    free(bench);
    return 0;
}

static void open_port(struct bench *bench)
{
    struct error error = ERROR_INIT;
    if (serial_open(&bench->options, &bench->port, &error))
        fail_msg("%s", error.text);
}

static bool has_heard(void *user)
{
    struct bench *bench = user;
    return bench->heard.length_bytes >= bench->wanted;
}

static bool device_has_heard(void *user)
{
    struct bench *bench = user;
    return bench->fake.heard.length_bytes >= bench->wanted;
}

static bool is_gone(void *user)
{
    return ((struct bench *)user)->gone_count > 0;
}

static bool is_back(void *user)
{
    return ((struct bench *)user)->back_count > 0;
}

static bool is_lost(void *user)
{
    return ((struct bench *)user)->lost_count > 0;
}

static void hear(struct bench *bench, size_t length)
{
    bench->wanted = length;
    assert_true(run_until(&bench->loop, has_heard, bench));
}

static void write_text(struct bench *bench, const char *text)
{
    struct error error = ERROR_INIT;
    if (serial_write(bench->port, text, strlen(text), &error))
        fail_msg("%s", error.text);
}

static void tells_its_back_end_and_its_path(void **state)
{
    struct bench *bench = *state;
    open_port(bench);
    assert_string_equal(serial_backend_name(bench->port), BACKEND.name);
    assert_string_equal(serial_path(bench->port), bench->fake.path);
    assert_true(serial_is_open(bench->port));
}

static void chooses_termios_for_a_pty_and_libserialport_for_the_rest(void **state)
{
    struct bench *bench = *state;
    assert_ptr_equal(serial_backend_for(bench->fake.path), &serial_backend_termios);
    assert_ptr_equal(serial_backend_for("/dev/null"), &serial_backend_libserialport);
    assert_ptr_equal(serial_backend_for("/nonexistent"), &serial_backend_libserialport);
}

static void passes_every_byte_value_both_ways(void **state)
{
    struct bench *bench = *state;
    unsigned char all[256];
    for (int i = 0; i < 256; i++)
        all[i] = (unsigned char)i;
    open_port(bench);
    fake_say_bytes(&bench->fake, all, sizeof(all));
    hear(bench, sizeof(all));
    assert_int_equal(bench->heard.length_bytes, sizeof(all));
    assert_memory_equal(bench->heard.data, all, sizeof(all));

    assert_int_equal(serial_write(bench->port, all, sizeof(all), NULL), 0);
    bench->wanted = sizeof(all);
    assert_true(run_until(&bench->loop, device_has_heard, bench));
    assert_int_equal(bench->fake.heard.length_bytes, sizeof(all));
    assert_memory_equal(bench->fake.heard.data, all, sizeof(all));
    assert_int_equal(serial_counts(bench->port).tx_bytes, sizeof(all));
    assert_int_equal(serial_counts(bench->port).rx_bytes, sizeof(all));
}

static void keeps_what_was_said_before_it_was_opened(void **state)
{
    struct bench *bench = *state;
    fake_say(&bench->fake, "*** Booting ***\r\n");
    run_for(&bench->loop, 5);
    open_port(bench);
    hear(bench, 17);
    assert_string_equal(bytes_text(&bench->heard), "*** Booting ***\r\n");
}

static void makes_a_cooked_line_raw(void **state)
{
    struct bench *bench = *state;
    struct termios mode;
    assert_int_equal(tcgetattr(bench->fake.slave_fd, &mode), 0);
    mode.c_lflag |= ECHO | ICANON | ISIG;
    mode.c_iflag |= ICRNL | IXON;
    mode.c_oflag |= OPOST | ONLCR;
    assert_int_equal(tcsetattr(bench->fake.slave_fd, TCSANOW, &mode), 0);
    open_port(bench);
    fake_say(&bench->fake, "a\rb\x03\x13");
    hear(bench, 5);
    assert_memory_equal(bench->heard.data, "a\rb\x03\x13", 5);
    run_for(&bench->loop, 20);
    assert_int_equal(bench->fake.heard.length_bytes, 0);
}

static void refuses_a_port_that_is_held_and_names_the_holder(void **state)
{
    struct bench *bench = *state;
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        int fd = open(bench->fake.path, O_RDWR | O_NOCTTY);
        char byte = flock(fd, LOCK_EX | LOCK_NB) ? 'n' : 'y';
        if (write(ready[1], &byte, 1) == 1)
            pause();
        _exit(0);
    }
    char byte = 0;
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, 'y');
    struct error error = ERROR_INIT;
    int rc = serial_open(&bench->options, &bench->port, &error);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    close(ready[0]);
    close(ready[1]);
    assert_int_equal(rc, -1);
    assert_null(bench->port);
    assert_int_equal(error.code, ERROR_BUSY);
    assert_int_equal(error.owner, ERROR_OWNER_RIG);
    char name[16] = "", holder[32], pid_text[32];
    prctl(PR_GET_NAME, name); /* not ours under valgrind */
    snprintf(holder, sizeof(holder), "held by %s", name);
    snprintf(pid_text, sizeof(pid_text), "(pid %d)", (int)child);
    assert_non_null(strstr(error.text, pid_text));
    assert_non_null(strstr(error.text, holder));
    open_port(bench); /* the kernel dropped the lock with its holder */
}

static void lets_go_of_the_lock_when_it_closes(void **state)
{
    struct bench *bench = *state;
    open_port(bench);
    struct serial_port *second = NULL;
    assert_int_equal(serial_open(&bench->options, &second, NULL), -1);
    assert_null(second);
    serial_close(bench->port);
    open_port(bench);
}

static void says_what_is_wrong_with_a_path(void **state)
{
    struct bench *bench = *state;
    struct error error = ERROR_INIT;
    bench->options.path = "/dev/nonexistent-port";
    assert_int_equal(serial_open(&bench->options, &bench->port, &error), -1);
    assert_int_equal(error.code, ERROR_NOT_FOUND);
    assert_non_null(strstr(error.text, "/dev/nonexistent-port"));
    bench->options.path = "/etc/passwd";
    assert_int_equal(serial_open(&bench->options, &bench->port, &error), -1);
    assert_int_equal(error.code, ERROR_USAGE);
    bench->options.path = "/dev/null";
    assert_int_equal(serial_open(&bench->options, &bench->port, &error), -1);
    assert_int_equal(error.code, ERROR_USAGE);
    assert_null(bench->port);
}

static void comes_back_by_the_same_path_and_counts_the_gap(void **state)
{
    struct bench *bench = *state;
    open_port(bench);
    fake_say(&bench->fake, "before");
    hear(bench, 6);
    fake_unplug(&bench->fake);
    assert_true(run_until(&bench->loop, is_gone, bench));
    assert_false(serial_is_open(bench->port));
    struct error error = ERROR_INIT;
    assert_int_equal(serial_write(bench->port, "x", 1, &error), -1);
    assert_int_equal(error.code, ERROR_IO);
    run_for(&bench->loop, 120);
    fake_plug(&bench->fake);
    assert_true(run_until(&bench->loop, is_back, bench));
    assert_true(bench->gap_ms >= 100);
    assert_int_equal(serial_counts(bench->port).gap_count, 1);
    assert_int_equal(serial_counts(bench->port).gap_ms, bench->gap_ms);
    fake_say(&bench->fake, "after");
    hear(bench, 11);
    assert_string_equal(bytes_text(&bench->heard), "beforeafter");
    assert_int_equal(bench->gone_count, 1);
    write_text(bench, "AT");
    bench->wanted = 2;
    assert_true(run_until(&bench->loop, device_has_heard, bench));
}

static void gives_up_when_the_port_stays_away(void **state)
{
    struct bench *bench = *state;
    bench->options.reopen_ms = 150;
    open_port(bench);
    fake_unplug(&bench->fake);
    assert_true(run_until(&bench->loop, is_lost, bench));
    assert_int_equal(bench->lost.owner, ERROR_OWNER_RIG);
    assert_non_null(strstr(bench->lost.text, "did not come back"));
    assert_non_null(strstr(bench->lost.text, bench->fake.path));
    run_for(&bench->loop, 120);
    assert_int_equal(bench->lost_count, 1);
}

static void does_not_try_again_when_told_so(void **state)
{
    struct bench *bench = *state;
    bench->options.reopen_ms = -1;
    open_port(bench);
    fake_unplug(&bench->fake);
    fake_plug(&bench->fake);
    assert_true(run_until(&bench->loop, is_lost, bench));
    assert_int_equal(bench->back_count, 0);
}

static void paces_what_it_sends(void **state)
{
    struct bench *bench = *state;
    char text[65];
    memset(text, 'a', 64);
    text[64] = 0;
    bench->options.tx_chunk_bytes = 16;
    bench->options.tx_gap_ms = 30;
    open_port(bench);
    int64_t start_us = clock_mono_us(&clock_system);
    write_text(bench, text);
    assert_int_equal(serial_tx_left(bench->port), 64);
    bench->wanted = 64;
    assert_true(run_until(&bench->loop, device_has_heard, bench));
    assert_true(clock_mono_us(&clock_system) - start_us >= 3 * 29 * 1000);
    assert_int_equal(bench->fake.largest_read, 16);
    assert_int_equal(serial_tx_left(bench->port), 0);
}

static void waits_for_a_device_that_does_not_read(void **state)
{
    struct bench *bench = *state;
    static char much[SERIAL_TX_MAX_BYTES];
    for (size_t i = 0; i < sizeof(much); i++)
        much[i] = (char)(i * 31 + i / 251);
    open_port(bench);
    fake_set_deaf(&bench->fake, true);
    assert_int_equal(serial_write(bench->port, much, sizeof(much), NULL), 0);
    struct error error = ERROR_INIT;
    assert_int_equal(serial_write(bench->port, "x", 1, &error), -1);
    assert_int_equal(error.code, ERROR_LIMIT);
    run_for(&bench->loop, 50);
    assert_true(serial_tx_left(bench->port) > 0);
    assert_int_equal(bench->gone_count, 0);
    fake_set_deaf(&bench->fake, false);
    bench->wanted = sizeof(much);
    assert_true(run_until(&bench->loop, device_has_heard, bench));
    assert_memory_equal(bench->fake.heard.data, much, sizeof(much));
}

static void loses_nothing_of_a_flood(void **state)
{
    struct bench *bench = *state;
    enum { FLOOD_BYTES = 8 * 1024 * 1024 };
    unsigned char *flood = malloc(FLOOD_BYTES);
    for (size_t i = 0; i < FLOOD_BYTES; i++)
        flood[i] = (unsigned char)(i * 2654435761U >> 13);
    open_port(bench);
    int64_t start_us = clock_mono_us(&clock_system);
    for (size_t at = 0; at < FLOOD_BYTES; at += 256 * 1024) {
        fake_say_bytes(&bench->fake, flood + at, 256 * 1024);
        hear(bench, at + 256 * 1024);
    }
    print_message("%d bytes in %lld ms\n", FLOOD_BYTES, (long long)(clock_mono_us(&clock_system) - start_us) / 1000);
    assert_int_equal(bench->heard.length_bytes, FLOOD_BYTES);
    assert_memory_equal(bench->heard.data, flood, FLOOD_BYTES);
    free(flood);
}

/* ---- a loop that is busy: nobody runs it */

enum { BUSY_BYTES = 512 * 1024, LITTLE_ROOM_BYTES = 64 * 1024, PATIENCE_MS = 20000, KERNEL_MAX_BYTES = 64 * 1024, QUIET_MS = 100 };

static unsigned char byte_at(size_t place)
{
    return (unsigned char)(place * 2654435761U >> 13);
}

/* Returns how many bytes of it were taken before nobody took any for so long. */
static size_t say_without_loop(struct bench *bench, size_t from, size_t length, int patience_ms)
{
    unsigned char *text = malloc(length);
    size_t done = 0;
    struct pollfd item = {.fd = bench->fake.master_fd, .events = POLLOUT};
    for (size_t i = 0; i < length; i++)
        text[i] = byte_at(from + i);
    while (done < length && poll(&item, 1, patience_ms) > 0) {
        ssize_t count = write(bench->fake.master_fd, text + done, length - done);
        if (count < 0 && errno != EAGAIN)
            break;
        done += count > 0 ? (size_t)count : 0;
    }
    free(text);
    return done;
}

static void assert_heard(const struct bench *bench, size_t from, size_t length, size_t place)
{
    for (size_t i = 0; i < length; i++)
        if (bench->heard.data[from + i] != byte_at(place + i))
            fail_msg("byte %zu differs", from + i);
}

static void takes_from_the_kernel_while_the_loop_is_busy(void **state)
{
    struct bench *bench = *state;
    open_port(bench);
    assert_int_equal(say_without_loop(bench, 0, BUSY_BYTES, PATIENCE_MS), BUSY_BYTES);
    assert_int_equal(bench->heard.length_bytes, 0);
    hear(bench, BUSY_BYTES);
    assert_heard(bench, 0, BUSY_BYTES, 0);
    assert_int_equal(serial_counts(bench->port).lost_bytes, 0);
}

static void tells_all_that_was_said_before_it_went_away(void **state)
{
    struct bench *bench = *state;
    bench->options.reopen_ms = -1;
    open_port(bench);
    assert_int_equal(say_without_loop(bench, 0, BUSY_BYTES, PATIENCE_MS), BUSY_BYTES);
    bench->wanted = BUSY_BYTES - KERNEL_MAX_BYTES; /* the rest may go with the pty */
    fake_unplug(&bench->fake);
    assert_true(run_until(&bench->loop, is_gone, bench));
    assert_true(bench->heard_when_gone >= bench->wanted);
    assert_int_equal(bench->heard.length_bytes, bench->heard_when_gone);
    assert_heard(bench, 0, bench->heard_when_gone, 0);
}

static void makes_a_sender_wait_that_can(void **state)
{
    struct bench *bench = *state;
    bench->options.rx_max_bytes = LITTLE_ROOM_BYTES;
    bench->options.has_flow_control = true;
    open_port(bench);
    size_t taken = say_without_loop(bench, 0, LITTLE_ROOM_BYTES, PATIENCE_MS);
    assert_int_equal(taken, LITTLE_ROOM_BYTES);
    taken += say_without_loop(bench, taken, BUSY_BYTES - taken, QUIET_MS);
    assert_true(taken < BUSY_BYTES);
    hear(bench, taken);
    assert_heard(bench, 0, taken, 0);
    fake_say(&bench->fake, "go on");
    hear(bench, taken + 5);
    assert_int_equal(serial_counts(bench->port).lost_bytes, 0);
    assert_int_equal(bench->hole_bytes, 0);
}

static void close_at_once(void *user, const void *data, size_t length, int64_t mono_us, int64_t unix_us)
{
    struct bench *bench = user;
    (void)data, (void)mono_us, (void)unix_us;
    bench->wanted = length;
    serial_close(bench->port);
    bench->port = NULL;
}

static bool is_closed(void *user)
{
    return !((struct bench *)user)->port;
}

static void may_be_closed_from_its_own_callback(void **state)
{
    struct bench *bench = *state;
    bench->options.callbacks.on_bytes = close_at_once;
    open_port(bench);
    write_text(bench, "never sent");
    fake_say(&bench->fake, "x");
    assert_true(run_until(&bench->loop, is_closed, bench));
}

#ifdef HAS_SHIM
static bool is_all_told(void *user)
{
    struct bench *bench = user;
    return bench->heard.length_bytes + bench->hole_bytes == bench->wanted;
}

static void counts_what_had_no_room_and_tells_where(void **state)
{
    struct bench *bench = *state;
    bench->options.rx_max_bytes = LITTLE_ROOM_BYTES;
    open_port(bench);
    assert_int_equal(say_without_loop(bench, 0, BUSY_BYTES, PATIENCE_MS), BUSY_BYTES);
    bench->wanted = BUSY_BYTES;
    assert_true(run_until(&bench->loop, is_all_told, bench));
    assert_true(bench->heard_before_hole >= LITTLE_ROOM_BYTES);
    assert_true(bench->hole_bytes > 0);
    assert_int_equal(serial_counts(bench->port).lost_bytes, bench->hole_bytes);
    assert_int_equal(serial_counts(bench->port).rx_bytes, bench->heard.length_bytes);
    assert_heard(bench, 0, bench->heard_before_hole, 0);
    size_t behind = bench->heard.length_bytes - bench->heard_before_hole;
    assert_heard(bench, bench->heard_before_hole, behind, bench->heard_before_hole + bench->hole_bytes);
    assert_int_equal(bench->gone_count, 0);
}

int shim_modem_lines(void);

static void asserts_dtr_and_rts(void **state)
{
    open_port(*state);
    assert_int_equal(shim_modem_lines() & (TIOCM_DTR | TIOCM_RTS), TIOCM_DTR | TIOCM_RTS);
}
#endif

#define BEHAVIOUR(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BEHAVIOUR(tells_its_back_end_and_its_path),
        BEHAVIOUR(chooses_termios_for_a_pty_and_libserialport_for_the_rest),
        BEHAVIOUR(passes_every_byte_value_both_ways),
        BEHAVIOUR(keeps_what_was_said_before_it_was_opened),
        BEHAVIOUR(makes_a_cooked_line_raw),
        BEHAVIOUR(refuses_a_port_that_is_held_and_names_the_holder),
        BEHAVIOUR(lets_go_of_the_lock_when_it_closes),
        BEHAVIOUR(says_what_is_wrong_with_a_path),
        BEHAVIOUR(comes_back_by_the_same_path_and_counts_the_gap),
        BEHAVIOUR(gives_up_when_the_port_stays_away),
        BEHAVIOUR(does_not_try_again_when_told_so),
        BEHAVIOUR(paces_what_it_sends),
        BEHAVIOUR(waits_for_a_device_that_does_not_read),
        BEHAVIOUR(loses_nothing_of_a_flood),
        BEHAVIOUR(may_be_closed_from_its_own_callback),
        BEHAVIOUR(takes_from_the_kernel_while_the_loop_is_busy),
        BEHAVIOUR(tells_all_that_was_said_before_it_went_away),
        BEHAVIOUR(makes_a_sender_wait_that_can),
#ifdef HAS_SHIM
        BEHAVIOUR(counts_what_had_no_room_and_tells_where),
        BEHAVIOUR(asserts_dtr_and_rts),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
