/*
 * Makes libserialport take a pty for a real port, so that its back end runs where there is no hardware. It looks a port up under
 * /sys/class/tty and asks for the modem lines (TIOCMGET), which no pty has. Linked into the test with -rdynamic, these definitions come
 * before the C library's.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int lstat(const char *path, struct stat *status);
int __lxstat(int version, const char *path, struct stat *status); /* what lstat() was for programs built with glibc before 2.33 */
ssize_t readlink(const char *path, char *buffer, size_t size);
int ioctl(int fd, unsigned long request, ...);

static int is_pty_in_sys(const char *path)
{
    return strncmp(path, "/sys/class/tty/pts/", 19) == 0;
}

int lstat(const char *path, struct stat *status)
{
    if (!is_pty_in_sys(path))
        return fstatat(AT_FDCWD, path, status, AT_SYMLINK_NOFOLLOW);
    memset(status, 0, sizeof(*status));
    status->st_mode = S_IFLNK | 0777;
    return 0;
}

int __lxstat(int version, const char *path, struct stat *status)
{
    (void)version;
    return lstat(path, status);
}

ssize_t readlink(const char *path, char *buffer, size_t size)
{
    static const char target[] = "../../devices/virtual/tty/pts";
    if (!is_pty_in_sys(path))
        return syscall(SYS_readlinkat, AT_FDCWD, path, buffer, size);
    size_t length = sizeof(target) - 1 < size ? sizeof(target) - 1 : size;
    memcpy(buffer, target, length);
    return (ssize_t)length;
}

static int last_modem_lines;

int ioctl(int fd, unsigned long request, ...)
{
    va_list args;
    va_start(args, request);
    void *argument = va_arg(args, void *);
    va_end(args);
    long result = syscall(SYS_ioctl, fd, request, argument);
    if (result >= 0 || errno != ENOTTY || !isatty(fd))
        return (int)result;
    if (request == TIOCMGET)
        *(int *)argument = last_modem_lines;
    else if (request == TIOCMBIS)
        last_modem_lines |= *(int *)argument;
    else if (request == TIOCMBIC)
        last_modem_lines &= ~*(int *)argument;
    else if (request != TIOCMSET)
        return -1;
    return 0;
}

/* For the test: was DTR asserted? */
int shim_modem_lines(void);
int shim_modem_lines(void)
{
    return last_modem_lines;
}
