/**
 * Ids and grace periods. An id that is released may still be in the hands of a program on another CPU: it waits
 * until the kernel says that every program that ran has ended, and only then is it given to somebody else.
 */
import { type BpfMap } from '../../native/lib/index.js';
import { DataPlaneError } from './errors.js';

const FREE = 0;
const USED = 1;
const WAITING = 2;

/** What takes part in grace periods: hands over what was released, and gets it back when no program can hold it. */
export interface Recyclable {
  /** What was released so far; the answers are called once that is nobody's any more. */
  retire(): ReadonlyArray<() => void | Promise<void>>;
}

export interface PoolOptions {
  /** Clears the records of ids before they are free again. */
  readonly clear?: (ids: readonly number[]) => void | Promise<void>;
  /** Called when something was released. */
  readonly released: () => void;
}

/** The ids 1 to `capacity - 1` of one table. */
export class IdPool implements Recyclable {
  readonly table: string;
  readonly capacity: number;
  readonly #states: Uint8Array;
  readonly #options: PoolOptions;
  #free: number[] = [];
  #waiting: number[] = [];
  /** No id from here on was ever given out, adopted ones aside. */
  #fresh = 1;
  #used = 0;
  #pending = 0;

  constructor(table: string, capacity: number, options: PoolOptions) {
    this.table = table;
    this.capacity = capacity;
    this.#states = new Uint8Array(capacity);
    this.#options = options;
  }

  /** Ids somebody has. */
  get used(): number {
    return this.#used;
  }

  /** Ids released and not yet free. */
  get pending(): number {
    return this.#pending;
  }

  /** Ids that can be had now. */
  get available(): number {
    return this.capacity - 1 - this.#used - this.#pending;
  }

  /** `TABLE_FULL` when there is none. */
  allocate(): number {
    const id = this.#free.pop() ?? this.#nextFresh();
    if (id === undefined) {
      const waiting = this.#pending > 0 ? `, ${this.#pending} more are about to be free` : '';
      throw new DataPlaneError({
        code: 'TABLE_FULL',
        operation: 'allocate',
        subject: this.table,
        detail: `all ${this.capacity - 1} are in use${waiting}; the capacity is chosen when the data plane is first opened`,
      });
    }
    this.#states[id] = USED;
    this.#used++;
    return id;
  }

  #nextFresh(): number | undefined {
    while (this.#fresh < this.capacity) {
      const id = this.#fresh++;
      if (this.#states[id] === FREE) return id;
    }
    return undefined;
  }

  isUsed(id: number): boolean {
    return this.#states[id] === USED;
  }

  /** `NOT_ALLOCATED` when nobody has this id. */
  check(id: number, operation: string): void {
    if (this.isUsed(id)) return;
    throw new DataPlaneError({
      code: 'NOT_ALLOCATED',
      operation,
      subject: `${this.table} ${id}`,
      detail: 'the id must come from allocate()',
    });
  }

  /** Nothing leads to this id any more; it is free again after the next grace period. */
  release(id: number): void {
    this.check(id, 'release');
    this.#states[id] = WAITING;
    this.#used--;
    this.#pending++;
    this.#waiting.push(id);
    this.#options.released();
  }

  /** Back at once: no program has ever been led to this id. */
  giveBack(id: number): void {
    this.check(id, 'giveBack');
    this.#used--;
    this.#makeFree(id);
  }

  /** At adoption, before anything is allocated: the id is in use. False when that was known. */
  adopt(id: number): boolean {
    if (id <= 0 || id >= this.capacity || this.#states[id] !== FREE) return false;
    this.#states[id] = USED;
    this.#used++;
    return true;
  }

  /** Every id in use, ascending. */
  *ids(): Generator<number, void, undefined> {
    for (let id = 1; id < this.capacity; id++) if (this.#states[id] === USED) yield id;
  }

  retire(): Array<() => Promise<void>> {
    const ids = this.#waiting;
    if (ids.length === 0) return [];
    this.#waiting = [];
    const recycle = async (): Promise<void> => {
      await this.#options.clear?.(ids);
      this.#pending -= ids.length;
      for (const id of ids) this.#makeFree(id);
    };
    return [recycle];
  }

  #makeFree(id: number): void {
    this.#states[id] = FREE;
    if (id < this.#fresh) this.#free.push(id);
  }
}

/** Waits for grace periods on behalf of all tables at once: a wait costs milliseconds, whatever it is for. */
export class Grace {
  readonly #map: BpfMap;
  readonly #inner: BpfMap;
  readonly #members: Recyclable[] = [];
  /** Retired, and not yet given back. */
  readonly #owed: Array<() => void | Promise<void>> = [];
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #scheduled = false;

  /** `map` is a map of maps with room for one map like `inner`. */
  constructor(map: BpfMap, inner: BpfMap) {
    this.#map = map;
    this.#inner = inner;
  }

  join(member: Recyclable): void {
    this.#members.push(member);
  }

  /** Resolves when all that was released before this call is free again. */
  wait(): Promise<void> {
    if (this.#next !== undefined) return this.#next;
    if (this.#running === undefined) return this.#start();
    this.#next = this.#afterwards(this.#running);
    return this.#next;
  }

  /** Something was released: a grace period follows soon, without anybody waiting for it. */
  schedule(failed: (error: unknown) => void): void {
    if (this.#next !== undefined || this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.wait().catch(failed);
    });
  }

  async #afterwards(running: Promise<void>): Promise<void> {
    // whoever began the running one hears of its failure
    await running.catch(() => undefined);
    this.#next = undefined;
    await this.#start();
  }

  #start(): Promise<void> {
    const run = this.#period().finally(() => {
      if (this.#running === run) this.#running = undefined;
    });
    this.#running = run;
    return run;
  }

  async #period(): Promise<void> {
    for (const member of this.#members) this.#owed.push(...member.retire());
    // an update of a map of maps returns after synchronize_rcu
    await this.#map.updateAsync(new Uint8Array(4), this.#inner);
    for (let recycle = this.#owed[0]; recycle !== undefined; recycle = this.#owed[0]) {
      await recycle();
      this.#owed.shift();
    }
  }

  /** Waits for what is under way. */
  async settle(): Promise<void> {
    for (;;) {
      const under = this.#next ?? this.#running;
      if (under === undefined && !this.#scheduled) return;
      await (under?.catch(() => undefined) ?? new Promise(setImmediate));
    }
  }
}
