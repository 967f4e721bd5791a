// service_api.js STATE SCRATCH PART - azure-iot-provisioning-service against the simulator whose state folder is STATE.
'use strict';

const assert = require('node:assert');
const fs = require('node:fs');
const https = require('node:https');
const path = require('node:path');
const { ProvisioningServiceClient } = require('azure-iot-provisioning-service');

const [state, scratch, part] = process.argv.slice(2);
const ready = JSON.parse(fs.readFileSync(path.join(state, 'ready.json')));
const policy = JSON.parse(fs.readFileSync(ready.service_policies))[0];
const agent = new https.Agent({ ca: fs.readFileSync(ready.root_ca), port: Number(ready.service.split(':').pop()) });

function connect(key) {
  const fields = { HostName: 'localhost', SharedAccessKeyName: policy.keyName };
  fields['SharedAccess' + 'Key'] = key;
  const client = ProvisioningServiceClient.fromConnectionString(Object.entries(fields).map(([name, value]) => `${name}=${value}`).join(';'));
  client._restApiClient.setOptions({ http: { agent } });
  return client;
}

const client = connect(policy.primaryKey);
const pem = (name) => fs.readFileSync(path.join(scratch, `${name}.pem`), 'utf8');
const byCertificate = (registrationId, name) => ({
  registrationId,
  attestation: { type: 'x509', x509: { clientCertificates: { primary: { certificate: pem(name) } } } },
  provisioningStatus: 'enabled',
});
const byKey = (registrationId) => ({ registrationId, attestation: { type: 'symmetricKey' }, provisioningStatus: 'enabled' });
const result = async (promise) => (await promise).responseBody;

// The promise of a bulk operation never settles in this package: it is awaited by its callback.
const bulk = (operation) =>
  new Promise((resolve, reject) => client.runBulkEnrollmentOperation(operation, (error, body) => (error ? reject(error) : resolve(body))));

// So does a query forget its continuation in promise style.
const nextPage = (query) => new Promise((resolve, reject) => query.next((error, items) => (error ? reject(error) : resolve(items))));

async function allPages(query) {
  const pages = [];
  do {
    pages.push(await nextPage(query));
  } while (query.hasMoreResults);
  return pages;
}

async function operations() {
  // Individual enrollments.
  const made = await result(client.createOrUpdateIndividualEnrollment(byCertificate('dev-01', 'dev-01')));
  assert.strictEqual(made.registrationId, 'dev-01');
  const shown = await result(client.getIndividualEnrollment('dev-01'));
  assert.deepStrictEqual(shown, made);
  assert.strictEqual(shown.attestation.x509.clientCertificates.primary.info.subjectName, 'CN=dev-01');
  shown.provisioningStatus = 'disabled';
  const changed = await result(client.createOrUpdateIndividualEnrollment(shown));
  assert.strictEqual(changed.provisioningStatus, 'disabled');
  assert.notStrictEqual(changed.etag, made.etag);
  changed.provisioningStatus = 'enabled';
  await client.createOrUpdateIndividualEnrollment(changed);
  const mechanism = await result(client.getIndividualEnrollmentAttestationMechanism('dev-01'));
  assert.strictEqual(mechanism.type, 'x509');

  // Symmetric keys: made by the service, shown by the mechanism alone.
  await client.createOrUpdateIndividualEnrollment({ registrationId: 'sas:1', attestation: { type: 'symmetricKey' } });
  assert.strictEqual((await result(client.getIndividualEnrollment('sas:1'))).attestation.symmetricKey.primaryKey, null);
  const keys = (await result(client.getIndividualEnrollmentAttestationMechanism('sas:1'))).symmetricKey;
  assert.strictEqual(Buffer.from(keys.primaryKey, 'base64').length, 64);

  // Groups.
  const group = await result(
    client.createOrUpdateEnrollmentGroup({
      enrollmentGroupId: 'group-1',
      attestation: { type: 'x509', x509: { signingCertificates: { primary: { certificate: pem('root') } } } },
    }),
  );
  assert.deepStrictEqual(await result(client.getEnrollmentGroup('group-1')), group);
  assert.strictEqual((await result(client.getEnrollmentGroupAttestationMechanism('group-1'))).type, 'x509');
  await client.createOrUpdateEnrollmentGroup({ enrollmentGroupId: 'group-2', attestation: { type: 'symmetricKey' } });

  // Bulk, then pages.
  const enrollments = [byCertificate('bulk-1', 'dev-02'), byKey('bulk-2'), byKey('bulk-3')];
  assert.deepStrictEqual(await bulk({ mode: 'create', enrollments }), { isSuccessful: true, errors: [] });
  const failed = await bulk({ mode: 'create', enrollments });
  assert.strictEqual(failed.isSuccessful, false);
  assert.deepStrictEqual(failed.errors.map((error) => error.registrationId), ['bulk-1', 'bulk-2', 'bulk-3']);
  assert.strictEqual((await bulk({ mode: 'update', enrollments })).isSuccessful, true);
  const pages = await allPages(client.createIndividualEnrollmentQuery({ query: '*' }, 2));
  assert.deepStrictEqual(pages.map((page) => page.map((item) => item.registrationId)), [['bulk-1', 'bulk-2'], ['bulk-3', 'dev-01'], ['sas:1']]);
  const groups = await allPages(client.createEnrollmentGroupQuery({ query: '*' }, 1));
  assert.deepStrictEqual(groups.flat().map((item) => item.enrollmentGroupId), ['group-1', 'group-2']);
  assert.strictEqual((await bulk({ mode: 'delete', enrollments })).isSuccessful, true);

  // The two ways to delete: by id, and by an object with its etag.
  await client.deleteIndividualEnrollment('sas:1');
  await client.deleteEnrollmentGroup(await result(client.getEnrollmentGroup('group-2')));
  await assert.rejects(client.getEnrollmentGroup('group-2'), { message: /Not found/i });
}

async function registrations() {
  const record = await result(client.getDeviceRegistrationState('dev-01'));
  assert.strictEqual(record.status, 'assigned');
  assert.strictEqual(record.deviceId, 'dev-01');
  assert.strictEqual((await result(client.getIndividualEnrollment('dev-01'))).registrationState.assignedHub, record.assignedHub);
  assert.deepStrictEqual(await allPages(client.createEnrollmentGroupDeviceRegistrationStateQuery({ query: '*' }, 'group-1', 10)), [[]]);
  await assert.rejects(client.deleteDeviceRegistrationState({ ...record, etag: 'stale' }), { name: 'InvalidEtagError' });
  await client.deleteDeviceRegistrationState(record);
  await assert.rejects(client.getDeviceRegistrationState('dev-01'), { message: /Not found/i });
}

// By the body as by the name: it is Azure's.
async function fails(promise, name, errorCode) {
  await assert.rejects(promise, (error) => {
    assert.strictEqual(error.name, name, `${error.name}: ${error.message}`);
    const body = typeof error.responseBody === 'string' ? JSON.parse(error.responseBody) : error.responseBody;
    assert.strictEqual(body.errorCode, errorCode);
    assert.match(body.trackingId, /^[0-9a-f-]{36}$/);
    return true;
  });
}

async function errors() {
  const good = byCertificate('dev-01', 'dev-01');
  await fails(client.createOrUpdateIndividualEnrollment({ ...good, attestation: { type: 'x509' } }), 'ArgumentError', 400000);
  await fails(client.createOrUpdateIndividualEnrollment({ ...good, registrationId: 'dev/01' }), 'ArgumentError', 400004);
  await fails(connect(Buffer.alloc(64).toString('base64')).getIndividualEnrollment('dev-01'), 'UnauthorizedError', 401000);
  await fails(client.getIndividualEnrollment('nobody'), 'Error', 404201);
  await fails(client.getEnrollmentGroup('nobody'), 'Error', 404202);
  await fails(client.createOrUpdateIndividualEnrollment({ ...good, registrationId: 'second' }), 'DeviceAlreadyExistsError', 409201);
  await fails(client.createOrUpdateIndividualEnrollment(byKey('broken')), 'DeviceAlreadyExistsError', 409201);
  await fails(client.createOrUpdateIndividualEnrollment({ ...good, etag: 'stale' }), 'InvalidEtagError', 412000);
  await fails(client.deleteIndividualEnrollment('dev-01', 'stale'), 'InvalidEtagError', 412000);
  fs.rmSync(path.join(state, 'enrollmentGroups'), { recursive: true });
  await fails(
    client.createOrUpdateEnrollmentGroup({ enrollmentGroupId: 'group-3', attestation: { type: 'symmetricKey' } }),
    'InternalServerError',
    500000,
  );
}

const parts = { operations, registrations, errors };
// A promise that nobody settles would end the process quietly, with 0: the caller looks for the last line.
parts[part]().then(
  () => process.stdout.write(`${part}: done\n`),
  (error) => {
    process.stderr.write(`${error.stack}\n`);
    process.exitCode = 1;
  },
);
