/**
 * What the agent writes beside the programs' tables, so that one started later can tell what an id stands for:
 * short JSON texts in the map of names (at most 508 bytes each). Read with suspicion: what does not parse, or says
 * what no Apply could have said, is nobody's.
 */
import { type DataPlane, type NamedTable } from '../dataplane/index.js';
import { bfdPeerMessage, checkBfdPeerIntent } from './bfd-peer-intent.js';
import {
  checkLabelIntent,
  checkNodeIntent,
  checkTunnelIntent,
  checkVifIntent,
  checkWireIntent,
} from './intent.js';
import { checkOwner } from './intent-names.js';
import {
  type Below,
  type BfdPeerIntent,
  isPlain,
  type LabelIntent,
  type LinkPathIntent,
  type LivenessIntent,
  type MeasurementIntent,
  type NodeIntent,
  type PathIntent,
  type RateIntent,
  sameBelow,
  type TunnelIntent,
  type VifIntent,
  type WireIntent,
} from './model.js';
import type * as wire from './wire.js';

export interface Named<T> {
  readonly owner: string;
  readonly intent: T;
}

type Text = string | undefined;

interface Row {
  /** Owner. */
  readonly o: string;
  readonly [field: string]: unknown;
}

type BelowFields = { tunnel: string } | { wire: string } | { vif: string };

function belowFields({ kind, name }: Below): BelowFields {
  if (kind === 'tunnel') return { tunnel: name };
  return kind === 'wire' ? { wire: name } : { vif: name };
}

function pathFields(path: PathIntent): wire.Path {
  const { below, label, unrepaired = false } = path;
  return { ...belowFields(below), label, ...(unrepaired ? { unrepaired } : {}) };
}

/** The message that an owner would send for an intent. */
export function nodeMessage(intent: NodeIntent): wire.VirtualNode {
  const { name, tenant, routeSource, limits, cpuShare } = intent;
  const some = Object.values(limits).some((limit) => limit !== 0);
  return {
    name,
    tenant,
    routeSource: routeSource === 'kernel' ? 2 : 1,
    ...(some ? { limits } : {}),
    ...(cpuShare === 0 ? {} : { cpu: { share: cpuShare } }),
  };
}

export function tunnelMessage(intent: TunnelIntent): wire.Tunnel {
  return {
    name: intent.name,
    localAddress: intent.local,
    remoteAddress: intent.remote,
    udpChecksum: intent.udpChecksum,
    dscp: intent.dscp,
    arrivalInterface: intent.arrivalInterface,
  };
}

export function wireMessage(intent: WireIntent): wire.Wire {
  const { name, type, vlan, neighbourMac, neighbourAddress, bypass } = intent;
  return {
    name,
    kind: type === 'lsp' ? 1 : 2,
    interface: intent.interface,
    vlan,
    ...(neighbourMac ? { neighbourMac } : { neighbourAddress }),
    ...(bypass ? { bypass: { wire: bypass.below.name, label: bypass.label } } : {}),
  };
}

function rateMessage(rate: RateIntent): wire.Rate {
  const { bitsPerSecond, packetsPerSecond, burstBytes, burstPackets } = rate;
  return {
    bitsPerSecond: BigInt(bitsPerSecond),
    packetsPerSecond: BigInt(packetsPerSecond),
    burstBytes,
    burstPackets,
  };
}

/** As a list: with the words of a message, a row of long names would not fit. */
function rateFields(rate: RateIntent): readonly number[] {
  return [rate.bitsPerSecond, rate.packetsPerSecond, rate.burstBytes, rate.burstPackets];
}

function readRate(fields: unknown): wire.Rate | undefined {
  if (!Array.isArray(fields)) return undefined;
  const [bits, packets, burstBytes, burstPackets] = fields.map(Number);
  return {
    bitsPerSecond: BigInt(bits ?? 0),
    packetsPerSecond: BigInt(packets ?? 0),
    burstBytes: burstBytes ?? 0,
    burstPackets: burstPackets ?? 0,
  };
}

export function vifMessage(intent: VifIntent): wire.Vif {
  const attachment =
    intent.paths.length > 0
      ? { link: { ...linkFields(intent), paths: intent.paths.map(linkPathFields) } }
      : { port: { interface: intent.port ?? '' } };
  return {
    name: intent.name,
    mac: intent.mac,
    mtu: intent.mtu,
    ...attachment,
    ...(intent.sent ? { sent: rateMessage(intent.sent) } : {}),
    ...(intent.received ? { received: rateMessage(intent.received) } : {}),
  };
}

const PROTECTION_FIELDS = { first: {}, weighted: { protection: 2 }, both: { protection: 3 } } as const;

function linkFields({ carriesIp, protection }: VifIntent): wire.LinkEnd {
  return { ...(carriesIp ? { payload: 2 } : {}), ...PROTECTION_FIELDS[protection] };
}

export function linkPathFields(path: LinkPathIntent): wire.Path {
  const { liveness, measurement, weight, avoid } = path;
  return {
    ...pathFields(path),
    ...(liveness ? { liveness: livenessFields(liveness, path.below) } : {}),
    ...(measurement ? { measurement: measurementFields(measurement) } : {}),
    ...(weight === 1 ? {} : { weight }),
    ...(avoid ? { avoid } : {}),
  };
}

function livenessFields(liveness: LivenessIntent, below: Below): wire.Liveness {
  const { context, label, minTx, minRx, multiplier, restore, adminDown } = liveness;
  return {
    ...(sameBelow(context, below) ? {} : belowFields(context)),
    label,
    minTxUs: minTx,
    minRxUs: minRx,
    multiplier,
    restoreMs: restore,
    ...(adminDown ? { adminDown } : {}),
  };
}

function measurementFields({ interval, loss, delay, variation, hold }: MeasurementIntent): wire.Measurement {
  return { intervalUs: interval, lossPpm: loss, delayUs: delay, variationUs: variation, holdMs: hold };
}

export function labelMessage(intent: LabelIntent): wire.Label {
  const { context, label, deliver, swap, continueOn = '' } = intent;
  const popped = deliver === undefined ? { continueOn } : { deliver };
  return { ...belowFields(context), label, ...(swap ? { swap: pathFields(swap) } : popped) };
}

function write(plane: DataPlane, table: NamedTable, id: number, row: Row): void {
  plane.names.set(table, id, JSON.stringify(row));
}

export function writeNode(plane: DataPlane, id: number, owner: string, intent: NodeIntent): void {
  write(plane, 'node', id, { o: owner, i: nodeMessage(intent) });
}

export function writeTunnel(plane: DataPlane, id: number, owner: string, intent: TunnelIntent): void {
  write(plane, 'tunnel', id, { o: owner, i: tunnelMessage(intent) });
}

export function writeWire(plane: DataPlane, id: number, owner: string, intent: WireIntent): void {
  write(plane, 'wire', id, { o: owner, i: wireMessage(intent) });
}

export function writeBfdPeer(plane: DataPlane, id: number, owner: string, intent: BfdPeerIntent): void {
  write(plane, 'bfdPeer', id, { o: owner, i: bfdPeerMessage(intent) });
}

export function writeVif(plane: DataPlane, id: number, owner: string, intent: VifIntent): void {
  const { mac, sent: _sent, received: _received, ...message } = vifMessage(intent);
  // several paths, each with a long name, would not fit: they have rows of their own
  const short = isPlain(intent) ? message : { ...message, link: linkFields(intent) };
  write(plane, 'vif', id, {
    o: owner,
    i: intent.macDerived ? short : { mac, ...short },
    ...(intent.sent ? { s: rateFields(intent.sent) } : {}),
    ...(intent.received ? { r: rateFields(intent.received) } : {}),
  });
}

/** A path of a link that has several, or one that is watched. */
export function writePath(plane: DataPlane, id: number, owner: string, intent: LinkPathIntent): void {
  write(plane, 'path', id, { o: owner, i: linkPathFields(intent) });
}

export function writeLabel(plane: DataPlane, slot: number, owner: string, intent: LabelIntent): void {
  write(plane, 'label', slot, { o: owner, i: labelMessage(intent) });
}

export function writeOwner(plane: DataPlane, id: number, owner: string, epoch: bigint): void {
  write(plane, 'owner', id, { o: owner, e: String(epoch) });
}

function read<T>(text: Text, check: (message: Record<string, unknown>, row: Row) => T): Named<T> | undefined {
  try {
    const row = JSON.parse(text ?? '') as Row;
    return { owner: checkOwner(row.o, 'o'), intent: check(row['i'] as Record<string, unknown>, row) };
  } catch {
    return undefined;
  }
}

export function readNode(text: Text): Named<NodeIntent> | undefined {
  return read(text, (message) => checkNodeIntent(message, 'i'));
}

export function readTunnel(text: Text): Named<TunnelIntent> | undefined {
  return read(text, (message) => checkTunnelIntent(message, 'i'));
}

export function readWire(text: Text): Named<WireIntent> | undefined {
  return read(text, (message) => checkWireIntent(message, 'i'));
}

export function readBfdPeer(text: Text): Named<BfdPeerIntent> | undefined {
  return read(text, (message) => checkBfdPeerIntent(message, 'i'));
}

/** `paths`: the rows of its link's paths, in order, if its link has several or is watched. */
export function readVif(text: Text, paths: readonly Text[]): Named<VifIntent> | undefined {
  return read(text, (message, { s, r }) => {
    const link = message['link'] as wire.LinkEnd | undefined;
    const full = link && !link.paths ? { ...link, paths: paths.map(readPath) } : link;
    return checkVifIntent(
      { ...message, ...(full ? { link: full } : {}), sent: readRate(s), received: readRate(r) },
      'i',
    );
  });
}

function readPath(text: Text): wire.Path {
  return (JSON.parse(text ?? '') as Row)['i'] as wire.Path;
}

export function readLabel(text: Text): Named<LabelIntent> | undefined {
  return read(text, (message) => checkLabelIntent(message, 'i'));
}

export function readOwner(text: Text): { owner: string; epoch: bigint } | undefined {
  try {
    const row = JSON.parse(text ?? '') as Row;
    return { owner: checkOwner(row.o, 'o'), epoch: BigInt(String(row['e'])) };
  } catch {
    return undefined;
  }
}
