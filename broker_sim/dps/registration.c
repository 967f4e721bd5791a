#include "broker_sim/dps/registration.h"

#include "base/cleanup.h"

#include <search.h>
#include <string.h>
#include <strings.h>

enum input {
    INPUT_REGISTER,     /* polls are wanted */
    INPUT_REGISTER_END, /* none is wanted */
    INPUT_POLL,         /* not the last one wanted */
    INPUT_POLL_END,
};

/* What the service does: the rows are looked through from the top, `from` and `input` must fit. */
enum target { TO_ASSIGNING, TO_OUTCOME, TO_SAME };

static const struct transition {
    int from; /* a status, or ANY */
    enum input input;
    enum target target;
    int reply; /* status of the reply; 404: refused */
} transitions[] = {
#define ANY (-1)
    {ANY, INPUT_REGISTER, TO_ASSIGNING, 202},
    {ANY, INPUT_REGISTER_END, TO_OUTCOME, 200},
    {REGISTRATION_UNASSIGNED, INPUT_POLL, TO_SAME, 404},
    {REGISTRATION_UNASSIGNED, INPUT_POLL_END, TO_SAME, 404},
    {REGISTRATION_ASSIGNING, INPUT_POLL, TO_SAME, 202},
    {REGISTRATION_ASSIGNING, INPUT_POLL_END, TO_OUTCOME, 200},
    {ANY, INPUT_POLL, TO_SAME, 200},
    {ANY, INPUT_POLL_END, TO_SAME, 200},
};

struct registration_store {
    const char *id_scope;
    const struct clock *clock;
    struct store *kept; /* NULL: nothing is kept */
    void *tree;         /* of struct registration, by registration id */
    size_t count;
};

const char *registration_status_name(enum registration_status status)
{
    static const char *const names[] = {"unassigned", "assigning", "assigned", "failed", "disabled"};
    return names[status];
}

static int compare(const void *a, const void *b)
{
    return strcasecmp(((const struct registration *)a)->registration_id, ((const struct registration *)b)->registration_id);
}

struct registration_store *registration_store_new(const char *id_scope, const struct clock *clock)
{
    struct registration_store *store = calloc(1, sizeof *store);
    if (store)
        *store = (struct registration_store){.id_scope = id_scope, .clock = clock};
    return store;
}

void registration_store_free(struct registration_store *store)
{
    if (store)
        tdestroy(store->tree, free);
    free(store);
}

static struct registration *find(const struct registration_store *store, const char *registration_id)
{
    struct registration key;
    snprintf(key.registration_id, sizeof key.registration_id, "%s", registration_id);
    void *const *node = tfind(&key, &store->tree, compare);
    return node ? *node : NULL;
}

const struct registration *registration_find(const struct registration_store *store, const char *registration_id)
{
    return find(store, registration_id);
}

/* A copy of `value` in the tree: in place of the record of that id, or a new one. NULL: error. */
static struct registration *install(struct registration_store *store, const struct registration *value, struct error *error)
{
    struct registration *found = find(store, value->registration_id);
    if (found) {
        *found = *value;
        return found;
    }
    CLEANUP_FREE struct registration *made = malloc(sizeof *made);
    if (made)
        *made = *value;
    if (!made || !tsearch(made, &store->tree, compare)) {
        error_set_memory(error);
        return NULL;
    }
    store->count++;
    return TAKE(made);
}

static int begin(const struct registration_store *store, const char *registration_id, struct registration *ret_value, struct error *error)
{
    const struct registration *found = find(store, registration_id);
    if (!found && store->count >= REGISTRATIONS_MAX)
        return error_set(error, ERROR_OWNER_RIG, ERROR_LIMIT, "there are %d registrations already", REGISTRATIONS_MAX);
    *ret_value = found ? *found : (struct registration){.created_unix_us = clock_unix_us(store->clock)};
    snprintf(ret_value->registration_id, sizeof ret_value->registration_id, "%s", found ? found->registration_id : registration_id);
    return 0;
}

/* --- what is kept --- */

/* JSON numbers are exact up to 2^53; more polls than that are "never". */
#define POLLS_MAX (INT64_C(1) << 53)

static int add_outcome(cJSON *json, const struct registration_outcome *outcome)
{
    return json_add_string(json, "outcome", registration_status_name(outcome->status)) ||
           json_add_bool(json, "isGroup", outcome->is_group) || json_add_string(json, "enrollmentId", outcome->enrollment_id) ||
           json_add_string(json, "deviceId", outcome->device_id) || json_add_string(json, "assignedHub", outcome->assigned_hub) ||
           json_add_string(json, "leafSha256", outcome->leaf_sha256) || json_add_integer(json, "errorCode", outcome->error_code) ||
           json_add_string(json, "errorMessage", outcome->error_message);
}

cJSON *registration_to_json(const struct registration *registration)
{
    int64_t wanted = registration->polls_wanted < POLLS_MAX ? registration->polls_wanted : POLLS_MAX;
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (!json || json_add_string(json, "registrationId", registration->registration_id) ||
        json_add_string(json, "operationId", registration->operation_id) ||
        json_add_string(json, "status", registration_status_name(registration->status)) || add_outcome(json, &registration->outcome) ||
        json_add_integer(json, "polls", registration->polls) || json_add_integer(json, "pollsWanted", wanted) ||
        json_add_integer(json, "createdUnixUs", registration->created_unix_us) ||
        json_add_integer(json, "updatedUnixUs", registration->updated_unix_us) || json_add_string(json, "etag", registration->etag))
        return NULL;
    return TAKE(json);
}

static int read_status(const cJSON *json, const char *name, enum registration_status *ret_status, struct error *error)
{
    const char *text = json_string(json, name, registration_status_name(REGISTRATION_UNASSIGNED));
    for (int status = REGISTRATION_UNASSIGNED; status <= REGISTRATION_DISABLED; status++) {
        if (strcmp(text, registration_status_name((enum registration_status)status)) == 0) {
            *ret_status = (enum registration_status)status;
            return 0;
        }
    }
    return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "a registration record's %s is '%s'", name, text);
}

#define READ_TEXT(field, json, name) snprintf(field, sizeof(field), "%s", json_string(json, name, ""))

static int read_outcome(const cJSON *json, struct registration_outcome *ret_outcome, struct error *error)
{
    ret_outcome->is_group = json_bool(json, "isGroup", false);
    ret_outcome->error_code = (int)json_integer(json, "errorCode", 0);
    READ_TEXT(ret_outcome->enrollment_id, json, "enrollmentId");
    READ_TEXT(ret_outcome->device_id, json, "deviceId");
    READ_TEXT(ret_outcome->assigned_hub, json, "assignedHub");
    READ_TEXT(ret_outcome->leaf_sha256, json, "leafSha256");
    READ_TEXT(ret_outcome->error_message, json, "errorMessage");
    return read_status(json, "outcome", &ret_outcome->status, error);
}

int registration_from_json(const cJSON *json, struct registration *ret_registration, struct error *error)
{
    struct registration value = {.polls = json_integer(json, "polls", 0), .polls_wanted = json_integer(json, "pollsWanted", 0)};
    value.created_unix_us = json_integer(json, "createdUnixUs", 0);
    value.updated_unix_us = json_integer(json, "updatedUnixUs", 0);
    READ_TEXT(value.registration_id, json, "registrationId");
    READ_TEXT(value.operation_id, json, "operationId");
    READ_TEXT(value.etag, json, "etag");
    if (read_status(json, "status", &value.status, error) || read_outcome(json, &value.outcome, error))
        return -1;
    *ret_registration = value;
    return 0;
}

static int load_row(void *user, const char *id, const cJSON *json, struct error *error)
{
    struct registration_store *store = user;
    struct registration value;
    if (registration_from_json(json, &value, error))
        return -1;
    snprintf(value.registration_id, sizeof value.registration_id, "%s", id);
    return install(store, &value, error) ? 0 : -1;
}

int registration_store_load(struct registration_store *store, struct store *kept, struct error *error)
{
    if (store_each(kept, STORE_REGISTRATION, load_row, store, error))
        return -1;
    store->kept = kept;
    return 0;
}

static int keep(const struct registration_store *store, const struct registration *value, struct error *error)
{
    if (!store->kept)
        return 0;
    CLEANUP_JSON cJSON *json = registration_to_json(value);
    return json ? store_put(store->kept, STORE_REGISTRATION, value->registration_id, json, error) : error_set_memory(error);
}

static const struct transition *transition_of(enum registration_status from, enum input input)
{
    const struct transition *row = transitions;
    while ((row->from != ANY && row->from != (int)from) || row->input != input)
        row++;
    return row;
}

/* Returns the status of the reply. */
static int apply(const struct registration_store *store, struct registration *registration, enum input input)
{
    const struct transition *row = transition_of(registration->status, input);
    if (row->target == TO_SAME)
        return row->reply;
    registration->status = row->target == TO_OUTCOME ? registration->outcome.status : REGISTRATION_ASSIGNING;
    registration->updated_unix_us = clock_unix_us(store->clock);
    CLEANUP_FREE char *etag = dps_etag_new(store->clock);
    snprintf(registration->etag, sizeof registration->etag, "%s", etag ? etag : "");
    return row->reply;
}

int registration_register(struct registration_store *store, const char *registration_id, const struct registration_outcome *outcome,
                          int64_t polls_wanted, int *ret_status, const struct registration **ret_registration, struct error *error)
{
    struct registration value;
    if (begin(store, registration_id, &value, error))
        return -1;
    identifier_operation_id(store->id_scope, value.operation_id);
    value.outcome = *outcome;
    value.polls = 0;
    value.polls_wanted = polls_wanted;
    int status = apply(store, &value, polls_wanted > 0 ? INPUT_REGISTER : INPUT_REGISTER_END);
    struct registration *registration = keep(store, &value, error) ? NULL : install(store, &value, error);
    if (!registration)
        return -1;
    *ret_status = status;
    *ret_registration = registration;
    return 0;
}

static bool is_operation(const struct registration *registration, struct slice operation_id)
{
    return registration && operation_id.length == strlen(registration->operation_id) &&
           memcmp(operation_id.text, registration->operation_id, operation_id.length) == 0;
}

int registration_poll(struct registration_store *store, const char *registration_id, struct slice operation_id, int *ret_status,
                      bool *ret_has_ended_now, const struct registration **ret_registration, struct error *error)
{
    struct registration *registration = find(store, registration_id);
    if (!is_operation(registration, operation_id))
        return error_set(error, ERROR_OWNER_DEVICE, ERROR_NOT_FOUND, "registration '%s' has no operation '%.*s'", registration_id,
                         (int)(operation_id.length < 128 ? operation_id.length : 128), operation_id.text);
    struct registration value = *registration;
    value.polls++;
    int status = apply(store, &value, value.polls < value.polls_wanted ? INPUT_POLL : INPUT_POLL_END);
    /* A poll that changes nothing but the count is not worth a write: after a restart the count begins a little earlier. */
    if (value.status != registration->status && keep(store, &value, error))
        return -1;
    *ret_has_ended_now = value.status != registration->status;
    *registration = value;
    *ret_status = status;
    *ret_registration = registration;
    return 0;
}

int registration_delete(struct registration_store *store, const char *registration_id, struct error *error)
{
    struct registration *registration = find(store, registration_id);
    if (!registration)
        return error_set(error, ERROR_OWNER_FILE, ERROR_NOT_FOUND, "there is no registration '%s'", registration_id);
    if (store_delete(store->kept, STORE_REGISTRATION, registration->registration_id, error))
        return -1;
    tdelete(registration, &store->tree, compare);
    free(registration);
    store->count--;
    return 0;
}

struct walk {
    const char *group_id;
    void (*visit)(void *user, const struct registration *registration);
    void *user;
};

static void visit_node(const void *node, VISIT which, void *closure)
{
    const struct walk *walk = closure;
    const struct registration *registration = *(struct registration *const *)node;
    if (which != postorder && which != leaf)
        return;
    const struct registration_outcome *outcome = &registration->outcome;
    if (!walk->group_id || (outcome->is_group && strcasecmp(outcome->enrollment_id, walk->group_id) == 0))
        walk->visit(walk->user, registration);
}

void registration_each(const struct registration_store *store, const char *group_id,
                       void (*visit)(void *user, const struct registration *registration), void *user)
{
    struct walk walk = {.group_id = group_id, .visit = visit, .user = user};
    twalk_r(store->tree, visit_node, &walk);
}
