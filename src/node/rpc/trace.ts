/** Trace */
import { type cabernet } from '../../../gen/cabernet.js';
import { type Draft, type Message } from '../../api/message.js';
import { type Address, formatAddress, formatMac, isUnicast, parseAddress, parseMac } from '../address.js';
import { type Agent } from '../agent.js';
import { impossible, invalid, missing } from '../refusal.js';
import { type LiveVif } from '../vifs.js';
import { bearsLabels, outerSource, probeFrame, smallestProbe } from './probe.js';
import { StepReader } from './trace-steps.js';

type Probe = Message<cabernet.node.v1.TraceProbe>;
type Frame = Message<cabernet.node.v1.TraceFrame>;

interface Start {
  readonly ifindex: number;
  readonly frame: Uint8Array;
}

interface Lengths {
  /** Of a probe's IP packet. */
  readonly probe: number;
  /** Of a frame on the wire, with all its headers. */
  readonly frame: number;
}

/** What a program is run on: one buffer, or several. */
const LARGEST: Lengths = { probe: 3400, frame: 3500 };
const LARGEST_JUMBO: Lengths = { probe: 9600, frame: 9700 };
const DEFAULT_TTL = 64;
/** Where the station's MAC address is not known: any will do. */
const SOME_MAC = Uint8Array.of(2, 0, 0, 0, 0, 1);

function largest(agent: Agent): Lengths {
  return agent.plane.jumbo ? LARGEST_JUMBO : LARGEST;
}

function address(text: string, field: string): Address {
  const parsed = parseAddress(text);
  if (parsed && isUnicast(parsed)) return parsed;
  throw invalid('ADDRESS', field, `${JSON.stringify(text.slice(0, 80))} is no unicast IPv4 or IPv6 address`);
}

function startAtPort(agent: Agent, probe: Probe): Start {
  const vif = agent.vifs.get(probe.vif);
  if (!vif) throw missing('VIF_NOT_FOUND', 'probe.vif', `there is no ${probe.vif} on this machine`);
  const ifindex = vif.port === undefined ? undefined : agent.interfaces.port(vif.port)?.index;
  if (ifindex === undefined) {
    throw impossible(
      'NOT_A_PORT',
      'probe.vif',
      `${vif.name} has no station's cable where a probe could enter`,
    );
  }
  const source = address(probe.sourceAddress, 'probe.source_address');
  const destination = address(probe.destinationAddress, 'probe.destination_address');
  const { family } = destination;
  if (source.family !== family) {
    throw invalid('ADDRESS', 'probe.source_address', 'of the same family as destination_address');
  }
  const length = probe.length || (family === 4 ? 84 : 104);
  if (length < smallestProbe(family) || length > largest(agent).probe) {
    const range = `${smallestProbe(family)} to ${largest(agent).probe} bytes`;
    throw invalid('LENGTH', 'probe.length', `${length}: ${range}`);
  }
  const ttl = probe.ttl || DEFAULT_TTL;
  if (ttl > 255) throw invalid('TTL', 'probe.ttl', `${ttl}: 1 to 255`);
  const frame = probeFrame({
    source,
    destination,
    sourceMac: stationMac(agent, vif, source),
    destinationMac: parseMac(vif.intent.mac) ?? SOME_MAC,
    length,
    ttl,
  });
  return { ifindex, frame };
}

function stationMac(agent: Agent, vif: LiveVif, source: Address): Uint8Array {
  const mac = agent.neighbourOf(vif, formatAddress(source.bytes))?.lladdr;
  return (mac === undefined ? undefined : parseMac(mac)) ?? SOME_MAC;
}

async function startOnWire(agent: Agent, { interface: name, frame }: Frame): Promise<Start> {
  if (frame.length < 14 || frame.length > largest(agent).frame) {
    throw invalid('LENGTH', 'frame.frame', `${frame.length}: 14 to ${largest(agent).frame} bytes`);
  }
  if (name !== '') {
    for (const place of agent.interfaces.all()) {
      if (place.name === name && place.index !== undefined) return { ifindex: place.index, frame };
    }
    throw missing(
      'INTERFACE_NOT_FOUND',
      'frame.interface',
      `${name} is no underlay interface and no port here`,
    );
  }
  if (bearsLabels(frame)) {
    const mac = formatMac(frame.subarray(0, 6));
    for (const { role, index } of agent.interfaces.all()) {
      if (role !== 'underlay' || index === undefined) continue;
      if (agent.net.links.get(index)?.address === mac) return { ifindex: index, frame };
    }
    throw impossible(
      'NO_ROUTE',
      'frame.interface',
      `no underlay interface has the MAC address ${mac}: name one`,
    );
  }
  const source = outerSource(frame);
  const route = source && (await agent.net.netlink.lookupRoute(formatAddress(source)).catch(() => undefined));
  const link = agent.net.links.get(route?.nextHops[0]?.index ?? 0);
  const ifindex = link && agent.interfaces.underlayOf(link);
  if (ifindex !== undefined) return { ifindex, frame };
  throw impossible(
    'NO_ROUTE',
    'frame.interface',
    'no underlay interface leads to the outer source address: name one',
  );
}

export async function trace(
  agent: Agent,
  request: Message<cabernet.node.v1.TraceRequest>,
): Promise<Draft<cabernet.node.v1.TraceResponse>> {
  let start: Start;
  if (request.start === 'probe') start = startAtPort(agent, request.probe);
  else if (request.start === 'frame') start = await startOnWire(agent, request.frame);
  else throw invalid('START_MISSING', 'start', 'a probe or a frame');

  const result = await agent.plane.trace(start);
  const reader = new StepReader(agent);
  reader.read(result.events);
  const { punt, drop } = reader;
  const leaves = result.verdict === 'redirect' || result.verdict === 'tx';
  const verdict = leaves
    ? punt
      ? 'punted'
      : reader.delivered
        ? 'delivered'
        : 'forwarded'
    : result.verdict === 'pass'
      ? 'passed'
      : 'dropped';
  const why = verdict === 'punted' ? punt : verdict === 'dropped' ? drop : undefined;
  const by = verdict === 'forwarded' ? reader.carrier : undefined;
  const tunnel =
    by && 'tunnel' in by ? [...agent.underlay.all].find(({ id }) => id === by.tunnel) : undefined;
  const wire = by && 'wire' in by ? agent.wires.byId(by.wire) : undefined;
  const atVif = verdict === 'delivered' || verdict === 'punted';
  return {
    steps: reader.steps,
    verdict,
    reason: why?.name ?? '',
    description: why?.sentence ?? '',
    egressInterface: leaves ? (agent.net.links.get(result.egressIfindex)?.name ?? '') : '',
    egressFrame: leaves ? result.frame : new Uint8Array(),
    tunnelRemoteAddress: tunnel?.intent.remote ?? '',
    wire: wire?.intent.name ?? '',
    vif: atVif ? (agent.vifs.byId(reader.vif)?.name ?? '') : '',
  };
}
