/**
 * A 4-ary heap of numbered items with a place per item, so that a key can change: on typed arrays, no allocation
 * after the constructor. Four children rather than two: half the levels for keys that move up, which most do
 * (D. B. Johnson, "Priority queues with update and finding minimum spanning trees", Information Processing Letters
 * 4, 1975).
 */
export class IndexedHeap {
  readonly #primary: Float64Array;
  readonly #secondary: Int32Array | Float64Array;
  readonly #items: Int32Array;
  /** By item: its place, or -1. */
  readonly #place: Int32Array;
  #size = 0;

  /**
   * Items are ordered by `primary`, then `secondary`, then their number. The caller owns the two arrays and calls
   * {@link put} after it has written an item's keys.
   */
  constructor(primary: Float64Array, secondary: Int32Array | Float64Array) {
    this.#primary = primary;
    this.#secondary = secondary;
    this.#items = new Int32Array(primary.length);
    this.#place = new Int32Array(primary.length).fill(-1);
  }

  get size(): number {
    return this.#size;
  }

  /** The first item. The heap must not be empty. */
  get top(): number {
    return this.#items[0] as number;
  }

  has(item: number): boolean {
    return (this.#place[item] as number) >= 0;
  }

  /** Adds an item, or moves it to where its keys now belong. */
  put(item: number): void {
    let place = this.#place[item] as number;
    if (place < 0) place = this.#size++;
    this.#down(this.#up(place, item), item);
  }

  /** Takes the first item out. The heap must not be empty. */
  pop(): number {
    const item = this.#items[0] as number;
    this.remove(item);
    return item;
  }

  /** Takes an item out, if it is there. */
  remove(item: number): void {
    const place = this.#place[item] as number;
    if (place < 0) return;
    this.#place[item] = -1;
    const last = this.#items[--this.#size] as number;
    if (last !== item) this.#down(this.#up(place, last), last);
  }

  #before(a: number, b: number): boolean {
    const [x, y] = [this.#primary[a] as number, this.#primary[b] as number];
    if (x !== y) return x < y;
    const [i, j] = [this.#secondary[a] as number, this.#secondary[b] as number];
    return i === j ? a < b : i < j;
  }

  #set(place: number, item: number): void {
    this.#items[place] = item;
    this.#place[item] = place;
  }

  #up(from: number, item: number): number {
    let place = from;
    while (place > 0) {
      const parent = (place - 1) >> 2;
      const other = this.#items[parent] as number;
      if (!this.#before(item, other)) break;
      this.#set(place, other);
      place = parent;
    }
    this.#set(place, item);
    return place;
  }

  #down(from: number, item: number): void {
    let place = from;
    for (;;) {
      const first = 4 * place + 1;
      if (first >= this.#size) break;
      const end = Math.min(first + 4, this.#size);
      let least = first;
      for (let child = first + 1; child < end; child++) {
        if (this.#before(this.#items[child] as number, this.#items[least] as number)) least = child;
      }
      const other = this.#items[least] as number;
      if (!this.#before(other, item)) break;
      this.#set(place, other);
      place = least;
    }
    this.#set(place, item);
  }
}
