/* Local repair of lsps, at machine R (test/support/machine-r.ts). */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import fc from 'fast-check';
import {
  controlWord,
  difference,
  ethernet,
  frame,
  ipv4,
  label as entry,
  payload,
  udp,
  vlan,
  type Layer,
} from '../support/frames.js';
import { Instance } from '../support/instance.js';
import { machineR, mac, wire1 } from '../support/machine-r.js';
import { type Outcome } from '../support/tables.js';
import { bfd, channel, control, heard, senderFrame, type Bfd } from './watched.js';

const GAL = 13;
const start = 1_000_000_000_000n;
const ms = 1_000_000n;
const senderPort = 14;

let r: Instance;
let now = start;
beforeAll(async () => {
  r = await Instance.start(machineR());
});
afterAll(() => r?.stop());
beforeEach(() => {
  r.writeWire(wire1);
  r.sessions.reset();
  now = start;
  r.setClock(now);
});

type Wire = 1 | 2 | 3 | 4;
const port = { 1: 2, 2: 3, 3: 4, 4: 5 } as const;

function below(wire: Wire, from = mac.far, to = mac.here): Layer[] {
  return [ethernet({ from, to }), ...(wire === 2 ? [vlan({ id: 7 })] : [])];
}

const arrive = (wire: Wire, ...layers: Layer[]): Promise<Outcome> =>
  r.run(port[wire], frame(...below(wire), ...layers));

const says = (wire: Wire, b: Bfd): Layer[] => [
  entry({ label: GAL, ttl: 1 }),
  payload(control({ my: wire * 100 + 1, your: wire * 100, ...b })),
];

const hear = (wire: Wire, b: Bfd): Promise<Outcome> => arrive(wire, ...says(wire, b));

async function bringUp(...wires: Wire[]): Promise<void> {
  await r.sweep();
  for (const wire of wires) {
    expect(await hear(wire, { state: 'Down', your: 0 })).toEqual(heard);
    expect(await hear(wire, { state: 'Up' })).toEqual(heard);
    expect(r.sessions.state(wire).state).toBe('Up');
  }
  await r.sweep();
}

describe('BFD in a wire’s own channel', () => {
  test.each([1, 2] as const)('wire %i: up, silent, down', async (wire) => {
    await bringUp(wire);
    expect(r.sessions.peerDown(wire)).toBe(false);
    now += 31n * ms;
    r.setClock(now);
    await r.sweep();
    expect(r.sessions.state(wire)).toMatchObject({ state: 'Down', diagnostic: 1 });
    expect(r.sessions.peerDown(wire)).toBe(true);
    await bringUp(wire);
    expect(r.sessions.peerDown(wire)).toBe(false);
  });

  test.each([1, 2] as const)('wire %i: a packet of ours, byte for byte', async (wire) => {
    const packet = control({ state: 'Up', my: wire * 100, your: wire * 100 + 1 });
    const handed = senderFrame(wire, wire * 100, packet);
    const { frame: out, ...facts } = await r.run(senderPort, handed, { fromSender: true });
    expect(facts).toEqual({ action: 'redirect', ifindex: port[wire] });
    const wanted = frame(...below(wire, mac.here, mac.far), entry({ label: GAL, ttl: 1 }), payload(packet));
    expect(difference(out ?? handed, wanted)).toBe('');
  });

  test('what is in the way of one that is none, by name', async () => {
    await bringUp(1, 2);
    const content = control({ state: 'Down', my: 101, your: 100 });
    const drop = (reason: string): Outcome => ({ action: 'drop', reason });
    const gal = entry({ label: GAL, ttl: 1 });
    const bad: Array<readonly [Outcome, () => Promise<Outcome>]> = [
      [drop('wire_address'), () => r.run(2, frame(...below(1, mac.other), gal, payload(content)))],
      [drop('wire_address'), () => r.run(2, frame(...below(1, mac.far, mac.other), gal, payload(content)))],
      // nobody watches these
      [drop('channel_unknown'), () => arrive(3, gal, payload(content))],
      [drop('channel_unknown'), () => arrive(4, gal, payload(content))],
      // another channel, of another version, and what is no channel
      [drop('channel_unknown'), () => arrive(1, gal, channel(0x7ff8), payload(bfd({ state: 'Down' })))],
      [
        drop('channel_unknown'),
        () => arrive(1, gal, payload(Buffer.from('11000007', 'hex')), payload(content)),
      ],
      [drop('channel_unknown'), () => arrive(1, gal, controlWord({}), payload(content))],
      // its own session's only
      [drop('session_packet'), () => arrive(2, gal, payload(content))],
      // above other labels, or below one, it is a label like any
      [
        drop('label_unknown'),
        () => arrive(1, entry({ label: GAL }), entry({ label: 1001 }), payload(Buffer.alloc(40))),
      ],
      [drop('label_unknown'), () => arrive(1, entry({ label: 1001 }), gal, payload(content))],
    ];
    for (const [wanted, found] of bad) expect(await found()).toEqual(wanted);
    expect([1, 2].map((wire) => r.sessions.state(wire).state)).toEqual(['Up', 'Up']);
    for (let length = 1; length < 32; length++) {
      const { action } = await r.run(2, frame(...below(1), gal, payload(content)).subarray(0, 14 + length));
      expect(action).toBe('drop');
      expect(r.sessions.state(1).state).toBe('Up');
    }
  });

  test('any change of any packet: heard or refused, and the other wire’s is left alone', async () => {
    const bytes = frame(...below(1), ...says(1, { state: 'Up' }));
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), async (at, bits) => {
        r.sessions.reset();
        await bringUp(1, 2);
        const before = r.sessions.heard(2).packets;
        const changed = Buffer.from(bytes);
        changed[at] = (changed[at] ?? 0) ^ bits;
        expect((await r.run(2, changed)).action).not.toBe('redirect');
        expect(r.sessions.state(2).state).toBe('Up');
        expect(r.sessions.heard(2).packets).toBe(before);
      }),
      { numRuns: 60 },
    );
  });
});

const inner = (size = 26): Layer[] => [
  ethernet({ from: mac.vif2, to: mac.farVif }),
  ipv4({ from: '10.0.1.2', to: '10.0.3.1', ttl: 63 }),
  udp({ from: 1, to: 9 }),
  payload(size),
];

/** Out of the station, for the far side of the lsp. */
const send = (size?: number): Promise<Outcome> =>
  r.run(
    6,
    frame(
      ethernet({ from: mac.station, to: mac.vif1 }),
      ipv4({ from: '10.0.1.2', to: '10.0.3.1' }),
      udp({ from: 1, to: 9 }),
      payload(size ?? 26),
    ),
  );

const byWire = (size?: number): Buffer =>
  frame(
    ...below(1, mac.here, mac.far),
    entry({ label: 3001 }),
    entry({ label: 4001 }),
    controlWord({}),
    ...inner(size),
  );

const byBypass = (size?: number): Buffer =>
  frame(
    ...below(2, mac.here, mac.far),
    entry({ label: 9001 }),
    entry({ label: 3001 }),
    entry({ label: 4001 }),
    controlWord({}),
    ...inner(size),
  );

async function expectOut(outcome: Promise<Outcome>, ifindex: number, wanted: Buffer): Promise<void> {
  const { frame: out, ...facts } = await outcome;
  expect(facts).toEqual({ action: 'redirect', ifindex });
  expect(difference(out ?? Buffer.alloc(0), wanted)).toBe('');
}

describe('a bypass is taken', () => {
  test('in the run that hears that the neighbour is gone, and left when it is back', async () => {
    await bringUp(1, 2);
    await expectOut(send(), 2, byWire());
    expect(await hear(1, { state: 'Down', diagnostic: 1 })).toEqual(heard);
    await expectOut(send(), 3, byBypass());
    await bringUp(1);
    await expectOut(send(), 2, byWire());
  });

  test('where the wire has no next hop: its interface is down', async () => {
    await bringUp(2);
    r.writeWire({ ...wire1, hop: 0 });
    await expectOut(send(), 3, byBypass());
    r.writeWire({ ...wire1, hop: 0, bypass: 0 });
    expect(await send()).toEqual({ action: 'drop', reason: 'wire_unresolved' });
  });

  test('not where the bypass is down too: it may be the watching that has failed', async () => {
    await bringUp(1, 2);
    await hear(1, { state: 'Down' });
    await hear(2, { state: 'Down' });
    await expectOut(send(), 2, byWire());
  });

  test('not for a neighbour that was never heard', async () => {
    await bringUp(2);
    await expectOut(send(), 2, byWire());
  });

  test('not where there is none, or where it leads to no other wire', async () => {
    await bringUp(1, 2);
    await hear(1, { state: 'Down' });
    for (const bypass of [0, 1, 90, 4_000_000_000]) {
      r.writeWire({ ...wire1, bypass });
      await expectOut(send(), 2, byWire());
    }
  });

  test('by what is only passing, whose class and time to live go on', async () => {
    await bringUp(1, 2);
    await hear(1, { state: 'Down' });
    const rest = payload(Buffer.alloc(40, 7));
    await expectOut(
      arrive(2, entry({ label: 1003, class: 5, ttl: 9 }), rest),
      3,
      frame(
        ...below(2, mac.here, mac.far),
        entry({ label: 9001 }),
        entry({ label: 3002, class: 5, ttl: 8 }),
        rest,
      ),
    );
  });

  test('not by what is on a bypass already: two would pass it round and round', async () => {
    await bringUp(1, 2);
    await hear(1, { state: 'Down' });
    const rest = payload(Buffer.alloc(40, 7));
    await expectOut(
      arrive(2, entry({ label: 1004, ttl: 9 }), rest),
      2,
      frame(...below(1, mac.here, mac.far), entry({ label: 3004, ttl: 8 }), rest),
    );
    r.writeWire({ ...wire1, hop: 0 });
    expect(await arrive(2, entry({ label: 1004 }), rest)).toEqual({
      action: 'drop',
      reason: 'wire_unresolved',
    });
  });

  test('only by what fits, with a label more', async () => {
    await bringUp(1, 2);
    await hear(1, { state: 'Down' });
    const most = 1500 - byBypass(0).length;
    await expectOut(send(most), 3, byBypass(most));
    expect(await send(most + 1)).toEqual({ action: 'drop', reason: 'too_big' });
    await bringUp(1);
    await expectOut(send(most + 1), 2, byWire(most + 1));
  });
});

describe('a bypass ends', () => {
  const data = [
    ethernet({ from: mac.farVif, to: mac.vif2 }),
    ipv4({ from: '10.0.3.1', to: '10.0.1.2' }),
    udp({ from: 9, to: 1 }),
    payload(26),
  ];

  test('where the label below it means what it means on the wire that was avoided', async () => {
    const { action, ifindex } = await arrive(
      2,
      ...[1900, 1001, 2001].map((label) => entry({ label })),
      controlWord({}),
      ...data,
    );
    expect({ action, ifindex }).toEqual({ action: 'redirect', ifindex: 6 });
  });

  test('and goes on where that is swapped', async () => {
    const rest = payload(Buffer.alloc(40, 7));
    await expectOut(
      arrive(2, entry({ label: 1900 }), entry({ label: 1002, ttl: 5 }), rest),
      3,
      frame(...below(2, mac.here, mac.far), entry({ label: 3003, ttl: 4 }), rest),
    );
  });

  test.each([
    ['nothing below it', 2, [1900], 64, 'label_unknown'],
    ['a label of the wire it came by', 2, [1900, 1003], 64, 'label_unknown'],
    ['the bypass again', 2, [1900, 1900], 64, 'label_unknown'],
    ['no time to live', 2, [1900, 1001], 0, 'label_ttl'],
    ['on another wire', 1, [1900, 1001], 64, 'label_unknown'],
    ['on another wire, unwatched', 3, [1900, 1001], 64, 'label_unknown'],
    ['round and round', 2, [1900, 1001, 2002, 1001, 2002, 1001], 64, 'label_surplus'],
  ] as const)('not with %s', async (_, wire, labels, ttl, reason) => {
    const entries = labels.map((label) => entry({ label, ttl }));
    expect(await arrive(wire, ...entries, controlWord({}), ...data)).toEqual({ action: 'drop', reason });
  });
});
