#include "harness/run/watch.h"

#include "base/bytes.h"
#include "base/cleanup.h"
#include "harness/case/known_findings.h"

#include <string.h>

/*
 * Real time. Event loops count whole milliseconds: a wait may look so much shorter to its neighbour than it was meant. And what the machine
 * does on the way (a handshake, a turn that others take first) makes it longer, and no time scale makes that faster.
 */
enum { CLOCK_SLACK_US = 2000, WORK_SLACK_US = 250000 };

/* How much later than its time an event may arrive here before nobody waits for it any more; what is known not to come gets less. Real time. */
enum { LATE_US = 2000000, KNOWN_LATE_US = 100000 };

static const char *const view_names[] = {[CASE_VIEW_CONSOLE] = "console", [CASE_VIEW_WIRE] = "wire", [CASE_VIEW_SERVICE] = "service"};

/* The order in which views are asked for the reason: the service names a rule, the wire is next in precision. */
static const enum case_view reason_order[] = {CASE_VIEW_SERVICE, CASE_VIEW_WIRE, CASE_VIEW_CONSOLE};

/* A row has a few connections, each with a few of them. */
enum { ASSUMED_MAX = 256 };

void watch_init(struct watch *watch, const struct case_row *row, double time_scale)
{
    *watch = (struct watch){.row = row, .time_scale = time_scale};
    for (int i = 0; i < CASE_VIEW_COUNT; i++)
        watch->views[i].nearness = -1;
}

void watch_done(struct watch *watch)
{
    cJSON *events[] = {watch->verdict, watch->hub_verdict, watch->assigned, watch->fault, watch->alert, watch->failed, watch->assumed};
    for (size_t i = 0; i < ARRAY_COUNT(events); i++)
        cJSON_Delete(events[i]);
    for (size_t i = 0; i < watch->violation_count; i++)
        cJSON_Delete(watch->violations[i].event);
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
        {"attestation.verdict", &watch->verdict}, {"hub.verdict", &watch->hub_verdict}, {"dps.assigned", &watch->assigned},
        {"scenario.fault", &watch->fault},        {"tls.failed", &watch->failed},
    };
    for (size_t i = 0; i < ARRAY_COUNT(landmarks); i++)
        if (strcmp(kind, landmarks[i].kind) == 0)
            keep(landmarks[i].slot, event);
    /* A close_notify is how each connection ends, and no reason for anything. */
    if (strcmp(kind, "tls.alert") == 0 && strcmp(json_string(event_data(event), "name", ""), "close_notify") != 0)
        keep(&watch->alert, event);
    watch->has_dropped_lines |= strcmp(kind, "console.dropped") == 0;
}

static const struct watch_violation *find_violation(const struct watch *watch, const struct expectation *expectation)
{
    for (size_t i = 0; i < watch->violation_count; i++)
        if (watch->violations[i].expectation == expectation)
            return &watch->violations[i];
    return NULL;
}

static void violate(struct watch *watch, const struct expectation *expectation, const cJSON *event, double seconds)
{
    if (find_violation(watch, expectation) || watch->violation_count == WATCH_VIOLATIONS_MAX)
        return;
    watch->violations[watch->violation_count++] =
        (struct watch_violation){.expectation = expectation, .event = cJSON_Duplicate(event, true), .seconds = seconds};
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

static void note_nearness(struct watch_view *view, const struct expectation *next, const cJSON *event)
{
    int nearness = expectation_nearness(next, event);
    if (nearness <= view->nearness)
        return;
    view->nearness = nearness;
    keep(&view->nearest, event);
}

/* The expectation that the event meets: the next one, or one behind it when all between are known to fail. in_order->count: none. */
static size_t find_met(const struct watch_view *view, const struct case_expectations *in_order, const cJSON *event)
{
    for (size_t i = view->met; i < in_order->count; i++) {
        if (expectation_matches(&in_order->items[i], event))
            return i;
        if (!in_order->items[i].known)
            break;
    }
    return in_order->count;
}

static bool is_in_time(const struct expectation *expectation, double seconds, double time_scale)
{
    double early = CLOCK_SLACK_US / 1e6 * time_scale, late = WORK_SLACK_US / 1e6 * time_scale;
    return !expectation->has_after || (seconds + early >= expectation->after_min_s && seconds - late <= expectation->after_max_s);
}

static void advance(struct watch *watch, struct watch_view *view, const struct case_expectations *in_order, const cJSON *event)
{
    if (view->met == in_order->count)
        return;
    note_nearness(view, &in_order->items[view->met], event);
    size_t index = find_met(view, in_order, event);
    if (index == in_order->count)
        return;
    const struct expectation *met = &in_order->items[index];
    int64_t now_us = json_integer(event, "mono_us", 0);
    double seconds = (double)(now_us - view->met_us) / 1e6 * watch->time_scale;
    if (!is_in_time(met, seconds, watch->time_scale))
        violate(watch, met, event, seconds);
    keep_refusal(watch, met, event);
    view->seen[index] = true;
    view->met = index + 1;
    view->met_us = now_us;
    view->nearness = -1;
    cJSON_Delete(TAKE(view->nearest));
}

/* The first that still waits takes the event: of two that are equal, each needs one of its own. */
static void take_any(struct watch *watch, struct watch_view *view, const struct case_expectations *any, const cJSON *event)
{
    for (size_t i = 0; i < any->count; i++) {
        if (view->any_seen[i] || !expectation_matches(&any->items[i], event))
            continue;
        keep_refusal(watch, &any->items[i], event);
        view->any_seen[i] = true;
        return;
    }
}

static void check_findings(struct watch *watch, const cJSON *event)
{
    for (size_t i = 0; i < watch->row->finding_count; i++)
        watch->findings_seen[i] |= expectation_matches(&watch->row->findings[i].seen, event);
}

static void keep_assumed(struct watch *watch, const cJSON *event)
{
    const cJSON *id;
    cJSON_ArrayForEach(id, json_member(event_data(event), "assumed"))
    {
        if (!watch->assumed)
            watch->assumed = cJSON_CreateArray();
        if (cJSON_IsString(id) && cJSON_GetArraySize(watch->assumed) < ASSUMED_MAX)
            cJSON_AddItemToArray(watch->assumed, cJSON_CreateString(id->valuestring));
    }
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
    take_any(watch, view, &watch->row->views[index].in_any_order, event);
    check_findings(watch, event);
    keep_assumed(watch, event);
}

/* The first that did not come and must; in_order->count: none. */
static size_t find_missing(const struct watch_view *view, const struct case_expectations *in_order)
{
    size_t index = view->met;
    while (index < in_order->count && in_order->items[index].known)
        index++;
    return index;
}

static bool has_all(const struct watch_view *view, const struct case_expectations *any)
{
    for (size_t i = 0; i < any->count; i++)
        if (!view->any_seen[i] && !any->items[i].known)
            return false;
    return true;
}

static bool is_view_met(const struct watch *watch, int view)
{
    const struct case_view_expectations *expected = &watch->row->views[view];
    return find_missing(&watch->views[view], &expected->in_order) == expected->in_order.count &&
           has_all(&watch->views[view], &expected->in_any_order);
}

bool watch_is_met(const struct watch *watch)
{
    for (int i = 0; i < CASE_VIEW_COUNT; i++)
        if (!is_view_met(watch, i))
            return false;
    return true;
}

bool watch_is_violated(const struct watch *watch)
{
    for (size_t i = 0; i < watch->violation_count; i++)
        if (!watch->violations[i].expectation->known)
            return true;
    return false;
}

static bool is_overdue(const struct watch *watch, const struct watch_view *view, const struct expectation *next, int64_t now_us)
{
    double waited_s = (double)(now_us - view->noticed_us - (next->known ? KNOWN_LATE_US : LATE_US)) / 1e6 * watch->time_scale;
    return next->has_after && waited_s > next->after_max_s;
}

static void notice(struct watch_view *view, int64_t now_us)
{
    if (view->noticed == view->met)
        return;
    view->noticed = view->met;
    view->noticed_us = now_us;
}

bool watch_is_overdue(struct watch *watch, int64_t now_us)
{
    bool has_known = false;
    for (int i = 0; i < CASE_VIEW_COUNT; i++) {
        struct watch_view *view = &watch->views[i];
        const struct case_expectations *in_order = &watch->row->views[i].in_order;
        notice(view, now_us);
        if (view->met == in_order->count || !is_overdue(watch, view, &in_order->items[view->met], now_us))
            continue;
        if (!in_order->items[view->met].known)
            return true;
        has_known = true;
    }
    return has_known && watch_is_met(watch);
}

static size_t count_seen(const struct watch_view *view, const struct case_expectations *any)
{
    size_t count = 0;
    for (size_t i = 0; i < any->count; i++)
        count += view->any_seen[i];
    return count;
}

void watch_progress(const struct watch *watch, char *text)
{
    size_t length = 0;
    text[0] = 0;
    for (int i = 0; i < CASE_VIEW_COUNT; i++) {
        const struct case_expectations *any = &watch->row->views[i].in_any_order;
        size_t count = watch->row->views[i].in_order.count + any->count;
        if (count)
            length += (size_t)snprintf(text + length, WATCH_TEXT_BYTES - length, "%s%s %zu/%zu", length ? ", " : "", view_names[i],
                                       watch->views[i].met + count_seen(&watch->views[i], any), count);
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
    } else if (watch->fault) {
        result_setf(&result->outcome, "not assigned; the service did as the case asks: %s %s", datum(watch->fault, "knob"),
                    datum(watch->fault, "value"));
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
            result_add_finding(result, RESULT_FINDING_NOTE, watch->row->findings[i].text, watch->row->findings[i].source);
    const cJSON *id;
    cJSON_ArrayForEach(id, watch->assumed)
    {
        result_add_assumed(result, id->valuestring);
    }
}

static void set_expected(const struct expectation *expectation, struct result_reason *reason)
{
    CLEANUP_FREE char *text = expectation_text(expectation);
    result_set(&reason->expected, text);
    result_set(&reason->place, expectation->place);
    result_set(&reason->view, event_view_name(expectation->view));
}

static void tell_violation(const struct watch_violation *violation, struct result_reason *reason)
{
    const struct expectation *violated = violation->expectation;
    CLEANUP_FREE char *text = expectation_text(violated);
    CLEANUP_FREE char *got = expectation_describe(violated, violation->event);
    set_expected(violated, reason);
    if (violated->has_after) {
        result_setf(&reason->text, "%s: it came at the wrong time", event_view_name(violated->view));
        result_setf(&reason->got, "%s, %.1f device seconds after it", got ? got : "it", violation->seconds);
        return;
    }
    result_setf(&reason->text, "%s: it happened, and must never", event_view_name(violated->view));
    result_setf(&reason->expected, "no %s", text ? text : "such event");
    result_set(&reason->got, got);
}

static void tell_got(const struct watch_view *view, const struct expectation *expectation, struct result_reason *reason)
{
    CLEANUP_FREE char *near = view->nearest ? expectation_describe(expectation, view->nearest) : NULL;
    if (near)
        result_set(&reason->got, near);
    else if (view->last)
        result_setf(&reason->got, "%zu other events, at last %s", view->event_count, json_string(view->last, "kind", "?"));
    else
        result_set(&reason->got, "nothing");
}

static void tell_unmet(const struct watch_view *view, const struct expectation *expectation, struct result_reason *reason)
{
    set_expected(expectation, reason);
    result_setf(&reason->text, "%s: what should happen did not", event_view_name(expectation->view));
    tell_got(view, expectation, reason);
}

/* ---- what failed ---- */

/* The failures of a row, in the order in which they are told. */
struct failure {
    const struct expectation *expectation;
    const struct watch_violation *violation; /* NULL: it did not come */
    const struct watch_view *view;
};

enum { FAILURES_MAX = WATCH_VIOLATIONS_MAX + 2 * CASE_VIEW_COUNT * CASE_EXPECTATIONS_MAX };

struct failures {
    struct failure items[FAILURES_MAX];
    size_t count;
};

static void add_failure(struct failures *failures, struct failure failure)
{
    failures->items[failures->count++] = failure;
}

/* What is known to fail and did, up to the first that must come and did not: what would come behind that says nothing. */
static void find_unmet(const struct watch *watch, enum case_view index, bool is_known, struct failures *failures)
{
    const struct watch_view *view = &watch->views[index];
    const struct case_expectations *in_order = &watch->row->views[index].in_order;
    size_t missing = find_missing(view, in_order);
    for (size_t i = 0; i < in_order->count && i <= missing; i++)
        if (!view->seen[i] && (in_order->items[i].known != NULL) == is_known)
            add_failure(failures, (struct failure){.expectation = &in_order->items[i], .view = view});
    const struct case_expectations *any = &watch->row->views[index].in_any_order;
    for (size_t i = 0; i < any->count; i++)
        if (!view->any_seen[i] && (any->items[i].known != NULL) == is_known)
            add_failure(failures, (struct failure){.expectation = &any->items[i], .view = view});
}

static void find_violations(const struct watch *watch, bool is_known, struct failures *failures)
{
    for (size_t i = 0; i < watch->violation_count; i++)
        if ((watch->violations[i].expectation->known != NULL) == is_known)
            add_failure(failures, (struct failure){.expectation = watch->violations[i].expectation, .violation = &watch->violations[i]});
}

static void find_failures(const struct watch *watch, bool is_known, struct failures *failures)
{
    find_violations(watch, is_known, failures);
    /* The row ended there: what did not come could still have come. */
    if (watch_is_violated(watch))
        return;
    for (size_t i = 0; i < ARRAY_COUNT(reason_order); i++)
        find_unmet(watch, reason_order[i], is_known, failures);
}

static void tell_failure(const struct failure *failure, struct result_reason *reason)
{
    if (failure->violation)
        tell_violation(failure->violation, reason);
    else
        tell_unmet(failure->view, failure->expectation, reason);
}

static size_t count_unmet_views(const struct watch *watch)
{
    size_t count = 0;
    for (int i = 0; i < CASE_VIEW_COUNT; i++)
        count += !is_view_met(watch, i);
    return count;
}

static void tell_failures(const struct watch *watch, const struct failures *failures, struct result_row *result)
{
    const struct failure *first = &failures->items[0];
    size_t unmet = first->violation || first->expectation->known ? 0 : count_unmet_views(watch);
    tell_failure(first, &result->reason);
    if (unmet > 1)
        result_setf(&result->reason.text, "%s: what should happen did not (nor in %zu other view%s)",
                    event_view_name(first->expectation->view), unmet - 1, unmet > 2 ? "s" : "");
    for (size_t i = 1; i < failures->count; i++) {
        struct result_reason *also = result_add_also(result);
        if (!also)
            return;
        tell_failure(&failures->items[i], also);
        result_set(&also->text, NULL);
    }
}

/* ---- what is known ---- */

static void tell_known_failures(const struct failures *failures, struct result_row *result)
{
    for (size_t i = 0; i < failures->count; i++) {
        const struct known_finding *known = failures->items[i].expectation->known;
        if (known)
            result_add_finding(result, RESULT_FINDING_FAILS, known->reason, known->source);
    }
}

static bool has_failed(const struct failures *failures, const struct known_finding *known)
{
    for (size_t i = 0; i < failures->count; i++)
        if (failures->items[i].expectation->known == known)
            return true;
    return false;
}

static void tell_fixed_in(const struct case_expectations *list, const struct failures *failures, struct result_row *result)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct known_finding *known = list->items[i].known;
        if (known && !has_failed(failures, known))
            result_add_finding(result, RESULT_FINDING_FIXED, known->reason, known->source);
    }
}

static void tell_fixed(const struct watch *watch, const struct failures *failures, struct result_row *result)
{
    for (int i = 0; i < CASE_VIEW_COUNT; i++) {
        tell_fixed_in(&watch->row->views[i].in_order, failures, result);
        tell_fixed_in(&watch->row->views[i].in_any_order, failures, result);
        tell_fixed_in(&watch->row->views[i].never, failures, result);
    }
}

/* A hole in the log is the bench's trouble, not the device's: what is missing may have been in it. */
static bool is_blind(const struct watch *watch, const struct failure *first)
{
    return !first->violation && watch->has_dropped_lines && first->expectation->view == EVENT_VIEW_CONSOLE;
}

void watch_judge(const struct watch *watch, struct result_row *result)
{
    struct failures failures = {.count = 0};
    find_failures(watch, false, &failures);
    size_t unknown = failures.count;
    find_failures(watch, true, &failures);
    tell_known_failures(&failures, result);
    if (unknown == 0)
        tell_fixed(watch, &failures, result);
    if (failures.count == 0)
        return;
    tell_failures(watch, &failures, result);
    enum verdict verdict = unknown ? VERDICT_FAIL : VERDICT_KNOWN;
    if (is_blind(watch, &failures.items[0])) {
        verdict = VERDICT_INCONCLUSIVE;
        result_set(&result->reason.text, "console: what should come may be among the lines that the device's log dropped");
    }
    result->verdict = verdict_worse(result->verdict, verdict);
}
