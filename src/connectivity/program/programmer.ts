/** Makes the leased nodes contain what the service networks need: ours, as the owner ''. */
import { type Link, type ServiceLink, type ServiceNetwork } from '../../api/connectivity.js';
import { ApiError } from '../../api/errors.js';
import { type Logger } from '../../api/log.js';
import { type ResourceDraft } from '../../api/node.js';
import { type NodeShare } from '../../api/types.js';
import { type Clock, sleep } from '../../controller/clock.js';
import { Drained } from '../drained.js';
import { type ConnectivityState, type Tx } from '../kinds.js';
import { inForce, isUp, type Ledger } from '../ledger.js';
import { leaseOfNode } from '../names.js';
import { isSuspended, TERM_IS_OVER } from '../network-terms.js';
import { LABEL_BYTES } from '../placement/supply.js';
import { generationOf, withStatus } from '../status.js';
import { type Suppliers } from '../suppliers.js';
import { mtuOf } from '../supply-of.js';
import { linksOf, nodeUnder } from '../usage.js';
import { Contents } from './contents.js';
import { type Epochs } from './epochs.js';
import { type Hop, hopsAlong, type LabelledHop, turned, type Way, vifAt } from './hops.js';
import { type Items, itemsOfLink, itemsOfNetwork, itemsOfOwnLink, onlyOver } from './items.js';
import { keyOf, networkOf, type Records, waysOf } from './records.js';
import { Sender, type Target } from './sender.js';
import { type LinkWord, wordOf } from './link-word.js';
import { pathsToProgram } from './protected.js';
import { NOTHING, nextSteps, type Step, towards } from './stages.js';
import { samePath } from './ways.js';

export interface ProgrammerOptions {
  readonly self: string;
  readonly state: ConnectivityState;
  readonly ledger: Ledger;
  readonly records: Records;
  readonly epochs: Epochs;
  readonly suppliers: Suppliers;
  readonly clock: Clock;
  readonly log: Logger;
  readonly ending: AbortSignal;
}

/** A step, with the versions that its nodes are to acknowledge before. */
interface Pending {
  readonly versions: ReadonlyMap<string, number>;
  readonly after: Step['after'];
  /** Milliseconds to wait beyond that; 0: it has been waited for. */
  lingerMs: number;
}

/** Entries of one transaction of many. */
const BATCH = 200;

export class Programmer {
  readonly #options: ProgrammerOptions;
  readonly #contents = new Contents();
  readonly #senders = new Map<string, Sender>();
  /** What each link under way waits for. */
  readonly #steps = new Map<string, readonly Pending[]>();
  /** Labels in quarantine: the version of their sender's node that is without them. */
  readonly #quarantine = new Map<string, number>();
  /** Our links that are there, as far as their suppliers say; of those, what goes over them. */
  #live: ReadonlyMap<string, Link> = new Map();
  #up: ReadonlySet<string> = new Set();
  /** By link that is carried: those of its links below that are to be left alone. */
  readonly #off = new Map<string, string>();
  readonly #failures = new Map<string, string>();
  readonly #tasks = new Set<Promise<void>>();

  constructor(options: ProgrammerOptions) {
    this.#options = options;
    const { records } = options;
    // whatever they have from before: they are told once what they are to have
    for (const node of options.ledger.nodes.keys()) this.#sender(node).touch();
    this.#setNodes();
    for (const key of records.links.keys()) this.#showLink(key);
    this.#holdLabels();
    this.ownLinks();
  }

  /** What was bought has changed. */
  ownLinks(): void {
    const { self, ledger } = this.#options;
    const live = new Map(
      [...ledger.links.values()].filter(({ body }) => inForce(body)).map(({ body }) => [body.name, body]),
    );
    for (const [name, { a, b }] of [...live, ...this.#live]) {
      if (live.has(name) === this.#live.has(name)) continue;
      for (const node of [a, b]) this.#sender(node).touch();
    }
    this.#live = live;
    this.#setNodes();
    const wasUp = this.#up;
    this.#up = new Set([...ledger.links.keys()].filter((name) => isUp(ledger, name)));
    const turned = (name: string): boolean => this.#up.has(name) !== wasUp.has(name);
    for (const network of this.#options.state.all('serviceNetwork'))
      if (network.links.some((link) => linksOf(link).some(turned))) this.#settle(network.name);
    for (const { body } of ledger.links.values()) this.#set(`own ${body.name}`, itemsOfOwnLink(self, body));
    for (const source of this.#contents.sources()) {
      if (source.startsWith('own ') && !ledger.links.has(source.slice(4))) this.#set(source, new Map());
    }
    this.#showDrained();
    for (const sender of this.#senders.values()) sender.kick();
    for (const node of this.#senders.keys()) if (!ledger.nodes.has(node)) this.#gone(node);
  }

  /** What is to be left alone of what a link is carried by has changed. */
  #showDrained(): void {
    const { state, records } = this.#options;
    const drained = new Drained(state);
    for (const network of state.all('serviceNetwork'))
      for (const link of network.links) {
        const key = keyOf(network.name, link.name);
        if (!records.links.has(key)) continue;
        if (this.#off.get(key) !== avoidedBy(link, drained.of(link, network))) this.#showLink(key);
      }
  }

  /** The network was admitted, changed or deleted: what its nodes contain is to follow. */
  network(name: string): void {
    this.#spawn(async () => {
      const { state, records } = this.#options;
      const now = state.get('serviceNetwork', name)?.links.map((link) => keyOf(name, link.name)) ?? [];
      const before = [...records.links.keys()].filter((key) => networkOf(key) === name);
      const keys = [...new Set([...now, ...before])];
      // in parts that the store takes at once
      for (let i = 0; i === 0 || i < keys.length; i += BATCH)
        await state.transact((tx) => this.#follow(tx, name, keys.slice(i, i + BATCH)));
    });
  }

  readonly #boughtOf = (node: string): NodeShare | undefined =>
    this.#options.ledger.nodes.get(node)?.body.share;

  /** Also what they have of the nodes below, which may have been bought anew. */
  #setNodes(): void {
    for (const network of this.#options.state.all('serviceNetwork'))
      this.#set(network.name, itemsOf(network, this.#boughtOf));
  }

  /** Where the process was when it ended. */
  resume(): void {
    const { state, records } = this.#options;
    const names = new Set([
      ...state.all('serviceNetwork').map(({ name }) => name),
      ...[...records.links.keys()].map(networkOf),
    ]);
    for (const name of names) this.network(name);
  }

  /** Whether this node of ours has all that it is to have for this network. */
  isReady(network: string): boolean {
    const { state } = this.#options;
    const body = state.get('serviceNetwork', network);
    return body !== undefined && this.#openNodes(body).length === 0;
  }

  async end(): Promise<void> {
    await Promise.all(this.#tasks);
    await Promise.all([...this.#senders.values()].map((sender) => sender.end()));
  }

  #spawn(work: () => Promise<void>): void {
    const { log, ending, clock } = this.#options;
    const task = work().catch(async (error: unknown) => {
      if (ending.aborted) return;
      log.error('programming is interrupted', { error });
      await sleep(clock, 1000, ending);
      if (!ending.aborted) this.#spawn(work);
    });
    this.#tasks.add(task);
    void task.then(() => this.#tasks.delete(task));
  }

  #follow(tx: Tx, name: string, keys: readonly string[]): void {
    const { records } = this.#options;
    const network = tx.get('serviceNetwork', name);
    const wanted = new Map((network?.links ?? []).map((link) => [keyOf(name, link.name), link]));
    const taken = new Map<string, Set<number>>();
    for (const key of keys) {
      const now = records.links.get(key) ?? NOTHING;
      const link = wanted.get(key);
      const known = [...now.next, ...now.active];
      const wayOf = (path: readonly string[]): Way | undefined =>
        network &&
        link &&
        (known.find((way) => samePath(way, path) && startsAt(way, network, link.a)) ??
          this.#newWay(network, link.a, path, taken));
      const paths = link ? pathsToProgram(link) : [];
      const then = towards(
        now,
        paths.flatMap((path) => wayOf(path) ?? []),
      );
      if (JSON.stringify(then) !== JSON.stringify(now)) records.put(tx, key, then);
    }
    tx.onCommit(() => {
      this.#set(name, network ? itemsOf(network, this.#boughtOf) : new Map());
      for (const key of keys) this.#showLink(key);
      this.#settle(name);
    });
  }

  #newWay(
    network: ServiceNetwork,
    a: string,
    path: readonly string[],
    taken: Map<string, Set<number>>,
  ): Way | undefined {
    const { self, ledger, records, log } = this.#options;
    const node = network.nodes.find(({ name }) => name === a);
    const links = path.flatMap((name) => ledger.links.get(name)?.body ?? []);
    const hops = node && links.length === path.length ? hopsAlong(self, nodeUnder(node), links) : undefined;
    if (!hops || hops.length === 0) {
      log.warn('a path is not there', { network: network.name, path: path.join(' ') });
      return undefined;
    }
    const labelled = (list: readonly Hop[]): LabelledHop[] =>
      list.map((hop) => {
        const also = taken.get(hop.into) ?? new Set();
        taken.set(hop.into, also);
        const label = records.labels.free(hop.into, also);
        also.add(label);
        return { ...hop, label };
      });
    const room = Math.min(...links.map(mtuOf)) - LABEL_BYTES;
    return { path, there: labelled(hops), back: labelled(turned(hops)), room };
  }

  /** Puts what a link needs into the nodes, and notes what its next step waits for. */
  #showLink(key: string): void {
    const { records, state } = this.#options;
    const carried = records.links.get(key) ?? NOTHING;
    const network = state.get('serviceNetwork', networkOf(key));
    const link = network?.links.find(({ name }) => keyOf(network.name, name) === key);
    const off = network && link ? new Drained(state).of(link, network) : new Set<string>();
    if (link) this.#off.set(key, avoidedBy(link, off));
    else this.#off.delete(key);
    const ends = network && link && !isSuspended(network) ? { network, link, off } : undefined;
    this.#set(key, itemsOfLink(carried, ends));
    const steps = nextSteps(carried).map(({ nodes, after, leaving }): Pending => {
      const versions = new Map([...nodes].map((node) => [node, this.#sender(node).version]));
      return { versions, after, lingerMs: this.#arrivingMs(leaving) };
    });
    if (steps.length > 0) {
      this.#steps.set(key, steps);
      this.#spawn(() => this.#advance(key));
    } else this.#steps.delete(key);
    this.#holdLabels();
  }

  /** Labels that were just given up wait for the present version of whoever sent with them. */
  #holdLabels(): void {
    const free: string[] = [];
    for (const [entry, { from }] of this.#options.records.waiting) {
      if (this.#quarantine.has(entry)) continue;
      const { version } = this.#sender(from);
      this.#quarantine.set(entry, version);
      if (this.#has(from, version)) free.push(entry);
    }
    this.#release(free);
  }

  #set(source: string, items: ReturnType<typeof itemsOfLink>): void {
    for (const node of this.#contents.set(source, items)) this.#sender(node).touch();
  }

  async #advance(key: string): Promise<void> {
    const { state, records } = this.#options;
    const steps = this.#steps.get(key);
    const step = steps?.find(({ versions }) =>
      [...versions].every(([node, version]) => this.#has(node, version)),
    );
    if (!step) return;
    if (step.lingerMs > 0) {
      const { clock, ending } = this.#options;
      await sleep(clock, step.lingerMs, ending);
      step.lingerMs = 0;
      if (ending.aborted || this.#steps.get(key) !== steps) return;
    }
    await state.transact((tx) => {
      // another change may have come between
      if (this.#steps.get(key) !== steps) return;
      records.put(tx, key, step.after);
      tx.onCommit(() => {
        this.#showLink(key);
        this.#settle(networkOf(key));
      });
    });
  }

  /** What is under way by these ways has arrived after so long, as far as their suppliers say how long they take. */
  #arrivingMs(ways: readonly Way[]): number {
    const { links } = this.#options.ledger;
    const delayUs = ({ path }: Way): number =>
      path.reduce((sum, name) => sum + (links.get(name)?.body.achieved?.delayUs ?? 0), 0);
    return Math.ceil((2 * Math.max(0, ...ways.map(delayUs))) / 1000);
  }

  /** A node that is no longer leased contains nothing, and sends nothing. */
  #has(node: string, version: number): boolean {
    return !this.#options.ledger.nodes.has(node) || this.#sender(node).acknowledged >= version;
  }

  #sender(node: string): Sender {
    let sender = this.#senders.get(node);
    if (!sender) {
      const { epochs, clock, ending, log } = this.#options;
      sender = new Sender({
        owner: '',
        target: () => this.target(node),
        contents: () => once(onlyOver(this.#contents.of(node), this.#vifsOf(node))),
        nextEpoch: () => epochs.next(node, ''),
        acknowledged: (version) => this.#acknowledged(node, version),
        failed: (_, error) => {
          log.warn('a node does not take its contents', { node, error });
          const text = error instanceof ApiError ? error.reason : 'INTERNAL';
          if (this.#failures.get(node) === text) return;
          this.#failures.set(node, text);
          this.#settleAt(node);
        },
        clock,
        ending,
      });
      this.#senders.set(node, sender);
    }
    return sender;
  }

  /** Vifs of our own node that are there. */
  #vifsOf(node: string): Set<string> {
    const vifs = new Set<string>();
    for (const link of this.#live.values())
      if (link.a === node || link.b === node) vifs.add(vifAt(this.#options.self, link, node));
    return vifs;
  }

  /** Whether something is sent over this link, or may still be. */
  uses(link: string): boolean {
    return [...this.#options.records.links.values()].some((carried) =>
      waysOf(carried).some(({ path }) => path.includes(link)),
    );
  }

  /** Where a leased node's contents go. */
  target(node: string): Target | undefined {
    const { self, ledger, state, suppliers } = this.#options;
    const bought = ledger.nodes.get(node)?.body;
    const supplier = bought && state.get('supplier', bought.supplier);
    if (!bought || !supplier || !inForce(bought)) return undefined;
    return { supply: suppliers.at(supplier.name, supplier.address), lease: leaseOfNode(self, node) };
  }

  #acknowledged(node: string, version: number): void {
    this.#failures.delete(node);
    const free = [...this.#quarantine].flatMap(([entry, needed]) =>
      this.#options.records.waiting.get(entry)?.from === node && needed <= version ? [entry] : [],
    );
    this.#release(free);
    this.#advanceAt(node);
    this.#settleAt(node);
  }

  #gone(node: string): void {
    const { records } = this.#options;
    this.#release([...records.waiting].flatMap(([entry, { from }]) => (from === node ? [entry] : [])));
    this.#advanceAt(node);
  }

  #advanceAt(node: string): void {
    for (const [key, steps] of this.#steps)
      if (steps.some(({ versions }) => versions.has(node))) this.#spawn(() => this.#advance(key));
  }

  #release(entries: readonly string[]): void {
    for (let i = 0; i < entries.length; i += BATCH) {
      const part = entries.slice(i, i + BATCH);
      for (const entry of part) this.#quarantine.delete(entry);
      this.#spawn(() => this.#options.state.transact((tx) => this.#options.records.release(tx, part)));
    }
  }

  #settleAt(node: string): void {
    for (const network of this.#options.state.all('serviceNetwork'))
      if (nodesUnder(network, this.#options.records).has(node)) this.#settle(network.name);
  }

  /** Nodes that do not have what they are to have for this network, or links that are under way. */
  #openNodes(network: ServiceNetwork): string[] {
    const { records } = this.#options;
    const open = [...nodesUnder(network, records)].filter((node) => {
      const sender = this.#sender(node);
      // nobody can tell a node that is not there
      return sender.acknowledged < sender.version && this.target(node) !== undefined;
    });
    for (const link of network.links) {
      const key = keyOf(network.name, link.name);
      const { active, next } = records.links.get(key) ?? NOTHING;
      // of a backup whose links are gone for good nothing can be made
      const paths = pathsToProgram(link).filter((path, i) => i === 0 || this.#isBought(path));
      if (next.length > 0 || !paths.every((path, i) => samePath(active[i], path))) open.push(key);
    }
    return open;
  }

  #isBought(path: readonly string[]): boolean {
    return path.every((name) => this.#options.ledger.links.has(name));
  }

  /** Says in the network's status how far it is. */
  #settle(name: string): void {
    const { state, records } = this.#options;
    const wanted = (network: ServiceNetwork) => {
      const failure = [...nodesUnder(network, records)].map((node) => this.#failures.get(node)).find(Boolean);
      const ready = this.#openNodes(network).length === 0;
      const generation = generationOf(network);
      if (ready && isSuspended(network))
        return {
          state: 'suspended',
          message: TERM_IS_OVER,
          reconciling: false,
          observedGeneration: generation,
        };
      if (ready) return { state: 'ready', message: '', reconciling: false, observedGeneration: generation };
      const message = failure === undefined ? '' : `A machine does not take it yet: ${failure}.`;
      return { state: 'programming', message, reconciling: true };
    };
    const differs = (network: ServiceNetwork): boolean =>
      Object.entries(wanted(network)).some(
        ([key, value]) => network.status?.[key as keyof typeof network.status] !== value,
      ) ||
      network.links.some((link) => {
        const word = this.#wordOf(network, link);
        return word.state !== link.state || word.backupProgrammed !== link.backupProgrammed;
      });
    const now = state.get('serviceNetwork', name);
    if (!now || !differs(now)) return;
    this.#spawn(async () => {
      await state.transact((tx) => {
        const network = tx.get('serviceNetwork', name);
        if (!network || !differs(network)) return;
        const links = network.links.map((link) => ({ ...link, ...this.#wordOf(network, link) }));
        tx.put('serviceNetwork', withStatus({ ...network, links }, wanted(network)));
      });
      // what a machine said while that was being written was held against what had been there before
      this.#settle(name);
    });
  }

  /** Of one link: for its customer, and for operators whether its backup is programmed. */
  #wordOf(network: ServiceNetwork, link: ServiceLink): LinkWord & Pick<ServiceLink, 'backupProgrammed'> {
    const { active } = this.#options.records.links.get(keyOf(network.name, link.name)) ?? NOTHING;
    const ends = [active[0]?.there[0]?.from, active[0]?.there.at(-1)?.to];
    const told = ends.every((node) => node !== undefined && this.#has(node, this.#sender(node).version));
    const paths = pathsToProgram(link);
    const isActive = (path: readonly string[]): boolean => active.some((way) => samePath(way, path));
    const backupProgrammed = told && paths.length > 1 && paths.every(isActive);
    if (isSuspended(network)) return { state: 'down', message: TERM_IS_OVER, backupProgrammed: false };
    const isUp = (below: string): boolean => this.#up.has(below);
    return { ...wordOf(link, paths, active, { isUp, told }), backupProgrammed };
  }
}

/** Without vifs while its term is over: what its customer has written there stays. */
function itemsOf(network: ServiceNetwork, boughtOf: (node: string) => NodeShare | undefined): Items {
  if (!isSuspended(network)) return itemsOfNetwork(network, boughtOf);
  const nodes = network.nodes.map((node) => ({ ...node, ports: [] }));
  return itemsOfNetwork({ ...network, nodes }, boughtOf);
}

function avoidedBy(link: ServiceLink, off: ReadonlySet<string>): string {
  return linksOf(link)
    .filter((below) => off.has(below))
    .join();
}

function startsAt(way: Way, network: ServiceNetwork, a: string): boolean {
  const node = network.nodes.find(({ name }) => name === a);
  return node !== undefined && way.there[0]?.from === nodeUnder(node);
}

/** Nodes of ours that have something of this network. */
function nodesUnder(network: ServiceNetwork, records: Records): Set<string> {
  const nodes = new Set(network.nodes.map(nodeUnder));
  for (const link of network.links) {
    const carried = records.links.get(keyOf(network.name, link.name));
    for (const way of carried ? waysOf(carried) : []) for (const { to } of way.there) nodes.add(to);
  }
  return nodes;
}

async function* once(resources: readonly ResourceDraft[]): AsyncGenerator<readonly ResourceDraft[]> {
  yield await Promise.resolve(resources);
}
