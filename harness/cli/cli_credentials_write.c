/* dpsbench credentials plan, write, verify: local files against what the modem holds */
#include "base/arguments.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "harness/cli/cli_credentials.h"
#include "harness/provision/local_files.h"
#include "reports/result.h"

#include <string.h>

enum { SHA_SHOWN = 12 };

#define FILE_OPTIONS                                                                                                                       \
    {"tag", CREDENTIAL_OPTION_TAG, "N", 0, "The sec tag (default with --rig: the rig's)", 1},                                              \
        {"root", CREDENTIAL_OPTION_ROOT, "FILE", 0, "ROOT_CA_CERT: whom the device trusts, PEM", 1},                                       \
        {"cert", CREDENTIAL_OPTION_CERT, "FILE", 0, "CLIENT_CERT: the device's own certificate, its issuers behind it, PEM", 1},           \
        {"key", CREDENTIAL_OPTION_KEY, "FILE", 0, "CLIENT_KEY: its private key, PEM", 1},                                                  \
        {"psk", CREDENTIAL_OPTION_PSK, "FILE", 0, "PSK, hexadecimal", 1},                                                                  \
    {                                                                                                                                      \
        "psk-id", CREDENTIAL_OPTION_PSK_ID, "FILE", 0, "PSK_ID", 1                                                                         \
    }

/* ---- which files ---- */

static int take_words(const struct credential_arguments *arguments, struct local_files *files, struct error *error)
{
    int64_t sec_tag;
    const struct credential_kind *kind;
    if (arguments->word_count != 3)
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE,
                         "which files? SECTAG TYPE FILE, as in: 56 CLIENT_CERT chain.pem; or --tag 56 --root FILE --cert FILE --key FILE");
    if (credential_tag_read(arguments->words[0], &sec_tag, error) || credential_kind_read(arguments->words[1], &kind, error))
        return -1;
    files->sec_tag = (uint32_t)sec_tag;
    return local_files_add(files, kind->type, arguments->words[2], error);
}

static bool names_files(const struct credential_arguments *arguments)
{
    for (int type = 0; type < CREDENTIAL_KIND_COUNT; type++)
        if (arguments->files[type])
            return true;
    return false;
}

static int take_options(const struct credential_arguments *arguments, const struct rig_device *device, struct local_files *files,
                        struct error *error)
{
    if (arguments->word_count)
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "'%s': either SECTAG TYPE FILE, or options such as --cert FILE, not both",
                         arguments->words[0]);
    if (credential_tag_of(arguments, device, &files->sec_tag, error))
        return -1;
    for (int type = 0; type < CREDENTIAL_KIND_COUNT; type++)
        if (arguments->files[type] && local_files_add(files, type, arguments->files[type], error))
            return -1;
    return 0;
}

static int read_files(const struct credential_arguments *arguments, const struct rig_device *device, struct local_files *files,
                      struct error *error)
{
    int rc = names_files(arguments) ? take_options(arguments, device, files, error) : take_words(arguments, files, error);
    return rc || local_files_check(files, clock_unix_s(&clock_system), error) ? -1 : 0;
}

static void say_notes(const struct notes *notes)
{
    for (size_t i = 0; i < notes->count; i++) {
        const struct note *note = &notes->items[i];
        fprintf(stderr, "%s: %s%s%s\n", note_kind_name(note->kind), note->text, *note->mend ? "; " : "", note->mend);
    }
}

static cJSON *notes_json(const struct notes *notes)
{
    CLEANUP_JSON cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; list && i < notes->count; i++) {
        const struct note *note = &notes->items[i];
        cJSON *json = cJSON_CreateObject();
        if (!json || !cJSON_AddItemToArray(list, json) || json_set_string(json, "kind", note_kind_name(note->kind)) ||
            json_set_string(json, "id", note->id) || json_set_string(json, "text", note->text) || json_set_string(json, "mend", note->mend))
            return NULL;
    }
    return TAKE(list);
}

/* ---- the plan ---- */

struct step {
    const struct wanted_credential *wanted;
    char now[CREDENTIAL_SHA256_BYTES]; /* "": empty */
    char then[CREDENTIAL_SHA256_BYTES];
    bool is_needed;
    bool is_done;
};

struct plan {
    struct step steps[MATCH_WANTED_MAX];
    size_t count;
    size_t needed;
};

static void make_plan(const struct local_files *files, const struct credential_list *list, bool writes_all, struct plan *plan)
{
    *plan = (struct plan){.count = files->count};
    for (size_t i = 0; i < files->count; i++) {
        struct step *step = &plan->steps[i];
        step->wanted = &files->wanted[i];
        snprintf(step->now, sizeof step->now, "%s", credential_list_sha256(list, files->sec_tag, step->wanted->type));
        credential_text_sha256(&step->wanted->text, step->then);
        step->is_needed = writes_all || !credential_text_is_listed(&step->wanted->text, list, step->now);
        plan->needed += step->is_needed;
    }
}

static const char *action_of(const struct step *step)
{
    if (!step->is_needed)
        return "keep";
    return !*step->now ? "write" : credential_is_placeholder(step->now) ? "write again" : "replace";
}

static void print_plan(const struct plan *plan, const struct credential_list *list)
{
    printf("%-12s %-14s %-12s %-14s %-14s %s\n", "SEC TAG", "TYPE", "ACTION", "SHA-256 NOW", "THEN", "FILE");
    for (size_t i = 0; i < plan->count; i++) {
        const struct step *step = &plan->steps[i];
        printf("%-12u %-14s %-12s %-14.*s %-14.*s %s\n", step->wanted->sec_tag, credential_kind_word(step->wanted->type), action_of(step),
               SHA_SHOWN, *step->now ? step->now : "(empty)", SHA_SHOWN, step->then, step->wanted->path);
    }
    size_t others = 0;
    for (size_t i = 0; i < list->count; i++) {
        bool is_planned = false;
        for (size_t k = 0; k < plan->count; k++)
            is_planned |=
                plan->steps[k].wanted->sec_tag == list->entries[i].sec_tag && plan->steps[k].wanted->type == list->entries[i].type;
        others += !is_planned;
    }
    printf("%zu to write, %zu to keep; %zu other credentials stay as they are\n", plan->needed, plan->count - plan->needed, others);
}

static int add_step(cJSON *slots, const struct step *step)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (!json || json_set_integer(json, "sec_tag", step->wanted->sec_tag) || json_set_integer(json, "type", step->wanted->type) ||
        json_set_string(json, "word", credential_kind_word(step->wanted->type)) || json_set_string(json, "action", action_of(step)) ||
        json_set_string(json, "file", step->wanted->path) || (*step->now && json_set_string(json, "sha256_now", step->now)) ||
        json_set_string(json, "sha256_then", step->then) || json_set_bool(json, "is_done", step->is_done))
        return -1;
    return cJSON_AddItemToArray(slots, TAKE(json)) ? 0 : -1;
}

static cJSON *plan_json(const struct credential_session *session, const struct plan *plan, const struct notes *notes)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject(), *slots = cJSON_CreateArray();
    for (size_t i = 0; slots && i < plan->count; i++)
        if (add_step(slots, &plan->steps[i]))
            return NULL;
    if (!json || !slots || json_set_integer(json, "v", CREDENTIALS_VERSION) || json_set(json, "device", credential_device_json(session)) ||
        json_set(json, "slots", TAKE(slots)) || json_set(json, "notes", notes_json(notes)))
        return NULL;
    return TAKE(json);
}

/* ---- writing ---- */

static int write_steps(struct credential_session *session, struct plan *plan, struct error *error)
{
    for (size_t i = 0; i < plan->count; i++) {
        struct step *step = &plan->steps[i];
        const struct wanted_credential *wanted = step->wanted;
        if (!step->is_needed)
            continue;
        if (modem_link_write(session->link, wanted->sec_tag, wanted->type, &wanted->text, error))
            return error_prefix(error, "sec tag %u, %s", wanted->sec_tag, credential_kind_word(wanted->type));
        step->is_done = true;
    }
    return 0;
}

static int check_written(struct credential_session *session, const struct plan *plan, struct error *error)
{
    CLEANUP_FREE struct credential_list *list = calloc(1, sizeof *list);
    if (!list)
        return error_set_memory(error);
    if (modem_link_list(session->link, list, error))
        return -1;
    for (size_t i = 0; i < plan->count; i++) {
        const struct wanted_credential *wanted = plan->steps[i].wanted;
        const char *listed = credential_list_sha256(list, wanted->sec_tag, wanted->type);
        if (*listed && credential_is_placeholder(listed))
            fprintf(stderr, "warning: sec tag %u, %s: this modem firmware prints no hashes, so the write could not be verified\n",
                    wanted->sec_tag, credential_kind_word(wanted->type));
        else if (!credential_text_is_listed(&wanted->text, list, listed))
            return error_set(
                error, ERROR_OWNER_DEVICE, ERROR_CONFLICT,
                "sec tag %u, %s: after writing, the modem lists SHA-256 %s, and %s was sent: bytes were changed on the way; is "
                "the line reliable, and is it the only program on the port?",
                wanted->sec_tag, credential_kind_word(wanted->type), *listed ? listed : "(nothing)", plan->steps[i].then);
    }
    return 0;
}

static void print_done(const struct plan *plan)
{
    for (size_t i = 0; i < plan->count; i++) {
        const struct step *step = &plan->steps[i];
        printf("sec tag %u, %s: %s\n", step->wanted->sec_tag, credential_kind_word(step->wanted->type),
               step->is_done ? "written" : "was there already, nothing written");
    }
}

static int work_on(const struct credential_arguments *arguments, struct credential_session *session, struct local_files *files,
                   struct error *error)
{
    struct plan plan;
    CLEANUP_FREE struct credential_list *list = calloc(1, sizeof *list);
    if (!list)
        return error_set_memory(error);
    if (read_files(arguments, session->device, files, error))
        return -1;
    if (!arguments->wants_json)
        say_notes(&files->notes);
    if (modem_link_list(session->link, list, error))
        return -1;
    make_plan(files, list, arguments->is_forced, &plan);
    if (arguments->is_dry_run && !arguments->wants_json)
        print_plan(&plan, list);
    else if (!arguments->is_dry_run && (write_steps(session, &plan, error) || check_written(session, &plan, error)))
        return -1;
    if (arguments->wants_json)
        return credentials_print_json(plan_json(session, &plan, &files->notes));
    if (!arguments->is_dry_run)
        print_done(&plan);
    return EXIT_ALL_PASSED;
}

static int write_files(const struct credential_arguments *arguments, struct credential_session *session, struct error *error)
{
    CLEANUP(local_files_done) struct local_files files = {0};
    return work_on(arguments, session, &files, error);
}

/* What is wrong with the files is said before the port is opened. */
static int refuse_early(const struct credential_arguments *arguments, struct error *error)
{
    CLEANUP(local_files_done) struct local_files files = {0};
    struct rig_device any = {0};
    return read_files(arguments, &any, &files, error);
}

static int run_files(const struct credential_arguments *arguments, credentials_work *work)
{
    struct error error = ERROR_INIT;
    if (refuse_early(arguments, &error))
        return command_fail(&error);
    return credentials_run(arguments, work);
}

int credentials_write(int argc, char **argv)
{
    static const struct argp_option options[] = {
        FILE_OPTIONS,
        {"dry-run", CREDENTIAL_OPTION_DRY_RUN, NULL, 0, "Show what would be changed, change nothing: `credentials plan`", 2},
        {"force", CREDENTIAL_OPTION_FORCE, NULL, 0, "Write what is there already too", 2},
        CREDENTIAL_JSON_OPTION,
        CREDENTIAL_DEVICE_OPTIONS,
        {0}};
    static const struct argp argp = {
        .options = options,
        .args_doc = "PORT SECTAG TYPE FILE\nPORT --tag N [--root FILE] [--cert FILE] [--key FILE]",
        .doc =
            "Write files into the modem. Before anything is sent, they are checked: right kind of file, key and certificate a pair, chain "
            "in "
            "order, small enough. What is there already is not written again. Line ends become LF; white space at the end is not stored. "
            "The modem goes to flight mode for it and back afterwards."
            "\vExamples:\n"
            "  dpsbench credentials write /dev/ttyACM0 56 CLIENT_CERT chain.pem\n"
            "  dpsbench credentials write /dev/ttyACM0 --tag 56 --root DigiCertGlobalRootG2.crt.pem \\\n"
            "    --cert chain.pem --key device.key\n"};
    struct credential_arguments arguments;
    credential_arguments_parse(&argp, argc, argv, &arguments);
    return run_files(&arguments, write_files);
}

int credentials_plan(int argc, char **argv)
{
    static const struct argp_option options[] = {FILE_OPTIONS, CREDENTIAL_JSON_OPTION, CREDENTIAL_DEVICE_OPTIONS, {0}};
    static const struct argp argp = {.options = options,
                                     .args_doc = "PORT SECTAG TYPE FILE\nPORT --tag N [--root FILE] [--cert FILE] [--key FILE]",
                                     .doc = "Show what `credentials write` would change, by SHA-256. Nothing is changed."
                                            "\vExamples:\n"
                                            "  dpsbench credentials plan /dev/ttyACM0 --tag 56 --cert chain.pem --key device.key\n"};
    struct credential_arguments arguments;
    credential_arguments_parse(&argp, argc, argv, &arguments);
    arguments.is_dry_run = true;
    return run_files(&arguments, write_files);
}

/* ---- verify ---- */

static cJSON *finding_json(const struct match_finding *finding)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (!json || json_set_integer(json, "sec_tag", finding->sec_tag) || json_set_integer(json, "type", finding->type) ||
        json_set_string(json, "word", credential_kind_word(finding->type)) ||
        json_set_string(json, "state", match_state_name(finding->state)) || json_set_string(json, "text", finding->text) ||
        json_set_string(json, "mend", finding->mend) || json_set_string(json, "file", finding->path) ||
        (*finding->listed && json_set_string(json, "sha256_now", finding->listed)) ||
        (*finding->wanted && json_set_string(json, "sha256_wanted", finding->wanted)))
        return NULL;
    return TAKE(json);
}

static cJSON *report_json(const struct credential_session *session, const struct match_report *report, const struct notes *notes)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject(), *findings = cJSON_CreateArray();
    for (size_t i = 0; findings && i < report->count; i++) {
        cJSON *finding = finding_json(&report->findings[i]);
        if (!finding || !cJSON_AddItemToArray(findings, finding))
            return NULL;
    }
    if (!json || !findings || json_set_integer(json, "v", CREDENTIALS_VERSION) || json_set_bool(json, "is_good", report->is_good) ||
        json_set(json, "device", credential_device_json(session)) || json_set(json, "findings", TAKE(findings)) ||
        json_set(json, "notes", notes_json(notes)))
        return NULL;
    return TAKE(json);
}

static void print_report(const struct match_report *report)
{
    for (size_t i = 0; i < report->count; i++) {
        const struct match_finding *finding = &report->findings[i];
        printf("%-11s sec tag %u, %s: %s\n", match_state_name(finding->state), finding->sec_tag, credential_kind_word(finding->type),
               finding->text);
        if (*finding->mend)
            printf("%-11s   mend: %s\n", "", finding->mend);
    }
    puts(report->is_good ? "the modem holds these files" : "the modem does not hold these files");
}

static int verify(const struct credential_arguments *arguments, struct credential_session *session, struct error *error)
{
    CLEANUP(local_files_done) struct local_files files = {0};
    CLEANUP_FREE struct credential_list *list = calloc(1, sizeof *list);
    CLEANUP_FREE struct match_report *report = calloc(1, sizeof *report);
    if (!list || !report)
        return error_set_memory(error);
    if (read_files(arguments, session->device, &files, error) || modem_link_list(session->link, list, error) ||
        credential_match(files.wanted, files.count, list, report, error))
        return -1;
    int code = arguments->wants_json ? credentials_print_json(report_json(session, report, &files.notes)) : EXIT_ALL_PASSED;
    if (!arguments->wants_json) {
        say_notes(&files.notes);
        print_report(report);
    }
    return code ? code : report->is_good ? EXIT_ALL_PASSED : EXIT_DEVICE_FAILED;
}

int credentials_verify(int argc, char **argv)
{
    static const struct argp_option options[] = {FILE_OPTIONS, CREDENTIAL_JSON_OPTION, CREDENTIAL_DEVICE_OPTIONS, {0}};
    static const struct argp argp = {
        .options = options,
        .args_doc = "PORT --tag N [--root FILE] [--cert FILE] [--key FILE]\nPORT SECTAG TYPE FILE",
        .doc = "Compare the modem with local files. When they differ, it says how: CR LF for LF, the leaf without its chain, the wrong "
               "slot, the "
               "wrong sec tag. Nothing is changed. Exit code 1: they differ."
               "\vExamples:\n"
               "  dpsbench credentials verify /dev/ttyACM0 --tag 56 --root root.pem --cert chain.pem --key device.key\n"};
    struct credential_arguments arguments;
    credential_arguments_parse(&argp, argc, argv, &arguments);
    return run_files(&arguments, verify);
}
