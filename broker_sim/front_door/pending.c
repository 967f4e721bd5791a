#include "broker_sim/front_door/pending.h"

#include <stdlib.h>

struct pending *pending_new(uint16_t packet_id, uint8_t ack_type, size_t count)
{
    struct pending *pending = calloc(1, sizeof *pending + count * sizeof pending->filters[0]);
    if (!pending)
        return NULL;
    pending->packet_id = packet_id;
    pending->ack_type = ack_type;
    return pending;
}

void pending_free(struct pending *pending)
{
    if (!pending)
        return;
    for (size_t i = 0; i < pending->count; i++)
        free(pending->filters[i].filter);
    free(pending);
}

void pending_push(struct pending_list *list, struct pending *pending)
{
    struct pending **end = &list->first;
    while (*end)
        end = &(*end)->next;
    *end = pending;
    list->count++;
}

struct pending *pending_take(struct pending_list *list, uint16_t packet_id, uint8_t ack_type)
{
    for (struct pending **at = &list->first; *at; at = &(*at)->next) {
        struct pending *found = *at;
        if (found->packet_id != packet_id || found->ack_type != ack_type)
            continue;
        *at = found->next;
        list->count--;
        return found;
    }
    return NULL;
}

void pending_clear(struct pending_list *list)
{
    while (list->first) {
        struct pending *first = list->first;
        list->first = first->next;
        pending_free(first);
    }
    list->count = 0;
}
