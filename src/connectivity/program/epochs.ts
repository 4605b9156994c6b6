/** Epochs of what we send, by leased node and owner: never one a second time, also after a restart. */
import { type ConnectivityState } from '../kinds.js';
import { listAll } from '../../store/index.js';

const PREFIX = 'epochs/';

export class Epochs {
  readonly #state: ConnectivityState;
  readonly #last = new Map<string, bigint>();

  private constructor(state: ConnectivityState) {
    this.#state = state;
  }

  static async open(state: ConnectivityState): Promise<Epochs> {
    const epochs = new Epochs(state);
    for (const { key, value } of await listAll(state.store, PREFIX))
      epochs.#last.set(key, BigInt(Buffer.from(value).toString('utf8')));
    return epochs;
  }

  async next(node: string, owner: string): Promise<bigint> {
    const key = `${PREFIX}${node}/${owner}`;
    const epoch = (this.#last.get(key) ?? 0n) + 1n;
    await this.#state.transact((tx) => tx.putEntry(key, Buffer.from(String(epoch))));
    this.#last.set(key, epoch);
    return epoch;
  }
}
