/**
 * What an interface is, as far as XDP and this data plane care: read from the kernel, judged elsewhere. What a kernel or
 * a driver does not tell is absent, never guessed.
 */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

import {
  BpfError,
  BpfProgram,
  type Driver,
  GenericNetlink,
  getChannels,
  getDriver,
  getOffloads,
  type InterfacePlace,
  type Link,
  type LinkXdp,
  type Offloads,
  type XdpFeatures,
} from '../../native/lib/index.js';

export interface Queues {
  /** Now. */
  readonly receive: number;
  readonly transmit: number;
  /** At most. */
  readonly mostReceive: number;
  readonly mostTransmit: number;
  /** Receive and transmit queues come in pairs (`ethtool -L … combined`). */
  readonly paired: boolean;
}

/** What a virtio device offers of the offloads that stand against XDP. */
export interface VirtioOffloads {
  /** Those the host does for this guest, as QEMU names them: guest_tso4 … */
  readonly offered: readonly string[];
  /** The guest may switch them (VIRTIO_NET_F_CTRL_GUEST_OFFLOADS). */
  readonly switchable: boolean;
}

export interface InterfaceFacts {
  readonly name: string;
  /** 'veth', 'vlan' …; absent on physical interfaces. */
  readonly kind?: string;
  readonly driver?: string;
  readonly mtu: number;
  readonly maxMtu?: number;
  readonly up: boolean;
  /** Up and with carrier. */
  readonly running: boolean;
  /** By somebody's hand. */
  readonly promiscuous: boolean;
  readonly queues: Queues;
  readonly offloads: Offloads;
  readonly xdp?: LinkXdp;
  /** Of the program that is attached, as far as the kernel keeps it. */
  readonly program?: string;
  /** Absent before Linux 6.3. */
  readonly xdpFeatures?: XdpFeatures;
  readonly virtio?: VirtioOffloads;
  /** A function of a network card that another system owns (SR-IOV). */
  readonly virtualFunction: boolean;
}

/** Virtual interfaces need not answer, and one may go while it is asked. */
async function ifTold<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof BpfError && ['EOPNOTSUPP', 'ENODEV', 'EPERM'].includes(error.code)) return undefined;
    throw error;
  }
}

export function driverOf(place: InterfacePlace): Promise<Driver | undefined> {
  return ifTold(getDriver(place));
}

async function queuesOf(place: InterfacePlace, link: Link): Promise<Queues> {
  const channels = await ifTold(getChannels(place));
  if (!channels) {
    const { numRxQueues: receive, numTxQueues: transmit } = link;
    return { receive, transmit, mostReceive: receive, mostTransmit: transmit, paired: false };
  }
  const { combined, maxCombined } = channels;
  return {
    receive: channels.receive + combined,
    transmit: channels.transmit + combined,
    mostReceive: Math.max(channels.maxReceive, maxCombined),
    mostTransmit: Math.max(channels.maxTransmit, maxCombined),
    paired: maxCombined > 0,
  };
}

function programName(xdp: LinkXdp | undefined): string | undefined {
  if (xdp === undefined) return undefined;
  try {
    const program = BpfProgram.openId(xdp.programId);
    try {
      return program.name;
    } finally {
      program.close();
    }
  } catch (error) {
    // gone again, or not for us to see
    if (error instanceof BpfError) return undefined;
    throw error;
  }
}

/** linux/virtio_net.h: bits that virtio_net wants switched off before XDP. */
const GUEST_OFFLOADS: Readonly<Record<number, string>> = {
  1: 'guest_csum',
  7: 'guest_tso4',
  8: 'guest_tso6',
  9: 'guest_ecn',
  10: 'guest_ufo',
  54: 'guest_uso4',
  55: 'guest_uso6',
};
const CTRL_GUEST_OFFLOADS = 2;

/** Of sysfs's `features`: a character a bit, the first bit first. */
export function readVirtio(features: string): VirtioOffloads {
  const has = (bit: number): boolean => features[bit] === '1';
  const offered = Object.entries(GUEST_OFFLOADS).filter(([bit]) => has(Number(bit)));
  return { offered: offered.map(([, name]) => name), switchable: has(CTRL_GUEST_OFFLOADS) };
}

/** The device's folder in sysfs, whatever network namespace the interface is in. */
async function deviceFolder(driver: Driver | undefined): Promise<string | undefined> {
  if (driver === undefined || !/^[\w:.-]+$/.test(driver.bus) || driver.bus.startsWith('.')) return undefined;
  for (const bus of ['pci', 'platform']) {
    const folder = join('/sys/bus', bus, 'devices', driver.bus);
    if (await exists(folder)) return folder;
  }
  return undefined;
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

async function virtioOf(folder: string | undefined): Promise<VirtioOffloads | undefined> {
  if (folder === undefined) return undefined;
  try {
    const name = (await readdir(folder)).find((entry) => /^virtio\d+$/.test(entry));
    if (name === undefined) return undefined;
    return readVirtio((await readFile(join(folder, name, 'features'), 'latin1')).trim());
  } catch {
    // unplugged, or a system that shows no sysfs
    return undefined;
  }
}

/** Facts of links of one network namespace, in their order. */
export async function readFacts(
  links: readonly Link[],
  where: { readonly netns?: string } = {},
): Promise<InterfaceFacts[]> {
  const generic = await GenericNetlink.open(where);
  try {
    return await Promise.all(links.map((link) => factsOf(link, { ...where, name: link.name }, generic)));
  } finally {
    generic.close();
  }
}

async function factsOf(link: Link, place: InterfacePlace, generic: GenericNetlink): Promise<InterfaceFacts> {
  const [driver, queues, offloads, xdpFeatures] = await Promise.all([
    driverOf(place),
    queuesOf(place, link),
    ifTold(getOffloads(place)),
    generic.xdpFeatures(link.index),
  ]);
  const folder = await deviceFolder(driver);
  const virtio = await virtioOf(folder);
  const program = programName(link.xdp);
  const { name, mtu, up, running, promiscuous } = link;
  return {
    name,
    ...(link.kind === undefined ? {} : { kind: link.kind }),
    ...(driver === undefined ? {} : { driver: driver.driver }),
    mtu,
    ...(link.maxMtu === undefined ? {} : { maxMtu: link.maxMtu }),
    up,
    running,
    promiscuous,
    queues,
    offloads: offloads ?? new Map(),
    ...(link.xdp === undefined ? {} : { xdp: link.xdp }),
    ...(program === undefined ? {} : { program }),
    ...(xdpFeatures === undefined ? {} : { xdpFeatures }),
    ...(virtio === undefined ? {} : { virtio }),
    virtualFunction: folder !== undefined && (await exists(join(folder, 'physfn'))),
  };
}
