/*
 * base/detach.h - a forked process that outlives whoever forked it, and holds a pipe alone
 *
 * What:     for helpers that clean up behind a program, however it ends: Ctrl-C and a closing terminal, which reach the whole foreground group, do
 *           not reach them, and whoever reads the program's output through a pipe does not wait for them.
 */
#ifndef BASE_DETACH_H
#define BASE_DETACH_H

enum { DETACHED_PIPE_FD = 3 };

/* In the child, behind fork(): no signal, no terminal, no folder, and no file but `pipe_fd`, which is DETACHED_PIPE_FD now. `name` as ps shows it. */
void detach(int pipe_fd, const char *name);

#endif
