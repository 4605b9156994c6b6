/**
 * Local repair: of each wire with a bypass, the path that the programs take while the wire is down. It leads over another
 * wire, which may come later than the one it is for, or be its bypass in turn.
 */
import { type Carrier, type DataPlane } from '../dataplane/index.js';
import { type PathIntent, samePath } from './model.js';
import { type Paths } from './paths.js';
import { type LiveWire, type Wires } from './wires.js';

interface Bypass {
  readonly intent: PathIntent;
  readonly owner: string;
  readonly path: number;
}

export interface BypassesOptions {
  readonly plane: DataPlane;
  readonly wires: Wires;
  readonly paths: Paths;
}

export class Bypasses {
  readonly #options: BypassesOptions;
  /** By the wire that they are for; only those that have a path. */
  readonly #live = new Map<string, Bypass>();

  constructor(options: BypassesOptions) {
    this.#options = options;
  }

  /** Takes over what an earlier agent wrote; settle() brings it up to date. */
  adopt({ id, intent, owner }: LiveWire): void {
    const { plane, paths } = this.#options;
    const { name, bypass } = intent;
    const path = plane.wires.read(id).bypass;
    // one of another intent is nobody's: settle() leaves it, and it goes back with all that is
    if (path === 0 || !bypass || plane.paths.read(path).label !== bypass.label) return;
    paths.adopt(path, bypass);
    this.#live.set(name, { intent: bypass, owner, path });
  }

  /** The wire is there, or as it is now wanted: its own bypass, and those that lead over it. */
  settle(name: string): void {
    for (const wire of this.#options.wires.all) {
      const { intent } = wire;
      if (intent.name === name || intent.bypass?.below.name === name) this.#settle(wire);
    }
  }

  /** Nothing leads over the wire, or around it, any more: its id may become another's. */
  drop(name: string, carrier: Carrier): void {
    for (const [around, { path }] of this.#live)
      if (around === name || this.#options.paths.leadsOver(path, carrier)) this.#drop(around);
  }

  /** Record of the wire's bypass; 0: it has none now. */
  pathOf(name: string): number {
    return this.#live.get(name)?.path ?? 0;
  }

  /** Whether what goes by a wire that is down goes on. */
  isUsable(name: string): boolean {
    const { wires } = this.#options;
    const other = wires.get(this.#live.get(name)?.intent.below.name ?? '');
    return other !== undefined && !wires.isDown(other.intent.name);
  }

  #settle({ id, intent, owner }: LiveWire): void {
    const { paths, plane } = this.#options;
    const { name, bypass } = intent;
    const before = this.#live.get(name);
    if (
      before &&
      bypass &&
      before.owner === owner &&
      samePath(before.intent, bypass) &&
      paths.isCurrent(before.path, bypass, owner)
    )
      return;
    const path = bypass ? paths.make(bypass, owner) : 0;
    // by one word: whichever a program reads leads where it says
    plane.wires.set(id, 'bypass', path);
    if (before) paths.release(before.path);
    if (bypass && path !== 0) this.#live.set(name, { intent: bypass, owner, path });
    else this.#live.delete(name);
  }

  #drop(around: string): void {
    const { wires, plane, paths } = this.#options;
    const bypass = this.#live.get(around);
    const wire = wires.get(around);
    this.#live.delete(around);
    if (wire) plane.wires.set(wire.id, 'bypass', 0);
    if (bypass) paths.release(bypass.path);
  }
}
