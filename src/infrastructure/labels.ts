/**
 * Labels of tunnels (RFC 5331): the receiving machine's, at random, stored before anybody hears of them. One that was
 * in use goes to nobody else before its upstream has acknowledged to have forgotten it, or has booted since.
 */
import { randomInt } from 'node:crypto';

import { failedPrecondition, resourceExhausted } from '../api/errors.js';
import { parseAddress } from '../api/names.js';
import { type State } from '../controller/state.js';
import { type Bodies, type Tx, type View } from './kinds.js';
import { settled } from './status.js';
import { awaited, nextToForget, receiverOf } from './wire-labels.js';

export type Label = Bodies['label'];

/** RFC 3032: 0 to 15 are reserved; 20 bits. */
const FIRST = 16;
const END = 2 ** 20;
const TRIES = 1000;
/** Labels that one transaction forgets. */
const BATCH = 500;

export interface TunnelEnds {
  readonly machine: string;
  readonly localAddress: string;
  readonly remoteAddress: string;
  readonly udpChecksum: boolean;
}

/** `tunnels/to-100.127.0.2`: of the tunnel to that address, on any machine. */
export function tunnelName(remoteAddress: string): string {
  return `tunnels/to-${remoteAddress.replaceAll(':', '-')}`;
}

export function addressOf(machine: Bodies['machine'], family: 4 | 6): string | undefined {
  return machine.addresses.find((text) => parseAddress(text)?.family === family);
}

/** @throws ApiError TUNNEL_CHECKSUM: there is a tunnel between the two addresses, of the other kind */
export function checkTunnel(view: View, ends: TunnelEnds, field: string): void {
  const other = view
    .all('label')
    .find(
      (label) =>
        label.link !== '' &&
        label.localAddress === ends.localAddress &&
        label.remoteAddress === ends.remoteAddress &&
        label.udpChecksum !== ends.udpChecksum,
    );
  if (!other) return;
  throw failedPrecondition({
    reason: 'TUNNEL_CHECKSUM',
    field,
    message: `Links between these machines share a tunnel ${other.udpChecksum ? 'with' : 'without'} UDP checksums; ask for the same, or for the other tunnel_family.`,
  });
}

/** Draws until a label is free, and takes it. `nameOf`: undefined: the label is not free for another reason. */
function draw(
  tx: Tx,
  ends: TunnelEnds,
  upstream: string,
  link: string,
  random: typeof randomInt,
  nameOf: (label: number) => string | undefined,
): Label {
  const { localAddress, remoteAddress, udpChecksum } = ends;
  for (let i = 0; i < TRIES; i++) {
    const label = random(FIRST, END);
    const name = nameOf(label);
    if (name === undefined || tx.get('label', name)) continue;
    const status = settled(undefined, 'used');
    const tunnel = { localAddress, remoteAddress, udpChecksum };
    const body: Label = {
      name,
      link,
      ...tunnel,
      label,
      upstream,
      bootId: '',
      status,
      wire: '',
      otherWay: false,
    };
    tx.put('label', body);
    return body;
  }
  throw resourceExhausted({
    reason: 'LABELS',
    message: 'No label is free in this tunnel; end a link first.',
  });
}

export function allocateLabel(
  tx: Tx,
  ends: TunnelEnds,
  upstream: string,
  link: string,
  random = randomInt,
): Label {
  const tunnel = tunnelName(ends.remoteAddress).slice('tunnels/'.length);
  return draw(tx, ends, upstream, link, random, (label) => `${ends.machine}/labels/${tunnel}.${label}`);
}

/**
 * For a tunnel to a machine of another provider, whose address may not be known yet: the label is no other such tunnel's
 * on that machine. `link`: of the link or segment.
 */
export function allocatePeerLabel(tx: Tx, ends: TunnelEnds, link: string, random = randomInt): Label {
  // our own machine stands for the upstream: when it has forgotten the link, the segment waits for the other side
  return draw(tx, ends, ends.machine, link, random, (label) => {
    const reserved = tx
      .all('segment')
      .some((segment) => segment.localLabel === label && segment.localAddress === ends.localAddress);
    return reserved ? undefined : `${ends.machine}/labels/peer.${label}`;
  });
}

/** At either end, by the link. */
export function labelsOf(view: View, link: string): readonly Label[] {
  return view.all('label').filter((label) => label.link === link);
}

/**
 * The link is over, or one way of it: its labels wait until their upstreams have forgotten them. `programmed`: an agent may
 * have them.
 */
export function releaseLabels(
  tx: Tx,
  link: string,
  programmed: boolean,
  which: (label: Label) => boolean = () => true,
): void {
  for (const label of labelsOf(tx, link).filter(which)) {
    if (!programmed) {
      tx.delete(label.name);
      continue;
    }
    const machine = label.wire === '' ? label.upstream : receiverOf(label.name);
    const status = settled(label.status, 'quarantined');
    tx.put('label', { ...awaited(tx, label, machine), link: '', status });
  }
}

/**
 * The upstream's agent has acknowledged all that is wanted of it, taken from a state in which these labels were
 * nobody's; or it has booted since they were let go of. Those of wires wait for the receiver, then for the upstream.
 */
export function forgetLabels(tx: Tx, names: readonly string[]): void {
  for (const name of names) {
    const label = tx.get('label', name);
    if (label?.link !== '') continue;
    const next = label.wire === '' ? undefined : nextToForget(tx, label);
    if (next) tx.put('label', next);
    else tx.delete(name);
  }
}

/** In as many transactions as they need: a commit of the store takes so many changes. */
export async function forgetInParts(state: State<Bodies>, names: readonly string[]): Promise<void> {
  for (let i = 0; i < names.length; i += BATCH)
    await state.transact((tx) => forgetLabels(tx, names.slice(i, i + BATCH)));
}

/** Nobody's, and sent with by this machine. */
export function quarantinedBy(view: View, upstream: string): readonly Label[] {
  return view.all('label').filter((label) => label.link === '' && label.upstream === upstream);
}
