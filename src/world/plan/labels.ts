/**
 * Labels, given out per context by the node that will receive them: they look random, so that a wrong one is seldom
 * right, and come out the same each time, so that a world applied again changes nothing.
 */
import { createHash } from 'node:crypto';

/** RFC 3032: 0 to 15 are reserved; 20 bits. */
const FIRST = 16;
const LAST = 0xfffff;

export class Labels {
  readonly #seed: string;
  readonly #taken = new Set<string>();

  constructor(seed: string) {
    this.#seed = seed;
  }

  /** A label that is free in `context`, for `purpose`; texts that name both. */
  allocate(context: string, purpose: string): number {
    const digest = createHash('sha256').update(`${this.#seed}\n${context}\n${purpose}`).digest();
    let label = FIRST + (digest.readUInt32BE(0) % (LAST - FIRST + 1));
    while (this.#taken.has(`${context}\n${label}`)) label = label === LAST ? FIRST : label + 1;
    this.#taken.add(`${context}\n${label}`);
    return label;
  }
}
