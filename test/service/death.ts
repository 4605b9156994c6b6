/**
 * Death at any moment, as kill -9 would have it: after so many commits nothing is written any more, and either nothing is
 * said any more, or what was on its way still arrives and its answer is lost.
 */
import { type Client } from '../../src/api/client.js';
import { unavailable } from '../../src/api/errors.js';
import { type ServiceType } from '../../src/api/message.js';
import { type Dialer, dialerWith } from '../../src/controller/dial.js';
import { type Store, StoreError } from '../../src/store/index.js';

export class Mortal {
  readonly died: Promise<void>;
  commits = 0;
  #left: number;
  readonly #silent: boolean;
  #die: () => void = () => undefined;
  #dead = false;

  /** `silent`: after the last commit nothing is said either. */
  constructor(commits: number, silent: boolean) {
    this.#left = commits;
    this.#silent = silent;
    this.died = new Promise((done) => (this.#die = done));
  }

  get isDead(): boolean {
    return this.#dead;
  }

  store(store: Store): Store {
    return {
      get: (key) => store.get(key),
      list: (prefix, options) => store.list(prefix, options),
      watch: (prefix, after, options) => store.watch(prefix, after, options),
      close: () => store.close(),
      commit: async (commit) => {
        if (this.#left <= 0) {
          this.#end();
          throw new StoreError('CLOSED', 'killed');
        }
        this.#left--;
        const revision = await store.commit(commit);
        this.commits++;
        if (this.#left === 0 && this.#silent) this.#end();
        return revision;
      },
    };
  }

  #end(): void {
    this.#dead = true;
    this.#die();
  }

  readonly dialer: Dialer = {
    dial: <S>(
      service: ServiceType<S>,
      address: string,
      expected: Parameters<Dialer['dial']>[2],
    ): Client<S> => {
      const client = dialerWith(undefined).dial(service, address, expected);
      return new Proxy(client, {
        get: (target, key, receiver): unknown => {
          if (this.#dead && key !== 'close') throw unavailable({ reason: 'KILLED', message: 'killed' });
          return Reflect.get(target, key, receiver);
        },
      });
    },
  };
}
