/** Listens to what the supplier says of the network: prices, states of links, that it is gone. Goes on where it was. */
import { ApiError, Status } from '../api/errors.js';
import { type Logger } from '../api/log.js';
import { types } from '../api/types.js';
import { type Clock, sleep } from '../controller/clock.js';
import { type Patience, waitOf } from './patience.js';
import { type Connectivity, type Deal } from './deal.js';

const { EventType } = types;

export class Listener {
  readonly #deal: Deal;
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #patience: Patience;
  #current: { readonly to: string; readonly stop: AbortController; readonly done: Promise<void> } | undefined;

  constructor(deal: Deal, log: Logger, clock: Clock, patience: Patience) {
    this.#deal = deal;
    this.#log = log;
    this.#clock = clock;
    this.#patience = patience;
  }

  /** Listens as long as there is a deal, to the supplier of that. */
  follow(): void {
    const record = this.#deal.record;
    const client = this.#deal.client();
    const to = record && client ? `${record.supplier} ${record.address} ${record.name}` : '';
    if (to === (this.#current?.to ?? '')) return;
    this.#current?.stop.abort();
    this.#current = undefined;
    if (!record || !client) return;
    const stop = new AbortController();
    this.#current = { to, stop, done: this.#listen(client, record.name, stop.signal) };
  }

  async close(): Promise<void> {
    this.#current?.stop.abort();
    await this.#current?.done;
  }

  async #listen(client: Connectivity, name: string, signal: AbortSignal): Promise<void> {
    let failures = 0;
    while (!signal.aborted) {
      try {
        await this.#once(client, name, signal, () => (failures = 0));
      } catch (error) {
        if (signal.aborted) return;
        const expired = error instanceof ApiError && error.status === Status.OUT_OF_RANGE;
        if (expired) await this.#deal.heardUpTo(name, '').catch(() => undefined);
        else if (failures === 0) this.#log.info('the supplier’s watch has ended', { error });
      }
      await sleep(this.#clock, waitOf(this.#patience, ++failures), signal);
    }
  }

  async #once(client: Connectivity, name: string, signal: AbortSignal, heard: () => void): Promise<void> {
    const resumeToken = this.#deal.record?.token ?? '';
    const collections = [name.slice(0, name.lastIndexOf('/'))];
    let there = false;
    const request = { collections, resumeToken, includeCurrent: resumeToken === '' };
    for await (const event of client.watch(request, { signal })) {
      if (signal.aborted) return;
      heard();
      const said = event.resource?.serviceNetwork;
      const mine = said?.name === name;
      if (event.type === EventType.EVENT_TYPE_CURRENT) {
        // the token of these comes with SYNCED: what is heard before it may be heard again
        if (mine) await this.#deal.hear(name, said, '');
        there ||= mine;
      } else if (event.type === EventType.EVENT_TYPE_SYNCED) {
        if (there) await this.#deal.heardUpTo(name, event.resumeToken);
        else await this.#deal.hear(name, undefined, event.resumeToken);
      } else if (event.type === EventType.EVENT_TYPE_CHANGED && mine) {
        await this.#deal.hear(name, said, event.resumeToken);
      } else if (event.type === EventType.EVENT_TYPE_DELETED && mine) {
        await this.#deal.hear(name, undefined, event.resumeToken);
      }
    }
  }
}
