#include "broker_sim/control/request.h"

#include "base/yaml.h"

#include <ctype.h>
#include <string.h>

static int fail(struct error *error, const char *what)
{
    return error_set(error, ERROR_OWNER_FILE, ERROR_PROTOCOL, "control request %s; docs/control.md says what one looks like", what);
}

int control_topic_read(const char *topic, char *ret_name, struct error *error)
{
    static const char start[] = "dpsbench/v1/control/", end[] = "/request";
    if (strncmp(topic, start, sizeof start - 1) != 0)
        return fail(error, "on another topic");
    const char *name = topic + sizeof start - 1;
    size_t length = 0;
    while (isalnum((unsigned char)name[length]) || name[length] == '-' || name[length] == '_')
        length++;
    if (length == 0 || length > CLIENT_NAME_MAX_BYTES || strcmp(name + length, end) != 0)
        return fail(error, "on a topic with an unusable client name");
    memcpy(ret_name, name, length);
    ret_name[length] = 0;
    return 0;
}

static int read_members(struct control_request *request, struct error *error)
{
    static const cJSON empty = {.type = cJSON_Object};
    if (!cJSON_IsObject(request->json) || json_integer(request->json, "v", 0) != 1)
        return fail(error, "is not an object with \"v\":1");
    request->id = json_string(request->json, "id", NULL);
    request->method = json_string(request->json, "method", NULL);
    request->params = json_member(request->json, "params");
    if (!request->id || strlen(request->id) > REQUEST_ID_MAX_BYTES)
        return fail(error, "has no \"id\", or one longer than 64 bytes");
    if (!request->method)
        return fail(error, "has no \"method\"");
    if (request->params && !cJSON_IsObject(request->params))
        return fail(error, "has \"params\" that are not an object");
    if (!request->params)
        request->params = &empty;
    return 0;
}

int control_request_read(const void *body, size_t length_bytes, struct control_request *ret_request, struct error *error)
{
    if (length_bytes > REQUEST_MAX_BYTES)
        return error_set(error, ERROR_OWNER_FILE, ERROR_LIMIT, "control request of %zu bytes; at most %d are read", length_bytes,
                         REQUEST_MAX_BYTES);
    CLEANUP(control_request_done)
    struct control_request request = {.json = json_parse(length_bytes ? body : "", length_bytes, "request", error)};
    if (!request.json)
        return fail(error, "is not JSON");
    if (read_members(&request, error))
        return -1;
    *ret_request = request;
    request.json = NULL;
    return 0;
}

void control_request_done(struct control_request *request)
{
    cJSON_Delete(request->json);
    request->json = NULL;
}

enum { WORDS_MAX = 16, WORDS_TEXT_MAX_BYTES = 256 };

int control_params_check(const cJSON *params, const char *allowed, struct error *error)
{
    char text[WORDS_TEXT_MAX_BYTES];
    const char *words[WORDS_MAX + 1] = {NULL};
    size_t count = 0;
    snprintf(text, sizeof text, "%s", allowed);
    char *rest = NULL;
    for (char *word = strtok_r(text, " ", &rest); word && count < WORDS_MAX; word = strtok_r(NULL, " ", &rest))
        words[count++] = word;
    const cJSON *item;
    cJSON_ArrayForEach(item, params)
    {
        size_t i = 0;
        while (i < count && strcmp(words[i], item->string) != 0)
            i++;
        if (i < count)
            continue;
        const char *nearest = text_nearest(item->string, words);
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "there is no parameter '%.64s'%s%s%s; allowed: %s", item->string,
                         nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'" : "", count ? allowed : "none");
    }
    return 0;
}

int control_params_text(const cJSON *params, const char *name, size_t max_bytes, const char **ret_text, struct error *error)
{
    const char *text = json_string(params, name, NULL);
    if (!text || !*text)
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "parameter '%s' is missing, or is no text", name);
    if (strlen(text) > max_bytes)
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "parameter '%s' is longer than %zu bytes", name, max_bytes);
    *ret_text = text;
    return 0;
}

static cJSON *reply_new(const char *id, bool is_ok)
{
    CLEANUP_JSON cJSON *reply = cJSON_CreateObject();
    if (json_set_integer(reply, "v", 1) || json_set(reply, "id", id ? cJSON_CreateString(id) : cJSON_CreateNull()) ||
        json_set_bool(reply, "ok", is_ok))
        return NULL;
    return TAKE(reply);
}

cJSON *control_reply_ok(const char *id, cJSON *result)
{
    cJSON *reply = reply_new(id, true);
    if (!reply)
        cJSON_Delete(result);
    else
        json_set(reply, "result", result ? result : cJSON_CreateObject());
    return reply;
}

cJSON *control_reply_error(const char *id, const struct error *error, const char *place)
{
    CLEANUP_JSON cJSON *reply = reply_new(id, false);
    cJSON *object = cJSON_AddObjectToObject(reply, "error");
    if (!object || json_set_string(object, "code", error_code_name(error->code)) || json_set_string(object, "text", error->text) ||
        json_set_string(object, "place", place))
        return NULL;
    return TAKE(reply);
}
