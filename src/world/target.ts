/**
 * What a command is about, by the names a person types: `P` is a machine, `iptv/P` a virtual node, `iptv/hp` a station,
 * `iptv/P/to-M` a vif, `P:to-X` a machine's interface.
 */
import { suggestion, WorldError } from './errors.js';
import { machineNamespace, nodeNamespace, stationNamespace } from './place.js';
import { type StationPlan } from './layout.js';
import { knownWorlds, readState, type WorldState } from './state.js';

export type Target = MachineTarget | NodeTarget | StationTarget;

export interface MachineTarget {
  readonly kind: 'machine';
  readonly machine: string;
  readonly namespace: string;
  /** Whose hosts file it has; empty: the machines' own network. */
  readonly network: '';
}

export interface NodeTarget {
  readonly kind: 'node';
  readonly network: string;
  /** The network as machines call it. */
  readonly vn: string;
  readonly node: string;
  readonly machine: string;
  readonly namespace: string;
}

export interface StationTarget {
  readonly kind: 'station';
  readonly network: string;
  readonly vn: string;
  readonly node: string;
  readonly machine: string;
  readonly namespace: string;
  readonly station: StationPlan;
}

/** The world meant: named, or the only one there is. Throws WorldError. */
export function chooseWorld(name: string | undefined): WorldState {
  const worlds = knownWorlds();
  if (name === undefined && worlds.length > 1) {
    throw new WorldError('NAME', `several worlds are up: say which with --world: ${worlds.join(', ')}`);
  }
  const chosen = name ?? worlds[0];
  const state = chosen === undefined ? undefined : readState(chosen);
  if (state) return state;
  if (chosen === undefined)
    throw new WorldError('NOT_UP', 'no world is up: `cabernet up FILE` brings one up');
  throw new WorldError('NOT_UP', `world ${chosen} is not up.${suggestion(chosen, worlds)}`);
}

/** Throws WorldError with what there is. */
export function findTarget(state: WorldState, text: string): Target {
  const [network = '', name, ...more] = text.split('/');
  if (more.length > 0) {
    throw new WorldError('NAME', `${text}: a machine, VN/NODE or VN/STATION, such as ${example(state)}`);
  }
  return name === undefined ? findMachine(state, network) : findInNetwork(state, network, name);
}

function example(state: WorldState): string {
  const [station] = state.plan.stations;
  return station ? `${station.network}/${station.name}` : (state.plan.machines[0]?.name ?? '');
}

export function findMachine(state: WorldState, name: string): MachineTarget {
  const { plan } = state;
  if (!plan.machines.some((machine) => machine.name === name)) {
    const names = plan.machines.map((machine) => machine.name);
    const network = plan.networks.find((one) => one.name === name);
    const hint = network
      ? ` ${name} is a network: name one of its nodes, such as ${name}/${network.nodes[0]?.name ?? ''}.`
      : suggestion(name, names);
    throw new WorldError('NAME', `there is no machine ${name}.${hint}`);
  }
  return { kind: 'machine', machine: name, namespace: machineNamespace(plan.name, name), network: '' };
}

function findInNetwork(state: WorldState, network: string, name: string): NodeTarget | StationTarget {
  const { plan } = state;
  const found = plan.networks.find((one) => one.name === network);
  if (!found) {
    const names = plan.networks.map((one) => one.name);
    throw new WorldError('NAME', `there is no network ${network}.${suggestion(network, names)}`);
  }
  const station = plan.stations.find((one) => one.network === network && one.name === name);
  if (station) {
    const { node, machine } = station;
    const namespace = stationNamespace(plan.name, network, name);
    return { kind: 'station', network, vn: found.vn, node, machine, namespace, station };
  }
  const node = found.nodes.find((one) => one.name === name);
  if (node) {
    const { vn } = found;
    const namespace = nodeNamespace(plan.name, node.machine, vn, name);
    return { kind: 'node', network, vn, node: name, machine: node.machine, namespace };
  }
  const stations = plan.stations.filter((one) => one.network === network);
  const names = [...stations, ...found.nodes].map((one) => one.name);
  throw new WorldError(
    'NAME',
    `there is no station or node ${name} in ${network}.${suggestion(name, names)}`,
  );
}

/** `vns/VN/nodes/NODE`, as its machine calls it: the node, or a station's. */
export function nodeNameOf(target: NodeTarget | StationTarget): string {
  return `vns/${target.vn}/nodes/${target.node}`;
}

/** `vns/VN/nodes/NODE/vifs/STATION` */
export function portVifOf(target: StationTarget): string {
  return `${nodeNameOf(target)}/vifs/${target.station.name}`;
}
