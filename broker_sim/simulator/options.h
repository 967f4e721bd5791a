/*
 * broker_sim/simulator/options.h - the command line of dpsbench-sim
 *
 * What:     reads it with argp. A wrong one is explained on stderr with the mend, and the process ends with status 2; --help and --version end it with 0.
 * Limits:   HOSTS_MAX names.
 */
#ifndef BROKER_SIM_SIMULATOR_OPTIONS_H
#define BROKER_SIM_SIMULATOR_OPTIONS_H

#include "broker_sim/pki/server_pki.h"
#include "broker_sim/scenario/knobs.h"

#include <stdbool.h>
#include <stdint.h>

#define DEFAULT_HOST "global.azure-devices-provisioning.net"
#define DEFAULT_ID_SCOPE "0ne00000001"

enum { HOSTS_MAX = 64, LISTEN_ADDRESS_BYTES = 64, EXIT_USAGE = 2, EXIT_RIG = 3, EXIT_OURS = 4 };

enum fidelity_format { FIDELITY_NOT_ASKED, FIDELITY_AS_TEXT, FIDELITY_AS_MARKDOWN };

/* Texts are lent from argv. */
struct options {
    const char *state;                  /* the state folder */
    char address[LISTEN_ADDRESS_BYTES]; /* numeric, without brackets */
    uint16_t port;
    char control_address[LISTEN_ADDRESS_BYTES]; /* of control plane and observer; as above */
    uint16_t control_port;                      /* 0: the kernel chooses */
    const char *hosts[HOSTS_MAX];               /* as given; none is fine */
    size_t host_count;
    const char *id_scope;
    const char *replay; /* a recording; NULL: none */
    struct knobs knobs; /* the defaults of all scenarios: --profile turns one */
    double time_scale;
    int tls_max_version;
    enum server_key server_key;
    char service_address[LISTEN_ADDRESS_BYTES]; /* of the service API; as above */
    uint16_t service_port;
    bool issues_certificates; /* --csr-preview */
    bool allows_any_webhook_host;
    int64_t webhook_timeout_ms;
    bool sets_aside; /* a state.db that cannot be read */
    bool is_verbose;
    bool wants_knobs; /* options_print_knobs() and nothing else */
    bool wants_json;
    enum fidelity_format fidelity; /* print the fidelity table and end */
    const char *evidence;          /* rows with this evidence alone; NULL: all */
};

/* Ends the process when there is nothing to start. */
void options_parse(int argc, char **argv, struct options *ret_options);

/* The list of knobs on stdout, for people or as JSON. Returns the exit status. */
int options_print_knobs(const struct options *options);

/* "ADDR:PORT", "[::1]:PORT", or an address alone (port 0). USAGE (file). option: "--listen" or "--service". */
int options_read_listen(const char *option, const char *text, char *ret_address, uint16_t *ret_port, struct error *error);

#endif
