#include "broker_sim/control/lane.h"

#include "base/cleanup.h"
#include "base/yaml.h"
#include "certs/forge.h"

#include <string.h>

enum { ADDRESS_BYTES = 80, RECIPE_NAME_BYTES = 96, PEM_MAX_BYTES = 64 * 1024 };

struct lane {
    struct lane *next;
    enum lane_kind kind;
    char name[LANE_NAME_BYTES];
    char address[ADDRESS_BYTES]; /* ADDR:PORT */
    char *host;                  /* LANE_HOST */
    struct pki *pki;             /* NULL: the main lane's */
    char recipe[RECIPE_NAME_BYTES];
};

struct lanes {
    struct lanes_options options;
    struct key_cache *keys;
    struct lane *first;
    unsigned made_count;
};

static const char *const kind_names[] = {"listener", "host", "exclusive", NULL};

int lane_kind_read(const char *name, enum lane_kind *ret_kind, struct error *error)
{
    for (size_t i = 0; kind_names[i]; i++)
        if (strcmp(kind_names[i], name) == 0)
            return (int)(*ret_kind = (enum lane_kind)i, 0);
    return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "there is no kind of lane '%.64s'; there are listener, host and exclusive",
                     name);
}

const char *lane_kind_name(enum lane_kind kind)
{
    return kind_names[kind];
}

DEFINE_CLEANUP(struct lanes *, lanes_free)

struct lanes *lanes_new(const struct lanes_options *options)
{
    CLEANUP(lanes_free_cleanup) struct lanes *lanes = calloc(1, sizeof *lanes);
    if (!lanes)
        return NULL;
    lanes->options = *options;
    lanes->keys = key_cache_new();
    return lanes->keys ? TAKE(lanes) : NULL;
}

static void lane_free(struct lane *lane)
{
    pki_free(lane->pki);
    free(lane->host);
    free(lane);
}
DEFINE_CLEANUP(struct lane *, lane_free)

void lanes_free(struct lanes *lanes)
{
    while (lanes && lanes->first) {
        struct lane *lane = lanes->first;
        lanes->first = lane->next;
        lane_free(lane);
    }
    if (lanes)
        key_cache_free(lanes->keys);
    free(lanes);
}

static struct lane *find(const struct lanes *lanes, const char *name)
{
    struct lane *lane = lanes->first;
    while (lane && strcmp(lane->name, name) != 0)
        lane = lane->next;
    return lane;
}

/* A text that is one of ours goes by its name. Others get one of their own, so that two recipes never share cached keys. */
static void name_recipe(const char *text, char *ret_name)
{
    for (const char *const *name = recipe_builtin_names(); *name; name++) {
        if (strcmp(recipe_builtin_text(*name), text) == 0) {
            snprintf(ret_name, RECIPE_NAME_BYTES, "%s", *name);
            return;
        }
    }
    uint64_t hash = 0xcbf29ce484222325U;
    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        hash = (hash ^ *c) * 0x100000001b3U;
    snprintf(ret_name, RECIPE_NAME_BYTES, "server_recipe-%016llx", (unsigned long long)hash);
}

DEFINE_CLEANUP(struct recipe *, recipe_free)

static int read_server_recipe(const char *text, const char *name, struct recipe **ret_recipe, struct error *error)
{
    CLEANUP(recipe_free_cleanup) struct recipe *recipe = NULL;
    if (recipe_read_text(text, strlen(text), name, &recipe, error))
        return -1;
    if (!recipe_is_for_server(recipe))
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "recipe '%s' has no 'server:': it does not say what a server sends", name);
    *ret_recipe = TAKE(recipe);
    return 0;
}

/* The lane's names: those of the simulator, and its own SNI name first. */
static int forge(struct lanes *lanes, const char *text, const char *name, const char *host, struct pki **ret_pki, struct error *error)
{
    CLEANUP(recipe_free_cleanup) struct recipe *recipe = NULL;
    if (read_server_recipe(text, name, &recipe, error))
        return -1;
    size_t count = lanes->options.host_count;
    CLEANUP_FREE const char **hosts = calloc(count + 1, sizeof *hosts);
    if (!hosts)
        return error_set_memory(error);
    memcpy(hosts, lanes->options.hosts, count * sizeof *hosts);
    if (host)
        hosts[count++] = host;
    struct forge_variables variables = {.dps_host = host ? host : hosts[0], .hosts = hosts, .host_count = count};
    return forge_pki(recipe, &variables, lanes->options.clock, lanes->keys, ret_pki, error);
}

static struct lane_identity identity_of(const struct lanes *lanes, const struct pki *pki)
{
    if (!pki)
        return lanes->options.main_identity;
    /* The front door takes references and changes nothing. */
    return (struct lane_identity){
        .leaf = pki_server_leaf(pki), .key = pki_server_key(pki), .intermediates = (x509_stack *)(uintptr_t)pki_server_intermediates(pki)};
}

DEFINE_CLEANUP(struct pki *, pki_free)

/* recipe NULL: the main lane's PKI. */
static int set_pki(struct lanes *lanes, struct lane *lane, const char *recipe, struct error *error)
{
    char name[RECIPE_NAME_BYTES];
    CLEANUP(pki_free_cleanup) struct pki *pki = NULL;
    snprintf(name, sizeof name, "%s", lanes->options.main_recipe);
    if (recipe)
        name_recipe(recipe, name);
    if (recipe && forge(lanes, recipe, name, lane->host, &pki, error))
        return -1;
    pki_free(lane->pki);
    lane->pki = TAKE(pki);
    snprintf(lane->recipe, sizeof lane->recipe, "%s", name);
    return 0;
}

static int check_host(const struct lanes *lanes, enum lane_kind kind, const char *host, struct error *error)
{
    if ((kind == LANE_HOST) != (host != NULL))
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE,
                         kind == LANE_HOST ? "a lane of kind 'host' needs 'host', its SNI name" : "'host' goes with kind 'host' only");
    for (const struct lane *lane = lanes->first; host && lane; lane = lane->next)
        if (lane->host && strcasecmp(lane->host, host) == 0)
            return error_set(error, ERROR_OWNER_RIG, ERROR_BUSY, "host name '%.128s' is leased already, as %s", host, lane->name);
    return 0;
}

static void set_address(struct lane *lane, const char *address, uint16_t port)
{
    const char *format = strchr(address, ':') ? "[%s]:%u" : "%s:%u";
    snprintf(lane->address, sizeof lane->address, format, address, port);
}

static int open_at_front_door(struct lanes *lanes, struct lane *lane, struct error *error)
{
    const struct lanes_options *options = &lanes->options;
    struct lane_identity identity = identity_of(lanes, lane->pki);
    uint16_t port = options->main_port;
    struct lane_options lane_options = {
        .name = lane->name,
        .address = options->address,
        .parent = lane->kind == LANE_HOST ? LANE_MAIN : NULL,
        .host = lane->host,
        .tls_max_version = options->tls_max_version,
        .identity = identity,
    };
    int rc = lane->kind == LANE_EXCLUSIVE ? front_door_lane_set_identity(options->front_door, LANE_MAIN, &identity, error)
                                          : front_door_lane_open(options->front_door, &lane_options, &port, error);
    if (rc)
        return -1;
    set_address(lane, options->address, lane->kind == LANE_LISTENER ? port : options->main_port);
    return 0;
}

int lanes_open(struct lanes *lanes, enum lane_kind kind, const char *host, const char *recipe, char *ret_name, struct error *error)
{
    if (check_host(lanes, kind, host, error))
        return -1;
    if (kind == LANE_EXCLUSIVE && find(lanes, LANE_MAIN))
        return error_set(error, ERROR_OWNER_RIG, ERROR_BUSY, "the main lane is leased already");
    CLEANUP(lane_free_cleanup) struct lane *lane = calloc(1, sizeof *lane);
    if (!lane || (host && !(lane->host = strdup(host))))
        return error_set_memory(error);
    lane->kind = kind;
    if (kind == LANE_EXCLUSIVE)
        snprintf(lane->name, sizeof lane->name, LANE_MAIN);
    else
        snprintf(lane->name, sizeof lane->name, "lane-%u", ++lanes->made_count);
    if (set_pki(lanes, lane, recipe, error) || open_at_front_door(lanes, lane, error))
        return -1;
    snprintf(ret_name, LANE_NAME_BYTES, "%s", lane->name);
    lane->next = lanes->first;
    lanes->first = TAKE(lane);
    return 0;
}

int lanes_configure(struct lanes *lanes, const char *name, const char *recipe, struct error *error)
{
    struct lane *lane = find(lanes, name);
    if (!lane)
        return error_set(error, ERROR_OWNER_FILE, ERROR_NOT_FOUND, "lane '%.64s' is not leased", name);
    if (set_pki(lanes, lane, recipe, error))
        return -1;
    struct lane_identity identity = identity_of(lanes, lane->pki);
    return front_door_lane_set_identity(lanes->options.front_door, lane->name, &identity, error);
}

void lanes_close(struct lanes *lanes, const char *name)
{
    struct lane **at = &lanes->first;
    while (*at && strcmp((*at)->name, name) != 0)
        at = &(*at)->next;
    if (!*at)
        return;
    CLEANUP(lane_free_cleanup) struct lane *lane = *at;
    *at = lane->next;
    if (lane->kind == LANE_EXCLUSIVE) {
        front_door_lane_set_identity(lanes->options.front_door, LANE_MAIN, &lanes->options.main_identity, NULL);
        front_door_lane_set_knobs(lanes->options.front_door, LANE_MAIN, NULL, NULL);
    } else
        front_door_lane_close(lanes->options.front_door, lane->name, NULL);
}

/* --- knobs --- */

static int fail_lane(const struct lanes *lanes, const char *name, struct error *error)
{
    char names[512] = LANE_MAIN;
    for (const struct lane *lane = lanes->first; lane; lane = lane->next)
        if (lane->kind != LANE_EXCLUSIVE)
            snprintf(names + strlen(names), sizeof names - strlen(names), ", %s", lane->name);
    return error_set(error, ERROR_OWNER_FILE, ERROR_NOT_FOUND, "there is no lane '%.64s'; there are: %s", name, names);
}

/* The knob server_recipe: what is forged for it the front door holds; the lane's own chain waits here. */
static int set_server_recipe(struct lanes *lanes, const char *name, const char *recipe, bool was_turned, struct bytes *root_pem,
                             struct error *error)
{
    const struct lane *lane = find(lanes, name);
    CLEANUP(pki_free_cleanup) struct pki *pki = NULL;
    if (!recipe[0] && !was_turned)
        return 0;
    if (recipe[0] && forge(lanes, recipe_builtin_text(recipe), recipe, lane ? lane->host : NULL, &pki, error))
        return -1;
    struct lane_identity identity = identity_of(lanes, pki ? pki : lane ? lane->pki : NULL);
    if (pki && certificate_append_pem(pki_server_root(pki), root_pem))
        return error_set_memory(error);
    return front_door_lane_set_identity(lanes->options.front_door, name, &identity, error);
}

int lanes_set_knobs(struct lanes *lanes, const char *name, const cJSON *object, struct bytes *root_pem, struct error *error)
{
    struct knobs knobs;
    const struct knobs *before = front_door_lane_knobs(lanes->options.front_door, name);
    if (strcmp(name, LANE_MAIN) != 0 && !find(lanes, name))
        return fail_lane(lanes, name, error);
    knobs_init(&knobs);
    if (knobs_apply(&knobs, KNOB_TARGET_LANE, object, error))
        return -1;
    if (set_server_recipe(lanes, name, knobs.server_recipe, before && before->server_recipe[0], root_pem, error))
        return -1;
    return front_door_lane_set_knobs(lanes->options.front_door, name, &knobs, error);
}

static cJSON *turned_knobs(const struct lanes *lanes, const char *name)
{
    const struct knobs *knobs = front_door_lane_knobs(lanes->options.front_door, name);
    return knobs ? knobs_turned_to_json(knobs, KNOB_TARGET_LANE) : cJSON_CreateObject();
}

static cJSON *list_item(const struct lanes *lanes, const char *name, const char *kind, const char *address, const char *host,
                        const char *recipe)
{
    CLEANUP_JSON cJSON *object = cJSON_CreateObject();
    if (json_set_string(object, "lane", name) || json_set_string(object, "kind", kind) || json_set_string(object, "address", address) ||
        json_set_string(object, "host", host) || json_set_string(object, "recipe", recipe) ||
        json_set(object, "knobs", turned_knobs(lanes, name)))
        return NULL;
    return TAKE(object);
}

cJSON *lanes_list(const struct lanes *lanes)
{
    const struct lane *main_lane = find(lanes, LANE_MAIN);
    struct lane unleased = {.kind = LANE_LISTENER};
    set_address(&unleased, lanes->options.address, lanes->options.main_port);
    cJSON *list = cJSON_CreateArray();
    cJSON_AddItemToArray(list, list_item(lanes, LANE_MAIN, main_lane ? lane_kind_name(LANE_EXCLUSIVE) : "main", unleased.address,
                                         lanes->options.hosts[0], main_lane ? main_lane->recipe : lanes->options.main_recipe));
    for (const struct lane *lane = lanes->first; lane; lane = lane->next)
        if (lane != main_lane)
            cJSON_AddItemToArray(list, list_item(lanes, lane->name, lane_kind_name(lane->kind), lane->address,
                                                 lane->host ? lane->host : lanes->options.hosts[0], lane->recipe));
    return list;
}

/* As it is sent: the leaf first. */
static int append_chain(const struct lane_identity *identity, struct bytes *pem)
{
    return certificate_append_pem(identity->leaf, pem) || (identity->intermediates && certificates_append_pem(identity->intermediates, pem))
               ? -1
               : 0;
}

cJSON *lanes_describe(const struct lanes *lanes, const char *name)
{
    const struct lane *lane = find(lanes, name);
    CLEANUP(bytes_done) struct bytes pem = {.max_bytes = PEM_MAX_BYTES}, chain = {.max_bytes = PEM_MAX_BYTES};
    if (!lane)
        return NULL;
    struct lane_identity identity = identity_of(lanes, lane->pki);
    if ((lane->pki && certificate_append_pem(pki_server_root(lane->pki), &pem)) || append_chain(&identity, &chain))
        return NULL;
    CLEANUP_JSON cJSON *object = cJSON_CreateObject();
    if (json_set_string(object, "lane", lane->name) || json_set_string(object, "address", lane->address) ||
        json_set_string(object, "host", lane->host ? lane->host : lanes->options.hosts[0]) ||
        json_set_string(object, "root_ca", lane->pki ? bytes_text(&pem) : lanes->options.main_root_ca) ||
        json_set_string(object, "chain", bytes_text(&chain)) || json_set_string(object, "recipe", lane->recipe) ||
        json_set(object, "knobs", turned_knobs(lanes, lane->name)))
        return NULL;
    return TAKE(object);
}

enum lane_kind lanes_kind(const struct lanes *lanes, const char *name)
{
    const struct lane *lane = find(lanes, name);
    return lane ? lane->kind : LANE_LISTENER;
}

void lanes_scenarios_changed(struct lanes *lanes)
{
    front_door_reload_faults(lanes->options.front_door);
}
