/** How far each service link is made, and which labels wait for whom: in memory, and in the store beside the resources. */
import { listAll, type Store } from '../../store/index.js';
import { type Tx } from '../kinds.js';
import { type LabelledHop, type Way } from './hops.js';
import { type Carried } from './items.js';
import { LabelSpace } from './labels.js';
import { without } from './ways.js';

const CARRIED = 'carried/';
const WAITING = 'quarantine/';

/** A label that its sender may still use. */
export interface Waiting {
  readonly vif: string;
  readonly label: number;
  /** `nodes/NODE` that sent with it. */
  readonly from: string;
}

/** As records are, and as they were while a link had one way. */
interface Written {
  readonly active?: Way | readonly Way[];
  readonly next?: Way | readonly Way[];
  readonly old: readonly Way[];
}

function carriedOf({ active = [], next = [], old }: Written): Carried {
  return { active: [active].flat(), next: [next].flat(), old };
}

export function hopsOf(way: Way): readonly LabelledHop[] {
  return [...way.there, ...way.back];
}

export function waysOf({ active, next, old }: Carried): Way[] {
  return [...active, ...without(next, active), ...old];
}

/** `customers/C/serviceNetworks/VN/LINK` */
export function keyOf(network: string, link: string): string {
  return `${network}/${link}`;
}

export function networkOf(key: string): string {
  return key.slice(0, key.lastIndexOf('/'));
}

export class Records {
  readonly links = new Map<string, Carried>();
  readonly waiting = new Map<string, Waiting>();
  readonly labels: LabelSpace;

  private constructor(labels: LabelSpace) {
    this.labels = labels;
  }

  static async open(store: Store, labels = new LabelSpace()): Promise<Records> {
    const records = new Records(labels);
    for (const { key, value } of await listAll(store, CARRIED)) {
      const carried = carriedOf(JSON.parse(Buffer.from(value).toString('utf8')) as Written);
      records.links.set(key.slice(CARRIED.length), carried);
      for (const way of waysOf(carried)) for (const { into, label } of hopsOf(way)) labels.take(into, label);
    }
    for (const { key, value } of await listAll(store, WAITING)) {
      const one = JSON.parse(Buffer.from(value).toString('utf8')) as Waiting;
      records.waiting.set(key, one);
      labels.take(one.vif, one.label);
    }
    return records;
  }

  put(tx: Tx, key: string, carried: Carried): void {
    const before = this.links.get(key);
    if (waysOf(carried).length === 0) tx.deleteEntry(CARRIED + key);
    else tx.putEntry(CARRIED + key, Buffer.from(JSON.stringify(carried)));
    const kept = new Set(
      waysOf(carried)
        .flatMap(hopsOf)
        .map(({ into, label }) => `${into} ${label}`),
    );
    const gone = before
      ? waysOf(before)
          .flatMap(hopsOf)
          .filter(({ into, label }) => !kept.has(`${into} ${label}`))
      : [];
    const waiting = gone.map(({ into, label, from }): [string, Waiting] => [
      `${WAITING}${into}/${label}`,
      { vif: into, label, from },
    ]);
    for (const [entry, one] of waiting) tx.putEntry(entry, Buffer.from(JSON.stringify(one)));
    tx.onCommit(() => {
      if (waysOf(carried).length === 0) this.links.delete(key);
      else this.links.set(key, carried);
      for (const way of waysOf(carried))
        for (const { into, label } of hopsOf(way)) this.labels.take(into, label);
      for (const [entry, one] of waiting) this.waiting.set(entry, one);
    });
  }

  /** Nobody sends with these any more. */
  release(tx: Tx, entries: readonly string[]): void {
    for (const entry of entries) tx.deleteEntry(entry);
    tx.onCommit(() => {
      for (const entry of entries) {
        const one = this.waiting.get(entry);
        if (one) this.labels.release(one.vif, one.label);
        this.waiting.delete(entry);
      }
    });
  }
}
