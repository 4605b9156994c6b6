/** Where a virtual node goes: the machine asked for, or one that fits. */
import {
  type ApiError,
  failedPrecondition,
  notFound,
  resourceExhausted,
  unavailable,
} from '../api/errors.js';
import { type NodeShare } from '../api/types.js';
import { type Bodies, type View } from './kinds.js';
import { type Ledger } from './ledger.js';
import { freeOf, offerOf } from './settle.js';
import { COUNT_FIELDS, missingOf } from './shares.js';

type Machine = Bodies['machine'];
type Node = Bodies['virtualNode'];

/** @throws ApiError NOT_FOUND, PORT_NOT_OFFERED, PORT_IN_USE, NO_CAPACITY, MACHINE_UNREACHABLE */
export function placeNode(view: View, ledger: Ledger, node: Node, share: NodeShare, field: string): Machine {
  const leasable = view.all('machine').filter(({ transitOnly }) => !transitOnly);
  if (node.offer !== '') {
    const machine = leasable.find(({ name }) => offerOf(name) === node.offer);
    if (!machine || (node.site !== '' && machine.site !== node.site)) {
      const where = node.site === '' ? '' : ` at ${node.site}`;
      throw notFound({
        reason: 'NOT_FOUND',
        field: `${field}.offer`,
        message: `There is no ${JSON.stringify(node.offer.slice(0, 80))}${where}; List offers shows what there is.`,
      });
    }
    const refusal = refusalOf(ledger, machine, node, share, field);
    if (refusal) throw refusal;
    return machine;
  }
  const there = leasable.filter(({ site }) => node.site === '' || site === node.site);
  if (there.length === 0) {
    throw notFound({
      reason: 'NOT_FOUND',
      field: `${field}.site`,
      message: `Nothing is offered${node.site === '' ? '' : ` at ${node.site}`}; List offers shows what there is.`,
    });
  }
  let first: ApiError | undefined;
  const fitting = there.filter((machine) => {
    const refusal = refusalOf(ledger, machine, node, share, field);
    first ??= refusal;
    return refusal === undefined;
  });
  // the emptiest, so that what is left stays useful everywhere
  const best = fitting.toSorted(
    (a, b) => freeOf(ledger, b).cpuMillis - freeOf(ledger, a).cpuMillis || (a.name < b.name ? -1 : 1),
  )[0];
  if (!best) throw first ?? new Error('a machine that is refused without a reason');
  return best;
}

/** Why the machine cannot take the node. */
export function refusalOf(
  ledger: Pick<Ledger, 'shareOn' | 'portUser'>,
  machine: Machine,
  node: Node,
  share: NodeShare,
  field: string,
  isNew = true,
): ApiError | undefined {
  const offer = offerOf(machine.name);
  for (const [i, port] of node.ports.entries()) {
    const where = `${field}.ports[${i}]`;
    if (!machine.ports.includes(port))
      return failedPrecondition({
        reason: 'PORT_NOT_OFFERED',
        field: where,
        message: `${offer} has no port ${JSON.stringify(port.slice(0, 20))}; it has ${machine.ports.join(', ') || 'none'}.`,
      });
    if (ledger.portUser(machine.name, port) !== undefined)
      return failedPrecondition({
        reason: 'PORT_IN_USE',
        field: where,
        message: `Port ${port} of ${offer} is leased already.`,
      });
  }
  const free = freeOf(ledger, machine);
  const count = missingOf(share, free);
  if (count !== undefined)
    return resourceExhausted({
      reason: 'NO_CAPACITY',
      field: `${field}.share.${COUNT_FIELDS[count]}`,
      message: `${offer} has ${free[count]} of ${COUNT_FIELDS[count]} free, ${share[count]} are asked for; ${free[count]} would fit.`,
    });
  if (machine.drain && isNew)
    return failedPrecondition({
      reason: 'DRAINED',
      field: `${field}.offer`,
      message: `The machine of ${offer} is to be under maintenance; choose another, or try later.`,
    });
  if (machine.status?.state !== 'ready')
    return unavailable({
      reason: 'MACHINE_UNREACHABLE',
      field: `${field}.offer`,
      message: `The machine of ${offer} does not answer now; choose another, or try later.`,
    });
  return undefined;
}
