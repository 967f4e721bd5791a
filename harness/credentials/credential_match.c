#include "harness/credentials/credential_match.h"

#include "base/cleanup.h"
#include "certs/chain.h"
#include "harness/credentials/credential_kind.h"

#include <ctype.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>

enum {
    TEXT_MAX_BYTES = CERTIFICATE_TEXT_MAX_BYTES,
    VARIANT_MAX_BYTES = 4 * TEXT_MAX_BYTES,
    HOW_MAX_BYTES = 160,
    VARIANTS_MAX = 4096,
};

const char *match_state_name(enum match_state state)
{
    static const char *const names[] = {
#define X(id, name) name,
        MATCH_STATES(X)
#undef X
    };
    return names[state];
}

/* ---- texts ---- */

static const char byte_order_mark[] = "\xEF\xBB\xBF";

int credential_text(const void *data, size_t length_bytes, struct bytes *ret_text, bool *ret_had_cr, struct error *error)
{
    const char *at = data, *end = at + length_bytes;
    struct bytes text;
    bool had_cr = false;
    bytes_init(&text, TEXT_MAX_BYTES);
    if (length_bytes >= 3 && memcmp(at, byte_order_mark, 3) == 0)
        at += 3;
    while (at < end && isspace((unsigned char)*at))
        at++;
    while (at < end && isspace((unsigned char)end[-1]))
        end--;
    for (; at < end; at++) {
        had_cr |= *at == '\r';
        if (*at == '\r' && at + 1 < end && at[1] == '\n')
            continue;
        if (bytes_append_byte(&text, *at == '\r' ? '\n' : (uint8_t)*at)) {
            bytes_wipe(&text);
            return error_set(error, ERROR_OWNER_FILE, ERROR_LIMIT, "a text of more than %d bytes is no credential", TEXT_MAX_BYTES);
        }
    }
    *ret_text = text;
    if (ret_had_cr)
        *ret_had_cr = had_cr;
    return 0;
}

void credential_text_sha256(const struct bytes *text, char ret_hex[CREDENTIAL_SHA256_BYTES])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int length = 0;
    ret_hex[0] = 0;
    if (!EVP_Digest(bytes_text(text), text->length_bytes, digest, &length, EVP_sha256(), NULL))
        return;
    for (unsigned int i = 0; i < length; i++)
        snprintf(ret_hex + 2 * (size_t)i, 3, "%02X", digest[i]);
}

static int append_with_crlf(const struct bytes *text, struct bytes *crlf)
{
    int rc = 0;
    for (size_t i = 0; i < text->length_bytes && !rc; i++)
        rc = (text->data[i] == '\n' && bytes_append_byte(crlf, '\r')) || bytes_append_byte(crlf, text->data[i]);
    return rc;
}

bool credential_text_is_listed(const struct bytes *text, const struct credential_list *list, const char *listed)
{
    char wanted[CREDENTIAL_SHA256_BYTES];
    CLEANUP(bytes_wipe) struct bytes crlf = {.max_bytes = VARIANT_MAX_BYTES};
    credential_text_sha256(text, wanted);
    if (strcmp(wanted, listed) == 0)
        return true;
    if (!list->stores_crlf || append_with_crlf(text, &crlf))
        return false;
    credential_text_sha256(&crlf, wanted);
    return strcmp(wanted, listed) == 0;
}

/* ---- variants of the local files ---- */

struct variant {
    char sha256[CREDENTIAL_SHA256_BYTES];
    size_t wanted; /* index of the file */
    bool is_exact;
    char how[HOW_MAX_BYTES];
};

struct variants {
    struct variant *items;
    size_t count;
    size_t capacity;
    bool has_failed; /* out of memory */
};

static void free_variants(struct variants *variants)
{
    free(variants->items);
}

static struct variant *add_variant(struct variants *variants)
{
    if (variants->count == VARIANTS_MAX)
        return NULL;
    if (variants->count == variants->capacity) {
        size_t capacity = variants->capacity ? 2 * variants->capacity : 256;
        struct variant *items = realloc(variants->items, capacity * sizeof *items);
        if (!items) {
            variants->has_failed = true;
            return NULL;
        }
        variants->items = items;
        variants->capacity = capacity;
    }
    return &variants->items[variants->count++];
}

static const struct {
    const char *line_end, *text;
} line_ends[] = {{"\n", ""}, {"\r\n", "with CR LF line ends"}, {"\\n", "with the two characters \\n in place of line ends"}};

/* What tools are known to put around a text: the line end of its last line, or one before it. */
static const struct {
    const char *text;
    bool has_head, has_tail;
} frames[] = {{"", false, false}, {"with a line end behind it", false, true}, {"with a line end before it", true, false}};

static int spell(const struct bytes *text, size_t line_end, size_t frame, struct bytes *spelt)
{
    const char *end = line_ends[line_end].line_end;
    int rc = frames[frame].has_head ? bytes_append_text(spelt, end) : 0;
    for (size_t i = 0; i < text->length_bytes && !rc; i++)
        rc = text->data[i] == '\n' ? bytes_append_text(spelt, end) : bytes_append_byte(spelt, text->data[i]);
    return rc || !frames[frame].has_tail ? rc : bytes_append_text(spelt, end);
}

/* A content with each of its spellings. */
static void add_content(struct variants *variants, size_t wanted, const struct bytes *text, const char *what)
{
    for (size_t line_end = 0; line_end < ARRAY_COUNT(line_ends); line_end++)
        for (size_t frame = 0; frame < ARRAY_COUNT(frames); frame++) {
            CLEANUP(bytes_wipe) struct bytes spelt = {.max_bytes = VARIANT_MAX_BYTES};
            if (spell(text, line_end, frame, &spelt))
                continue;
            struct variant *variant = add_variant(variants);
            if (!variant)
                return;
            const char *parts[] = {what, line_ends[line_end].text, frames[frame].text};
            variant->wanted = wanted;
            variant->is_exact = !*what && line_end == 0 && frame == 0;
            credential_text_sha256(&spelt, variant->sha256);
            size_t used = 0;
            variant->how[0] = 0;
            for (size_t i = 0; i < ARRAY_COUNT(parts); i++)
                if (*parts[i] && used < sizeof variant->how)
                    used += (size_t)snprintf(variant->how + used, sizeof variant->how - used, "%s%s", used ? ", " : "", parts[i]);
        }
}

static void add_certificates(struct variants *variants, size_t wanted, const x509_stack *chain, int from, int to, const char *what)
{
    CLEANUP(bytes_wipe) struct bytes pem = {.max_bytes = TEXT_MAX_BYTES};
    CLEANUP(bytes_wipe) struct bytes text = {0};
    int step = from <= to ? 1 : -1;
    for (int i = from; i != to + step; i += step)
        if (certificate_append_pem(sk_X509_value(chain, i), &pem))
            return;
    if (credential_text(bytes_text(&pem), pem.length_bytes, &text, NULL, NULL) == 0)
        add_content(variants, wanted, &text, what);
}

static void add_parts_of_chain(struct variants *variants, size_t wanted, const x509_stack *chain)
{
    int count = sk_X509_num(chain);
    char what[HOW_MAX_BYTES];
    add_certificates(variants, wanted, chain, 0, count - 1, "without the text around the certificates");
    if (count < 2)
        return;
    add_certificates(variants, wanted, chain, count - 1, 0, "in the reverse order");
    for (int i = 0; i < count; i++) {
        snprintf(what, sizeof what, i ? "certificate %d of %d alone" : "its first certificate alone, without the chain", i + 1, count);
        add_certificates(variants, wanted, chain, i, i, what);
    }
    for (int i = 1; i < count - 1; i++) {
        snprintf(what, sizeof what, "its first %d certificates alone", i + 1);
        add_certificates(variants, wanted, chain, 0, i, what);
    }
}

static void add_key_form(struct variants *variants, size_t wanted, const EVP_PKEY *key, bool is_traditional)
{
    BIO *bio = BIO_new(BIO_s_secmem());
    int is_written = bio && (is_traditional ? PEM_write_bio_PrivateKey_traditional(bio, (EVP_PKEY *)key, NULL, NULL, 0, NULL, NULL)
                                            : PEM_write_bio_PKCS8PrivateKey(bio, (EVP_PKEY *)key, NULL, NULL, 0, NULL, NULL));
    char *data = NULL;
    long length = is_written == 1 ? BIO_get_mem_data(bio, &data) : 0;
    CLEANUP(bytes_wipe) struct bytes text = {0};
    if (length > 0 && credential_text(data, (size_t)length, &text, NULL, NULL) == 0)
        add_content(variants, wanted, &text, is_traditional ? "as SEC1 or PKCS#1 in place of PKCS#8" : "as PKCS#8");
    BIO_free(bio);
    ERR_clear_error();
}

static void add_file(struct variants *variants, size_t wanted, const struct wanted_credential *credential)
{
    CLEANUP_CHAIN x509_stack *chain = NULL;
    CLEANUP_PKEY EVP_PKEY *key = NULL;
    add_content(variants, wanted, &credential->text, "");
    const char *text = bytes_text(&credential->text);
    if (strstr(text, "-----BEGIN CERTIFICATE-----") && certificates_read_text(text, credential->text.length_bytes, "", &chain, NULL) == 0)
        add_parts_of_chain(variants, wanted, chain);
    if (strstr(text, "PRIVATE KEY-----") && private_key_read_text(text, credential->text.length_bytes, "", &key, NULL) == 0) {
        add_key_form(variants, wanted, key, false);
        add_key_form(variants, wanted, key, true);
    }
}

/* The file that is wanted in this slot explains it best, and an exact text explains it better than an altered one. */
static const struct variant *explain(const struct variants *variants, const char *sha256, size_t preferred)
{
    const struct variant *best = NULL;
    for (size_t i = 0; i < variants->count; i++) {
        const struct variant *variant = &variants->items[i];
        if (strcmp(variant->sha256, sha256) != 0)
            continue;
        bool is_better = !best || (variant->wanted == preferred && best->wanted != preferred) ||
                         (variant->wanted == best->wanted && variant->is_exact && !best->is_exact);
        best = is_better ? variant : best;
    }
    return best;
}

/* ---- findings ---- */

struct matching {
    const struct wanted_credential *wanted;
    size_t wanted_count;
    const struct credential_list *list;
    struct variants variants;
    struct match_report *report;
};

static const char *role(int type)
{
    const struct credential_kind *kind = credential_kind_at(type);
    return kind ? kind->text : "an unknown type";
}

static void say_other_file(const struct matching *matching, const struct variant *variant, struct match_finding *finding)
{
    const struct wanted_credential *other = &matching->wanted[variant->wanted];
    finding->state = MATCH_OTHER_FILE;
    finding->path = other->path;
    snprintf(finding->text, sizeof finding->text, "holds '%s'%s%s%s, which belongs into %s (%s)", other->path, *variant->how ? " (" : "",
             variant->how, *variant->how ? ")" : "", credential_kind_word(other->type), role(other->type));
    snprintf(finding->mend, sizeof finding->mend, "write the file of this slot: %s", credential_kind_word(finding->type));
}

static void say_listed(const struct matching *matching, size_t index, struct match_finding *finding)
{
    const struct variant *variant = explain(&matching->variants, finding->listed, index);
    if (credential_is_placeholder(finding->listed)) {
        finding->state = MATCH_UNREADABLE;
        snprintf(finding->text, sizeof finding->text, "something is there; this modem firmware prints no hashes (mfw 1.3.2 and later do)");
        snprintf(finding->mend, sizeof finding->mend, "write it again to be sure");
    } else if (!variant) {
        finding->state = MATCH_UNKNOWN;
        snprintf(finding->text, sizeof finding->text, "holds another text, and none of the local files explains it");
        snprintf(finding->mend, sizeof finding->mend, "write '%s'", finding->path);
    } else if (variant->wanted != index) {
        say_other_file(matching, variant, finding);
    } else if (credential_text_is_listed(&matching->wanted[index].text, matching->list, finding->listed)) {
        finding->state = MATCH_SAME;
        snprintf(finding->text, sizeof finding->text, "holds '%s'", finding->path);
    } else {
        finding->state = MATCH_ALTERED;
        snprintf(finding->text, sizeof finding->text, "holds '%s', but %s", finding->path, variant->how);
        snprintf(finding->mend, sizeof finding->mend, "write '%s' again: dpsbench stores LF line ends and nothing around them",
                 finding->path);
    }
}

/* Where else in the modem the file of this slot is. */
static const struct credential_entry *find_elsewhere(const struct matching *matching, size_t index)
{
    const struct wanted_credential *wanted = &matching->wanted[index];
    for (size_t i = 0; i < matching->list->count; i++) {
        const struct credential_entry *entry = &matching->list->entries[i];
        const struct variant *variant = explain(&matching->variants, entry->sha256, index);
        if (variant && variant->wanted == index && (entry->sec_tag != wanted->sec_tag || entry->type != wanted->type))
            return entry;
    }
    return NULL;
}

static void say_where_it_is(const struct matching *matching, size_t index, struct match_finding *finding)
{
    const struct credential_entry *entry = find_elsewhere(matching, index);
    size_t used = strlen(finding->text);
    if (!entry)
        return;
    if (entry->sec_tag != finding->sec_tag)
        snprintf(finding->text + used, sizeof finding->text - used, "; '%s' is in sec tag %u, %s: wrong sec tag%s",
                 matching->wanted[index].path, entry->sec_tag, credential_kind_word(entry->type),
                 entry->type != finding->type ? " and wrong type" : "");
    else
        snprintf(finding->text + used, sizeof finding->text - used, "; '%s' is in %s: wrong type", matching->wanted[index].path,
                 credential_kind_word(entry->type));
}

static void find_slot(struct matching *matching, size_t index)
{
    const struct wanted_credential *wanted = &matching->wanted[index];
    struct match_finding *finding = &matching->report->findings[matching->report->count++];
    *finding = (struct match_finding){.sec_tag = wanted->sec_tag, .type = wanted->type, .path = wanted->path};
    credential_text_sha256(&wanted->text, finding->wanted);
    snprintf(finding->listed, sizeof finding->listed, "%s", credential_list_sha256(matching->list, wanted->sec_tag, wanted->type));
    if (*finding->listed) {
        say_listed(matching, index, finding);
    } else {
        finding->state = MATCH_ABSENT;
        snprintf(finding->text, sizeof finding->text, "is empty");
        snprintf(finding->mend, sizeof finding->mend, "write '%s'", wanted->path);
    }
    matching->report->is_good &= finding->state == MATCH_SAME;
    if (finding->state != MATCH_SAME && finding->state != MATCH_ALTERED)
        say_where_it_is(matching, index, finding);
}

static bool is_wanted_slot(const struct matching *matching, const struct credential_entry *entry)
{
    for (size_t i = 0; i < matching->wanted_count; i++)
        if (matching->wanted[i].sec_tag == entry->sec_tag && matching->wanted[i].type == entry->type)
            return true;
    return false;
}

static void find_other_slots(struct matching *matching)
{
    for (size_t i = 0; i < matching->list->count && matching->report->count < MATCH_FINDINGS_MAX; i++) {
        const struct credential_entry *entry = &matching->list->entries[i];
        const struct variant *variant = explain(&matching->variants, entry->sha256, matching->wanted_count);
        if (!variant || is_wanted_slot(matching, entry))
            continue;
        struct match_finding *finding = &matching->report->findings[matching->report->count++];
        const char *path = matching->wanted[variant->wanted].path;
        *finding = (struct match_finding){.state = MATCH_ELSEWHERE, .sec_tag = entry->sec_tag, .type = entry->type, .path = path};
        snprintf(finding->listed, sizeof finding->listed, "%s", entry->sha256);
        snprintf(finding->text, sizeof finding->text, "holds '%s'%s%s too", path, *variant->how ? ", " : "", variant->how);
    }
}

int credential_match(const struct wanted_credential *wanted, size_t wanted_count, const struct credential_list *list,
                     struct match_report *ret_report, struct error *error)
{
    CLEANUP(free_variants) struct variants variants = {0};
    CLEANUP_FREE struct match_report *report = calloc(1, sizeof *report);
    for (size_t i = 0; i < wanted_count; i++)
        add_file(&variants, i, &wanted[i]);
    if (!report || variants.has_failed)
        return error_set_memory(error);
    report->is_good = true;
    struct matching matching = {.wanted = wanted, .wanted_count = wanted_count, .list = list, .variants = variants, .report = report};
    for (size_t i = 0; i < wanted_count && i < MATCH_WANTED_MAX; i++)
        find_slot(&matching, i);
    find_other_slots(&matching);
    *ret_report = *report;
    return 0;
}
