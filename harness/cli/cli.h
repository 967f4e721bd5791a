/*
 * harness/cli/cli.h - the command line of dpsbench
 */
#ifndef HARNESS_CLI_CLI_H
#define HARNESS_CLI_CLI_H

#include "harness/cli/command.h"

/* Everything after main(): returns the exit code. */
int cli_main(int argc, char **argv);

int cli_run(int argc, char **argv);
int cli_devices(int argc, char **argv);
int cli_doctor(int argc, char **argv);
int cli_list(int argc, char **argv);
int cli_calibrate(int argc, char **argv);
int cli_plan(int argc, char **argv);
int cli_show(int argc, char **argv);
int cli_try(int argc, char **argv);
int cli_probe(int argc, char **argv);
int cli_provision(int argc, char **argv);
/* `dpsbench credentials ...`: the port may stand before the command. */
int cli_credentials(int argc, char **argv);
extern const struct command cli_credentials_commands[];
/* `dpsbench dialect ...`; ends with an empty one. */
extern const struct command cli_dialect_commands[];
/* `dpsbench report ...`; ends with an empty one. */
extern const struct command cli_report_commands[];
/* `dpsbench sim ...`; ends with an empty one. */
extern const struct command cli_sim_commands[];
/* `dpsbench rig ...`; ends with an empty one. */
extern const struct command cli_rig_commands[];
/* `dpsbench hub ...`; ends with an empty one. */
extern const struct command cli_hub_commands[];
/* `dpsbench certs ...`; ends with an empty one. */
extern const struct command cli_certs_commands[];

#endif
