/**
 * Cables: the veth pairs that stand for wires between machines and for stations' cables. One function sets them up so
 * that native XDP loses nothing: GRO on, since a redirect into a veth needs NAPI at its peer; transmit checksums and
 * VLAN insertion off, since XDP sees frames before any device would finish them; as many queues as processors.
 */
import { availableParallelism } from 'node:os';

import { type Link, type Netlink, setFeatures } from '../../native/lib/index.js';
import { type Namespaces } from './namespaces.js';
import { namespacePath } from './place.js';

export interface CableEnd {
  readonly namespace: string;
  readonly interface: string;
  /** False: an XDP program gives it NAPI, and what it leaves to the kernel is not to be merged. */
  readonly gro?: boolean;
}

/** Made if it is not there, put right if it is, and up. */
export async function ensureCable(
  namespaces: Namespaces,
  ends: readonly [CableEnd, CableEnd],
  mtu: number,
): Promise<void> {
  const [a, b] = ends;
  const [netlinkA, netlinkB] = await Promise.all([
    namespaces.netlink(a.namespace),
    namespaces.netlink(b.namespace),
  ]);
  const pair = await findCable(netlinkA, a.interface, netlinkB, b.interface);
  if (!pair) {
    await removeInterface(netlinkA, a.interface);
    await removeInterface(netlinkB, b.interface);
    const numQueues = availableParallelism();
    await netlinkA.addLink({
      kind: 'veth',
      name: a.interface,
      mtu,
      numQueues,
      peer: { name: b.interface, netns: namespacePath(b.namespace), mtu, numQueues },
    });
  }
  for (const end of ends) {
    const place = { netns: namespacePath(end.namespace), name: end.interface };
    await setFeatures(place, { gro: end.gro ?? true, tx: false, txvlan: false, rxvlan: false });
  }
  await ensureUp(netlinkA, a.interface, mtu);
  await ensureUp(netlinkB, b.interface, mtu);
}

async function ensureUp(netlink: Netlink, name: string, mtu: number): Promise<void> {
  const link = await netlink.link(name);
  if (link && (!link.up || link.mtu !== mtu)) await netlink.setLink(link.index, { up: true, mtu });
}

async function findCable(
  a: Netlink,
  nameA: string,
  b: Netlink,
  nameB: string,
): Promise<[Link, Link] | undefined> {
  const [linkA, linkB] = await Promise.all([a.link(nameA), b.link(nameB)]);
  if (!linkA || !linkB || linkA.kind !== 'veth' || linkB.kind !== 'veth') return undefined;
  return linkA.peerIndex === linkB.index && linkB.peerIndex === linkA.index ? [linkA, linkB] : undefined;
}

/** With its other end. No error if there is none. */
export async function removeInterface(netlink: Netlink, name: string): Promise<void> {
  const link = await netlink.link(name);
  if (link) await netlink.deleteLink(link.index);
}
