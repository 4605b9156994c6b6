/**
 * What links without a guaranteed bandwidth may carry. The data plane has no queues and knows no precedence, so they are
 * held to what is not sold of each wire, in equal parts: then nothing that they send is in the way of what was. Pure.
 */
import { type View } from './kinds.js';

/** Of a wire that is sold out: enough for a routing protocol, to be less than anybody's share of any wire. */
const LEAST = 64_000n;

interface Use {
  sold: bigint;
  /** Links without a guarantee over it. */
  open: bigint;
}

export class Rest {
  readonly #view: View;
  readonly #uses = new Map<string, Use>();

  constructor(view: View) {
    this.#view = view;
    for (const { wires, slo } of view.all('virtualLink')) this.#add(wires, slo?.bitsPerSecond ?? 0n);
    // one that begins here is counted as its link
    for (const { wires, bounds, upstream } of view.all('segment'))
      if (upstream !== '') this.#add(wires, bounds?.bitsPerSecond ?? 0n);
  }

  #add(wires: readonly string[], bits: bigint): void {
    for (const wire of wires) {
      const use = this.#uses.get(wire) ?? { sold: 0n, open: 0n };
      use.sold += bits;
      if (bits === 0n) use.open++;
      this.#uses.set(wire, use);
    }
  }

  /**
   * Bits a second, each way. 0: as much as it likes, for nothing is guaranteed over any of its wires.
   * @param wires and peerings that it passes
   */
  of(wires: readonly string[]): bigint {
    let least = 0n;
    for (const name of wires) {
      const { bitsPerSecond = 0n } = this.#view.get('wire', name) ?? this.#view.get('peering', name) ?? {};
      if (bitsPerSecond === 0n) continue;
      const { sold, open } = this.#uses.get(name) ?? { sold: 0n, open: 0n };
      const part = (bitsPerSecond - sold) / (open || 1n);
      const bits = part > LEAST ? part : LEAST;
      if (least === 0n || bits < least) least = bits;
    }
    return least;
  }
}
