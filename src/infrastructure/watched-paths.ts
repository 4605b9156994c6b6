/** What all machines said last of their paths: of each, whose it is, as that customer may read it. */
import { createHmac, randomBytes } from 'node:crypto';

import { type cabernet } from '../../gen/cabernet.js';
import { invalidArgument } from '../api/errors.js';
import { type Draft, type Message } from '../api/message.js';
import { paginate } from '../api/page.js';
import { type Caller, missing } from '../controller/access.js';
import { type PathState } from '../history/reading.js';
import { ownsAll } from './access.js';
import { type PathsRead } from './path-reader.js';
import { nameUp, vnUp } from './rename.js';

type Request = Message<cabernet.infrastructure.v1.ListPathsRequest>;
type Response = Draft<cabernet.infrastructure.v1.ListPathsResponse>;
type Reading = NonNullable<Response['paths']>[number];
type Liveness = NonNullable<PathState['liveness']>;

/** Of a row, about. */
const ROW_BYTES = 700;

export class WatchedPaths {
  readonly #read = new Map<string, PathsRead>();
  readonly #secret = randomBytes(16);

  set(machine: string, read: PathsRead): void {
    this.#read.set(machine, read);
  }

  /** It does not answer, or is gone. */
  forget(machine: string): void {
    this.#read.delete(machine);
  }

  /** `isCustomer`: there is one of that name. @throws ApiError NOT_FOUND, CUSTOMER_MISSING */
  list(request: Request, { provider, caller, now, isCustomer }: ListOptions): Response {
    const customer = customerIn(request.customer, provider, caller);
    if (!isCustomer(`customers/${customer}`)) throw missing(`customers/${customer}`, 'customer');
    const rows = this.#of(customer, now).toSorted((a, b) => (a.key < b.key ? -1 : 1));
    const { items, nextPageToken } = paginate(rows, request, {
      key: ({ key }) => key,
      list: `paths of ${customer}`,
      bytes: () => ROW_BYTES,
    });
    return { paths: items.map(({ reading }) => reading), nextPageToken };
  }

  /**
   * Discriminators are what a packet has to know to be heard: nobody needs them who only looks. Another session has another
   * one, as before.
   */
  #veiled(liveness: Liveness): Liveness {
    const veiled = createHmac('sha256', this.#secret).update(String(liveness.discriminator)).digest();
    return { ...liveness, discriminator: veiled.readUInt32BE(), remoteDiscriminator: 0 };
  }

  #of(customer: string, now: number): { key: string; reading: Reading }[] {
    const rows: { key: string; reading: Reading }[] = [];
    for (const read of this.#read.values())
      for (const { path, clockNs, at } of read) {
        const vn = /^vns\/([^/]+)\//.exec(path.vif)?.[1];
        if (vn === undefined || vnUp(customer, vn) === undefined) continue;
        const vif = nameUp(customer, path.vif);
        const { index, inUse, liveness, measurement } = path;
        const state = path.state === 'up' ? 'up' : 'down';
        const shown = {
          ...{ vif, index, state, inUse },
          ...(liveness && { liveness: this.#veiled(liveness) }),
          ...(measurement && { measurement }),
        };
        const ageMs = BigInt(Math.max(0, Math.round(now - at)));
        rows.push({
          key: `${vif}/paths/${String(index).padStart(3, '0')}`,
          reading: { path: shown, clockNs, ageMs },
        });
      }
    return rows;
  }
}

export interface ListOptions {
  readonly provider: string;
  readonly caller: Caller;
  readonly now: number;
  readonly isCustomer: (name: string) => boolean;
}

function customerIn(text: string, provider: string, caller: Caller): string {
  const all = ownsAll(caller, provider);
  if (text === '' && !all) return caller.name;
  if (text === '')
    throw invalidArgument({
      reason: 'CUSTOMER_MISSING',
      field: 'customer',
      message: 'customer must be whose paths are meant: customers/CUSTOMER.',
    });
  const customer = text.slice('customers/'.length);
  if (!/^customers\/[a-z][a-z0-9-]{0,19}$/.test(text) || (!all && customer !== caller.name))
    throw missing(text, 'customer');
  return customer;
}
