#include "certs/attestation.h"

#include "base/clock.h"
#include "base/shell_word.h"
#include "certs/attestation_judge.h"

#include <ctype.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

DEFINE_CLEANUP(struct attestation_verdict *, attestation_verdict_free)

/* Of a rule that has no body of its own. */
enum { CODE_INVALID = 401002 };

/* ---- texts ---- */

static char *format_text(struct judge *judge, const char *format, va_list args)
{
    char *text = NULL;
    if (vasprintf(&text, format, args) < 0) {
        judge->is_out_of_memory = true;
        return NULL;
    }
    /* Names come from foreign certificates: one line, whatever they hold. */
    for (char *c = text; *c; c++)
        if (iscntrl((unsigned char)*c))
            *c = '?';
    return text;
}

static bool is_overridden(const struct judge *judge, const struct attestation_rule *rule, enum attestation_surface *ret_surface)
{
    return attestation_surfaces_find(judge->question->surfaces, rule, ret_surface);
}

static enum attestation_surface surface_of(const struct judge *judge, const struct attestation_rule *rule)
{
    enum attestation_surface surface = attestation_rule_surface(rule, judge->verdict->profile);
    is_overridden(judge, rule, &surface);
    return surface;
}

/* What is taken all the same is worth a word. */
static enum attestation_severity severity_of(const struct judge *judge, const struct attestation_rule *rule)
{
    enum attestation_surface surface;
    if (!is_overridden(judge, rule, &surface))
        return attestation_rule_severity(rule, judge->verdict->profile);
    if (surface != ATTESTATION_SURFACE_NONE)
        return ATTESTATION_REFUSE;
    return rule->severity == ATTESTATION_REFUSE ? ATTESTATION_WARN : rule->severity;
}

static struct attestation_finding *last_finding(struct judge *judge)
{
    return &judge->verdict->findings[judge->verdict->finding_count - 1];
}

void judge_add(struct judge *judge, enum rule_index index, const char *format, ...)
{
    struct attestation_verdict *verdict = judge->verdict;
    if (verdict->finding_count == ATTESTATION_FINDINGS_MAX)
        return;
    const struct attestation_rule *rule = attestation_rule_at(index);
    struct attestation_finding *finding = &verdict->findings[verdict->finding_count++];
    va_list args;
    va_start(args, format);
    *finding = (struct attestation_finding){.rule = rule, .severity = severity_of(judge, rule), .text = format_text(judge, format, args)};
    va_end(args);
    finding->mend = strdup("");
    judge->is_out_of_memory |= !finding->mend;
}

void judge_mend(struct judge *judge, const char *format, ...)
{
    struct attestation_finding *finding = last_finding(judge);
    va_list args;
    va_start(args, format);
    free(finding->mend);
    finding->mend = format_text(judge, format, args);
    va_end(args);
}

char *judge_subject_of(struct judge *judge, const X509 *certificate)
{
    char *text = certificate_subject(certificate);
    judge->is_out_of_memory |= !text;
    return text;
}

static char *issuer_of(struct judge *judge, const X509 *certificate)
{
    char *text = certificate_issuer(certificate);
    judge->is_out_of_memory |= !text;
    return text;
}

bool judge_shows(const struct judge *judge, enum rule_index rule)
{
    return surface_of(judge, attestation_rule_at(rule)) != ATTESTATION_SURFACE_NONE;
}

const char *name_shown(const char *text)
{
    return text && *text ? text : "(an empty name)";
}

static void format_date(int64_t unix_s, char text[CLOCK_ISO8601_BYTES])
{
    time_t seconds = (time_t)unix_s;
    struct tm fields = {0};
    gmtime_r(&seconds, &fields);
    strftime(text, CLOCK_ISO8601_BYTES, "%Y-%m-%dT%H:%M:%SZ", &fields);
}

/* ---- registration id and CN ---- */

bool registration_id_equals(const char *a, const char *b)
{
    return strcasecmp(a, b) == 0;
}

static bool is_id_character(char c)
{
    return (isascii((unsigned char)c) && isalnum((unsigned char)c)) || (c && strchr("-._:", c));
}

bool registration_id_is_valid(const char *registration_id)
{
    size_t length = strlen(registration_id);
    if (length == 0 || length > DPS_ID_MAX_BYTES)
        return false;
    for (size_t i = 0; i < length; i++)
        if (!is_id_character(registration_id[i]))
            return false;
    return !strchr("._:", registration_id[length - 1]);
}

static bool has_upper_case(const char *text)
{
    for (; *text; text++)
        if (*text >= 'A' && *text <= 'Z')
            return true;
    return false;
}

static void check_upper_case(struct judge *judge)
{
    if (!judge_shows(judge, RULE_ID_UPPER_CASE) || !has_upper_case(judge->registration_id))
        return;
    judge_add(judge, RULE_ID_UPPER_CASE, "the registration id '%.200s' has upper case letters", judge->registration_id);
    judge_mend(judge, "write registration id and CN in lower case");
}

static void check_grammar(struct judge *judge)
{
    if (registration_id_is_valid(judge->registration_id))
        return;
    judge_add(judge, RULE_ID_GRAMMAR, "the registration id '%.200s' is not one that DPS takes", judge->registration_id);
    judge_mend(judge, "use 1 to 128 letters, digits and - . _ :, with a letter, a digit or '-' at the end; set it in the device "
                      "(AZURE_IOT_HUB_DPS registration id) and in the certificate's CN");
}

static bool cn_fits(const struct judge *judge)
{
    return judge->verdict->leaf_cn && registration_id_equals(judge->verdict->leaf_cn, judge->registration_id);
}

static void add_mismatch(struct judge *judge)
{
    const char *cn = judge->verdict->leaf_cn, *id = judge->registration_id;
    judge_add(judge, RULE_ID_MISMATCH, "the certificate's CN is '%s', the registration id is '%s': DPS wants them to be the same", cn, id);
    judge_mend(
        judge,
        "make the device's certificate again with that CN (openssl req ... -subj \"/CN=%s\"), or set the device's registration id to '%s'",
        id, cn);
}

static void check_cn(struct judge *judge)
{
    size_t count = certificate_common_names(judge->leaf, NULL);
    if (count == 0) {
        judge_add(judge, RULE_CN_MISSING, "the certificate's subject '%s' has no CN; DPS wants the registration id '%s' there",
                  name_shown(judge->leaf_subject), judge->registration_id);
        judge_mend(judge, "make the device's certificate again with -subj \"/CN=%s\"", judge->registration_id);
    } else if (count > 1) {
        judge_add(judge, RULE_CN_MULTIPLE,
                  "the certificate's subject '%s' has %zu CNs; exactly one must be there, the registration id '%s'",
                  name_shown(judge->leaf_subject), count, judge->registration_id);
        judge_mend(judge, "make the device's certificate again with -subj \"/CN=%s\"", judge->registration_id);
    } else if (!cn_fits(judge)) {
        add_mismatch(judge);
    }
}

/* ---- validity ---- */

static void check_times(struct judge *judge, const X509 *certificate, enum rule_index expired, enum rule_index not_yet, const char *what)
{
    int64_t before, after, now = judge->question->now_unix_s;
    bool is_readable = certificate_validity(certificate, &before, &after) == 0;
    if (is_readable && before <= now && now <= after)
        return;
    CLEANUP_FREE char *subject = judge_subject_of(judge, certificate);
    char at[CLOCK_ISO8601_BYTES], now_text[CLOCK_ISO8601_BYTES];
    format_date(now, now_text);
    if (!is_readable) {
        judge_add(judge, expired, "the validity of %s '%s' cannot be read", what, name_shown(subject));
        judge_mend(judge, "make the certificate again");
    } else if (now > after) {
        format_date(after, at);
        judge_add(judge, expired, "%s '%s' expired at %s; now it is %s", what, name_shown(subject), at, now_text);
        judge_mend(judge, "make a new certificate and write it into the device");
    } else {
        format_date(before, at);
        judge_add(judge, not_yet, "%s '%s' is valid from %s on; now it is %s", what, name_shown(subject), at, now_text);
        judge_mend(judge, "check the clock of the machine that made the certificate, or wait");
    }
}

static void check_leaf_times(struct judge *judge)
{
    check_times(judge, judge->leaf, RULE_LEAF_EXPIRED, RULE_LEAF_NOT_YET, "the device's certificate");
}

static void check_ca_times(struct judge *judge)
{
    for (size_t i = 1; i < judge->path.count; i++)
        check_times(judge, judge->path.steps[i].certificate, RULE_CA_EXPIRED, RULE_CA_NOT_YET, "the CA");
}

/* ---- what was sent ---- */

static void add_no_chain(struct judge *judge)
{
    judge_add(judge, RULE_CHAIN_NONE, "the device '%s' sent no certificate in the TLS handshake", judge->registration_id);
    judge_mend(judge, "write client certificate and private key into the security tag that the firmware uses (AT%%CMNG=0,TAG,1,... and "
                      "AT%%CMNG=0,TAG,2,...; list: AT%%CMNG=1), both in one tag");
}

/* The device's own certificate must come first: its key signs the handshake. */
static bool check_first(struct judge *judge)
{
    const x509_stack *sent = judge->question->chain;
    for (int i = 1; i < sk_X509_num(sent); i++) {
        const X509 *other = sk_X509_value(sent, i);
        if (X509_cmp(other, judge->leaf) == 0 || !path_issued(judge->leaf, other))
            continue;
        CLEANUP_FREE char *subject = judge_subject_of(judge, other);
        judge_add(judge, RULE_CHAIN_ORDER, "the first certificate sent, '%s', is the issuer of number %d, '%s': the chain is upside down",
                  name_shown(judge->leaf_subject), i + 1, name_shown(subject));
        judge_mend(judge, "put the device's certificate first, then its issuer: cat device.crt ca.pem > chain.pem");
        return false;
    }
    return true;
}

static void check_rest_of_order(struct judge *judge)
{
    int last = 0;
    for (size_t i = 1; i < judge->path.count; i++) {
        int at = judge->path.steps[i].sent_index;
        if (at >= 0 && at < last) {
            CLEANUP_FREE char *subject = judge_subject_of(judge, judge->path.steps[i].certificate);
            judge_add(judge, RULE_CHAIN_ORDER, "'%s' stands at place %d of the chain sent, before the certificate that it signed",
                      name_shown(subject), at + 1);
            last_finding(judge)->severity = ATTESTATION_WARN;
            judge_mend(judge, "send each certificate directly behind the one that it signed (RFC 5246 7.4.2)");
            return;
        }
        last = at >= 0 ? at : last;
    }
}

static bool is_sent_twice(const x509_stack *sent, int index)
{
    for (int i = 0; i < index; i++)
        if (X509_cmp(sk_X509_value(sent, i), sk_X509_value(sent, index)) == 0)
            return true;
    return false;
}

static bool is_used(const struct judge *judge, int sent_index)
{
    for (size_t i = 0; i < judge->path.count; i++)
        if (judge->path.steps[i].sent_index == sent_index)
            return true;
    return false;
}

/* One finding a rule is enough: the first certificate stands for all. */
static void check_superfluous(struct judge *judge, bool is_extra_told)
{
    const x509_stack *sent = judge->question->chain;
    bool has_duplicate = false, has_extra = !is_extra_told;
    for (int i = 1; i < sk_X509_num(sent); i++) {
        CLEANUP_FREE char *subject = judge_subject_of(judge, sk_X509_value(sent, i));
        if (is_sent_twice(sent, i)) {
            if (!has_duplicate)
                judge_add(judge, RULE_CHAIN_DUPLICATE, "'%s' was sent twice", name_shown(subject));
            has_duplicate = true;
        } else if (!is_used(judge, i)) {
            if (!has_extra)
                judge_add(judge, RULE_CHAIN_EXTRA, "'%s' (place %d of the chain sent) does not belong to the chain", name_shown(subject),
                          i + 1);
            has_extra = true;
        }
    }
}

/* ---- the chain, for groups ---- */

static const struct dps_object *find_group_with(const struct dps_state *state, const X509 *below, bool (*fits)(const X509 *, const X509 *))
{
    for (size_t i = 0; i < dps_state_count(state, DPS_GROUP); i++) {
        const struct dps_object *group = dps_state_at(state, DPS_GROUP, i);
        for (size_t j = 0; j < DPS_PAIR; j++)
            if (group->certificates[j].certificate && fits(group->certificates[j].certificate, below))
                return group;
    }
    return NULL;
}

static const struct dps_object *find_certificate_with(const struct dps_state *state, const X509 *below,
                                                      bool (*fits)(const X509 *, const X509 *))
{
    for (size_t i = 0; i < dps_state_count(state, DPS_CERTIFICATE); i++) {
        const struct dps_object *object = dps_state_at(state, DPS_CERTIFICATE, i);
        if (object->certificates[DPS_PRIMARY].certificate && fits(object->certificates[DPS_PRIMARY].certificate, below))
            return object;
    }
    return NULL;
}

static void add_not_verified(struct judge *judge, const struct dps_object *entry)
{
    const X509 *certificate = entry->certificates[DPS_PRIMARY].certificate;
    CLEANUP_FREE char *subject = certificate ? judge_subject_of(judge, certificate) : NULL;
    judge_add(judge, RULE_CA_NOT_VERIFIED,
              "the CA '%s' of the device's chain is uploaded as certificate '%s', but its possession has not been proven",
              certificate ? name_shown(subject) : "known by thumbprint", entry->id);
    CLEANUP_FREE char *name = shell_word(entry->id), *dir = shell_word(judge->dir);
    if (!name || !dir) {
        judge->is_out_of_memory = true;
        return;
    }
    judge_mend(
        judge,
        "dpsbench az iot dps certificate generate-verification-code -n %s --etag '*' --state %s; sign a certificate with that CN by this "
        "CA's key; then dpsbench az iot dps certificate verify -n %s --path FILE --etag '*' --state %s (or set isVerified to true in "
        "its file)",
        name, dir, name, dir);
}

/* An unverified certificate that is in the path, or that is the missing issuer. */
static const struct dps_object *find_unverified(const struct judge *judge)
{
    for (size_t i = 1; i < judge->path.count; i++)
        if (judge->path.steps[i].known)
            return judge->path.steps[i].known;
    return judge->path.is_top_self_signed ? NULL : find_certificate_with(judge->state, chain_path_top(&judge->path), path_issued);
}

static bool same_subject(const X509 *candidate, const X509 *certificate)
{
    return X509_NAME_cmp(X509_get_subject_name(candidate), X509_get_subject_name(certificate)) == 0 &&
           X509_cmp(candidate, certificate) != 0;
}

static void add_same_name(struct judge *judge, const char *name, const struct dps_object *known)
{
    judge_add(judge, RULE_CHAIN_SAME_NAME, "DPS knows a CA with the name '%s' (%s '%s'), but with another key than the one that signed",
              name_shown(name), dps_kind_text(known->kind), known->id);
    judge_mend(judge,
               "two CAs were made with one name: sign the device's certificate with the key of the CA that is uploaded, or upload the "
               "CA that signed (compare: openssl x509 -noout -fingerprint -sha256)");
}

static const struct dps_object *find_named(const struct judge *judge, const X509 *below, bool (*fits)(const X509 *, const X509 *))
{
    const struct dps_object *known = find_certificate_with(judge->state, below, fits);
    return known ? known : find_group_with(judge->state, below, fits);
}

static void judge_unknown_root(struct judge *judge)
{
    const X509 *root = chain_path_top(&judge->path);
    CLEANUP_FREE char *subject = judge_subject_of(judge, root);
    const struct dps_object *namesake = find_named(judge, root, same_subject);
    if (namesake) {
        add_same_name(judge, subject, namesake);
        return;
    }
    const struct dps_object *group = NULL;
    for (size_t i = 0; i < dps_state_count(judge->state, DPS_GROUP) && !group; i++) {
        const struct dps_object *one = dps_state_at(judge->state, DPS_GROUP, i);
        if (certificate_ref_matches(&one->certificates[DPS_PRIMARY], root) ||
            certificate_ref_matches(&one->certificates[DPS_SECONDARY], root))
            group = one;
    }
    judge_add(judge, RULE_CHAIN_UNKNOWN_CA, "the chain ends at '%s', which is not among the certificates of this DPS%s%s%s",
              name_shown(subject), group ? "; enrollment group '" : "", group ? group->id : "",
              group ? "' holds it, but a group's own certificate proves nothing" : "");
    judge_mend(
        judge,
        "upload that CA (%s/certificates/NAME.json) and prove its possession, or sign the device's certificate by a CA that is there",
        judge->dir);
}

static const X509 *find_sent_namesake(const struct judge *judge)
{
    const x509_stack *sent = judge->question->chain;
    for (int i = 1; i < sk_X509_num(sent); i++)
        if (path_names_issuer(sk_X509_value(sent, i), chain_path_top(&judge->path)))
            return sk_X509_value(sent, i);
    return NULL;
}

static void add_bad_signature(struct judge *judge)
{
    const X509 *top = chain_path_top(&judge->path);
    CLEANUP_FREE char *subject = judge_subject_of(judge, top), *issuer = issuer_of(judge, top);
    judge_add(judge, RULE_CHAIN_BAD_SIGNATURE,
              "'%s' names '%s' as its issuer, but the key of the certificate sent under that name did not sign it", name_shown(subject),
              name_shown(issuer));
    judge_mend(judge,
               "send the CA certificate that belongs to the key that signed (openssl verify -partial_chain -trusted ca.pem device.crt), or "
               "sign again");
}

static void add_issuer_not_sent(struct judge *judge, const struct dps_object *group)
{
    const X509 *top = chain_path_top(&judge->path);
    CLEANUP_FREE char *subject = judge_subject_of(judge, top), *issuer = issuer_of(judge, top);
    int sent = sk_X509_num(judge->question->chain);
    judge_add(judge, RULE_CHAIN_ISSUER_NOT_SENT,
              "the issuer of '%s', '%s', was not sent (%d certificate%s came), and DPS has no verified certificate of it%s%s%s",
              name_shown(subject), name_shown(issuer), sent, sent == 1 ? "" : "s", group ? "; enrollment group '" : "",
              group ? group->id : "", group ? "' names it, which does not replace sending it" : "");
    judge_mend(judge,
               "write the chain into the device, its own certificate first: cat device.crt issuer.pem > chain.pem, as client certificate "
               "(AT%%CMNG type 1); or upload '%s' and prove its possession",
               name_shown(issuer));
}

/* The issuer of the top is neither sent nor verified. */
static void judge_missing_issuer(struct judge *judge)
{
    const X509 *top = chain_path_top(&judge->path);
    CLEANUP_FREE char *subject = judge_subject_of(judge, top), *issuer = issuer_of(judge, top);
    const struct dps_object *group = find_group_with(judge->state, top, path_issued);
    const struct dps_object *namesake = group ? NULL : find_named(judge, top, path_names_issuer);
    if (find_sent_namesake(judge)) {
        add_bad_signature(judge);
    } else if (namesake) {
        add_same_name(judge, issuer, namesake);
    } else if (judge->path.count == 1 || group) {
        add_issuer_not_sent(judge, group);
    } else {
        judge_add(judge, RULE_CHAIN_UNKNOWN_CA,
                  "the chain ends at '%s', whose issuer '%s' was not sent and is not among the certificates of this DPS",
                  name_shown(subject), name_shown(issuer));
        judge_mend(judge, "upload '%s' (%s/certificates/NAME.json) and prove its possession", name_shown(issuer), judge->dir);
    }
}

static void check_chain(struct judge *judge)
{
    if (judge->path.anchor)
        return;
    const struct dps_object *unverified = find_unverified(judge);
    if (unverified)
        add_not_verified(judge, unverified);
    else if (judge->path.is_top_self_signed)
        judge_unknown_root(judge);
    else
        judge_missing_issuer(judge);
}

static void check_issuers_are_cas(struct judge *judge)
{
    for (size_t i = 1; i < judge->path.count; i++) {
        X509 *issuer = judge->path.steps[i].certificate;
        if (X509_check_ca(issuer))
            continue;
        CLEANUP_FREE char *subject = judge_subject_of(judge, issuer);
        judge_add(judge, RULE_CHAIN_NOT_A_CA, "'%s' signed a certificate of the chain and is no CA certificate", name_shown(subject));
        judge_mend(judge, "make it with basicConstraints = critical,CA:TRUE");
        return;
    }
}

static void add_self_signed(struct judge *judge)
{
    judge_add(judge, RULE_CHAIN_SELF_SIGNED,
              "the device's certificate '%s' is self-signed, and no individual enrollment holds it: a group takes only certificates that "
              "its CA signed",
              name_shown(judge->leaf_subject));
    judge_mend(judge, "make an individual enrollment '%s' with this certificate, or have the group's CA sign the device's certificate",
               judge->registration_id);
}

/* ---- enrollments ---- */

static void set_match(struct judge *judge, const struct dps_object *object, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void set_match(struct judge *judge, const struct dps_object *object, const char *format, ...)
{
    struct attestation_verdict *verdict = judge->verdict;
    va_list args;
    va_start(args, format);
    verdict->is_matched = true;
    verdict->match_kind = object->kind;
    verdict->match_id = strdup(object->id);
    verdict->matched = format_text(judge, format, args);
    judge->is_out_of_memory |= !verdict->match_id;
    va_end(args);
}

static const char *pair_word(size_t index)
{
    return index == DPS_PRIMARY ? "primary" : "secondary";
}

static bool match_individual(struct judge *judge, const struct dps_object *enrollment)
{
    for (size_t i = 0; i < DPS_PAIR; i++)
        if (enrollment->is_x509 && certificate_ref_matches(&enrollment->certificates[i], judge->leaf)) {
            set_match(judge, enrollment, "clientCertificates.%s", pair_word(i));
            return true;
        }
    return false;
}

/* The reference that names the step: DPS_PAIR when none does. */
static size_t group_names(const struct judge *judge, const struct dps_object *group, const X509 *certificate,
                          const struct dps_object **ret_reference)
{
    for (size_t i = 0; i < DPS_PAIR; i++) {
        if (certificate_ref_matches(&group->certificates[i], certificate))
            return i;
        const struct dps_object *reference =
            group->ca_references[i] ? dps_state_find(judge->state, DPS_CERTIFICATE, group->ca_references[i]) : NULL;
        if (reference && certificate_ref_matches(&reference->certificates[DPS_PRIMARY], certificate)) {
            *ret_reference = reference;
            return i;
        }
    }
    return DPS_PAIR;
}

static bool match_group_at(struct judge *judge, const struct dps_object *group, const X509 *certificate)
{
    const struct dps_object *reference = NULL;
    size_t which = group->is_x509 ? group_names(judge, group, certificate, &reference) : DPS_PAIR;
    if (which == DPS_PAIR)
        return false;
    if (reference)
        set_match(judge, group, "caReferences.%s '%s'", pair_word(which), reference->id);
    else
        set_match(judge, group, "signingCertificates.%s", pair_word(which));
    if (reference && !reference->is_verified)
        add_not_verified(judge, reference);
    if (group->is_enabled)
        return true;
    judge_add(judge, RULE_GROUP_DISABLED, "enrollment group '%s' is the first that names a CA of the chain, and it is disabled", group->id);
    judge_mend(judge, "set its provisioningStatus to \"enabled\", if the device may come in");
    return true;
}

static void list_groups(const struct judge *judge, struct bytes *text)
{
    for (size_t i = 0; i < dps_state_count(judge->state, DPS_GROUP); i++)
        bytes_printf(text, "%s'%s'", text->length_bytes ? ", " : "", dps_state_at(judge->state, DPS_GROUP, i)->id);
}

static void add_not_in_chain(struct judge *judge)
{
    CLEANUP(bytes_done) struct bytes groups;
    bytes_init(&groups, ERROR_TEXT_MAX_BYTES / 2);
    list_groups(judge, &groups);
    const struct path_step *anchor = &judge->path.steps[judge->path.anchor];
    CLEANUP_FREE char *subject = judge_subject_of(judge, anchor->certificate);
    judge_add(judge, RULE_GROUP_NOT_IN_CHAIN,
              "the chain of '%s' leads to '%s', verified as certificate '%s', but no enrollment group names a CA of it (groups: %s)",
              name_shown(judge->leaf_subject), name_shown(subject), anchor->known->id, bytes_text(&groups));
    judge_mend(judge, "name '%s' in the group's caReferences, or put a CA of this chain into its signingCertificates", anchor->known->id);
}

static void add_twice(struct judge *judge, const struct dps_object *one, const struct dps_object *other)
{
    judge_add(judge, RULE_ENROLLMENT_TWICE, "the certificate stands in %s '%s' and in '%s'; Azure takes one in one enrollment alone",
              dps_kind_text(one->kind), one->id, other->id);
    judge_mend(judge, "take it out of one of the two");
}

static const struct dps_object *find_group_naming(const struct judge *judge, const X509 *certificate, size_t from)
{
    const struct dps_object *reference;
    for (size_t i = from; i < dps_state_count(judge->state, DPS_GROUP); i++) {
        const struct dps_object *group = dps_state_at(judge->state, DPS_GROUP, i);
        if (group->is_x509 && group_names(judge, group, certificate, &reference) != DPS_PAIR)
            return group;
    }
    return NULL;
}

static void check_other_groups(struct judge *judge, size_t matched, const X509 *certificate)
{
    const struct dps_object *other = find_group_naming(judge, certificate, matched + 1);
    if (other)
        add_twice(judge, dps_state_at(judge->state, DPS_GROUP, matched), other);
}

/* From the leaf's issuer upward: the first group that names a certificate decides, enabled or not. */
static void match_groups(struct judge *judge)
{
    for (size_t step = 1; step < judge->path.count; step++)
        for (size_t i = 0; i < dps_state_count(judge->state, DPS_GROUP); i++)
            if (match_group_at(judge, dps_state_at(judge->state, DPS_GROUP, i), judge->path.steps[step].certificate)) {
                check_other_groups(judge, i, judge->path.steps[step].certificate);
                return;
            }
    add_not_in_chain(judge);
}

static bool has_x509_group(const struct dps_state *state)
{
    for (size_t i = 0; i < dps_state_count(state, DPS_GROUP); i++)
        if (dps_state_at(state, DPS_GROUP, i)->is_x509)
            return true;
    return false;
}

/* Another enrollment that holds the leaf: the device, or the enrollment, has the wrong name; or it stands in two. */
static const struct dps_object *find_enrollment_of_leaf(const struct judge *judge, const struct dps_object *except)
{
    struct certificate_ref leaf = {.certificate = NULL};
    if (dps_state_count(judge->state, DPS_ENROLLMENT) == 0)
        return NULL;
    certificate_sha1(judge->leaf, leaf.sha1);
    certificate_sha256(judge->leaf, leaf.sha256);
    return dps_state_find_holder(judge->state, DPS_ENROLLMENT, &leaf, except);
}

static void add_no_enrollment(struct judge *judge, const struct dps_object *of_leaf)
{
    judge_add(judge, RULE_ENROLLMENT_NONE, "no individual enrollment is named '%s', and there is no X.509 enrollment group%s%s%s",
              judge->registration_id, of_leaf ? "; the certificate is in individual enrollment '" : "", of_leaf ? of_leaf->id : "",
              of_leaf ? "'" : "");
    judge_mend(judge, "make an enrollment: %s/enrollments/%s.json or %s/enrollmentGroups/NAME.json (docs/state-folder.md)", judge->dir,
               judge->registration_id, judge->dir);
}

static void judge_by_groups(struct judge *judge)
{
    bool is_self_signed = judge->path.count == 1 && judge->path.is_top_self_signed;
    const struct dps_object *of_leaf = find_enrollment_of_leaf(judge, NULL);
    bool has_group = has_x509_group(judge->state);
    if (of_leaf && judge->verdict->leaf_cn && !cn_fits(judge)) {
        check_cn(judge);
        check_leaf_times(judge);
        return;
    }
    if (!has_group)
        add_no_enrollment(judge, of_leaf);
    else if (is_self_signed)
        add_self_signed(judge);
    else
        check_chain(judge);
    check_issuers_are_cas(judge);
    check_leaf_times(judge);
    check_ca_times(judge);
    check_cn(judge);
    if (has_group && judge->path.anchor)
        match_groups(judge);
    check_rest_of_order(judge);
}

static void add_other_certificate(struct judge *judge, const struct dps_object *enrollment)
{
    char sha1[SHA1_HEX_BYTES];
    certificate_sha1(judge->leaf, sha1);
    const char *primary = enrollment->certificates[DPS_PRIMARY].sha1, *secondary = enrollment->certificates[DPS_SECONDARY].sha1;
    if (!enrollment->is_x509)
        judge_add(judge, RULE_ENROLLMENT_OTHER, "individual enrollment '%s' is not for X.509, and the device came with a certificate",
                  enrollment->id);
    else
        judge_add(judge, RULE_ENROLLMENT_OTHER,
                  "individual enrollment '%s' holds another certificate: the device sent SHA-1 %s, primary is %s, secondary is %s",
                  enrollment->id, sha1, *primary ? primary : "not set or known by SHA-256", *secondary ? secondary : "not set");
    judge_mend(judge,
               "put the device's certificate into %s (clientCertificates.primary or .secondary), or write the enrolled one, with its key, "
               "into the device",
               enrollment->place);
}

static void judge_by_enrollment(struct judge *judge, const struct dps_object *enrollment)
{
    bool is_match = match_individual(judge, enrollment);
    check_cn(judge);
    if (!is_match)
        add_other_certificate(judge, enrollment);
    check_leaf_times(judge);
    const struct dps_object *other = is_match ? find_enrollment_of_leaf(judge, enrollment) : NULL;
    if (other)
        add_twice(judge, enrollment, other);
    if (!is_match || enrollment->is_enabled)
        return;
    judge_add(judge, RULE_ENROLLMENT_DISABLED, "individual enrollment '%s' is disabled", enrollment->id);
    judge_mend(judge, "set its provisioningStatus to \"enabled\", if the device may come in");
}

/* ---- the verdict ---- */

static void describe_path(struct judge *judge)
{
    for (size_t i = 0; i < judge->path.count; i++) {
        const struct path_step *step = &judge->path.steps[i];
        CLEANUP_FREE char *subject = judge_subject_of(judge, step->certificate), *text = NULL;
        const char *how = step->sent_index >= 0 ? "sent" : "known";
        const char *entry = step->known ? step->known->id : "";
        const char *state = !step->known ? "" : step->known->is_verified ? ", verified as '" : ", not verified as '";
        if (asprintf(&text, "%s (%s%s%s%s)", name_shown(subject), how, state, entry, step->known ? "'" : "") < 0)
            text = NULL;
        judge->is_out_of_memory |= !text || !cJSON_AddItemToArray(judge->verdict->path, cJSON_CreateString(text));
    }
}

static void describe_chain(struct judge *judge)
{
    const x509_stack *sent = judge->question->chain;
    for (int i = 0; i < sk_X509_num(sent); i++) {
        CLEANUP_FREE char *subject = judge_subject_of(judge, sk_X509_value(sent, i));
        judge->is_out_of_memory |= !subject || !cJSON_AddItemToArray(judge->verdict->chain, cJSON_CreateString(subject));
    }
}

static void judge_chain(struct judge *judge)
{
    judge->leaf = sk_X509_value(judge->question->chain, 0);
    judge->leaf_subject = judge_subject_of(judge, judge->leaf);
    if (certificate_common_names(judge->leaf, &judge->verdict->leaf_cn) && !judge->verdict->leaf_cn)
        judge->is_out_of_memory = true;
    chain_path_build(judge->question->chain, judge->question->signed_count, judge->state, &judge->path);
    describe_path(judge);
    const struct dps_object *enrollment = dps_state_find(judge->state, DPS_ENROLLMENT, judge->registration_id);
    bool is_leaf_first = check_first(judge);
    if (is_leaf_first) {
        check_grammar(judge);
        check_upper_case(judge);
        if (enrollment)
            judge_by_enrollment(judge, enrollment);
        else
            judge_by_groups(judge);
    }
    if (is_leaf_first)
        judge_check_leaf(judge);
    judge_check_forms(judge);
    /* Upside down, nothing fits; and an individual enrollment looks at the leaf alone. */
    check_superfluous(judge, is_leaf_first && !enrollment);
}

static void move_to_front(struct attestation_verdict *verdict, size_t index)
{
    struct attestation_finding deciding = verdict->findings[index];
    memmove(verdict->findings + 1, verdict->findings, index * sizeof deciding);
    verdict->findings[0] = deciding;
}

static void set_surface(const struct judge *judge)
{
    struct attestation_verdict *verdict = judge->verdict;
    const struct attestation_rule *rule = verdict->rule;
    verdict->surface = surface_of(judge, rule);
    if (verdict->surface == ATTESTATION_SURFACE_NONE)
        verdict->surface = attestation_rule_surface(rule, verdict->profile); /* nobody else would take the device */
    bool has_body = verdict->surface == ATTESTATION_SURFACE_RES400 || verdict->surface == ATTESTATION_SURFACE_RES401 ||
                    verdict->surface == ATTESTATION_SURFACE_RES404 || verdict->surface == ATTESTATION_SURFACE_FAILED;
    verdict->return_code = verdict->surface == ATTESTATION_SURFACE_CONNACK ? 5 : 0;
    verdict->verify_error = verdict->surface == ATTESTATION_SURFACE_TLS_ALERT ? rule->verify_error : 0;
    verdict->error_code = !has_body ? 0 : rule->error_code ? rule->error_code : CODE_INVALID;
    verdict->message = !has_body ? NULL : rule->message ? rule->message : MESSAGE_INVALID;
}

static bool is_disabling(const struct attestation_rule *rule)
{
    return rule == attestation_rule_at(RULE_ENROLLMENT_DISABLED) || rule == attestation_rule_at(RULE_GROUP_DISABLED);
}

static void set_accepted_texts(struct judge *judge)
{
    struct attestation_verdict *verdict = judge->verdict;
    if (asprintf(&verdict->text, "device '%s' is accepted: %s '%s' holds its %s (%s)", judge->registration_id,
                 dps_kind_text(verdict->match_kind), verdict->match_id ? verdict->match_id : "",
                 verdict->match_kind == DPS_GROUP ? "chain's CA" : "certificate", verdict->matched ? verdict->matched : "") < 0)
        verdict->text = NULL;
    verdict->mend = strdup("");
}

static bool is_deciding(const struct judge *judge, const struct attestation_finding *finding)
{
    bool is_refused = finding->severity == ATTESTATION_REFUSE;
    if (judge->question->is_in_handshake)
        return is_refused && surface_of(judge, finding->rule) == ATTESTATION_SURFACE_TLS_ALERT;
    /* Where no enrollment is found there is nothing to take the device into. */
    return is_refused || (!judge->verdict->is_matched && finding->rule->severity == ATTESTATION_REFUSE);
}

static void decide(struct judge *judge)
{
    struct attestation_verdict *verdict = judge->verdict;
    size_t deciding = 0;
    while (deciding < verdict->finding_count && !is_deciding(judge, &verdict->findings[deciding]))
        deciding++;
    if (deciding == verdict->finding_count) {
        set_accepted_texts(judge);
        return;
    }
    move_to_front(verdict, deciding);
    const struct attestation_finding *finding = &verdict->findings[0];
    verdict->rule = finding->rule;
    verdict->outcome = is_disabling(finding->rule) ? ATTESTATION_DISABLED : ATTESTATION_REFUSED;
    verdict->text = strdup(finding->text ? finding->text : "");
    verdict->mend = strdup(finding->mend ? finding->mend : "");
    set_surface(judge);
}

static struct attestation_verdict *verdict_new(const struct attestation_question *question)
{
    CLEANUP(attestation_verdict_free_cleanup) struct attestation_verdict *verdict = calloc(1, sizeof *verdict);
    if (!verdict)
        return NULL;
    verdict->profile = question->profile ? question->profile : attestation_profile_at(0);
    verdict->registration_id = strdup(question->registration_id);
    verdict->chain = cJSON_CreateArray();
    verdict->path = cJSON_CreateArray();
    return verdict->registration_id && verdict->chain && verdict->path ? TAKE(verdict) : NULL;
}

int attestation_judge(const struct attestation_question *question, struct attestation_verdict **ret_verdict, struct error *error)
{
    CLEANUP(attestation_verdict_free_cleanup) struct attestation_verdict *verdict = verdict_new(question);
    if (!verdict)
        return error_set_memory(error);
    struct judge judge = {.question = question,
                          .state = question->state,
                          .registration_id = question->registration_id,
                          .dir = dps_state_dir(question->state),
                          .verdict = verdict};
    describe_chain(&judge);
    if (sk_X509_num(question->chain) > 0)
        judge_chain(&judge);
    else
        add_no_chain(&judge);
    decide(&judge);
    free(judge.leaf_subject);
    ERR_clear_error();
    if (judge.is_out_of_memory || !verdict->text || !verdict->mend)
        return error_set_memory(error);
    *ret_verdict = TAKE(verdict);
    return 0;
}

void attestation_verdict_free(struct attestation_verdict *verdict)
{
    if (!verdict)
        return;
    for (size_t i = 0; i < verdict->finding_count; i++) {
        free(verdict->findings[i].text);
        free(verdict->findings[i].mend);
    }
    free(verdict->match_id);
    free(verdict->matched);
    free(verdict->registration_id);
    free(verdict->leaf_cn);
    free(verdict->text);
    free(verdict->mend);
    cJSON_Delete(verdict->chain);
    cJSON_Delete(verdict->path);
    free(verdict);
}
