/*
 * Each knob of the simulator, seen on the wire by a client that is not ours: raw TLS, MQTT byte by byte. A knob without a row here fails.
 * One simulator serves all; faults are bound to a lane or to a registration id, and cleared after each row.
 */
#include "base/cleanup.h"
#include "tests/e2e/sim_wire.h"

#include <string.h>
#include <sys/socket.h>

#include "tests/cmocka.h"

DEFINE_CLEANUP(SSL_SESSION *, SSL_SESSION_free)

#define DEVICE CLEANUP(wire_close) struct wire_device

/* ---- net ---- */

static void handshake_takes(double device_ms)
{
    DEVICE device;
    wire_open(&device, NULL);
    assert_true(device.is_shaken);
    if ((double)device.took_ms + 2 < wire_scaled_ms(device_ms))
        fail_msg("the handshake took %lld ms, expected at least %.1f", (long long)device.took_ms, wire_scaled_ms(device_ms));
}

static void delays(void)
{
    /* Two flights each way. */
    wire_set_lane("{\"delay_ms\":1000}");
    handshake_takes(4000);
}

static void delays_one_direction(void)
{
    wire_set_lane("{\"delay_ms\":1000,\"net_direction\":\"down\"}");
    handshake_takes(2000);
}

static void jitters(void)
{
    /* Drawn from the seed: what one connection waited, the first one after setting it again waits too. */
    wire_set_lane("{\"jitter_ms\":20000,\"seed\":7,\"fault_times\":1}");
    DEVICE device;
    wire_open(&device, NULL);
    assert_true(device.is_shaken);
    assert_true((double)device.took_ms > wire_scaled_ms(500));
}

static void dribbles(void)
{
    wire_set_lane("{\"dribble_bytes\":64,\"dribble_ms\":200}");
    handshake_takes(200.0 * 10); /* more than 640 bytes, both ways together */
}

static void stalls(void)
{
    wire_set_lane("{\"net_fault\":\"stall\",\"net_at\":\"after ServerHello\",\"stall_ms\":3000}");
    handshake_takes(3000);
}

static void fails_at(const char *lane_knobs, const char *state, enum wire_end end)
{
    DEVICE device;
    wire_set_lane(lane_knobs);
    wire_open(&device, NULL);
    assert_false(device.is_shaken);
    if (state && strstr(device.last_heard, state) == NULL)
        fail_msg("%s: ended in state '%s', expected '%s'", lane_knobs, device.last_heard, state);
    assert_int_equal(device.end, end);
}

static void breaks_the_handshake(void)
{
    fails_at("{\"net_fault\":\"cut\"}", NULL, WIRE_FIN);
    fails_at("{\"net_fault\":\"reset\",\"net_at\":\"after ServerHello\"}", NULL, WIRE_RESET);
    fails_at("{\"net_fault\":\"cut\",\"net_at\":\"at ServerHelloDone\"}", NULL, WIRE_FIN);
    fails_at("{\"net_fault\":\"corrupt\",\"net_at\":\"at ServerKeyExchange\"}", NULL, WIRE_FIN);
    fails_at("{\"net_fault\":\"corrupt\",\"net_at\":\"at Finished\"}", NULL, WIRE_FIN);
    fails_at("{\"net_fault\":\"reset\",\"net_at\":\"at client CertificateVerify\"}", NULL, WIRE_RESET);
}

/* FIN comes, and yet what the device sends is read: the service sees its Finished. */
static void half_closes(void)
{
    fails_at("{\"net_fault\":\"half-close\",\"net_at\":\"after ServerHelloDone\"}", NULL, WIRE_FIN);
}

static size_t bytes_until_end(const char *lane_knobs)
{
    DEVICE device;
    wire_set_lane(lane_knobs);
    wire_open(&device, NULL);
    assert_false(device.is_shaken);
    return BIO_number_read(SSL_get_rbio(device.ssl));
}

static void cuts_at_bytes_drawn_from_the_seed(void)
{
    assert_int_equal(bytes_until_end("{\"net_fault\":\"cut\",\"net_at\":\"after 300 bytes down\"}"), 300);
    size_t first = bytes_until_end("{\"net_fault\":\"cut\",\"net_at\":\"after 10-700 bytes down\",\"seed\":41}");
    assert_int_equal(bytes_until_end("{\"net_fault\":\"cut\",\"net_at\":\"after 10-700 bytes down\",\"seed\":41}"), first);
    assert_int_not_equal(bytes_until_end("{\"net_fault\":\"cut\",\"net_at\":\"after 10-700 bytes down\",\"seed\":42}"), first);
}

static void registers_until(const char *lane_knobs, struct wire_device *device)
{
    wire_set_lane(lane_knobs);
    wire_set_device("{\"is_silent\":true}");
    wire_open_session(device);
    wire_send_publish(device, WIRE_PUT_TOPIC, "{}");
}

static void subscribes_until(const char *lane_knobs, struct wire_device *device)
{
    wire_set_lane(lane_knobs);
    wire_open(device, NULL);
    wire_connect(device);
    wire_send_subscribe(device, WIRE_FILTER);
}

static void breaks_at_packets(void)
{
    DEVICE cut, reset, half, refused;
    subscribes_until("{\"net_fault\":\"cut\",\"net_at\":\"at SUBACK\"}", &cut);
    assert_int_equal(wire_wait_end(&cut), WIRE_FIN);
    assert_int_equal(cut.in.length_bytes, 0);
    registers_until("{\"net_fault\":\"reset\",\"net_at\":\"after the 2nd PUBLISH on $dps/registrations/PUT/#\"}", &reset);
    wire_expect(&reset, 0x40);
    wire_send_publish(&reset, "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=2&operationId=a", ""); /* counts for nothing */
    wire_expect(&reset, 0x40);
    wire_send_publish(&reset, WIRE_PUT_TOPIC, "{}");
    assert_int_equal(wire_wait_end(&reset), WIRE_RESET);
    subscribes_until("{\"net_fault\":\"half-close\",\"net_at\":\"after SUBACK\"}", &half);
    wire_expect(&half, 0x90);
    assert_int_equal(wire_wait_end(&half), WIRE_FIN);
    wire_set_lane("{\"net_fault\":\"reset\",\"net_at\":\"after CONNECT\"}");
    wire_open(&refused, NULL);
    wire_send_connect(&refused, false);
    assert_int_equal(wire_wait_end(&refused), WIRE_RESET);
}

static void corrupts_packets(void)
{
    enum { BAD_RECORD_MAC = 20 };
    DEVICE down, up;
    subscribes_until("{\"net_fault\":\"corrupt\",\"net_at\":\"at SUBACK\"}", &down);
    wire_wait_end(&down);
    assert_int_equal(down.in.length_bytes, 0);
    assert_int_equal(down.reason, SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC);
    registers_until("{\"net_fault\":\"corrupt\",\"net_at\":\"after PUBLISH\"}", &up);
    wire_expect(&up, 0x40);
    wire_send_pingreq(&up); /* this one */
    wire_wait_end(&up);
    assert_int_equal(up.alert, BAD_RECORD_MAC);
}

/* For a while: a delay of what comes from there on. For ever: nothing comes any more, and nobody closes. */
static void stalls_at_packets(void)
{
    DEVICE late, stuck, cut;
    int64_t start = wire_now_ms();
    subscribes_until("{\"net_fault\":\"stall\",\"net_at\":\"after CONNACK\",\"stall_ms\":6000}", &late);
    wire_expect(&late, 0x90);
    if ((double)(wire_now_ms() - start) + 2 < wire_scaled_ms(6000))
        fail_msg("SUBACK came after %lld ms", (long long)(wire_now_ms() - start));
    registers_until("{\"net_fault\":\"stall\",\"net_at\":\"at the 1st PUBACK\"}", &stuck);
    wire_expect_silence(&stuck);
    start = wire_now_ms();
    subscribes_until("{\"net_fault\":\"cut\",\"net_at\":\"at SUBACK\",\"stall_ms\":6000}", &cut);
    assert_int_equal(wire_wait_end(&cut), WIRE_FIN);
    if ((double)(wire_now_ms() - start) + 2 < wire_scaled_ms(6000))
        fail_msg("the end came after %lld ms", (long long)(wire_now_ms() - start));
}

/* The nth packet of a range: the seed says which. */
static size_t pings_until_end(int seed)
{
    char knobs[128];
    size_t count = 0;
    DEVICE device;
    struct bytes body;
    snprintf(knobs, sizeof knobs, "{\"net_fault\":\"cut\",\"net_at\":\"at the 1st-99th PINGREQ\",\"seed\":%d}", seed);
    wire_set_lane(knobs);
    wire_open(&device, NULL);
    wire_connect(&device);
    for (int first_byte = 0xD0; first_byte == 0xD0; count++) {
        wire_send_pingreq(&device);
        first_byte = wire_read(&device, &body, WIRE_WAIT_MS);
        bytes_done(&body);
    }
    return count;
}

static void draws_the_packet_from_the_seed(void)
{
    size_t first = pings_until_end(41);
    assert_int_equal(pings_until_end(41), first);
    assert_int_not_equal(pings_until_end(42), first);
}

static void happens_so_often(void)
{
    fails_at("{\"net_fault\":\"cut\",\"fault_times\":1}", NULL, WIRE_FIN);
    handshake_takes(0);
}

/* ---- tls ---- */

static void sends_another_chain(void)
{
    DEVICE device, other;
    CLEANUP_JSON cJSON *result = wire_call("lane.set", "{\"lane\":\"main\",\"knobs\":{\"server_recipe\":\"server/expired\"}}");
    assert_non_null(strstr(json_string(result, "root_ca", ""), "BEGIN CERTIFICATE"));
    wire_open(&device, NULL);
    assert_true(device.is_shaken); /* it looks at nothing */
    assert_true(X509_cmp_current_time(X509_get0_notAfter(SSL_get0_peer_certificate(device.ssl))) < 0);
    wire_set_lane("{}");
    wire_open(&other, NULL);
    assert_true(X509_cmp_current_time(X509_get0_notAfter(SSL_get0_peer_certificate(other.ssl))) > 0);
}

static void offers_one_version(void)
{
    static const struct {
        const char *knobs;
        int version;
    } rows[] = {{"{\"tls_version\":\"1.0\"}", TLS1_VERSION},
                {"{\"tls_version\":\"1.1\"}", TLS1_1_VERSION},
                {"{\"tls_version\":\"1.2\"}", TLS1_2_VERSION},
                {"{\"tls_version\":\"1.3\"}", TLS1_3_VERSION}};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        DEVICE device;
        wire_set_lane(rows[i].knobs);
        wire_open(&device, &(struct wire_options){.version = 0});
        assert_true(device.is_shaken);
        assert_int_equal(SSL_version(device.ssl), rows[i].version);
    }
}

/* Each comes later than the one before. */
static void names_messages_of_tls_1_3(void)
{
    static const char *const places[] = {"after ServerHello", "at CertificateRequest", "at server Certificate",
                                         "at server CertificateVerify", "at Finished"};
    size_t before = 0;
    for (size_t i = 0; i < ARRAY_COUNT(places); i++) {
        char knobs[128];
        DEVICE device;
        snprintf(knobs, sizeof knobs, "{\"net_fault\":\"cut\",\"net_at\":\"%s\"}", places[i]);
        wire_set_lane(knobs);
        wire_open(&device, &(struct wire_options){.version = TLS1_3_VERSION});
        assert_false(device.is_shaken);
        assert_int_equal(device.end, WIRE_FIN);
        assert_true(BIO_number_read(SSL_get_rbio(device.ssl)) > before);
        before = BIO_number_read(SSL_get_rbio(device.ssl));
    }
}

static void offers_these_suites(void)
{
    DEVICE device, other;
    wire_set_lane("{\"tls_suites\":\"TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256:ECDHE-ECDSA-AES256-SHA\"}");
    wire_open(&device, NULL);
    if (!device.is_shaken)
        fail_msg("no handshake: %s, alert %d", device.last_heard, device.alert);
    assert_string_equal(SSL_CIPHER_standard_name(SSL_get_current_cipher(device.ssl)), "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256");
    wire_set_lane("{\"tls_suites\":\"TLS_AES_128_CCM_8_SHA256\",\"tls_version\":\"1.3\"}");
    wire_open(&other, &(struct wire_options){.version = 0});
    assert_false(other.is_shaken); /* the client does not offer that one by itself */
    assert_int_equal(other.alert, SSL_AD_HANDSHAKE_FAILURE);
}

static void asks_for_no_certificate(void)
{
    DEVICE device;
    wire_set_lane("{\"asks_certificate\":false}");
    wire_open(&device, NULL);
    assert_true(device.is_shaken);
    assert_false(device.was_asked);
}

static void names_authorities(void)
{
    DEVICE device;
    wire_set_lane("{\"request_cas\":60}");
    wire_open(&device, NULL);
    assert_true(device.is_shaken);
    assert_int_equal(device.ca_name_count, 60);
}

static void resumes_sessions(void)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t i = 0; i < ARRAY_COUNT(versions); i++) {
        for (int is_on = 0; is_on < 2; is_on++) {
            DEVICE first, second;
            wire_set_lane(is_on ? "{\"resumption\":true}" : "{}");
            wire_open(&first, &(struct wire_options){.version = versions[i]});
            wire_connect(&first);
            CLEANUP(SSL_SESSION_free_cleanup) SSL_SESSION *session = SSL_get1_session(first.ssl);
            wire_open(&second, &(struct wire_options){.version = versions[i], .from = session});
            assert_true(second.is_shaken);
            assert_int_equal(SSL_session_reused(second.ssl), is_on);
            wire_connect(&second); /* the chain is known from before */
        }
    }
}

static void sends_alerts(void)
{
    DEVICE device, other;
    wire_set_lane("{\"tls_alert\":\"handshake_failure\"}");
    wire_open(&device, NULL);
    assert_false(device.is_shaken);
    assert_int_equal(device.alert, SSL_AD_HANDSHAKE_FAILURE);
    wire_set_lane("{\"tls_alert\":\"unknown_ca\",\"tls_alert_at\":\"at ChangeCipherSpec\"}");
    wire_open(&other, NULL);
    assert_false(other.is_shaken);
    assert_true(other.was_asked);
    assert_int_equal(other.alert, SSL_AD_UNKNOWN_CA);
}

/* ---- dps ---- */

/* A registration: the answers to the register request and to the first status request, as they came. */
struct answers {
    struct bytes reply_topic, reply_body, poll_topic, poll_body;
};

static void answers_done(struct answers *answers)
{
    bytes_done(&answers->reply_topic);
    bytes_done(&answers->reply_body);
    bytes_done(&answers->poll_topic);
    bytes_done(&answers->poll_body);
}

#define ANSWERS CLEANUP(answers_done) struct answers

static const struct answers no_answers;

static void contains(const struct bytes *text, const char *expected)
{
    if (!strstr(bytes_text(text), expected))
        fail_msg("'%s' is not in '%s'", expected, bytes_text(text));
}

static void lacks(const struct bytes *text, const char *forbidden)
{
    if (strstr(bytes_text(text), forbidden))
        fail_msg("'%s' is in '%s'", forbidden, bytes_text(text));
}

static void operation_of(const struct bytes *body, char *operation_id, size_t size)
{
    CLEANUP_JSON cJSON *json = json_parse(bytes_text(body), body->length_bytes, "reply", NULL);
    snprintf(operation_id, size, "%s", json_string(json, "operationId", ""));
}

static void open_with(const char *knobs, struct wire_device *device)
{
    wire_set_device(knobs);
    wire_open(device, NULL);
    wire_send_connect(device, false);
}

static void register_with(const char *knobs, struct answers *answers, struct wire_device *device)
{
    memset(answers, 0, sizeof *answers);
    wire_clear();
    wire_set_device(knobs);
    wire_open_session(device);
    wire_register(device, &answers->reply_topic, &answers->reply_body);
}

static void poll_with(const char *knobs, struct answers *answers)
{
    char operation_id[2048];
    DEVICE device;
    register_with(knobs, answers, &device);
    operation_of(&answers->reply_body, operation_id, sizeof operation_id);
    wire_poll(&device, operation_id, &answers->poll_topic, &answers->poll_body);
}

static void replies_with_status(void)
{
    DEVICE device;
    ANSWERS answers;
    register_with("{\"reply_status\":429,\"error_retry_after_s\":17}", &answers, &device);
    contains(&answers.reply_topic, "res/429/?$rid=1&retry-after=17");
    contains(&answers.reply_body, "429001");
}

static void polls_with_status(void)
{
    ANSWERS answers;
    poll_with("{\"poll_status\":503}", &answers);
    contains(&answers.poll_topic, "res/503/?$rid=2");
}

static void says_when_to_poll(void)
{
    DEVICE one, two;
    ANSWERS seconds, none;
    register_with("{\"retry_after_s\":77}", &seconds, &one);
    contains(&seconds.reply_topic, "retry-after=77");
    register_with("{\"has_retry_after\":false}", &none, &two);
    lacks(&none.reply_topic, "retry-after");
}

static void assigns_after_polls(void)
{
    DEVICE device;
    ANSWERS at_once, later;
    register_with("{\"polls_until_assigned\":0}", &at_once, &device);
    contains(&at_once.reply_body, "\"assigned\"");
    poll_with("{\"polls_until_assigned\":2}", &later);
    contains(&later.poll_body, "\"assigning\"");
}

static void ends_as_asked(void)
{
    ANSWERS failed, disabled, never;
    poll_with("{\"end_as\":\"failed\"}", &failed);
    contains(&failed.poll_body, "\"failed\"");
    poll_with("{\"end_as\":\"disabled\"}", &disabled);
    contains(&disabled.poll_body, "\"disabled\"");
    poll_with("{\"end_as\":\"never\"}", &never);
    contains(&never.poll_body, "\"assigning\"");
}

static void spoils_bodies(void)
{
    DEVICE one, two, three;
    ANSWERS half, empty, text;
    register_with("{\"reply_body\":\"truncated\"}", &half, &one);
    contains(&half.reply_body, "{\"operationId\":");
    lacks(&half.reply_body, "}");
    register_with("{\"reply_body\":\"empty\"}", &empty, &two);
    assert_int_equal(empty.reply_body.length_bytes, 0);
    register_with("{\"reply_body\":\"text\"}", &text, &three);
    lacks(&text.reply_body, "operationId");
}

static void is_refused_in_profile(const char *profile, int connack, bool is_slow)
{
    char knobs[128];
    DEVICE device;
    snprintf(knobs, sizeof knobs, "{\"profile\":\"%s\",\"close_after_refusal_ms\":%d}", profile, is_slow ? 600000 : 0);
    wire_set_device(knobs);
    wire_enroll(false);
    wire_open(&device, NULL);
    wire_send_connect(&device, false);
    assert_int_equal(wire_expect(&device, 0x20), connack);
    if (connack == 0) {
        ANSWERS answers = no_answers;
        wire_subscribe(&device);
        wire_register(&device, &answers.reply_topic, &answers.reply_body);
        contains(&answers.reply_topic, "res/401/");
        if (is_slow)
            wire_expect_silence(&device);
    }
    if (!is_slow)
        assert_int_equal(wire_wait_end(&device), WIRE_CLOSE_NOTIFY);
    wire_enroll(true);
}

static void refuses_on_a_surface(void)
{
    is_refused_in_profile("connack", 5, false);
    is_refused_in_profile("azure", 0, false);
}

static void closes_after_a_refusal(void)
{
    is_refused_in_profile("azure", 0, true);
}

static void is_silent(void)
{
    DEVICE device;
    wire_set_device("{\"is_silent\":true}");
    wire_open_session(&device);
    uint16_t packet_id = wire_send_publish(&device, WIRE_PUT_TOPIC, "");
    assert_int_equal(wire_expect(&device, 0x40), packet_id);
    wire_expect_silence(&device);
}

/* One that sleeps over its acknowledgement, as those do whose MQTT waits out retry-after in its own thread. */
static void closes_between_polls_on_a_sleeper(void)
{
    ANSWERS answers;
    char operation_id[2048], request[2300];
    DEVICE device;
    register_with("{\"close_at\":\"between-polls\",\"polls_until_assigned\":2}", &answers, &device);
    operation_of(&answers.reply_body, operation_id, sizeof operation_id);
    snprintf(request, sizeof request, "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=2&operationId=%s", operation_id);
    wire_send_publish(&device, request, "");
    wire_send_publish(&device, request, ""); /* wakes up, and does not get an answer */
    assert_int_equal(wire_wait_end(&device), WIRE_CLOSE_NOTIFY);
    const uint8_t *first = memmem(device.in.data, device.in.length_bytes, "res/202/?$rid=2", 15);
    assert_non_null(first);
    assert_null(memmem(first, (size_t)(device.in.data + device.in.length_bytes - first), "res/200/", 8));
}

static void closes_at(void)
{
    DEVICE before, behind;
    wire_set_device("{\"close_at\":\"before-connack\"}");
    wire_open(&before, NULL);
    wire_send_connect(&before, false);
    assert_int_equal(wire_wait_end(&before), WIRE_CLOSE_NOTIFY);
    assert_int_equal(before.in.length_bytes, 0);
    wire_set_device("{\"close_at\":\"after-suback\"}");
    wire_open_session(&behind);
    assert_int_equal(wire_wait_end(&behind), WIRE_CLOSE_NOTIFY);
    closes_between_polls_on_a_sleeper();
}

static void takes_unknown_names(void)
{
    static const struct {
        const char *knobs, *user_name;
        int connack;
    } cases[] = {
        {"{\"unknown_api_version\":\"connack\"}", "0ne00000001/registrations/" WIRE_ID "/api-version=2031-01-01", 5},
        {"{\"unknown_api_version\":\"reply\"}", "0ne00000001/registrations/" WIRE_ID "/api-version=2031-01-01", 0},
        {"{\"unknown_id_scope\":\"reply\"}", "0ne00000002/registrations/" WIRE_ID "/api-version=2019-03-31", 0},
        {"{}", "0ne00000002/registrations/" WIRE_ID "/api-version=2019-03-31", 5},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        DEVICE device;
        wire_set_device(cases[i].knobs);
        wire_open(&device, NULL);
        wire_send_connect_as(&device, cases[i].user_name, NULL);
        assert_int_equal(wire_expect(&device, 0x20), cases[i].connack);
    }
}

static void closes_at_a_bad_connect(void)
{
    DEVICE closed, refused;
    wire_set_device("{\"bad_connect\":\"close\"}");
    wire_open(&closed, NULL);
    wire_send_connect_as(&closed, "0ne00000001/registrations/" WIRE_ID "/", NULL);
    assert_int_equal(wire_wait_end(&closed), WIRE_CLOSE_NOTIFY);
    assert_int_equal(closed.in.length_bytes, 0);
    wire_set_device("{}");
    wire_open(&refused, NULL);
    wire_send_connect_as(&refused, "0ne00000001/registrations/" WIRE_ID "/", NULL);
    assert_int_equal(wire_expect(&refused, 0x20), 5);
}

static void takes_other_topics(void)
{
    DEVICE ignored, closed;
    wire_set_device("{\"wrong_topic\":\"ignore\"}");
    wire_open_session(&ignored);
    wire_send_publish(&ignored, "$dps/registrations/else", "x");
    wire_expect(&ignored, 0x40);
    wire_send_pingreq(&ignored);
    wire_expect(&ignored, 0xd0);
    wire_set_device("{}");
    wire_open_session(&closed);
    wire_send_publish(&closed, "$dps/registrations/else", "x");
    assert_int_equal(wire_wait_end(&closed), WIRE_CLOSE_NOTIFY);
}

/* By its own enrollment the device is good: what refuses it is that there is none. */
static void shows_single_rules_elsewhere(void)
{
    DEVICE alerted, refused, closed, taken;
    wire_enroll(false);
    wire_set_device("{\"rule_surfaces\":\"enrollment.none=tls-alert\"}");
    wire_open(&alerted, NULL);
    assert_false(alerted.is_shaken);
    assert_int_not_equal(alerted.alert, -1);
    open_with("{\"rule_surfaces\":\"leaf.expired=closed, enrollment.none=connack\"}", &refused);
    assert_int_equal(wire_expect(&refused, 0x20), 5);
    open_with("{\"rule_surfaces\":\"enrollment.none=closed\"}", &closed);
    assert_int_equal(wire_wait_end(&closed), WIRE_CLOSE_NOTIFY);
    assert_int_equal(closed.in.length_bytes, 0);
    wire_enroll(true);
    open_with("{\"rule_surfaces\":\"enrollment.none=closed\"}", &taken);
    assert_int_equal(wire_expect(&taken, 0x20), 0);
}

/* The reply to a SUBSCRIBE: its SUBACK's code; -1: the connection is closed. */
static int subscribes_with(const char *knobs, const char *filter, uint8_t qos)
{
    DEVICE device;
    struct bytes body;
    open_with(knobs, &device);
    assert_int_equal(wire_expect(&device, 0x20), 0);
    wire_send_subscribe_as(&device, filter, qos);
    int first_byte = wire_read(&device, &body, WIRE_WAIT_MS);
    int code = first_byte == 0x90 ? body.data[2] : first_byte;
    bytes_done(&body);
    return code;
}

static void takes_other_filters(void)
{
    assert_int_equal(subscribes_with("{}", "devices/#", 1), 0x80);
    assert_int_equal(subscribes_with("{\"other_filter\":\"grant\"}", "devices/#", 1), 1);
    assert_int_equal(subscribes_with("{\"other_filter\":\"close\"}", "devices/#", 1), -1);
    assert_int_equal(subscribes_with("{}", WIRE_FILTER, 2), 1);
    assert_int_equal(subscribes_with("{\"subscribe_qos_2\":\"refuse\"}", WIRE_FILTER, 2), 0x80);
    assert_int_equal(subscribes_with("{\"subscribe_qos_2\":\"refuse\"}", WIRE_FILTER, 1), 1);
    assert_int_equal(subscribes_with("{\"subscribe_qos_2\":\"close\"}", WIRE_FILTER, 2), -1);
}

/* The first packet behind a PUBLISH of a register request; 0: none comes, -1: the connection is closed. */
static int publishes_with(const char *knobs, int first_byte)
{
    DEVICE device;
    struct bytes body;
    wire_clear();
    wire_set_device(knobs);
    wire_open_session(&device);
    wire_send_publish_as(&device, first_byte, WIRE_PUT_TOPIC, "{}");
    int first = wire_read(&device, &body, strstr(knobs, "ignore") ? WIRE_SILENCE_MS : WIRE_WAIT_MS);
    bytes_done(&body);
    return first;
}

static void takes_odd_publishes(void)
{
    enum { QOS_2 = 0x34, RETAINED = 0x33, PUBACK = 0x40 };
    assert_int_equal(publishes_with("{}", QOS_2), -1);
    assert_int_equal(publishes_with("{\"publish_qos_2\":\"as-qos-1\"}", QOS_2), PUBACK);
    assert_int_equal(publishes_with("{\"publish_qos_2\":\"ignore\"}", QOS_2), 0);
    assert_int_equal(publishes_with("{}", RETAINED), PUBACK);
    assert_int_equal(publishes_with("{\"publish_retain\":\"close\"}", RETAINED), -1);
    assert_int_equal(publishes_with("{\"publish_retain\":\"ignore\"}", RETAINED), 0);
}

static void closes_on_silence(void)
{
    DEVICE closed, kept;
    open_with("{\"keep_alive_percent\":1}", &closed);
    assert_int_equal(wire_expect(&closed, 0x20), 0);
    assert_int_equal(wire_wait_end(&closed), WIRE_CLOSE_NOTIFY);
    open_with("{\"keep_alive_percent\":0}", &kept);
    assert_int_equal(wire_expect(&kept, 0x20), 0);
    wire_expect_silence(&kept);
}

static void takes_bad_tokens(void)
{
    for (int i = 0; i < 2; i++) {
        DEVICE device;
        wire_set_device(i ? "{\"sas_refusal\":\"reply\"}" : "{\"sas_refusal\":\"connack\"}");
        wire_set_lane("{\"asks_certificate\":false}");
        wire_open(&device, NULL);
        wire_send_connect_as(&device, "0ne00000001/registrations/" WIRE_ID "/api-version=2019-03-31",
                             "SharedAccessSignature sr=0ne00000001%2fregistrations%2f" WIRE_ID "&sig=AAAA&se=4102444800&skn=registration");
        assert_int_equal(wire_expect(&device, 0x20), i ? 0 : 5);
    }
}

static void conflicts(void)
{
    DEVICE one, other;
    ANSWERS first, second = no_answers;
    register_with("{\"conflict_ms\":600000,\"polls_until_assigned\":9}", &first, &one);
    wire_open_session(&other);
    wire_register(&other, &second.reply_topic, &second.reply_body);
    contains(&second.reply_topic, "res/409/");
    contains(&second.reply_body, "409203");
}

static void throttles(void)
{
    DEVICE device;
    ANSWERS first, again = no_answers;
    register_with("{\"registrations_per_min\":1,\"polls_per_10_s\":1,\"polls_until_assigned\":9}", &first, &device);
    contains(&first.reply_topic, "res/202/");
    wire_register(&device, &again.reply_topic, &again.reply_body);
    contains(&again.reply_topic, "res/429/");
    contains(&again.reply_topic, "&retry-after=");
    char operation_id[2048];
    operation_of(&first.reply_body, operation_id, sizeof operation_id);
    for (int i = 0; i < 2; i++) {
        ANSWERS poll = no_answers;
        wire_poll(&device, operation_id, &poll.poll_topic, &poll.poll_body);
        contains(&poll.poll_topic, i ? "res/429/" : "res/202/");
    }
}

static void hub_refuses_dps(void)
{
    DEVICE one, two;
    ANSWERS unauthorized, nested;
    register_with("{\"hub_link\":\"unauthorized\",\"polls_until_assigned\":0}", &unauthorized, &one);
    contains(&unauthorized.reply_body, "400209");
    register_with("{\"hub_link\":\"nested\",\"polls_until_assigned\":0}", &nested, &two);
    contains(&nested.reply_body, "ExceptionMessage");
}

/* ---- mqtt, hub ---- */

static void connects_with(const char *knobs, bool is_hub, int return_code)
{
    DEVICE device;
    wire_set_device(knobs);
    wire_open(&device, NULL);
    wire_send_connect(&device, is_hub);
    assert_int_equal(wire_expect(&device, 0x20), return_code);
}

static void answers_connect(void)
{
    connects_with("{\"connack\":3}", false, 3);
}

static void ends_in_ways(void)
{
    static const struct {
        const char *how;
        enum wire_end end;
    } ways[] = {{"close_notify", WIRE_CLOSE_NOTIFY}, {"fin", WIRE_FIN}, {"reset", WIRE_RESET}};
    for (size_t i = 0; i < ARRAY_COUNT(ways); i++) {
        char knobs[128];
        DEVICE device;
        snprintf(knobs, sizeof knobs, "{\"close_at\":\"before-connack\",\"close_how\":\"%s\"}", ways[i].how);
        wire_set_device(knobs);
        wire_open(&device, NULL);
        wire_send_connect(&device, false);
        assert_int_equal(wire_wait_end(&device), ways[i].end);
    }
}

static void falls_silent(void)
{
    DEVICE device;
    wire_set_device("{\"silent_after\":\"connect\"}");
    wire_open(&device, NULL);
    wire_send_connect(&device, false);
    wire_expect_silence(&device);
}

static void assign(void)
{
    DEVICE device;
    ANSWERS answers;
    register_with("{\"polls_until_assigned\":0}", &answers, &device);
    contains(&answers.reply_body, "\"assigned\"");
}

static void hub_answers_connect(void)
{
    assign();
    connects_with("{\"hub_connack\":2}", true, 2);
}

/* ---- mqtt: acknowledgements ---- */

static void not_before(int64_t start_ms, double device_ms)
{
    if ((double)(wire_now_ms() - start_ms) + 2 < wire_scaled_ms(device_ms))
        fail_msg("came after %lld ms, expected %.1f at least", (long long)(wire_now_ms() - start_ms), wire_scaled_ms(device_ms));
}

static void connack_comes(void)
{
    DEVICE late, refused, never, twice, early;
    int64_t start = wire_now_ms();
    open_with("{\"connack_comes\":\"late\",\"ack_delay_ms\":4000}", &late);
    assert_int_equal(wire_expect(&late, 0x20), 0);
    not_before(start, 4000);
    start = wire_now_ms();
    open_with("{\"connack_comes\":\"late\",\"ack_delay_ms\":4000,\"connack\":5}", &refused); /* and the close waits for it */
    assert_int_equal(wire_expect(&refused, 0x20), 5);
    not_before(start, 4000);
    assert_int_equal(wire_wait_end(&refused), WIRE_CLOSE_NOTIFY);
    open_with("{\"connack_comes\":\"never\"}", &never);
    wire_expect_silence(&never);
    open_with("{\"connack_comes\":\"twice\"}", &twice);
    assert_int_equal(wire_expect(&twice, 0x20), 0);
    assert_int_equal(wire_expect(&twice, 0x20), 0);
    open_with("{\"connack_comes\":\"early\",\"connack\":5}", &early);
    assert_int_equal(wire_expect(&early, 0x20), 0);
    assert_int_equal(wire_expect(&early, 0x20), 5);
}

static void suback_comes(void)
{
    DEVICE never, twice, late, early;
    open_with("{\"suback_comes\":\"never\"}", &never);
    wire_expect(&never, 0x20);
    wire_send_subscribe(&never, WIRE_FILTER);
    wire_expect_silence(&never);
    open_with("{\"suback_comes\":\"twice\"}", &twice);
    wire_expect(&twice, 0x20);
    wire_send_subscribe(&twice, WIRE_FILTER);
    assert_int_equal(wire_expect(&twice, 0x90), 1);
    assert_int_equal(wire_expect(&twice, 0x90), 1);
    open_with("{\"suback_comes\":\"late\",\"ack_delay_ms\":4000}", &late);
    wire_expect(&late, 0x20);
    int64_t start = wire_now_ms();
    wire_send_subscribe(&late, WIRE_FILTER);
    assert_int_equal(wire_expect(&late, 0x90), 1);
    not_before(start, 4000);
    open_with("{\"suback_comes\":\"early\"}", &early);
    wire_expect(&early, 0x20);
    assert_int_equal(wire_expect(&early, 0x90), 1);
    wire_send_subscribe(&early, WIRE_FILTER);
    wire_expect_silence(&early);
}

static void puback_comes(void)
{
    DEVICE never, twice, late, early;
    wire_set_device("{\"puback_comes\":\"never\"}");
    wire_open_session(&never);
    wire_send_publish(&never, WIRE_PUT_TOPIC, "");
    ANSWERS answers = no_answers;
    wire_expect_publish(&never, &answers.reply_topic, &answers.reply_body); /* the answer comes, PUBACK does not */
    contains(&answers.reply_topic, "res/202/");
    wire_expect_silence(&never);
    wire_clear();
    wire_set_device("{\"puback_comes\":\"twice\",\"is_silent\":true}");
    wire_open_session(&twice);
    uint16_t packet_id = wire_send_publish(&twice, WIRE_PUT_TOPIC, "");
    assert_int_equal(wire_expect(&twice, 0x40), packet_id);
    assert_int_equal(wire_expect(&twice, 0x40), packet_id);
    wire_set_device("{\"puback_comes\":\"late\",\"ack_delay_ms\":4000,\"is_silent\":true}");
    wire_open_session(&late);
    int64_t start = wire_now_ms();
    packet_id = wire_send_publish(&late, WIRE_PUT_TOPIC, "");
    assert_int_equal(wire_expect(&late, 0x40), packet_id);
    not_before(start, 4000);
    wire_set_device("{\"puback_comes\":\"early\",\"is_silent\":true}");
    wire_open_session(&early);
    assert_int_equal(wire_expect(&early, 0x40), 2);
    assert_int_equal(wire_send_publish(&early, WIRE_PUT_TOPIC, ""), 2);
    wire_expect_silence(&early);
}

static void other_acknowledgements_come(void)
{
    DEVICE never, twice, late, early;
    wire_set_device("{\"unsuback_comes\":\"never\",\"pingresp_comes\":\"never\"}");
    wire_open_session(&never);
    wire_send_unsubscribe(&never, WIRE_FILTER);
    wire_send_pingreq(&never);
    wire_expect_silence(&never);
    wire_set_device("{\"unsuback_comes\":\"twice\",\"pingresp_comes\":\"twice\"}");
    wire_open_session(&twice);
    uint16_t packet_id = wire_send_unsubscribe(&twice, WIRE_FILTER);
    assert_int_equal(wire_expect(&twice, 0xB0), packet_id);
    assert_int_equal(wire_expect(&twice, 0xB0), packet_id);
    wire_send_pingreq(&twice);
    wire_expect(&twice, 0xD0);
    wire_expect(&twice, 0xD0);
    wire_set_device("{\"unsuback_comes\":\"late\",\"pingresp_comes\":\"late\",\"ack_delay_ms\":4000}");
    wire_open_session(&late);
    int64_t start = wire_now_ms();
    packet_id = wire_send_unsubscribe(&late, WIRE_FILTER);
    wire_send_pingreq(&late);
    assert_int_equal(wire_expect(&late, 0xB0), packet_id);
    wire_expect(&late, 0xD0);
    not_before(start, 4000);
    wire_set_device("{\"unsuback_comes\":\"early\",\"pingresp_comes\":\"early\"}");
    wire_open(&early, NULL);
    wire_connect(&early);
    wire_expect(&early, 0xD0);
    wire_subscribe(&early);
    assert_int_equal(wire_expect(&early, 0xB0), 2);
    assert_int_equal(wire_send_unsubscribe(&early, WIRE_FILTER), 2);
    wire_send_pingreq(&early);
    wire_expect_silence(&early);
}

/* "dps" leaves the hub's connection alone, and the other way round. */
static void acts_on_one_endpoint(void)
{
    DEVICE dps, hub;
    assign();
    wire_set_device("{\"connack_comes\":\"never\",\"mqtt_on\":\"hub\"}");
    wire_open(&dps, NULL);
    wire_connect(&dps);
    wire_open(&hub, NULL);
    wire_send_connect(&hub, true);
    wire_expect_silence(&hub);
}

static void sends_any_bytes_for_connack(void)
{
    DEVICE device;
    struct bytes body;
    open_with("{\"connack_bytes\":\"20 03 00 00 7F\"}", &device);
    assert_int_equal(wire_read(&device, &body, WIRE_WAIT_MS), 0x20);
    assert_int_equal(body.length_bytes, 3);
    assert_memory_equal(body.data, "\0\0\x7F", 3);
    bytes_done(&body);
}

/* ---- mqtt: ends and junk ---- */

static void closes_when(void)
{
    DEVICE in_place, behind, second;
    open_with("{\"close_when\":\"at SUBACK\"}", &in_place);
    wire_expect(&in_place, 0x20);
    wire_send_subscribe(&in_place, WIRE_FILTER);
    assert_int_equal(wire_wait_end(&in_place), WIRE_CLOSE_NOTIFY);
    assert_int_equal(in_place.in.length_bytes, 0);
    open_with("{\"close_when\":\"after SUBACK\",\"close_how\":\"fin\"}", &behind);
    wire_expect(&behind, 0x20);
    wire_send_subscribe(&behind, WIRE_FILTER);
    wire_expect(&behind, 0x90);
    assert_int_equal(wire_wait_end(&behind), WIRE_FIN);
    wire_set_device("{\"close_when\":\"after the 2nd PUBLISH on $dps/registrations/PUT/#\",\"is_silent\":true}");
    wire_open_session(&second);
    uint16_t packet_id = wire_send_publish(&second, WIRE_PUT_TOPIC, "{}");
    assert_int_equal(wire_expect(&second, 0x40), packet_id);
    wire_send_publish(&second, "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=2&operationId=a", ""); /* counts for nothing */
    wire_expect(&second, 0x40);
    wire_send_publish(&second, WIRE_PUT_TOPIC, "{}");
    assert_int_equal(wire_wait_end(&second), WIRE_CLOSE_NOTIFY);
}

static void sends_junk(void)
{
    static const struct {
        const char *name, *bytes;
        size_t length_bytes;
    } kinds[] = {
        {"reserved-type", "\xF0\x00", 2},       {"bad-length", "\x30\xFF\xFF\xFF\xFF\x7F", 6}, {"bad-flags", "\x9F\x03", 2},
        {"qos-3", "\x36\x07\x00\x03", 4},       {"bad-utf8", "\x30\x05\x00\x03\xC0\x80", 6},   {"empty-topic", "\x30\x02\x00\x00", 4},
        {"short-suback", "\x90\x02\x00\x01", 4}};
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        char knobs[128];
        DEVICE device;
        snprintf(knobs, sizeof knobs, "{\"junk\":\"%s\"}", kinds[i].name);
        wire_set_device(knobs);
        wire_open_session(&device);
        wire_expect_bytes(&device, kinds[i].bytes, kinds[i].length_bytes);
    }
}

static void sends_junk_when(void)
{
    DEVICE device, random, again;
    CLEANUP(bytes_done) struct bytes first = {.max_bytes = 64};
    wire_set_device("{\"junk\":\"oversized\",\"junk_bytes\":200000000,\"junk_when\":\"after CONNACK\"}");
    wire_open(&device, NULL);
    wire_connect(&device);
    wire_expect_bytes(&device, "\x30\x80\x84\xAF\x5F", 5);
    wire_set_device("{\"junk\":\"random\",\"junk_bytes\":32,\"junk_when\":\"after CONNACK\",\"seed\":5}");
    wire_open(&random, NULL);
    wire_connect(&random);
    wire_expect_bytes(&random, NULL, 32);
    bytes_append(&first, random.in.data, 32);
    wire_open(&again, NULL);
    wire_connect(&again);
    wire_expect_bytes(&again, first.data, 32);
}

/* ---- dps: more of its replies ---- */

static void spoils_polls(void)
{
    ANSWERS half, text;
    poll_with("{\"poll_body\":\"truncated\"}", &half);
    contains(&half.poll_body, "{\"operationId\":");
    lacks(&half.poll_body, "etag");
    poll_with("{\"poll_body\":\"text\",\"body_text\":\"tea break\"}", &text);
    assert_string_equal(bytes_text(&text.poll_body), "tea break");
}

static void changes_topics(void)
{
    DEVICE one, two, three, four, five;
    ANSWERS other, absent, empty, words, elsewhere;
    register_with("{\"reply_rid\":\"other\"}", &other, &one);
    contains(&other.reply_topic, "$rid=10&");
    register_with("{\"reply_rid\":\"absent\"}", &absent, &two);
    contains(&absent.reply_topic, "res/202/?retry-after=3");
    register_with("{\"reply_rid\":\"empty\"}", &empty, &three);
    contains(&empty.reply_topic, "?$rid=&retry-after");
    register_with("{\"retry_after_text\":\"soon\"}", &words, &four);
    contains(&words.reply_topic, "$rid=1&retry-after=soon");
    register_with("{\"reply_topic\":\"some/where/else\"}", &elsewhere, &five);
    assert_string_equal(bytes_text(&elsewhere.reply_topic), "some/where/else");
}

static void repeats_replies(void)
{
    DEVICE device;
    ANSWERS first, again;
    register_with("{\"reply_times\":3}", &first, &device);
    for (int i = 0; i < 2; i++) {
        again = no_answers;
        wire_expect_publish(&device, &again.reply_topic, &again.reply_body);
        assert_string_equal(bytes_text(&again.reply_body), bytes_text(&first.reply_body));
        if (i == 0)
            answers_done(&again);
    }
    wire_expect_silence(&device);
}

/* And a poll for the long one is understood. */
static void lengthens_operation_ids(void)
{
    char operation_id[2048];
    ANSWERS answers;
    poll_with("{\"operation_id_bytes\":1500}", &answers);
    operation_of(&answers.reply_body, operation_id, sizeof operation_id);
    assert_int_equal(strlen(operation_id), 1500);
    contains(&answers.poll_topic, "res/200/");
}

static void names_other_hubs(void)
{
    ANSWERS unknown, longer;
    poll_with("{\"assigned_hub\":\"nowhere.invalid\"}", &unknown);
    contains(&unknown.poll_body, "\"assignedHub\":\"nowhere.invalid\"");
    poll_with("{\"assigned_hub_bytes\":700}", &longer);
    CLEANUP_JSON cJSON *body = json_parse(bytes_text(&longer.poll_body), longer.poll_body.length_bytes, "body", NULL);
    assert_int_equal(strlen(json_string(json_member(body, "registrationState"), "assignedHub", "")), 700);
}

/* ---- hub ---- */

static void open_hub(const char *knobs, struct wire_device *device)
{
    assign();
    wire_set_device(knobs);
    wire_open(device, NULL);
    wire_send_connect(device, true);
    assert_int_equal(wire_expect(device, 0x20), 0);
}

#define TELEMETRY_TOPIC "devices/" WIRE_ID "/messages/events/"

/* The same for its CONNACK, SUBACK, UNSUBACK and PINGRESP: the knobs of the layer mqtt act on both connections. */
static void hub_acknowledges(void)
{
    DEVICE never, late;
    open_hub("{\"hub_puback\":\"never\"}", &never);
    wire_send_publish(&never, TELEMETRY_TOPIC, "{}");
    wire_expect_silence(&never);
    open_hub("{\"hub_puback\":\"late\",\"ack_delay_ms\":4000}", &late);
    int64_t start = wire_now_ms();
    uint16_t packet_id = wire_send_publish(&late, TELEMETRY_TOPIC, "{}");
    assert_int_equal(wire_expect(&late, 0x40), packet_id);
    not_before(start, 4000);
}

static void hub_acknowledges_twice_and_early(void)
{
    DEVICE twice, early, suback;
    open_hub("{\"hub_puback\":\"twice\"}", &twice);
    uint16_t packet_id = wire_send_publish(&twice, TELEMETRY_TOPIC, "{}");
    assert_int_equal(wire_expect(&twice, 0x40), packet_id);
    assert_int_equal(wire_expect(&twice, 0x40), packet_id);
    open_hub("{\"hub_puback\":\"early\"}", &early);
    packet_id = wire_send_subscribe(&early, "$iothub/twin/res/#");
    assert_int_equal(wire_expect(&early, 0x90), packet_id);
    assert_int_equal(wire_expect(&early, 0x40), packet_id + 1);
    wire_send_publish(&early, TELEMETRY_TOPIC, "{}");
    wire_expect_silence(&early);
    open_hub("{\"suback_comes\":\"twice\",\"mqtt_on\":\"hub\"}", &suback);
    packet_id = wire_send_subscribe(&suback, "$iothub/twin/res/#");
    assert_int_equal(wire_expect(&suback, 0x90), packet_id);
    assert_int_equal(wire_expect(&suback, 0x90), packet_id);
}

static void ask_for_twin(const char *knobs, struct wire_device *device)
{
    open_hub(knobs, device);
    uint16_t packet_id = wire_send_subscribe(device, "$iothub/twin/res/#");
    assert_int_equal(wire_expect(device, 0x90), packet_id);
    packet_id = wire_send_publish(device, "$iothub/twin/GET/?$rid=1", "");
    assert_int_equal(wire_expect(device, 0x40), packet_id);
}

/* The answer, then the PUBACK of the request. One without $rid is never answered, and acknowledged all the same. */
static void hub_twins_overtake(void)
{
    DEVICE device;
    ANSWERS answers = no_answers;
    open_hub("{\"hub_twin_comes\":\"early\"}", &device);
    uint16_t packet_id = wire_send_subscribe(&device, "$iothub/twin/res/#");
    assert_int_equal(wire_expect(&device, 0x90), packet_id);
    packet_id = wire_send_publish(&device, "$iothub/twin/GET/?$rid=1", "");
    wire_expect_publish(&device, &answers.reply_topic, &answers.reply_body);
    assert_int_equal(wire_expect(&device, 0x40), packet_id);
    packet_id = wire_send_publish(&device, "$iothub/twin/PATCH/properties/reported/?$rid=2", "{\"a\":1}");
    wire_expect_publish(&device, &answers.poll_topic, &answers.poll_body);
    contains(&answers.poll_topic, "res/204/?$rid=2");
    assert_int_equal(wire_expect(&device, 0x40), packet_id);
    packet_id = wire_send_publish(&device, "$iothub/twin/GET/?", "");
    assert_int_equal(wire_expect(&device, 0x40), packet_id);
}

static void hub_twins_come(void)
{
    DEVICE late, never, twice;
    hub_twins_overtake();
    ANSWERS first = no_answers, second = no_answers, third = no_answers;
    int64_t start = wire_now_ms();
    ask_for_twin("{\"hub_twin_comes\":\"late\",\"ack_delay_ms\":4000}", &late);
    wire_expect_publish(&late, &first.reply_topic, &first.reply_body);
    contains(&first.reply_topic, "$iothub/twin/res/200/?$rid=1");
    not_before(start, 4000);
    ask_for_twin("{\"hub_twin_comes\":\"never\"}", &never);
    wire_expect_silence(&never);
    ask_for_twin("{\"hub_twin_comes\":\"twice\"}", &twice);
    wire_expect_publish(&twice, &second.reply_topic, &second.reply_body);
    wire_expect_publish(&twice, &third.reply_topic, &third.reply_body);
    assert_string_equal(bytes_text(&second.reply_body), bytes_text(&third.reply_body));
}

static void hub_closes_after_telemetry(void)
{
    DEVICE device;
    open_hub("{\"hub_close_after\":2}", &device);
    uint16_t packet_id = wire_send_publish(&device, TELEMETRY_TOPIC, "{\"n\":1}");
    assert_int_equal(wire_expect(&device, 0x40), packet_id);
    wire_send_publish(&device, TELEMETRY_TOPIC, "{\"n\":2}");
    assert_int_equal(wire_wait_end(&device), WIRE_CLOSE_NOTIFY);
}

static void hub_answers_twins(void)
{
    DEVICE device;
    ANSWERS answers = no_answers;
    open_hub("{\"hub_twin_status\":503}", &device);
    uint16_t packet_id = wire_send_subscribe(&device, "$iothub/twin/res/#");
    assert_int_equal(wire_expect(&device, 0x90), packet_id);
    packet_id = wire_send_publish(&device, "$iothub/twin/GET/?$rid=1", "");
    assert_int_equal(wire_expect(&device, 0x40), packet_id);
    wire_expect_publish(&device, &answers.reply_topic, &answers.reply_body);
    contains(&answers.reply_topic, "$iothub/twin/res/503/?$rid=1");
}

/* As many as it takes: two of a burst have to fall into one second. */
static void hub_throttles_twins(void)
{
    enum { BURST = 20, BURSTS_MAX = 200 };
    DEVICE device;
    int throttled = 0;
    open_hub("{\"hub_twin_per_s\":1}", &device);
    uint16_t packet_id = wire_send_subscribe(&device, "$iothub/twin/res/#");
    assert_int_equal(wire_expect(&device, 0x90), packet_id);
    for (int burst = 0; burst < BURSTS_MAX && !throttled; burst++) {
        for (int i = 0; i < BURST; i++)
            wire_send_publish_as(&device, 0x30, "$iothub/twin/GET/?$rid=1", "");
        for (int i = 0; i < BURST; i++) {
            ANSWERS answers = no_answers;
            wire_expect_publish(&device, &answers.reply_topic, &answers.reply_body);
            throttled += strstr(bytes_text(&answers.reply_topic), "$iothub/twin/res/429/?$rid=1") != NULL;
        }
    }
    assert_true(throttled > 0);
}

/* ---- the table ---- */

static const struct row {
    const char *knobs; /* that it shows, with a space between */
    void (*check)(void);
} rows[] = {
    {"delay_ms", delays},
    {"net_direction", delays_one_direction},
    {"jitter_ms", jitters},
    {"dribble_bytes dribble_ms", dribbles},
    {"stall_ms", stalls},
    {"net_fault net_at", breaks_the_handshake},
    {"net_fault", half_closes},
    {"net_at", breaks_at_packets},
    {"net_fault", corrupts_packets},
    {"net_at stall_ms", stalls_at_packets},
    {"seed", cuts_at_bytes_drawn_from_the_seed},
    {"seed net_at", draws_the_packet_from_the_seed},
    {"fault_times", happens_so_often},
    {"server_recipe", sends_another_chain},
    {"tls_version", offers_one_version},
    {"net_at", names_messages_of_tls_1_3},
    {"tls_suites", offers_these_suites},
    {"asks_certificate", asks_for_no_certificate},
    {"request_cas", names_authorities},
    {"resumption", resumes_sessions},
    {"tls_alert tls_alert_at", sends_alerts},
    {"reply_status error_retry_after_s", replies_with_status},
    {"poll_status", polls_with_status},
    {"retry_after_s has_retry_after", says_when_to_poll},
    {"polls_until_assigned", assigns_after_polls},
    {"end_as", ends_as_asked},
    {"reply_body", spoils_bodies},
    {"profile", refuses_on_a_surface},
    {"close_after_refusal_ms", closes_after_a_refusal},
    {"is_silent", is_silent},
    {"close_at", closes_at},
    {"unknown_api_version unknown_id_scope", takes_unknown_names},
    {"bad_connect", closes_at_a_bad_connect},
    {"wrong_topic", takes_other_topics},
    {"rule_surfaces", shows_single_rules_elsewhere},
    {"other_filter subscribe_qos_2", takes_other_filters},
    {"publish_qos_2 publish_retain", takes_odd_publishes},
    {"keep_alive_percent", closes_on_silence},
    {"sas_refusal", takes_bad_tokens},
    {"conflict_ms", conflicts},
    {"registrations_per_min polls_per_10_s", throttles},
    {"hub_link", hub_refuses_dps},
    {"connack", answers_connect},
    {"close_how", ends_in_ways},
    {"silent_after", falls_silent},
    {"hub_connack", hub_answers_connect},
    {"connack_comes ack_delay_ms", connack_comes},
    {"suback_comes", suback_comes},
    {"puback_comes", puback_comes},
    {"unsuback_comes pingresp_comes", other_acknowledgements_come},
    {"mqtt_on", acts_on_one_endpoint},
    {"connack_bytes", sends_any_bytes_for_connack},
    {"close_when", closes_when},
    {"junk", sends_junk},
    {"junk_when junk_bytes", sends_junk_when},
    {"poll_body body_text", spoils_polls},
    {"reply_rid retry_after_text reply_topic", changes_topics},
    {"reply_times", repeats_replies},
    {"operation_id_bytes", lengthens_operation_ids},
    {"assigned_hub assigned_hub_bytes", names_other_hubs},
    {"hub_puback", hub_acknowledges},
    {"hub_puback mqtt_on", hub_acknowledges_twice_and_early},
    {"hub_twin_comes", hub_twins_come},
    {"hub_close_after", hub_closes_after_telemetry},
    {"hub_twin_status", hub_answers_twins},
    {"hub_twin_per_s", hub_throttles_twins},
};

static bool has_row(const char *knob)
{
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        CLEANUP_FREE char *names = strdup(rows[i].knobs);
        char *rest = NULL;
        for (char *name = strtok_r(names, " ", &rest); name; name = strtok_r(NULL, " ", &rest))
            if (strcmp(name, knob) == 0)
                return true;
    }
    return false;
}

static void every_knob_has_a_row(void **state)
{
    (void)state;
    CLEANUP_JSON cJSON *result = wire_call("knob.list", NULL);
    const cJSON *knob;
    int missing = 0;
    cJSON_ArrayForEach(knob, json_member(result, "knobs"))
    {
        const char *name = json_string(knob, "name", "?");
        if (has_row(name))
            continue;
        print_error("knob '%s' has no row in tests/e2e/sim_knobs.c: what does it change on the wire?\n", name);
        missing++;
    }
    assert_int_equal(missing, 0);
}

static void unknown_knobs_and_values_are_refused_with_the_nearest(void **state)
{
    (void)state;
    static const struct {
        const char *method, *params, *expected;
    } bad[] = {
        {"lane.set", "{\"lane\":\"main\",\"knobs\":{\"delay_m\":1}}", "did you mean 'delay_ms'"},
        {"lane.set", "{\"lane\":\"main\",\"knobs\":{\"net_fault\":\"resett\"}}", "did you mean 'reset'"},
        {"lane.set", "{\"lane\":\"main\",\"knobs\":{\"net_at\":\"at ServerHeloDone\"}}", "did you mean 'ServerHelloDone'"},
        {"lane.set", "{\"lane\":\"main\",\"knobs\":{\"tls_alert_at\":\"after the 2nd PUBLISH\"}}", "encrypted"},
        {"lane.set", "{\"lane\":\"main\",\"knobs\":{\"net_at\":\"after the 2nd PUBLIS\"}}", "did you mean 'PUBLISH'"},
        {"lane.set", "{\"lane\":\"main\",\"knobs\":{\"tls_suites\":\"TLS_AES_128_GCM_SHA25\"}}", "did you mean 'TLS_AES_128_GCM_SHA256'"},
        {"lane.set", "{\"lane\":\"main\",\"knobs\":{\"server_recipe\":\"server/expird\"}}", "did you mean 'server/expired'"},
        {"lane.set", "{\"lane\":\"main\",\"knobs\":{\"server_recipe\":\"device/root-leaf\"}}", "there is no server recipe"},
        {"lane.set", "{\"lane\":\"main\",\"knobs\":{\"connack\":5}}", "it is set on a registration id"},
        {"lane.set", "{\"lane\":\"mian\",\"knobs\":{}}", "there are: main"},
        {"scenario.set", "{\"registration_id\":\"x\",\"knobs\":{\"delay_ms\":1}}", "it is set on a lane"},
        {"scenario.set", "{\"registration_id\":\"x\",\"knobs\":{\"rule_surfaces\":\"leaf.expird=none\"}}", "did you mean 'leaf.expired'"},
        {"scenario.set", "{\"registration_id\":\"x\",\"knobs\":{\"rule_surfaces\":\"leaf.expired=conack\"}}", "did you mean 'connack'"},
        {"scenario.set", "{\"registration_id\":\"x\",\"knobs\":{\"rule_surfaces\":\"leaf.expired\"}}", "'leaf.expired=' names no surface"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        char text[1024];
        wire_refused(bad[i].method, bad[i].params, text);
        if (!strstr(text, bad[i].expected))
            fail_msg("%s: '%s' is not in: %s", bad[i].params, bad[i].expected, text);
    }
}

/* A lane that shares its port with another one: its knobs count from ClientHello on, and for nobody else. */
static void a_lane_that_is_chosen_by_host_name_has_knobs_of_its_own(void **state)
{
    (void)state;
    char params[256], text[1024];
    DEVICE spoiled, other;
    CLEANUP_JSON cJSON *lease = wire_call("lane.lease", "{\"kind\":\"host\",\"host\":\"other.example\"}");
    const char *lane = json_string(lease, "lane", "?");
    snprintf(params, sizeof params,
             "{\"lane\":\"%s\",\"knobs\":{\"net_fault\":\"cut\",\"net_at\":\"at ServerHelloDone\",\"request_cas\":9}}", lane);
    cJSON_Delete(wire_call("lane.set", params));
    wire_open(&spoiled, &(struct wire_options){.version = TLS1_2_VERSION, .sni = "other.example"});
    assert_false(spoiled.is_shaken);
    assert_int_equal(spoiled.end, WIRE_FIN);
    handshake_takes(0);
    snprintf(params, sizeof params, "{\"lane\":\"%s\",\"knobs\":{\"request_cas\":9}}", lane);
    cJSON_Delete(wire_call("lane.set", params));
    wire_open(&other, &(struct wire_options){.version = TLS1_2_VERSION, .sni = "other.example"});
    assert_int_equal(other.ca_name_count, 9);
    snprintf(params, sizeof params, "{\"lane\":\"%s\",\"knobs\":{\"resumption\":true}}", lane);
    wire_refused("lane.set", params, text);
    assert_non_null(strstr(text, "shares the sessions of 'main'"));
    snprintf(params, sizeof params, "{\"lease\":\"%s\"}", json_string(lease, "lease", "?"));
    cJSON_Delete(wire_call("lane.release", params));
}

static void knobs_of_a_leased_lane_go_with_the_lease(void **state)
{
    (void)state;
    char params[128];
    CLEANUP_JSON cJSON *lease = wire_call("lane.lease", "{\"kind\":\"exclusive\"}");
    wire_set_lane("{\"net_fault\":\"cut\"}");
    snprintf(params, sizeof params, "{\"lease\":\"%s\"}", json_string(lease, "lease", "?"));
    cJSON_Delete(wire_call("lane.release", params));
    handshake_takes(0);
}

/* What a person changes while a device is connected counts at once. */
static void a_session_that_stands_sees_new_knobs(void **state)
{
    (void)state;
    DEVICE device;
    wire_open_session(&device);
    wire_set_device("{\"pingresp_comes\":\"twice\"}");
    wire_send_pingreq(&device);
    wire_expect(&device, 0xD0);
    wire_expect(&device, 0xD0);
    wire_clear();
    wire_send_pingreq(&device);
    wire_expect(&device, 0xD0);
    wire_expect_silence(&device);
}

static void check_row(void **state)
{
    const struct row *row = *state;
    wire_clear();
    row->check();
    wire_clear();
}

static int start(void **state)
{
    (void)state;
    wire_start();
    return 0;
}

static int stop(void **state)
{
    (void)state;
    wire_stop();
    return 0;
}

int main(void)
{
    enum { OTHERS = 5 };
    struct CMUnitTest tests[ARRAY_COUNT(rows) + OTHERS] = {
        cmocka_unit_test(every_knob_has_a_row),
        cmocka_unit_test(unknown_knobs_and_values_are_refused_with_the_nearest),
        cmocka_unit_test(a_lane_that_is_chosen_by_host_name_has_knobs_of_its_own),
        cmocka_unit_test(knobs_of_a_leased_lane_go_with_the_lease),
        cmocka_unit_test(a_session_that_stands_sees_new_knobs),
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        tests[i + OTHERS] =
            (struct CMUnitTest){.name = rows[i].knobs, .test_func = check_row, .initial_state = (void *)(uintptr_t)&rows[i]};
    return cmocka_run_group_tests(tests, start, stop);
}
