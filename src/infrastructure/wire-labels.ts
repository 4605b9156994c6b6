/**
 * Labels on wires (RFC 5331): of each hop and direction the receiving machine's, at random, in the context of the wire.
 * A circuit has none; a record in their place at each end keeps the wire from everybody else as long. Both are stored
 * before anybody hears of them, and are free again when the receiver has forgotten them, and then who sends with them: what
 * is left at a machine that does not answer would lead another customer's frames to where they do not belong.
 */
import { randomInt } from 'node:crypto';

import { resourceExhausted } from '../api/errors.js';
import { type Hop } from './hops.js';
import { type Tx, type View } from './kinds.js';
import { type Label } from './labels.js';
import { settled } from './status.js';

const FIRST = 16;
const END = 2 ** 20;
const TRIES = 1000;

type Kind = 'lsp' | 'circuit';

interface Taken {
  readonly machine: string;
  readonly upstream: string;
  readonly wire: string;
  readonly link: string;
  readonly otherWay: boolean;
}

function take(tx: Tx, kind: Kind, { machine, upstream, wire, link, otherWay }: Taken): void {
  for (let i = 0; i < TRIES; i++) {
    const number = randomInt(FIRST, END);
    // no two of a machine are the same, whatever the wire: where one arrives on a wrong wire, it means nothing
    const name = `${machine}/labels/${kind}.${number}`;
    if (tx.get('label', name)) continue;
    tx.put('label', {
      name,
      link,
      localAddress: '',
      remoteAddress: '',
      udpChecksum: false,
      label: kind === 'lsp' ? number : 0,
      upstream,
      bootId: '',
      status: settled(undefined, 'used'),
      wire,
      otherWay,
    });
    return;
  }
  throw resourceExhausted({ reason: 'LABELS', message: 'No label is free on the way; end a link first.' });
}

/** For both directions of every hop. @param otherWay beside the one that the link is carried by */
export function holdWires(tx: Tx, kind: Kind, hops: readonly Hop[], link: string, otherWay = false): void {
  for (const { wire, from, to } of hops) {
    take(tx, kind, { machine: to, upstream: from, wire: wire.name, link, otherWay });
    take(tx, kind, { machine: from, upstream: to, wire: wire.name, link, otherWay });
  }
}

/** What the link was carried by is the other way now, and the other way carries it. */
export function exchangeWays(tx: Tx, link: string): void {
  for (const label of tx.all('label'))
    if (label.link === link) tx.put('label', { ...label, otherWay: !label.otherWay });
}

/** Wires with labels of lsps, and wires of circuits; also of those that are over and not forgotten yet. */
export function wiresInUse(view: View): { readonly lsps: Set<string>; readonly circuits: Set<string> } {
  const [lsps, circuits] = [new Set<string>(), new Set<string>()];
  for (const { wire, label } of view.all('label')) if (wire !== '') (label === 0 ? circuits : lsps).add(wire);
  return { lsps, circuits };
}

/** The labels of one link by receiving machine, wire and way. */
export class WireLabels {
  readonly #labels = new Map<string, number>();

  constructor(view: View) {
    for (const { name, link, wire, label, otherWay } of view.all('label'))
      if (wire !== '' && link !== '')
        this.#labels.set(`${link} ${receiverOf(name)} ${wire} ${otherWay}`, label);
  }

  of(link: string, machine: string, wire: string, otherWay: boolean): number | undefined {
    return this.#labels.get(`${link} ${machine} ${wire} ${otherWay}`);
  }
}

/** `machines/M/labels/lsp.17`: `machines/M`. */
export function receiverOf(name: string): string {
  return name.slice(0, name.indexOf('/labels/'));
}

/** Its link is over: the receiver is to forget it first, then who sends with it. */
export function awaited(view: View, label: Label, machine: string): Label {
  return { ...label, upstream: machine, bootId: view.get('machine', machine)?.state?.bootId ?? '' };
}

/** The machine awaited has forgotten it: the other one is next. Undefined: nobody, it is free. */
export function nextToForget(view: View, label: Label): Label | undefined {
  const receiver = receiverOf(label.name);
  if (label.upstream !== receiver) return undefined;
  const { a, b } = view.get('wire', label.wire) ?? {};
  const sender = (a?.machine === receiver ? b : a)?.machine;
  return sender === undefined ? undefined : awaited(view, label, sender);
}

/** The machine is gone, says its operator: nothing of it is awaited any more. */
export function forgetMachine(tx: Tx, machine: string): void {
  for (const { name, link, wire, upstream } of tx.all('label'))
    if (wire !== '' && link === '' && upstream === machine) tx.delete(name);
}
