#include "broker_sim/hub/c2d.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/percent.h"
#include "base/uuid.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <string.h>

const char *c2d_outcome_name(enum c2d_outcome outcome)
{
    static const char *const names[] = {
#define X(id, name) [C2D_##id] = (name),
        C2D_OUTCOMES(X)
#undef X
    };
    return names[outcome];
}

void c2d_message_free(struct c2d_message *message)
{
    if (!message)
        return;
    free(message->bag);
    free(message->body);
    free(message);
}
DEFINE_CLEANUP(struct c2d_message *, c2d_message_free)

static int fail(struct error *error, enum error_code code, const char *format, ...) __attribute__((format(printf, 3, 4)));
static int fail(struct error *error, enum error_code code, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return error_set(error, ERROR_OWNER_FILE, code, "%s", text);
}

/* ---- the body ---- */

static int set_body(struct c2d_message *message, const void *data, size_t length_bytes, struct error *error)
{
    if (length_bytes > C2D_BODY_MAX_BYTES)
        return fail(error, ERROR_LIMIT, "a message to a device may have %d bytes; this one has %zu", C2D_BODY_MAX_BYTES, length_bytes);
    message->body = malloc(length_bytes + 1);
    if (!message->body)
        return error_set_memory(error);
    if (length_bytes)
        memcpy(message->body, data, length_bytes);
    message->body[length_bytes] = 0;
    message->body_bytes = length_bytes;
    return 0;
}

static int set_base64_body(struct c2d_message *message, const char *text, struct error *error)
{
    size_t length = strlen(text), padding = length && text[length - 1] == '=' ? 1 + (length > 1 && text[length - 2] == '=') : 0;
    if (length > (size_t)C2D_BODY_MAX_BYTES / 3 * 4 + 8)
        return fail(error, ERROR_LIMIT, "a message to a device may have %d bytes; this one has more", C2D_BODY_MAX_BYTES);
    CLEANUP_FREE uint8_t *decoded = malloc(length + 1);
    if (!decoded)
        return error_set_memory(error);
    int count = length % 4 ? -1 : EVP_DecodeBlock(decoded, (const uint8_t *)text, (int)length);
    ERR_clear_error();
    if (count < (int)padding)
        return fail(error, ERROR_SYNTAX, "bodyBase64 is not base64");
    return set_body(message, decoded, (size_t)count - padding, error);
}

static int read_body(const cJSON *params, struct c2d_message *message, struct error *error)
{
    const char *text = json_string(params, "body", NULL), *base64 = json_string(params, "bodyBase64", NULL);
    if (text && base64)
        return fail(error, ERROR_USAGE, "body and bodyBase64 exclude each other");
    return base64 ? set_base64_body(message, base64, error) : set_body(message, text, text ? strlen(text) : 0, error);
}

/* ---- properties ---- */

static int add_property(struct bytes *bag, const char *name, const char *value, struct error *error)
{
    if (!value)
        return 0;
    if ((bag->length_bytes && bytes_append_byte(bag, '&')) || percent_encode(bag, name, strlen(name)) || bytes_append_byte(bag, '=') ||
        percent_encode(bag, value, strlen(value)))
        return fail(error, ERROR_LIMIT, "the message's properties take more than %d bytes of its topic", C2D_BAG_MAX_BYTES);
    return 0;
}

/* The order in which the documentation shows them. */
static int add_system(const cJSON *params, const struct c2d_message *message, const char *device_id, struct bytes *bag, struct error *error)
{
    char to[300], expiry[CLOCK_ISO8601_BYTES];
    snprintf(to, sizeof to, "/devices/%.200s/messages/devicebound", device_id);
    clock_format_iso8601(message->expires_unix_s * 1000000, expiry);
    const struct {
        const char *name;
        const char *value;
    } rows[] = {
        {"$.mid", message->id},
        {"$.exp", json_member(params, "ttlInSeconds") ? expiry : NULL},
        {"$.to", to},
        {"$.cid", json_string(params, "correlationId", NULL)},
        {"$.uid", json_string(params, "userId", NULL)},
        {"$.ct", json_string(params, "contentType", NULL)},
        {"$.ce", json_string(params, "contentEncoding", NULL)},
        {"iothub-ack", "none"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (add_property(bag, rows[i].name, rows[i].value, error))
            return -1;
    return 0;
}

static int add_application(const cJSON *params, struct bytes *bag, struct error *error)
{
    const cJSON *properties = json_member(params, "properties"), *item;
    if (properties && !cJSON_IsObject(properties))
        return fail(error, ERROR_USAGE, "properties are an object of texts");
    cJSON_ArrayForEach(item, properties)
    {
        if (!cJSON_IsString(item) || !*item->string)
            return fail(error, ERROR_USAGE, "property '%.64s' is no text", item->string);
        if (add_property(bag, item->string, item->valuestring, error))
            return -1;
    }
    return 0;
}

static int read_properties(const cJSON *params, struct c2d_message *message, const char *device_id, struct error *error)
{
    CLEANUP(bytes_done) struct bytes bag = {.max_bytes = C2D_BAG_MAX_BYTES};
    if (add_system(params, message, device_id, &bag, error) || add_application(params, &bag, error))
        return -1;
    message->bag = strdup(bytes_text(&bag));
    return message->bag ? 0 : error_set_memory(error);
}

static int read_id(const cJSON *params, struct c2d_message *message, struct error *error)
{
    const char *id = json_string(params, "messageId", NULL);
    if (!id || !*id)
        uuid_make(message->id);
    else if (strlen(id) > C2D_ID_MAX_BYTES)
        return fail(error, ERROR_USAGE, "messageId is longer than %d bytes", C2D_ID_MAX_BYTES);
    else
        snprintf(message->id, sizeof message->id, "%s", id);
    return 0;
}

static int read_expiry(const cJSON *params, struct c2d_message *message, int64_t now_unix_s, struct error *error)
{
    int64_t ttl_s = json_member(params, "ttlInSeconds") ? json_integer(params, "ttlInSeconds", -1) : C2D_TTL_DEFAULT_S;
    if (ttl_s < 1 || ttl_s > C2D_TTL_MAX_S)
        return fail(error, ERROR_USAGE, "ttlInSeconds is a number from 1 to %d", C2D_TTL_MAX_S);
    message->expires_unix_s = now_unix_s + ttl_s;
    return 0;
}

int c2d_message_new(const cJSON *params, const char *device_id, uint64_t number, int64_t now_unix_s, struct c2d_message **ret_message,
                    struct error *error)
{
    CLEANUP(c2d_message_free_cleanup) struct c2d_message *message = calloc(1, sizeof *message);
    if (!message)
        return error_set_memory(error);
    message->number = number;
    if (read_id(params, message, error) || read_expiry(params, message, now_unix_s, error) || read_body(params, message, error) ||
        read_properties(params, message, device_id, error))
        return -1;
    *ret_message = TAKE(message);
    return 0;
}

/* ---- the store ---- */

cJSON *c2d_message_json(const struct c2d_message *message)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    CLEANUP_FREE char *body = malloc(message->body_bytes / 3 * 4 + 8);
    if (!body)
        return NULL;
    EVP_EncodeBlock((uint8_t *)body, message->body, (int)message->body_bytes);
    if (json_set_integer(json, "number", (int64_t)message->number) || json_set_string(json, "messageId", message->id) ||
        json_set_string(json, "bag", message->bag) || json_set_string(json, "bodyBase64", message->body_bytes ? body : "") ||
        json_set_integer(json, "expiresUnixS", message->expires_unix_s) || json_set_integer(json, "deliveries", message->deliveries))
        return NULL;
    return TAKE(json);
}

int c2d_message_read(const cJSON *json, struct c2d_message **ret_message, struct error *error)
{
    CLEANUP(c2d_message_free_cleanup) struct c2d_message *message = calloc(1, sizeof *message);
    if (!message)
        return error_set_memory(error);
    snprintf(message->id, sizeof message->id, "%s", json_string(json, "messageId", ""));
    message->number = (uint64_t)json_integer(json, "number", 0);
    message->expires_unix_s = json_integer(json, "expiresUnixS", 0);
    message->deliveries = (int)json_integer(json, "deliveries", 0);
    message->bag = strdup(json_string(json, "bag", ""));
    if (!message->bag)
        return error_set_memory(error);
    if (strlen(message->bag) > C2D_BAG_MAX_BYTES || set_base64_body(message, json_string(json, "bodyBase64", ""), error))
        return fail(error, ERROR_SYNTAX, "a message in the store cannot be read");
    *ret_message = TAKE(message);
    return 0;
}

/* ---- the queue ---- */

int c2d_queue_add(struct c2d_queue *queue, struct c2d_message *message, struct error *error)
{
    if (queue->count >= C2D_QUEUE_MAX)
        return fail(error, ERROR_LIMIT, "%d messages wait for the device already (IoT Hub: 403004 DeviceMaximumQueueDepthExceeded)",
                    C2D_QUEUE_MAX);
    struct c2d_message **at = &queue->first;
    while (*at)
        at = &(*at)->next;
    *at = message;
    queue->count++;
    return 0;
}

void c2d_queue_end(struct c2d_queue *queue, struct c2d_message *message, enum c2d_outcome outcome)
{
    struct c2d_message **at = &queue->first;
    while (*at && *at != message)
        at = &(*at)->next;
    if (!*at)
        return;
    *at = message->next;
    queue->count--;
    if (message->waiter.done)
        message->waiter.done(message->waiter.user, message->id, outcome);
    c2d_message_free(message);
}

void c2d_queue_requeue(struct c2d_queue *queue)
{
    for (struct c2d_message *message = queue->first; message; message = message->next) {
        message->is_sent = false;
        message->packet_id = 0;
    }
}

int64_t c2d_queue_next_expiry_s(const struct c2d_queue *queue)
{
    int64_t first_s = INT64_MAX;
    for (const struct c2d_message *message = queue->first; message; message = message->next)
        if (!message->is_sent && message->expires_unix_s < first_s)
            first_s = message->expires_unix_s;
    return first_s;
}
