/** A binary heap of anything, for searches whose candidates are not numbered beforehand. */
export class PriorityQueue<T> {
  readonly #items: T[] = [];
  readonly #compare: (a: T, b: T) => number;

  /** Equal items come out in no stated, but always the same order. */
  constructor(compare: (a: T, b: T) => number) {
    this.#compare = compare;
  }

  get size(): number {
    return this.#items.length;
  }

  push(item: T): void {
    const items = this.#items;
    let place = items.push(item) - 1;
    while (place > 0) {
      const above = (place - 1) >> 1;
      if (this.#compare(item, items[above] as T) >= 0) break;
      items[place] = items[above] as T;
      place = above;
    }
    items[place] = item;
  }

  /** The least item, or undefined. */
  pop(): T | undefined {
    const items = this.#items;
    const last = items.pop();
    const top = items[0];
    if (top === undefined || last === undefined) return last;
    let place = 0;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= items.length) break;
      const other = child + 1;
      if (other < items.length && this.#compare(items[other] as T, items[child] as T) < 0) child = other;
      if (this.#compare(items[child] as T, last) >= 0) break;
      items[place] = items[child] as T;
      place = child;
    }
    items[place] = last;
    return top;
  }
}
