/*
 * harness/discover/board_kind.h - which board a USB serial number belongs to
 *
 * Source:   the table of NordicSemiconductor/nrfcredstore (J-Link serial numbers of Nordic's kits begin with a number of the kit); board names of Zephyr 3.7.
 *           SEGGER's vendor id is 1366, Nordic's 1915.
 */
#ifndef HARNESS_DISCOVER_BOARD_KIND_H
#define HARNESS_DISCOVER_BOARD_KIND_H

#include <stdbool.h>

struct board_kind {
    const char *name;     /* "nRF9160 DK" */
    const char *platform; /* "nrf9160dk/nrf9160/ns" */
    const char *prefixes[4];
};

/* Lent for ever; NULL: none that we know. */
const struct board_kind *board_kind_of(const char *usb_serial);
/* A vendor whose boards may be asked with AT commands although nobody named the port. */
bool board_vendor_is_known(unsigned int vendor_id);

#endif
