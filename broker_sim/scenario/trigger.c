#include "broker_sim/scenario/trigger.h"

#include "base/cleanup.h"
#include "base/yaml.h"
#include "broker_sim/mqtt/packet.h"

#include <ctype.h>
#include <string.h>

enum { WORDS_MAX = 12, BYTES_COUNT_MAX = 16 * 1024 * 1024, ORDINAL_MAX = 100000, NAMES_MAX = 40 };

/* RFC 5246 section 7.4, RFC 8446 section 4. */
static const struct message {
    const char *name;
    int number;
    bool is_up; /* when no side is named */
} messages[] = {
    {"ClientHello", 1, true},          {"ServerHello", 2, false},      {"NewSessionTicket", 4, false},
    {"EncryptedExtensions", 8, false}, {"Certificate", 11, false},     {"ServerKeyExchange", 12, false},
    {"CertificateRequest", 13, false}, {"ServerHelloDone", 14, false}, {"CertificateVerify", 15, true},
    {"ClientKeyExchange", 16, true},   {"Finished", 20, false},        {"ChangeCipherSpec", TRIGGER_CHANGE_CIPHER_SPEC, false},
};

static const struct packet {
    const char *name;
    int number;
} packets[] = {
#define X(name, number, text) {text, number},
    MQTT_TYPES(X)
#undef X
};

/* When no direction is named. */
static bool is_from_device(int type)
{
    return type == MQTT_CONNECT || type == MQTT_PUBLISH || type == MQTT_SUBSCRIBE || type == MQTT_UNSUBSCRIBE || type == MQTT_PINGREQ ||
           type == MQTT_DISCONNECT;
}

/* The text in words; what is behind "on" stays whole. */
struct words {
    char text[TRIGGER_MAX_BYTES + 1];
    char *at[WORDS_MAX + 1]; /* NULL at the end */
    size_t next;
};

static void split(const char *text, struct words *words)
{
    char *rest = NULL;
    size_t count = 0;
    snprintf(words->text, sizeof words->text, "%s", text);
    for (char *word = strtok_r(words->text, " ", &rest); word && count < WORDS_MAX; word = strtok_r(NULL, " ", &rest))
        words->at[count++] = word;
}

static const char *peek(const struct words *words)
{
    return words->next < WORDS_MAX && words->at[words->next] ? words->at[words->next] : "";
}

static bool take_word(struct words *words, const char *word)
{
    bool is_there = strcmp(peek(words), word) == 0;
    words->next += is_there;
    return is_there;
}

static int fail(const char *text, const char *word, struct error *error)
{
    const char *names[NAMES_MAX] = {NULL};
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_COUNT(messages); i++)
        names[count++] = messages[i].name;
    for (size_t i = 0; i < ARRAY_COUNT(packets); i++)
        names[count++] = packets[i].name;
    const char *nearest = *word ? text_nearest(word, names) : NULL;
    return error_set(
        error, ERROR_OWNER_FILE, ERROR_USAGE,
        "'%s' names no protocol event%s%s%s; write such as 'at ServerHelloDone', 'after 300 bytes down', 'after the 2nd PUBLISH on "
        "$dps/registrations/PUT/#'",
        text, nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'" : "");
}

/* "2nd", "300", "2nd-5th", "100-2000". false: it is no number. */
static bool read_range(const char *word, int64_t max, int64_t *ret_first, int64_t *ret_last)
{
    int64_t values[2] = {0, 0};
    int count = 0;
    const char *at = word;
    do {
        for (; isdigit((unsigned char)*at) && values[count] <= max; at++)
            values[count] = values[count] * 10 + (*at - '0');
        if (at == word || values[count] < 1 || values[count] > max)
            return false;
        if (strncmp(at, "st", 2) == 0 || strncmp(at, "nd", 2) == 0 || strncmp(at, "rd", 2) == 0 || strncmp(at, "th", 2) == 0)
            at += 2;
    } while (++count < 2 && *at == '-' && isdigit((unsigned char)at[1]) && at++);
    *ret_first = values[0];
    *ret_last = count == 2 ? values[1] : values[0];
    return *at == 0 && *ret_last >= *ret_first;
}

static void take_direction(struct words *words, struct trigger *trigger)
{
    if (take_word(words, "up"))
        trigger->is_up = true;
    else if (take_word(words, "down"))
        trigger->is_up = false;
}

static bool take_bytes(struct words *words, struct trigger *trigger)
{
    size_t start = words->next;
    if (!trigger->is_after || !read_range(peek(words), BYTES_COUNT_MAX, &trigger->first, &trigger->last))
        return false;
    words->next++;
    if (!take_word(words, "bytes")) {
        words->next = start;
        return false;
    }
    trigger->kind = TRIGGER_BYTES;
    take_direction(words, trigger);
    return true;
}

static bool take_message(struct words *words, struct trigger *trigger)
{
    size_t start = words->next;
    bool is_client = take_word(words, "client"), is_server = !is_client && take_word(words, "server");
    for (size_t i = 0; i < ARRAY_COUNT(messages); i++) {
        if (!take_word(words, messages[i].name))
            continue;
        trigger->kind = TRIGGER_MESSAGE;
        trigger->number = messages[i].number;
        trigger->is_up = is_client || (messages[i].is_up && !is_server);
        return true;
    }
    words->next = start;
    return false;
}

static bool take_packet(struct words *words, struct trigger *trigger)
{
    trigger->first = trigger->last = 1;
    if (isdigit((unsigned char)*peek(words)) && !read_range(words->at[words->next++], ORDINAL_MAX, &trigger->first, &trigger->last))
        return false;
    for (size_t i = 0; i < ARRAY_COUNT(packets); i++) {
        if (!take_word(words, packets[i].name))
            continue;
        trigger->kind = TRIGGER_PACKET;
        trigger->number = packets[i].number;
        trigger->is_up = is_from_device(packets[i].number);
        take_direction(words, trigger);
        if (trigger->number == MQTT_PUBLISH && take_word(words, "on")) {
            snprintf(trigger->filter, sizeof trigger->filter, "%s", peek(words));
            words->next += trigger->filter[0] != 0;
        }
        return true;
    }
    return false;
}

int trigger_read(const char *text, struct trigger *ret_trigger, struct error *error)
{
    struct words words = {.next = 0};
    struct trigger trigger = {.kind = TRIGGER_START};
    if (strlen(text) > TRIGGER_MAX_BYTES)
        return fail("a text that is too long", "", error);
    split(text, &words);
    if (*text && !take_word(&words, "start")) {
        trigger.is_after = take_word(&words, "after");
        if (!trigger.is_after && !take_word(&words, "at"))
            return fail(text, peek(&words), error);
        take_word(&words, "the");
        if (!take_bytes(&words, &trigger) && !take_message(&words, &trigger) && !take_packet(&words, &trigger))
            return fail(text, peek(&words), error);
    }
    if (*peek(&words))
        return fail(text, peek(&words), error);
    *ret_trigger = trigger;
    return 0;
}

int trigger_check(const char *text, struct error *error)
{
    struct trigger trigger = {.kind = TRIGGER_START};
    return trigger_read(text, &trigger, error);
}

int trigger_check_packet(const char *text, struct error *error)
{
    struct trigger trigger = {.kind = TRIGGER_START};
    if (trigger_read(text, &trigger, error))
        return -1;
    return trigger.kind == TRIGGER_PACKET ? 0
                                          : error_set(error, ERROR_OWNER_FILE, ERROR_USAGE,
                                                      "'%s' is no MQTT packet; write such as 'after the 2nd PUBLISH' or 'at SUBACK'", text);
}

int trigger_check_wire(const char *text, struct error *error)
{
    struct trigger trigger = {.kind = TRIGGER_START};
    if (trigger_read(text, &trigger, error))
        return -1;
    return trigger.kind != TRIGGER_PACKET
               ? 0
               : error_set(error, ERROR_OWNER_FILE, ERROR_USAGE,
                           "'%s': on the wire MQTT packets are encrypted; write such as 'at ServerHelloDone' or 'after 300 bytes down'",
                           text);
}

/* splitmix64 (Steele, Lea, Flood 2014). */
uint64_t seed_next(uint64_t *random)
{
    uint64_t z = *random += 0x9e3779b97f4a7c15U;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
    z = (z ^ z >> 27) * 0x94d049bb133111ebU;
    return z ^ z >> 31;
}

int64_t trigger_count(const struct trigger *trigger, uint64_t *random)
{
    uint64_t span = (uint64_t)(trigger->last - trigger->first) + 1;
    return trigger->first + (span > 1 ? (int64_t)(seed_next(random) % span) : 0);
}

/* OASIS MQTT 3.1.1 section 4.7, level by level. */
static bool matches(const char *filter, const char *topic)
{
    for (;;) {
        size_t filter_bytes = strcspn(filter, "/"), topic_bytes = strcspn(topic, "/");
        if (strcmp(filter, "#") == 0)
            return true;
        bool is_any = filter_bytes == 1 && *filter == '+';
        if (!is_any && (filter_bytes != topic_bytes || strncmp(filter, topic, topic_bytes) != 0))
            return false;
        filter += filter_bytes;
        topic += topic_bytes;
        if (!*filter || !*topic)
            return *filter == *topic || strcmp(filter, "/#") == 0;
        filter++;
        topic++;
    }
}

bool trigger_is_packet(const struct trigger *trigger, bool is_up, int type, const char *topic)
{
    return trigger->kind == TRIGGER_PACKET && trigger->number == type && trigger->is_up == is_up &&
           (!trigger->filter[0] || (topic && matches(trigger->filter, topic)));
}
