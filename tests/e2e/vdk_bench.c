#include "tests/e2e/vdk_bench.h"

#include "base/cleanup.h"
#include "base/files.h"
#include "tests/e2e/vdk_pki.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/cmocka.h"

#define NAMES "DNS:global.azure-devices-provisioning.net,DNS:*.azure-devices.net"

/* A bound socket that does not listen refuses, and nobody else can take its port. */
static int closed_port(unsigned *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length_bytes = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length_bytes), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

static void write_pair(const struct bench *bench, const struct pair *pair)
{
    CLEANUP_FREE char *certificate = pki_certificate(pair);
    CLEANUP_FREE char *key = pki_key(pair);
    pki_write(bench->cert_path, certificate);
    pki_write(bench->key_path, key);
}

static void forge_server(struct bench *bench, enum server server)
{
    struct pair root = pki_make("Test root", NULL, true, NULL, 30);
    struct pair other = pki_make("Other root", NULL, true, NULL, 30);
    struct pair leaf = pki_make("server", server == SERVER_OTHER_ROOT ? &other : &root, false,
                                server == SERVER_OTHER_NAME ? "DNS:example.org" : NAMES, server == SERVER_EXPIRED ? -1 : 30);
    CLEANUP_FREE char *other_text = pki_certificate(&other);
    write_pair(bench, &leaf);
    pki_write(bench->ca_path, other_text);
    bench->root = pki_certificate(&root);
    pki_drop(&root);
    pki_drop(&other);
    pki_drop(&leaf);
}

static void forge_device(struct bench *bench)
{
    struct pair root = pki_make("Client root", NULL, true, NULL, 30);
    struct pair sub_ca = pki_make("Client sub-CA", &root, true, NULL, 30);
    struct pair device = pki_make("dev-01", &sub_ca, false, NULL, 30);
    CLEANUP_FREE char *sub_ca_text = pki_certificate(&sub_ca);
    bench->leaf = pki_certificate(&device);
    bench->key = pki_key(&device);
    bench->stray_key = pki_key(&sub_ca);
    assert_true(asprintf(&bench->chain, "%s%s", bench->leaf, sub_ca_text) > 0);
    pki_drop(&root);
    pki_drop(&sub_ca);
    pki_drop(&device);
}

void bench_make(struct bench *bench, enum server server)
{
    memset(bench, 0, sizeof *bench);
    snprintf(bench->dir, sizeof bench->dir, "/tmp/dpsbench-vdk.XXXXXX");
    assert_non_null(mkdtemp(bench->dir));
    snprintf(bench->cert_path, sizeof bench->cert_path, "%s/server.pem", bench->dir);
    snprintf(bench->key_path, sizeof bench->key_path, "%s/server.key", bench->dir);
    snprintf(bench->ca_path, sizeof bench->ca_path, "%s/client-ca.pem", bench->dir);
    bench->closed_fd = closed_port(&bench->closed_port);
    forge_server(bench, server);
    forge_device(bench);
}

void bench_provision(const struct bench *bench, const char *chain, const char *key)
{
    struct vdk vdk;
    vdk_start(&vdk, bench->dir, bench->closed_port, NULL);
    vdk_write_credentials(&vdk, 42, bench->root, chain, key);
    vdk_stop(&vdk);
}

void bench_remove(struct bench *bench)
{
    close(bench->closed_fd);
    free(bench->root);
    free(bench->leaf);
    free(bench->chain);
    free(bench->key);
    free(bench->stray_key);
    assert_int_equal(dir_remove(bench->dir, NULL), 0);
}
