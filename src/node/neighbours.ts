/**
 * The neighbours of one virtual node: whose MAC address the namespace's kernel knows, and which of them it is asked to
 * keep fresh, for it never sees the traffic that would.
 */
import { type Address, formatAddress, isUnicast, parseAddress, parseMac } from './address.js';
import { LeftOut } from './left-out.js';
import { type NetState, usableMac } from './net-state.js';

/**
 * Neighbours that the tables may have of one virtual node without a limit of its own: a station that claims every
 * address of its subnet takes no more. Gateways of routes count, but are never left out; what is left out is the
 * kernel's to forward.
 */
export const MAX_NEIGHBOURS = 4096;

export interface NodeNeighboursOptions {
  readonly net: NetState;
  /** The vif's device with this interface index, or '' where none is or its neighbours have no MAC addresses. */
  readonly deviceOf: (index: number) => string;
  /** The other way round, while it is up. */
  readonly indexOf: (device: string) => number | undefined;
  /** A neighbour's MAC address is another, or known at last, or (`known` false) not any more. */
  readonly changed: (device: string, address: Address, text: string, known: boolean) => void;
}

interface Neighbour {
  readonly device: string;
  readonly address: Address;
  readonly text: string;
}

export class NodeNeighbours {
  readonly #options: NodeNeighboursOptions;
  readonly #macs = new Map<string, Neighbour & { readonly mac: Uint8Array }>();
  /** Those that some next hop needs. */
  readonly #managed = new Map<string, { readonly device: string; readonly text: string }>();
  readonly #leftOut = new LeftOut<{ readonly index: number; readonly address: string }>();
  #limit = MAX_NEIGHBOURS;
  #closed = false;

  constructor(options: NodeNeighboursOptions) {
    this.#options = options;
  }

  /** With known MAC addresses, in the tables. */
  get size(): number {
    return this.#macs.size;
  }

  get leftOut(): number {
    return this.#leftOut.size;
  }

  /** 0: MAX_NEIGHBOURS. */
  setLimit(limit: number): void {
    const wanted = limit === 0 ? MAX_NEIGHBOURS : limit;
    if (wanted === this.#limit) return;
    this.#limit = wanted;
    // the newest go; those that routes lead by come back, see manageAgain()
    for (const [key, neighbour] of [...this.#macs].toReversed()) {
      if (this.#macs.size <= wanted) break;
      const index = this.#options.indexOf(neighbour.device);
      if (index !== undefined) this.#leftOut.add(key, { index, address: neighbour.text });
      this.#know(neighbour, undefined);
    }
    this.#fillAll();
  }

  /** Some next hop needs it, whatever the limit says. */
  isManaged(index: number, address: string): boolean {
    return this.#managed.has(`${this.#options.deviceOf(index)} ${address}`);
  }

  mac(device: string, address: string): Uint8Array | undefined {
    return this.#macs.get(`${device} ${address}`)?.mac;
  }

  /** Takes a neighbour as the namespace has it now; its key if it is one of a vif. */
  learn(index: number, given: string): string | undefined {
    const { net, deviceOf } = this.#options;
    const device = deviceOf(index);
    const address = device === '' ? undefined : parseAddress(given);
    if (!address || !isUnicast(address)) return undefined;
    const text = formatAddress(address.bytes);
    const usable = usableMac(net.neighbour(index, given));
    const mac = usable === undefined ? undefined : parseMac(usable);
    const key = `${device} ${text}`;
    if (mac && this.#isFull(key)) this.#leftOut.add(key, { index, address: given });
    else {
      this.#leftOut.delete(key);
      this.#know({ device, address, text }, mac);
      if (!mac) this.#fill();
    }
    return key;
  }

  /** Takes all of them again. */
  reread(): void {
    const seen = new Set<string>();
    this.#leftOut.clear();
    for (const { index, address } of this.#options.net.neighbours.values()) {
      const key = this.learn(index, address);
      if (key !== undefined) seen.add(key);
    }
    for (const [key, neighbour] of [...this.#macs]) if (!seen.has(key)) this.#know(neighbour, undefined);
    this.#fillAll();
  }

  /** Some next hop needs the neighbour, or none does any more. */
  manage(device: string, text: string, needed: boolean): void {
    const key = `${device} ${text}`;
    if (needed) this.#managed.set(key, { device, text });
    else this.#managed.delete(key);
    const index = this.#options.indexOf(device);
    if (index === undefined || this.#closed) return;
    const { net } = this.#options;
    const known = net.neighbour(index, text);
    // whoever made it permanent wants it as it is
    if (known?.state === 'permanent' && !known.managed) return;
    if (needed && known?.managed !== true) this.#ask(index, text);
    if (needed) return;
    // not there any more is as good
    net.netlink.deleteNeighbour({ index, address: text }).catch(() => undefined);
  }

  /** One that the kernel let go (its link was down, say) is asked for again; one that a limit left out is taken in. */
  manageAgain(): void {
    if (this.#closed) return;
    for (const [key, { device, text }] of this.#managed) {
      const index = this.#options.indexOf(device);
      if (index === undefined) continue;
      if (!this.#options.net.neighbour(index, text)) this.#ask(index, text);
      else if (!this.#macs.has(key)) this.learn(index, text);
    }
  }

  close(): void {
    this.#closed = true;
  }

  /**
   * Refused where the link is down or gone: asked for again when it is up. Learned elsewhere: otherwise it counts
   * against a limit that all namespaces of the machine share (net.ipv4.neigh.default.gc_thresh3).
   */
  #ask(index: number, address: string): void {
    const wanted = { index, address, managed: true, externLearned: true };
    this.#options.net.netlink.replaceNeighbour(wanted).catch(() => undefined);
  }

  #isFull(key: string): boolean {
    return this.#macs.size >= this.#limit && !this.#macs.has(key) && !this.#managed.has(key);
  }

  #fillAll(): void {
    for (let left = this.#leftOut.size; left > 0 && this.#macs.size < this.#limit; left--) this.#fill();
  }

  /** One has left: another that waited is taken in. */
  #fill(): void {
    if (this.#macs.size >= this.#limit) return;
    const next = this.#leftOut.take();
    if (next) this.learn(next.index, next.address);
  }

  #know(neighbour: Neighbour, mac: Uint8Array | undefined): void {
    const key = `${neighbour.device} ${neighbour.text}`;
    const before = this.#macs.get(key)?.mac;
    if (mac) this.#macs.set(key, { ...neighbour, mac });
    else this.#macs.delete(key);
    const same = mac && before ? mac.every((byte, i) => byte === before[i]) : mac === before;
    if (!same) this.#options.changed(neighbour.device, neighbour.address, neighbour.text, mac !== undefined);
  }
}
