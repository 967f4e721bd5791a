#include "harness/rig/place.h"

#include "base/cleanup.h"
#include "base/files.h"
#include "base/yaml.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

/* The folder that holds this executable, without a slash at its end. */
static int own_folder(char folder[PATH_MAX], struct error *error)
{
    ssize_t length = readlink("/proc/self/exe", folder, PATH_MAX - 1);
    if (length < 0)
        return error_set_errno(error, ERROR_OWNER_RIG, errno, "read /proc/self/exe");
    folder[length] = 0;
    char *slash = strrchr(folder, '/');
    if (slash)
        *slash = 0;
    return 0;
}

int place_program(const char *name, char **ret_path, struct error *error)
{
    char folder[PATH_MAX];
    if (own_folder(folder, error))
        return -1;
    CLEANUP_FREE char *path = path_join(folder, name);
    if (!path)
        return error_set_memory(error);
    if (access(path, X_OK))
        return error_set(error, ERROR_OWNER_RIG, ERROR_NOT_FOUND, "program '%s' is not beside dpsbench (%s): build it", name, folder);
    *ret_path = TAKE(path);
    return 0;
}

static bool is_home(const char *folder)
{
    CLEANUP_FREE char *cases = path_join(folder, "cases");
    CLEANUP_FREE char *fixtures = path_join(folder, "fixtures");
    return cases && fixtures && path_exists(cases) && path_exists(fixtures);
}

static char *find_home(char *folder)
{
    const char *chosen = getenv("DPSBENCH_HOME");
    if (chosen && *chosen)
        return strdup(chosen);
    for (char *slash; (slash = strrchr(folder, '/')); *slash = 0) {
        CLEANUP_FREE char *shared = path_join(folder, "share/dpsbench");
        if (is_home(folder))
            return strdup(folder);
        if (shared && is_home(shared))
            return TAKE(shared);
    }
    return NULL;
}

int place_data(const char *relative, char **ret_path, struct error *error)
{
    char folder[PATH_MAX];
    if (own_folder(folder, error))
        return -1;
    CLEANUP_FREE char *home = find_home(folder);
    if (!home)
        return error_set(error, ERROR_OWNER_RIG, ERROR_NOT_FOUND,
                         "find '%s': no folder above the program holds cases and fixtures; set DPSBENCH_HOME", relative);
    char *path = path_join(home, relative);
    return path ? (*ret_path = path, 0) : error_set_memory(error);
}

static bool ends_with(const char *text, const char *end)
{
    size_t text_length = strlen(text), end_length = strlen(end);
    return text_length >= end_length && strcmp(text + text_length - end_length, end) == 0;
}

static int refuse_dialect(const char *name, const char *folder, struct error *error)
{
    char **names = NULL;
    dir_list(folder, ".yaml", &names, NULL);
    for (char **word = names; word && *word; word++)
        (*word)[strlen(*word) - strlen(".yaml")] = 0;
    const char *near = names ? text_nearest(name, (const char *const *)names) : NULL;
    error_set(error, ERROR_OWNER_FILE, ERROR_NOT_FOUND,
              "there is no dialect '%s'%s%s%s; `dpsbench dialect list` names them all; a file of your own is given by its path", name,
              near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    names_free(names);
    return -1;
}

static int place_built_in_dialect(const char *name, char **ret_path, struct error *error)
{
    CLEANUP_FREE char *folder = NULL, *file = NULL;
    if (place_data("fixtures/dialects", &folder, error))
        return -1;
    if (asprintf(&file, "%s/%s.yaml", folder, name) < 0)
        return file = NULL, error_set_memory(error);
    if (!path_exists(file))
        return refuse_dialect(name, folder, error);
    *ret_path = TAKE(file);
    return 0;
}

int place_dialect(const char *name, const char *folder, char **ret_path, struct error *error)
{
    if (!strchr(name, '/') && !ends_with(name, ".yaml"))
        return place_built_in_dialect(name, ret_path, error);
    char *path = folder && name[0] != '/' ? path_join(folder, name) : strdup(name);
    return path ? (*ret_path = path, 0) : error_set_memory(error);
}

/* Does the PATH find this very file under its own name? */
static bool is_in_path(const char *own, const char *name)
{
    const char *all = getenv("PATH");
    CLEANUP_FREE char *folders = strdup(all ? all : "");
    char *rest = folders;
    for (char *folder; rest && (folder = strsep(&rest, ":"));) {
        CLEANUP_FREE char *path = path_join(*folder ? folder : ".", name);
        char found[PATH_MAX];
        if (path && access(path, X_OK) == 0)
            return realpath(path, found) && strcmp(found, own) == 0;
    }
    return false;
}

char *place_self(void)
{
    char own[PATH_MAX], current[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
    if (length < 0)
        return strdup("dpsbench");
    own[length] = 0;
    const char *slash = strrchr(own, '/');
    if (slash && is_in_path(own, slash + 1))
        return strdup(slash + 1);
    size_t prefix = getcwd(current, sizeof current) ? strlen(current) : 0;
    bool is_below = prefix > 1 && strncmp(own, current, prefix) == 0 && own[prefix] == '/' && strchr(own + prefix + 1, '/');
    return strdup(is_below ? own + prefix + 1 : own);
}
