/*
 * harness/discover/port_list.h - the serial ports that there are: names, USB ids, which of a board's ports
 *
 * What:     reads /sys/class/tty and /dev/serial/by-id, and takes from libserialport what is no USB port; knows virtual DKs by their state
 *           folders (docs/ready.md). Opens nothing.
 * Not here: what answers at a port (port_probe.h).
 * Tests:    DPSBENCH_PORTS_ROOT names a folder that stands for `/`: its sys/class/tty, its dev. libserialport is not asked then.
 * Foreign:  texts of USB descriptors are cut to PORT_TEXT_BYTES, and what is not printable ASCII becomes '?'.
 */
#ifndef HARNESS_DISCOVER_PORT_LIST_H
#define HARNESS_DISCOVER_PORT_LIST_H

#include "base/error.h"
#include "harness/discover/board_kind.h"

#include <stdbool.h>
#include <stddef.h>

enum { PORTS_MAX = 128, PORT_TEXT_BYTES = 128, PORT_PATH_BYTES = 512, PORT_UNKNOWN = -1 };

struct port_info {
    char path[PORT_PATH_BYTES];  /* "/dev/ttyACM0" */
    char by_id[PORT_PATH_BYTES]; /* "/dev/serial/by-id/usb-SEGGER_J-Link_000960012345-if00"; "": none */
    bool is_usb;
    unsigned int vendor_id, product_id;
    char usb_serial[PORT_TEXT_BYTES];
    char manufacturer[PORT_TEXT_BYTES];
    char product[PORT_TEXT_BYTES];
    char location[PORT_TEXT_BYTES]; /* "1-2.3": bus and hub ports, as uhubctl and lsusb name it */
    int interface_number;           /* PORT_UNKNOWN */
    int vcom;                       /* the number of the port on its board, from 0, in the order of interfaces; PORT_UNKNOWN */
    const struct board_kind *kind;  /* NULL: unknown */
    char state[PORT_PATH_BYTES];    /* of a virtual DK: its state folder; "": it is none */
};

struct port_list {
    struct port_info *items;
    size_t count;
};

/* All ports of this machine, sorted by board and interface. Nothing there is an empty list. ret_list: port_list_done() it. */
int port_list_read(struct port_list *ret_list, struct error *error);
/*
 * Put one more: a port (any link to it), or the state folder of a virtual DK, or a folder of such folders. One that is in the list already is not doubled.
 * NOT_FOUND (file): there is no such thing, or no virtual DK runs there. LIMIT (file): PORTS_MAX.
 */
int port_list_add(struct port_list *list, const char *path, struct error *error);
/* The entry that is the same port as `path`; NULL: none. */
const struct port_info *port_list_find(const struct port_list *list, const char *path);
/* Two ports are of one board: the same USB device. */
bool port_is_same_board(const struct port_info *a, const struct port_info *b);
/* What to call the port: by-id when there is one, since that stays, else its path. Lent. */
const char *port_name(const struct port_info *port);
void port_list_done(struct port_list *list); /* NULL allowed */

/* "ROOT/sys/class/tty": `path` below DPSBENCH_PORTS_ROOT. malloc'ed; NULL when out of memory. */
char *port_root_path(const char *path);

#endif
