/**
 * Path records: one way each that a link, or a swapped label, is carried by the layer below. A record is made once
 * and never changed; whoever wants another way makes another.
 */
import { type Carrier, type DataPlane, Limit } from '../dataplane/index.js';
import { type Below, type PathIntent } from './model.js';
import { type Registry, userOf } from './registry.js';

export interface PathsOptions {
  readonly plane: DataPlane;
  readonly registry: Registry;
  /** The id of what bears the name now; undefined: it is not there. */
  readonly carrierOf: (below: Below) => Carrier | undefined;
}

/** What a record says it runs over, the others 0. */
interface LivePath {
  readonly tunnel: number;
  readonly wire: number;
  readonly vif: number;
}

function livePath(carrier: Carrier): LivePath {
  return { tunnel: 0, wire: 0, vif: 0, ...carrier };
}

/** In the record, that there is none over a circuit is said by a label that no frame bears. */
function recordLabel(path: PathIntent): number {
  return path.label === 0 ? Limit.LIMIT_LABEL_IMPLICIT_NULL : path.label;
}

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
    const { plane, registry, carrierOf } = this.#options;
    const carrier = carrierOf(path.below);
    if (!carrier || userOf(registry, path.below) !== owner) return 0;
    const live = livePath(carrier);
    const id = plane.allocate('path');
    const flags = path.unrepaired ? Limit.LIMIT_PATH_UNREPAIRED : 0;
    plane.paths.write(id, { label: recordLabel(path), flags, ...live });
    this.#live.set(id, live);
    return id;
  }

  /** True while the record leads to what bears the name now, and its owner may still run it. */
  isCurrent(id: number, path: PathIntent | undefined, owner: string): boolean {
    const { registry, carrierOf } = this.#options;
    const carrier = path && carrierOf(path.below);
    if (!carrier || userOf(registry, path.below) !== owner) return false;
    return this.leadsOver(id, carrier);
  }

  /** True while the record leads over this tunnel, wire or vif. */
  leadsOver(id: number, carrier: Carrier): boolean {
    const live = this.#live.get(id);
    const wanted = livePath(carrier);
    if (!live) return false;
    return live.tunnel === wanted.tunnel && live.wire === wanted.wire && live.vif === wanted.vif;
  }

  /** Takes over the record of an earlier agent. */
  adopt(id: number, path: PathIntent): boolean {
    const { label, tunnel, wire, vif } = this.#options.plane.paths.read(id);
    this.#live.set(id, { tunnel, wire, vif });
    return label === recordLabel(path);
  }

  /** Nothing leads to it any more. */
  release(id: number): void {
    if (!this.#live.delete(id)) return;
    this.#options.plane.release('path', id);
  }
}
