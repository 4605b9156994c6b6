/** Whose share of the processors a virtual node's share is one of. */
import { type NodeIntent } from './model.js';
import { type Registry } from './registry.js';

/**
 * The nearest node with a share among those that carry a node's vifs. Of one that is carried by none, or not yet: a node
 * that was leased to its owner, so that nothing which is made over a lease is outside of it.
 */
export function shareBelow(registry: Registry, node: string): NodeIntent | undefined {
  const seen = new Set([node]);
  const queue = [node];
  for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
    for (const vif of [...registry.vifsOf(name)].toSorted()) {
      for (const { below } of registry.vif(vif)?.intent.paths ?? []) {
        const carrier = below.kind === 'vif' ? registry.vif(below.name)?.intent.node : undefined;
        if (carrier === undefined || seen.has(carrier)) continue;
        seen.add(carrier);
        queue.push(carrier);
        const intent = registry.node(carrier)?.intent;
        if (intent && intent.cpuShare > 0) return intent;
      }
    }
  }
  return leasedTo(registry, node);
}

/** The first by name, where there are several. A tenant's tenants make nodes, but lease to nobody: there is no circle. */
function leasedTo(registry: Registry, node: string): NodeIntent | undefined {
  const [lessee] = registry.node(node)?.owner.split('.') ?? [];
  let first: NodeIntent | undefined;
  for (const { owner, intent } of registry.nodes) {
    if (intent.tenant !== lessee || intent.cpuShare === 0 || owner === lessee || owner.includes('.'))
      continue;
    if (!first || intent.name < first.name) first = intent;
  }
  return first;
}
