#include "harness/run/journal.h"

#include "base/files.h"
#include "reports/line_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

struct journal {
    struct line_file *file;
};

DEFINE_CLEANUP(struct journal *, journal_close)

static int open_file(const char *directory, struct journal **ret_journal, struct error *error)
{
    CLEANUP(journal_close_cleanup) struct journal *journal = calloc(1, sizeof *journal);
    CLEANUP_FREE char *path = path_join(directory, JOURNAL_FILE);
    if (!journal || !path)
        return error_set_memory(error);
    if (line_file_open(path, &journal->file, NULL, error))
        return -1;
    *ret_journal = TAKE(journal);
    return 0;
}

/* The file's name is on the disk only when its folder is. */
static void sync_folder(const char *directory)
{
    CLEANUP_FD int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0)
        fsync(fd);
}

int journal_create(const char *directory, cJSON *header, struct journal **ret_journal, struct error *error)
{
    struct journal *journal;
    if (open_file(directory, &journal, error)) {
        cJSON_Delete(header);
        return -1;
    }
    if (journal_append(journal, header, true, error)) {
        journal_close(journal);
        return -1;
    }
    sync_folder(directory);
    *ret_journal = journal;
    return 0;
}

int journal_append(struct journal *journal, cJSON *entry, bool is_synced, struct error *error)
{
    CLEANUP_FREE char *line = entry ? json_print_line(entry) : NULL;
    cJSON_Delete(entry);
    if (!line)
        return error_set_memory(error);
    if (line_file_append(journal->file, line, error))
        return -1;
    if (is_synced)
        line_file_sync(journal->file);
    return 0;
}

void journal_close(struct journal *journal)
{
    if (!journal)
        return;
    line_file_close(journal->file);
    free(journal);
}

/* ---- reading ---- */

struct reader {
    FILE *file;
    char *path;
    char *line;
    size_t capacity;
    int64_t number;
};

static void reader_done(struct reader *reader)
{
    if (reader->file)
        fclose(reader->file);
    free(reader->path);
    free(reader->line);
}

static int reader_open(const char *directory, struct reader *reader, struct error *error)
{
    reader->path = path_join(directory, JOURNAL_FILE);
    if (!reader->path)
        return error_set_memory(error);
    reader->file = fopen(reader->path, "re");
    if (!reader->file && errno == ENOENT)
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "folder '%s' holds no " JOURNAL_FILE ": it is not a run that can be resumed",
                         directory);
    return reader->file ? 0 : error_set_errno(error, ERROR_OWNER_RIG, errno, "read '%s'", reader->path);
}

enum { LINE_FIRST_BYTES = 4096 };

static int make_room(struct reader *reader, size_t length)
{
    if (length + 1 < reader->capacity)
        return 0;
    size_t capacity = reader->capacity ? 2 * reader->capacity : LINE_FIRST_BYTES;
    char *line = realloc(reader->line, capacity);
    if (!line)
        return -1;
    reader->line = line;
    reader->capacity = capacity;
    return 0;
}

/* As getline(), but what is longer than a line may be is not kept: one byte too many tells. 0: the end; -1: out of memory. */
static ssize_t read_line(struct reader *reader)
{
    size_t length = 0;
    for (int byte = 0; byte != '\n' && (byte = getc(reader->file)) != EOF;) {
        if (make_room(reader, length))
            return -1;
        if (length <= JOURNAL_LINE_MAX_BYTES)
            reader->line[length++] = (char)byte;
        else
            reader->line[length - 1] = (char)byte;
    }
    if (length)
        reader->line[length] = 0;
    return (ssize_t)length;
}

/* 0: an entry; 1: the end; -1: an error. The last line may be torn. */
static int read_entry(struct reader *reader, cJSON **ret_entry, struct error *error)
{
    struct error broken = ERROR_INIT;
    ssize_t length = read_line(reader);
    if (length < 0)
        return error_set_memory(error);
    if (length == 0)
        return ferror(reader->file) ? error_set_errno(error, ERROR_OWNER_RIG, errno, "read '%s'", reader->path) : 1;
    reader->number++;
    bool is_torn = reader->line[length - 1] != '\n';
    cJSON *entry = is_torn || length > JOURNAL_LINE_MAX_BYTES ? NULL : json_parse(reader->line, (size_t)length, "", &broken);
    if (entry) {
        *ret_entry = entry;
        return 0;
    }
    bool is_last = fgetc(reader->file) == EOF;
    if (is_last && reader->number > 1)
        return 1;
    if (is_last)
        return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX,
                         "%s: its first line was not written whole: the run ended before a row began; start it again, in another folder",
                         reader->path);
    return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "%s:%lld: this line cannot be read: the run cannot be resumed", reader->path,
                     (long long)reader->number);
}

static int check_header(const cJSON *header, const char *path, struct error *error)
{
    int64_t version = json_integer(header, "v", 0);
    if (version < 1)
        return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "%s: its first line is no header of a run", path);
    if (version > JOURNAL_VERSION)
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE,
                         "%s: version %lld, written by a newer dpsbench (%s); this one reads version %d", path, (long long)version,
                         json_string(header, "version", "?"), JOURNAL_VERSION);
    return 0;
}

static int read_header(struct reader *reader, cJSON **ret_header, struct error *error)
{
    CLEANUP_JSON cJSON *header = NULL;
    int end = read_entry(reader, &header, error);
    if (end > 0)
        return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX,
                         "%s: it is empty: the run ended before it began; start it again, in another folder", reader->path);
    if (end < 0 || check_header(header, reader->path, error))
        return -1;
    *ret_header = TAKE(header);
    return 0;
}

cJSON *journal_read_header(const char *directory, struct error *error)
{
    CLEANUP(reader_done) struct reader reader = {0};
    cJSON *header = NULL;
    return reader_open(directory, &reader, error) || read_header(&reader, &header, error) ? NULL : header;
}

static int read_entries(const char *directory, int (*take)(void *, const cJSON *, struct error *), void *user, struct error *error)
{
    CLEANUP(reader_done) struct reader reader = {0};
    CLEANUP_JSON cJSON *header = NULL;
    if (reader_open(directory, &reader, error) || read_header(&reader, &header, error))
        return -1;
    for (;;) {
        CLEANUP_JSON cJSON *entry = NULL;
        off_t good = ftello(reader.file);
        int end = read_entry(&reader, &entry, error);
        /* Behind a line that counts as never written nobody could go on. */
        if (end > 0 && truncate(reader.path, good))
            return error_set_errno(error, ERROR_OWNER_RIG, errno, "write '%s'", reader.path);
        if (end)
            return end > 0 ? 0 : -1;
        if (take(user, entry, error))
            return error_prefix(error, "%s:%lld", reader.path, (long long)reader.number);
    }
}

int journal_reopen(const char *directory, int (*take)(void *user, const cJSON *entry, struct error *error), void *user,
                   struct journal **ret_journal, struct error *error)
{
    return read_entries(directory, take, user, error) ? -1 : open_file(directory, ret_journal, error);
}
