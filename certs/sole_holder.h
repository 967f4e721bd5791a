/*
 * certs/sole_holder.h - a certificate stands in one enrollment alone; internal to certs/
 *
 * What:     looks whether an enrollment or a group of the folder holds a certificate of another one, by thumbprint or by the name of an uploaded
 *           certificate. A scan: it is done when a person makes or changes an enrollment, never for a device.
 * Not here: leased objects, which are a bench's own and last as long as a row; files that a person wrote (the judge warns of them).
 * Source:   azure-docs articles/iot-dps/concepts-x509-attestation.md.
 */
#ifndef CERTS_SOLE_HOLDER_H
#define CERTS_SOLE_HOLDER_H

#include "certs/dps_state_model.h"

/* EXISTS (file): another object of the folder holds a certificate of `object`, which need not be in the state. */
int sole_holder_check(const struct dps_state *state, const struct dps_object *object, struct error *error);

#endif
