#include "harness/device/exec_device.h"

#include "base/child.h"
#include "base/cleanup.h"
#include "base/files.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

enum { PATH_MAX_BYTES = 64, LAST_WORDS_MAX_BYTES = 256, MARK_MAX_BYTES = 64, ROUNDS_MAX = 8 };

struct exec_device {
    struct exec_device_options options;
    char *name;
    char **argv;
    int terminal_fd; /* the side that the program gets; ours too, so that the other never hangs up */
    struct console *console;
    struct child *child; /* NULL: never started */
    bool is_ended;
    bool has_crashed;
    bool is_resting;
    bool has_flooded;
    bool had_flooded;                  /* the start before this one */
    uint64_t line_count, output_bytes; /* since it was started */
    int64_t started_us;
    char end[CHILD_STATUS_TEXT_BYTES];
    char last_words[LAST_WORDS_MAX_BYTES];
    char mark[MARK_MAX_BYTES]; /* in the environment of the program and of all that it starts */
};

static const char flood_text[] = "ended: more than 100000 lines or 16 MiB of output";

DEFINE_CLEANUP(struct exec_device *, exec_device_close)

/* ---- events ---- */

static void emit(struct exec_device *device, enum event_kind kind, const char *rename, const char *member, const char *text)
{
    CLEANUP_JSON cJSON *event = event_new(kind, device->options.clock, HARNESS_EVENT_SOURCE);
    if (!event || json_set_string(event_data(event), "device", device->name) || json_set_string(event_data(event), member, text) ||
        (rename && (json_set_string(event, "kind", rename) || json_set_bool(event_data(event), "is_expected", true))))
        cJSON_Delete(TAKE(event));
    if (device->options.sink.emit)
        device->options.sink.emit(device->options.sink.user, TAKE(event));
}

static void on_line(void *user, const struct console_line *line)
{
    struct exec_device *device = user;
    if (*line->zephyr->text)
        snprintf(device->last_words, sizeof device->last_words, "%s", line->zephyr->text);
    device->is_resting |= line->match && line->match->is_terminal;
}

/* ---- a flood ---- */

static void end_group(const struct exec_device *device);

static bool is_too_much(struct exec_device *device, const struct line *line)
{
    device->line_count++;
    device->output_bytes += line->raw_length_bytes;
    return device->line_count > EXEC_LINES_MAX || device->output_bytes > EXEC_OUTPUT_MAX_BYTES;
}

/* True: the line is in no record. What a flood left on its way when the program was started again is no word of the new one. */
static bool claims(void *user, const struct console_line *line)
{
    struct exec_device *device = user;
    if (line->line->mono_us < device->started_us)
        return device->had_flooded;
    if (!is_too_much(device, line->line))
        return false;
    if (!device->has_flooded && device->child && !device->is_ended)
        end_group(device);
    device->has_flooded = true;
    return true;
}

static void on_lost(void *user, const struct error *error)
{
    struct exec_device *device = user;
    if (device->options.on_lost)
        device->options.on_lost(device->options.user, error);
}

/* ---- the terminal ---- */

/* The program writes on the side that makes a terminal, and we read the side that has a path: so it is a port like any other. */
static int make_terminal(struct exec_device *device, char path[PATH_MAX_BYTES], struct error *error)
{
    device->terminal_fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (device->terminal_fd < 0 || grantpt(device->terminal_fd) || unlockpt(device->terminal_fd) ||
        ptsname_r(device->terminal_fd, path, PATH_MAX_BYTES))
        return error_set_errno(error, ERROR_OWNER_RIG, errno, "make a terminal for '%s'", device->name);
    return 0;
}

static int open_console(struct exec_device *device, const char *path, struct error *error)
{
    const struct console_options options = {
        .port = {.loop = device->options.loop, .clock = device->options.clock, .path = path},
        .device = device->name,
        .dialect = device->options.dialect,
        .raw_path = device->options.raw_path,
        .sink = device->options.sink,
        .callbacks = {.user = device, .claims = claims, .on_line = on_line, .on_lost = on_lost},
    };
    if (console_open(&options, &device->console, error))
        return -1;
    console_guard_secrets(device->console);
    return 0;
}

static char **copy_words(const char *const *words)
{
    size_t count = 0;
    while (words[count])
        count++;
    char **copy = calloc(count + 1, sizeof *copy);
    for (size_t i = 0; copy && i < count; i++)
        copy[i] = strdup(words[i]);
    return copy;
}

static bool is_whole_copy(char *const *copy, const char *const *words)
{
    for (size_t i = 0; copy && words[i]; i++)
        if (!copy[i])
            return false;
    return copy != NULL;
}

int exec_device_open(const struct exec_device_options *options, struct exec_device **ret_device, struct error *error)
{
    char path[PATH_MAX_BYTES];
    CLEANUP(exec_device_close_cleanup) struct exec_device *device = calloc(1, sizeof *device);
    if (!device)
        return error_set_memory(error);
    device->options = *options;
    device->terminal_fd = -1;
    device->name = strdup(options->name);
    snprintf(device->mark, sizeof device->mark, CHILD_MARK "%d-%llx", (int)getpid(), (unsigned long long)clock_mono_us(options->clock));
    device->argv = copy_words(options->argv);
    if (!device->name || !is_whole_copy(device->argv, options->argv))
        return error_set_memory(error);
    if (make_terminal(device, path, error) || open_console(device, path, error))
        return -1;
    *ret_device = TAKE(device);
    return 0;
}

void exec_device_close(struct exec_device *device)
{
    if (!device)
        return;
    exec_device_stop(device);
    console_close(device->console);
    if (device->terminal_fd >= 0)
        close(device->terminal_fd);
    for (char **word = device->argv; word && *word; word++)
        free(*word);
    free(device->argv);
    free(device->name);
    free(device);
}

/* ---- the program ---- */

static bool has_mark(const struct exec_device *device, const char *pid)
{
    return child_is_marked(pid, device->mark, strlen(device->mark) + 1);
}

/* Whatever has our mark, in a session of its own or not. Returns how many. */
static size_t end_marked(const struct exec_device *device)
{
    size_t count = 0;
    char **names = NULL;
    if (dir_list("/proc", "", &names, NULL))
        return 0;
    for (char **name = names; *name; name++) {
        if ((*name)[0] < '1' || (*name)[0] > '9' || !has_mark(device, *name))
            continue;
        count += kill((pid_t)strtol(*name, NULL, 10), SIGKILL) == 0;
    }
    names_free(names);
    return count;
}

/* What the program started and left behind would talk to the service under the next row. One that is just starting another is looked for again. */
static void end_group(const struct exec_device *device)
{
    kill(-child_pid(device->child), SIGKILL);
    for (int i = 0; i < ROUNDS_MAX && end_marked(device); i++)
        ;
}

static void on_exit_of(void *user, struct child *child, int status)
{
    (void)child;
    struct exec_device *device = user;
    end_group(device);
    device->is_ended = true;
    device->has_crashed = WIFSIGNALED(status) || device->has_flooded;
    if (device->has_flooded)
        snprintf(device->end, sizeof device->end, "%s", flood_text);
    else
        child_status_text(status, device->end);
    emit(device, EVENT_DEVICE_ENDED, NULL, "how", device->end);
}

void exec_device_stop(struct exec_device *device)
{
    if (!device->child)
        return;
    if (!device->is_ended)
        end_group(device);
    child_free(TAKE(device->child));
}

static void forget(struct exec_device *device)
{
    device->had_flooded = device->has_flooded;
    device->is_ended = device->has_crashed = device->is_resting = device->has_flooded = false;
    device->line_count = device->output_bytes = 0;
    device->started_us = clock_mono_us(device->options.clock);
    device->end[0] = device->last_words[0] = 0;
}

int exec_device_start(struct exec_device *device, struct error *error)
{
    exec_device_stop(device);
    forget(device);
    const char *const environment[] = {device->mark, NULL};
    const struct child_options options = {
        .argv = (const char *const *)device->argv,
        .environment = environment,
        .stdin_fd = -1,
        .stdout_fd = device->terminal_fd,
        .stderr_fd = device->terminal_fd,
        .death_signal = SIGKILL,
        .has_own_group = true,
        .loop = device->options.loop,
        .on_exit = on_exit_of,
        .user = device,
    };
    emit(device, EVENT_CONSOLE_LINE, "console.boot", "banner", device->argv[0]);
    return child_start(&options, &device->child, error);
}

bool exec_device_is_at_rest(const struct exec_device *device)
{
    return device->is_ended || device->is_resting;
}

bool exec_device_has_crashed(const struct exec_device *device)
{
    return device->has_crashed;
}

const char *exec_device_end(const struct exec_device *device)
{
    return device->is_ended ? device->end : NULL;
}

const char *exec_device_last_words(const struct exec_device *device)
{
    return device->last_words;
}

struct console *exec_device_console(struct exec_device *device)
{
    return device->console;
}
