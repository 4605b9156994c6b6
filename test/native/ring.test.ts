// Ring buffers: order, bounds, what closing and keeping alive mean.
import { spawnSync } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { BpfMap } from '../../native/lib/map.js';
import { BpfObject } from '../../native/lib/object.js';
import { RingBuffer } from '../../native/lib/ring.js';
import { compiledLibrary, fixture, until } from './fixtures.js';

let object: BpfObject;
let events: BpfMap;
const readers: RingBuffer[] = [];

beforeEach(async () => {
  object = BpfObject.open(fixture('maps'));
  await object.load();
  events = object.map('events');
});
afterEach(() => {
  for (const reader of readers.splice(0)) reader.close();
  object.close();
});

function read(onRecords: (records: Buffer[]) => void, capacity?: number): RingBuffer {
  const reader = RingBuffer.open(events, capacity === undefined ? { onRecords } : { onRecords, capacity });
  readers.push(reader);
  return reader;
}

async function send(count: number): Promise<number> {
  const data = Buffer.alloc(64);
  data[0] = count;
  return (await object.program('notify').testRun({ data })).retval;
}

describe('a ring buffer', () => {
  it('delivers records in order, many at a time', async () => {
    const seen: number[] = [];
    let calls = 0;
    const reader = read((records) => {
      calls++;
      for (const record of records) {
        expect(record.length).toBe(8);
        seen.push(Number(record.readBigUInt64LE()));
      }
    });
    await send(200);
    await until(() => seen.length >= 200, '200 records');
    expect(seen).toEqual(Array.from({ length: 200 }, (_, i) => i));
    expect(calls).toBeLessThan(200);
    expect(reader.lost).toBe(0);
  });

  it('keeps no more than its capacity and counts the rest', async () => {
    const seen: Buffer[] = [];
    const reader = read((records) => seen.push(...records), 10);
    await send(100);
    await until(() => reader.lost > 0, 'a loss');
    expect(seen.length).toBe(10);
    expect(reader.lost).toBe(90);
    await send(5);
    await until(() => seen.length === 15, '5 more');
    reader.close();
    expect(reader.lost).toBe(90);
  });

  it('is emptied at once on demand', async () => {
    const sizes: number[] = [];
    await send(3);
    const reader = read((records) => sizes.push(records.length));
    expect(reader.consume()).toBe(3);
    expect(reader.consume()).toBe(0);
    expect(sizes).toEqual([3]);
  });

  it('keeps records for the next reader when closed', async () => {
    read(() => expect.unreachable()).close();
    await send(4);
    const sizes: number[] = [];
    read((records) => sizes.push(records.length)).consume();
    expect(sizes).toEqual([4]);
  });

  it('has one reader at a time in a process', () => {
    const first = read(() => undefined);
    expect(() => read(() => undefined)).toThrow(expect.objectContaining({ code: 'ERR_STATE' }));
    first.close();
  });

  it('frees its place once closed', async () => {
    read(() => undefined).close();
    await new Promise((resolve) => setImmediate(resolve));
    read(() => undefined);
  });

  it('may be closed by its own callback, and by an error in it', async () => {
    let calls = 0;
    const reader = read(() => {
      calls++;
      reader.close();
    });
    await send(2);
    await until(() => calls === 1, 'the call');
    await send(2);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(calls).toBe(1);
    expect(() => reader.consume()).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }));
    expect(() => reader.ref()).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }));
    reader.close();
  });

  it('survives its map handle and its object', async () => {
    const seen: Buffer[] = [];
    read((records) => seen.push(...records));
    events.close();
    await send(1);
    await until(() => seen.length === 1, 'the record');
  });

  it('refuses what is not a ring', () => {
    expect(() => RingBuffer.open(object.map('counters'), { onRecords: () => undefined })).toThrow(
      expect.objectContaining({ code: 'ERR_ARGUMENT' }),
    );
    expect(() => RingBuffer.open({} as BpfMap, { onRecords: () => undefined })).toThrow(
      expect.objectContaining({ code: 'ERR_FOREIGN' }),
    );
    for (const capacity of [0, -1, 0.5, Number.NaN, 2 ** 40]) {
      expect(() => read(() => undefined, capacity)).toThrow(
        expect.objectContaining({ code: 'ERR_ARGUMENT' }),
      );
    }
    events.close();
    expect(() => read(() => undefined)).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }));
  });
});

describe('a ring buffer and the process', { timeout: 60_000 }, () => {
  const preamble = `
    const { BpfObject } = await import('${compiledLibrary()}/object.js');
    const { RingBuffer } = await import('${compiledLibrary()}/ring.js');
    const object = BpfObject.open('${fixture('maps')}');
    await object.load();
    const data = Buffer.alloc(64, 1);
    const send = () => object.program('notify').testRun({ data });`;
  const run = (
    script: string,
    ...options: string[]
  ): { status: number | null; stdout: string; stderr: string } => {
    const args = [...options, '--input-type=module', '-e', preamble + script];
    const child = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 20_000 });
    return { status: child.status, stdout: child.stdout, stderr: child.stderr };
  };

  it('lets the process end when unreferenced', () => {
    expect(run(`RingBuffer.open(object.map('events'), { onRecords() {} }).unref();`)).toEqual({
      status: 0,
      stdout: '',
      stderr: '',
    });
  });

  it('keeps the process alive otherwise, also when only its callback is left', () => {
    const script = `
      RingBuffer.open(object.map('events'), { onRecords(r) { console.log(r.length); process.exit(3); } });
      setTimeout(() => { gc(); void send(); }, 50);`;
    expect(run(script, '--expose-gc')).toEqual({ status: 3, stdout: '1\n', stderr: '' });
  });

  it('does not mind the process ending while it is open', () => {
    expect(
      run(`RingBuffer.open(object.map('events'), { onRecords() {} }); await send(); process.exit(0);`),
    ).toMatchObject({
      status: 0,
      stderr: '',
    });
  });

  it('reports an error in the callback as uncaught', () => {
    const script = `
      process.on('uncaughtException', (error) => { console.log(error.message); process.exit(5); });
      RingBuffer.open(object.map('events'), { onRecords() { throw new Error('mine'); } });
      await send();`;
    expect(run(script)).toEqual({ status: 5, stdout: 'mine\n', stderr: '' });
  });
});
