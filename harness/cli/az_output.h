/*
 * harness/cli/az_output.h - JSON on stdout in az's formats
 *
 * What:     --output json, jsonc, table, tsv and none. No JMESPath: Debian has no library of it for C.
 */
#ifndef HARNESS_CLI_AZ_OUTPUT_H
#define HARNESS_CLI_AZ_OUTPUT_H

#include "base/json.h"

/*
 * Write to stdout as az does: `format` json (members sorted, two spaces), table (a line an object, members that are no objects), tsv (likewise,
 * without head), none. -1: another format, or out of memory.
 */
int az_print(const cJSON *json, const char *format);
/* "json", "jsonc", "table", "tsv", "none"; NULL-terminated. */
extern const char *const az_formats[];

#endif
