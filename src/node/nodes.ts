/**
 * The machine's virtual nodes: each a network namespace, an id of the data plane, a mirror of the one in the
 * other, and what its tenant put into it.
 */
import { netnsPath } from '../../native/lib/index.js';
import { type DataPlane } from '../dataplane/index.js';
import { Contents } from './contents.js';
import { Mirror } from './mirror.js';
import { type NodeIntent } from './model.js';
import { writeNode } from './names.js';
import { ensureNamespace, removeNamespace } from './namespace.js';
import { NetState } from './net-state.js';
import { type Registry } from './registry.js';

export interface VirtualNode {
  readonly name: string;
  readonly id: number;
  /** Under /run/netns. */
  readonly namespace: string;
  readonly net: NetState;
  readonly mirror: Mirror;
  readonly contents: Contents;
  intent: NodeIntent;
  owner: string;
}

export interface NodesOptions {
  readonly plane: DataPlane;
  readonly registry: Registry;
  readonly netnsPrefix: string;
  readonly linkChanged: (node: string, device: string) => void;
  readonly neighbourChanged: (node: string, device: string, address: string) => void;
  readonly failed: (error: unknown) => void;
}

export class VirtualNodes {
  readonly #options: NodesOptions;
  readonly #live = new Map<string, VirtualNode>();
  readonly #byId = new Map<number, VirtualNode>();

  constructor(options: NodesOptions) {
    this.#options = options;
  }

  get(name: string): VirtualNode | undefined {
    return this.#live.get(name);
  }

  byId(id: number): VirtualNode | undefined {
    return this.#byId.get(id);
  }

  get all(): IterableIterator<VirtualNode> {
    return this.#live.values();
  }

  namespaceOf(intent: NodeIntent): string {
    return `${this.#options.netnsPrefix}${intent.vn}.${intent.node}`;
  }

  /** Takes over an earlier agent's record: its tables stay what they are until its mirror is started. */
  async adopt(intent: NodeIntent, owner: string, id: number): Promise<void> {
    await this.#ensure(intent, owner, id);
  }

  /** There, with its namespace. */
  async ensure(intent: NodeIntent, owner: string): Promise<void> {
    const node = await this.#ensure(intent, owner, undefined);
    await node.mirror.start();
  }

  async #ensure(intent: NodeIntent, owner: string, id: number | undefined): Promise<VirtualNode> {
    const { plane } = this.#options;
    let node = this.#live.get(intent.name);
    await ensureNamespace(this.namespaceOf(intent));
    if (!node) {
      node = await this.#open(intent, owner, id ?? plane.allocate('node'));
      this.#live.set(intent.name, node);
      this.#byId.set(node.id, node);
    }
    node.intent = intent;
    node.owner = owner;
    writeNode(plane, node.id, owner, intent);
    await node.mirror.setLimits(intent.limits);
    await node.mirror.followKernel(intent.routeSource === 'kernel');
    return node;
  }

  /** No vif is in it any more. */
  async remove(name: string): Promise<void> {
    const node = this.#live.get(name);
    if (!node) return;
    const { plane } = this.#options;
    this.#live.delete(name);
    this.#byId.delete(node.id);
    await node.mirror.clear();
    node.mirror.close();
    node.net.close();
    plane.release('node', node.id);
    await removeNamespace(node.namespace);
  }

  close(): void {
    for (const node of this.#live.values()) {
      node.mirror.close();
      node.net.close();
    }
  }

  async #open(intent: NodeIntent, owner: string, id: number): Promise<VirtualNode> {
    const { plane, failed, linkChanged, neighbourChanged } = this.#options;
    const namespace = this.namespaceOf(intent);
    const net = await NetState.open({ netns: netnsPath(namespace), failed });
    const { name } = intent;
    const mirror = new Mirror({
      plane,
      node: id,
      net,
      failed,
      linkChanged: (device) => linkChanged(name, device),
      neighbourChanged: (device, address) => neighbourChanged(name, device, address),
    });
    const contents = new Contents({ node: name, net, mirror });
    return { name, id, namespace, net, mirror, contents, intent, owner };
  }
}
