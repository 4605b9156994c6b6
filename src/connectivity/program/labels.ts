/**
 * The labels of our vifs: a label means something only at the vif where it arrives (RFC 5331). They are taken at random,
 * and one that is no longer used is kept from use until whoever sent with it has acknowledged to do so no longer.
 */
import { randomInt } from 'node:crypto';

import { resourceExhausted } from '../../api/errors.js';

/** RFC 3032: below are reserved ones. */
const FIRST = 16;
const LAST = 0xfffff;
/** Tries at random; a vif has few labels of a million. */
const TRIES = 1000;

export class LabelSpace {
  readonly #taken = new Map<string, Set<number>>();
  readonly #random: () => number;

  constructor(random: () => number = () => randomInt(FIRST, LAST + 1)) {
    this.#random = random;
  }

  /** Not taken by it: `take` does. `also`: further ones that are not to be given. */
  free(vif: string, also: ReadonlySet<number>): number {
    const taken = this.#taken.get(vif);
    for (let i = 0; i < TRIES; i++) {
      const label = this.#random();
      if (taken?.has(label) !== true && !also.has(label)) return label;
    }
    throw resourceExhausted({ reason: 'LABEL_SPACE', message: `${vif} has no labels left.` });
  }

  take(vif: string, label: number): void {
    const taken = this.#taken.get(vif) ?? new Set();
    taken.add(label);
    this.#taken.set(vif, taken);
  }

  release(vif: string, label: number): void {
    const taken = this.#taken.get(vif);
    taken?.delete(label);
    if (taken?.size === 0) this.#taken.delete(vif);
  }

  has(vif: string, label: number): boolean {
    return this.#taken.get(vif)?.has(label) === true;
  }
}
