/*
 * harness/cli/cli_sim.h - the commands of `dpsbench sim`; the table is in cli_sim.c
 */
#ifndef HARNESS_CLI_CLI_SIM_H
#define HARNESS_CLI_CLI_SIM_H

int cli_sim_set(int argc, char **argv);
int cli_sim_clear(int argc, char **argv);
int cli_sim_show(int argc, char **argv);
int cli_sim_ticket(int argc, char **argv);
int cli_sim_watch(int argc, char **argv);

#endif
