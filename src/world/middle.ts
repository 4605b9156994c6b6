/**
 * The middles of wires: where a wire may lose or delay frames. A wire is two veth pairs, from each machine to a
 * namespace of the world's own, and there bpf/relay.bpf.c sends on at one what arrives at the other. Programs, maps and
 * the interfaces' links are pinned: no process is needed for that.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import {
  type BpfMap,
  BpfObject,
  BpfProgram,
  type Link,
  type Netlink,
  setSysctl,
  XdpLink,
} from '../../native/lib/index.js';
import { ensureCable } from './cables.js';
import { type WirePlan, type WorldPlan } from './layout.js';
import { type Namespaces } from './namespaces.js';
import { machineNamespace, namespacePath, packageRoot, wiresNamespace, wiresPinDirectory } from './place.js';

/** Of an earlier version's wire this is not known: it has none. */
export function hasMiddle(wire: Pick<WirePlan, 'ends'> & { readonly direct?: boolean }): boolean {
  return wire.direct === false;
}

/** The middle's interfaces, in the order of the wire's ends; a wire written the other way round has the same. */
export function middleOf({ ends }: Pick<WirePlan, 'ends'>): readonly [string, string] {
  const [one, two] = ends.map((end) => `${end.machine}:${end.interface}`) as [string, string];
  const sorted = one < two;
  const digest = createHash('sha256')
    .update(sorted ? `${one} ${two}` : `${two} ${one}`)
    .digest('hex')
    .slice(0, 12);
  return sorted ? [`${digest}-a`, `${digest}-b`] : [`${digest}-b`, `${digest}-a`];
}

/** Both veth pairs of every wire that has a middle, and what joins them. */
export async function ensureMiddles(
  namespaces: Namespaces,
  plan: WorldPlan,
  existing: ReadonlySet<string>,
): Promise<void> {
  const wires = plan.wires.filter(hasMiddle);
  if (wires.length === 0) return;
  const namespace = wiresNamespace(plan.name);
  await namespaces.ensure(namespace, existing, false);
  // whatever the kernel would say there by itself would be on the wire
  await disableIpv6(namespace);
  await Promise.all(
    wires.flatMap((wire) => {
      const names = middleOf(wire);
      return wire.ends.map((end, side) =>
        ensureCable(
          namespaces,
          [
            { namespace: machineNamespace(plan.name, end.machine), interface: end.interface },
            { namespace, interface: names[side] ?? '', gro: false },
          ],
          wire.mtu,
        ),
      );
    }),
  );
  const netlink = await namespaces.netlink(namespace);
  const links = await keepOnly(netlink, new Set(wires.flatMap(middleOf)));
  const relay = await Relay.open(plan.name);
  try {
    await relay.join(wires.map((wire) => middleOf(wire).map((name) => indexOf(links, name))));
  } finally {
    relay.close();
  }
}

async function disableIpv6(namespace: string): Promise<void> {
  try {
    await setSysctl({ netns: namespacePath(namespace) }, 'net/ipv6/conf/default/disable_ipv6', 1);
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'ENOENT') throw error;
  }
}

/** Removes the middles of wires that are no more, and returns the others by name. */
async function keepOnly(netlink: Netlink, wanted: ReadonlySet<string>): Promise<ReadonlyMap<string, Link>> {
  const links = (await netlink.links()).filter((link) => link.kind === 'veth');
  for (const link of links) if (!wanted.has(link.name)) await netlink.deleteLink(link.index);
  return new Map(links.map((link) => [link.name, link]));
}

function indexOf(links: ReadonlyMap<string, Link>, name: string): number {
  const link = links.get(name);
  if (link) return link.index;
  throw new Error(`the middle of a wire has no interface ${name}`);
}

/** The program in the middles of one world's wires. */
export class Relay {
  readonly #directory: string;
  readonly #netns: string;
  readonly #program: BpfProgram;
  readonly #peers: BpfMap;
  readonly impaired: BpfMap;

  private constructor(world: string, object: BpfObject) {
    this.#directory = wiresPinDirectory(world);
    this.#netns = namespacePath(wiresNamespace(world));
    this.#program = object.program('relay');
    this.#peers = object.map('relay_peers');
    this.impaired = object.map('relay_impaired');
  }

  /** With the maps that an earlier one has pinned, if they are of the same shape. */
  static async open(world: string): Promise<Relay> {
    try {
      return await Relay.#load(world);
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'ERR_SHAPE') throw error;
      rmSync(wiresPinDirectory(world), { recursive: true, force: true });
      return Relay.#load(world);
    }
  }

  static async #load(world: string): Promise<Relay> {
    const directory = wiresPinDirectory(world);
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const object = BpfObject.open(join(packageRoot(), 'build', 'bpf', 'relay.o'));
    try {
      for (const map of ['relay_peers', 'relay_impaired']) object.setPinned(map, join(directory, map));
      await object.load();
      return new Relay(world, object);
    } finally {
      object.close();
    }
  }

  close(): void {
    this.#program.close();
    this.#peers.close();
    this.impaired.close();
  }

  /** Of each pair of interfaces, each sends on what the other receives. There is nothing of any others afterwards. */
  async join(pairs: readonly (readonly number[])[]): Promise<void> {
    const wanted = new Set(pairs.flat());
    for (const key of [...this.impaired.keys()]) {
      if (!wanted.has(key.readUInt32LE(0))) this.impaired.delete(key);
    }
    for (const [a, b] of pairs) {
      if (a === undefined || b === undefined) continue;
      this.#peers.setDevice(a, { ifindex: b }, { netns: this.#netns });
      this.#peers.setDevice(b, { ifindex: a }, { netns: this.#netns });
    }
    for (const name of readdirSync(this.#directory)) {
      const [, ifindex] = /^link-(\d+)$/.exec(name) ?? [];
      if (ifindex !== undefined && !wanted.has(Number(ifindex))) rmSync(join(this.#directory, name));
    }
    await Promise.all([...wanted].map((ifindex) => this.#attach(ifindex)));
  }

  async #attach(ifindex: number): Promise<void> {
    const path = join(this.#directory, `link-${ifindex}`);
    if (this.#adopt(ifindex, path)) return;
    rmSync(path, { force: true });
    const link = await this.#program.attachXdpAsync(ifindex, { mode: 'native', netns: this.#netns });
    try {
      link.pin(path);
    } finally {
      link.close();
    }
  }

  /** False: there is no such attachment. */
  #adopt(ifindex: number, path: string): boolean {
    let link: XdpLink;
    try {
      link = XdpLink.openPinned(path);
    } catch {
      return false;
    }
    try {
      const { ifindex: at, programId } = link.info();
      if (at !== ifindex) return false;
      const present = BpfProgram.openId(programId);
      if (present.tag !== this.#program.tag) link.update(this.#program);
      present.close();
      return true;
    } finally {
      link.close();
    }
  }
}
