/**
 * Every table of one data plane over its maps: typed records, their pools of ids and what has to be cleared before an
 * id has a new owner.
 */
import {
  Chunk,
  Link,
  LinkHistory,
  NextHop,
  Node,
  Path,
  Port,
  Tables as TableRoots,
  Tunnel,
  UnderlayHop,
  Vif,
  Wire,
  Limit,
} from '../../gen/layout.js';
import { type BpfMap } from '../../native/lib/index.js';
import { Counters } from './counters.js';
import { wrongArgument } from './errors.js';
import { LabelTable } from './labels.js';
import { MeterTable } from './meters.js';
import { MergeTable } from './merges.js';
import { NameTable } from './names.js';
import { PeerTable } from './peers.js';
import { Grace, IdPool } from './pool.js';
import { RecordTable } from './records.js';
import { SessionTable } from './sessions.js';
import { type RouteStore } from './routes.js';
import { type ChunkStore } from './trie.js';
import { TunnelEnds } from './tunnel-ends.js';
import { WireEnds } from './wire-ends.js';

/** Tables whose ids are given out by `allocate`. */
export type IdTable = 'node' | 'vif' | 'path' | 'tunnel' | 'wire' | 'underlayHop' | 'nextHop' | 'session';

type Offsets<T> = Readonly<Record<keyof T & string, number>>;
export type Records<T extends object> = RecordTable<T, Offsets<T>>;

export class TableSet {
  readonly grace: Grace;
  readonly pools: Readonly<Record<IdTable, IdPool>>;
  readonly tablesPool: IdPool;
  readonly ports: Records<Port>;
  readonly nodes: Records<Node>;
  readonly vifs: Records<Vif>;
  readonly paths: Records<Path>;
  readonly links: Records<Link>;
  readonly linkHistories: Records<LinkHistory>;
  readonly merges: MergeTable;
  readonly sessions: SessionTable;
  readonly peers: PeerTable;
  readonly tunnels: Records<Tunnel>;
  readonly wires: Records<Wire>;
  readonly underlayHops: Records<UnderlayHop>;
  readonly nextHops: Records<NextHop>;
  readonly tableRoots: Records<TableRoots>;
  readonly chunks: ChunkStore;
  readonly chunkBytes: number;
  readonly labels: LabelTable;
  readonly meters: MeterTable;
  readonly names: NameTable;
  readonly counters: Counters;
  readonly tunnelEnds: TunnelEnds;
  readonly wireEnds: WireEnds;
  readonly #failed: (error: unknown) => void;

  constructor(maps: ReadonlyMap<string, BpfMap>, failed: (error: unknown) => void) {
    this.#failed = failed;
    const map = (name: string): BpfMap => {
      const found = maps.get(name);
      if (found === undefined) throw wrongArgument('open', name, 'a map of the object');
      return found;
    };
    this.grace = new Grace(map('grace'), map('grace_period'));
    const pool = (
      table: string,
      name: string,
      clear?: (ids: readonly number[]) => void | Promise<void>,
    ): IdPool => {
      const made = new IdPool(table, map(name).maxEntries, {
        released: () => this.released(),
        ...(clear === undefined ? {} : { clear }),
      });
      this.grace.join(made);
      return made;
    };
    const each = (records: { clear(id: number): void }, ids: readonly number[]): void => {
      for (const id of ids) records.clear(id);
    };
    this.pools = {
      node: pool('node', 'nodes', async (ids) => {
        for (const id of ids) this.nodes.clear(id, 'generation');
        await this.counters.clearNodes(ids);
      }),
      vif: pool('vif', 'vifs', async (ids) => {
        each(this.vifs, ids);
        each(this.meters, ids);
        each(this.links, ids);
        each(this.linkHistories, ids);
        await this.merges.clear(ids);
        await this.counters.clearVifs(ids);
      }),
      path: pool('path', 'paths', async (ids) => {
        each(this.paths, ids);
        await this.counters.clearPaths(ids);
      }),
      tunnel: pool('tunnel', 'tunnels', (ids) => each(this.tunnels, ids)),
      wire: pool('wire', 'wires', (ids) => each(this.wires, ids)),
      underlayHop: pool('underlayHop', 'underlay_hops', (ids) => each(this.underlayHops, ids)),
      nextHop: pool('nextHop', 'next_hops', (ids) => each(this.nextHops, ids)),
      session: pool('session', 'sessions', (ids) => {
        each(this.sessions, ids);
        each(this.peers.records, ids);
      }),
    };
    this.tablesPool = pool('tables', 'tables', (ids) => each(this.tableRoots, ids));
    const { pools } = this;
    this.ports = new RecordTable(map('ports'), Port, {
      kept: [{ field: 'flags', bits: Limit.LIMIT_PORT_CAPTURE }],
    });
    this.nodes = new RecordTable(map('nodes'), Node, { pool: pools.node });
    this.vifs = new RecordTable(map('vifs'), Vif, {
      pool: pools.vif,
      kept: [{ field: 'flags', bits: Limit.LIMIT_VIF_CAPTURE }],
    });
    this.paths = new RecordTable(map('paths'), Path, { pool: pools.path });
    this.links = new RecordTable(map('links'), Link, {
      pool: pools.vif,
      kept: [
        { field: 'state', bits: 0xffffffff },
        { field: 'number', bits: 0xffffffff },
      ],
    });
    this.linkHistories = new RecordTable(map('link_histories'), LinkHistory);
    this.merges = new MergeTable(map('merges'), map('merge_counters'));
    this.sessions = new SessionTable(map, pools.session, {
      path: (path, session) => this.#markPath(path, session),
      label: (label, session) => this.labels.mark(label, session),
    });
    this.peers = new PeerTable(map, pools.session, this.sessions);
    this.tunnels = new RecordTable(map('tunnels'), Tunnel, { pool: pools.tunnel });
    this.wires = new RecordTable(map('wires'), Wire, { pool: pools.wire });
    this.underlayHops = new RecordTable(map('underlay_hops'), UnderlayHop, { pool: pools.underlayHop });
    this.nextHops = new RecordTable(map('next_hops'), NextHop, { pool: pools.nextHop });
    this.tableRoots = new RecordTable(map('tables'), TableRoots, { pool: this.tablesPool });
    this.chunkBytes = map('chunks').maxEntries * Chunk.size;
    this.chunks = { words: new Uint32Array(map('chunks').mmap()), pool: pool('chunks', 'chunks') };
    this.meters = new MeterTable(map('meters'));
    this.names = new NameTable(map('names'));
    this.labels = new LabelTable(map('labels'), {
      vacated: (slot) => {
        this.names.delete('label', slot);
        this.released();
      },
      grace: () => this.grace.wait(),
    });
    this.grace.join(this.labels);
    const counterMaps = {
      vifs: map('vif_counters'),
      paths: map('path_counters'),
      drops: map('drops'),
      punts: map('punts'),
    };
    this.counters = new Counters(counterMaps, () => this.pools.node.ids());
    this.tunnelEnds = new TunnelEnds(map('tunnel_ends4'), map('tunnel_ends6'));
    this.wireEnds = new WireEnds(map('wire_ends'));
  }

  released(): void {
    this.grace.schedule(this.#failed);
  }

  /** The colour goes on where it is. */
  #markPath(path: number, session: number): void {
    const colour = Limit.LIMIT_PATH_COLOUR >>> 0;
    for (let marking = this.paths.read(path).marking, seen = -1; seen !== marking;) {
      if (seen >= 0) marking = seen;
      const kept = (marking & colour) >>> 0;
      if ((marking & ~colour) >>> 0 === session) return;
      seen = this.paths.exchange(path, 'marking', marking, (kept | session) >>> 0) >>> 0;
    }
  }

  get routeStore(): RouteStore {
    const { chunks, tableRoots: tables, tablesPool, nodes } = this;
    return {
      chunks,
      tables,
      tablesPool,
      nodes,
      nextHops: this.pools.nextHop,
      grace: () => this.grace.wait(),
    };
  }
}
