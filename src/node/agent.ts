/**
 * One machine's agent: its data plane, what its owners want, and everything that keeps the one what the other says.
 * Rooms: registry (wanted), underlay, wires, bypasses, bfdPeers, nodes, vifs, labels (present), applier (from the one to the other).
 */
import { type Neighbour, type NetlinkEvent } from '../../native/lib/index.js';
import { type Capacities, type Carrier, DataPlane, type SessionEvent } from '../dataplane/index.js';
import { type Logger } from '../api/log.js';
import { adopt } from './adopt.js';
import { Applier } from './apply.js';
import { BfdPeers } from './bfd-peers.js';
import { Bypasses } from './bypasses.js';
import { Carriages } from './carriages.js';
import { Cgroups, type NodeShare } from './cgroups.js';
import { Dormancy } from './dormancy.js';
import { type UnderlayWay } from './hop.js';
import { Interfaces } from './interfaces.js';
import { Labels } from './labels.js';
import { sessionFacts } from './liveness.js';
import { measurementFacts } from './measurement.js';
import { ManagedNeighbours } from './managed.js';
import { MAX_DEPTH } from './authority.js';
import { type Below } from './model.js';
import { writeOwner, writeTunnel, writeWire } from './names.js';
import { NetState } from './net-state.js';
import { VirtualNodes } from './nodes.js';
import { Paths } from './paths.js';
import { type Step } from './plan.js';
import { asStepFailure } from './refusal.js';
import { type Holding, Registry } from './registry.js';
import { Sender } from './sender.js';
import { shareBelow } from './shares.js';
import { States } from './states.js';
import { Underlay } from './underlay.js';
import { type LiveVif, Vifs } from './vifs.js';
import { now, WatchHub } from './watch.js';
import { Wires } from './wires.js';

export interface AgentOptions {
  /** Of the machine. */
  readonly name: string;
  /** Directory in the BPF file system. */
  readonly pinDir: string;
  /** Virtual node N of VN V lives in the network namespace `${netnsPrefix}V.N`. */
  readonly netnsPrefix: string;
  /** Underlay interfaces. */
  readonly interfaces: readonly string[];
  /** Globs of interfaces offered to stations. */
  readonly ports: readonly string[];
  /** The data plane's build for frames in several buffers. */
  readonly jumbo?: boolean;
  readonly capacities?: Partial<Capacities>;
  /** Path of the machine's network namespace; the process's own where absent. */
  readonly netns?: string;
  readonly log: Logger;
}

export class Agent {
  readonly options: AgentOptions;
  readonly startTime = now();
  readonly plane: DataPlane;
  readonly net: NetState;
  readonly registry = new Registry();
  readonly interfaces: Interfaces;
  readonly underlay: Underlay;
  readonly wires: Wires;
  readonly bypasses: Bypasses;
  readonly bfdPeers: BfdPeers;
  readonly nodes: VirtualNodes;
  readonly paths: Paths;
  readonly carriages: Carriages;
  readonly sender: Sender;
  readonly vifs: Vifs;
  readonly labels: Labels;
  readonly applier: Applier;
  readonly cgroups: Cgroups;
  readonly watchers = new WatchHub();
  readonly states: States;
  readonly dormancy: Dormancy;
  /** Ids of owners in the table of names. */
  readonly #owners = new Map<string, number>();
  #closed = false;

  private constructor(options: AgentOptions, plane: DataPlane, net: NetState) {
    this.options = options;
    this.plane = plane;
    this.net = net;
    const { registry } = this;
    const failed = (error: unknown): void => this.#failed(error);
    const vifId = (name: string): number | undefined => this.vifs.get(name)?.id;
    const carrierOf = (below: Below): Carrier | undefined => this.#carrierOf(below);
    const neighbours = new ManagedNeighbours(net);
    this.dormancy = new Dormancy({
      isVif: (name) => this.vifs.get(name) !== undefined,
      set: (name, dormant) => this.vifs.setDormant(name, dormant),
      log: options.log.child('liveness'),
      failed,
    });
    this.states = new States(this, (changes) => {
      this.dormancy.tell(changes);
      this.watchers.tell(changes);
    });
    this.interfaces = new Interfaces({
      plane,
      net,
      underlay: options.interfaces,
      ports: options.ports,
      isMachineEnd: (name) => this.vifs.isMachineEnd(name),
      portChanged: (name) => this.#portChanged(name),
      changed: (name, what) => options.log.child('interfaces').info(what, { interface: name }),
      underlayChanged: () => this.#underlayChanged(),
      failed,
    });
    this.bfdPeers = new BfdPeers({
      plane,
      net,
      interfaces: this.interfaces,
      neighbours,
      wire: (name) => this.wires.get(name),
      wayOf: (wire) => this.wires.wayOf(wire),
      watching: () => this.sender.need(),
      watchChanged: () => this.#watchChanged(),
      changed: (name) => this.states.touch(name),
      failed,
    });
    const underlay = {
      plane,
      net,
      interfaces: this.interfaces,
      neighbours,
      sessionOf: (way: UnderlayWay, address: string) => this.bfdPeers.sessionOf(way, address),
      changed: (name: string) => this.states.touch(name),
      failed,
    };
    this.underlay = new Underlay(underlay);
    this.wires = new Wires({ ...underlay, changed: (name) => this.#wireChanged(name) });
    this.nodes = new VirtualNodes({
      plane,
      registry,
      netnsPrefix: options.netnsPrefix,
      linkChanged: (node, device) => this.#linkChanged(node, device),
      neighbourChanged: (node, device, address) => {
        this.states.touch(`${node}/vifs/${device}/neighbours/${address}`);
      },
      failed,
    });
    this.paths = new Paths({ plane, registry, carrierOf });
    this.bypasses = new Bypasses({ plane, wires: this.wires, paths: this.paths });
    this.sender = new Sender({ plane, net, pinDir: options.pinDir, log: options.log.child('liveness') });
    this.carriages = new Carriages({
      plane,
      paths: this.paths,
      circuits: this.wires,
      carrierOf,
      isGone: (below) => this.#isGone(below),
      watching: () => this.sender.need(),
    });
    this.vifs = new Vifs({
      plane,
      net,
      nodes: this.nodes,
      carriages: this.carriages,
      interfaces: this.interfaces,
      changed: (name) => this.states.touch(name),
      failed,
    });
    this.labels = new Labels({ plane, registry, paths: this.paths, carrierOf, vifId });
    this.applier = new Applier(this);
    this.cgroups = new Cgroups(options.netnsPrefix);
    net.listen((events) => this.#onLinks(events));
    plane.sessions.watch((events) => this.#onSessions(events));
  }

  /** Opens or adopts what is pinned, and is up to date with the machine when the promise is kept. */
  static async start(options: AgentOptions): Promise<Agent> {
    const { log, pinDir, capacities, netns, jumbo = false } = options;
    const place = netns === undefined ? {} : { netns };
    const plane = await DataPlane.open({
      pinDir,
      jumbo,
      ...place,
      ...(capacities ? { capacities } : {}),
      log: (message) => log.child('dataplane').info(message),
    });
    let net: NetState | undefined;
    try {
      net = await NetState.open({
        ...place,
        routes: true,
        failed: (error) => log.error('netlink', { error }),
      });
      const agent = new Agent(options, plane, net);
      await agent.interfaces.start();
      if (plane.adopted) await adopt(agent);
      return agent;
    } catch (error) {
      net?.close();
      await plane.close();
      throw error;
    }
  }

  /** Does one step of an Apply: what it names shall be as the registry says. Throws ApiError. */
  async take(step: Step): Promise<void> {
    try {
      await this.#take(step);
    } catch (error) {
      throw asStepFailure(step.kind === 'label' ? `label ${step.place.label}` : step.name, error);
    }
  }

  /** Who wants the thing that a step is about; undefined: nobody any more. */
  ownerOf(step: Step): string | undefined {
    if (step.kind === 'label') return this.registry.label(step.place.context, step.place.label)?.owner;
    if (step.kind === 'tunnel') return this.registry.tunnel(step.name)?.owner;
    if (step.kind === 'wire') return this.registry.wire(step.name)?.owner;
    if (step.kind === 'bfdPeer') return this.registry.bfdPeer(step.name)?.owner;
    if (step.kind === 'vif') return this.registry.vif(step.name)?.owner;
    const node = this.registry.node(step.name);
    return step.kind === 'contents' ? node?.intent.tenant : node?.owner;
  }

  writeOwner(holding: Holding): void {
    writeOwner(this.plane, this.#ownerId(holding.owner), holding.owner, holding.epoch);
  }

  /** An earlier agent's id of an owner. */
  adoptOwner(owner: string, id: number): void {
    this.#owners.set(owner, id);
  }

  /** Shares of processors as the registry has them. */
  settleShares(): void {
    const wanted = new Map<string, NodeShare>();
    for (const { intent } of this.registry.nodes) {
      if (intent.cpuShare === 0) continue;
      const parent = this.#shareBelow(intent.name);
      wanted.set(this.nodes.namespaceOf(intent), { thousandths: intent.cpuShare, parent });
    }
    try {
      this.cgroups.settle(wanted);
    } catch (error) {
      throw asStepFailure('cpu', error);
    }
  }

  /** Where a node's daemons belong: its own share, or the nearest one below it; empty: nowhere in particular. */
  cgroupOf(node: string): string {
    const intent = this.registry.node(node)?.intent;
    const own = intent && intent.cpuShare > 0 ? this.nodes.namespaceOf(intent) : this.#shareBelow(node);
    return (own && this.cgroups.leafOf(own)) ?? '';
  }

  /** The namespace of the node whose share a node's is one of. */
  #shareBelow(node: string): string | undefined {
    const below = shareBelow(this.registry, node);
    return below && this.nodes.namespaceOf(below);
  }

  applied(owner: string, epoch: bigint): void {
    this.watchers.applied(owner, epoch);
  }

  neighbourOf(vif: LiveVif, address: string): Neighbour | undefined {
    const index = vif.links?.inside;
    return index === undefined ? undefined : this.nodes.get(vif.intent.node)?.net.neighbour(index, address);
  }

  /** Lets go of everything but what is pinned: the data plane goes on. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.applier.idle();
    await this.vifs.close();
    await this.dormancy.close();
    this.sender.close();
    this.watchers.closeAll();
    this.nodes.close();
    this.net.close();
    await this.plane.close();
  }

  async #take(step: Step): Promise<void> {
    switch (step.kind) {
      case 'label':
        return this.labels.settle(step.place);
      case 'contents': {
        const contents = this.nodes.get(step.name)?.contents;
        return contents?.apply(this.registry.addressesOf(step.name), this.registry.routesOf(step.name));
      }
      case 'node':
        return this.#takeNode(step.name);
      case 'tunnel':
        return this.#takeTunnel(step.name);
      case 'wire':
        return this.#takeWire(step.name);
      case 'bfdPeer':
        return this.#takeBfdPeer(step.name);
      case 'vif': {
        const wanted = this.registry.vif(step.name);
        if (wanted) await this.vifs.ensure(wanted.intent, wanted.owner);
        else {
          const id = this.vifs.get(step.name)?.id;
          if (id !== undefined) this.#cutOver({ vif: id });
          await this.vifs.remove(step.name);
        }
        return this.states.touch(step.name);
      }
    }
  }

  async #takeNode(name: string): Promise<void> {
    const wanted = this.registry.node(name);
    if (wanted) await this.nodes.ensure(wanted.intent, wanted.owner);
    else await this.nodes.remove(name);
    this.states.touch(name);
  }

  async #takeTunnel(name: string): Promise<void> {
    const wanted = this.registry.tunnel(name);
    if (wanted) {
      await this.underlay.ensure(wanted.intent, wanted.owner);
      const id = this.underlay.get(name)?.id;
      if (id !== undefined) writeTunnel(this.plane, id, wanted.owner, wanted.intent);
    } else {
      const id = this.underlay.get(name)?.id;
      if (id !== undefined) this.#cutOver({ tunnel: id });
      await this.underlay.remove(name);
    }
    this.states.touch(name);
  }

  async #takeWire(name: string): Promise<void> {
    const wanted = this.registry.wire(name);
    if (wanted) {
      this.wires.ensure(wanted.intent, wanted.owner);
      const id = this.wires.get(name)?.id;
      if (id !== undefined) writeWire(this.plane, id, wanted.owner, wanted.intent);
      this.bypasses.settle(name);
      await this.bfdPeers.wireChanged(name);
    } else {
      const id = this.wires.get(name)?.id;
      if (id !== undefined) {
        this.#cutOver({ wire: id });
        this.bypasses.drop(name, { wire: id });
      }
      this.wires.remove(name);
    }
    this.states.touch(name);
  }

  #wireChanged(name: string): void {
    this.#touchWire(name);
    this.bfdPeers.wireChanged(name).catch((error: unknown) => this.#failed(error));
  }

  async #takeBfdPeer(name: string): Promise<void> {
    const wanted = this.registry.bfdPeer(name);
    if (wanted) await this.bfdPeers.ensure(wanted.intent, wanted.owner);
    else await this.bfdPeers.remove(name);
    this.states.touch(name);
  }

  /** BFD watches other neighbours than before, or none: ways are told apart by it. */
  async #watchChanged(): Promise<void> {
    this.wires.resolveAll();
    await this.underlay.resolveAll();
    this.#foundGone();
  }

  /** Nothing is left to go by below, as far as BFD of the underlay tells. */
  #isGone({ kind, name }: Below, depth = 0): boolean {
    if (kind === 'tunnel') return this.underlay.isGone(name);
    if (kind === 'wire') return this.wires.isGone(name) && !this.bypasses.isUsable(name);
    const paths = this.vifs.get(name)?.intent.paths ?? [];
    return (
      depth < MAX_DEPTH && paths.length > 0 && paths.every(({ below }) => this.#isGone(below, depth + 1))
    );
  }

  /** Also what goes by a wire whose bypass this is. */
  #touchWire(name: string): void {
    this.states.touch(name);
    for (const { intent } of this.wires.all)
      if (intent.bypass?.below.name === name) this.#touchCarried(intent.name);
  }

  #touchCarried(wire: string): void {
    for (const { intent } of this.registry.dependents(wire))
      if (intent.kind === 'vif') this.states.touch(intent.name);
  }

  /** What tunnels do about it, the programs have done; links above hear of it here. */
  #foundGone(): void {
    this.carriages.avoidAgain();
    for (const { intent } of this.underlay.all) this.states.touch(intent.name);
    for (const { intent } of this.wires.all) {
      this.states.touch(intent.name);
      if (intent.bypass) this.#touchCarried(intent.name);
    }
  }

  #carrierOf({ kind, name }: Below): Carrier | undefined {
    const id = { tunnel: this.underlay, wire: this.wires, vif: this.vifs }[kind].get(name)?.id;
    if (id === undefined) return undefined;
    if (kind === 'tunnel') return { tunnel: id };
    return kind === 'wire' ? { wire: id } : { vif: id };
  }

  /** Before the rooms are there, nothing can have changed for them. */
  #underlayChanged(): void {
    this.wires.resolveAll();
    this.underlay.resolveAll().catch((error: unknown) => this.#failed(error));
    this.bfdPeers.resolveAll().catch((error: unknown) => this.#failed(error));
  }

  /**
   * Whatever else happens: when an id goes back, no record of anybody's leads to it. The steps before have seen to
   * that, but one of them may have failed.
   */
  #cutOver(below: Carrier): void {
    this.labels.cutOver(below);
    this.vifs.cutOver(below);
  }

  /**
   * A port's interface is up, or has lost its carrier. Or a vif's veth was taken away by somebody in the namespace it
   * is in: it is the vif's owner's, and made again.
   */
  #onLinks(events: readonly NetlinkEvent[]): void {
    for (const event of events) {
      if (event.type === 'resync' || event.what !== 'link') continue;
      for (const { name, role, index } of this.interfaces.all()) {
        if (role === 'port' && index === event.object.index) this.#touchPort(name);
      }
      if (event.type !== 'del') continue;
      const vif = this.vifs.ofMachineEnd(event.object.index);
      if (!vif) continue;
      this.vifs.lost(vif);
      const { node } = vif.intent;
      void this.applier.repair(vif.owner, [
        { kind: 'vif', name: vif.name, remove: false },
        { kind: 'contents', name: node, remove: false },
      ]);
    }
  }

  /** What the programs have done already, for people and watchers. */
  #onSessions(events: readonly SessionEvent[]): void {
    const log = this.options.log.child('liveness');
    for (const event of events) {
      if (event.vif === 0) this.#onPeer(event);
      const vif = this.vifs.byId(event.vif);
      if (!vif) continue;
      const paths = this.carriages.of(vif.id);
      const path = paths.findIndex(({ slot }) => slot === event.index);
      const by = paths[path]?.intent.below.name ?? '';
      if (event.before === event.after) {
        const facts = { vif: vif.name, path, by, ...measurementFacts(this, event.session) };
        if (facts.degraded) log.warn('path degraded', facts);
        else log.info('path good again', facts);
        continue;
      }
      const facts = { vif: vif.name, path, by, ...sessionFacts(event) };
      if (facts.lost) log.warn('path down', facts);
      else log.info('session', facts);
      this.states.touch(vif.name);
    }
  }

  #onPeer(event: SessionEvent): void {
    const peer = this.bfdPeers.byId(event.session);
    if (!peer) return;
    const log = this.options.log.child('liveness');
    const { lost, ...facts } = { bfdPeer: peer.intent.name, ...sessionFacts(event) };
    // an event without a change of the state says what becomes of the ways by the neighbour
    if (event.before === event.after) this.#foundGone();
    else if (lost) log.warn('neighbour down', facts);
    else log.info('session', facts);
    this.states.touch(peer.intent.name);
  }

  #ownerId(owner: string): number {
    let id = this.#owners.get(owner);
    if (id === undefined) {
      id = Math.max(0, ...this.#owners.values()) + 1;
      this.#owners.set(owner, id);
    }
    return id;
  }

  #touchPort(name: string): void {
    for (const vif of this.vifs.all) if (vif.port === name) this.states.touch(vif.name);
  }

  #portChanged(name: string): void {
    for (const vif of this.vifs.all) if (vif.port === name) this.vifs.settle(vif.name);
  }

  #linkChanged(node: string, device: string): void {
    const name = `${node}/vifs/${device}`;
    const before = this.vifs.get(name)?.up;
    this.vifs.settle(name);
    if (before || !this.vifs.get(name)?.up) return;
    this.nodes
      .get(node)
      ?.contents.restore(device)
      .catch((error: unknown) => this.#failed(error));
  }

  #failed(error: unknown): void {
    if (this.#closed) return;
    this.options.log.error('failed', { error, stack: error instanceof Error ? error.stack : undefined });
  }
}
