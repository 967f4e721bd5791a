#include "certs/attestation_path.h"

bool path_names_issuer(const X509 *issuer, const X509 *certificate)
{
    return X509_NAME_cmp(X509_get_subject_name(issuer), X509_get_issuer_name(certificate)) == 0;
}

bool path_issued(const X509 *issuer, const X509 *certificate)
{
    return path_names_issuer(issuer, certificate) && certificate_is_signed_by(certificate, issuer);
}

static bool is_in_path(const struct chain_path *path, const X509 *certificate)
{
    for (size_t i = 0; i < path->count; i++)
        if (X509_cmp(path->steps[i].certificate, certificate) == 0)
            return true;
    return false;
}

/* A verified entry wins over an unverified one of the same certificate. */
static const struct dps_object *find_known(const struct dps_state *state, const X509 *certificate)
{
    const struct dps_object *found = NULL;
    for (size_t i = 0; i < dps_state_count(state, DPS_CERTIFICATE); i++) {
        const struct dps_object *object = dps_state_at(state, DPS_CERTIFICATE, i);
        if (certificate_ref_matches(&object->certificates[DPS_PRIMARY], certificate) && (!found || object->is_verified))
            found = object;
    }
    return found;
}

static void add_step(struct chain_path *path, X509 *certificate, int sent_index, const struct dps_state *state)
{
    const struct dps_object *known = find_known(state, certificate);
    if (path->anchor == 0 && known && known->is_verified)
        path->anchor = path->count;
    path->steps[path->count++] = (struct path_step){.certificate = certificate, .sent_index = sent_index, .known = known};
}

static bool add_sent_issuer(struct chain_path *path, const x509_stack *sent, const struct dps_state *state)
{
    for (int i = 1; i < sk_X509_num(sent); i++) {
        X509 *candidate = sk_X509_value(sent, i);
        if (is_in_path(path, candidate) || !path_issued(candidate, chain_path_top(path)))
            continue;
        add_step(path, candidate, i, state);
        return true;
    }
    return false;
}

static bool add_verified_issuer(struct chain_path *path, const struct dps_state *state)
{
    for (size_t i = 0; i < dps_state_count(state, DPS_CERTIFICATE); i++) {
        const struct dps_object *object = dps_state_at(state, DPS_CERTIFICATE, i);
        X509 *candidate = object->certificates[DPS_PRIMARY].certificate;
        if (!object->is_verified || !candidate || is_in_path(path, candidate) || !path_issued(candidate, chain_path_top(path)))
            continue;
        add_step(path, candidate, -1, state);
        return true;
    }
    return false;
}

void chain_path_build(const x509_stack *sent, const struct dps_state *state, struct chain_path *ret_path)
{
    struct chain_path *path = ret_path;
    path->count = path->anchor = 0;
    add_step(path, sk_X509_value(sent, 0), 0, state);
    do
        path->is_top_self_signed = path_issued(chain_path_top(path), chain_path_top(path));
    while (!path->is_top_self_signed && path->count < PATH_MAX_STEPS &&
           (add_sent_issuer(path, sent, state) || add_verified_issuer(path, state)));
}
