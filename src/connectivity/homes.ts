/** Where links of networks were before they were moved away from something lost: they go back there when it is steady. */
import { type ServiceLink, type ServiceNetwork } from '../api/connectivity.js';
import { listAll, type Store } from '../store/index.js';
import { type Tx } from './kinds.js';
import { type Kept } from './placement/bounds.js';
import { demandOf } from './placing.js';

const PREFIX = 'homes/';

export interface Home {
  readonly network: string;
  readonly link: string;
  readonly path: readonly string[];
  readonly backup: readonly string[];
  /** What it kept there. */
  readonly kept: Kept;
  /** What was asked for then: another demand has another home. */
  readonly demand: string;
}

function keyOf({ network, link }: Pick<Home, 'network' | 'link'>): string {
  return `${PREFIX}${network}/${link}`;
}

export class Homes {
  readonly #all = new Map<string, Home>();

  static async open(store: Store): Promise<Homes> {
    const homes = new Homes();
    for (const { key, value } of await listAll(store, PREFIX))
      homes.#all.set(key, JSON.parse(Buffer.from(value).toString('utf8')) as Home);
    return homes;
  }

  all(): readonly Home[] {
    return [...this.#all.values()];
  }

  of(network: string): readonly Home[] {
    return this.all().filter((home) => home.network === network);
  }

  /** Of a link that leaves: the first one, however often it is moved. */
  keep(tx: Tx, network: ServiceNetwork, link: ServiceLink): void {
    const demand = JSON.stringify(demandOf(link, network));
    const { path, backup, achieved } = link;
    const { delayUs = 0, lossPpm = 0, availabilityPpm = 0 } = achieved ?? {};
    const kept = { delayUs, lossPpm, availabilityPpm };
    const home = { network: network.name, link: link.name, path, backup, kept, demand };
    const key = keyOf(home);
    if (this.#all.get(key)?.demand === demand) return;
    tx.putEntry(key, Buffer.from(JSON.stringify(home)));
    tx.onCommit(() => this.#all.set(key, home));
  }

  drop(tx: Tx, home: Home): void {
    const key = keyOf(home);
    tx.deleteEntry(key);
    tx.onCommit(() => this.#all.delete(key));
  }
}
