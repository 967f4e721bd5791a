/*
 * harness/run/rerun.h - the commands that run one row again and that show it, as a person can paste them into a shell
 */
#ifndef HARNESS_RUN_RERUN_H
#define HARNESS_RUN_RERUN_H

#include "harness/run/run.h"

/*
 * "build/bin/dpsbench run refused/wrong-chain:azure --rig my.yaml": this program as it can be called from the current folder, and the options
 * of this run that are not the defaults. malloc'ed; NULL when out of memory.
 *
 * device  its id is named when the rig has more than one connected device.
 */
char *rerun_command(const struct run_options *options, const struct rig_device *device, const char *row);

/* "build/bin/dpsbench show reports/out/20261121T211500Z refused/wrong-chain:azure", likewise. */
char *rerun_show_command(const struct run_options *options, const char *row);

#endif
