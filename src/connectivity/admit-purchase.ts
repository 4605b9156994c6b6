/** Admits what is wanted of nodes and links: a deal is noted with it, or a release. */
import { randomBytes } from 'node:crypto';

import { type ApiError, failedPrecondition } from '../api/errors.js';
import { type Link, type Node } from '../api/connectivity.js';
import { type Admission } from '../controller/methods.js';
import { type Deal, DEALS, encodeDeal, type Ends, planRounds } from './deal.js';
import { type Bodies, type Tx } from './kinds.js';
import { type Ledger } from './ledger.js';
import { virtualLink, virtualNode } from './lease.js';
import { idOf } from './names.js';
import { SHARES } from './offers.js';
import { putRelease } from './release.js';
import { sellableOf } from './sellable.js';
import { generationOf, withStatus } from './status.js';
import { mtuOf } from './supply-of.js';
import { Usage } from './usage.js';

export interface Purchase {
  readonly self: string;
  readonly ledger: Ledger;
  readonly now: number;
  /** Told of deals that are noted. */
  readonly onDeal?: ((deal: Deal) => void) | undefined;
  /** Whether something is sent over this link, or may still be. */
  readonly isSentOver: (link: string) => boolean;
}

type Wanted<K extends 'node' | 'link'> = Admission<Bodies, K>;

export function admitPurchases(
  purchase: Purchase,
  tx: Tx,
  nodes: readonly Wanted<'node'>[],
  links: readonly Wanted<'link'>[],
): void {
  const usage = new Usage(tx.all('serviceNetwork'));
  for (const change of nodes) checkNode(purchase, tx, usage, change);
  for (const change of links) checkLink(purchase, tx, usage, change);
  const newNodes = nodes.flatMap(({ after }) => (after && !sameNode(purchase, after) ? [after] : []));
  const newLinks = links.flatMap(({ after }) => (after && !sameLink(purchase, tx, after) ? [after] : []));
  for (const { after } of nodes) if (after && !newNodes.includes(after)) keepNode(purchase, tx, after);
  for (const { after } of links) if (after && !newLinks.includes(after)) keepLink(purchase, tx, after);
  buy(purchase, tx, newNodes, newLinks);
}

/** Notes a deal for these, which are resources already. */
export function buy(purchase: Purchase, tx: Tx, nodes: readonly Node[], links: readonly Link[]): void {
  if (nodes.length + links.length === 0) return;
  // in the order of time, so that an earlier deal about the same is done first
  const id = `d${purchase.now.toString(36).padStart(9, '0')}-${randomBytes(8).toString('hex')}`;
  const rounds = planRounds(
    id,
    nodes,
    links,
    (link) => endsOf(tx, link),
    (supplier) => tx.get('supplier', supplier)?.address ?? '',
    (name) => purchase.ledger.nodes.has(name) || purchase.ledger.links.has(name),
  );
  const deal: Deal = {
    id,
    created: purchase.now,
    notBefore: 0,
    stage: 'reserve',
    rounds,
    round: 0,
    nodes,
    links,
  };
  tx.putEntry(DEALS + id, encodeDeal(deal));
  purchase.onDeal?.(deal);
  const pending = { state: 'pending', message: '', reconciling: true };
  for (const node of nodes) tx.put('node', withStatus(node, pending));
  for (const link of links) tx.put('link', withStatus(link, pending));
}

function endsOf(tx: Tx, link: Link): Ends {
  return { a: tx.get('node', link.a)?.supplier ?? '', b: tx.get('node', link.b)?.supplier ?? '' };
}

function refused(reason: string, field: string, message: string): ApiError {
  return failedPrecondition({ reason, field, message });
}

function checkNode({ self, ledger }: Purchase, tx: Tx, usage: Usage, change: Wanted<'node'>): void {
  const { name, field, before, after } = change;
  const bought = ledger.nodes.get(name)?.body;
  if (!after) {
    const link = tx.all('link').find(({ a, b }) => a === name || b === name);
    if (link) throw refused('IN_USE', field, `${link.name} ends at ${name}; delete it first.`);
    if (usage.nodes.has(name))
      throw refused('IN_USE', field, `Service networks stand on ${name}; they must go first.`);
    if (bought) {
      const supplier = tx.get('supplier', bought.supplier);
      putRelease(tx, self, bought, { supplier: bought.supplier, address: supplier?.address ?? '' });
      ledger.delete(tx, name);
    }
    tx.delete(`offers/${idOf(name)}`);
    return;
  }
  if (!tx.get('supplier', after.supplier))
    throw refused('UNKNOWN_SUPPLIER', `${field}.supplier`, `There is no ${after.supplier}; make it first.`);
  if (before && before.supplier !== after.supplier && (bought || before.status?.reconciling === true)) {
    throw refused(
      'IMMUTABLE',
      `${field}.supplier`,
      `${name} is bought from ${before.supplier}; delete it, and make it anew.`,
    );
  }
  const sold = usage.nodes.get(name);
  for (const of of SHARES) {
    const whole = after.share?.[of] ?? 0;
    if (sold && whole > 0 && sold[of] > whole)
      throw refused('IN_USE', `${field}.share`, `${sold[of]} (${of}) of ${name} are sold, not ${whole}.`);
  }
  const taken = [...usage.ports.keys()]
    .filter((key) => key.startsWith(`${name} `))
    .map((key) => key.split(' ')[1]);
  const gone = taken.find((port) => port !== undefined && !after.ports.includes(port));
  if (gone !== undefined)
    throw refused('IN_USE', `${field}.ports`, `Port ${gone} of ${name} is sold; it cannot be left out.`);
}

function checkLink(
  { self, ledger, isSentOver }: Purchase,
  tx: Tx,
  usage: Usage,
  change: Wanted<'link'>,
): void {
  const { name, field, before, after } = change;
  const bought = ledger.links.get(name)?.body;
  if (!after) {
    const user = usage.users.get(name);
    if (user !== undefined)
      throw refused('IN_USE', field, `${user} stands on ${name}; it must go first, or elsewhere.`);
    if (isSentOver(name))
      throw refused('IN_USE', field, `Nodes still send over ${name}; repeat when they do so no longer.`);
    if (bought) {
      const supplier = ledger.nodes.get(bought.a)?.body.supplier ?? '';
      putRelease(tx, self, bought, { supplier, address: tx.get('supplier', supplier)?.address ?? '' });
      ledger.delete(tx, name);
    }
    return;
  }
  for (const end of ['a', 'b'] as const) {
    if (!tx.get('node', after[end]))
      throw refused(
        'UNKNOWN_NODE',
        `${field}.${end}`,
        `There is no ${after[end]}; make it first, or with it.`,
      );
    if (before && before[end] !== after[end] && (bought || before.status?.reconciling === true))
      throw refused('IMMUTABLE', `${field}.${end}`, `The ends of ${name} cannot change; make another link.`);
  }
  const [one, other] = [after.a, after.b].map((end) => tx.get('node', end));
  if (one && one.offer !== '' && one.supplier === other?.supplier && one.offer === other.offer)
    throw refused(
      'SAME_MACHINE',
      `${field}.b`,
      `${after.a} and ${after.b} are both of ${one.offer} of ${one.supplier}; a link leads from one machine to another.`,
    );
  for (const vif of ['vifA', 'vifB'] as const) {
    if (bought && bought[vif] !== after[vif])
      throw refused(
        'IMMUTABLE',
        `${field}.${vif === 'vifA' ? 'vif_a' : 'vif_b'}`,
        `The vifs of ${name} cannot change.`,
      );
  }
  if (bought && mtuOf(after) < mtuOf(bought) && (usage.users.has(name) || isSentOver(name)))
    throw refused('IN_USE', `${field}.mtu`, `Service networks stand on ${name}: its MTU cannot get smaller.`);
  const sold = usage.bits.get(name) ?? 0n;
  if (sellableOf(after) < sold)
    throw refused(
      'IN_USE',
      `${field}.slo.bits_per_second`,
      `${sold} bit/s of ${name} are sold; with labels that needs up to ${(sold * 68n + 59n) / 60n}.`,
    );
}

/** What was refused, once more: much may have been sold meanwhile. @throws ApiError */
export function recheck(purchase: Purchase, tx: Tx, nodes: readonly Node[], links: readonly Link[]): void {
  const usage = new Usage(tx.all('serviceNetwork'));
  const change = <K extends 'node' | 'link'>(kind: K, body: Bodies[K]): Wanted<K> => {
    return { kind, name: body.name, field: kind, before: body, after: body };
  };
  for (const node of nodes) checkNode(purchase, tx, usage, change('node', node));
  for (const link of links) checkLink(purchase, tx, usage, change('link', link));
}

function textOf(asked: object): string {
  return JSON.stringify(asked, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
}

/** Whether the supplier would be told nothing new. */
function sameNode({ self, ledger }: Purchase, node: Node): boolean {
  const bought = ledger.nodes.get(node.name)?.body;
  if (!bought || node.supplier !== bought.supplier) return false;
  const asked = (body: Node): string => textOf(virtualNode(self, { ...body, site: node.site }, 0));
  return asked(node) === asked(bought) && (node.site === '' || node.site === bought.site);
}

function sameLink({ self, ledger }: Purchase, tx: Tx, link: Link): boolean {
  const bought = ledger.links.get(link.name)?.body;
  const asked = (body: Link): string => textOf(virtualLink(self, body, endsOf(tx, link), 0));
  return bought !== undefined && asked(link) === asked(bought);
}

const SETTLED = { state: 'ready', message: '', reconciling: false };

function keepNode({ ledger }: Purchase, tx: Tx, node: Node): void {
  const bought = ledger.nodes.get(node.name);
  if (bought)
    ledger.putNode(tx, {
      ...bought,
      body: { ...bought.body, ...node, site: bought.body.site, lease: bought.body.lease },
    });
  tx.put('node', withStatus(node, { ...SETTLED, observedGeneration: generationOf(node) }));
}

/** Addresses and risk groups are our own matter. */
function keepLink({ ledger }: Purchase, tx: Tx, link: Link): void {
  const bought = ledger.links.get(link.name);
  if (bought) ledger.putLink(tx, { ...bought, body: { ...bought.body, ...link, lease: bought.body.lease } });
  tx.put('link', withStatus(link, { ...SETTLED, observedGeneration: generationOf(link) }));
}
