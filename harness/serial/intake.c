#include "harness/serial/intake.h"

#include "base/cleanup.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>

enum { READ_BYTES = 16 * 1024 };

struct piece {
    int64_t mono_us;
    int64_t unix_us;
    size_t length_bytes;
    uint64_t lost_bytes; /* before it */
};

enum wish { WISH_GO_ON, WISH_FINISH, WISH_STOP };

struct intake {
    struct intake_options options;
    pthread_t thread;
    int nudge_fd; /* the loop wants something, or has made room */
    pthread_mutex_t lock;

    /* Shared, under the lock. */
    enum wish wish;
    bool is_waiting_for_room;
    bool has_ended;
    struct intake_end end;
    int finish_errno;
    uint64_t lost_bytes; /* behind the last piece */
    size_t start, length_bytes;
    size_t first_piece, piece_count;
    struct piece pieces[INTAKE_PIECES_MAX];

    /* The thread's alone. */
    unsigned char chunk[READ_BYTES];

    unsigned char ring[]; /* shared, under the lock */
};

static void lock(struct intake *intake)
{
    pthread_mutex_lock(&intake->lock);
}

static void unlock(struct intake *intake)
{
    pthread_mutex_unlock(&intake->lock);
}

/* ---- the ring, under the lock */

static size_t room_in(const struct intake *intake)
{
    return intake->options.max_bytes - intake->length_bytes;
}

static struct piece *last_piece(struct intake *intake)
{
    return &intake->pieces[(intake->first_piece + intake->piece_count - 1) % INTAKE_PIECES_MAX];
}

static void put_bytes(struct intake *intake, const unsigned char *data, size_t length)
{
    size_t size = intake->options.max_bytes, at = (intake->start + intake->length_bytes) % size;
    size_t head = length < size - at ? length : size - at;
    memcpy(intake->ring + at, data, head);
    memcpy(intake->ring, data + head, length - head);
    intake->length_bytes += length;
}

static void get_bytes(struct intake *intake, unsigned char *data, size_t length)
{
    size_t size = intake->options.max_bytes, at = intake->start;
    size_t head = length < size - at ? length : size - at;
    memcpy(data, intake->ring + at, head);
    memcpy(data + head, intake->ring, length - head);
    intake->length_bytes -= length;
    intake->start = (at + length) % size;
}

/* What follows a hole must not be taken for the end of what came before it: without a piece of its own it belongs to the hole. */
static void put(struct intake *intake, const unsigned char *data, size_t length, int64_t mono_us, int64_t unix_us)
{
    bool has_room_for_piece = intake->piece_count < INTAKE_PIECES_MAX;
    size_t kept = length < room_in(intake) ? length : room_in(intake);
    if (!has_room_for_piece && intake->lost_bytes)
        kept = 0;
    if (kept && has_room_for_piece) {
        intake->piece_count++;
        *last_piece(intake) = (struct piece){.mono_us = mono_us, .unix_us = unix_us, .lost_bytes = intake->lost_bytes};
        intake->lost_bytes = 0;
    }
    if (kept) {
        last_piece(intake)->length_bytes += kept;
        put_bytes(intake, data, kept);
    }
    intake->lost_bytes += length - kept;
}

/* An empty ring begins anew at its front: then the memory of most ports is never touched. */
static void drop_taken(struct intake *intake)
{
    if (!intake->pieces[intake->first_piece].length_bytes) {
        intake->first_piece = (intake->first_piece + 1) % INTAKE_PIECES_MAX;
        intake->piece_count--;
    }
    if (!intake->piece_count)
        intake->start = intake->first_piece = 0;
}

/* ---- the thread */

static void store(struct intake *intake, size_t length)
{
    int64_t mono_us = clock_mono_us(intake->options.clock), unix_us = clock_unix_us(intake->options.clock);
    lock(intake);
    put(intake, intake->chunk, length, mono_us, unix_us);
    unlock(intake);
    uv_async_send(intake->options.wake);
}

static void end(struct intake *intake, int errno_value)
{
    lock(intake);
    intake->end = (struct intake_end){.errno_value = errno_value, .mono_us = clock_mono_us(intake->options.clock)};
    intake->has_ended = true;
    unlock(intake);
    uv_async_send(intake->options.wake);
}

/* How much to read now. 0: the sender has to wait. */
static size_t wanted_bytes(struct intake *intake)
{
    lock(intake);
    size_t room = room_in(intake);
    bool must_wait = intake->options.does_sender_wait && !room;
    intake->is_waiting_for_room = must_wait;
    unlock(intake);
    if (must_wait)
        return 0;
    return intake->options.does_sender_wait && room < READ_BYTES ? room : READ_BYTES;
}

/* A driver may hang up without an error, and a read that says "nothing" for ever: then only poll() tells. */
static bool has_hung_up(const struct intake *intake)
{
    struct pollfd item = {.fd = intake->options.backend->fd(intake->options.handle), .events = POLLIN};
    return poll(&item, 1, 0) > 0 && item.revents & (POLLHUP | POLLERR | POLLNVAL);
}

/* Bytes read; 0: none there; -1: it has ended. */
static ssize_t read_once(struct intake *intake, size_t wanted)
{
    ssize_t count = intake->options.backend->read(intake->options.handle, intake->chunk, wanted);
    if (count > 0) {
        store(intake, (size_t)count);
        return count;
    }
    if (count == 0 && !has_hung_up(intake))
        return 0;
    end(intake, count < 0 ? errno : 0);
    return -1;
}

static void finish(struct intake *intake)
{
    size_t wanted;
    while ((wanted = wanted_bytes(intake)) > 0) {
        ssize_t count = read_once(intake, wanted);
        if (count < 0)
            return;
        if (count == 0)
            break;
    }
    end(intake, intake->finish_errno);
}

static void wait_for_bytes(const struct intake *intake, bool may_read)
{
    struct pollfd items[] = {{.fd = intake->nudge_fd, .events = POLLIN},
                             {.fd = intake->options.backend->fd(intake->options.handle), .events = POLLIN}};
    uint64_t count;
    poll(items, may_read ? 2 : 1, -1);
    if (items[0].revents && read(intake->nudge_fd, &count, sizeof(count)) < 0)
        return; /* somebody's nudge was taken already: nothing is lost, the state is looked at anyway */
}

static enum wish wish_of(struct intake *intake)
{
    lock(intake);
    enum wish wish = intake->wish;
    unlock(intake);
    return wish;
}

static void *run(void *user)
{
    struct intake *intake = user;
    enum wish wish;
    while ((wish = wish_of(intake)) == WISH_GO_ON) {
        size_t wanted = wanted_bytes(intake);
        wait_for_bytes(intake, wanted > 0);
        if (wanted && wish_of(intake) == WISH_GO_ON && read_once(intake, wanted) < 0)
            return NULL;
    }
    if (wish == WISH_FINISH)
        finish(intake);
    return NULL;
}

/* ---- the loop's side */

/* Signals are the program's: its loop waits for them. */
static int start_thread(struct intake *intake)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&intake->thread, NULL, run, intake);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

static void free_intake(struct intake *intake)
{
    if (intake->nudge_fd >= 0)
        close(intake->nudge_fd);
    pthread_mutex_destroy(&intake->lock);
    free(intake);
}

int intake_start(const struct intake_options *options, struct intake **ret_intake, struct error *error)
{
    size_t max_bytes = options->max_bytes ? options->max_bytes : INTAKE_MAX_BYTES;
    struct intake *intake = malloc(sizeof(*intake) + max_bytes);
    if (!intake)
        return error_set_memory(error);
    memset(intake, 0, offsetof(struct intake, pieces));
    intake->options = *options;
    intake->options.max_bytes = max_bytes;
    pthread_mutex_init(&intake->lock, NULL);
    intake->nudge_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    int rc = intake->nudge_fd < 0 ? errno : start_thread(intake);
    if (rc) {
        free_intake(intake);
        return error_set_errno(error, ERROR_OWNER_RIG, rc, "start the thread that reads the port");
    }
    *ret_intake = intake;
    return 0;
}

static void nudge(const struct intake *intake)
{
    uint64_t one = 1;
    ssize_t count;
    do
        count = write(intake->nudge_fd, &one, sizeof(one));
    while (count < 0 && errno == EINTR);
}

static void wish_for(struct intake *intake, enum wish wish, int errno_value)
{
    lock(intake);
    intake->wish = wish;
    intake->finish_errno = errno_value;
    unlock(intake);
    nudge(intake);
}

void intake_stop(struct intake *intake)
{
    if (!intake)
        return;
    wish_for(intake, WISH_STOP, 0);
    pthread_join(intake->thread, NULL);
    free_intake(intake);
}

void intake_finish(struct intake *intake, int errno_value)
{
    wish_for(intake, WISH_FINISH, errno_value);
}

static bool take_loss(struct intake *intake, struct intake_piece *piece)
{
    *piece = (struct intake_piece){.lost_bytes = intake->lost_bytes};
    intake->lost_bytes = 0;
    return piece->lost_bytes > 0;
}

static void take_bytes(struct intake *intake, void *data, size_t size_bytes, struct intake_piece *piece)
{
    struct piece *first = &intake->pieces[intake->first_piece];
    size_t length = first->length_bytes < size_bytes ? first->length_bytes : size_bytes;
    *piece = (struct intake_piece){
        .length_bytes = length, .mono_us = first->mono_us, .unix_us = first->unix_us, .lost_bytes = first->lost_bytes};
    get_bytes(intake, data, length);
    first->length_bytes -= length;
    first->lost_bytes = 0;
    drop_taken(intake);
}

bool intake_take(struct intake *intake, void *data, size_t size_bytes, struct intake_piece *ret_piece)
{
    bool has_any = true;
    lock(intake);
    if (intake->piece_count)
        take_bytes(intake, data, size_bytes, ret_piece);
    else if (intake->lost_bytes)
        has_any = take_loss(intake, ret_piece);
    else
        has_any = false;
    bool must_nudge = intake->is_waiting_for_room && room_in(intake) >= intake->options.max_bytes / 2;
    if (must_nudge)
        intake->is_waiting_for_room = false;
    unlock(intake);
    if (must_nudge)
        nudge(intake);
    return has_any;
}

bool intake_has_ended(struct intake *intake, struct intake_end *ret_end)
{
    lock(intake);
    bool has_ended = intake->has_ended && !intake->piece_count && !intake->lost_bytes;
    if (has_ended)
        *ret_end = intake->end;
    unlock(intake);
    return has_ended;
}
