#include "broker_sim/fidelity/model.h"

#include <string.h>

static const char head[] =
    "# How true it is: each behaviour of the simulator, and how it is known\n"
    "\n"
    "The simulator stands in for Azure's Device Provisioning Service and IoT Hub. Azure documents some of what a "
    "device meets there; more is known from logs that people published, some from vendors, and\n"
    "the rest nobody outside has written down. This page says which is which, so that nobody takes an assumption of "
    "ours for a rule of Azure.\n"
    "\n"
    "| evidence | means |\n"
    "|---|---|\n"
    "| documented | Microsoft's documentation or specification says it |\n"
    "| field-observed | somebody's published log, test or issue shows it |\n"
    "| vendor | a third party states it |\n"
    "| assumed | there is no public source: our choice, often the one of the sibling service |\n"
    "| own | no behaviour of Azure: a fault that is there on demand, or a difference of ours |\n"
    "\n"
    "What a device does is not here. `dpsbench-vdk --fidelity` says what the virtual DK takes for true of a board, and "
    "`dpsbench calibrate` asks one: the profile that it writes turns these rows from assumed\n"
    "into observed ([calibrate.md](calibrate.md)).\n"
    "\n"
    "A knob is one of `dpsbench-sim --help`, or an option of it. The last column names the tests that hold the "
    "behaviour (`ctest -N`). The page is generated from `broker_sim/fidelity/behaviours.yaml`\n"
    "and, for the judge's rules, from `certs/attestation_rules.h`: `build/bin/dpsbench-sim --fidelity=markdown > "
    "docs/fidelity.md`. How to add a row stands at the head of that file.\n";

static const char rules_head[] = "Where a refusal shows depends on the profile; `none`: the device sees nothing of it, because it is "
                                 "taken, with a warning or a note at most.\n"
                                 "\n";

static int print_cell(const char *text, struct bytes *out)
{
    int rc = bytes_append_text(out, " ");
    for (; *text; text++)
        rc |= *text == '|' ? bytes_append_text(out, "\\|") : bytes_append_byte(out, (uint8_t)*text);
    return rc | bytes_append_text(out, " |");
}

static int print_list_cell(const struct fidelity_list *list, const char *separator, const char *quote, struct bytes *out)
{
    int rc = 0;
    for (size_t i = 0; i < list->count; i++)
        rc |= bytes_printf(out, "%s%s%s%s", i ? separator : " ", quote, list->items[i], quote);
    return rc | bytes_append_text(out, " |");
}

static int print_behaviour(const struct fidelity_row *row, struct bytes *out)
{
    int rc = bytes_printf(out, "| `%s` |", row->id);
    rc |= print_cell(row->behaviour, out);
    rc |= print_cell(row->by_default, out);
    rc |= print_list_cell(&row->knobs, ", ", "`", out);
    rc |= print_cell(fidelity_evidence_name(row->evidence), out);
    rc |= print_list_cell(&row->sources, "; ", "", out);
    return rc | print_list_cell(&row->tests, ", ", "", out) | bytes_append_text(out, "\n");
}

static int print_rule(const struct fidelity_row *row, struct bytes *out)
{
    const struct attestation_rule *rule = row->rule;
    const struct attestation_profile *profile;
    int rc = bytes_printf(out, "| `%s` | %s | %s |", rule->id, rule->class, fidelity_evidence_name(row->evidence));
    for (size_t i = 0; (profile = attestation_profile_at(i)); i++)
        rc |= print_cell(attestation_surface_name(attestation_rule_surface(rule, profile)), out);
    rc |= print_cell(rule->azure, out);
    rc |= print_cell(rule->source, out);
    return rc | print_list_cell(&row->tests, ", ", "", out) | bytes_append_text(out, "\n");
}

static int print_rules_head(struct bytes *out)
{
    const struct attestation_profile *profile;
    int rc = bytes_append_text(out, rules_head);
    for (size_t i = 0; (profile = attestation_profile_at(i)); i++)
        rc |= bytes_printf(out, "- `%s`: %s.\n", profile->name, profile->text);
    rc |= bytes_append_text(out, "\n| rule | class | evidence |");
    for (size_t i = 0; (profile = attestation_profile_at(i)); i++)
        rc |= bytes_printf(out, " `%s` |", profile->name);
    rc |= bytes_append_text(out, " what Azure does | source | test |\n|---|---|---|");
    for (size_t i = 0; attestation_profile_at(i); i++)
        rc |= bytes_append_text(out, "---|");
    return rc | bytes_append_text(out, "---|---|---|\n");
}

static int print_behaviours_head(struct bytes *out)
{
    return bytes_append_text(out, "| id | behaviour | by default | knob | evidence | source | test |\n|---|---|---|---|---|---|---|\n");
}

/* Rules first, then what else stands in the area. */
static int print_rows(const struct fidelity *fidelity, const struct fidelity_area *area, bool are_rules, struct bytes *out)
{
    size_t count = 0;
    int rc = 0;
    for (size_t i = 0; i < fidelity->row_count; i++) {
        const struct fidelity_row *row = &fidelity->rows[i];
        if (row->area != area || (row->rule != NULL) != are_rules)
            continue;
        if (count++ == 0)
            rc |= are_rules ? print_rules_head(out) : print_behaviours_head(out);
        rc |= are_rules ? print_rule(row, out) : print_behaviour(row, out);
    }
    return count ? rc | bytes_append_text(out, "\n") : rc;
}

int fidelity_print_markdown(const struct fidelity *fidelity, struct bytes *out)
{
    int rc = bytes_append_text(out, head);
    for (size_t i = 0; i < fidelity->area_count; i++) {
        rc |= bytes_printf(out, "\n## %s\n\n", fidelity->areas[i].title);
        rc |= print_rows(fidelity, &fidelity->areas[i], true, out);
        rc |= print_rows(fidelity, &fidelity->areas[i], false, out);
        /* One empty line between sections, none at the end. */
        bytes_cut(out, out->length_bytes - 1);
    }
    return rc ? -1 : 0;
}
