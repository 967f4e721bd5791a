#include "broker_sim/dps/identifier.h"

#include <stdint.h>
#include <stdio.h>

/* FNV-1a: any stable 64 bits will do. */
static uint64_t hash(const char *text)
{
    uint64_t value = 0xcbf29ce484222325U;
    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        value = (value ^ *c) * 0x100000001b3U;
    return value;
}

void identifier_operation_id(const char *id_scope, char text[OPERATION_ID_BYTES])
{
    char uuid[UUID_TEXT_BYTES];
    uuid_make(uuid);
    snprintf(text, OPERATION_ID_BYTES, "5.%016llx.%s", (unsigned long long)hash(id_scope), uuid);
}
