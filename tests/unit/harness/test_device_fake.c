#include "test_device_fake.h"

#include "base/files.h"
#include "tests/cmocka.h"

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

enum { PATIENCE_MS = 20000, READ_BYTES = 16384, KEPT_MAX_BYTES = 64 * 1024 * 1024 };

static void on_poll(uv_poll_t *poll, int status, int events);

static void watch(struct fake *fake)
{
    int events = (fake->is_deaf ? 0 : UV_READABLE) | (fake->to_host.length_bytes ? UV_WRITABLE : 0);
    if (!fake->poll)
        return;
    if (events)
        uv_poll_start(fake->poll, events, on_poll);
    else
        uv_poll_stop(fake->poll);
}

static void hear(struct fake *fake)
{
    char data[READ_BYTES];
    ssize_t count = read(fake->master_fd, data, sizeof(data));
    if (count <= 0)
        return;
    if ((size_t)count > fake->largest_read)
        fake->largest_read = (size_t)count;
    assert_int_equal(bytes_append(&fake->heard, data, (size_t)count), 0);
    if (fake->on_bytes)
        fake->on_bytes(fake, data, (size_t)count);
}

static void say_some(struct fake *fake)
{
    ssize_t count = write(fake->master_fd, fake->to_host.data, fake->to_host.length_bytes);
    if (count > 0)
        bytes_consume(&fake->to_host, (size_t)count);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct fake *fake = poll->data;
    if (!fake || status < 0)
        return;
    if (events & UV_READABLE)
        hear(fake);
    if (events & UV_WRITABLE && fake->master_fd >= 0 && fake->to_host.length_bytes)
        say_some(fake);
    watch(fake);
}

void fake_plug(struct fake *fake)
{
    char name[64];
    struct termios mode;
    assert_int_equal(openpty(&fake->master_fd, &fake->slave_fd, name, NULL, NULL), 0);
    assert_int_equal(tcgetattr(fake->slave_fd, &mode), 0);
    cfmakeraw(&mode);
    assert_int_equal(tcsetattr(fake->slave_fd, TCSANOW, &mode), 0);
    assert_int_equal(fcntl(fake->master_fd, F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(symlink(name, fake->path), 0);
    fake->poll = calloc(1, sizeof(*fake->poll));
    assert_non_null(fake->poll);
    assert_int_equal(uv_poll_init(fake->loop, fake->poll, fake->master_fd), 0);
    fake->poll->data = fake;
    watch(fake);
}

static void free_poll(uv_handle_t *handle)
{
    free(handle);
}

void fake_unplug(struct fake *fake)
{
    if (fake->master_fd < 0)
        return;
    uv_poll_stop(fake->poll);
    fake->poll->data = NULL;
    uv_close((uv_handle_t *)fake->poll, free_poll);
    fake->poll = NULL;
    unlink(fake->path);
    close(fake->slave_fd);
    close(fake->master_fd);
    fake->master_fd = -1;
    bytes_clear(&fake->to_host);
}

void fake_init(struct fake *fake, uv_loop_t *loop)
{
    *fake = (struct fake){.loop = loop, .master_fd = -1, .slave_fd = -1, .dir = "/tmp/dpsbench-fake-XXXXXX"};
    assert_non_null(mkdtemp(fake->dir));
    snprintf(fake->path, sizeof(fake->path), "%s/port", fake->dir);
    bytes_init(&fake->to_host, KEPT_MAX_BYTES);
    bytes_init(&fake->heard, KEPT_MAX_BYTES);
    fake_plug(fake);
}

void fake_done(struct fake *fake)
{
    fake_unplug(fake);
    bytes_done(&fake->to_host);
    bytes_done(&fake->heard);
    rmdir(fake->dir);
}

void fake_say_bytes(struct fake *fake, const void *data, size_t length)
{
    assert_int_equal(bytes_append(&fake->to_host, data, length), 0);
    watch(fake);
}

void fake_say(struct fake *fake, const char *text)
{
    fake_say_bytes(fake, text, strlen(text));
}

void fake_set_deaf(struct fake *fake, bool is_deaf)
{
    fake->is_deaf = is_deaf;
    watch(fake);
}

static void on_tick(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

static bool run_with_limit(uv_loop_t *loop, bool (*is_done)(void *user), void *user, int limit_ms)
{
    bool has_passed = false, result = false;
    uv_timer_t limit;
    uv_timer_init(loop, &limit);
    limit.data = &has_passed;
    uv_update_time(loop);
    uv_timer_start(&limit, on_tick, (uint64_t)limit_ms, 0);
    while (!(result = is_done && is_done(user)) && !has_passed)
        uv_run(loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&limit, NULL);
    uv_run(loop, UV_RUN_NOWAIT);
    return result;
}

bool run_until(uv_loop_t *loop, bool (*is_done)(void *user), void *user)
{
    return run_with_limit(loop, is_done, user, PATIENCE_MS);
}

void run_for(uv_loop_t *loop, int ms)
{
    run_with_limit(loop, NULL, NULL, ms);
}

void finish_loop(uv_loop_t *loop)
{
    run_for(loop, 1);
    assert_int_equal(uv_loop_close(loop), 0);
}
