#include "harness/run/watch.h"

#include "base/bytes.h"
#include "base/cleanup.h"

#include <string.h>

/* Event loops count whole milliseconds: a wait may look so much shorter to its neighbour than it was meant. Real time. */
enum { CLOCK_SLACK_US = 2000 };

static const char *const view_names[] = {[CASE_VIEW_CONSOLE] = "console", [CASE_VIEW_WIRE] = "wire", [CASE_VIEW_SERVICE] = "service"};

/* The order in which views are asked for the reason: the service names a rule, the wire is next in precision. */
static const enum case_view reason_order[] = {CASE_VIEW_SERVICE, CASE_VIEW_WIRE, CASE_VIEW_CONSOLE};

void watch_init(struct watch *watch, const struct case_row *row, double time_scale)
{
    *watch = (struct watch){.row = row, .time_scale = time_scale};
    for (int i = 0; i < CASE_VIEW_COUNT; i++)
        watch->views[i].nearness = -1;
}

void watch_done(struct watch *watch)
{
    cJSON *events[] = {watch->violation, watch->verdict, watch->hub_verdict, watch->assigned, watch->alert, watch->failed};
    for (size_t i = 0; i < ARRAY_COUNT(events); i++)
        cJSON_Delete(events[i]);
    for (int i = 0; i < CASE_VIEW_COUNT; i++) {
        cJSON_Delete(watch->views[i].nearest);
        cJSON_Delete(watch->views[i].last);
    }
    *watch = (struct watch){0};
}

/* ---- events ---- */

static void keep(cJSON **slot, const cJSON *event)
{
    cJSON_Delete(*slot);
    *slot = cJSON_Duplicate(event, true);
}

static enum case_view view_of(const char *kind)
{
    enum event_kind known = event_kind_from_name(kind);
    if (known == EVENT_KIND_COUNT)
        return strncmp(kind, "console.", 8) == 0 ? CASE_VIEW_CONSOLE : CASE_VIEW_COUNT;
    switch (event_kind_view(known)) {
    case EVENT_VIEW_CONSOLE:
        return CASE_VIEW_CONSOLE;
    case EVENT_VIEW_WIRE:
        return CASE_VIEW_WIRE;
    case EVENT_VIEW_SERVICE:
        return CASE_VIEW_SERVICE;
    case EVENT_VIEW_BENCH:
        break;
    }
    return CASE_VIEW_COUNT;
}

static bool says_something(const char *kind)
{
    return strcmp(kind, "console.line") != 0 && strncmp(kind, "at.", 3) != 0;
}

static void keep_landmarks(struct watch *watch, const char *kind, const cJSON *event)
{
    const struct {
        const char *kind;
        cJSON **slot;
    } landmarks[] = {
        {"attestation.verdict", &watch->verdict}, {"hub.verdict", &watch->hub_verdict},
        {"dps.assigned", &watch->assigned},       {"tls.alert", &watch->alert},
        {"tls.failed", &watch->failed},
    };
    for (size_t i = 0; i < ARRAY_COUNT(landmarks); i++)
        if (strcmp(kind, landmarks[i].kind) == 0)
            keep(landmarks[i].slot, event);
    watch->has_dropped_lines |= strcmp(kind, "console.dropped") == 0;
}

static void violate(struct watch *watch, const struct expectation *expectation, const cJSON *event, double seconds)
{
    if (watch->violated)
        return;
    watch->violated = expectation;
    watch->violation = cJSON_Duplicate(event, true);
    watch->violation_s = seconds;
}

static void check_never(struct watch *watch, struct watch_view *view, const struct case_expectations *never, const cJSON *event)
{
    for (size_t i = 0; i < never->count; i++)
        if (expectation_matches(&never->items[i], event) && (int64_t)++view->never_counts[i] > never->items[i].more_than)
            violate(watch, &never->items[i], event, 0);
}

/* A refusal that the row asks for is nothing to mend. */
static void keep_refusal(struct watch *watch, const struct expectation *expectation, const cJSON *event)
{
    bool is_verdict = strcmp(expectation->event, "attestation.verdict") == 0 || strcmp(expectation->event, "hub.verdict") == 0;
    if (is_verdict && json_string(event_data(event), "rule", NULL))
        watch->refusal = expectation;
}

static void advance(struct watch *watch, struct watch_view *view, const struct case_expectations *in_order, const cJSON *event)
{
    if (view->met == in_order->count)
        return;
    const struct expectation *next = &in_order->items[view->met];
    int nearness = expectation_nearness(next, event);
    if (nearness > view->nearness) {
        view->nearness = nearness;
        keep(&view->nearest, event);
    }
    if (nearness < (int)next->condition_count)
        return;
    int64_t now_us = json_integer(event, "mono_us", 0);
    double seconds = (double)(now_us - view->met_us) / 1e6 * watch->time_scale, slack = CLOCK_SLACK_US / 1e6 * watch->time_scale;
    if (next->has_after && (seconds + slack < next->after_min_s || seconds - slack > next->after_max_s))
        violate(watch, next, event, seconds);
    keep_refusal(watch, next, event);
    view->met++;
    view->met_us = now_us;
    view->nearness = -1;
    cJSON_Delete(TAKE(view->nearest));
}

static void check_findings(struct watch *watch, const cJSON *event)
{
    for (size_t i = 0; i < watch->row->finding_count; i++)
        watch->findings_seen[i] |= expectation_matches(&watch->row->findings[i].seen, event);
}

void watch_event(struct watch *watch, const cJSON *event)
{
    const char *kind = json_string(event, "kind", "");
    enum case_view index = view_of(kind);
    if (index == CASE_VIEW_COUNT)
        return;
    struct watch_view *view = &watch->views[index];
    view->event_count++;
    if (says_something(kind))
        keep(&view->last, event);
    keep_landmarks(watch, kind, event);
    check_never(watch, view, &watch->row->views[index].never, event);
    advance(watch, view, &watch->row->views[index].in_order, event);
    check_findings(watch, event);
}

bool watch_is_met(const struct watch *watch)
{
    for (int i = 0; i < CASE_VIEW_COUNT; i++)
        if (watch->views[i].met < watch->row->views[i].in_order.count)
            return false;
    return true;
}

bool watch_is_violated(const struct watch *watch)
{
    return watch->violated != NULL;
}

void watch_progress(const struct watch *watch, char *text)
{
    size_t length = 0;
    text[0] = 0;
    for (int i = 0; i < CASE_VIEW_COUNT; i++) {
        size_t count = watch->row->views[i].in_order.count;
        if (count)
            length += (size_t)snprintf(text + length, WATCH_TEXT_BYTES - length, "%s%s %zu/%zu", length ? ", " : "", view_names[i],
                                       watch->views[i].met, count);
    }
}

/* ---- judging ---- */

static const char *datum(const cJSON *event, const char *name)
{
    return event ? json_string(event_data(event), name, NULL) : NULL;
}

/* What happened, in one sentence; the later station wins. */
static void tell_outcome(const struct watch *watch, struct result_row *result)
{
    if (datum(watch->verdict, "rule")) {
        result_set(&result->rule, datum(watch->verdict, "rule"));
        result_set(&result->surface, datum(watch->verdict, "surface"));
        result_set(&result->outcome, datum(watch->verdict, "text"));
        result_set(&result->mend, datum(watch->verdict, "mend"));
    } else if (datum(watch->hub_verdict, "rule")) {
        result_set(&result->rule, datum(watch->hub_verdict, "rule"));
        result_set(&result->outcome, datum(watch->hub_verdict, "text"));
        result_set(&result->mend, datum(watch->hub_verdict, "mend"));
    } else if (watch->assigned) {
        const char *device = datum(watch->assigned, "device_id"), *hub = datum(watch->assigned, "assigned_hub");
        result_setf(&result->outcome, "assigned to %s as %s", hub ? hub : "?", device ? device : "?");
    } else if (watch->alert || watch->failed) {
        const char *alert = datum(watch->alert, "name"), *direction = datum(watch->alert, "direction");
        bool is_ours = direction && strcmp(direction, "sent") == 0;
        if (alert)
            result_setf(&result->outcome, "%s the connection in the TLS handshake with alert %s",
                        is_ours ? "the simulator ended" : "the device refused", alert);
        else
            result_setf(&result->outcome, "no TLS connection: %s", datum(watch->failed, "reason") ? datum(watch->failed, "reason") : "?");
    }
}

void watch_tell(const struct watch *watch, struct result_row *result)
{
    CLEANUP_FREE char *refusal = watch->refusal ? expectation_text(watch->refusal) : NULL;
    tell_outcome(watch, result);
    result_set(&result->refusal_expected, refusal);
    for (size_t i = 0; i < watch->row->finding_count; i++)
        if (watch->findings_seen[i])
            result_add_finding(result, watch->row->findings[i].text, watch->row->findings[i].source);
}

static void set_expected(struct result_row *result, const struct expectation *expectation)
{
    CLEANUP_FREE char *text = expectation_text(expectation);
    result_set(&result->reason.expected, text);
    result_set(&result->reason.place, expectation->place);
    result_set(&result->reason.view, event_view_name(expectation->view));
}

static void judge_violation(const struct watch *watch, struct result_row *result)
{
    const struct expectation *violated = watch->violated;
    CLEANUP_FREE char *text = expectation_text(violated);
    CLEANUP_FREE char *got = expectation_describe(violated, watch->violation);
    set_expected(result, violated);
    if (violated->has_after) {
        result_setf(&result->reason.text, "%s: it came at the wrong time", event_view_name(violated->view));
        result_setf(&result->reason.got, "%s, %.1f device seconds after it", got ? got : "it", watch->violation_s);
        return;
    }
    result_setf(&result->reason.text, "%s: it happened, and must never", event_view_name(violated->view));
    result_setf(&result->reason.expected, "no %s", text ? text : "such event");
    result_set(&result->reason.got, got);
}

static size_t count_unmet_views(const struct watch *watch)
{
    size_t count = 0;
    for (int i = 0; i < CASE_VIEW_COUNT; i++)
        count += watch->views[i].met < watch->row->views[i].in_order.count;
    return count;
}

static void tell_got(const struct watch_view *view, const struct expectation *expectation, struct result_row *result)
{
    CLEANUP_FREE char *near = view->nearest ? expectation_describe(expectation, view->nearest) : NULL;
    if (near)
        result_set(&result->reason.got, near);
    else if (view->last)
        result_setf(&result->reason.got, "%zu other events, at last %s", view->event_count, json_string(view->last, "kind", "?"));
    else
        result_set(&result->reason.got, "nothing");
}

static void judge_unmet(const struct watch *watch, struct result_row *result)
{
    for (size_t i = 0; i < ARRAY_COUNT(reason_order); i++) {
        const struct watch_view *view = &watch->views[reason_order[i]];
        const struct case_expectations *in_order = &watch->row->views[reason_order[i]].in_order;
        if (view->met == in_order->count)
            continue;
        size_t unmet = count_unmet_views(watch);
        set_expected(result, &in_order->items[view->met]);
        if (unmet > 1)
            result_setf(&result->reason.text, "%s: what should happen did not (nor in %zu other view%s)", view_names[reason_order[i]],
                        unmet - 1, unmet > 2 ? "s" : "");
        else
            result_setf(&result->reason.text, "%s: what should happen did not", view_names[reason_order[i]]);
        tell_got(view, &in_order->items[view->met], result);
        return;
    }
}

void watch_judge(const struct watch *watch, struct result_row *result)
{
    if (watch->violated)
        judge_violation(watch, result);
    else if (!watch_is_met(watch))
        judge_unmet(watch, result);
    else
        return;
    /* A hole in the log is the bench's trouble, not the device's: what is missing may have been in it. */
    bool is_blind = !watch->violated && watch->has_dropped_lines && strcmp(result->reason.view, "console") == 0;
    result->verdict = verdict_worse(result->verdict, is_blind ? VERDICT_INCONCLUSIVE : VERDICT_FAIL);
    if (is_blind)
        result_set(&result->reason.text, "console: what should come may be among the lines that the device's log dropped");
}
