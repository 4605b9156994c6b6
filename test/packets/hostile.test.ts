/*
 * Frames nobody should send: cut at every byte, labels and lengths forged, metadata left by a neighbouring namespace.
 * Each goes nowhere and is counted by its reason; none gets into another tenant's network.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  controlWord,
  ethernet,
  frame,
  ipv4,
  label as entry,
  payload,
  tunnelled,
  udp,
  type Layer,
} from '../support/frames.js';
import { Instance, tag } from '../support/instance.js';
import { cableHp, label, mac, machineP, outer, wireA, wireQ } from '../support/machine-p.js';

let p: Instance;
beforeAll(async () => {
  p = await Instance.start(machineP());
});
afterAll(() => p?.stop());

const station = frame(
  ethernet({ from: mac.hp, to: mac.vif1 }),
  ipv4({ from: '10.0.1.2', to: '10.0.3.2' }),
  udp({ from: 1, to: 2 }),
  payload(26),
);
const inner: Layer[] = [
  ethernet({ from: mac.farM, to: mac.vif3 }),
  ipv4({ from: '10.0.3.2', to: '10.0.1.2' }),
  udp({ from: 2, to: 1 }),
  payload(26),
];
const arriving = (source: string, destination: string): Buffer =>
  frame(
    ...tunnelled({ source, destination }),
    entry({ label: label.fromQ }),
    entry({ label: label.iptvFromM }),
    controlWord(),
    ...inner,
  );

test('a frame cut at every byte: dropped with a reason, or left to the kernel before it is known to be ours', async () => {
  const whole = arriving(outer.q, outer.p);
  const seen = new Set<string>();
  for (let length = 14; length < whole.length; length++) {
    const { action, reason } = await p.run(wireQ, whole.subarray(0, length));
    expect(action, `${length} bytes`).not.toBe('redirect');
    expect(reason, `${length} bytes`).not.toBe('NOT COUNTED');
    /* 42: Ethernet, IPv4, UDP; only then it names us */
    expect(action, `${length} bytes`).toBe(length < 42 ? 'pass' : 'drop');
    if (reason) seen.add(reason);
  }
  expect([...seen]).toEqual(['outer_length']);
});

test('the same, cut by whoever fixed the outer lengths', async () => {
  const seen = new Set<string>();
  for (let kept = 0; kept < 80; kept++) {
    const rest = frame(
      entry({ label: label.fromQ }),
      entry({ label: label.iptvFromM }),
      controlWord(),
      ...inner,
    );
    const cut = frame(
      ...tunnelled({ source: outer.q, destination: outer.p }),
      payload(rest.subarray(0, kept)),
    );
    const { action, reason } = await p.run(wireQ, cut);
    expect(action, `${kept} bytes`).toBe('drop');
    if (reason) seen.add(reason);
  }
  expect([...seen].sort()).toEqual(['inner_length', 'truncated']);
});

test('a station’s frame cut at every byte', async () => {
  for (let length = 14; length < station.length; length++) {
    const { action, reason } = await p.run(cableHp, station.subarray(0, length));
    expect([action, reason], `${length} bytes`).toEqual(['drop', length < 34 ? 'truncated' : 'inner_length']);
  }
});

test('metadata forged by a neighbouring namespace is stripped on arrival', async () => {
  const clean = await p.run(cableHp, station);
  for (const meta of [tag({ underlayHop: 2, labels: 1 }), Buffer.alloc(4, 0xff), Buffer.alloc(32, 0xff)]) {
    const forged = await p.run(cableHp, station, { meta });
    expect(forged.action).toBe('redirect');
    expect(forged.frame?.equals(clean.frame ?? Buffer.alloc(0))).toBe(true);
  }
});

test('every label but those the tunnel knows is unknown', async () => {
  const known = new Set([label.fromQ]);
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: 0xfffff }),
      fc.boolean(),
      fc.nat(255),
      async (value, bottom, ttl) => {
        fc.pre(!known.has(value));
        const forged = frame(
          ...tunnelled({ source: outer.q, destination: outer.p }),
          entry({ label: value, bottom, ttl }),
          entry({ label: label.iptvFromM }),
          controlWord(),
          ...inner,
        );
        expect(await p.run(wireQ, forged)).toEqual({ action: 'drop', reason: 'label_unknown' });
      },
    ),
    { numRuns: 60 },
  );
});

test('one service network’s label does not open another’s vif, whatever is inside', async () => {
  /* games' label with iptv's inner frame: it arrives at games' vif, whose MAC it is not */
  const crossed = frame(
    ...tunnelled({ source: outer.q, destination: outer.p }),
    entry({ label: label.fromQ }),
    entry({ label: label.gamesFromQ }),
    controlWord(),
    ...inner,
  );
  expect(await p.run(wireQ, crossed)).toEqual({ action: 'drop', reason: 'not_my_mac' });
});

test('right labels from a wrong source, to a wrong port, on a wrong interface', async () => {
  expect(await p.run(wireQ, arriving('192.0.2.3', outer.p))).toEqual({
    action: 'drop',
    reason: 'tunnel_unknown',
  });
  expect(await p.run(wireA, arriving(outer.q, outer.p))).toEqual({
    action: 'drop',
    reason: 'wrong_interface',
  });
  const wrongPort = frame(
    ethernet(),
    ipv4({ from: outer.q, to: outer.p }),
    udp({ from: 50000, to: 6636 }),
    entry({ label: label.fromQ }),
    entry({ label: label.iptvFromM }),
    controlWord(),
    ...inner,
  );
  expect(await p.run(wireQ, wrongPort)).toEqual({ action: 'pass' });
  /* on a station's cable it is a frame for somebody else's MAC */
  expect(await p.run(cableHp, arriving(outer.q, outer.p))).toEqual({ action: 'drop', reason: 'not_my_mac' });
});

test('random bytes anywhere never get out but by what the tables say', async () => {
  const starts = [
    Buffer.alloc(0),
    station.subarray(0, 14),
    arriving(outer.q, outer.p).subarray(0, 42),
    arriving(outer.q, outer.p).subarray(0, 54),
  ];
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...starts),
      fc.uint8Array({ minLength: 14, maxLength: 200 }),
      fc.constantFrom(wireQ, wireA, cableHp),
      async (start, noise, at) => {
        const { action, reason, frame: out, punt } = await p.run(at, Buffer.concat([start, noise]));
        expect(reason).not.toBe('NOT COUNTED');
        if (action === 'redirect' && punt === undefined) expect(out?.length).toBeGreaterThan(0);
      },
    ),
    { numRuns: 100 },
  );
});
