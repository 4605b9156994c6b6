// A subscription to the kernel's notices, on a socket of its own, so that a flood of them
// cannot displace the answers to requests.
import { BpfError } from '../error.js';
import { eachMessage } from './attributes.js';
import { readEvent, type NetlinkEvent } from './events.js';
import type { NativeNetlink } from './native.js';

/**
 * Notices, until `close()`. The receive buffer bounds what waits; when it overflows the notices in it still
 * come, then `{ type: 'resync' }`, and after that those sent later. An open subscription keeps the process
 * alive unless `unref()` was called.
 */
export class Subscription {
  readonly #native: NativeNetlink;
  readonly #onClose: (subscription: Subscription) => void;
  #overruns = 0;
  #closed = false;

  constructor(
    native: NativeNetlink,
    groups: readonly number[],
    onEvents: (events: NetlinkEvent[]) => void,
    onClose: (subscription: Subscription) => void,
  ) {
    this.#native = native;
    this.#onClose = onClose;
    for (const group of groups) native.join(group);
    native.listen((block, ends, lost) => {
      const events: NetlinkEvent[] = [];
      if (!this.#read(block, ends, events) || lost) {
        this.#overruns++;
        events.push({ type: 'resync' });
      }
      if (events.length > 0) onEvents(events);
    });
  }

  // False when a notice made no sense: what it said is lost too.
  #read(block: ArrayBuffer, ends: Uint32Array, events: NetlinkEvent[]): boolean {
    let understood = true;
    let start = 0;
    for (const end of ends) {
      try {
        eachMessage(new Uint8Array(block, start, end - start), (message) => {
          const event = readEvent(message);
          if (event !== undefined) events.push(event);
        });
      } catch (error) {
        if (!(error instanceof BpfError)) throw error;
        understood = false;
      }
      start = end;
    }
    return understood;
  }

  /** How often notices were lost so far. */
  get overruns(): number {
    return this.#overruns;
  }

  /** Lets the process end while the subscription is open. */
  unref(): this {
    this.#native.setRef(false);
    return this;
  }

  /** Keeps the process alive while the subscription is open (as from the start). */
  ref(): this {
    this.#native.setRef(true);
    return this;
  }

  /** No event comes after this. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#native.close();
    this.#onClose(this);
  }
}
