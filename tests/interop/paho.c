/* paho STATE-PORT ROOT CERT KEY ID USER - libpaho-mqtt (the synchronous C client) as a device: registers, and prints the last topic and body. */
#include <MQTTClient.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WAIT_MS = 15000, POLLS_MAX = 5 };

static int fail(const char *what, int code)
{
    printf("%s %d\n", what, code);
    return 1;
}

static int ask(MQTTClient client, const char *topic, char **ret_topic, MQTTClient_message **ret_message)
{
    int length;
    MQTTClient_message message = MQTTClient_message_initializer;
    message.qos = 1;
    if (MQTTClient_publishMessage(client, topic, &message, NULL))
        return -1;
    return MQTTClient_receive(client, ret_topic, &length, ret_message, WAIT_MS) || !*ret_message ? -1 : 0;
}

/* The text behind "operationId":" up to the next quote. */
static void operation_id(const MQTTClient_message *message, char id[128])
{
    char text[1024], *at;
    snprintf(text, sizeof text, "%.*s", message->payloadlen, (const char *)message->payload);
    at = strstr(text, "\"operationId\":\"");
    snprintf(id, 128, "%.*s", at ? (int)strcspn(at + 15, "\"") : 0, at ? at + 15 : "");
}

static int register_device(MQTTClient client)
{
    char topic[256] = "$dps/registrations/PUT/iotdps-register/?$rid=1", id[128], *reply = NULL;
    MQTTClient_message *message = NULL;
    for (int polls = 0; polls < POLLS_MAX; polls++) {
        if (ask(client, topic, &reply, &message))
            return fail("no reply", 0);
        if (strncmp(reply, "$dps/registrations/res/202/", 27) != 0)
            break;
        operation_id(message, id);
        snprintf(topic, sizeof topic, "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=2&operationId=%s", id);
        MQTTClient_freeMessage(&message);
        MQTTClient_free(reply);
    }
    printf("%s %.*s\n", reply, message->payloadlen, (const char *)message->payload);
    MQTTClient_freeMessage(&message);
    MQTTClient_free(reply);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 7)
        return fail("arguments", argc);
    char url[64];
    MQTTClient client;
    MQTTClient_SSLOptions tls = MQTTClient_SSLOptions_initializer;
    MQTTClient_connectOptions options = MQTTClient_connectOptions_initializer;
    snprintf(url, sizeof url, "ssl://localhost:%s", argv[1]);
    tls.trustStore = argv[2];
    tls.keyStore = argv[3];
    tls.privateKey = argv[4];
    tls.verify = 1;
    options.ssl = &tls;
    options.username = argv[6];
    options.MQTTVersion = MQTTVERSION_3_1_1;
    options.connectTimeout = WAIT_MS / 1000;
    if (MQTTClient_create(&client, url, argv[5], MQTTCLIENT_PERSISTENCE_NONE, NULL))
        return fail("create", 0);
    int code = MQTTClient_connect(client, &options);
    int rc = code                                                          ? fail("connack", code)
             : MQTTClient_subscribe(client, "$dps/registrations/res/#", 1) ? fail("subscribe", 0)
                                                                           : register_device(client);
    MQTTClient_disconnect(client, 1000);
    MQTTClient_destroy(&client);
    return rc;
}
