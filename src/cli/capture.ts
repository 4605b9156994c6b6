/**
 * `cabernet capture`: packets as they enter and as they leave a vif, a virtual node or a machine's interface, and what
 * is dropped there. It ends on Ctrl-C, after `--count` packets, or after `--duration` seconds.
 */
import { createWriteStream, type WriteStream } from 'node:fs';
import { once } from 'node:events';
import { type Writable } from 'node:stream';

import {
  type CapturedPacket,
  chooseWorld,
  clientOf,
  findMachine,
  findTarget,
  Naming,
  nodeNameOf,
  portVifOf,
  requireRoot,
  suggestion,
  WorldError,
  type WorldState,
} from '../world/index.js';
import type { CaptureFlags } from './flags.js';
import { short } from './names.js';
import { PcapngWriter } from './pcapng.js';
import { UsageError } from './report.js';
import { summarize } from './summary.js';

/** The API's largest. */
const SNAP_LENGTH = 1514;

type Point = { readonly node: string } | { readonly vif: string } | { readonly interface: string };

/** Which agent to ask, and for what. */
function pointOf(state: WorldState, text: string): { machine: string; point: Point } {
  const [machine = '', nic] = text.split(':');
  if (nic !== undefined) {
    const target = findMachine(state, machine);
    const known =
      state.plan.machines.find((one) => one.name === machine)?.interfaces.map((one) => one.name) ?? [];
    const ports = state.plan.stations.filter((one) => one.machine === machine).map((one) => one.port);
    if (![...known, ...ports].includes(nic)) {
      const hint = suggestion(nic, [...known, ...ports]);
      throw new WorldError('NAME', `${machine} has no interface ${nic}.${hint}`);
    }
    return { machine: target.machine, point: { interface: nic } };
  }
  const [network = '', name = '', vif] = text.split('/');
  if (name === '') throw new UsageError(`${text}: VN/NODE, VN/STATION, VN/NODE/VIF or MACHINE:INTERFACE`);
  const target = findTarget(state, `${network}/${name}`);
  if (target.kind === 'machine') throw new UsageError(`${text}: a machine's interface is MACHINE:INTERFACE`);
  if (vif !== undefined)
    return { machine: target.machine, point: { vif: `${nodeNameOf(target)}/vifs/${vif}` } };
  const { machine: where } = target;
  return {
    machine: where,
    point: target.kind === 'station' ? { vif: portVifOf(target) } : { node: nodeNameOf(target) },
  };
}

export async function captureCommand(text: string, flags: CaptureFlags): Promise<void> {
  requireRoot('`cabernet capture`');
  const state = chooseWorld(flags.world);
  const { machine, point } = pointOf(state, text);
  const sink = flags.write === undefined ? new LineSink() : await FileSink.open(flags.write);
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  const timer =
    flags.duration === undefined ? undefined : setTimeout(() => stop.abort(), flags.duration * 1000);
  const client = clientOf(state.plan.name, machine);
  const naming = new Naming(state.plan.networks);
  let seen = 0;
  let lost = 0n;
  try {
    if (flags.write !== undefined) note(`capturing at ${text} on ${machine}; Ctrl-C ends it`);
    for await (const batch of client.capture(
      { ...point, snapLength: SNAP_LENGTH },
      { signal: stop.signal },
    )) {
      lost += batch.lost;
      for (const packet of batch.packets.slice(0, (flags.count ?? Infinity) - seen)) {
        await sink.write({ ...packet, point: naming.forPeople(packet.point) });
        seen++;
      }
      if (flags.count !== undefined && seen >= flags.count) break;
    }
  } catch (error) {
    if (!stop.signal.aborted) throw error;
  } finally {
    clearTimeout(timer);
    client.close();
    await sink.close();
  }
  if (flags.write !== undefined || lost > 0n)
    note(`${seen} packets${lost > 0n ? `, ${lost} lost: too many to keep up with` : ''}`);
}

function note(text: string): void {
  process.stderr.write(`cabernet: ${text}\n`);
}

function direction(packet: CapturedPacket): 'in' | 'out' | 'drop' {
  return packet.direction === 'in' || packet.direction === 'out' ? packet.direction : 'drop';
}

class LineSink {
  async write(packet: CapturedPacket): Promise<void> {
    const micros = packet.timeNs / 1000n;
    const clock = new Date(Number(micros / 1000n)).toISOString().slice(11, 19);
    const time = `${clock}.${String(micros % 1_000_000n).padStart(6, '0')}`;
    const what = direction(packet) === 'drop' ? `drop (${packet.reason})` : direction(packet).padEnd(3);
    const line = `${time} ${short(packet.point)} ${what} ${summarize(packet.frame)}, ${packet.length} bytes\n`;
    await written(process.stdout, line);
  }

  async close(): Promise<void> {}
}

class FileSink {
  readonly #stream: WriteStream | NodeJS.WriteStream;
  readonly #writer = new PcapngWriter(SNAP_LENGTH);

  private constructor(stream: WriteStream | NodeJS.WriteStream) {
    this.#stream = stream;
  }

  static async open(path: string): Promise<FileSink> {
    const stream = path === '-' ? process.stdout : createWriteStream(path);
    if (stream !== process.stdout) {
      try {
        await once(stream, 'open');
      } catch (cause) {
        throw new WorldError('FILE', `${path} cannot be written: ${(cause as Error).message}`, { cause });
      }
    }
    const sink = new FileSink(stream);
    await written(stream, sink.#writer.header());
    return sink;
  }

  async write(packet: CapturedPacket): Promise<void> {
    const { timeNs, length, frame, reason } = packet;
    const block = this.#writer.packet({
      timeNs,
      point: short(packet.point),
      direction: direction(packet),
      ...(direction(packet) === 'drop' ? { comment: `dropped: ${reason}` } : {}),
      length,
      frame,
    });
    await written(this.#stream, block);
  }

  async close(): Promise<void> {
    if (this.#stream === process.stdout) return;
    this.#stream.end();
    await once(this.#stream, 'close');
  }
}

/** At the reader's pace. */
async function written(stream: Writable, data: string | Uint8Array): Promise<void> {
  if (!stream.write(data)) await once(stream, 'drain');
}
