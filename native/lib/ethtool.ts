// An interface's offloads, driver, channels and rings (the ethtool ioctls), in any network
// namespace, off the JavaScript thread.
import { loadAddon } from './addon.js';
import { argumentError, BpfError } from './error.js';

/** An interface by name, in the namespace of this path or in the process's own. */
export interface InterfacePlace {
  readonly netns?: string;
  readonly name: string;
}

/** Offloads under ethtool's short names. */
export interface Features {
  /** Receive checksums. */
  readonly rx: boolean;
  /** Transmit checksums. */
  readonly tx: boolean;
  /** Scatter-gather. */
  readonly sg: boolean;
  /** TCP segmentation. */
  readonly tso: boolean;
  /** Generic segmentation. */
  readonly gso: boolean;
  /** Generic receive offload; on a veth this is also what gives it NAPI. */
  readonly gro: boolean;
  /** VLAN tags on transmit: off, the tag is in the frame. */
  readonly txvlan: boolean;
  /** VLAN tags on receive: off, the tag stays in the frame. */
  readonly rxvlan: boolean;
  /** Large receive offload. */
  readonly lro: boolean;
}

/** One offload under the kernel's own name, as `ethtool -k` lists it: 'rx-gro-hw', 'rx-vlan-hw-parse' … */
export interface Offload {
  readonly on: boolean;
  /** False: fixed by the driver. */
  readonly changeable: boolean;
}

export type Offloads = ReadonlyMap<string, Offload>;

export interface Driver {
  readonly driver: string;
  readonly version: string;
  readonly firmware: string;
  /** Where the device sits, '0000:00:1f.6'; empty for virtual ones. */
  readonly bus: string;
}

export interface Channels {
  readonly receive: number;
  readonly transmit: number;
  readonly combined: number;
  readonly maxReceive: number;
  readonly maxTransmit: number;
  readonly maxCombined: number;
}

/** Frames a ring holds. */
export interface Rings {
  readonly receive: number;
  readonly transmit: number;
  readonly maxReceive: number;
  readonly maxTransmit: number;
}

interface EthtoolAddon {
  ethtoolFeatures(
    netns: string | null,
    name: string,
    features: readonly string[] | null,
    values: readonly boolean[] | null,
  ): Promise<Features>;
  ethtoolOffloads(
    netns: string | null,
    name: string,
    offloads: readonly string[] | null,
    values: readonly boolean[] | null,
  ): Promise<ReadonlyArray<Offload & { readonly name: string }>>;
  ethtoolDriver(netns: string | null, name: string): Promise<Driver>;
  ethtoolChannels(
    netns: string | null,
    name: string,
    receive: number | null,
    transmit: number | null,
    combined: number | null,
  ): Promise<Channels>;
  ethtoolRings(netns: string | null, name: string): Promise<Rings>;
}

const addon = loadAddon<EthtoolAddon>();

function checked(place: InterfacePlace, operation: string): [netns: string | null, name: string] {
  if (typeof place !== 'object' || place === null) {
    throw argumentError(operation, 'place', 'an object with a name');
  }
  return [place.netns ?? null, place.name];
}

export async function getFeatures(place: InterfacePlace): Promise<Features> {
  return addon.ethtoolFeatures(...checked(place, 'ethtool.getFeatures'), null, null);
}

/**
 * Switches offloads and returns all as they then are. What already is as wanted is not touched. EOPNOTSUPP when the
 * interface cannot; ERR_STATE when the kernel agrees but something else (another offload) stands against it.
 */
export async function setFeatures(place: InterfacePlace, wanted: Partial<Features>): Promise<Features> {
  const operation = 'ethtool.setFeatures';
  const [netns, name] = checked(place, operation);
  if (typeof wanted !== 'object' || wanted === null) throw argumentError(operation, 'features', 'an object');
  const entries = Object.entries(wanted);
  const features = await addon.ethtoolFeatures(
    netns,
    name,
    entries.map(([feature]) => feature),
    entries.map(([, value]) => value),
  );
  const now = new Map(Object.entries(features));
  for (const [feature, value] of entries) {
    if (now.get(feature) === value) continue;
    const detail = `${feature} stays ${value ? 'off' : 'on'}; another offload needs it so`;
    throw new BpfError({ code: 'ERR_STATE', operation, subject: name, detail });
  }
  return features;
}

function byName(list: ReadonlyArray<Offload & { readonly name: string }>): Offloads {
  return new Map(list.map(({ name, on, changeable }) => [name, { on, changeable }]));
}

/** All offloads the kernel knows, by its own names. */
export async function getOffloads(place: InterfacePlace): Promise<Offloads> {
  return byName(await addon.ethtoolOffloads(...checked(place, 'ethtool.getOffloads'), null, null));
}

/**
 * Switches offloads by the kernel's own names and returns all as they then are. What already is as wanted is not
 * touched. ERR_ARGUMENT for a name this kernel does not know, EOPNOTSUPP for a fixed one; ERR_STATE when the kernel
 * agrees but the driver or another offload stands against it.
 */
export async function setOffloads(
  place: InterfacePlace,
  wanted: Readonly<Record<string, boolean>>,
): Promise<Offloads> {
  const operation = 'ethtool.setOffloads';
  const [netns, name] = checked(place, operation);
  if (typeof wanted !== 'object' || wanted === null) throw argumentError(operation, 'offloads', 'an object');
  const entries = Object.entries(wanted);
  const offloads = byName(
    await addon.ethtoolOffloads(
      netns,
      name,
      entries.map(([offload]) => offload),
      entries.map(([, value]) => value),
    ),
  );
  for (const [offload, value] of entries) {
    if (offloads.get(offload)?.on === value) continue;
    const detail = `${offload} stays ${value ? 'off' : 'on'}; the driver or another offload needs it so`;
    throw new BpfError({ code: 'ERR_STATE', operation, subject: name, detail });
  }
  return offloads;
}

/** Who drives the interface. EOPNOTSUPP for one that does not say. */
export async function getDriver(place: InterfacePlace): Promise<Driver> {
  return addon.ethtoolDriver(...checked(place, 'ethtool.getDriver'));
}

/** Queues by direction. EOPNOTSUPP for interfaces that have no such notion. */
export async function getChannels(place: InterfacePlace): Promise<Channels> {
  return addon.ethtoolChannels(...checked(place, 'ethtool.getChannels'), null, null, null);
}

/** Changes numbers of queues; absent ones stay. Returns what was asked of the kernel. */
export async function setChannels(
  place: InterfacePlace,
  wanted: Partial<Pick<Channels, 'receive' | 'transmit' | 'combined'>>,
): Promise<Channels> {
  const [netns, name] = checked(place, 'ethtool.setChannels');
  const { receive = null, transmit = null, combined = null } = wanted;
  return addon.ethtoolChannels(netns, name, receive, transmit, combined);
}

/** EOPNOTSUPP for interfaces without rings of their own. */
export async function getRings(place: InterfacePlace): Promise<Rings> {
  return addon.ethtoolRings(...checked(place, 'ethtool.getRings'));
}
