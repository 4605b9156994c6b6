/**
 * Links by which nothing has passed for a while are called down, so that their customers lead what they can another way, and
 * have another backup: what their own protection left at once, and what comes and goes, is no reason to.
 */
import { type Logger } from '../api/log.js';
import { type ResourceStatus } from '../api/types.js';
import { type Clock } from '../controller/clock.js';
import { type State } from '../controller/state.js';
import { type Recorder } from '../history/recorder.js';
import { isOpen, latest } from '../history/violations.js';
import { type Bodies } from './kinds.js';
import { settled } from './status.js';

/** Milliseconds without a break. */
export const LASTING = 15_000;

/** What is read is then surely later: timers may be early, and two machines' clocks are compared. */
const MARGIN = 50;

export interface OutagesOptions {
  readonly state: State<Bodies>;
  readonly recorder: Recorder;
  readonly clock: Clock;
  /** Has the machines at a link's ends asked soon what has become of it. */
  readonly ask: (link: Link) => void;
  readonly log: Logger;
}

type Link = Bodies['virtualLink'];

export class Outages {
  readonly #options: OutagesOptions;
  #running: Promise<void> = Promise.resolve();
  #cancel: () => void = () => undefined;

  constructor(options: OutagesOptions) {
    this.#options = options;
  }

  /** As the histories have it by now. */
  settle(): void {
    const { state, log } = this.#options;
    this.#look();
    this.#running = this.#running
      .then(async () => {
        const changed = state.all('virtualLink').filter((link) => this.#statusOf(link) !== undefined);
        if (changed.length === 0) return;
        await state.transact((tx) => {
          for (const { name } of changed) {
            const link = tx.get('virtualLink', name);
            const status = link && this.#statusOf(link);
            if (!link || !status) continue;
            tx.put('virtualLink', { ...link, status });
            log.warn(status.state === 'down' ? 'a link is down' : 'a link is up again', { link: name });
          }
        });
      })
      .catch((error: unknown) => log.warn('outages are not told', { error }));
  }

  async close(): Promise<void> {
    this.#cancel();
    await this.#running;
  }

  /** What would be long enough by then is not left to the next reading. */
  #look(): void {
    const { state, clock, ask } = this.#options;
    const now = clock.now();
    this.#cancel();
    const due = state.all('virtualLink').flatMap((link) => {
      const at = link.status?.state === 'ready' ? (this.#downSince(link.name) ?? now) + LASTING : 0;
      return at > now && at < now + LASTING ? [{ link, at }] : [];
    });
    if (due.length === 0) return;
    const next = Math.min(...due.map(({ at }) => at)) + MARGIN;
    this.#cancel = clock.after(next - now, () => {
      for (const { link, at } of due) if (at < next) ask(link);
    });
  }

  /**
   * Since when it has been down, as far as is known: milliseconds since 1970, not further back than {@link LASTING}. An outage that
   * begins again soon is the same one in the books, and has had breaks. Undefined: it is not down.
   */
  #downSince(name: string): number | undefined {
    const { recorder } = this.#options;
    const outage = latest(recorder.violationsOf(name), 'availability');
    const timeline = recorder.timeline(name);
    const to = timeline?.covered;
    if (!outage || !isOpen(outage) || !timeline || to === undefined) return undefined;
    const spans = timeline.slice(to - LASTING, to);
    if (spans.at(-1)?.is !== 'down') return undefined;
    return spans.findLast(({ is }) => is !== 'down')?.to ?? spans[0]?.from;
  }

  /** Another than it has; undefined: that is right. */
  #statusOf({ name, status }: Link): ResourceStatus | undefined {
    const lasts = this.#lasts(name);
    if (status?.state === 'ready' && lasts)
      return { ...status, state: 'down', message: 'Nothing passes by it.' };
    return status?.state === 'down' && !lasts ? settled(status) : undefined;
  }

  #lasts(name: string): boolean {
    const since = this.#downSince(name);
    const to = this.#options.recorder.timeline(name)?.covered;
    return since !== undefined && to !== undefined && since <= to - LASTING;
  }
}
