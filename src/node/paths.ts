/**
 * Path records: one way each that a link, or a swapped label, is carried by the layer below. A record is made once
 * and never changed; whoever wants another way makes another.
 */
import { type DataPlane } from '../dataplane/index.js';
import { type PathIntent } from './model.js';
import { type Registry, userOf } from './registry.js';

export interface PathsOptions {
  readonly plane: DataPlane;
  readonly registry: Registry;
  readonly tunnelId: (name: string) => number | undefined;
  readonly vifId: (name: string) => number | undefined;
}

interface LivePath {
  /** What it runs over: a tunnel's id or a vif's. */
  readonly tunnel: number;
  readonly vif: number;
}

/** A tunnel or a vif, by id. */
export type Carrier = { readonly tunnel: number } | { readonly vif: number };

export class Paths {
  readonly #options: PathsOptions;
  readonly #live = new Map<number, LivePath>();

  constructor(options: PathsOptions) {
    this.#options = options;
  }

  ids(): Set<number> {
    return new Set(this.#live.keys());
  }

  /** The record of a path; 0 where its owner may not run it, or what is below is not there. */
  make(path: PathIntent, owner: string): number {
    const { plane, registry } = this.#options;
    const below = this.#below(path);
    if (!below || userOf(registry, path.below) !== owner) return 0;
    const id = plane.allocate('path');
    plane.paths.write(id, { label: path.label, ...below });
    this.#live.set(id, below);
    return id;
  }

  /** True while the record leads to what bears the name now, and its owner may still run it. */
  isCurrent(id: number, path: PathIntent | undefined, owner: string): boolean {
    const live = this.#live.get(id);
    const below = path && this.#below(path);
    if (!live || !below || userOf(this.#options.registry, path.below) !== owner) return false;
    return live.tunnel === below.tunnel && live.vif === below.vif;
  }

  /** True while the record leads over this tunnel or vif. */
  leadsOver(id: number, carrier: Carrier): boolean {
    const live = this.#live.get(id);
    return (
      live !== undefined && ('vif' in carrier ? live.vif === carrier.vif : live.tunnel === carrier.tunnel)
    );
  }

  /** Takes over the record of an earlier agent. */
  adopt(id: number, path: PathIntent): boolean {
    const record = this.#options.plane.paths.read(id);
    this.#live.set(id, { tunnel: record.tunnel, vif: record.vif });
    return record.label === path.label;
  }

  /** Nothing leads to it any more. */
  release(id: number): void {
    if (!this.#live.delete(id)) return;
    this.#options.plane.release('path', id);
  }

  #below({ below }: PathIntent): LivePath | undefined {
    const { tunnelId, vifId } = this.#options;
    if (below.kind === 'tunnel') {
      const tunnel = tunnelId(below.name);
      return tunnel === undefined ? undefined : { tunnel, vif: 0 };
    }
    const vif = vifId(below.name);
    return vif === undefined ? undefined : { tunnel: 0, vif };
  }
}
