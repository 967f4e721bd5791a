#include "harness/cli/az_command.h"

#include "base/files.h"
#include "base/log.h"
#include "base/yaml.h"
#include "harness/cli/az_output.h"
#include "reports/result.h"

#include <string.h>
#include <strings.h>

#define STATE_VARIABLE "DPSBENCH_STATE"
#define STATE_DEFAULT "sim"

DEFINE_CLEANUP(struct object_store *, object_store_close)
#define CLEANUP_STORE CLEANUP(object_store_close_cleanup)

const char *az_value(const struct az_call *call, enum az_option option)
{
    return call->arguments->values[option];
}

static void __attribute__((noreturn)) refuse_word(const struct az_call *call, enum az_option option, const char *const *words)
{
    char names[AZ_NAMES_MAX_BYTES], allowed[256] = "";
    const char *word = az_value(call, option), *near = text_nearest(word, words);
    az_option_names(option, names);
    for (; *words; words++) {
        size_t used = strlen(allowed);
        snprintf(allowed + used, sizeof allowed - used, "%s%s", used ? ", " : "", *words);
    }
    az_refuse(call->command, "argument %s: invalid choice: '%s' (choose from %s)%s%s%s", names, word, allowed,
              near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

const char *az_word(const struct az_call *call, enum az_option option, const char *const *words)
{
    const char *word = az_value(call, option);
    if (!word)
        return NULL;
    for (const char *const *known = words; *known; known++)
        if (strcasecmp(word, *known) == 0)
            return *known;
    refuse_word(call, option, words);
}

int az_read_pem(const char *path, struct bytes *ret_pem, struct error *error)
{
    CLEANUP_X509 X509 *certificate = NULL;
    if (certificate_read_file(path, &certificate, error))
        return -1;
    bytes_init(ret_pem, CERTIFICATE_TEXT_MAX_BYTES);
    return certificate_append_pem(certificate, ret_pem) ? error_set_memory(error) : 0;
}

cJSON *az_json_of(const char *text, const char *option, struct error *error)
{
    size_t blank = strspn(text, " \t\r\n");
    if (!text[blank])
        return cJSON_CreateObject();
    if (!strchr("{[", text[blank]) && path_exists(text))
        return json_read_file(text, error);
    return json_parse(text, strlen(text), option, error);
}

int az_answer(struct az_call *call, cJSON *view, struct error *error)
{
    call->result = view;
    return view ? 0 : error_set_memory(error);
}

static const char *state_of(const struct az_call *call)
{
    const char *given = az_value(call, AZ_STATE), *variable = getenv(STATE_VARIABLE);
    if (given && !*given)
        az_refuse(call->command, "argument --state: a folder's name is expected");
    return given ? given : variable && *variable ? variable : STATE_DEFAULT;
}

/* Somebody who relies on the default folder learns which one that was. */
static void tell_default(const struct az_call *call, const char *state, bool may_make)
{
    if (az_value(call, AZ_STATE) || getenv(STATE_VARIABLE))
        return;
    if (may_make && !path_exists(state))
        log_info("state folder: './%s' is made (--state DIR or " STATE_VARIABLE " name another)", state);
}

static void explain_missing(const struct az_call *call, struct error *error)
{
    if (error->code == ERROR_NOT_FOUND && !az_value(call, AZ_STATE) && !getenv(STATE_VARIABLE))
        error_set(error, error->owner, error->code, "%s (neither --state nor " STATE_VARIABLE " is given)", error->text);
}

static void refuse_query(const struct az_call *call)
{
    if (az_value(call, AZ_QUERY))
        az_refuse(call->command,
                  "argument --query: JMESPath is not built here, since Debian has no library of it for C; "
                  "pipe the JSON into jq: `%s ... | jq FILTER`",
                  call->command);
}

static int carry_out(const struct az_command *command, struct az_call *call, struct error *error)
{
    const char *state = state_of(call);
    CLEANUP_STORE struct object_store *store = NULL;
    tell_default(call, state, command->may_make);
    if (object_store_open(state, command->may_make, &store, error)) {
        explain_missing(call, error);
        return -1;
    }
    call->store = store;
    int rc = command->run(call, error);
    call->store = NULL;
    return rc;
}

int az_run(const struct az_command *command, int argc, char **argv)
{
    struct az_arguments arguments;
    struct error error = ERROR_INIT;
    az_arguments_parse(&command->signature, argc, argv, &arguments);
    struct az_call call = {.command = argv[0], .arguments = &arguments};
    const char *format = az_word(&call, AZ_OUTPUT, az_formats);
    refuse_query(&call);
    int rc = carry_out(command, &call, &error);
    CLEANUP_JSON cJSON *result = call.result;
    if (rc)
        return command_fail(&error);
    return result && az_print(result, format ? format : "json") ? EXIT_OUR_BUG : EXIT_ALL_PASSED;
}
