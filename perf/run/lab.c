#include "perf/run/lab.h"

#include "base/files.h"
#include "certs/forge.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

#define RECIPE "device/sub-ca"

enum { PEM_MAX_BYTES = 256 * 1024 };

DEFINE_CLEANUP(struct recipe *, recipe_free)
DEFINE_CLEANUP(struct pki *, pki_free)

static void join(char path[LAB_PATH_BYTES], const char *dir, const char *name)
{
    snprintf(path, LAB_PATH_BYTES, "%s/%s", dir, name);
}

void lab_path(const struct lab *lab, const char *name, char path[LAB_PATH_BYTES])
{
    join(path, lab->dir, name);
}

static void choose_cores(struct lab *lab)
{
    cpu_set_t set;
    int found = 0;
    lab->server_core = lab->client_core = 0;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set))
        return;
    for (int core = 0; core < CPU_SETSIZE && found < 2; core++) {
        if (!CPU_ISSET(core, &set))
            continue;
        if (found++ == 0)
            lab->server_core = core;
        lab->client_core = core;
    }
}

static int make_dir(struct lab *lab, struct error *error)
{
    const char *parent = getenv("TMPDIR");
    char dir[LAB_PATH_BYTES - 64];
    snprintf(dir, sizeof dir, "%s/dpsbench-perf.XXXXXX", parent && *parent ? parent : "/tmp");
    if (!mkdtemp(dir))
        return error_set_errno(error, ERROR_OWNER_RIG, errno, "make a folder '%s'", dir);
    snprintf(lab->dir, sizeof lab->dir, "%s", dir);
    return 0;
}

static int forge_devices(const struct lab *lab, struct error *error)
{
    CLEANUP(recipe_free_cleanup) struct recipe *recipe = NULL;
    CLEANUP(pki_free_cleanup) struct pki *pki = NULL;
    const struct forge_variables variables = {.registration_id = "perf-root"};
    char dir[LAB_PATH_BYTES];
    lab_path(lab, "devices", dir);
    if (recipe_read_builtin(RECIPE, &recipe, error) || forge_pki(recipe, &variables, &clock_system, NULL, &pki, error))
        return -1;
    return pki_write(pki, dir, error);
}

/* The group names the issuer; its root stands there as a certificate whose possession was proven. */
static cJSON *group_json(const char *issuer_pem)
{
    CLEANUP_JSON cJSON *group = cJSON_CreateObject();
    cJSON *attestation = cJSON_AddObjectToObject(group, "attestation");
    cJSON *x509 = cJSON_AddObjectToObject(attestation, "x509");
    cJSON *signing = cJSON_AddObjectToObject(x509, "signingCertificates");
    cJSON *primary = cJSON_AddObjectToObject(signing, "primary");
    if (!primary || json_set_string(group, "enrollmentGroupId", "perf") || json_set_string(attestation, "type", "x509") ||
        json_set_string(primary, "certificate", issuer_pem) || json_set_string(group, "iotHubHostName", "perf.azure-devices.net") ||
        json_set_string(group, "provisioningStatus", "enabled"))
        return NULL;
    return TAKE(group);
}

static cJSON *certificate_object_json(const char *root_pem)
{
    CLEANUP_JSON cJSON *certificate = cJSON_CreateObject();
    cJSON *properties = cJSON_AddObjectToObject(certificate, "properties");
    if (!properties || json_set_string(certificate, "name", "perf-root") || json_set_string(properties, "certificate", root_pem) ||
        json_set_bool(properties, "isVerified", true))
        return NULL;
    return TAKE(certificate);
}

static int put_object(const struct lab *lab, const char *folder, const char *pem_path, cJSON *(*make)(const char *pem), struct error *error)
{
    CLEANUP(bytes_done) struct bytes pem = {0};
    char dir[LAB_PATH_BYTES], path[LAB_PATH_BYTES];
    join(dir, lab->state, folder);
    join(path, dir, "perf.json");
    if (dir_make(dir, 0755, error) || file_read(pem_path, PEM_MAX_BYTES, &pem, error))
        return -1;
    CLEANUP_JSON cJSON *json = make(bytes_text(&pem));
    return json ? json_write_file(path, json, 0644, error) : error_set_memory(error);
}

static int enroll(const struct lab *lab, struct error *error)
{
    return put_object(lab, "enrollmentGroups", lab->issuer, group_json, error) ||
                   put_object(lab, "certificates", lab->device_root, certificate_object_json, error)
               ? -1
               : 0;
}

int lab_open(struct lab *lab, const char *build, const char *key_kind, struct error *error)
{
    *lab = (struct lab){.key_kind = key_kind};
    if (make_dir(lab, error))
        return -1;
    choose_cores(lab);
    join(lab->programs, build, "perf");
    join(lab->simulator, build, "bin/dpsbench-sim");
    join(lab->harness, build, "bin/dpsbench");
    lab_path(lab, "state", lab->state);
    lab_path(lab, "devices/root.crt.pem", lab->device_root);
    lab_path(lab, "devices/sub-ca.crt.pem", lab->issuer);
    lab_path(lab, "devices/sub-ca.key.pem", lab->issuer_key);
    lab_path(lab, "server.pem", lab->server_chain);
    lab_path(lab, "state/pki/leaf.key.pem", lab->server_key);
    return forge_devices(lab, error) || enroll(lab, error) ? -1 : 0;
}

int lab_take_server_pki(struct lab *lab, struct error *error)
{
    static const char *const members[] = {"state/pki/leaf.crt.pem", "state/pki/intermediate.crt.pem"};
    CLEANUP(bytes_done) struct bytes chain;
    bytes_init(&chain, 2 * PEM_MAX_BYTES);
    for (size_t i = 0; i < ARRAY_COUNT(members); i++) {
        CLEANUP(bytes_done) struct bytes pem = {0};
        char path[LAB_PATH_BYTES];
        lab_path(lab, members[i], path);
        if (file_read(path, PEM_MAX_BYTES, &pem, error))
            return -1;
        if (bytes_append(&chain, pem.data, pem.length_bytes))
            return error_set_memory(error);
    }
    return file_write_atomic(lab->server_chain, chain.data, chain.length_bytes, 0644, error);
}

void lab_close(struct lab *lab)
{
    if (lab->dir[0])
        dir_remove(lab->dir, NULL);
}
