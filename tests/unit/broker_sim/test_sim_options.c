#include "broker_sim/simulator/options.h"

#include <openssl/ssl.h>
#include <string.h>

#include "tests/cmocka.h"

static void reads_addresses_to_listen_on(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *address;
        uint16_t port;
    } rows[] = {
        {"127.0.0.1:8883", "127.0.0.1", 8883}, {"0.0.0.0:0", "0.0.0.0", 0}, {"[::1]:65535", "::1", 65535},
        {"127.0.0.1", "127.0.0.1", 0},         {"[::]", "::", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char address[LISTEN_ADDRESS_BYTES];
        uint16_t port = 1;
        assert_int_equal(options_read_listen("--listen", rows[i].text, address, &port, NULL), 0);
        assert_string_equal(address, rows[i].address);
        assert_int_equal(port, rows[i].port);
    }
}

static void refuses_addresses_that_are_none(void **state)
{
    (void)state;
    static const char *const rows[] = {"",
                                       "localhost:1",
                                       "127.0.0.1:",
                                       "127.0.0.1:65536",
                                       "127.0.0.1:-1",
                                       "127.0.0.1:1x",
                                       "[::1:1",
                                       "::1:1",
                                       "1.2.3:4",
                                       "[::1]1",
                                       "00000000000000000000000000000000000000000000000000000000000000000000000000:1"};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char address[LISTEN_ADDRESS_BYTES] = "untouched";
        uint16_t port = 1;
        struct error error = ERROR_INIT;
        assert_int_equal(options_read_listen("--listen", rows[i], address, &port, &error), -1);
        assert_int_equal(error.code, ERROR_USAGE);
        assert_string_equal(address, "untouched");
    }
}

/* argp may reorder what it gets: it gets a copy. */
static struct options parse(const char *const *words)
{
    struct options options;
    char *argv[16] = {NULL};
    int argc = 0;
    for (; words[argc]; argc++)
        argv[argc] = (char *)(uintptr_t)words[argc];
    options_parse(argc, argv, &options);
    return options;
}

static void defaults_are_loopback_and_the_service_as_it_is(void **state)
{
    (void)state;
    const char *words[] = {"dpsbench-sim", "--state", "sim", NULL};
    struct options options = parse(words);
    assert_string_equal(options.state, "sim");
    assert_string_equal(options.address, "127.0.0.1");
    assert_int_equal(options.port, 0);
    assert_string_equal(options.id_scope, DEFAULT_ID_SCOPE);
    assert_int_equal(options.tls_max_version, TLS1_2_VERSION);
    assert_int_equal(options.knobs.profile, 0);
    assert_true(options.time_scale == 1);
    assert_int_equal(options.host_count, 0);
}

static void takes_every_option(void **state)
{
    (void)state;
    const char *words[] = {"dpsbench-sim",
                           "--state=s",
                           "--listen=[::1]:8883",
                           "--host=a.example",
                           "--host=192.0.2.1",
                           "--id-scope=0neX",
                           "--profile=connack",
                           "--policy=unknown_id_scope=reply",
                           "--policy=retry_after_s=7",
                           "--time-scale=20.5",
                           "--tls-max=1.3",
                           "--server-key=p-256",
                           "-v",
                           NULL};
    struct options options = parse(words);
    assert_string_equal(options.address, "::1");
    assert_int_equal(options.port, 8883);
    assert_int_equal(options.host_count, 2);
    assert_string_equal(options.hosts[1], "192.0.2.1");
    assert_string_equal(options.id_scope, "0neX");
    assert_int_equal(options.knobs.profile, 1);
    assert_int_equal(options.knobs.unknown_id_scope, REFUSED_IN_REPLY);
    assert_int_equal(options.knobs.retry_after_s, 7);
    assert_true(options.time_scale == 20.5);
    assert_int_equal(options.tls_max_version, TLS1_3_VERSION);
    assert_int_equal(options.server_key, SERVER_KEY_P_256);
    assert_true(options.is_verbose);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_addresses_to_listen_on),
        cmocka_unit_test(refuses_addresses_that_are_none),
        cmocka_unit_test(defaults_are_loopback_and_the_service_as_it_is),
        cmocka_unit_test(takes_every_option),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
