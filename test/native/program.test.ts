// Programs: what they are, test runs in all their forms, live frames.
import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BpfMap } from '../../native/lib/map.js';
import { BpfObject } from '../../native/lib/object.js';
import { BpfProgram, type TestRunOptions } from '../../native/lib/program.js';
import { readXdpContext, XdpAction, xdpContext } from '../../native/lib/xdp.js';
import { fixture, makeWire, pinFolder, u32, type Wire } from './fixtures.js';

let object: BpfObject;
let counters: BpfMap;
const data = Buffer.alloc(64, 0xee);

beforeAll(async () => {
  object = BpfObject.open(fixture('maps'));
  object.setConstants({ verdict: XdpAction.TX });
  await object.load();
  counters = object.map('counters');
});
afterAll(() => object.close());

describe('a program', () => {
  it('says what it is, and is found again by id and pin', () => {
    const program = object.program('constant_verdict');
    expect(program).toMatchObject({ name: 'constant_verdict', typeId: 6 });
    expect(program.tag).toMatch(/^[0-9a-f]{16}$/);
    expect(program.statistics().verifiedInstructions).toBeGreaterThan(0);
    expect(BpfProgram.openId(program.id)).toMatchObject({ id: program.id, tag: program.tag });
    const folder = pinFolder('program');
    try {
      program.pin(`${folder}/p`);
      const again = BpfProgram.openPinned(`${folder}/p`);
      expect(again.id).toBe(program.id);
      expect(again.name).toBe('constant_verdic');
      again.close();
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
    expect(() => BpfProgram.openPinned('/sys/fs/bpf/nothing')).toThrow(
      expect.objectContaining({ code: 'ENOENT' }),
    );
    expect(() => BpfProgram.openPinned('/etc/hostname')).toThrow(expect.objectContaining({ code: 'EACCES' }));
  });

  it('refuses work when closed, and finishes what is under way', async () => {
    const program = object.program('constant_verdict');
    const running = program.testRun({ data });
    program.close();
    expect((await running).retval).toBe(XdpAction.TX);
    await expect(program.testRun({ data })).rejects.toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }));
    expect(() => program.attachXdp(1, { mode: 'native' })).toThrow(
      expect.objectContaining({ code: 'ERR_CLOSED' }),
    );
    expect(() => program.fd).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }));
    expect(program.name).toBe('constant_verdict');
  });
});

describe('a test run', () => {
  it('returns verdict, frame and time', async () => {
    const result = await object.program('constant_verdict').testRun({ data });
    expect(result.retval).toBe(XdpAction.TX);
    expect(result.data).toEqual(data);
    expect(result.durationNs).toBeGreaterThanOrEqual(0);
    expect(result.ctx).toBeUndefined();
  });

  it('repeats', async () => {
    const runs = object.map('.bss');
    const before = runs.lookup(u32(0))!.readBigUInt64LE();
    await object.program('constant_verdict').testRun({ data, repeat: 1000 });
    expect(runs.lookup(u32(0))!.readBigUInt64LE() - before).toBe(1000n);
  });

  it('hands metadata in and out', async () => {
    const program = object.program('metadata');
    const meta = Buffer.from('01020304', 'hex');
    const result = await program.testRun({ data, xdp: { meta } });
    expect(result.retval).toBe(XdpAction.PASS);
    expect(result.data).toEqual(data);
    expect(result.meta?.subarray(0, 8).toString('hex')).toBe('1111111122222222');
    expect(counters.lookup(u32(2))?.readUInt32LE()).toBe(0x04030201);
    expect(readXdpContext(result.ctx!)).toMatchObject({ metaLength: result.meta!.length, dataLength: 64 });

    const ctx = xdpContext({ metaLength: 4, dataLength: 64, ingressIfindex: 0, rxQueueIndex: 0 });
    const raw = await program.testRun({ data: Buffer.concat([meta, data]), ctx });
    expect(raw.meta).toBeUndefined();
    expect(raw.data.subarray(-64)).toEqual(data);
  });

  it('happens in the namespace and on the CPU asked for', async () => {
    const wire = makeWire('run');
    try {
      const program = object.program('metadata');
      const xdp = { ingressIfindex: wire.a };
      await program.testRun({ data, xdp, netns: wire.path, cpu: 0 });
      expect(counters.lookup(u32(2))?.readUInt32LE(4)).toBe(wire.a);
      const runs = object.map('per_cpu');
      expect(runs.transferSize).toBeGreaterThan(0);
      await expect(program.testRun({ data, netns: '/run/netns/cabernet-test-nowhere' })).rejects.toThrow(
        expect.objectContaining({ code: 'ENOENT', subject: '/run/netns/cabernet-test-nowhere' }),
      );
      await expect(program.testRun({ data, cpu: 1023 })).rejects.toThrow(
        expect.objectContaining({ code: 'EINVAL' }),
      );
    } finally {
      wire.remove();
    }
  });

  it.each<[string, Partial<TestRunOptions>, string]>([
    ['a frame without an Ethernet header', { data: Buffer.alloc(13) }, 'EINVAL'],
    ['an output too small', { dataOutSize: 10 }, 'ENOSPC'],
    ['an absurd output', { dataOutSize: 2 ** 31 }, 'ERR_ARGUMENT'],
    ['no repetition', { repeat: 0 }, 'ERR_ARGUMENT'],
    ['a context of a wrong size', { ctx: Buffer.alloc(3, 1) }, 'E2BIG'],
    ['context twice', { ctx: Buffer.alloc(24), xdp: {} }, 'ERR_ARGUMENT'],
    ['metadata of an odd length', { xdp: { meta: Buffer.alloc(3) } }, 'EINVAL'],
    ['an interface that is not there', { xdp: { ingressIfindex: 999_999 } }, 'ENODEV'],
    ['a batch too large', { liveFrames: true, batchSize: 257 }, 'ERR_ARGUMENT'],
    ['a string for data', { data: 'frame' as unknown as Buffer }, 'ERR_ARGUMENT'],
    ['a device program', {}, 'ENOTSUPP'],
  ])('refuses %s', async (what, options, code) => {
    const program = object.program(what === 'a device program' ? 'on_leaving' : 'metadata');
    const error: unknown = await program.testRun({ data, ...options }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ name: 'BpfError', operation: 'program.testRun' });
    const codes =
      code === 'ENOTSUPP'
        ? ['ENOTSUPP', 'EOPNOTSUPP', 'EINVAL']
        : code === 'E2BIG'
          ? ['E2BIG', 'EINVAL']
          : [code];
    expect(codes).toContain((error as { code: string }).code);
  });
});

describe('live frames', () => {
  let wire: Wire;
  beforeAll(() => {
    wire = makeWire('live');
  });
  afterAll(() => wire.remove());

  it('really leave through a device map, whose program runs', async () => {
    const fresh = BpfObject.open(fixture('maps'));
    await fresh.load();
    const sink = fresh.program('constant_verdict').attachXdp(wire.b, { mode: 'native', netns: wire.path });
    fresh
      .map('ports')
      .setDevice(0, { ifindex: wire.a, program: fresh.program('on_leaving') }, { netns: wire.path });
    const result = await fresh.program('redirect').testRun({
      data,
      repeat: 10_000,
      liveFrames: true,
      batchSize: 64,
      netns: wire.path,
      xdp: { ingressIfindex: wire.a },
    });
    expect(result.data.length).toBe(0);
    expect(fresh.map('counters').lookup(u32(3))?.readUInt32LE()).toBe(wire.a);
    expect(fresh.map('.bss').lookup(u32(0))!.readBigUInt64LE()).toBeGreaterThan(0n);
    sink.close();
    fresh.close();
  });
});
