/*
 * How much the capture takes, and how fast. The sender is a UART: it has no flow control, so what the kernel does not take at once is dropped and counted.
 * A pty alone could not fail: a writer that waits loses nothing.
 *
 * It runs beside other tests: what has to be in time is the thread that reads (harness/serial/intake.h), which needs a few microseconds of a core within the
 * 0.2 s that the kernel's own memory lasts. Four copies of this program at once, with their 24 burners on two cores, lose nothing.
 */
#include "base/files.h"
#include "harness/device/console.h"
#include "harness/serial/raw_file.h"
#include "test_device_host.h"
#include "tests/cmocka.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum {
    BYTES_PER_MS = 100, /* 1 Mbaud, 8N1 */
    BUSY_MS = 6000,     /* of whole lines */
    STALL_MS = 2000,
    STALLED_MS = 3000, /* of whole lines; the stall is in it */
    BURNERS = 6,
    LINE_BYTES = 120,
    STALL_MAX_BYTES = 4 * 1024 * 1024, /* more than any kernel keeps for a terminal */
    FLOOD_LINE_BYTES = 4000,
    LITTLE_ROOM_BYTES = 64 * 1024,
    OVERFLOW_BYTES = 512 * 1024,
    PEAK_MAX_KIB = 50 * 1024,
};

#ifdef DPSBENCH_SANITIZED
#define FLOOD_BYTES (64LL * 1024 * 1024) /* and its memory is the sanitizer's */
#else
#define FLOOD_BYTES (1024LL * 1024 * 1024)
#endif

struct report {
    int64_t sent, dropped;
};

struct bench {
    uv_loop_t loop;
    char dir[64], raw_path[96];
    int master_fd, slave_fd, report_fd;
    char path[128];
    struct dialect *dialect;
    struct console *console;
    pid_t sender;
    struct report report;
    int64_t lines, parts, events_bytes, told_lost_bytes;
    size_t rx_max_bytes;
    struct serial_backend backend;
    unsigned long next_number;
    bool is_in_order;
};

/* ---- the sender: a process of its own */

/* The stream is a function of the place, so that both ends know it. */
static void make_line(unsigned long number, char *line, int length)
{
    int head = snprintf(line, (size_t)length, "[00:00:00.000,000] <inf> flood: %lu ", number);
    for (int i = head; i < length - 2; i++)
        line[i] = (char)('a' + (number * 7 + (unsigned long)i) % 26);
    memcpy(line + length - 2, "\r\n", 2);
}

static int64_t now_ms(void)
{
    return clock_mono_us(&clock_system) / 1000;
}

static void wait_ms(int64_t until_ms)
{
    struct timespec at = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

struct stream {
    unsigned long number;
    int at, line_bytes;
    char line[FLOOD_LINE_BYTES];
};

/* Bytes that are due come, whether or not anybody takes them. */
static void send_due(int fd, struct stream *stream, int64_t due, struct report *report)
{
    while (due > 0) {
        if (stream->at == 0)
            make_line(stream->number++, stream->line, stream->line_bytes);
        int64_t left = stream->line_bytes - stream->at;
        size_t count = (size_t)(left < due ? left : due);
        ssize_t taken = write(fd, stream->line + stream->at, count);
        report->sent += taken > 0 ? taken : 0;
        report->dropped += (int64_t)count - (taken > 0 ? taken : 0);
        stream->at = (stream->at + (int)count) % stream->line_bytes;
        due -= (int64_t)count;
    }
}

/*
 * Until total_bytes were due, at the pace of the line. A UART is not kept waiting by programs: real-time priority, where we may. Elsewhere the sender is as late
 * as everybody, and what it owes then comes at once, which is harder than life.
 */
static void be_a_uart(int fd, int64_t total_bytes, struct report *report)
{
    const struct sched_param priority = {.sched_priority = 1};
    sched_setscheduler(0, SCHED_RR, &priority);
    struct stream stream = {.line_bytes = LINE_BYTES};
    int64_t start_ms = now_ms(), done = 0;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    while (done < total_bytes) {
        int64_t due = (now_ms() - start_ms) * BYTES_PER_MS;
        due = (due < total_bytes ? due : total_bytes) - done;
        send_due(fd, &stream, due, report);
        done += due;
        wait_ms(now_ms() + 1);
    }
}

/* As fast as the other side reads. */
static void flood(int fd, int64_t total_bytes, struct report *report)
{
    struct stream stream = {.line_bytes = FLOOD_LINE_BYTES};
    for (; report->sent < total_bytes; report->sent += FLOOD_LINE_BYTES) {
        make_line(stream.number++, stream.line, FLOOD_LINE_BYTES);
        for (ssize_t done = 0, count; done < FLOOD_LINE_BYTES; done += count) {
            count = write(fd, stream.line + done, (size_t)(FLOOD_LINE_BYTES - done));
            if (count <= 0)
                return;
        }
    }
}

static void start_sender(struct bench *bench, void (*send)(int fd, int64_t total_bytes, struct report *report), int64_t total_bytes)
{
    int report_pipe[2];
    assert_int_equal(pipe(report_pipe), 0);
    bench->sender = fork();
    if (bench->sender == 0) {
        struct report report = {0};
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        send(bench->master_fd, total_bytes, &report);
        _exit(write(report_pipe[1], &report, sizeof(report)) != sizeof(report));
    }
    close(report_pipe[1]);
    bench->report_fd = report_pipe[0];
}

static bool has_ended(struct bench *bench)
{
    struct pollfd item = {.fd = bench->report_fd, .events = POLLIN};
    return poll(&item, 1, 0) > 0;
}

static void end_sender(struct bench *bench)
{
    assert_int_equal(read(bench->report_fd, &bench->report, sizeof(bench->report)), sizeof(bench->report));
    waitpid(bench->sender, NULL, 0);
    bench->sender = 0;
    close(bench->report_fd);
}

/* ---- the harness */

/* What a run does with an event: it becomes a line of text. */
static void emit(void *user, cJSON *event)
{
    struct bench *bench = user;
    char *text = json_print_line(event);
    if (strcmp(json_string(event, "kind", ""), "console.gap") == 0)
        bench->told_lost_bytes += json_integer(event_data(event), "lost_bytes", 0);
    assert_non_null(text);
    bench->events_bytes += (int64_t)strlen(text);
    free(text);
    cJSON_Delete(event);
}

static void on_line(void *user, const struct console_line *line)
{
    struct bench *bench = user;
    unsigned long number;
    bench->lines += !line->line->is_part;
    bench->parts += line->line->is_part;
    if (sscanf(line->zephyr->message, "%lu ", &number) == 1 && !line->line->is_continued)
        bench->is_in_order &= number == bench->next_number++;
}

static int set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    struct termios raw = {0};
    uv_loop_init(&bench->loop);
    strcpy(bench->dir, "/tmp/dpsbench-capture-XXXXXX");
    assert_non_null(mkdtemp(bench->dir));
    snprintf(bench->raw_path, sizeof(bench->raw_path), "%s/console.raw", bench->dir);
    cfmakeraw(&raw);
    raw.c_cflag |= CS8 | CREAD | CLOCAL;
    assert_int_equal(openpty(&bench->master_fd, &bench->slave_fd, bench->path, &raw, NULL), 0);
    assert_int_equal(dialect_read_file(DPSBENCH_SOURCE_DIR "/fixtures/dialects/nordic.yaml", &bench->dialect, NULL), 0);
    bench->is_in_order = true;
    bench->backend = serial_backend_termios;
    *state = bench;
    return 0;
}

static void open_console(struct bench *bench)
{
    struct error error = ERROR_INIT;
    struct console_options options = {.port = {.loop = &bench->loop,
                                               .clock = &clock_system,
                                               .path = bench->path,
                                               .backend = &bench->backend,
                                               .rx_max_bytes = bench->rx_max_bytes},
                                      .device = "dk",
                                      .dialect = bench->dialect,
                                      .raw_path = bench->raw_path,
                                      .sink = {.emit = emit, .user = bench},
                                      .callbacks = {.user = bench, .on_line = on_line}};
    if (console_open(&options, &bench->console, &error))
        fail_msg("%s", error.text);
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    if (bench->sender) {
        kill(bench->sender, SIGKILL);
        waitpid(bench->sender, NULL, 0);
    }
    console_close(bench->console);
    finish_loop(&bench->loop);
    close(bench->master_fd);
    close(bench->slave_fd);
    dialect_free(bench->dialect);
    dir_remove(bench->dir, NULL);
    free(bench);
    return 0;
}

/* Also what was counted as lost: nothing is taken for received that was not. */
static int64_t received(const struct bench *bench)
{
    struct serial_counts counts = serial_counts(console_port(bench->console));
    assert_int_equal(counts.lost_bytes, 0);
    return (int64_t)counts.rx_bytes;
}

static void receive_all(struct bench *bench)
{
    while (!has_ended(bench))
        run_for(&bench->loop, 50);
    end_sender(bench);
    for (int i = 0; i < 200 && received(bench) < bench->report.sent; i++)
        run_for(&bench->loop, 50);
}

/* ---- other people's work */

static atomic_bool is_burning;

static void *burn(void *user)
{
    volatile unsigned long work = 0;
    while (atomic_load(&is_burning))
        work++;
    return user;
}

static void loses_nothing_at_1_mbaud_while_the_machine_is_busy(void **state)
{
    struct bench *bench = *state;
    pthread_t burners[BURNERS];
    open_console(bench);
    atomic_store(&is_burning, true);
    for (int i = 0; i < BURNERS; i++)
        pthread_create(&burners[i], NULL, burn, NULL);
    start_sender(bench, be_a_uart, (int64_t)BUSY_MS * BYTES_PER_MS);
    receive_all(bench);
    atomic_store(&is_burning, false);
    for (int i = 0; i < BURNERS; i++)
        pthread_join(burners[i], NULL);
    assert_int_equal(bench->report.dropped, 0);
    assert_int_equal(bench->report.sent, BUSY_MS * BYTES_PER_MS);
    assert_int_equal(received(bench), bench->report.sent);
    assert_int_equal(bench->next_number, bench->report.sent / LINE_BYTES);
    assert_true(bench->is_in_order);
}

/* A journal that waits for a slow disk, say: nobody runs the loop. */
static void loses_nothing_at_1_mbaud_while_the_harness_stands_still(void **state)
{
    struct bench *bench = *state;
    open_console(bench);
    start_sender(bench, be_a_uart, (int64_t)STALLED_MS * BYTES_PER_MS);
    wait_ms(now_ms() + STALL_MS);
    assert_int_equal(received(bench), 0);
    receive_all(bench);
    assert_int_equal(bench->report.dropped, 0);
    assert_int_equal(bench->report.sent, STALLED_MS * BYTES_PER_MS);
    assert_int_equal(received(bench), bench->report.sent);
    assert_int_equal(bench->next_number, bench->report.sent / LINE_BYTES);
    assert_true(bench->is_in_order);
}

static void keeps_every_byte_of_it_in_the_raw_file(void **state)
{
    struct bench *bench = *state;
    struct bytes raw;
    char line[LINE_BYTES];
    open_console(bench);
    start_sender(bench, be_a_uart, 500 * BYTES_PER_MS - 500 * BYTES_PER_MS % LINE_BYTES);
    receive_all(bench);
    assert_int_equal(bench->report.dropped, 0);
    assert_int_equal(file_read(bench->raw_path, 16 * 1024 * 1024, &raw, NULL), 0);
    assert_int_equal(raw.length_bytes, bench->report.sent);
    for (unsigned long number = 0; number < raw.length_bytes / LINE_BYTES; number++) {
        make_line(number, line, LINE_BYTES);
        assert_memory_equal(raw.data + number * LINE_BYTES, line, LINE_BYTES);
    }
    bytes_done(&raw);
}

/* The proof of the proof: without a thread that reads the sender has to drop. */
static void the_sender_drops_what_nobody_reads(void **state)
{
    struct bench *bench = *state;
    struct report report = {0};
    struct stream stream = {.line_bytes = LINE_BYTES};
    fcntl(bench->master_fd, F_SETFL, O_NONBLOCK);
    send_due(bench->master_fd, &stream, STALL_MAX_BYTES, &report);
    assert_true(report.dropped > 0);
    print_message("a terminal of this kernel keeps %lld bytes\n", (long long)report.sent);
    open_console(bench);
    for (int i = 0; i < 200 && received(bench) < report.sent; i++)
        run_for(&bench->loop, 50);
    assert_int_equal(received(bench), report.sent);
    assert_true(bench->lines < STALL_MAX_BYTES / LINE_BYTES);
}

/* A UART without flow control, and a harness that stands still for so long that even the thread's memory is full. */
static void tells_what_it_could_not_keep(void **state)
{
    struct bench *bench = *state;
    struct serial_counts counts = {0};
    bench->backend.does_sender_wait = false;
    bench->rx_max_bytes = LITTLE_ROOM_BYTES;
    open_console(bench);
    flood(bench->master_fd, OVERFLOW_BYTES, &bench->report);
    assert_true(bench->report.sent >= OVERFLOW_BYTES);
    for (int i = 0; i < 200 && (int64_t)(counts.rx_bytes + counts.lost_bytes) < bench->report.sent; i++) {
        run_for(&bench->loop, 50);
        counts = serial_counts(console_port(bench->console));
    }
    assert_int_equal(counts.rx_bytes + counts.lost_bytes, bench->report.sent);
    assert_true(counts.rx_bytes >= LITTLE_ROOM_BYTES);
    assert_true(counts.lost_bytes > 0);
    assert_int_equal(bench->told_lost_bytes, counts.lost_bytes);
    assert_true(bench->parts > 0); /* the line in which the hole is */
}

static void captures_a_gigabyte_in_little_memory(void **state)
{
    struct bench *bench = *state;
    struct rusage usage;
    open_console(bench);
    start_sender(bench, flood, FLOOD_BYTES);
    receive_all(bench);
    assert_true(bench->report.sent >= FLOOD_BYTES);
    assert_int_equal(received(bench), bench->report.sent);
    assert_int_equal(bench->lines, bench->report.sent / FLOOD_LINE_BYTES);
    assert_true(bench->is_in_order);
    int64_t kept = bench->report.sent < RAW_FILE_MAX_BYTES ? bench->report.sent : RAW_FILE_MAX_BYTES;
    assert_int_equal(console_raw_missing_bytes(bench->console), bench->report.sent - kept);
    getrusage(RUSAGE_SELF, &usage);
    print_message("%lld bytes, peak %ld KiB\n", (long long)bench->report.sent, usage.ru_maxrss);
#ifndef DPSBENCH_SANITIZED
    assert_true(usage.ru_maxrss < PEAK_MAX_KIB);
#endif
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(loses_nothing_at_1_mbaud_while_the_machine_is_busy),
        TEST(loses_nothing_at_1_mbaud_while_the_harness_stands_still),
        TEST(keeps_every_byte_of_it_in_the_raw_file),
        TEST(the_sender_drops_what_nobody_reads),
        TEST(tells_what_it_could_not_keep),
        TEST(captures_a_gigabyte_in_little_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
