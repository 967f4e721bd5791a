#include "tests/unit/certs/support.h"

#include "base/child.h"
#include "base/files.h"
#include "tests/cmocka.h"

#include <fcntl.h>
#include <string.h>

static struct key_cache *keys;

static void __attribute__((destructor)) drop_keys(void)
{
    key_cache_free(keys);
}

/* A test that fails leaves by a long jump, past its cleanup: what it made goes at the end of the program. */
enum { SCRATCHES_MAX = 256 };
static struct scratch scratches[SCRATCHES_MAX];
static size_t scratch_count;

static void __attribute__((destructor)) drop_scratches(void)
{
    for (size_t i = 0; i < scratch_count; i++)
        if (path_exists(scratches[i].dir))
            dir_remove(scratches[i].dir, NULL);
}

struct scratch scratch_make(void)
{
    struct scratch scratch = {.dir = "/tmp/dpsbench-certs-XXXXXX"};
    assert_non_null(mkdtemp(scratch.dir));
    if (scratch_count < SCRATCHES_MAX)
        scratches[scratch_count++] = scratch;
    return scratch;
}

void scratch_remove(struct scratch *scratch)
{
    dir_remove(scratch->dir, NULL);
}

const char *scratch_path(const struct scratch *scratch, const char *name)
{
    static char paths[8][256];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", scratch->dir, name);
    return path;
}

void write_text(const char *path, const char *text)
{
    struct error error = ERROR_INIT;
    if (file_write_atomic(path, text, strlen(text), 0644, &error))
        fail_msg("%s", error.text);
}

char *read_text(const char *path)
{
    struct error error = ERROR_INIT;
    CLEANUP(bytes_done) struct bytes all = {0};
    if (file_read(path, OUTPUT_MAX_BYTES * 16, &all, &error))
        fail_msg("%s", error.text);
    return strdup(bytes_text(&all));
}

/* child_start has no working folder: `env -C DIR` gives one. */
int run_in(const char *dir, const char *const *argv, char output[OUTPUT_MAX_BYTES])
{
    struct error error = ERROR_INIT;
    const char *full[64] = {"env", "-C", dir};
    size_t count = 3;
    while (argv[count - 3]) {
        full[count] = argv[count - 3];
        count++;
    }
    CLEANUP_FD int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    struct child_options options = {.argv = full, .stdin_fd = -1, .stdout_fd = fd, .stderr_fd = fd, .death_signal = 9};
    struct child *child = NULL;
    int status = -1;
    if (child_start(&options, &child, &error) || child_wait(child, deadline_in_ms(&clock_system, 60000), &status, &error))
        fail_msg("%s: %s", argv[0], error.text);
    child_free(child);
    ssize_t length = pread(fd, output, OUTPUT_MAX_BYTES - 1, 0);
    output[length < 0 ? 0 : length] = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static struct pki *forge_and_free(struct recipe *recipe)
{
    static const char *const hosts[] = {"sim.example.org", "192.0.2.7", "localhost"};
    struct forge_variables variables = {.registration_id = "dev-01", .dps_host = "dps.example.org", .hosts = hosts, .host_count = 3};
    struct error error = ERROR_INIT;
    struct pki *pki = NULL;
    if (!keys)
        keys = key_cache_new();
    if (forge_pki(recipe, &variables, &clock_system, keys, &pki, &error))
        fail_msg("%s", error.text);
    recipe_free(recipe);
    return pki;
}

struct pki *forge_text(const char *text)
{
    struct error error = ERROR_INIT;
    struct recipe *recipe = NULL;
    if (recipe_read_text(text, strlen(text), "test.yaml", &recipe, &error))
        fail_msg("%s", error.text);
    return forge_and_free(recipe);
}

struct pki *forge_builtin(const char *name)
{
    struct error error = ERROR_INIT;
    struct recipe *recipe = NULL;
    if (recipe_read_builtin(name, &recipe, &error))
        fail_msg("%s", error.text);
    return forge_and_free(recipe);
}

char *pem_of(const struct pki *pki, const char *const *members)
{
    struct error error = ERROR_INIT;
    CLEANUP(bytes_done) struct bytes pem;
    bytes_init(&pem, CERTIFICATE_TEXT_MAX_BYTES);
    if (pki_append_pem(pki, members, &pem, &error))
        fail_msg("%s", error.text);
    return strdup(bytes_text(&pem));
}
