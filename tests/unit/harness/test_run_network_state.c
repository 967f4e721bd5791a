#include "harness/run/network_state.h"

#include "base/event.h"

#include <string.h>

#include "tests/cmocka.h"

static void say(struct network_state *state, const char *text, int64_t mono_us)
{
    CLEANUP_JSON cJSON *event = event_new(EVENT_CONSOLE_LINE, &clock_system, "test");
    assert_non_null(event);
    assert_int_equal(json_set_string(event_data(event), "text", text), 0);
    assert_int_equal(json_set_integer(event, "mono_us", mono_us), 0);
    network_state_take(state, event);
}

static void knows_when_the_device_was_registered(void **state)
{
    (void)state;
    struct network_state network = {0};
    say(&network, "+CEREG: 2,\"002F\",\"0012BEEF\",7", 10);
    assert_true(network.is_searching && !network.is_up);
    say(&network, "+CEREG: 5,\"002F\",\"0012BEEF\",7", 20);
    assert_true(network.is_up && !network.is_searching);
    say(&network, "+CEREG: 1", 30);
    assert_int_equal(network.up_us, 20);
    say(&network, "+CEREG: 0", 40);
    assert_false(network.is_up);
    assert_int_equal(network.trouble, NETWORK_FINE);
}

static void tells_the_troubles_apart(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
        enum network_trouble trouble;
    } rows[] = {
        {"+CEREG: 3,\"002F\",\"0012BEEF\",7,0,15", "denies", NETWORK_DENIED},
        {"+CEREG: 90", "no SIM card", NETWORK_NO_SIM},
        {"[00:00:01.000,000] <wrn> nrf_modem_lib_netif: The modem reports a UICC failure. Is SIM installed?", "no SIM card",
         NETWORK_NO_SIM},
        {"%MDMEV: RESET LOOP", "30 minutes", NETWORK_RESTRICTED},
        {"[00:00:01.000,000] <wrn> nrf_modem_lib_netif: The modem has detected a reset loop. LTE network attach is now restricted",
         "30 minutes", NETWORK_RESTRICTED},
        {"%MDMEV: ME OVERHEATED", "", NETWORK_FINE},
        {"+CEREG: 99999999999999999999", "", NETWORK_FINE},
        {"+CEREG: ", "", NETWORK_FINE},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct network_state network = {0};
        say(&network, rows[i].text, 7);
        assert_int_equal(network.trouble, rows[i].trouble);
        assert_non_null(strstr(network_trouble_text(network.trouble), rows[i].says));
        assert_int_equal(network.trouble_us, rows[i].trouble == NETWORK_FINE ? 0 : 7);
    }
}

static void takes_the_answer_of_a_device_that_does_not_tell(void **state)
{
    (void)state;
    struct network_state network = {0};
    network_state_answer(&network, "+CEREG: 3", 10);
    network_state_answer(&network, "OK", 10);
    assert_false(network.has_answered);
    network_state_answer(&network, "+CEREG: 5,3,\"002F\"", 10);
    assert_true(network.has_answered);
    assert_int_equal(network.trouble, NETWORK_DENIED);
    network_state_answer(&network, "+CEREG: 0,1", 20);
    assert_int_equal(network.up_us, 20);
}

static void forgets_a_refusal_when_another_network_takes_it(void **state)
{
    (void)state;
    struct network_state network = {0};
    say(&network, "+CEREG: 3", 10);
    say(&network, "+CEREG: 3", 20);
    assert_int_equal(network.trouble_us, 10);
    say(&network, "+CEREG: 5", 30);
    assert_int_equal(network.trouble, NETWORK_FINE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_when_the_device_was_registered),
        cmocka_unit_test(tells_the_troubles_apart),
        cmocka_unit_test(takes_the_answer_of_a_device_that_does_not_tell),
        cmocka_unit_test(forgets_a_refusal_when_another_network_takes_it),
    };
    return cmocka_run_group_tests_name("run/network_state", tests, NULL, NULL);
}
