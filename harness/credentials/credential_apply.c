/* One AT command after the other: CMEE=1, CFUN=4, list, deletions, writes, list. Each step is a function that sends, and one that looks at the reply. */
#include "harness/credentials/credential_set.h"

#include "base/cleanup.h"

#include <openssl/crypto.h>
#include <string.h>

enum { CME_NOT_FOUND = 513, CME_ACTIVE = 518, CME_EXISTS = 519, SWITCH_OFFS_MAX = 3 };

enum step { STEP_CMEE, STEP_CFUN, STEP_LIST, STEP_DELETE, STEP_WRITE, STEP_CHECK };

struct work {
    struct at *at;
    struct credential_set set;
    credential_done_fn *on_done;
    void *user;
    enum step step;
    int type;
    int switch_offs;                                             /* CFUN=4, so far */
    bool is_second_try;                                          /* the write follows a deletion that CME 519 asked for */
    char listed[CREDENTIAL_TYPE_COUNT][CREDENTIAL_SHA256_BYTES]; /* "": not there */
    struct credential_result result;
};

static int step_next(struct work *work, struct error *error);
static void on_reply(void *user, const struct at_reply *reply);

static void finish(struct work *work, const struct error *error)
{
    work->on_done(work->user, &work->result, error);
    credential_set_done(&work->set);
    free(work);
}

/* ---- sending */

static int send_text(struct work *work, enum step step, const char *text, struct error *error)
{
    struct at_command command = {.text = text, .on_done = on_reply, .user = work};
    work->step = step;
    return at_send(work->at, &command, error);
}

static int send_delete(struct work *work, struct error *error)
{
    char text[64];
    snprintf(text, sizeof(text), "AT%%CMNG=3,%u,%d", work->set.sec_tag, work->type);
    return send_text(work, STEP_DELETE, text, error);
}

static int send_write(struct work *work, struct error *error)
{
    char *text = malloc(AT_COMMAND_MAX_BYTES + 1);
    if (!text)
        return error_set_memory(error);
    snprintf(text, AT_COMMAND_MAX_BYTES + 1, "AT%%CMNG=0,%u,%d,\"%s\"", work->set.sec_tag, work->type,
             bytes_text(&work->set.text[work->type]));
    int rc = send_text(work, STEP_WRITE, text, error);
    OPENSSL_cleanse(text, AT_COMMAND_MAX_BYTES + 1);
    free(text);
    return rc;
}

static int send_switch_off(struct work *work, struct error *error)
{
    work->switch_offs++;
    work->is_second_try = false;
    return send_text(work, STEP_CFUN, "AT+CFUN=4", error);
}

/* ---- what is to be done */

static bool is_wanted(const struct work *work, int type)
{
    return work->set.text[type].length_bytes > 0;
}

static bool is_listed(const struct work *work, int type)
{
    return work->listed[type][0] != 0;
}

/* A placeholder is the hash of nothing: whether the text is the same cannot be known. */
static bool is_same(const struct work *work, int type)
{
    char wanted[CREDENTIAL_SHA256_BYTES], with_crlf[CREDENTIAL_SHA256_BYTES];
    credential_set_sha256(&work->set, (enum credential_type)type, wanted);
    credential_set_sha256_crlf(&work->set, (enum credential_type)type, with_crlf);
    return strcmp(wanted, work->listed[type]) == 0 || (at_stores_crlf(work->at) && strcmp(with_crlf, work->listed[type]) == 0);
}

static bool has_changed(const struct work *work)
{
    for (int type = 0; type < CREDENTIAL_TYPE_COUNT; type++)
        if (work->result.actions[type] == CREDENTIAL_WRITTEN || work->result.actions[type] == CREDENTIAL_DELETED)
            return true;
    return false;
}

static void end_well(struct work *work)
{
    work->result.is_verified = true;
    for (int type = 0; type < CREDENTIAL_TYPE_COUNT; type++)
        if (is_listed(work, type) && credential_is_placeholder(work->listed[type]))
            work->result.is_verified = false;
    finish(work, NULL);
}

/* Deletions first: the modem's memory may be full. */
static int step_next(struct work *work, struct error *error)
{
    for (work->type = 0; work->type < CREDENTIAL_TYPE_COUNT; work->type++)
        if (!is_wanted(work, work->type) && is_listed(work, work->type))
            return send_delete(work, error);
    for (work->type = 0; work->type < CREDENTIAL_TYPE_COUNT; work->type++)
        if (is_wanted(work, work->type) && work->result.actions[work->type] == CREDENTIAL_ABSENT && !is_same(work, work->type))
            return send_write(work, error);
    for (int type = 0; type < CREDENTIAL_TYPE_COUNT; type++)
        if (is_wanted(work, type) && work->result.actions[type] == CREDENTIAL_ABSENT)
            work->result.actions[type] = CREDENTIAL_KEPT;
    if (has_changed(work))
        return send_text(work, STEP_CHECK, "AT%CMNG=1", error);
    end_well(work);
    return 0;
}

/* ---- looking at replies */

static int read_list(struct work *work, const struct at_reply *reply, struct error *error)
{
    struct credential_entry entry;
    memset(work->listed, 0, sizeof(work->listed));
    if (reply->is_cut)
        return error_set(error, ERROR_OWNER_DEVICE, ERROR_PROTOCOL, "AT%%CMNG=1 lists more than %d credentials", AT_REPLY_LINES_MAX);
    for (size_t i = 0; i < reply->line_count; i++) {
        if (credential_entry_read(reply->lines[i], &entry, error)) {
            if (error)
                error->code = ERROR_PROTOCOL;
            return -1;
        }
        if (entry.sec_tag == work->set.sec_tag && entry.type >= 0 && entry.type < CREDENTIAL_TYPE_COUNT)
            memcpy(work->listed[entry.type], entry.sha256, CREDENTIAL_SHA256_BYTES);
    }
    return 0;
}

static int check_type(const struct work *work, int type, struct error *error)
{
    char wanted[CREDENTIAL_SHA256_BYTES], escaped[CREDENTIAL_SHA256_BYTES];
    credential_set_sha256(&work->set, (enum credential_type)type, wanted);
    credential_set_sha256_escaped(&work->set, (enum credential_type)type, escaped);
    const char *listed = work->listed[type];
    if (is_same(work, type) || (wanted[0] && listed[0] && credential_is_placeholder(listed)))
        return 0;
    if (wanted[0] && strcmp(listed, escaped) == 0)
        return error_set(error, ERROR_OWNER_DEVICE, ERROR_CONFLICT,
                         "sec tag %u, %s: it was stored with the two characters \\n in place of line ends; build the firmware's shell with "
                         "CONFIG_AT_SHELL_UNESCAPE_LF=y",
                         work->set.sec_tag, credential_type_name((enum credential_type)type));
    return error_set(error, ERROR_OWNER_DEVICE, ERROR_CONFLICT,
                     "sec tag %u, %s: after writing, AT%%CMNG=1 lists SHA-256 '%s', wanted is '%s' ('' is: not there); were line ends "
                     "or bytes changed on the way?",
                     work->set.sec_tag, credential_type_name((enum credential_type)type), listed, wanted);
}

static int on_check(struct work *work, const struct at_reply *reply, struct error *error)
{
    if (at_reply_check(reply, error) || read_list(work, reply, error))
        return -1;
    for (int type = 0; type < CREDENTIAL_TYPE_COUNT; type++)
        if (check_type(work, type, error))
            return -1;
    end_well(work);
    return 0;
}

static int on_list(struct work *work, const struct at_reply *reply, struct error *error)
{
    if (at_reply_check(reply, error) || read_list(work, reply, error))
        return -1;
    return step_next(work, error);
}

static int refuse(const struct work *work, const struct at_reply *reply, struct error *error)
{
    at_reply_check(reply, error);
    return error_prefix(error, "sec tag %u, %s", work->set.sec_tag, credential_type_name((enum credential_type)work->type));
}

/* An application that has just booted switches its modem on, whatever we said before: once more, and what is left of the work after it. */
static bool was_switched_on(const struct work *work, const struct at_reply *reply)
{
    return reply->result == AT_CME_ERROR && reply->code == CME_ACTIVE && work->switch_offs < SWITCH_OFFS_MAX;
}

static int on_delete(struct work *work, const struct at_reply *reply, struct error *error)
{
    if (was_switched_on(work, reply))
        return send_switch_off(work, error);
    bool was_not_there = reply->result == AT_CME_ERROR && reply->code == CME_NOT_FOUND;
    if (reply->result != AT_OK && !was_not_there)
        return refuse(work, reply, error);
    work->listed[work->type][0] = 0;
    if (is_wanted(work, work->type))
        return send_write(work, error);
    work->result.actions[work->type] = was_not_there ? CREDENTIAL_ABSENT : CREDENTIAL_DELETED;
    return step_next(work, error);
}

/* Most firmware writes over what is there; 519 asks for a deletion first. */
static int on_write(struct work *work, const struct at_reply *reply, struct error *error)
{
    if (reply->result == AT_CME_ERROR && reply->code == CME_EXISTS && !work->is_second_try) {
        work->is_second_try = true;
        return send_delete(work, error);
    }
    if (was_switched_on(work, reply))
        return send_switch_off(work, error);
    if (reply->result != AT_OK)
        return refuse(work, reply, error);
    work->is_second_try = false;
    work->result.actions[work->type] = CREDENTIAL_WRITTEN;
    return step_next(work, error);
}

static int on_step_reply(struct work *work, const struct at_reply *reply, struct error *error)
{
    switch (work->step) {
    case STEP_CMEE:
        return at_reply_check(reply, error) ? -1 : send_switch_off(work, error);
    case STEP_CFUN:
        return at_reply_check(reply, error) ? -1 : send_text(work, STEP_LIST, "AT%CMNG=1", error);
    case STEP_LIST:
        return on_list(work, reply, error);
    case STEP_DELETE:
        return on_delete(work, reply, error);
    case STEP_WRITE:
        return on_write(work, reply, error);
    case STEP_CHECK:
        break;
    }
    return on_check(work, reply, error);
}

static void on_reply(void *user, const struct at_reply *reply)
{
    struct error error = ERROR_INIT;
    if (on_step_reply(user, reply, &error))
        finish(user, &error);
}

/* ---- the interface */

static int copy_set(struct credential_set *to, const struct credential_set *from, struct error *error)
{
    credential_set_init(to, from->sec_tag);
    for (int type = 0; type < CREDENTIAL_TYPE_COUNT; type++)
        if (from->text[type].length_bytes && bytes_append(&to->text[type], from->text[type].data, from->text[type].length_bytes)) {
            credential_set_done(to);
            return error_set_memory(error);
        }
    return 0;
}

int credential_apply(struct at *at, const struct credential_set *set, credential_done_fn *on_done, void *user, struct error *error)
{
    if (set->sec_tag > CREDENTIAL_SEC_TAG_MAX)
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "sec tag %u: 0 to %d are an application's own", set->sec_tag,
                         CREDENTIAL_SEC_TAG_MAX);
    struct work *work = calloc(1, sizeof(*work));
    if (!work)
        return error_set_memory(error);
    *work = (struct work){.at = at, .on_done = on_done, .user = user};
    if (copy_set(&work->set, set, error)) {
        free(work);
        return -1;
    }
    if (send_text(work, STEP_CMEE, "AT+CMEE=1", error)) {
        credential_set_done(&work->set);
        free(work);
        return -1;
    }
    return 0;
}
