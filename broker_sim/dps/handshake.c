/*
 * The profiles under which a refusal is an alert in the TLS handshake. Nobody has said yet who connects: the certificate's CN stands for the
 * registration id, for the scenario as for the enrollment.
 */
#include "base/cleanup.h"
#include "broker_sim/dps/service.h"

#include <openssl/x509_vfy.h>

DEFINE_CLEANUP(struct attestation_verdict *, attestation_verdict_free)

static const struct attestation_profile *profile_of(const struct knobs *knobs)
{
    return attestation_profile_find(knob_word(knobs, &knob_list[KNOB_profile]));
}

static int judge(const struct dps *dps, const struct dps_state *state, const x509_stack *chain, const char *registration_id,
                 const struct knobs *knobs, struct attestation_verdict **ret_verdict)
{
    const struct attestation_question question = {
        .chain = chain,
        .registration_id = registration_id ? registration_id : "",
        .state = state,
        .now_unix_s = clock_unix_s(dps->options.sink.clock),
        .profile = profile_of(knobs),
        .surfaces = knobs->rule_surfaces,
        .is_in_handshake = true,
    };
    return attestation_judge(&question, ret_verdict, NULL);
}

static void emit_verdict(const struct dps *dps, const struct session *session, const char *registration_id,
                         const struct attestation_verdict *verdict)
{
    cJSON *event = dps_event_of(dps, EVENT_ATTESTATION_VERDICT);
    if (event)
        json_set(event, "data", attestation_verdict_json(verdict));
    dps_emit(dps, event, session, registration_id);
}

/* The ID scope comes later too: a chain that one instance would take passes. */
static int verify(const struct dps *dps, const struct session *session, const x509_stack *chain, const char *registration_id,
                  const struct knobs *knobs)
{
    CLEANUP(attestation_verdict_free_cleanup) struct attestation_verdict *first = NULL;
    for (size_t i = 0; i < dps->options.tenant_count; i++) {
        CLEANUP(attestation_verdict_free_cleanup) struct attestation_verdict *verdict = NULL;
        if (judge(dps, dps_state_seen_from(dps->options.tenants[i].state, session->lane), chain, registration_id, knobs, &verdict))
            return X509_V_ERR_OUT_OF_MEM;
        if (verdict->surface != ATTESTATION_SURFACE_TLS_ALERT)
            return 0;
        if (!first)
            first = TAKE(verdict);
    }
    if (!first)
        return 0;
    emit_verdict(dps, session, registration_id, first);
    return first->verify_error ? first->verify_error : X509_V_ERR_UNSPECIFIED;
}

int dps_verify(struct dps *dps, struct session *session, const x509_stack *chain)
{
    CLEANUP_FREE char *cn = NULL;
    if (sk_X509_num(chain) > 0)
        certificate_common_names(sk_X509_value(chain, 0), &cn);
    struct knobs knobs = scenario_knobs(dps->options.scenarios, cn);
    return attestation_profile_alerts(profile_of(&knobs), knobs.rule_surfaces) ? verify(dps, session, chain, cn, &knobs) : 0;
}

bool dps_needs_certificate(const struct dps *dps)
{
    struct knobs knobs = scenario_knobs(dps->options.scenarios, NULL);
    enum attestation_surface surface = attestation_rule_surface(attestation_rule_find("chain.none"), profile_of(&knobs));
    attestation_surfaces_find(knobs.rule_surfaces, attestation_rule_find("chain.none"), &surface);
    return surface == ATTESTATION_SURFACE_TLS_ALERT;
}
