// The sender as a process: how it begins and ends, what it takes over, and what it makes of nonsense in the maps.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { BfdState } from '../../gen/layout.js';
import { BpfMap, MapFlags } from '../../native/lib/index.js';
import { gaps } from './capture.js';
import { ended, SENDER, Stand } from './stand.js';

const { BFD_DOWN, BFD_UP } = BfdState;

let stand: Stand;
beforeEach(async () => {
  stand = await Stand.start();
});
afterEach(() => stand.stop());

describe('arguments', () => {
  test.each([
    [['--interface', 'sender'], 'needs --maps and --interface'],
    [['--maps', '/sys/fs/bpf'], 'needs --maps and --interface'],
    [['--maps'], '--maps needs a value'],
    [['--maps', '/x', '--interface', 'y', '--fast'], 'knows no --fast'],
    [['--maps', '/x', '--interface', 'y', 'z'], 'knows no z'],
    [['--maps', '/x', '--interface', 'y', '--priority', '0'], '0 is out of range'],
    [['--maps', '/x', '--interface', 'y', '--priority', '100'], '100 is out of range'],
    [['--maps', '/x', '--interface', 'y', '--cpu', '-1'], '-1 is out of range'],
    [['--maps', '/x', '--interface', 'y', '--cpu', '1x'], '1x is out of range'],
  ])('%j', async (args, message) => {
    const { status, stderr } = await ended(stand.sender(...args));
    expect(status).toBe(2);
    expect(stderr).toContain(message);
    expect(stderr.trimEnd().split('\n').length).toBe(1);
  });

  test('a folder, an interface or a CPU that is not there', async () => {
    for (const [args, message] of [
      [['--maps', '/nowhere', '--interface', 'sender'], "/nowhere can't be opened"],
      [['--maps', '/sys/fs/bpf', '--interface', 'sender'], 'there is no map pinned at /sys/fs/bpf/sessions'],
      [['--maps', stand.folder, '--interface', 'nothing'], "interface nothing can't be sent from"],
      [['--maps', stand.folder, '--interface', 'a-name-that-is-too-long'], "can't be sent from"],
      [['--maps', stand.folder, '--interface', 'sender', '--cpu', '1000'], "can't be bound to CPU 1000"],
    ] as const) {
      const { status, stderr } = await ended(stand.sender(...args));
      expect(status).toBe(1);
      expect(stderr).toContain(message);
      expect(stderr.trimEnd().split('\n').length).toBe(1);
    }
  });

  test('maps of another shape', async () => {
    for (const [valueSize, flags, message] of [
      [72, MapFlags.MMAPABLE, 'has values of 72 bytes'],
      [64, 0, 'is no array map that can be mapped'],
    ] as const) {
      const folder = `${stand.folder}/other${valueSize}`;
      const map = BpfMap.create({
        ...{ type: 'array', name: 'sessions', keySize: 4, valueSize, maxEntries: 4, flags },
      });
      map.pin(`${folder}/sessions`);
      map.close();
      const { status, stderr } = await ended(stand.sender('--maps', folder, '--interface', 'sender'));
      expect([status, stderr]).toEqual([1, expect.stringContaining(message)]);
    }
  });

  test('a priority and a CPU are taken', async () => {
    stand.makeUp(1, 10);
    stand.end(2);
    const child = stand.sender(
      ...['--maps', stand.folder, '--interface', 'sender', '--priority', '7', '--cpu', '0'],
    );
    await stand.some(1, 1, 0);
    expect(spawnSync('chrt', ['-p', String(child.pid)], { encoding: 'utf8' }).stdout).toMatch(
      /SCHED_FIFO(.|\n)*priority: 7\n/,
    );
    expect(spawnSync('taskset', ['-p', String(child.pid)], { encoding: 'utf8' }).stdout).toMatch(/: 1\n/);
  });
});

describe('real-time', () => {
  // version 1 of cgroups gives a new group no real-time; the sender leaves it then
  const group = `${existsSync('/sys/fs/cgroup/cpu') ? '/sys/fs/cgroup/cpu' : '/sys/fs/cgroup'}/cbsn-${process.pid}`;
  afterEach(() => {
    spawnSync('rmdir', [group]);
  });

  test('also where it was begun in a cpu cgroup', async () => {
    mkdirSync(group);
    stand.makeUp(1, 10);
    stand.end(2);
    const child = stand.inside(
      ...['sh', '-c', `echo $$ > ${group}/cgroup.procs && exec "$@"`, '', SENDER],
      ...['--maps', stand.folder, '--interface', 'sender'],
    );
    const end = ended(child);
    await stand.some(1, 1, 0);
    const { stdout } = spawnSync('chrt', ['-p', String(child.pid)], { encoding: 'utf8' });
    child.kill('SIGTERM');
    const { stderr } = await end;
    expect([stdout, stderr]).toEqual([expect.stringContaining('SCHED_FIFO'), '']);
  });
});

describe('beginning and ending', () => {
  test('SIGTERM ends it, SIGHUP and a reader of its errors that has gone do not', async () => {
    stand.makeUp(1, 10);
    stand.end(2);
    const child = stand.sender();
    await stand.some(1, 1, 0);
    child.stderr?.destroy();
    child.kill('SIGHUP');
    await stand.some(1, 30);
    child.kill('SIGTERM');
    await ended(child);
    expect(child.signalCode).toBe('SIGTERM');
  });

  test('there is one for each folder', async () => {
    stand.makeUp(1, 10);
    stand.end(2);
    stand.sender();
    await stand.some(1, 1, 0);
    const { status, stderr } = await ended(stand.sender());
    expect([status, stderr]).toEqual([1, `bfd-sender: another sender serves the maps in ${stand.folder}.\n`]);
  });

  test.each(['with a session', 'without one'])('ends when its interface goes: %s', async (which) => {
    if (which === 'with a session') stand.makeUp(1, 10);
    stand.makeUp(2, 10);
    stand.end(3);
    const child = stand.sender();
    await stand.some(2, 1, 0);
    stand.session(2).set({ discriminator: 0 });
    const end = ended(child);
    stand.inside('ip', 'link', 'delete', 'sender');
    expect(await end).toEqual({ status: 1, stderr: 'bfd-sender: interface sender has gone.\n' });
  });

  test('waits for an interface that is down', async () => {
    stand.makeUp(1, 10);
    stand.end(2);
    stand.sender();
    await stand.some(1, 5, 0);
    const link = (state: string): unknown =>
      spawnSync('ip', ['-n', stand.name, 'link', 'set', 'sender', state]).status;
    expect(link('down')).toBe(0);
    expect(link('up')).toBe(0);
    await stand.some(1, 20);
  });

  test('the next one goes on where the last one was killed', async () => {
    stand.makeUp(1, 10);
    stand.make(2, 10, {}, BFD_DOWN);
    stand.end(3);
    const first = stand.sender();
    await stand.some(1, 20, 0);
    stand.hear(1, { finals: 1 });
    await stand.packet('no P', stand.packets.length, (packet) => packet.id === 1 && !packet.poll);
    // what it asks was never answered
    stand.session(1).set({ minTx: 50_000, minRx: 5_000 });
    await stand.packet('P', stand.packets.length, (packet) => packet.id === 1 && packet.poll);
    const end = ended(first);
    first.kill('SIGKILL');
    await end;
    const counted = Number(stand.sent(1).get64('packets'));
    await stand.until(
      'each was counted',
      () => stand.packets.filter(({ id }) => id === 1).length === counted,
    );
    const from = stand.packets.length;
    stand.sender();
    const again = await stand.some(1, 50, from);
    // up, as before, no slower than the peer expects, and it asks anew
    expect(again.every((packet) => packet.state === BFD_UP && packet.poll && packet.minTx === 50_000)).toBe(
      true,
    );
    expect(gaps(again, 50).filter((gap) => gap < 0.75).length).toBeGreaterThan(25);
    expect(stand.sent(1).get('minRx')).toBe(10_000);
    expect(stand.sent(1).get64('packets')).toBeGreaterThanOrEqual(BigInt(counted) + 50n);
    // who is down stays slow across the two
    const down = await stand.some(2, 3, 0);
    expect(Math.min(...gaps(down, 1000))).toBeGreaterThanOrEqual(0.75);
  });
});

describe('what is in the maps', () => {
  test('a session that is removed ends, and its element is the next one’s', async () => {
    stand.makeUp(1, 10);
    stand.makeUp(2, 10);
    stand.end(3);
    stand.sender();
    await stand.some(1, 10, 0);
    stand.session(1).set({ discriminator: 0 });
    await stand.until('it has ended', () => stand.sent(1).get64('packets') === 0n);
    await stand.caughtUp(2);
    const from = stand.packets.length;
    await stand.some(2, 50, from);
    expect(stand.packets.slice(from).filter(({ id }) => id === 1)).toEqual([]);
    stand.make(1, 10, { discriminator: 5555 }, BFD_UP);
    const other = await stand.some(1, 1, from);
    expect(other[0]).toMatchObject({ discriminator: 5555, mine: 5555 });
    // from one to another within one look
    stand.session(1).set({ discriminator: 6666 });
    await stand.packet('of the third', from, (packet) => packet.discriminator === 6666);
    // and by the bound
    stand.end(1);
    await stand.until('none', () => stand.sent(2).get64('packets') === 0n);
    expect(stand.sent(1).get64('packets')).toBe(0n);
  });

  test('nonsense is not sent, takes no time and disturbs nobody', async () => {
    const wrong = [
      { minTx: 0 },
      { multiplier: 0 },
      { multiplier: 256 },
      { multiplier: 0xffffffff },
      { minTx: 0xffffffff, minRx: 0xffffffff, multiplier: 255 },
    ];
    wrong.forEach((fields, i) => stand.makeUp(10 + i, 10, fields));
    // a word that is no state
    stand.makeUp(20, 10);
    stand.state(20).set({ word: 0xdeadbeef });
    // heard at the end of time, with everything as large as it can be
    stand.makeUp(21, 10);
    stand
      .heard(21)
      .set({ discriminator: 0xffffffff, minTx: 0xffffffff, minRx: 0xffffffff, multiplier: 0xffffffff });
    stand.heard(21).set64('at', 0xffffffffffffffffn);
    stand.make(22, 10, {}, BFD_DOWN);
    stand.heard(22).set({ minTx: 0xffffffff, multiplier: 0xffffffff });
    stand.heard(22).set64('at', 1n);
    // what a sender left that was none of ours
    stand.makeUp(23, 10);
    stand.sent(23).set({ interval: 1, minRx: 0xffffffff });
    stand.sent(23).set64('at', 0xffffffffffffffffn);
    // faster than anybody may be
    stand.makeUp(24, 10, { minTx: 1 });
    stand.heard(24).set({ minRx: 1 });
    stand.makeUp(1, 10);
    stand.end(0xffffffff);
    const child = stand.sender();
    await stand.some(1, 200, 0);
    for (const id of [10, 11, 12, 13, 20])
      expect(stand.packets.filter((packet) => packet.id === id)).toEqual([]);
    expect(stand.packets.filter(({ id }) => id === 14).length).toBeLessThanOrEqual(1);
    const fastest = await stand.some(24, 100);
    expect(fastest.every(({ minTx }) => minTx === 1000)).toBe(true);
    expect(Math.min(...gaps(fastest, 1))).toBeGreaterThanOrEqual(0.75);
    await stand.some(23, 10);
    expect(child.exitCode).toBe(null);
  });

  test('all of it at random, again and again', async () => {
    stand.makeUp(0, 10);
    stand.end(4096);
    const child = stand.sender();
    await stand.some(0, 1, 0);
    let seed = 1;
    const draw = (): number => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0);
    for (let round = 0; round < 40; round++) {
      for (let id = 1; id < 64; id++) {
        for (const [record, fields] of [
          [stand.session(id), ['discriminator', 'minTx', 'minRx', 'multiplier', 'flags']],
          [stand.heard(id), ['discriminator', 'minTx', 'minRx', 'multiplier', 'polls', 'finals']],
          [stand.state(id), ['word']],
        ] as const)
          for (const field of fields) if (draw() % 3 === 0) record.set({ [field]: draw() >>> (draw() % 32) });
        stand.heard(id).set64('at', process.hrtime.bigint() + BigInt(draw()) - 2n ** 31n);
      }
      await stand.some(0, 2);
    }
    expect(child.exitCode).toBe(null);
    for (const { frame } of stand.packets) {
      expect(frame.length).toBe(52);
      // never what RFC 5880 §6.8.6 says to discard: no version, multiplier or discriminator
      expect([frame.readUInt8(28) >> 5, frame.readUInt8(31)]).toEqual([1, 24]);
      expect(frame.readUInt8(29) & 0x0f).toBe(0);
      expect(frame.readUInt8(29) & 0x30).not.toBe(0x30);
      expect(frame.readUInt8(30)).not.toBe(0);
      expect(frame.readUInt32BE(32)).not.toBe(0);
    }
  });
});
