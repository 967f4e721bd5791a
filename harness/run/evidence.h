/*
 * harness/run/evidence.h - what a row used: the public certificates, and with which versions of what
 *
 * What:     DIRECTORY/certificates/ROW/NAME.crt.pem (below it a folder for each device when there are several): every member of the row's recipe,
 *           what was written into the device's sec tag (device.root-ca, device.client-cert), and what the server showed (server.chain, its own
 *           certificate first; server.root). Never a key. A row that is run again has another folder: ROW+REPETITION.ATTEMPT.
 */
#ifndef HARNESS_RUN_EVIDENCE_H
#define HARNESS_RUN_EVIDENCE_H

#include "harness/credentials/credential_set.h"
#include "harness/run/bench.h"

/* "certificates/refused/wrong-chain@azure": below the run's folder, in names that every file system and artifact store takes. malloc'ed. */
char *evidence_folder(const struct bench *bench, const char *row);
/* Write them into that folder. IO (rig). */
int evidence_write(const struct bench *bench, const char *folder, const struct pki *pki, const struct credential_set *set,
                   struct error *error);
/* `versions` of results.json. malloc'ed; NULL when out of memory. */
cJSON *evidence_versions(const struct bench *bench);

#endif
