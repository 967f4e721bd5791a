#include "broker_sim/front_door/net_filter.h"

#include "base/bytes.h"
#include "base/cleanup.h"
#include "broker_sim/front_door/alert.h"
#include "broker_sim/front_door/tls_stream.h"
#include "broker_sim/scenario/trigger.h"

#include <stdlib.h>
#include <string.h>

enum { PIECES_MAX = 256, READ_BYTES = 16 * 1024, NAMES_MAX = 16, ALERT_RECORD = 21, RECORD_HEAD_BYTES = 5 };

#define NOWHERE UINT64_MAX
#define NEVER INT64_MAX

/* Bytes that came together, and go on together. */
struct piece {
    int64_t due_us;
    size_t length_bytes;
};

/* One direction. */
struct flow {
    struct net_filter *filter;
    bool is_up;
    struct bytes held;
    struct piece pieces[PIECES_MAX]; /* a ring */
    size_t first_piece, piece_count;
    struct tls_stream stream;
    uint64_t released;    /* so many bytes went on */
    int64_t next_free_us; /* dribble: not before */
    bool is_dropping;     /* what comes is thrown away */
};

struct fault {
    int knob;
    bool is_armed;
    struct trigger trigger;
    uint64_t at; /* in its direction; NOWHERE: its message or packet has not come */
    int64_t packets_left;
};

enum fault_index { FAULT_NET, FAULT_ALERT, FAULT_COUNT };

struct net_filter {
    struct net_filter_options options;
    BIO *bio; /* that owns us */
    struct knobs knobs;
    uint64_t random;
    struct flow up, down;
    struct bytes unflushed; /* from TLS, during the handshake: the names of its messages come before the flush */
    struct fault faults[FAULT_COUNT];
    int names[NAMES_MAX]; /* of handshake messages that TLS wrote, the oldest first */
    size_t name_count;
    int64_t stalled_until_us;
    enum net_end end;
    enum net_end ends_as; /* when stalled_until_us has passed */
    bool is_handshake_done;
    bool is_blocked;
    bool has_ended; /* nothing comes from the socket any more ... */
    int end_result; /* ... and this is what it said */
};

static int64_t now_us(const struct net_filter *filter)
{
    return clock_mono_us(filter->options.clock);
}

static int64_t scaled_us(const struct net_filter *filter, int64_t ms)
{
    return clock_scaled_ms(ms, filter->options.time_scale) * 1000;
}

/* ---- faults ---- */

static struct flow *flow_of(struct net_filter *filter, const struct fault *fault)
{
    return fault->trigger.is_up ? &filter->up : &filter->down;
}

static void arm(struct net_filter *filter, enum fault_index index, int knob, bool is_turned, const char *text)
{
    struct fault *fault = &filter->faults[index];
    *fault = (struct fault){.knob = knob, .at = NOWHERE, .is_armed = is_turned && trigger_read(text, &fault->trigger, NULL) == 0};
    if (!fault->is_armed)
        return;
    trigger_read(text, &fault->trigger, NULL);
    uint64_t released = flow_of(filter, fault)->released;
    if (fault->trigger.kind == TRIGGER_START)
        fault->at = released;
    else if (fault->trigger.kind == TRIGGER_BYTES)
        fault->at = (uint64_t)trigger_count(&fault->trigger, &filter->random);
    else if (fault->trigger.kind == TRIGGER_PACKET)
        fault->packets_left = trigger_count(&fault->trigger, &filter->random);
    if (fault->at < released)
        fault->at = released;
}

void net_filter_configure(struct net_filter *filter, const struct knobs *knobs, uint64_t seed)
{
    filter->knobs = *knobs;
    filter->random = seed;
    const char *alert_at = knobs->tls_alert_at[0] ? knobs->tls_alert_at : "at ServerHello";
    arm(filter, FAULT_NET, KNOB_net_fault, knobs->net_fault != NET_FAULT_NONE, knobs->net_at);
    arm(filter, FAULT_ALERT, KNOB_tls_alert, knobs->tls_alert != 0, alert_at);
}

static void drop(struct flow *flow)
{
    flow->is_dropping = true;
    bytes_done(&flow->held);
    flow->piece_count = 0;
}

/* In place of whatever would come. */
static void say_last(struct flow *flow, const uint8_t *data, size_t length_bytes)
{
    drop(flow);
    if (bytes_append(&flow->held, data, length_bytes) == 0) {
        flow->pieces[flow->first_piece] = (struct piece){0, length_bytes};
        flow->piece_count = 1;
    }
}

static void send_alert(struct net_filter *filter)
{
    const struct knob *knob = &knob_list[KNOB_tls_alert];
    const uint8_t record[] = {ALERT_RECORD, 3, 3, 0, 2, ALERT_LEVEL_FATAL, (uint8_t)alert_number(knob_word(&filter->knobs, knob))};
    say_last(&filter->down, record, sizeof record);
    drop(&filter->up);
    filter->end = NET_ALERT;
}

static void corrupt(struct net_filter *filter, struct flow *flow)
{
    flow->held.data[0] ^= (uint8_t)(1U << (seed_next(&filter->random) % 8));
}

static void stall(struct net_filter *filter)
{
    int64_t ms = filter->knobs.stall_ms;
    filter->stalled_until_us = ms ? now_us(filter) + scaled_us(filter, ms) : NEVER;
}

static void end_now(struct net_filter *filter, enum net_end end)
{
    filter->end = end;
    drop(&filter->down);
    if (end != NET_HALF_CLOSED)
        drop(&filter->up);
}

/* At once, or when nothing has gone through for a while. */
static void end_with(struct net_filter *filter, enum net_end end)
{
    if (filter->knobs.stall_ms == 0) {
        end_now(filter, end);
        return;
    }
    stall(filter);
    filter->ends_as = end;
}

static void check_end(struct net_filter *filter)
{
    if (filter->ends_as != NET_GOES_ON && filter->end == NET_GOES_ON && now_us(filter) >= filter->stalled_until_us)
        end_now(filter, filter->ends_as);
}

static void act(struct net_filter *filter, struct flow *flow)
{
    switch (filter->knobs.net_fault) {
    case NET_FAULT_STALL:
        stall(filter);
        break;
    case NET_FAULT_CUT:
        end_with(filter, NET_CUT);
        break;
    case NET_FAULT_RESET:
        end_with(filter, NET_RESET);
        break;
    case NET_FAULT_HALF_CLOSE:
        end_with(filter, NET_HALF_CLOSED);
        break;
    case NET_FAULT_CORRUPT:
        corrupt(filter, flow);
        break;
    default:
        break;
    }
}

static bool is_reached(const struct net_filter *filter, const struct fault *fault, const struct flow *flow)
{
    bool needs_byte = fault->knob == KNOB_net_fault && filter->knobs.net_fault == NET_FAULT_CORRUPT;
    return fault->is_armed && fault->trigger.is_up == flow->is_up && fault->at == flow->released &&
           (!needs_byte || flow->held.length_bytes > 0);
}

/* A fault whose place has come happens once. */
static void check_faults(struct flow *flow)
{
    struct net_filter *filter = flow->filter;
    check_end(filter);
    for (size_t i = 0; i < FAULT_COUNT && filter->end == NET_GOES_ON; i++) {
        struct fault *fault = &filter->faults[i];
        if (!is_reached(filter, fault, flow))
            continue;
        fault->is_armed = false;
        filter->options.happened(filter->options.user, fault->knob);
        if (i == FAULT_ALERT)
            send_alert(filter);
        else
            act(filter, flow);
    }
}

/* ---- what comes in ---- */

static bool waits_for_message(const struct fault *fault, const struct flow *flow)
{
    return fault->is_armed && fault->at == NOWHERE && fault->trigger.kind == TRIGGER_MESSAGE && fault->trigger.is_up == flow->is_up &&
           !flow->filter->is_handshake_done;
}

static void place(struct flow *flow, int message, bool is_end, uint64_t offset, uint64_t body)
{
    struct net_filter *filter = flow->filter;
    for (size_t i = 0; i < FAULT_COUNT; i++) {
        struct fault *fault = &filter->faults[i];
        if (!waits_for_message(fault, flow) || fault->trigger.number != message || fault->trigger.is_after != is_end)
            continue;
        /* A byte of the message itself, not of the record around it. */
        bool is_corrupt = i == FAULT_NET && filter->knobs.net_fault == NET_FAULT_CORRUPT;
        fault->at = is_corrupt && !is_end ? body : offset;
        if (fault->at < flow->released)
            fault->at = flow->released;
    }
}

static void on_begins(void *user, int message, uint64_t start, uint64_t body)
{
    struct flow *flow = user;
    /* Named on the wire: the name that TLS gave is used up. */
    if (!flow->is_up && message != TRIGGER_CHANGE_CIPHER_SPEC && flow->filter->name_count && flow->filter->names[0] == message)
        memmove(flow->filter->names, flow->filter->names + 1, --flow->filter->name_count * sizeof flow->filter->names[0]);
    place(flow, message, false, start, body);
}

static void on_ended(void *user, int message, uint64_t end)
{
    place(user, message, true, end, end);
}

static int on_name(void *user)
{
    const struct flow *flow = user;
    const struct net_filter *filter = flow->filter;
    return flow->is_up || filter->is_handshake_done || filter->name_count == 0 ? TLS_STREAM_UNKNOWN : filter->names[0];
}

static int64_t due_of(struct flow *flow)
{
    struct net_filter *filter = flow->filter;
    const struct knobs *knobs = &filter->knobs;
    bool is_meant = knobs->net_direction == NET_BOTH || (knobs->net_direction == NET_UP) == flow->is_up;
    int64_t delay_us = is_meant ? scaled_us(filter, knobs->delay_ms) : 0;
    if (is_meant && knobs->jitter_ms)
        delay_us += (int64_t)(seed_next(&filter->random) % ((uint64_t)scaled_us(filter, knobs->jitter_ms) + 1));
    int64_t due_us = now_us(filter) + delay_us;
    const struct piece *last = flow->piece_count ? &flow->pieces[(flow->first_piece + flow->piece_count - 1) % PIECES_MAX] : NULL;
    return last && last->due_us > due_us ? last->due_us : due_us; /* bytes do not overtake each other */
}

static void take(struct flow *flow, const uint8_t *data, size_t length_bytes)
{
    const struct tls_stream_callbacks callbacks = {flow, on_begins, on_ended, on_name};
    if (length_bytes == 0 || flow->is_dropping)
        return;
    if (!flow->filter->is_handshake_done)
        tls_stream_take(&flow->stream, &callbacks, data, length_bytes);
    if (flow->filter->stalled_until_us == NEVER || bytes_append(&flow->held, data, length_bytes))
        return;
    struct piece piece = {due_of(flow), length_bytes};
    if (flow->piece_count == PIECES_MAX) {
        struct piece *last = &flow->pieces[(flow->first_piece + flow->piece_count - 1) % PIECES_MAX];
        *last = (struct piece){piece.due_us, last->length_bytes + length_bytes};
        return;
    }
    flow->pieces[(flow->first_piece + flow->piece_count++) % PIECES_MAX] = piece;
}

/* ---- what goes on ---- */

/* Up to the next fault, and to what is known while a fault waits for a message's name. */
static size_t before_faults(const struct flow *flow)
{
    uint64_t left = flow->held.length_bytes;
    for (size_t i = 0; i < FAULT_COUNT; i++) {
        const struct fault *fault = &flow->filter->faults[i];
        if (!fault->is_armed || fault->trigger.is_up != flow->is_up)
            continue;
        uint64_t limit = fault->at != NOWHERE ? fault->at : waits_for_message(fault, flow) ? tls_stream_known(&flow->stream) : NOWHERE;
        if (limit - flow->released < left)
            left = limit - flow->released;
    }
    return (size_t)left;
}

static bool is_dribbling(const struct flow *flow)
{
    const struct knobs *knobs = &flow->filter->knobs;
    return knobs->dribble_bytes && (knobs->net_direction == NET_BOTH || (knobs->net_direction == NET_UP) == flow->is_up);
}

/* How many bytes may go on at this time. */
static size_t due_bytes(const struct flow *flow, int64_t now)
{
    size_t due = 0, limit = before_faults(flow);
    if (now < flow->filter->stalled_until_us || now < flow->next_free_us)
        return 0;
    for (size_t i = 0; i < flow->piece_count && flow->pieces[(flow->first_piece + i) % PIECES_MAX].due_us <= now; i++)
        due += flow->pieces[(flow->first_piece + i) % PIECES_MAX].length_bytes;
    if (is_dribbling(flow) && due > (size_t)flow->filter->knobs.dribble_bytes)
        due = (size_t)flow->filter->knobs.dribble_bytes;
    return due < limit ? due : limit;
}

static void went_on(struct flow *flow, size_t length_bytes)
{
    bytes_consume(&flow->held, length_bytes);
    if (flow->held.length_bytes == 0)
        bytes_done(&flow->held);
    flow->released += length_bytes;
    if (is_dribbling(flow))
        flow->next_free_us = now_us(flow->filter) + scaled_us(flow->filter, flow->filter->knobs.dribble_ms);
    while (length_bytes) {
        struct piece *piece = &flow->pieces[flow->first_piece];
        size_t used = piece->length_bytes < length_bytes ? piece->length_bytes : length_bytes;
        piece->length_bytes -= used;
        length_bytes -= used;
        if (piece->length_bytes)
            break;
        flow->first_piece = (flow->first_piece + 1) % PIECES_MAX;
        flow->piece_count--;
    }
}

/* Returns false when there is nothing to do for now. */
static bool release_some(struct net_filter *filter, BIO *next)
{
    struct flow *flow = &filter->down;
    check_faults(flow);
    size_t length = due_bytes(flow, now_us(filter));
    if (length == 0)
        return false;
    int sent = BIO_write(next, flow->held.data, (int)length);
    filter->is_blocked = sent <= 0 && BIO_should_retry(next);
    if (sent <= 0 && !filter->is_blocked)
        drop(flow); /* the socket is gone: reading finds out how */
    if (sent > 0)
        went_on(flow, (size_t)sent);
    return sent > 0;
}

static void release(struct net_filter *filter, BIO *next)
{
    while (next && release_some(filter, next))
        continue;
    check_faults(&filter->down);
}

/* ---- the BIO ---- */

static void pull(struct net_filter *filter, BIO *next)
{
    uint8_t buffer[READ_BYTES];
    if (filter->has_ended || filter->up.held.length_bytes >= NET_HELD_MAX_BYTES)
        return;
    int got = BIO_read(next, buffer, sizeof buffer);
    if (got > 0) {
        take(&filter->up, buffer, (size_t)got);
    } else if (!BIO_should_retry(next)) {
        filter->has_ended = true;
        filter->end_result = got;
    }
}

static bool is_end_due(const struct net_filter *filter)
{
    bool is_lost = filter->end_result < 0 || filter->stalled_until_us == NEVER;
    return filter->has_ended && (filter->up.held.length_bytes == 0 || is_lost);
}

static int filter_read(BIO *bio, char *data, int length)
{
    struct net_filter *filter = BIO_get_data(bio);
    struct flow *up = &filter->up;
    BIO_clear_retry_flags(bio);
    pull(filter, BIO_next(bio));
    check_faults(up);
    size_t due = due_bytes(up, now_us(filter));
    if (due > (size_t)length)
        due = (size_t)length;
    if (due) {
        memcpy(data, up->held.data, due);
        went_on(up, due);
        check_faults(up);
        return (int)due;
    }
    if (is_end_due(filter))
        return filter->end_result;
    BIO_set_retry_read(bio);
    return -1;
}

static void flush(struct net_filter *filter, BIO *next)
{
    take(&filter->down, filter->unflushed.data, filter->unflushed.length_bytes);
    bytes_done(&filter->unflushed);
    release(filter, next);
}

static int filter_write(BIO *bio, const char *data, int length)
{
    struct net_filter *filter = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (!filter->is_handshake_done && bytes_append(&filter->unflushed, data, (size_t)length) == 0)
        return length;
    flush(filter, BIO_next(bio));
    if (filter->down.held.length_bytes + (size_t)length > NET_HELD_MAX_BYTES) {
        BIO_set_retry_write(bio);
        return -1;
    }
    take(&filter->down, (const uint8_t *)data, (size_t)length);
    release(filter, BIO_next(bio));
    return length;
}

static long filter_ctrl(BIO *bio, int command, long number, void *pointer)
{
    struct net_filter *filter = BIO_get_data(bio);
    switch (command) {
    case BIO_CTRL_FLUSH:
        flush(filter, BIO_next(bio));
        return 1;
    case BIO_CTRL_EOF:
        return is_end_due(filter);
    case BIO_CTRL_PUSH:
    case BIO_CTRL_POP:
        return 0;
    default:
        return BIO_next(bio) ? BIO_ctrl(BIO_next(bio), command, number, pointer) : 0;
    }
}

static int filter_destroy(BIO *bio)
{
    struct net_filter *filter = BIO_get_data(bio);
    if (!filter)
        return 1;
    bytes_done(&filter->up.held);
    bytes_done(&filter->down.held);
    bytes_done(&filter->unflushed);
    free(filter);
    return 1;
}

BIO_METHOD *net_filter_method_new(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_FILTER, "bad network");
    if (!method)
        return NULL;
    BIO_meth_set_read(method, filter_read);
    BIO_meth_set_write(method, filter_write);
    BIO_meth_set_ctrl(method, filter_ctrl);
    BIO_meth_set_destroy(method, filter_destroy);
    return method;
}

BIO *net_filter_bio_new(const BIO_METHOD *method, const struct net_filter_options *options, struct net_filter **ret_filter)
{
    BIO *bio = BIO_new(method);
    struct net_filter *filter = bio ? calloc(1, sizeof *filter) : NULL;
    if (!filter) {
        BIO_free(bio);
        return NULL;
    }
    filter->options = *options;
    filter->up = (struct flow){.filter = filter, .is_up = true};
    filter->down = (struct flow){.filter = filter};
    bytes_init(&filter->up.held, NET_HELD_MAX_BYTES + READ_BYTES);
    bytes_init(&filter->down.held, 2 * NET_HELD_MAX_BYTES);
    bytes_init(&filter->unflushed, NET_HELD_MAX_BYTES);
    filter->bio = bio;
    BIO_set_data(bio, filter);
    BIO_set_init(bio, 1);
    net_filter_configure(filter, options->knobs, options->seed);
    *ret_filter = filter;
    return bio;
}

/* ---- for the owner ---- */

const struct knobs *net_filter_knobs(const struct net_filter *filter)
{
    return &filter->knobs;
}

void net_filter_message(struct net_filter *filter, bool is_sent, int handshake_type)
{
    if (is_sent && filter->name_count < NAMES_MAX)
        filter->names[filter->name_count++] = handshake_type;
    /* TLS has read it: whatever was to happen in its place or behind it happens now. */
    if (!is_sent) {
        place(&filter->up, handshake_type, true, filter->up.released, filter->up.released);
        place(&filter->up, handshake_type, false, filter->up.released, filter->up.released);
    }
}

void net_filter_handshake_done(struct net_filter *filter)
{
    filter->is_handshake_done = true;
}

static bool awaits_packet(const struct fault *fault)
{
    return fault->is_armed && fault->trigger.kind == TRIGGER_PACKET && fault->at == NOWHERE;
}

bool net_filter_awaits_packet(const struct net_filter *filter)
{
    return awaits_packet(&filter->faults[FAULT_NET]);
}

void net_filter_packet(struct net_filter *filter, bool is_behind, bool is_up, int type, const char *topic)
{
    struct fault *fault = &filter->faults[FAULT_NET];
    struct flow *flow = is_up ? &filter->up : &filter->down;
    if (!awaits_packet(fault) || fault->trigger.is_after != is_behind || !trigger_is_packet(&fault->trigger, is_up, type, topic) ||
        --fault->packets_left > 0)
        return;
    fault->at = flow->released + (is_up ? 0 : flow->held.length_bytes);
    /* A byte of what is encrypted, not of the record's head: the record is whole, and its MAC is wrong. */
    if (filter->knobs.net_fault == NET_FAULT_CORRUPT)
        fault->at += RECORD_HEAD_BYTES;
    check_faults(flow);
}

void net_filter_pump(struct net_filter *filter)
{
    check_faults(&filter->up);
    release(filter, BIO_next(filter->bio));
}

enum net_end net_filter_end(const struct net_filter *filter)
{
    return filter->end == NET_ALERT && filter->down.held.length_bytes ? NET_GOES_ON : filter->end;
}

bool net_filter_is_drained(const struct net_filter *filter)
{
    return filter->down.held.length_bytes == 0 && filter->unflushed.length_bytes == 0;
}

bool net_filter_is_stalled(const struct net_filter *filter)
{
    return filter->stalled_until_us == NEVER;
}

bool net_filter_has_room(const struct net_filter *filter)
{
    return !filter->has_ended && filter->up.held.length_bytes < NET_HELD_MAX_BYTES;
}

bool net_filter_is_blocked(const struct net_filter *filter)
{
    return filter->is_blocked;
}

static int64_t next_due(const struct flow *flow)
{
    if (flow->piece_count == 0 || before_faults(flow) == 0)
        return NEVER;
    int64_t due_us = flow->pieces[flow->first_piece].due_us;
    if (due_us < flow->next_free_us)
        due_us = flow->next_free_us;
    return due_us > flow->filter->stalled_until_us ? due_us : flow->filter->stalled_until_us;
}

deadline_t net_filter_due(const struct net_filter *filter, bool is_reading)
{
    deadline_t down = {filter->is_blocked ? NEVER : next_due(&filter->down)};
    if (filter->ends_as != NET_GOES_ON && filter->end == NET_GOES_ON)
        down = deadline_earlier(down, (deadline_t){filter->stalled_until_us});
    return is_reading ? deadline_earlier(down, (deadline_t){next_due(&filter->up)}) : down;
}
