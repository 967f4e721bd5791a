#include "harness/serial/serial_backend.h"

#include "base/cleanup.h"
#include "harness/serial/network_address.h"

#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <stdint.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* Documentation/admin-guide/devices.txt of Linux: Unix98 pty slaves have the majors 136 to 143. */
enum { PTY_MAJOR_FIRST = 136, PTY_MAJOR_LAST = 143 };

enum { HOLDER_BYTES = 96, PROC_PATH_BYTES = 64 };

const struct serial_backend *serial_backend_for(const char *path)
{
    struct stat status;
    if (network_address_is(path))
        return &serial_backend_gensio;
    if (stat(path, &status) || !S_ISCHR(status.st_mode))
        return &serial_backend_libserialport;
    unsigned int number = major(status.st_rdev);
    bool is_pty = number >= PTY_MAJOR_FIRST && number <= PTY_MAJOR_LAST;
    return is_pty ? &serial_backend_termios : &serial_backend_libserialport;
}

static void describe_process(int pid, char *ret_holder)
{
    char path[PROC_PATH_BYTES], name[32] = "";
    snprintf(path, sizeof(path), "/proc/%d/comm", pid);
    CLEANUP_FILE FILE *file = fopen(path, "re");
    if (file && fgets(name, sizeof(name), file))
        name[strcspn(name, "\n")] = 0;
    snprintf(ret_holder, HOLDER_BYTES, "held by %s (pid %d)", name[0] ? name : "another program", pid);
}

/* "1: FLOCK  ADVISORY  WRITE 12345 00:18:5 0 EOF": the inode tells the file, the number before it the process. */
static int pid_of_lock(const struct stat *status)
{
    CLEANUP_FILE FILE *file = fopen("/proc/locks", "re");
    char line[256];
    while (file && fgets(line, sizeof(line), file)) {
        int pid;
        unsigned int device_major, device_minor;
        uint64_t inode;
        if (sscanf(line, "%*[^:]: FLOCK %*s %*s %d %x:%x:%" SCNu64, &pid, &device_major, &device_minor, &inode) != 4)
            continue;
        if (inode == status->st_ino && makedev(device_major, device_minor) == status->st_dev)
            return pid;
    }
    return 0;
}

static bool process_has_open(int pid, dev_t device)
{
    char path[PROC_PATH_BYTES];
    snprintf(path, sizeof(path), "/proc/%d/fd", pid);
    DIR *dir = opendir(path);
    bool has = false;
    for (struct dirent *entry = dir ? readdir(dir) : NULL; entry && !has; entry = readdir(dir)) {
        struct stat status;
        has = !fstatat(dirfd(dir), entry->d_name, &status, 0) && S_ISCHR(status.st_mode) && status.st_rdev == device;
    }
    if (dir)
        closedir(dir);
    return has;
}

/* Other people's processes can be looked at by root alone: then nobody is named. */
static int pid_of_opener(dev_t device)
{
    DIR *dir = opendir("/proc");
    int found = 0;
    for (struct dirent *entry = dir ? readdir(dir) : NULL; entry && !found; entry = readdir(dir)) {
        int pid = atoi(entry->d_name);
        if (pid > 0 && pid != getpid() && process_has_open(pid, device))
            found = pid;
    }
    if (dir)
        closedir(dir);
    return found;
}

static int set_busy(const char *path, const struct stat *status, struct error *error)
{
    char holder[HOLDER_BYTES] = "another program holds it";
    int pid = pid_of_lock(status);
    if (pid <= 0)
        pid = pid_of_opener(status->st_rdev);
    if (pid > 0)
        describe_process(pid, holder);
    return error_set(error, ERROR_OWNER_RIG, ERROR_BUSY, "open '%s': %s; end it, or give the rig another port", path, holder);
}

int serial_lock(int fd, const char *path, struct error *error)
{
    if (!flock(fd, LOCK_EX | LOCK_NB))
        return 0;
    int saved_errno = errno;
    struct stat status;
    if (saved_errno != EWOULDBLOCK || fstat(fd, &status))
        return error_set_errno(error, ERROR_OWNER_RIG, saved_errno, "lock '%s'", path);
    return set_busy(path, &status, error);
}

static int set_no_permission(const char *path, struct error *error)
{
    struct stat status;
    struct group *group = stat(path, &status) ? NULL : getgrgid(status.st_gid);
    return error_set(error, ERROR_OWNER_RIG, ERROR_IO, "open '%s': permission denied; add yourself to group %s and log in again", path,
                     group ? group->gr_name : "dialout");
}

int serial_open_failed(const char *path, int errno_value, struct error *error)
{
    struct stat status;
    if (errno_value == ENOENT)
        return error_set(error, ERROR_OWNER_RIG, ERROR_NOT_FOUND, "open '%s': there is no such port; is the device plugged in and powered?",
                         path);
    if (errno_value == EACCES)
        return set_no_permission(path, error);
    if (errno_value == EBUSY && !stat(path, &status))
        return set_busy(path, &status, error);
    return error_set_errno(error, ERROR_OWNER_RIG, errno_value, "open '%s'", path);
}
