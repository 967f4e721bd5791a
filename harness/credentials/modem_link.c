#include "harness/credentials/modem_link.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <openssl/crypto.h>
#include <string.h>

enum {
    CME_NOT_FOUND = 513,
    CME_ACTIVE = 518,
    CME_EXISTS = 519,
    CFUN_POWER_OFF = 0,
    CFUN_FULL = 1,
    CFUN_FLIGHT = 4,
    PORT_BACK_MS = 5000,
    /* AT commands end by themselves; this is for a machine that has no time for us. */
    COMMAND_MS = 180000,
    WEAR_ID_MAX_BYTES = 128,
    IDENTIFY_TRIES = 4,
};

struct modem_link {
    struct modem_link_options options;
    struct dk *dk;
    struct dk_identity identity;
    char wear_id[WEAR_ID_MAX_BYTES];
    struct error uncounted;
    bool is_mode_changed;

    /* the command under way */
    size_t in_flight; /* an interrupted wait leaves one behind */
    enum at_result result;
    int code;
    bool is_cut;
    struct bytes lines; /* each ends with LF */
    struct error error;
};

DEFINE_CLEANUP(struct modem_link *, modem_link_close)

/* ---- one command ---- */

static void on_reply(void *user, const struct at_reply *reply)
{
    struct modem_link *link = user;
    link->in_flight--;
    link->result = reply->result;
    link->code = reply->code;
    link->is_cut = reply->is_cut;
    link->error = (struct error)ERROR_INIT;
    bytes_clear(&link->lines);
    for (size_t i = 0; i < reply->line_count; i++)
        if (bytes_printf(&link->lines, "%s\n", reply->lines[i]))
            link->is_cut = true;
    at_reply_check(reply, &link->error);
}

static bool has_answered(void *user)
{
    return ((struct modem_link *)user)->in_flight == 0;
}

/* 0: an answer came, which may be a refusal: link->error says so. */
static int ask(struct modem_link *link, const char *text, struct error *error)
{
    struct at_command command = {.text = text, .on_done = on_reply, .user = link};
    if (at_send(dk_at(link->dk), &command, error))
        return -1;
    link->in_flight++;
    return waiting_until(link->options.waiting, has_answered, link, deadline_in_ms(link->options.port.clock, COMMAND_MS),
                         "the modem's answer", error);
}

static int refused(const struct modem_link *link, struct error *error)
{
    return error_set(error, link->error.owner, link->error.code, "%s", link->error.text);
}

static int command(struct modem_link *link, const char *text, struct error *error)
{
    if (ask(link, text, error))
        return -1;
    return link->result == AT_OK ? 0 : refused(link, error);
}

static bool is_refused_with(const struct modem_link *link, int code)
{
    return link->result == AT_CME_ERROR && link->code == code;
}

/* ---- opening ---- */

static void on_identity(void *user, const struct dk_identity *identity, const struct error *error)
{
    struct modem_link *link = user;
    link->in_flight--;
    link->error = error ? *error : (struct error)ERROR_INIT;
    if (identity)
        link->identity = *identity;
}

static int identify_once(struct modem_link *link, struct error *error)
{
    if (dk_identify(link->dk, on_identity, link, error))
        return -1;
    link->in_flight++;
    if (waiting_until(link->options.waiting, has_answered, link, deadline_in_ms(link->options.port.clock, COMMAND_MS),
                      "the device's AT host", error))
        return -1;
    return link->error.code ? refused(link, error) : 0;
}

/* A device that was slow for the program before us answers that one's commands first, and every answer is the one before. */
static bool is_out_of_step(const struct modem_link *link)
{
    const char *imei = link->identity.imei;
    return strspn(imei, "0123456789") != strlen(imei);
}

static int identify(struct modem_link *link, struct error *error)
{
    if (identify_once(link, error))
        return -1;
    for (int i = 1; i < IDENTIFY_TRIES && is_out_of_step(link); i++)
        if (identify_once(link, error))
            return -1;
    if (*link->identity.imei)
        snprintf(link->wear_id, sizeof link->wear_id, "imei:%s", link->identity.imei);
    else
        snprintf(link->wear_id, sizeof link->wear_id, "rig:%s", link->options.wear_id ? link->options.wear_id : link->options.port.path);
    return 0;
}

int modem_link_open(const struct modem_link_options *options, struct modem_link **ret_link, struct error *error)
{
    CLEANUP(modem_link_close_cleanup) struct modem_link *link = calloc(1, sizeof *link);
    if (!link)
        return error_set_memory(error);
    link->options = *options;
    link->options.port.loop = waiting_loop(options->waiting);
    link->options.port.clock = waiting_clock(options->waiting);
    link->options.port.callbacks = (struct dk_callbacks){.user = options->user, .on_rest = options->on_rest};
    bytes_init(&link->lines, AT_REPLY_MAX_BYTES + AT_REPLY_LINES_MAX);
    if (dk_open(&link->options.port, &link->dk, error) || identify(link, error) || command(link, "AT+CMEE=1", error))
        return -1;
    *ret_link = TAKE(link);
    return 0;
}

void modem_link_close(struct modem_link *link)
{
    if (!link)
        return;
    dk_close(link->dk);
    bytes_done(&link->lines);
    free(link);
}

const struct dk_identity *modem_link_identity(const struct modem_link *link)
{
    return &link->identity;
}

const char *modem_link_wear_id(const struct modem_link *link)
{
    return link->wear_id;
}

struct dk *modem_link_dk(struct modem_link *link)
{
    return link->dk;
}

const struct error *modem_link_uncounted(const struct modem_link *link)
{
    return &link->uncounted;
}

/* ---- the list ---- */

const struct credential_entry *credential_list_find(const struct credential_list *list, uint32_t sec_tag, int type)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->entries[i].sec_tag == sec_tag && list->entries[i].type == type)
            return &list->entries[i];
    return NULL;
}

const char *credential_list_sha256(const struct credential_list *list, uint32_t sec_tag, int type)
{
    const struct credential_entry *entry = credential_list_find(list, sec_tag, type);
    return entry ? entry->sha256 : "";
}

static int read_entries(char *lines, struct credential_list *list, struct error *error)
{
    char *state = NULL;
    list->count = 0;
    for (char *line = strtok_r(lines, "\n", &state); line; line = strtok_r(NULL, "\n", &state)) {
        if (list->count == CREDENTIAL_LIST_MAX)
            return error_set(error, ERROR_OWNER_DEVICE, ERROR_PROTOCOL, "AT%%CMNG=1 lists more than %d credentials", CREDENTIAL_LIST_MAX);
        if (credential_entry_read(line, &list->entries[list->count], error)) {
            if (error)
                error->code = ERROR_PROTOCOL;
            return -1;
        }
        list->count++;
    }
    return 0;
}

int modem_link_list(struct modem_link *link, struct credential_list *ret_list, struct error *error)
{
    if (command(link, "AT%CMNG=1", error))
        return -1;
    if (link->is_cut)
        return error_set(error, ERROR_OWNER_DEVICE, ERROR_PROTOCOL, "AT%%CMNG=1 lists more than %d credentials", CREDENTIAL_LIST_MAX);
    CLEANUP_FREE struct credential_list *list = calloc(1, sizeof *list);
    CLEANUP_FREE char *lines = strdup(bytes_text(&link->lines));
    if (!list || !lines)
        return error_set_memory(error);
    if (read_entries(lines, list, error))
        return -1;
    list->stores_crlf = at_stores_crlf(dk_at(link->dk));
    *ret_list = *list;
    return 0;
}

/* ---- changes ---- */

static bool may_change(const struct modem_link *link)
{
    return link->is_mode_changed || link->identity.cfun == CFUN_FLIGHT || link->identity.cfun == CFUN_POWER_OFF;
}

static int go_offline(struct modem_link *link, struct error *error)
{
    if (may_change(link))
        return 0;
    if (command(link, "AT+CFUN=4", error))
        return -1;
    link->is_mode_changed = true;
    return 0;
}

/* An application switches the modem on shortly after its boot, behind our back: once more then. */
static int ask_offline(struct modem_link *link, const char *text, struct error *error)
{
    if (go_offline(link, error) || ask(link, text, error))
        return -1;
    if (!is_refused_with(link, CME_ACTIVE))
        return 0;
    if (command(link, "AT+CFUN=4", error))
        return -1;
    if (!link->is_mode_changed && link->identity.cfun != DK_CFUN_UNKNOWN)
        link->identity.cfun = CFUN_FULL;
    link->is_mode_changed = true;
    return ask(link, text, error);
}

static void count(struct modem_link *link, uint32_t sec_tag, int type, enum wear_kind kind)
{
    if (link->options.ledger)
        wear_ledger_count(link->options.ledger, link->wear_id, sec_tag, type, kind, clock_unix_s(link->options.port.clock),
                          &link->uncounted);
}

static int send_write(struct modem_link *link, uint32_t sec_tag, int type, const struct bytes *text, struct error *error)
{
    size_t size = text->length_bytes + 64;
    char *line = malloc(size);
    if (!line)
        return error_set_memory(error);
    snprintf(line, size, "AT%%CMNG=0,%u,%d,\"%s\"", sec_tag, type, bytes_text(text));
    int rc = ask_offline(link, line, error);
    OPENSSL_cleanse(line, size);
    free(line);
    return rc;
}

int modem_link_write(struct modem_link *link, uint32_t sec_tag, int type, const struct bytes *text, struct error *error)
{
    if (send_write(link, sec_tag, type, text, error))
        return -1;
    if (is_refused_with(link, CME_EXISTS) &&
        (modem_link_delete(link, sec_tag, type, NULL, error) || send_write(link, sec_tag, type, text, error)))
        return -1;
    if (link->result != AT_OK)
        return refused(link, error);
    count(link, sec_tag, type, WEAR_WRITE);
    return 0;
}

int modem_link_delete(struct modem_link *link, uint32_t sec_tag, int type, bool *ret_was_there, struct error *error)
{
    char text[64];
    snprintf(text, sizeof text, "AT%%CMNG=3,%u,%d", sec_tag, type);
    if (ask_offline(link, text, error))
        return -1;
    bool was_there = link->result == AT_OK;
    if (!was_there && !is_refused_with(link, CME_NOT_FOUND))
        return refused(link, error);
    if (was_there)
        count(link, sec_tag, type, WEAR_DELETE);
    if (ret_was_there)
        *ret_was_there = was_there;
    return 0;
}

/* %KEYGEN: "...", %ATTESTTOKEN: "..." */
static int take_answer(struct modem_link *link, const char *name, struct bytes *ret_answer, struct error *error)
{
    const char *begin = strstr(bytes_text(&link->lines), name);
    begin = begin ? strchr(begin, '"') : NULL;
    const char *end = begin ? strchr(begin + 1, '"') : NULL;
    if (!end)
        return error_set(
            error, ERROR_OWNER_DEVICE, ERROR_PROTOCOL,
            "AT%s OK, but no answer came with it; of AT%%KEYGEN it is about 700 bytes long: is the buffer of the firmware's AT "
            "channel smaller?",
            name);
    struct bytes answer;
    bytes_init(&answer, AT_REPLY_MAX_BYTES);
    if (bytes_append(&answer, begin + 1, (size_t)(end - begin - 1)))
        return error_set_memory(error);
    *ret_answer = answer;
    return 0;
}

int modem_link_keygen(struct modem_link *link, uint32_t sec_tag, const char *attributes, struct bytes *ret_answer, struct error *error)
{
    char text[512];
    int length = attributes ? snprintf(text, sizeof text, "AT%%KEYGEN=%u,2,0,\"%s\"", sec_tag, attributes)
                            : snprintf(text, sizeof text, "AT%%KEYGEN=%u,2,0", sec_tag);
    if (length >= (int)sizeof text || (attributes && strchr(attributes, '"')))
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "attributes '%.60s': no quotes, and less than 450 characters", attributes);
    if (ask_offline(link, text, error))
        return -1;
    if (link->result != AT_OK)
        return refused(link, error);
    count(link, sec_tag, CREDENTIAL_CLIENT_KEY, WEAR_KEYGEN);
    return take_answer(link, "%KEYGEN:", ret_answer, error);
}

int modem_link_attest(struct modem_link *link, const char *challenge, struct bytes *ret_answer, struct error *error)
{
    char text[64];
    snprintf(text, sizeof text, challenge ? "AT%%ATTESTTOKEN=\"%.32s\"" : "AT%%ATTESTTOKEN", challenge);
    if (ask(link, text, error) || (is_refused_with(link, CME_ACTIVE) && ask_offline(link, text, error)))
        return -1;
    if (link->result == AT_ERROR)
        return error_set(error, ERROR_OWNER_DEVICE, ERROR_REFUSED,
                         "AT%%ATTESTTOKEN: ERROR; modem firmware before 1.3.0 does not know it, and this one is '%s'",
                         link->identity.firmware);
    return link->result == AT_OK ? take_answer(link, "%ATTESTTOKEN:", ret_answer, error) : refused(link, error);
}

/* ---- the functional mode ---- */

static bool is_port_open(void *user)
{
    struct modem_link *link = user;
    return serial_is_open(console_port(dk_console(link->dk)));
}

/* A cable that was pulled for a moment must not leave the modem in flight mode. */
static int await_port(struct modem_link *link, struct error *error)
{
    return waiting_until(link->options.waiting, is_port_open, link, deadline_in_ms(link->options.port.clock, PORT_BACK_MS), "the port",
                         error);
}

int modem_link_restore(struct modem_link *link, struct error *error)
{
    char text[32];
    if (!link->is_mode_changed)
        return 0;
    link->is_mode_changed = false;
    if (link->identity.cfun == DK_CFUN_UNKNOWN)
        return error_set(error, ERROR_OWNER_DEVICE, ERROR_PROTOCOL,
                         "the modem did not say in which functional mode it was (AT+CFUN?): it is in flight mode now; reset the device");
    waiting_resume(link->options.waiting);
    snprintf(text, sizeof text, "AT+CFUN=%d", link->identity.cfun);
    return await_port(link, error) || command(link, text, error)
               ? error_prefix(error, "the modem is left in flight mode (AT+CFUN=4), it was in AT+CFUN=%d", link->identity.cfun)
               : 0;
}

void modem_link_forget_mode(struct modem_link *link)
{
    link->is_mode_changed = false;
}
