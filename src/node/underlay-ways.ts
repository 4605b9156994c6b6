/**
 * Where the machine's own routes and neighbours lead to from a tunnel's end: the ways to its far end, each as far as
 * it is known.
 */
import { type Link, NextHopFlags, type Route } from '../../native/lib/index.js';
import { parseMac } from './address.js';
import { type UnderlayWay } from './hop.js';
import { type Interfaces } from './interfaces.js';
import { type NetState, neighbourKey, usableMac } from './net-state.js';
import { WAYS } from './ways.js';

const UNUSABLE = NextHopFlags.dead | NextHopFlags.linkDown;

export type TunnelCondition = 'up' | 'no route' | 'unresolved' | 'interface down';

/** One of the equal ways the machine's routes give. */
export interface ResolvedWay {
  readonly interface: string;
  readonly gateway: string;
  /** Empty while it is not known. */
  readonly mac: string;
  readonly weight: number;
}

export interface FoundWay extends ResolvedWay {
  /** Of the interface that the route names. */
  readonly index: number;
  /** Undefined while the MAC address is not known. */
  readonly way: UnderlayWay | undefined;
}

export interface Ways {
  readonly condition: TunnelCondition;
  /** Why `condition` is not `up`, where there is more to say. */
  readonly remark: string;
  readonly ways: readonly FoundWay[];
  /** IP MTU of the narrowest; undefined where there is none. */
  readonly mtu: number | undefined;
}

interface Candidate {
  readonly link: Link;
  readonly gateway: string;
  readonly weight: number;
}

function nothing(condition: TunnelCondition, remark: string): Ways {
  return { condition, remark, ways: [], mtu: undefined };
}

export class UnderlayWays {
  readonly #net: NetState;
  readonly #interfaces: Interfaces;

  constructor(net: NetState, interfaces: Interfaces) {
    this.#net = net;
    this.#interfaces = interfaces;
  }

  /** The ways from `local`, an address of this machine, to `remote`. */
  async find(local: string, remote: string): Promise<Ways> {
    if (!this.#isOwn(local)) return nothing('no route', `${local} is no address of this machine`);
    const route = await this.#route(remote);
    if (route?.type !== 'unicast') return nothing('no route', `the machine has no route to ${remote}`);
    const candidates: Candidate[] = [];
    let foreign = '';
    for (const hop of route.nextHops) {
      const link = this.#net.links.get(hop.index);
      if (!link) continue;
      if (this.#interfaces.underlayOf(link) === undefined) foreign = link.name;
      else if (link.up && link.running && (hop.flags & UNUSABLE) === 0) {
        candidates.push({ link, gateway: hop.gateway ?? remote, weight: Math.max(hop.weight, 1) });
      }
    }
    if (candidates.length > 0) return this.#resolved(candidates.slice(0, WAYS));
    if (foreign === '') return nothing('interface down', '');
    return nothing('no route', `the route to ${remote} leaves by ${foreign}, which is no underlay interface`);
  }

  /** What the kernel refuses to look up is not reached. */
  async #route(remote: string): Promise<Route | undefined> {
    return this.#net.netlink.lookupRoute(remote, { fibMatch: true }).catch(() => undefined);
  }

  #resolved(candidates: readonly Candidate[]): Ways {
    const ways = candidates.map(({ link, gateway, weight }): FoundWay => {
      const mac = usableMac(this.#net.neighbours.get(neighbourKey(link.index, gateway)));
      const way = mac === undefined ? undefined : this.#wayOf(link, mac);
      return { interface: link.name, index: link.index, gateway, mac: mac ?? '', weight, way };
    });
    return {
      condition: ways.some((way) => way.way) ? 'up' : 'unresolved',
      remark: '',
      ways,
      mtu: Math.min(...candidates.map(({ link }) => link.mtu)),
    };
  }

  /** A VLAN device's frames leave by the NIC below it, with its tag. */
  #wayOf(link: Link, mac: string): UnderlayWay | undefined {
    const ifindex = this.#interfaces.underlayOf(link);
    const sourceMac = link.address === undefined ? undefined : parseMac(link.address);
    const destinationMac = parseMac(mac);
    if (ifindex === undefined || !sourceMac || !destinationMac) return undefined;
    return { ifindex, sourceMac, destinationMac, mtu: link.mtu, vlanId: link.vlanId };
  }

  #isOwn(local: string): boolean {
    for (const addresses of this.#net.addresses.values()) {
      for (const { address } of addresses.values()) if (address === local) return true;
    }
    return false;
  }
}
