#include "harness/try/certificate_notes.h"

#include <string.h>
#include <strings.h>
#include <time.h>

enum { DAY_S = 24 * 3600 };

void format_date(int64_t unix_s, char text[DATE_BYTES])
{
    time_t seconds = (time_t)unix_s;
    struct tm fields = {0};
    gmtime_r(&seconds, &fields);
    strftime(text, DATE_BYTES, "%Y-%m-%d", &fields);
}

static bool is_issuer(const X509 *issuer, const X509 *certificate)
{
    return X509_NAME_cmp(X509_get_subject_name(issuer), X509_get_issuer_name(certificate)) == 0 &&
           certificate_is_signed_by(certificate, issuer);
}

int chain_signer(const x509_stack *chain, int index)
{
    const X509 *certificate = sk_X509_value(chain, index);
    if (is_issuer(certificate, certificate))
        return index;
    for (int i = 0; i < sk_X509_num(chain); i++)
        if (i != index && is_issuer(sk_X509_value(chain, i), certificate))
            return i;
    return -1;
}

static const X509 *signer_of(const x509_stack *chain, int index, const X509 *issuer)
{
    int signer = chain_signer(chain, index);
    if (signer >= 0)
        return signer == index ? NULL : sk_X509_value(chain, signer);
    return issuer && is_issuer(issuer, sk_X509_value(chain, index)) ? issuer : NULL;
}

static void note_expiry(const X509 *certificate, const char *subject, int64_t now_s, struct notes *notes)
{
    int64_t before_s, after_s;
    char date[DATE_BYTES];
    if (certificate_validity(certificate, &before_s, &after_s) || now_s > after_s || after_s - now_s > (int64_t)EXPIRES_SOON_DAYS * DAY_S)
        return;
    format_date(after_s, date);
    int days = (int)((after_s - now_s) / DAY_S);
    notes_add(notes, NOTE_WARNING, "certificate.expires-soon", "'%s' expires on %s, in %d day%s: then the device is refused", subject, date,
              days, days == 1 ? "" : "s");
    notes_mend(notes, "make it again with a longer life (-days) and write it into the device");
}

static void note_outlives(const X509 *certificate, const char *subject, const X509 *signer, struct notes *notes)
{
    int64_t before_s, after_s, signer_after_s;
    char date[DATE_BYTES], signer_date[DATE_BYTES];
    CLEANUP_FREE char *signer_subject = certificate_subject(signer);
    if (!signer_subject || certificate_validity(certificate, &before_s, &after_s) ||
        certificate_validity(signer, &before_s, &signer_after_s) || after_s <= signer_after_s)
        return;
    format_date(after_s, date);
    format_date(signer_after_s, signer_date);
    notes_add(notes, NOTE_WARNING, "certificate.outlives-issuer",
              "'%s' is valid until %s, its issuer '%s' only until %s: from then on the chain is refused", subject, date, signer_subject,
              signer_date);
    notes_mend(notes, "renew the CA before %s, with the same key and name, or give the device a shorter life", signer_date);
}

static void note_root(const X509 *certificate, const char *subject, struct notes *notes)
{
    CLEANUP(bytes_done) struct bytes pem;
    bytes_init(&pem, CERTIFICATE_TEXT_MAX_BYTES);
    certificate_append_pem(certificate, &pem);
    notes_add(notes, NOTE_REMARK, "chain.root-sent",
              "the root '%s' is in the chain: DPS does not need it there, it has its own copy; it costs %zu bytes of the modem and of each "
              "handshake",
              subject, pem.length_bytes);
}

static void note_case(const X509 *leaf, const char *registration_id, struct notes *notes)
{
    CLEANUP_FREE char *cn = NULL;
    if (certificate_common_names(leaf, &cn) == 0 || !cn || strcmp(cn, registration_id) == 0 || strcasecmp(cn, registration_id) != 0)
        return;
    notes_add(notes, NOTE_WARNING, "registration-id.case",
              "the CN '%s' and the registration id '%s' differ in case alone: DPS takes them, but device ids of IoT Hub are case-sensitive",
              cn, registration_id);
    notes_mend(notes, "write both alike; lower case is safe everywhere");
}

void certificate_notes_add(const x509_stack *chain, const X509 *issuer, const char *registration_id, int64_t now_unix_s,
                           struct notes *notes)
{
    for (int i = 0; i < sk_X509_num(chain); i++) {
        const X509 *certificate = sk_X509_value(chain, i);
        const X509 *signer = signer_of(chain, i, issuer);
        CLEANUP_FREE char *subject = certificate_subject(certificate);
        if (!subject) {
            notes->is_incomplete = true;
            continue;
        }
        note_expiry(certificate, subject, now_unix_s, notes);
        if (signer)
            note_outlives(certificate, subject, signer, notes);
        if (i > 0 && chain_signer(chain, i) == i)
            note_root(certificate, subject, notes);
    }
    note_case(sk_X509_value(chain, 0), registration_id, notes);
}
