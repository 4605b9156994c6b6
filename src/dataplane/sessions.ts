/**
 * The BFD sessions that watch paths (RFC 5880): what is watched, what the programs and the sender say of it
 * (bpf/bfd.h has who writes what), and the clock that ends silent ones.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import {
  BfdState,
  DelayHistogram,
  Limit,
  MeasureSent,
  MeasureState,
  Session as SessionRecord,
  SessionEvent as EventRecord,
  SessionHeard,
  SessionKey,
  SessionSent,
  SessionState,
  SweepControl,
} from '../../gen/layout.js';
import { type BpfMap, RingBuffer } from '../../native/lib/index.js';
import { DataPlaneError } from './errors.js';
import { type IdPool } from './pool.js';
import { RecordTable } from './records.js';

export interface Session {
  /** The path's record: what it sends goes down by it. */
  readonly path: number;
  /** Its packets arrive with `label` in `context` (contextOf()); 0 and a vif's context over a circuit. */
  readonly context: number;
  readonly label: number;
  /** Whose link is watched, and which of its paths. */
  readonly vif: number;
  readonly index: number;
  /** Microseconds. */
  readonly minTx: number;
  readonly minRx: number;
  readonly multiplier: number;
  /** Milliseconds. */
  readonly restore: number;
  /** `LIMIT_SESSION_ADMIN_DOWN` */
  readonly flags: number;
  /** What the path is to keep to, and how that is measured; 0: it is not. */
  readonly measureInterval: number;
  readonly maxLoss: number;
  readonly maxDelay: number;
  readonly maxVariation: number;
  readonly hold: number;
}

export const NOT_MEASURED = {
  measureInterval: 0,
  maxLoss: 0,
  maxDelay: 0,
  maxVariation: 0,
  hold: 0,
} as const;

/** What may change of a session that goes on. */
export type SessionTerms = Omit<Session, 'path' | 'context' | 'label' | 'vif' | 'index'>;

/** Who counts packets by colour, for a session: see bpf/marking.h. 0: nobody. */
export interface Marks {
  readonly path: (path: number, session: number) => void;
  readonly label: (label: { readonly context: number; readonly label: number }, session: number) => void;
}

export interface SessionStatus {
  readonly discriminator: number;
  readonly heard: SessionHeard;
  readonly state: SessionState;
  readonly sent: SessionSent;
  /** Silence until it is down; 0: nothing was heard. Microseconds. */
  readonly detection: number;
}

/** A state of a session, as it was entered. */
export type SessionEvent = EventRecord;

/** Silent sessions are found at most half an interval late, and no tick is wasted. Nanoseconds. */
const SHORTEST_PERIOD = 500_000;
const LONGEST_PERIOD = 10_000_000;

/** A sender that lives says what is new at once. Milliseconds. */
const FAREWELL_MS = 50;

type Watcher = (events: readonly SessionEvent[]) => void;

export class SessionTable {
  readonly intents;
  readonly #heard;
  readonly #states;
  readonly #sent;
  readonly #measuresSent;
  readonly #measured;
  readonly #delays;
  readonly #marks: Marks;
  readonly #ends: BpfMap;
  readonly #control: Uint32Array;
  readonly #pool: IdPool;
  readonly #ring: RingBuffer;
  readonly #watchers = new Set<Watcher>();
  #unsettled = false;
  #closed = false;

  constructor(map: (name: string) => BpfMap, pool: IdPool, marks: Marks) {
    this.#pool = pool;
    this.#marks = marks;
    this.intents = new RecordTable(map('sessions'), SessionRecord, { pool });
    this.#heard = new RecordTable(map('sessions_heard'), SessionHeard);
    this.#states = new RecordTable(map('session_states'), SessionState);
    this.#sent = new RecordTable(map('sessions_sent'), SessionSent);
    this.#measuresSent = new RecordTable(map('measures_sent'), MeasureSent);
    this.#measured = new RecordTable(map('measure_states'), MeasureState);
    this.#delays = new RecordTable(map('delay_histograms'), DelayHistogram);
    this.#ends = map('session_ends');
    this.#control = new Uint32Array(map('sweep_control').mmap());
    this.#ring = RingBuffer.open(map('session_events'), {
      capacity: 4096,
      onRecords: (records) => {
        const events = records.map((record) => EventRecord.decode(record));
        for (const watcher of this.#watchers) watcher(events);
      },
    }).unref();
  }

  get bytes(): number {
    const tables = [this.intents, this.#heard, this.#states, this.#sent];
    const measures = [this.#measuresSent, this.#measured, this.#delays];
    return [...tables, ...measures].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Begins, with a discriminator nobody can guess. `TABLE_FULL` when no more fit. */
  start(session: Session): number {
    const id = this.#pool.allocate();
    const end = SessionKey.encode({ context: session.context, label: session.label });
    try {
      this.#ends.update(end, new Uint8Array(Uint32Array.of(id).buffer));
    } catch (cause) {
      this.#pool.release(id);
      const detail = `no more than ${this.#ends.maxEntries} sessions fit`;
      throw new DataPlaneError({ code: 'TABLE_FULL', operation: 'sessions.start', detail, cause });
    }
    this.begin(id, session);
    return id;
  }

  /** Of an allocated id, whose packets find it already. */
  begin(id: number, session: Session): void {
    this.intents.write(id, { ...session, discriminator: 0 });
    this.#mark(id, session, session.measureInterval > 0);
    this.intents.set(id, 'discriminator', discriminator());
    this.#settleSoon();
  }

  /** Other intervals or limits, or held down: the session goes on. */
  change(id: number, session: SessionTerms): void {
    const { minTx, minRx, multiplier, restore, flags } = session;
    const { measureInterval, maxLoss, maxDelay, maxVariation, hold } = session;
    this.#mark(id, this.intents.read(id), measureInterval > 0);
    this.intents.write(id, {
      ...{ minTx, minRx, multiplier, restore, flags },
      ...{ measureInterval, maxLoss, maxDelay, maxVariation, hold },
    });
    this.#settleSoon();
  }

  /** Over a circuit there is no entry to mark. */
  #mark(
    id: number,
    { path, context, label }: Pick<Session, 'path' | 'context' | 'label'>,
    on: boolean,
  ): void {
    if (label === 0) return;
    this.#marks.label({ context, label }, on ? id : 0);
    this.#marks.path(path, on ? id : 0);
  }

  /**
   * The other ends are told that these end on purpose (AdminDown), so that they do not take it for a failure; resolves
   * when that was sent, or nobody sends.
   */
  async retire(ids: readonly number[]): Promise<void> {
    const sent = new Map<number, bigint>();
    for (const id of ids) {
      this.intents.setBits(id, 'flags', Limit.LIMIT_SESSION_ADMIN_DOWN, true);
      sent.set(id, this.#sent.read(id).packets);
    }
    const deadline = performance.now() + FAREWELL_MS;
    const isTold = (id: number): boolean =>
      (this.#states.read(id).word & 0xff) === BfdState.BFD_ADMIN_DOWN &&
      this.#sent.read(id).packets > (sent.get(id) ?? 0n) + 1n;
    while (!ids.every(isTold) && performance.now() < deadline) await delay(1);
  }

  /** Nothing is heard or sent for it any more; its id is somebody else's after a grace period. */
  stop(id: number): void {
    const record = this.intents.read(id);
    const { context, label } = record;
    const end = SessionKey.encode({ context, label });
    this.#mark(id, record, false);
    this.end(id);
    // a later session may have the place by now
    if (this.#ends.lookup(end)?.readUInt32LE(0) === id) this.#ends.delete(end);
    this.#pool.release(id);
  }

  /** Nothing is heard or sent for it any more. */
  end(id: number): void {
    this.intents.set(id, 'discriminator', 0);
    this.#settleSoon();
  }

  /** What watches this path of a vif's link, as the records say. */
  *ofVif(vif: number): Generator<readonly [number, SessionRecord]> {
    for (const id of this.#pool.ids()) {
      const record = this.intents.read(id);
      if (record.vif === vif) yield [id, record];
    }
  }

  status(id: number): SessionStatus {
    const { discriminator: own, minRx } = this.intents.read(id);
    const [heard, state, sent] = [this.#heard.read(id), this.#states.read(id), this.#sent.read(id)];
    const detection = heard.multiplier * Math.max(minRx, sent.minRx, heard.minTx);
    return { discriminator: own, heard, state, sent, detection: heard.discriminator === 0 ? 0 : detection };
  }

  /** How its path does, and how long packets took there and back (bpf/measurement.h); undefined: it is not measured. */
  measured(id: number): { readonly state: MeasureState; readonly delays: Uint32Array } | undefined {
    if (this.intents.read(id).measureInterval === 0) return undefined;
    return { state: this.#measured.read(id), delays: this.#delays.read(id).buckets };
  }

  /** Once for all that is asked for in one turn. */
  #settleSoon(): void {
    if (this.#unsettled) return;
    this.#unsettled = true;
    queueMicrotask(() => this.settle());
  }

  /** The sweep's range and period, as the sessions there are need them. */
  settle(): void {
    this.#unsettled = false;
    if (this.#closed) return;
    let end = 0;
    let shortest = Infinity;
    for (const id of this.#pool.ids()) {
      const { minTx, minRx } = this.intents.read(id);
      end = Math.max(end, id + 1);
      shortest = Math.min(shortest, 1000 * Math.max(minTx, minRx));
    }
    const period = Math.min(LONGEST_PERIOD, Math.max(SHORTEST_PERIOD, Math.floor(shortest / 2)));
    Atomics.store(this.#control, SweepControl.offsets.end / 4, end);
    Atomics.store(this.#control, SweepControl.offsets.period / 4, period);
  }

  /** Calls back with what became of sessions; the answer ends that. */
  watch(callback: Watcher): () => void {
    this.#watchers.add(callback);
    return () => void this.#watchers.delete(callback);
  }

  /** For ids nobody has. */
  clear(id: number): void {
    this.intents.clear(id);
    this.#heard.clear(id);
    this.#states.clear(id);
    this.#sent.clear(id);
    this.#measuresSent.clear(id);
    this.#measured.clear(id);
    this.#delays.clear(id);
  }

  close(): void {
    if (this.#unsettled) this.settle();
    this.#closed = true;
    this.#watchers.clear();
    this.#ring.close();
  }
}

/** RFC 5880 §6.8.1: unique in this system, and not zero; random, so that no other system's session guesses it. */
function discriminator(): number {
  return randomBytes(4).readUInt32LE() || 1;
}
