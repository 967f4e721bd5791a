#include "harness/discover/port_match.h"

#include "base/bytes.h"
#include "base/cleanup.h"

#include <string.h>
#include <strings.h>

enum { CANDIDATES_MAX_BYTES = 700 };

static bool is_equal(const char *a, const char *b)
{
    return *a && strcasecmp(a, b) == 0;
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool is_number_of(const char *usb_serial, const char *word)
{
    return is_equal(usb_serial, word) || (*usb_serial == '0' && is_equal(usb_serial + strspn(usb_serial, "0"), word));
}

/* "nrf9160dk", "nrf9160dk/nrf9160/ns", "nRF9160 DK" */
static bool is_kind(const struct board_kind *kind, const char *word)
{
    if (!kind)
        return false;
    size_t board = strcspn(kind->platform, "/");
    return is_equal(kind->name, word) || is_equal(kind->platform, word) ||
           (strlen(word) == board && strncasecmp(kind->platform, word, board) == 0);
}

bool port_fits(const struct port_info *port, const struct port_probe *probe, const char *word)
{
    return is_equal(port->path, word) || is_equal(last_part(port->path), word) || is_equal(port->by_id, word) ||
           is_equal(last_part(port->by_id), word) || is_number_of(port->usb_serial, word) || is_equal(port->location, word) ||
           is_equal(port->state, word) || is_kind(port->kind, word) || (probe && is_equal(probe->identity.imei, word));
}

static size_t first_of_board(const struct port_list *list, size_t index)
{
    while (index > 0 && port_is_same_board(&list->items[index], &list->items[index - 1]))
        index--;
    return index;
}

static void describe(struct bytes *text, const struct port_info *port)
{
    const char *number = *port->usb_serial ? port->usb_serial : port->location;
    bytes_printf(text, "%s%s%s%s%s", text->length_bytes ? ", " : "", number, *number ? " (" : "", port->path, *number ? ")" : "");
}

static int refuse(const struct port_list *list, const bool *is_candidate, const char *word, size_t count, struct error *error)
{
    CLEANUP(bytes_done) struct bytes text = {.max_bytes = CANDIDATES_MAX_BYTES};
    for (size_t i = 0; i < list->count; i++)
        if (is_candidate ? is_candidate[i] : first_of_board(list, i) == i)
            describe(&text, &list->items[i]);
    if (count > 1)
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "'%s' fits %zu boards: %s; name one by its serial number or its port", word,
                         count, bytes_text(&text));
    return error_set(error, ERROR_OWNER_FILE, ERROR_NOT_FOUND, "no board here is '%s'; there %s%s", word,
                     text.length_bytes ? "are: " : "is none", bytes_text(&text));
}

int port_choose(const struct port_list *list, const struct port_probe *probes, const char *word, bool *is_chosen, struct error *error)
{
    bool is_candidate[PORTS_MAX] = {false};
    size_t count = 0, chosen = 0;
    for (size_t i = 0; i < list->count; i++) {
        size_t first = first_of_board(list, i);
        if (is_candidate[first] || !port_fits(&list->items[i], probes ? &probes[i] : NULL, word))
            continue;
        is_candidate[first] = true;
        chosen = first;
        count++;
    }
    if (count != 1)
        return refuse(list, count ? is_candidate : NULL, word, count, error);
    for (size_t i = chosen; i < list->count && first_of_board(list, i) == chosen; i++)
        is_chosen[i] = true;
    return 0;
}
