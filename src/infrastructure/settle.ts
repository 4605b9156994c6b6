/** What follows from the rest of the state, written with every change: offers, what is leased of machines, sold of wires. */
import { type NodeShare } from '../api/types.js';
import { type Bodies, type Tx, type View } from './kinds.js';
import { Ledger, machineOf } from './ledger.js';
import { nodePrice, tariffOf } from './price.js';
import { capacityOf, minus, NO_SHARE } from './shares.js';
import { settled } from './status.js';

export function settle(tx: Tx): void {
  const ledger = new Ledger(tx);
  settleMachines(tx, ledger);
  for (const wire of tx.all('wire')) {
    const bits = ledger.bitsOn(wire.name);
    if (wire.soldAToB !== bits || wire.soldBToA !== bits)
      tx.put('wire', { ...wire, soldAToB: bits, soldBToA: bits });
  }
  for (const peering of tx.all('peering')) {
    const bits = ledger.bitsOn(peering.name);
    if (peering.soldOut !== bits || peering.soldIn !== bits)
      tx.put('peering', { ...peering, soldOut: bits, soldIn: bits });
  }
}

function settleMachines(tx: Tx, ledger: Ledger): void {
  const tariff = tariffOf(tx);
  const stale = new Set(tx.all('offer').map(({ name }) => name));
  for (const machine of tx.all('machine')) {
    const leased = ledger.shareOn(machine.name);
    const state = stateOf(machine);
    if (!sameShare(state.leased ?? NO_SHARE, leased))
      tx.put('machine', { ...machine, state: { ...state, leased } });
    if (machine.transitOnly) continue;
    const name = offerOf(machine.name);
    stale.delete(name);
    const before = tx.get('offer', name);
    tx.put('offer', {
      name,
      site: machine.site,
      free: minus(capacityOf(machine), leased),
      ports: machine.ports.filter((port) => ledger.portUser(machine.name, port) === undefined),
      nodePrice: nodePrice(tariff, { ...NO_SHARE, cpuMillis: 0 }),
      // of a machine that is to be drained nothing new is leased
      status: settled(before?.status, machine.drain ? 'maintenance' : (machine.status?.state ?? '')),
    });
  }
  for (const name of stale) tx.delete(name);
}

export function offerOf(machine: string): string {
  return `offers/${machine.slice('machines/'.length)}`;
}

export function stateOf(machine: Bodies['machine']): NonNullable<Bodies['machine']['state']> {
  return machine.state ?? { bootId: '', kernel: '', agentVersion: '', interfaces: [] };
}

function sameShare(a: NodeShare, b: NodeShare): boolean {
  return (Object.keys(a) as (keyof NodeShare)[]).every((count) => a[count] === b[count]);
}

/** What is free of a machine. */
export function freeOf(ledger: Pick<Ledger, 'shareOn'>, machine: Bodies['machine']): NodeShare {
  return minus(capacityOf(machine), ledger.shareOn(machine.name));
}

/** Names of leases on a machine. */
export function nodesOn(view: View, machine: string): readonly Bodies['virtualNode'][] {
  return view.all('virtualNode').filter((node) => machineOf(node) === machine);
}
