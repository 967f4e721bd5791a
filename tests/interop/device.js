// device.js STATE SCRATCH PART - Microsoft's device clients against the simulator whose state folder is STATE: registration (DPS), then the hub.
'use strict';

const assert = require('node:assert');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { ProvisioningDeviceClient } = require('azure-iot-provisioning-device');
const { Mqtt } = require('azure-iot-provisioning-device-mqtt');
const { X509Security } = require('azure-iot-security-x509');
const { SymmetricKeySecurityClient } = require('azure-iot-security-symmetric-key');
const { Client, Message } = require('azure-iot-device');
const { Mqtt: HubMqtt } = require('azure-iot-device-mqtt');

const [state, scratch, part] = process.argv.slice(2);
const ready = JSON.parse(fs.readFileSync(path.join(state, 'ready.json')));
const host = `localhost:${ready.dps.split(':').pop()}`;
const credential = (name) => ({ cert: fs.readFileSync(path.join(scratch, `${name}.pem`), 'utf8'), key: fs.readFileSync(path.join(scratch, `${name}.key`), 'utf8') });
const byCertificate = (id, name) => new X509Security(id, credential(name || id));
const byKey = (id, key) => new SymmetricKeySecurityClient(id, key);

// The client throws some errors where nobody can catch them: from a callback of its connection.
let uncaught = () => {};
process.on('uncaughtException', (error) => uncaught(error));

// {result} or {error}; a client that neither answers nor fails within limit_ms is {silent: true}.
function register(security, payload, limit_ms = 20000) {
  return new Promise((resolve) => {
    const transport = new Mqtt();
    const client = ProvisioningDeviceClient.create(host, ready.id_scope, transport, security);
    if (payload) client.setProvisioningPayload(payload);
    const timer = setTimeout(() => resolve({ silent: true }), limit_ms);
    const end = (outcome) => {
      clearTimeout(timer);
      resolve(outcome);
    };
    uncaught = (error) => end({ error, uncaught: true });
    transport.on('error', (error) => end({ error }));
    client.register((error, result) => end(error ? { error } : { result }));
  });
}

async function assigned(security, payload) {
  const outcome = await register(security, payload);
  assert.ok(outcome.result, `not assigned: ${outcome.silent ? 'silent' : outcome.error && outcome.error.stack}`);
  return outcome.result;
}

async function refused(id, name, more = () => {}) {
  const { error, silent } = await register(byCertificate(id));
  assert.ok(error, `${id}: ${silent ? 'silent' : 'assigned'}`);
  assert.strictEqual(error.name, name, `${id}: ${error.stack}`);
  more(error);
}

const bodyCode = (code) => (error) => assert.strictEqual(error.result.errorCode, code);

async function registers() {
  const first = await assigned(byCertificate('good'));
  assert.strictEqual(first.status, 'assigned');
  assert.strictEqual(first.deviceId, 'good');
  assert.match(first.assignedHub, /\.azure-devices\.net$/);
  await assigned(byCertificate('slow-polls'));
  await assigned(byCertificate('immediate'));
  await assigned(byCertificate('doubled'));
  await assigned(byCertificate('late-puback'));
  await assigned(byCertificate('with-payload'), { modelId: 'dtmi:com:example:Thermostat;1' });
}

async function keys() {
  const individual = fs.readFileSync(path.join(scratch, 'individual.txt'), 'utf8').trim();
  const derived = fs.readFileSync(path.join(scratch, 'derived.txt'), 'utf8').trim();
  assert.strictEqual((await assigned(byKey('key-individual', individual))).deviceId, 'key-individual');
  assert.strictEqual((await assigned(byKey('key-member', derived))).deviceId, 'key-member');
  const { error } = await register(byKey('key-individual', derived));
  assert.strictEqual(error.code, 5, `${error.stack}`);
}

async function refusals() {
  for (const code of [1, 2, 3, 4, 5]) await refused(`connack-${code}`, 'Error', (error) => assert.strictEqual(error.code, code));
  await refused('closed', 'NotConnectedError');
  await refused('stranger', 'UnauthorizedError', bodyCode(401002));
  await refused('reply-400', 'ArgumentError', bodyCode(400000));
  await refused('reply-401', 'UnauthorizedError', bodyCode(401002));
  await refused('reply-403', 'Error', bodyCode(403000));
  await refused('reply-404', 'DeviceNotFoundError', bodyCode(404201));
  await refused('reply-409', 'Error', bodyCode(409203));
  await refused('ends-failed', 'ProvisioningRegistrationFailedError', (error) =>
    assert.strictEqual(error.result.registrationState.errorCode, 400207));
  await refused('switched-off', 'SyntaxError', (error) => assert.strictEqual(error.result.status, 'disabled'));
}

// 429 and above never reach the user: the client asks again, after retry-after, for ever.
async function throttled() {
  await assigned(byCertificate('reply-429'));
  await assigned(byCertificate('reply-500'));
  await assigned(byCertificate('poll-503'));
}

// What this client does with a server that leaves something out: why the simulator never does, unless it is asked to.
async function traps() {
  const quiet = async (id) => assert.ok((await register(byCertificate(id), null, 6000)).silent, `${id} was expected to be silent`);
  const crash = async (id, name) => {
    const { error, uncaught: wasUncaught } = await register(byCertificate(id), null, 6000);
    assert.ok(wasUncaught && error.name === name, `${id}: ${error && error.stack}`);
  };
  await crash('body-text', 'SyntaxError');
  await crash('body-empty', 'SyntaxError');
  await quiet('no-suback');
  await quiet('no-puback');
  await quiet('no-unsuback');
  await quiet('other-rid');
}

async function untrusted() {
  const { error } = await register(byCertificate('good'));
  assert.match(`${error.code}`, /SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_GET_ISSUER_CERT_LOCALLY|UNABLE_TO_VERIFY_LEAF_SIGNATURE/);
}

async function alert() {
  const { error } = await register(byCertificate('expired'));
  assert.match(`${error.code} ${error.message}`, /EPROTO.*alert certificate expired|ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED/);
}

// ---- the hub ----

const dpsbench = (...words) => execFileSync(process.env.DPSBENCH, ['hub', ...words, '--state', state], { encoding: 'utf8', timeout: 20000 });
const soon = (what, promise) =>
  Promise.race([promise, new Promise((_, reject) => setTimeout(() => reject(new Error(`no ${what} within 15 s`)), 15000).unref())]);

async function connect(id, hubName) {
  const client = Client.fromConnectionString(`HostName=${hubName};DeviceId=${id};x509=true`, HubMqtt);
  client.setOptions(credential(id));
  await client.open();
  return client;
}

// Node's spawnSync would stop the client: the other side of a talk runs beside it.
function beside(...words) {
  const { execFile } = require('node:child_process');
  return new Promise((resolve, reject) =>
    execFile(process.env.DPSBENCH, ['hub', ...words, '--state', state], { timeout: 20000 }, (error, stdout) => (error ? reject(error) : resolve(stdout))),
  );
}

async function hub() {
  const id = 'hub-device';
  const { assignedHub } = await assigned(byCertificate(id));
  assert.strictEqual(assignedHub, host);
  const client = await connect(id, assignedHub);
  const message = new Message('{"temperature":21}');
  message.contentType = 'application/json';
  message.contentEncoding = 'utf-8';
  message.properties.add('level', 'a b/c');
  await soon('telemetry', client.sendEvent(message));

  const twin = await soon('twin', client.getTwin());
  assert.ok('$version' in twin.properties.desired);
  await soon('reported', new Promise((resolve, reject) => twin.properties.reported.update({ fan: { speed: 3 } }, (error) => (error ? reject(error) : resolve()))));
  const desired = soon('desired', new Promise((resolve) => twin.on('properties.desired', (delta) => delta.interval === 30 && resolve(delta))));
  await beside('desired', id, '{"interval":30}');
  await desired;

  client.onDeviceMethod('reboot', (request, response) => response.send(202, { in: request.payload.delay }, () => {}));
  // onDeviceMethod subscribes without a word when it is done: the first call may come too early.
  await soon('method', (async () => {
    for (;;) {
      const answer = await beside('invoke', id, 'reboot', '{"delay":2}').catch(() => '');
      if (answer) return assert.match(answer, /202 \{"in":2\}/);
    }
  })());

  const received = soon('message', new Promise((resolve) => client.on('message', (m) => client.complete(m, () => resolve(m)))));
  await beside('send', id, 'hello', '--property', 'k=v 1');
  const got = await received;
  assert.strictEqual(got.getData().toString(), 'hello');
  assert.strictEqual(got.properties.getValue('k'), 'v 1');
  await soon('close', client.close());
}

// A second connection of a device ends the first; a first connection that is refused says so.
async function hubRefusals() {
  const error = await connect('hub-stranger', host).then(
    () => null,
    (e) => e,
  );
  assert.strictEqual(error.name, 'UnauthorizedError');
  dpsbench('update', 'hub-device', '--status', 'disabled');
  const disabled = await connect('hub-device', host).then(
    () => null,
    (e) => e,
  );
  assert.strictEqual(disabled.name, 'UnauthorizedError');
}

const parts = { registers, keys, refusals, throttled, traps, untrusted, alert, hub, 'hub-refusals': hubRefusals };
parts[part]().then(
  () => {
    console.log(`${part}: done`);
    // In traps some clients never end by themselves.
    if (part === 'traps' || part === 'hub-refusals') process.exit(0);
  },
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
