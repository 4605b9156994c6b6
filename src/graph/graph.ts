/**
 * A directed multigraph in compressed form (CSR): nodes 0…n-1, arcs sorted by their tail. An edge is what the caller
 * added: a link, of two arcs (one per direction) or of one.
 */
import { checkCount, checkWeight, GraphError } from './errors.js';

/** Arcs and nodes are 32-bit indices; this bound also keeps all arrays of a graph below a few gigabytes. */
const MOST = 2 ** 26;

/** Whether an algorithm may use an arc. */
export type ArcFilter = (arc: number) => boolean;

/** The arcs that leave (or enter) a node, and where they lead. */
export interface Adjacency {
  /** n+1 entries: the arcs of node v are `arcs[first[v]]` … `arcs[first[v + 1] - 1]`, by ascending id. */
  readonly first: Int32Array;
  readonly arcs: Int32Array;
  /** By arc: the node at its other end. */
  readonly end: Int32Array;
}

/**
 * Collects edges; an edge's id is its place in the order of adding. Parallel edges and self-loops are kept.
 */
export class GraphBuilder {
  readonly nodeCount: number;
  readonly #from: number[] = [];
  readonly #to: number[] = [];
  readonly #weights: number[] = [];
  /** By edge: the weight of the way back, or -1 for a one-way edge. */
  readonly #back: number[] = [];

  /** Throws GraphError `COUNT`. */
  constructor(nodeCount: number) {
    checkCount(nodeCount, 0, MOST, 'the number of nodes');
    this.nodeCount = nodeCount;
  }

  /**
   * Adds a link of both directions and returns its id. Throws GraphError `NODE`, `WEIGHT`, `COUNT`.
   *
   * @param weight of the direction a → b: from 0, in any unit; Infinity for a direction that is not there now
   */
  addEdge(a: number, b: number, weight = 1, backWeight = weight): number {
    checkWeight(backWeight, 'the weight of the way back');
    return this.#add(a, b, weight, backWeight);
  }

  /** Adds a one-way link and returns its id. Throws GraphError `NODE`, `WEIGHT`, `COUNT`. */
  addOneWay(from: number, to: number, weight = 1): number {
    return this.#add(from, to, weight, -1);
  }

  #add(a: number, b: number, weight: number, back: number): number {
    checkNode(this.nodeCount, a);
    checkNode(this.nodeCount, b);
    checkWeight(weight, 'the weight');
    const id = this.#from.length;
    checkCount(id + 1, 1, MOST, 'the number of edges');
    this.#from.push(a);
    this.#to.push(b);
    this.#weights.push(weight);
    this.#back.push(back);
    return id;
  }

  /** The graph so far. It shares nothing with the builder, which may go on. */
  build(): Graph {
    return new Graph(this.nodeCount, this.#from, this.#to, this.#weights, this.#back);
  }
}

/** Made by {@link GraphBuilder}. All arrays are to be read only; weights change by {@link setWeight}. */
export class Graph {
  readonly nodeCount: number;
  readonly edgeCount: number;
  readonly arcCount: number;
  /** By arc. */
  readonly tail: Int32Array;
  readonly head: Int32Array;
  readonly edge: Int32Array;
  /** By arc: the same edge's other direction, or -1. */
  readonly reverse: Int32Array;
  /** By arc; Infinity for an arc that is not there now. */
  readonly weights: Float64Array;
  readonly out: Adjacency;
  readonly in: Adjacency;
  /** By edge: the arc as it was added; the way back is its `reverse`. */
  readonly #arcOfEdge: Int32Array;

  constructor(
    nodeCount: number,
    from: readonly number[],
    to: readonly number[],
    weights: readonly number[],
    back: readonly number[],
  ) {
    const edgeCount = from.length;
    const arcCount = edgeCount + back.filter((weight) => weight >= 0).length;
    const first = new Int32Array(nodeCount + 1);
    for (let edge = 0; edge < edgeCount; edge++) {
      bump(first, (from[edge] as number) + 1);
      if ((back[edge] as number) >= 0) bump(first, (to[edge] as number) + 1);
    }
    accumulate(first);
    this.nodeCount = nodeCount;
    this.edgeCount = edgeCount;
    this.arcCount = arcCount;
    this.tail = new Int32Array(arcCount);
    this.head = new Int32Array(arcCount);
    this.edge = new Int32Array(arcCount);
    this.reverse = new Int32Array(arcCount).fill(-1);
    this.weights = new Float64Array(arcCount);
    this.#arcOfEdge = new Int32Array(edgeCount);
    const next = first.slice();
    const place = (tail: number, head: number, edge: number, weight: number): number => {
      const arc = next[tail] as number;
      next[tail] = arc + 1;
      this.tail[arc] = tail;
      this.head[arc] = head;
      this.edge[arc] = edge;
      this.weights[arc] = weight;
      return arc;
    };
    for (let edge = 0; edge < edgeCount; edge++) {
      const [a, b] = [from[edge] as number, to[edge] as number];
      const arc = place(a, b, edge, weights[edge] as number);
      this.#arcOfEdge[edge] = arc;
      const backWeight = back[edge] as number;
      if (backWeight < 0) continue;
      const other = place(b, a, edge, backWeight);
      this.reverse[arc] = other;
      this.reverse[other] = arc;
    }
    this.out = { first, arcs: Int32Array.from(this.head.keys()), end: this.head };
    this.in = incoming(nodeCount, this.head, this.tail);
  }

  /** Throws GraphError `NODE`. */
  checkNode(node: number): void {
    checkNode(this.nodeCount, node);
  }

  /** The arcs of an edge: as added and, unless it is one-way, back. Throws GraphError `EDGE`. */
  arcsOf(edge: number): readonly number[] {
    const arc = Number.isInteger(edge) ? this.#arcOfEdge[edge] : undefined;
    if (arc === undefined) throw new GraphError('EDGE', `no edge ${edge}: there are ${this.edgeCount}`);
    const back = this.reverse[arc] as number;
    return back < 0 ? [arc] : [arc, back];
  }

  /**
   * Changes one arc's weight; Infinity removes it, a finite weight brings it back. Constant time. Trees made before
   * are not told: see `DynamicTree`. Throws GraphError `ARC`, `WEIGHT`.
   */
  setWeight(arc: number, weight: number): void {
    if (!Number.isInteger(arc) || arc < 0 || arc >= this.arcCount)
      throw new GraphError('ARC', `no arc ${arc}: there are ${this.arcCount}`);
    checkWeight(weight, 'the weight');
    this.weights[arc] = weight;
  }

  /** Changes an edge in all its directions. Throws GraphError `EDGE`, `WEIGHT`. */
  setEdgeWeight(edge: number, weight: number): void {
    for (const arc of this.arcsOf(edge)) this.setWeight(arc, weight);
  }

  /**
   * A value per arc from a value per edge: delays, prices, capacities for the other algorithms.
   * Throws GraphError `LENGTH`, `WEIGHT`.
   */
  perArc(values: ArrayLike<number>): Float64Array {
    if (values.length !== this.edgeCount)
      throw new GraphError('LENGTH', `${values.length} values for ${this.edgeCount} edges`);
    const result = Float64Array.from(this.edge, (edge) => values[edge] as number);
    this.checkValues(result, 'a value');
    return result;
  }

  /** Throws GraphError `LENGTH` unless there is one value per arc, `WEIGHT` for NaN and for what is below 0. */
  checkValues(values: Float64Array, what: string): void {
    if (values.length !== this.arcCount)
      throw new GraphError('LENGTH', `${values.length} values (${what}) for ${this.arcCount} arcs`);
    for (const value of values) checkWeight(value, what);
  }
}

function checkNode(nodeCount: number, node: number): void {
  if (Number.isInteger(node) && node >= 0 && node < nodeCount) return;
  throw new GraphError('NODE', `no node ${node}: there are ${nodeCount}`);
}

function bump(counts: Int32Array, at: number): void {
  counts[at] = (counts[at] as number) + 1;
}

function accumulate(counts: Int32Array): void {
  for (let i = 1; i < counts.length; i++) counts[i] = (counts[i] as number) + (counts[i - 1] as number);
}

function incoming(nodeCount: number, head: Int32Array, tail: Int32Array): Adjacency {
  const first = new Int32Array(nodeCount + 1);
  for (const node of head) bump(first, node + 1);
  accumulate(first);
  const next = first.slice();
  const arcs = new Int32Array(head.length);
  for (const [arc, node] of head.entries()) {
    arcs[next[node] as number] = arc;
    bump(next, node);
  }
  return { first, arcs, end: tail };
}
