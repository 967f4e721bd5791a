/* Recordings as people and the probe write them. */
#include "broker_sim/replay/recording.h"

#include "base/bytes.h"
#include "base/cleanup.h"

#include <string.h>

#include "tests/cmocka.h"

#define HEAD "{\"v\":1,\"kind\":\"recording\"}\n"
#define CONNECT "{\"t_ms\":1,\"stage\":\"dps\",\"step\":\"connect\"}\n"
#define HELLO "{\"t_ms\":3,\"stage\":\"dps\",\"step\":\"tls-message\",\"from\":\"device\",\"name\":\"ClientHello\"}\n"
#define ALERT "{\"t_ms\":9,\"stage\":\"dps\",\"step\":\"tls-alert\",\"from\":\"service\",\"code\":40}\n"
#define CLOSED "{\"t_ms\":12,\"stage\":\"dps\",\"step\":\"closed\",\"from\":\"service\"}\n"
#define TLS_1_3 "{\"t_ms\":4,\"stage\":\"dps\",\"step\":\"tls\",\"name\":\"TLSv1.3\"}\n"
#define CONNECT_LATER "{\"t_ms\":6,\"stage\":\"dps\",\"step\":\"connect\"}\n"
#define REGISTER "{\"t_ms\":5,\"stage\":\"dps\",\"step\":\"publish\",\"name\":\"$dps/registrations/PUT/iotdps-register/?$rid=1\"}\n"
#define POLL                                                                                                                               \
    "{\"t_ms\":9,\"stage\":\"dps\",\"step\":\"publish\",\"name\":\"$dps/registrations/GET/iotdps-get-operationstatus/"                     \
    "?$rid=1&operationId=o\"}\n"
#define REPLY "{\"t_ms\":8,\"stage\":\"dps\",\"step\":\"message\",\"name\":\"$dps/registrations/res/202/?$rid=1\",\"body\":\"{}\"}\n"

static void reads_what_the_service_did_and_when(void **state)
{
    (void)state;
    static const char text[] = HEAD CONNECT "{\"t_ms\":3,\"stage\":\"dps\",\"step\":\"connack\",\"code\":0}\n"
                                            "{\"t_ms\":3,\"stage\":\"dps\",\"step\":\"subscribe\"}\n"
                                            "{\"t_ms\":4,\"stage\":\"dps\",\"step\":\"suback\",\"code\":1}\n" REGISTER REPLY POLL
                                            "\n{\"t_ms\":20,\"stage\":\"dps\",\"step\":\"closed\"}\n"
                                            "{\"t_ms\":30,\"stage\":\"hub\",\"step\":\"connect\"}\n"
                                            "{\"t_ms\":31,\"stage\":\"hub\",\"step\":\"connack\",\"code\":5}";
    CLEANUP(recording_done) struct recording recording = {0};
    struct error error = ERROR_INIT;
    if (recording_read_text(text, strlen(text), "rec", &recording, &error))
        fail_msg("%s", error.text);
    const struct recorded_stage *dps = &recording.stages[RECORDED_DPS], *hub = &recording.stages[RECORDED_HUB];
    assert_true(dps->is_there && hub->is_there);
    assert_int_equal(dps->connack, 0);
    assert_int_equal(dps->connack_ms, 2);
    assert_int_equal(dps->suback_count, 1);
    assert_int_equal(dps->subacks[0].code, 1);
    assert_int_equal(dps->subacks[0].after_ms, 1);
    assert_int_equal(dps->exchange_count, 2);
    assert_true(dps->exchanges[0].is_register);
    assert_int_equal(dps->exchanges[0].reply_count, 1);
    assert_int_equal(dps->exchanges[0].replies[0].after_ms, 3);
    assert_string_equal(dps->exchanges[0].replies[0].body, "{}");
    assert_int_equal(dps->exchanges[0].closed_after_ms, RECORDED_NOTHING);
    assert_false(dps->exchanges[1].is_register);
    assert_int_equal(dps->exchanges[1].closed_after_ms, 11);
    assert_int_equal(hub->connack, 5);
    assert_int_equal(hub->exchange_count, 0);
}

static void ends_of_handshakes_have_a_place_and_a_time(void **state)
{
    (void)state;
    static const struct {
        const char *text, *at;
        int end, alert, after_ms;
    } rows[] = {
        {HEAD HELLO ALERT, "at ServerHello", HANDSHAKE_ALERT, 40, 6},
        {HEAD HELLO "{\"t_ms\":4,\"stage\":\"dps\",\"step\":\"tls-message\",\"from\":\"service\",\"name\":\"ServerHelloDone\"}\n" CLOSED,
         "after server ServerHelloDone", HANDSHAKE_CLOSED, 0, 8},
        {HEAD HELLO "{\"t_ms\":5,\"stage\":\"dps\",\"step\":\"tls-message\",\"from\":\"device\",\"name\":\"Finished\"}\n" ALERT CLOSED,
         "at ChangeCipherSpec", HANDSHAKE_ALERT, 40, 4},
        {HEAD HELLO "{\"t_ms\":7,\"stage\":\"dps\",\"step\":\"closed\",\"text\":\"Connection reset by peer\"}\n", "at ServerHello",
         HANDSHAKE_RESET, 0, 4},
        {HEAD HELLO CONNECT_LATER ALERT, "", HANDSHAKE_STOOD, 0, 0},
        {HEAD HELLO "{\"t_ms\":4,\"stage\":\"dps\",\"step\":\"tls\"}\n" ALERT CLOSED, "at ServerHello", HANDSHAKE_STOOD, 0, 0},
        {HEAD HELLO "{\"t_ms\":9,\"stage\":\"dps\",\"step\":\"tls-alert\",\"from\":\"device\",\"code\":50}\n" CLOSED, "at ServerHello",
         HANDSHAKE_CLOSED, 0, 9},
        {HEAD HELLO TLS_1_3 ALERT CLOSED, "after server Finished", HANDSHAKE_ALERT, 40, 5},
        {HEAD HELLO TLS_1_3 CONNECT_LATER ALERT CLOSED, "after server Finished", HANDSHAKE_ALERT, 40, 5},
        {HEAD HELLO TLS_1_3 CONNECT_LATER "{\"t_ms\":7,\"stage\":\"dps\",\"step\":\"connack\",\"code\":0}\n" ALERT CLOSED, "",
         HANDSHAKE_STOOD, 0, 0},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        CLEANUP(recording_done) struct recording recording = {0};
        struct error error = ERROR_INIT;
        if (recording_read_text(rows[i].text, strlen(rows[i].text), "rec", &recording, &error))
            fail_msg("row %zu: %s", i, error.text);
        const struct recorded_handshake *handshake = &recording.stages[RECORDED_DPS].handshake;
        assert_int_equal(handshake->end, rows[i].end);
        assert_string_equal(handshake->at, rows[i].at);
        assert_int_equal(handshake->alert, rows[i].alert);
        assert_int_equal(handshake->after_ms, rows[i].after_ms);
    }
}

static void a_handshake_that_the_device_ended_keeps_its_alert(void **state)
{
    (void)state;
    static const char text[] = HEAD HELLO "{\"t_ms\":9,\"stage\":\"dps\",\"step\":\"tls-alert\",\"from\":\"device\",\"code\":48}\n" CLOSED;
    CLEANUP(recording_done) struct recording recording = {0};
    struct error error = ERROR_INIT;
    if (recording_read_text(text, strlen(text), "rec", &recording, &error))
        fail_msg("%s", error.text);
    const struct recorded_stage *dps = &recording.stages[RECORDED_DPS];
    assert_true(dps->handshake.is_ended_by_device);
    assert_int_equal(dps->handshake.device_alert, 48);
    assert_int_equal(dps->handshake.end, HANDSHAKE_STOOD);
    assert_false(dps->is_there);
}

static void what_cannot_be_replayed_is_named_with_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"", "rec: it is empty"},
        {"{}\n", "rec:1: this is no recording"},
        {"{\"v\":2,\"kind\":\"recording\"}\n", "rec:1: version 2; this program reads version 1"},
        {HEAD, "rec: it holds no CONNECT, and no end of a TLS handshake"},
        {HEAD HELLO "{\"t_ms\":9,\"stage\":\"dps\",\"step\":\"tls-alert\",\"from\":\"service\",\"code\":256}\n", "rec:3: 'code'"},
        {HEAD CONNECT "{\"t_ms\":9,\"stage\":\"hub\",\"step\":\"closed\"}\n", "rec: the hub's handshake ends, and no reply"},
        {HEAD "[]\n", "rec:2: not a JSON object"},
        {HEAD "{\n", "rec:2: not a JSON object: line:1"},
        {HEAD "{\"t_ms\":1,\"stage\":\"dps\",\"step\":\"conect\"}\n", "rec:2: 'step' is 'conect'"},
        {HEAD "{\"t_ms\":1,\"stage\":\"dsp\",\"step\":\"connect\"}\n", "rec:2: 'stage' is 'dsp'"},
        {HEAD "{\"stage\":\"dps\",\"step\":\"connect\"}\n", "rec:2: 't_ms'"},
        {HEAD CONNECT "{\"t_ms\":0,\"stage\":\"dps\",\"step\":\"connack\",\"code\":0}\n", "rec:3: 't_ms' is missing, goes back"},
        {HEAD CONNECT CONNECT, "rec:3: a second CONNECT"},
        {HEAD CONNECT "{\"t_ms\":1,\"stage\":\"dps\",\"step\":\"connack\",\"code\":6}\n", "rec:3: 'code'"},
        {HEAD CONNECT "{\"t_ms\":1,\"stage\":\"dps\",\"step\":\"connack\"}\n", "rec:3: 'code'"},
        {HEAD REGISTER, "rec:2: it stands before"},
        {HEAD CONNECT REPLY, "rec:3: a reply stands before any request"},
        {HEAD CONNECT "{\"t_ms\":1,\"stage\":\"dps\",\"step\":\"publish\"}\n", "rec:3: 'name' is missing"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct recording recording;
        struct error error = ERROR_INIT;
        int rc = recording_read_text(rows[i].text, strlen(rows[i].text), "rec", &recording, &error);

        if (rc == 0 || !strstr(error.text, rows[i].says))
            fail_msg("row %zu: %d, '%s'", i, rc, error.text);
    }
}

static void a_flood_of_replies_is_a_limit(void **state)
{
    (void)state;
    CLEANUP(bytes_done) struct bytes text;
    bytes_init(&text, 1024 * 1024);
    bytes_append_text(&text, HEAD CONNECT REGISTER);
    for (int i = 0; i <= RECORDED_REPLIES_MAX; i++)
        bytes_append_text(&text, REPLY);
    struct recording recording;
    struct error error = ERROR_INIT;
    assert_int_equal(recording_read_text(bytes_text(&text), text.length_bytes, "rec", &recording, &error), -1);
    assert_non_null(strstr(error.text, "more than 16 replies"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_the_service_did_and_when),
        cmocka_unit_test(ends_of_handshakes_have_a_place_and_a_time),
        cmocka_unit_test(a_handshake_that_the_device_ended_keeps_its_alert),
        cmocka_unit_test(what_cannot_be_replayed_is_named_with_its_line),
        cmocka_unit_test(a_flood_of_replies_is_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
