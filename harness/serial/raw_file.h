/*
 * harness/serial/raw_file.h - the raw bytes of a port, kept in a file beside the lines
 *
 * What:     appends bytes to a file of its own. A full disk or a full file does not stop the capture: it is remembered and told once.
 * Limits:   RAW_FILE_MAX_BYTES a file; what comes later is counted, not kept.
 */
#ifndef HARNESS_SERIAL_RAW_FILE_H
#define HARNESS_SERIAL_RAW_FILE_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

enum { RAW_FILE_MAX_BYTES = 256 * 1024 * 1024 };

struct raw_file;

/* Made with mode 0600, or appended to. IO (rig). max_bytes 0: RAW_FILE_MAX_BYTES. */
int raw_file_open(const char *path, uint64_t max_bytes, struct raw_file **ret_file, struct error *error);
void raw_file_write(struct raw_file *file, const void *data, size_t length_bytes);
/* Bytes that are not in the file; 0: it is complete. */
uint64_t raw_file_missing_bytes(const struct raw_file *file);
/* What went wrong first: 0 and `error` untouched when nothing did, else -1. LIMIT or IO (rig). */
int raw_file_check(const struct raw_file *file, struct error *error);
/* NULL allowed. */
void raw_file_close(struct raw_file *file);

#endif
