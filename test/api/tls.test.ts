/** Mutual TLS from end to end: who gets in, who does not, what each is told. */
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { connect as connectTcp, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { Status } from '../../src/api/errors.js';
import { formatCaller } from '../../src/api/server.js';
import { Authority } from '../../src/identity/authority.js';
import { type Credentials } from '../../src/identity/credentials.js';
import { makeLeaf, makeRoot } from '../../src/identity/x509.js';
import { DEPLOYMENT, issue, principal } from '../identity/support.js';
import { failure, gate, temporaryFolder } from './support.js';
import { SERVER, TlsBench } from './tls-support.js';

let bench: TlsBench;

beforeEach(async () => {
  bench = await new TlsBench().begin();
});

afterEach(() => bench.close());

const DAY = 86_400_000;
const LIFE = { notBefore: new Date(Date.now() - DAY), notAfter: new Date(Date.now() + DAY) };

/** What becomes of a bare TLS or TCP connection: whether one byte of HTTP/2 came back. */
async function spoken(socket: Socket | TLSSocket): Promise<boolean> {
  const answered = gate<boolean>();
  socket.on('error', () => undefined);
  socket.once('data', () => answered.open(true));
  socket.once('close', () => answered.open(false));
  socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0');
  const result = await answered.promise;
  socket.destroy();
  return result;
}

function dial(address: string, options: ConnectionOptions): TLSSocket {
  const [host, port] = address.split(':');
  return connectTls({
    host,
    port: Number(port),
    ALPNProtocols: ['h2'],
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined,
    ...options,
  });
}

/** The files of a directory, as TLS takes them. */
function shown(directory: string): ConnectionOptions {
  return {
    cert: readFileSync(join(directory, 'certificate.pem')),
    key: readFileSync(join(directory, 'key.pem')),
  };
}

test('both ends know each other, for all kinds of calls', async () => {
  const seen: string[] = [];
  const server = await bench.serve({
    getMachine: (_, call) => {
      seen.push(formatCaller(call.principal));
      return { name: 'P' };
    },
    watch: async function* (_, call) {
      seen.push(formatCaller(call.principal));
      yield { name: 'a' };
      yield { name: 'b' };
    },
    apply: async (requests, call) => {
      seen.push(formatCaller(call.principal));
      let created = 0;
      for await (const _ of requests) created++;
      return { created };
    },
  });
  expect(server.address).toMatch(/^127\.0\.0\.1:\d+$/);
  const client = bench.client(server, await bench.credentials('infrastructure/acme'));
  await client.ready(10_000);
  expect((await client.getMachine({})).name).toBe('P');
  const names: string[] = [];
  for await (const event of client.watch({})) names.push(event.name);
  expect(names).toEqual(['a', 'b']);
  expect((await client.apply([{ begin: {} }, { commit: {} }])).created).toBe(2);
  expect(seen).toEqual(Array.from({ length: 3 }, () => `spiffe://${DEPLOYMENT}/infrastructure/acme`));
});

test('an unknown client is told apart in the log by where it came from', async () => {
  const server = await bench.serve({});
  const socket = dial(server.address, {});
  socket.on('error', () => undefined);
  await new Promise((done) => socket.once('close', done).resume());
  expect(bench.lines.join('\n')).toMatch(/warn tls no connection peer=127\.0\.0\.1:\d+ reason=\w+/);
});

test('the address says nothing: a name in place of it will do', async () => {
  const server = await bench.serve({ getMachine: () => ({ name: 'P' }) });
  const credentials = await bench.credentials('operator/alice');
  const client = bench.client({ address: server.address.replace('127.0.0.1', 'localhost') }, credentials);
  expect((await client.getMachine({})).name).toBe('P');
});

describe('who is not let in', () => {
  let calls = 0;
  let address = '';

  beforeEach(async () => {
    calls = 0;
    const server = await bench.serve({
      getMachine: () => {
        calls++;
        return {};
      },
    });
    ({ address } = server);
  });

  afterEach(async () => {
    expect(calls).toBe(0);
    // and it goes on for those who are
    const client = bench.client({ address }, await bench.credentials('service/alive'));
    await client.getMachine({});
    expect(calls).toBe(1);
  });

  test('no certificate, plain text, an older TLS, another protocol', async () => {
    const directory = await bench.issue('operator/alice');
    expect(await spoken(dial(address, shown(directory)))).toBe(true);
    expect(await spoken(dial(address, {}))).toBe(false);
    const [host, port] = address.split(':');
    expect(await spoken(connectTcp(Number(port), host))).toBe(false);
    expect(await spoken(dial(address, { ...shown(directory), maxVersion: 'TLSv1.2' }))).toBe(false);
    expect(await spoken(dial(address, { ...shown(directory), ALPNProtocols: ['http/1.1'] }))).toBe(false);
    const mute: ConnectionOptions = { ...shown(directory) };
    const [h, p] = address.split(':');
    expect(await spoken(connectTls({ ...mute, host: h, port: Number(p), rejectUnauthorized: false }))).toBe(
      false,
    );
  });

  test('a certificate that has expired, and one whose time has not come', async () => {
    const old = await bench.issue('operator/alice', { at: new Date(Date.now() - 100 * DAY) });
    const early = await bench.issue('operator/bob', { at: new Date(Date.now() + 10 * DAY) });
    expect(await spoken(dial(address, shown(old)))).toBe(false);
    expect(await spoken(dial(address, shown(early)))).toBe(false);
    expect(bench.lines.join('\n')).toMatch(/no connection.*CERT_HAS_EXPIRED/);
    expect(bench.lines.join('\n')).toMatch(/no connection.*CERT_NOT_YET_VALID/);
    // one's own client says so before anybody is called
    expect(await failure(bench.open(old))).toMatchObject({ name: 'IdentityError', code: 'EXPIRED' });
    expect(await failure(bench.open(early))).toMatchObject({ name: 'IdentityError', code: 'NOT_YET_VALID' });
  });

  test('another authority of the same name, another deployment, a self-signed one', async () => {
    const twin = await Authority.init(bench.path('twin'), DEPLOYMENT);
    const other = await Authority.init(bench.path('other'), 'other.net');
    for (const authority of [twin, other]) {
      const into = bench.path(`${authority.deployment}-acme`);
      const directory = await issue(authority, 'infrastructure/acme', { into });
      expect(await spoken(dial(address, shown(directory)))).toBe(false);
      const client = bench.client({ address }, await bench.open(directory));
      expect(await failure(client.getMachine({}))).toMatchObject({
        status: Status.UNAVAILABLE,
        reason: 'CERTIFICATE_UNTRUSTED',
        operation: 'GetMachine',
      });
    }
    const { certificate, key } = await makeRoot('x', `spiffe://${DEPLOYMENT}/infrastructure/acme`, LIFE);
    expect(await spoken(dial(address, { cert: certificate, key }))).toBe(false);
  });

  test('a server of another authority is not called', async () => {
    const twin = await Authority.init(bench.path('twin'), DEPLOYMENT);
    const theirs = await bench.open(await issue(twin, 'agent/acme/P', { into: bench.path('twin-P') }));
    const impostor = await bench.serve({ getMachine: () => ({ name: 'impostor' }) }, () => undefined, theirs);
    const client = bench.client(impostor, await bench.credentials('infrastructure/acme'));
    expect(await failure(client.getMachine({}))).toMatchObject({ reason: 'CERTIFICATE_UNTRUSTED' });
    expect(await failure(client.ready(500))).toMatchObject({ status: Status.UNAVAILABLE });
  });

  test.each([
    ['nothing', []],
    ['two', [`spiffe://${DEPLOYMENT}/infrastructure/acme`, `spiffe://${DEPLOYMENT}/operator/alice`]],
    ['twice the same', [`spiffe://${DEPLOYMENT}/operator/alice`, `spiffe://${DEPLOYMENT}/operator/alice`]],
    ['another deployment', ['spiffe://other.net/infrastructure/acme']],
    ['no role', [`spiffe://${DEPLOYMENT}/acme`]],
    ['a role of nobody', [`spiffe://${DEPLOYMENT}/local`, `spiffe://${DEPLOYMENT}/local/root`]],
    ['the deployment itself', [`spiffe://${DEPLOYMENT}`]],
    ['no SPIFFE ID', ['https://example.net/infrastructure/acme']],
    ['an escaped name', [`spiffe://${DEPLOYMENT}/infrastructure/%61cme`]],
    ['a name with a comma', [`spiffe://${DEPLOYMENT}/infrastructure/acme, URI:spiffe://x`]],
    ['a dotted path', [`spiffe://${DEPLOYMENT}/service/../infrastructure/acme`]],
    ['capitals', [`spiffe://${DEPLOYMENT}/infrastructure/ACME`]],
  ])('a certificate of our own authority that names %s', async (_, uris) => {
    const { issuing } = bench.authority.status();
    const signer = {
      certificate: issuing.certificate,
      key: readFileSync(bench.path('ca', `${issuing.id}.key`), 'utf8'),
    };
    const names = uris.map((value) => ({ type: 'url' as const, value }));
    const { certificate, key } = await makeLeaf(names, LIFE, signer);
    expect(await spoken(dial(address, { cert: certificate, key }))).toBe(false);
    expect(bench.lines.join('\n')).toMatch(/no connection.*reason=(NO_IDENTITY|FOREIGN)/);
  });

  test('a name of a host beside the SPIFFE ID', async () => {
    const { issuing } = bench.authority.status();
    const signer = {
      certificate: issuing.certificate,
      key: readFileSync(bench.path('ca', `${issuing.id}.key`), 'utf8'),
    };
    const names = [
      { type: 'url' as const, value: `spiffe://${DEPLOYMENT}/infrastructure/acme` },
      { type: 'dns' as const, value: 'localhost' },
    ];
    const { certificate, key } = await makeLeaf(names, LIFE, signer);
    expect(await spoken(dial(address, { cert: certificate, key }))).toBe(false);
  });

  test('somebody who signs certificates with a leaf', async () => {
    const directory = await bench.issue('operator/alice');
    const signer = {
      certificate: readFileSync(join(directory, 'certificate.pem'), 'utf8'),
      key: readFileSync(join(directory, 'key.pem'), 'utf8'),
    };
    const names = [{ type: 'url' as const, value: `spiffe://${DEPLOYMENT}/infrastructure/acme` }];
    const { certificate, key } = await makeLeaf(names, LIFE, signer);
    expect(await spoken(dial(address, { cert: certificate + signer.certificate, key }))).toBe(false);
  });

  test('somebody with another one’s certificate and no key to it', async () => {
    const directory = await bench.issue('operator/alice');
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const key = privateKey.export({ type: 'pkcs8', format: 'pem' });
    expect(() => dial(address, { ...shown(directory), key })).toThrow(/mismatch/);
  });
});

describe('whom a client takes for the server', () => {
  let credentials: Credentials;

  beforeEach(async () => {
    credentials = await bench.credentials('infrastructure/acme');
  });

  test('nobody but the one expected', async () => {
    const server = await bench.serve({ getMachine: () => ({ name: 'P' }) });
    for (const other of ['agent/acme/Q', 'agent/evil/P', 'infrastructure/acme']) {
      const client = bench.client(server, credentials, principal(other));
      const error = await failure(client.getMachine({}));
      expect(error).toMatchObject({
        status: Status.UNAVAILABLE,
        reason: 'WRONG_PEER',
        operation: 'GetMachine',
      });
      expect((error as Error).message).toContain('agent/acme/P');
    }
  });

  test('or whoever a rule holds for', async () => {
    const server = await bench.serve({ getMachine: () => ({ name: 'P' }) });
    const agents = bench.client(server, credentials, ({ role }) => role === 'agent');
    expect((await agents.getMachine({})).name).toBe('P');
    const services = bench.client(server, credentials, ({ role }) => role === 'service');
    expect(await failure(services.getMachine({}))).toMatchObject({ reason: 'WRONG_PEER' });
  });

  test('not one that has expired, or was revoked', async () => {
    const old = await bench.issue('agent/acme/P');
    const theirs = await bench.open(old);
    const server = await bench.serve({ getMachine: () => ({}) }, () => undefined, theirs);
    await bench.authority.revoke('agent/acme/P');
    bench.copyTrust(credentials.directory);
    await credentials.reload();
    const client = bench.client(server, credentials);
    expect(await failure(client.getMachine({}))).toMatchObject({ reason: 'CERTIFICATE_REVOKED' });
  });

  test('nobody who speaks something else, or is not there', async () => {
    const server = await bench.serve({});
    const unheard = bench.client({ address: '127.0.0.1:1' }, credentials);
    expect(await failure(unheard.getMachine({}))).toMatchObject({ reason: 'UNREACHABLE' });
    const session = connectHttp2(`http://${server.address}`);
    session.on('error', () => undefined);
    session.destroy();
    for (const address of [
      '',
      ':1',
      '127.0.0.1',
      '127.0.0.1:0',
      '127.0.0.1:70000',
      'a b:1',
      '[::1',
      '::1:1',
      '256.1.1.1:1',
    ]) {
      expect(() => bench.client({ address }, credentials)).toThrow(
        expect.objectContaining({ reason: 'ADDRESS', field: 'address' }) as Error,
      );
    }
  });
});

describe('revoked while connected', () => {
  test('its calls and its connection end when the list arrives', async () => {
    const begun = gate();
    const server = bench.credentials('agent/acme/P');
    const ended = gate<unknown>();
    const serving = await bench.serve(
      {
        getMachine: () => ({}),
        watch: async function* (_, call) {
          begun.open();
          yield { name: 'first' };
          await new Promise((done) => call.signal.addEventListener('abort', done));
          ended.open(call.signal.reason);
        },
      },
      () => undefined,
      await server,
    );
    const client = bench.client(serving, await bench.credentials('infrastructure/acme'));
    const watching = failure(client.watch({}));
    await begun.promise;
    await bench.authority.revoke('infrastructure/acme');
    bench.copyTrust((await server).directory);
    await (await server).reload();
    expect(await watching).toMatchObject({ status: Status.UNAVAILABLE });
    expect(await ended.promise).toMatchObject({ status: Status.CANCELLED });
    expect(await failure(client.getMachine({}))).toMatchObject({ status: Status.UNAVAILABLE });
    expect(bench.lines.join('\n')).toMatch(/no connection.*reason=REVOKED/);
  });

  test('a client that knows it of itself says so', async () => {
    const server = await bench.serve({ getMachine: () => ({}) });
    const theirs = bench.path('agent-acme-P');
    const credentials = await bench.credentials('infrastructure/acme');
    await bench.authority.revoke('infrastructure/acme');
    for (const directory of [theirs, credentials.directory]) bench.copyTrust(directory);
    await credentials.reload();
    expect(credentials.flaw).toMatchObject({ code: 'REVOKED' });
    // the server has not read the list: what it believes counts
    const client = bench.client(server, credentials);
    await client.getMachine({});
  });
});

test('a server that refuses a certificate leaves a client with a hint, and the log with the reason', async () => {
  const theirs = await bench.credentials('agent/acme/P');
  const server = await bench.serve({ getMachine: () => ({}) }, () => undefined, theirs);
  const credentials = await bench.credentials('infrastructure/acme');
  await bench.authority.revoke('infrastructure/acme');
  bench.copyTrust(theirs.directory);
  await theirs.reload();
  const client = bench.client(server, credentials);
  const error = await failure(client.getMachine({}));
  expect(error).toMatchObject({ status: Status.UNAVAILABLE, reason: 'HUNG_UP', operation: 'GetMachine' });
  expect(bench.lines.join('\n')).toMatch(/no connection.*reason=REVOKED/);
});

test('a listener that cannot be had, and an address that is none', async () => {
  const credentials = await bench.credentials('agent/acme/P');
  const server = await bench.serve({}, () => undefined, credentials);
  const { startServer } = await import('../../src/api/server.js');
  const { silentLogger } = await import('../../src/api/log.js');
  const start = (address: string): Promise<unknown> =>
    failure(startServer({ tls: { address, credentials }, services: [], log: silentLogger }));
  expect(await start(server.address)).toMatchObject({ reason: 'LISTEN', field: 'listen' });
  expect(await start('192.0.2.1:7443')).toMatchObject({ reason: 'LISTEN' });
  for (const address of ['localhost:1', '', '0.0.0.0', ':::1']) {
    expect(await start(address)).toMatchObject({ reason: 'ADDRESS', field: 'listen' });
  }
});

test('without rules of its own a server answers nobody over TCP', async () => {
  const { startServer, implement } = await import('../../src/api/server.js');
  const { silentLogger } = await import('../../src/api/log.js');
  const { NodeService } = await import('../../src/api/node.js');
  const { handlers } = await import('./support.js');
  const folder = temporaryFolder();
  const server = await startServer({
    tls: { address: '127.0.0.1:0', credentials: await bench.credentials('agent/acme/P') },
    socketPath: join(folder.path, 's'),
    services: [implement(NodeService, handlers({ getMachine: () => ({}) }))],
    log: silentLogger,
  });
  try {
    const client = bench.client(server, await bench.credentials('infrastructure/acme'), SERVER);
    expect(await failure(client.getMachine({}))).toMatchObject({
      status: Status.PERMISSION_DENIED,
      reason: 'NOT_LOCAL',
      operation: 'GetMachine',
    });
  } finally {
    await server.stop(100);
    folder.remove();
  }
});

test('what a directory of credentials must be', async () => {
  const directory = await bench.issue('operator/alice');
  for (const [name, code] of [
    ['certificate.pem', 'NOT_FOUND'],
    ['key.pem', 'NOT_FOUND'],
    ['authorities.pem', 'NOT_FOUND'],
  ] as const) {
    const text = readFileSync(join(directory, name));
    rmSync(join(directory, name));
    expect(await failure(bench.open(directory))).toMatchObject({ code, field: join(directory, name) });
    writeFileSync(join(directory, name), text.subarray(0, text.length / 2), { mode: 0o600 });
    expect(await failure(bench.open(directory))).toMatchObject({ code: 'CORRUPT' });
    writeFileSync(join(directory, name), text);
  }
  rmSync(join(directory, 'revoked.pem'));
  expect((await bench.open(directory)).flaw).toBeUndefined();
});
