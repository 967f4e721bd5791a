/*
 * harness/try/assumed_service.h - the DPS that a person's arguments describe, as a state folder
 *
 * What:     writes enrollments, groups and CA certificates (docs/state-folder.md) from --group-ca, --enrollment and --certificate, and says
 *           in words what was assumed. Without the first two: an individual enrollment that holds the leaf itself.
 * Assumed:  a CA counts as uploaded and verified, unless --unverified says otherwise: of --group-ca, of --certificate, and, when there is no
 *           --certificate, of a group's signing certificates in --enrollment.
 * Errors:   file, beginning with the person's file; rig for the disk.
 */
#ifndef HARNESS_TRY_ASSUMED_SERVICE_H
#define HARNESS_TRY_ASSUMED_SERVICE_H

#include "certs/dps_state.h"
#include "harness/try/device_files.h"
#include "harness/try/note.h"
#include "harness/try/request.h"

struct assumed_service {
    enum dps_kind kind;     /* DPS_ENROLLMENT or DPS_GROUP */
    char *enrollment_id;    /* its registration id or group id */
    X509 *group_ca;         /* of --group-ca; NULL */
    char *certificate_name; /* under which --group-ca stands among the certificates; NULL */
    char *group_ca_text;    /* its subject; NULL */
    cJSON *assumptions;     /* array of sentences */
};

/*
 * state_directory  made, with all that is in it.
 * ret_service      given; assumed_service_done() it.
 * notes            what DPS's files have to say (unknown members), "group-ca.several".
 */
int assumed_service_make(const struct try_request *request, const struct device_files *files, const char *state_directory,
                         struct notes *notes, struct assumed_service *ret_service, struct error *error);
void assumed_service_done(struct assumed_service *service); /* NULL allowed */

#endif
