/*
 * test_device_host.h - a small AT host and modem for the fake device, and a collector of events
 *
 * What:     parses bytes as Nordic's AT host does (no echo, CR outside quotes ends a command, a full buffer drops bytes, closing quotes too), answers
 *           the commands that the tests need, and can be told to misbehave.
 */
#ifndef TEST_DEVICE_HOST_H
#define TEST_DEVICE_HOST_H

#include "base/json.h"
#include "harness/device/event_sink.h"
#include "test_device_fake.h"

#include <stdbool.h>

enum { HOST_BUFFER_BYTES = 4095, HOST_CREDENTIALS_MAX = 16, HOST_LOG_MAX = 64 };

struct host_credential {
    unsigned int sec_tag;
    int type;
    char *text; /* NULL: free */
};

struct host {
    struct fake fake;
    char buffer[HOST_BUFFER_BYTES + 1];
    size_t length;
    bool is_in_quotes;
    /* modem */
    int cmee, cfun;
    int switch_ons; /* so often the application switches its modem on right before a credential changes */
    struct host_credential credentials[HOST_CREDENTIALS_MAX];
    /* every command that was executed, in order */
    char *commands[HOST_LOG_MAX];
    int command_count;
    /* misbehaviour */
    bool is_mute;             /* executes, answers nothing */
    int mute_count;           /* so many commands are answered by nothing */
    bool says_byte_by_byte;   /* one byte a turn of the loop */
    bool has_placeholders;    /* as mfw before 1.3.2 */
    bool refuses_overwriting; /* CME 519 */
    bool changes_line_ends;   /* stores LF as CR LF */
    bool echoes_commands;     /* as the AT host does when a command fails before the modem */
    int write_error;          /* CME code for CMNG=0 */
    const char *noise_before; /* said before each reply ... */
    const char *noise_inside; /* ... and before its final line */
    /* overrides the modem: true when it answered */
    bool (*answer)(struct host *host, const char *command);
    void *user;
    struct bytes slow_text;
    uv_timer_t slow;
};

void host_init(struct host *host, uv_loop_t *loop);
void host_done(struct host *host);
void host_say(struct host *host, const char *text);
/* Reboot: parser and CMEE are as new. */
void host_boot(struct host *host, const char *banner);
void host_store(struct host *host, unsigned int sec_tag, int type, const char *text);
/* NULL: not there. */
const char *host_stored(struct host *host, unsigned int sec_tag, int type);
/* How many executed commands begin with this. */
int host_count(const struct host *host, const char *start);

struct events {
    cJSON *list;
};
void events_init(struct events *events);
void events_done(struct events *events);
struct event_sink events_sink(struct events *events);
/* The nth event (from 0) of that kind, NULL. */
const cJSON *events_find(const struct events *events, const char *kind, int nth);
int events_count(const struct events *events, const char *kind);
/* Is the text anywhere in any event? */
bool events_contain(const struct events *events, const char *text);

#endif
