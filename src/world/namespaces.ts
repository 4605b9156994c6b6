/**
 * The network namespaces of a world: made, set up as a router or as a host, and opened once each for changes.
 */
import { createNetns, Netlink, netnsNames, setSysctl, setSysctls } from '../../native/lib/index.js';
import { namespacePath } from './place.js';

type Settings = Readonly<Record<string, string | number>>;

/** For every interface, also for those to come. IPv6 addresses are usable at once and stay when a link goes down. */
const EVERYWHERE: Settings = Object.fromEntries(
  ['all', 'default'].flatMap((scope) => [
    [`net/ipv4/conf/${scope}/rp_filter`, 0],
    [`net/ipv4/conf/${scope}/send_redirects`, 0],
    [`net/ipv4/conf/${scope}/accept_redirects`, 0],
    [`net/ipv6/conf/${scope}/accept_redirects`, 0],
    [`net/ipv6/conf/${scope}/accept_ra`, 0],
    [`net/ipv6/conf/${scope}/accept_dad`, 0],
    [`net/ipv6/conf/${scope}/dad_transmits`, 0],
    [`net/ipv6/conf/${scope}/keep_addr_on_down`, 1],
  ]),
);

const ROUTER: Settings = {
  'net/ipv4/ip_forward': 1,
  'net/ipv6/conf/all/forwarding': 1,
  'net/ipv6/conf/default/forwarding': 1,
};

/** Ports count too where packets are spread over equal ways, so that a tunnel's entropy does (RFC 7510 §3). */
const SPREAD: readonly string[] = [
  'net/ipv4/fib_multipath_hash_policy',
  'net/ipv6/fib_multipath_hash_policy',
];

export class Namespaces {
  readonly #open = new Map<string, Promise<Netlink>>();

  /** Made if it is not there, with `lo` up. `router`: it forwards. */
  async ensure(name: string, existing: ReadonlySet<string>, router: boolean): Promise<void> {
    if (!existing.has(name)) await createNetns(name);
    const netns = namespacePath(name);
    await setSysctls({ netns }, router ? { ...EVERYWHERE, ...ROUTER } : EVERYWHERE);
    if (router) await Promise.all(SPREAD.map((key) => setOptional(netns, key, 1)));
    const netlink = await this.netlink(name);
    const lo = await netlink.link('lo');
    if (lo && !lo.up) await netlink.setLink(lo.index, { up: true });
  }

  /** Its routing socket; rejects where there is no such namespace. */
  netlink(name: string): Promise<Netlink> {
    let netlink = this.#open.get(name);
    if (!netlink) this.#open.set(name, (netlink = Netlink.open({ netns: namespacePath(name) })));
    return netlink;
  }

  close(): void {
    for (const netlink of this.#open.values()) {
      netlink.then(
        (open) => open.close(),
        () => undefined,
      );
    }
    this.#open.clear();
  }
}

/** Not every kernel has it. */
async function setOptional(netns: string, key: string, value: number): Promise<void> {
  try {
    await setSysctl({ netns }, key, value);
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'ENOENT') throw error;
  }
}

/** Of a world, by their common prefix. */
export async function namespacesWith(prefix: string): Promise<readonly string[]> {
  return (await netnsNames()).filter((name) => name.startsWith(prefix));
}
