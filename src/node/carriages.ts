/**
 * How each link is carried: records of its paths, which of them is used, and the sessions that watch them. Most links
 * have one path that nobody watches: their vif leads to it, and that is all. Of the others the programs choose
 * (bpf/protection.h); a path's record is there before they may choose it, and gone after.
 */
import { randomInt } from 'node:crypto';
import { Limit, LinkKind } from '../../gen/layout.js';
import { type Carrier, contextOf, type DataPlane, type Session } from '../dataplane/index.js';
import {
  type Below,
  isPlain,
  type LinkPathIntent,
  type LivenessIntent,
  type MeasurementIntent,
  samePath,
  type VifIntent,
} from './model.js';
import { writePath } from './names.js';
import { type Paths } from './paths.js';

/** One path of a link, as it is. */
export interface LivePath {
  readonly intent: LinkPathIntent;
  /** Its place in the link's record, which it keeps whatever is preferred to it. */
  readonly slot: number;
  /** Its record; 0: it cannot be had now. */
  readonly path: number;
  /** What watches it; 0: nothing. */
  readonly session: number;
}

export interface CarriagesOptions {
  readonly plane: DataPlane;
  readonly paths: Paths;
  readonly circuits: Circuits;
  readonly carrierOf: (below: Below) => Carrier | undefined;
  /** No way is left below, as BFD of the underlay says: what has another path takes that. */
  readonly isGone: (below: Below) => boolean;
  /** Called before a session begins: something has to send. */
  readonly watching: () => Promise<void>;
}

/** Circuits lead to the vif whose link they carry, by id. */
export interface Circuits {
  /** These wires, as far as they are circuits, and no others. */
  carry(wires: readonly string[], vif: number): void;
}

/** Of 1+1 the vif says that it is; what is carried over such a link would go by one path, as by any other. */
const KINDS = {
  first: LinkKind.LINK_FIRST,
  weighted: LinkKind.LINK_WEIGHTED,
  both: LinkKind.LINK_TWICE,
} as const;
const ALL_PATHS = (1 << Limit.LIMIT_MAX_LINK_PATHS) - 1;
const NOT_CARRIED: readonly LivePath[] = [];

export class Carriages {
  readonly #options: CarriagesOptions;
  readonly #live = new Map<number, readonly LivePath[]>();

  constructor(options: CarriagesOptions) {
    this.#options = options;
  }

  /** Of a vif, by its id: as many as its intent has paths; of a port none. */
  of(vif: number): readonly LivePath[] {
    return this.#live.get(vif) ?? NOT_CARRIED;
  }

  sessionIds(): Set<number> {
    const ids = [...this.#live.values()].flatMap((paths) => paths.map(({ session }) => session));
    return new Set(ids.filter((id) => id !== 0));
  }

  /** Takes over the records of an earlier agent. */
  adopt(vif: number, intent: VifIntent): void {
    const { plane, paths } = this.#options;
    const record = plane.vifs.read(vif);
    const link = plane.links.read(vif);
    const linked = (record.flags & Limit.LIMIT_VIF_LINK) !== 0;
    const slots = linked ? slotsOf(link.order) : [0];
    const sessions = linked ? [...plane.sessions.ofVif(vif)] : [];
    const found = intent.paths.map((path, i): LivePath => {
      const slot = slots[i] ?? i;
      const id = (linked ? link.paths[slot] : record.path) ?? 0;
      const [session = 0] =
        sessions.find(([, { index, path: watched }]) => index === slot && watched === id) ?? [];
      if (id !== 0) paths.adopt(id, path);
      return { intent: path, slot, path: id, session };
    });
    this.#live.set(vif, found);
  }

  /** The link is carried as wanted. What is used and goes on being wanted is used without a break. */
  async carry(vif: number, intent: VifIntent, owner: string): Promise<void> {
    const { plane, paths, circuits } = this.#options;
    const before = [...this.of(vif)];
    const next = this.#place(before, intent, owner);
    const sessions = next.map((path) => this.#wantedSession(vif, path));
    const watching = sessions.map((wanted, i) => this.#sameSession(next[i]?.session ?? 0, wanted));
    const ended = before.filter(({ session }) => session !== 0 && !watching.includes(session));
    await plane.sessions.retire(ended.map(({ session }) => session));
    for (const { session } of ended) plane.sessions.stop(session);
    // until then a program may mark a path for them
    if (ended.length > 0) await plane.grace();
    if (sessions.some((wanted) => wanted)) await this.#options.watching();

    if (isPlain(intent)) this.#leadTo(vif, next[0]?.path ?? 0);
    else this.#leadToLink(vif, intent, owner, next, watching);
    circuits.carry(wiresOf(next), vif);
    this.#live.set(
      vif,
      next.map((path, i) => ({ ...path, session: this.#watch(sessions[i], watching[i] ?? 0) })),
    );
    const kept = new Set(next.map(({ path }) => path));
    for (const { path } of before) if (path !== 0 && !kept.has(path)) paths.release(path);
  }

  /** Nothing of it is carried any more; the vif is off. */
  drop(vif: number): void {
    const { plane, paths, circuits } = this.#options;
    circuits.carry([], vif);
    plane.vifs.write(vif, { path: 0 });
    for (const { path, session } of this.of(vif)) {
      if (session !== 0) plane.sessions.stop(session);
      if (path !== 0) paths.release(path);
    }
    this.#live.delete(vif);
  }

  /** Links over a tunnel, a wire or a vif lose that path. Returns the vifs. */
  cutOver(carrier: Carrier): number[] {
    const { plane, paths } = this.#options;
    const cut: number[] = [];
    for (const [vif, live] of this.#live) {
      if (!live.some(({ path }) => path !== 0 && paths.leadsOver(path, carrier))) continue;
      const left = live.map((one): LivePath => {
        if (one.path === 0 || !paths.leadsOver(one.path, carrier)) return one;
        if (one.session !== 0) plane.sessions.stop(one.session);
        plane.links.setAt(vif, 'paths', one.slot, 0);
        if (plane.vifs.read(vif).path === one.path) plane.vifs.write(vif, { path: 0 });
        paths.release(one.path);
        return { ...one, path: 0, session: 0 };
      });
      this.#options.circuits.carry(wiresOf(left), vif);
      this.#live.set(vif, left);
      cut.push(vif);
    }
    return cut;
  }

  /** Something below was found gone, or there again. */
  avoidAgain(): void {
    const { links, vifs } = this.#options.plane;
    for (const [vif, live] of this.#live) {
      if ((vifs.read(vif).flags & Limit.LIMIT_VIF_LINK) === 0) continue;
      const avoid = this.#avoidOf(live);
      if (links.read(vif).avoid === avoid) continue;
      links.write(vif, { avoid });
      this.#settleUse(vif, orderOf(live), { same: ALL_PATHS, fresh: 0, avoid });
    }
  }

  /** Paths that their owner wants avoided, and those with nobody below. */
  #avoidOf(paths: readonly LivePath[]): number {
    return paths.reduce((bits, { slot, intent: { avoid, below } }) => {
      return avoid || this.#options.isGone(below) ? bits | (1 << slot) : bits;
    }, 0);
  }

  /** Each path with its record and its place: those of before where they will do, else new ones. */
  #place(before: readonly LivePath[], intent: VifIntent, owner: string): LivePath[] {
    const { paths } = this.#options;
    const left = new Set(before.filter(({ path }) => path !== 0));
    const found = intent.paths.map((path): LivePath | undefined => {
      for (const old of left) {
        if (!samePath(old.intent, path) || !paths.isCurrent(old.path, path, owner)) continue;
        left.delete(old);
        return { ...old, intent: path };
      }
      return undefined;
    });
    const taken = new Set(found.flatMap((path) => path?.slot ?? []));
    // where nobody sends now, if there is such a place: what is used stays there until another is
    const free = Array.from({ length: Limit.LIMIT_MAX_LINK_PATHS }, (_, slot) => slot)
      .filter((slot) => !taken.has(slot))
      .toSorted((a, b) => Number(isAt(left, a)) - Number(isAt(left, b)) || a - b);
    return found.map((path, i): LivePath => {
      const wanted = intent.paths[i] as LinkPathIntent;
      return path ?? { intent: wanted, slot: free.shift() ?? 0, path: paths.make(wanted, owner), session: 0 };
    });
  }

  #wantedSession(vif: number, { intent, slot, path }: LivePath): Session | undefined {
    const { liveness, measurement } = intent;
    const carrier = liveness && this.#options.carrierOf(liveness.context);
    if (!liveness || !carrier || path === 0) return undefined;
    return {
      ...intervalsOf(liveness),
      ...limitsOf(measurement),
      path,
      context: contextOf(carrier),
      label: liveness.label,
      vif,
      index: slot,
    };
  }

  /** The session of before, if it watches just this; else 0. */
  #sameSession(session: number, wanted: Session | undefined): number {
    if (!wanted || session === 0) return 0;
    const record = this.#options.plane.sessions.intents.read(session);
    const same =
      record.path === wanted.path && record.context === wanted.context && record.label === wanted.label;
    return same ? session : 0;
  }

  #watch(wanted: Session | undefined, session: number): number {
    const { sessions } = this.#options.plane;
    if (!wanted) return 0;
    if (session === 0) return sessions.start(wanted);
    sessions.change(session, wanted);
    return session;
  }

  /** One path, which the vif itself names. */
  #leadTo(vif: number, path: number): void {
    const { plane } = this.#options;
    plane.vifs.write(vif, { path });
    if ((plane.vifs.read(vif).flags & Limit.LIMIT_VIF_LINK) === 0) return;
    plane.vifs.setBits(vif, 'flags', Limit.LIMIT_VIF_LINK | Limit.LIMIT_VIF_TWICE, false);
    plane.links.write(vif, { paths: new Uint32Array(Limit.LIMIT_MAX_LINK_PATHS), avoid: 0 });
    plane.links.setBits(vif, 'state', 0xffffffff, false);
  }

  /** Several, or one that is watched. Paths that go are left before they are taken away. */
  #leadToLink(
    vif: number,
    intent: VifIntent,
    owner: string,
    next: readonly LivePath[],
    watching: readonly number[],
  ): void {
    const { plane } = this.#options;
    const both = intent.protection === 'both';
    if (!both) plane.vifs.setBits(vif, 'flags', Limit.LIMIT_VIF_TWICE, false);
    // whoever is at the other end may begin with 1+1 at any time
    if (next.length > 1) plane.merges.open(vif);
    for (const { path, intent: wanted } of next) if (path !== 0) writePath(plane, path, owner, wanted);
    const ids = new Uint32Array(Limit.LIMIT_MAX_LINK_PATHS);
    for (const { slot, path } of next) ids[slot] = path;
    const old = plane.links.read(vif).paths;
    const order = orderOf(next);
    plane.links.write(vif, {
      kind: KINDS[intent.protection],
      avoid: this.#avoidOf(next),
      paths: ids.map((id, slot) => (id === 0 ? (old[slot] ?? 0) : id)),
      ways: waysOf(next.map(({ slot, intent: { weight } }) => ({ slot, weight }))),
      order: orderWord(order),
    });
    // what is watched anew is not fit until something is heard, what nobody watches is as good as any
    const mask = (has: (path: LivePath, i: number) => boolean): number =>
      next.reduce((bits, path, i) => bits | (has(path, i) ? 1 << path.slot : 0), 0);
    const same = mask(({ slot, path }, i) => watching[i] !== 0 && old[slot] === path);
    const fresh = mask(({ intent: wanted }, i) => wanted.liveness !== undefined && watching[i] === 0);
    this.#settleUse(vif, order, { same, fresh, avoid: plane.links.read(vif).avoid });
    plane.links.write(vif, { paths: ids });
    plane.vifs.write(vif, { path: next[0]?.path ?? 0 });
    plane.vifs.setBits(vif, 'flags', Limit.LIMIT_VIF_LINK, true);
    if (!both) return;
    // not a number that the other end has just seen of an earlier link's: see bpf/merge.h
    plane.links.exchange(vif, 'number', 0, randomInt(1, Limit.LIMIT_SEQUENCE_MASK));
    plane.vifs.setBits(vif, 'flags', Limit.LIMIT_VIF_TWICE, true);
  }

  /**
   * As the programs decide (bpf/protection.h), for they do so for a link's sessions only. What is known to be down or too
   * bad stays so of `same` paths, `fresh` ones are down.
   */
  #settleUse(
    vif: number,
    order: readonly number[],
    { same, fresh, avoid }: { readonly same: number; readonly fresh: number; readonly avoid: number },
  ): void {
    const { links } = this.#options.plane;
    const first = (bits: number): number | undefined => order.find((slot) => (bits & (1 << slot)) === 0);
    for (let state = links.read(vif).state, seen = -1; seen !== state;) {
      if (seen >= 0) state = seen;
      const down = (state & same) | fresh;
      const bad = (state >>> Limit.LIMIT_LINK_DEGRADED_SHIFT) & same;
      const used = state >>> Limit.LIMIT_LINK_USED_SHIFT;
      const kept = order.includes(used) ? used : (order[0] ?? 0);
      const shunned = first(down | avoid) === undefined ? down : down | avoid;
      const stays = ((shunned >> kept) & 1) === 0 && order.includes(kept);
      const use = first(shunned | bad) ?? (stays ? kept : (first(shunned) ?? kept));
      const faults = down | (bad << Limit.LIMIT_LINK_DEGRADED_SHIFT);
      seen = links.exchange(vif, 'state', state, faults | (use << Limit.LIMIT_LINK_USED_SHIFT));
    }
  }
}

/** Places, the preferred one first. */
function orderOf(paths: readonly LivePath[]): number[] {
  return paths.filter(({ path }) => path !== 0).map(({ slot }) => slot);
}

function wiresOf(paths: readonly LivePath[]): string[] {
  return paths.flatMap(({ path, intent: { below } }) =>
    path !== 0 && below.kind === 'wire' ? [below.name] : [],
  );
}

function isAt(paths: ReadonlySet<LivePath>, slot: number): boolean {
  return [...paths].some((path) => path.slot === slot);
}

/** As in struct link: the preferred one in the lowest byte. */
function orderWord(slots: readonly number[]): number {
  const bytes = Array.from(
    { length: Limit.LIMIT_MAX_LINK_PATHS },
    (_, i) => slots[i] ?? Limit.LIMIT_LINK_NOBODY,
  );
  return Buffer.from(bytes).readUInt32LE();
}

export function slotsOf(order: number): number[] {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(order);
  return [...bytes].filter((slot) => slot !== Limit.LIMIT_LINK_NOBODY);
}

function intervalsOf({ minTx, minRx, multiplier, restore, adminDown }: LivenessIntent): {
  minTx: number;
  minRx: number;
  multiplier: number;
  restore: number;
  flags: number;
} {
  return { minTx, minRx, multiplier, restore, flags: adminDown ? Limit.LIMIT_SESSION_ADMIN_DOWN : 0 };
}

function limitsOf(
  measurement: MeasurementIntent | undefined,
): Pick<Session, 'measureInterval' | 'maxLoss' | 'maxDelay' | 'maxVariation' | 'hold'> {
  const { interval, loss, delay, variation, hold } = measurement ?? NOT_MEASURED;
  return { measureInterval: interval, maxLoss: loss, maxDelay: delay, maxVariation: variation, hold };
}

const NOT_MEASURED: MeasurementIntent = { interval: 0, loss: 0, delay: 0, variation: 0, hold: 0 };

/** Sixteenths in proportion to the weights, by the largest remainder; in runs, so that a small change moves few flows. */
export function waysOf(paths: readonly { readonly slot: number; readonly weight: number }[]): Uint8Array {
  const total = paths.reduce((sum, { weight }) => sum + weight, 0);
  const ways = Limit.LIMIT_LINK_WAYS;
  const exact = paths.map(({ weight }) => (total === 0 ? 0 : (weight * ways) / total));
  const counts = exact.map(Math.floor);
  const byRemainder = exact
    .map((share, i) => ({ i, remainder: share - Math.floor(share) }))
    .toSorted((a, b) => b.remainder - a.remainder || a.i - b.i);
  let left = ways - counts.reduce((sum, count) => sum + count, 0);
  for (const { i } of byRemainder) if (left-- > 0) counts[i] = (counts[i] ?? 0) + 1;
  return Uint8Array.from(counts.flatMap((count, i) => Array<number>(count).fill(paths[i]?.slot ?? 0)));
}
