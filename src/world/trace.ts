/**
 * One packet's way through the whole world: the first agent builds it and says where it goes; the agent at the tunnel's
 * or the wire's other end goes on with the frame, until it is delivered, punted or dropped.
 */
import { clientOf } from './agents.js';
import { suggestion, WorldError } from './errors.js';
import type { TraceRequest, TraceResponse } from './messages.js';
import { type Family, parseAddress, parsePrefix } from '../api/prefix.js';
import { type StationPlan } from './layout.js';
import { Naming } from './naming.js';
import { type WorldState } from './state.js';
import { type NodeTarget, nodeNameOf, type StationTarget } from './target.js';

export interface TraceOptions {
  readonly to: string;
  readonly from?: string | undefined;
  /** Bytes of the IP packet. */
  readonly length?: number | undefined;
  readonly ttl?: number | undefined;
}

/** What happened on one machine. */
export interface TraceLeg {
  readonly machine: string;
  readonly response: TraceResponse;
}

/** Machines after which a packet is taken to go round. */
const LONGEST = 64;

/** Throws WorldError or ApiError. */
export async function* trace(
  state: WorldState,
  target: NodeTarget | StationTarget,
  options: TraceOptions,
): AsyncGenerator<TraceLeg, void> {
  let request: TraceRequest | undefined = { probe: probeOf(state, target, options) };
  let { machine } = target;
  const naming = new Naming(state.plan.networks);
  for (let legs = 0; request && legs < LONGEST; legs++) {
    const client = clientOf(state.plan.name, machine);
    let response: TraceResponse;
    try {
      response = await client.trace(request);
    } finally {
      client.close();
    }
    yield { machine, response: naming.forPeople(response) };
    request = undefined;
    if (response.verdict !== 'forwarded') return;
    const next = nextOf(state, machine, response);
    if (!next) return;
    ({ machine } = next);
    request = { frame: { frame: response.egressFrame, interface: next.interface } };
  }
}

/** Where a frame that was forwarded arrives; the interface is empty where the agent there finds it by itself. */
function nextOf(
  state: WorldState,
  machine: string,
  { wire, egressInterface, tunnelRemoteAddress }: TraceResponse,
): { readonly machine: string; readonly interface: string } | undefined {
  if (tunnelRemoteAddress) return { machine: ownerOf(state, tunnelRemoteAddress), interface: '' };
  if (!wire) return undefined;
  const isHere = (end: { machine: string; interface: string }): boolean =>
    end.machine === machine && end.interface === egressInterface;
  for (const { ends } of state.plan.wires) {
    const far = ends.find((end) => !isHere(end));
    if (ends.some(isHere) && far) return far;
  }
  return undefined;
}

/** As the station would send it, or a station of the node. */
function probeOf(
  state: WorldState,
  target: NodeTarget | StationTarget,
  options: TraceOptions,
): NonNullable<TraceRequest['probe']> {
  const to = addressOf(state, target.network, options.to);
  const station = target.kind === 'station' ? target.station : stationAt(state, target);
  const own = station.addresses
    .find((address) => parsePrefix(address)?.family === to.family)
    ?.replace(/\/.*$/, '');
  const sourceAddress = options.from ?? own;
  if (sourceAddress === undefined) {
    throw new WorldError('ADDRESS', `${station.name} has no IPv${to.family} address: give one with --from`);
  }
  return {
    vif: `${nodeNameOf(target)}/vifs/${station.name}`,
    sourceAddress,
    destinationAddress: to.text,
    length: options.length,
    ttl: options.ttl,
  };
}

/** An address, or the name of a node or station of the network. */
function addressOf(state: WorldState, network: string, text: string): { family: Family; text: string } {
  const named = state.plan.hosts.filter((host) => host.network === network);
  const address = named.find((host) => host.name === text)?.address ?? text;
  const parsed = parseAddress(address);
  if (parsed) return { family: parsed.family, text: address };
  const hint = suggestion(text, new Set(named.map((host) => host.name)));
  throw new WorldError('ADDRESS', `${text} is no address, and nothing in ${network} has that name.${hint}`);
}

function stationAt(state: WorldState, target: NodeTarget): StationPlan {
  const stations = state.plan.stations.filter((one) => one.network === target.network);
  const here = stations.find((one) => one.node === target.node);
  if (here) return here;
  const names = stations.map((one) => `${one.network}/${one.name}`);
  throw new WorldError(
    'NAME',
    `a trace begins at a station, and ${target.network}/${target.node} has none.${suggestion('', names)}`,
  );
}

function ownerOf(state: WorldState, address: string): string {
  const machine = state.plan.machines.find((one) =>
    one.addresses.some((prefix) => prefix.replace(/\/.*$/, '') === address),
  );
  if (machine) return machine.name;
  throw new WorldError(
    'ADDRESS',
    `the packet leaves for ${address}, which is no machine of ${state.plan.name}`,
  );
}
