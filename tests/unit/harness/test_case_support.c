#include "tests/unit/harness/test_case_support.h"

#include <stdlib.h>
#include <string.h>

const char case_support_good[] =
    "format: 1\n"
    "id: refused/wrong-chain\n"
    "title: A certificate of another CA is refused at ${surface}\n"
    "why: {text: The chain must lead to an enrolled CA., source: 'https://learn.microsoft.com/azure/iot-dps/'}\n"
    "vary: {surface: [connack, azure]}\n"
    "credentials: {recipe: device/wrong-chain.yaml, root_ca: lane, client_cert: [leaf, other-root], client_key: leaf}\n"
    "service:\n"
    "  profile: ${surface}\n"
    "  certificates: [{name: root-ca, member: root, verified: by-possession}]\n"
    "  enrollment_groups: [{id: group-1, ca_references: {primary: root-ca}}]\n"
    "  enrollments: [{certificate: {primary: leaf, secondary: leaf}, device_id: '${registration_id}-hub'}]\n"
    "  knobs: {retry_after_s: 3, is_silent: false}\n"
    "steps: [reset, chip-erase]\n"
    "expect:\n"
    "  console:\n"
    "    in_order:\n"
    "      - {event: console.connection-rejected, where: {return_code: 5}, only: {surface: connack}}\n"
    "      - {event: console.non-retriable, where: {status: 401}, only: {surface: azure}}\n"
    "    never: [{event: console.assigned}]\n"
    "  wire: {in_order: [{event: tls.handshake, where: {chain: {count: 2}}}],\n"
    "         never: [{event: mqtt.connect, catches: [accepts-any-server]}]}\n"
    "  service: {in_order: [{event: attestation.verdict, where: {verdict: refused, rule: chain.unknown-ca}}]}\n"
    "findings:\n"
    "  - {event: console.line, where: {message: {matches: 'POLLHUP$'}}, text: noise, source: seen}\n"
    "budget_s: 60\n"
    "fails_under: [accepts-any-server]\n";

int case_support_read(const char *text, struct case_list *list, struct error *error)
{
    static const char *const console_events[] = {"console.boot", "console.connection-rejected", "console.non-retriable", "console.assigned",
                                                 NULL};
    const struct case_options options = {
        .vocabulary = {.console_events = console_events},
        .device = {.registration_id = "dev-01", .id_scope = "0ne1", .dps_host = "host.example", .sec_tag = "56"},
    };
    return case_read_text(text, strlen(text), "cases/refused/wrong-chain.yaml", "refused/wrong-chain", &options, list, error);
}

char *case_support_with(const char *from, const char *to)
{
    const char *at = strstr(case_support_good, from);
    char *text = NULL;
    if (!at || asprintf(&text, "%.*s%s%s", (int)(at - case_support_good), case_support_good, to, at + strlen(from)) < 0)
        abort();
    return text;
}
