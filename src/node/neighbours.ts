/**
 * The neighbours of one virtual node: whose MAC address the namespace's kernel knows, and which of them it is asked to
 * keep fresh, for it never sees the traffic that would.
 */
import { type Address, formatAddress, isUnicast, parseAddress, parseMac } from './address.js';
import { type NetState, usableMac } from './net-state.js';

/**
 * Neighbours of one virtual node that its tables may have: a station that claims every address of its subnet takes
 * no more. Gateways of routes count, but are never left out; what is left out is the kernel's to forward.
 */
export const MAX_NEIGHBOURS = 4096;

export interface NodeNeighboursOptions {
  readonly net: NetState;
  /** The vif's device with this interface index, or ''. */
  readonly deviceOf: (index: number) => string;
  /** The interface index of a vif's device while it is up. */
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
  #closed = false;

  constructor(options: NodeNeighboursOptions) {
    this.#options = options;
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
    const mac = usableMac(net.neighbour(index, given));
    this.#know({ device, address, text }, mac === undefined ? undefined : parseMac(mac));
    return `${device} ${text}`;
  }

  /** Takes all of them again. */
  reread(): void {
    const seen = new Set<string>();
    for (const { index, address } of this.#options.net.neighbours.values()) {
      const key = this.learn(index, address);
      if (key !== undefined) seen.add(key);
    }
    for (const [key, neighbour] of [...this.#macs]) if (!seen.has(key)) this.#know(neighbour, undefined);
  }

  /** Some next hop needs the neighbour, or none does any more. */
  manage(device: string, text: string, needed: boolean): void {
    const key = `${device} ${text}`;
    if (needed) this.#managed.set(key, { device, text });
    else this.#managed.delete(key);
    const index = this.#options.indexOf(device);
    if (index === undefined || this.#closed) return;
    const { net } = this.#options;
    if (needed && net.neighbour(index, text)?.managed !== true) this.#ask(index, text);
    if (needed) return;
    // not there any more is as good
    net.netlink.deleteNeighbour({ index, address: text }).catch(() => undefined);
  }

  /** One that the kernel let go (its link was down, say) is asked for again. */
  manageAgain(): void {
    if (this.#closed) return;
    for (const { device, text } of this.#managed.values()) {
      const index = this.#options.indexOf(device);
      if (index !== undefined && !this.#options.net.neighbour(index, text)) this.#ask(index, text);
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

  #know(neighbour: Neighbour, mac: Uint8Array | undefined): void {
    const key = `${neighbour.device} ${neighbour.text}`;
    if (mac && this.#macs.size >= MAX_NEIGHBOURS && !this.#macs.has(key) && !this.#managed.has(key)) return;
    const before = this.#macs.get(key)?.mac;
    if (mac) this.#macs.set(key, { ...neighbour, mac });
    else this.#macs.delete(key);
    const same = mac && before ? mac.every((byte, i) => byte === before[i]) : mac === before;
    if (!same) this.#options.changed(neighbour.device, neighbour.address, neighbour.text, mac !== undefined);
  }
}
