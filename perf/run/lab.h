/*
 * perf/run/lab.h - what all measurements share: a scratch folder, a device PKI, a state folder for the simulator, the cores
 *
 * What:     forges root and issuer of the devices (recipe device/sub-ca), enrolls them as a group by the root, and decides which core
 *           the servers get and which the client.
 */
#ifndef PERF_RUN_LAB_H
#define PERF_RUN_LAB_H

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/json.h"

enum { LAB_PATH_BYTES = 512 };

#define LAB_ID_SCOPE "0ne000PERF1"

struct lab {
    char dir[LAB_PATH_BYTES];       /* removed at the end */
    char programs[LAB_PATH_BYTES];  /* where load_client and bare_loop stand */
    char simulator[LAB_PATH_BYTES]; /* dpsbench-sim */
    char harness[LAB_PATH_BYTES];   /* dpsbench */
    char state[LAB_PATH_BYTES];     /* the simulator's folder */
    char issuer[LAB_PATH_BYTES];
    char issuer_key[LAB_PATH_BYTES];
    char device_root[LAB_PATH_BYTES];
    char server_chain[LAB_PATH_BYTES]; /* the simulator's own certificate, for the yardsticks; once it has been started */
    char server_key[LAB_PATH_BYTES];
    const char *key_kind; /* lent; of the server's PKI: "p-256", "rsa-2048" */
    int server_core;
    int client_core; /* the same when the machine has one only */
};

/* key_kind: lent. `build`: the build folder that holds perf/ and bin/. */
int lab_open(struct lab *lab, const char *build, const char *key_kind, struct error *error);
/* The simulator's first start has made its PKI: write what the yardsticks need. */
int lab_take_server_pki(struct lab *lab, struct error *error);
void lab_close(struct lab *lab);

/* "lab->dir/name" into path. */
void lab_path(const struct lab *lab, const char *name, char path[LAB_PATH_BYTES]);

#endif
