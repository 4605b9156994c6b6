/*
 * The programs against the model: random tables, random packets (most of them nearly right), and both must agree on
 * what becomes of each, to the byte. The LPM trie of the kernel is a second opinion on routes.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BpfMap, MapFlags } from '../../native/lib/index.js';
import {
  arpRequest,
  controlWord,
  difference,
  ethernet,
  frame,
  ipv4,
  ipv6,
  label as entry,
  payload,
  tunnelled,
  udp,
  vlan,
} from '../support/frames.js';
import { Instance, withoutEntropy } from '../support/instance.js';
import type { Context, LinkTable, Outcome, Tables } from '../support/tables.js';
import { Reference, type Expectation } from './reference.js';

const macOf = (kind: number, id: number): string =>
  `02:00:00:00:0${kind}:${id.toString(16).padStart(2, '0')}`;
const vifIds = [1, 2, 3, 4, 5, 6];
const labelPool = [16, 17, 100, 5000, 0xfffff];
const prefixes4 = [
  '0.0.0.0/0',
  '10.0.0.0/8',
  '10.1.0.0/16',
  '10.1.2.0/24',
  '10.1.2.128/25',
  '10.1.2.3/32',
  '172.16.0.0/12',
  '10.1.2.0/31',
];
const prefixes6 = [
  '::/0',
  'fd00::/8',
  'fd00:0:0:1::/64',
  'fd00:0:0:1::2/128',
  'fd00:0:0:1:8000::/65',
  'fd00::/47',
];
const addresses4 = [
  '10.1.2.3',
  '10.1.2.200',
  '10.1.9.9',
  '10.200.0.1',
  '172.17.0.1',
  '192.168.0.1',
  '10.1.2.1',
  '127.0.0.1',
  '239.0.0.1',
];
const addresses6 = [
  'fd00:0:0:1::2',
  'fd00:0:0:1::9',
  'fd00:0:0:1:8000::1',
  'fd00:0:9::1',
  '2001:db8::9',
  'fe80::1',
  'ff02::1',
  '::1',
];
const outer4 = { local: '192.0.2.1', remote: '192.0.2.2' };
const outer6 = { local: '2001:db8::1', remote: '2001:db8::2' };

/** The MAC addresses of the two wires' ends, as we send. */
const neighbours = {
  2: { source: macOf(8, 4), destination: macOf(9, 4) },
  3: { source: macOf(8, 5), destination: macOf(9, 5) },
} as const;

const pick = <T>(...values: T[]): fc.Arbitrary<T> => fc.constantFrom(...values);
const vifId = pick(...vifIds);

function context(): fc.Arbitrary<Context> {
  return fc.oneof(
    pick(1, 2).map((tunnel) => ({ tunnel })),
    vifId.map((vif) => ({ vif })),
    pick(1, 2).map((wire) => ({ wire })),
  );
}

const nextHop = (id: number): fc.Arbitrary<Tables['nextHops'][number]> =>
  fc
    .tuple(
      pick(1, 2),
      pick('forward', 'forward', 'forward', 'local', 'glean', 'unreachable', 'blackhole', 'group'),
      vifId,
    )
    .map(([node, kind, vif]) => {
      if (kind === 'forward') return { id, node, kind, vif, mac: macOf(7, id) };
      if (kind === 'group') return { id, node, kind, ways: [1 + (id % 4), 1 + ((id + 1) % 4)] };
      return { id, node, kind: kind as 'local' };
    });

/** Of a meter: frames above are too much. Most vifs have none. */
const burst = pick(0, 0, 0, 0, 0, 150, 150, 700);

/** Places among a link's paths. */
const unfit = fc.oneof(fc.constant<number[]>([]), fc.subarray([0, 1, 2, 3]));

/** What programs may have left of a link, and what user space may want of it; its paths are any, some of them none. */
const linkOf = (vif: number): fc.Arbitrary<LinkTable> =>
  fc
    .record({
      kind: pick<'first' | 'weighted'>('first', 'weighted'),
      paths: fc.array(pick(...vifIds, ...vifIds, 0), { maxLength: 4 }),
      ways: fc.array(fc.nat(3), { minLength: 1, maxLength: 3 }),
      down: unfit,
      avoid: unfit,
      used: fc.nat(3),
    })
    .map((link) => ({
      vif,
      ...link,
      /* mostly as they should be */
      ways: link.paths.length > 1 ? link.ways.map((way) => way % link.paths.length) : link.ways,
      used: link.paths.length > 1 ? link.used % link.paths.length : link.used,
    }));

const arbitraryTables: fc.Arbitrary<Tables> = fc.record<Required<Omit<Tables, 'sessions'>>>({
  ports: fc.constant<Tables['ports']>([
    { ifindex: 2, role: 'underlay' },
    { ifindex: 3, role: 'underlay' },
    { ifindex: 4, role: 'access', vif: 1 },
    { ifindex: 5, role: 'access', vif: 2 },
    ...vifIds.map((vif) => ({ ifindex: 5 + vif, role: 'vif' as const, vif })),
  ]),
  tunnels: fc
    .tuple(fc.boolean(), fc.option(pick(2, 3), { nil: undefined }), pick([1], [1, 3], []))
    .map(([checksum, arrival, hops]): Tables['tunnels'] => [
      {
        id: 1,
        ...outer4,
        hops,
        ...(arrival === undefined ? {} : { arrival }),
        ...(checksum ? { checksum } : {}),
      },
      { id: 2, ...outer6, hops: [2], ...(checksum ? { checksum } : {}) },
    ]),
  /* two on one port, by their VLANs, and one untagged */
  wires: fc
    .tuple(
      pick<'lsp' | 'circuit'>('lsp', 'circuit'),
      pick(0, 7),
      fc.option(vifId, { nil: undefined, freq: 5 }),
      pick(5, 5, 0),
      pick(4, 4, 0),
      fc.tuple(fc.option(vifId), fc.option(vifId)),
    )
    .map(([kind, number, vif, hop, first, around]): NonNullable<Tables['wires']> => [
      {
        ...{ id: 1, kind: 'lsp', ifindex: 2 },
        ...(first === 0 ? {} : { hop: first }),
        ...(around[0] === null ? {} : { bypass: around[0] }),
      },
      {
        id: 2,
        kind,
        ifindex: 3,
        vlan: number,
        ...(hop === 0 ? {} : { hop }),
        ...(vif === undefined ? {} : { vif }),
        ...(around[1] === null ? {} : { bypass: around[1] }),
      },
      { id: 3, kind: 'circuit', ifindex: 3, vlan: 8, vif: 6, hop: 6 },
    ]),
  hops: fc
    .tuple(pick(1614, 1614, 180), fc.option(fc.nat(4095), { nil: undefined }), fc.nat(63))
    .map(([room, vlan, dscp]): Tables['hops'] => [
      { id: 1, ifindex: 2, room, source: macOf(8, 1), destination: macOf(9, 1), dscp },
      {
        id: 2,
        ifindex: 3,
        room,
        source: macOf(8, 2),
        destination: macOf(9, 2),
        dscp,
        ...(vlan === undefined ? {} : { vlan }),
      },
      { id: 3, ifindex: 3, room: 1614, source: macOf(8, 3), destination: macOf(9, 3) },
      { id: 4, ifindex: 2, room, ...neighbours[2] },
      { id: 5, ifindex: 3, room, ...neighbours[3], ...(vlan === undefined ? {} : { vlan }) },
      { id: 6, ifindex: 3, room, ...neighbours[3], vlan: 8 },
    ]),
  labels: fc.uniqueArray(
    fc.record({
      context: context(),
      label: pick(...labelPool),
      action: pick('deliver', 'deliver', 'deliver', 'swap', 'swap', 'pop'),
      target: vifId,
    }),
    { minLength: 8, maxLength: 30, selector: (l) => JSON.stringify([l.context, l.label]) },
  ),
  nodes: fc.tuple(
    ...[1, 2].map((id) =>
      fc
        .uniqueArray(
          fc.record({ prefix: pick(...prefixes4, ...prefixes6), nextHop: fc.integer({ min: 1, max: 8 }) }),
          {
            maxLength: 12,
            selector: (r) => r.prefix,
          },
        )
        .map((routes) => ({ id, routes })),
    ),
  ),
  vifs: fc.tuple(
    ...vifIds.map((id) =>
      fc
        .tuple(pick(1, 1, 2), pick(1500, 1500, 600), fc.integer({ min: 0, max: 9 }), burst, burst)
        .map(([node, mtu, chance, sent, received]) => ({
          id,
          node,
          veth: 5 + id,
          mtu,
          mac: macOf(1, id),
          ...(id <= 2 ? { port: 3 + id } : { path: id }),
          ...(chance === 0 ? { down: true } : {}),
          ...(chance > 6 && id > 2 ? { ip: true } : {}),
          ...(sent ? { sent: { bits: 8_000_000, burstBytes: sent } } : {}),
          ...(received ? { received: { bits: 8_000_000, burstBytes: received } } : {}),
        })),
    ),
  ),
  paths: fc.tuple(
    ...vifIds.map((id) =>
      fc
        .tuple(pick(...labelPool), pick(1, 2), fc.option(vifId, { nil: undefined }), fc.nat(7))
        .map(([label, below, vif, chance]) => {
          if (chance === 0) return { id, wire: 3 };
          if (chance < 3) return { id, label, wire: below };
          return { id, label, ...(vif === undefined || vif <= 2 ? { tunnel: below } : { vif }) };
        }),
    ),
  ),
  /* of any vif, stations' too: there it is of no use */
  links: fc
    .tuple(...vifIds.map((id) => fc.option(linkOf(id), { nil: undefined, freq: 2 })))
    .map((list) => list.filter((link) => link !== undefined)),
  nextHops: fc.tuple(...[1, 2, 3, 4, 5, 6, 7, 8].map(nextHop)),
});

interface Sent {
  at: number;
  fromKernel: boolean;
  bytes: Buffer;
}

const inner: fc.Arbitrary<Buffer> = fc
  .record({
    to: fc.oneof(
      { weight: 8, arbitrary: vifId.map((id) => macOf(1, id)) },
      pick('ff:ff:ff:ff:ff:ff', '33:33:00:00:00:01', macOf(6, 6)),
    ),
    from: pick(macOf(7, 1), macOf(7, 1), macOf(7, 1), '03:00:00:00:00:01'),
    kind: pick<4 | 6 | 'arp' | 'other'>(4, 4, 4, 6, 6, 6, 'arp', 'other'),
    source: fc.nat(20),
    destination: fc.nat(20),
    ttl: pick(0, 1, 2, 64, 255),
    size: pick(0, 20, 100, 560, 1440, 1472, 1500),
    wrong: fc.option(pick('checksum', 'length', 'version', 'options', 'fragment'), {
      nil: undefined,
      freq: 8,
    }),
  })
  .map(({ to, from, kind, source, destination, ttl, size, wrong }) => {
    const rest = [udp({ from: source + 1, to: destination + 1 }), payload(size)];
    const at = <T>(list: readonly T[], i: number): T => list[i % list.length] as T;
    if (kind === 'arp') return frame(ethernet({ to, from }), arpRequest('10.1.2.3', macOf(7, 1), '10.1.2.1'));
    if (kind === 'other') return frame(ethernet({ to, from, type: 0x88cc }), payload(size));
    if (kind === 4) {
      const ip = {
        from: at(addresses4, source),
        to: at(addresses4, destination),
        ttl,
        ...(wrong === 'checksum' ? { checksum: 0x1111 } : {}),
        ...(wrong === 'length' ? { length: size * 2 } : {}),
        ...(wrong === 'version' ? { versionIhl: 0x55 } : {}),
        ...(wrong === 'options' ? { options: '01010101' } : {}),
        ...(wrong === 'fragment' ? { fragment: 0x2005 } : {}),
      };
      return frame(ethernet({ to, from }), ipv4(ip), ...rest);
    }
    const ip = {
      from: at(addresses6, source),
      to: at(addresses6, destination),
      hopLimit: ttl,
      ...(wrong === 'length' ? { length: size * 2 + 100 } : {}),
      ...(wrong === 'version' ? { version: 4 } : {}),
      ...(wrong === 'options' ? { nextHeader: 0 } : {}),
    };
    return frame(ethernet({ to, from }), ipv6(ip), ...rest);
  });

const labelled: fc.Arbitrary<Buffer> = fc
  .record({
    four: fc.boolean(),
    stranger: fc.integer({ min: 0, max: 15 }),
    labels: fc.array(fc.record({ label: pick(...labelPool), ttl: pick(0, 1, 2, 64) }), {
      minLength: 1,
      maxLength: 5,
    }),
    nibble: pick(0, 0, 0, 0, 0, 1, 4),
    checksum: pick<'zero' | 'computed' | 'wrong'>('zero', 'zero', 'computed', 'wrong'),
    /* as on a link of IP packets, which some of the vifs are */
    bare: fc.integer({ min: 0, max: 3 }).map((chance) => chance === 0),
    inner,
  })
  .map(({ four, stranger, labels, nibble, checksum, bare, inner: content }) => {
    const pair = four ? outer4 : outer6;
    const source = stranger === 0 ? (four ? '192.0.2.99' : '2001:db8::99') : pair.remote;
    const [link, ip] = tunnelled({ source, destination: pair.local });
    if (!link || !ip) throw new Error('no outer headers');
    const field = checksum === 'zero' ? 0 : checksum === 'wrong' ? 0x1234 : ('computed' as const);
    return frame(
      link,
      ip,
      udp({ from: 51111, to: 6635, checksum: field }),
      ...labels.map(entry),
      ...(bare ? [payload(content.subarray(14))] : [controlWord({ nibble }), payload(content)]),
    );
  });

/** Labels right on a wire, from its neighbour or not, in its VLAN or not. */
const switched = (ifindex: 2 | 3): fc.Arbitrary<Buffer> =>
  fc
    .record({
      vlan: pick(undefined, undefined, 0, 7, 8, 8, 9),
      provider: fc.integer({ min: 0, max: 15 }),
      wrong: fc.integer({ min: 0, max: 15 }),
      own: fc.integer({ min: 0, max: 2 }),
      ttl: pick(0, 1, 64, 64),
      labels: fc.array(fc.record({ label: pick(0, ...labelPool, ...labelPool), ttl: pick(0, 1, 2, 64) }), {
        minLength: 1,
        maxLength: 5,
      }),
      nibble: pick(0, 0, 0, 0, 0, 1, 4),
      bare: fc.integer({ min: 0, max: 3 }).map((chance) => chance === 0),
      inner,
    })
    .map(({ vlan: id, provider, wrong, own, ttl, labels, nibble, bare, inner: content }) => {
      const { source, destination } = neighbours[ifindex];
      const [from, to] = [wrong === 0 ? macOf(9, 9) : destination, wrong === 1 ? macOf(8, 9) : source];
      const type = provider === 0 && id !== undefined ? { type: 0x88a8 } : {};
      return frame(
        ethernet({ from, to, ...type }),
        ...(id === undefined ? [] : [vlan({ id })]),
        ...(own === 0 ? [entry({ label: 0, ttl })] : labels.map(entry)),
        ...(bare ? [payload(content.subarray(14))] : [controlWord({ nibble }), payload(content)]),
      );
    });

const packet: fc.Arbitrary<Sent> = fc
  .record({
    at: pick(2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 6, 7, 8, 8, 9, 9, 10, 10, 11, 11, 15),
    station: inner,
    wire: labelled,
    switched: fc.tuple(switched(2), switched(3)),
    bareWire: fc.boolean(),
    /* a byte turned, or the end cut off */
    turn: fc.option(fc.tuple(fc.nat(90), fc.integer({ min: 1, max: 255 })), { nil: undefined, freq: 4 }),
    cut: fc.option(fc.nat(120), { nil: undefined, freq: 6 }),
  })
  .map(({ at, station, wire, switched: pair, bareWire, turn, cut }) => {
    let bytes = Buffer.from(at > 3 ? station : !bareWire ? wire : at === 2 ? pair[0] : pair[1]);
    if (turn) bytes[turn[0] % bytes.length] = (bytes[turn[0] % bytes.length] ?? 0) ^ turn[1];
    if (cut !== undefined) bytes = bytes.subarray(0, Math.max(14, Math.min(bytes.length, cut)));
    return { at, fromKernel: at >= 6 && at < 15, bytes };
  });

/** Empty if the outcome is one of those allowed. */
function judge(got: Outcome, allowed: Expectation): string {
  const problems = allowed.outcomes.map((wanted) => {
    const facts = (o: Outcome): string => JSON.stringify([o.action, o.reason, o.punt, o.ifindex]);
    if (facts(got) !== facts(wanted)) return `${facts(got)}, expected ${facts(wanted)}`;
    if (!wanted.frame || !got.frame) return '';
    const plain = withoutEntropy(got.frame);
    if (plain.problem) return plain.problem;
    /* out by a wire there is none */
    const port = wanted.port ?? allowed.port;
    if (port !== undefined && plain.port !== undefined && plain.port !== port)
      return `port ${plain.port}, expected ${port}`;
    return difference(plain.frame, withoutEntropy(wanted.frame).frame);
  });
  return problems.includes('') ? '' : problems.join(' | ');
}

/** Tables, and packets for them: the programs against the model, 40 times over. Counts what became of them in `seen`. */
async function compare(seen: Map<string, number>): Promise<void> {
  await fc.assert(
    fc.asyncProperty(
      arbitraryTables,
      fc.array(packet, { minLength: 40, maxLength: 40 }),
      async (tables, packets) => {
        const instance = await Instance.start(tables, { puntLimit: 1_000_000 });
        try {
          const reference = new Reference(tables);
          let clock = 0n;
          for (const { at, fromKernel, bytes } of packets) {
            instance.setClock((clock += 3600_000_000_000n));
            const got = await instance.run(at, bytes, { fromKernel });
            const allowed = reference.receive(at, bytes, fromKernel);
            const problem = judge(got, allowed);
            expect(problem, `at ${at}, ${bytes.toString('hex')}`).toBe('');
            const kind = got.reason ?? got.punt ?? got.action;
            const linked = allowed.outcomes.some(({ port }) => port !== undefined);
            for (const one of linked ? [kind, 'by a path of a link'] : [kind])
              seen.set(one, (seen.get(one) ?? 0) + 1);
          }
        } finally {
          instance.stop();
        }
      },
    ),
    /* each table is a data plane of its own: to make a failure smaller would take longer than the test may */
    { numRuns: 40, endOnFailure: true },
  );
}

test('random tables, random packets: the programs do what the model does', async () => {
  const seen = new Map<string, number>();
  /* what only some tables let happen may need more than one round of them */
  const wanted = ['sent_rate', 'received_rate', 'by a path of a link'];
  for (let round = 0; round < 6 && (round === 0 || !wanted.every((kind) => seen.has(kind))); round++)
    await compare(seen);
  /* a generator that reaches little would prove little */
  expect([...seen.keys()].length, JSON.stringify([...seen])).toBeGreaterThan(15);
  expect([...seen.keys()]).toEqual(expect.arrayContaining(wanted));
  expect(seen.get('redirect') ?? 0).toBeGreaterThan(100);
}, 300_000);

test('routes: the data plane’s trie and the kernel’s LPM trie give the same answers', async () => {
  const base: Tables = {
    ports: [{ ifindex: 4, role: 'access', vif: 1 }],
    tunnels: [],
    hops: [],
    labels: [],
    nodes: [],
    vifs: [
      { id: 1, node: 1, veth: 6, port: 4, mtu: 1500, mac: macOf(1, 1) },
      { id: 2, node: 1, veth: 7, port: 5, mtu: 1500, mac: macOf(1, 2) },
    ],
    paths: [],
    nextHops: Array.from({ length: 64 }, (_, i) => ({
      id: i + 1,
      node: 1,
      kind: 'forward',
      vif: 2,
      mac: macOf(7, i + 1),
    })),
  };
  const prefix = (
    bits: number,
    wide: boolean,
  ): fc.Arbitrary<{ address: number[]; bits: number; nextHop: number }> =>
    fc.record({
      /* few values, so that prefixes nest */
      address: fc.array(pick(0, 1, 2, 127, 128, 255), { minLength: wide ? 14 : 3, maxLength: wide ? 14 : 3 }),
      bits: fc.integer({ min: 0, max: bits }),
      nextHop: fc.integer({ min: 1, max: 64 }),
    });
  for (const wide of [false, true]) {
    const size = wide ? 16 : 4;
    const lead = wide ? [0xfd, 0] : [10];
    await fc.assert(
      fc.asyncProperty(fc.array(prefix(size * 8, wide), { minLength: 1, maxLength: 60 }), async (raw) => {
        const routes = new Map<string, { bytes: Buffer; bits: number; nextHop: number; inside: Buffer }>();
        for (const r of raw) {
          const inside = Buffer.from([...lead, ...r.address]);
          const bytes = Buffer.from(inside);
          for (let bit = r.bits; bit < size * 8; bit++)
            bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) & ~(0x80 >> (bit & 7));
          routes.set(`${bytes.toString('hex')}/${r.bits}`, {
            bytes,
            bits: r.bits,
            nextHop: r.nextHop,
            inside,
          });
        }
        const text = (bytes: Buffer): string =>
          wide ? (bytes.toString('hex').match(/.{4}/g) ?? []).join(':') : [...bytes].join('.');
        const list = [...routes.values()];
        const tables: Tables = {
          ...base,
          nodes: [
            {
              id: 1,
              routes: list.map((r) => ({ prefix: `${text(r.bytes)}/${r.bits}`, nextHop: r.nextHop })),
            },
          ],
        };
        const instance = await Instance.start(tables, { puntLimit: 1_000_000 });
        const trie = BpfMap.create({
          type: 'lpm_trie',
          name: 'opinion',
          keySize: 4 + size,
          valueSize: 4,
          maxEntries: 1000,
          flags: MapFlags.NO_PREALLOC,
        });
        try {
          const key = (bytes: Buffer, bits: number): Buffer =>
            Buffer.concat([Buffer.from(Uint32Array.of(bits).buffer), bytes]);
          for (const r of list)
            trie.update(key(r.bytes, r.bits), Buffer.from(Uint32Array.of(r.nextHop).buffer));
          for (const { inside } of list.slice(0, 12)) {
            const answer = trie.lookup(key(inside, size * 8))?.readUInt32LE() ?? 0;
            const to = text(inside);
            const link = ethernet({ to: macOf(1, 1), from: macOf(6, 1) });
            const sent = wide
              ? frame(link, ipv6({ from: 'fd00::9', to }), payload(20))
              : frame(link, ipv4({ from: '10.9.9.9', to }), payload(20));
            const got = await instance.run(4, sent);
            expect(got.frame?.subarray(0, 6).toString('hex'), `${to} of ${list.length} routes`).toBe(
              answer ? macOf(7, answer).replaceAll(':', '') : macOf(1, 1).replaceAll(':', ''),
            );
          }
        } finally {
          trie.close();
          instance.stop();
        }
      }),
      { numRuns: 15 },
    );
  }
}, 180_000);
