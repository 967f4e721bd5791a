/*
 * harness/try/mend.h - what to type about a refusal, with the person's own files in it
 *
 * What:     for a rule of certs/attestation_rules.h the commands (openssl, az, dpsbench) that take the reason away, one a line; lines that begin
 *           with '#' say what a choice is about. Only DPS, GROUP and files that nobody named are left to be filled in.
 * Source:   Azure CLI, `az iot dps`; OpenSSL's manual pages.
 */
#ifndef HARNESS_TRY_MEND_H
#define HARNESS_TRY_MEND_H

#include "harness/try/assumed_service.h"

/* An array of lines, empty for a rule that has none here. Given; NULL when out of memory. */
cJSON *mend_commands(const char *rule, const struct try_request *request, const struct device_files *files,
                     const struct assumed_service *service);

#endif
