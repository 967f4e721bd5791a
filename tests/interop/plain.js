// plain.js STATE SCRATCH ID - mqtt.js 5 as a device: registers, and prints the last body.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const mqtt = require('mqtt');

const [state, scratch, id] = process.argv.slice(2);
const ready = JSON.parse(fs.readFileSync(path.join(state, 'ready.json')));
const client = mqtt.connect(`mqtts://localhost:${ready.dps.split(':').pop()}`, {
  ca: fs.readFileSync(ready.root_ca),
  cert: fs.readFileSync(path.join(scratch, `${id}.pem`)),
  key: fs.readFileSync(path.join(scratch, `${id}.key`)),
  clientId: id,
  username: `${ready.id_scope}/registrations/${id}/api-version=2019-03-31`,
  protocolVersion: 4,
  reconnectPeriod: 0,
});
const fail = (error) => {
  console.log(`error ${error.code}`);
  process.exit(1);
};
client.on('error', fail);
client.on('connect', () => {
  client.subscribe('$dps/registrations/res/#', { qos: 1 }, (error) => {
    if (error) return fail(error);
    client.publish('$dps/registrations/PUT/iotdps-register/?$rid=1', '', { qos: 1 });
  });
});
client.on('message', (topic, payload) => {
  const body = JSON.parse(payload);
  if (topic.startsWith('$dps/registrations/res/202/')) {
    client.publish(`$dps/registrations/GET/iotdps-get-operationstatus/?$rid=2&operationId=${body.operationId}`, '', { qos: 0 });
    return;
  }
  console.log(body.status || body.errorCode);
  client.end();
});
