#include "harness/run/evidence.h"

#include "base/cleanup.h"
#include "base/files.h"

#include <ctype.h>
#include <libserialport.h>
#include <mosquitto.h>
#include <openssl/crypto.h>
#include <string.h>

/* ---- certificates ---- */

enum { AGAIN_MAX_BYTES = 32 };

/* Some artifact stores take no colon; a slash makes folders. */
static char file_character(char c)
{
    if (isalnum((unsigned char)c) || strchr("/-_.@,+=", c))
        return c;
    return c == ':' ? '@' : '_';
}

char *evidence_folder(const struct bench *bench, const char *row)
{
    const char *device = bench_has_many_devices(bench) ? strrchr(bench->device_directory, '/') : NULL;
    char *folder, again[AGAIN_MAX_BYTES] = "";
    if (bench->repetition == 0)
        snprintf(again, sizeof again, "+health");
    else if (bench->repetition > 1 || bench->attempt > 1)
        snprintf(again, sizeof again, "+%u.%u", bench->repetition, bench->attempt);
    if (asprintf(&folder, "certificates%s/%s%s", device ? device : "", row, again) < 0)
        return NULL;
    for (char *at = folder; *at; at++)
        *at = file_character(*at);
    return folder;
}

static int write_text(const char *directory, const char *name, const char *text, struct error *error)
{
    if (!text || !*text)
        return 0;
    CLEANUP_FREE char *path = path_join(directory, name);
    if (!path)
        return error_set_memory(error);
    return file_write_unsynced(path, text, strlen(text), 0644, error);
}

int evidence_write(const struct bench *bench, const char *folder, const struct pki *pki, const struct credential_set *set,
                   struct error *error)
{
    const struct {
        const char *name, *text;
    } texts[] = {
        {"device.root-ca.crt.pem", bytes_text(&set->text[CREDENTIAL_ROOT_CA])},
        {"device.client-cert.crt.pem", bytes_text(&set->text[CREDENTIAL_CLIENT_CERT])},
        {"server.chain.crt.pem", bench->lane_chain},
        {"server.root.crt.pem", bench->lane_root_ca},
    };
    CLEANUP_FREE char *directory = path_join(bench->directory, folder);
    if (!directory)
        return error_set_memory(error);
    if (pki_write_certificates(pki, directory, error))
        return -1;
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++)
        if (write_text(directory, texts[i].name, texts[i].text, error))
            return -1;
    return 0;
}

/* ---- versions ---- */

static cJSON *harness_versions(void)
{
    int major, minor, patch;
    char libmosquitto[32];
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    mosquitto_lib_version(&major, &minor, &patch);
    snprintf(libmosquitto, sizeof libmosquitto, "%d.%d.%d", major, minor, patch);
    if (!json || json_set_string(json, "dpsbench", DPSBENCH_VERSION) ||
        json_set_string(json, "openssl", OpenSSL_version(OPENSSL_FULL_VERSION_STRING)) ||
        json_set_string(json, "libmosquitto", libmosquitto) || json_set_string(json, "libuv", uv_version_string()) ||
        json_set_string(json, "libserialport", sp_get_package_version_string()))
        return NULL;
    return TAKE(json);
}

static cJSON *simulator_versions(const cJSON *info)
{
    static const char *const names[] = {"openssl", "mosquitto", "libmosquitto", "libuv"};
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (!json || json_set_string(json, "dpsbench-sim", json_string(info, "version", NULL)))
        return NULL;
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (json_set_string(json, names[i], json_string(info, names[i], NULL)))
            return NULL;
    return TAKE(json);
}

cJSON *evidence_versions(const struct bench *bench)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (!json || json_set(json, "harness", harness_versions()) ||
        (bench->simulator_info && json_set(json, "simulator", simulator_versions(bench->simulator_info))))
        return NULL;
    return TAKE(json);
}
