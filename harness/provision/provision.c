#include "harness/provision/provision.h"

#include "base/child.h"
#include "base/cleanup.h"
#include "base/files.h"
#include "harness/provision/manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum {
    ARGUMENTS_MAX = 64,
    ANSWER_MAX_BYTES = 64 * 1024,
    /* A worker bounds its own waits; this is for one that hangs all the same. */
    BOARD_MS = 3600 * 1000,
    STOP_MS = 30000,
    LOG_MODE = 0644,
    FOLDER_MODE = 0755,
};

const char *board_outcome_name(enum board_outcome outcome)
{
    static const char *const names[] = {
#define X(id, name) name,
        BOARD_OUTCOMES(X)
#undef X
    };
    return names[outcome];
}

struct worker {
    struct board_report *report;
    struct child *child; /* NULL: it has ended, and was seen to */
    int answer_fd;
    int status;
    bool has_ended;
    int64_t started_us;
};

struct line {
    const struct provision_options *options;
    struct manifest *manifest;
    struct worker *workers; /* one a board, in order */
    size_t next;            /* the next to start */
    size_t running;
    size_t ended;
};

DEFINE_CLEANUP(struct child *, child_free)

/* ---- one worker ---- */

static void on_exit_of_child(void *user, struct child *child, int status)
{
    struct worker *worker = user;
    (void)child;
    worker->has_ended = true;
    worker->status = status;
}

static int open_log(const struct line *line, const struct rig_device *device, int *ret_fd, struct error *error)
{
    CLEANUP_FREE char *folder = path_join(line->options->out, "logs"), *name = NULL;
    if (!folder || asprintf(&name, "%s.log", device->id) < 0)
        return error_set_memory(error);
    for (char *at = name; *at; at++)
        *at = (char)(*at == '/' ? '_' : *at);
    CLEANUP_FREE char *path = path_join(folder, name);
    if (!path)
        return error_set_memory(error);
    if (dir_make(folder, FOLDER_MODE, error))
        return -1;
    *ret_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, LOG_MODE);
    return *ret_fd < 0 ? error_set_errno(error, ERROR_OWNER_RIG, errno, "write '%s'", path) : 0;
}

static int start_worker(struct line *line, struct worker *worker, struct error *error)
{
    const char *argv[ARGUMENTS_MAX + 4];
    size_t count = 0;
    CLEANUP_FD int log_fd = -1;
    for (; line->options->argv[count]; count++) {
        if (count == ARGUMENTS_MAX)
            return error_set(error, ERROR_OWNER_FILE, ERROR_LIMIT, "more than %d arguments", ARGUMENTS_MAX);
        argv[count] = line->options->argv[count];
    }
    argv[count++] = "--board";
    argv[count++] = worker->report->device->id;
    argv[count] = NULL;
    worker->answer_fd = memfd_create("answer", MFD_CLOEXEC);
    if (worker->answer_fd < 0)
        return error_set_errno(error, ERROR_OWNER_RIG, errno, "memory for an answer");
    if (open_log(line, worker->report->device, &log_fd, error))
        return -1;
    const struct child_options options = {.argv = argv,
                                          .stdin_fd = -1,
                                          .stdout_fd = worker->answer_fd,
                                          .stderr_fd = log_fd,
                                          .death_signal = SIGTERM,
                                          .has_own_group = true,
                                          .loop = waiting_loop(line->options->waiting),
                                          .on_exit = on_exit_of_child,
                                          .user = worker};
    worker->started_us = clock_mono_us(waiting_clock(line->options->waiting));
    if (child_start(&options, &worker->child, error))
        return -1;
    worker->report->outcome = BOARD_RUNS;
    line->running++;
    return 0;
}

static cJSON *read_answer(const struct worker *worker)
{
    char text[ANSWER_MAX_BYTES];
    ssize_t length = pread(worker->answer_fd, text, sizeof text, 0);
    return length > 0 ? json_parse(text, (size_t)length, "answer", NULL) : NULL;
}

/* One that ended without a word crashed, or was killed. */
static cJSON *make_answer(const struct worker *worker)
{
    char how[CHILD_STATUS_TEXT_BYTES], text[256];
    CLEANUP_JSON cJSON *answer = cJSON_CreateObject();
    child_status_text(worker->status, how);
    if (worker->report->outcome == BOARD_STOPPED)
        snprintf(text, sizeof text, "stopped before it began");
    else
        snprintf(text, sizeof text, "its worker ended with %s; logs/%s.log has its last words", how, worker->report->device->id);
    return answer && json_set_string(answer, "text", text) == 0 ? TAKE(answer) : NULL;
}

static enum board_outcome outcome_of(const struct worker *worker, const cJSON *answer)
{
    const char *name = json_string(answer, "outcome", "");
    for (int outcome = BOARD_DONE; outcome <= BOARD_STOPPED; outcome++)
        if (strcmp(name, board_outcome_name((enum board_outcome)outcome)) == 0)
            return (enum board_outcome)outcome;
    return WIFSIGNALED(worker->status) && WTERMSIG(worker->status) == SIGTERM ? BOARD_STOPPED : BOARD_FAILED;
}

static void take_answer(struct line *line, struct worker *worker)
{
    struct board_report *report = worker->report;
    report->answer = read_answer(worker);
    report->outcome = outcome_of(worker, report->answer);
    report->exit_code = WIFEXITED(worker->status) ? WEXITSTATUS(worker->status) : -1;
    report->duration_ms = (clock_mono_us(waiting_clock(line->options->waiting)) - worker->started_us) / 1000;
    if (!report->answer)
        report->answer = make_answer(worker);
}

/* ---- the line ---- */

static bool has_news(void *user)
{
    const struct line *line = user;
    for (size_t i = 0; i < line->next; i++)
        if (line->workers[i].child && line->workers[i].has_ended)
            return true;
    return false;
}

static int reap(struct line *line, struct error *error)
{
    const struct provision_options *options = line->options;
    for (size_t i = 0; i < line->next; i++) {
        struct worker *worker = &line->workers[i];
        if (!worker->child || !worker->has_ended)
            continue;
        take_answer(line, worker);
        child_free(TAKE(worker->child));
        close(TAKE_FD(worker->answer_fd));
        line->running--;
        line->ended++;
        if (manifest_reread(line->manifest, error) || manifest_write(line->manifest, error))
            return -1;
        if (options->on_end)
            options->on_end(options->user, worker->report, line->ended);
    }
    return 0;
}

static int await_news(struct line *line, int64_t ms, struct error *error)
{
    deadline_t deadline = deadline_in_ms(waiting_clock(line->options->waiting), ms);
    return waiting_until(line->options->waiting, has_news, line, deadline, "a board to end", error);
}

static int run_line(struct line *line, struct error *error)
{
    while (line->next < line->options->count || line->running) {
        if (line->next < line->options->count && line->running < line->options->jobs) {
            if (start_worker(line, &line->workers[line->next++], error))
                return -1;
        } else if (await_news(line, BOARD_MS, error) || reap(line, error)) {
            return -1;
        }
    }
    return 0;
}

/* Those under way end by themselves within a moment; who does not is killed. */
static void stop_line(struct line *line)
{
    waiting_resume(line->options->waiting);
    for (size_t i = 0; i < line->next; i++)
        if (line->workers[i].child)
            child_signal(line->workers[i].child, SIGTERM);
    while (line->running && await_news(line, STOP_MS, NULL) == 0)
        if (reap(line, NULL))
            break;
}

static void line_done(struct line *line)
{
    for (size_t i = 0; line->workers && i < line->next; i++) {
        child_free(line->workers[i].child);
        cleanup_fd(&line->workers[i].answer_fd);
    }
    manifest_close(line->manifest);
    free(line->workers);
}

int provision_run(const struct provision_options *options, struct error *error)
{
    CLEANUP(line_done) struct line line = {.options = options, .workers = calloc(options->count, sizeof(struct worker))};
    if (!line.workers)
        return error_set_memory(error);
    for (size_t i = 0; i < options->count; i++)
        line.workers[i] = (struct worker){.report = &options->boards[i], .answer_fd = -1};
    if (manifest_open(options->out, &line.manifest, error) || manifest_write(line.manifest, error))
        return -1;
    if (run_line(&line, error) == 0)
        return 0;
    stop_line(&line);
    return -1;
}

void board_reports_done(struct board_report *boards, size_t count)
{
    for (size_t i = 0; i < count; i++)
        cJSON_Delete(TAKE(boards[i].answer));
}
