#include "base/child.h"
#include "base/cleanup.h"
#include "base/files.h"
#include "harness/discover/port_list.h"
#include "harness/doctor/doctor.h"
#include "harness/rig/place.h"
#include "harness/run/room.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/opensslv.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/timex.h>

enum { HELP_MS = 5000, HELP_BYTES = 512, MOSQUITTO_MAJOR = 2, VERSION_BYTES = 16 };

DEFINE_CLEANUP(struct child *, child_free)

/* ---- clock ---- */

/* This program cannot have been made in the future. */
static int64_t own_age_s(void)
{
    struct stat status;
    return stat("/proc/self/exe", &status) ? 0 : clock_unix_s(&clock_system) - (int64_t)status.st_mtime;
}

static bool is_synchronised(void)
{
    struct timex time = {.modes = 0};
    return adjtimex(&time) != TIME_ERROR && !(time.status & STA_UNSYNC);
}

static void check_clock(struct checkup *checkup)
{
    static const char mend[] =
        "timedatectl set-ntp true, or chrony: certificates are dated by this clock, and timelines are compared by it";
    char now[CLOCK_ISO8601_BYTES];
    clock_format_iso8601(clock_unix_us(&clock_system), now);
    if (own_age_s() < 0)
        checkup_add(checkup, CHECK_CLOCK, NULL, DOCTOR_BAD, mend, "it is %s here: before this program was made", now);
    else if (!is_synchronised())
        checkup_add(checkup, CHECK_CLOCK, NULL, DOCTOR_WARNING, mend, "it is %s here; the kernel does not know this clock as synchronised",
                    now);
    else
        checkup_add(checkup, CHECK_CLOCK, NULL, DOCTOR_OK, NULL, "it is %s here, synchronised", now);
}

/* ---- disk ---- */

/* Permission bits do not tell all: root may write nowhere in /proc, nor where a quota is used up. */
static bool takes_a_folder(const char *place)
{
    char trial[PATH_MAX];
    int length = snprintf(trial, sizeof trial, "%s/.dpsbench-doctor-XXXXXX", place);
    return length > 0 && (size_t)length < sizeof trial && mkdtemp(trial) && rmdir(trial) == 0;
}

/* The folder may not be there yet: then what will hold it counts. */
static void check_disk(const char *folder, struct checkup *checkup)
{
    CLEANUP_FREE char *path = path_absolute(folder);
    struct error error = ERROR_INIT;
    while (path && *path && !path_exists(path))
        *strrchr(path, '/') = 0;
    const char *place = path && *path ? path : "/";
    if (room_check(place, &error))
        checkup_add(checkup, CHECK_DISK, NULL, DOCTOR_BAD, "make room, or give `dpsbench run` another folder with --out DIR", "%s",
                    error.text);
    else if (access(place, W_OK) || !takes_a_folder(place))
        checkup_add(checkup, CHECK_DISK, NULL, DOCTOR_BAD, "give `dpsbench run` another folder with --out DIR",
                    "'%s' cannot be written by this user", place);
    else
        checkup_add(checkup, CHECK_DISK, NULL, DOCTOR_OK, NULL, "'%s' can be written and has room", place);
}

/* ---- versions ---- */

static void check_openssl(struct checkup *checkup)
{
    if (OPENSSL_version_major() < 3)
        checkup_add(checkup, CHECK_OPENSSL, NULL, DOCTOR_BAD, "install OpenSSL 3.0 or newer", "OpenSSL %s",
                    OpenSSL_version(OPENSSL_VERSION_STRING));
    else
        checkup_add(checkup, CHECK_OPENSSL, NULL, DOCTOR_OK, NULL, "OpenSSL %s", OpenSSL_version(OPENSSL_VERSION_STRING));
}

/* The beginning of what a program prints. */
static void read_beginning(int fd, char *text, size_t size)
{
    deadline_t deadline = deadline_in_ms(&clock_system, HELP_MS);
    size_t length = 0;
    for (;;) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        int64_t left = deadline_left_ms(&clock_system, deadline);
        if (left == 0 || length + 1 >= size || poll(&poll_fd, 1, (int)left) <= 0)
            break;
        ssize_t got = read(fd, text + length, size - length - 1);
        if (got <= 0)
            break;
        length += (size_t)got;
    }
    text[length] = 0;
}

/* Debian puts it where the PATH of users does not lead. */
static const char *const mosquitto_places[] = {"mosquitto", "/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"};

static int ask_mosquitto(const char *program, char *text)
{
    const char *const argv[] = {program, "-h", NULL};
    CLEANUP(child_free_cleanup) struct child *child = NULL;
    int fds[2];
    if (pipe2(fds, O_CLOEXEC))
        return -1;
    CLEANUP_FD int read_fd = fds[0];
    const struct child_options options = {.argv = argv, .stdin_fd = -1, .stdout_fd = fds[1], .stderr_fd = -1, .death_signal = SIGKILL};
    int failed = child_start(&options, &child, NULL);
    close(fds[1]);
    if (!failed)
        read_beginning(read_fd, text, HELP_BYTES);
    return failed;
}

/* -1: it is not installed. */
static int read_mosquitto_version(char *version)
{
    char text[HELP_BYTES] = "";
    size_t i = 0;
    while (i < ARRAY_COUNT(mosquitto_places) && ask_mosquitto(mosquitto_places[i], text))
        i++;
    if (i == ARRAY_COUNT(mosquitto_places))
        return -1;
    if (sscanf(text, "mosquitto version %15[0-9A-Za-z.+~-]", version) != 1)
        snprintf(version, VERSION_BYTES, "?");
    return 0;
}

static bool starts_simulator(const struct doctor_options *options)
{
    return !options->simulator && (!options->rig || !options->rig->simulator_ready);
}

static void check_mosquitto(const struct doctor_options *options, struct checkup *checkup)
{
    char version[VERSION_BYTES] = "";
    /* A simulator that runs tells its own. */
    if (!starts_simulator(options))
        return;
    if (read_mosquitto_version(version))
        checkup_add(checkup, CHECK_MOSQUITTO, NULL, DOCTOR_BAD, "apt-get install mosquitto", "Mosquitto is not installed");
    else if (strtol(version, NULL, 10) < MOSQUITTO_MAJOR)
        checkup_add(checkup, CHECK_MOSQUITTO, NULL, DOCTOR_BAD, "install Mosquitto 2.0 or newer", "Mosquitto %s", version);
    else
        checkup_add(checkup, CHECK_MOSQUITTO, NULL, DOCTOR_OK, NULL, "Mosquitto %s", version);
}

/* ---- ModemManager ---- */

static bool is_modem_manager(const char *processes, const char *pid)
{
    CLEANUP_FREE char *path = NULL;
    char name[32] = "";
    if (*pid < '0' || *pid > '9' || asprintf(&path, "%s/%s/comm", processes, pid) < 0)
        return false;
    CLEANUP_FILE FILE *file = fopen(path, "re");
    return file && fgets(name, sizeof name, file) && strncmp(name, "ModemManager", strlen("ModemManager")) == 0;
}

bool doctor_runs_modem_manager(void)
{
    CLEANUP_FREE char *processes = port_root_path("/proc");
    DIR *directory = processes ? opendir(processes) : NULL;
    bool runs = false;
    for (struct dirent *entry; !runs && directory && (entry = readdir(directory));)
        runs = is_modem_manager(processes, entry->d_name);
    if (directory)
        closedir(directory);
    return runs;
}

/* Where it runs, what it may do depends on the port: that is asked for each device. */
static void check_modem_manager(struct checkup *checkup)
{
    if (!doctor_runs_modem_manager())
        checkup_add(checkup, CHECK_MODEM_MANAGER, NULL, DOCTOR_OK, NULL, "ModemManager does not run");
}

void doctor_check_host(const struct doctor_options *options, struct checkup *checkup)
{
    check_clock(checkup);
    check_disk(options->folder, checkup);
    check_openssl(checkup);
    check_mosquitto(options, checkup);
    check_modem_manager(checkup);
}
