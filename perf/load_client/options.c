#include "perf/load_client/options.h"

#include "base/arguments.h"

#include <argp.h>
#include <arpa/inet.h>
#include <string.h>

enum {
    EXIT_USAGE = 2,
    COUNT_DEFAULT = 1000,
    CONCURRENCY_DEFAULT = 64,
    DEADLINE_DEFAULT_S = 60,
    DEADLINE_MAX_S = 600,
    KEY_CONNECT = 0x100,
    KEY_MODE,
    KEY_COUNT,
    KEY_CONCURRENCY,
    KEY_DEVICES,
    KEY_ISSUER,
    KEY_ISSUER_KEY,
    KEY_ID_SCOPE,
    KEY_SNI,
    KEY_DEADLINE,
};

static const struct argp_option entries[] = {
    {"connect", KEY_CONNECT, "ADDR:PORT", 0, "The server, by numeric address (required)", 0},
    {"mode", KEY_MODE, "MODE", 0,
     "handshake: read four bytes behind it; connack: CONNECT and CONNACK 0; registration: the whole of it, until assigned; idle: "
     "subscribe, then "
     "hold all connections until stdin ends (required)",
     0},
    {"count", KEY_COUNT, "N", 0, "Conversations (default 1000)", 0},
    {"concurrency", KEY_CONCURRENCY, "N", 0, "How many at a time (default 64; idle: while they connect)", 0},
    {"devices", KEY_DEVICES, "N", 0, "Different devices, each with a key of its own (default: one a conversation)", 0},
    {"issuer", KEY_ISSUER, "FILE", 0, "Certificate that signs the devices' leaves and is sent behind them (required)", 0},
    {"issuer-key", KEY_ISSUER_KEY, "FILE", 0, "Its private key (required)", 0},
    {"id-scope", KEY_ID_SCOPE, "SCOPE", 0, "ID scope in the CONNECT user name (default 0ne00000001)", 0},
    {"sni", KEY_SNI, "NAME", 0, "Host name in ClientHello (default global.azure-devices-provisioning.net)", 0},
    {"deadline", KEY_DEADLINE, "SECONDS", 0, "Give up what is not done by then (default 60)", 0},
    {0},
};

static void read_address(struct argp_state *state, const char *text, struct load_options *load)
{
    char host[INET6_ADDRSTRLEN] = "";
    struct sockaddr_in *four = (struct sockaddr_in *)&load->address;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&load->address;
    const char *colon = strrchr(text, ':');
    long port = colon ? strtol(colon + 1, NULL, 10) : 0;
    bool has_brackets = text[0] == '[' && colon && colon > text + 1 && colon[-1] == ']';
    if (port > 0 && port <= 65535)
        snprintf(host, sizeof host, "%.*s", (int)(colon - text) - 2 * has_brackets, text + has_brackets);
    if (inet_pton(AF_INET, host, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons((uint16_t)port);
        load->address_bytes = sizeof *four;
    } else if (inet_pton(AF_INET6, host, &six->sin6_addr) == 1) {
        six->sin6_family = AF_INET6;
        six->sin6_port = htons((uint16_t)port);
        load->address_bytes = sizeof *six;
    } else {
        arguments_refuse(state, "--connect '%s': give a numeric address and a port, such as 127.0.0.1:8883", text);
    }
}

static void read_mode(struct argp_state *state, const char *text, enum script_kind *ret_kind)
{
    for (int i = 0; i < SCRIPT_KIND_COUNT; i++)
        if (strcmp(script_names[i], text) == 0) {
            *ret_kind = (enum script_kind)i;
            return;
        }
    arguments_refuse(state, "--mode '%s': give handshake, connack, registration or idle", text);
}

static size_t read_number(struct argp_state *state, const char *name, const char *text, long max)
{
    char *end;
    long value = strtol(text, &end, 10);
    if (end == text || *end || value < 1 || value > max)
        arguments_refuse(state, "--%s '%s': give a number from 1 to %ld", name, text, max);
    return (size_t)value;
}

static void check(struct argp_state *state, struct client_options *options)
{
    if (!options->load.address_bytes || options->load.kind == SCRIPT_KIND_COUNT || !options->issuer || !options->issuer_key)
        arguments_refuse(state, "--connect, --mode, --issuer and --issuer-key are required");
    if (!options->device_count)
        options->device_count = options->load.count;
}

static error_t on_key(int key, char *text, struct argp_state *state)
{
    struct client_options *options = state->input;
    struct load_options *load = &options->load;
    switch (key) {
    case KEY_CONNECT:
        read_address(state, text, load);
        break;
    case KEY_MODE:
        read_mode(state, text, &load->kind);
        break;
    case KEY_COUNT:
        load->count = read_number(state, "count", text, DEVICES_MAX);
        break;
    case KEY_CONCURRENCY:
        load->concurrency = read_number(state, "concurrency", text, CONCURRENCY_MAX);
        break;
    case KEY_DEVICES:
        options->device_count = read_number(state, "devices", text, DEVICES_MAX);
        break;
    case KEY_ISSUER:
        options->issuer = text;
        break;
    case KEY_ISSUER_KEY:
        options->issuer_key = text;
        break;
    case KEY_ID_SCOPE:
        load->id_scope = text;
        break;
    case KEY_SNI:
        load->sni = text;
        break;
    case KEY_DEADLINE:
        options->deadline_ms = (int64_t)read_number(state, "deadline", text, DEADLINE_MAX_S) * 1000;
        break;
    case ARGP_KEY_END:
        check(state, options);
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static const char doc[] =
    "Put the load of many devices on a TLS server and print one line of JSON about it.\v"
    "Example:\n"
    "  load_client --connect 127.0.0.1:8883 --mode registration --count 2000 --issuer sub-ca.crt.pem --issuer-key sub-ca.key.pem\n"
    "\n"
    "Every device has a P-256 key and leaf of its own and makes a full TLS 1.2 handshake with leaf and issuer. The line holds: rate (a "
    "second), "
    "p50_ms, p90_ms, p99_ms, max_ms (from connect() to the last reply), failures, wrong (replies), cpu_share of this program.\n"
    "Exit status: 0 every conversation ended well, 1 some did not, 2 wrong usage, 3 trouble of the machine.\n";

void client_options_parse(int argc, char **argv, struct client_options *ret_options)
{
    static const struct argp argp = {.options = entries, .parser = on_key, .doc = doc};
    *ret_options = (struct client_options){
        .load = {.kind = SCRIPT_KIND_COUNT,
                 .count = COUNT_DEFAULT,
                 .concurrency = CONCURRENCY_DEFAULT,
                 .id_scope = "0ne00000001",
                 .sni = "global.azure-devices-provisioning.net"},
        .deadline_ms = DEADLINE_DEFAULT_S * 1000,
    };
    argp_err_exit_status = EXIT_USAGE;
    arguments_parse(&argp, argc, argv, ret_options);
}
