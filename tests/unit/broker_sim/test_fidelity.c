/* docs/fidelity.md against the lists that it describes. */
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/files.h"
#include "broker_sim/dps/dps.h"
#include "broker_sim/hub/hub.h"
#include "certs/attestation.h"

#include <string.h>

#include "tests/cmocka.h"

static struct bytes page;

static int read_page(void **state)
{
    (void)state;
    return file_read(DPSBENCH_SOURCE_DIR "/docs/fidelity.md", 1 << 20, &page, NULL);
}

static int drop_page(void **state)
{
    (void)state;
    bytes_done(&page);
    return 0;
}

static void assert_on_page(const char *text)
{
    if (!strstr(bytes_text(&page), text))
        fail_msg("docs/fidelity.md lacks: %s", text);
}

static void every_rule_of_the_judge_stands_there_with_evidence_and_surfaces(void **state)
{
    (void)state;
    const struct attestation_profile *azure = attestation_profile_find("azure"), *connack = attestation_profile_find("connack");
    const struct attestation_rule *rule;
    for (size_t i = 0; (rule = attestation_rule_at(i)); i++) {
        CLEANUP_FREE char *row = NULL;
        assert_true(asprintf(&row, "| `%s` | %s | %s | %s | %s | %s | %s |\n", rule->id, rule->class,
                             attestation_evidence_name(rule->evidence), attestation_surface_name(attestation_rule_surface(rule, azure)),
                             attestation_surface_name(attestation_rule_surface(rule, connack)), rule->azure, rule->source) > 0);
        assert_on_page(row);
    }
}

static void every_rule_of_connect_and_hub_stands_there(void **state)
{
    (void)state;
#define X(id, name, mend) assert_on_page("`" name "`");
    DPS_CONNECT_RULES(X)
#undef X
    /* A user name that is no hub's never reaches the hub: the front door would not have taken it for one. */
#define X(id, name, mend)                                                                                                                  \
    if (strcmp(name, "hub.user-name") != 0)                                                                                                \
        assert_on_page("`" name "`");
    HUB_RULES(X)
#undef X
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_rule_of_the_judge_stands_there_with_evidence_and_surfaces),
        cmocka_unit_test(every_rule_of_connect_and_hub_stands_there),
    };
    return cmocka_run_group_tests(tests, read_page, drop_page);
}
