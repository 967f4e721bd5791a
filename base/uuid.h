/*
 * base/uuid.h - random UUIDs, version 4 (RFC 9562)
 *
 * Random:   OpenSSL's RAND_bytes; names, not secrets.
 */
#ifndef BASE_UUID_H
#define BASE_UUID_H

enum { UUID_TEXT_BYTES = 37 };

/* "4469ed4c-dc19-4af8-8b36-9ef6396ac1b3" */
void uuid_make(char text[UUID_TEXT_BYTES]);

#endif
