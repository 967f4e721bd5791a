/*
 * harness/cli/made_pki.h - a forged PKI told to a person and to a program
 *
 * What:     the tree of what was made (issuer over subject, with key type, validity and files, and the recipe's defect), and the same as JSON.
 * Not here: making and writing it (certs/forge.h).
 */
#ifndef HARNESS_CLI_MADE_PKI_H
#define HARNESS_CLI_MADE_PKI_H

#include "certs/forge.h"

#include <stdio.h>

struct made_pki {
    const struct recipe *recipe;
    const struct pki *pki;
    const char *directory;
    int64_t now_unix_s;
};

void made_pki_print(FILE *file, const struct made_pki *made);
/* {"v":1,"recipe","defect","folder","members":[{"name","issuer","subject","key","version","is_ca","not_before","not_after","state","certificate",
 * "private_key"}],"server":{"sends":[...],"root"}}. NULL when out of memory. */
cJSON *made_pki_json(const struct made_pki *made);

#endif
