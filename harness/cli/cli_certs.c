/* dpsbench certs ...: the PKIs of the suite as files, for a person's own experiments */
#include "base/arguments.h"
#include "base/cleanup.h"
#include "base/files.h"
#include "harness/cli/cli.h"
#include "harness/cli/made_pki.h"
#include "harness/rig/rig.h"
#include "reports/result.h"

#include <string.h>
#include <sys/stat.h>

enum { HOSTS_MAX = 64, OPTION_OUT = 256, OPTION_REGISTRATION_ID, OPTION_HOST, OPTION_JSON };

DEFINE_CLEANUP(struct recipe *, recipe_free)
DEFINE_CLEANUP(struct pki *, pki_free)
#define CLEANUP_RECIPE CLEANUP(recipe_free_cleanup)
#define CLEANUP_PKI CLEANUP(pki_free_cleanup)

struct certs_arguments {
    const char *recipe;
    const char *out;
    const char *registration_id;
    const char *hosts[HOSTS_MAX];
    size_t host_count;
    bool wants_json;
};

static int print_json(const cJSON *json)
{
    CLEANUP_FREE char *printed = json ? json_print_pretty(json) : NULL;
    return printed ? (puts(printed), EXIT_ALL_PASSED) : EXIT_OUR_BUG;
}

/* ---- make ---- */

static error_t take_make(int key, char *word, struct argp_state *state)
{
    struct certs_arguments *arguments = state->input;
    switch (key) {
    case OPTION_OUT:
        arguments->out = word;
        return 0;
    case OPTION_REGISTRATION_ID:
        arguments->registration_id = word;
        return 0;
    case OPTION_HOST:
        if (arguments->host_count == HOSTS_MAX)
            arguments_refuse(state, "more than %d hosts", HOSTS_MAX);
        arguments->hosts[arguments->host_count++] = word;
        return 0;
    case OPTION_JSON:
        arguments->wants_json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (arguments->recipe)
            arguments_refuse(state, "'%s' is one argument too many", word);
        arguments->recipe = word;
        return 0;
    case ARGP_KEY_END:
        if (!arguments->recipe)
            arguments_refuse(state, "RECIPE is missing; `dpsbench certs list` names those that are built in");
        if (!arguments->out)
            arguments_refuse(state, "--out DIR is missing");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* A file, or the name of one that is built in. */
static int read_recipe(const char *name, struct recipe **ret_recipe, struct error *error)
{
    struct stat status;
    bool is_file = stat(name, &status) == 0 && !S_ISDIR(status.st_mode);
    return is_file ? recipe_read_file(name, ret_recipe, error) : recipe_read_builtin(name, ret_recipe, error);
}

/* Somebody's key may stand under a name that we would take. */
static int refuse_existing(const struct recipe *recipe, const char *directory, struct error *error)
{
    static const char *const suffixes[] = {".key.pem", ".crt.pem"};
    for (size_t i = 0; i < recipe_member_count(recipe); i++)
        for (size_t j = 0; j < ARRAY_COUNT(suffixes); j++) {
            CLEANUP_FREE char *path = NULL;
            if (asprintf(&path, "%s/%s%s", directory, recipe_member_name(recipe, i), suffixes[j]) < 0)
                return error_set_memory(error);
            if (path_exists(path))
                return error_set(error, ERROR_OWNER_FILE, ERROR_EXISTS, "%s: exists already; choose another folder, or remove it", path);
        }
    return 0;
}

static int forge(const struct certs_arguments *arguments, const struct recipe *recipe, struct pki **ret_pki, struct error *error)
{
    const struct forge_variables variables = {.registration_id = arguments->registration_id,
                                              .dps_host = RIG_DPS_HOST_DEFAULT,
                                              .hosts = arguments->hosts,
                                              .host_count = arguments->host_count};
    if (recipe_uses(recipe, "registration_id") && !arguments->registration_id)
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE,
                         "recipe '%s' is made for one device: --registration-id ID is missing; see `dpsbench certs make --help`",
                         recipe_name(recipe));
    return forge_pki(recipe, &variables, &clock_system, NULL, ret_pki, error);
}

static int make(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"out", OPTION_OUT, "DIR", 0, "Where the files go; made when missing (required)", 0},
        {"registration-id", OPTION_REGISTRATION_ID, "ID", 0, "The device's registration id: the CN of its certificate", 0},
        {"host", OPTION_HOST, "NAME", 0, "A host name or address that a server's certificate shall name too; may be given more than once",
         0},
        {"json", OPTION_JSON, NULL, 0, "Print one JSON document in place of the tree", 0},
        {0},
    };
    static const char text[] =
        "Make the keys and certificates of RECIPE, a file (certs/recipes/README.md) or the name of a built-in one, and print "
        "what was made: issuer over subject, key type, validity, the defect. Times count from now."
        "\vDIR/NAME.crt.pem and DIR/NAME.key.pem (mode 0600) for each member. Nothing is overwritten.\n"
        "\n"
        "Examples:\n"
        "  dpsbench certs make device/sub-ca --registration-id dev-01 --out pki\n"
        "  cat pki/leaf.crt.pem pki/sub-ca.crt.pem > chain.pem\n"
        "  dpsbench certs make server/expired --host sim.example.org --out s --json\n";
    static const struct argp argp = {.options = options, .parser = take_make, .args_doc = "RECIPE", .doc = text};
    struct certs_arguments arguments = {0};
    struct error error = ERROR_INIT;
    CLEANUP_RECIPE struct recipe *recipe = NULL;
    CLEANUP_PKI struct pki *pki = NULL;
    command_parse(&argp, argc, argv, &arguments);
    if (read_recipe(arguments.recipe, &recipe, &error) || refuse_existing(recipe, arguments.out, &error) ||
        forge(&arguments, recipe, &pki, &error) || pki_write(pki, arguments.out, &error))
        return command_fail(&error);
    const struct made_pki made = {.recipe = recipe, .pki = pki, .directory = arguments.out, .now_unix_s = clock_unix_s(&clock_system)};
    if (arguments.wants_json) {
        CLEANUP_JSON cJSON *json = made_pki_json(&made);
        return print_json(json);
    }
    made_pki_print(stdout, &made);
    return EXIT_ALL_PASSED;
}

/* ---- list ---- */

static error_t take_list(int key, char *word, struct argp_state *state)
{
    struct certs_arguments *arguments = state->input;
    switch (key) {
    case OPTION_JSON:
        arguments->wants_json = true;
        return 0;
    case ARGP_KEY_ARG:
        arguments_refuse(state, "'%s' is one argument too many", word);
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static cJSON *recipe_to_json(const struct recipe *recipe)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    cJSON *members = json ? cJSON_AddArrayToObject(json, "members") : NULL;
    for (size_t i = 0; members && i < recipe_member_count(recipe); i++)
        if (!cJSON_AddItemToArray(members, cJSON_CreateString(recipe_member_name(recipe, i))))
            return NULL;
    if (!members || json_set_string(json, "name", recipe_name(recipe)) || json_set_string(json, "defect", recipe_defect(recipe)) ||
        json_set_bool(json, "is_for_server", recipe_is_for_server(recipe)))
        return NULL;
    return TAKE(json);
}

static int list_one(const char *name, cJSON *list, struct error *error)
{
    CLEANUP_RECIPE struct recipe *recipe = NULL;
    if (recipe_read_builtin(name, &recipe, error))
        return -1;
    if (list)
        return cJSON_AddItemToArray(list, recipe_to_json(recipe)) ? 0 : error_set_memory(error);
    const char *defect = recipe_defect(recipe);
    printf("%-28s %s\n", name, defect ? defect : "(no defect)");
    return 0;
}

static int list(int argc, char **argv)
{
    static const struct argp_option options[] = {{"json", OPTION_JSON, NULL, 0, "Print one JSON document", 0}, {0}};
    static const char text[] = "List the recipes that are built in: name and defect."
                               "\vExamples:\n"
                               "  dpsbench certs list\n"
                               "  dpsbench certs list --json | jq -r '.recipes[] | select(.defect) | .name'\n";
    static const struct argp argp = {.options = options, .parser = take_list, .args_doc = "", .doc = text};
    struct certs_arguments arguments = {0};
    struct error error = ERROR_INIT;
    command_parse(&argp, argc, argv, &arguments);
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    cJSON *recipes = json && arguments.wants_json ? cJSON_AddArrayToObject(json, "recipes") : NULL;
    if (arguments.wants_json && (!recipes || json_set_integer(json, "v", 1)))
        return EXIT_OUR_BUG;
    for (const char *const *name = recipe_builtin_names(); *name; name++)
        if (list_one(*name, recipes, &error))
            return command_fail(&error);
    return arguments.wants_json ? print_json(json) : EXIT_ALL_PASSED;
}

const struct command cli_certs_commands[] = {
    {"make", "Make the keys and certificates of a recipe, and print a tree of them", make, NULL},
    {"list", "List the recipes that are built in", list, NULL},
    {NULL, NULL, NULL, NULL},
};
