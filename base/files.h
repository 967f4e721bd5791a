/*
 * base/files.h - whole files, folders and the folder lock
 *
 * What:     bounded reads, atomic writes (a temporary file beside it, fsync, rename), folders, and a lock on a folder that the kernel drops
 *           with its holder, however that ends.
 * Errors:   owner rig for what the system refuses (a full disk, a read-only folder), file for what the user named and does not exist or
 *           is too large. Texts name the path.
 */
#ifndef BASE_FILES_H
#define BASE_FILES_H

#include "base/bytes.h"
#include "base/error.h"

#include <stdbool.h>
#include <sys/types.h>

/* Read all of `path`. ret_bytes: initialised by the call with the limit; bytes_done() it. NOT_FOUND, LIMIT, IO. Untouched on failure. */
int file_read(const char *path, size_t max_bytes, struct bytes *ret_bytes, struct error *error);

/*
 * Replace `path` by `data` in one step: a reader sees the old file or the new one, a power cut leaves one of them whole. A device, a pipe and
 * /dev/stdout stay what they are and are written to.
 */
int file_write_atomic(const char *path, const void *data, size_t length_bytes, mode_t mode, struct error *error);

/* As above, but what the disk has not taken yet is lost to a power cut (not to a kill): for many files that can be made again. */
int file_write_unsynced(const char *path, const void *data, size_t length_bytes, mode_t mode, struct error *error);

/* mkdir -p. An existing folder is fine; a file in the way is not. */
int dir_make(const char *path, mode_t mode, struct error *error);
/* Remove a folder with all that is in it; nothing there is fine. Never follows links, never crosses into another file system. */
int dir_remove(const char *path, struct error *error);
/* Copy a file, or a folder with all that is in it: files and folders; links and the like are left out, and so are names that begin with a dot. `to` must not
 * exist. */
int tree_copy(const char *from, const char *to, struct error *error);
bool path_exists(const char *path);
/* "dir/name", malloc'ed; NULL when out of memory. */
char *path_join(const char *dir, const char *name);
/* realpath(), malloc'ed; a copy of `path` made absolute when it does not exist yet. NULL when out of memory. */
char *path_absolute(const char *path);

/* Names in `dir` that end in `suffix`, sorted, without those that begin with a dot. ret_names: NULL-terminated, names_free() it. A missing folder is
 * empty. */
int dir_list(const char *dir, const char *suffix, char ***ret_names, struct error *error);
void names_free(char **names);

/*
 * Take the exclusive lock of a folder (flock on the folder itself: no lock file is left behind, and the kernel drops it with the process).
 * ret_fd: keep open as long as the lock is held; close it to let go; it is close-on-exec.
 * BUSY (rig): another process holds it. The text does not name the holder: the caller knows where the holder's ready.json stands.
 */
int dir_lock(const char *path, int *ret_fd, struct error *error);

#endif
