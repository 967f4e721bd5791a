/*
 * broker_sim/dps/identifier.h - the made-up names in DPS bodies, in the shapes that the service uses
 *
 * Source:   observed bodies: operationId "5.71cf7e385566aa10.4469ed4c-dc19-4af8-8b36-9ef6396ac1b3"; the part in the middle is the same for
 * all operations of one instance. docs/fidelity.md. Dates and etags: certs/dps_state.h.
 */
#ifndef BROKER_SIM_DPS_IDENTIFIER_H
#define BROKER_SIM_DPS_IDENTIFIER_H

#include "base/uuid.h"

enum { OPERATION_ID_BYTES = 2 + 16 + 1 + UUID_TEXT_BYTES };

/* The part in the middle is made from the ID scope. */
void identifier_operation_id(const char *id_scope, char text[OPERATION_ID_BYTES]);

#endif
