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
    void *tree; /* of struct registration, by registration id */
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

static struct registration *find_or_add(struct registration_store *store, const char *registration_id, struct error *error)
{
    struct registration *found = find(store, registration_id);
    if (found)
        return found;
    if (store->count >= REGISTRATIONS_MAX) {
        error_set(error, ERROR_OWNER_RIG, ERROR_LIMIT, "there are %d registrations already", REGISTRATIONS_MAX);
        return NULL;
    }
    CLEANUP_FREE struct registration *made = calloc(1, sizeof *made);
    if (!made) {
        error_set_memory(error);
        return NULL;
    }
    snprintf(made->registration_id, sizeof made->registration_id, "%s", registration_id);
    made->created_unix_us = clock_unix_us(store->clock);
    if (!tsearch(made, &store->tree, compare)) {
        error_set_memory(error);
        return NULL;
    }
    store->count++;
    return TAKE(made);
}

static const struct transition *transition_of(enum registration_status from, enum input input)
{
    const struct transition *row = transitions;
    while ((row->from != ANY && row->from != (int)from) || row->input != input)
        row++;
    return row;
}

/* Returns the status of the reply. */
static int apply(struct registration_store *store, struct registration *registration, enum input input)
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
    struct registration *registration = find_or_add(store, registration_id, error);
    if (!registration)
        return -1;
    identifier_operation_id(store->id_scope, registration->operation_id);
    registration->outcome = *outcome;
    registration->polls = 0;
    registration->polls_wanted = polls_wanted;
    *ret_status = apply(store, registration, polls_wanted > 0 ? INPUT_REGISTER : INPUT_REGISTER_END);
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
    enum registration_status before = registration->status;
    registration->polls++;
    *ret_status = apply(store, registration, registration->polls < registration->polls_wanted ? INPUT_POLL : INPUT_POLL_END);
    *ret_has_ended_now = before != registration->status;
    *ret_registration = registration;
    return 0;
}

int registration_delete(struct registration_store *store, const char *registration_id, struct error *error)
{
    struct registration *registration = find(store, registration_id);
    if (!registration)
        return error_set(error, ERROR_OWNER_FILE, ERROR_NOT_FOUND, "there is no registration '%s'", registration_id);
    tdelete(registration, &store->tree, compare);
    free(registration);
    store->count--;
    return 0;
}
