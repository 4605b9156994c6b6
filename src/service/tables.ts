/** The contents of all nodes: follows the layout in force and the static routes, and says whose contents are others now. */
import { type Layout, NOTHING, type NodeLayout } from './layout.js';
import { Contents } from './contents.js';
import { idOf, type ServiceState } from './model.js';
import { keyOf } from './admit.js';
import { nodeOfRoute } from './kinds.js';
import { Router, type RouterCost, type RouterLink } from './router.js';
import { type StaticRoute } from './routes.js';
import { type NodeStatics, type StaticRoutes } from './static-routes.js';

interface Known {
  readonly layout: NodeLayout;
  readonly many: NodeStatics;
  /** Static routes that are resources, by destination. */
  readonly few: ReadonlyMap<string, StaticRoute>;
}

export class Tables {
  readonly #router = new Router();
  #layout: Layout = NOTHING;
  readonly #known = new Map<string, Known>();
  readonly #contents = new Map<string, Contents>();
  #cost: RouterCost = { touched: 0, rebuilt: false };

  /** Of the last `follow`. */
  get cost(): RouterCost {
    return this.#cost;
  }

  nodes(): IterableIterator<string> {
    return this.#layout.nodes.keys();
  }

  of(node: string): Contents | undefined {
    return this.#contents.get(node);
  }

  /** Brings everything up to date; gives the nodes whose contents may be others now. */
  follow(layout: Layout, state: ServiceState, statics: StaticRoutes): ReadonlySet<string> {
    const before = this.#layout;
    this.#layout = layout;
    const few = fewByNode(state);
    const dirty = new Set<string>();
    this.#followLinks(before, layout);
    for (const [node, old] of this.#known) {
      if (layout.nodes.has(node)) continue;
      for (const destination of destinationsOf(old)) this.#router.detach(node, destination);
      this.#router.removeNode(node);
      this.#known.delete(node);
      this.#contents.delete(node);
    }
    for (const [node, now] of layout.nodes) {
      this.#router.addNode(node);
      const known: Known = {
        layout: now,
        many: statics.of(`nodes/${node}`),
        few: few.get(node) ?? new Map(),
      };
      const old = this.#known.get(node);
      if (old && layout.vn === before.vn && sameKnown(old, known)) continue;
      this.#attach(node, old, known);
      this.#known.set(node, known);
      dirty.add(node);
    }
    const { changed, cost } = this.#router.update();
    this.#cost = cost;
    for (const node of changed) if (layout.nodes.has(node)) dirty.add(node);
    for (const node of dirty) {
      const known = this.#known.get(node);
      if (!known) continue;
      // a copy: contents that are on their way stay what their digest says
      const table = new Map(this.#router.table(node));
      this.#contents.set(node, new Contents(layout.vn, node, known.layout, known.few, known.many, table));
    }
    return dirty;
  }

  #followLinks(before: Layout, layout: Layout): void {
    for (const name of before.links.keys()) if (!layout.links.has(name)) this.#router.removeLink(name);
    for (const [name, link] of layout.links) {
      const old = before.links.get(name);
      if (!old || !sameLink(old, link)) this.#router.setLink(link);
    }
  }

  #attach(node: string, old: Known | undefined, now: Known): void {
    // what both have stays: attachments are counted
    for (const destination of destinationsOf(now, old)) this.#router.attach(node, destination);
    if (old) for (const destination of destinationsOf(old, now)) this.#router.detach(node, destination);
  }
}

/** Of the subnets and announced routes; with `unless`, parts that are the same object there are left out. */
function* destinationsOf(known: Known, unless?: Known): Generator<string, void> {
  yield* known.layout.connected;
  for (const { announce, destination } of known.few.values()) if (announce) yield destination;
  if (known.many === unless?.many) return;
  for (const { announce, destination } of known.many.routes.values()) if (announce) yield destination;
}

function sameKnown(a: Known, b: Known): boolean {
  return a.many === b.many && textOf(a) === textOf(b);
}

function textOf({ layout, few }: Known): string {
  return JSON.stringify([layout.kernel, [...layout.vifs], [...few]]);
}

function sameLink(a: RouterLink, b: RouterLink): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function fewByNode(state: ServiceState): Map<string, Map<string, StaticRoute>> {
  const byNode = new Map<string, Map<string, StaticRoute>>();
  for (const { name, destination, type, nextHops, announce } of state.all('route')) {
    const node = idOf(nodeOfRoute(name));
    let few = byNode.get(node);
    if (!few) byNode.set(node, (few = new Map<string, StaticRoute>()));
    const key = keyOf(destination);
    few.set(key, { destination: key, type, hops: nextHops, announce });
  }
  return byNode;
}
