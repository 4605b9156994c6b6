/** How far machines are with leases, and what that makes of a lease's status. */
import { type LeaseState, types } from '../api/types.js';
import { byWire } from './compose-wires.js';
import { waysOf } from './hops.js';
import { type Bodies, type Tx, type View } from './kinds.js';
import { machineOf } from './ledger.js';
import { settled } from './status.js';

const States = types.LeaseState;

type Lease = Bodies['virtualNode'] | Bodies['virtualLink'];

/** What a machine last said of a lease. */
export interface Said {
  readonly generation: bigint;
  /** Why the agent refuses it; empty: it has it. */
  readonly refusal: string;
}

export class Progress {
  readonly #said = new Map<string, Map<string, Said>>();

  /** All that one machine has to say now. */
  set(machine: string, said: Map<string, Said>): void {
    this.#said.set(machine, said);
  }

  /** It does not answer: what it said before still holds, but for what changes now. */
  forget(machine: string): void {
    this.#said.delete(machine);
  }

  /** Writes what has changed of the leases on a machine. */
  report(tx: Tx, machine: string): void {
    for (const node of tx.all('virtualNode')) {
      if (machineOf(node) !== machine) continue;
      const status = this.#statusOf(node, [machine]);
      if (status) tx.put('virtualNode', { ...node, status });
    }
    for (const link of tx.all('virtualLink')) {
      const machines = machinesOf(tx, link);
      const status = machines.includes(machine) ? this.#statusOf(link, machines) : undefined;
      if (status) tx.put('virtualLink', { ...link, status });
    }
  }

  /** Undefined: nothing new. */
  #statusOf(lease: Lease, machines: readonly string[]): NonNullable<Lease['status']> | undefined {
    const { status } = lease;
    if (!status) return undefined;
    const said = machines.map((machine) => this.#said.get(machine)?.get(lease.name));
    const refused = said.find((one) => one !== undefined && one.refusal !== '');
    const done = said.every(
      (one) => one !== undefined && one.generation >= status.generation && one.refusal === '',
    );
    let next = status;
    if (refused) next = { ...status, state: 'refused', message: refused.refusal, reconciling: true };
    // that nothing passes is not for machines to say
    else if (done && status.state === 'down') next = settled(status, status.state, status.message);
    else if (done) next = settled(status, ...wordsOf(lease.lease));
    const same =
      next.state === status.state &&
      next.message === status.message &&
      next.reconciling === status.reconciling;
    return same && next.observedGeneration === status.observedGeneration ? undefined : next;
  }
}

function wordsOf(lease: LeaseState): [string, string] {
  return lease === States.LEASE_STATE_SUSPENDED
    ? ['suspended', 'The term is over, and its grace: no traffic passes until it is renewed.']
    : ['ready', ''];
}

/** Machines of this provider at which a link ends, and those that pass it on by its labels. */
export function machinesOf(view: View, link: Bodies['virtualLink']): readonly string[] {
  const ways = byWire(link) ? waysOf(view, link).map(({ hops }) => hops) : [];
  if (ways.length > 0)
    return [...new Set(ways.flatMap((hops) => hops.flatMap(({ from, to }) => [from, to])))];
  return [link.a, link.b].flatMap((end) => {
    const node = end?.provider === '' ? view.get('virtualNode', end.virtualNode) : undefined;
    return node ? [machineOf(node)] : [];
  });
}

/** Leases on a machine, with the generations that are wanted of them now. */
export function leasesOn(view: View, machine: string): ReadonlyMap<string, bigint> {
  const leases = new Map<string, bigint>();
  for (const node of view.all('virtualNode'))
    if (machineOf(node) === machine) leases.set(node.name, node.status?.generation ?? 0n);
  for (const link of view.all('virtualLink'))
    if (machinesOf(view, link).includes(machine)) leases.set(link.name, link.status?.generation ?? 0n);
  for (const segment of view.all('segment')) {
    const node = segment.outward === '' ? view.get('virtualNode', segment.virtualNode) : undefined;
    if (node && machineOf(node) === machine) leases.set(segment.name, segment.status?.generation ?? 0n);
  }
  return leases;
}
