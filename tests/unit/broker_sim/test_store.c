#include "broker_sim/store/store.h"

#include "base/cleanup.h"
#include "base/files.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/cmocka.h"

struct fixture {
    char dir[64];
    struct store *store;
};

static struct store *open_in(const char *dir)
{
    struct store *store = NULL;
    struct error error = ERROR_INIT;
    if (store_open(dir, &store, &error))
        fail_msg("%s", error.text);
    return store;
}

static void setup(struct fixture *fixture)
{
    *fixture = (struct fixture){.dir = "/tmp/dpsbench-store-XXXXXX"};
    assert_non_null(mkdtemp(fixture->dir));
    fixture->store = open_in(fixture->dir);
}

static void reopen(struct fixture *fixture)
{
    store_close(TAKE(fixture->store));
    fixture->store = open_in(fixture->dir);
}

static void teardown(struct fixture *fixture)
{
    store_close(fixture->store);
    dir_remove(fixture->dir, NULL);
}

static void put(struct store *store, enum store_kind kind, const char *id, int value)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    assert_int_equal(json_set_integer(json, "value", value), 0);
    assert_int_equal(store_put(store, kind, id, json, NULL), 0);
}

static int add_row(void *user, const char *id, const cJSON *json, struct error *error)
{
    (void)error;
    return bytes_printf(user, "%s=%d ", id, (int)json_integer(json, "value", -1));
}

static void assert_rows(struct store *store, enum store_kind kind, const char *expected)
{
    CLEANUP(bytes_done) struct bytes text;
    bytes_init(&text, 65536);
    assert_int_equal(store_each(store, kind, add_row, &text, NULL), 0);
    assert_string_equal(bytes_text(&text), expected);
}

static void path_of(const struct fixture *fixture, const char *name, char path[128])
{
    snprintf(path, 128, "%s/%s", fixture->dir, name);
}

static void write_file(const struct fixture *fixture, const char *name, const void *data, size_t length)
{
    char path[128];
    path_of(fixture, name, path);
    assert_int_equal(file_write_atomic(path, data, length, 0600, NULL), 0);
}

static void what_was_put_is_there_after_reopening(void **state)
{
    (void)state;
    CLEANUP(teardown) struct fixture fixture;
    setup(&fixture);
    put(fixture.store, STORE_REGISTRATION, "dev-02", 2);
    put(fixture.store, STORE_REGISTRATION, "dev-01", 1);
    put(fixture.store, STORE_DEVICE, "dev-01", 7);
    put(fixture.store, STORE_REGISTRATION, "dev-03", 3);
    assert_int_equal(store_delete(fixture.store, STORE_REGISTRATION, "dev-03", NULL), 0);
    assert_int_equal(store_delete(fixture.store, STORE_REGISTRATION, "never-there", NULL), 0);
    reopen(&fixture);
    assert_rows(fixture.store, STORE_REGISTRATION, "dev-01=1 dev-02=2 ");
    assert_rows(fixture.store, STORE_DEVICE, "dev-01=7 ");
    assert_rows(fixture.store, STORE_MESSAGE, "");
}

static void registration_ids_have_no_case_and_device_ids_have(void **state)
{
    (void)state;
    CLEANUP(teardown) struct fixture fixture;
    setup(&fixture);
    put(fixture.store, STORE_REGISTRATION, "Dev", 1);
    put(fixture.store, STORE_REGISTRATION, "dEV", 2);
    put(fixture.store, STORE_DEVICE, "Dev", 1);
    put(fixture.store, STORE_DEVICE, "dEV", 2);
    assert_rows(fixture.store, STORE_REGISTRATION, "Dev=2 ");
    assert_rows(fixture.store, STORE_DEVICE, "Dev=1 dEV=2 ");
}

static void a_killed_process_keeps_what_it_flushed(void **state)
{
    (void)state;
    CLEANUP(teardown) struct fixture fixture;
    setup(&fixture);
    store_close(TAKE(fixture.store));
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct store *store = open_in(fixture.dir);
        put(store, STORE_REGISTRATION, "flushed", 1);
        if (store_flush(store, NULL))
            _exit(1);
        put(store, STORE_REGISTRATION, "pending", 2);
        kill(getpid(), SIGKILL);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    fixture.store = open_in(fixture.dir);
    assert_rows(fixture.store, STORE_REGISTRATION, "flushed=1 ");
}

/* A limit on the size of files stands for a disk that is full: writes fail, and the same writes succeed later. */
static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void a_flush_that_fails_keeps_its_changes_for_the_next_one(void **state)
{
    (void)state;
    CLEANUP(teardown) struct fixture fixture;
    struct error error = ERROR_INIT;
    setup(&fixture);
    signal(SIGXFSZ, SIG_IGN);
    put(fixture.store, STORE_REGISTRATION, "before", 1);
    assert_int_equal(store_flush(fixture.store, NULL), 0);
    limit_files(1024);
    put(fixture.store, STORE_REGISTRATION, "full", 2);
    assert_int_equal(store_flush(fixture.store, &error), -1);
    assert_int_equal(error.owner, ERROR_OWNER_RIG);
    assert_int_equal(error.code, ERROR_IO);
    assert_non_null(strstr(error.text, fixture.dir));
    put(fixture.store, STORE_REGISTRATION, "later", 3);
    assert_int_equal(store_flush(fixture.store, NULL), -1);
    limit_files(RLIM_INFINITY);
    assert_int_equal(store_flush(fixture.store, NULL), 0);
    reopen(&fixture);
    assert_rows(fixture.store, STORE_REGISTRATION, "before=1 full=2 later=3 ");
}

static void what_waits_is_bounded(void **state)
{
    (void)state;
    struct store *store = open_in(NULL);
    struct error error = ERROR_INIT;
    for (int i = 0; i < STORE_PENDING_MAX; i++)
        assert_int_equal(store_delete(store, STORE_MESSAGE, "m", NULL), 0);
    assert_int_equal(store_delete(store, STORE_MESSAGE, "m", &error), -1);
    assert_int_equal(error.code, ERROR_LIMIT);
    assert_int_equal(store_flush(store, NULL), 0);
    assert_int_equal(store_delete(store, STORE_MESSAGE, "m", NULL), 0);
    store_close(store);
}

static void assert_refused(const struct fixture *fixture, enum error_code code, const char *part)
{
    struct store *store = NULL;
    struct error error = ERROR_INIT;
    assert_int_equal(store_open(fixture->dir, &store, &error), -1);
    assert_null(store);
    assert_int_equal(error.owner, ERROR_OWNER_FILE);
    assert_int_equal(error.code, code);
    if (!strstr(error.text, part) || !strstr(error.text, fixture->dir) || !strstr(error.text, "--set-aside"))
        fail_msg("'%s' lacks '%s', the folder or the mend", error.text, part);
}

static void change_file(const struct fixture *fixture, off_t offset, const void *data, size_t length)
{
    char path[128];
    path_of(fixture, STORE_FILE, path);
    CLEANUP_FD int fd = open(path, O_RDWR);
    assert_int_equal(pwrite(fd, data, length, offset), (ssize_t)length);
}

/* Offsets of SQLite's header: https://www.sqlite.org/fileformat2.html section 1.3. */
enum { USER_VERSION_AT = 60, APPLICATION_ID_AT = 68, PAGE_BYTES = 2048 };

static void foreign_damaged_and_newer_files_are_refused_and_left_alone(void **state)
{
    (void)state;
    CLEANUP(teardown) struct fixture fixture;
    setup(&fixture);
    put(fixture.store, STORE_DEVICE, "dev-01", 7);
    store_close(TAKE(fixture.store));
    change_file(&fixture, APPLICATION_ID_AT, "\0\0\0\1", 4);
    assert_refused(&fixture, ERROR_SYNTAX, "another program");
    change_file(&fixture, APPLICATION_ID_AT, "DPSB\0", 4);
    change_file(&fixture, USER_VERSION_AT, "\0\0\0\3", 4);
    assert_refused(&fixture, ERROR_CONFLICT, "newer");
    change_file(&fixture, USER_VERSION_AT, "\0\0\0\2", 4);
    store_close(open_in(fixture.dir));
    char broken[2 * PAGE_BYTES];
    memset(broken, 0xA5, sizeof broken);
    change_file(&fixture, (off_t)2 * PAGE_BYTES, broken, sizeof broken);
    assert_refused(&fixture, ERROR_SYNTAX, "damaged");
    write_file(&fixture, STORE_FILE, broken, sizeof broken);
    assert_refused(&fixture, ERROR_SYNTAX, "not a database");
    char path[128];
    path_of(&fixture, STORE_FILE, path);
    CLEANUP(bytes_done) struct bytes now = {0};
    assert_int_equal(file_read(path, 65536, &now, NULL), 0);
    assert_int_equal(now.length_bytes, sizeof broken);
    assert_memory_equal(now.data, broken, sizeof broken);
}

static int print_row(void *user, const char *id, const cJSON *json, struct error *error)
{
    (void)error;
    CLEANUP_FREE char *line = json_print_line(json);
    char *text = user;
    snprintf(text + strlen(text), 1024 - strlen(text), "%s=%s\n", id, line);
    return 0;
}

static void put_text(struct store *store, enum store_kind kind, const char *id, const char *text)
{
    CLEANUP_JSON cJSON *json = cJSON_Parse(text);
    assert_int_equal(store_put(store, kind, id, json, NULL), 0);
}

static void devices_of_an_older_file_get_their_hub_into_their_ids(void **state)
{
    (void)state;
    CLEANUP(teardown) struct fixture fixture;
    setup(&fixture);
    put_text(fixture.store, STORE_DEVICE, "dev-01", "{\"hub\":\"A.net\",\"twin\":{\"version\":2.5,\"\u00e9\":null}}");
    put_text(fixture.store, STORE_DEVICE, "DEV-01", "{\"hub\":\"b.net\"}");
    put_text(fixture.store, STORE_MESSAGE, "dev-01/00000000000000000007", "{\"deviceId\":\"dev-01\",\"number\":7}");
    put_text(fixture.store, STORE_MESSAGE, "gone/00000000000000000008", "{\"deviceId\":\"gone\",\"number\":8}");
    store_close(TAKE(fixture.store));
    change_file(&fixture, USER_VERSION_AT, "\0\0\0\1", 4);
    for (int i = 0; i < 2; i++) {
        char text[1024] = "";
        fixture.store = open_in(fixture.dir);
        assert_int_equal(store_each(fixture.store, STORE_DEVICE, print_row, text, NULL), 0);
        assert_int_equal(store_each(fixture.store, STORE_MESSAGE, print_row, text, NULL), 0);
        assert_string_equal(text, "DEV-01/b.net={\"hub\":\"b.net\",\"deviceId\":\"DEV-01\"}\n"
                                  "dev-01/a.net={\"hub\":\"A.net\",\"twin\":{\"version\":2.5,\"\\u00e9\":null},\"deviceId\":\"dev-01\"}\n"
                                  "dev-01/a.net/00000000000000000007={\"deviceId\":\"dev-01\",\"number\":7,\"hub\":\"A.net\"}\n");
        store_close(TAKE(fixture.store));
    }
}

static void a_file_set_aside_keeps_its_bytes_and_gives_way(void **state)
{
    (void)state;
    CLEANUP(teardown) struct fixture fixture;
    CLEANUP_FREE char *first = NULL, *second = NULL;
    struct error error = ERROR_INIT;
    setup(&fixture);
    store_close(TAKE(fixture.store));
    write_file(&fixture, STORE_FILE, "no store at all", 15);
    write_file(&fixture, STORE_FILE "-wal", "its journal", 11);
    assert_int_equal(store_set_aside(fixture.dir, &first, NULL), 0);
    CLEANUP(bytes_done) struct bytes kept = {0};
    assert_int_equal(file_read(first, 65536, &kept, NULL), 0);
    assert_string_equal(bytes_text(&kept), "no store at all");
    fixture.store = open_in(fixture.dir);
    put(fixture.store, STORE_DEVICE, "dev-01", 7);
    store_close(TAKE(fixture.store));
    assert_int_equal(store_set_aside(fixture.dir, &second, NULL), 0);
    assert_string_not_equal(first, second);
    assert_int_equal(store_set_aside(fixture.dir, &second, &error), -1);
    assert_int_equal(error.code, ERROR_NOT_FOUND);
}

static void the_file_is_for_its_owner_alone(void **state)
{
    (void)state;
    CLEANUP(teardown) struct fixture fixture;
    setup(&fixture);
    put(fixture.store, STORE_DEVICE, "dev-01", 7);
    assert_int_equal(store_flush(fixture.store, NULL), 0);
    static const char *const names[] = {STORE_FILE, STORE_FILE "-wal"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        char path[128];
        struct stat status;
        path_of(&fixture, names[i], path);
        assert_int_equal(stat(path, &status), 0);
        assert_int_equal(status.st_mode & 0777, 0600);
    }
}

static int refuse_row(void *user, const char *id, const cJSON *json, struct error *error)
{
    (void)json;
    ++*(int *)user;
    return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "no %s", id);
}

static void a_row_that_is_refused_ends_the_reading(void **state)
{
    (void)state;
    struct store *store = open_in(NULL);
    struct error error = ERROR_INIT;
    int rows = 0;
    put(store, STORE_DEVICE, "a", 1);
    put(store, STORE_DEVICE, "b", 1);
    assert_int_equal(store_each(store, STORE_DEVICE, refuse_row, &rows, &error), -1);
    assert_string_equal(error.text, "no a");
    assert_int_equal(rows, 1);
    assert_rows(store, STORE_DEVICE, "a=1 b=1 ");
    store_close(store);
}

static void without_a_store_nothing_is_kept_and_nothing_fails(void **state)
{
    (void)state;
    put(NULL, STORE_DEVICE, "a", 1);
    assert_int_equal(store_delete(NULL, STORE_DEVICE, "a", NULL), 0);
    assert_int_equal(store_flush(NULL, NULL), 0);
    assert_int_equal(store_each(NULL, STORE_DEVICE, refuse_row, NULL, NULL), 0);
    store_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_put_is_there_after_reopening),
        cmocka_unit_test(registration_ids_have_no_case_and_device_ids_have),
        cmocka_unit_test(a_killed_process_keeps_what_it_flushed),
        cmocka_unit_test(a_flush_that_fails_keeps_its_changes_for_the_next_one),
        cmocka_unit_test(what_waits_is_bounded),
        cmocka_unit_test(foreign_damaged_and_newer_files_are_refused_and_left_alone),
        cmocka_unit_test(devices_of_an_older_file_get_their_hub_into_their_ids),
        cmocka_unit_test(a_file_set_aside_keeps_its_bytes_and_gives_way),
        cmocka_unit_test(the_file_is_for_its_owner_alone),
        cmocka_unit_test(a_row_that_is_refused_ends_the_reading),
        cmocka_unit_test(without_a_store_nothing_is_kept_and_nothing_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
