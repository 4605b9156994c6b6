/**
 * Names on machines. A customer calls its nodes `vns/VN/nodes/NODE`; at the agent that is `vns/CUSTOMER/…` where VN is the
 * customer's own name, and `vns/CUSTOMER_VN/…` otherwise. Customers have no `_` in their names, so the first `_` splits,
 * and no two customers ever meet. The same for owners: what a customer applies is CUSTOMER's, on behalf of its tenant T
 * it is CUSTOMER.T's. Pure, and both ways.
 */
import { ApiError } from '../api/errors.js';
import { type Path, type Resource } from '../api/node.js';

/** Of the agent's names: VN and NODE, and of owners. */
export const LONGEST_VN = 31;
export const LONGEST_OWNER = 63;

/** The agent's VN for a customer's VN. It may be too long: see {@link LONGEST_VN}. */
export function vnDown(customer: string, vn: string): string {
  return vn === customer ? customer : `${customer}_${vn}`;
}

/** The customer's VN for the agent's, or undefined where it is not this customer's. */
export function vnUp(customer: string, vn: string): string | undefined {
  if (vn === customer) return customer;
  const own = vn.startsWith(`${customer}_`) ? vn.slice(customer.length + 1) : '';
  // what would have been called otherwise on the way down is no name of ours
  return own === '' || own === customer ? undefined : own;
}

/** A name that begins with `vns/VN/`, of a node, a vif or a vif's path; others as they are. */
export function nameDown(customer: string, name: string): string {
  return name.replace(/^vns\/([^/]*)(?=\/)/, (_, vn: string) => `vns/${vnDown(customer, vn)}`);
}

export function nameUp(customer: string, name: string): string {
  return name.replace(/^vns\/([^/]*)(?=\/)/, (whole, vn: string) => {
    const own = vnUp(customer, vn);
    return own === undefined ? whole : `vns/${own}`;
  });
}

/** `tenant`: as the customer calls it; empty or the customer's own name: the customer itself. */
export function ownerDown(customer: string, tenant: string): string {
  return tenant === '' || tenant === customer ? customer : `${customer}.${tenant}`;
}

export function ownerUp(customer: string, owner: string): string {
  return owner.startsWith(`${customer}.`) ? owner.slice(customer.length + 1) : owner;
}

/** A resource of a customer's content with every name in it as the agent has it. */
export function resourceDown(customer: string, resource: Resource): Resource {
  return mapped(
    resource,
    (name) => nameDown(customer, name),
    (tenant) => ownerDown(customer, tenant),
  );
}

export function resourceUp(customer: string, resource: Resource): Resource {
  return mapped(
    resource,
    (name) => nameUp(customer, name),
    (owner) => ownerUp(customer, owner),
  );
}

type Map = (name: string) => string;

function mapped(resource: Resource, name: Map, owner: Map): Resource {
  const { virtualNode, vif, label, address, route } = resource;
  if (virtualNode)
    return {
      kind: 'virtualNode',
      virtualNode: { ...virtualNode, name: name(virtualNode.name), tenant: owner(virtualNode.tenant) },
    };
  if (vif) {
    const { link } = vif;
    const renamed = { ...vif, name: name(vif.name) };
    if (!link) return { kind: 'vif', vif: renamed };
    const paths = link.paths.map((path) => watched(below(path, name), name));
    return { kind: 'vif', vif: { ...renamed, attachment: 'link', link: { ...link, paths } } as typeof vif };
  }
  if (label) {
    const context = below(label, name);
    if (label.deliver !== undefined)
      return {
        kind: 'label',
        label: { ...context, action: 'deliver', deliver: name(label.deliver) } as typeof label,
      };
    if (label.swap)
      return {
        kind: 'label',
        label: { ...context, action: 'swap', swap: below(label.swap, name) } as typeof label,
      };
    return { kind: 'label', label: context };
  }
  if (address) return { kind: 'address', address: { ...address, vif: name(address.vif) } };
  if (route) {
    const nextHops = route.nextHops.map((hop) => ({ ...hop, vif: name(hop.vif) }));
    return { kind: 'route', route: { ...route, node: name(route.node), nextHops } };
  }
  return resource;
}

function below<T extends { readonly vif?: string | undefined }>(path: T, name: Map): T {
  return path.vif === undefined ? path : { ...path, vif: name(path.vif) };
}

/** What watches a path may hear by another vif than the path leaves by. */
function watched(path: Path, name: Map): Path {
  return path.liveness ? { ...path, liveness: below(path.liveness, name) } : path;
}

/** An agent's error as the customer is to read it: its own names, the same field. */
export function errorUp(customer: string, error: ApiError): ApiError {
  const message = error.message.replace(/\bvns\/[A-Za-z0-9_-]+(?=\/)/g, (vns) =>
    nameUp(customer, `${vns}/`).slice(0, -1),
  );
  return new ApiError(error.status, {
    reason: error.reason,
    operation: error.operation,
    field: error.field === undefined ? undefined : nameUp(customer, error.field),
    // the name of a tunnel or a wire tells where it leads
    message: message
      .replace(/\btunnels\/[A-Za-z0-9_.-]*[A-Za-z0-9]/g, 'the tunnel')
      .replace(/\bwires\/[A-Za-z0-9_.-]*[A-Za-z0-9]/g, 'the wire'),
    cause: error,
  });
}
