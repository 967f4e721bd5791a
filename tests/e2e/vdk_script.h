/*
 * tests/e2e/vdk_script.h - the parts that scripts of vdk_stub are made of
 */
#ifndef TESTS_E2E_VDK_SCRIPT_H
#define TESTS_E2E_VDK_SCRIPT_H

#define OP_ID "5.abc0123456789def.01234567-89ab-cdef-0123-456789abcdef"
#define RES "publish $dps/registrations/res/"
#define CONNECTED "accept\ntls\nexpect CONNECT\n"
#define SUBSCRIBED CONNECTED "connack 0\nexpect SUBSCRIBE\nsuback 0\n"
#define REGISTERED SUBSCRIBED "expect PUBLISH\npuback\n"
#define ASSIGNING(seconds) RES "202/?$rid=1&retry-after=" seconds " {\"operationId\":\"" OP_ID "\",\"status\":\"assigning\"}\n"
#define ASSIGNED                                                                                                                           \
    RES "200/?$rid=1 {\"operationId\":\"" OP_ID "\",\"status\":\"assigned\",\"registrationState\":{\"registrationId\":\"dev-01\","         \
        "\"assignedHub\":\"sim-hub.azure-devices.net\",\"deviceId\":\"dev-01\",\"status\":\"assigned\"}}\n"
#define ENDED(status)                                                                                                                      \
    RES "200/?$rid=1 {\"operationId\":\"" OP_ID "\",\"status\":\"" status "\",\"registrationState\":{\"registrationId\":\"dev-01\","       \
        "\"status\":\"" status "\"}}\n"
#define ERROR(status_and_query, code)                                                                                                      \
    RES status_and_query " {\"errorCode\":" code ",\"trackingId\":\"0\",\"message\":\"No.\",\"timestampUtc\":\"2026-01-01T00:00:00Z\"}\n"
#define POLL_ASSIGNING "expect PUBLISH\npuback\n" ASSIGNING("1")
#define PROVISIONED(suback)                                                                                                                \
    CONNECTED "connack 0\nexpect SUBSCRIBE\nsuback " suback                                                                                \
              "\nexpect PUBLISH\npuback\n" ASSIGNING("2") "expect PUBLISH\npuback\n" ASSIGNED "expect DISCONNECT\nclose\n"
#define TWIN "publish $iothub/twin/res/200/?$rid=1 {\"desired\":{\"$version\":1},\"reported\":{\"$version\":1}}\n"
#define HUB CONNECTED "connack 0\nexpect SUBSCRIBE\ncork\nsuback 0,0,0,0\n" TWIN "uncork\nsilence\n"

#endif
