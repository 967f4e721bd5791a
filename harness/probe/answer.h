/*
 * harness/probe/answer.h - what an answer of DPS or a hub means, in words
 *
 * Source:   "Troubleshoot DPS errors", "Troubleshoot why data from your devices isn't showing up in IoT Central", Azure documentation; published logs
 *           of Microsoft's SDKs for the messages (docs/fidelity.md names them).
 */
#ifndef HARNESS_PROBE_ANSWER_H
#define HARNESS_PROBE_ANSWER_H

#include <stdbool.h>

/* Texts are lent for ever. */
struct answer_meaning {
    const char *text;  /* one sentence: what it means */
    const char *mend;  /* what to do */
    bool is_transient; /* nothing is wrong with the credentials: try again later */
};

/* Of a CONNACK code; 0 and unknown codes too. */
struct answer_meaning answer_of_dps_connack(int code);
struct answer_meaning answer_of_hub_connack(int code);
/* Of an error body or a failed operation: errorCode and message ("" when there is none); `status` is the reply's. */
struct answer_meaning answer_of_error(int status, int error_code, const char *message);
/* Of a TLS alert that the server sent. */
struct answer_meaning answer_of_alert(int alert);

#endif
