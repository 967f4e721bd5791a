#include "harness/try/pem_form.h"

#include "base/cleanup.h"
#include "base/shell_word.h"

#include <ctype.h>
#include <string.h>

#define BEGIN "-----BEGIN "
#define END "-----END "
#define BYTE_ORDER_MARK "\xEF\xBB\xBF"

int pem_form_require(const char *path, const struct bytes *text, struct error *error)
{
    CLEANUP_FREE char *word = shell_word(path);
    if (!word)
        return error_set_memory(error);
    if (!strstr(bytes_text(text), "----------BEGIN "))
        return 0;
    return error_set(
        error, ERROR_OWNER_FILE, ERROR_SYNTAX,
        "%s: two certificates share a line ('-----END CERTIFICATE----------BEGIN CERTIFICATE-----'): a file without a line end at "
        "its end was put before another with cat; part them: sed -i 's/----------/-----\\n-----/' %s",
        path, word);
}

/* ---- line by line ---- */

struct form {
    size_t crlf_count;
    int white_line; /* the first line with white space behind its dashes; 0: none */
    size_t outside_bytes;
    bool is_inside;
    size_t after_end_bytes; /* white space behind the last END line, its own line end not counted */
};

static bool starts_with(const char *line, size_t length, const char *start)
{
    return length >= strlen(start) && memcmp(line, start, strlen(start)) == 0;
}

static size_t trimmed(const char *line, size_t length)
{
    while (length && isspace((unsigned char)line[length - 1]))
        length--;
    return length;
}

/* `length` without the line end. */
static void take_line(struct form *form, const char *line, size_t length, int number)
{
    bool has_cr = length && line[length - 1] == '\r';
    size_t content = trimmed(line, length), body = has_cr ? length - 1 : length;
    bool is_begin = starts_with(line, length, BEGIN), is_end = starts_with(line, length, END);
    form->crlf_count += has_cr;
    if ((is_begin || is_end) && content < body && !form->white_line)
        form->white_line = number;
    if (!form->is_inside && !is_begin && content)
        form->outside_bytes += content;
    form->after_end_bytes = is_end ? 0 : form->after_end_bytes + length + 1;
    form->is_inside = is_begin || (form->is_inside && !is_end);
}

static struct form look(const struct bytes *text)
{
    struct form form = {0};
    const char *at = bytes_text(text), *end = at + text->length_bytes;
    if (starts_with(at, text->length_bytes, BYTE_ORDER_MARK))
        at += strlen(BYTE_ORDER_MARK);
    for (int number = 1; at < end; number++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *line_end = newline ? newline : end;
        take_line(&form, at, (size_t)(line_end - at), number);
        at = newline ? newline + 1 : end;
    }
    return form;
}

static void note_white_space(const char *path, const char *word, const struct form *form, struct notes *notes)
{
    if (form->white_line)
        notes_add(notes, NOTE_WARNING, "file.white-space", "'%s' has white space behind the last dash of line %d: some readers refuse it",
                  path, form->white_line);
    else if (form->after_end_bytes && !form->outside_bytes)
        notes_add(
            notes, NOTE_WARNING, "file.white-space",
            "'%s' has %zu bytes of white space behind its last line: who pastes it into a form pastes them too, and the connection fails",
            path, form->after_end_bytes);
    else
        return;
    notes_mend(notes, "sed -i -e 's/[[:space:]]*$//' -e '/^$/d' %s", word);
}

static void note_line_ends(const char *path, const char *word, const struct bytes *text, const struct form *form, struct notes *notes)
{
    if (form->crlf_count) {
        notes_add(
            notes, NOTE_WARNING, "file.crlf",
            "'%s' has Windows line ends (CRLF): the modem keeps them, and its SHA-256 of the text is not the one of the same file with LF",
            path);
        notes_mend(notes, "sed -i 's/\\r$//' %s", word);
    }
    if (text->length_bytes && text->data[text->length_bytes - 1] != '\n') {
        notes_add(notes, NOTE_WARNING, "file.no-newline",
                  "'%s' does not end with a line end: cat would put the next certificate's first line behind its last", path);
        notes_mend(notes, "echo >> %s", word);
    }
}

static bool ends_with(const char *text, size_t length, const char *end)
{
    return length >= strlen(end) && memcmp(text + length - strlen(end), end, strlen(end)) == 0;
}

/* "EC PARAMETERS" before a key, a key among certificates: whoever writes the file into a modem writes them too. */
static void note_other_block(const char *path, const char *word, const char *wanted, const struct bytes *text, struct notes *notes)
{
    for (const char *at = bytes_text(text); (at = strstr(at, BEGIN));) {
        const char *label = at + strlen(BEGIN), *end = strstr(label, "-----");
        at = label;
        if (!end || ends_with(label, (size_t)(end - label), wanted))
            continue;
        notes_add(notes, NOTE_WARNING, "file.other-block", "'%s' holds a block '%.*s' as well, which would be written into the modem too",
                  path, (int)(end - label), label);
        notes_mend(notes, "sed -n '/-----BEGIN.*%s-----/,/-----END/p' %s > NEW", wanted, word);
        return;
    }
}

void pem_form_check(const char *path, const char *wanted, const struct bytes *text, struct notes *notes)
{
    struct form form = look(text);
    CLEANUP_FREE char *word = shell_word(path);
    if (!word) {
        notes->is_incomplete = true;
        return;
    }
    if (starts_with(bytes_text(text), text->length_bytes, BYTE_ORDER_MARK)) {
        notes_add(notes, NOTE_WARNING, "file.byte-order-mark", "'%s' begins with a byte order mark (saved by a Windows editor)", path);
        notes_mend(notes, "sed -i '1s/^\\xEF\\xBB\\xBF//' %s", word);
    }
    note_other_block(path, word, wanted, text, notes);
    note_line_ends(path, word, text, &form, notes);
    note_white_space(path, word, &form, notes);
    if (form.outside_bytes) {
        notes_add(notes, NOTE_WARNING, "file.text-outside",
                  "'%s' holds %zu bytes of text outside the PEM blocks: they are written into the modem too", path, form.outside_bytes);
        notes_mend(notes, "sed -n '/-----BEGIN/,/-----END/p' %s > NEW", word);
    }
}

size_t pem_form_modem_bytes(const struct bytes *text)
{
    return trimmed(bytes_text(text), text->length_bytes);
}

void pem_form_check_modem(const char *path, enum credential_type type, const struct bytes *text, struct notes *notes)
{
    CLEANUP(credential_set_done) struct credential_set set;
    struct error error = ERROR_INIT;
    credential_set_init(&set, TRY_SEC_TAG);
    if (credential_set_put(&set, type, bytes_text(text), text->length_bytes, &error) == 0)
        return;
    if (error.code == ERROR_LIMIT) {
        notes_add(notes, NOTE_WARNING, "modem.too-long",
                  "'%s' is too long for an nRF91 (%s): the AT host takes %d bytes a command, drops the rest with its closing quote, and "
                  "then swallows "
                  "all that follows; modem firmware has crashed on certificates beyond 4 KB",
                  path, error.text, AT_COMMAND_MAX_BYTES);
        notes_mend(notes, "%s",
                   type == CREDENTIAL_CLIENT_KEY
                       ? "use a P-256 key: openssl ecparam -name prime256v1 -genkey -noout -out device.key"
                       : "leave out what DPS knows already (the root), or use P-256 keys, whose certificates are a third as long");
    } else if (error.code == ERROR_SYNTAX) {
        notes_add(notes, NOTE_WARNING, "modem.bad-byte", "'%s' cannot be written into a modem over AT: %s", path, error.text);
        notes_mend(notes, "remove all but the lines from -----BEGIN to -----END");
    }
}
