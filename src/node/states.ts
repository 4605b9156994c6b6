/**
 * One word or sentence for the state of each tunnel, wire, BFD peer, vif, path and neighbour, as the List methods show it; and who
 * is told when one changes. Changes that come together are looked at together.
 */
import { type Agent } from './agent.js';
import { type LiveBfdPeer } from './bfd-peers.js';
import { MAX_DEPTH } from './authority.js';
import { type PathIntent } from './model.js';
import { type LivePath } from './carriages.js';
import { sessionProblem, sessionWord } from './liveness.js';
import { type LiveVif } from './vifs.js';
import { type LiveWire } from './wires.js';

export function tunnelState(agent: Agent, name: string): string {
  const state = agent.underlay.get(name)?.condition ?? 'not there';
  return state === 'up' && agent.underlay.isGone(name) ? 'neighbour down' : state;
}

export function wireState(agent: Agent, name: string): string {
  const state = agent.wires.get(name)?.condition ?? 'not there';
  return state === 'up' && agent.wires.isGone(name) ? 'neighbour down' : state;
}

/** Of what goes by the wire: it may go on by the bypass. */
function repairedState(agent: Agent, name: string): string {
  const state = wireState(agent, name);
  return state !== 'up' && agent.bypasses.isUsable(name) ? 'up' : state;
}

/** Of the wire's bypass: empty where there is none. */
export function bypassState(agent: Agent, { intent }: LiveWire): string {
  const { name, bypass } = intent;
  if (!bypass) return '';
  const state = wireState(agent, bypass.below.name);
  if (state !== 'up' || agent.bypasses.pathOf(name) === 0) return `${bypass.below.name}: ${state}`;
  return agent.wires.isDown(name) ? 'in use' : 'ready';
}

/** Of its session, or why none can be. */
export function bfdPeerState(agent: Agent, { condition, id, watched }: LiveBfdPeer): string {
  return condition === 'up' && watched ? sessionWord(agent, id) : condition;
}

/** `up`, or what is not up on the way down. */
export function pathState(agent: Agent, path: PathIntent, depth = 0): string {
  const { below } = path;
  if (depth >= MAX_DEPTH) return 'too deep';
  if (below.kind !== 'vif') {
    const state = below.kind === 'tunnel' ? tunnelState(agent, below.name) : repairedState(agent, below.name);
    return state === 'up' ? 'up' : `${below.name}: ${state}`;
  }
  const vif = agent.vifs.get(below.name);
  if (!vif) return `${below.name}: not there`;
  const state = vifState(agent, vif, depth + 1);
  // the deepest cause is the one worth naming
  if (state === 'up' || /^(tunnels|wires|vns)\//.test(state)) return state;
  return `${below.name}: ${state}`;
}

/** The same of a path with a record, and with what its session says. */
export function livePathState(agent: Agent, path: LivePath, depth = 0): string {
  if (path.path === 0) return `${path.intent.below.name}: not there`;
  const below = pathState(agent, path.intent, depth);
  return below === 'up' ? sessionProblem(agent, path) || 'up' : below;
}

export function vifState(agent: Agent, vif: LiveVif, depth = 0): string {
  const problem = agent.vifs.problem(vif);
  if (problem !== '') return problem;
  const states = agent.carriages.of(vif.id).map((path) => livePathState(agent, path, depth));
  // one way is enough; the first is the one that was meant
  return states.includes('up') ? 'up' : (states[0] ?? 'up');
}

/** What a path runs over, top first, down to the wires. */
export function pathBelow(agent: Agent, path: PathIntent): string[] {
  const names: string[] = [];
  let at: PathIntent | undefined = path;
  for (let depth = 0; at && depth < MAX_DEPTH; depth++) {
    const { below }: PathIntent = at;
    names.push(below.name);
    if (below.kind === 'wire') {
      const wire = agent.wires.get(below.name)?.intent;
      return wire ? [...names, wire.interface] : names;
    }
    if (below.kind === 'tunnel') {
      const ways = agent.underlay.get(below.name)?.ways ?? [];
      names.push(...new Set(ways.map((way) => way.interface)));
      return names;
    }
    at = agent.vifs.get(below.name)?.intent.paths[0];
  }
  return names;
}

/** A name and its state, for watchers. */
export interface StateChange {
  readonly name: string;
  /** Undefined: it is gone. */
  readonly state: string | undefined;
}

export class States {
  readonly #agent: Agent;
  readonly #last = new Map<string, string>();
  readonly #touched = new Set<string>();
  readonly #tell: (changes: readonly StateChange[]) => void;
  #scheduled = false;

  constructor(agent: Agent, tell: (changes: readonly StateChange[]) => void) {
    this.#agent = agent;
    this.#tell = tell;
  }

  /** The thing of this name may have another state now, and what stands on it too. */
  touch(name: string): void {
    this.#touched.add(name);
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => this.#look());
  }

  *current(): Generator<StateChange> {
    for (const [name, state] of this.#last) yield { name, state };
  }

  #look(): void {
    this.#scheduled = false;
    const changes: StateChange[] = [];
    const queue = [...this.#touched];
    this.#touched.clear();
    const seen = new Set(queue);
    for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
      const state = this.#stateOf(name);
      if (state === this.#last.get(name)) continue;
      if (state === undefined) this.#last.delete(name);
      else this.#last.set(name, state);
      changes.push({ name, state });
      for (const { intent } of this.#agent.registry.dependents(name)) {
        if (intent.kind !== 'vif' || seen.has(intent.name)) continue;
        seen.add(intent.name);
        queue.push(intent.name);
      }
    }
    if (changes.length > 0) this.#tell(changes);
  }

  #stateOf(name: string): string | undefined {
    const agent = this.#agent;
    if (name.startsWith('tunnels/')) return agent.underlay.get(name) && tunnelState(agent, name);
    if (name.startsWith('wires/')) return agent.wires.get(name) && wireState(agent, name);
    const peer = agent.bfdPeers.get(name);
    if (peer) return bfdPeerState(agent, peer);
    const neighbour = name.indexOf('/neighbours/');
    if (neighbour >= 0) {
      const vif = agent.vifs.get(name.slice(0, neighbour));
      return vif && agent.neighbourOf(vif, name.slice(neighbour + '/neighbours/'.length))?.state;
    }
    const vif = agent.vifs.get(name);
    if (vif) return vifState(agent, vif);
    return agent.nodes.get(name) ? 'up' : undefined;
  }
}
