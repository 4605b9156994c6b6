/**
 * A virtual node's network namespace and its vifs' veths, set up in one place: names, MAC and MTU, the offloads
 * without which native XDP loses frames, queues, and the sysctls of a router. Everything here may be repeated.
 *
 * GRO on: a redirect into a veth needs NAPI at its peer. `tx` and `txvlan` off: XDP sees frames before any device
 * would finish their checksums or insert their tags.
 */
import { rm } from 'node:fs/promises';
import { cpus } from 'node:os';

import {
  BpfError,
  createNetns,
  deleteNetns,
  type Link,
  Netlink,
  isNetns,
  netnsPath,
  setFeatures,
  setSysctl,
  setSysctls,
} from '../../native/lib/index.js';
import { type NetState } from './net-state.js';

/** `icmp_ratelimit`: what reaches the kernel is limited already. */
const SYSCTLS: Readonly<Record<string, number>> = {
  'net/ipv4/ip_forward': 1,
  'net/ipv4/icmp_ratelimit': 0,
  'net/ipv6/icmp/ratelimit': 0,
  // for every interface, also for those to come
  ...Object.fromEntries(
    ['all', 'default'].flatMap((scope) => [
      [`net/ipv4/conf/${scope}/rp_filter`, 0],
      [`net/ipv4/conf/${scope}/send_redirects`, 0],
      [`net/ipv4/conf/${scope}/accept_redirects`, 0],
      [`net/ipv4/conf/${scope}/promote_secondaries`, 1],
      // who has the old MAC address in its cache hears of a new one
      [`net/ipv4/conf/${scope}/arp_notify`, 1],
      [`net/ipv6/conf/${scope}/ndisc_notify`, 1],
      [`net/ipv6/conf/${scope}/forwarding`, 1],
      [`net/ipv6/conf/${scope}/accept_redirects`, 0],
      [`net/ipv6/conf/${scope}/accept_ra`, 0],
      [`net/ipv6/conf/${scope}/accept_dad`, 0],
      [`net/ipv6/conf/${scope}/dad_transmits`, 0],
      [`net/ipv6/conf/${scope}/keep_addr_on_down`, 1],
    ]),
  ),
};

function isMissing(error: unknown): boolean {
  return error instanceof BpfError && error.code === 'ENOENT';
}

async function writeSysctls(netns: string): Promise<void> {
  try {
    await setSysctls({ netns }, SYSCTLS);
  } catch (error) {
    if (!isMissing(error)) throw error;
    // a kernel without IPv6, or without one of them: the others one by one
    for (const [key, value] of Object.entries(SYSCTLS)) {
      await setSysctl({ netns }, key, value).catch((cause: unknown) => {
        if (!isMissing(cause)) throw cause;
      });
    }
  }
}

/** The namespace under /run/netns, a router by its sysctls, `lo` up. */
export async function ensureNamespace(name: string): Promise<void> {
  if (!(await isNetns(name))) {
    // half made, by an agent that was killed
    await rm(netnsPath(name), { force: true });
    await createNetns(name);
  }
  const netns = netnsPath(name);
  await writeSysctls(netns);
  const netlink = await Netlink.open({ netns });
  try {
    const lo = await netlink.link('lo');
    if (lo && !lo.up) await netlink.setLink(lo.index, { up: true });
  } finally {
    netlink.close();
  }
}

/** Gone, with every device that is only in it; no error if it was gone already. */
export async function removeNamespace(name: string): Promise<void> {
  await deleteNetns(name).catch((error: unknown) => {
    if (!isMissing(error)) throw error;
  });
}

/**
 * The machine's own kernel says nothing on this interface: no neighbour discovery, no multicast reports, which a
 * station or a virtual node would take for another router's. `netns`: where the interface is.
 */
export async function silence(netns: string | undefined, name: string): Promise<void> {
  const place = netns === undefined ? {} : { netns };
  await setSysctl(place, `net/ipv6/conf/${name}/disable_ipv6`, 1).catch((error: unknown) => {
    if (!isMissing(error)) throw error;
  });
}

export interface VifDevice {
  /** The machine's end. */
  readonly machineName: string;
  /** The vif's resource name: the machine end's alias, by which an agent finds it again. */
  readonly alias: string;
  /** The virtual node's namespace. */
  readonly namespace: string;
  /** The end in the namespace. */
  readonly device: string;
  readonly mac: string;
  readonly mtu: number;
  /** Neighbours are asked for; false where the link carries IP only. */
  readonly arp: boolean;
}

export interface VifLinks {
  /** Interface indices of the machine's end and of the one inside. */
  readonly machine: number;
  readonly inside: number;
}

/**
 * The veth of a vif: the machine's end in the agent's own namespace, the other as `device` in the virtual node's.
 * One that is there is put right, one that cannot be is made anew. Both states know it afterwards.
 */
export async function ensureVeth(machine: NetState, inside: NetState, wanted: VifDevice): Promise<VifLinks> {
  const { outer, inner } =
    (await findVeth(machine.netlink, inside.netlink, wanted)) ?? (await makeVeth(machine, inside, wanted));
  if (outer.mtu !== wanted.mtu) await machine.netlink.setLink(outer.index, { mtu: wanted.mtu });
  if (inner.mtu !== wanted.mtu) await inside.netlink.setLink(inner.index, { mtu: wanted.mtu });
  if (inner.arp !== wanted.arp) await inside.netlink.setLink(inner.index, { arp: wanted.arp });
  if (inner.address !== wanted.mac) await inside.netlink.setLink(inner.index, { address: wanted.mac });
  if (outer.alias !== wanted.alias) await machine.netlink.setLink(outer.index, { alias: wanted.alias });
  const offloads = { gro: true, tx: false, txvlan: false };
  await silence(machine.netns, outer.name);
  await setFeatures(machine.place(outer.name), offloads);
  await setFeatures(inside.place(inner.name), offloads);
  if (!inner.up) await inside.netlink.setLink(inner.index, { up: true });
  if (!outer.up) await machine.netlink.setLink(outer.index, { up: true });
  await machine.refreshLink(outer.index);
  await inside.refreshLink(inner.index);
  return { machine: outer.index, inside: inner.index };
}

async function makeVeth(
  machine: NetState,
  inside: NetState,
  wanted: VifDevice,
): Promise<{ outer: Link; inner: Link }> {
  const { machineName, namespace, device, mac, mtu } = wanted;
  const numQueues = cpus().length;
  const outer = await machine.netlink.addLink({
    kind: 'veth',
    name: machineName,
    mtu,
    numQueues,
    peer: { name: device, netns: netnsPath(namespace), mtu, address: mac, numQueues },
  });
  const inner = await inside.netlink.link(device);
  if (inner) return { outer, inner };
  throw new Error(`${device} is not in ${namespace}, where it was made`);
}

async function findVeth(
  machine: Netlink,
  inside: Netlink,
  wanted: VifDevice,
): Promise<{ outer: Link; inner: Link } | undefined> {
  const outer = await machine.link(wanted.machineName);
  const inner = await inside.link(wanted.device);
  const named = outer?.alias === undefined || outer.alias === '' || outer.alias === wanted.alias;
  if (outer && inner && named && outer.kind === 'veth' && outer.peerIndex === inner.index)
    return { outer, inner };
  if (outer) await deleteLink(machine, outer.index);
  // gone with its peer, unless it is somebody else's: the name is this vif's
  const still = inner && (await inside.link(inner.index));
  if (still) await deleteLink(inside, still.index);
  return undefined;
}

/** It may be going by itself, with the namespace of its other end. */
export async function deleteLink(netlink: Netlink, index: number): Promise<void> {
  await netlink.deleteLink(index).catch((error: unknown) => {
    if (!(error instanceof BpfError && error.code === 'ENODEV')) throw error;
  });
}
