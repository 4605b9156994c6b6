/**
 * From what an interface is to what stands in the way there: pure, a sentence each, which says what is wrong and what to
 * type. The same for an interface that an agent has and for one that it will get.
 */
import { availableParallelism, release } from 'node:os';

import { possibleCpus } from '../../native/lib/index.js';
import { type InterfaceFacts } from './facts.js';
import { hindrance, type InterfaceRole, UNWANTED_OFFLOADS } from './prepare.js';

export type Severity = 'ok' | 'warning' | 'error';

export interface Finding {
  readonly severity: Severity;
  readonly subject: string;
  readonly text: string;
}

export interface Situation {
  /** The data plane is, or will be, the one for frames in several buffers. */
  readonly jumbo: boolean;
  readonly cpus: number;
  /** That may ever be there: drivers count them when they make queues for XDP. */
  readonly possibleCpus: number;
  readonly kernel: readonly [major: number, minor: number];
  /** Absent: not decided yet. */
  readonly role?: InterfaceRole;
  /** An agent has it, and its program runs there. */
  readonly taken: boolean;
  /** Why an agent that has it cannot run its program there; empty: it can, or nobody has it. */
  readonly problem: string;
}

/** Of this machine; what is known of the agent and the interface comes besides. */
export function situationHere(more: Omit<Situation, 'cpus' | 'possibleCpus' | 'kernel'>): Situation {
  const [major = 0, minor = 0] = release().split('.').map(Number);
  return { cpus: availableParallelism(), possibleCpus: possibleCpus(), kernel: [major, minor], ...more };
}

/** A frame of this MTU, with two VLAN tags, fits one page with XDP's headroom in every driver known. */
const LARGEST_PLAIN_MTU = 3498;

/** What labels of three layers and IPv6 need below a station's packet of 1500 bytes. */
const COMFORTABLE_MTU = 1582;

/** What the programs write in front of a frame at most, and the kernel's own record of a redirected frame. */
const HEADROOM = 86 + 40;

/** Drivers known to run programs natively on kernels that do not tell. */
const KNOWN_NATIVE: ReadonlySet<string> = new Set(['veth', 'virtio_net']);

type Said = readonly [Severity, string];

export function findingsOf(facts: InterfaceFacts, situation: Situation): Finding[] {
  const parts = hasNone(facts)
    ? [native]
    : [native, mtu, carrier, queues, transmitQueues, offloads, filter, target];
  return parts
    .flatMap((part) => part(facts, situation))
    .map(([severity, text]) => ({ severity, subject: `interface ${facts.name}`, text }));
}

/** No native XDP, whatever else is changed. */
function hasNone({ driver, xdpFeatures }: InterfaceFacts): boolean {
  return xdpFeatures !== undefined && !xdpFeatures.basic && driver !== 'veth';
}

function driverName({ driver, kind }: InterfaceFacts): string {
  return driver ?? kind ?? 'its driver';
}

function isVirtio({ driver }: InterfaceFacts): boolean {
  return driver === 'virtio_net';
}

function native(facts: InterfaceFacts, situation: Situation): Said[] {
  const { name, xdp, xdpFeatures } = facts;
  const { taken, problem, kernel } = situation;
  if (problem !== '') return [['error', `no program runs on it: ${problem}`]];
  if (xdp !== undefined && xdp.mode !== 'native') {
    return [['error', `a program runs in ${xdp.mode} mode: ip link set dev ${name} xdpgeneric off`]];
  }
  if (taken) return [['ok', `native XDP by ${driverName(facts)}, MTU ${facts.mtu}`]];
  if (xdp !== undefined) return [occupied(facts, xdp.programId)];
  const able: Said = ['ok', `${driverName(facts)} has native XDP; MTU ${facts.mtu}`];
  if (xdpFeatures === undefined) {
    if (KNOWN_NATIVE.has(facts.driver ?? '')) return [able];
    const version = kernel.join('.');
    return [
      [
        'warning',
        `Linux ${version} does not tell whether ${driverName(facts)} has native XDP: 6.3 and newer do`,
      ],
    ];
  }
  if (xdpFeatures.basic && xdpFeatures.redirect) return [able];
  if (facts.driver === 'veth') {
    const more = `raise them with ethtool -L ${name} rx N, or make the veth with as many of both`;
    return [
      [
        'error',
        `its peer is gone, or has more transmit queues than its ${facts.queues.receive} receive queues: ${more}`,
      ],
    ];
  }
  const lacks = xdpFeatures.basic ? 'cannot redirect frames' : 'has no native XDP';
  return [['error', `${driverName(facts)} ${lacks}: use another interface`]];
}

function occupied({ name, program }: InterfaceFacts, id: number): Said {
  if (program?.startsWith('cabernet_') === true) {
    return ['warning', 'a program of Cabernet runs on it already: an agent has it, or had'];
  }
  return [
    'error',
    `another XDP program runs on it (${program ?? 'unnamed'}, id ${id}): ip link set dev ${name} xdp off`,
  ];
}

/** Drivers hold a frame in one buffer of a page, unless the program says that it can do with several. */
function mtu(facts: InterfaceFacts, situation: Situation): Said[] {
  const { name, xdpFeatures, maxMtu = Infinity } = facts;
  const { jumbo, taken, role, kernel, problem } = situation;
  const lower = `ip link set dev ${name} mtu ${LARGEST_PLAIN_MTU}`;
  if (facts.mtu > LARGEST_PLAIN_MTU && problem === '') {
    if (!jumbo) {
      const reason = `its MTU of ${facts.mtu} does not fit one buffer, for which native XDP is refused`;
      return taken ? [] : [['error', `${reason}: ${lower}, or start the agent with --jumbo`]];
    }
    if (xdpFeatures === undefined) {
      const version = kernel.join('.');
      const old = isVirtio(facts)
        ? `virtio_net on Linux ${version} runs no program with frames in several buffers (6.3 and newer do)`
        : `Linux ${version} does not tell whether ${driverName(facts)} holds frames in several buffers`;
      return taken ? [] : [[isVirtio(facts) ? 'error' : 'warning', `MTU ${facts.mtu}: ${old}: ${lower}`]];
    }
    if (!xdpFeatures.rxSg) {
      const reason = `${driverName(facts)} does not receive frames in several buffers, which its MTU of ${facts.mtu} needs`;
      return [['error', `${reason}: ${lower}`]];
    }
    // before that some drivers do not say yes yet
    if (taken && xdpFeatures.ndoXmit && !xdpFeatures.ndoXmitSg) {
      const reason = `${driverName(facts)} does not send frames in several buffers, which its MTU of ${facts.mtu} needs`;
      return [['error', `${reason}: ${lower}`]];
    }
    return [];
  }
  if (role !== 'underlay' || facts.mtu >= COMFORTABLE_MTU) return [];
  const left = facts.mtu - (COMFORTABLE_MTU - 1500);
  const how =
    maxMtu >= COMFORTABLE_MTU
      ? `ip link set dev ${name} mtu ${Math.min(1600, maxMtu)}`
      : `its driver allows no more than ${maxMtu}, so give stations an MTU of ${left}`;
  return [
    [
      'warning',
      `with an MTU of ${facts.mtu} it carries stations’ packets of ${left} bytes through three layers: ${how}`,
    ],
  ];
}

function carrier({ name, up, running }: InterfaceFacts): Said[] {
  if (!up) return [['warning', `is down: ip link set dev ${name} up`]];
  return running ? [] : [['warning', 'has no carrier']];
}

function queues({ name, queues: now }: InterfaceFacts, { cpus }: Situation): Said[] {
  const count = `${now.receive} receive queue${now.receive === 1 ? '' : 's'} for ${cpus} CPUs`;
  if (now.receive >= cpus) return [['ok', count]];
  const most = Math.min(cpus, now.mostReceive);
  const how = most > now.receive ? `: ethtool -L ${name} ${now.paired ? 'combined' : 'rx'} ${most}` : '';
  return [['warning', `${count}: one CPU a queue does the work${how}`]];
}

/**
 * virtio_net gives each CPU a transmit queue of its own for redirected frames, if there are as many left over; if not,
 * CPUs take turns by a lock. With a program attached its count of pairs includes them.
 */
function transmitQueues(facts: InterfaceFacts, { possibleCpus: cpus, taken }: Situation): Said[] {
  if (!isVirtio(facts)) return [];
  const { name, queues: pairs } = facts;
  const enough = taken ? pairs.transmit > cpus : pairs.transmit + cpus <= pairs.mostTransmit;
  if (enough) return [];
  const spare = pairs.mostTransmit - cpus;
  // the driver makes its queues when a program is attached
  const how =
    spare >= 1 && !taken
      ? `ethtool -L ${name} combined ${spare}`
      : `give the device ${cpus + 1} or more queue pairs where the machine is defined (QEMU: queues=, mq=on)`;
  const reason = `${pairs.mostTransmit} queue pair${pairs.mostTransmit === 1 ? '' : 's'} for ${cpus} CPUs`;
  return [['warning', `${reason}: redirected frames are sent under a lock, slower: ${how}`]];
}

function offloads(facts: InterfaceFacts, situation: Situation): Said[] {
  const said = [...virtioOffloads(facts, situation)];
  for (const unwanted of UNWANTED_OFFLOADS) {
    const offload = facts.offloads.get(unwanted.offload);
    if (offload?.on !== true) continue;
    // said above, as its host's doing
    if (unwanted.offload === 'rx-gro-hw' && isVirtio(facts)) continue;
    said.push(unwantedOffload(facts, situation, unwanted, offload.changeable));
  }
  if (facts.driver === 'veth' && facts.offloads.get('tx-checksum-ip-generic')?.on === true) {
    said.push(['warning', `transmit checksums are left unfinished: ethtool -K ${facts.name} tx off`]);
  }
  return said;
}

function unwantedOffload(
  { name }: InterfaceFacts,
  { taken, role }: Situation,
  unwanted: (typeof UNWANTED_OFFLOADS)[number],
  changeable: boolean,
): Said {
  const { short, what } = unwanted;
  if (changeable) {
    return taken
      ? ['warning', `${what}: ethtool -K ${name} ${short} off`]
      : ['ok', `${short} is on: the agent switches it off when it takes the interface`];
  }
  const asPort = hindrance('port', unwanted);
  const asWire = hindrance('underlay', unwanted);
  const hindered = role === undefined ? asWire : hindrance(role, unwanted);
  if (hindered !== undefined) return ['error', hindered];
  if (role === undefined && asPort !== undefined) {
    return ['warning', `can be a wire, but no station’s port: ${asPort}`];
  }
  return ['warning', `${what} (${short}), and its driver does not let that be switched off`];
}

/** The host may do work for the guest that native XDP forbids, and not let the guest end it. */
function virtioOffloads(facts: InterfaceFacts, { taken, problem }: Situation): Said[] {
  if (!isVirtio(facts) || taken || problem !== '') return [];
  const merging = facts.offloads.get('rx-gro-hw');
  const switchable = facts.virtio?.switchable ?? (merging?.on !== true || merging.changeable);
  const offered =
    facts.virtio?.offered ?? (merging?.on === true ? ['guest_tso4', 'guest_tso6', 'guest_csum'] : []);
  if (offered.length === 0) return [];
  if (switchable) {
    return merging?.on === true && merging.changeable
      ? [['ok', 'rx-gro-hw is on: the agent switches it off when it takes the interface']]
      : [];
  }
  const options = offered.map((name) => `${name}=off`).join(',');
  return [
    [
      'error',
      `its host merges frames or leaves checksums for it and does not let it end that, for which native XDP is refused: define the device with ctrl_guest_offloads=on, or ${options}`,
    ],
  ];
}

/** A port's frames are for the vif's MAC address. */
function filter({ name, promiscuous, virtualFunction }: InterfaceFacts, { role, taken }: Situation): Said[] {
  if (role === 'underlay') return [];
  const said: Said[] = [];
  if (role === 'port' && taken && !promiscuous) {
    const reason = 'not in promiscuous mode, so that frames for the vif’s MAC address may be lost';
    said.push(['error', `${reason}: ip link set dev ${name} promisc on`]);
  }
  if (virtualFunction) {
    const reason = 'a virtual function, whose MAC filter its host opens to trusted ones only';
    said.push(['warning', `${reason}; for a station’s port, there: ip link set dev PF vf N trust on`]);
  }
  return said;
}

/**
 * Frames are redirected only to a device that counts as ready for it: most do while they have a program. A veth does by
 * its peer, but does not hear of GRO that was switched on there while the peer was down (seen up to Linux 6.18).
 */
function target(facts: InterfaceFacts, { taken }: Situation): Said[] {
  const { xdpFeatures, running } = facts;
  if (xdpFeatures === undefined || !xdpFeatures.basic || xdpFeatures.ndoXmit || !running) return [];
  if (facts.driver === 'veth') {
    const reason =
      'frames sent to it are lost, for its peer has no XDP program and does not count as having GRO';
    return [
      [
        taken ? 'error' : 'warning',
        `${reason}: at the other end, ethtool -K … gro off, then ethtool -K … gro on`,
      ],
    ];
  }
  return taken
    ? [['error', `${driverName(facts)} does not take redirected frames: use another interface`]]
    : [];
}

/** The counter of frames in front of which there was no room; `where` they arrived, as far as known: 'eth0 (driver)'. */
export function headroomFinding(packets: bigint, where: readonly string[]): Finding[] {
  if (packets === 0n) return [];
  const who = where.length > 0 ? where.join(', ') : 'one of its interfaces';
  const text = `${packets} frames were dropped because ${who} gives less than ${HEADROOM} bytes in front of a frame for headers: use a driver with more (XDP_PACKET_HEADROOM is 256)`;
  return [{ severity: 'error', subject: 'headroom', text }];
}
