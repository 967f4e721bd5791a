#include "harness/cli/made_pki.h"

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/json.h"

#include <openssl/x509v3.h>
#include <string.h>

enum { MEMBERS_DEEP_MAX = RECIPE_MEMBERS_MAX, INDENT_COLUMNS = 3, LINE_MAX_BYTES = 512 };

struct dates {
    char not_before[CLOCK_ISO8601_BYTES];
    char not_after[CLOCK_ISO8601_BYTES];
    const char *state;
};

/* Times to the second: "2026-11-20T10:00:00Z". */
static void format_time(int64_t unix_s, char text[CLOCK_ISO8601_BYTES])
{
    clock_format_iso8601(unix_s * 1000000, text);
    char *dot = strchr(text, '.');
    if (dot)
        strcpy(dot, "Z");
}

static struct dates dates_of(const struct made_pki *made, const X509 *certificate)
{
    struct dates dates = {.state = "valid"};
    int64_t before_s = 0, after_s = 0;
    certificate_validity(certificate, &before_s, &after_s);
    format_time(before_s, dates.not_before);
    format_time(after_s, dates.not_after);
    if (made->now_unix_s > after_s)
        dates.state = "expired";
    else if (made->now_unix_s < before_s)
        dates.state = "not yet valid";
    return dates;
}

static X509 *certificate_of(const struct made_pki *made, size_t index)
{
    return pki_certificate(made->pki, recipe_member_name(made->recipe, index));
}

static bool is_self_signed(const struct made_pki *made, size_t index)
{
    return recipe_member_issuer(made->recipe, index) == index;
}

/* ---- for a person ---- */

/* Wide enough for the name of every member where it stands. */
static int name_columns(const struct made_pki *made)
{
    int columns = 0;
    for (size_t i = 0; i < recipe_member_count(made->recipe); i++) {
        int depth = 0;
        for (size_t at = i; !is_self_signed(made, at); at = recipe_member_issuer(made->recipe, at))
            depth++;
        int needed = INDENT_COLUMNS * depth + (int)strlen(recipe_member_name(made->recipe, i));
        columns = needed > columns ? needed : columns;
    }
    return columns;
}

static void print_member(FILE *file, const struct made_pki *made, size_t index, int depth, int columns)
{
    X509 *certificate = certificate_of(made, index);
    CLEANUP_FREE char *subject = certificate_subject(certificate);
    struct dates dates = dates_of(made, certificate);
    char name[LINE_MAX_BYTES];
    snprintf(name, sizeof name, "%*s%s%s", depth ? INDENT_COLUMNS * (depth - 1) : 0, "", depth ? "`- " : "",
             recipe_member_name(made->recipe, index));
    fprintf(file, "%-*s  %s, %s, %s, %s to %s%s%s\n", columns, name, subject && *subject ? subject : "(an empty name)",
            recipe_member_key(made->recipe, index), X509_check_ca(certificate) ? "CA" : "no CA", dates.not_before, dates.not_after,
            strcmp(dates.state, "valid") == 0 ? "" : ", ", strcmp(dates.state, "valid") == 0 ? "" : dates.state);
}

static void print_below(FILE *file, const struct made_pki *made, size_t issuer, int depth, int columns)
{
    for (size_t i = 0; i < recipe_member_count(made->recipe) && depth < MEMBERS_DEEP_MAX; i++)
        if (!is_self_signed(made, i) && recipe_member_issuer(made->recipe, i) == issuer) {
            print_member(file, made, i, depth, columns);
            print_below(file, made, i, depth + 1, columns);
        }
}

static const char *member_of(const struct made_pki *made, const X509 *certificate)
{
    for (size_t i = 0; i < recipe_member_count(made->recipe); i++)
        if (certificate_of(made, i) == certificate)
            return recipe_member_name(made->recipe, i);
    return "?";
}

static void print_server(FILE *file, const struct made_pki *made)
{
    const x509_stack *intermediates = pki_server_intermediates(made->pki);
    fprintf(file, "\nthe server sends: %s", member_of(made, pki_server_leaf(made->pki)));
    for (int i = 0; i < sk_X509_num(intermediates); i++)
        fprintf(file, ", %s", member_of(made, sk_X509_value(intermediates, i)));
    fprintf(file, "\nthe device trusts: %s\n", member_of(made, pki_server_root(made->pki)));
}

void made_pki_print(FILE *file, const struct made_pki *made)
{
    int columns = name_columns(made);
    const char *defect = recipe_defect(made->recipe);
    fprintf(file, "%s\ndefect: %s\n\n", recipe_name(made->recipe), defect ? defect : "none");
    for (size_t i = 0; i < recipe_member_count(made->recipe); i++)
        if (is_self_signed(made, i)) {
            print_member(file, made, i, 0, columns);
            print_below(file, made, i, 1, columns);
        }
    if (recipe_is_for_server(made->recipe))
        print_server(file, made);
    fprintf(file, "\n%s/NAME.crt.pem and NAME.key.pem of each\n", made->directory);
}

/* ---- for a program ---- */

static int set_path(cJSON *json, const char *key, const char *directory, const char *name, const char *suffix)
{
    CLEANUP(bytes_done) struct bytes path = {.max_bytes = ERROR_TEXT_MAX_BYTES};
    return bytes_printf(&path, "%s/%s%s", directory, name, suffix) || json_set_string(json, key, bytes_text(&path));
}

static cJSON *member_to_json(const struct made_pki *made, size_t index)
{
    X509 *certificate = certificate_of(made, index);
    const char *name = recipe_member_name(made->recipe, index);
    CLEANUP_FREE char *subject = certificate_subject(certificate);
    struct dates dates = dates_of(made, certificate);
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (!json || json_set_string(json, "name", name) ||
        json_set_string(json, "issuer", recipe_member_name(made->recipe, recipe_member_issuer(made->recipe, index))) ||
        json_set_string(json, "subject", subject) || json_set_string(json, "key", recipe_member_key(made->recipe, index)) ||
        json_set_integer(json, "version", X509_get_version(certificate) + 1) || json_set_bool(json, "is_ca", X509_check_ca(certificate)) ||
        json_set_string(json, "not_before", dates.not_before) || json_set_string(json, "not_after", dates.not_after) ||
        json_set_string(json, "state", dates.state) || set_path(json, "certificate", made->directory, name, ".crt.pem") ||
        set_path(json, "private_key", made->directory, name, ".key.pem"))
        return NULL;
    return TAKE(json);
}

static int add_members(const struct made_pki *made, cJSON *json)
{
    cJSON *members = cJSON_AddArrayToObject(json, "members");
    for (size_t i = 0; members && i < recipe_member_count(made->recipe); i++)
        if (!cJSON_AddItemToArray(members, member_to_json(made, i)))
            return -1;
    return members ? 0 : -1;
}

static int add_server(const struct made_pki *made, cJSON *json)
{
    const x509_stack *intermediates = pki_server_intermediates(made->pki);
    cJSON *server = cJSON_AddObjectToObject(json, "server");
    cJSON *sends = server ? cJSON_AddArrayToObject(server, "sends") : NULL;
    if (!sends || !cJSON_AddItemToArray(sends, cJSON_CreateString(member_of(made, pki_server_leaf(made->pki)))))
        return -1;
    for (int i = 0; i < sk_X509_num(intermediates); i++)
        if (!cJSON_AddItemToArray(sends, cJSON_CreateString(member_of(made, sk_X509_value(intermediates, i)))))
            return -1;
    return json_set_string(server, "root", member_of(made, pki_server_root(made->pki)));
}

cJSON *made_pki_json(const struct made_pki *made)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (!json || json_set_integer(json, "v", 1) || json_set_string(json, "recipe", recipe_name(made->recipe)) ||
        json_set_string(json, "defect", recipe_defect(made->recipe)) || json_set_string(json, "folder", made->directory) ||
        add_members(made, json) || (recipe_is_for_server(made->recipe) && add_server(made, json)))
        return NULL;
    return TAKE(json);
}
