#include "harness/case/case.h"

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/files.h"
#include "harness/case/case_internal.h"
#include "harness/case/known_findings.h"
#include "harness/case/quarantine.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

DEFINE_CLEANUP(struct yaml *, yaml_free)
DEFINE_CLEANUP(struct recipe *, recipe_free)
DEFINE_CLEANUP(struct case_row *, case_row_free)
DEFINE_CLEANUP(char **, names_free)

enum { CASE_FOLDERS_DEEP_MAX = 8 };

static const struct {
    const char *name;
    const char *need;
} steps[] = {
#define X(id, step_name, need, text) [id] = {step_name, need},
    CASE_STEPS(X)
#undef X
};

static const char *const step_names[] = {
#define X(id, name, need, text) [id] = name,
    CASE_STEPS(X)
#undef X
        NULL,
};

const char *case_step_name(enum case_step step)
{
    return step < CASE_STEP_COUNT ? steps[step].name : "?";
}

const char *case_step_need(enum case_step step)
{
    return step < CASE_STEP_COUNT ? steps[step].need : "?";
}

/* ---- texts ---- */

int case_read_optional(struct case_reader *reader, struct yaml_node map, const char *key, char **ret_text, struct error *error)
{
    struct yaml_node node = yaml_get(map, key);
    return yaml_is_null(node) ? 0 : substitution_read(&reader->substitution, node, ret_text, error);
}

int case_read_required(struct case_reader *reader, struct yaml_node map, const char *key, char **ret_text, struct error *error)
{
    struct yaml_node node;
    return yaml_require(map, key, &node, error) || substitution_read(&reader->substitution, node, ret_text, error) ? -1 : 0;
}

static int add_text(struct text_list *list, struct yaml_node node, const char *text, struct error *error)
{
    if (text_list_has(list, text))
        return 0;
    if (list->count == CASE_LIST_MAX)
        return yaml_fail(node, error, "more than %d items", CASE_LIST_MAX);
    list->items[list->count] = strdup(text);
    return list->items[list->count] ? (int)(list->count++, 0) : error_set_memory(error);
}

int case_read_list(struct case_reader *reader, struct yaml_node list, struct text_list *ret_list, struct error *error)
{
    if (yaml_is_null(list))
        return 0;
    if (!yaml_is_list(list) || yaml_count(list) > CASE_LIST_MAX)
        return yaml_fail(list, error, "a list of at most %d texts is expected here", CASE_LIST_MAX);
    for (size_t i = 0; i < yaml_count(list); i++) {
        if (substitution_read(&reader->substitution, yaml_item_at(list, i), &ret_list->items[ret_list->count], error))
            return -1;
        ret_list->count++;
    }
    return 0;
}

/* ---- recipes and members ---- */

int case_check_member(const struct case_reader *reader, struct yaml_node node, const char *name, struct error *error)
{
    CLEANUP(bytes_done) struct bytes known = {.max_bytes = ERROR_TEXT_MAX_BYTES};
    for (size_t i = 0; i < recipe_member_count(reader->recipe); i++) {
        if (strcmp(recipe_member_name(reader->recipe, i), name) == 0)
            return 0;
        bytes_printf(&known, "%s%s", i ? ", " : "", recipe_member_name(reader->recipe, i));
    }
    return yaml_fail(node, error, "'%s' is no member of recipe '%s'; its members: %s", name, recipe_name(reader->recipe),
                     bytes_text(&known));
}

int case_read_member(struct case_reader *reader, struct yaml_node map, const char *key, char **ret_member, struct error *error)
{
    if (case_read_optional(reader, map, key, ret_member, error))
        return -1;
    return *ret_member ? case_check_member(reader, yaml_get(map, key), *ret_member, error) : 0;
}

/* "device/wrong-chain.yaml", a file of certs/recipes, to the name "device/wrong-chain" under which it is built in. */
static int read_recipe(struct case_reader *reader, struct yaml_node map, char **ret_name, struct recipe **ret_recipe, struct error *error)
{
    struct yaml_node node;
    CLEANUP_FREE char *name = NULL;
    if (yaml_require(map, "recipe", &node, error) || case_read_required(reader, map, "recipe", &name, error))
        return -1;
    size_t length = strlen(name);
    if (length > 5 && strcmp(name + length - 5, ".yaml") == 0)
        name[length - 5] = 0;
    struct error inner = ERROR_INIT;
    if (recipe_read_builtin(name, ret_recipe, &inner))
        return yaml_fail(node, error, "%s", inner.text);
    *ret_name = TAKE(name);
    return 0;
}

static int read_root_ca(struct case_reader *reader, struct yaml_node map, struct error *error)
{
    struct case_credentials *credentials = &reader->row->credentials;
    CLEANUP_FREE char *text = NULL;
    if (case_read_optional(reader, map, "root_ca", &text, error))
        return -1;
    if (!text || strcmp(text, "lane") == 0) {
        credentials->root_ca = CASE_ROOT_LANE;
    } else if (strcmp(text, "none") == 0) {
        credentials->root_ca = CASE_ROOT_NONE;
    } else {
        credentials->root_ca = CASE_ROOT_MEMBER;
        if (case_check_member(reader, yaml_get(map, "root_ca"), text, error))
            return -1;
        credentials->root_ca_member = TAKE(text);
    }
    return 0;
}

static int read_credentials(struct case_reader *reader, struct yaml_node map, struct error *error)
{
    static const char *const keys[] = {"recipe", "root_ca", "client_cert", "client_key", NULL};
    struct case_credentials *credentials = &reader->row->credentials;
    struct yaml_node chain = yaml_get(map, "client_cert");
    if (yaml_check_keys(map, "credentials", keys, error) || read_recipe(reader, map, &credentials->recipe, &reader->recipe, error) ||
        read_root_ca(reader, map, error) || case_read_list(reader, chain, &credentials->client_cert, error) ||
        case_read_member(reader, map, "client_key", &credentials->client_key, error))
        return -1;
    for (size_t i = 0; i < credentials->client_cert.count; i++)
        if (case_check_member(reader, yaml_item_at(chain, i), credentials->client_cert.items[i], error))
            return -1;
    return 0;
}

static int read_server(struct case_reader *reader, struct yaml_node map, struct error *error)
{
    static const char *const keys[] = {"recipe", NULL};
    if (yaml_is_null(map))
        return 0;
    CLEANUP(recipe_free_cleanup) struct recipe *recipe = NULL;
    if (yaml_check_keys(map, "server", keys, error) || read_recipe(reader, map, &reader->row->server_recipe, &recipe, error))
        return -1;
    if (!recipe_is_for_server(recipe))
        return yaml_fail(yaml_get(map, "recipe"), error, "recipe '%s' is not for a server: it has no `server:`", recipe_name(recipe));
    return 0;
}

/* ---- the rest of a row ---- */

static int read_why(struct case_reader *reader, struct yaml_node map, struct error *error)
{
    static const char *const keys[] = {"text", "source", NULL};
    struct yaml_node why;
    if (yaml_require(map, "why", &why, error) || yaml_check_keys(why, "why", keys, error))
        return -1;
    return case_read_required(reader, why, "text", &reader->row->why_text, error) ||
                   case_read_required(reader, why, "source", &reader->row->why_source, error)
               ? -1
               : 0;
}

static int read_steps(struct case_reader *reader, struct yaml_node list, struct error *error)
{
    struct case_row *row = reader->row;
    if (yaml_is_null(list))
        row->steps[row->step_count++] = CASE_STEP_FRESH;
    else if (!yaml_is_list(list) || yaml_count(list) == 0 || yaml_count(list) > CASE_LIST_MAX)
        return yaml_fail(list, error, "steps must be a list of 1 to %d steps", CASE_LIST_MAX);
    for (size_t i = 0; i < yaml_count(list); i++) {
        size_t word;
        if (yaml_read_word(yaml_item_at(list, i), "a step", step_names, &word, error))
            return -1;
        row->steps[row->step_count++] = (enum case_step)word;
    }
    for (size_t i = 0; i < row->step_count; i++)
        if (add_text(&row->needs, list, case_step_need(row->steps[i]), error))
            return -1;
    return 0;
}

static int read_budget(struct case_reader *reader, struct yaml_node map, struct error *error)
{
    struct yaml_node budget;
    return yaml_require(map, "budget_s", &budget, error) || yaml_read_integer(budget, 1, CASE_BUDGET_MAX_S, &reader->row->budget_s, error)
               ? -1
               : 0;
}

static int name_row(struct case_reader *reader, const char *case_id, struct error *error)
{
    CLEANUP(bytes_done) struct bytes id = {.max_bytes = ERROR_TEXT_MAX_BYTES};
    bytes_append_text(&id, case_id);
    for (size_t i = 0; i < reader->vary_count; i++)
        bytes_printf(&id, "%c%s", i ? ',' : ':', reader->substitution.values[i]);
    reader->row->id = strdup(bytes_text(&id));
    reader->row->case_id = strdup(case_id);
    return reader->row->id && reader->row->case_id ? 0 : error_set_memory(error);
}

static int fill_row(struct case_reader *reader, struct yaml_node root, const char *case_id, struct error *error)
{
    struct case_row *row = reader->row;
    struct yaml_node credentials, expect;
    if (name_row(reader, case_id, error) || !(row->place = strdup(yaml_name(root.yaml))))
        return row->place ? -1 : error_set_memory(error);
    if (case_read_required(reader, root, "title", &row->title, error) || read_why(reader, root, error) ||
        case_read_list(reader, yaml_get(root, "needs"), &row->needs, error) || yaml_require(root, "credentials", &credentials, error) ||
        read_credentials(reader, credentials, error) || read_server(reader, yaml_get(root, "server"), error) ||
        case_read_service(reader, yaml_get(root, "service"), error) || read_steps(reader, yaml_get(root, "steps"), error))
        return -1;
    if (yaml_require(root, "expect", &expect, error) || case_read_views(reader, expect, error) ||
        case_read_findings(reader, yaml_get(root, "findings"), error) || read_budget(reader, root, error))
        return -1;
    return case_read_list(reader, yaml_get(root, "fails_under"), &row->fails_under, error) ||
                   case_check_catches(reader, yaml_get(root, "fails_under"), error)
               ? -1
               : 0;
}

static int append_row(struct case_list *list, struct case_row *row, struct error *error)
{
    struct case_row **more = realloc(list->rows, (list->count + 1) * sizeof(void *));
    if (!more) {
        case_row_free(row);
        return error_set_memory(error);
    }
    list->rows = more;
    list->rows[list->count++] = row;
    return 0;
}

/* ---- permutations ---- */

static int add_device(struct substitution *substitution, const struct case_device *device, struct error *error)
{
    return substitution_add(substitution, "registration_id", device->registration_id, error) ||
                   substitution_add(substitution, "id_scope", device->id_scope, error) ||
                   substitution_add(substitution, "dps_host", device->dps_host, error) ||
                   substitution_add(substitution, "sec_tag", device->sec_tag, error)
               ? -1
               : 0;
}

/* The values of permutation `index`: the last name under `vary` changes fastest. */
static int choose_values(struct yaml_node vary, size_t index, struct substitution *substitution, struct error *error)
{
    const char *values[CASE_VARY_MAX] = {NULL};
    for (size_t i = yaml_count(vary); i-- > 0;) {
        struct yaml_node list = yaml_value_at(vary, i);
        values[i] = yaml_text(yaml_item_at(list, index % yaml_count(list)));
        index /= yaml_count(list);
    }
    for (size_t i = 0; i < yaml_count(vary); i++)
        if (substitution_add(substitution, yaml_text(yaml_key_at(vary, i)), values[i], error))
            return -1;
    return 0;
}

static int check_vary_list(struct yaml_node list, struct error *error)
{
    if (!yaml_is_list(list) || yaml_count(list) == 0)
        return yaml_fail(list, error, "`vary` needs a list of values for each name");
    for (size_t i = 0; i < yaml_count(list); i++) {
        const char *text = yaml_text(yaml_item_at(list, i));
        if (!text || !*text || strpbrk(text, "/:, \t"))
            return yaml_fail(yaml_item_at(list, i), error, "a value of `vary` becomes part of a row's id: a word without / : , or blanks");
    }
    return 0;
}

static int count_permutations(struct yaml_node vary, size_t *ret_count, struct error *error)
{
    size_t count = 1;
    if (!yaml_is_null(vary) && !yaml_is_map(vary))
        return yaml_fail(vary, error, "`vary` must be a mapping (name: [values])");
    if (yaml_count(vary) > CASE_VARY_MAX)
        return yaml_fail(vary, error, "more than %d names under `vary`", CASE_VARY_MAX);
    for (size_t i = 0; i < yaml_count(vary); i++) {
        if (check_vary_list(yaml_value_at(vary, i), error))
            return -1;
        count *= yaml_count(yaml_value_at(vary, i));
        if (count > CASE_PERMUTATIONS_MAX)
            return yaml_fail(vary, error, "more than %d permutations", CASE_PERMUTATIONS_MAX);
    }
    *ret_count = count;
    return 0;
}

static void drop_recipe(struct case_reader *reader)
{
    recipe_free(reader->recipe);
}

static int read_permutation(struct yaml_node root, size_t index, const char *case_id, const struct case_options *options,
                            struct case_list *list, struct error *error)
{
    CLEANUP(case_row_free_cleanup) struct case_row *row = calloc(1, sizeof *row);
    if (!row)
        return error_set_memory(error);
    CLEANUP(drop_recipe) struct case_reader reader = {.options = options, .row = row};
    struct yaml_node vary = yaml_get(root, "vary");
    reader.vary_count = yaml_count(vary);
    if (choose_values(vary, index, &reader.substitution, error) || add_device(&reader.substitution, &options->device, error) ||
        fill_row(&reader, root, case_id, error))
        return -1;
    return append_row(list, TAKE(row), error);
}

static int check_head(struct yaml_node root, const char *case_id, struct error *error)
{
    static const char *const keys[] = {"format",  "id",    "title",  "why",      "needs",    "vary",        "credentials", "server",
                                       "service", "steps", "expect", "findings", "budget_s", "fails_under", NULL};
    struct yaml_node id;
    if (yaml_check_format(root, "cases", CASE_FORMAT, error) || yaml_check_keys(root, "a case", keys, error) ||
        yaml_require(root, "id", &id, error))
        return -1;
    if (!yaml_text(id) || strcmp(yaml_text(id), case_id) != 0)
        return yaml_fail(id, error, "id '%s' is not the file's path below the folder of cases, '%s'", yaml_text(id) ? yaml_text(id) : "",
                         case_id);
    return 0;
}

int case_read_text(const char *text, size_t length_bytes, const char *name, const char *case_id, const struct case_options *options,
                   struct case_list *list, struct error *error)
{
    CLEANUP(yaml_free_cleanup) struct yaml *yaml = yaml_read_text(text, length_bytes, name, error);
    if (!yaml || check_head(yaml_root(yaml), case_id, error))
        return -1;
    size_t count;
    if (count_permutations(yaml_get(yaml_root(yaml), "vary"), &count, error))
        return -1;
    for (size_t i = 0; i < count; i++)
        if (read_permutation(yaml_root(yaml), i, case_id, options, list, error))
            return -1;
    return 0;
}

/* ---- folders ---- */

static int read_file(const char *path, const char *shown, const char *id, const struct case_options *options, struct case_list *list,
                     struct error *error)
{
    CLEANUP(bytes_done) struct bytes text = {0};
    CLEANUP_FREE char *case_id = strndup(id, strlen(id) - strlen(".yaml"));
    if (!case_id)
        return error_set_memory(error);
    if (file_read(path, YAML_FILE_MAX_BYTES, &text, error))
        return -1;
    return case_read_text(bytes_text(&text), text.length_bytes, shown, case_id, options, list, error);
}

static bool is_folder(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

/* `id`: the path below the folder of cases; the list of known findings stands beside the areas. */
static bool is_case(const char *id)
{
    size_t length = strlen(id);
    return length > 5 && strcmp(id + length - 5, ".yaml") == 0 && strcmp(id, KNOWN_FINDINGS_FILE) != 0 && strcmp(id, QUARANTINE_FILE) != 0;
}

static int read_folder(const char *path, const char *shown, const char *id, int depth, const struct case_options *options,
                       struct case_list *list, struct error *error)
{
    CLEANUP(names_free_cleanup) char **names = NULL;
    if (depth > CASE_FOLDERS_DEEP_MAX)
        return error_set(error, ERROR_OWNER_FILE, ERROR_LIMIT, "%s: folders are nested deeper than %d", shown, CASE_FOLDERS_DEEP_MAX);
    if (dir_list(path, "", &names, error))
        return -1;
    for (char **name = names; *name; name++) {
        CLEANUP_FREE char *inner_path = path_join(path, *name);
        CLEANUP_FREE char *inner_shown = path_join(shown, *name);
        CLEANUP_FREE char *inner_id = *id ? path_join(id, *name) : strdup(*name);
        if (!inner_path || !inner_shown || !inner_id)
            return error_set_memory(error);
        if (is_folder(inner_path) && read_folder(inner_path, inner_shown, inner_id, depth + 1, options, list, error))
            return -1;
        if (is_case(inner_id) && read_file(inner_path, inner_shown, inner_id, options, list, error))
            return -1;
    }
    return 0;
}

int cases_read(const char *directory, const char *shown, const struct case_options *options, struct case_list *list, struct error *error)
{
    if (!is_folder(directory))
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "'%s' is not a folder of cases", directory);
    return read_folder(directory, shown, "", 0, options, list, error);
}

/* ---- end of life ---- */

static void free_expectations(struct case_expectations *list)
{
    for (size_t i = 0; i < list->count; i++)
        expectation_done(&list->items[i]);
    free(list->items);
}

static void free_service(struct case_service *service)
{
    free(service->profile);
    free(service->knobs_place);
    cJSON_Delete(service->knobs);
    for (size_t i = 0; i < service->certificate_count; i++) {
        free(service->certificates[i].name);
        free(service->certificates[i].member);
    }
    for (size_t i = 0; i < service->group_count; i++) {
        free(service->groups[i].id);
        for (size_t j = 0; j < CASE_PAIR; j++) {
            free(service->groups[i].signing[j]);
            free(service->groups[i].ca_references[j]);
        }
    }
    for (size_t i = 0; i < service->enrollment_count; i++) {
        free(service->enrollments[i].certificates[CASE_PRIMARY]);
        free(service->enrollments[i].certificates[CASE_SECONDARY]);
        free(service->enrollments[i].device_id);
    }
}

static void free_credentials(struct case_credentials *credentials)
{
    free(credentials->recipe);
    free(credentials->root_ca_member);
    free(credentials->client_key);
    text_list_done(&credentials->client_cert);
}

void case_row_free(struct case_row *row)
{
    if (!row)
        return;
    char *texts[] = {row->id, row->case_id, row->place, row->title, row->why_text, row->why_source, row->server_recipe};
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++)
        free(texts[i]);
    text_list_done(&row->needs);
    text_list_done(&row->fails_under);
    free_credentials(&row->credentials);
    free_service(&row->service);
    for (int i = 0; i < CASE_VIEW_COUNT; i++) {
        free_expectations(&row->views[i].in_order);
        free_expectations(&row->views[i].in_any_order);
        free_expectations(&row->views[i].never);
    }
    for (size_t i = 0; i < row->finding_count; i++) {
        expectation_done(&row->findings[i].seen);
        free(row->findings[i].text);
        free(row->findings[i].source);
    }
    free(row);
}

bool case_row_drop_view(struct case_row *row, enum case_view view)
{
    size_t wanted = 0, forbidden = 0;
    free_expectations(&row->views[view].in_order);
    free_expectations(&row->views[view].in_any_order);
    free_expectations(&row->views[view].never);
    row->views[view] = (struct case_view_expectations){0};
    for (int i = 0; i < CASE_VIEW_COUNT; i++) {
        wanted += row->views[i].in_order.count + row->views[i].in_any_order.count;
        forbidden += row->views[i].never.count;
    }
    row->is_silent = wanted == 0;
    return wanted + forbidden > 0;
}

int case_row_add_need(struct case_row *row, const char *need, struct error *error)
{
    if (text_list_has(&row->needs, need))
        return 0;
    if (row->needs.count == CASE_LIST_MAX)
        return error_set(error, ERROR_OWNER_FILE, ERROR_LIMIT, "%s: more than %d needs", row->place, CASE_LIST_MAX);
    row->needs.items[row->needs.count] = strdup(need);
    return row->needs.items[row->needs.count] ? (int)(row->needs.count++, 0) : error_set_memory(error);
}

void case_list_done(struct case_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        case_row_free(list->rows[i]);
    free(list->rows);
    *list = (struct case_list){0};
}
