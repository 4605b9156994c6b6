/**
 * Who wants what on which machine, collected while a world is planned, and the order in which owners can be applied:
 * whoever owns a virtual node's vifs before the node's tenant.
 */
import { WorldError } from '../errors.js';
import { type Resource } from '../messages.js';

/** All that one owner wants on one machine: one Apply stream. */
export interface Intent {
  readonly owner: string;
  readonly resources: readonly Resource[];
}

interface Holding {
  readonly resources: Resource[];
  readonly above: Set<string>;
}

export class Intents {
  readonly #machines = new Map<string, Map<string, Holding>>();

  #holding(machine: string, owner: string): Holding {
    let owners = this.#machines.get(machine);
    if (!owners) this.#machines.set(machine, (owners = new Map<string, Holding>()));
    let holding = owners.get(owner);
    if (!holding) owners.set(owner, (holding = { resources: [], above: new Set() }));
    return holding;
  }

  add(machine: string, owner: string, ...resources: readonly Resource[]): void {
    this.#holding(machine, owner).resources.push(...resources);
  }

  /** `tenant` stands on what `owner` makes. */
  lease(machine: string, owner: string, tenant: string): void {
    if (owner !== tenant) this.#holding(machine, owner).above.add(tenant);
  }

  /** In the order of application. Throws WorldError where owners stand on one another in a circle. */
  of(machine: string): readonly Intent[] {
    const owners = this.#machines.get(machine) ?? new Map<string, Holding>();
    const waiting = new Map([...owners.keys()].map((owner) => [owner, 0]));
    const count = (owner: string, by: number): void => {
      if (waiting.has(owner)) waiting.set(owner, (waiting.get(owner) ?? 0) + by);
    };
    for (const holding of owners.values()) for (const above of holding.above) count(above, 1);
    const order: Intent[] = [];
    while (waiting.size > 0) {
      const [next] = [...waiting].find(([, below]) => below === 0) ?? [];
      if (next === undefined) {
        const names = [...waiting.keys()].join(', ');
        throw new WorldError(
          'OWNER',
          `on ${machine}, ${names} lease from one another in a circle: no order to apply them`,
        );
      }
      waiting.delete(next);
      const holding = owners.get(next);
      if (!holding) continue;
      for (const above of holding.above) count(above, -1);
      if (holding.resources.length > 0) order.push({ owner: next, resources: holding.resources });
    }
    return order;
  }
}
