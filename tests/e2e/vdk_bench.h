/*
 * tests/e2e/vdk_bench.h - a folder, a PKI and a provisioned virtual DK for a test
 */
#ifndef TESTS_E2E_VDK_BENCH_H
#define TESTS_E2E_VDK_BENCH_H

#include "tests/e2e/vdk_rig.h"

enum server { SERVER_GOOD, SERVER_OTHER_ROOT, SERVER_OTHER_NAME, SERVER_EXPIRED, SERVER_NONE };

struct bench {
    char dir[64]; /* the virtual DK's state folder, with the server's files beside its own */
    char cert_path[128], key_path[128], ca_path[128];
    char *root;  /* what the device trusts */
    char *leaf;  /* the device's certificate, CN dev-01, issued by a sub-CA */
    char *chain; /* leaf and sub-CA */
    char *key;
    char *stray_key; /* belongs to no certificate */
    int closed_fd;
    unsigned closed_port; /* nobody listens there, nobody can */
};

/* Make it all; the DK is not started. */
void bench_make(struct bench *bench, enum server server);
/* Start a DK on the folder, write root, chain and key into sec tag 42, and end it. */
void bench_provision(const struct bench *bench, const char *chain, const char *key);
void bench_remove(struct bench *bench);

#endif
