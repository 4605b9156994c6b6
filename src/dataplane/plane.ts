/**
 * The data plane of one machine: its maps and programs in the kernel, made or taken over, pinned so that traffic goes
 * on without this process.
 */
import { rmSync } from 'node:fs';
import { Limit, PortRole } from '../../gen/layout.js';
import { assemble, mapOf, type OpenOptions, type Parts } from './assemble.js';
import { type Capacities } from './capacities.js';
import { Captures, Samples } from './captures.js';
import { type Counters } from './counters.js';
import { DataPlaneError, wrongArgument } from './errors.js';
import { type LabelTable } from './labels.js';
import { Lock } from './lock.js';
import { type MeterTable } from './meters.js';
import { type NameTable } from './names.js';
import { type IdPool } from './pool.js';
import { type Attachment, type ProgramKind } from './programs.js';
import { RouteTable } from './routes.js';
import { type IdTable, type TableSet } from './tables.js';
import { Tracer, type TraceRequest, type TraceResult } from './trace.js';
import { type TunnelEnds } from './tunnel-ends.js';
import { type WireEnds } from './wire-ends.js';

export interface PortSetting {
  /** A wire, a station's cable or the machine's end of a vif's veth. */
  readonly role: PortRole;
  /** Whose cable or veth it is; without one, what arrives there is dropped. */
  readonly vif?: number;
}

export interface TableUse {
  readonly table: string;
  readonly used: number;
  readonly capacity: number;
  /** Of kernel memory, whatever is used. */
  readonly bytes: number;
}

export class DataPlane {
  /** Whether an earlier process's plane was taken over. */
  readonly adopted: boolean;
  readonly capacities: Capacities;
  /** Of the build for frames in several buffers. */
  readonly jumbo: boolean;
  readonly ports: TableSet['ports'];
  readonly nodes: TableSet['nodes'];
  readonly vifs: TableSet['vifs'];
  readonly paths: TableSet['paths'];
  readonly links: TableSet['links'];
  readonly linkHistories: TableSet['linkHistories'];
  readonly merges: TableSet['merges'];
  readonly sessions: TableSet['sessions'];
  readonly peers: TableSet['peers'];
  readonly tunnels: TableSet['tunnels'];
  readonly wires: TableSet['wires'];
  readonly underlayHops: TableSet['underlayHops'];
  readonly nextHops: TableSet['nextHops'];
  readonly labels: LabelTable;
  readonly meters: MeterTable;
  readonly names: NameTable;
  readonly counters: Counters;
  readonly tunnelEnds: TunnelEnds;
  readonly wireEnds: WireEnds;
  readonly samples: Samples;
  readonly captures: Captures;
  readonly #parts: Parts;
  readonly #tables: TableSet;
  readonly #tracer: Tracer;
  readonly #routes = new Map<number, RouteTable>();
  #closed: Promise<void> | undefined;

  private constructor(parts: Parts) {
    const { tables, maps, capacities, options } = parts;
    this.#parts = parts;
    this.#tables = tables;
    this.adopted = parts.adopted;
    this.capacities = capacities;
    this.jumbo = parts.jumbo;
    this.ports = tables.ports;
    this.nodes = tables.nodes;
    this.vifs = tables.vifs;
    this.paths = tables.paths;
    this.links = tables.links;
    this.linkHistories = tables.linkHistories;
    this.merges = tables.merges;
    this.sessions = tables.sessions;
    this.peers = tables.peers;
    this.tunnels = tables.tunnels;
    this.wires = tables.wires;
    this.underlayHops = tables.underlayHops;
    this.nextHops = tables.nextHops;
    this.labels = tables.labels;
    this.meters = tables.meters;
    this.names = tables.names;
    this.counters = tables.counters;
    this.tunnelEnds = tables.tunnelEnds;
    this.wireEnds = tables.wireEnds;
    this.samples = new Samples(mapOf(maps, 'samples'));
    this.captures = new Captures(mapOf(maps, 'captures'), {
      port: (ifindex, on) => tables.ports.setBits(ifindex, 'flags', Limit.LIMIT_PORT_CAPTURE, on),
      vif: (vif, on) => tables.vifs.setBits(vif, 'flags', Limit.LIMIT_VIF_CAPTURE, on),
      all: parts.capturesOn,
    });
    this.#tracer = new Tracer({
      capacities,
      maps,
      jumbo: parts.jumbo,
      folder: options.objects,
      netns: options.netns,
    });
    for (const [node, found] of parts.found)
      this.#routes.set(node, new RouteTable(node, tables.routeStore, found));
  }

  /**
   * Makes a data plane under `pinDir`, or takes over the one that is pinned there: its maps are used as they are, its
   * programs replaced, without a packet lost. `IN_USE` while another process has it open, `LAYOUT_MISMATCH` when
   * another release made it, `BUILD_MISMATCH` when `jumbo` is not as it was.
   */
  static async open(options: OpenOptions): Promise<DataPlane> {
    const lock = await Lock.take(options.pinDir);
    const opened: Array<{ close(): void }> = [];
    try {
      return new DataPlane(await assemble(options, lock, opened));
    } catch (error) {
      for (const handle of opened) handle.close();
      await lock.release();
      throw error;
    }
  }

  /** An id with a zeroed record. `TABLE_FULL` when there is none. */
  allocate(table: IdTable): number {
    this.#open('allocate');
    return this.#pool(table).allocate();
  }

  /**
   * Nothing leads to this id any more: after a grace period its record is cleared and it is somebody else's. Its name
   * is deleted at once; a node's routes go with it.
   */
  release(table: IdTable, id: number): void {
    this.#open('release');
    const pool = this.#pool(table);
    pool.check(id, 'release');
    if (table === 'node') {
      this.routes(id).dispose();
      this.#routes.delete(id);
    }
    if (table === 'session') this.names.delete('bfdPeer', id);
    else if (table !== 'underlayHop' && table !== 'nextHop') this.names.delete(table, id);
    pool.release(id);
  }

  /** Every id in use: after an adoption also those whose owner is no more, which are the caller's to release. */
  allocated(table: IdTable): number[] {
    return [...this.#pool(table).ids()];
  }

  /** Resolves when everything released before this call is free again. */
  grace(): Promise<void> {
    this.#open('grace');
    return this.#tables.grace.wait();
  }

  /** What the flow cache knows of the node's routes is void. */
  bumpGeneration(node: number): void {
    this.#pool('node').check(node, 'bumpGeneration');
    this.nodes.increment(node, 'generation');
  }

  /** The routes of an allocated node. */
  routes(node: number): RouteTable {
    this.#pool('node').check(node, 'routes');
    let table = this.#routes.get(node);
    if (table === undefined) {
      table = new RouteTable(node, this.#tables.routeStore);
      this.#routes.set(node, table);
    }
    return table;
  }

  /** What an interface is to the programs. */
  setPort(ifindex: number, { role, vif = 0 }: PortSetting): void {
    this.#interface(ifindex, 'setPort');
    if (vif !== 0) this.#pool('vif').check(vif, 'setPort');
    // never another vif under the old role
    if (this.ports.read(ifindex).vif !== vif) this.ports.set(ifindex, 'role', PortRole.PORT_NONE);
    this.ports.write(ifindex, { role, vif });
  }

  /** The interface is nothing to the programs any more: what arrives there is dropped. */
  clearPort(ifindex: number): void {
    this.#interface(ifindex, 'clearPort');
    this.ports.set(ifindex, 'role', PortRole.PORT_NONE);
    this.ports.set(ifindex, 'vif', 0);
  }

  /** Frames may leave by this interface; copies too, if it is a wire by now. `INTERFACE_MISSING` when there is none. */
  async setDevice(ifindex: number): Promise<void> {
    this.#open('setDevice');
    const { programs, pairs } = this.#parts;
    programs.setDevice(ifindex);
    if (this.ports.read(ifindex).role === PortRole.PORT_UNDERLAY) await pairs.add(ifindex);
  }

  async clearDevice(ifindex: number): Promise<void> {
    this.#open('clearDevice');
    const { programs, pairs } = this.#parts;
    await pairs.remove(ifindex);
    programs.clearDevice(ifindex);
  }

  /** Interfaces frames may leave by. */
  devices(): number[] {
    return this.#parts.programs.devices();
  }

  /**
   * `port` for wires and stations' cables, `vif` for the machine's end of a vif's veth, `channel` for the data plane's
   * end of the BFD sender's; native mode or refused.
   */
  async attach(ifindex: number, program: ProgramKind): Promise<void> {
    this.#open('attach');
    await this.#parts.programs.attach(ifindex, program);
  }

  async detach(ifindex: number): Promise<void> {
    this.#open('detach');
    await this.#parts.programs.detach(ifindex);
  }

  attached(): Map<number, Attachment> {
    return this.#parts.programs.attached();
  }

  /** The sweep of sessions runs from now on, without this process too, by the programs of this release. */
  async armSweep(): Promise<void> {
    this.#open('armSweep');
    // with a period, or the first tick would be the last
    this.sessions.settle();
    await this.#parts.programs.arm();
  }

  /** Follows one frame through this machine without sending, counting or learning anything. */
  async trace(request: TraceRequest): Promise<TraceResult> {
    this.#open('trace');
    return await this.#tracer.trace(request);
  }

  use(): TableUse[] {
    const { pools, tablesPool, chunks, chunkBytes, labels, names } = this.#tables;
    const pool = (name: string, of: IdPool, bytes: number): TableUse => {
      return { table: name, used: of.used + of.pending, capacity: of.capacity - 1, bytes };
    };
    return [
      pool('nodes', pools.node, this.nodes.bytes),
      pool('vifs', pools.vif, this.vifs.bytes + this.meters.bytes + this.links.bytes),
      pool('paths', pools.path, this.paths.bytes),
      pool('sessions', pools.session, this.sessions.bytes + this.peers.records.bytes),
      pool('tunnels', pools.tunnel, this.tunnels.bytes),
      pool('wires', pools.wire, this.wires.bytes),
      pool('underlayHops', pools.underlayHop, this.underlayHops.bytes),
      pool('nextHops', pools.nextHop, this.nextHops.bytes),
      pool('tables', tablesPool, this.#tables.tableRoots.bytes),
      pool('chunks', chunks.pool, chunkBytes),
      { table: 'labels', used: labels.size, capacity: labels.capacity, bytes: labels.bytes },
      { table: 'names', used: names.size, capacity: names.capacity, bytes: names.bytes },
    ];
  }

  /** Gives all handles back. Everything stays pinned and traffic goes on. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  /** Detaches and unpins everything: nothing of the plane is left. */
  async destroy(): Promise<void> {
    this.#open('destroy');
    await this.#parts.programs.detachAll();
    await this.close();
    rmSync(this.#parts.options.pinDir, { recursive: true, force: true });
  }

  async #close(): Promise<void> {
    const { maps, programs } = this.#parts;
    this.captures.close();
    this.samples.close();
    this.sessions.close();
    await this.#tracer.close();
    await this.#tables.grace.settle();
    programs.close();
    for (const map of maps.values()) map.close();
    await this.#parts.lock.release();
  }

  #open(operation: string): void {
    if (this.#closed === undefined) return;
    throw new DataPlaneError({ code: 'CLOSED', operation, detail: 'the data plane was closed' });
  }

  #pool(table: IdTable): IdPool {
    const { pools } = this.#tables;
    if (Object.hasOwn(pools, table)) return pools[table];
    throw wrongArgument('pool', table, `one of ${Object.keys(pools).join(', ')}`);
  }

  #interface(ifindex: number, operation: string): void {
    if (Number.isInteger(ifindex) && ifindex > 0 && ifindex < this.ports.capacity) return;
    const wanted = `an index from 1 to ${this.ports.capacity - 1} (capacities.interfaces)`;
    throw wrongArgument(operation, `interface ${ifindex}`, wanted);
  }
}
