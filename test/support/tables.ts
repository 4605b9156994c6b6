/*
 * What one machine's data plane holds, as readable data: the packet tests write it into real maps (instance.ts), the
 * model (reference.ts) forwards by it. Ids are the tests' own and become the maps' ids.
 */
export interface Tables {
  ports: Array<{ ifindex: number; role: 'underlay' | 'access' | 'vif'; vif?: number }>;
  tunnels: Array<{
    id: number;
    local: string;
    remote: string;
    checksum?: boolean;
    /** The only interface its packets may arrive on. */
    arrival?: number;
    /** Underlay hops, equal ways. */
    hops: number[];
  }>;
  /** Where labels come without IP: an lsp is a context, a circuit is its vif's. */
  wires?: Array<{
    id: number;
    kind: 'lsp' | 'circuit';
    ifindex: number;
    vlan?: number;
    vif?: number;
    /** Its underlay hop, whose MAC addresses arriving frames bear the other way round. */
    hop?: number;
  }>;
  hops: Array<{
    id: number;
    ifindex: number;
    /** The longest frame that fits. */
    room: number;
    source: string;
    destination: string;
    vlan?: number;
    dscp?: number;
  }>;
  labels: Array<{ context: Context; label: number; action: 'deliver' | 'swap'; target: number }>;
  nodes: Array<{ id: number; routes: Array<{ prefix: string; nextHop: number }> }>;
  vifs: Array<{
    id: number;
    node: number;
    veth: number;
    port?: number;
    path?: number;
    mtu: number;
    mac: string;
    down?: boolean;
    /** A link of IP packets, without Ethernet header and control word. */
    ip?: boolean;
    sent?: Rate;
    received?: Rate;
  }>;
  /** Without a label: over a circuit. */
  paths: Array<{ id: number; label?: number; vif?: number; tunnel?: number; wire?: number }>;
  nextHops: Array<
    | { id: number; node: number; kind: 'forward'; vif: number; mac: string }
    | { id: number; node: number; kind: 'local' }
    | { id: number; node: number; kind: 'glean' }
    | { id: number; node: number; kind: 'unreachable' }
    | { id: number; node: number; kind: 'blackhole' }
    | { id: number; node: number; kind: 'group'; ways: number[] }
  >;
}

/** Of a meter; what is left out is without limit. */
export interface Rate {
  bits?: number;
  packets?: number;
  burstBytes?: number;
  burstPackets?: number;
}

export type Context = { tunnel: number } | { vif: number } | { wire: number };

export function emptyTables(): Tables {
  return { ports: [], tunnels: [], hops: [], labels: [], nodes: [], vifs: [], paths: [], nextHops: [] };
}

/** What became of one frame. */
export interface Outcome {
  action: 'pass' | 'drop' | 'redirect';
  /** Of a drop: the counter's name, lower case. */
  reason?: string;
  /** The kind, where the frame went to a virtual node's kernel. */
  punt?: string;
  /** Where it left. */
  ifindex?: number;
  /** As it left. */
  frame?: Buffer;
}
