#include "broker_sim/front_door/user_name.h"

#include <string.h>

enum { SEGMENTS_MAX = 5 };

struct segments {
    const char *at[SEGMENTS_MAX];
    size_t bytes[SEGMENTS_MAX];
    size_t count; /* the last one holds the rest, slashes included */
};

static struct segments split(const char *text)
{
    struct segments segments = {.count = 0};
    while (segments.count < SEGMENTS_MAX) {
        const char *slash = strchr(text, '/');
        bool is_last = !slash || segments.count == SEGMENTS_MAX - 1;
        segments.at[segments.count] = text;
        segments.bytes[segments.count++] = is_last ? strlen(text) : (size_t)(slash - text);
        if (is_last)
            break;
        text = slash + 1;
    }
    return segments;
}

static bool starts_with(const struct segments *segments, size_t index, const char *word)
{
    return index < segments->count && strncmp(segments->at[index], word, strlen(word)) == 0;
}

static bool is_api_version(const struct segments *segments, size_t index)
{
    return starts_with(segments, index, "?api-version=") || starts_with(segments, index, "api-version=");
}

/* A hub's device may be called "registrations": then the api-version stands where DPS has the registration id. */
static bool is_dps(const struct segments *segments)
{
    static const char word[] = "registrations";
    return segments->count >= 3 && segments->bytes[1] == strlen(word) && starts_with(segments, 1, word) && segments->bytes[2] &&
           !is_api_version(segments, 2);
}

static bool is_hub(const struct segments *segments)
{
    return segments->count >= 3 && segments->bytes[0] && segments->bytes[1] && (is_api_version(segments, 2) || is_api_version(segments, 3));
}

struct user_name user_name_parse(const char *text)
{
    struct segments segments = split(text);
    if (is_dps(&segments))
        return (struct user_name){SESSION_ENDPOINT_DPS, segments.at[2], segments.bytes[2]};
    if (is_hub(&segments))
        return (struct user_name){SESSION_ENDPOINT_HUB, segments.at[1], segments.bytes[1]};
    return (struct user_name){SESSION_ENDPOINT_UNKNOWN, NULL, 0};
}

const char *endpoint_name(enum session_endpoint endpoint)
{
    static const char *const names[] = {"unknown", "dps", "hub"};
    return names[endpoint];
}
