/** What every node of ours is to contain, by where it comes from: the cost of a change follows the change. Pure. */
import { messageType } from '../../api/message.js';
import { type ResourceDraft, v1 } from '../../api/node.js';
import { type Items } from './items.js';

const resourceType = messageType(v1.Resource);

interface Part {
  readonly resources: readonly ResourceDraft[];
  readonly bytes: Buffer;
}

export class Contents {
  readonly #byNode = new Map<string, Map<string, Part>>();
  readonly #bySource = new Map<string, ReadonlySet<string>>();

  /** Replaces what comes from there. Gives the nodes whose contents differ. */
  set(source: string, items: Items): string[] {
    const changed: string[] = [];
    const before = this.#bySource.get(source) ?? new Set<string>();
    for (const [node, resources] of items) {
      const parts = this.#byNode.get(node) ?? new Map<string, Part>();
      this.#byNode.set(node, parts);
      const bytes = Buffer.concat(resources.map((resource) => resourceType.encode(resource)));
      if (parts.get(source)?.bytes.equals(bytes) === true) continue;
      parts.set(source, { resources, bytes });
      changed.push(node);
    }
    for (const node of before) {
      if (items.has(node)) continue;
      this.#byNode.get(node)?.delete(source);
      changed.push(node);
    }
    if (items.size > 0) this.#bySource.set(source, new Set(items.keys()));
    else this.#bySource.delete(source);
    return changed;
  }

  of(node: string): ResourceDraft[] {
    return [...(this.#byNode.get(node)?.values() ?? [])].flatMap(({ resources }) => resources);
  }

  nodes(): readonly string[] {
    return [...this.#byNode.keys()];
  }

  sources(): readonly string[] {
    return [...this.#bySource.keys()];
  }
}
