/**
 * What is bought and in force, beside the resources, which say what is wanted: the two differ while a deal is under way
 * and after one was refused.
 */
import { type Link, type Node } from '../api/connectivity.js';
import { types } from '../api/types.js';
import { listAll, type Store } from '../store/index.js';
import { catalogue, type Tx } from './kinds.js';

export interface Bought<B> {
  /** As it was asked for when it was bought. */
  readonly body: B;
  /** RFC 3339; empty: it does not end. */
  readonly expireTime: string;
  /** It is leased, and its supplier says that nothing goes over it now: why. */
  readonly down?: string | undefined;
}

const PREFIX = 'bought/';

interface Written {
  readonly item: string;
  readonly expireTime: string;
  readonly down?: string | undefined;
}

export class Ledger {
  readonly nodes = new Map<string, Bought<Node>>();
  readonly links = new Map<string, Bought<Link>>();

  static async open(store: Store): Promise<Ledger> {
    const ledger = new Ledger();
    for (const { value } of await listAll(store, PREFIX)) {
      const { item, expireTime, down } = JSON.parse(Buffer.from(value).toString('utf8')) as Written;
      const { kind, body } = catalogue.decode(Buffer.from(item, 'base64'));
      if (kind === 'node') ledger.nodes.set(body.name, { body: body as Node, expireTime, down });
      if (kind === 'link') ledger.links.set(body.name, { body: body as Link, expireTime, down });
    }
    return ledger;
  }

  putNode(tx: Tx, bought: Bought<Node>): void {
    this.#write(tx, 'node', bought);
    tx.onCommit(() => this.nodes.set(bought.body.name, bought));
  }

  putLink(tx: Tx, bought: Bought<Link>): void {
    this.#write(tx, 'link', bought);
    tx.onCommit(() => this.links.set(bought.body.name, bought));
  }

  delete(tx: Tx, name: string): void {
    tx.deleteEntry(PREFIX + name);
    tx.onCommit(() => {
      this.nodes.delete(name);
      this.links.delete(name);
    });
  }

  #write(tx: Tx, kind: 'node' | 'link', { body, expireTime, down }: Bought<Node> | Bought<Link>): void {
    const item = catalogue.encode({ kind, body }).toString('base64');
    tx.putEntry(
      PREFIX + body.name,
      Buffer.from(JSON.stringify({ item, expireTime, down } satisfies Written)),
    );
  }
}

const { LeaseState } = types;

/** Whether it carries traffic, as far as its supplier says. */
export function inForce({ lease }: Pick<Node, 'lease'>): boolean {
  return lease === LeaseState.LEASE_STATE_ACTIVE || lease === LeaseState.LEASE_STATE_GRACE;
}

/** The same, and its supplier does not say that it is down. */
export function carries({
  body,
  down,
}: {
  readonly body: Pick<Node, 'lease'>;
  readonly down?: string | undefined;
}): boolean {
  return inForce(body) && down === undefined;
}

/** A link with its ends. */
export function isUp(ledger: Ledger, name: string): boolean {
  const link = ledger.links.get(name);
  if (!link || !carries(link)) return false;
  return [link.body.a, link.body.b].every((end) => {
    const node = ledger.nodes.get(end);
    return node !== undefined && carries(node);
  });
}
