/*
 * Which of a link's paths data takes: the first that is fit, or, of a weighted link, one by flow; one link over another;
 * and what stays as it is for all other vifs.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { difference, ethernet, frame, ipv4, ipv6, payload, udp, type Layer } from '../support/frames.js';
import { Instance, withoutEntropy } from '../support/instance.js';
import type { LinkTable, Outcome, Tables } from '../support/tables.js';
import { trace } from '../support/tracing.js';
import {
  arrivalOf,
  arriving,
  control,
  leaving,
  mac,
  machineL,
  pathPort,
  session,
  sessions,
} from './watched.js';

/** Vif 8, beside what machine L has: a link of four paths right over a tunnel and a wire. */
function withFour(): Tables {
  const tables = machineL();
  tables.vifs.push({ id: 8, node: 1, veth: 15, path: 81, mtu: 1500, mac: mac.vif2 });
  tables.paths.push(
    ...four.map((id) => ({ id, label: 5000 + id, ...(id < 83 ? { tunnel: 1 } : { wire: 1 }) })),
    { id: 85, label: 5085, vif: 8 },
  );
  tables.nodes[0]?.routes.push({ prefix: '10.0.8.0/24', nextHop: 8 });
  tables.nextHops.push({ id: 8, node: 1, kind: 'forward', vif: 8, mac: mac.farVif });
  return tables;
}
const four = [81, 82, 83, 84];

let l: Instance;
/** The same with vif 8 unprotected: its frames' source port shows the flow. */
let plain: Instance;
beforeAll(async () => {
  const tables = withFour();
  plain = await Instance.start(tables);
  tables.links?.push({ vif: 8, kind: 'weighted', paths: four });
  l = await Instance.start(tables);
});
afterAll(() => {
  l?.stop();
  plain?.stop();
});
beforeEach(() => {
  l.sessions.reset();
  for (const one of machineL().links ?? []) l.sessions.writeLink(one);
});

const rest = (flow: number): Layer[] => [udp({ from: flow, to: 9 }), payload(26)];
const data = (to: string, flow = 1): Buffer =>
  frame(ethernet({ from: mac.station, to: mac.vif1 }), ipv4({ from: '10.0.1.2', to }), ...rest(flow));
/** The same as it leaves vif 2, below its labels. */
const routed = (to: string): Buffer =>
  frame(
    payload(Buffer.alloc(4)),
    ethernet({ from: mac.vif2, to: mac.farVif }),
    ipv4({ from: '10.0.1.2', to, ttl: 63 }),
    ...rest(1),
  );
const link = (vif: number, paths: number[], more: Partial<LinkTable> = {}): void =>
  l.sessions.writeLink({ vif, kind: 'first', paths, ...more });

async function goesBy(path: 11 | 12 | 13 | 14, labels: number[]): Promise<void> {
  const out = await l.run(6, data('10.0.3.1'));
  expect(out.ifindex).toBe({ 11: 2, 12: 3, 13: 4, 14: 5 }[path]);
  expect(difference(out.frame ?? Buffer.alloc(0), leaving(path, labels, routed('10.0.3.1')))).toBe('');
}

describe('the first path that is fit', () => {
  test('by all of two links, one over the other', async () => {
    await goesBy(11, [3001, 4001]);
    /* the lower one */
    link(11, [11, 12], { down: [0], used: 1 });
    await goesBy(12, [3002, 4001]);
    /* the upper one */
    link(2, [1, 2], { down: [0], used: 1 });
    await goesBy(13, [3003, 4002]);
    /* the lower one there: a circuit, which has no label of its own */
    link(12, [13, 14], { down: [0], used: 1 });
    await goesBy(14, [4002]);
  });

  test('IPv6 likewise', async () => {
    const sent = frame(
      ethernet({ from: mac.station, to: mac.vif1 }),
      ipv6({ from: 'fd00:0:0:1::2', to: 'fd00:0:0:3::9' }),
      ...rest(1),
    );
    expect((await l.run(6, sent)).ifindex).toBe(2);
    link(11, [11, 12], { down: [0], used: 1 });
    expect((await l.run(6, sent)).ifindex).toBe(3);
  });

  test('a frame of the virtual node’s kernel, and one in transit, by the same', async () => {
    const own = frame(ethernet({ type: 0x88cc }), payload(60));
    const out = async (): Promise<Outcome[]> => [
      await l.run(9, own, { fromKernel: true }),
      await l.run(12, own, { fromKernel: true }),
    ];
    expect((await out()).map(({ ifindex }) => ifindex)).toEqual([2, 2]);
    link(11, [11, 12], { down: [0], used: 1 });
    const moved = await out();
    expect(moved.map(({ ifindex }) => ifindex)).toEqual([3, 3]);
    for (const { frame: sent } of moved) expect(withoutEntropy(sent ?? own).port).toBe(pathPort(12));
  });

  test('what is in use is what the word says, not what is down', async () => {
    link(11, [11, 12], { down: [0, 1], used: 1 });
    await goesBy(12, [3002, 4001]);
    link(11, [11, 12], { down: [0, 1], used: 0 });
    await goesBy(11, [3001, 4001]);
  });

  test('avoided: not until the sweep has decided, and by the only one there is', async () => {
    const at = 1_000_000_000_000n;
    l.setClock(at);
    for (const { id } of sessions) {
      l.sessions.setState(id, 'Up');
      l.sessions.setHeard(id, { at, multiplier: 3 });
    }
    l.sessions.avoid(11, [0]);
    await goesBy(11, [3001, 4001]);
    await l.sweep();
    await goesBy(12, [3002, 4001]);
    expect(l.sessions.link(11)).toMatchObject({ down: [], used: 1, switches: 1 });
    l.sessions.avoid(11, [0, 1]);
    await l.sweep();
    await goesBy(11, [3001, 4001]);
  });

  test.each([{ paths: [] }, { paths: [0, 0, 0, 0] }, { paths: [99] }])(
    'no path: $paths',
    async ({ paths }) => {
      link(2, paths);
      expect(await l.run(6, data('10.0.3.1'))).toEqual({ action: 'drop', reason: 'no_path' });
    },
  );

  test('a path over the link itself', async () => {
    link(8, [85]);
    expect(await l.run(6, data('10.0.8.1'))).toEqual({ action: 'drop', reason: 'depth' });
  });
});

describe('by flow', () => {
  const count = 256;
  /** Of each flow: its way of the sixteen, and which path it took. */
  async function flows(): Promise<Array<{ way: number; path: number }>> {
    const seen: Array<{ way: number; path: number }> = [];
    for (let flow = 1; flow <= count; flow++) {
      const sent = data('10.0.8.1', flow);
      const entropy = withoutEntropy((await plain.run(6, sent)).frame ?? sent).port ?? 0;
      const { frame: out = sent, ifindex } = await l.run(6, sent);
      const path = (out.readUInt32BE(ifindex === 2 ? 42 : 14) >>> 12) - 5000;
      if (ifindex === 2) expect(withoutEntropy(out).port).toBe(pathPort(path));
      seen.push({ way: (entropy ^ (entropy >>> 7)) & 15, path });
    }
    return seen;
  }

  const weights = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 3];
  const weighted = (more: Partial<LinkTable>): void =>
    link(8, four, { kind: 'weighted', ways: weights, ...more });
  const cases: Array<{ what: string; more: Partial<LinkTable>; instead: Record<number, number> }> = [
    { what: 'all fit', more: {}, instead: {} },
    { what: 'whichever is in use', more: { used: 2 }, instead: {} },
    { what: 'one down: its flows by the one in use', more: { down: [1], used: 2 }, instead: { 1: 2 } },
    { what: 'one avoided: likewise', more: { avoid: [0], used: 3 }, instead: { 0: 3 } },
    { what: 'but one', more: { down: [0, 2], avoid: [3], used: 1 }, instead: { 0: 1, 2: 1, 3: 1 } },
    { what: 'all down', more: { down: [0, 1, 2, 3], used: 1 }, instead: { 0: 1, 2: 1, 3: 1 } },
  ];
  test.each(cases)('$what', async ({ more, instead }) => {
    weighted(more);
    const seen = await flows();
    for (const { way, path } of seen) {
      const place = weights[way] ?? 0;
      expect(path, `way ${way}`).toBe(four[instead[place] ?? place]);
    }
    /* a sixteenth each, as nearly as chance has it: six standard deviations */
    const each = Array.from({ length: 16 }, (_, way) => seen.filter((one) => one.way === way).length);
    for (const flowsOfWay of each) expect(Math.abs(flowsOfWay - count / 16)).toBeLessThan(24);
    expect(Math.min(...each)).toBeGreaterThan(0);
  });

  test('a link by order of preference does not look at flows', async () => {
    link(8, four, { ways: weights, used: 3 });
    expect(new Set((await flows()).map(({ path }) => path))).toEqual(new Set([84]));
  });

  test('a path that a way names and the link has not', async () => {
    link(8, [81], { kind: 'weighted', ways: [2] });
    expect(await l.run(6, data('10.0.8.1'))).toEqual({ action: 'drop', reason: 'no_path' });
  });
});

test('vifs without the flag are not looked up, whatever is in the table', async () => {
  plain.sessions.writeLink({ vif: 8, kind: 'first', paths: [84], down: [1], used: 0 });
  const { frame: out = data('10.0.8.1'), ifindex } = await plain.run(6, data('10.0.8.1'));
  expect([ifindex, out.readUInt32BE(42) >>> 12]).toEqual([2, 5081]);
  const ports = new Set<number | undefined>();
  for (let flow = 1; flow <= 32; flow++) {
    const sent = data('10.0.8.1', flow);
    ports.add(withoutEntropy((await plain.run(6, sent)).frame ?? sent).port);
  }
  expect(ports.size).toBeGreaterThan(28);
});

describe('traced', () => {
  test('each link that is passed, with what decided', async () => {
    link(2, [1, 2], { down: [0], used: 1 });
    link(12, [13, 14], { kind: 'weighted', ways: [0], avoid: [1] });
    const { events, redirected } = await trace(l, 6, data('10.0.3.1'));
    expect(redirected).toBe(true);
    /* state, kind, place and what is avoided */
    expect(events.filter(({ kind }) => kind === 'link')).toMatchObject([
      { found: 2, words: [0x101, 0, 1, 0] },
      { found: 13, words: [0, 1, 0, 2] },
    ]);
    expect(events.filter(({ kind }) => kind === 'path').map(({ found }) => found)).toEqual([2, 13]);
  });

  test('a control packet: the session it is for, which hears nothing of it', async () => {
    l.sessions.setState(5, 'Up');
    const before = l.sessions.snapshot();
    const packet = control({ state: 'Down', my: 1, your: session(5).discriminator });
    const { events, redirected } = await trace(l, 2, arriving(arrivalOf(5), packet));
    expect(redirected).toBe(false);
    expect(events.at(-1)).toMatchObject({ kind: 'channel', vif: 2, found: 5, words: [0, 7, 0, 0] });
    expect(l.sessions.snapshot()).toBe(before);
  });
});
