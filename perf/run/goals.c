#include "perf/run/goals.h"

/*
 * DPS's quota of registrations is 1000 a minute and service (Azure: IoT Hub Device Provisioning Service limits); the goal is 20 times
 * that.
 */
enum { QUOTA_A_MINUTE = 1000, QUOTA_TIMES = 20 };

#define RATIO_CONNACK_TO_BARE 0.90
#define RATIO_CONNACK_TO_MOSQUITTO 1.00
#define RATIO_REGISTRATION_TO_CONNACK 0.75
#define IDLE_KIB 32
#define READY_MS 300
#define OVERHEAD_MS 50
#define SUITE_S 30
#define PKI_S 2
#define JUDGE_US 200
#define ENROLLMENTS_MB 50
#define ENROLLMENTS_START_S 1

static struct goal ratio_goal(const struct figures *figures, const char *id, const char *text, double limit, enum load_id load,
                              enum load_id base)
{
    struct ratio core = figures_core_ratio(figures, load, base), clock = figures_rate_ratio(figures, load, base);
    struct goal goal = {.id = id, .text = text, .unit = "", .limit = limit, .is_at_least = true, .figure = core.median};
    snprintf(goal.detail, sizeof goal.detail, "%.2f to %.2f; by the clock %.2f, %.2f to %.2f", core.least, core.greatest, clock.median,
             clock.least, clock.greatest);
    return goal;
}

static size_t add_rates(const struct figures *figures, struct goal *goals)
{
    double a_minute = 60 * figures_rate(figures, LOAD_REGISTRATION);
    goals[0] = ratio_goal(figures, "connack-to-bare", "CONNACK rate to bare TLS loop", RATIO_CONNACK_TO_BARE, LOAD_CONNACK, LOAD_BARE);
    goals[1] = ratio_goal(figures, "connack-to-mosquitto", "CONNACK rate to Mosquitto's TLS listener", RATIO_CONNACK_TO_MOSQUITTO,
                          LOAD_CONNACK, LOAD_MOSQUITTO);
    goals[2] = ratio_goal(figures, "registration-to-connack", "registration rate to CONNACK rate", RATIO_REGISTRATION_TO_CONNACK,
                          LOAD_REGISTRATION, LOAD_CONNACK);
    goals[3] = (struct goal){.id = "registrations-a-minute",
                             .text = "registrations a minute",
                             .unit = "/min",
                             .limit = QUOTA_TIMES * QUOTA_A_MINUTE,
                             .is_at_least = true,
                             .figure = a_minute};
    snprintf(goals[3].detail, sizeof goals[3].detail, "%.0f times DPS's quota of %d", a_minute / QUOTA_A_MINUTE, QUOTA_A_MINUTE);
    return 4;
}

static size_t add_idle(const struct figures *figures, struct goal *goal)
{
    *goal = (struct goal){
        .id = "idle-device", .text = "memory a device held idle", .unit = " KiB", .limit = IDLE_KIB, .figure = figures->idle_bytes / 1024};
    snprintf(goal->detail, sizeof goal->detail, "%.1f of it the broker, over %zu devices", figures->idle_broker_bytes / 1024,
             figures->idle_count);
    return 1;
}

static size_t add_suite(const struct figures *figures, struct goal *goals)
{
    const struct suite *suite = &figures->suite;
    goals[0] = (struct goal){
        .id = "harness-overhead", .text = "harness overhead a row", .unit = " ms", .limit = OVERHEAD_MS, .figure = suite->overhead_ms};
    goals[1] = (struct goal){.id = "suite", .text = "the suite", .unit = " s", .limit = SUITE_S, .figure = suite->wall_s};
    snprintf(goals[1].detail, sizeof goals[1].detail, "%lld rows", (long long)suite->rows);
    return 2;
}

static size_t add_pki(const struct figures *figures, struct goal *goal)
{
    const struct pki_cost *pki = &figures->pki;
    *goal = (struct goal){.id = "pki", .text = "the suite's PKI, CPU", .unit = " s", .limit = PKI_S, .figure = pki->cpu_s.median};
    snprintf(goal->detail, sizeof goal->detail, "%.2f to %.2f, %zu recipes", pki->cpu_s.least, pki->cpu_s.greatest, pki->recipes);
    return 1;
}

static size_t add_enrollments(const struct figures *figures, struct goal *goals)
{
    const struct enrollments_cost *cost = &figures->enrollments;
    goals[0] = (struct goal){
        .id = "judge", .text = "the judge, a chain of three, CPU", .unit = " us", .limit = JUDGE_US, .figure = cost->judge_us.median};
    goals[1] = (struct goal){.id = "enrollments-memory",
                             .text = "memory of the enrollments",
                             .unit = " MB",
                             .limit = ENROLLMENTS_MB,
                             .figure = cost->bytes / 1e6};
    goals[2] = (struct goal){.id = "enrollments-start",
                             .text = "start with the enrollments, CPU",
                             .unit = " s",
                             .limit = ENROLLMENTS_START_S,
                             .figure = cost->start_cpu_s};
    snprintf(goals[0].detail, sizeof goals[0].detail, "beyond signatures, %zu enrollments; %.0f to %.0f", cost->count, cost->judge_us.least,
             cost->judge_us.greatest);
    snprintf(goals[1].detail, sizeof goals[1].detail, "%.1f KB each", cost->bytes / 1e3 / (double)cost->count);
    snprintf(goals[2].detail, sizeof goals[2].detail, "ready after %.0f ms by the clock", cost->ready_ms);
    return 3;
}

size_t goals_of(const struct figures *figures, struct goal goals[GOALS_MAX])
{
    size_t count = 0;
    if (figures->rounds)
        count += add_rates(figures, goals + count);
    if (figures->idle_count)
        count += add_idle(figures, goals + count);
    if (figures->ready_ms > 0)
        goals[count++] = (struct goal){
            .id = "ready", .text = "simulator ready, PKI there", .unit = " ms", .limit = READY_MS, .figure = figures->ready_ms};
    if (figures->pki.recipes)
        count += add_pki(figures, goals + count);
    if (figures->enrollments.count)
        count += add_enrollments(figures, goals + count);
    if (figures->suite.is_there)
        count += add_suite(figures, goals + count);
    return count;
}

bool goal_is_met(const struct goal *goal)
{
    return goal->is_at_least ? goal->figure >= goal->limit : goal->figure <= goal->limit;
}

bool figures_are_clean(const struct figures *figures)
{
    for (int load = 0; load < LOAD_COUNT; load++)
        for (size_t round = 0; round < figures->rounds; round++)
            if (figures->samples[load][round].failures || figures->samples[load][round].wrong)
                return false;
    return true;
}

/* The table. */

static int decimals_of(const struct goal *goal)
{
    return goal->unit[0] ? goal->limit < 1000 ? 1 : 0 : 2;
}

static void print_goal(const struct goal *goal)
{
    char limit[GOAL_TEXT_BYTES], figure[GOAL_TEXT_BYTES];
    snprintf(limit, sizeof limit, "%s %.*f%s", goal->is_at_least ? ">=" : "<=", decimals_of(goal), goal->limit, goal->unit);
    snprintf(figure, sizeof figure, "%.*f%s", decimals_of(goal), goal->figure, goal->unit);
    printf("%-42s %14s %14s  %-6s  %s\n", goal->text, limit, figure, goal_is_met(goal) ? "met" : "MISSED", goal->detail);
}

static void print_load(const struct figures *figures, enum load_id load)
{
    const struct sample *last = &figures->samples[load][figures->rounds - 1];
    int64_t failures = 0, wrong = 0;
    for (size_t round = 0; round < figures->rounds; round++) {
        failures += figures->samples[load][round].failures;
        wrong += figures->samples[load][round].wrong;
    }
    printf("%-42s %8.0f/s %8.0f us %9.1f %9.1f %9.1f %8lld %8lld\n", load_names[load], figures_rate(figures, load),
           figures_cpu_us(figures, load), last->p50_ms, last->p90_ms, last->p99_ms, (long long)failures, (long long)wrong);
}

void goals_print(const struct figures *figures)
{
    struct goal goals[GOALS_MAX];
    size_t count = goals_of(figures, goals);
    if (figures->rounds)
        printf("%-42s %10s %11s %9s %9s %9s %8s %8s\n", "load (medians; times of the last round)", "rate", "server CPU", "p50 ms", "p90 ms",
               "p99 ms", "failures", "wrong");
    for (int load = 0; load < LOAD_COUNT && figures->rounds; load++)
        print_load(figures, (enum load_id)load);
    printf("\n%-42s %14s %14s  %-6s\n", "goal", "wanted", "figure", "");
    for (size_t i = 0; i < count; i++)
        print_goal(&goals[i]);
}

/* JSON. */

static cJSON *sample_json(const struct sample *sample)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (!json || !cJSON_AddNumberToObject(json, "rate", sample->rate) || !cJSON_AddNumberToObject(json, "p50_ms", sample->p50_ms) ||
        !cJSON_AddNumberToObject(json, "p90_ms", sample->p90_ms) || !cJSON_AddNumberToObject(json, "p99_ms", sample->p99_ms) ||
        !cJSON_AddNumberToObject(json, "server_cpu_us", sample->server_cpu_us) ||
        !cJSON_AddNumberToObject(json, "client_share", sample->client_share) || json_set_integer(json, "failures", sample->failures) ||
        json_set_integer(json, "wrong", sample->wrong))
        return NULL;
    return TAKE(json);
}

static cJSON *load_json(const struct figures *figures, enum load_id load)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    cJSON *rounds = cJSON_AddArrayToObject(json, "rounds");
    if (!rounds || json_set_string(json, "load", load_names[load]))
        return NULL;
    for (size_t round = 0; round < figures->rounds; round++)
        cJSON_AddItemToArray(rounds, sample_json(&figures->samples[load][round]));
    return TAKE(json);
}

static cJSON *goal_json(const struct goal *goal)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (!json || json_set_string(json, "id", goal->id) || json_set_string(json, "text", goal->text) ||
        !cJSON_AddNumberToObject(json, goal->is_at_least ? "at_least" : "at_most", goal->limit) ||
        !cJSON_AddNumberToObject(json, "figure", goal->figure) || json_set_string(json, "unit", goal->unit) ||
        json_set_bool(json, "is_met", goal_is_met(goal)) || json_set_string(json, "detail", goal->detail))
        return NULL;
    return TAKE(json);
}

cJSON *goals_json(const struct figures *figures)
{
    struct goal goals[GOALS_MAX];
    size_t count = goals_of(figures, goals);
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    cJSON *list = cJSON_AddArrayToObject(json, "goals");
    cJSON *loads = cJSON_AddArrayToObject(json, "loads");
    if (!list || !loads || json_set_integer(json, "count", (int64_t)figures->count) ||
        json_set_integer(json, "concurrency", (int64_t)figures->concurrency))
        return NULL;
    for (size_t i = 0; i < count; i++)
        cJSON_AddItemToArray(list, goal_json(&goals[i]));
    for (int load = 0; load < LOAD_COUNT && figures->rounds; load++)
        cJSON_AddItemToArray(loads, load_json(figures, (enum load_id)load));
    return TAKE(json);
}
