/*
 * Machine L with link 2 as 1+1: how a frame goes by both of its paths, and what has become of the copies that arrive.
 */
import { Link, Limit, Merge, MergeCounters } from '../../gen/layout.js';
import { XdpAction } from '../../native/lib/index.js';
import type { Instance } from '../support/instance.js';
import type { Tables } from '../support/tables.js';
import { machineL } from './watched.js';

export function machineT(): Tables {
  const tables = machineL();
  tables.links = (tables.links ?? []).map((link) => (link.vif === 2 ? { ...link, kind: 'twice' } : link));
  return tables;
}

const key = (id: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(id);
  return bytes;
};

export interface Sent {
  /** The interfaces of the copies that leave, by `copies` in the order in which egress had them. */
  to: number[];
  copies: Buffer[];
  /** As ingress has left it, before egress. */
  tagged?: { frame: Buffer; meta: Buffer };
  /** What was counted as dropped, of either copy. */
  drops: string[];
}

/** One frame: ingress, then egress as often as the kernel would run it. */
export async function send(l: Instance, at: number, frame: Buffer, entry = 'port'): Promise<Sent> {
  const before = await l.drops();
  const ingress = await l.object
    .program(`cabernet_${entry}`)
    .testRun({ data: frame, netns: l.netns, xdp: { ingressIfindex: at } });
  const sent: Sent = { to: [], copies: [], drops: [] };
  if (ingress.retval === XdpAction.REDIRECT) {
    const tagged = { frame: ingress.data, meta: ingress.meta ?? Buffer.alloc(0) };
    const other = l.variable('last_copy');
    sent.to = [l.variable('last_egress'), ...(other === 0 ? [] : [other])];
    for (const _ of sent.to) {
      const { retval, data } = await l.egress(tagged.frame, tagged.meta);
      if (retval === XdpAction.PASS) sent.copies.push(data);
    }
    sent.tagged = tagged;
  }
  const after = await l.drops();
  sent.drops = [...after].filter(([name, count]) => count !== (before.get(name) ?? 0)).map(([name]) => name);
  return sent;
}

/** The window of a vif is there, and empty. */
export function openWindow(l: Instance, vif: number): void {
  l.map('merges').update(key(vif), new Uint8Array(Merge.size));
}

export function closeWindow(l: Instance, vif: number): void {
  l.map('merges').delete(key(vif));
}

export type MergeCount = { -readonly [Name in keyof MergeCounters]: number };

export function mergeCount(l: Instance, vif: number): MergeCount {
  const found = l.map('merge_counters').lookup(key(vif)) ?? Buffer.alloc(0);
  const sum: MergeCount = { merged: 0, duplicates: 0, late: 0, resets: 0 };
  for (let at = 0; at < found.length; at += MergeCounters.size) {
    const one = MergeCounters.decode(new DataView(found.buffer, found.byteOffset), at);
    for (const name of Object.keys(sum) as Array<keyof MergeCount>) sum[name] += Number(one[name]);
  }
  return sum;
}

/** What has been counted since. */
export function mergedSince(l: Instance, vif: number, before: MergeCount): MergeCount {
  const now = mergeCount(l, vif);
  return {
    merged: now.merged - before.merged,
    duplicates: now.duplicates - before.duplicates,
    late: now.late - before.late,
    resets: now.resets - before.resets,
  };
}

export function drawn(l: Instance, vif: number): number {
  const found = l.map('links').lookup(key(vif));
  return found ? Link.decode(found).number & Limit.LIMIT_SEQUENCE_MASK : 0;
}
