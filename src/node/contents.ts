/**
 * A tenant's addresses and routes in a virtual node: installed in its namespace, so that its kernel answers as a
 * router does. New ones first, then the removal of old ones. The tables are told of what is in the namespace, never of
 * what is wanted: where the kernel refuses something, both still say the same. The namespace is also the store: an
 * agent started later reads from it what was there.
 */
import { type BpfError, type NetlinkEvent, type Route, type RouteSpec } from '../../native/lib/index.js';
import { formatAddress, parseAddress, parseInterfaceAddress, parsePrefix, type Prefix } from './address.js';
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

interface Refused {
  readonly route: RouteIntent;
  readonly error: BpfError;
}

const RTNH_F_DEAD = 1;

/** After such an event routes may be gone. */
function takesRoutes(event: NetlinkEvent): boolean {
  return (
    event.type === 'resync' || event.what === 'link' || (event.what === 'address' && event.type === 'del')
  );
}

export class Contents {
  readonly #options: ContentsOptions;
  /** What is in the namespace by our doing. */
  readonly #addresses = new Map<string, AddressIntent>();
  readonly #routes = new Map<string, RouteIntent>();
  /** Where #routes has changed since the tables were told. */
  readonly #untold = new Map<string, Prefix>();
  /** The kernel may have forgotten some of them, which it does not always tell. */
  #doubtful = false;
  #turn: Promise<void> = Promise.resolve();

  constructor(options: ContentsOptions) {
    this.#options = options;
    options.net.listen((events) => {
      if (events.some(takesRoutes)) this.#doubtful = true;
    });
  }

  get routes(): ReadonlyMap<string, RouteIntent> {
    return this.#routes;
  }

  get addresses(): ReadonlyMap<string, AddressIntent> {
    return this.#addresses;
  }

  /** Makes the namespace have these and no others of ours, and the tables what the namespace then has. */
  apply(
    addresses: ReadonlyMap<string, AddressIntent>,
    routes: ReadonlyMap<string, RouteIntent>,
  ): Promise<void> {
    return this.#inTurn(async () => {
      try {
        await this.#write(addresses, routes);
      } catch (error) {
        this.#doubtful = true;
        // of two failures the first is the answer; the mirror keeps what it could not publish
        await this.#publish().catch(() => undefined);
        throw error;
      }
      await this.#publish();
    });
  }

  /** A link of the node is up again: its kernel has forgotten the routes by it. */
  restore(device: string): Promise<void> {
    return this.#inTurn(async () => {
      if (!this.#options.mirror.isUp(device)) return;
      const lost = [...this.#routes.values()].filter((route) =>
        route.nextHops.some((hop) => hop.device === device),
      );
      this.#throwFirst(await this.#install(lost));
    });
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => undefined);
    return done;
  }

  async #write(
    addresses: ReadonlyMap<string, AddressIntent>,
    routes: ReadonlyMap<string, RouteIntent>,
  ): Promise<void> {
    await this.#look();
    await this.#addAddresses(addresses);
    const gone = [...this.#routes.values()].filter((route) => !routes.has(route.destination.text));
    await this.#install(this.#missing(routes));
    await this.#uninstall(gone);
    await this.#publish();
    await this.#removeAddresses(addresses);
    await this.#look();
    // what is gone by now may have been in the way of some, and have taken others along
    this.#throwFirst(await this.#install(this.#missing(routes)));
  }

  #missing(wanted: ReadonlyMap<string, RouteIntent>): RouteIntent[] {
    return [...wanted.values()].filter((route) => {
      const present = this.#routes.get(route.destination.text);
      return !present || !sameRoute(present, route);
    });
  }

  /**
   * A kernel forgets routes with a device, with the last IPv4 address of a link, with a link's MTU that is too small
   * for IPv6: they are not there any more, and what is left of one that had other ways is taken away.
   */
  async #look(): Promise<void> {
    if (!this.#doubtful) return;
    this.#doubtful = false;
    if (this.#routes.size === 0) return;
    const { mirror } = this.#options;
    const ways = new Map<string, number>();
    for (const { destination, nextHops } of await this.#ours()) {
      const alive = nextHops.filter((hop) => (hop.flags & RTNH_F_DEAD) === 0);
      ways.set(parsePrefix(destination)?.text ?? destination, alive.length);
    }
    const lost = [...this.#routes.values()].filter(
      ({ destination, nextHops }) =>
        (ways.get(destination.text) ?? -1) < nextHops.length &&
        // by a link that is down none is there: restore()
        nextHops.every((hop) => mirror.isUp(hop.device)),
    );
    await this.#uninstall(lost);
  }

  /** In the namespace, whoever put them there in our name. */
  #ours(): Promise<Route[]> {
    return this.#options.net.netlink.routes({ table: MAIN_TABLE, protocol: PROTOCOL_CABERNET });
  }

  /** `route`: what the namespace has for this destination from now on. */
  #note(destination: Prefix, route: RouteIntent | undefined): void {
    if (this.#routes.get(destination.text) === route) return;
    if (route) this.#routes.set(destination.text, route);
    else this.#routes.delete(destination.text);
    this.#untold.set(destination.text, destination);
  }

  #tell(): void {
    const { mirror } = this.#options;
    for (const [key, destination] of this.#untold) {
      const route = this.#routes.get(key);
      mirror.setRoute(destination, route && targetOf(route));
    }
    this.#untold.clear();
  }

  #publish(): Promise<void> {
    this.#tell();
    return this.#options.mirror.refresh();
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
    for (const route of await this.#ours()) {
      const intent = this.#intentOf(route);
      if (intent) this.#note(intent.destination, intent);
    }
    this.#tell();
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

  async #removeAddresses(wanted: ReadonlyMap<string, AddressIntent>): Promise<void> {
    const { net, mirror } = this.#options;
    const removed: [string, AddressIntent][] = [];
    for (const [key, intent] of this.#addresses) {
      if (wanted.has(key)) continue;
      const index = mirror.deviceIndex(intent.device);
      if (index !== undefined && net.addresses.get(index)?.has(intent.address.text)) {
        removed.push([key, intent]);
      } else this.#addresses.delete(key);
    }
    if (removed.length === 0) return;
    this.#doubtful = true;
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

  /** Those that the kernel refused. */
  async #install(routes: readonly RouteIntent[]): Promise<Refused[]> {
    const { net } = this.#options;
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
    if (routes.length === 0) return [];
    const results = await net.netlink.batch(
      routes.map((route) => ({ op: 'replaceRoute', route: this.#inKernel(route) })),
    );
    const refused: Refused[] = [];
    for (const [i, route] of routes.entries()) {
      const error = results[i];
      if (error) refused.push({ route, error });
      else this.#note(route.destination, route);
    }
    return refused;
  }

  #throwFirst([first]: readonly Refused[]): void {
    if (!first) return;
    throw failedStep(this.#options.node, `route ${first.route.destination.text}`, first.error);
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
      if (route && (!error || error.code === 'ESRCH')) this.#note(route.destination, undefined);
    }
    for (const [i, error] of results.entries()) {
      if (error && error.code !== 'ESRCH') {
        throw failedStep(node, `removal of route ${routes[i]?.destination.text}`, error);
      }
    }
  }
}
