/**
 * Histories in the store. Of each lease: minutes by the hour, kept for a day; hours by the day, kept for 32 days; days
 * together, kept for a year; and its violations. What is written is always whole: an hour is what its minutes come to, a day what its
 * hours do, so that the same once more changes nothing, whenever the process was killed.
 */
import { eachEntry, type Change, LIMITS, type Store } from '../store/index.js';
import { decode, encode, type Slots } from './chunk.js';
import { DAY, HOUR, MINUTE, startOf, total } from './slot.js';
import { type Violation } from './violations.js';

const PREFIX = 'history/';
/** In no name. */
const MARK = '|';

/** Writes all of it or nothing. */
export type Write = (changes: readonly Change[]) => Promise<void>;

/** m: minutes of an hour, h: hours of a day, d: days of {@link DAYS}, v: violations and when it began. */
type Level = 'm' | 'h' | 'd' | 'v';
const LENGTHS = { m: MINUTE, h: HOUR, d: DAY } as const;
/** Days of one entry: it has to stay far below what the store takes, also where every delay has a bucket of its own. */
export const DAYS = 64 * DAY;
const KEPT = { m: DAY + HOUR, h: 32 * DAY, d: 366 * DAY + DAYS } as const;
/** Of a commit; its barrier takes some, and its keys. */
const BATCH = { changes: 400, bytes: LIMITS.commit / 2 } as const;

export interface Noted {
  readonly first: number;
  readonly violations: readonly Violation[];
}

function keyOf(lease: string, level: Level, start = 0): string {
  const at = level === 'v' ? '' : `${MARK}${String(start / HOUR).padStart(9, '0')}`;
  return `${PREFIX}${lease}${MARK}${level}${at}`;
}

function parse(key: string): { lease: string; level: string; start: number } {
  const [lease = '', level = '', at = '0'] = key.slice(PREFIX.length).split(MARK);
  return { lease, level, start: Number(at) * HOUR };
}

function isAged(level: keyof typeof LENGTHS, start: number, now: number): boolean {
  return start + LENGTHS[level] < now - KEPT[level];
}

export class Archive {
  readonly #store: Store;
  readonly #write: Write;

  constructor(store: Store, write: Write) {
    this.#store = store;
    this.#write = write;
  }

  /** What there is, and the minutes of hours whose end was not seen; what is too old is forgotten. */
  async open(now: number): Promise<Map<string, { noted: Noted; minutes: Slots }>> {
    const found = new Map<string, { noted: Noted; minutes: Slots }>();
    const old: Change[] = [];
    const closed = new Set<string>();
    const chunks: { lease: string; start: number; slots: Slots }[] = [];
    for await (const { key, value } of eachEntry(this.#store, PREFIX)) {
      const { lease, level, start } = parse(key);
      if (level === 'v') {
        const noted = JSON.parse(Buffer.from(value).toString('utf8')) as Noted;
        found.set(lease, { noted, minutes: new Map() });
      } else if ((level === 'm' || level === 'h' || level === 'd') && isAged(level, start, now))
        old.push({ kind: 'delete', key });
      else if (level === 'h')
        for (const hour of decode(value, HOUR).keys()) closed.add(`${lease}${MARK}${hour}`);
      else if (level === 'm') chunks.push({ lease, start, slots: decode(value, MINUTE) });
    }
    for (const { lease, start, slots } of chunks)
      if (!closed.has(`${lease}${MARK}${start}`))
        for (const [minute, slot] of slots) found.get(lease)?.minutes.set(minute, slot);
    await this.write(old);
    return found;
  }

  /** In as many commits as it takes. */
  async write(changes: readonly Change[]): Promise<void> {
    let [batch, bytes]: [Change[], number] = [[], 0];
    for (const change of changes) {
      const size = change.key.length + (change.kind === 'put' ? change.value.length : 0);
      if (batch.length > 0 && (batch.length >= BATCH.changes || bytes + size > BATCH.bytes)) {
        await this.#write(batch);
        [batch, bytes] = [[], 0];
      }
      batch.push(change);
      bytes += size;
    }
    if (batch.length > 0) await this.#write(batch);
  }

  noteOf(lease: string, noted: Noted): Change {
    return { kind: 'put', key: keyOf(lease, 'v'), value: Buffer.from(JSON.stringify(noted)) };
  }

  /** Of one hour. */
  minutesOf(lease: string, hour: number, minutes: Slots): Change {
    const own = new Map([...minutes].filter(([minute]) => startOf(minute, HOUR) === hour));
    return { kind: 'put', key: keyOf(lease, 'm', hour), value: encode(own, MINUTE) };
  }

  /** An hour is over: its day, and the days, with what it has come to; what is too old goes. */
  async close(lease: string, hour: number, minutes: Slots): Promise<readonly Change[]> {
    const day = startOf(hour, DAY);
    const hours = await this.read(lease, 'h', day);
    const own = [...minutes].filter(([minute]) => startOf(minute, HOUR) === hour);
    hours.set(hour, total(own.map(([, slot]) => slot)));
    const block = startOf(day, DAYS);
    const days = await this.read(lease, 'd', block);
    days.set(day, total(hours.values()));
    return [
      this.minutesOf(lease, hour, minutes),
      { kind: 'put', key: keyOf(lease, 'h', day), value: encode(hours, HOUR) },
      { kind: 'put', key: keyOf(lease, 'd', block), value: encode(days, DAY) },
      ...(await this.#aged(lease, 'm', hour)),
      ...(await this.#aged(lease, 'h', hour)),
      ...(await this.#aged(lease, 'd', hour)),
    ];
  }

  /** The oldest that are kept no longer: more at once than come at once. */
  async #aged(lease: string, level: keyof typeof LENGTHS, now: number): Promise<readonly Change[]> {
    const { entries } = await this.#store.list(`${PREFIX}${lease}${MARK}${level}${MARK}`, { limit: 3 });
    return entries.flatMap(({ key }): Change[] =>
      isAged(level, parse(key).start, now) ? [{ kind: 'delete', key }] : [],
    );
  }

  async read(lease: string, level: keyof typeof LENGTHS, start: number): Promise<Slots> {
    const entry = await this.#store.get(keyOf(lease, level, start));
    return entry ? decode(entry.value, LENGTHS[level]) : new Map();
  }

  /** All that is kept of it. */
  async forget(lease: string): Promise<void> {
    const changes: Change[] = [];
    for await (const { key } of eachEntry(this.#store, `${PREFIX}${lease}${MARK}`))
      changes.push({ kind: 'delete', key });
    await this.write(changes);
  }
}
