/** Ends holds and terms when their time comes; at the start, whatever has come meanwhile. */
import { type Logger } from '../api/log.js';
import { type State } from '../controller/state.js';
import { type Clock } from '../controller/clock.js';
import { type Bodies } from './kinds.js';
import { nextTick, tick } from './tick.js';

/** Before it is tried again, where the store does not answer. */
const PAUSE = 5000;

/** All that time has brought about, in as many transactions as it takes. */
export async function catchUp(state: State<Bodies>, clock: Clock): Promise<void> {
  while (await state.transact((tx) => tick(tx, clock.now())));
}

export class Timer {
  readonly #state: State<Bodies>;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #stop: () => void;
  #cancel: (() => void) | undefined;
  #running: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(state: State<Bodies>, clock: Clock, log: Logger) {
    this.#state = state;
    this.#clock = clock;
    this.#log = log;
    this.#stop = state.onChange(() => this.#set());
    this.#set();
  }

  /** Resolves when what is under way is done. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#stop();
    this.#cancel?.();
    await this.#running;
  }

  #set(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    const now = this.#clock.now();
    const next = nextTick(this.#state, now);
    if (this.#closed || next === Infinity) return;
    this.#cancel = this.#clock.after(next - now, () => this.#wake());
  }

  #wake(): void {
    this.#running = catchUp(this.#state, this.#clock).then(
      () => this.#set(),
      (error: unknown) => {
        this.#log.error('terms cannot be kept', { error });
        if (!this.#closed) this.#cancel = this.#clock.after(PAUSE, () => this.#wake());
      },
    );
  }
}
