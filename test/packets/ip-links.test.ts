/*
 * Links of IP packets, for peers that know no Ethernet over MPLS: no Ethernet header and no control word below the
 * labels, and the same router behind.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ethernet, frame, ipv4, ipv6, label as entry, payload, udp } from '../support/frames.js';
import { Instance } from '../support/instance.js';
import { cableHp, label, mac, theirs, wireQ } from '../support/machine-p.js';
import { extended, fromQ, outcome, same, station, station6, toQ, type Case } from './cases.js';

let p: Instance;
beforeAll(async () => {
  p = await Instance.start(extended());
});
afterAll(() => p?.stop());

const oneLabel = [entry({ label: label.ip })];
const twoLabels = [entry({ label: label.fromQ }), entry({ label: label.ip })];
const ports = udp({ from: 1, to: 2 });
/** In front of an IP packet that came without one, as the virtual node's kernel sees it. */
const made = ethernet({ from: '02:00:00:00:00:00', to: mac.vif51 });

const cases: Case[] = [
  {
    what: 'to a station: an Ethernet header is written',
    at: wireQ,
    in: fromQ(...twoLabels, ipv4({ from: '10.2.0.9', to: '10.0.1.2', ttl: 9 }), ports, payload(26)),
    out: {
      action: 'redirect',
      ifindex: cableHp,
      frame: frame(
        ethernet({ from: mac.vif1, to: mac.hp }),
        ipv4({ from: '10.2.0.9', to: '10.0.1.2', ttl: 8 }),
        ports,
        payload(26),
      ),
    },
  },
  {
    what: 'the same with one label, and IPv6',
    at: wireQ,
    in: fromQ(
      ...oneLabel,
      ipv6({ from: 'fd00:0:0:b::9', to: 'fd00:0:0:1::2', hopLimit: 9 }),
      ports,
      payload(26),
    ),
    out: {
      action: 'redirect',
      ifindex: cableHp,
      frame: frame(
        ethernet({ from: mac.vif1, to: mac.hp }),
        ipv6({ from: 'fd00:0:0:b::9', to: 'fd00:0:0:1::2', hopLimit: 8 }),
        ports,
        payload(26),
      ),
    },
  },
  {
    what: 'from a station: the label, then the IP packet',
    at: cableHp,
    in: station('10.2.0.9'),
    out: {
      action: 'redirect',
      ifindex: wireQ,
      frame: frame(
        ...toQ,
        entry({ label: theirs.infrastructureQ }),
        entry({ label: theirs.ip }),
        ipv4({ from: '10.0.1.2', to: '10.2.0.9', ttl: 63 }),
        ports,
        payload(26),
      ),
    },
  },
  {
    what: 'the same, IPv6',
    at: cableHp,
    in: station6('fd00:0:0:b::9'),
    out: {
      action: 'redirect',
      ifindex: wireQ,
      frame: frame(
        ...toQ,
        entry({ label: theirs.infrastructureQ }),
        entry({ label: theirs.ip }),
        ipv6({ from: 'fd00:0:0:1::2', to: 'fd00:0:0:b::9', hopLimit: 63 }),
        ports,
        payload(26),
      ),
    },
  },
  {
    what: 'from one of them to another',
    at: wireQ,
    in: fromQ(...twoLabels, ipv4({ from: '10.2.0.9', to: '10.2.1.9', ttl: 9 }), ports, payload(26)),
    out: {
      action: 'redirect',
      ifindex: wireQ,
      frame: frame(
        ...toQ,
        entry({ label: theirs.ip }),
        ipv4({ from: '10.2.0.9', to: '10.2.1.9', ttl: 8 }),
        ports,
        payload(26),
      ),
    },
  },
  {
    what: 'for the virtual node itself: to its kernel, with an Ethernet header',
    at: wireQ,
    in: fromQ(...twoLabels, ipv4({ from: '10.2.0.9', to: '10.0.1.1' }), ports, payload(26)),
    out: {
      action: 'redirect',
      punt: 'local',
      ifindex: 16,
      frame: frame(made, ipv4({ from: '10.2.0.9', to: '10.0.1.1' }), ports, payload(26)),
    },
  },
  {
    what: 'from the virtual node’s kernel: its Ethernet header is taken off',
    at: 16,
    fromKernel: true,
    in: frame(
      ethernet({ from: mac.vif51, to: mac.vif51 }),
      ipv4({ from: '10.9.0.1', to: '10.2.0.9' }),
      ports,
      payload(26),
    ),
    out: {
      action: 'redirect',
      ifindex: wireQ,
      frame: frame(
        ...toQ,
        entry({ label: theirs.infrastructureQ }),
        entry({ label: theirs.ip }),
        ipv4({ from: '10.9.0.1', to: '10.2.0.9' }),
        ports,
        payload(26),
      ),
    },
  },
];

test.each(cases)('$what', async (c) => {
  const got = await outcome(p, c);
  expect({ ...got, frame: undefined }).toEqual({ ...c.out, frame: undefined });
  if (c.out.frame) expect(same(got.frame, c.out.frame)).toBe('');
});

test('a full packet fits: what comes off makes room for what goes on', async () => {
  const got = await outcome(p, { what: '', at: cableHp, in: station('10.2.0.9', {}, ports, payload(1472)) });
  expect(got).toMatchObject({ action: 'redirect', ifindex: wireQ });
  expect(got.frame?.length).toBe(14 + 20 + 8 + 4 + 4 + 1500);
});
