/*
 * harness/cli/az_command.h - one command of `az iot dps`, from its words to its output
 *
 * What:     parse the arguments, open the state folder or reach the simulator that serves it, do, print. The commands themselves are rows.
 */
#ifndef HARNESS_CLI_AZ_COMMAND_H
#define HARNESS_CLI_AZ_COMMAND_H

#include "harness/cli/az_arguments.h"
#include "harness/cli/command.h"
#include "harness/cli/object_store.h"

/* What a command has to work with. */
struct az_call {
    const char *command; /* its full name */
    const struct az_arguments *arguments;
    struct object_store *store;
    cJSON *result; /* given by the command; NULL: nothing is printed */
};

struct az_command {
    struct az_signature signature;
    bool may_make; /* a state folder that is missing is made */
    int (*run)(struct az_call *call, struct error *error);
};

/* Returns the exit code. */
int az_run(const struct az_command *command, int argc, char **argv);

/* The value, or NULL when it was not given. */
const char *az_value(const struct az_call *call, enum az_option option);
/* The value must be one of `words` (NULL-terminated; without regard to case), else the program ends with 2. NULL when it was not given. */
const char *az_word(const struct az_call *call, enum az_option option, const char *const *words);
/* One certificate of a file, whatever its form, as PEM. ret_pem: initialised by the call. */
int az_read_pem(const char *path, struct bytes *ret_pem, struct error *error);
/* JSON as it stands in the argument, or in the file that the argument names; '' is an empty object. NULL: failure; `option` names it in the error. */
cJSON *az_json_of(const char *text, const char *option, struct error *error);
/* What is written down for `result`: out of memory when `view` is NULL. */
int az_answer(struct az_call *call, cJSON *view, struct error *error);

/* `dpsbench az iot dps ...`; each ends with an empty one. */
extern const struct command az_certificate_commands[];
extern const struct command az_enrollment_commands[];
extern const struct command az_group_commands[];
/* `dpsbench central ...` */
extern const struct command central_commands[];

#endif
