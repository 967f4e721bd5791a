/*
 * harness/provision/board.h - one board of a production line, from its port to its row in the manifest
 *
 * What:     identity, key, request, signature, chain and root written and read back, one registration, a record. Each step leaves what the next
 *           start needs in OUT/boards/IMEI, so that a board that was interrupted goes on where it stopped, and no key is made twice.
 * Secrets:  a key that is made on this host goes to the modem and nowhere else: it is never written to a file.
 * Source:   docs/mass-production.md.
 */
#ifndef HARNESS_PROVISION_BOARD_H
#define HARNESS_PROVISION_BOARD_H

#include "certs/issuer.h"
#include "harness/credentials/wear_ledger.h"
#include "harness/rig/rig.h"
#include "harness/wait/waiting.h"

/* What all boards of a line share; lent. */
struct provision_job {
    const char *out;         /* the line's folder */
    const char *rig_file;    /* a dialect may stand beside it */
    const char *id_template; /* "{imei}", "{rig}", "nrf-{imei}" */
    const char *root_path;   /* for a person */
    struct bytes root;       /* as it is to be stored */
    struct issuer issuer;
    struct wear_ledger *ledger; /* NULL: nothing is counted */
    cJSON *ready;               /* of the simulator; NULL: no proof */
    int64_t sec_tag;            /* -1: the rig's */
    int64_t timeout_ms;         /* of the proof */
    int days;
    bool is_key_from_host;
    bool may_replace;
};

void provision_job_done(struct provision_job *job); /* NULL allowed */

enum { BOARD_ID_MAX_BYTES = 65, BOARD_IMEI_MAX_BYTES = 64, BOARD_TEXT_MAX_BYTES = 512 };

struct board_result {
    bool was_done; /* before, as the modem shows: nothing was changed */
    char imei[BOARD_IMEI_MAX_BYTES];
    char registration_id[BOARD_ID_MAX_BYTES];
    char text[BOARD_TEXT_MAX_BYTES]; /* for a person */
};

/*
 * `ret_result` is filled as far as it came, on failure too.
 * Errors: CONFLICT, BUSY (file): the same IMEI or id twice, a slot that is taken; what the steps give.
 */
int board_provision(const struct provision_job *job, const struct rig_device *device, struct waiting *waiting,
                    struct board_result *ret_result, struct error *error);

/* USAGE (file): an unknown name in braces. For a look before any board is touched. */
int board_check_template(const char *id_template, struct error *error);

#endif
