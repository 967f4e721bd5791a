/*
 * broker_sim/control/lane.h - lanes that runs lease: a server identity of their own each
 *
 * What:     opens, configures and closes lanes of the front door; forges their server PKI from a recipe's text.
 * Kinds:    "listener": a port of its own on the main lane's address. "host": an SNI name on the main lane's port. "exclusive": the main lane itself,
 *           whose identity is put back when the lease ends.
 * Cost:     an RSA-2048 key takes a few hundred milliseconds, in which the loop stands still; keys are cached by recipe.
 */
#ifndef BROKER_SIM_CONTROL_LANE_H
#define BROKER_SIM_CONTROL_LANE_H

#include "base/bytes.h"
#include "base/clock.h"
#include "base/json.h"
#include "broker_sim/control/lease.h"
#include "broker_sim/front_door/front_door.h"

#define LANE_MAIN "main"

enum lane_kind { LANE_LISTENER, LANE_HOST, LANE_EXCLUSIVE };

struct lanes_options {
    struct front_door *front_door; /* lent */
    const struct clock *clock;
    const char *address; /* numeric, of the main lane; lent, as all texts here */
    uint16_t main_port;
    int tls_max_version;
    const char *const *hosts; /* the first is the one that devices use by default */
    size_t host_count;
    struct lane_identity main_identity;
    const char *main_root_ca; /* PEM text */
    const char *main_recipe;  /* name */
};

struct lanes;

/* "listener", "host", "exclusive". USAGE (file). */
int lane_kind_read(const char *name, enum lane_kind *ret_kind, struct error *error);
const char *lane_kind_name(enum lane_kind kind);

struct lanes *lanes_new(const struct lanes_options *options); /* NULL when out of memory */
void lanes_free(struct lanes *lanes);                         /* the front door closes its lanes itself. NULL allowed */

/*
 * host      SNI name, for LANE_HOST only (else NULL; USAGE when it does not fit the kind).
 * recipe    YAML text of a server recipe; NULL: the main lane's PKI.
 * ret_name  LANE_NAME_BYTES; "main" for LANE_EXCLUSIVE.
 * error     BUSY (rig): the main lane is leased already, or the host name is taken. SYNTAX, USAGE (file): the recipe. As front_door_lane_open.
 */
int lanes_open(struct lanes *lanes, enum lane_kind kind, const char *host, const char *recipe, char *ret_name, struct error *error);
int lanes_configure(struct lanes *lanes, const char *name, const char *recipe, struct error *error);
/*
 * Net and tls knobs of a lane, leased or main, set whole: what `knobs` does not name has its default. From the next connection on.
 * root_pem   initialised by the caller: of the knob server_recipe what a device must trust now; nothing is appended without it
 * error      NOT_FOUND (file): no such lane, with those that there are. USAGE (file): as knobs_apply.
 */
int lanes_set_knobs(struct lanes *lanes, const char *name, const cJSON *knobs, struct bytes *root_pem, struct error *error);
/* [{"lane","kind","address","host","recipe","knobs"}]: the main lane, then the leased ones; of the knobs the turned ones. */
cJSON *lanes_list(const struct lanes *lanes);
/* Sessions that stand see what scenarios say now. */
void lanes_scenarios_changed(struct lanes *lanes);
void lanes_close(struct lanes *lanes, const char *name);
/* {"lane","address","host","root_ca","recipe","knobs"}; NULL when out of memory. */
cJSON *lanes_describe(const struct lanes *lanes, const char *name);
enum lane_kind lanes_kind(const struct lanes *lanes, const char *name);

#endif
