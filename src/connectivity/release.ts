/**
 * Lets go of leases of deleted nodes and links: noted with the deletion, repeated until the supplier has acknowledged.
 * A node's lease waits for those of its links.
 */
import { type Link, type Node } from '../api/connectivity.js';
import { ApiError } from '../api/errors.js';
import { type Logger } from '../api/log.js';
import { listAll, type Store } from '../store/index.js';
import { type Clock, sleep } from '../controller/clock.js';
import { type ConnectivityState, type Tx } from './kinds.js';
import { leaseOfLink, leaseOfNode } from './names.js';
import { type Patience, repeated } from './retry.js';
import { isGone, type Suppliers } from './suppliers.js';

const PREFIX = 'releases/';
const CALL = 15_000;
/** How long what is in use is asked for often, milliseconds. */
const FAR_END = 60_000;

interface Release {
  /** `nodes/NODE`, `links/LINK` */
  readonly name: string;
  readonly lease: string;
  readonly supplier: string;
  readonly address: string;
  /** Of a link. */
  readonly ends: readonly string[];
}

/** Notes that the lease of a bought node or link is to end. */
export function putRelease(
  tx: Tx,
  self: string,
  body: Node | Link,
  { supplier, address }: { readonly supplier: string; readonly address: string },
): void {
  const link = 'a' in body ? body : undefined;
  const release: Release = {
    name: body.name,
    lease: link ? leaseOfLink(self, body.name) : leaseOfNode(self, body.name),
    supplier,
    address,
    ends: link ? [link.a, link.b] : [],
  };
  tx.putEntry(PREFIX + body.name, Buffer.from(JSON.stringify(release)));
}

function isUsed(error: unknown): boolean {
  return error instanceof ApiError && error.reason === 'IN_USE';
}

export interface ReleasesOptions {
  readonly state: ConnectivityState;
  readonly suppliers: Suppliers;
  readonly clock: Clock;
  readonly log: Logger;
  readonly ending: AbortSignal;
}

export class Releases {
  readonly #options: ReleasesOptions;
  readonly #underWay = new Map<string, Promise<void>>();

  constructor(options: ReleasesOptions) {
    this.#options = options;
  }

  async #open(): Promise<Release[]> {
    const { store }: { store: Store } = this.#options.state;
    return (await listAll(store, PREFIX)).map(
      ({ value }) => JSON.parse(Buffer.from(value).toString('utf8')) as Release,
    );
  }

  /** There is something to let go of, perhaps. */
  kick(): void {
    const { log, ending } = this.#options;
    this.#pass().catch((error: unknown) => {
      if (!ending.aborted) log.error('releasing stopped', { error });
    });
  }

  async #pass(): Promise<void> {
    const open = await this.#open();
    if (this.#options.ending.aborted) return;
    for (const release of open) {
      const busy = open.some(({ ends }) => ends.includes(release.name));
      if (busy || this.#underWay.has(release.name)) continue;
      const run = this.#release(release);
      this.#underWay.set(release.name, run);
      void run.finally(() => {
        this.#underWay.delete(release.name);
        if (!this.#options.ending.aborted) this.kick();
      });
    }
  }

  /** Until the supplier has acknowledged it; never throws. */
  async #release({ name, lease, supplier, address }: Release): Promise<void> {
    const { state, suppliers, clock, log, ending } = this.#options;
    const soon = clock.now() + FAR_END;
    try {
      await repeated(
        () =>
          suppliers
            .at(supplier, address)
            .delete({ names: [lease], allowMissing: true }, { signal: ending, deadlineMs: CALL })
            .catch((error: unknown) => {
              if (!isGone(error)) throw error;
            }),
        // at the far end of a link to another supplier, which hears of its end a little later
        { clock, signal: ending, forMs: Infinity, passes: (error) => isUsed(error) && clock.now() < soon },
      );
      await state.transact((tx) => tx.deleteEntry(PREFIX + name));
    } catch (error) {
      if (ending.aborted) return;
      log.error('a lease is not let go of', { lease, supplier, error });
      // refused: it is asked again, slowly, for what is in the way may go
      await sleep(clock, 60_000, ending);
    }
  }

  /** Resolves when none of these is to be let go of; a passing failure is thrown after the patience. */
  async done(names: readonly string[], patience: Patience): Promise<void> {
    await repeated(async () => {
      const left = (await this.#open()).filter(({ name }) => names.includes(name));
      if (left.length === 0) return;
      throw new Error(`${left[0]?.name} is still being given back to ${left[0]?.supplier}`);
    }, patience);
  }

  /** Resolves when nothing of it runs any more; the signal must be aborted. */
  async end(): Promise<void> {
    await Promise.all(this.#underWay.values());
  }
}
