#include "broker_sim/dps/identifier.h"

#include <openssl/rand.h>
#include <stdint.h>
#include <stdio.h>

void identifier_uuid(char text[UUID_TEXT_BYTES])
{
    uint8_t b[16] = {0};
    RAND_bytes(b, sizeof b);
    b[6] = (uint8_t)((b[6] & 0x0F) | 0x40);
    b[8] = (uint8_t)((b[8] & 0x3F) | 0x80);
    snprintf(text, UUID_TEXT_BYTES, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2], b[3], b[4],
             b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

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
    identifier_uuid(uuid);
    snprintf(text, OPERATION_ID_BYTES, "5.%016llx.%s", (unsigned long long)hash(id_scope), uuid);
}
