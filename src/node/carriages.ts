/**
 * How each link is carried: records of its paths, which of them is used, and the sessions that watch them. Most links
 * have one path that nobody watches: their vif leads to it, and that is all. Of the others the programs choose
 * (bpf/protection.h); a path's record is there before they may choose it, and gone after.
 */
import { Limit, LinkKind } from '../../gen/layout.js';
import { type Carrier, contextOf, type DataPlane, type Session } from '../dataplane/index.js';
import {
  type Below,
  isPlain,
  type LinkPathIntent,
  type LivenessIntent,
  samePath,
  type VifIntent,
} from './model.js';
import { writePath } from './names.js';
import { type Paths } from './paths.js';

/** One path of a link, as it is. */
export interface LivePath {
  readonly intent: LinkPathIntent;
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
  /** Called before a session begins: something has to send. */
  readonly watching: () => Promise<void>;
}

/** Circuits lead to the vif whose link they carry, by id. */
export interface Circuits {
  /** These wires, as far as they are circuits, and no others. */
  carry(wires: readonly string[], vif: number): void;
}

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
    const linked = (record.flags & Limit.LIMIT_VIF_LINK) !== 0;
    const ids = linked ? [...plane.links.read(vif).paths] : [record.path];
    const sessions = linked ? [...plane.sessions.ofVif(vif)] : [];
    const found = intent.paths.map((path, i): LivePath => {
      const id = ids[i] ?? 0;
      const [session = 0] =
        sessions.find(([, { index, path: watched }]) => index === i && watched === id) ?? [];
      if (id !== 0) paths.adopt(id, path);
      return { intent: path, path: id, session };
    });
    this.#live.set(vif, found);
  }

  /** The link is carried as wanted. What is used and goes on being wanted is used without a break. */
  async carry(vif: number, intent: VifIntent, owner: string): Promise<void> {
    const { plane, circuits } = this.#options;
    const before = [...this.of(vif)];
    const kept = new Set<LivePath>();
    const next = intent.paths.map((path, i): LivePath => {
      const old = this.#find(before, kept, path, i, owner);
      if (old) kept.add(old);
      const id = old?.path ?? this.#options.paths.make(path, owner);
      return { intent: path, path: id, session: 0 };
    });
    const sessions = next.map((path, i) => this.#wantedSession(vif, path, i));
    const watching = sessions.map((wanted, i) => this.#sameSession(before, wanted, i));
    const ended = before.filter(({ session }) => session !== 0 && !watching.includes(session));
    for (const { session } of ended) plane.sessions.stop(session);
    if (ended.length > 0) await plane.grace();

    if (sessions.some((wanted) => wanted)) await this.#options.watching();

    if (isPlain(intent)) this.#leadTo(vif, next[0]?.path ?? 0);
    else
      this.#leadToLink(
        vif,
        intent,
        owner,
        next,
        sessions.map((wanted) => wanted !== undefined),
      );
    circuits.carry(
      next.flatMap(({ path, intent: { below } }) =>
        path !== 0 && below.kind === 'wire' ? [below.name] : [],
      ),
      vif,
    );
    this.#live.set(
      vif,
      next.map((path, i) => ({ ...path, session: this.#watch(sessions[i], watching[i] ?? 0) })),
    );
    for (const old of before) if (old.path !== 0 && !kept.has(old)) this.#options.paths.release(old.path);
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
      const left = live.map((one, i): LivePath => {
        if (one.path === 0 || !paths.leadsOver(one.path, carrier)) return one;
        if (one.session !== 0) plane.sessions.stop(one.session);
        plane.links.setAt(vif, 'paths', i, 0);
        if (plane.vifs.read(vif).path === one.path) plane.vifs.write(vif, { path: 0 });
        paths.release(one.path);
        return { ...one, path: 0, session: 0 };
      });
      const wires = left.flatMap(({ path, intent: { below } }) =>
        path !== 0 && below.kind === 'wire' ? [below.name] : [],
      );
      this.#options.circuits.carry(wires, vif);
      this.#live.set(vif, left);
      cut.push(vif);
    }
    return cut;
  }

  /** A record of before that will do: at its place first, so that nothing moves that need not. */
  #find(
    before: readonly LivePath[],
    kept: ReadonlySet<LivePath>,
    path: LinkPathIntent,
    index: number,
    owner: string,
  ): LivePath | undefined {
    const { paths } = this.#options;
    const fits = (old: LivePath | undefined): old is LivePath =>
      old !== undefined &&
      old.path !== 0 &&
      !kept.has(old) &&
      samePath(old.intent, path) &&
      paths.isCurrent(old.path, path, owner);
    const here = before[index];
    return fits(here) ? here : before.find(fits);
  }

  #wantedSession(vif: number, { intent, path }: LivePath, index: number): Session | undefined {
    const { liveness } = intent;
    const carrier = liveness && this.#options.carrierOf(liveness.context);
    if (!liveness || !carrier || path === 0) return undefined;
    return {
      ...intervalsOf(liveness),
      path,
      context: contextOf(carrier),
      label: liveness.label,
      vif,
      index,
    };
  }

  /** The session of before that watches just this; 0: none. */
  #sameSession(before: readonly LivePath[], wanted: Session | undefined, index: number): number {
    const session = before[index]?.session ?? 0;
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
    plane.vifs.setBits(vif, 'flags', Limit.LIMIT_VIF_LINK, false);
    plane.links.write(vif, { paths: new Uint32Array(Limit.LIMIT_MAX_LINK_PATHS), avoid: 0 });
    plane.links.setBits(vif, 'state', 0xffffffff, false);
  }

  #leadToLink(
    vif: number,
    intent: VifIntent,
    owner: string,
    next: readonly LivePath[],
    watched: readonly boolean[],
  ): void {
    const { plane } = this.#options;
    for (const { path, intent: wanted } of next) if (path !== 0) writePath(plane, path, owner, wanted);
    const ids = Array.from({ length: Limit.LIMIT_MAX_LINK_PATHS }, (_, i) => next[i]?.path ?? 0);
    // a path that nobody watches any more is as good as any
    for (const [i] of ids.entries()) if (!watched[i]) plane.links.setBits(vif, 'state', 1 << i, false);
    plane.links.write(vif, {
      kind: intent.protection === 'weighted' ? LinkKind.LINK_WEIGHTED : LinkKind.LINK_FIRST,
      avoid: next.reduce((bits, { intent: { avoid } }, i) => bits | (avoid ? 1 << i : 0), 0),
      paths: Uint32Array.from(ids),
      ways: waysOf(intent.paths),
    });
    plane.vifs.write(vif, { path: ids[0] ?? 0 });
    plane.vifs.setBits(vif, 'flags', Limit.LIMIT_VIF_LINK, true);
  }
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

/** Sixteenths in proportion to the weights, by the largest remainder; in runs, so that a small change moves few flows. */
export function waysOf(paths: readonly Pick<LinkPathIntent, 'weight'>[]): Uint8Array {
  const total = paths.reduce((sum, { weight }) => sum + weight, 0);
  const ways = Limit.LIMIT_LINK_WAYS;
  const exact = paths.map(({ weight }) => (total === 0 ? 0 : (weight * ways) / total));
  const counts = exact.map(Math.floor);
  const byRemainder = exact
    .map((share, i) => ({ i, remainder: share - Math.floor(share) }))
    .toSorted((a, b) => b.remainder - a.remainder || a.i - b.i);
  let left = ways - counts.reduce((sum, count) => sum + count, 0);
  for (const { i } of byRemainder) if (left-- > 0) counts[i] = (counts[i] ?? 0) + 1;
  return Uint8Array.from(counts.flatMap((count, i) => Array<number>(count).fill(i)));
}
