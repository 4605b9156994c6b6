/**
 * An infrastructure provider for tests: a real gRPC server on a unix socket, with reservations, leases and Applies in memory,
 * all of them recorded. It can be told to refuse a call before or after it did it, or to go away.
 */
import { join } from 'node:path';

import { type Draft } from '../../src/api/message.js';
import { failedPrecondition, notFound, resourceExhausted } from '../../src/api/errors.js';
import {
  type ApplyBegin,
  InfrastructureService,
  type Reservation,
  type Resource,
  type VirtualLink,
  type VirtualNode,
  v1,
} from '../../src/api/infrastructure.js';
import { createLogger } from '../../src/api/log.js';
import { messageType } from '../../src/api/message.js';
import { type Resource as NodeResource } from '../../src/api/node.js';
import { type ApiServer, implement, startServer } from '../../src/api/server.js';
import { types } from '../../src/api/types.js';

export const quiet = createLogger({ component: 'test', write: () => undefined });

export interface Applied {
  readonly begin: ApplyBegin;
  readonly resources: readonly NodeResource[];
}

type Method = 'reserve' | 'commit' | 'cancel' | 'delete' | 'apply' | 'renew';
type Hook = (method: Method, request: object) => void | Promise<void>;

const reservationType = messageType(v1.Reservation);
const { LeaseState, EventType } = types;

export class TestSupplier {
  readonly name: string;
  readonly address: string;
  readonly #socket: string;
  /** Other suppliers, by name: links may end at what is leased there. */
  readonly peers: ReadonlyMap<string, TestSupplier>;
  /** Of machines: CPU not leased. */
  readonly cpu = new Map<string, number>();
  readonly reservations = new Map<string, Reservation>();
  readonly nodes = new Map<string, VirtualNode>();
  readonly links = new Map<string, VirtualLink>();
  /** By leased node and owner: what is in force. */
  readonly applied = new Map<string, Applied>();
  /** All calls, as they came. */
  readonly calls: { readonly method: Method; readonly request: unknown }[] = [];
  readonly applies: Applied[] = [];
  /** What its machines say of paths, and how often it was asked for. */
  paths: () => Draft<(typeof v1.PathReading)['prototype']>[] = () => [];
  pathsRead = 0;
  /** Called before a call is done, and after it, before it is answered; what it throws is the answer. */
  before: Hook = () => undefined;
  after: Hook = () => undefined;
  readonly #watchers = new Set<(resource: Draft<(typeof v1.Resource)['prototype']>, gone: boolean) => void>();
  #server: ApiServer | undefined;

  constructor(folder: string, name: string, peers: ReadonlyMap<string, TestSupplier>) {
    this.peers = peers;
    this.name = name;
    this.#socket = join(folder, `${name}.sock`);
    this.address = `unix:${this.#socket}`;
  }

  /** All that it has of its customers. */
  get held(): readonly string[] {
    return [
      ...[...this.reservations.values()].filter(({ committed }) => !committed).map(({ name }) => name),
      ...this.nodes.keys(),
      ...this.links.keys(),
    ].sort();
  }

  async start(): Promise<void> {
    this.#server = await startServer({
      socketPath: this.#socket,
      log: quiet,
      services: [this.#service()],
    });
  }

  async stop(): Promise<void> {
    await this.#server?.stop(0);
    this.#server = undefined;
  }

  async #done<Q extends object, R>(method: Method, request: Q, work: () => R): Promise<R> {
    this.calls.push({ method, request });
    await this.before(method, request);
    const answer = work();
    await this.after(method, request);
    return answer;
  }

  #reserve(request: {
    readonly virtualNodes: readonly VirtualNode[];
    readonly virtualLinks: readonly VirtualLink[];
    readonly requestId: string;
    readonly validateOnly: boolean;
  }): Reservation {
    const customer = /^customers\/([^/]+)\//.exec(
      request.virtualNodes[0]?.name ?? request.virtualLinks[0]?.name ?? '',
    )?.[1];
    const name = `customers/${customer}/reservations/${request.requestId}`;
    const known = this.reservations.get(name);
    if (known) return known;
    for (const [i, node] of request.virtualNodes.entries()) {
      const room = this.cpu.get(node.offer) ?? 1000;
      if ((node.share?.cpuMillis ?? 0) > room) {
        throw resourceExhausted({
          reason: 'NO_CAPACITY',
          field: `virtual_nodes[${i}].share.cpu_millis`,
          message: `${room} would fit.`,
        });
      }
    }
    for (const [i, link] of request.virtualLinks.entries()) {
      const end = link.a?.virtualNode ?? '';
      if (!this.nodes.has(end) && !request.virtualNodes.some((node) => node.name === end)) {
        throw notFound({
          reason: 'NOT_FOUND',
          field: `virtual_links[${i}].a.virtual_node`,
          message: `There is no ${end}.`,
        });
      }
      const far = link.b?.virtualNode ?? '';
      if (link.b?.provider && this.peers.get(link.b.provider)?.nodes.has(far) !== true) {
        throw notFound({
          reason: 'NOT_FOUND',
          field: `virtual_links[${i}].b.virtual_node`,
          message: `${link.b.provider} has no ${far}.`,
        });
      }
    }
    const price = { microsPerHour: 5, currency: 'EUR' };
    const reservation = reservationType.complete({
      name,
      virtualNodes: request.virtualNodes.map((node) => ({
        ...node,
        price,
        lease: LeaseState.LEASE_STATE_RESERVED,
      })),
      virtualLinks: request.virtualLinks.map((link) => ({
        ...link,
        price,
        lease: LeaseState.LEASE_STATE_RESERVED,
        achieved: { ...link.slo, availabilityPpm: 999_000 },
      })),
      changedNodes: request.virtualNodes.flatMap((node) => this.nodes.get(node.name) ?? []),
      changedLinks: request.virtualLinks.flatMap((link) => this.links.get(link.name) ?? []),
    });
    if (!request.validateOnly) this.reservations.set(name, reservation);
    return reservation;
  }

  #commit(name: string): Reservation {
    const reservation = this.reservations.get(name);
    if (!reservation) throw notFound({ reason: 'NOT_FOUND', field: 'name', message: `There is no ${name}.` });
    const lease = LeaseState.LEASE_STATE_ACTIVE;
    const committed = {
      ...reservation,
      virtualNodes: reservation.virtualNodes.map((node) => ({ ...node, lease })),
      virtualLinks: reservation.virtualLinks.map((link) => ({ ...link, lease })),
      committed: true,
    };
    this.reservations.set(name, committed);
    for (const node of committed.virtualNodes) this.nodes.set(node.name, node);
    for (const link of committed.virtualLinks) this.links.set(link.name, link);
    return committed;
  }

  #cancel(name: string): void {
    const reservation = this.reservations.get(name);
    if (!reservation) return;
    this.reservations.delete(name);
    if (!reservation.committed) return;
    for (const one of reservation.virtualNodes) this.nodes.delete(one.name);
    for (const one of reservation.virtualLinks) this.links.delete(one.name);
    for (const one of reservation.changedNodes) this.nodes.set(one.name, one);
    for (const one of reservation.changedLinks) this.links.set(one.name, one);
  }

  #delete(names: readonly string[]): void {
    for (const name of names) {
      const user = [...this.links.values()].find(
        ({ name: link, a, b }) =>
          !names.includes(link) &&
          (a?.virtualNode === name || (b?.virtualNode === name && b.provider === '')),
      );
      if (user)
        throw failedPrecondition({
          reason: 'IN_USE',
          field: 'names[0]',
          message: `${user.name} ends there.`,
        });
      this.nodes.delete(name);
      this.links.delete(name);
      for (const key of this.applied.keys()) if (key.startsWith(`${name} `)) this.applied.delete(key);
    }
  }

  #apply({ begin, resources }: Applied): void {
    if (!this.nodes.has(begin.virtualNode)) {
      throw notFound({
        reason: 'NOT_FOUND',
        field: 'virtual_node',
        message: `There is no ${begin.virtualNode}.`,
      });
    }
    const key = `${begin.virtualNode} ${begin.owner}`;
    const known = this.applied.get(key);
    if (known && begin.epoch < known.begin.epoch)
      throw failedPrecondition({ reason: 'EPOCH_STALE', field: 'epoch', message: `${begin.epoch} is old.` });
    this.applies.push({ begin, resources });
    if (!begin.validateOnly) this.applied.set(key, { begin, resources });
  }

  /** As if it had happened here: a lease expires, or is taken away. */
  tell(resource: VirtualNode, gone: boolean): void {
    if (gone) this.nodes.delete(resource.name);
    else this.nodes.set(resource.name, resource);
    for (const watcher of this.#watchers) watcher({ virtualNode: resource }, gone);
  }

  tellLink(resource: VirtualLink, gone: boolean): void {
    if (gone) this.links.delete(resource.name);
    else this.links.set(resource.name, resource);
    for (const watcher of this.#watchers) watcher({ virtualLink: resource }, gone);
  }

  #service() {
    const unused = (): never => {
      throw new Error('not for this test');
    };
    return implement(InfrastructureService, {
      get: unused,
      list: unused,
      update: unused,
      listReports: unused,
      listPaths: () => {
        this.pathsRead++;
        return { paths: this.paths() };
      },
      reserve: (request) => this.#done('reserve', request, () => ({ reservation: this.#reserve(request) })),
      commit: (request) => this.#done('commit', request, () => ({ reservation: this.#commit(request.name) })),
      cancel: (request) =>
        this.#done('cancel', request, () => {
          this.#cancel(request.name);
          return {};
        }),
      delete: (request) =>
        this.#done('delete', request, () => {
          this.#delete(request.names);
          return {};
        }),
      renew: (request) =>
        this.#done('renew', request, () => {
          const resources = request.names.map((name): Draft<(typeof v1.Resource)['prototype']> => {
            const node = this.nodes.get(name);
            const link = this.links.get(name);
            const term = { ...(node ?? link)?.term, expireTime: request.expireTime };
            if (node) {
              this.nodes.set(name, { ...node, term: { startTime: '', graceSeconds: 0, ...term } });
              return { virtualNode: { ...node, term } };
            }
            if (link) {
              this.links.set(name, { ...link, term: { startTime: '', graceSeconds: 0, ...term } });
              return { virtualLink: { ...link, term } };
            }
            throw notFound({ reason: 'NOT_FOUND', field: 'names', message: `There is no ${name}.` });
          });
          return { resources };
        }),
      apply: async (requests) => {
        let begin: ApplyBegin | undefined;
        const resources: NodeResource[] = [];
        let committed = false;
        for await (const one of requests) {
          if (one.begin) ({ begin } = one);
          if (one.resources) resources.push(...one.resources.resources);
          if (one.commit) committed = one.commit.resourceCount === resources.length;
        }
        if (!begin || !committed)
          throw failedPrecondition({ reason: 'STREAM_TRUNCATED', message: 'It ended before its commit.' });
        const applied = { begin, resources };
        return this.#done('apply', applied, () => {
          this.#apply(applied);
          return { epoch: begin.epoch, created: resources.length };
        });
      },
      watch: (request, call) => this.#watch(request.includeCurrent, call.signal),
    });
  }

  async *#watch(current: boolean, signal: AbortSignal) {
    type Event = Draft<(typeof v1.WatchResponse)['prototype']>;
    const queue: Event[] = [];
    let wake = (): void => undefined;
    let number = this.calls.length;
    const push = (event: Event): void => {
      queue.push({ ...event, resumeToken: String(++number) });
      wake();
    };
    if (current) {
      for (const virtualNode of this.nodes.values())
        push({ type: EventType.EVENT_TYPE_CURRENT, resource: { virtualNode } });
      for (const virtualLink of this.links.values())
        push({ type: EventType.EVENT_TYPE_CURRENT, resource: { virtualLink } });
      push({ type: EventType.EVENT_TYPE_SYNCED });
    }
    const watcher = (resource: Draft<(typeof v1.Resource)['prototype']>, gone: boolean): void =>
      push({ type: gone ? EventType.EVENT_TYPE_DELETED : EventType.EVENT_TYPE_CHANGED, resource });
    this.#watchers.add(watcher);
    try {
      while (!signal.aborted) {
        const next = queue.shift();
        if (next) yield next;
        else {
          await new Promise<void>((done) => {
            wake = done;
            signal.addEventListener('abort', () => done(), { once: true });
          });
        }
      }
    } finally {
      this.#watchers.delete(watcher);
    }
  }
}

export type { Resource };
