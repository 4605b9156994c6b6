/*
 * Links of several paths and the BFD sessions that watch them, of the data plane that a test runs: written as user
 * space writes them, and what the programs have made of them, read back.
 */
import { isIPv4 } from 'node:net';
import {
  Link,
  LinkHistory,
  LinkKind,
  Limit,
  Peer,
  PeerKey,
  Session,
  DelayHistogram,
  MarkDirection,
  Marked,
  MeasureSent,
  MeasureState,
  SessionEvent,
  SessionHeard,
  SessionKey,
  SessionSent,
  SessionState,
  SweepControl,
} from '../../gen/layout.js';
import { RingBuffer, type BpfMap } from '../../native/lib/index.js';
import { addressBytes } from './frames.js';
import { contextWord, type LinkTable, type PeerTable, type SessionTable } from './tables.js';

const marks = { sent: MarkDirection.MARK_SENT, received: MarkDirection.MARK_RECEIVED } as const;

const states = ['AdminDown', 'Down', 'Init', 'Up'] as const;
export type StateName = (typeof states)[number];

const KINDS = {
  first: LinkKind.LINK_FIRST,
  weighted: LinkKind.LINK_WEIGHTED,
  twice: LinkKind.LINK_TWICE,
} as const;

/** A state with the reason for it, as `session_state.word` and `session_heard.state` hold them. */
export interface StateAndDiagnostic {
  state: StateName;
  diagnostic: number;
}

export interface LinkState {
  /** Places in `paths`. */
  down: number[];
  degraded: number[];
  used: number;
  switches: number;
  switched: bigint;
  lost: number;
}

interface Codec<T> {
  size: number;
  encode(value: T): Uint8Array;
  decode(bytes: Uint8Array): T;
}

export class Sessions {
  readonly #map: (name: string) => BpfMap;
  readonly #written = new Map<number, SessionTable>();
  readonly #links = new Map<number, LinkTable>();
  #control: Uint32Array | undefined;
  #ring: RingBuffer | undefined;
  #events: SessionEvent[] = [];

  constructor(map: (name: string) => BpfMap) {
    this.#map = map;
  }

  // ---- as user space writes them

  /** A link as it is from now on, what programs had written in it included. */
  writeLink(l: LinkTable): void {
    this.#links.set(l.vif, l);
    const ways = l.ways ?? [0];
    this.#put('link_histories', l.vif, LinkHistory, {});
    this.#put('links', l.vif, Link, {
      state:
        bits(l.down ?? []) |
        (bits(l.degraded ?? []) << Limit.LIMIT_LINK_DEGRADED_SHIFT) |
        ((l.used ?? 0) << Limit.LIMIT_LINK_USED_SHIFT),
      kind: KINDS[l.kind],
      number: l.number ?? 0,
      avoid: bits(l.avoid ?? []),
      order: Buffer.from([0, 1, 2, 3]).readUInt32LE(),
      paths: Uint32Array.from({ length: Limit.LIMIT_MAX_LINK_PATHS }, (_, i) => l.paths[i] ?? 0),
      ways: Uint8Array.from({ length: Limit.LIMIT_LINK_WAYS }, (_, i) => ways[i % ways.length] ?? 0),
    });
  }

  /** What the agent may write at any time. */
  avoid(vif: number, places: number[]): void {
    const link = this.#get('links', vif, Link);
    this.#map('links').update(key(vif), Link.encode({ ...link, avoid: bits(places) }));
  }

  /** Switched on, or changed; the sweep looks at all that there are. */
  write(s: SessionTable): void {
    this.#written.set(s.id, s);
    const context = contextWord(s.context);
    this.#put('sessions', s.id, Session, {
      discriminator: s.discriminator,
      path: s.path,
      context,
      label: s.label,
      vif: s.vif,
      index: s.index,
      minTx: s.minTx,
      minRx: s.minRx,
      multiplier: s.multiplier,
      flags: s.adminDown ? Limit.LIMIT_SESSION_ADMIN_DOWN : 0,
      restore: s.restore ?? 0,
      measureInterval: s.measureInterval ?? 0,
      maxLoss: s.maxLoss ?? 0,
      maxDelay: s.maxDelay ?? 0,
      maxVariation: s.maxVariation ?? 0,
      hold: s.hold ?? 0,
    });
    if (s.peer) this.#writePeer(s.id, s.peer);
    else this.#map('session_ends').update(SessionKey.encode({ context, label: s.label }), key(s.id));
    this.control({ end: Math.max(this.control().end, s.id + 1) });
  }

  /** What programs had written of it is gone. */
  #writePeer(id: number, p: PeerTable): void {
    const whole = (address?: string): Buffer =>
      Buffer.concat([address === undefined ? Buffer.alloc(0) : addressBytes(address), Buffer.alloc(16)], 16);
    const family = p.local === undefined ? 0 : isIPv4(p.local) ? 4 : 6;
    const place = {
      ifindex: p.ifindex,
      vlan: p.vlan ?? 0,
      family,
      local: whole(p.local),
      remote: whole(p.remote),
    };
    this.#put('peers', id, Peer, { ...place, hop: p.hop ?? 0 });
    this.#map('peer_ends').update(PeerKey.encode(place), key(id));
  }

  /** What programs have made of a neighbour: what goes by it takes another way. */
  peerDown(id: number): boolean {
    return this.#get('peers', id, Peer).down !== 0;
  }

  /** Ends a session as the agent does: its label and its record, not what is known of it. */
  remove(id: number): void {
    const s = this.#written.get(id);
    if (!s) throw new Error(`no session ${id}`);
    this.#map('session_ends').delete(SessionKey.encode({ context: contextWord(s.context), label: s.label }));
    this.#put('sessions', id, Session, {});
  }

  /** All that the data plane holds, as the tables first had it; nothing is known of any session. */
  reset(): void {
    for (const link of this.#links.values()) this.writeLink(link);
    for (const session of [...this.#written.values()]) {
      this.write(session);
      this.#put('session_states', session.id, SessionState, {});
      this.#put('sessions_heard', session.id, SessionHeard, {});
      this.#put('sessions_sent', session.id, SessionSent, {});
      this.#put('measures_sent', session.id, MeasureSent, {});
      this.#put('measure_states', session.id, MeasureState, {});
      this.#put('delay_histograms', session.id, DelayHistogram, {});
    }
    this.events();
  }

  /** The sender's word on what it has told the peer. */
  sent(id: number, fields: Partial<SessionSent>): void {
    this.#put('sessions_sent', id, SessionSent, fields);
  }

  /** Puts a session where a test begins. */
  setState(id: number, state: StateName, diagnostic = 0, more: Partial<SessionState> = {}): void {
    this.#put('session_states', id, SessionState, {
      word: states.indexOf(state) | (diagnostic << 8),
      ...more,
    });
  }

  /** As if the peer had been heard. */
  setHeard(id: number, fields: Partial<SessionHeard>): void {
    this.#put('sessions_heard', id, SessionHeard, fields);
  }

  /** The sweep's own record; changed field by field, as the timer may be writing beside. */
  control(change: { period?: number; end?: number } = {}): SweepControl {
    this.#control ??= new Uint32Array(this.#map('sweep_control').mmap());
    if (change.period !== undefined) this.#control[SweepControl.offsets.period / 4] = change.period;
    if (change.end !== undefined) this.#control[SweepControl.offsets.end / 4] = change.end;
    return SweepControl.decode(new Uint8Array(this.#control.buffer));
  }

  // ---- as the programs have left them

  link(vif: number): LinkState {
    const { state } = this.#get('links', vif, Link);
    const { switches, switched, lost } = this.#get('link_histories', vif, LinkHistory);
    const degraded = places((state >>> Limit.LIMIT_LINK_DEGRADED_SHIFT) & 0xf);
    return { down: places(state & 0xf), degraded, used: state >>> 8, switches, switched, lost };
  }

  state(id: number): SessionState & StateAndDiagnostic {
    const state = this.#get('session_states', id, SessionState);
    return { ...state, ...named(state.word) };
  }

  heard(id: number): SessionHeard {
    return this.#get('sessions_heard', id, SessionHeard);
  }

  measured(id: number): MeasureState {
    return this.#get('measure_states', id, MeasureState);
  }

  delays(id: number): number[] {
    return [...this.#get('delay_histograms', id, DelayHistogram).buckets];
  }

  /** Packets that a session has counted by colour, on all CPUs. */
  marked(id: number, direction: keyof typeof marks): [number, number] {
    const bytes = this.#bytes('marked', id * MarkDirection.MARK_DIRECTIONS + marks[direction]);
    const sums: [number, number] = [0, 0];
    for (let at = 0; at < bytes.length; at += Marked.size) {
      const { packets } = Marked.decode(bytes.subarray(at));
      sums[0] += Number(packets[0]);
      sums[1] += Number(packets[1]);
    }
    return sums;
  }

  /** What programs have written of all links and sessions, but how many packets were refused. */
  snapshot(): string {
    const of = (map: string, ids: Iterable<number>): string[] =>
      [...ids].map((id) => `${map} ${id} ${this.#bytes(map, id).toString('hex')}`);
    const ids = [...this.#written.keys()];
    const heard = ids.map((id) => {
      const bytes = SessionHeard.encode({ ...this.heard(id), refused: 0 });
      return `heard ${id} ${Buffer.from(bytes).toString('hex')}`;
    });
    const rest = [...of('session_states', ids), ...of('peers', ids), ...of('measure_states', ids)];
    return [...of('links', this.#links.keys()), ...rest, ...heard].join('\n');
  }

  /** Those since the last call. */
  events(): Array<{
    time: bigint;
    session: number;
    vif: number;
    index: number;
    before: StateAndDiagnostic;
    after: StateAndDiagnostic;
    link: number;
  }> {
    this.#ring ??= RingBuffer.open(this.#map('session_events'), {
      onRecords: (records) => {
        this.#events.push(...records.map((record) => SessionEvent.decode(record)));
      },
    }).unref();
    this.#ring.consume();
    const events = this.#events;
    this.#events = [];
    return events.map((e) => ({ ...e, before: named(e.before), after: named(e.after) }));
  }

  close(): void {
    this.#ring?.close();
    this.#ring = undefined;
  }

  #bytes(map: string, id: number): Buffer {
    const found = this.#map(map).lookup(key(id));
    if (!found) throw new Error(`${map} has no ${id}`);
    return found;
  }

  #get<T>(map: string, id: number, codec: Codec<T>): T {
    return codec.decode(this.#bytes(map, id));
  }

  /** What is not named is zero. */
  #put<T extends object>(map: string, id: number, codec: Codec<T>, fields: Partial<T>): void {
    const zero = codec.decode(new Uint8Array(codec.size));
    this.#map(map).update(key(id), codec.encode({ ...zero, ...fields }));
  }
}

function key(id: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(id);
  return bytes;
}

function bits(list: readonly number[]): number {
  return list.reduce((word, place) => word | (1 << place), 0);
}

function places(word: number): number[] {
  return [0, 1, 2, 3, 4, 5, 6, 7].filter((place) => (word >>> place) & 1);
}

function named(word: number): StateAndDiagnostic {
  const state = states[word & 0xff];
  if (!state) throw new Error(`no BFD state: ${word}`);
  return { state, diagnostic: word >>> 8 };
}
