/** What only a cluster can do: be away, come back, elect, depose, refuse strangers, run full. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';

import { openSeat, type Seat } from '../../src/controller/seat.js';
import { EtcdStore } from '../../src/store/etcd.js';
import { EtcdLeader } from '../../src/store/etcd-leader.js';
import type { Leadership } from '../../src/store/leader.js';
import type { Batch, Revision, Store } from '../../src/store/store.js';
import { codeOf, faultOf, listAll, put, said, take, text } from './conformance.js';
import {
  ETCD,
  etcdPlace,
  EtcdServer,
  type EtcdTls,
  eventually,
  needsEtcd,
  startWriter,
  temporaryFolder,
  withClient,
  type Writer,
} from './support.js';

const OWNER = 'connectivity/acme';

/** Until the signal aborts. */
function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

describe.skipIf(!ETCD)(needsEtcd('one etcd'), { timeout: 60_000 }, () => {
  let server: EtcdServer;
  const stores: Store[] = [];
  beforeEach(async () => {
    server = await EtcdServer.start();
  });
  afterEach(async () => {
    for (const store of stores.splice(0)) await store.close();
    await server.dispose();
  });

  async function open(owner = OWNER, timeout = 2000): Promise<EtcdStore> {
    const store = await eventually(() => EtcdStore.open({ hosts: [server.url], owner, timeout }));
    stores.push(store);
    return store;
  }

  test('away and back: errors are UNAVAILABLE, then nothing is lost or repeated', async () => {
    const store = await open();
    const other = await open();
    const start = await store.commit({ changes: [put('n', '0')] });
    let goal = Number.POSITIVE_INFINITY;
    const outages: string[] = [];

    /** Counts up, and after an error looks whether it had been written. */
    const write = async (): Promise<Revision[]> => {
      const revisions = [start];
      for (let n = 1; n <= goal;) {
        const changes = [put('n', String(n)), put(`k${n}`, 'x'.repeat(100))];
        const preconditions = [{ key: 'n', revision: revisions.at(-1)! }];
        const committing = store.commit({ changes, preconditions });
        const fault = await faultOf(committing);
        if (!fault) revisions.push(await committing);
        if (fault) {
          outages.push(fault.code);
          const entry = await eventually(async () => store.get('n'));
          if (text(entry?.value) !== String(n)) continue;
          expect(fault.maybeCommitted).toBe(true);
          revisions.push(entry!.modified);
        }
        n++;
      }
      return revisions;
    };
    const seen: Batch[][] = [[], []];
    const read = async (index: number, from: Store): Promise<void> => {
      for await (const batch of from.watch('', start)) {
        seen[index]!.push(batch);
        if (batch.events.some((event) => event.kind === 'put' && text(event.entry.value) === String(goal)))
          return;
      }
    };
    const reading = Promise.all([read(0, store), read(1, other)]);
    const writing = write();
    for (let outage = 1; outage <= 3; outage++) {
      const before = seen[0]!.length;
      await eventually(async () => expect(seen[0]!.length).toBeGreaterThan(before + 20));
      await server.kill();
      expect(await codeOf(other.get('n'))).toBe('UNAVAILABLE');
      expect(await codeOf(other.list(''))).toBe('UNAVAILABLE');
      await eventually(async () => expect(outages.length).toBeGreaterThanOrEqual(outage));
      server.run();
      await eventually(() => other.get('n'));
    }
    goal = seen[0]!.length + 50;
    const revisions = await writing;
    await reading;
    expect(new Set(outages)).toEqual(new Set(['UNAVAILABLE']));
    for (const batches of seen) {
      expect(batches.map(({ revision }) => revision)).toEqual(revisions.slice(1));
      expect(batches.map((batch) => said(batch)[1])).toEqual(
        revisions.slice(1).map((_, index) => `n=${index + 1} was ${index}`),
      );
    }
  });

  test('a commit to nobody was surely not written', async () => {
    const store = await open();
    await server.kill();
    await faultOf(store.commit({ changes: [put('a')] }));
    // by now the client knows
    const fault = await eventually(async () => {
      const found = await faultOf(store.commit({ changes: [put('a')] }));
      expect(found?.maybeCommitted).toBe(false);
      return found;
    });
    expect(fault?.code).toBe('UNAVAILABLE');
  });

  test('a writer that is killed lost no commit it was answered, and left no half one', async () => {
    const writer = startWriter(
      'etcd.js',
      `const store = await it.EtcdStore.open({ hosts: [process.env.HOST], owner: process.env.OWNER });
       let number = 0;
       async function write() {
         for (;;) {
           const n = number++;
           const changes = Array.from({ length: 200 }, (_, k) => ({ kind: 'put', key: n + '/' + k, value: Buffer.alloc(50, n) }));
           const revision = await store.commit({ changes });
           process.stdout.write(n + ' ' + revision + '\\n');
         }
       }
       await Promise.all(Array.from({ length: 4 }, write));`,
      { HOST: server.url, OWNER },
    );
    const store = await open();
    await writer.said(25);
    writer.child.kill('SIGKILL');
    await writer.ended;
    const there = new Map<string, Revision[]>();
    for (const { key, modified } of (await listAll(store, '', 1000)).entries) {
      const number = key.split('/')[0]!;
      there.set(number, [...(there.get(number) ?? []), modified]);
    }
    for (const [number, revisions] of there) {
      expect([new Set(revisions).size, revisions.length], `commit ${number}`).toEqual([1, 200]);
    }
    for (const line of writer.lines) {
      const [number, revision] = line.split(' ');
      expect(there.get(number!)?.[0]).toBe(Number(revision));
    }
  });

  test('owners see nothing of each other, not even where one name begins another', async () => {
    const names = ['a', 'a/b', 'a/b/c', 'aa'];
    const found = new Map<string, Store>();
    for (const name of names) found.set(name, await open(name));
    for (const [name, store] of found)
      await store.commit({ changes: [put('=/x', name), put('b/=/x', name), put('k', name)] });
    for (const [name, store] of found) {
      const { entries } = await store.list('');
      expect(entries.map(({ key, value }) => [key, text(value)])).toEqual([
        ['=/x', name],
        ['b/=/x', name],
        ['k', name],
      ]);
    }
    for (const owner of ['', '/', 'a/', 'A', 'a=', '../x', 'a'.repeat(101)]) {
      expect(await codeOf(EtcdStore.open({ hosts: [server.url], owner })), owner).toBe('INVALID');
    }
  });

  // ---- election ----

  async function candidate(name: string, ttl = 2): Promise<EtcdLeader> {
    return new EtcdLeader(await open(), { candidate: name, ttl });
  }

  /** A process that leads; on every line it gets it tries a commit and says what came of it. */
  function startLeader(): Writer {
    return startWriter(
      'etcd-leader.js',
      `import { EtcdStore } from ${JSON.stringify(join(import.meta.dirname, '../../dist/src/store/etcd.js'))};
       const store = await EtcdStore.open({ hosts: [process.env.HOST], owner: process.env.OWNER });
       const term = await new it.EtcdLeader(store, { candidate: 'child', ttl: 2 }).campaign();
       process.stdout.write('leads\\n');
       for await (const _ of process.stdin) {
         const outcome = await term.store.commit({ changes: [{ kind: 'put', key: 'by', value: Buffer.from('child') }] })
           .then(() => 'done', (error) => error.code);
         process.stdout.write(outcome + ' ' + term.lost.aborted + '\\n');
       }`,
      { HOST: server.url, OWNER },
    );
  }

  test('a leader that is killed is followed by the next', async () => {
    const child = startLeader();
    await child.said(1);
    child.child.stdin?.write('\n');
    await child.said(2);
    expect(child.lines[1]).toBe('done false');
    const next = await candidate('next');
    expect(await next.current()).toBe('child');
    const electing = next.campaign();
    child.child.kill('SIGKILL');
    const { store } = await electing;
    expect(await next.current()).toBe('next');
    expect(text((await store.get('by'))?.value)).toBe('child');
    await store.commit({ changes: [put('by', 'next')] });
  });

  test('a leader that slept through its lease is refused when it wakes, and nothing of it is written', async () => {
    const child = startLeader();
    await child.said(1);
    child.child.kill('SIGSTOP');
    onTestFinished(() => void child.child.kill('SIGKILL'));
    const { store } = await (await candidate('next')).campaign();
    const revision = await store.commit({ changes: [put('by', 'next')] });
    child.child.stdin?.write('\n');
    child.child.kill('SIGCONT');
    await child.said(2);
    expect(child.lines[1]).toBe('DEPOSED true');
    expect((await store.get('by'))?.modified).toBe(revision);
  });

  test('of several one leads, and each takes over from the one that resigns, at once', async () => {
    const candidates = await Promise.all(['a', 'b', 'c'].map((name) => candidate(name, 30)));
    const terms: Leadership[] = [];
    const electing = candidates.map(async (one) => terms.push(await one.campaign()));
    for (let count = 1; count <= 3; count++) {
      await eventually(async () => expect(terms).toHaveLength(count));
      const term = terms.at(-1)!;
      await term.store.commit({ changes: [put('count', String(count))] });
      for (const old of terms.slice(0, -1)) {
        expect(old.lost.aborted).toBe(true);
        expect(await codeOf(old.store.commit({ changes: [put('count', 'late')] }))).toBe('DEPOSED');
      }
      await term.resign();
      expect(await codeOf(term.store.commit({ changes: [put('count', 'late')] }))).toBe('DEPOSED');
    }
    await Promise.all(electing);
    expect(text((await (await open()).get('count'))?.value)).toBe('3');
  });

  test('one whose key was taken away is told, and its commits are refused before it knows', async () => {
    const store = await open();
    const term = await new EtcdLeader(store, { candidate: 'a', ttl: 30 }).campaign();
    await withClient(server, (client) => client.kv.deleteRange({ key: store.electionKey }));
    // without the local knowledge: the fence alone
    const fault = await faultOf(
      store.commitFenced({ changes: [put('a')] }, { key: store.electionKey, created: 1 }),
    );
    expect(fault?.code).toBe('DEPOSED');
    await aborted(term.lost);
    expect(await store.get('a')).toBeUndefined();
  });

  test('a conflict of the one that leads is a CONFLICT', async () => {
    const { store } = await (await candidate('a')).campaign();
    await store.commit({ changes: [put('a')] });
    const late = store.commit({ changes: [put('a')], preconditions: [{ key: 'a', revision: 0 }] });
    expect((await faultOf(late))?.conflicts).toHaveLength(1);
  });

  test('leads on over an outage shorter than its lease, and counts itself out in a longer one', async () => {
    const lasting = await (await candidate('a', 30)).campaign();
    await server.kill();
    server.run();
    await eventually(() => lasting.store.commit({ changes: [put('a', 'still here')] }));
    expect(lasting.lost.aborted).toBe(false);
    await lasting.resign();
    const short = await (await candidate('b', 2)).campaign();
    await server.kill();
    const begin = performance.now();
    await aborted(short.lost);
    expect(performance.now() - begin).toBeLessThan(4000);
    expect(await codeOf(short.store.commit({ changes: [put('a')] }))).toBe('DEPOSED');
  });

  test('a campaign waits through an outage, and ends with its signal or its store', async () => {
    const first = await (await candidate('first', 30)).campaign();
    const electing = (await candidate('second', 30)).campaign();
    await server.kill();
    server.run();
    await eventually(() => first.resign());
    await (await electing).resign();
    const again = await (await candidate('third', 30)).campaign();
    const controller = new AbortController();
    const given = (await candidate('fourth')).campaign({ signal: controller.signal });
    controller.abort(new Error('enough'));
    await expect(given).rejects.toThrow('enough');
    const store = await open();
    const closed = codeOf(new EtcdLeader(store, { candidate: 'fifth' }).campaign());
    await store.close();
    expect(await closed).toBe('CLOSED');
    expect(again.lost.aborted).toBe(false);
  });
});

describe.skipIf(!ETCD)(needsEtcd('etcd with little room'), { timeout: 60_000 }, () => {
  test('says FULL, writes nothing and is still read', async () => {
    const server = await EtcdServer.start({ arguments: ['--quota-backend-bytes', '4000000'] });
    onTestFinished(() => server.dispose());
    const store = await eventually(() => EtcdStore.open({ hosts: [server.url], owner: OWNER }));
    onTestFinished(() => store.close());
    const value = Buffer.alloc(400_000);
    let count = 0;
    let code: string;
    do code = await codeOf(store.commit({ changes: [{ kind: 'put', key: `k${count++}`, value }] }));
    while (code === 'no error');
    expect(code).toBe('FULL');
    expect((await listAll(store)).entries).toHaveLength(count - 1);
  });
});

describe.skipIf(!ETCD)(needsEtcd('etcd that asks for a password'), { timeout: 60_000 }, () => {
  test('DENIED without it; with it a watch outlives a restart, which forgets who was known', async () => {
    const server = await EtcdServer.start();
    onTestFinished(() => server.dispose());
    const place = etcdPlace(server);
    await (await place.open()).close();
    const auth = { username: 'controller', password: 'secret' };
    await withClient(server, async (client) => {
      const root = client.role('root');
      await root.create();
      const admin = client.user('root');
      await admin.create('admin');
      await admin.addRole('root');
      const role = client.role('acme');
      await role.create();
      await role.grant({
        permission: 'Readwrite',
        range: client.range({ prefix: `cabernet/${place.owner}/` }),
      });
      const user = client.user(auth.username);
      await user.create(auth.password);
      await user.addRole('acme');
      await client.auth.authEnable();
    });
    const hosts = [server.url];
    const store = await EtcdStore.open({ hosts, owner: place.owner, auth });
    onTestFinished(() => store.close());
    const revision = await store.commit({ changes: [put('a')] });
    const watch = store.watch('', revision);
    const next = watch.next();
    expect(await codeOf(EtcdStore.open({ hosts, owner: place.owner }))).toBe('DENIED');
    expect(await codeOf(EtcdStore.open({ hosts, owner: 'somebody/else', auth }))).toBe('DENIED');
    const wrong = { ...auth, password: 'guess' };
    expect(await codeOf(EtcdStore.open({ hosts, owner: place.owner, auth: wrong }))).toBe('DENIED');
    const term = await new EtcdLeader(store, { candidate: 'a', ttl: 30 }).campaign();
    await server.kill();
    server.run();
    await eventually(() => term.store.commit({ changes: [put('b', 'after')] }));
    expect(said((await next).value as Batch)).toEqual(['b=after was absent']);
    await watch.return?.();
    await term.resign();
  });
});

describe.skipIf(!ETCD)(needsEtcd('three etcds'), { timeout: 60_000 }, () => {
  test('one of them may go: reads and commits go on, the watch misses nothing', async () => {
    const servers = await EtcdServer.cluster(3);
    onTestFinished(async () => {
      for (const server of servers) await server.dispose();
    });
    const store = await eventually(() =>
      EtcdStore.open({ hosts: servers.map(({ url }) => url), owner: OWNER, timeout: 2000 }),
    );
    onTestFinished(() => store.close());
    const start = await eventually(() => store.commit({ changes: [put('n', '0')] }));
    const values: string[] = [];
    const reading = (async () => {
      for await (const { events } of store.watch('n', start)) {
        for (const event of events) if (event.kind === 'put') values.push(text(event.entry.value));
        if (values.at(-1) === '60') return;
      }
    })();
    for (let n = 1; n <= 60; n++) {
      if (n === 20) await servers[1]!.kill();
      if (n === 40) {
        servers[1]!.run();
        await eventually(() =>
          withClient(servers[1]!, (client) => client.kv.range({ key: Buffer.from('n') })),
        );
        await servers[2]!.kill();
      }
      await eventually(async () => {
        const entry = await store.get('n');
        if (text(entry?.value) === String(n)) return;
        await store.commit({
          changes: [put('n', String(n))],
          preconditions: [{ key: 'n', revision: entry!.modified }],
        });
      });
    }
    await reading;
    expect(values).toEqual(Array.from({ length: 60 }, (_, index) => String(index + 1)));
  });
});

// ---- TLS ----

const openssl = ['/usr/bin/openssl', '/usr/local/bin/openssl'].find((path) => {
  try {
    execFileSync(path, ['version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
});

/** An authority in that folder, with a certificate for 127.0.0.1 that serves both sides. */
function makeAuthority(folder: string, name: string): EtcdTls {
  const file = (end: string): string => join(folder, `${name}.${end}`);
  const run = (...parameters: string[]): void => void execFileSync(openssl!, parameters, { stdio: 'ignore' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  run(
    'req',
    '-x509',
    ...key,
    '-days',
    '2',
    '-subj',
    `/CN=${name}`,
    '-keyout',
    file('ca.key'),
    '-out',
    file('ca.pem'),
  );
  run('req', ...key, '-subj', `/CN=${name} member`, '-keyout', file('key'), '-out', file('csr'));
  writeFileSync(file('ext'), 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n');
  run(
    'x509',
    '-req',
    '-in',
    file('csr'),
    '-CA',
    file('ca.pem'),
    '-CAkey',
    file('ca.key'),
    '-CAcreateserial',
    '-days',
    '2',
    '-extfile',
    file('ext'),
    '-out',
    file('pem'),
  );
  return { ca: file('ca.pem'), certificate: file('pem'), key: file('key') };
}

const tlsTitle = openssl ? 'etcd over TLS' : 'SKIP etcd over TLS: openssl is not installed';
describe.skipIf(!ETCD || !openssl)(needsEtcd(tlsTitle), { timeout: 60_000 }, () => {
  test('takes whom its authority vouches for, and nobody else either way', async () => {
    const folder = temporaryFolder();
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const ours = makeAuthority(folder, 'ours');
    const theirs = makeAuthority(folder, 'theirs');
    const server = await EtcdServer.start({ tls: ours });
    onTestFinished(() => server.dispose());
    const open = (ca: EtcdTls, identity?: EtcdTls): Promise<EtcdStore> =>
      EtcdStore.open({
        hosts: [server.url],
        owner: OWNER,
        timeout: 1000,
        tls: {
          ca: readFileSync(ca.ca),
          key: identity && readFileSync(identity.key),
          certificate: identity && readFileSync(identity.certificate),
        },
      });
    const store = await eventually(() => open(ours, ours));
    onTestFinished(() => store.close());
    const revision = await store.commit({ changes: [put('a', 'sealed')] });
    const [batch] = await take(store.watch('', revision - 1), 1);
    expect(said(batch!)).toEqual(['a=sealed was absent']);
    expect(await codeOf(open(theirs, ours))).toBe('UNAVAILABLE');
    expect(await codeOf(open(ours, theirs))).toBe('UNAVAILABLE');
    expect(await codeOf(open(ours))).toBe('UNAVAILABLE');
    const half = EtcdStore.open({
      hosts: [server.url],
      owner: OWNER,
      tls: { ca: readFileSync(ours.ca), key: readFileSync(ours.key) },
    });
    expect(await codeOf(half)).toBe('INVALID');
    const plain = EtcdStore.open({
      hosts: [server.url.replace('https', 'http')],
      owner: OWNER,
      timeout: 1000,
    });
    expect(await codeOf(plain)).toBe('UNAVAILABLE');
  });

  test('a controller finds its certificates in a folder', async () => {
    const folder = temporaryFolder();
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const [ours, theirs] = [makeAuthority(folder, 'ours'), makeAuthority(folder, 'theirs')];
    const server = await EtcdServer.start({ tls: ours });
    onTestFinished(() => server.dispose());
    const place = { kind: 'etcd', hosts: [server.url] } as const;
    const open = async (ca: EtcdTls, own?: EtcdTls): Promise<Seat> => {
      const credentials = temporaryFolder();
      onTestFinished(() => rmSync(credentials, { recursive: true }));
      copyFileSync(ca.ca, join(credentials, 'authorities.pem'));
      if (own) copyFileSync(own.certificate, join(credentials, 'certificate.pem'));
      if (own) copyFileSync(own.key, join(credentials, 'key.pem'));
      return openSeat({ place, owner: OWNER, credentials });
    };
    const seat = await eventually(() => open(ours, ours));
    const leadership = await seat.leader('here').campaign();
    expect(await leadership.store.commit({ changes: [put('a')] })).toBeGreaterThan(leadership.term);
    await leadership.resign();
    await seat.close();
    for (const [ca, own] of [[ours], [theirs, ours], [ours, theirs]] as const)
      expect(await codeOf(open(ca, own))).toBe('UNAVAILABLE');
  });
});
