/**
 * What the agent sets on an interface that it takes. Nothing that is as it should be is touched; every change is told in
 * a sentence.
 */
import {
  BpfError,
  getOffloads,
  type InterfacePlace,
  type Netlink,
  type Offload,
  setOffloads,
} from '../../native/lib/index.js';

/** A wire, or where a station's cable ends. */
export type InterfaceRole = 'underlay' | 'port';

export interface UnwantedOffload {
  /** The kernel's name. */
  readonly offload: string;
  /** What one types: `ethtool -K eth0 rxvlan off`. */
  readonly short: string;
  readonly what: string;
}

/** What changes frames before XDP sees them. */
export const UNWANTED_OFFLOADS: readonly UnwantedOffload[] = [
  {
    offload: 'rx-vlan-hw-parse',
    short: 'rxvlan',
    what: 'the card takes VLAN tags off before XDP sees them',
  },
  {
    offload: 'rx-vlan-stag-hw-parse',
    short: 'rx-vlan-stag-hw-parse',
    what: 'the card takes 802.1ad tags off before XDP sees them',
  },
  { offload: 'rx-lro', short: 'lro', what: 'frames are merged before XDP sees them' },
  { offload: 'rx-gro-hw', short: 'rx-gro-hw', what: 'the card merges frames before XDP sees them' },
];

const VLAN_OFFLOADS: ReadonlySet<string> = new Set(['rx-vlan-hw-parse', 'rx-vlan-stag-hw-parse']);

/**
 * Why an interface of this role cannot be used with an offload that is on and stays on; undefined: it can.
 *
 * - Tags taken off, at a port: refused, whether or not there are VLAN devices here. Which VLANs' frames come is the
 *   other end's choice; a card's own VLAN filter is no help, since drivers open it in promiscuous mode, which a port is
 *   in. Frames of every VLAN of the cable would pass for the station's.
 * - Tags taken off, at a wire: used, for tunnels only. The programs take one tag off a wire's frame themselves and ask
 *   the tunnel's addresses alone; what is not a tunnel's goes to the kernel, to which the card tells the tag. Where the
 *   VLAN is all that says what labels mean, it is not enough (`stripsTags`).
 * - LRO: refused. Merged frames are longer than any MTU allows, and are dropped one and all.
 * - GRO by the card: left to the driver, which refuses a program or ends the merging as long as it has one.
 */
export function hindrance(role: InterfaceRole, unwanted: UnwantedOffload): string | undefined {
  if (unwanted.offload === 'rx-gro-hw') return undefined;
  if (unwanted.offload !== 'rx-lro' && role === 'underlay') return undefined;
  const meaning =
    unwanted.offload === 'rx-lro'
      ? 'which nothing can forward'
      : 'so that other VLANs’ would pass for the station’s';
  return `${unwanted.what}, ${meaning}, and its driver does not let ${unwanted.short} be switched off: use another card`;
}

export interface Prepared {
  /** What was changed, a sentence each. */
  readonly changed: readonly string[];
  /** Why the interface cannot be used. */
  readonly problem: string | undefined;
  /** VLAN tags are taken off before XDP sees them, and it stays so. */
  readonly stripsTags?: true;
}

/** Switches off what changes frames before XDP sees them, where the driver allows it. */
export async function prepareOffloads(place: InterfacePlace, role: InterfaceRole): Promise<Prepared> {
  const offloads = await getOffloads(place);
  const changed: string[] = [];
  let problem: string | undefined;
  let stripsTags = false;
  for (const unwanted of UNWANTED_OFFLOADS) {
    const offload = offloads.get(unwanted.offload);
    if (offload?.on !== true) continue;
    if (await switchedOff(place, unwanted, offload)) {
      changed.push(`${unwanted.short} switched off: ${unwanted.what}`);
    } else {
      problem ??= hindrance(role, unwanted);
      stripsTags ||= VLAN_OFFLOADS.has(unwanted.offload);
    }
  }
  return { changed, problem, ...(stripsTags ? { stripsTags } : {}) };
}

async function switchedOff(
  place: InterfacePlace,
  unwanted: UnwantedOffload,
  offload: Offload,
): Promise<boolean> {
  if (!offload.changeable) return false;
  try {
    await setOffloads(place, { [unwanted.offload]: false });
    return true;
  } catch (error) {
    if (error instanceof BpfError && error.code !== 'ENODEV') return false;
    throw error;
  }
}

/** Remembers, also for a later agent, whose promiscuous mode is its agent's doing; by interface index. */
export interface PromiscuousMemory {
  isOurs(index: number): boolean;
  note(index: number, ours: boolean): void;
}

/**
 * A port takes frames for the vif's MAC address, which is not the interface's own: without promiscuous mode a card's
 * filter drops them. Returns what was changed. An operator's own promiscuous mode is left, now and later.
 */
export async function openFilter(
  netlink: Netlink,
  index: number,
  memory: PromiscuousMemory,
): Promise<string | undefined> {
  const link = await netlink.link(index);
  if (link === undefined || link.promiscuous) return undefined;
  // First the note: killed in between, a later agent at worst takes back what is not set.
  memory.note(index, true);
  await netlink.setLink(index, { promiscuous: true });
  return 'put into promiscuous mode: the vif’s MAC address is not the interface’s own';
}

/** Takes back the promiscuous mode that an agent set, and no other. Returns what was changed. */
export async function closeFilter(
  netlink: Netlink,
  index: number,
  memory: PromiscuousMemory,
): Promise<string | undefined> {
  if (!memory.isOurs(index)) return undefined;
  const link = await netlink.link(index);
  const on = link?.promiscuous === true;
  if (on) {
    await netlink.setLink(index, { promiscuous: false }).catch((error: unknown) => {
      if (!(error instanceof BpfError && error.code === 'ENODEV')) throw error;
    });
  }
  memory.note(index, false);
  return on ? 'promiscuous mode taken back' : undefined;
}
