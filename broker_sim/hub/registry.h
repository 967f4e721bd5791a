/*
 * broker_sim/hub/registry.h - the device identities of all hubs
 *
 * What:     each hub (a host name, compared without regard to case) has identities of its own, one a device id (compared with regard to case, as IoT
 *           Hub does): how the device proves itself, its twin, the messages that wait for it. DPS makes one when it assigns (hub_registry_assign), a
 *           person by hand (hub_registry_create). The same device id at two hubs is two devices.
 * Why:      DPS creates identities of the kind "selfSigned" with the leaf's thumbprint, for enrollment groups too: a device that rolls its
 *           leaf is refused by the hub until it registers again.
 * Kept:     every change is put into the store that hub_registry_load was given; whoever tells of it flushes that first (service_port.h,
 *           commit). hub_device_to_json and hub_device_from_json are the form there.
 * Limits:   HUB_DEVICES_MAX identities; twin.h, c2d.h.
 */
#ifndef BROKER_SIM_HUB_REGISTRY_H
#define BROKER_SIM_HUB_REGISTRY_H

#include "broker_sim/hub/c2d.h"
#include "broker_sim/hub/twin.h"
#include "broker_sim/store/store.h"
#include "certs/chain.h"
#include "certs/sas_token.h"

enum { HUB_DEVICES_MAX = 100000, HUB_TEXT_MAX_BYTES = 255, HUB_DEVICE_ID_MAX_BYTES = 128 };

/* Azure's words for authentication.type, in this order: "selfSigned", "certificateAuthority", "sas". */
enum hub_authentication {
    HUB_BY_THUMBPRINT, /* the leaf with one of two thumbprints, whoever signed it */
    HUB_BY_CA,         /* a chain to a verified CA, CN equal to the device id */
    HUB_BY_SAS,        /* a token that one of two keys signed */
};
const char *hub_authentication_name(enum hub_authentication authentication);
/* USAGE (file): another word. */
int hub_authentication_read(const char *name, enum hub_authentication *ret_authentication, struct error *error);

struct hub_registry;
struct hub_connection; /* of the service: service.h */

/* Of a pair the first is the primary one; "": none. */
struct hub_device {
    struct hub_registry *registry; /* that it belongs to */
    struct hub_device *next;       /* of the same device id, at another hub: they are sorted by hub */
    char device_id[HUB_DEVICE_ID_MAX_BYTES + 1];
    char hub[HUB_TEXT_MAX_BYTES + 1];
    enum hub_authentication authentication;
    char thumbprints[2][SHA256_HEX_BYTES]; /* SHA-1 or SHA-256, upper hex */
    char keys[2][SAS_KEY_TEXT_BYTES];
    bool is_disabled;
    struct twin twin;
    struct c2d_queue messages;
    bool has_kept_subscription;        /* to its messages, by a session that is not clean ... */
    int kept_qos;                      /* ... granted so */
    struct hub_connection *connection; /* the newest; NULL: none */
};

struct hub_registry *hub_registry_new(void);           /* NULL when out of memory */
void hub_registry_free(struct hub_registry *registry); /* NULL allowed */

/* Read all devices of `kept` (lent for the life of the registry), and put every change there from now on. SYNTAX (file), LIMIT, MEMORY, IO (rig). */
int hub_registry_load(struct hub_registry *registry, struct store *kept, struct error *error);
/* All that is kept of a device but its messages, which have rows of their own. Given; NULL when out of memory. */
cJSON *hub_device_to_json(const struct hub_device *device);
/* Fill all but `registry`, `next`, device_id, hub, messages and `connection`; members that are missing keep what is there. SYNTAX (file), MEMORY. */
int hub_device_from_json(const cJSON *json, struct hub_device *device, struct error *error);

/* `leaving` is called before an identity goes, with all that it has: deleted, or moved to another hub. There is one watcher, NULL: none. */
void hub_registry_watch(struct hub_registry *registry, void (*leaving)(void *user, struct hub_device *device), void *user);

/* Lent, as the following two, until the identity goes or the registry ends. NULL when there is none. */
struct hub_device *hub_registry_find(const struct hub_registry *registry, const char *hub, const char *device_id);
/* At whichever hub: the first one by name, and by its `next` the others. NULL when no hub knows the device id. */
struct hub_device *hub_registry_first(const struct hub_registry *registry, const char *device_id);
/* What a person means: hub NULL is the only hub that knows the device. NULL: NOT_FOUND, USAGE (file): several know it, and the text names them. */
struct hub_device *hub_registry_pick(const struct hub_registry *registry, const char *hub, const char *device_id, struct error *error);
size_t hub_registry_count(const struct hub_registry *registry);
/* In the order of device ids, then of hubs. `visit` must not make or delete a device. */
void hub_registry_each(const struct hub_registry *registry, void (*visit)(void *user, struct hub_device *device), void *user);

/* What DPS knows when a registration ends. */
enum hub_twin_fate {
    HUB_TWIN_KEEP,  /* the same hub as before, or reprovisioning that migrates data: the twin comes along from the hub before */
    HUB_TWIN_RESET, /* reprovisioning that resets data: as a new identity, from the enrollment's initialTwin */
};
struct hub_assignment {
    const char *hub;
    const char *device_id;
    const char *hub_before; /* where the registration had put it until now, and under which name; NULL or "": nowhere */
    const char *device_id_before;
    enum hub_authentication authentication;
    const char *thumbprint;    /* HUB_BY_THUMBPRINT: of the leaf that registered; NULL or "" : none was presented */
    const char *keys[2];       /* HUB_BY_SAS: primary and secondary, base64; NULL: none */
    const cJSON *initial_twin; /* {"tags":{},"properties":{"desired":{}}}; NULL: empty. Used for a new identity and for HUB_TWIN_RESET */
    enum hub_twin_fate twin;
};
/*
 * Make the identity, or replace the authentication of the one that the hub has already: that one keeps its messages (not with HUB_TWIN_RESET) and its
 * connection, and stays disabled when it is. When the device comes from another hub, its identity there goes, with what waits for it.
 *
 * error   LIMIT (rig): HUB_DEVICES_MAX. LIMIT, SYNTAX (file): the initial twin is none, or a name is too long. MEMORY. Nothing is changed then.
 */
int hub_registry_assign(struct hub_registry *registry, const struct hub_assignment *assignment, struct error *error);

/* The usual case: by thumbprint, the twin stays. */
static inline int hub_registry_put(struct hub_registry *registry, const char *hub, const char *device_id, const char *thumbprint,
                                   struct error *error)
{
    const struct hub_assignment assignment = {.hub = hub, .device_id = device_id, .thumbprint = thumbprint};
    return hub_registry_assign(registry, &assignment, error);
}

/*
 * By hand, from {"deviceId","hub","status","authentication":{"type","x509Thumbprint":{"primaryThumbprint","secondaryThumbprint"},"symmetricKey":
 * {"primaryKey","secondaryKey"}}}. Without keys, two are made for type "sas", which is also the default, as in Azure.
 *
 * error   EXISTS, USAGE, SYNTAX (file); LIMIT.
 */
int hub_registry_create(struct hub_registry *registry, const cJSON *json, struct hub_device **ret_device, struct error *error);
/* The members that are there replace those of the device. USAGE, SYNTAX (file). */
int hub_device_update(struct hub_device *device, const cJSON *json, struct error *error);
/* With its twin and messages. */
int hub_registry_delete(struct hub_registry *registry, struct hub_device *device, struct error *error);

/* twin_patch, kept. */
int hub_device_twin_patch(struct hub_device *device, enum twin_part part, const cJSON *patch, struct error *error);
/* Is to be called after a change of has_kept_subscription, kept_qos. */
int hub_device_keep(struct hub_device *device, struct error *error);

/* A message from hub.send's parameters, into the queue. ret_message: lent. LIMIT (file): C2D_QUEUE_MAX wait. USAGE, SYNTAX (file). */
int hub_device_enqueue(struct hub_device *device, const cJSON *params, int64_t now_unix_s, struct c2d_message **ret_message,
                       struct error *error);
/* It is being delivered once more. */
void hub_device_count_delivery(struct hub_device *device, struct c2d_message *message);
/* Out of the queue, and of the store. */
void hub_device_end_message(struct hub_device *device, struct c2d_message *message, enum c2d_outcome outcome);

#endif
