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
    size_t texts_bytes; /* of all records together */
};

const char *registration_status_name(enum registration_status status)
{
    static const char *const names[] = {"unassigned", "assigning", "assigned", "failed", "disabled"};
    return names[status];
}

const char *registration_substatus_name(enum registration_substatus substatus)
{
    static const char *const names[] = {
#define X(id, name) name,
        REGISTRATION_SUBSTATUSES(X)
#undef X
    };
    return names[substatus];
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

static void free_texts(struct registration_outcome *outcome)
{
    free(TAKE(outcome->payload));
    free(TAKE(outcome->initial_twin));
    free(TAKE(outcome->issued_chain));
}

void registration_done(struct registration *registration)
{
    free_texts(&registration->outcome);
}

static void record_free(void *record)
{
    registration_done(record);
    free(record);
}

void registration_store_free(struct registration_store *store)
{
    if (store)
        tdestroy(store->tree, record_free);
    free(store);
}

static size_t text_bytes(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

static size_t texts_bytes(const struct registration_outcome *outcome)
{
    return text_bytes(outcome->payload) + text_bytes(outcome->initial_twin) + text_bytes(outcome->issued_chain);
}

static bool copy_text(const char *text, char **ret_copy)
{
    *ret_copy = text ? strdup(text) : NULL;
    return !text == !*ret_copy;
}

static int copy_outcome(const struct registration_outcome *from, struct registration_outcome *ret_copy, struct error *error)
{
    struct registration_outcome copy = *from;
    bool is_whole = copy_text(from->payload, &copy.payload);
    is_whole &= copy_text(from->initial_twin, &copy.initial_twin);
    is_whole &= copy_text(from->issued_chain, &copy.issued_chain);
    if (!is_whole) {
        free_texts(&copy);
        return error_set_memory(error);
    }
    *ret_copy = copy;
    return 0;
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

struct registration_place registration_place(const struct registration_store *store, const char *registration_id)
{
    const struct registration *found = find(store, registration_id);
    return found ? found->current : (struct registration_place){.hub = ""};
}

/*
 * `value` into the tree: in place of the record of that id, or as a new one. Takes the texts of value's outcome, and frees the record's where they
 * are others. NULL: error, and nothing is taken.
 */
static struct registration *install(struct registration_store *store, const struct registration *value, struct error *error)
{
    struct registration *found = find(store, value->registration_id);
    struct registration_outcome before = found ? found->outcome : (struct registration_outcome){.payload = NULL};
    CLEANUP_FREE struct registration *made = found ? NULL : malloc(sizeof *made);
    struct registration *record = found ? found : made;
    if (!record) {
        error_set_memory(error);
        return NULL;
    }
    size_t old_bytes = texts_bytes(&before);
    *record = *value;
    if (!found && !tsearch(made, &store->tree, compare)) {
        error_set_memory(error);
        return NULL;
    }
    store->count += !found;
    store->texts_bytes += texts_bytes(&value->outcome) - old_bytes;
    if (before.payload != value->outcome.payload || before.initial_twin != value->outcome.initial_twin ||
        before.issued_chain != value->outcome.issued_chain)
        free_texts(&before);
    (void)TAKE(made);
    return record;
}

static int begin(const struct registration_store *store, const char *registration_id, struct registration *ret_value, struct error *error)
{
    const struct registration *found = find(store, registration_id);
    if (!found && store->count >= REGISTRATIONS_MAX)
        return error_set(error, ERROR_OWNER_RIG, ERROR_LIMIT, "there are %d registrations already", REGISTRATIONS_MAX);
    *ret_value = found ? *found : (struct registration){.status = REGISTRATION_UNASSIGNED};
    snprintf(ret_value->registration_id, sizeof ret_value->registration_id, "%s", found ? found->registration_id : registration_id);
    return 0;
}

/* The record of `value` will have the texts of `outcome` in place of its own. */
static int check_texts(const struct registration_store *store, const struct registration *value, const struct registration_outcome *outcome,
                       struct error *error)
{
    if (store->texts_bytes - texts_bytes(&value->outcome) + texts_bytes(outcome) <= REGISTRATION_TEXTS_MAX_BYTES)
        return 0;
    return error_set(error, ERROR_OWNER_RIG, ERROR_LIMIT, "the payloads of all registrations together exceed %d bytes",
                     REGISTRATION_TEXTS_MAX_BYTES);
}

/* --- what is kept --- */

/* JSON numbers are exact up to 2^53; more polls than that are "never". */
#define POLLS_MAX (INT64_C(1) << 53)

/* What is zero is left out: a record is written twice a registration, and reads back the same. */
static int put_text(cJSON *json, const char *name, const char *text)
{
    return text && *text ? json_add_string(json, name, text) : 0;
}

static int put_integer(cJSON *json, const char *name, int64_t value)
{
    return value ? json_add_integer(json, name, value) : 0;
}

static int put_bool(cJSON *json, const char *name, bool value)
{
    return value ? json_add_bool(json, name, value) : 0;
}

/* payload and the other two as text in the text: read back unchanged, and without a parse on the way. */
static int add_outcome(cJSON *json, const struct registration_outcome *outcome)
{
    return json_add_string(json, "outcome", registration_status_name(outcome->status)) ||
           put_text(json, "substatus", registration_substatus_name(outcome->substatus)) || put_text(json, "payload", outcome->payload) ||
           put_text(json, "initialTwin", outcome->initial_twin) || put_text(json, "issuedChain", outcome->issued_chain) ||
           put_bool(json, "hasSymmetricKey", outcome->has_symmetric_key) || put_bool(json, "isLowerId", outcome->is_lower_id) ||
           put_bool(json, "isGroup", outcome->is_group) || put_text(json, "enrollmentId", outcome->enrollment_id) ||
           put_text(json, "deviceId", outcome->device_id) || put_text(json, "assignedHub", outcome->assigned_hub) ||
           put_text(json, "leafSha256", outcome->leaf_sha256) || put_integer(json, "errorCode", outcome->error_code) ||
           put_text(json, "errorMessage", outcome->error_message);
}

cJSON *registration_to_json(const struct registration *registration)
{
    int64_t wanted = registration->polls_wanted < POLLS_MAX ? registration->polls_wanted : POLLS_MAX;
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (!json || json_add_string(json, "registrationId", registration->registration_id) ||
        json_add_string(json, "operationId", registration->operation_id) ||
        json_add_string(json, "status", registration_status_name(registration->status)) || add_outcome(json, &registration->outcome) ||
        put_text(json, "currentHub", registration->current.hub) || put_text(json, "currentDeviceId", registration->current.device_id) ||
        put_integer(json, "polls", registration->polls) || put_integer(json, "pollsWanted", wanted) ||
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

static enum registration_substatus read_substatus(const cJSON *json)
{
    const char *text = json_string(json, "substatus", "");
    enum registration_substatus substatus = SUBSTATUS_REPROVISIONED;
    while (substatus != SUBSTATUS_NONE && strcmp(text, registration_substatus_name(substatus)) != 0)
        substatus--;
    return substatus;
}

/* What was to tell the outcome went with the process that asked. */
static void fail_unsettled(struct registration *value)
{
    if (value->status != REGISTRATION_ASSIGNING || value->outcome.status != REGISTRATION_UNASSIGNED)
        return;
    value->outcome.status = REGISTRATION_FAILED;
    value->outcome.error_code = 500000;
    snprintf(value->outcome.error_message, sizeof value->outcome.error_message, "Internal server error");
}

static int read_texts(const cJSON *json, struct registration_outcome *outcome, struct error *error)
{
    bool is_whole = copy_text(json_string(json, "payload", NULL), &outcome->payload);
    is_whole &= copy_text(json_string(json, "initialTwin", NULL), &outcome->initial_twin);
    is_whole &= copy_text(json_string(json, "issuedChain", NULL), &outcome->issued_chain);
    if (is_whole)
        return 0;
    free_texts(outcome);
    return error_set_memory(error);
}

static int read_outcome(const cJSON *json, struct registration_outcome *ret_outcome, struct error *error)
{
    ret_outcome->is_group = json_bool(json, "isGroup", false);
    ret_outcome->error_code = (int)json_integer(json, "errorCode", 0);
    READ_TEXT(ret_outcome->enrollment_id, json, "enrollmentId");
    READ_TEXT(ret_outcome->device_id, json, "deviceId");
    READ_TEXT(ret_outcome->assigned_hub, json, "assignedHub");
    READ_TEXT(ret_outcome->leaf_sha256, json, "leafSha256");
    READ_TEXT(ret_outcome->error_message, json, "errorMessage");
    ret_outcome->has_symmetric_key = json_bool(json, "hasSymmetricKey", false);
    ret_outcome->is_lower_id = json_bool(json, "isLowerId", false);
    ret_outcome->substatus = read_substatus(json);
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
    READ_TEXT(value.current.hub, json, "currentHub");
    READ_TEXT(value.current.device_id, json, "currentDeviceId");
    if (read_status(json, "status", &value.status, error) || read_outcome(json, &value.outcome, error) ||
        read_texts(json, &value.outcome, error))
        return -1;
    fail_unsettled(&value);
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
    if (install(store, &value, error))
        return 0;
    registration_done(&value);
    return -1;
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

static void stamp(const struct registration_store *store, struct registration *registration)
{
    registration->updated_unix_us = clock_unix_us(store->clock);
    CLEANUP_FREE char *etag = dps_etag_new(store->clock);
    snprintf(registration->etag, sizeof registration->etag, "%s", etag ? etag : "");
}

/* Returns the status of the reply. */
static int apply(const struct registration_store *store, struct registration *registration, enum input input)
{
    const struct transition *row = transition_of(registration->status, input);
    if (row->target == TO_SAME)
        return row->reply;
    registration->status = row->target == TO_OUTCOME ? registration->outcome.status : REGISTRATION_ASSIGNING;
    stamp(store, registration);
    if (registration->status == REGISTRATION_ASSIGNED) {
        snprintf(registration->current.hub, sizeof registration->current.hub, "%s", registration->outcome.assigned_hub);
        snprintf(registration->current.device_id, sizeof registration->current.device_id, "%s", registration->outcome.device_id);
    }
    return row->reply;
}

static int check_conflict(const struct registration_store *store, const struct registration *value, const struct registration_start *start,
                          struct error *error)
{
    int64_t age_us = clock_mono_us(store->clock) - value->started_mono_us;
    bool is_alone = !value->session || value->session == start->session;
    if (value->status != REGISTRATION_ASSIGNING || is_alone || age_us >= start->conflict_us)
        return 0;
    return error_set(error, ERROR_OWNER_DEVICE, ERROR_CONFLICT, "session %llu registers '%s' now", (unsigned long long)value->session,
                     value->registration_id);
}

static bool is_settled(const struct registration *registration)
{
    return registration->outcome.status != REGISTRATION_UNASSIGNED;
}

/* A new operation in `value`; the dates are those of the operation, as the service's are. */
static int start_operation(const struct registration_store *store, const struct registration_start *start, struct registration *value)
{
    identifier_operation_id(store->id_scope, value->operation_id);
    value->session = start->session;
    value->started_mono_us = clock_mono_us(store->clock);
    value->created_unix_us = clock_unix_us(store->clock);
    value->polls = 0;
    value->polls_wanted = start->polls_wanted;
    return apply(store, value, start->polls_wanted > 0 || !is_settled(value) ? INPUT_REGISTER : INPUT_REGISTER_END);
}

int registration_register(struct registration_store *store, const char *registration_id, const struct registration_start *start,
                          int *ret_status, const struct registration **ret_registration, struct error *error)
{
    struct registration value;
    if (begin(store, registration_id, &value, error) || check_conflict(store, &value, start, error) ||
        check_texts(store, &value, start->outcome, error) || copy_outcome(start->outcome, &value.outcome, error))
        return -1;
    int status = start_operation(store, start, &value);
    struct registration *registration = keep(store, &value, error) ? NULL : install(store, &value, error);
    if (!registration) {
        free_texts(&value.outcome);
        return -1;
    }
    *ret_status = status;
    *ret_registration = registration;
    return 0;
}

void registration_release(struct registration_store *store, const char *registration_id, uint64_t session)
{
    struct registration *registration = find(store, registration_id);
    if (registration && registration->session == session)
        registration->session = 0;
}

int registration_settle(struct registration_store *store, const char *registration_id, const char *operation_id,
                        const struct registration_outcome *outcome, struct error *error)
{
    const struct registration *registration = find(store, registration_id);
    if (!registration || is_settled(registration) || strcmp(registration->operation_id, operation_id) != 0)
        return error_set(error, ERROR_OWNER_DEVICE, ERROR_NOT_FOUND, "registration '%s' has no operation '%s' that waits", registration_id,
                         operation_id);
    struct registration value = *registration;
    if (check_texts(store, &value, outcome, error) || copy_outcome(outcome, &value.outcome, error))
        return -1;
    if (keep(store, &value, error) == 0 && install(store, &value, error))
        return 0;
    free_texts(&value.outcome);
    return -1;
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
    int status = apply(store, &value, value.polls < value.polls_wanted || !is_settled(&value) ? INPUT_POLL : INPUT_POLL_END);
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
    store->texts_bytes -= texts_bytes(&registration->outcome);
    record_free(registration);
    store->count--;
    return 0;
}

struct quota_window *registration_poll_rate(struct registration_store *store, const char *registration_id)
{
    struct registration *registration = find(store, registration_id);
    return registration ? &registration->poll_rate : NULL;
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
