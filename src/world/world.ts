/**
 * A world as its file describes it, with every name checked and every default filled in. See
 * proto/cabernet/world/v1/world.proto for what each field means.
 */
import { type Resource } from './messages.js';
import { type Family, type Prefix } from '../api/prefix.js';

export interface World {
  readonly name: string;
  /** Its agents are for jumbo frames. */
  readonly jumbo: boolean;
  readonly machines: readonly Machine[];
  readonly wires: readonly Wire[];
  readonly networks: readonly Network[];
  readonly stations: readonly Station[];
  readonly manifests: readonly Manifest[];
}

export interface Machine {
  readonly name: string;
  readonly provider: string;
  /** Of its own, not of a wire; what the file leaves out the planner gives. */
  readonly addresses: readonly Prefix[];
}

/** One end of a wire. */
export interface WireEnd {
  readonly machine: string;
  readonly interface: string;
}

export interface Wire {
  readonly ends: readonly [WireEnd, WireEnd];
  readonly mtu: number;
  readonly subnets: readonly Prefix[];
}

export interface Network {
  readonly name: string;
  readonly owner: string;
  /** Undefined: carried by the infrastructure. */
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
  readonly mtu: number;
  readonly tunnelFamily: Family;
  readonly udpChecksum: boolean;
  /** IP packets instead of Ethernet frames below its label. */
  readonly carriesIp: boolean;
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

export interface Manifest {
  readonly machine: string;
  readonly owner: string;
  readonly resources: readonly Resource[];
}

/** `vns/VN/nodes/NODE` */
export function nodeName(network: Network, node: Node): string {
  return `vns/${network.name}/nodes/${node.name}`;
}

/** `vns/VN/nodes/NODE/vifs/VIF` */
export function vifName(network: Network, node: Node, vif: string): string {
  return `${nodeName(network, node)}/vifs/${vif}`;
}
