#include "base/files.h"

#include "base/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int set_open_error(struct error *error, const char *what, const char *path)
{
    int number = errno;
    error_set_errno(error, number == ENOENT || number == EISDIR ? ERROR_OWNER_FILE : ERROR_OWNER_RIG, number, "%s '%s'", what, path);
    if (error && number == ENOENT)
        error->code = ERROR_NOT_FOUND;
    return -1;
}

int file_read(const char *path, size_t max_bytes, struct bytes *ret_bytes, struct error *error)
{
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return set_open_error(error, "read", path);
    CLEANUP(bytes_done) struct bytes all;
    bytes_init(&all, max_bytes);
    char chunk[8192];
    for (;;) {
        ssize_t got = read(fd, chunk, sizeof chunk);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return set_open_error(error, "read", path);
        if (got == 0)
            break;
        if (bytes_append(&all, chunk, (size_t)got))
            return error_set(error, ERROR_OWNER_FILE, ERROR_LIMIT, "read '%s': larger than %zu bytes", path, max_bytes);
    }
    *ret_bytes = all;
    bytes_init(&all, max_bytes);
    return 0;
}

static int write_all(int fd, const void *data, size_t length_bytes)
{
    const char *at = data;
    while (length_bytes) {
        ssize_t put = write(fd, at, length_bytes);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -1;
        at += put;
        length_bytes -= (size_t)put;
    }
    return 0;
}

/* Without the folder's own fsync a power cut may forget the rename. */
static void sync_folder_of(const char *path)
{
    char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = 0;
    else
        snprintf(folder, sizeof folder, ".");
    CLEANUP_FD int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0)
        fsync(fd);
}

/* A device, a pipe, /dev/stdout: a rename would put a file into its place. */
static bool is_passage(const char *path)
{
    static const char descriptors[] = "/proc/";
    char target[PATH_MAX];
    struct stat status;
    if (stat(path, &status) == 0 && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode))
        return true;
    ssize_t length = readlink(path, target, sizeof target);
    return length >= (ssize_t)sizeof descriptors && memcmp(target, descriptors, sizeof descriptors - 1) == 0;
}

static int write_through(const char *path, const void *data, size_t length_bytes, struct error *error)
{
    /* A pipe that nobody reads is an error here, not a wait. */
    CLEANUP_FD int fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fcntl(fd, F_SETFL, 0) || write_all(fd, data, length_bytes))
        return error_set_errno(error, ERROR_OWNER_RIG, errno, "write '%s'", path);
    return 0;
}

static int write_and_rename(const char *path, const void *data, size_t length_bytes, mode_t mode, bool is_synced, struct error *error)
{
    char temporary[PATH_MAX];
    if (is_passage(path))
        return write_through(path, data, length_bytes, error);
    if (snprintf(temporary, sizeof temporary, "%s.XXXXXX", path) >= (int)sizeof temporary)
        return error_set(error, ERROR_OWNER_FILE, ERROR_LIMIT, "write '%s': the path is too long", path);
    CLEANUP_FD int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(error, ERROR_OWNER_RIG, errno, "write '%s'", path);
    if (write_all(fd, data, length_bytes) || fchmod(fd, mode) || (is_synced && fsync(fd)) || rename(temporary, path)) {
        int number = errno;
        unlink(temporary);
        return error_set_errno(error, ERROR_OWNER_RIG, number, "write '%s'", path);
    }
    if (is_synced)
        sync_folder_of(path);
    return 0;
}

int file_write_atomic(const char *path, const void *data, size_t length_bytes, mode_t mode, struct error *error)
{
    return write_and_rename(path, data, length_bytes, mode, true, error);
}

int file_write_unsynced(const char *path, const void *data, size_t length_bytes, mode_t mode, struct error *error)
{
    return write_and_rename(path, data, length_bytes, mode, false, error);
}

static int make_one(const char *path, mode_t mode, struct error *error)
{
    if (mkdir(path, mode) == 0)
        return 0;
    int number = errno;
    struct stat status;
    if (number == EEXIST && stat(path, &status) == 0 && S_ISDIR(status.st_mode))
        return 0;
    if (number == EEXIST)
        return error_set(error, ERROR_OWNER_FILE, ERROR_EXISTS, "make folder '%s': a file of that name is in the way", path);
    return error_set_errno(error, ERROR_OWNER_RIG, number, "make folder '%s'", path);
}

int dir_make(const char *path, mode_t mode, struct error *error)
{
    char part[PATH_MAX];
    if (!*path)
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "make folder '': the name is empty");
    if (snprintf(part, sizeof part, "%s", path) >= (int)sizeof part)
        return error_set(error, ERROR_OWNER_FILE, ERROR_LIMIT, "make folder '%s': the path is too long", path);
    /* A slash at the end would make the last folder one of the parents, which get the usual mode. */
    for (size_t end = strlen(part); end > 1 && part[end - 1] == '/'; end--)
        part[end - 1] = 0;
    for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        if (!path_exists(part) && make_one(part, 0777, error))
            return -1;
        *slash = '/';
    }
    return make_one(part, mode, error);
}

static void close_walk(FTS **walk)
{
    if (*walk)
        fts_close(*walk);
}

/* Gives 0 or an errno. A folder is met twice: before what is in it, and after. */
static int remove_one(const FTSENT *entry)
{
    if (entry->fts_info == FTS_D)
        return 0;
    if (entry->fts_info == FTS_DNR || entry->fts_info == FTS_ERR || entry->fts_info == FTS_NS)
        return entry->fts_errno == ENOENT ? 0 : entry->fts_errno;
    return remove(entry->fts_accpath) && errno != ENOENT ? errno : 0;
}

/* Not nftw with FTW_MOUNT: on overlayfs, where containers live, files have another device number than their folder and would be left out. */
int dir_remove(const char *path, struct error *error)
{
    char *roots[] = {(char *)(uintptr_t)path, NULL};
    CLEANUP(close_walk) FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_XDEV | FTS_NOCHDIR, NULL);
    if (!walk)
        return error_set_errno(error, ERROR_OWNER_RIG, errno, "remove folder '%s'", path);
    for (FTSENT *entry; (entry = fts_read(walk));) {
        int number = remove_one(entry);
        if (number)
            return error_set_errno(error, ERROR_OWNER_RIG, number, "remove '%s' of folder '%s'", entry->fts_path, path);
    }
    return 0;
}

enum { COPY_BYTES = 64 * 1024, COPY_DEPTH_MAX = 16 };

static int copy_bytes(int from, int to)
{
    CLEANUP_FREE char *part = malloc(COPY_BYTES);
    ssize_t length = part ? 1 : -1;
    while (length > 0) {
        length = read(from, part, COPY_BYTES);
        if (length > 0 && write_all(to, part, (size_t)length))
            return -1;
    }
    return length < 0 ? -1 : 0;
}

static int copy_file(const char *from, const char *to, struct error *error)
{
    CLEANUP_FD int source = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (source < 0)
        return error_set_errno(error, ERROR_OWNER_RIG, errno, "read '%s'", from);
    CLEANUP_FD int target = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (target < 0 || copy_bytes(source, target))
        return error_set_errno(error, ERROR_OWNER_RIG, errno, "copy '%s' to '%s'", from, to);
    return 0;
}

static int copy_any(const char *from, const char *to, int depth, struct error *error);

static int copy_folder(const char *from, const char *to, int depth, struct error *error)
{
    char **names = NULL;
    if (depth > COPY_DEPTH_MAX)
        return error_set(error, ERROR_OWNER_FILE, ERROR_LIMIT, "copy '%s': more than %d folders deep", from, COPY_DEPTH_MAX);
    if (dir_make(to, 0755, error) || dir_list(from, "", &names, error))
        return -1;
    int failed = 0;
    for (char **name = names; *name && !failed; name++) {
        CLEANUP_FREE char *from_path = path_join(from, *name), *to_path = path_join(to, *name);
        failed = from_path && to_path ? copy_any(from_path, to_path, depth + 1, error) : error_set_memory(error);
    }
    names_free(names);
    return failed;
}

static int copy_any(const char *from, const char *to, int depth, struct error *error)
{
    struct stat status;
    if (lstat(from, &status))
        return error_set_errno(error, ERROR_OWNER_RIG, errno, "read '%s'", from);
    if (S_ISDIR(status.st_mode))
        return copy_folder(from, to, depth, error);
    return S_ISREG(status.st_mode) ? copy_file(from, to, error) : 0;
}

int tree_copy(const char *from, const char *to, struct error *error)
{
    return copy_any(from, to, 0, error);
}

bool path_exists(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0;
}

char *path_join(const char *dir, const char *name)
{
    char *joined;
    return asprintf(&joined, "%s/%s", dir, name) < 0 ? NULL : joined;
}

char *path_absolute(const char *path)
{
    char *absolute = realpath(path, NULL);
    if (absolute)
        return absolute;
    char current[PATH_MAX];
    if (path[0] == '/' || !getcwd(current, sizeof current))
        return strdup(path);
    return path_join(current, path);
}

static bool ends_in(const char *name, const char *suffix)
{
    size_t length = strlen(name), tail = strlen(suffix);
    return length > tail && strcmp(name + length - tail, suffix) == 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void names_free(char **names)
{
    for (char **name = names; name && *name; name++)
        free(*name);
    free(names);
}
DEFINE_CLEANUP(char **, names_free)

static int add_name(char ***names, size_t *count, const char *name)
{
    char **more = realloc(*names, (*count + 2) * sizeof *more);
    if (!more)
        return -1;
    *names = more;
    more[*count] = strdup(name);
    more[*count + 1] = NULL;
    return more[*count] ? (int)(++*count, 0) : -1;
}

static void close_dir(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

int dir_list(const char *dir, const char *suffix, char ***ret_names, struct error *error)
{
    CLEANUP(names_free_cleanup) char **names = calloc(1, sizeof *names);
    if (!names)
        return error_set_memory(error);
    size_t count = 0;
    CLEANUP(close_dir) DIR *stream = opendir(dir);
    if (!stream && errno != ENOENT)
        return error_set_errno(error, ERROR_OWNER_RIG, errno, "list folder '%s'", dir);
    for (struct dirent *entry; stream && (entry = readdir(stream));) {
        if (entry->d_name[0] == '.' || !ends_in(entry->d_name, suffix))
            continue;
        if (add_name(&names, &count, entry->d_name))
            return error_set_memory(error);
    }
    qsort(names, count, sizeof *names, compare_names);
    *ret_names = TAKE(names);
    return 0;
}

int dir_lock(const char *path, int *ret_fd, struct error *error)
{
    CLEANUP_FD int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return set_open_error(error, "lock folder", path);
    if (flock(fd, LOCK_EX | LOCK_NB)) {
        if (errno == EWOULDBLOCK)
            return error_set(error, ERROR_OWNER_RIG, ERROR_BUSY, "lock folder '%s': another process holds it", path);
        return error_set_errno(error, ERROR_OWNER_RIG, errno, "lock folder '%s'", path);
    }
    *ret_fd = TAKE_FD(fd);
    return 0;
}
