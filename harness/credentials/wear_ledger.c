#include "harness/credentials/wear_ledger.h"

#include "base/cleanup.h"
#include "base/files.h"

#include <sqlite3.h>
#include <string.h>

enum { APPLICATION_ID = 0x44505745 /* "DPWE" */, LEDGER_VERSION = 1, BUSY_MS = 10000 };

struct wear_ledger {
    sqlite3 *database;
    char *path;
};

DEFINE_CLEANUP(struct wear_ledger *, wear_ledger_close)
DEFINE_CLEANUP(sqlite3_stmt *, sqlite3_finalize)
#define CLEANUP_STATEMENT CLEANUP(sqlite3_finalize_cleanup)

static int fail(const struct wear_ledger *ledger, int code, const char *what, struct error *error)
{
    int primary = code & 0xff;
    bool is_foreign = primary == SQLITE_NOTADB || primary == SQLITE_CORRUPT;
    return error_set(error, is_foreign ? ERROR_OWNER_FILE : ERROR_OWNER_RIG, is_foreign ? ERROR_SYNTAX : ERROR_IO,
                     "%s the wear ledger '%s': %s%s", what, ledger->path, sqlite3_errstr(code),
                     is_foreign ? "; move it away, or name another one with --ledger" : "");
}

static int run(struct wear_ledger *ledger, const char *sql, const char *what, struct error *error)
{
    int code = sqlite3_exec(ledger->database, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? 0 : fail(ledger, code, what, error);
}

char *wear_ledger_default_path(void)
{
    const char *named = getenv("DPSBENCH_LEDGER"), *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    char *path = NULL;
    int length = -1;
    if (named && *named)
        return strdup(named);
    if (state && *state == '/')
        length = asprintf(&path, "%s/dpsbench/wear.db", state);
    else if (home && *home == '/')
        length = asprintf(&path, "%s/.local/state/dpsbench/wear.db", home);
    return length < 0 ? NULL : path;
}

static int make_folder(const char *path, struct error *error)
{
    const char *slash = strrchr(path, '/');
    CLEANUP_FREE char *folder = strndup(path, slash ? (size_t)(slash - path) : 0);
    if (!folder)
        return error_set_memory(error);
    return *folder ? dir_make(folder, 0755, error) : 0;
}

static int read_number(struct wear_ledger *ledger, const char *sql, int *ret_number, struct error *error)
{
    CLEANUP_STATEMENT sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(ledger->database, sql, -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code != SQLITE_ROW)
        return fail(ledger, code, "read", error);
    *ret_number = sqlite3_column_int(statement, 0);
    return 0;
}

static int check_ours(struct wear_ledger *ledger, struct error *error)
{
    int application, version, tables;
    if (read_number(ledger, "PRAGMA application_id", &application, error) || read_number(ledger, "PRAGMA user_version", &version, error) ||
        read_number(ledger, "SELECT count(*) FROM sqlite_master", &tables, error))
        return -1;
    if (application == APPLICATION_ID && version > LEDGER_VERSION)
        return error_set(error, ERROR_OWNER_FILE, ERROR_CONFLICT, "the wear ledger '%s' was written by a newer dpsbench: use that one",
                         ledger->path);
    if (application == APPLICATION_ID || (application == 0 && tables == 0))
        return 0;
    return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "'%s' is a database of another program; name another file with --ledger",
                     ledger->path);
}

static const char schema[] = "CREATE TABLE IF NOT EXISTS wear (device TEXT NOT NULL, sec_tag INTEGER NOT NULL, type INTEGER NOT NULL,"
                             " writes INTEGER NOT NULL DEFAULT 0, deletions INTEGER NOT NULL DEFAULT 0,"
                             " key_generations INTEGER NOT NULL DEFAULT 0, first_unix_s INTEGER NOT NULL, last_unix_s INTEGER NOT NULL,"
                             " PRIMARY KEY (device, sec_tag, type)) WITHOUT ROWID;"
                             "PRAGMA application_id = 1146115909; PRAGMA user_version = 1; COMMIT";
_Static_assert(APPLICATION_ID == 1146115909, "the schema says it in decimal");

int wear_ledger_open(const char *path, struct wear_ledger **ret_ledger, struct error *error)
{
    CLEANUP(wear_ledger_close_cleanup) struct wear_ledger *ledger = calloc(1, sizeof *ledger);
    if (!ledger || !(ledger->path = strdup(path)))
        return error_set_memory(error);
    if (make_folder(path, error))
        return -1;
    int code = sqlite3_open_v2(path, &ledger->database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
    if (code != SQLITE_OK)
        return fail(ledger, code, "open", error);
    sqlite3_busy_timeout(ledger->database, BUSY_MS);
    /* In one transaction: of two programs that make it, neither sees what the other has half made. */
    if (run(ledger, "BEGIN IMMEDIATE", "read", error) || check_ours(ledger, error) || run(ledger, schema, "write", error))
        return -1;
    *ret_ledger = TAKE(ledger);
    return 0;
}

void wear_ledger_close(struct wear_ledger *ledger)
{
    if (!ledger)
        return;
    sqlite3_close(ledger->database);
    free(ledger->path);
    free(ledger);
}

static const char *const counts[] = {
    "INSERT INTO wear (device, sec_tag, type, first_unix_s, last_unix_s, writes) VALUES (?1, ?2, ?3, ?4, ?4, 1)"
    " ON CONFLICT DO UPDATE SET writes = writes + 1, last_unix_s = ?4",
    "INSERT INTO wear (device, sec_tag, type, first_unix_s, last_unix_s, deletions) VALUES (?1, ?2, ?3, ?4, ?4, 1)"
    " ON CONFLICT DO UPDATE SET deletions = deletions + 1, last_unix_s = ?4",
    "INSERT INTO wear (device, sec_tag, type, first_unix_s, last_unix_s, key_generations) VALUES (?1, ?2, ?3, ?4, ?4, 1)"
    " ON CONFLICT DO UPDATE SET key_generations = key_generations + 1, last_unix_s = ?4",
};
_Static_assert(ARRAY_COUNT(counts) == WEAR_KIND_COUNT, "one statement a kind");

int wear_ledger_count(struct wear_ledger *ledger, const char *device, uint32_t sec_tag, int type, enum wear_kind kind, int64_t unix_s,
                      struct error *error)
{
    CLEANUP_STATEMENT sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(ledger->database, counts[kind], -1, &statement, NULL);
    if (code == SQLITE_OK) {
        sqlite3_bind_text(statement, 1, device, -1, SQLITE_STATIC);
        sqlite3_bind_int64(statement, 2, sec_tag);
        sqlite3_bind_int(statement, 3, type);
        sqlite3_bind_int64(statement, 4, unix_s);
        code = sqlite3_step(statement);
    }
    return code == SQLITE_DONE ? 0 : fail(ledger, code, "count in", error);
}

static int add_row(cJSON *rows, sqlite3_stmt *statement)
{
    static const char *const members[] = {"sec_tag", "type", "writes", "deletions", "key_generations", "first_unix_s", "last_unix_s"};
    CLEANUP_JSON cJSON *row = cJSON_CreateObject();
    if (!row || json_set_string(row, "device", (const char *)sqlite3_column_text(statement, 0)))
        return -1;
    for (size_t i = 0; i < ARRAY_COUNT(members); i++)
        if (json_set_integer(row, members[i], sqlite3_column_int64(statement, (int)i + 1)))
            return -1;
    return cJSON_AddItemToArray(rows, TAKE(row)) ? 0 : -1;
}

int wear_ledger_read(struct wear_ledger *ledger, const char *device, cJSON **ret_rows, struct error *error)
{
    CLEANUP_STATEMENT sqlite3_stmt *statement = NULL;
    CLEANUP_JSON cJSON *rows = cJSON_CreateArray();
    if (!rows)
        return error_set_memory(error);
    int code = sqlite3_prepare_v2(ledger->database,
                                  "SELECT device, sec_tag, type, writes, deletions, key_generations, first_unix_s, last_unix_s FROM wear"
                                  " WHERE ?1 IS NULL OR device = ?1 ORDER BY device, sec_tag, type",
                                  -1, &statement, NULL);
    if (code == SQLITE_OK)
        sqlite3_bind_text(statement, 1, device, -1, SQLITE_STATIC);
    while (code == SQLITE_OK || code == SQLITE_ROW) {
        code = sqlite3_step(statement);
        if (code == SQLITE_ROW && add_row(rows, statement))
            return error_set_memory(error);
    }
    if (code != SQLITE_DONE)
        return fail(ledger, code, "read", error);
    *ret_rows = TAKE(rows);
    return 0;
}
