/**
 * Virtual links as they really are: found by following each vif's label from machine to machine through what the agents
 * hold, as a packet would be, until it is delivered to a vif.
 */
import type { LabelState, TunnelState, VifState } from './messages.js';

/** What one agent holds, as far as links go. */
export interface Holdings {
  readonly machine: string;
  readonly vifs: readonly VifState[];
  readonly tunnels: readonly TunnelState[];
  readonly labels: readonly LabelState[];
}

export interface LinkView {
  /** The vifs at both ends. `b` is undefined where the label leads nowhere. */
  readonly a: VifState;
  readonly b: VifState | undefined;
  /** Where the ends are. */
  readonly machines: readonly string[];
  /** Nodes of the layer below that swap its label, from a to b. */
  readonly via: readonly string[];
  /** `tunnels/P-A` or a vif: what carries it at a. */
  readonly below: string;
  /** The way back does not lead here. */
  readonly oneWay: boolean;
}

interface PathLike {
  readonly tunnel?: string | undefined;
  readonly vif?: string | undefined;
  readonly label?: number | undefined;
}

interface Place {
  readonly machine: string;
  /** A tunnel or a vif: the context of labels. */
  readonly name: string;
}

interface End {
  readonly vif: VifState;
  readonly machine: string;
  readonly via: readonly string[];
}

/** Hops after which a label is taken to go round. */
const LONGEST = 64;

class Follower {
  readonly #vifs = new Map<string, { readonly machine: string; readonly state: VifState }>();
  readonly #tunnels = new Map<string, TunnelState>();
  readonly #byEnds = new Map<string, Place>();
  readonly #labels = new Map<string, LabelState>();

  constructor(all: readonly Holdings[]) {
    for (const { machine, vifs, tunnels, labels } of all) {
      for (const state of vifs) this.#vifs.set(state.vif?.name ?? '', { machine, state });
      for (const state of tunnels) {
        const { name = '', localAddress, remoteAddress } = state.tunnel ?? {};
        this.#tunnels.set(`${machine} ${name}`, state);
        this.#byEnds.set(`${localAddress} ${remoteAddress}`, { machine, name });
      }
      for (const state of labels) {
        const { tunnel, vif, label } = state.label ?? {};
        this.#labels.set(`${machine} ${tunnel ?? vif ?? ''} ${label}`, state);
      }
    }
  }

  get vifs(): Iterable<{ readonly machine: string; readonly state: VifState }> {
    return this.#vifs.values();
  }

  /** The context at the far end of what a path runs over. */
  #farSide(machine: string, path: PathLike): Place | undefined {
    if (path.tunnel) {
      const { localAddress, remoteAddress } = this.#tunnels.get(`${machine} ${path.tunnel}`)?.tunnel ?? {};
      return this.#byEnds.get(`${remoteAddress} ${localAddress}`);
    }
    const below = this.#vifs.get(path.vif ?? '');
    const far = below && this.farEnd(below.machine, below.state);
    return far && { machine: far.machine, name: far.vif.vif?.name ?? '' };
  }

  farEnd(machine: string, state: VifState): End | undefined {
    const via: string[] = [];
    let at = machine;
    let path: PathLike | undefined = state.vif?.link?.paths[0];
    for (let hops = 0; path && hops < LONGEST; hops++) {
      const far = this.#farSide(at, path);
      const meaning = far && this.#labels.get(`${far.machine} ${far.name} ${path.label}`)?.label;
      if (!far || !meaning) return undefined;
      if (meaning.deliver) {
        const found = this.#vifs.get(meaning.deliver);
        return found && { vif: found.state, machine: found.machine, via };
      }
      via.push(far.name.replace(/^vns\/(.*)\/nodes\/(.*)\/vifs\/.*$/, '$1/$2'));
      at = far.machine;
      path = meaning.swap;
    }
    return undefined;
  }
}

/** Every link once, in the order of the machines. */
export function linksOf(all: readonly Holdings[]): readonly LinkView[] {
  const follower = new Follower(all);
  const links: LinkView[] = [];
  const seen = new Set<VifState | undefined>();
  for (const { machine, state } of follower.vifs) {
    const [path] = state.vif?.link?.paths ?? [];
    if (!path) continue;
    const far = follower.farEnd(machine, state);
    const back = far && follower.farEnd(far.machine, far.vif);
    const oneWay = back?.vif !== state;
    if (!oneWay && seen.has(far?.vif)) continue;
    seen.add(state);
    links.push({
      a: state,
      b: far?.vif,
      machines: far ? [machine, far.machine] : [machine],
      via: far?.via ?? [],
      below: path.tunnel ?? path.vif ?? '',
      oneWay,
    });
  }
  return links;
}
