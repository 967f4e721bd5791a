#include "base/event.h"

#include <string.h>

static const struct {
    const char *name;
    enum event_view view;
    const char *text;
} kinds[] = {
#define X(id, kind_name, kind_view, kind_text) [EVENT_##id] = {kind_name, EVENT_VIEW_##kind_view, kind_text},
    EVENT_KINDS(X)
#undef X
};

const char *event_kind_name(enum event_kind kind)
{
    return kind < EVENT_KIND_COUNT ? kinds[kind].name : "unknown";
}

const char *event_kind_text(enum event_kind kind)
{
    return kind < EVENT_KIND_COUNT ? kinds[kind].text : "";
}

enum event_view event_kind_view(enum event_kind kind)
{
    return kind < EVENT_KIND_COUNT ? kinds[kind].view : EVENT_VIEW_BENCH;
}

const char *event_view_name(enum event_view view)
{
    static const char *const names[] = {"console", "wire", "service", "bench"};
    return names[view];
}

enum event_kind event_kind_from_name(const char *name)
{
    for (size_t i = 0; name && i < EVENT_KIND_COUNT; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return (enum event_kind)i;
    return EVENT_KIND_COUNT;
}

cJSON *event_new(enum event_kind kind, const struct clock *clock, const char *source)
{
    CLEANUP_JSON cJSON *event = cJSON_CreateObject();
    if (!event || json_add_integer(event, "v", EVENT_VERSION) || json_add_string(event, "kind", event_kind_name(kind)) ||
        json_add_integer(event, "mono_us", clock_mono_us(clock)) || json_add_integer(event, "unix_us", clock_unix_us(clock)) ||
        json_add_string(event, "source", source) || json_add(event, "data", cJSON_CreateObject()))
        return NULL;
    return TAKE(event);
}

cJSON *event_data(const cJSON *event)
{
    return cJSON_GetObjectItemCaseSensitive(event, "data");
}

void event_set_origin(cJSON *event, const char *lane, uint64_t session, const char *registration_id)
{
    json_add_string(event, "lane", lane);
    if (session)
        json_add_integer(event, "session", (int64_t)session);
    json_add_string(event, "registration_id", registration_id);
}

int event_check(const cJSON *event, enum event_kind *ret_kind, struct error *error)
{
    if (!cJSON_IsObject(event))
        return error_set(error, ERROR_OWNER_RIG, ERROR_PROTOCOL, "event is not a JSON object");
    int64_t version = json_integer(event, "v", 0);
    if (version != EVENT_VERSION)
        return error_set(error, ERROR_OWNER_RIG, ERROR_PROTOCOL, "event has version %lld; this program reads version %d",
                         (long long)version, EVENT_VERSION);
    const char *kind = json_string(event, "kind", NULL);
    if (!kind || json_integer(event, "mono_us", -1) < 0 || json_integer(event, "unix_us", -1) < 0 || !cJSON_IsObject(event_data(event)))
        return error_set(error, ERROR_OWNER_RIG, ERROR_PROTOCOL, "event lacks kind, mono_us, unix_us or data");
    *ret_kind = event_kind_from_name(kind);
    return 0;
}
