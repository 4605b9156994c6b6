/*
 * A packet's life: P, then Q, then M, each with tables of its own; what leaves one machine is what arrives at the
 * next. Nothing but the frame passes between them.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { decode, ethernet, frame, ipv4, payload, udp } from '../support/frames.js';
import { Instance } from '../support/instance.js';
import { cableHp, label, mac, machineP, outer, theirs, wireQ } from '../support/machine-p.js';
import { emptyTables, type Tables } from '../support/tables.js';

const mAddress = '192.0.2.5';
const intoM = { infrastructure: 7001, iptvFromP: 7002 };
const hm = { cable: 4, mac: '02:00:00:00:03:02' };

/** Q: transit at the connectivity layer from P to M; no service node has a part in it. */
function machineQ(): Tables {
  return {
    ...emptyTables(),
    ports: [
      { ifindex: 2, role: 'underlay' },
      { ifindex: 3, role: 'underlay' },
    ],
    hops: [
      { id: 1, ifindex: 3, room: 1614, source: mac.wireA, destination: mac.wireQ },
      { id: 2, ifindex: 2, room: 1614, source: mac.wireQ, destination: mac.nearQ },
    ],
    tunnels: [
      { id: 1, local: outer.q, remote: outer.p, hops: [2] },
      { id: 2, local: outer.q, remote: mAddress, hops: [1] },
    ],
    labels: [
      { context: { tunnel: 1 }, label: theirs.infrastructureQ, action: 'deliver', target: 1 },
      { context: { vif: 1 }, label: theirs.iptvToM, action: 'swap', target: 2 },
    ],
    nodes: [{ id: 1, routes: [] }],
    vifs: [
      { id: 1, node: 1, veth: 10, path: 1, mtu: 1530, mac: mac.vif11 },
      { id: 2, node: 1, veth: 11, path: 3, mtu: 1530, mac: mac.vif12 },
    ],
    paths: [
      { id: 1, label: label.fromQ, tunnel: 1 },
      { id: 2, label: intoM.iptvFromP, vif: 2 },
      { id: 3, label: intoM.infrastructure, tunnel: 2 },
    ],
  };
}

function machineM(): Tables {
  return {
    ...emptyTables(),
    ports: [
      { ifindex: 2, role: 'underlay' },
      { ifindex: hm.cable, role: 'access', vif: 3 },
    ],
    hops: [{ id: 1, ifindex: 2, room: 1614, source: mac.wireQ, destination: mac.wireA }],
    tunnels: [{ id: 1, local: mAddress, remote: outer.q, hops: [1] }],
    labels: [
      { context: { tunnel: 1 }, label: intoM.infrastructure, action: 'deliver', target: 1 },
      { context: { vif: 1 }, label: intoM.iptvFromP, action: 'deliver', target: 2 },
    ],
    nodes: [
      { id: 1, routes: [{ prefix: '10.0.3.2/32', nextHop: 1 }] },
      { id: 2, routes: [] },
    ],
    vifs: [
      { id: 1, node: 2, veth: 10, path: 1, mtu: 1530, mac: mac.vif11 },
      { id: 2, node: 1, veth: 11, path: 2, mtu: 1500, mac: mac.farM },
      { id: 3, node: 1, veth: 12, port: hm.cable, mtu: 1500, mac: mac.vif4 },
    ],
    paths: [
      { id: 1, label: 1, tunnel: 1 },
      { id: 2, label: label.iptvFromM, vif: 1 },
    ],
    nextHops: [{ id: 1, node: 1, kind: 'forward', vif: 3, mac: hm.mac }],
  };
}

let p: Instance;
let q: Instance;
let m: Instance;

beforeAll(async () => {
  p = await Instance.start(machineP());
  q = await Instance.start(machineQ());
  m = await Instance.start(machineM());
});
afterAll(() => {
  for (const machine of [p, q, m]) machine?.stop();
});

const sent = frame(
  ethernet({ from: mac.hp, to: mac.vif1 }),
  ipv4({ from: '10.0.1.2', to: '10.0.3.2' }),
  udp({ from: 5004, to: 5004 }),
  payload(100),
);

test('hp to hm through P, Q, M: two service routers, one transit', async () => {
  const atQ = await p.run(cableHp, sent);
  expect(atQ.action).toBe('redirect');
  expect(atQ.ifindex).toBe(wireQ);

  const atM = await q.run(2, atQ.frame ?? Buffer.alloc(0));
  expect(atM).toMatchObject({ action: 'redirect', ifindex: 3 });
  const stack = decode(atM.frame ?? Buffer.alloc(0)).filter((h) => h.kind === 'label');
  expect(stack).toMatchObject([
    { label: intoM.infrastructure, bottom: false, ttl: 64 },
    { label: intoM.iptvFromP, bottom: true, ttl: 63 },
  ]);

  const atHm = await m.run(2, atM.frame ?? Buffer.alloc(0));
  expect(atHm).toMatchObject({ action: 'redirect', ifindex: hm.cable });
  expect(decode(atHm.frame ?? Buffer.alloc(0))).toMatchObject([
    { kind: 'ethernet', to: hm.mac, from: mac.vif4 },
    { kind: 'ipv4', from: '10.0.1.2', to: '10.0.3.2', ttl: 62 },
    { kind: 'udp', from: 5004, to: 5004 },
    { kind: 'payload' },
  ]);
  /* what the station sent is what the station gets, but for the routers' hops */
  expect(atHm.frame?.subarray(34).equals(sent.subarray(34))).toBe(true);
});

test('a loop at the connectivity layer ends by the label’s TTL', async () => {
  /* Q sends to itself what it should send to M */
  const tables = machineQ();
  tables.paths = [
    { id: 1, label: theirs.infrastructureQ, tunnel: 1 },
    { id: 2, label: theirs.iptvToM, vif: 1 },
  ];
  tables.tunnels = [{ id: 1, local: outer.q, remote: outer.q, hops: [1] }];
  const looping = await Instance.start(tables);
  try {
    let bytes = frame(
      ethernet(),
      ipv4({ from: outer.q, to: outer.q }),
      udp({ from: 50000, to: 6635, checksum: 0 }),
      payload(Buffer.from([0x00, 0xbb, 0x90, 0x40])),
      payload(
        Buffer.from([
          theirs.iptvToM >> 12,
          (theirs.iptvToM >> 4) & 0xff,
          ((theirs.iptvToM & 15) << 4) | 1,
          64,
        ]),
      ),
      payload(64),
    );
    let rounds = 0;
    let last = await looping.run(2, bytes);
    while (last.action === 'redirect' && rounds < 100) {
      rounds++;
      bytes = last.frame ?? bytes;
      last = await looping.run(2, bytes);
    }
    expect([rounds, last]).toEqual([63, { action: 'drop', reason: 'label_ttl' }]);
  } finally {
    looping.stop();
  }
});
