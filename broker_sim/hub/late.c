/* Answers that a scenario keeps back. */
#include "base/cleanup.h"
#include "broker_sim/hub/service.h"

#include <string.h>

enum { LATE_MAX = 1024 };

static void late_free(struct hub_late *late)
{
    free(late->topic);
    free(late->body);
    free(late);
}

static void late_add(struct hub *hub, uint64_t session, const char *topic, const char *body, int64_t after_ms)
{
    double scale = hub->options.time_scale >= 1 ? hub->options.time_scale : 1;
    struct hub_late *late = hub->late_count < LATE_MAX ? calloc(1, sizeof *late) : NULL;
    if (!late)
        return;
    *late = (struct hub_late){.due = deadline_in_scaled_ms(hub->options.sink.clock, after_ms, scale),
                              .session = session,
                              .topic = strdup(topic),
                              .body = strdup(body)};
    if (!late->topic || !late->body) {
        late_free(late);
        return;
    }
    struct hub_late **end = &hub->late;
    while (*end)
        end = &(*end)->next;
    *end = late;
    hub->late_count++;
    hub_rearm(hub);
}

void late_publish(struct hub *hub, const struct hub_connection *connection, const char *topic, const char *body)
{
    const struct service_port *port = &hub->options.port;
    uint64_t session = connection->session->number;
    struct knobs knobs = scenario_knobs(hub->options.scenarios, connection->device_id);
    enum ack_comes comes = (enum ack_comes)knobs.hub_twin_comes;
    if (comes == ACK_ONCE || comes == ACK_EARLY || /* the front door lets it overtake the PUBACK */
        !fault_happens(hub->options.scenarios, &hub->options.sink, connection->session, connection->device_id, KNOB_hub_twin_comes)) {
        port->publish(port->user, session, topic, body);
        return;
    }
    if (comes == ACK_LATE)
        late_add(hub, session, topic, body, knobs.ack_delay_ms);
    for (int i = 0; comes == ACK_TWICE && i < 2; i++)
        port->publish(port->user, session, topic, body);
}

/* Scenarios may have changed in between: what is due soonest need not be first. */
void late_expire(struct hub *hub)
{
    const struct service_port *port = &hub->options.port;
    for (struct hub_late **at = &hub->late; *at;) {
        struct hub_late *late = *at;
        if (!deadline_has_passed(hub->options.sink.clock, late->due)) {
            at = &late->next;
            continue;
        }
        *at = late->next;
        hub->late_count--;
        port->publish(port->user, late->session, late->topic, late->body);
        late_free(late);
    }
}

void late_end_all(struct hub *hub)
{
    while (hub->late) {
        struct hub_late *late = hub->late;
        hub->late = late->next;
        late_free(late);
    }
}

deadline_t late_next_deadline(const struct hub *hub)
{
    deadline_t next = {INT64_MAX};
    for (const struct hub_late *late = hub->late; late; late = late->next)
        next = deadline_earlier(next, late->due);
    return next;
}
