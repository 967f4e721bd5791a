#include "harness/provision/manifest.h"

#include "base/cleanup.h"
#include "base/files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>

enum { FOLDER_MODE = 0755, FILE_MODE = 0644, HOLDER_MAX_BYTES = 256, CLAIM_NAME_MAX_BYTES = 256 };

struct manifest {
    char *folder;
    cJSON *records; /* oldest first */
};

DEFINE_CLEANUP(struct manifest *, manifest_close)

static char *journal_path(const struct manifest *manifest)
{
    return path_join(manifest->folder, "journal.jsonl");
}

/* ---- reading ---- */

static int read_line(cJSON *records, const char *line, size_t length, const char *path, size_t number, struct error *error)
{
    if (length == 0)
        return 0;
    cJSON *record = json_parse(line, length, path, error);
    if (!record)
        return error_prefix(error, "line %zu", number);
    return cJSON_AddItemToArray(records, record) ? 0 : error_set_memory(error);
}

/* A last line without its end was cut by a kill or a full disk: its board was never told to be done. */
static int read_lines(cJSON *records, const struct bytes *journal, const char *path, struct error *error)
{
    const char *at = bytes_text(journal), *end = at + journal->length_bytes, *line_end;
    for (size_t number = 1; (line_end = memchr(at, '\n', (size_t)(end - at))); number++, at = line_end + 1) {
        struct error why = ERROR_INIT;
        if (read_line(records, at, (size_t)(line_end - at), path, number, &why) == 0)
            continue;
        /* Torn by a kill, and ended by whoever appended next. */
        if (why.code != ERROR_SYNTAX)
            return (int)(*error = why, -1);
    }
    return 0;
}

int manifest_reread(struct manifest *manifest, struct error *error)
{
    CLEANUP_FREE char *path = journal_path(manifest);
    CLEANUP(bytes_done) struct bytes journal = {0};
    CLEANUP_JSON cJSON *records = cJSON_CreateArray();
    if (!path || !records)
        return error_set_memory(error);
    if (path_exists(path) && (file_read(path, MANIFEST_MAX_BYTES, &journal, error) || read_lines(records, &journal, path, error)))
        return -1;
    cJSON_Delete(manifest->records);
    manifest->records = TAKE(records);
    return 0;
}

int manifest_open(const char *folder, struct manifest **ret_manifest, struct error *error)
{
    CLEANUP(manifest_close_cleanup) struct manifest *manifest = calloc(1, sizeof *manifest);
    if (!manifest || !(manifest->folder = strdup(folder)))
        return error_set_memory(error);
    if (dir_make(folder, FOLDER_MODE, error) || manifest_reread(manifest, error))
        return -1;
    *ret_manifest = TAKE(manifest);
    return 0;
}

void manifest_close(struct manifest *manifest)
{
    if (!manifest)
        return;
    cJSON_Delete(manifest->records);
    free(manifest->folder);
    free(manifest);
}

const cJSON *manifest_find(const struct manifest *manifest, const char *member, const char *value)
{
    const cJSON *record, *newest = NULL;
    cJSON_ArrayForEach(record, manifest->records)
    {
        newest = strcasecmp(json_string(record, member, ""), value) == 0 ? record : newest;
    }
    return newest;
}

static bool is_newest(const struct manifest *manifest, const cJSON *record)
{
    return manifest_find(manifest, "imei", json_string(record, "imei", "")) == record;
}

size_t manifest_count(const struct manifest *manifest)
{
    size_t count = 0;
    const cJSON *record;
    cJSON_ArrayForEach(record, manifest->records)
    {
        count += is_newest(manifest, record);
    }
    return count;
}

/* ---- appending ---- */

static int write_line(int fd, struct bytes *line, const char *path, struct error *error)
{
    struct stat about;
    char last = '\n';
    if (fstat(fd, &about) == 0 && about.st_size > 0 && pread(fd, &last, 1, about.st_size - 1) != 1)
        return error_set_errno(error, ERROR_OWNER_RIG, errno, "read '%s'", path);
    /* One write, so that lines of several programs do not mix; behind a torn line a new one begins. */
    const char *at = bytes_text(line) + (last == '\n');
    size_t length = line->length_bytes - (last == '\n');
    ssize_t written = write(fd, at, length);
    if (written == (ssize_t)length && fsync(fd) == 0)
        return 0;
    return error_set_errno(error, ERROR_OWNER_RIG, written < 0 || written == (ssize_t)length ? errno : ENOSPC, "write '%s'", path);
}

int manifest_append(struct manifest *manifest, const cJSON *record, struct error *error)
{
    CLEANUP_FREE char *path = journal_path(manifest), *text = json_print_line(record);
    CLEANUP(bytes_done) struct bytes line = {.max_bytes = JSON_FILE_MAX_BYTES};
    if (!path || !text || bytes_printf(&line, "\n%s\n", text))
        return error_set_memory(error);
    CLEANUP_FD int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, FILE_MODE);
    if (fd < 0)
        return error_set_errno(error, ERROR_OWNER_RIG, errno, "write '%s'", path);
    if (write_line(fd, &line, path, error))
        return -1;
    return manifest_reread(manifest, error);
}

/* ---- the manifest ---- */

static const struct {
    const char *column, *path;
} columns[] = {
    {"imei", "imei"},
    {"registration_id", "registration_id"},
    {"device", "device"},
    {"model", "model"},
    {"firmware", "firmware"},
    {"device_uuid", "device_uuid"},
    {"sec_tag", "sec_tag"},
    {"key", "key"},
    {"serial_number", "certificate.serial"},
    {"sha1_thumbprint", "certificate.sha1"},
    {"sha256_thumbprint", "certificate.sha256"},
    {"ca_sha256_thumbprint", "ca_sha256"},
    {"not_before", "certificate.not_before"},
    {"not_after", "certificate.not_after"},
    {"verified", "is_verified"},
    {"proof", "proof.kind"},
    {"hub", "proof.hub"},
    {"provisioned_at", "provisioned_at"},
};

/* RFC 4180 */
static int append_field(struct bytes *csv, const cJSON *value)
{
    if (cJSON_IsNumber(value))
        return bytes_printf(csv, "%.0f", value->valuedouble);
    if (cJSON_IsBool(value))
        return bytes_append_text(csv, cJSON_IsTrue(value) ? "true" : "false");
    const char *text = cJSON_IsString(value) ? value->valuestring : "";
    bool is_quoted = strpbrk(text, ",\"\r\n") != NULL;
    int rc = is_quoted ? bytes_append_byte(csv, '"') : 0;
    for (; *text && !rc; text++)
        rc = *text == '"' ? bytes_append_text(csv, "\"\"") : bytes_append_byte(csv, (uint8_t)*text);
    return rc || !is_quoted ? rc : bytes_append_byte(csv, '"');
}

static int append_row(struct bytes *csv, const cJSON *record)
{
    for (size_t i = 0; i < ARRAY_COUNT(columns); i++)
        if ((i && bytes_append_byte(csv, ',')) ||
            (record ? append_field(csv, json_path(record, columns[i].path)) : bytes_append_text(csv, columns[i].column)))
            return -1;
    return bytes_append_text(csv, "\r\n");
}

static int write_csv(const struct manifest *manifest, struct error *error)
{
    CLEANUP_FREE char *path = path_join(manifest->folder, "manifest.csv");
    CLEANUP(bytes_done) struct bytes csv = {.max_bytes = MANIFEST_MAX_BYTES};
    const cJSON *record;
    if (!path || append_row(&csv, NULL))
        return error_set_memory(error);
    cJSON_ArrayForEach(record, manifest->records)
    {
        if (is_newest(manifest, record) && append_row(&csv, record))
            return error_set_memory(error);
    }
    return file_write_atomic(path, bytes_text(&csv), csv.length_bytes, FILE_MODE, error);
}

static cJSON *manifest_json(const struct manifest *manifest)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject(), *boards = cJSON_CreateArray();
    const cJSON *record;
    cJSON_ArrayForEach(record, manifest->records)
    {
        cJSON *copy = is_newest(manifest, record) ? cJSON_Duplicate(record, true) : NULL;
        if (copy)
            cJSON_AddItemToArray(boards, copy);
    }
    if (!json || json_set_integer(json, "v", MANIFEST_VERSION) || json_set(json, "boards", TAKE(boards)))
        return NULL;
    return TAKE(json);
}

int manifest_write(const struct manifest *manifest, struct error *error)
{
    CLEANUP_FREE char *path = path_join(manifest->folder, "manifest.json");
    CLEANUP_JSON cJSON *json = manifest_json(manifest);
    if (!path || !json)
        return error_set_memory(error);
    return json_write_file(path, json, FILE_MODE, error) || write_csv(manifest, error) ? -1 : 0;
}

/* ---- claims ---- */

static int say_holder(const char *path, const char *kind, const char *value, struct error *error)
{
    CLEANUP(bytes_done) struct bytes holder = {0};
    file_read(path, HOLDER_MAX_BYTES, &holder, NULL);
    if (strcmp(kind, "imei") == 0)
        return error_set(
            error, ERROR_OWNER_FILE, ERROR_BUSY,
            "IMEI %s is being provisioned as '%s' at this moment: is the same board on two ports, or have two boards one IMEI?", value,
            bytes_text(&holder));
    return error_set(error, ERROR_OWNER_FILE, ERROR_BUSY,
                     "the registration id '%s' is being given to '%s' at this moment: ids must differ; use {imei} in --id", value,
                     bytes_text(&holder));
}

int manifest_claim(const struct manifest *manifest, const char *kind, const char *value, const char *holder, int *ret_fd,
                   struct error *error)
{
    char name[CLAIM_NAME_MAX_BYTES];
    CLEANUP_FREE char *folder = path_join(manifest->folder, "claims");
    snprintf(name, sizeof name, "%s-%s", kind, value);
    for (char *at = name; *at; at++)
        *at = (char)(*at == '/' ? '_' : *at >= 'A' && *at <= 'Z' ? *at - 'A' + 'a' : *at);
    CLEANUP_FREE char *path = folder ? path_join(folder, name) : NULL;
    if (!path)
        return error_set_memory(error);
    if (dir_make(folder, FOLDER_MODE, error))
        return -1;
    CLEANUP_FD int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, FILE_MODE);
    if (fd < 0)
        return error_set_errno(error, ERROR_OWNER_RIG, errno, "open '%s'", path);
    if (flock(fd, LOCK_EX | LOCK_NB))
        return say_holder(path, kind, value, error);
    if (ftruncate(fd, 0) || write(fd, holder, strlen(holder)) < 0)
        return error_set_errno(error, ERROR_OWNER_RIG, errno, "write '%s'", path);
    *ret_fd = TAKE_FD(fd);
    return 0;
}
