/*
 * A paced stream of numbered frames from a station to another: sent by native-tools/paced, counted by the XDP program
 * bpf/numbered.bpf.c where it arrives, so that no process can lose any.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { type BpfMap, BpfObject, type XdpLink } from '../native/lib/index.js';
import { packageRoot } from '../src/world/place.js';
import { ethernet, frame, ipv4, payload, udp } from '../test/support/frames.js';
import { lossOf, type StreamLoss } from './distribution.js';
import { undoAtExit } from './undo.js';

/** Ethernet, IPv4 and UDP; the number comes behind. */
const OFFSET = 42;

export interface Stream {
  /** Ends it; how many were sent. */
  stop(): Promise<number>;
}

export interface Route {
  /** Path of the sending station's namespace, and of the receiving one's. */
  readonly from: string;
  readonly to: string;
  readonly source: string;
  readonly destination: string;
}

/** From `eth0`; somebody has asked for the gateway's MAC address already. */
function numberedFrame(route: Route, gateway: string): Buffer {
  const show = (...args: string[]): string =>
    spawnSync('nsenter', [`--net=${route.from}`, 'ip', '-j', ...args], { encoding: 'utf8' }).stdout;
  const [own] = JSON.parse(show('link', 'show', 'dev', 'eth0')) as { address: string }[];
  const [far] = JSON.parse(show('neighbour', 'show', gateway)) as { lladdr?: string }[];
  if (!own || far?.lladdr === undefined) throw new Error(`the station does not know ${gateway}`);
  return frame(
    ethernet({ from: own.address, to: far.lladdr }),
    ipv4({ from: route.source, to: route.destination }),
    udp({ from: 9, to: 9 }),
    payload(18),
  );
}

/** Sends until it is stopped. */
export function send(route: Route, gateway: string, rate: number): Stream {
  const tool = join(packageRoot(), 'build', 'native-tools', 'paced');
  const bytes = numberedFrame(route, gateway).toString('hex');
  const args = [`--net=${route.from}`, '--', tool, 'eth0', String(rate), String(OFFSET), bytes];
  const child = spawn('nsenter', args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const undo = undoAtExit(() => child.kill('SIGKILL'));
  let said = '';
  child.stdout.on('data', (text: Buffer) => (said += text.toString()));
  const ended = once(child, 'close');
  return {
    async stop() {
      child.stdin.end();
      await ended;
      undo();
      const sent = Number(said);
      if (said === '' || !Number.isInteger(sent)) throw new Error('paced has failed: see above');
      return sent;
    },
  };
}

/** At the receiving station's `eth0`. */
export class Sink {
  readonly #object: BpfObject;
  readonly #link: XdpLink;
  readonly #seen: Uint32Array;
  readonly #stride: number;
  readonly #total: BigUint64Array;
  readonly #maps: readonly BpfMap[];

  private constructor(object: BpfObject, link: XdpLink) {
    this.#object = object;
    this.#link = link;
    const [seen, total] = [object.map('numbered_seen'), object.map('numbered_total')];
    this.#maps = [seen, total];
    this.#seen = new Uint32Array(seen.mmap());
    this.#stride = seen.stride / 4;
    this.#total = new BigUint64Array(total.mmap());
  }

  static async open(route: Route): Promise<Sink> {
    const object = BpfObject.open(join(packageRoot(), 'build', 'bpf', 'numbered.o'));
    await object.load();
    const device = spawnSync('nsenter', [`--net=${route.to}`, 'ip', '-j', 'link', 'show', 'dev', 'eth0'], {
      encoding: 'utf8',
    });
    const [eth0] = JSON.parse(device.stdout) as { ifindex: number }[];
    const program = object.program('numbered');
    const link = program.attachXdp(eth0?.ifindex ?? 0, { mode: 'native', netns: route.to });
    return new Sink(object, link);
  }

  get received(): number {
    return Number(this.#total[0]);
  }

  /** Of how many numbers it keeps account. */
  get capacity(): number {
    return this.#seen.length / this.#stride;
  }

  clear(): void {
    this.#seen.fill(0);
    this.#total[0] = 0n;
  }

  /** Nothing is on its way any more. */
  loss(sent: number): StreamLoss {
    if (sent > this.capacity) throw new Error(`${sent} frames are more than the sink's ${this.capacity}`);
    return lossOf(sent, (number) => this.#seen[number * this.#stride] ?? 0);
  }

  close(): void {
    this.#link.close();
    for (const map of this.#maps) map.close();
    this.#object.close();
  }
}

/** Counted by it all at once: none has come for a while. */
export async function drained(sink: Sink): Promise<void> {
  for (let before = -1; before !== sink.received;) {
    before = sink.received;
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
}
