#include "certs/attestation_path.h"

#include "certs/dps_state_model.h"

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

/* As path_issued, from memory where the two were looked at before. */
static bool has_issued(const struct dps_state *state, X509 *issuer, X509 *certificate)
{
    return path_names_issuer(issuer, certificate) && signature_memory_is_signed_by(state->signatures, certificate, issuer);
}

/* The handshake has checked it: they stand side by side in what was sent. */
static bool is_known_to_sign_top(const struct chain_path *path, int index, int signed_count)
{
    int below = path->steps[path->count - 1].sent_index;
    return below >= 0 && below < signed_count && index == below + 1;
}

static bool add_sent_issuer(struct chain_path *path, const x509_stack *sent, int signed_count, const struct dps_state *state)
{
    for (int i = 1; i < sk_X509_num(sent); i++) {
        X509 *candidate = sk_X509_value(sent, i), *top = chain_path_top(path);
        bool is_issuer =
            is_known_to_sign_top(path, i, signed_count) ? path_names_issuer(candidate, top) : has_issued(state, candidate, top);
        if (!is_issuer || is_in_path(path, candidate))
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
        if (!object->is_verified || !candidate || !has_issued(state, candidate, chain_path_top(path)) || is_in_path(path, candidate))
            continue;
        add_step(path, candidate, -1, state);
        return true;
    }
    return false;
}

void chain_path_build(const x509_stack *sent, int signed_count, const struct dps_state *state, struct chain_path *ret_path)
{
    struct chain_path *path = ret_path;
    path->count = path->anchor = 0;
    add_step(path, sk_X509_value(sent, 0), 0, state);
    do
        path->is_top_self_signed = has_issued(state, chain_path_top(path), chain_path_top(path));
    while (!path->is_top_self_signed && path->count < PATH_MAX_STEPS &&
           (add_sent_issuer(path, sent, signed_count, state) || add_verified_issuer(path, state)));
}
