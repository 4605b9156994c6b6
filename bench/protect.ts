/* The link of the benchmarks' machine, carried by two paths. */
import { Limit, Link, LinkKind, Path, Vif } from '../gen/layout.js';
import { type Instance } from '../test/support/instance.js';
import { wireQ } from '../test/support/machine-p.js';

/** The link that the routes lead to, its path, and one more of the same. */
const vif = 3;
const first = 2;
const second = 40;
/** Slot 0, then slot 1, then nobody. */
const order = Buffer.from([0, 1, Limit.LIMIT_LINK_NOBODY, Limit.LIMIT_LINK_NOBODY]).readUInt32LE();

const u32 = (value: number): Buffer => Buffer.from(Uint32Array.of(value).buffer);

/** Carried by two paths, in this way; ends with the answer. */
export function protect(instance: Instance, kind: LinkKind): () => void {
  const [pathMap, vifMap] = [instance.map('paths'), instance.map('vifs')];
  const path = pathMap.lookup(u32(first));
  const record = vifMap.lookup(u32(vif));
  if (!path || !record) throw new Error('the machine has no such link');
  const { label, ...below } = Path.decode(path);
  pathMap.update(u32(second), Path.encode({ ...below, label: label + 1 }));
  const paths = Uint32Array.from({ length: Limit.LIMIT_MAX_LINK_PATHS }, (_, i) => [first, second][i] ?? 0);
  const ways = Uint8Array.from({ length: Limit.LIMIT_LINK_WAYS }, (_, i) => i % 2);
  const link = { state: 0, kind, avoid: 0, order, paths, ways, number: 0, reserved: new Uint32Array(3) };
  instance.map('links').update(u32(vif), Link.encode(link));
  const fields = Vif.decode(record);
  const twice = kind === LinkKind.LINK_TWICE ? Limit.LIMIT_VIF_TWICE : 0;
  if (twice !== 0) instance.pairDevices(wireQ, wireQ);
  vifMap.update(u32(vif), Vif.encode({ ...fields, flags: fields.flags | Limit.LIMIT_VIF_LINK | twice }));
  return () => vifMap.update(u32(vif), record);
}

/** What takes these paths is marked and counted, as for a session that measures each. */
export function measurePaths(instance: Instance): void {
  const pathMap = instance.map('paths');
  for (const [i, id] of [first, second].entries()) {
    const path = pathMap.lookup(u32(id));
    if (path) pathMap.update(u32(id), Path.encode({ ...Path.decode(path), marking: i + 1 }));
  }
}
