#include "broker_sim/store/store.h"

#include "base/cleanup.h"
#include "base/files.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>

enum {
    APPLICATION_ID = 0x44505342, /* "DPSB" */
    CHECKPOINT_PAGES = 4000,     /* the journal is copied back about every 8 MB */
    ASIDE_MAX = 1000,
    ROW_MAX_BYTES = 4 * 1024 * 1024,
};

enum operation { PUT, DELETE, SELECT, OPERATION_COUNT };

/* A change that no transaction holds yet. */
struct change {
    enum store_kind kind;
    char *id;
    char *text; /* NULL: delete */
};

struct store {
    char *path;
    sqlite3 *database;
    sqlite3_stmt *begin;
    sqlite3_stmt *commit;
    sqlite3_stmt *rollback;
    sqlite3_stmt *statements[STORE_KIND_COUNT][OPERATION_COUNT];
    struct change *pending;
    size_t pending_count;
    size_t pending_capacity;
};

DEFINE_CLEANUP(struct store *, store_close)
DEFINE_CLEANUP(sqlite3_stmt *, sqlite3_finalize)

static const struct {
    const char *table;
    const char *collation;
} kinds[] = {
#define X(id, kind_table, kind_collation) [STORE_##id] = {kind_table, kind_collation},
    STORE_KINDS(X)
#undef X
};

/* --- errors --- */

#define MEND "move it away, or start dpsbench-sim with --set-aside, which does that and begins with an empty one"

static int fail(const struct store *store, int code, const char *what, struct error *error)
{
    const char *why = sqlite3_errstr(code);
    int primary = code & 0xff;
    if (primary == SQLITE_NOTADB || primary == SQLITE_CORRUPT)
        return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "%s '%s': %s; " MEND, what, store->path, why);
    if (primary == SQLITE_NOMEM)
        return error_set_memory(error);
    if (primary == SQLITE_FULL)
        why = "the disk is full; make room";
    else if (primary == SQLITE_BUSY)
        why = "another process has it open; end that one";
    return error_set(error, ERROR_OWNER_RIG, ERROR_IO, "%s '%s': %s", what, store->path, why);
}

static int run(struct store *store, const char *sql, const char *what, struct error *error)
{
    int code = sqlite3_exec(store->database, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? 0 : fail(store, code, what, error);
}

/* --- opening --- */

static int read_pragma(struct store *store, const char *sql, int64_t *ret_value, struct error *error)
{
    CLEANUP(sqlite3_finalize_cleanup) sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(store->database, sql, -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code != SQLITE_ROW)
        return fail(store, code, "read", error);
    *ret_value = sqlite3_column_int64(statement, 0);
    return 0;
}

/* ret_version: 0 of an empty file, which is one that we have just made, or one whose first transaction never ended. */
static int check_ours(struct store *store, int64_t *ret_version, struct error *error)
{
    int64_t application, version, tables;
    if (read_pragma(store, "PRAGMA application_id", &application, error) || read_pragma(store, "PRAGMA user_version", &version, error) ||
        read_pragma(store, "SELECT count(*) FROM sqlite_master", &tables, error))
        return -1;
    *ret_version = version;
    if (application == 0 && version == 0 && tables == 0)
        return 0;
    if (application != APPLICATION_ID)
        return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "'%s' is a database of another program; " MEND, store->path);
    if (version > STORE_VERSION)
        return error_set(error, ERROR_OWNER_FILE, ERROR_CONFLICT,
                         "'%s' was written by a newer dpsbench-sim (version %lld of the store, this one knows %d): use that one, or " MEND,
                         store->path, (long long)version, STORE_VERSION);
    return 0;
}

/* A damaged page would else show at the first change that touches it. */
static int check_pages(struct store *store, struct error *error)
{
    CLEANUP(sqlite3_finalize_cleanup) sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(store->database, "PRAGMA quick_check(1)", -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code != SQLITE_ROW)
        return fail(store, code, "check", error);
    const char *text = (const char *)sqlite3_column_text(statement, 0);
    if (text && strcmp(text, "ok") == 0)
        return 0;
    return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "'%s' is damaged: %s; " MEND, store->path, text ? text : "?");
}

/* From the version before 2, the ids of devices and messages have the hub: each hub has devices of its own. Rows that are no JSON are left for the
 * one who reads them to complain about; a message without its device is nobody's. */
static const char to_version_2[] =
    "DELETE FROM messages WHERE json_valid(json) AND json_extract(json, '$.deviceId') NOT IN (SELECT id FROM devices);"
    "UPDATE messages SET json = json_set(json, '$.hub', (SELECT json_extract(devices.json, '$.hub') FROM devices"
    " WHERE devices.id = json_extract(messages.json, '$.deviceId'))) WHERE json_valid(json);"
    "UPDATE messages SET id = json_extract(json, '$.deviceId') || '/' || lower(json_extract(json, '$.hub')) || substr(id, -21)"
    " WHERE json_valid(json);"
    "UPDATE devices SET json = json_set(json, '$.deviceId', id), id = id || '/' || lower(json_extract(json, '$.hub')) WHERE "
    "json_valid(json)";

/* Also for an older file that lacks a table. */
static int make_tables(struct store *store, int64_t version, struct error *error)
{
    char sql[256];
    if (run(store, "BEGIN IMMEDIATE", "write", error))
        return -1;
    for (int kind = 0; kind < STORE_KIND_COUNT; kind++) {
        snprintf(sql, sizeof sql, "CREATE TABLE IF NOT EXISTS %s (id TEXT COLLATE %s PRIMARY KEY, json TEXT NOT NULL)", kinds[kind].table,
                 kinds[kind].collation);
        if (run(store, sql, "make the tables of", error))
            return -1;
    }
    if (version == 1 && run(store, to_version_2, "bring up to date", error))
        return -1;
    snprintf(sql, sizeof sql, "PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT", APPLICATION_ID, STORE_VERSION);
    return run(store, sql, "write", error);
}

/* Nothing here changes the file: it may be somebody else's. */
static int configure_reading(struct store *store, struct error *error)
{
    sqlite3_extended_result_codes(store->database, 1);
    sqlite3_busy_timeout(store->database, STORE_BUSY_MS);
    /* One process writes, and holds the folder's lock: exclusive locking needs no shared memory file and fewer system calls. A commit writes whole
     * pages, each with a checksum; small ones, and rows that are changed in place, halve its cost (docs/adr/0085). The page size is for a new file. */
    return run(store, "PRAGMA page_size = 2048; PRAGMA locking_mode = EXCLUSIVE", "open", error);
}

static int configure_writing(struct store *store, struct error *error)
{
    char sql[128];
    snprintf(sql, sizeof sql, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = %d", CHECKPOINT_PAGES);
    return run(store, sql, "open", error);
}

static int prepare(struct store *store, const char *sql, sqlite3_stmt **ret_statement, struct error *error)
{
    int code = sqlite3_prepare_v3(store->database, sql, -1, SQLITE_PREPARE_PERSISTENT, ret_statement, NULL);
    return code == SQLITE_OK ? 0 : fail(store, code, "prepare a statement for", error);
}

static int prepare_all(struct store *store, struct error *error)
{
    static const char *const forms[] = {
        [PUT] = "INSERT INTO %s (id, json) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET json = excluded.json",
        [DELETE] = "DELETE FROM %s WHERE id = ?",
        [SELECT] = "SELECT id, json FROM %s ORDER BY id",
    };
    char sql[128];
    for (int kind = 0; kind < STORE_KIND_COUNT; kind++) {
        for (int operation = 0; operation < OPERATION_COUNT; operation++) {
            snprintf(sql, sizeof sql, forms[operation], kinds[kind].table);
            if (prepare(store, sql, &store->statements[kind][operation], error))
                return -1;
        }
    }
    return prepare(store, "BEGIN IMMEDIATE", &store->begin, error) || prepare(store, "COMMIT", &store->commit, error) ||
                   prepare(store, "ROLLBACK", &store->rollback, error)
               ? -1
               : 0;
}

/* SQLite makes the file with the mode of the day, and gives its journal the mode of the file. */
static int make_file(const char *path, struct error *error)
{
    CLEANUP_FD int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    return fd >= 0 ? 0 : error_set_errno(error, ERROR_OWNER_RIG, errno, "open '%s'", path);
}

static int open_database(struct store *store, struct error *error)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
    int code = sqlite3_open_v2(store->path, &store->database, flags, NULL);
    if (code != SQLITE_OK)
        return fail(store, code, "open", error);
    int64_t version = 0;
    if (configure_reading(store, error) || check_ours(store, &version, error))
        return -1;
    if (version && check_pages(store, error))
        return -1;
    return configure_writing(store, error) || make_tables(store, version, error) || prepare_all(store, error) ? -1 : 0;
}

int store_open(const char *dir, struct store **ret_store, struct error *error)
{
    CLEANUP(store_close_cleanup) struct store *store = calloc(1, sizeof *store);
    if (!store || !(store->path = dir ? path_join(dir, STORE_FILE) : strdup(":memory:")))
        return error_set_memory(error);
    if ((dir && make_file(store->path, error)) || open_database(store, error))
        return -1;
    *ret_store = TAKE(store);
    return 0;
}

/* --- changes --- */

static void clear_pending(struct store *store)
{
    for (size_t i = 0; i < store->pending_count; i++) {
        free(store->pending[i].id);
        free(store->pending[i].text);
    }
    store->pending_count = 0;
}

static struct change *new_change(struct store *store, struct error *error)
{
    if (store->pending_count >= STORE_PENDING_MAX) {
        error_set(error, ERROR_OWNER_RIG, ERROR_LIMIT, "'%s': %d changes wait to be written already", store->path, STORE_PENDING_MAX);
        return NULL;
    }
    if (store->pending_count == store->pending_capacity) {
        size_t capacity = store->pending_capacity ? 2 * store->pending_capacity : 16;
        struct change *more = realloc(store->pending, capacity * sizeof *more);
        if (!more) {
            error_set_memory(error);
            return NULL;
        }
        store->pending = more;
        store->pending_capacity = capacity;
    }
    return &store->pending[store->pending_count];
}

/* Takes `text`. */
static int add_change(struct store *store, enum store_kind kind, const char *id, char *text, struct error *error)
{
    CLEANUP_FREE char *owned = text;
    struct change *change = new_change(store, error);
    if (!change)
        return -1;
    char *copy = strdup(id);
    if (!copy)
        return error_set_memory(error);
    *change = (struct change){.kind = kind, .id = copy, .text = TAKE(owned)};
    store->pending_count++;
    return 0;
}

int store_put(struct store *store, enum store_kind kind, const char *id, const cJSON *json, struct error *error)
{
    if (!store)
        return 0;
    char *text = json ? json_print_line(json) : NULL;
    return text ? add_change(store, kind, id, text, error) : error_set_memory(error);
}

int store_delete(struct store *store, enum store_kind kind, const char *id, struct error *error)
{
    return store ? add_change(store, kind, id, NULL, error) : 0;
}

static int step(sqlite3_stmt *statement)
{
    int code = sqlite3_step(statement);
    sqlite3_reset(statement);
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

static int write_change(struct store *store, const struct change *change)
{
    sqlite3_stmt *statement = store->statements[change->kind][change->text ? PUT : DELETE];
    sqlite3_bind_text(statement, 1, change->id, -1, SQLITE_STATIC);
    if (change->text)
        sqlite3_bind_text(statement, 2, change->text, -1, SQLITE_STATIC);
    int code = step(statement);
    sqlite3_clear_bindings(statement);
    return code;
}

static int write_pending(struct store *store)
{
    int code = step(store->begin);
    for (size_t i = 0; i < store->pending_count && code == SQLITE_OK; i++)
        code = write_change(store, &store->pending[i]);
    return code == SQLITE_OK ? step(store->commit) : code;
}

int store_flush(struct store *store, struct error *error)
{
    if (!store || store->pending_count == 0)
        return 0;
    int code = write_pending(store);
    if (code != SQLITE_OK) {
        /* Some errors end the transaction, others leave that to us. */
        if (!sqlite3_get_autocommit(store->database))
            step(store->rollback);
        return fail(store, code, "write", error);
    }
    clear_pending(store);
    return 0;
}

void store_close(struct store *store)
{
    if (!store)
        return;
    if (store->commit)
        store_flush(store, NULL);
    clear_pending(store);
    free(store->pending);
    for (int kind = 0; kind < STORE_KIND_COUNT; kind++)
        for (int operation = 0; operation < OPERATION_COUNT; operation++)
            sqlite3_finalize(store->statements[kind][operation]);
    sqlite3_finalize(store->begin);
    sqlite3_finalize(store->commit);
    sqlite3_finalize(store->rollback);
    sqlite3_close(store->database);
    free(store->path);
    free(store);
}

/* --- reading --- */

static int read_row(const struct store *store, enum store_kind kind, sqlite3_stmt *statement,
                    int (*row)(void *user, const char *id, const cJSON *json, struct error *error), void *user, struct error *error)
{
    const char *id = (const char *)sqlite3_column_text(statement, 0), *text = (const char *)sqlite3_column_text(statement, 1);
    int length = sqlite3_column_bytes(statement, 1);
    if (!id || !text || length > ROW_MAX_BYTES)
        return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "'%s': table %s has a row that is none of ours; " MEND, store->path,
                         kinds[kind].table);
    CLEANUP_JSON cJSON *json = json_parse(text, (size_t)length, kinds[kind].table, error);
    if (!json)
        return error_prefix(error, "'%s', '%s' (" MEND ")", store->path, id);
    return row(user, id, json, error) ? -1 : 0;
}

int store_each(struct store *store, enum store_kind kind, int (*row)(void *user, const char *id, const cJSON *json, struct error *error),
               void *user, struct error *error)
{
    if (!store)
        return 0;
    if (store_flush(store, error))
        return -1;
    sqlite3_stmt *statement = store->statements[kind][SELECT];
    int code, rc = 0;
    while (rc == 0 && (code = sqlite3_step(statement)) != SQLITE_DONE)
        rc = code == SQLITE_ROW ? read_row(store, kind, statement, row, user, error) : fail(store, code, "read", error);
    sqlite3_reset(statement);
    return rc;
}

/* --- setting aside --- */

static int move_beside(const char *path, const char *suffix, const char *end, bool must_exist, struct error *error)
{
    CLEANUP_FREE char *from = NULL, *to = NULL;
    if (asprintf(&from, "%s%s", path, end) < 0)
        from = NULL;
    if (asprintf(&to, "%s%s%s", path, suffix, end) < 0)
        to = NULL;
    if (!from || !to)
        return error_set_memory(error);
    if (rename(from, to) == 0 || (errno == ENOENT && !must_exist))
        return 0;
    return error_set_errno(error, ERROR_OWNER_RIG, errno, "move '%s' to '%s'", from, to);
}

static char *free_name(const char *path, char suffix[32])
{
    for (int number = 1; number <= ASIDE_MAX; number++) {
        snprintf(suffix, 32, ".aside-%d", number);
        CLEANUP_FREE char *aside = NULL;
        if (asprintf(&aside, "%s%s", path, suffix) < 0)
            return aside = NULL;
        if (!path_exists(aside))
            return TAKE(aside);
    }
    return NULL;
}

int store_set_aside(const char *dir, char **ret_path, struct error *error)
{
    CLEANUP_FREE char *path = path_join(dir, STORE_FILE);
    if (!path)
        return error_set_memory(error);
    if (!path_exists(path))
        return error_set(error, ERROR_OWNER_FILE, ERROR_NOT_FOUND, "there is no '%s' to set aside", path);
    char suffix[32];
    CLEANUP_FREE char *aside = free_name(path, suffix);
    if (!aside)
        return error_set(error, ERROR_OWNER_RIG, ERROR_LIMIT, "'%s' was set aside %d times already; remove some", path, ASIDE_MAX);
    /* The journal first: a store without its journal would be taken for a whole one. */
    if (move_beside(path, suffix, "-wal", false, error) || move_beside(path, suffix, "", true, error))
        return -1;
    *ret_path = TAKE(aside);
    return 0;
}
