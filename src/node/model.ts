/**
 * What an owner can want on a machine, once every field has been checked. Names are canonical texts, so that two
 * equal intents are equal field by field, and a name is a key.
 */
import { type InterfaceAddress, type Prefix } from './address.js';

export type RouteSource = 'controller' | 'kernel';

/** Shares of the machine's tables; 0: no limit but a default's. */
export interface Limits {
  readonly routes: number;
  readonly neighbours: number;
  readonly addresses: number;
  readonly labels: number;
  readonly vifsAbove: number;
}

export const NO_LIMITS: Limits = { routes: 0, neighbours: 0, addresses: 0, labels: 0, vifsAbove: 0 };

export interface NodeIntent {
  readonly kind: 'node';
  /** `vns/VN/nodes/NODE` */
  readonly name: string;
  readonly vn: string;
  readonly node: string;
  readonly tenant: string;
  readonly routeSource: RouteSource;
  readonly limits: Limits;
  /** Thousandths of the processors of the node below, or of the machine; 0: no share. */
  readonly cpuShare: number;
}

export interface TunnelIntent {
  readonly kind: 'tunnel';
  readonly name: string;
  /** Canonical text; both of one family. */
  readonly local: string;
  readonly remote: string;
  readonly udpChecksum: boolean;
  readonly dscp: number;
  /** Empty: any underlay interface. */
  readonly arrivalInterface: string;
}

export type WireType = 'lsp' | 'circuit';

/** A port, or port and VLAN, to one adjacent machine. */
export interface WireIntent {
  readonly kind: 'wire';
  readonly name: string;
  readonly type: WireType;
  readonly interface: string;
  /** 0: untagged. */
  readonly vlan: number;
  /** One of the two; the other is empty. */
  readonly neighbourMac: string;
  readonly neighbourAddress: string;
  /** What is sent instead while it is down. */
  readonly bypass: PathIntent | undefined;
}

/** A tunnel, a wire or a vif, by name: what carries a path, or the context of a label. */
export interface Below {
  readonly kind: 'tunnel' | 'wire' | 'vif';
  readonly name: string;
}

export interface PathIntent {
  readonly below: Below;
  /** 0 over a circuit. */
  readonly label: number;
  /** Of a swap: by the wire, whatever bypass it has. */
  readonly unrepaired?: boolean;
}

/** Of a session; times as in the API. */
export interface TimingIntent {
  readonly minTx: number;
  readonly minRx: number;
  readonly multiplier: number;
  readonly restore: number;
  readonly adminDown: boolean;
}

/** What a path is to keep to; as in the API. */
export interface MeasurementIntent {
  readonly interval: number;
  /** 0: without limit, as the next two. */
  readonly loss: number;
  readonly delay: number;
  readonly variation: number;
  readonly hold: number;
}

/** How a path is watched. */
export interface LivenessIntent extends TimingIntent {
  /** Where the other end's packets on the path arrive, and with which label: 0 over a circuit. */
  readonly context: Below;
  readonly label: number;
}

/** A neighbour on the underlay that is watched: between two addresses (RFC 5881), or on a wire (RFC 5586). */
export interface BfdPeerIntent extends TimingIntent {
  readonly kind: 'bfdPeer';
  readonly name: string;
  /** `wires/NAME`, and what follows is empty; or empty. */
  readonly wire: string;
  readonly interface: string;
  /** 0: untagged. */
  readonly vlan: number;
  /** Canonical text; both of one family. */
  readonly local: string;
  readonly remote: string;
}

export interface LinkPathIntent extends PathIntent {
  readonly liveness: LivenessIntent | undefined;
  readonly measurement: MeasurementIntent | undefined;
  /** 1 to 16; only `weighted` links look at it. */
  readonly weight: number;
  readonly avoid: boolean;
}

/** `both`: 1+1, each frame by both of two paths. */
export type Protection = 'first' | 'weighted' | 'both';

/** What is sold of a vif in one direction; bursts are never 0 where there is a rate. */
export interface RateIntent {
  /** 0: without limit. */
  readonly bitsPerSecond: number;
  readonly packetsPerSecond: number;
  readonly burstBytes: number;
  readonly burstPackets: number;
}

export interface VifIntent {
  readonly kind: 'vif';
  /** `vns/VN/nodes/NODE/vifs/VIF` */
  readonly name: string;
  /** `vns/VN/nodes/NODE` */
  readonly node: string;
  /** VIF: the device in the node's namespace. */
  readonly device: string;
  readonly mac: string;
  /** The MAC was not given but derived from the name. */
  readonly macDerived: boolean;
  readonly mtu: number;
  /** How a link is carried, the best way first; empty for a port. */
  readonly paths: readonly LinkPathIntent[];
  readonly protection: Protection;
  /** A link of IP packets, without Ethernet header and control word. */
  readonly carriesIp: boolean;
  /** The interface of a station's cable; undefined for a link. */
  readonly port: string | undefined;
  /** What the node sends by it and receives by it; undefined: without limit. */
  readonly sent: RateIntent | undefined;
  readonly received: RateIntent | undefined;
}

export interface LabelIntent {
  readonly kind: 'label';
  readonly context: Below;
  readonly label: number;
  /** Pop, and arrive at this vif; or undefined. */
  readonly deliver: string | undefined;
  /** Swap, and go on by this path; or undefined. */
  readonly swap: PathIntent | undefined;
  /** Pop, and go on with the next label in the context of this wire; or undefined. */
  readonly continueOn: string | undefined;
}

export interface AddressIntent {
  readonly kind: 'address';
  readonly vif: string;
  readonly node: string;
  readonly device: string;
  readonly address: InterfaceAddress;
}

export type RouteKind = 'unicast' | 'blackhole' | 'unreachable';

export interface NextHopIntent {
  /** The device in the node's namespace. */
  readonly device: string;
  /** Canonical text; empty: on the link. */
  readonly gateway: string;
  readonly weight: number;
}

export interface RouteIntent {
  readonly kind: 'route';
  readonly node: string;
  readonly destination: Prefix;
  readonly type: RouteKind;
  readonly nextHops: readonly NextHopIntent[];
}

export type Intent =
  | NodeIntent
  | TunnelIntent
  | WireIntent
  | BfdPeerIntent
  | VifIntent
  | LabelIntent
  | AddressIntent
  | RouteIntent;

/** What must be unique among one owner's resources of a kind. */
export function labelKey(context: Below, label: number): string {
  return `${context.name} ${label}`;
}

export function intentKey(intent: Intent): string {
  switch (intent.kind) {
    case 'label':
      return labelKey(intent.context, intent.label);
    case 'address':
      return `${intent.vif} ${intent.address.text}`;
    case 'route':
      return `${intent.node} ${intent.destination.text}`;
    default:
      return intent.name;
  }
}

export function samePath(a: PathIntent | undefined, b: PathIntent | undefined): boolean {
  if (!a || !b) return a === b;
  const sameRepair = (a.unrepaired ?? false) === (b.unrepaired ?? false);
  return a.label === b.label && sameRepair && sameBelow(a.below, b.below);
}

export function sameBelow(a: Below, b: Below): boolean {
  return a.kind === b.kind && a.name === b.name;
}

export function sameLiveness(a: LivenessIntent | undefined, b: LivenessIntent | undefined): boolean {
  if (!a || !b) return a === b;
  return sameBelow(a.context, b.context) && a.label === b.label && sameTiming(a, b);
}

function sameTiming(a: TimingIntent, b: TimingIntent): boolean {
  return (
    a.minTx === b.minTx &&
    a.minRx === b.minRx &&
    a.multiplier === b.multiplier &&
    a.restore === b.restore &&
    a.adminDown === b.adminDown
  );
}

function sameMeasurement(a: MeasurementIntent | undefined, b: MeasurementIntent | undefined): boolean {
  if (!a || !b) return a === b;
  return (
    a.interval === b.interval &&
    a.loss === b.loss &&
    a.delay === b.delay &&
    a.variation === b.variation &&
    a.hold === b.hold
  );
}

/** The same neighbour, seen from the same address: of another, nothing of a session holds. */
export function samePlace(a: BfdPeerIntent, b: BfdPeerIntent): boolean {
  return (
    a.wire === b.wire &&
    a.interface === b.interface &&
    a.vlan === b.vlan &&
    a.local === b.local &&
    a.remote === b.remote
  );
}

function sameLinkPaths(a: readonly LinkPathIntent[], b: readonly LinkPathIntent[]): boolean {
  return (
    a.length === b.length &&
    a.every((path, i) => {
      const other = b[i];
      return (
        samePath(path, other) &&
        path.weight === other?.weight &&
        path.avoid === other.avoid &&
        sameLiveness(path.liveness, other.liveness) &&
        sameMeasurement(path.measurement, other.measurement)
      );
    })
  );
}

/** One path that nobody watches: as most links are. */
export function isPlain({ paths }: Pick<VifIntent, 'paths'>): boolean {
  return paths.length <= 1 && !paths[0]?.liveness;
}

function sameRate(a: RateIntent | undefined, b: RateIntent | undefined): boolean {
  if (!a || !b) return a === b;
  return (
    a.bitsPerSecond === b.bitsPerSecond &&
    a.packetsPerSecond === b.packetsPerSecond &&
    a.burstBytes === b.burstBytes &&
    a.burstPackets === b.burstPackets
  );
}

export function sameRoute(a: RouteIntent, b: RouteIntent): boolean {
  return (
    a.type === b.type &&
    a.nextHops.length === b.nextHops.length &&
    a.nextHops.every((hop, i) => {
      const other = b.nextHops[i];
      return (
        other && hop.device === other.device && hop.gateway === other.gateway && hop.weight === other.weight
      );
    })
  );
}

function sameLimits(a: Limits, b: Limits): boolean {
  return (Object.keys(NO_LIMITS) as (keyof Limits)[]).every((key) => a[key] === b[key]);
}

/** True if two intents with the same key want the same. */
export function sameIntent(a: Intent, b: Intent): boolean {
  if (a === b) return true;
  if (a.kind === 'node') {
    return (
      b.kind === 'node' &&
      a.tenant === b.tenant &&
      a.routeSource === b.routeSource &&
      a.cpuShare === b.cpuShare &&
      sameLimits(a.limits, b.limits)
    );
  }
  if (a.kind === 'vif') {
    return (
      b.kind === 'vif' &&
      a.mac === b.mac &&
      a.mtu === b.mtu &&
      a.port === b.port &&
      a.carriesIp === b.carriesIp &&
      sameRate(a.sent, b.sent) &&
      sameRate(a.received, b.received) &&
      a.protection === b.protection &&
      sameLinkPaths(a.paths, b.paths)
    );
  }
  if (a.kind === 'tunnel') {
    return (
      b.kind === 'tunnel' &&
      a.local === b.local &&
      a.remote === b.remote &&
      a.udpChecksum === b.udpChecksum &&
      a.dscp === b.dscp &&
      a.arrivalInterface === b.arrivalInterface
    );
  }
  if (a.kind === 'wire') {
    return (
      b.kind === 'wire' &&
      a.type === b.type &&
      a.interface === b.interface &&
      a.vlan === b.vlan &&
      a.neighbourMac === b.neighbourMac &&
      a.neighbourAddress === b.neighbourAddress &&
      samePath(a.bypass, b.bypass)
    );
  }
  if (a.kind === 'bfdPeer') return b.kind === 'bfdPeer' && samePlace(a, b) && sameTiming(a, b);
  if (a.kind === 'label') {
    return (
      b.kind === 'label' &&
      a.deliver === b.deliver &&
      samePath(a.swap, b.swap) &&
      a.continueOn === b.continueOn
    );
  }
  if (a.kind === 'route') return b.kind === 'route' && sameRoute(a, b);
  return b.kind === 'address';
}
