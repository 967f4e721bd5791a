#include "harness/cli/az_output.h"

#include <ctype.h>
#include <string.h>

const char *const az_formats[] = {"json", "jsonc", "table", "tsv", "none", NULL};

enum { COLUMNS_MAX = 24, CELL_MAX_BYTES = 512, SORT_DEPTH_MAX = 64 };

static cJSON *detach_least(cJSON *object)
{
    cJSON *least = object->child, *item;
    cJSON_ArrayForEach(item, object) if (strcmp(item->string, least->string) < 0) least = item;
    return cJSON_DetachItemViaPointer(object, least);
}

static void sort_object(cJSON *object)
{
    cJSON sorted = {.type = cJSON_Object};
    while (object->child)
        cJSON_AddItemToArray(&sorted, detach_least(object));
    object->child = sorted.child;
}

/* az sorts the members by name. The recursion is bounded: nothing deeper was read (base/json.h). */
static void sort_members(cJSON *json, int depth)
{
    if (cJSON_IsObject(json))
        sort_object(json);
    cJSON *child;
    if (depth == SORT_DEPTH_MAX)
        return;
    cJSON_ArrayForEach(child, json)
    {
        sort_members(child, depth + 1);
    }
}

static int print_json(const cJSON *json)
{
    CLEANUP_JSON cJSON *sorted = cJSON_Duplicate(json, true);
    if (!sorted)
        return -1;
    sort_members(sorted, 0);
    CLEANUP_FREE char *text = json_print_pretty(sorted);
    return text ? (fputs(text, stdout), 0) : -1;
}

static bool is_scalar(const cJSON *value)
{
    return cJSON_IsString(value) || cJSON_IsNumber(value) || cJSON_IsBool(value);
}

static void format_cell(const cJSON *value, char cell[CELL_MAX_BYTES])
{
    cell[0] = 0;
    if (cJSON_IsString(value))
        snprintf(cell, CELL_MAX_BYTES, "%s", value->valuestring);
    else if (cJSON_IsNumber(value))
        snprintf(cell, CELL_MAX_BYTES, "%.15g", value->valuedouble);
    else if (cJSON_IsBool(value))
        snprintf(cell, CELL_MAX_BYTES, "%s", cJSON_IsTrue(value) ? "True" : "False");
}

struct column {
    const char *name;
    int width;
};

static void add_column(struct column *columns, size_t *count, const char *name)
{
    for (size_t i = 0; i < *count; i++)
        if (strcmp(columns[i].name, name) == 0)
            return;
    if (*count < COLUMNS_MAX)
        columns[(*count)++] = (struct column){.name = name, .width = (int)strlen(name)};
}

static void measure(const cJSON *row, struct column *columns, size_t *count)
{
    const cJSON *value;
    cJSON_ArrayForEach(value, row) if (is_scalar(value)) add_column(columns, count, value->string);
    for (size_t i = 0; i < *count; i++) {
        char cell[CELL_MAX_BYTES];
        format_cell(cJSON_GetObjectItemCaseSensitive(row, columns[i].name), cell);
        columns[i].width = (int)strlen(cell) > columns[i].width ? (int)strlen(cell) : columns[i].width;
    }
}

static void print_row(const cJSON *row, const struct column *columns, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char cell[CELL_MAX_BYTES];
        format_cell(cJSON_GetObjectItemCaseSensitive(row, columns[i].name), cell);
        printf("%s%-*s", i ? "  " : "", i + 1 < count ? columns[i].width : 0, cell);
    }
    putchar('\n');
}

static void print_head(const struct column *columns, size_t count)
{
    for (size_t i = 0; i < count; i++)
        printf("%s%c%-*s", i ? "  " : "", toupper((unsigned char)columns[i].name[0]), i + 1 < count ? columns[i].width - 1 : 0,
               columns[i].name + 1);
    putchar('\n');
    for (size_t i = 0; i < count; i++) {
        fputs(i ? "  " : "", stdout);
        for (int j = 0; j < columns[i].width; j++)
            putchar('-');
    }
    putchar('\n');
}

static int print_table(const cJSON *rows)
{
    struct column columns[COLUMNS_MAX];
    size_t count = 0;
    const cJSON *row;
    cJSON_ArrayForEach(row, rows)
    {
        measure(row, columns, &count);
    }
    if (!count)
        return 0;
    print_head(columns, count);
    cJSON_ArrayForEach(row, rows)
    {
        print_row(row, columns, count);
    }
    return 0;
}

static int print_tsv(const cJSON *rows)
{
    const cJSON *row, *value;
    cJSON_ArrayForEach(row, rows)
    {
        const char *separator = "";
        cJSON_ArrayForEach(value, row)
        {
            char cell[CELL_MAX_BYTES];
            format_cell(value, cell);
            printf("%s%s", separator, cJSON_IsNull(value) ? "None" : cell);
            separator = "\t";
        }
        putchar('\n');
    }
    return 0;
}

/* What stands under `value` is a list, too. */
static cJSON *rows_of(const cJSON *json)
{
    const cJSON *value = json_member(json, "value");
    const cJSON *list = cJSON_IsArray(json) ? json : cJSON_IsArray(value) ? value : NULL;
    CLEANUP_JSON cJSON *rows = list ? cJSON_Duplicate(list, true) : cJSON_CreateArray();
    if (rows && !list && !cJSON_AddItemToArray(rows, cJSON_Duplicate(json, true)))
        return NULL;
    if (rows)
        sort_members(rows, 0);
    return TAKE(rows);
}

int az_print(const cJSON *json, const char *format)
{
    if (strcmp(format, "none") == 0)
        return 0;
    if (strcmp(format, "json") == 0 || strcmp(format, "jsonc") == 0)
        return print_json(json);
    CLEANUP_JSON cJSON *rows = rows_of(json);
    if (!rows)
        return -1;
    if (strcmp(format, "table") == 0)
        return print_table(rows);
    return strcmp(format, "tsv") == 0 ? print_tsv(rows) : -1;
}
