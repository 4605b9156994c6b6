/**
 * Flow of least cost, one unit at a time along shortest paths of the residual network (R. G. Busacker and P. J.
 * Gowen, 1961), with node potentials so that Dijkstra's algorithm does although arcs back cost less than nothing
 * (J. Edmonds and R. M. Karp, Journal of the ACM 19, 1972). For unit capacities this is the method of J. W.
 * Suurballe (Networks 4, 1974) and R. Bhandari (*Survivable Networks*, 1999).
 *
 * A cost is (penalty, weight), compared in this order: penalties are whole numbers and stay exact.
 */
import { checkWeight } from './errors.js';
import { IndexedHeap } from './heap.js';

export class FlowNetwork {
  readonly #nodeCount: number;
  /** By arc; arc i ^ 1 is arc i backwards. */
  readonly #head: number[] = [];
  readonly #capacity: number[] = [];
  readonly #penalty: number[] = [];
  readonly #weight: number[] = [];
  /** By arc: the next one out of the same node, or -1; by node: the first. */
  readonly #next: number[] = [];
  readonly #first: Int32Array;
  readonly #potentialPenalty: Float64Array;
  readonly #potentialWeight: Float64Array;

  constructor(nodeCount: number) {
    this.#nodeCount = nodeCount;
    this.#first = new Int32Array(nodeCount).fill(-1);
    this.#potentialPenalty = new Float64Array(nodeCount);
    this.#potentialWeight = new Float64Array(nodeCount);
  }

  /**
   * An arc whose first unit costs `weight` and every further one, up to `capacity`, `penalty` more.
   * Returns its number, for {@link flow}. Throws GraphError `WEIGHT`.
   */
  add(tail: number, head: number, capacity: number, penalty: number, weight: number): number {
    checkWeight(weight, 'a weight');
    const arc = this.#head.length;
    this.#pair(tail, head, 1, 0, weight);
    this.#pair(tail, head, capacity - 1, penalty, weight);
    return arc;
  }

  #pair(tail: number, head: number, capacity: number, penalty: number, weight: number): void {
    const arc = this.#head.length;
    this.#head.push(head, tail);
    this.#capacity.push(capacity, 0);
    this.#penalty.push(penalty, -penalty);
    this.#weight.push(weight, -weight);
    this.#next.push(this.#first[tail] as number);
    this.#first[tail] = arc;
    this.#next.push(this.#first[head] as number);
    this.#first[head] = arc + 1;
  }

  /** Units on an arc made by {@link add}. */
  flow(arc: number): number {
    return (this.#capacity[arc + 1] as number) + (this.#capacity[arc + 3] as number);
  }

  /** One more unit, at the least cost for all units together. False if there is no way. */
  augment(source: number, target: number): boolean {
    const penalty = new Float64Array(this.#nodeCount).fill(Infinity);
    const weight = new Float64Array(this.#nodeCount).fill(Infinity);
    const parent = new Int32Array(this.#nodeCount).fill(-1);
    this.#search(source, penalty, weight, parent);
    if (penalty[target] === Infinity) return false;
    for (let node = 0; node < this.#nodeCount; node++) {
      // what is out of reach now stays so: the residual network changes only where the path runs
      if (penalty[node] === Infinity) continue;
      this.#potentialPenalty[node] = (this.#potentialPenalty[node] as number) + (penalty[node] as number);
      this.#potentialWeight[node] = (this.#potentialWeight[node] as number) + (weight[node] as number);
    }
    for (let at = target; at !== source;) {
      const arc = parent[at] as number;
      this.#capacity[arc] = (this.#capacity[arc] as number) - 1;
      this.#capacity[arc ^ 1] = (this.#capacity[arc ^ 1] as number) + 1;
      at = this.#head[arc ^ 1] as number;
    }
    return true;
  }

  #search(source: number, penalty: Float64Array, weight: Float64Array, parent: Int32Array): void {
    const done = new Uint8Array(this.#nodeCount);
    const heap = new IndexedHeap(penalty, weight);
    penalty[source] = 0;
    weight[source] = 0;
    heap.put(source);
    while (heap.size > 0) {
      const node = heap.pop();
      done[node] = 1;
      for (let arc = this.#first[node] as number; arc >= 0; arc = this.#next[arc] as number) {
        const next = this.#head[arc] as number;
        if (this.#capacity[arc] === 0 || done[next] === 1) continue;
        const extra = this.#reduced(this.#potentialPenalty, this.#penalty, node, next, arc);
        const more = this.#reduced(this.#potentialWeight, this.#weight, node, next, arc);
        const reach = (penalty[node] as number) + extra;
        // below 0 only by rounding
        const far = (weight[node] as number) + (extra === 0 ? Math.max(0, more) : more);
        if (reach > (penalty[next] as number)) continue;
        if (reach === penalty[next] && far >= (weight[next] as number)) continue;
        penalty[next] = reach;
        weight[next] = far;
        parent[next] = arc;
        heap.put(next);
      }
    }
  }

  #reduced(potential: Float64Array, cost: number[], tail: number, head: number, arc: number): number {
    return (cost[arc] as number) + (potential[tail] as number) - (potential[head] as number);
  }
}
