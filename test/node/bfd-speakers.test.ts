/*
 * BFD with others' speakers, real packets: FRR's bfdd at F and BIRD at G, each behind a wire of A, where the agent is. And
 * with a bfdd on A itself, whose neighbours are none of ours.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Agent } from '../../src/node/agent.js';
import { listBfdPeers } from '../../src/node/rpc/bfd-peers.js';
import {
  addMachine,
  addWire,
  apply,
  inside,
  ip,
  netns,
  type Resource,
  startAgent,
  sweep,
  until as untilAtLast,
} from './machines.js';
import { Bird, Frr, missing, titled } from './speakers.js';

const noFrr = missing('frr');
const noBird = missing('bird');

let a: Agent;

const PEERS = {
  f4: { interface: 'to-F', local: '100.64.0.0', remote: '100.64.0.1' },
  f6: { interface: 'to-F', local: 'fe80::a', remote: 'fe80::f' },
  g4: { interface: 'to-G', local: '100.64.0.2', remote: '100.64.0.3' },
  g6: { interface: 'to-G', local: 'fe80::a', remote: 'fe80::b' },
} as const;

type Name = keyof typeof PEERS;

interface Watched {
  readonly intervalUs?: number;
  readonly adminDown?: boolean;
}

function peer(name: Name, { intervalUs = 100_000, adminDown }: Watched = {}): Resource {
  const { local, remote, ...place } = PEERS[name];
  return {
    bfdPeer: {
      name: `bfdPeers/${name}`,
      ...place,
      localAddress: local,
      remoteAddress: remote,
      minTxUs: intervalUs,
      minRxUs: intervalUs,
      multiplier: 3,
      ...(adminDown ? { adminDown } : {}),
    },
  };
}

async function want(watched: Partial<Record<Name, Watched>>): Promise<void> {
  await apply(
    a,
    'one',
    (Object.keys(watched) as Name[]).map((name) => peer(name, watched[name])),
  );
}

function found(name: Name) {
  const all = listBfdPeers(a, { pageSize: 0, pageToken: '' }).bfdPeers ?? [];
  const one = all.find(({ bfdPeer }) => bfdPeer?.name === `bfdPeers/${name}`);
  if (!one) throw new Error(`no peer ${name}`);
  return one;
}

/** Nothing here takes that long; what it waited for is told before the test's own end. */
const until = (what: string, test: () => boolean): Promise<void> => untilAtLast(what, test, 20_000);
const isUp = (name: Name): boolean => found(name).state === 'up';
/** Times that its state changed. */
function changes(name: Name): number {
  return a.plane.sessions.status(a.bfdPeers.get(`bfdPeers/${name}`)?.id ?? 0).state.changes;
}

function address(at: string, text: string, device: string): void {
  const family = text.includes(':') ? ['-6'] : [];
  ip(
    '-n',
    netns(at),
    ...family,
    'address',
    'add',
    text,
    'dev',
    device,
    ...(family.length > 0 ? ['nodad'] : []),
  );
}

beforeAll(async () => {
  sweep();
  addMachine('A', '100.127.0.1', 'fd64:ffff::1');
  addMachine('F', '100.127.0.2', 'fd64:ffff::2');
  addMachine('G', '100.127.0.3', 'fd64:ffff::3');
  addWire('A', 'F', 0);
  addWire('A', 'G', 1);
  // without XDP at that end of a veth, its GRO makes this one a target of redirects: when it is switched on while both are up
  for (const at of ['F', 'G'])
    for (const gro of ['off', 'on']) inside(netns(at), 'ethtool', '-K', 'to-A', 'gro', gro);
  for (const device of ['to-F', 'to-G']) address('A', 'fe80::a/64', device);
  address('F', 'fe80::f/64', 'to-A');
  address('G', 'fe80::b/64', 'to-A');
  // where A has a bfdd of its own
  address('A', '10.8.0.1/30', 'to-G');
  address('G', '10.8.0.2/30', 'to-A');
  a = await startAgent('A');
});

afterAll(async () => {
  await a.close();
  sweep();
});

const timers = (ms: number): string[] => [
  `  receive-interval ${ms}`,
  `  transmit-interval ${ms}`,
  '  detect-multiplier 3',
];
const AT_F = {
  f4: 'peer 100.64.0.0 local-address 100.64.0.1 interface to-A',
  f6: 'peer fe80::a local-address fe80::f interface to-A',
} as const;

describe.skipIf(noFrr)(titled('bfdd of FRR', noFrr), { timeout: 60_000 }, () => {
  const config = ['bfd', ...Object.values(AT_F).flatMap((line) => [` ${line}`, ...timers(100), ' exit'])];
  let f: Frr;
  beforeAll(async () => {
    f = new Frr('F', config);
    await f.start();
  });
  afterAll(() => f.close());
  beforeEach(async () => {
    await want({ f4: {}, f6: {} });
    for (const name of ['f4', 'f6'] as const) await until(`${name} is up`, () => isUp(name));
  });

  test('IPv4, and IPv6 between link-local addresses: up at both ends', async () => {
    for (const { local } of [PEERS.f4, PEERS.f6])
      await until(`bfdd has ${local} up`, () => f.peer(local)?.status === 'up');
    expect(found('f6').liveness).toMatchObject({ state: 4, remoteState: 4, refusedPackets: 0n });
    expect(found('f4').liveness).toMatchObject({ state: 4, remoteState: 4, refusedPackets: 0n });
  });

  test('other intervals of either end take hold without a break', async () => {
    const before = changes('f4');
    await until('those asked for', () => found('f4').liveness?.detectionUs === 300_000n);
    await want({ f4: { intervalUs: 50_000 }, f6: {} });
    await until('bfdd has ours', () => f.peer('100.64.0.0')?.['remote-transmit-interval'] === 50);
    // it wants no more than every 100 ms
    await until('ours is the slower one', () => found('f4').liveness?.intervalUs === 100_000);
    f.change(AT_F.f4, 'receive-interval 20', 'transmit-interval 60');
    await until('ours is our own', () => found('f4').liveness?.intervalUs === 50_000);
    await until('theirs is theirs', () => found('f4').liveness?.detectionUs === 180_000n);
    f.change(AT_F.f4, 'receive-interval 100', 'transmit-interval 100');
    await until('as before', () => found('f4').liveness?.detectionUs === 300_000n);
    expect(changes('f4')).toBe(before);
  });

  test('AdminDown of theirs is no failure of ours', async () => {
    f.change(AT_F.f4, 'shutdown');
    await until('it is heard', () => found('f4').state === 'down');
    expect(found('f4')).toMatchObject({
      failed: false,
      liveness: { diagnostic: 'NEIGHBOUR_SIGNALED_DOWN', remoteState: 1 },
    });
    expect(isUp('f6')).toBe(true);
    f.change(AT_F.f4, 'no shutdown');
    await until('it is up again', () => isUp('f4'));
  });

  test('AdminDown of ours, and a peer that we end: they are told', async () => {
    const { failures } = found('f4').liveness ?? {};
    await want({ f4: { adminDown: true } });
    await until('bfdd has heard it', () => f.peer('100.64.0.0')?.status === 'down');
    expect(f.peer('100.64.0.0')?.['remote-diagnostic']).toMatch(/administratively down/i);
    await until('and that f6 is no more', () => f.peer('fe80::a')?.status === 'down');
    expect(f.peer('fe80::a')?.['remote-diagnostic']).toMatch(/administratively down/i);
    expect(found('f4')).toMatchObject({ state: 'admin down', failed: false });
    await want({ f4: {}, f6: {} });
    await until('it is up again', () => isUp('f4') && isUp('f6'));
    expect(found('f4').liveness?.failures).toBe(failures);
  });

  test('killed: missed after the detection time, and found again when it is back', async () => {
    await f.kill();
    for (const name of ['f4', 'f6'] as const) {
      await until(`${name} is missed`, () => found(name).failed ?? false);
      expect(found(name)).toMatchObject({
        state: 'down',
        liveness: { diagnostic: 'DETECTION_TIME_EXPIRED' },
      });
    }
    await f.start();
    for (const name of ['f4', 'f6'] as const) {
      await until(`${name} is back`, () => isUp(name));
      await until(`${name} is used again`, () => !(found(name).failed ?? true));
    }
  });
});

const neighbours = (...places: ReadonlyArray<readonly [string, string]>): string[] => [
  'interface "to-A" { interval 100 ms; idle tx interval 200 ms; multiplier 3; };',
  ...places.map(([remote, local]) => `neighbor ${remote} dev "to-A" local ${local};`),
];

describe.skipIf(noBird)(titled('BIRD', noBird), { timeout: 60_000 }, () => {
  let g: Bird;
  beforeAll(async () => {
    g = new Bird(
      'G',
      neighbours(['100.64.0.2', '100.64.0.3'], ['fe80::a', 'fe80::b'], ['10.8.0.1', '10.8.0.2']),
    );
    await g.start();
  });
  afterAll(() => g.close());

  test('both families up, killed, missed, and back', async () => {
    await want({ g4: {}, g6: {} });
    for (const name of ['g4', 'g6'] as const) {
      await until(`${name} is up`, () => isUp(name));
      await until(`BIRD has ${name} up`, () => g.state(PEERS[name].local) === 'Up');
    }
    const before = changes('g4');
    await want({ g4: { intervalUs: 40_000 }, g6: {} });
    await until('ours is the slower one', () => found('g4').liveness?.intervalUs === 100_000);
    expect(changes('g4')).toBe(before);
    await g.kill();
    await until('both are missed', () => (found('g4').failed ?? false) && (found('g6').failed ?? false));
    expect(found('g6').liveness).toMatchObject({ diagnostic: 'DETECTION_TIME_EXPIRED' });
    await g.start();
    await until('both are back', () => isUp('g4') && isUp('g6'));
    await want({ g4: { adminDown: true } });
    await until(
      'BIRD has heard of both',
      () => g.state('100.64.0.2') === 'Down' && g.state('fe80::a') === 'Down',
    );
  });

  test.skipIf(noFrr)(titled('a bfdd on the machine itself, for a neighbour of its own', noFrr), async () => {
    await want({ g4: {} });
    const own = new Frr('A', [
      'bfd',
      ' peer 10.8.0.2 local-address 10.8.0.1 interface to-G',
      ...timers(100),
      ' exit',
    ]);
    try {
      await own.start();
      await until('its neighbour is up', () => own.peer('10.8.0.2')?.status === 'up');
      await until('and so is ours', () => isUp('g4') && g.state('100.64.0.2') === 'Up');
      // what is watched by us is not its any more: it hears nothing
      own.change('peer 100.64.0.3 local-address 100.64.0.2 interface to-G', 'transmit-interval 100');
      await until('it has that peer', () => own.peer('100.64.0.3') !== undefined);
      expect(own.peer('10.8.0.2')?.status).toBe('up');
    } finally {
      await own.close();
    }
  });
});
