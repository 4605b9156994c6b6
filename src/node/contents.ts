/**
 * A tenant's addresses and routes in a virtual node: installed in its namespace, so that its kernel answers as a
 * router does, and put into its tables. New ones first, then the publication, then the removal of old ones. The
 * namespace is also the store: an agent started later reads from it what was there.
 */
import { type BpfError, type Route, type RouteSpec } from '../../native/lib/index.js';
import { formatAddress, parseAddress, parseInterfaceAddress, parsePrefix } from './address.js';
import { MAIN_TABLE, PROTOCOL_CABERNET } from './kernel-routes.js';
import { type Mirror } from './mirror.js';
import { type AddressIntent, type NextHopIntent, type RouteIntent, sameRoute } from './model.js';
import { type NetState } from './net-state.js';
import { failedStep } from './refusal.js';
import { type SingleTarget, type Target } from './rib.js';

/** Prefixes of the node's own links are preferred (their metric is 0 or 256). */
const METRIC = 1024;

export interface ContentsOptions {
  readonly node: string;
  readonly net: NetState;
  readonly mirror: Mirror;
}

function targetOf(route: RouteIntent): Target {
  if (route.type !== 'unicast') return { kind: route.type };
  const ways = route.nextHops.map((hop) => ({ to: hopTarget(hop), weight: hop.weight }));
  const [first] = ways;
  return first && ways.length === 1 ? first.to : { kind: 'group', ways };
}

function hopTarget(hop: NextHopIntent): SingleTarget {
  return hop.gateway === ''
    ? { kind: 'glean', vif: hop.device }
    : { kind: 'hop', vif: hop.device, gateway: hop.gateway };
}

/** IPv6 keeps routes by gateway apart from others: replacing one kind by the other needs a removal. */
function kindInKernel(route: RouteIntent): string {
  return route.type === 'unicast' && route.nextHops[0]?.gateway !== '' ? 'gateway' : route.type;
}

export class Contents {
  readonly #options: ContentsOptions;
  /** What is in the namespace by our doing. */
  readonly #addresses = new Map<string, AddressIntent>();
  readonly #routes = new Map<string, RouteIntent>();
  /** The interface of each device when routes by it were installed. */
  readonly #indices = new Map<string, number>();

  constructor(options: ContentsOptions) {
    this.#options = options;
  }

  get routes(): ReadonlyMap<string, RouteIntent> {
    return this.#routes;
  }

  get addresses(): ReadonlyMap<string, AddressIntent> {
    return this.#addresses;
  }

  /** Makes the namespace and the tables have these and no others of ours. */
  async apply(
    addresses: ReadonlyMap<string, AddressIntent>,
    routes: ReadonlyMap<string, RouteIntent>,
  ): Promise<void> {
    const { mirror } = this.#options;
    this.#forgetLost();
    await this.#addAddresses(addresses);
    const changed: RouteIntent[] = [];
    for (const [key, route] of routes) {
      const before = this.#routes.get(key);
      if (!before || !sameRoute(before, route)) changed.push(route);
    }
    const gone = [...this.#routes.values()].filter((route) => !routes.has(route.destination.text));
    await this.#install(changed);
    for (const route of changed) mirror.setRoute(route.destination, targetOf(route));
    for (const route of gone) mirror.setRoute(route.destination, undefined);
    await mirror.refresh();
    await this.#uninstall(gone);
    if (await this.#removeAddresses(addresses)) await mirror.refresh();
  }

  /** A link of the node is up again: its kernel has forgotten the routes by it. */
  async restore(device: string): Promise<void> {
    const { mirror } = this.#options;
    if (mirror.deviceIndex(device) === undefined || !mirror.isUp(device)) return;
    const lost = [...this.#routes.values()].filter((route) =>
      route.nextHops.some((hop) => hop.device === device),
    );
    if (lost.length > 0) await this.#install(lost);
  }

  /** A device that is another than before took its routes along. */
  #forgetLost(): void {
    const { mirror } = this.#options;
    for (const [device, index] of this.#indices) {
      if (mirror.deviceIndex(device) === index) continue;
      this.#indices.delete(device);
      for (const [key, route] of this.#routes) {
        if (route.nextHops.some((hop) => hop.device === device)) this.#routes.delete(key);
      }
    }
  }

  /** Reads what an earlier agent installed. */
  async adopt(): Promise<void> {
    const { node, net, mirror } = this.#options;
    for (const [index, addresses] of net.addresses) {
      const device = mirror.deviceOf(index);
      if (device === '') continue;
      for (const { address, prefixLength, protocol } of addresses.values()) {
        const parsed = parseInterfaceAddress(`${address}/${prefixLength}`);
        if (!parsed || protocol !== PROTOCOL_CABERNET) continue;
        const vif = `${node}/vifs/${device}`;
        this.#addresses.set(`${vif} ${parsed.text}`, { kind: 'address', vif, node, device, address: parsed });
      }
    }
    for (const family of [4, 6] as const) {
      for (const route of await net.netlink.routes({ family, table: MAIN_TABLE })) {
        const intent = route.protocol === PROTOCOL_CABERNET ? this.#intentOf(route) : undefined;
        if (!intent) continue;
        this.#routes.set(intent.destination.text, intent);
        for (const { device } of intent.nextHops) this.#indices.set(device, mirror.deviceIndex(device) ?? 0);
        mirror.setRoute(intent.destination, targetOf(intent));
      }
    }
  }

  #intentOf(route: Route): RouteIntent | undefined {
    const destination = parsePrefix(route.destination);
    if (!destination) return undefined;
    const { type } = route;
    const { node, mirror } = this.#options;
    if (type === 'blackhole' || type === 'unreachable') {
      return { kind: 'route', node, destination, type, nextHops: [] };
    }
    if (type !== 'unicast') return undefined;
    const nextHops = route.nextHops.map((hop): NextHopIntent => {
      const gateway = hop.gateway === undefined ? undefined : parseAddress(hop.gateway);
      return {
        device: mirror.deviceOf(hop.index),
        gateway: gateway ? formatAddress(gateway.bytes) : '',
        weight: Math.max(hop.weight, 1),
      };
    });
    return { kind: 'route', node, destination, type, nextHops };
  }

  // ---- addresses

  async #addAddresses(wanted: ReadonlyMap<string, AddressIntent>): Promise<void> {
    const { net, mirror } = this.#options;
    const added: [string, AddressIntent][] = [];
    for (const [key, intent] of wanted) {
      const { device, address } = intent;
      const index = mirror.deviceIndex(device);
      if (index === undefined) throw failedStep(intent.vif, `there is no device for ${intent.vif}`);
      const present = net.addresses.get(index);
      const text = formatAddress(address.bytes);
      if (this.#addresses.has(key) && present?.has(address.text)) continue;
      // an interface has an IPv6 address once, whatever its prefix length
      for (const other of address.family === 6 ? (present?.values() ?? []) : []) {
        if (other.address === text && other.prefixLength !== address.length) {
          await net.netlink.deleteAddress({ index, address: text, prefixLength: other.prefixLength });
        }
      }
      added.push([key, intent]);
    }
    if (added.length === 0) return;
    const results = await net.netlink.batch(
      added.map(([, { device, address }]) => ({
        op: 'replaceAddress',
        address: {
          index: mirror.deviceIndex(device) ?? 0,
          address: formatAddress(address.bytes),
          prefixLength: address.length,
          noDad: true,
          protocol: PROTOCOL_CABERNET,
        },
      })),
    );
    this.#settleAddresses(added, results, (key, intent) => this.#addresses.set(key, intent), 'address');
  }

  async #removeAddresses(wanted: ReadonlyMap<string, AddressIntent>): Promise<boolean> {
    const { net, mirror } = this.#options;
    const removed: [string, AddressIntent][] = [];
    for (const [key, intent] of this.#addresses) {
      if (wanted.has(key)) continue;
      const index = mirror.deviceIndex(intent.device);
      if (index !== undefined && net.addresses.get(index)?.has(intent.address.text)) {
        removed.push([key, intent]);
      } else this.#addresses.delete(key);
    }
    if (removed.length === 0) return false;
    const results = await net.netlink.batch(
      removed.map(([, { device, address }]) => ({
        op: 'deleteAddress',
        address: {
          index: mirror.deviceIndex(device) ?? 0,
          address: formatAddress(address.bytes),
          prefixLength: address.length,
        },
      })),
    );
    const forget = (key: string): void => void this.#addresses.delete(key);
    this.#settleAddresses(removed, results, forget, 'removal of address');
    return true;
  }

  /** Notes what was done, and throws for the first that was not. */
  #settleAddresses(
    entries: readonly (readonly [string, AddressIntent])[],
    results: readonly (BpfError | undefined)[],
    done: (key: string, intent: AddressIntent) => void,
    what: string,
  ): void {
    for (const [i, [key, intent]] of entries.entries()) if (!results[i]) done(key, intent);
    for (const [i, [, { vif, address }]] of entries.entries()) {
      if (results[i]) throw failedStep(vif, `${what} ${address.text}`, results[i]);
    }
  }

  // ---- routes

  #inKernel(route: RouteIntent): RouteSpec {
    const { mirror, node } = this.#options;
    const nextHops = route.nextHops.map(({ device, gateway, weight }) => {
      const index = mirror.deviceIndex(device);
      if (index === undefined) throw failedStep(node, `there is no device for ${node}/vifs/${device}`);
      this.#indices.set(device, index);
      // the gateway need not be within a prefix of its link
      return gateway === '' ? { index, weight } : { index, gateway, weight, onlink: true };
    });
    return {
      destination: route.destination.text,
      table: MAIN_TABLE,
      protocol: PROTOCOL_CABERNET,
      type: route.type,
      metric: METRIC,
      nextHops,
    };
  }

  async #install(routes: readonly RouteIntent[]): Promise<void> {
    const { net, node } = this.#options;
    if (routes.length === 0) return;
    const replaced = routes
      .map((route) => this.#routes.get(route.destination.text))
      .filter((before, i): before is RouteIntent => {
        const route = routes[i];
        return (
          before?.destination.family === 6 &&
          route !== undefined &&
          kindInKernel(before) !== kindInKernel(route)
        );
      });
    await this.#uninstall(replaced);
    const results = await net.netlink.batch(
      routes.map((route) => ({ op: 'replaceRoute', route: this.#inKernel(route) })),
    );
    for (const [i, error] of results.entries()) {
      const route = routes[i];
      if (route && !error) this.#routes.set(route.destination.text, route);
    }
    for (const [i, error] of results.entries()) {
      if (error) throw failedStep(node, `route ${routes[i]?.destination.text}`, error);
    }
  }

  async #uninstall(routes: readonly RouteIntent[]): Promise<void> {
    const { net, node } = this.#options;
    if (routes.length === 0) return;
    const results = await net.netlink.batch(
      routes.map(({ destination }) => ({
        op: 'deleteRoute',
        route: {
          destination: destination.text,
          table: MAIN_TABLE,
          protocol: PROTOCOL_CABERNET,
          metric: METRIC,
        },
      })),
    );
    for (const [i, error] of results.entries()) {
      const route = routes[i];
      // ESRCH: went with its link
      if (route && (!error || error.code === 'ESRCH')) this.#routes.delete(route.destination.text);
    }
    for (const [i, error] of results.entries()) {
      if (error && error.code !== 'ESRCH') {
        throw failedStep(node, `removal of route ${routes[i]?.destination.text}`, error);
      }
    }
  }
}
