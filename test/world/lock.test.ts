/** Locks and processes: what keeps two commands apart, and strangers alive. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';

import { describe, expect, it } from 'vitest';

import { lockWorld } from '../../src/world/lock.js';
import { ancestors, endAll, isRunning, processesWith, processOf } from '../../src/world/processes.js';

const world = `cbw${process.pid}l`;

describe('a lock', () => {
  it('is one process at a time, and says whose', async () => {
    const lock = await lockWorld(world, 'up');
    await expect(lockWorld(world, 'down')).rejects.toMatchObject({
      code: 'BUSY',
      message: `world ${world} is being changed by cabernet up, process ${process.pid}: wait for it to end`,
    });
    await (await lockWorld(`${world}x`, 'up')).release();
    await lock.release();
    await (await lockWorld(world, 'down')).release();
  });

  it('goes with its process, however that ends', async () => {
    const holder = spawn(process.execPath, [
      '-e',
      `require('net').createServer().listen('\\0cabernet/worlds/${world}', () => console.log('held'))`,
    ]);
    await once(holder.stdout, 'data');
    await expect(lockWorld(world, 'up')).rejects.toMatchObject({ code: 'BUSY' });
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    await (await lockWorld(world, 'up')).release();
  });
});

describe('a process', () => {
  it('is known by number and start time', async () => {
    const child = spawn('sleep', ['1000', world.replaceAll(/\D/g, '')]);
    const id = processOf(child.pid ?? 0) ?? expect.fail('no such process');
    expect(isRunning(id)).toBe(true);
    expect(isRunning({ ...id, startTime: '1' })).toBe(false);
    await endAll([{ ...id, startTime: '1' }]);
    expect(isRunning(id)).toBe(true);
    await endAll([id]);
    expect(isRunning(id)).toBe(false);
  });

  it('that does not want to end is made to', async () => {
    const seconds = `1000${process.pid}`;
    const child = spawn('sh', ['-c', `trap '' TERM; echo ready; sleep ${seconds}; :`, world]);
    await once(child.stdout, 'data');
    const [id] = processesWith(['-c', world]);
    expect(id?.pid).toBe(child.pid);
    const sleeper = processesWith(['sleep', seconds]);
    await endAll(id ? [id] : [], 50);
    expect(child.pid === undefined ? undefined : processOf(child.pid)).toBeUndefined();
    await endAll(sleeper, 50);
  });

  it('has its parents among its ancestors', () => {
    expect(ancestors().has(process.pid)).toBe(true);
    expect(ancestors().has(process.ppid)).toBe(true);
  });
});
