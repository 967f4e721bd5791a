#include "broker_sim/scenario/fault.h"

static void tell(const struct event_sink *sink, const struct session *session, const char *registration_id, const struct knobs *knobs,
                 const struct knob *knob)
{
    cJSON *event = event_new(EVENT_SCENARIO_FAULT, sink->clock, EVENT_SOURCE);
    char number[24] = "";
    if (knob->type != KNOB_TEXT)
        snprintf(number, sizeof number, "%lld", (long long)knob_value(knobs, knob));
    json_set_string(event_data(event), "knob", knob->name);
    json_set_string(event_data(event), "value", knob->type == KNOB_WORD || knob->type == KNOB_TEXT ? knob_word(knobs, knob) : number);
    if (event)
        event_set_origin(event, session->lane, session->number, registration_id);
    sink->emit(sink->user, event);
}

bool fault_happens(struct scenario_table *scenarios, const struct event_sink *sink, const struct session *session,
                   const char *registration_id, int knob)
{
    if (!scenario_fault(scenarios, registration_id, knob))
        return false;
    struct knobs knobs = scenario_knobs(scenarios, registration_id);
    tell(sink, session, registration_id, &knobs, &knob_list[knob]);
    return true;
}
