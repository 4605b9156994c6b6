/**
 * A world as its file describes it, with every name checked and every default filled in. See
 * proto/cabernet/world/v1/world.proto for what each field means.
 */
import { type Protected } from '../api/protected.js';
import { type Family, type Prefix } from '../api/prefix.js';
import { type Impairment } from './impairment.js';
import { type NodeShare, type Slo } from '../api/types.js';

export interface World {
  readonly name: string;
  /** Its agents are for jumbo frames. */
  readonly jumbo: boolean;
  readonly machines: readonly Machine[];
  readonly wires: readonly Wire[];
  readonly networks: readonly Network[];
  readonly stations: readonly Station[];
}

export interface Machine {
  readonly name: string;
  readonly provider: string;
  /** Of its own, not of a wire; what the file leaves out is given to it. */
  readonly addresses: readonly Prefix[];
  /** Undefined: what its provider's controller takes for usual. */
  readonly capacity: NodeShare | undefined;
}

/** One end of a wire. */
export interface WireEnd {
  readonly machine: string;
  readonly interface: string;
}

export interface Wire {
  readonly ends: readonly [WireEnd, WireEnd];
  readonly mtu: number;
  /** One veth pair: it cannot be impaired. */
  readonly direct: boolean;
  /** By the end that frames leave; null: none. */
  readonly impairments: readonly [Impairment | null, Impairment | null];
  readonly subnets: readonly Prefix[];
  readonly promise: WirePromise;
  /** Of lsps, as in the infrastructure API. */
  readonly repair: { readonly unprotected: boolean; readonly detectionUs: number };
}

/** What its owners may promise of a wire; units as in the infrastructure API. */
export interface WirePromise {
  readonly bitsPerSecond: bigint;
  readonly delayUs: number;
  readonly lossPpm: number;
  readonly availabilityPpm: number;
  readonly riskGroups: readonly string[];
}

export interface Network {
  readonly name: string;
  readonly owner: string;
  /** Undefined: a connectivity network; otherwise this is a service network over that one. */
  readonly over: Network | undefined;
  readonly nodes: readonly Node[];
  readonly links: readonly Link[];
  readonly pools: readonly Prefix[];
  /** Something inside the nodes fills their tables. */
  readonly kernelRoutes: boolean;
  /** In the world file, for errors. */
  readonly field: string;
}

export interface Node {
  readonly name: string;
  readonly machine: string;
  readonly share: NodeShare | undefined;
}

/** One end of a virtual link. */
export interface LinkEnd {
  readonly node: Node;
  readonly vif: string;
}

export interface Link {
  readonly name: string;
  readonly ends: readonly [LinkEnd, LinkEnd];
  /** Names of nodes of the network below. */
  readonly via: readonly string[];
  /** 0 of a connectivity network's: what the service networks over it need. */
  readonly mtu: number;
  readonly tunnelFamily: Family;
  readonly udpChecksum: boolean;
  /** IP packets instead of Ethernet frames below its label. */
  readonly carriesIp: boolean;
  readonly slo: Slo | undefined;
  /** cabernet.types.v1.LinkKind */
  readonly kind: number;
  /** As its supplier is asked. */
  readonly protected: Protected<number>;
  readonly field: string;
}

export interface Station {
  readonly name: string;
  readonly network: Network;
  readonly node: Node;
  readonly addresses: readonly Prefix[];
  readonly mtu: number;
  /** The machine's end of its cable. */
  readonly port: string;
  readonly field: string;
}

/** As the machines call it: the connectivity provider's name, and of a service network what it calls it behind that. */
export function vnOf({ name, owner, over }: Pick<Network, 'name' | 'owner' | 'over'>): string {
  if (!over) return owner;
  return `${over.owner}_${name === owner ? owner : `${owner}_${name}`}`;
}
