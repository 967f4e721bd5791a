/* Registration records: what a device's last registration came to. */
#include "base/cleanup.h"
#include "broker_sim/dps/reply.h"
#include "broker_sim/service_api/service_call.h"
#include "broker_sim/service_api/service_query.h"

#include <string.h>
#include <strings.h>

enum { OK = 200, NO_CONTENT = 204 };

static const struct registration *require(const struct service_call *call)
{
    const struct registration *found = registration_find(call->options->registrations, call->path.id);
    if (!found)
        error_set(call->error, ERROR_OWNER_FILE, ERROR_NOT_FOUND, "Registration not found: there is none of the id '%s'", call->path.id);
    return found;
}

static bool is_etag(const char *given, const char *etag)
{
    size_t length = strlen(etag);
    if (strcmp(given, "*") == 0 || strcmp(given, etag) == 0)
        return true;
    return strlen(given) == length + 2 && given[0] == '"' && given[length + 1] == '"' && strncmp(given + 1, etag, length) == 0;
}

static int delete_one(struct service_call *call)
{
    const struct registration *found = require(call);
    if (!found)
        return -1;
    if (call->request->if_match && !is_etag(call->request->if_match, found->etag))
        return error_set(call->error, ERROR_OWNER_FILE, ERROR_CONFLICT,
                         "Precondition failed: the registration '%s' has another etag by now", call->path.id);
    if (registration_delete(call->options->registrations, call->path.id, call->error) || service_call_commit(call))
        return -1;
    call->response->status = NO_CONTENT;
    return 0;
}

struct page {
    const struct service_query *query;
    cJSON *items;
    const char *last; /* of the page */
    bool has_more;
    bool has_failed;
};

static void add_to_page(void *user, const struct registration *registration)
{
    struct page *page = user;
    if (page->query->after[0] && strcasecmp(registration->registration_id, page->query->after) <= 0)
        return;
    if ((size_t)cJSON_GetArraySize(page->items) >= page->query->max_count) {
        page->has_more = true;
        return;
    }
    cJSON *item = reply_registration_state(registration);
    page->last = registration->registration_id;
    if (!item || !cJSON_AddItemToArray(page->items, item))
        page->has_failed = true;
}

static int query_group(struct service_call *call)
{
    struct service_query query;
    const struct dps_object *group;
    if (dps_state_get(call->options->state, DPS_GROUP, call->path.id, &group, call->error) ||
        service_query_read(call->request, &query, call->error))
        return -1;
    CLEANUP_JSON cJSON *items = cJSON_CreateArray();
    struct page page = {.query = &query, .items = items};
    if (items)
        registration_each(call->options->registrations, group->id, add_to_page, &page);
    if (!items || page.has_failed)
        return error_set_memory(call->error);
    if (page.has_more)
        service_query_continue(page.last, call->response->continuation);
    call->response->item_type = "registrationState";
    return service_call_answer(call, OK, TAKE(items));
}

int service_registrations(struct service_call *call)
{
    if (call->path.action == SERVICE_QUERY)
        return service_call_is(call, "POST") ? query_group(call) : service_call_refuse_method(call);
    if (service_call_is(call, "DELETE"))
        return delete_one(call);
    if (!service_call_is(call, "GET"))
        return service_call_refuse_method(call);
    const struct registration *found = require(call);
    return found ? service_call_answer(call, OK, reply_registration_state(found)) : -1;
}
