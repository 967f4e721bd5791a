/*
 * base/json.h - cJSON with files, paths in errors, and ASCII output
 *
 * What:     what cJSON leaves out: reading a file with an error that names the place, writing it atomically, output in which every byte is
 *           ASCII (clients of Azure decode bodies as 7-bit), and getters that say what is wrong.
 * Numbers:  JSON numbers are doubles: integers are exact up to 2^53, so microseconds since 1970 fit and nanoseconds do not.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

DEFINE_CLEANUP(cJSON *, cJSON_Delete)
#define CLEANUP_JSON CLEANUP(cJSON_Delete_cleanup)

enum { JSON_FILE_MAX_BYTES = 4 * 1024 * 1024, JSON_DEPTH_MAX = 64 };

/* Parse. `name` (a path or a topic) stands in the error: "name:line:col: ...". SYNTAX (file), also for a NUL character, raw or
 * escaped; LIMIT (file) for deeper nesting than JSON_DEPTH_MAX. NULL on failure. */
cJSON *json_parse(const char *text, size_t length_bytes, const char *name, struct error *error);
cJSON *json_read_file(const char *path, struct error *error);
int json_write_file(const char *path, const cJSON *json, mode_t mode, struct error *error);
/* As file_write_unsynced: safe from a kill, not from a power cut. */
int json_write_unsynced(const char *path, const cJSON *json, mode_t mode, struct error *error);

/* One line, or indented by two spaces; non-ASCII as \uXXXX. malloc'ed; NULL when out of memory. */
char *json_print_line(const cJSON *json);
/* The same behind what is in `out`, without a line end. -1, and `out` as it was: out of memory, or `out` would exceed its maximum. */
int json_append_line(const cJSON *json, struct bytes *out);
char *json_print_pretty(const cJSON *json);

/* Members. Missing: the fallback. A member of another type counts as missing. Names are case-sensitive. */
const char *json_string(const cJSON *object, const char *name, const char *fallback); /* lent */
int64_t json_integer(const cJSON *object, const char *name, int64_t fallback);
double json_number(const cJSON *object, const char *name, double fallback);
bool json_bool(const cJSON *object, const char *name, bool fallback);
/* The member object or array, NULL when missing or null. */
const cJSON *json_member(const cJSON *object, const char *name);
/* Follow "a.b.c"; NULL when any part is missing. */
const cJSON *json_path(const cJSON *object, const char *dotted);

/* Add or replace a member; a NULL text adds nothing. They return -1 when out of memory. */
int json_set_string(cJSON *object, const char *name, const char *text);
int json_set_integer(cJSON *object, const char *name, int64_t value);
int json_set_bool(cJSON *object, const char *name, bool value);
/* Takes `value` over, in every case. */
int json_set(cJSON *object, const char *name, cJSON *value);

/*
 * The same for objects under construction, without looking for a member of that name and without a copy of the name: it must not be there
 * yet, and `name` must be a literal. A NULL text adds nothing.
 */
int json_add(cJSON *object, const char *name, cJSON *value);
int json_add_string(cJSON *object, const char *name, const char *text);
int json_add_integer(cJSON *object, const char *name, int64_t value);
int json_add_bool(cJSON *object, const char *name, bool value);

#endif
