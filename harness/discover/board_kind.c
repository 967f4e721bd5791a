#include "harness/discover/board_kind.h"

#include <stddef.h>
#include <string.h>

static const struct board_kind kinds[] = {
    {"nRF9160 DK", "nrf9160dk/nrf9160/ns", {"0009600"}},
    {"nRF9161 DK", "nrf9161dk/nrf9161/ns", {"0010509"}},
    {"nRF9151 DK", "nrf9151dk/nrf9151/ns", {"0010512", "0010520"}},
    {"Thingy:91 X", "thingy91x/nrf9151/ns", {"0010513", "0010550", "0010551", "THINGY91X"}},
    {"Thingy:91", "thingy91/nrf9160/ns", {"THINGY91", "PCA20035"}},
};

static bool has_prefix(const struct board_kind *kind, const char *usb_serial)
{
    for (size_t i = 0; i < sizeof kind->prefixes / sizeof *kind->prefixes && kind->prefixes[i]; i++)
        if (strncmp(usb_serial, kind->prefixes[i], strlen(kind->prefixes[i])) == 0)
            return true;
    return false;
}

const struct board_kind *board_kind_of(const char *usb_serial)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (has_prefix(&kinds[i], usb_serial))
            return &kinds[i];
    return NULL;
}

bool board_vendor_is_known(unsigned int vendor_id)
{
    return vendor_id == 0x1366 || vendor_id == 0x1915;
}
