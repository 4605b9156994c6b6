/** Routes by shortest paths: against every path there is, and after random changes against a router that begins anew. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { Router, type RouterLink } from '../../src/service/router.js';

interface Spec {
  readonly nodes: number;
  readonly links: readonly {
    readonly a: number;
    readonly b: number;
    readonly metric: number;
    readonly up: boolean;
  }[];
  /** Node and number of the subnet. */
  readonly subnets: readonly (readonly [number, number])[];
}

const nodeName = (i: number): string => `n${String(i).padStart(2, '0')}`;
const destinationOf = (i: number): string => (i % 2 === 0 ? `10.0.${i}.0/24` : `fd00:0:0:${i}::/64`);

function linkOf(i: number, { a, b, metric, up }: Spec['links'][number], twist = 0): RouterLink {
  const end = (node: number, side: number): RouterLink['ends'][0] => ({
    node: nodeName(node),
    vif: `l${i}`,
    ipv4: `10.255.${i}.${side + 2 * twist}`,
    ipv6: `fd00:ff::${i}:${side + 2 * twist}`,
  });
  return { name: `l${String(i).padStart(2, '0')}`, ends: [end(a, 0), end(b, 1)], metric, up };
}

function build(spec: Spec): Router {
  const router = new Router();
  for (let i = 0; i < spec.nodes; i++) router.addNode(nodeName(i));
  for (const [i, link] of spec.links.entries()) router.setLink(linkOf(i, link));
  for (const [node, subnet] of spec.subnets) router.attach(nodeName(node), destinationOf(subnet));
  router.update();
  return router;
}

/** All tables as text. */
function shown(router: Router, nodes: Iterable<string>): Record<string, string[]> {
  return Object.fromEntries(
    [...nodes].map((node) => [
      node,
      [...router.table(node)]
        .map(
          ([to, { distance, hops }]) =>
            `${to} ${distance} ${hops.map((hop) => `${hop.gateway}@${hop.vif}`).join(' ')}`,
        )
        .sort(),
    ]),
  );
}

/** By relaxing every link until nothing changes: Bellman, Ford. */
function distances(spec: Spec, targets: ReadonlySet<number>): number[] {
  const distance = Array.from({ length: spec.nodes }, (_, i) => (targets.has(i) ? 0 : Infinity));
  for (let round = 0; round < spec.nodes; round++) {
    for (const { a, b, metric, up } of spec.links) {
      if (!up) continue;
      distance[a] = Math.min(distance[a]!, distance[b]! + metric);
      distance[b] = Math.min(distance[b]!, distance[a] + metric);
    }
  }
  return distance;
}

function expected(spec: Spec): Record<string, string[]> {
  const tables: Record<string, string[]> = {};
  for (let node = 0; node < spec.nodes; node++) {
    const rows: string[] = [];
    for (const subnet of new Set(spec.subnets.map(([, one]) => one))) {
      const targets = new Set(spec.subnets.filter(([, one]) => one === subnet).map(([at]) => at));
      const distance = distances(spec, targets);
      const here = distance[node]!;
      if (targets.has(node) || here === Infinity) continue;
      const hops = spec.links.flatMap((link, i) => {
        const [near, far] = link.a === node ? [0, 1] : [1, 0];
        if (!link.up || (link.a !== node && link.b !== node)) return [];
        if (distance[near === 0 ? link.b : link.a]! + link.metric !== here) return [];
        const end = linkOf(i, link).ends[far as 0 | 1];
        return [`${subnet % 2 === 0 ? end.ipv4 : end.ipv6}@l${i}`];
      });
      rows.push(`${destinationOf(subnet)} ${here} ${hops.slice(0, 8).join(' ')}`);
    }
    tables[nodeName(node)] = rows.sort();
  }
  return tables;
}

const specs: fc.Arbitrary<Spec> = fc.integer({ min: 1, max: 9 }).chain((nodes) => {
  const node = fc.integer({ min: 0, max: nodes - 1 });
  const link = fc
    .record({ a: node, b: node, metric: fc.integer({ min: 1, max: 4 }), up: fc.boolean() })
    .filter(({ a, b }) => a !== b);
  return fc.record({
    nodes: fc.constant(nodes),
    links: nodes === 1 ? fc.constant([]) : fc.array(link, { maxLength: 24 }),
    subnets: fc.array(fc.tuple(node, fc.integer({ min: 0, max: 7 })), { maxLength: 12 }),
  });
});

describe('from scratch', () => {
  test('every table is what relaxing every link gives', () => {
    fc.assert(
      fc.property(specs, (spec) => {
        expect(shown(build(spec), Object.keys(expected(spec)))).toEqual(expected(spec));
      }),
      { numRuns: 1500 },
    );
  });

  test('following the tables from any node arrives, by any of the ways', () => {
    fc.assert(
      fc.property(specs, (spec) => {
        const router = build(spec);
        for (let start = 0; start < spec.nodes; start++) {
          for (const [to, { distance }] of router.table(nodeName(start))) {
            const walk = (node: string, left: number): void => {
              if (router.isAttached(node, to)) {
                expect(left).toBe(0);
                return;
              }
              const route = router.table(node).get(to);
              expect(route?.distance).toBe(left);
              for (const { vif } of route?.hops ?? []) {
                const i = Number(vif.slice(1));
                const { a, b, metric } = spec.links[i]!;
                walk(nodeName(nodeName(a) === node ? b : a), left - metric);
              }
            };
            walk(nodeName(start), distance);
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  test('more than eight equal ways: eight are taken', () => {
    const links = Array.from({ length: 11 }, () => ({ a: 0, b: 1, metric: 1, up: true }));
    const router = build({ nodes: 2, links, subnets: [[1, 0]] });
    expect(router.table('n00').get('10.0.0.0/24')?.hops).toHaveLength(8);
  });
});

type Step =
  | {
      readonly kind: 'link';
      readonly link: number;
      readonly metric: number;
      readonly up: boolean;
      readonly twist: number;
    }
  | { readonly kind: 'move'; readonly link: number; readonly a: number; readonly b: number }
  | { readonly kind: 'cut'; readonly link: number }
  | { readonly kind: 'attach'; readonly node: number; readonly subnet: number }
  | { readonly kind: 'detach'; readonly node: number; readonly subnet: number }
  | { readonly kind: 'leave'; readonly node: number }
  | { readonly kind: 'join'; readonly node: number };

const small = fc.integer({ min: 0, max: 5 });
const steps: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant('link' as const),
    link: small,
    metric: fc.integer({ min: 1, max: 4 }),
    up: fc.boolean(),
    twist: fc.integer({ min: 0, max: 1 }),
  }),
  fc.record({ kind: fc.constant('move' as const), link: small, a: small, b: small }),
  fc.record({ kind: fc.constant('cut' as const), link: small }),
  fc.record({ kind: fc.constant('attach' as const), node: small, subnet: small }),
  fc.record({ kind: fc.constant('detach' as const), node: small, subnet: small }),
  fc.record({ kind: fc.constant('leave' as const), node: small }),
  fc.record({ kind: fc.constant('join' as const), node: small }),
);

/** A network that remembers itself, so that a new router can be made of it at any time. */
class Model {
  readonly nodes = new Set<string>();
  readonly links = new Map<string, RouterLink>();
  readonly subnets: [string, string][] = [];

  fresh(): Router {
    const router = new Router();
    for (const node of this.nodes) router.addNode(node);
    for (const link of this.links.values()) router.setLink(link);
    for (const [node, subnet] of this.subnets) router.attach(node, subnet);
    router.update();
    return router;
  }

  step(router: Router, step: Step): void {
    if (step.kind === 'join') {
      this.nodes.add(nodeName(step.node));
      router.addNode(nodeName(step.node));
    } else if (step.kind === 'leave') {
      const node = nodeName(step.node);
      for (const [name, { ends }] of this.links)
        if (ends.some((end) => end.node === node)) this.cut(router, name);
      for (const [i, [at, subnet]] of [...this.subnets.entries()].toReversed()) {
        if (at !== node) continue;
        this.subnets.splice(i, 1);
        router.detach(at, subnet);
      }
      this.nodes.delete(node);
      router.removeNode(node);
    } else if (step.kind === 'cut') this.cut(router, `l0${step.link}`);
    else if (step.kind === 'attach') {
      if (!this.nodes.has(nodeName(step.node))) return;
      this.subnets.push([nodeName(step.node), destinationOf(step.subnet)]);
      router.attach(nodeName(step.node), destinationOf(step.subnet));
    } else if (step.kind === 'link' || step.kind === 'move') this.link(router, step);
    else {
      const at = this.subnets.findIndex(
        ([node, subnet]) => node === nodeName(step.node) && subnet === destinationOf(step.subnet),
      );
      if (at < 0) return;
      this.subnets.splice(at, 1);
      router.detach(nodeName(step.node), destinationOf(step.subnet));
    }
  }

  cut(router: Router, name: string): void {
    if (this.links.delete(name)) router.removeLink(name);
  }

  link(router: Router, step: Extract<Step, { readonly kind: 'link' | 'move' }>): void {
    const old = this.links.get(`l0${step.link}`);
    const index = (i: 0 | 1): number => Number(old?.ends[i].node.slice(1) ?? i);
    const [a, b] = step.kind === 'move' ? [step.a, step.b] : [index(0), index(1)];
    if (a === b || !this.nodes.has(nodeName(a)) || !this.nodes.has(nodeName(b))) return;
    const { metric, up, twist } = step.kind === 'move' ? { metric: 1, up: true, twist: 0 } : step;
    const link = linkOf(step.link, { a, b, metric, up }, twist);
    this.links.set(link.name, link);
    router.setLink(link);
  }
}

describe('after changes', () => {
  test('the tables are those of a router that begins anew, and who changed is told, and nobody else', () => {
    fc.assert(
      fc.property(fc.array(fc.array(steps, { minLength: 1, maxLength: 5 }), { maxLength: 12 }), (rounds) => {
        const router = new Router();
        const model = new Model();
        for (let i = 0; i < 5; i++) model.step(router, { kind: 'join', node: i });
        for (let i = 0; i < 5; i++) model.step(router, { kind: 'move', link: i, a: i, b: (i + 1) % 5 });
        router.update();
        for (const round of rounds) {
          const before = shown(router, model.nodes);
          for (const step of round) model.step(router, step);
          const { changed } = router.update();
          const after = shown(router, model.nodes);
          expect(after).toEqual(shown(model.fresh(), model.nodes));
          for (const node of model.nodes) {
            const same = JSON.stringify(before[node] ?? []) === JSON.stringify(after[node]);
            // a node that left and came back in one round begins anew
            const rejoined = round.some((step) => step.kind === 'leave' && nodeName(step.node) === node);
            if (!rejoined) expect(changed.has(node)).toBe(!same);
          }
        }
      }),
      { numRuns: 600 },
    );
  });
});

/** A ring of rings: `size` rings of `size` nodes, joined by a ring of their first nodes. */
function rings(size: number): Spec {
  const links: Spec['links'][number][] = [];
  const metric = 10;
  for (let ring = 0; ring < size; ring++) {
    for (let i = 0; i < size; i++)
      links.push({ a: ring * size + i, b: ring * size + ((i + 1) % size), metric, up: true });
    links.push({ a: ring * size, b: ((ring + 1) % size) * size, metric, up: true });
  }
  return {
    nodes: size * size,
    links,
    subnets: Array.from({ length: size * size }, (_, i) => [i, i] as const),
  };
}

describe('cost follows change', () => {
  const spec = rings(7);

  test('what is set as it was looks at nothing and tells nobody', () => {
    const router = build(spec);
    router.setLink(linkOf(0, spec.links[0]!));
    const same = router.update();
    expect(same.changed.size).toBe(0);
    expect(same.cost.touched).toBe(0);
  });

  test('a new subnet looks at one route of each node', () => {
    const router = build(spec);
    router.attach('n00', '10.77.0.0/24');
    const { changed, cost } = router.update();
    expect(cost).toEqual({ touched: spec.nodes - 1 + 1, rebuilt: false });
    expect(changed.size).toBe(spec.nodes - 1);
  });

  test('a failed link of one ring changes what goes over it; from scratch it is every route', () => {
    const router = build(spec);
    const all = spec.nodes * spec.subnets.length;
    router.setLink(linkOf(3, { ...spec.links[3]!, up: false }));
    const { changed, cost } = router.update();
    expect(cost.rebuilt).toBe(false);
    expect(changed.size).toBeGreaterThan(0);
    expect(cost.touched).toBeLessThan(all / 2);
  });
});
