/* A try's result for a person. */
#include "harness/try/trial_report.h"

#include "harness/try/certificate_notes.h"
#include "harness/try/pem_form.h"

#include <openssl/x509v3.h>
#include <string.h>

#define BOLD_GREEN "\033[1;32m"
#define BOLD_RED "\033[1;31m"
#define BOLD "\033[1m"
#define PLAIN "\033[0m"

struct printer {
    FILE *file;
    const struct try_request *request;
    const struct trial_result *result;
    bool has_colour;
};

static const char *colour(const struct printer *printer, const char *code)
{
    return printer->has_colour ? code : "";
}

static void heading(const struct printer *printer, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void heading(const struct printer *printer, const char *format, ...)
{
    va_list args;
    fprintf(printer->file, "\n%s", colour(printer, BOLD));
    va_start(args, format);
    vfprintf(printer->file, format, args);
    va_end(args);
    fprintf(printer->file, "%s\n", colour(printer, PLAIN));
}

static const char *rule_class(const cJSON *verdict)
{
    return json_string(cJSON_GetArrayItem(json_member(verdict, "rules"), 0), "class", "");
}

/* ---- the verdict ---- */

static void print_verdict(const struct printer *printer)
{
    const struct trial_result *result = printer->result;
    const char *rule = json_string(result->verdict, "rule", NULL);
    fputs(colour(printer, result->outcome == TRIAL_ASSIGNED ? BOLD_GREEN : BOLD_RED), printer->file);
    switch (result->outcome) {
    case TRIAL_ASSIGNED:
        fprintf(printer->file, "WOULD BE ASSIGNED");
        break;
    case TRIAL_REFUSED_BY_DEVICE:
        fprintf(printer->file, "WOULD NOT CONNECT");
        break;
    case TRIAL_REFUSED_BY_DPS:
        fprintf(printer->file, "WOULD BE REFUSED: %s (%s)", rule ? rule : "?", rule_class(result->verdict));
        break;
    case TRIAL_REFUSED_BY_HUB:
        fprintf(printer->file, "WOULD BE REFUSED BY THE HUB: %s", json_string(result->hub_verdict, "rule", "?"));
        break;
    }
    fprintf(printer->file, "%s\n  %s\n", colour(printer, PLAIN), result->text);
    if (result->outcome == TRIAL_REFUSED_BY_DEVICE)
        fprintf(printer->file, "  DPS itself: %s%s%s\n", rule ? rule : "", rule ? ": " : "", json_string(result->verdict, "text", ""));
}

/* ---- what DPS saw ---- */

static x509_stack *read_chain(const cJSON *handshake)
{
    CLEANUP_CHAIN x509_stack *chain = sk_X509_new_null();
    const cJSON *item;
    cJSON_ArrayForEach(item, json_member(handshake, "chain"))
    {
        const char *pem = json_string(item, "pem", "");
        X509 *certificate = NULL;
        if (!chain || certificate_read_text(pem, strlen(pem), "event", &certificate, NULL))
            return NULL;
        sk_X509_push(chain, certificate);
    }
    return TAKE(chain);
}

static void print_key(FILE *file, const X509 *certificate)
{
    EVP_PKEY *key = X509_get0_pubkey(certificate);
    char group[64];
    size_t length = 0;
    if (!key)
        return;
    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC && EVP_PKEY_get_group_name(key, group, sizeof group, &length))
        fprintf(file, ", %s", strcmp(group, "prime256v1") == 0 ? "P-256" : group);
    else
        fprintf(file, ", %s %d", EVP_PKEY_get0_type_name(key) ? EVP_PKEY_get0_type_name(key) : "key", EVP_PKEY_get_bits(key));
}

static void print_certificate(const struct printer *printer, const x509_stack *chain, int index)
{
    FILE *file = printer->file;
    X509 *certificate = sk_X509_value(chain, index);
    CLEANUP_FREE char *subject = certificate_subject(certificate), *issuer = certificate_issuer(certificate);
    int64_t before_s = 0, after_s = 0;
    char before[DATE_BYTES], after[DATE_BYTES];
    int signer = chain_signer(chain, index);
    certificate_validity(certificate, &before_s, &after_s);
    format_date(before_s, before);
    format_date(after_s, after);
    fprintf(file, "  %d  %s\n     ", index + 1, subject && *subject ? subject : "(an empty name)");
    if (signer == index)
        fprintf(file, "signed by itself");
    else if (signer >= 0)
        fprintf(file, "signed by %d", signer + 1);
    else
        fprintf(file, "signed by '%s', not sent", issuer ? issuer : "?");
    fprintf(file, ", %s to %s", before, after);
    print_key(file, certificate);
    fprintf(file, "%s, version %ld\n", X509_check_ca(certificate) ? ", CA" : "", X509_get_version(certificate) + 1);
}

static void print_seen(const struct printer *printer)
{
    if (!printer->result->handshake)
        return;
    CLEANUP_CHAIN x509_stack *chain = read_chain(printer->result->handshake);
    int count = chain ? sk_X509_num(chain) : 0;
    heading(printer, "What DPS saw: registration id '%s', %d certificate%s over %s", printer->request->registration_id, count,
            count == 1 ? "" : "s", json_string(printer->result->handshake, "version", "TLS"));
    for (int i = 0; i < count; i++)
        print_certificate(printer, chain, i);
}

/* ---- how it decided ---- */

static void print_list(FILE *file, const char *name, const cJSON *list, const char *between)
{
    const cJSON *item;
    bool is_first = true;
    cJSON_ArrayForEach(item, list)
    {
        fprintf(file, "%s%s", is_first ? name : between, cJSON_IsString(item) ? item->valuestring : "");
        is_first = false;
    }
    if (!is_first)
        fputc('\n', file);
}

static const char *evidence_text(const char *evidence)
{
    static const struct {
        const char *word;
        const char *text;
    } words[] = {
        {"documented", "documented by Microsoft"},
        {"field-observed", "observed in published logs"},
        {"vendor", "stated by a third party"},
        {"assumed", "assumed, there is no public source"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(words); i++)
        if (strcmp(words[i].word, evidence) == 0)
            return words[i].text;
    return evidence;
}

static void print_decision(const struct printer *printer)
{
    const cJSON *evidence = json_member(printer->result->verdict, "evidence");
    const char *azure = json_string(evidence, "azure", NULL), *matched = json_string(evidence, "matched", NULL);
    heading(printer, "How it decided");
    print_list(printer->file, "  assumed   ", printer->result->service.assumptions, "\n            ");
    print_list(printer->file, "  chain     ", json_member(evidence, "path"), "\n         <- ");
    if (matched)
        fprintf(printer->file, "  matched   %s '%s', %s\n", json_string(json_member(evidence, "enrollment"), "kind", ""),
                json_string(json_member(evidence, "enrollment"), "id", ""), matched);
    if (azure)
        fprintf(printer->file, "  rule      %s\n  evidence  %s: %s\n", azure, evidence_text(json_string(evidence, "rule_evidence", "")),
                json_string(evidence, "rule_source", ""));
}

static void print_assignment(const struct printer *printer)
{
    const struct trial_result *result = printer->result;
    if (!result->assigned)
        return;
    fprintf(printer->file, "  assigned  to '%s' as device '%s'", json_string(result->assigned, "assigned_hub", ""),
            json_string(result->assigned, "device_id", ""));
    if (result->hub_verdict)
        fprintf(printer->file, "; the hub says %s", json_string(result->hub_verdict, "verdict", ""));
    fputc('\n', printer->file);
}

/* ---- where it shows ---- */

static void print_surface(const struct printer *printer)
{
    const cJSON *verdict = printer->result->verdict;
    const char *surface = json_string(verdict, "surface", "none");
    FILE *file = printer->file;
    heading(printer, "Where Azure shows it (profile %s)", json_string(verdict, "profile", "azure"));
    if (strcmp(surface, "tls-alert") == 0)
        fprintf(file, "  the TLS handshake ends with the alert %s: there is no CONNACK, and no answer of DPS\n",
                json_string(printer->result->alert, "name", "that the server sends"));
    else if (strcmp(surface, "connack") == 0)
        fprintf(file, "  CONNACK with return code %d: an nRF91 prints \"Connection was rejected with return code %d\"\n",
                (int)json_integer(verdict, "return_code", 5), (int)json_integer(verdict, "return_code", 5));
    else if (strncmp(surface, "res", 3) == 0)
        fprintf(file,
                "  CONNACK 0, then the register request is answered on $dps/registrations/res/%s: errorCode %d, \"%s\"; then DPS closes\n",
                surface + 3, (int)json_integer(verdict, "error_code", 0), json_string(verdict, "message", ""));
    else
        fprintf(file, "  CONNACK 0, the register request is answered with 202, then a poll says status \"%s\"\n", surface);
    if (strncmp(surface, "res", 3) == 0)
        fprintf(file,
                "  some published logs have CONNACK 5 in its place (\"Connection was rejected with return code 5\"): --profile connack\n");
}

/* ---- root, console, mend, notes ---- */

static void print_root(const struct printer *printer)
{
    const struct trial_result *result = printer->result;
    heading(printer, "Server root");
    if (result->has_root)
        fprintf(printer->file, "  %s: %s\n", printer->request->root_path, result->root.said);
    else
        fprintf(
            printer->file,
            "  not checked: the client trusts the simulator's root. A device needs DigiCert Global Root G2: --root FILE checks yours\n");
    if (result->has_root && result->root.is_good)
        fprintf(printer->file, "  (looked at, not tried: no server here has Azure's key)\n");
}

static void print_size(const struct printer *printer, const char *what, const struct bytes *text)
{
    size_t length = pem_form_modem_bytes(text);
    fprintf(printer->file, "  (%s: %zu bytes, %s the %d that one AT%%CMNG command carries)\n", what, length,
            length > MODEM_TEXT_MAX_BYTES ? "more than" : "within", MODEM_TEXT_MAX_BYTES);
}

static void print_console(const struct printer *printer)
{
    const cJSON *line;
    if (!printer->request->wants_console)
        return;
    heading(printer, "What an nRF91 prints (virtual DK, sec tag %d%s)", TRY_SEC_TAG,
            printer->result->has_root && !printer->result->root.is_good ? ", your root" : ", the simulator's root in place of Azure's");
    print_size(printer, "certificates", &printer->result->files.cert_text);
    print_size(printer, "key", &printer->result->files.key_text);
    if (printer->result->console_trouble)
        fprintf(printer->file, "  nothing: %s\n", printer->result->console_trouble);
    cJSON_ArrayForEach(line, printer->result->console)
    {
        fprintf(printer->file, "  %s\n", cJSON_IsString(line) ? line->valuestring : "");
    }
}

static void print_commands(const struct printer *printer)
{
    const cJSON *line;
    if (cJSON_GetArraySize(printer->result->commands) == 0)
        return;
    heading(printer, "What to type");
    cJSON_ArrayForEach(line, printer->result->commands)
    {
        fprintf(printer->file, "  %s\n", cJSON_IsString(line) ? line->valuestring : "");
    }
}

static void print_notes(const struct printer *printer, enum note_kind kind, const char *title)
{
    const struct notes *notes = &printer->result->notes;
    if (notes_count(notes, kind) == 0)
        return;
    heading(printer, "%s", title);
    for (size_t i = 0; i < notes->count; i++) {
        const struct note *note = &notes->items[i];
        if (note->kind != kind)
            continue;
        fprintf(printer->file, "  %s: %s\n", note->id, note->text);
        if (*note->mend)
            fprintf(printer->file, "    %s\n", note->mend);
    }
}

void trial_print(FILE *file, const struct try_request *request, const struct trial_result *result, bool has_colour)
{
    const struct printer printer = {.file = file, .request = request, .result = result, .has_colour = has_colour};
    print_verdict(&printer);
    print_seen(&printer);
    print_decision(&printer);
    print_assignment(&printer);
    if (json_string(result->verdict, "rule", NULL))
        print_surface(&printer);
    print_commands(&printer);
    print_root(&printer);
    print_console(&printer);
    print_notes(&printer, NOTE_WARNING, "Warnings");
    print_notes(&printer, NOTE_REMARK, "Remarks");
}
