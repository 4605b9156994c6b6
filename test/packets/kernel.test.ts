/*
 * What goes to a virtual node’s kernel, by kind, and what is left to the machine’s own.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
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
} from '../support/frames.js';
import { Instance } from '../support/instance.js';
import { cableHp, mac, outer, wireQ } from '../support/machine-p.js';
import { extended, innerFromM, iptvFromM, outcome, station, station6, type Case } from './cases.js';

let p: Instance;
beforeAll(async () => {
  p = await Instance.start(extended());
});
afterAll(() => p?.stop());

const arp = frame(
  ethernet({ from: mac.hp, to: 'ff:ff:ff:ff:ff:ff' }),
  arpRequest('10.0.1.2', mac.hp, '10.0.1.1'),
);
const solicitation = Buffer.from(`87${'00'.repeat(23)}`, 'hex');

/** To the virtual node's kernel: as it came, without what carried it. */
const punted: Array<Case & { out: { punt: string } }> = [
  {
    what: 'ARP',
    at: cableHp,
    in: arp,
    out: { action: 'redirect', punt: 'neighbour', ifindex: 6, frame: arp },
  },
  {
    what: 'neighbour solicitation to a group',
    at: cableHp,
    in: frame(
      ethernet({ from: mac.hp, to: '33:33:ff:00:00:01' }),
      ipv6({ from: 'fe80::2', to: 'ff02::1:ff00:1', nextHeader: 58, hopLimit: 255 }),
      payload(solicitation),
    ),
    out: { action: 'redirect', punt: 'neighbour', ifindex: 6 },
  },
  {
    what: 'unicast neighbour discovery on link-local addresses',
    at: cableHp,
    in: station6('fe80::1', { from: 'fe80::2', nextHeader: 58, hopLimit: 255 }, payload(solicitation)),
    out: { action: 'redirect', punt: 'neighbour', ifindex: 6 },
  },
  {
    what: 'other broadcast',
    at: cableHp,
    in: frame(
      ethernet({ from: mac.hp, to: 'ff:ff:ff:ff:ff:ff' }),
      ipv4({ from: '10.0.1.2', to: '255.255.255.255' }),
    ),
    out: { action: 'redirect', punt: 'group', ifindex: 6 },
  },
  {
    what: 'an own address',
    at: cableHp,
    in: station('10.0.1.1'),
    out: { action: 'redirect', punt: 'local', ifindex: 6 },
  },
  {
    what: 'an own IPv6 address',
    at: cableHp,
    in: station6('fd00:0:0:1::1'),
    out: { action: 'redirect', punt: 'local', ifindex: 6 },
  },
  {
    what: 'TTL 1',
    at: cableHp,
    in: station('10.0.3.2', { ttl: 1 }),
    out: { action: 'redirect', punt: 'ttl', ifindex: 6 },
  },
  {
    what: 'hop limit 1',
    at: cableHp,
    in: station6('fd00:0:0:3::2', { hopLimit: 1 }),
    out: { action: 'redirect', punt: 'ttl', ifindex: 6 },
  },
  {
    what: 'TTL 1 off the labels: to the kernel by the vif it came by',
    at: wireQ,
    in: iptvFromM(...innerFromM({ ttl: 1 })),
    out: { action: 'redirect', punt: 'ttl', ifindex: 8, frame: frame(...innerFromM({ ttl: 1 })) },
  },
  {
    what: 'too big for the next vif (1400)',
    at: cableHp,
    in: station('10.0.4.2', {}, udp({ from: 1, to: 2 }), payload(1373)),
    out: { action: 'redirect', punt: 'too_big', ifindex: 6 },
  },
  {
    what: 'IPv6 too big for the next vif',
    at: cableHp,
    in: station6('fd00:0:0:4::2', {}, udp({ from: 1, to: 2 }), payload(1353)),
    out: { action: 'redirect', punt: 'too_big', ifindex: 6 },
  },
  {
    what: 'a neighbour not known yet',
    at: cableHp,
    in: station('10.0.1.77'),
    out: { action: 'redirect', punt: 'unresolved', ifindex: 6 },
  },
  {
    what: 'an unreachable route',
    at: cableHp,
    in: station('10.0.6.1'),
    out: { action: 'redirect', punt: 'unreachable', ifindex: 6 },
  },
  {
    what: 'no route: counted, and answered by the kernel',
    at: cableHp,
    in: station('172.16.0.1'),
    out: { action: 'redirect', punt: 'unreachable', reason: 'no_route', ifindex: 6 },
  },
  {
    what: 'IPv4 options',
    at: cableHp,
    in: station('10.0.3.2', { options: '94040000' }),
    out: { action: 'redirect', punt: 'options', ifindex: 6 },
  },
  {
    what: 'IPv6 hop-by-hop options',
    at: cableHp,
    in: station6('fd00:0:0:3::2', { nextHeader: 0 }),
    out: { action: 'redirect', punt: 'options', ifindex: 6 },
  },
  {
    what: 'not IP',
    at: cableHp,
    in: frame(ethernet({ from: mac.hp, to: mac.vif1, type: 0x88b5 }), payload(46)),
    out: { action: 'redirect', punt: 'other', ifindex: 6 },
  },
];

const passed: Array<Omit<Case, 'out'>> = [
  {
    what: 'the machine’s own IPv4',
    at: wireQ,
    in: frame(ethernet(), ipv4({ from: '192.0.2.2', to: outer.p }), udp({ from: 1, to: 53 })),
  },
  {
    what: 'the machine’s own ARP',
    at: wireQ,
    in: frame(ethernet(), arpRequest('192.0.2.2', mac.wireQ, outer.p)),
  },
  {
    what: 'MPLS-in-UDP that is for another machine: this one only routes it',
    at: wireQ,
    in: frame(
      ...tunnelled({ source: outer.q, destination: '192.0.2.77' }),
      entry({ label: 1001 }),
      controlWord(),
    ),
  },
  {
    what: 'a later fragment, whose first was dropped',
    at: wireQ,
    in: frame(ethernet(), ipv4({ from: outer.q, to: outer.p, fragment: 100, protocol: 17 }), payload(64)),
  },
  {
    what: 'a kernel’s MPLS',
    at: wireQ,
    in: frame(ethernet({ type: 0x8847 }), entry({ label: 1001 }), payload(64)),
  },
];

describe('to the virtual node’s kernel', () => {
  test.each(punted)('$what', async (c) => {
    const { frame: sent, ...facts } = await outcome(p, c);
    const { frame: wanted, ...expected } = c.out;
    expect(facts).toEqual(expected);
    if (wanted) expect(difference(sent ?? Buffer.alloc(0), wanted)).toBe('');
    else if (c.at === cableHp) expect(difference(sent ?? Buffer.alloc(0), c.in)).toBe('');
  });
});

describe('left to the machine’s kernel', () => {
  test.each(passed)('$what', async (c) => {
    expect(await outcome(p, c)).toEqual({ action: 'pass' });
  });
});
