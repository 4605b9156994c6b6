/**
 * What a customer may say in a leased node: names of that node and of virtual nodes made over it, ports leased with it,
 * as much as its share has. The rest of what could be wrong, the machine's agent knows best.
 */
import {
  type ApiError,
  failedPrecondition,
  invalidArgument,
  permissionDenied,
  resourceExhausted,
} from '../api/errors.js';
import { NAME_RULES, nodeOfVif, parseVirtualNodeName } from '../api/names.js';
import { type Resource } from '../api/node.js';
import { type NodeShare } from '../api/types.js';
import { type ContentFacts, type ContentStore, type MadeNode } from './content-store.js';
import { type Bodies } from './kinds.js';
import { vifsOf } from './machine-intent.js';
import { LONGEST_OWNER, LONGEST_VN, nameDown, ownerDown, resourceDown, vnDown } from './rename.js';
import { type Count, shareOf } from './shares.js';
import { exceededBy, limitsOver, usedBy } from './sold.js';

/** A tenant, as its customer calls it. */
const TENANT = /^[a-z][a-z0-9-]{0,19}$/;

export interface ContentScope {
  readonly customer: string;
  readonly lease: Bodies['virtualNode'];
  /** Of this node's other contents: virtual nodes that may be named here too. The agent's names. */
  readonly others: readonly string[];
  /** Of the share, by this node's other contents. */
  readonly used: NodeShare;
}

function inUse(text: string, { name }: Bodies['virtualNode']): ApiError {
  return failedPrecondition({
    reason: 'IN_USE',
    field: 'name',
    message: `${text} in ${name} by what was applied to it; apply less first.`,
  });
}

/** Whether what is in a node still has room when it is leased like this. @throws ApiError IN_USE */
export function checkUse(contents: Pick<ContentStore, 'headsOf'>, node: Bodies['virtualNode']): void {
  const all = contents.headsOf(node.name).map(({ facts }) => facts);
  for (const facts of all) checkPorts(facts, node);
  const used = usedBy(all);
  const count = exceededBy(used, node.share);
  if (count) throw inUse(`${used[count]} ${count} are in use`, node);
}

/** @throws ApiError IN_USE */
export function checkPorts({ ports }: ContentFacts, node: Bodies['virtualNode']): void {
  const port = ports.find((one) => !node.ports.includes(one));
  if (port !== undefined) throw inUse(`Port ${port} is in use`, node);
}

/** @throws ApiError TENANT_NAME */
export function checkTenant(customer: string, tenant: string, field: string): string {
  const owner = ownerDown(customer, tenant);
  if ((tenant === '' || TENANT.test(tenant)) && owner.length <= LONGEST_OWNER) return owner;
  throw invalidArgument({
    reason: 'TENANT_NAME',
    field,
    message: `${field} must be 1 to 20 characters of [a-z0-9-], beginning with a letter.`,
  });
}

/** Checks resources as they come, renames them, and keeps count. */
export class ContentCheck {
  readonly #scope: ContentScope;
  readonly #leased: string;
  readonly #ports: ReadonlySet<string>;
  /** Nodes named before it was known whether they are made here, and where. */
  readonly #named = new Map<string, string>();
  readonly #nodes = new Map<string, MadeNode>();
  readonly #vifs: { name: string; below: readonly string[] }[] = [];
  readonly #used = new Set<string>();
  readonly #taken = new Set<string>();
  #routes = 0;
  #ownRoutes = 0;
  #labels = 0;
  /** Of the share, by all contents so far. */
  #sum: NodeShare;

  constructor(scope: ContentScope) {
    this.#scope = scope;
    this.#leased = nameDown(scope.customer, scope.lease.node);
    this.#ports = new Set(scope.lease.ports);
    this.#sum = scope.used;
  }

  /** As the agent is to have it. @throws ApiError */
  add(resource: Resource, index: number): Resource {
    const field = `resources[${index}]`;
    const kind: string = resource.kind ?? '';
    if (kind === 'virtualNode' && resource.virtualNode)
      this.#checkNode(resource.virtualNode, `${field}.virtual_node`);
    else if (kind === 'vif' || kind === 'label' || kind === 'address' || kind === 'route')
      this.#checkNames(resource, kind, field);
    else
      throw denied(
        'NOT_YOURS',
        field,
        `${kind === '' ? 'This' : `A ${kind}`} is no content of a virtual node; there are nodes, vifs, labels, addresses and routes.`,
      );
    const down = this.#limited(resourceDown(this.#scope.customer, resource), field);
    this.#count(down, field);
    return down;
  }

  /** All of it has been added. @throws ApiError NOT_YOURS for what turned out to be nobody's */
  end(): ContentFacts {
    const there = new Set([this.#leased, ...this.#scope.others, ...this.#nodes.keys()]);
    for (const [node, field] of this.#named)
      if (!there.has(node))
        throw denied(
          'NOT_YOURS',
          field,
          `It names a virtual node that is neither ${this.#scope.lease.node}, which is leased, nor made over it.`,
        );
    return {
      nodes: [...this.#nodes.values()],
      vifs: this.#vifs,
      ports: [...this.#taken],
      uses: [...this.#used],
      routes: this.#routes,
      ownRoutes: this.#ownRoutes,
      labels: this.#labels,
    };
  }

  #checkNode(node: NonNullable<Resource['virtualNode']>, field: string): void {
    const { customer } = this.#scope;
    const parsed = parseVirtualNodeName(node.name);
    if (!parsed)
      throw wrong('NODE_NAME', `${field}.name`, `${field}.name must be ${NAME_RULES.virtualNode}.`);
    const vn = vnDown(customer, parsed.vn);
    if (vn.length > LONGEST_VN)
      throw wrong(
        'NODE_NAME',
        `${field}.name`,
        `On the machine ${parsed.vn} becomes ${vn}, longer than ${LONGEST_VN} characters; VN may have ${LONGEST_VN - customer.length - 1}.`,
      );
    const tenant = checkTenant(customer, node.tenant, `${field}.tenant`);
    const name = nameDown(customer, node.name);
    if (name === this.#leased)
      throw denied(
        'NOT_YOURS',
        `${field}.name`,
        `${node.name} is the leased node itself, which is made by its provider.`,
      );
    this.#nodes.set(name, { name, tenant });
  }

  /** A virtual node has limits, its own or others, and all of them together are of the share. */
  #limited(resource: Resource, field: string): Resource {
    const { virtualNode } = resource;
    if (!virtualNode) return resource;
    const limits = limitsOver(virtualNode.limits, this.#scope.lease.share);
    const { name, tenant } = virtualNode;
    const { routes, neighbours } = limits;
    this.#nodes.set(name, { name, tenant, routes, neighbours });
    this.#take('routes', routes, `${field}.virtual_node.limits.routes`);
    this.#take('neighbours', neighbours, `${field}.virtual_node.limits.neighbours`);
    return { kind: 'virtualNode', virtualNode: { ...virtualNode, limits } };
  }

  #checkNames(resource: Resource, kind: string, field: string): void {
    const { customer } = this.#scope;
    const names = [...vifsOf(resource)].map((vif) => ({ vif, node: nodeOfVif(vif) }));
    if (resource.route) names.push({ vif: resource.route.node, node: resource.route.node });
    const { vif, label } = resource;
    const paths = vif?.link?.paths ?? [];
    for (const path of [
      ...paths,
      ...paths.flatMap(({ liveness }) => liveness ?? []),
      ...(label ? [label] : []),
      ...(label?.swap ? [label.swap] : []),
    ])
      if (path.tunnel !== undefined || path.wire !== undefined)
        throw denied(
          'NOT_YOURS',
          `${field}.${kind}`,
          'Tunnels and wires are the provider’s own; give a vif of the leased node.',
        );
    for (const { vif: name, node } of names) {
      if (node === undefined || !parseVirtualNodeName(node))
        throw wrong(
          'VIF_NAME',
          `${field}.${kind}`,
          `${JSON.stringify(name.slice(0, 80))} is no name here; it is ${NAME_RULES.vif}.`,
        );
      const down = nameDown(customer, node);
      if (!this.#named.has(down)) this.#named.set(down, `${field}.${kind}`);
    }
    const { port } = vif ?? {};
    if (port && !this.#ports.has(port.interface))
      throw denied(
        'PORT_NOT_LEASED',
        `${field}.vif.port.interface`,
        `${JSON.stringify(port.interface.slice(0, 20))} is not leased with this node; it has ${[...this.#ports].join(', ') || 'no ports'}.`,
      );
    if (port) this.#taken.add(port.interface);
  }

  #count(resource: Resource, field: string): void {
    for (const name of vifsOf(resource)) this.#used.add(name);
    if (resource.vif) {
      const below = (resource.vif.link?.paths ?? []).flatMap(({ vif }) => vif ?? []);
      this.#vifs.push({ name: resource.vif.name, below });
      this.#used.delete(resource.vif.name);
      this.#take('vifs', 1, `${field}.vif`);
    }
    if (resource.label) {
      this.#labels++;
      this.#take('labels', 1, `${field}.label`);
    }
    if (!resource.route) return;
    this.#routes++;
    // of a node over the leased one: its own limit is the agent's to hold; a stream without end is none
    const { share } = this.#scope.lease;
    if (this.#routes > shareOf(share).routes) throw shareExceeded('routes', share, `${field}.route`);
    if (resource.route.node !== this.#leased) return;
    this.#ownRoutes++;
    this.#take('routes', 1, `${field}.route`);
  }

  #take(count: Count, number: number, field: string): void {
    const { share } = this.#scope.lease;
    this.#sum = { ...this.#sum, [count]: this.#sum[count] + number };
    if (this.#sum[count] > shareOf(share)[count]) throw shareExceeded(count, share, field);
  }
}

/** All contents of a node together, with the limits of the virtual nodes that they make, are more than it was leased with. */
export function shareExceeded(count: Count, share: NodeShare | undefined, field: string): ApiError {
  return resourceExhausted({
    reason: 'SHARE_EXCEEDED',
    field,
    message: `More than ${shareOf(share)[count]} ${count}, which is what this node has leased for itself and, by their limits, the virtual nodes over it; lease a larger share, or limit those to less.`,
  });
}

function wrong(reason: string, field: string, message: string): ApiError {
  return invalidArgument({ reason, field, message });
}

function denied(reason: string, field: string, message: string): ApiError {
  return permissionDenied({ reason, field, message });
}
