/*
 * broker_sim/broker/keeper.h - the process that cleans up after us, however we end
 *
 * What:     a fork of ours without any of our descriptors, in a session of its own, that waits on a pipe. When the pipe ends (we are gone,
 * even by SIGKILL) it kills Mosquitto, removes the runtime folder, and removes ready.json if that is still ours. Threads:  call
 * keeper_start early, from the main thread, before other threads exist.
 */
#ifndef BROKER_SIM_BROKER_KEEPER_H
#define BROKER_SIM_BROKER_KEEPER_H

#include "base/error.h"

#include <sys/types.h>

struct keeper;

/* `ready_path` may be NULL. Both texts are copied by the fork. IO (rig). */
int keeper_start(const char *runtime_dir, const char *ready_path, struct keeper **ret_keeper, struct error *error);
/* The child to kill after our end; 0: none. */
void keeper_watch(struct keeper *keeper, pid_t pid);
/* It ends without doing anything; returns when it has. NULL allowed. */
void keeper_stop(struct keeper *keeper);

#endif
