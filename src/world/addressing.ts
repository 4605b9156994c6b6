/**
 * Addresses and static routes of a namespace, made exactly as wanted: what is missing is added, what an earlier plan
 * wanted and this one does not is removed. Whatever the kernel or anybody else put there stays.
 */
import { type Netlink, type Op, RouteProtocol, RouteTable } from '../../native/lib/index.js';
import { parsePrefix } from '../api/prefix.js';

export interface WantedAddress {
  readonly interface: string;
  /** `100.64.0.2/31` */
  readonly prefix: string;
}

export interface WantedRoute {
  readonly destination: string;
  readonly source?: string;
  readonly nextHops: readonly { readonly interface: string; readonly gateway: string }[];
}

/** On these interfaces only. */
export async function ensureAddresses(netlink: Netlink, wanted: readonly WantedAddress[]): Promise<void> {
  const links = await netlink.links();
  const indices = new Map(links.map((link) => [link.name, link.index]));
  const keys = new Map<string, WantedAddress>();
  for (const one of wanted) keys.set(`${indices.get(one.interface)} ${one.prefix}`, one);
  const mine = new Set(wanted.map((one) => indices.get(one.interface)));
  const ops: Op[] = [];
  for (const address of await netlink.addresses()) {
    const { index, prefixLength, scope } = address;
    if (!mine.has(index) || scope !== 'universe') continue;
    if (keys.delete(`${index} ${address.address}/${prefixLength}`)) continue;
    ops.push({ op: 'deleteAddress', address: { index, address: address.address, prefixLength } });
  }
  for (const { interface: name, prefix } of keys.values()) {
    const index = indices.get(name);
    if (index === undefined) throw new Error(`there is no interface ${name}`);
    const [address = '', length = ''] = prefix.split('/');
    ops.push({ op: 'addAddress', address: { index, address, prefixLength: Number(length), noDad: true } });
  }
  await all(netlink, ops);
}

/** All static routes of the main table; next hops over an interface that is down have to wait. */
export async function ensureRoutes(netlink: Netlink, wanted: readonly WantedRoute[]): Promise<void> {
  const links = await netlink.links();
  const destinations = new Set(wanted.map((route) => route.destination));
  const ops: Op[] = [];
  for (const route of await netlink.routes({ table: RouteTable.main, protocol: RouteProtocol.static })) {
    if (!destinations.has(route.destination)) ops.push({ op: 'deleteRoute', route });
  }
  for (const { destination, source, nextHops } of wanted) {
    if (!parsePrefix(destination)) throw new Error(`${destination} is no prefix`);
    const hops = nextHops.flatMap((hop) => {
      const link = links.find((one) => one.name === hop.interface);
      if (!link) throw new Error(`there is no interface ${hop.interface}`);
      return link.up ? [{ index: link.index, gateway: hop.gateway }] : [];
    });
    if (hops.length === 0) continue;
    ops.push({
      op: 'replaceRoute',
      route: {
        destination,
        protocol: RouteProtocol.static,
        nextHops: hops,
        ...(source === undefined ? {} : { source }),
      },
    });
  }
  await all(netlink, ops);
}

async function all(netlink: Netlink, ops: readonly Op[]): Promise<void> {
  const errors = await netlink.batch(ops);
  for (const error of errors) if (error) throw error;
}
