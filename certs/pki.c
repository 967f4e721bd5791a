#include "certs/pki.h"

#include "base/files.h"

#include <openssl/err.h>
#include <string.h>

struct pki *pki_new(const struct recipe *recipe)
{
    struct pki *pki = calloc(1, sizeof *pki);
    if (!pki)
        return NULL;
    pki->member_count = recipe->member_count;
    for (size_t i = 0; i < recipe->member_count; i++)
        snprintf(pki->members[i].name, sizeof pki->members[i].name, "%s", recipe->members[i].name);
    return pki;
}

int pki_finish(struct pki *pki, const struct recipe *recipe, struct error *error)
{
    pki->is_for_server = recipe->is_for_server;
    pki->server_leaf = recipe->server_leaf;
    pki->server_root = recipe->server_root;
    pki->server_intermediates = sk_X509_new_null();
    if (!pki->server_intermediates)
        return error_set_memory(error);
    for (size_t i = 0; i < recipe->server_intermediate_count; i++)
        if (!sk_X509_push(pki->server_intermediates, pki->members[recipe->server_intermediates[i]].certificate))
            return error_set_memory(error);
    return 0;
}

void pki_free(struct pki *pki)
{
    if (!pki)
        return;
    for (size_t i = 0; i < pki->member_count; i++) {
        X509_free(pki->members[i].certificate);
        EVP_PKEY_free(pki->members[i].key);
    }
    sk_X509_free(pki->server_intermediates);
    free(pki);
}

static const struct pki_member *find_member(const struct pki *pki, const char *name)
{
    for (size_t i = 0; i < pki->member_count; i++)
        if (strcmp(pki->members[i].name, name) == 0)
            return &pki->members[i];
    return NULL;
}

X509 *pki_certificate(const struct pki *pki, const char *member)
{
    const struct pki_member *found = find_member(pki, member);
    return found ? found->certificate : NULL;
}

EVP_PKEY *pki_key(const struct pki *pki, const char *member)
{
    const struct pki_member *found = find_member(pki, member);
    return found ? found->key : NULL;
}

static int set_no_member(const struct pki *pki, const char *name, struct error *error)
{
    CLEANUP(bytes_done) struct bytes names;
    bytes_init(&names, ERROR_TEXT_MAX_BYTES);
    for (size_t i = 0; i < pki->member_count; i++)
        bytes_printf(&names, "%s%s", i ? ", " : "", pki->members[i].name);
    return error_set(error, ERROR_OWNER_FILE, ERROR_NOT_FOUND, "the recipe has no member '%s'; there are: %s", name, bytes_text(&names));
}

int pki_append_pem(const struct pki *pki, const char *const *members, struct bytes *pem, struct error *error)
{
    for (const char *const *name = members; *name; name++) {
        const struct pki_member *member = find_member(pki, *name);
        if (!member)
            return set_no_member(pki, *name, error);
        if (certificate_append_pem(member->certificate, pem))
            return error_set(error, ERROR_OWNER_OURS, ERROR_LIMIT, "the chain is larger than %zu bytes", pem->max_bytes);
    }
    return 0;
}

int pki_key_pem(const struct pki *pki, const char *member, struct bytes *ret_pem, struct error *error)
{
    const struct pki_member *found = find_member(pki, member);
    return found ? private_key_pem(found->key, ret_pem, error) : set_no_member(pki, member, error);
}

X509 *pki_server_leaf(const struct pki *pki)
{
    return pki->is_for_server ? pki->members[pki->server_leaf].certificate : NULL;
}

EVP_PKEY *pki_server_key(const struct pki *pki)
{
    return pki->is_for_server ? pki->members[pki->server_leaf].key : NULL;
}

X509 *pki_server_root(const struct pki *pki)
{
    return pki->is_for_server ? pki->members[pki->server_root].certificate : NULL;
}

const x509_stack *pki_server_intermediates(const struct pki *pki)
{
    return pki->is_for_server ? pki->server_intermediates : NULL;
}

static char *member_path(const char *dir, const char *name, const char *suffix)
{
    char *path;
    return asprintf(&path, "%s/%s%s", dir, name, suffix) < 0 ? NULL : path;
}

typedef int write_fn(const char *path, const void *data, size_t length_bytes, mode_t mode, struct error *error);

static int write_certificate(const struct pki_member *member, const char *dir, write_fn *write_file, struct error *error)
{
    CLEANUP_FREE char *path = member_path(dir, member->name, ".crt.pem");
    CLEANUP(bytes_done) struct bytes pem = {.max_bytes = CERTIFICATE_TEXT_MAX_BYTES};
    if (!path || certificate_append_pem(member->certificate, &pem))
        return error_set_memory(error);
    return write_file(path, pem.data, pem.length_bytes, 0644, error);
}

static int write_key(const struct pki_member *member, const char *dir, struct error *error)
{
    CLEANUP_FREE char *path = member_path(dir, member->name, ".key.pem");
    CLEANUP(bytes_wipe) struct bytes pem = {0};
    if (!path)
        return error_set_memory(error);
    return private_key_pem(member->key, &pem, error) || file_write_atomic(path, pem.data, pem.length_bytes, 0600, error) ? -1 : 0;
}

int pki_write_certificates(const struct pki *pki, const char *dir, struct error *error)
{
    if (dir_make(dir, 0755, error))
        return -1;
    for (size_t i = 0; i < pki->member_count; i++)
        if (write_certificate(&pki->members[i], dir, file_write_unsynced, error))
            return -1;
    return 0;
}

int pki_write(const struct pki *pki, const char *dir, struct error *error)
{
    if (dir_make(dir, 0755, error))
        return -1;
    for (size_t i = 0; i < pki->member_count; i++)
        if (write_key(&pki->members[i], dir, error) || write_certificate(&pki->members[i], dir, file_write_atomic, error))
            return -1;
    return 0;
}

static int read_back_member(struct pki_member *member, const char *dir, struct error *error)
{
    CLEANUP_FREE char *certificate_path = member_path(dir, member->name, ".crt.pem");
    CLEANUP_FREE char *key_path = member_path(dir, member->name, ".key.pem");
    if (!certificate_path || !key_path)
        return error_set_memory(error);
    if (certificate_read_file(certificate_path, &member->certificate, error) || private_key_read_file(key_path, &member->key, error))
        return -1;
    if (!private_key_fits(member->key, member->certificate))
        return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "%s: is not the key of %s; remove both, they are made anew", key_path,
                         certificate_path);
    return 0;
}

int pki_read(const struct recipe *recipe, const char *dir, struct pki **ret_pki, struct error *error)
{
    CLEANUP(pki_free_cleanup) struct pki *pki = pki_new(recipe);
    if (!pki)
        return error_set_memory(error);
    for (size_t i = 0; i < pki->member_count; i++)
        if (read_back_member(&pki->members[i], dir, error))
            return -1;
    if (pki_finish(pki, recipe, error))
        return -1;
    *ret_pki = TAKE(pki);
    return 0;
}
