#include "certs/dps_state_model.h"
#include "certs/sole_holder.h"

#include "base/files.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { DPS_FILE_MAX_BYTES = 1024 * 1024, NOTICES_MAX = 1000, WARNED_MAX = 2000 };

DEFINE_CLEANUP(struct dps_state *, dps_state_free)
DEFINE_CLEANUP(char **, names_free)

/* ---- notices ---- */

void dps_state_clear_notices(struct dps_state *state)
{
    for (size_t i = 0; i < state->notice_count; i++)
        free(state->notices[i].text);
    free(state->notices);
    state->notices = NULL;
    state->notice_count = 0;
}

/* A notice that does not fit into memory is dropped: it must not fail what it tells about. */
static void note(struct dps_state *state, bool is_error, const char *text)
{
    if (state->notice_count >= NOTICES_MAX)
        return;
    struct dps_told *more = realloc(state->notices, (state->notice_count + 1) * sizeof *more);
    char *copy = strdup(text);
    if (more)
        state->notices = more;
    if (!more || !copy) {
        free(copy);
        return;
    }
    more[state->notice_count++] = (struct dps_told){.is_error = is_error, .text = copy};
}

void dps_state_note_error(struct dps_state *state, const char *text)
{
    note(state, true, text);
}

static void warn_once(void *user, const char *text)
{
    struct dps_state *state = user;
    for (size_t i = 0; i < state->warned_count; i++)
        if (strcmp(state->warned[i], text) == 0)
            return;
    if (state->warned_count >= WARNED_MAX)
        return;
    note(state, false, text);
    char **more = realloc(state->warned, (state->warned_count + 1) * sizeof *more);
    if (!more)
        return;
    state->warned = more;
    more[state->warned_count] = strdup(text);
    state->warned_count += more[state->warned_count] != NULL;
}

struct dps_listener dps_state_listener(struct dps_state *state)
{
    return (struct dps_listener){.user = state, .tell = warn_once, .keyless = keyless_library_context(state->keyless)};
}

size_t dps_state_notice_count(const struct dps_state *state)
{
    return state->notice_count;
}

struct dps_notice dps_state_notice(const struct dps_state *state, size_t index)
{
    return (struct dps_notice){.is_error = state->notices[index].is_error, .text = state->notices[index].text};
}

/* ---- lists ---- */

size_t dps_list_find(const struct dps_list *list, const char *id)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcasecmp(list->items[i]->object.id, id) == 0)
            return i;
    return list->count;
}

int dps_list_add(struct dps_list *list, struct dps_entry *entry)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 16;
        struct dps_entry **items = realloc(list->items, capacity * sizeof(struct dps_entry *));
        if (!items)
            return -1;
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = entry;
    return 0;
}

void dps_list_remove(struct dps_list *list, size_t index)
{
    memmove(list->items + index, list->items + index + 1, (list->count - index - 1) * sizeof(struct dps_entry *));
    list->count--;
}

static void free_list(struct dps_list *list, bool owns)
{
    for (size_t i = 0; owns && i < list->count; i++)
        dps_entry_free(list->items[i]);
    free(list->items);
    *list = (struct dps_list){0};
}

static int compare_entries(const void *a, const void *b)
{
    return strcasecmp((*(struct dps_entry *const *)a)->object.id, (*(struct dps_entry *const *)b)->object.id);
}

int dps_state_list_visible(const struct dps_state *state, enum dps_kind kind, const char *lease, struct dps_list *ret_list)
{
    struct dps_list fresh = {0}, hiding = {0};
    const struct dps_list *leased = &state->leased[kind], *folder = &state->folder[kind];
    int rc = 0;
    for (size_t i = 0; i < leased->count; i++)
        if (!lease || strcmp(leased->items[i]->lease, lease) == 0)
            rc |= dps_list_add(&fresh, leased->items[i]) || dps_list_add(&hiding, leased->items[i]);
    for (size_t i = 0; i < folder->count; i++)
        if (dps_list_find(&hiding, folder->items[i]->object.id) == hiding.count)
            rc |= dps_list_add(&fresh, folder->items[i]);
    if (fresh.count)
        qsort(fresh.items, fresh.count, sizeof(struct dps_entry *), compare_entries);
    free_list(&hiding, false);
    *ret_list = fresh;
    return rc;
}

int dps_state_show(struct dps_state *state, enum dps_kind kind)
{
    struct dps_list fresh;
    int rc = dps_state_list_visible(state, kind, NULL, &fresh);
    free_list(&state->visible[kind], false);
    state->visible[kind] = fresh;
    holder_index_done(&state->holders[kind]);
    lease_views_forget(state->views);
    return rc;
}

/* ---- looking ---- */

static struct dps_entry *find_visible(const struct dps_state *state, enum dps_kind kind, const char *id)
{
    const struct dps_list *list = &state->visible[kind];
    for (size_t low = 0, high = list->count; low < high;) {
        size_t middle = low + (high - low) / 2;
        int order = strcasecmp(id, list->items[middle]->object.id);
        if (order == 0)
            return list->items[middle];
        low = order > 0 ? middle + 1 : low;
        high = order < 0 ? middle : high;
    }
    return NULL;
}

size_t dps_state_count(const struct dps_state *state, enum dps_kind kind)
{
    return state->visible[kind].count;
}

const struct dps_object *dps_state_at(const struct dps_state *state, enum dps_kind kind, size_t index)
{
    return index < state->visible[kind].count ? &state->visible[kind].items[index]->object : NULL;
}

const struct dps_object *dps_state_find(const struct dps_state *state, enum dps_kind kind, const char *id)
{
    struct dps_entry *entry = find_visible(state, kind, id);
    return entry ? &entry->object : NULL;
}

const struct dps_object *dps_state_find_holder(const struct dps_state *state, enum dps_kind kind, const struct certificate_ref *certificate,
                                               const struct dps_object *except)
{
    /* The index is a memory of what the lists say; const to the caller. */
    struct holder_index *index = (struct holder_index *)&state->holders[kind];
    const struct dps_list *visible = &state->visible[kind];
    if (!index->slots && holder_index_make(index, (const struct dps_object *const *)visible->items, visible->count))
        return NULL;
    const struct dps_object *found = holder_index_find(index, certificate->sha256, except);
    return found ? found : holder_index_find(index, certificate->sha1, except);
}

static int set_not_found(const struct dps_state *state, enum dps_kind kind, const char *id, struct error *error)
{
    CLEANUP(bytes_done) struct bytes names;
    bytes_init(&names, ERROR_TEXT_MAX_BYTES / 2);
    for (size_t i = 0; i < state->visible[kind].count; i++)
        bytes_printf(&names, "%s%s", i ? ", " : "; there are: ", state->visible[kind].items[i]->object.id);
    return error_set(error, ERROR_OWNER_FILE, ERROR_NOT_FOUND, "%s '%s' does not exist in '%s'%s", dps_kind_text(kind), id, state->dir,
                     names.length_bytes ? bytes_text(&names) : "; there is none at all");
}

struct dps_entry *dps_state_require(struct dps_state *state, enum dps_kind kind, const char *id, struct error *error)
{
    struct dps_entry *entry = find_visible(state, kind, id);
    if (!entry)
        set_not_found(state, kind, id, error);
    return entry;
}

int dps_state_get(const struct dps_state *state, enum dps_kind kind, const char *id, const struct dps_object **ret_object,
                  struct error *error)
{
    const struct dps_object *object = dps_state_find(state, kind, id);
    if (!object)
        return set_not_found(state, kind, id, error);
    *ret_object = object;
    return 0;
}

cJSON *dps_state_list(const struct dps_state *state, enum dps_kind kind)
{
    CLEANUP_JSON cJSON *array = cJSON_CreateArray();
    for (size_t i = 0; array && i < state->visible[kind].count; i++) {
        cJSON *copy = cJSON_Duplicate(state->visible[kind].items[i]->json, true);
        if (!copy || !cJSON_AddItemToArray(array, copy))
            return NULL;
    }
    return TAKE(array);
}

/* ---- the folder ---- */

static char *kind_path(const struct dps_state *state, enum dps_kind kind, const char *file_name)
{
    char *path;
    return asprintf(&path, "%s/%s%s%s", state->dir, dps_kind_folder(kind), file_name ? "/" : "", file_name ? file_name : "") < 0 ? NULL
                                                                                                                                 : path;
}

static void sha256_of(const void *data, size_t length_bytes, char hex[SHA256_HEX_BYTES])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    hex[0] = 0;
    if (EVP_Digest(data, length_bytes, digest, &length, EVP_sha256(), NULL) == 1)
        for (unsigned i = 0; i < length; i++)
            snprintf(hex + 2 * (size_t)i, 3, "%02X", digest[i]);
}

/* One pass over one folder. */
struct pass {
    struct dps_state *state;
    enum dps_kind kind;
    struct dps_list old; /* what was there before; entries move from here to the state's list, and leave NULL */
    size_t next_old;     /* files come sorted, and so did the old entries: the next one is nearly always here */
    size_t changed;
};

static struct dps_entry *take_old(struct pass *pass, const char *file_name)
{
    for (size_t i = 0; i < pass->old.count; i++) {
        size_t at = (pass->next_old + i) % pass->old.count;
        struct dps_entry *entry = pass->old.items[at];
        if (!entry || strcmp(entry->file_name, file_name) != 0)
            continue;
        pass->old.items[at] = NULL;
        pass->next_old = at + 1;
        return entry;
    }
    return NULL;
}

static size_t count_left(const struct dps_list *list)
{
    size_t left = 0;
    for (size_t i = 0; i < list->count; i++)
        left += list->items[i] != NULL;
    return left;
}

static int parse_file(struct pass *pass, const char *file_name, const struct bytes *text, struct dps_entry **ret_entry, struct error *error)
{
    CLEANUP_FREE char *place = path_join(dps_kind_folder(pass->kind), file_name);
    if (!place)
        return error_set_memory(error);
    cJSON *json = json_parse(bytes_text(text), text->length_bytes, place, error);
    struct dps_listener listener = dps_state_listener(pass->state);
    CLEANUP_ENTRY struct dps_entry *entry = NULL;
    if (!json || dps_entry_new(pass->kind, json, place, pass->state->clock, &listener, &entry, error))
        return -1;
    entry->file_name = strdup(file_name);
    if (!entry->file_name)
        return error_set_memory(error);
    sha256_of(text->data, text->length_bytes, entry->file_sha256);
    *ret_entry = TAKE(entry);
    return 0;
}

static int read_text(const struct pass *pass, const char *file_name, struct bytes *ret_text, struct error *error)
{
    CLEANUP_FREE char *path = kind_path(pass->state, pass->kind, file_name);
    return path ? file_read(path, DPS_FILE_MAX_BYTES, ret_text, error) : error_set_memory(error);
}

/* The entry for a file: the old one when its bytes are the same or are broken now, else a new one; NULL when there is nothing good. */
static struct dps_entry *entry_for_file(struct pass *pass, const char *file_name)
{
    struct error error = ERROR_INIT;
    CLEANUP(bytes_done) struct bytes text = {0};
    CLEANUP_ENTRY struct dps_entry *old = take_old(pass, file_name), *fresh = NULL;
    char sha256[SHA256_HEX_BYTES];
    bool is_read = read_text(pass, file_name, &text, &error) == 0;
    sha256_of(text.data, text.length_bytes, sha256);
    if (is_read && old && strcmp(sha256, old->file_sha256) == 0)
        return TAKE(old);
    if (is_read && parse_file(pass, file_name, &text, &fresh, &error) == 0) {
        pass->changed++;
        return TAKE(fresh);
    }
    if (old)
        error_set(&error, error.owner, error.code, "%s; the last good version stays in force", error.text);
    dps_state_note_error(pass->state, error.text);
    return TAKE(old);
}

static int load_file(struct pass *pass, const char *file_name, struct error *error)
{
    struct dps_list *list = &pass->state->folder[pass->kind];
    CLEANUP_ENTRY struct dps_entry *entry = entry_for_file(pass, file_name);
    if (!entry)
        return 0;
    if (list->count >= DPS_OBJECTS_MAX)
        return error_set(error, ERROR_OWNER_FILE, ERROR_LIMIT, "'%s/%s' holds more than %d objects", pass->state->dir,
                         dps_kind_folder(pass->kind), DPS_OBJECTS_MAX);
    if (dps_list_add(list, entry))
        return error_set_memory(error);
    entry = NULL;
    return 0;
}

static int compare_ids_and_files(const void *a, const void *b)
{
    const struct dps_entry *one = *(struct dps_entry *const *)a, *other = *(struct dps_entry *const *)b;
    int order = strcasecmp(one->object.id, other->object.id);
    return order ? order : strcmp(one->file_name, other->file_name);
}

static void note_twin(struct dps_state *state, const struct dps_entry *twin, const struct dps_entry *first)
{
    struct error error = ERROR_INIT;
    error_set(&error, ERROR_OWNER_FILE, ERROR_EXISTS, "%s: %s '%s' stands already in %s; keep one of the two files", twin->place,
              dps_kind_text(twin->object.kind), twin->object.id, first->place);
    dps_state_note_error(state, error.text);
}

/* Two files with the same id: the first by name counts. Leaves the list sorted by id. */
static void drop_twins(struct dps_state *state, struct dps_list *list)
{
    if (list->count == 0)
        return;
    qsort(list->items, list->count, sizeof(struct dps_entry *), compare_ids_and_files);
    size_t kept = 1;
    for (size_t i = 1; i < list->count; i++) {
        struct dps_entry *entry = list->items[i], *last = list->items[kept - 1];
        if (strcasecmp(entry->object.id, last->object.id) != 0) {
            list->items[kept++] = entry;
            continue;
        }
        note_twin(state, entry, last);
        dps_entry_free(entry);
    }
    list->count = kept;
}

static int load_kind(struct dps_state *state, enum dps_kind kind, size_t *changed, struct error *error)
{
    CLEANUP_FREE char *dir = kind_path(state, kind, NULL);
    CLEANUP(names_free_cleanup) char **names = NULL;
    if (!dir)
        return error_set_memory(error);
    if (dir_list(dir, ".json", &names, error))
        return -1;
    struct pass pass = {.state = state, .kind = kind, .old = state->folder[kind]};
    state->folder[kind] = (struct dps_list){0};
    int rc = 0;
    for (char **name = names; *name && rc == 0; name++)
        rc = load_file(&pass, *name, error);
    drop_twins(state, &state->folder[kind]);
    *changed += pass.changed + count_left(&pass.old);
    free_list(&pass.old, true);
    if (dps_state_show(state, kind) && rc == 0)
        rc = error_set_memory(error);
    return rc;
}

int dps_state_reload(struct dps_state *state, size_t *ret_changed, struct error *error)
{
    size_t changed = 0;
    dps_state_clear_notices(state);
    for (int kind = 0; kind < DPS_KIND_COUNT; kind++)
        if (load_kind(state, (enum dps_kind)kind, &changed, error))
            return -1;
    if (ret_changed)
        *ret_changed = changed;
    return 0;
}

static int make_folders(const struct dps_state *state, struct error *error)
{
    for (int kind = 0; kind < DPS_KIND_COUNT; kind++) {
        CLEANUP_FREE char *path = kind_path(state, (enum dps_kind)kind, NULL);
        if (!path)
            return error_set_memory(error);
        if (dir_make(path, 0755, error))
            return -1;
    }
    return 0;
}

int dps_state_open(const char *dir, const struct clock *clock, struct dps_state **ret_state, struct error *error)
{
    CLEANUP(dps_state_free_cleanup) struct dps_state *state = calloc(1, sizeof *state);
    if (!state || !(state->dir = strdup(dir)) || !(state->signatures = signature_memory_new()))
        return error_set_memory(error);
    state->clock = clock;
    state->keyless = keyless_library_new();
    if (make_folders(state, error) || dps_state_reload(state, NULL, error))
        return -1;
    *ret_state = TAKE(state);
    return 0;
}

void dps_state_free(struct dps_state *state)
{
    if (!state)
        return;
    for (int kind = 0; kind < DPS_KIND_COUNT; kind++) {
        holder_index_done(&state->holders[kind]);
        free_list(&state->visible[kind], false);
        free_list(&state->folder[kind], true);
        free_list(&state->leased[kind], true);
    }
    lease_views_drop(state, NULL);
    dps_state_clear_notices(state);
    for (size_t i = 0; i < state->warned_count; i++)
        free(state->warned[i]);
    free(state->warned);
    signature_memory_free(state->signatures);
    keyless_library_free(state->keyless);
    free(state->dir);
    free(state);
}

const char *dps_state_dir(const struct dps_state *state)
{
    return state->dir;
}

/* ---- changing ---- */

/* The etag as people copy it out of JSON may stand in quotes. */
static bool etag_equals(const char *given, const char *etag)
{
    size_t length = strlen(given);
    if (length >= 2 && given[0] == '"' && given[length - 1] == '"')
        return strlen(etag) == length - 2 && strncmp(given + 1, etag, length - 2) == 0;
    return strcmp(given, etag) == 0;
}

int dps_state_check_etag(const struct dps_entry *entry, const char *etag, enum dps_kind kind, const char *id, struct error *error)
{
    if (!etag || (entry && (strcmp(etag, "*") == 0 || etag_equals(etag, entry->object.etag))))
        return 0;
    if (!entry)
        return error_set(error, ERROR_OWNER_FILE, ERROR_CONFLICT,
                         "%s '%s': an etag was given, but it does not exist (Azure: 412 Precondition Failed); leave the etag out",
                         dps_kind_text(kind), id);
    return error_set(error, ERROR_OWNER_FILE, ERROR_CONFLICT,
                     "%s '%s': etag '%s' is stale (Azure: 412 Precondition Failed); every step makes a new one, the present one is '%s'",
                     dps_kind_text(kind), id, etag, entry->object.etag);
}

static int write_entry(const struct dps_state *state, struct dps_entry *entry, struct error *error)
{
    CLEANUP_FREE char *path = kind_path(state, entry->object.kind, entry->file_name);
    CLEANUP_FREE char *text = json_print_pretty(entry->json);
    if (!path || !text)
        return error_set_memory(error);
    sha256_of(text, strlen(text), entry->file_sha256);
    return file_write_atomic(path, text, strlen(text), 0644, error);
}

/* A file that stands there but is not loaded is broken, or new since the last look: do not write over it. */
static int choose_file_name(const struct dps_state *state, struct dps_entry *entry, const struct dps_entry *old, struct error *error)
{
    entry->file_name = old ? strdup(old->file_name) : dps_state_file_name(entry->object.id);
    if (!entry->file_name)
        return error_set_memory(error);
    if (strlen(entry->file_name) > NAME_MAX - sizeof ".XXXXXX")
        return error_set(error, ERROR_OWNER_FILE, ERROR_LIMIT, "%s '%s': the name is too long for a file name",
                         dps_kind_text(entry->object.kind), entry->object.id);
    CLEANUP_FREE char *path = kind_path(state, entry->object.kind, entry->file_name);
    if (!path)
        return error_set_memory(error);
    if (!old && path_exists(path))
        return error_set(error, ERROR_OWNER_FILE, ERROR_EXISTS,
                         "'%s' stands there and has not been read: it is broken or new; mend or remove it", path);
    free(entry->place);
    entry->place = path_join(dps_kind_folder(entry->object.kind), entry->file_name);
    entry->object.place = entry->place;
    return entry->place ? 0 : error_set_memory(error);
}

static int name_lease(struct dps_entry *entry, const char *lease, struct error *error)
{
    entry->lease = strdup(lease);
    entry->object.lease = entry->lease;
    free(entry->place);
    entry->object.place = NULL;
    if (asprintf(&entry->place, "lease '%s'", lease) < 0)
        entry->place = NULL;
    entry->object.place = entry->place;
    return entry->lease && entry->place ? 0 : error_set_memory(error);
}

/* Put `entry` in the place of `old` (NULL: a new one) in its list. Takes entry; frees old. */
static int install(struct dps_state *state, struct dps_entry *entry, struct dps_entry *old, struct error *error)
{
    enum dps_kind kind = entry->object.kind;
    struct dps_list *list = entry->lease ? &state->leased[kind] : &state->folder[kind];
    size_t at = old ? dps_list_find(list, old->object.id) : list->count;
    if (at < list->count) {
        list->items[at] = entry;
        dps_entry_free(old);
    } else if (dps_list_add(list, entry)) {
        dps_entry_free(entry);
        return error_set_memory(error);
    }
    return dps_state_show(state, kind) ? error_set_memory(error) : 0;
}

/* What every change does: stamp, check, write, install. `json` is taken over. */
static int store(struct dps_state *state, enum dps_kind kind, cJSON *json, struct dps_entry *old, const char *lease,
                 const struct dps_object **ret_object, struct error *error)
{
    CLEANUP_ENTRY struct dps_entry *entry = NULL;
    struct dps_listener listener = dps_state_listener(state);
    char place[2 * DPS_ID_MAX_BYTES];
    snprintf(place, sizeof place, "%s '%.*s'", dps_kind_text(kind), DPS_ID_MAX_BYTES, json_string(json, dps_kind_id_member(kind), ""));
    if (cJSON_IsObject(json) && dps_json_stamp(kind, json, old, state->clock)) {
        cJSON_Delete(json);
        return error_set_memory(error);
    }
    if (dps_entry_new(kind, json, place, state->clock, &listener, &entry, error))
        return -1;
    if (lease ? name_lease(entry, lease, error)
              : sole_holder_check(state, &entry->object, error) || choose_file_name(state, entry, old, error) ||
                    write_entry(state, entry, error))
        return -1;
    struct dps_entry *stored = TAKE(entry);
    if (install(state, stored, old, error))
        return -1;
    if (ret_object)
        *ret_object = &stored->object;
    return 0;
}

int dps_state_replace(struct dps_state *state, struct dps_entry *old, cJSON *json, const struct dps_object **ret_object,
                      struct error *error)
{
    CLEANUP_FREE char *lease = old->lease ? strdup(old->lease) : NULL;
    return store(state, old->object.kind, json, old, lease, ret_object, error);
}

static struct dps_entry *find_in(const struct dps_list *list, const char *id)
{
    size_t at = dps_list_find(list, id);
    return at < list->count ? list->items[at] : NULL;
}

int dps_state_put(struct dps_state *state, enum dps_kind kind, const cJSON *json, const char *etag, const char *lease,
                  const struct dps_object **ret_object, struct error *error)
{
    const char *id = json_string(json, dps_kind_id_member(kind), "");
    struct dps_entry *leased = find_in(&state->leased[kind], id), *filed = find_in(&state->folder[kind], id);
    dps_state_clear_notices(state);
    if (lease && leased && strcmp(leased->lease, lease) != 0)
        return error_set(error, ERROR_OWNER_RIG, ERROR_BUSY, "%s '%s' is held by lease '%s'", dps_kind_text(kind), id, leased->lease);
    struct dps_entry *present = lease && leased ? leased : filed;
    if (dps_state_check_etag(present, etag, kind, id, error))
        return -1;
    cJSON *copy = cJSON_Duplicate(json, true);
    return copy ? store(state, kind, copy, lease ? leased : filed, lease, ret_object, error) : error_set_memory(error);
}

static int remove_file(const struct dps_state *state, const struct dps_entry *entry, struct error *error)
{
    CLEANUP_FREE char *path = kind_path(state, entry->object.kind, entry->file_name);
    if (!path)
        return error_set_memory(error);
    if (unlink(path) && errno != ENOENT)
        return error_set_errno(error, ERROR_OWNER_RIG, errno, "remove '%s'", path);
    return 0;
}

int dps_state_delete(struct dps_state *state, enum dps_kind kind, const char *id, const char *etag, cJSON **ret_json, struct error *error)
{
    struct dps_entry *entry = dps_state_require(state, kind, id, error);
    if (!entry || dps_state_check_etag(entry, etag, kind, id, error))
        return -1;
    if (!entry->lease && remove_file(state, entry, error))
        return -1;
    struct dps_list *list = entry->lease ? &state->leased[kind] : &state->folder[kind];
    dps_list_remove(list, dps_list_find(list, entry->object.id));
    if (ret_json)
        *ret_json = TAKE(entry->json);
    dps_entry_free(entry);
    return dps_state_show(state, kind) ? error_set_memory(error) : 0;
}

static size_t drop_lease_of(struct dps_state *state, enum dps_kind kind, const char *lease)
{
    struct dps_list *list = &state->leased[kind];
    size_t dropped = 0;
    for (size_t i = list->count; i-- > 0;) {
        if (strcmp(list->items[i]->lease, lease) != 0)
            continue;
        dps_entry_free(list->items[i]);
        dps_list_remove(list, i);
        dropped++;
    }
    return dropped;
}

size_t dps_state_drop_lease(struct dps_state *state, const char *lease)
{
    size_t dropped = 0;
    for (int kind = 0; kind < DPS_KIND_COUNT; kind++) {
        size_t of_kind = drop_lease_of(state, (enum dps_kind)kind, lease);
        dropped += of_kind;
        if (of_kind)
            dps_state_show(state, (enum dps_kind)kind);
    }
    lease_views_drop(state, lease);
    return dropped;
}
