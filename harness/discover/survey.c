#include "harness/discover/survey.h"

#include "base/cleanup.h"
#include "base/files.h"

#include <string.h>

enum { CLOSE_TURNS_MAX = 100 };

void survey_done(struct survey *survey)
{
    if (!survey)
        return;
    port_list_done(&survey->list);
    free(survey->probes);
    free(survey->is_chosen);
    *survey = (struct survey){0};
}

/* ---- which ---- */

static int list_ports(const struct survey_options *options, struct port_list *list, struct error *error)
{
    if (port_list_read(list, error))
        return -1;
    for (size_t i = 0; i < options->virtual_count; i++)
        if (port_list_add(list, options->virtuals[i], error))
            return -1;
    for (size_t i = 0; i < options->word_count; i++)
        if (path_exists(options->words[i]) && port_list_add(list, options->words[i], error))
            return -1;
    return 0;
}

/* A folder of virtual DKs names them all. */
static bool is_below(const struct port_info *port, const char *folder)
{
    size_t length = strlen(folder);
    return *port->state && strncmp(port->state, folder, length) == 0 && (port->state[length] == 0 || port->state[length] == '/');
}

static int choose_path(struct survey *survey, const char *path, struct error *error)
{
    const struct port_info *port = port_list_find(&survey->list, path);
    bool is_found = false;
    for (size_t i = 0; i < survey->list.count; i++) {
        bool is_it = port == &survey->list.items[i] || is_below(&survey->list.items[i], path);
        survey->is_chosen[i] |= is_it;
        is_found |= is_it;
    }
    return is_found ? 0 : error_set(error, ERROR_OWNER_FILE, ERROR_NOT_FOUND, "'%s' is no port", path);
}

static int choose(const struct survey_options *options, struct survey *survey, struct error *error)
{
    for (size_t i = 0; i < options->word_count; i++) {
        const char *word = options->words[i];
        if (path_exists(word) ? choose_path(survey, word, error) : port_choose(&survey->list, NULL, word, survey->is_chosen, error))
            return -1;
    }
    for (size_t i = 0; i < survey->list.count; i++) {
        survey->is_chosen[i] |= options->word_count == 0;
        survey->chosen_count += survey->is_chosen[i];
    }
    return 0;
}

/* ---- asking ---- */

static bool may_be_asked(const struct port_info *port, const struct survey_options *options)
{
    return options->asks_all || options->word_count || *port->state || (port->is_usb && board_vendor_is_known(port->vendor_id));
}

static int ask_on(uv_loop_t *loop, const struct survey_options *options, struct survey *survey, struct error *error)
{
    struct waiting *waiting = NULL;
    const struct waiting_options waits = {.loop = loop, .clock = &clock_system};
    CLEANUP_FREE bool *is_wanted = calloc(survey->list.count + 1, sizeof *is_wanted);
    if (!is_wanted)
        return error_set_memory(error);
    if (waiting_new(&waits, &waiting, error))
        return -1;
    for (size_t i = 0; i < survey->list.count; i++)
        is_wanted[i] = !options->asks_none && survey->is_chosen[i] && may_be_asked(&survey->list.items[i], options);
    const struct port_probe_options probe = {
        .waiting = waiting, .baud = options->baud, .deadline = deadline_in_ms(&clock_system, options->deadline_ms)};
    int result = port_probe_all(&survey->list, is_wanted, &probe, survey->probes, error);
    waiting_free(waiting);
    return result;
}

static int ask(const struct survey_options *options, struct survey *survey, struct error *error)
{
    uv_loop_t loop;
    uv_loop_init(&loop);
    int result = ask_on(&loop, options, survey, error);
    for (int i = 0; i < CLOSE_TURNS_MAX && uv_run(&loop, UV_RUN_NOWAIT); i++)
        ;
    uv_loop_close(&loop);
    return result;
}

int survey_make(const struct survey_options *options, struct survey *ret_survey, struct error *error)
{
    CLEANUP(survey_done) struct survey survey = {.list = {0}};
    if (list_ports(options, &survey.list, error))
        return -1;
    survey.probes = calloc(survey.list.count + 1, sizeof *survey.probes);
    survey.is_chosen = calloc(survey.list.count + 1, sizeof *survey.is_chosen);
    if (!survey.probes || !survey.is_chosen)
        return error_set_memory(error);
    if (choose(options, &survey, error) || ask(options, &survey, error))
        return -1;
    *ret_survey = survey;
    survey = (struct survey){0};
    return 0;
}
