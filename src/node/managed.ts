/**
 * Neighbours of the machine that tunnels and wires go by: kept resolved by its kernel for as long as one of them needs them.
 */
import { type NetState, neighbourKey } from './net-state.js';

export interface NeighbourOf {
  readonly index: number;
  readonly address: string;
}

export class ManagedNeighbours {
  readonly #net: NetState;
  /** Who needs each, by neighbourKey. */
  readonly #users = new Map<string, NeighbourOf & { readonly users: Set<string> }>();

  constructor(net: NetState) {
    this.#net = net;
  }

  /** Who needs this neighbour. */
  usersOf(index: number, address: string): Iterable<string> {
    return this.#users.get(neighbourKey(index, address))?.users ?? [];
  }

  /** From now on `user` needs these and no others. */
  need(user: string, wanted: readonly NeighbourOf[]): void {
    const keys = new Set<string>();
    for (const { index, address } of wanted) {
      const key = neighbourKey(index, address);
      keys.add(key);
      let known = this.#users.get(key);
      if (!known) this.#users.set(key, (known = { index, address, users: new Set() }));
      known.users.add(user);
      this.#ask(known);
    }
    for (const [key, known] of [...this.#users]) {
      if (keys.has(key) || !known.users.delete(user) || known.users.size > 0) continue;
      this.#users.delete(key);
      // not there any more is as good
      this.#net.netlink.deleteNeighbour(known).catch(() => undefined);
    }
  }

  /** Refused where the link is down or gone: its next event asks again. */
  #ask({ index, address }: NeighbourOf): void {
    if (this.#net.neighbour(index, address)?.managed === true) return;
    const wanted = { index, address, managed: true, externLearned: true };
    this.#net.netlink.replaceNeighbour(wanted).catch(() => undefined);
  }
}
