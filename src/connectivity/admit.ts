/** Decides about changes of resources; whatever follows from them is noted in the same transaction. */
import { failedPrecondition, invalidArgument } from '../api/errors.js';
import { type Admission } from '../controller/methods.js';
import { admitNetwork } from './admit-network.js';
import { admitPurchases, type Purchase } from './admit-purchase.js';
import { type Bodies, type Tx } from './kinds.js';
import { idOf } from './names.js';
import { refreshOffer } from './offers.js';

type Change<K extends keyof Bodies> = Admission<Bodies, K>;

export function admit(purchase: Purchase, tx: Tx, changes: readonly Admission<Bodies>[]): void {
  const ofKind = <K extends keyof Bodies>(kind: K): Change<K>[] =>
    changes.filter((change) => change.kind === kind) as unknown as Change<K>[];
  for (const change of ofKind('customer')) admitCustomer(purchase.self, tx, change);
  admitPurchases(purchase, tx, ofKind('node'), ofKind('link'));
  for (const change of ofKind('supplier')) admitSupplier(tx, change);
  // what goes makes room first
  for (const change of ofKind('serviceNetwork').toSorted((a, b) => Number(!!a.after) - Number(!!b.after)))
    admitNetwork(purchase.self, tx, purchase.ledger, purchase.now, change);
  if (ofKind('tariff').length > 0)
    for (const { body } of purchase.ledger.nodes.values()) refreshOffer(tx, body);
}

function admitCustomer(self: string, tx: Tx, { name, field, after }: Change<'customer'>): void {
  if (after && idOf(name) === self) {
    throw invalidArgument({
      reason: 'NAME_TAKEN',
      field: `${field}.name`,
      message: `${self} is this provider itself; a customer needs another name.`,
    });
  }
  const network = tx.all('serviceNetwork').find((one) => one.name.startsWith(`${name}/`));
  if (!after && network) {
    throw failedPrecondition({
      reason: 'IN_USE',
      field,
      message: `${name} has ${network.name}; delete it first.`,
    });
  }
}

function admitSupplier(tx: Tx, { name, field, after }: Change<'supplier'>): void {
  const node = tx.all('node').find(({ supplier }) => supplier === name);
  if (!after && node) {
    throw failedPrecondition({ reason: 'IN_USE', field, message: `${node.name} is bought from ${name}.` });
  }
}
