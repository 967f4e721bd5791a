/*
 * broker_sim/front_door/verify_error.h - the names of OpenSSL's certificate verification errors
 *
 * Source:   openssl/x509_vfy.h of OpenSSL 3.0.
 */
#ifndef BROKER_SIM_FRONT_DOOR_VERIFY_ERROR_H
#define BROKER_SIM_FRONT_DOOR_VERIFY_ERROR_H

/* "X509_V_ERR_CERT_HAS_EXPIRED"; "X509_V_ERR_UNSPECIFIED" for a number that this version does not know. Never NULL. */
const char *verify_error_name(int code);

#endif
