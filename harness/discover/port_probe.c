#include "harness/discover/port_probe.h"

#include "base/cleanup.h"
#include "base/json.h"

#include <ctype.h>
#include <string.h>

enum { SYNC_TRY_MS = 700, CLOSE_TURNS = 8 };

static const char own_name[] = "port: "; /* how errors of a dk named "port" begin */

/* One port that is being asked. */
struct contact {
    struct port_probe *result;
    struct dk *dk; /* NULL: not open */
    bool is_done;
    bool has_text;
    bool has_prompt;
};

struct contacts {
    struct contact *items;
    size_t count;
};

static const struct {
    const char *name;
    const char *text;
} answers[] = {
#define X(id, name, text) [id] = {name, text},
    PORT_ANSWERS(X)
#undef X
};

const char *port_answer_name(enum port_answer answer)
{
    return answers[answer].name;
}

const char *port_answer_text(enum port_answer answer)
{
    return answers[answer].text;
}

/* ---- what comes ---- */

/* "uart:~$ ", "mosh:~$ ": the prompt of a Zephyr shell, which echoes behind it what it was sent. */
static bool is_prompt(const char *line)
{
    size_t name = 0;
    while (isalnum((unsigned char)line[name]) || line[name] == '_' || line[name] == '-')
        name++;
    return name > 0 && strncmp(line + name, ":~$", 3) == 0;
}

static void on_event(void *user, cJSON *event)
{
    struct contact *contact = user;
    const char *text = json_string(json_member(event, "data"), "text", NULL);
    if (text && *text) {
        contact->has_text = true;
        contact->has_prompt |= is_prompt(text);
    }
    cJSON_Delete(event);
}

static void set_answer(struct port_probe *result, enum port_answer answer, const struct error *error)
{
    const char *text = error ? error->text : "";
    /* Whoever reads it knows which port it is about. */
    if (strncmp(text, own_name, sizeof own_name - 1) == 0)
        text += sizeof own_name - 1;
    result->answer = answer;
    snprintf(result->text, sizeof result->text, "%s", text);
}

static void on_identity(void *user, const struct dk_identity *identity, const struct error *error)
{
    struct contact *contact = user;
    contact->is_done = true;
    if (identity) {
        bool is_shell = dk_transport(contact->dk) == AT_TRANSPORT_SHELL;
        set_answer(contact->result, is_shell ? PORT_SHELL : PORT_AT_HOST, NULL);
        contact->result->identity = *identity;
    } else if (error->code == ERROR_REFUSED) {
        /* It has an AT host; what it is, it does not say. */
        set_answer(contact->result, PORT_AT_HOST, error);
    } else if (contact->has_prompt) {
        /* A shell without the command `at`. */
        set_answer(contact->result, PORT_SHELL, error);
    } else {
        set_answer(contact->result, contact->has_text ? PORT_TALKS : PORT_NOTHING, NULL);
    }
}

static void on_lost(void *user, const struct error *error)
{
    struct contact *contact = user;
    contact->is_done = true;
    set_answer(contact->result, PORT_NO_ACCESS, error);
}

/* ---- one port ---- */

static void open_contact(struct contact *contact, const struct port_info *port, const struct port_probe_options *options)
{
    struct error error = ERROR_INIT;
    struct dk_options dk = {
        .loop = waiting_loop(options->waiting),
        .clock = waiting_clock(options->waiting),
        .name = "port",
        .path = port->path,
        .baud = options->baud,
        .reopen_ms = -1,
        .sync_try_ms = SYNC_TRY_MS,
        .sink = {.emit = on_event, .user = contact},
        .callbacks = {.user = contact, .on_lost = on_lost},
    };
    if (dk_open(&dk, &contact->dk, &error) == 0 && dk_identify(contact->dk, on_identity, contact, &error) == 0)
        return;
    contact->is_done = true;
    set_answer(contact->result, error.code == ERROR_BUSY ? PORT_BUSY : PORT_NO_ACCESS, &error);
}

/* ---- all of them ---- */

static bool are_done(void *user)
{
    const struct contacts *contacts = user;
    for (size_t i = 0; i < contacts->count; i++)
        if (!contacts->items[i].is_done)
            return false;
    return true;
}

/* Who has not answered by now is told so by the closing, and counts as silent. */
static void close_all(struct contacts *contacts, uv_loop_t *loop)
{
    for (size_t i = 0; i < contacts->count; i++)
        dk_close(TAKE(contacts->items[i].dk));
    for (int i = 0; i < CLOSE_TURNS && uv_run(loop, UV_RUN_NOWAIT); i++)
        ;
    free(contacts->items);
}

static void open_all(struct contacts *contacts, const struct port_list *list, const bool *wanted, const struct port_probe_options *options,
                     struct port_probe *probes)
{
    for (size_t i = 0; i < list->count; i++) {
        if (wanted && !wanted[i])
            continue;
        struct contact *contact = &contacts->items[contacts->count++];
        contact->result = &probes[i];
        contact->result->answer = PORT_NOTHING;
        open_contact(contact, &list->items[i], options);
    }
}

int port_probe_all(const struct port_list *list, const bool *wanted, const struct port_probe_options *options,
                   struct port_probe *ret_probes, struct error *error)
{
    struct error late = ERROR_INIT;
    struct contacts contacts = {.items = calloc(list->count + 1, sizeof *contacts.items)};
    if (!contacts.items)
        return error_set_memory(error);
    for (size_t i = 0; i < list->count; i++)
        ret_probes[i] = (struct port_probe){.answer = PORT_NOT_ASKED, .identity = {.cfun = DK_CFUN_UNKNOWN}};
    open_all(&contacts, list, wanted, options, ret_probes);
    int failed = waiting_until(options->waiting, are_done, &contacts, options->deadline, "the ports", &late);
    close_all(&contacts, waiting_loop(options->waiting));
    return failed && late.code == ERROR_INTERRUPTED ? error_set(error, late.owner, late.code, "%s", late.text) : 0;
}
