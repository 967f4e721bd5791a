/*
 * harness/run/channel.h - JSON objects, one a line, both ways between a run and its worker
 *
 * What:     one stream socket. Messages come by callback from the loop; sending waits for room, with a deadline.
 * Limits:   CHANNEL_MESSAGE_MAX_BYTES a message; a longer one, and what is no JSON object, ends the channel.
 */
#ifndef HARNESS_RUN_CHANNEL_H
#define HARNESS_RUN_CHANNEL_H

#include "base/json.h"

#include <uv.h>

enum { CHANNEL_MESSAGE_MAX_BYTES = 4 * 1024 * 1024, CHANNEL_SEND_MS = 60000 };

struct channel;

struct channel_callbacks {
    void *user;
    void (*on_message)(void *user, const cJSON *message); /* lent */
    /* Nothing comes any more, once. `reason`: NULL when the other side just ended it. */
    void (*on_end)(void *user, const char *reason);
};

/* fd: a stream socket; taken over, also on failure. Neither callback comes before the loop runs. */
int channel_open(uv_loop_t *loop, int fd, const struct channel_callbacks *callbacks, struct channel **ret_channel, struct error *error);
/* `message`: taken over in every case. IO (rig): the other side is gone, or takes nothing. */
int channel_send(struct channel *channel, cJSON *message, struct error *error);
/* Nothing more will be sent; the other side sees the end. */
void channel_finish(struct channel *channel);
/* No callback comes any more; the memory goes when the loop has run once more. NULL allowed. Not from within on_message or on_end. */
void channel_close(struct channel *channel);

#endif
