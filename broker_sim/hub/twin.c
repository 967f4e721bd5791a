#include "broker_sim/hub/twin.h"

#include "base/utf8.h"

#include <math.h>
#include <search.h>
#include <string.h>

static const struct {
    const char *name;
    size_t max_bytes;
} limits[TWIN_PART_COUNT] = {
    [TWIN_TAGS] = {"tags", TWIN_TAGS_MAX_BYTES},
    [TWIN_DESIRED] = {"desired properties", TWIN_PROPERTIES_MAX_BYTES},
    [TWIN_REPORTED] = {"reported properties", TWIN_PROPERTIES_MAX_BYTES},
};

enum { NUMBER_BYTES = 8, BOOLEAN_BYTES = 4, NAME_SHOWN_BYTES = 64 };

/* ---- what a twin may hold ---- */

static bool is_read_only(const char *key)
{
    return strcmp(key, "$version") == 0 || strcmp(key, "$metadata") == 0;
}

static bool is_key(const char *key)
{
    if (!*key || strlen(key) > TWIN_KEY_MAX_BYTES)
        return false;
    for (const char *at = key; *at;) {
        uint32_t character = utf8_decode(&at);
        if (character <= ' ' || (character >= 0x7f && character <= 0x9f) || character == '.' || character == '$')
            return false;
    }
    return true;
}

static int fail_key(const char *key, struct error *error)
{
    return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX,
                     "the key '%.*s' may not be in a twin: 1 to 1024 bytes without control characters, '.', '$' and space",
                     NAME_SHOWN_BYTES, key);
}

static int check_scalar(const cJSON *value, const char *key, struct error *error)
{
    if (cJSON_IsString(value) && strlen(value->valuestring) > TWIN_TEXT_MAX_BYTES)
        return error_set(error, ERROR_OWNER_FILE, ERROR_LIMIT, "the text of '%.*s' is longer than %d bytes", NAME_SHOWN_BYTES, key,
                         TWIN_TEXT_MAX_BYTES);
    if (!cJSON_IsNumber(value) || value->valuedouble != floor(value->valuedouble))
        return 0;
    if (value->valuedouble > TWIN_INTEGER_MAX || value->valuedouble < -TWIN_INTEGER_MAX - 1)
        return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "the integer of '%.*s' is outside -4503599627370496 to 4503599627370495",
                         NAME_SHOWN_BYTES, key);
    return 0;
}

/* `depth` levels stand above `object`. Bounded: TWIN_DEPTH_MAX. */
static int check(const cJSON *object, int depth, struct error *error)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, object)
    {
        const char *key = item->string ? item->string : "(an array's)";
        if (depth == 0 && is_read_only(key))
            continue;
        if (item->string && !is_key(key))
            return fail_key(key, error);
        if (check_scalar(item, key, error))
            return -1;
        if (!cJSON_IsObject(item) && !cJSON_IsArray(item))
            continue;
        if (depth + 1 >= TWIN_DEPTH_MAX)
            return error_set(error, ERROR_OWNER_FILE, ERROR_LIMIT, "'%.*s' is nested deeper than %d levels", NAME_SHOWN_BYTES, key,
                             TWIN_DEPTH_MAX);
        if (check(item, depth + 1, error))
            return -1;
    }
    return 0;
}

static size_t size_of(const cJSON *json)
{
    size_t size = cJSON_IsString(json)   ? strlen(json->valuestring)
                  : cJSON_IsNumber(json) ? NUMBER_BYTES
                  : cJSON_IsBool(json)   ? BOOLEAN_BYTES
                                         : 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, json)
    {
        size += (item->string ? strlen(item->string) : 0) + size_of(item);
    }
    return size;
}

/* ---- patches ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const cJSON *)a)->string, ((const cJSON *)b)->string);
}

static void keep(void *item)
{
    (void)item;
}

static void drop_member(cJSON *target, cJSON *member, void **index)
{
    if (!member)
        return;
    tdelete(member, index, by_name);
    cJSON_Delete(cJSON_DetachItemViaPointer(target, member));
}

/* A copy of `item`, of an object without its members, in the place of `present` (NULL: at the end). NULL when out of memory. */
static cJSON *put_member(cJSON *target, cJSON *present, const cJSON *item, void **index)
{
    cJSON *copy = cJSON_Duplicate(item, !cJSON_IsObject(item)); /* with its name */
    if (!copy)
        return NULL;
    if (present)
        tdelete(present, index, by_name);
    if (present)
        cJSON_ReplaceItemViaPointer(target, present, copy);
    else
        cJSON_AddItemToArray(target, copy);
    tsearch(copy, index, by_name);
    return copy;
}

static void merge_member(cJSON *target, const cJSON *item, void **index);

/* RFC 7396. The depth is checked before. Members are found through a tree: 14,000 of them fit into a twin, and a patch may name each. */
static void merge(cJSON *target, const cJSON *patch)
{
    void *index = NULL;
    cJSON *member;
    cJSON_ArrayForEach(member, target)
    {
        tsearch(member, &index, by_name);
    }
    const cJSON *item;
    cJSON_ArrayForEach(item, patch)
    {
        merge_member(target, item, &index);
    }
    tdestroy(index, keep);
}

static void merge_member(cJSON *target, const cJSON *item, void **index)
{
    cJSON **found = tfind(item, index, by_name);
    cJSON *present = found ? *found : NULL;
    if (cJSON_IsObject(item) && cJSON_IsObject(present)) {
        merge(present, item);
        return;
    }
    if (cJSON_IsNull(item)) {
        drop_member(target, present, index);
        return;
    }
    cJSON *added = put_member(target, present, item, index);
    if (cJSON_IsObject(added))
        merge(added, item);
}

static void drop_read_only(cJSON *object)
{
    cJSON_DeleteItemFromObjectCaseSensitive(object, "$version");
    cJSON_DeleteItemFromObjectCaseSensitive(object, "$metadata");
}

int twin_patch(struct twin *twin, enum twin_part part, const cJSON *patch, struct error *error)
{
    if (!cJSON_IsObject(patch))
        return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "%s are not a JSON object", limits[part].name);
    if (check(patch, 0, error))
        return -1;
    CLEANUP_JSON cJSON *merged = cJSON_Duplicate(twin->parts[part], true);
    if (!merged)
        return error_set_memory(error);
    merge(merged, patch);
    drop_read_only(merged);
    size_t size = size_of(merged);
    if (size > limits[part].max_bytes)
        return error_set(error, ERROR_OWNER_FILE, ERROR_LIMIT, "%s of %zu bytes; a twin holds %zu", limits[part].name, size,
                         limits[part].max_bytes);
    cJSON_Delete(twin->parts[part]);
    twin->parts[part] = TAKE(merged);
    twin->versions[part]++;
    twin->version++;
    return 0;
}

/* ---- life ---- */

static int make_empty(struct twin *twin)
{
    *twin = (struct twin){.version = 1};
    for (int part = 0; part < TWIN_PART_COUNT; part++) {
        twin->versions[part] = 1;
        twin->parts[part] = cJSON_CreateObject();
        if (!twin->parts[part])
            return -1;
    }
    return 0;
}

static int merge_initial(struct twin *twin, const cJSON *initial, struct error *error)
{
    const cJSON *tags = json_member(initial, "tags"), *desired = json_path(initial, "properties.desired");
    if ((tags && twin_patch(twin, TWIN_TAGS, tags, error)) || (desired && twin_patch(twin, TWIN_DESIRED, desired, error)))
        return -1;
    twin->versions[TWIN_TAGS] = twin->versions[TWIN_DESIRED] = twin->version = 1;
    return 0;
}

int twin_init(struct twin *twin, const cJSON *initial, struct error *error)
{
    CLEANUP(twin_done) struct twin made = {.version = 0};
    if (make_empty(&made))
        return error_set_memory(error);
    if (merge_initial(&made, initial, error))
        return -1;
    *twin = made;
    made = (struct twin){.version = 0};
    return 0;
}

void twin_done(struct twin *twin)
{
    for (int part = 0; part < TWIN_PART_COUNT; part++)
        cJSON_Delete(TAKE(twin->parts[part]));
}

/* ---- JSON ---- */

static int add_properties(cJSON *object, const char *name, const struct twin *twin, enum twin_part part)
{
    cJSON *copy = cJSON_Duplicate(twin->parts[part], true);
    if (copy && json_set_integer(copy, "$version", twin->versions[part]))
        cJSON_Delete(TAKE(copy));
    return copy ? json_set(object, name, copy) : -1;
}

cJSON *twin_for_device(const struct twin *twin)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (add_properties(json, "desired", twin, TWIN_DESIRED) || add_properties(json, "reported", twin, TWIN_REPORTED))
        return NULL;
    return TAKE(json);
}

cJSON *twin_json(const struct twin *twin)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (json_set(json, "tags", cJSON_Duplicate(twin->parts[TWIN_TAGS], true)) || json_set(json, "properties", twin_for_device(twin)) ||
        json_set_integer(json, "version", twin->version))
        return NULL;
    return TAKE(json);
}

static int64_t version_of(const cJSON *json)
{
    int64_t version = json_integer(json, "$version", 1);
    return version > 0 ? version : 1;
}

int twin_read(const cJSON *json, struct twin *ret_twin, struct error *error)
{
    CLEANUP(twin_done) struct twin twin = {.version = 0};
    const cJSON *reported = json_path(json, "properties.reported");
    if (twin_init(&twin, json, error) || (reported && twin_patch(&twin, TWIN_REPORTED, reported, error)))
        return -1;
    twin.versions[TWIN_DESIRED] = version_of(json_path(json, "properties.desired"));
    twin.versions[TWIN_REPORTED] = version_of(reported);
    twin.version = json_integer(json, "version", 1);
    *ret_twin = twin;
    twin = (struct twin){.version = 0};
    return 0;
}
