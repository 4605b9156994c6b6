/*
 * The sender by itself: real maps of the data plane, which the test fills as the agent, reception and the sweep do, and
 * a veth in a namespace of its own, at whose other end everything is captured.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync } from 'node:fs';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { BfdState, Limit, Session, SessionHeard, SessionSent, SessionState } from '../../gen/layout.js';
import { BpfObject } from '../../native/lib/index.js';
import { CAPTURE, channelOf, type Packet, parse } from './capture.js';

const path = (name: string): string => fileURLToPath(new URL(`../../${name}`, import.meta.url));
export const SENDER = path('build/native-tools/bfd-sender');
const MAPS = ['sessions', 'sessions_heard', 'session_states', 'sessions_sent', 'sweep_control'] as const;
const { BFD_UP } = BfdState;

/** For what must come, however busy the machine is. */
export const PATIENCE = 20_000;

function ip(...args: readonly string[]): void {
  const { status, stderr } = spawnSync('ip', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr}`);
}

type Fields = Readonly<Record<string, number>>;
/** Where each field lies, as the codecs have it. */
interface Layout {
  readonly offsets: Fields;
  readonly size: number;
}

/** The words of one struct in a map's memory. */
class Record32 {
  readonly #view: DataView;
  readonly #offsets: Fields;

  constructor(memory: ArrayBuffer, { offsets, size }: Layout, id: number) {
    this.#view = new DataView(memory, id * size, size);
    this.#offsets = offsets;
  }

  #at(field: string): number {
    const at = this.#offsets[field];
    if (at === undefined) throw new Error(`no field ${field}`);
    return at;
  }

  get(field: string): number {
    return this.#view.getUint32(this.#at(field), true);
  }

  set(fields: Fields): void {
    for (const [field, value] of Object.entries(fields)) this.#view.setUint32(this.#at(field), value, true);
  }

  set64(field: string, value: bigint): void {
    this.#view.setBigUint64(this.#at(field), value, true);
  }

  get64(field: string): bigint {
    return this.#view.getBigUint64(this.#at(field), true);
  }
}

export interface Ended {
  readonly status: number | null;
  readonly stderr: string;
}

let stands = 0;

export class Stand {
  readonly name = `cbsn-${process.pid}-${stands++}`;
  readonly folder = `/sys/fs/bpf/${this.name}`;
  /** Everything of BFD that was sent. */
  readonly packets: Packet[] = [];
  /** Of these only whose they are, and when they came. */
  readonly measurements: Packet[] = [];
  readonly #memory = new Map<string, ArrayBuffer>();
  readonly #senders = new Set<ChildProcess>();
  #capture: ChildProcess | undefined;
  #lines: Interface | undefined;
  #arrived: () => void = () => undefined;

  static async start(): Promise<Stand> {
    const stand = new Stand();
    try {
      await stand.#start();
    } catch (error) {
      stand.stop();
      throw error;
    }
    return stand;
  }

  async #start(): Promise<void> {
    mkdirSync(this.folder);
    const object = BpfObject.open(path('build/bpf/cabernet-test.o'));
    for (const name of object.programNames) object.setAutoload(name, false);
    for (const name of object.mapNames)
      if (!(MAPS as readonly string[]).includes(name) && !name.startsWith('.'))
        object.setAutocreate(name, false);
    for (const name of MAPS) object.setPinned(name, `${this.folder}/${name}`);
    await object.load();
    for (const name of MAPS) {
      const map = object.map(name);
      this.#memory.set(name, map.mmap());
      map.close();
    }
    object.close();
    ip('netns', 'add', this.name);
    ip('-n', this.name, 'link', 'add', 'sender', 'type', 'veth', 'peer', 'name', 'data');
    for (const end of ['sender', 'data']) ip('-n', this.name, 'link', 'set', end, 'up');
    const capture = this.inside('python3', '-c', CAPTURE);
    this.#capture = capture;
    if (!capture.stdout) throw new Error('no output');
    const lines = createInterface({ input: capture.stdout });
    this.#lines = lines;
    await once(lines, 'line');
    lines.on('line', (line) => {
      const packet = parse(line);
      if (channelOf(packet) === Limit.LIMIT_CHANNEL_MEASURE) this.measurements.push(packet);
      else this.packets.push(packet);
      this.#arrived();
    });
  }

  inside(...command: readonly string[]): ChildProcess {
    return spawn('nsenter', [`--net=/run/netns/${this.name}`, '--', ...command], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  stop(): void {
    for (const child of this.#senders) child.kill('SIGKILL');
    // the last line may have been half written
    this.#lines?.removeAllListeners('line');
    this.#capture?.kill('SIGKILL');
    spawnSync('ip', ['netns', 'delete', this.name]);
    rmSync(this.folder, { recursive: true, force: true });
  }

  // ---- the maps

  #of(map: string): ArrayBuffer {
    const memory = this.#memory.get(map);
    if (!memory) throw new Error(`no map ${map}`);
    return memory;
  }

  session(id: number): Record32 {
    return new Record32(this.#of('sessions'), Session, id);
  }

  heard(id: number): Record32 {
    return new Record32(this.#of('sessions_heard'), SessionHeard, id);
  }

  state(id: number): Record32 {
    return new Record32(this.#of('session_states'), SessionState, id);
  }

  sent(id: number): Record32 {
    return new Record32(this.#of('sessions_sent'), SessionSent, id);
  }

  /** Sessions that are looked at: below this id. */
  end(end: number): void {
    new DataView(this.#of('sweep_control')).setUint32(4, end, true);
  }

  /** The peer has been heard, just now. */
  hear(id: number, fields: Fields): void {
    this.heard(id).set(fields);
    this.heard(id).set64('at', process.hrtime.bigint());
  }

  move(id: number, state: number, diagnostic = 0): void {
    this.state(id).set({ word: state | (diagnostic << 8) });
  }

  /** A session as the agent makes it; intervals in ms. Without a state the sweep has not seen it yet. */
  make(id: number, ms: number, fields: Fields = {}, state?: number): void {
    const { discriminator = 1000 + id, ...rest } = fields;
    this.session(id).set({ minTx: ms * 1000, minRx: ms * 1000, multiplier: 3, flags: 0, ...rest });
    if (state !== undefined) this.move(id, state);
    this.session(id).set({ discriminator });
  }

  /** One that is up, with a peer that wants the same. */
  makeUp(id: number, ms: number, fields: Fields = {}): void {
    this.hear(id, { discriminator: 2000 + id, minTx: ms * 1000, minRx: ms * 1000, multiplier: 3 });
    this.make(id, ms, fields, BFD_UP);
  }

  // ---- the sender

  sender(...args: readonly string[]): ChildProcess {
    const own = args.length > 0 ? args : ['--maps', this.folder, '--interface', 'sender'];
    const child = this.inside(SENDER, ...own);
    this.#senders.add(child);
    return child;
  }

  // ---- what has come

  /** Of the packets from `from` on the first that is so, as soon as it is there. */
  async packet(
    what: string,
    from: number,
    matches: (packet: Packet) => boolean,
  ): Promise<Packet & { index: number }> {
    let index = from;
    await this.until(`a packet: ${what}`, () => {
      while (index < this.packets.length) {
        const packet = this.packets[index];
        if (packet && matches(packet)) return true;
        index++;
      }
      return false;
    });
    const packet = this.packets[index];
    if (!packet) throw new Error('no packet');
    return { ...packet, index };
  }

  /** `count` packets of a session, of those from `from` on. */
  async some(id: number, count: number, from = this.packets.length): Promise<Packet[]> {
    const found = (): Packet[] => this.packets.slice(from).filter((packet) => packet.id === id);
    await this.until(`${count} packets of session ${id}`, () => found().length >= count);
    return found().slice(0, count);
  }

  /** Until all is here that was sent before now, as session `id` shows, which is never at rest. */
  async caughtUp(id: number): Promise<void> {
    const sent = Number(this.sent(id).get64('packets')) + 3;
    await this.until('what was sent', () => this.packets.filter((packet) => packet.id === id).length >= sent);
  }

  /** Looks again with each packet that arrives. */
  async until(what: string, isSo: () => boolean): Promise<void> {
    const deadline = Date.now() + PATIENCE;
    while (!isSo()) {
      if (Date.now() > deadline) throw new Error(`not within ${PATIENCE} ms: ${what}`);
      await new Promise<void>((resolve) => {
        this.#arrived = resolve;
        setTimeout(resolve, 100).unref();
      });
    }
  }
}

/** How it ends, and what it has said. */
export async function ended(child: ChildProcess): Promise<Ended> {
  let stderr = '';
  child.stderr?.on('data', (bytes: Buffer) => (stderr += bytes.toString()));
  const [status] = (await once(child, 'close')) as [number | null];
  return { status, stderr };
}
