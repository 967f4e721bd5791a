/*
 * harness/try/virtual_console.h - what an nRF91 with these credentials would print
 *
 * What:     starts dpsbench-vdk against the simulator, writes the credentials into a sec tag over AT as nrfcredstore does, resets it, and collects
 *           the console of that boot, without colours, until the device has come to rest.
 * Not here: what the service decided (its events come the same way as those of dps_client.h).
 * Secrets:  the virtual DK keeps the key in its NVM, which must stand in a folder of mode 0700 that is removed.
 */
#ifndef HARNESS_TRY_VIRTUAL_CONSOLE_H
#define HARNESS_TRY_VIRTUAL_CONSOLE_H

#include "base/json.h"
#include "harness/credentials/credential_set.h"
#include "harness/wait/waiting.h"

struct virtual_console_options {
    struct waiting *waiting;
    const char *directory; /* for its state and its log; made */
    const char *address;   /* where the simulator is */
    const char *host;
    const char *id_scope;
    const char *registration_id;
    const struct credential_set *credentials;
    double time_scale;
    /* The simulator is gone: nothing more will come. Asked at every turn of a wait. */
    bool (*is_cut_off)(void *user);
    void *user;
};

struct virtual_console {
    cJSON *lines;     /* array of texts, from the boot banner on */
    bool is_assigned; /* it got as far as telemetry to the hub */
};

/*
 * ret_console: virtual_console_done() it; untouched on failure.
 * error  rig: the program is not there, or does not serve, or was cut off; file: the modem takes a credential not (the text says why); INTERRUPTED (person).
 */
int virtual_console_run(const struct virtual_console_options *options, struct virtual_console *ret_console, struct error *error);
void virtual_console_done(struct virtual_console *console); /* NULL allowed */

#endif
