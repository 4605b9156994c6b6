/** Certificates, authorities and lists that change under a server and a client at work. */
import { chmodSync, cpSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { type Client } from '../../src/api/client.js';
import { type ApiServer } from '../../src/api/server.js';
import { Credentials } from '../../src/identity/credentials.js';
import { failure, gate, type Service } from './support.js';
import { SERVER, TlsBench } from './tls-support.js';

let bench: TlsBench;
let theirs: Credentials;
let ours: Credentials;
let server: ApiServer;
let client: Client<Service>;

beforeEach(async () => {
  bench = await new TlsBench().begin();
  theirs = await bench.credentials('agent/acme/P');
  ours = await bench.credentials('infrastructure/acme');
  server = await bench.serve(
    {
      getMachine: async (_, call) => {
        // long enough for calls to be under way at every step
        await new Promise((done) => setImmediate(done));
        call.signal.throwIfAborted();
        return { name: 'P' };
      },
      watch: async function* () {
        for (let i = 0; i < 20; i++) {
          yield { name: `${i}` };
          await new Promise((done) => setImmediate(done));
        }
      },
    },
    () => undefined,
    theirs,
  );
  client = bench.client(server, ours);
});

afterEach(() => bench.close());

/** Calls without a pause, several at once, until told; gives how many there were. Any failure is its failure. */
function callAlong(): () => Promise<number> {
  let going = true;
  let calls = 0;
  const unary = async (): Promise<void> => {
    while (going) {
      expect((await client.getMachine({})).name).toBe('P');
      calls++;
    }
  };
  const stream = async (): Promise<void> => {
    while (going) {
      let seen = 0;
      for await (const _ of client.watch({})) seen++;
      expect(seen).toBe(20);
      calls++;
    }
  };
  const work = Promise.all([unary(), unary(), unary(), stream(), stream()]);
  work.catch(() => undefined);
  return async () => {
    going = false;
    await work;
    return calls;
  };
}

/** As long as it takes for calls to have been made with what is there now. */
async function someCalls(): Promise<void> {
  for (let i = 0; i < 5; i++) await client.getMachine({});
}

test('a rotation, step by step, without a call that fails', async () => {
  const stop = callAlong();
  const both = [theirs, ours];
  const serials = new Set<string>();
  await someCalls();

  await bench.authority.beginRotation();
  for (const one of both) {
    bench.copyTrust(one.directory);
    await one.reload();
    await someCalls();
  }
  await bench.authority.switchRotation();
  for (const one of both) {
    await bench.authority.issue(one.principal, one.directory);
    await one.reload();
    serials.add(one.tls.cert);
    await someCalls();
  }
  await bench.authority.finishRotation();
  for (const one of both) {
    bench.copyTrust(one.directory);
    await one.reload();
    expect(one.tls.ca).toHaveLength(1);
    expect(one.flaw).toBeUndefined();
    await someCalls();
  }
  expect(await stop()).toBeGreaterThan(20);
  expect(serials.size).toBe(2);
});

test('the order of the two ends does not matter', async () => {
  const stop = callAlong();
  for (const step of ['beginRotation', 'switchRotation', 'finishRotation'] as const) {
    await bench.authority[step]();
    for (const one of [ours, theirs]) {
      if (step === 'switchRotation') await bench.authority.issue(one.principal, one.directory);
      else bench.copyTrust(one.directory);
      await one.reload();
      await someCalls();
    }
  }
  await stop();
});

test('after the last step whoever was left behind is not let in, nor called', async () => {
  const late = await bench.credentials('operator/late');
  const lateClient = bench.client(server, late);
  await lateClient.getMachine({});
  await bench.authority.beginRotation();
  bench.copyTrust(theirs.directory);
  await theirs.reload();
  await lateClient.getMachine({});
  await bench.authority.switchRotation();
  await bench.authority.issue(theirs.principal, theirs.directory);
  await theirs.reload();
  await bench.authority.finishRotation(true);
  bench.copyTrust(theirs.directory);
  await theirs.reload();
  expect(await failure(lateClient.getMachine({}))).toMatchObject({
    reason: expect.stringMatching(/UNAVAILABLE|UNTRUSTED/) as string,
  });
  expect(await failure(lateClient.getMachine({}))).toMatchObject({ reason: 'CERTIFICATE_UNTRUSTED' });
});

test('a stream from before the renewal lives until the last step, and can be begun again', async () => {
  const begun = gate();
  const quiet = await bench.serve(
    {
      watch: async function* (_, call) {
        yield { name: 'first' };
        await new Promise((done) => call.signal.addEventListener('abort', done));
      },
    },
    () => undefined,
    theirs,
  );
  const watcher = bench.client(quiet, ours);
  let ended = false;
  const first = async (): Promise<void> => {
    for await (const _ of watcher.watch({})) begun.open();
  };
  const watching = failure(first()).finally(() => (ended = true));
  await begun.promise;
  for (const step of ['beginRotation', 'switchRotation', 'finishRotation'] as const) {
    expect(ended).toBe(false);
    await bench.authority[step]();
    for (const one of [ours, theirs]) {
      if (step === 'switchRotation') await bench.authority.issue(one.principal, one.directory);
      else bench.copyTrust(one.directory);
      await one.reload();
    }
  }
  expect(await watching).toMatchObject({ reason: 'UNAVAILABLE', operation: 'Watch' });
  for await (const event of watcher.watch({})) {
    expect(event.name).toBe('first');
    break;
  }
});

test('a renewed certificate is shown without a new start', async () => {
  await client.getMachine({});
  const before = theirs.tls.cert;
  const changed = gate();
  theirs.onChange(() => changed.open());
  await bench.issue('agent/acme/P');
  await theirs.reload();
  await changed.promise;
  expect(theirs.tls.cert).not.toBe(before);
  const stop = callAlong();
  await someCalls();
  await stop();
});

test('files that change are noticed by themselves', async () => {
  const directory = await bench.issue('operator/alice');
  const watching = await Credentials.open(directory);
  try {
    const before = watching.tls.cert;
    const changed = gate();
    watching.onChange(() => {
      if (watching.tls.cert !== before) changed.open();
    });
    await bench.issue('operator/alice');
    await changed.promise;
    expect(watching.flaw).toBeUndefined();
  } finally {
    watching.close();
  }
});

test('what is broken is told once, and the old goes on', async () => {
  const problems: string[] = [];
  const directory = await bench.issue('operator/alice');
  const credentials = await Credentials.open(directory, {
    watch: false,
    onProblem: (problem) => problems.push((problem as Error & { code: string }).code),
  });
  try {
    const before = credentials.tls;
    const file = (name: string): string => join(directory, name);
    const good = new Map(
      ['certificate.pem', 'key.pem', 'authorities.pem', 'revoked.pem'].map((name) => [
        name,
        readFileSync(file(name)),
      ]),
    );
    for (const [name, text] of good) {
      truncateSync(file(name), 60);
      await credentials.reload();
      await credentials.reload();
      expect(credentials.tls).toEqual(before);
      expect(credentials.flaw).toBeUndefined();
      expect(problems.splice(0)).toEqual(['CORRUPT']);
      writeFileSync(file(name), text);
      await credentials.reload();
      expect(problems.splice(0)).toEqual([]);
    }
    // somebody else's key; somebody else's pair
    const other = await bench.issue('operator/bob');
    cpSync(join(other, 'key.pem'), file('key.pem'));
    await credentials.reload();
    expect(problems.splice(0)).toEqual(['KEY_MISMATCH']);
    cpSync(join(other, 'certificate.pem'), file('certificate.pem'));
    await credentials.reload();
    expect(problems.splice(0)).toEqual(['WRONG_PEER']);
    expect(credentials.tls).toEqual(before);
    chmodSync(file('key.pem'), 0o644);
    await credentials.reload();
    expect(problems.splice(0)).toEqual(['INSECURE']);
    expect(credentials.tls).toEqual(before);
  } finally {
    credentials.close();
  }
});

test('a list that disappears, or breaks, takes no revocation back', async () => {
  await client.getMachine({});
  await bench.authority.revoke('infrastructure/acme');
  bench.copyTrust(theirs.directory);
  await theirs.reload();
  for (const spoil of [
    () => rmSync(join(theirs.directory, 'revoked.pem')),
    () => writeFileSync(join(theirs.directory, 'revoked.pem'), 'noise'),
  ]) {
    spoil();
    await theirs.reload();
    expect(await failure(client.getMachine({}))).toMatchObject({
      reason: expect.stringMatching(/UNAVAILABLE|HUNG_UP/) as string,
    });
  }
});

test('a broken certificate holds up no revocation', async () => {
  await client.getMachine({});
  await bench.authority.revoke('infrastructure/acme');
  bench.copyTrust(theirs.directory);
  truncateSync(join(theirs.directory, 'certificate.pem'), 10);
  await theirs.reload();
  expect(await failure(client.getMachine({}))).toMatchObject({
    reason: expect.stringMatching(/UNAVAILABLE|HUNG_UP/) as string,
  });
  const other = bench.client(server, await bench.credentials('operator/alice'), SERVER);
  expect((await other.getMachine({})).name).toBe('P');
});
