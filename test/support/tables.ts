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
    /** The path that frames take instead while its neighbour is gone. */
    bypass?: number;
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
    /** The session of the neighbour that it leads to. */
    peer?: number;
  }>;
  labels: Array<{
    context: Context;
    label: number;
    /** `pop`: the end of a bypass around the wire `target`. */
    action: 'deliver' | 'swap' | 'pop';
    target: number;
    /** That counts what arrives. */
    session?: number;
  }>;
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
  /** Vifs of several paths, or of one that is watched; such a vif has no `path`. */
  links?: LinkTable[];
  sessions?: SessionTable[];
  /** Without a label: over a circuit. */
  paths: Array<{
    id: number;
    label?: number;
    vif?: number;
    tunnel?: number;
    wire?: number;
    /** The session that counts what is sent. */
    marking?: number;
    /** By its wire, whatever bypass that has. */
    unrepaired?: boolean;
  }>;
  nextHops: Array<
    | { id: number; node: number; kind: 'forward'; vif: number; mac: string }
    | { id: number; node: number; kind: 'local' }
    | { id: number; node: number; kind: 'glean' }
    | { id: number; node: number; kind: 'unreachable' }
    | { id: number; node: number; kind: 'blackhole' }
    | { id: number; node: number; kind: 'group'; ways: number[] }
  >;
}

export interface LinkTable {
  vif: number;
  /** `twice`: by the first two, 1+1. */
  kind: 'first' | 'weighted' | 'twice';
  /** The last one drawn, of a link that is `twice`. */
  number?: number;
  /** In the order of preference; 0: none. */
  paths: number[];
  /** Of a weighted link: which path, by flow; repeated until all ways have one. */
  ways?: number[];
  /** Places in `paths` to use only where there is no other. */
  avoid?: number[];
  /** As programs have left it: places in `paths` that are down, or too bad, and the one in use. */
  down?: number[];
  degraded?: number[];
  used?: number;
}

/** What watches one of a link's paths. Intervals in µs, `restore` in ms. */
export interface SessionTable {
  id: number;
  discriminator: number;
  path: number;
  /** Where the peer's packets arrive, and with which label. */
  context: Context;
  label: number;
  vif: number;
  index: number;
  minTx: number;
  minRx: number;
  multiplier: number;
  restore?: number;
  adminDown?: boolean;
  /** µs; what it may do is without limit where nothing is said. */
  measureInterval?: number;
  maxLoss?: number;
  maxDelay?: number;
  maxVariation?: number;
  /** ms */
  hold?: number;
  /** A neighbour on the underlay, over UDP: there is no path, context or vif, and all are 0. */
  peer?: PeerTable;
}

export interface PeerTable {
  ifindex: number;
  vlan?: number;
  /** Addresses; without both it is the other end of a wire, in the wire's own channel. */
  local?: string;
  remote?: string;
  /** Its underlay hop; the test writes it. */
  hop?: number;
}

/** Of a meter; what is left out is without limit. */
export interface Rate {
  bits?: number;
  packets?: number;
  burstBytes?: number;
  burstPackets?: number;
}

export type Context = { tunnel: number } | { vif: number } | { wire: number };

/** As maps and programs have it: see tables.h. */
export function contextWord(context: Context): number {
  if ('wire' in context) return 0x40000000 | context.wire;
  return 'tunnel' in context ? (0x80000000 | context.tunnel) >>> 0 : context.vif;
}

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
