#include "harness/doctor/checkup.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    const char *text;
} checks[] = {
#define X(id, name, text) [id] = {name, text},
    DOCTOR_CHECKS(X)
#undef X
};

static void make_one_line(char *text)
{
    for (char *at = text; *at; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            *at = '?';
}

int checkup_add(struct checkup *checkup, enum doctor_check check, const char *subject, enum doctor_result result, const char *mend,
                const char *format, ...)
{
    int is_no_hindrance = result == DOCTOR_OK || result == DOCTOR_WARNING;
    struct finding *grown = checkup->count < FINDINGS_MAX ? realloc(checkup->items, (checkup->count + 1) * sizeof *grown) : NULL;
    if (!grown)
        return is_no_hindrance;
    checkup->items = grown;
    struct finding *finding = &grown[checkup->count++];
    *finding = (struct finding){.check = check, .result = result};
    va_list args;
    va_start(args, format);
    vsnprintf(finding->text, sizeof finding->text, format, args);
    va_end(args);
    snprintf(finding->subject, sizeof finding->subject, "%s", subject ? subject : "");
    snprintf(finding->mend, sizeof finding->mend, "%s", mend ? mend : "");
    make_one_line(finding->text);
    make_one_line(finding->mend);
    make_one_line(finding->subject);
    return is_no_hindrance;
}

void checkup_done(struct checkup *checkup)
{
    if (!checkup)
        return;
    free(checkup->items);
    *checkup = (struct checkup){.count = 0};
}

size_t checkup_count(const struct checkup *checkup, enum doctor_result result)
{
    size_t count = 0;
    for (size_t i = 0; i < checkup->count; i++)
        count += checkup->items[i].result == result;
    return count;
}

const char *doctor_check_name(enum doctor_check check)
{
    return checks[check].name;
}

const char *doctor_check_text(enum doctor_check check)
{
    return checks[check].text;
}

const char *doctor_result_name(enum doctor_result result)
{
    static const char *const names[] = {"ok", "warning", "bad", "not-checked"};
    return names[result];
}
