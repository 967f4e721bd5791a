/*
 * reports/line_file.h - a file that grows by lines and only ever holds whole ones
 *
 * What:     appends each line with one write, so that whoever reads meanwhile, or after a kill, sees whole lines. When the disk refuses (it
 *           is full), the torn line is taken back and the file stays as it is: a beginning without a hole, never a patchwork.
 */
#ifndef REPORTS_LINE_FILE_H
#define REPORTS_LINE_FILE_H

#include "base/error.h"

#include <stdint.h>

struct line_file;

/* Makes `path`, or goes on behind its last whole line: one that a power cut tore is cut off. IO (rig). ret_lines: those that are there; may be NULL. */
int line_file_open(const char *path, struct line_file **ret_file, int64_t *ret_lines, struct error *error);
/* `text`: without a line end. IO (rig): it is not in the file, and nothing will be from now on; each later call fails with the first error. */
int line_file_append(struct line_file *file, const char *text, struct error *error);
/* What was appended survives a power cut. Best effort: it returns nothing, a disk that refuses shows at the next append. */
void line_file_sync(struct line_file *file);
void line_file_close(struct line_file *file); /* NULL allowed */

#endif
