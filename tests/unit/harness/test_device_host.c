#include "test_device_host.h"

#include "tests/cmocka.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- saying */

static void on_slow(uv_timer_t *timer)
{
    struct host *host = timer->data;
    if (!host->slow_text.length_bytes) {
        uv_timer_stop(timer);
        return;
    }
    fake_say_bytes(&host->fake, host->slow_text.data, 1);
    bytes_consume(&host->slow_text, 1);
}

void host_say(struct host *host, const char *text)
{
    if (!host->says_byte_by_byte) {
        fake_say(&host->fake, text);
        return;
    }
    assert_int_equal(bytes_append_text(&host->slow_text, text), 0);
    uv_timer_start(&host->slow, on_slow, 1, 1);
}

static void say_final(struct host *host, int cme)
{
    char text[64] = "OK\r\n";
    if (cme && host->cmee)
        snprintf(text, sizeof(text), "+CME ERROR: %d\r\n", cme);
    else if (cme)
        strcpy(text, "ERROR\r\n");
    if (host->noise_inside)
        host_say(host, host->noise_inside);
    host_say(host, text);
}

/* ---- the modem */

static struct host_credential *find(struct host *host, unsigned int sec_tag, int type)
{
    for (int i = 0; i < HOST_CREDENTIALS_MAX; i++)
        if (host->credentials[i].text && host->credentials[i].sec_tag == sec_tag && host->credentials[i].type == type)
            return &host->credentials[i];
    return NULL;
}

static void forget(struct host_credential *credential)
{
    free(credential->text);
    credential->text = NULL;
}

void host_store(struct host *host, unsigned int sec_tag, int type, const char *text)
{
    struct host_credential *credential = find(host, sec_tag, type);
    for (int i = 0; i < HOST_CREDENTIALS_MAX && !credential; i++)
        if (!host->credentials[i].text)
            credential = &host->credentials[i];
    assert_non_null(credential);
    forget(credential);
    *credential = (struct host_credential){.sec_tag = sec_tag, .type = type, .text = strdup(text)};
}

const char *host_stored(struct host *host, unsigned int sec_tag, int type)
{
    struct host_credential *credential = find(host, sec_tag, type);
    return credential ? credential->text : NULL;
}

static void say_entry(struct host *host, const struct host_credential *credential)
{
    unsigned char digest[32];
    char hex[65], line[128];
    EVP_Digest(credential->text, strlen(credential->text), digest, NULL, EVP_sha256(), NULL);
    for (int i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02X", host->has_placeholders ? (unsigned int)credential->type : digest[i]);
    snprintf(line, sizeof(line), "%%CMNG: %u,%d,\"%s\"\r\n", credential->sec_tag, credential->type, hex);
    host_say(host, line);
}

static void write_credential(struct host *host, unsigned int sec_tag, int type, char *quoted)
{
    char *end = strrchr(quoted, '"');
    if (!end || end[1]) {
        say_final(host, 50);
        return;
    }
    *end = 0;
    if (host->refuses_overwriting && find(host, sec_tag, type)) {
        say_final(host, 519);
        return;
    }
    char *text = calloc(2, strlen(quoted) + 1);
    for (char *from = quoted, *to = text; *from; from++) {
        if (*from == '\n' && host->changes_line_ends)
            *to++ = '\r';
        *to++ = *from;
    }
    if (!host->write_error)
        host_store(host, sec_tag, type, text);
    say_final(host, host->write_error);
    free(text);
}

static bool cmng(struct host *host, const char *command)
{
    unsigned int sec_tag;
    int operation, type, at = 0;
    int count = sscanf(command, "AT%%CMNG=%d,%u,%d%n", &operation, &sec_tag, &type, &at);
    if (count < 1)
        return false;
    if (operation == 1) {
        for (int i = 0; i < HOST_CREDENTIALS_MAX; i++)
            if (host->credentials[i].text)
                say_entry(host, &host->credentials[i]);
        say_final(host, 0);
    } else if (host->switch_ons > 0 && host->switch_ons--) {
        host->cfun = 1;
        say_final(host, 518);
    } else if (host->cfun == 1) {
        say_final(host, 518);
    } else if (operation == 3) {
        struct host_credential *credential = find(host, sec_tag, type);
        if (credential)
            forget(credential);
        say_final(host, credential ? 0 : 513);
    } else {
        char *quoted = strdup(command + at + 2);
        write_credential(host, sec_tag, type, quoted);
        free(quoted);
    }
    return true;
}

static bool answer_simple(struct host *host, const char *command)
{
    static const char *const answers[][2] = {{"AT", ""},
                                             {"AT+CGMI", "Nordic Semiconductor ASA\r\n"},
                                             {"AT+CGMM", "nRF9160-SICA\r\n"},
                                             {"AT+CGMR", "mfw_nrf9160_1.3.5\r\n"},
                                             {"AT+CGSN", "352656100367872\r\n"}};
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
        if (strcmp(command, answers[i][0]) == 0) {
            host_say(host, answers[i][1]);
            say_final(host, 0);
            return true;
        }
    return false;
}

static void answer_state(struct host *host, const char *command)
{
    char text[64] = "";
    int value, final = 0;
    if (strcmp(command, "AT+CMEE?") == 0)
        snprintf(text, sizeof(text), "+CMEE: %d\r\n", host->cmee);
    else if (strcmp(command, "AT+CFUN?") == 0)
        snprintf(text, sizeof(text), "+CFUN: %d\r\n", host->cfun);
    else if (sscanf(command, "AT+CMEE=%d", &value) == 1)
        host->cmee = value;
    else if (sscanf(command, "AT+CFUN=%d", &value) == 1)
        host->cfun = value;
    else
        final = 50; /* incorrect parameters */
    host_say(host, text);
    say_final(host, final);
}

static void execute(struct host *host)
{
    host->buffer[host->length] = 0;
    char *command = host->buffer + strspn(host->buffer, "\n");
    host->length = 0;
    if (!*command)
        return;
    assert_true(host->command_count < HOST_LOG_MAX);
    host->commands[host->command_count++] = strdup(command);
    if (host->is_mute || host->mute_count-- > 0)
        return;
    host->mute_count = 0;
    if (host->noise_before)
        host_say(host, host->noise_before);
    if (host->echoes_commands) {
        host_say(host, command);
        host_say(host, "\r\n");
    }
    if (host->answer && host->answer(host, command))
        return;
    if (!answer_simple(host, command) && !cmng(host, command))
        answer_state(host, command);
}

static void on_bytes(struct fake *fake, const char *data, size_t length)
{
    struct host *host = (struct host *)fake;
    for (size_t i = 0; i < length; i++) {
        if (data[i] == '\b') {
            host->length -= host->length > 0;
        } else if (data[i] == '\r' && !host->is_in_quotes) {
            execute(host);
        } else if (host->length < HOST_BUFFER_BYTES) {
            host->is_in_quotes ^= data[i] == '"';
            host->buffer[host->length++] = data[i];
        }
    }
}

/* ---- the device */

void host_init(struct host *host, uv_loop_t *loop)
{
    memset(host, 0, sizeof(*host));
    fake_init(&host->fake, loop);
    host->fake.on_bytes = on_bytes;
    host->cfun = 1;
    bytes_init(&host->slow_text, 1024 * 1024);
    uv_timer_init(loop, &host->slow);
    host->slow.data = host;
}

void host_done(struct host *host)
{
    for (int i = 0; i < host->command_count; i++)
        free(host->commands[i]);
    for (int i = 0; i < HOST_CREDENTIALS_MAX; i++)
        forget(&host->credentials[i]);
    uv_close((uv_handle_t *)&host->slow, NULL);
    bytes_done(&host->slow_text);
    fake_done(&host->fake);
}

void host_boot(struct host *host, const char *banner)
{
    host->length = 0;
    host->is_in_quotes = false;
    host->cmee = 0;
    host->cfun = 1;
    host_say(host, banner);
    host_say(host, "\r\n");
}

int host_count(const struct host *host, const char *start)
{
    int count = 0;
    for (int i = 0; i < host->command_count; i++)
        count += strncmp(host->commands[i], start, strlen(start)) == 0;
    return count;
}

/* ---- events */

static void collect(void *user, cJSON *event)
{
    struct events *events = user;
    struct error error = ERROR_INIT;
    assert_non_null(event);
    enum event_kind kind;
    if (event_check(event, &kind, &error))
        fail_msg("%s", error.text);
    cJSON_AddItemToArray(events->list, event);
}

void events_init(struct events *events)
{
    events->list = cJSON_CreateArray();
}

void events_done(struct events *events)
{
    cJSON_Delete(events->list);
}

struct event_sink events_sink(struct events *events)
{
    return (struct event_sink){.emit = collect, .user = events};
}

const cJSON *events_find(const struct events *events, const char *kind, int nth)
{
    const cJSON *event;
    cJSON_ArrayForEach(event, events->list) if (strcmp(json_string(event, "kind", ""), kind) == 0 && nth-- == 0) return event;
    return NULL;
}

int events_count(const struct events *events, const char *kind)
{
    int count = 0;
    while (events_find(events, kind, count))
        count++;
    return count;
}

bool events_contain(const struct events *events, const char *text)
{
    char *all = cJSON_PrintUnformatted(events->list);
    bool contains = strstr(all, text) != NULL;
    free(all);
    return contains;
}
