#include "harness/run/inputs.h"

#include "base/cleanup.h"
#include "base/files.h"
#include "harness/case/known_findings.h"
#include "harness/case/quarantine.h"
#include "harness/rig/place.h"

#include <openssl/evp.h>
#include <string.h>

enum { DEPTH_MAX = 8, HEX_BYTES = 2 * EVP_MAX_MD_SIZE + 1 };

static int hash(const struct bytes *text, char hex[HEX_BYTES])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    if (EVP_Digest(text->data ? (const void *)text->data : "", text->length_bytes, digest, &length, EVP_sha256(), NULL) != 1)
        return -1;
    for (unsigned i = 0; i < length; i++)
        snprintf(hex + 2 * (size_t)i, 3, "%02x", digest[i]);
    return 0;
}

static int add_file(cJSON *json, const char *path, const char *shown, struct error *error)
{
    CLEANUP(bytes_done) struct bytes text = {0};
    char hex[HEX_BYTES];
    if (file_read(path, INPUT_MAX_BYTES, &text, error))
        return -1;
    if (hash(&text, hex))
        return error_set(error, ERROR_OWNER_OURS, ERROR_CRYPTO, "hash '%s'", path);
    return json_set_string(json, shown, hex) ? error_set_memory(error) : 0;
}

static bool is_case_file(const char *name)
{
    size_t length = strlen(name);
    return length > 5 && strcmp(name + length - 5, ".yaml") == 0;
}

/* What is no YAML is a folder, or nothing to us: dir_list of a file is empty or fails. */
static int add_folder(cJSON *json, const char *path, const char *shown, int depth, struct error *error)
{
    char **names = NULL;
    int failed = depth > DEPTH_MAX || dir_list(path, "", &names, NULL) ? -1 : 0;
    if (failed)
        return 0;
    for (char **name = names; *name && !failed; name++) {
        CLEANUP_FREE char *below = path_join(path, *name), *below_shown = path_join(shown, *name);
        if (!below || !below_shown)
            failed = error_set_memory(error);
        else if (is_case_file(*name))
            failed = add_file(json, below, below_shown, error);
        else
            failed = add_folder(json, below, below_shown, depth + 1, error);
    }
    names_free(names);
    return failed;
}

static int add_dialects(cJSON *json, const struct rig *rig, struct error *error)
{
    for (size_t i = 0; i < rig->device_count; i++) {
        CLEANUP_FREE char *relative = NULL, *path = NULL;
        if (!rig->devices[i].is_connected || !rig->devices[i].dialect)
            continue;
        if (asprintf(&relative, "fixtures/dialects/%s.yaml", rig->devices[i].dialect) < 0)
            return error_set_memory(error);
        if (place_data(relative, &path, error) || (path_exists(path) && add_file(json, path, relative, error)))
            return -1;
    }
    return 0;
}

cJSON *inputs_hash(const struct run_options *options, struct error *error)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (!json) {
        error_set_memory(error);
        return NULL;
    }
    if ((options->rig->file && add_file(json, options->rig->file, options->rig->file, error)) ||
        (options->quarantine_file && add_file(json, options->quarantine_file, options->quarantine_file, error)) ||
        add_folder(json, options->cases_directory, options->cases_shown, 0, error) || add_dialects(json, options->rig, error))
        return NULL;
    return TAKE(json);
}

static int hash_text(const struct bytes *text, char **ret_hex, struct error *error)
{
    char hex[HEX_BYTES];
    if (hash(text, hex))
        return error_set(error, ERROR_OWNER_OURS, ERROR_CRYPTO, "hash what the run was made of");
    result_set(ret_hex, hex);
    return *ret_hex ? 0 : error_set_memory(error);
}

static int hash_cases(const struct run_options *options, char **ret_hex, struct error *error)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (!json || (options->quarantine_file && add_file(json, options->quarantine_file, "--quarantine", error)) ||
        add_folder(json, options->cases_directory, "cases", 0, error) || add_dialects(json, options->rig, error))
        return json ? -1 : error_set_memory(error);
    CLEANUP_FREE char *line = json_print_line(json);
    if (!line)
        return error_set_memory(error);
    const struct bytes text = {.data = (void *)line, .length_bytes = strlen(line)};
    return hash_text(&text, ret_hex, error);
}

static int hash_selection(const struct run_options *options, const struct case_list *rows, char **ret_hex, struct error *error)
{
    CLEANUP(bytes_done) struct bytes text = {.max_bytes = INPUT_MAX_BYTES};
    int failed = bytes_printf(&text, "%u %d\n", options->repeat, options->is_until_fail);
    for (size_t i = 0; i < rows->count && !failed; i++)
        failed = bytes_printf(&text, "%s\n", rows->rows[i]->id);
    return failed ? error_set_memory(error) : hash_text(&text, ret_hex, error);
}

int inputs_suite(const struct run_options *options, const struct case_list *rows, struct result_suite *ret_suite, struct error *error)
{
    CLEANUP_FREE char *cases = NULL, *selection = NULL;
    if (hash_cases(options, &cases, error) || hash_selection(options, rows, &selection, error))
        return -1;
    *ret_suite = (struct result_suite){.row_count = rows->count, .cases = TAKE(cases), .selection = TAKE(selection)};
    return 0;
}

static int find_missing(const cJSON *from, const cJSON *in, const char *what, struct error *error)
{
    const cJSON *one;
    cJSON_ArrayForEach(one, from)
    {
        const char *other = json_string(in, one->string, NULL);
        if (!other)
            return error_set(error, ERROR_OWNER_FILE, ERROR_CONFLICT, "'%s' %s since the run began", one->string, what);
        if (strcmp(other, one->valuestring) != 0)
            return error_set(error, ERROR_OWNER_FILE, ERROR_CONFLICT, "'%s' has changed since the run began", one->string);
    }
    return 0;
}

int inputs_compare(const cJSON *then, const cJSON *now, struct error *error)
{
    return find_missing(then, now, "has gone", error) || find_missing(now, then, "is new", error) ? -1 : 0;
}
