#include "reports/timeline.h"

#include "base/cleanup.h"
#include "base/files.h"
#include "base/json.h"
#include "reports/line_file.h"

struct timeline {
    struct line_file *file;
    int64_t line;
    int64_t own_seq;
};

DEFINE_CLEANUP(struct timeline *, timeline_close)

int timeline_open(const char *directory, struct timeline **ret_timeline, struct error *error)
{
    CLEANUP(timeline_close_cleanup) struct timeline *timeline = calloc(1, sizeof *timeline);
    CLEANUP_FREE char *path = path_join(directory, TIMELINE_FILE);
    if (!timeline || !path)
        return error_set_memory(error);
    if (line_file_open(path, &timeline->file, &timeline->line, error))
        return -1;
    *ret_timeline = TAKE(timeline);
    return 0;
}

int timeline_add_own(struct timeline *timeline, cJSON *event, struct error *error)
{
    if (json_set_integer(event, "seq", ++timeline->own_seq))
        return error_set_memory(error);
    return timeline_add(timeline, event, error);
}

int timeline_add(struct timeline *timeline, const cJSON *event, struct error *error)
{
    CLEANUP_FREE char *line = json_print_line(event);
    if (!line)
        return error_set_memory(error);
    if (line_file_append(timeline->file, line, error))
        return -1;
    timeline->line++;
    return 0;
}

void timeline_sync(struct timeline *timeline)
{
    line_file_sync(timeline->file);
}

int64_t timeline_line(const struct timeline *timeline)
{
    return timeline->line;
}

void timeline_close(struct timeline *timeline)
{
    if (!timeline)
        return;
    line_file_close(timeline->file);
    free(timeline);
}
