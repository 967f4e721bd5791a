#include "harness/case/select.h"

#include "base/cleanup.h"

#include <fnmatch.h>
#include <string.h>

static bool is_below(const char *id, const char *area)
{
    size_t length = strlen(area);
    while (length && area[length - 1] == '/')
        length--;
    return length && strncmp(id, area, length) == 0 && id[length] == '/';
}

bool select_fits(const char *selector, const struct case_row *row)
{
    return strcmp(selector, row->id) == 0 || strcmp(selector, row->case_id) == 0 || is_below(row->case_id, selector) ||
           fnmatch(selector, row->id, 0) == 0;
}

static bool fits_any(const char *const *selectors, size_t count, const struct case_row *row)
{
    for (size_t i = 0; i < count; i++)
        if (select_fits(selectors[i], row))
            return true;
    return count == 0;
}

enum { AREA_MAX_BYTES = 128 };

/* The first folder of an id is what most people type. NULL when none is near. */
static const char *nearest_area(const struct case_list *list, const char *selector, char area[AREA_MAX_BYTES])
{
    for (size_t i = 0; i < list->count; i++) {
        const char *words[] = {area, NULL};
        snprintf(area, AREA_MAX_BYTES, "%.*s", (int)strcspn(list->rows[i]->case_id, "/"), list->rows[i]->case_id);
        if (text_nearest(selector, words))
            return area;
    }
    return NULL;
}

static int fail_unknown(const struct case_list *list, const char *selector, struct error *error)
{
    enum { WORDS_A_ROW = 2 };
    CLEANUP_FREE const char **ids = calloc(WORDS_A_ROW * list->count + 1, sizeof *ids);
    if (!ids)
        return error_set_memory(error);
    for (size_t i = 0; i < list->count; i++) {
        ids[WORDS_A_ROW * i] = list->rows[i]->id;
        ids[WORDS_A_ROW * i + 1] = list->rows[i]->case_id;
    }
    char area[AREA_MAX_BYTES];
    const char *near = text_nearest(selector, ids);
    near = near ? near : nearest_area(list, selector, area);
    return error_set(error, ERROR_OWNER_FILE, ERROR_NOT_FOUND, "no case or row fits '%s'%s%s%s", selector,
                     near ? "; did you mean '" : "; `dpsbench list` names them all", near ? near : "", near ? "'?" : "");
}

static int check_each_fits(const struct case_list *list, const char *const *selectors, size_t count, struct error *error)
{
    for (size_t i = 0; i < count; i++) {
        bool is_used = false;
        for (size_t j = 0; j < list->count && !is_used; j++)
            is_used = select_fits(selectors[i], list->rows[j]);
        if (!is_used)
            return fail_unknown(list, selectors[i], error);
    }
    return 0;
}

int select_rows(struct case_list *list, const char *const *selectors, size_t count, struct error *error)
{
    if (check_each_fits(list, selectors, count, error))
        return -1;
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (fits_any(selectors, count, list->rows[i]))
            list->rows[kept++] = list->rows[i];
        else
            case_row_free(list->rows[i]);
    }
    list->count = kept;
    return 0;
}

int select_read(struct yaml_node map, struct text_list *ret_rows, struct error *error)
{
    struct yaml_node list;
    if (yaml_require(map, "rows", &list, error))
        return -1;
    if (!yaml_is_list(list) || yaml_count(list) == 0 || yaml_count(list) > CASE_LIST_MAX)
        return yaml_fail(list, error, "a list of 1 to %d rows, cases, areas or globs must stand here", CASE_LIST_MAX);
    for (size_t i = 0; i < yaml_count(list); i++) {
        const char *text;
        if (yaml_read_string(yaml_item_at(list, i), &text, error))
            return -1;
        ret_rows->items[ret_rows->count] = strdup(text);
        if (!ret_rows->items[ret_rows->count])
            return error_set_memory(error);
        ret_rows->count++;
    }
    return 0;
}
