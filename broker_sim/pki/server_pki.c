#include "broker_sim/pki/server_pki.h"

#include "base/cleanup.h"
#include "base/files.h"
#include "broker_sim/pki/leaf_renewal.h"

#include <string.h>

enum { LEAF_PEM_MAX_BYTES = 64 * 1024 };

DEFINE_CLEANUP(struct recipe *, recipe_free)
DEFINE_CLEANUP(struct pki *, pki_free)

/* What to keep and whose key signs its leaf. */
struct plan {
    const char *recipe;
    const char *leaf;   /* member that may be renewed */
    const char *issuer; /* the member that signs it */
};

static const struct plan rsa_plan = {"server/default", "leaf", "intermediate"};
static const struct plan p256_plan = {"server/p256", "leaf", "intermediate"};
static const struct plan control_plan = {"control", "server", "ca"};

static char *member_path(const char *dir, const char *member, const char *suffix)
{
    char *path;
    return asprintf(&path, "%s/%s%s", dir, member, suffix) < 0 ? NULL : path;
}

char *kept_pki_certificate_path(const struct kept_pki *kept, const char *member)
{
    return member_path(kept->dir, member, ".crt.pem");
}

char *kept_pki_key_path(const struct kept_pki *kept, const char *member)
{
    return member_path(kept->dir, member, ".key.pem");
}

void kept_pki_done(struct kept_pki *kept)
{
    pki_free(kept->pki);
    free(kept->dir);
    *kept = (struct kept_pki){.dir = NULL};
}

static int forge_new(const char *dir, const struct recipe *recipe, const char *const *hosts, size_t host_count, const struct clock *clock,
                     struct pki **ret_pki, struct error *error)
{
    CLEANUP(pki_free_cleanup) struct pki *pki = NULL;
    struct forge_variables variables = {.dps_host = host_count ? hosts[0] : NULL, .hosts = hosts, .host_count = host_count};
    if (forge_pki(recipe, &variables, clock, NULL, &pki, error) || pki_write(pki, dir, error))
        return -1;
    *ret_pki = TAKE(pki);
    return 0;
}

/* A start that was killed while it wrote leaves some members out: nobody has used that PKI yet. */
static int read_or_forge(struct kept_pki *kept, const struct recipe *recipe, const char *const *hosts, size_t host_count,
                         const struct clock *clock, struct error *error)
{
    struct error why = ERROR_INIT;
    if (pki_read(recipe, kept->dir, &kept->pki, &why) == 0)
        return 0;
    if (why.code != ERROR_NOT_FOUND)
        return error_set(error, why.owner, why.code, "%s; remove '%s' to have a new PKI made", why.text, kept->dir);
    kept->is_new = true;
    return forge_new(kept->dir, recipe, hosts, host_count, clock, &kept->pki, error);
}

static int write_leaf(const struct kept_pki *kept, const char *member, const X509 *leaf, struct error *error)
{
    CLEANUP(bytes_done) struct bytes pem;
    bytes_init(&pem, LEAF_PEM_MAX_BYTES);
    CLEANUP_FREE char *path = kept_pki_certificate_path(kept, member);
    if (!path || certificate_append_pem(leaf, &pem))
        return error_set_memory(error);
    return file_write_atomic(path, bytes_text(&pem), pem.length_bytes, 0644, error);
}

static int renew_leaf(struct kept_pki *kept, const struct plan *plan, const struct recipe *recipe, const char *const *hosts,
                      size_t host_count, const struct clock *clock, struct error *error)
{
    X509 *present = pki_certificate(kept->pki, plan->leaf);
    if (!leaf_needs_renewal(present, hosts, host_count, clock))
        return 0;
    CLEANUP_X509 X509 *leaf = NULL;
    CLEANUP(pki_free_cleanup) struct pki *again = NULL;
    if (leaf_renew(present, pki_key(kept->pki, plan->issuer), hosts, host_count, clock, &leaf, error) ||
        write_leaf(kept, plan->leaf, leaf, error) || pki_read(recipe, kept->dir, &again, error))
        return -1;
    pki_free(kept->pki);
    kept->pki = TAKE(again);
    kept->is_renewed = true;
    return 0;
}

static int open_kept(const char *dir, const struct plan *plan, const char *const *hosts, size_t host_count, const struct clock *clock,
                     struct kept_pki *ret_kept, struct error *error)
{
    CLEANUP(recipe_free_cleanup) struct recipe *recipe = NULL;
    CLEANUP(kept_pki_done) struct kept_pki kept = {.dir = strdup(dir), .recipe = plan->recipe};
    if (!kept.dir)
        return error_set_memory(error);
    if (recipe_read_builtin(plan->recipe, &recipe, error) || read_or_forge(&kept, recipe, hosts, host_count, clock, error) ||
        renew_leaf(&kept, plan, recipe, hosts, host_count, clock, error))
        return -1;
    *ret_kept = kept;
    kept = (struct kept_pki){.dir = NULL};
    return 0;
}

/* SERVER_KEY_ANY when there is no leaf yet. */
static int read_present_key(const char *dir, enum server_key *ret_key, struct error *error)
{
    CLEANUP_FREE char *path = member_path(dir, "leaf", ".crt.pem");
    CLEANUP_X509 X509 *leaf = NULL;
    if (!path)
        return error_set_memory(error);
    *ret_key = SERVER_KEY_ANY;
    if (!path_exists(path))
        return 0;
    if (certificate_read_file(path, &leaf, error))
        return -1;
    *ret_key = EVP_PKEY_is_a(X509_get0_pubkey(leaf), "EC") ? SERVER_KEY_P_256 : SERVER_KEY_RSA_2048;
    return 0;
}

int server_pki_open(const char *dir, enum server_key key, const char *const *hosts, size_t host_count, const struct clock *clock,
                    struct kept_pki *ret_kept, struct error *error)
{
    enum server_key present;
    if (read_present_key(dir, &present, error))
        return -1;
    if (present != SERVER_KEY_ANY && key != SERVER_KEY_ANY && key != present)
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE,
                         "'%s' holds a server PKI with another kind of key; leave --server-key out, or remove '%s' to have a new one made "
                         "(devices then need the new root)",
                         dir, dir);
    if (present != SERVER_KEY_ANY)
        key = present;
    return open_kept(dir, key == SERVER_KEY_P_256 ? &p256_plan : &rsa_plan, hosts, host_count, clock, ret_kept, error);
}

int control_pki_open(const char *dir, const char *const *hosts, size_t host_count, const struct clock *clock, struct kept_pki *ret_kept,
                     struct error *error)
{
    return open_kept(dir, &control_plan, hosts, host_count, clock, ret_kept, error);
}
