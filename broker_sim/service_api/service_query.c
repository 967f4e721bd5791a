#include "broker_sim/service_api/service_query.h"

#include "base/cleanup.h"
#include "base/percent.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define TOKEN_START "1."

/* The next word; "" at the end. `*at` moves behind it. */
static void next_word(const char **at, char word[32])
{
    *at += strspn(*at, " \t\r\n");
    size_t length = strcspn(*at, " \t\r\n");
    snprintf(word, 32, "%.*s", (int)(length < 31 ? length : 31), *at);
    *at += length;
}

static bool is_table(const char *word)
{
    return strcasecmp(word, "enrollments") == 0 || strcasecmp(word, "enrollmentGroups") == 0 || strcasecmp(word, "registrations") == 0 ||
           strcasecmp(word, "registrationStates") == 0;
}

static bool asks_for_all(const char *query)
{
    char word[32];
    next_word(&query, word);
    if (strcasecmp(word, "select") == 0)
        next_word(&query, word);
    if (strcmp(word, "*") != 0)
        return false;
    next_word(&query, word);
    if (!*word)
        return true;
    bool is_from = strcasecmp(word, "from") == 0;
    next_word(&query, word);
    if (!is_from || !is_table(word))
        return false;
    next_word(&query, word);
    return !*word;
}

static int read_body(const struct http_request *request, struct error *error)
{
    CLEANUP_JSON cJSON *json = json_parse(request->body, request->body_bytes, "body", error);
    if (!json)
        return -1;
    const char *query = json_string(json, "query", NULL);
    if (query && asks_for_all(query))
        return 0;
    return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX,
                     "query: send \"*\" or \"SELECT * FROM enrollments\" (enrollmentGroups, registrations); Azure documents no WHERE, and "
                     "none is simulated");
}

static int read_count(const char *text, size_t *ret_count, struct error *error)
{
    char *end;
    if (!text) {
        *ret_count = QUERY_ITEMS_DEFAULT;
        return 0;
    }
    long count = isdigit((unsigned char)*text) ? strtol(text, &end, 10) : 0;
    if (count < 1 || *end)
        return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "x-ms-max-item-count '%.64s' is no number from 1 on", text);
    *ret_count = count < QUERY_ITEMS_MAX ? (size_t)count : QUERY_ITEMS_MAX;
    return 0;
}

static int read_continuation(const char *text, char after[DPS_ID_MAX_BYTES + 1], struct error *error)
{
    after[0] = 0;
    if (!text || !*text)
        return 0;
    size_t start = strlen(TOKEN_START);
    if (strncmp(text, TOKEN_START, start) == 0 && percent_decode(text + start, strlen(text + start), after, DPS_ID_MAX_BYTES + 1) == 0 &&
        *after)
        return 0;
    return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "x-ms-continuation '%.64s' is none that this service gave", text);
}

int service_query_read(const struct http_request *request, struct service_query *ret_query, struct error *error)
{
    struct service_query query;
    if (read_body(request, error) || read_count(request->max_item_count, &query.max_count, error) ||
        read_continuation(request->continuation, query.after, error))
        return -1;
    *ret_query = query;
    return 0;
}

void service_query_continue(const char *id, char text[HTTP_HEADER_VALUE_BYTES])
{
    CLEANUP(bytes_done) struct bytes token;
    bytes_init(&token, HTTP_HEADER_VALUE_BYTES - 1);
    text[0] = 0;
    if (bytes_append_text(&token, TOKEN_START) == 0 && percent_encode(&token, id, strlen(id)) == 0)
        snprintf(text, HTTP_HEADER_VALUE_BYTES, "%s", bytes_text(&token));
}
