"""plain.py STATE SCRATCH ID - paho for Python as a device: registers, and prints the last status or error code."""
import json
import os
import sys

import paho.mqtt.client as mqtt

state, scratch, device = sys.argv[1:4]
with open(os.path.join(state, "ready.json"), encoding="ascii") as file:
    ready = json.load(file)


def on_connect(client, _user, _flags, code):
    if code:
        print("connack", code)
        client.disconnect()
    else:
        client.subscribe("$dps/registrations/res/#", 1)


def on_subscribe(client, _user, _mid, granted):
    assert tuple(granted) == (1,), granted
    client.publish("$dps/registrations/PUT/iotdps-register/?$rid=1", None, 1)


def on_message(client, _user, message):
    body = json.loads(message.payload)
    if message.topic.startswith("$dps/registrations/res/202/"):
        client.publish("$dps/registrations/GET/iotdps-get-operationstatus/?$rid=2&operationId=" + body["operationId"], " ", 1)
        return
    print(body.get("status") or body["errorCode"])
    client.disconnect()


client = mqtt.Client(device, clean_session=True)
client.username_pw_set("%s/registrations/%s/api-version=2019-03-31" % (ready["id_scope"], device))
client.tls_set(ready["root_ca"], os.path.join(scratch, device + ".pem"), os.path.join(scratch, device + ".key"))
client.on_connect, client.on_subscribe, client.on_message = on_connect, on_subscribe, on_message
client.connect("localhost", int(ready["dps"].rsplit(":", 1)[1]))
client.loop_forever()
