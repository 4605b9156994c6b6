/** What operators change, and leases that end: whether it can be, and what follows. */
import {
  type ApiError,
  alreadyExists,
  failedPrecondition,
  invalidArgument,
  notFound,
} from '../api/errors.js';
import { type Admission } from '../controller/methods.js';
import { type Bodies, type Tx } from './kinds.js';
import { checkEnding, endLeases } from './leases.js';
import { customerOf, Ledger, machineOf } from './ledger.js';
import { releaseLabels } from './labels.js';
import { reroute } from './reroute.js';
import { releaseSegmentOf } from './segments.js';
import { settle } from './settle.js';
import { capacityOf, COUNT_FIELDS, missingOf } from './shares.js';
import { forgetMachine } from './wire-labels.js';

function inUse(field: string, message: string): ApiError {
  return failedPrecondition({ reason: 'IN_USE', field, message });
}

/** For `MethodOptions.admit`. @param provider this one's name */
export function admit(tx: Tx, changes: readonly Admission<Bodies>[], provider: string): void {
  const ledger = new Ledger(tx);
  let routes = false;
  for (const change of changes) {
    if (change.kind === 'machine' && !change.after) forgetMachine(tx, change.name);
  }
  for (const change of changes) {
    if (change.kind === 'machine') checkMachine(tx, ledger, change as Admission<Bodies, 'machine'>);
    if (change.kind === 'wire') checkWire(tx, ledger, change as Admission<Bodies, 'wire'>);
    if (change.kind === 'peering') checkPeering(tx, ledger, change as Admission<Bodies, 'peering'>);
    if (change.kind === 'customer') checkCustomer(ledger, change as Admission<Bodies, 'customer'>, provider);
    routes ||= change.kind === 'wire';
  }
  endAsked(tx, changes);
  if (routes) reroute(tx);
  settle(tx);
}

function checkMachine(
  tx: Tx,
  ledger: Ledger,
  { name, field, before, after }: Admission<Bodies, 'machine'>,
): void {
  const nodes = [...ledger.nodes.values()].filter((node) => machineOf(node) === name);
  if (!after) {
    if (nodes[0]) throw inUse(field, `${nodes[0].name} is leased on ${name}; end its leases first.`);
    const wire = tx.all('wire').find(({ a, b }) => a?.machine === name || b?.machine === name);
    const end = wire ?? tx.all('peering').find((peering) => peering.end?.machine === name);
    if (end) throw inUse(field, `${end.name} ends at ${name}; delete it first, or with it.`);
    return;
  }
  for (const other of tx.all('machine'))
    for (const [i, address] of after.addresses.entries())
      if (other.name !== name && other.addresses.includes(address))
        throw alreadyExists({
          reason: 'ADDRESS_IN_USE',
          field: `${field}.addresses[${i}]`,
          message: `${address} is the address of ${other.name}; each machine has its own.`,
        });
  if (!before || before.agent !== after.agent) {
    const status = after.status && {
      ...after.status,
      state: 'unreachable',
      message: 'Its agent has not answered yet.',
    };
    tx.put('machine', { ...after, ...(status && { status }) });
  }
  if (!before) return;
  const used = tx
    .all('label')
    .find(
      ({ name: label, wire, localAddress }) =>
        wire === '' && label.startsWith(`${name}/`) && !after.addresses.includes(localAddress),
    );
  if (used)
    throw inUse(`${field}.addresses`, `Links end at ${used.localAddress}; keep it until they have ended.`);
  if (nodes[0] && after.transitOnly)
    throw inUse(`${field}.transit_only`, `${nodes[0].name} is leased on ${name}.`);
  for (const node of nodes)
    for (const port of node.ports)
      if (!after.ports.includes(port))
        throw inUse(`${field}.ports`, `${port} is leased with ${node.name}; keep it until that ends.`);
  const count = missingOf(ledger.shareOn(name), capacityOf(after));
  if (count !== undefined)
    throw inUse(
      `${field}.capacity.${COUNT_FIELDS[count]}`,
      `${ledger.shareOn(name)[count]} of ${COUNT_FIELDS[count]} are leased.`,
    );
}

function checkEnd(tx: Tx, end: Bodies['wire']['a'], own: string, field: string): void {
  if (!end) return;
  if (!tx.get('machine', end.machine))
    throw notFound({
      reason: 'NOT_FOUND',
      field: `${field}.machine`,
      message: `There is no ${end.machine}; create it first, or with it.`,
    });
  for (const other of [
    ...tx.all('wire').flatMap((wire) => [
      { name: wire.name, end: wire.a },
      { name: wire.name, end: wire.b },
    ]),
    ...tx.all('peering'),
  ])
    if (other.name !== own && other.end?.machine === end.machine && other.end.interface === end.interface)
      throw alreadyExists({
        reason: 'INTERFACE_IN_USE',
        field: `${field}.interface`,
        message: `${end.interface} of ${end.machine} is an end of ${other.name} already.`,
      });
}

function checkWire(tx: Tx, ledger: Ledger, { name, field, before, after }: Admission<Bodies, 'wire'>): void {
  // also of links that are over: a machine that has not forgotten them takes what arrives there for theirs
  const moves = !after || !sameEnd(before?.a, after.a) || !sameEnd(before?.b, after.b);
  const label = before && moves ? tx.all('label').find(({ wire }) => wire === name) : undefined;
  if (label)
    throw inUse(
      field,
      label.link === ''
        ? `A link passed ${name}, and ${label.upstream} has not acknowledged its end yet; keep its ends until it has.`
        : label.link.startsWith('wires/')
          ? `The bypass of ${label.link} leads over ${name}; drain it first, and another is found.`
          : `${label.link} passes ${name}; end it first.`,
    );
  if (!after) {
    const user = [...ledger.links.values(), ...tx.all('segment')].find(({ wires }) => wires.includes(name));
    if (user) throw inUse(field, `${user.name} passes ${name}; end it first.`);
    return;
  }
  checkEnd(tx, after.a, name, `${field}.a`);
  checkEnd(tx, after.b, name, `${field}.b`);
}

function sameEnd(a: Bodies['wire']['a'], b: Bodies['wire']['a']): boolean {
  return a?.machine === b?.machine && a?.interface === b?.interface;
}

function checkPeering(tx: Tx, ledger: Ledger, { name, field, after }: Admission<Bodies, 'peering'>): void {
  const user = [...ledger.links.values(), ...tx.all('segment')].find(
    (one) => one.wires.includes(name) || ('outward' in one && one.outward === name),
  );
  if (!after) {
    if (user) throw inUse(field, `${user.name} passes ${name}; end it first.`);
    return;
  }
  checkEnd(tx, after.end, name, `${field}.end`);
  if (ledger.bitsOn(name) > after.bitsPerSecond)
    throw inUse(`${field}.bits_per_second`, `${ledger.bitsOn(name)} bit/s of ${name} are sold.`);
}

function checkCustomer(
  ledger: Ledger,
  { name, field, after }: Admission<Bodies, 'customer'>,
  provider: string,
): void {
  const customer = name.slice('customers/'.length);
  // both are owners at the agents
  if (customer === provider)
    throw invalidArgument({
      reason: 'NAME',
      field: `${field}.name`,
      message: `${provider} is this provider; a customer has another name.`,
    });
  if (after) return;
  const lease = [...ledger.nodes.keys(), ...ledger.links.keys()].find((one) => customerOf(one) === customer);
  if (lease !== undefined) throw inUse(field, `${lease} is leased to ${customer}; end its leases first.`);
}

/** Leases that are deleted, with what hangs on them. */
function endAsked(tx: Tx, changes: readonly Admission<Bodies>[]): void {
  const ending = new Map<string, string>();
  for (const { kind, name, field, after } of changes)
    if (!after && (kind === 'virtualNode' || kind === 'virtualLink')) ending.set(name, field);
  if (ending.size === 0) return;
  const names = new Set(ending.keys());
  checkEnding(tx, names, (name) => ending.get(name) ?? '');
  // gone from the transaction already: their labels are not
  for (const name of names) {
    releaseLabels(tx, name, true);
    releaseSegmentOf(tx, name);
  }
  endLeases(tx, [...names]);
}
