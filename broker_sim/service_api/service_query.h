/*
 * broker_sim/service_api/service_query.h - queries: what is asked for, how many a page, where the last page ended
 *
 * What:     the body {"query": "*"} or "SELECT * FROM enrollments|enrollmentGroups|registrations", x-ms-max-item-count and x-ms-continuation. A
 *           continuation names the last id of the page before: pages stay right when objects come and go between them.
 * Limits:   QUERY_ITEMS_MAX a page. No WHERE: it is refused, not ignored.
 */
#ifndef BROKER_SIM_SERVICE_API_SERVICE_QUERY_H
#define BROKER_SIM_SERVICE_API_SERVICE_QUERY_H

#include "broker_sim/http/http_server.h"
#include "broker_sim/service_api/service_path.h"

enum { QUERY_ITEMS_DEFAULT = 100, QUERY_ITEMS_MAX = 1000 };

struct service_query {
    size_t max_count;
    char after[DPS_ID_MAX_BYTES + 1]; /* "": from the start */
};

/* SYNTAX (file). */
int service_query_read(const struct http_request *request, struct service_query *ret_query, struct error *error);
/* The header of a page that ended with `id` and is not the last. */
void service_query_continue(const char *id, char text[HTTP_HEADER_VALUE_BYTES]);

#endif
