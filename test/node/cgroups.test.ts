/*
 * Shares of processors: cgroups nested as nodes are, of either version of the kernel's interface, and what they hold.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { within } from '../../src/cli/exec.js';
import { type Agent } from '../../src/node/agent.js';
import { Cgroups, findHierarchy, machineHierarchy, type NodeShare } from '../../src/node/cgroups.js';
import { listVirtualNodes } from '../../src/node/rpc/virtual-nodes.js';
import {
  addMachine,
  apply,
  link,
  netns,
  node,
  type Resource,
  startAgent,
  sweep,
  tunnel,
  until,
} from './machines.js';

const shares = (entries: Record<string, [number, string?]>): Map<string, NodeShare> =>
  new Map(Object.entries(entries).map(([name, [thousandths, parent]]) => [name, { thousandths, parent }]));

describe('the hierarchy', () => {
  const one = '33 31 0:29 / /sys/fs/cgroup/cpu\\040here rw - cgroup cgroup rw,cpuacct,cpu';
  const two = '41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw';
  test('is where the cpu controller is, of version 1 or 2', () => {
    expect(findHierarchy(`${two}\n${one}\n`, () => 'hugetlb')).toEqual({
      version: 1,
      mount: '/sys/fs/cgroup/cpu here',
    });
    expect(findHierarchy(`${two}\n`, () => 'cpuset cpu io\n')).toEqual({
      version: 2,
      mount: '/sys/fs/cgroup',
    });
    expect(findHierarchy(`${two}\n`, () => 'cpuset io')).toBeUndefined();
    expect(findHierarchy('', () => 'cpu')).toBeUndefined();
  });
});

describe('version 2, on a folder', () => {
  const folder = mkdtempSync(join(tmpdir(), 'cabernet-cgroups-'));
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  test('a share of a share, the controller handed down, processes moved along', () => {
    mkdirSync(folder, { recursive: true });
    const cgroups = new Cgroups('w.P.', { version: 2, mount: folder }, 4);
    const read = (...path: string[]): string => readFileSync(join(folder, 'cabernet', ...path), 'utf8');
    cgroups.settle(shares({ 'w.P.iptv.P': [400, 'w.P.conn.P'], 'w.P.conn.P': [600] }));
    expect(read('w.P.conn.P', 'cpu.max')).toBe('240000 100000');
    expect(read('w.P.conn.P', 'w.P.iptv.P', 'cpu.max')).toBe('96000 100000');
    for (const path of [[], ['w.P.conn.P']]) expect(read(...path, 'cgroup.subtree_control')).toBe('+cpu');
    expect(existsSync(join(folder, 'cabernet/w.P.conn.P/w.P.iptv.P/cgroup.subtree_control'))).toBe(false);
    expect(cgroups.leafOf('w.P.iptv.P')).toBe(join(folder, 'cabernet/w.P.conn.P/w.P.iptv.P/daemons'));
    // carried by another now
    writeFileSync(join(folder, 'cabernet/w.P.conn.P/w.P.iptv.P/daemons/cgroup.procs'), '17\n');
    cgroups.settle(shares({ 'w.P.iptv.P': [400, 'w.P.other.P'], 'w.P.conn.P': [600], 'w.P.other.P': [100] }));
    expect(read('w.P.other.P', 'w.P.iptv.P', 'cpu.max')).toBe('16000 100000');
    expect(read('w.P.other.P', 'w.P.iptv.P', 'daemons', 'cgroup.procs')).toBe('17');
    // the least that the kernel takes, and a circle that no Apply could make
    cgroups.settle(shares({ 'w.P.iptv.P': [1, 'w.P.conn.P'], 'w.P.conn.P': [1, 'w.P.iptv.P'] }));
    expect(read('w.P.iptv.P', 'w.P.conn.P', 'cpu.max')).toBe('1000 100000');
    expect(cgroups.leafOf('w.P.other.P')).toBeUndefined();
  });
});

/** Why nothing can be held here. */
function obstacle(): string | undefined {
  const hierarchy = machineHierarchy();
  if (!hierarchy) return 'no cgroup hierarchy here has the cpu controller';
  const probe = join(hierarchy.mount, `cabernet-probe-${process.pid}`);
  try {
    mkdirSync(probe);
    rmSync(probe, { recursive: false, force: true, maxRetries: 0 });
  } catch (error) {
    if (!existsSync(probe)) return `no cgroup may be made below ${hierarchy.mount}: ${String(error)}`;
  }
  execFileSync('rmdir', ['--ignore-fail-on-non-empty', probe]);
  return undefined;
}

test('60 % of a machine, 40 % of that: held for what is started there, changed under it, gone with its node', async ({
  skip,
}) => {
  const why = obstacle();
  skip(why !== undefined, why);
  sweep();
  addMachine('R', '100.127.0.1', 'fd64:ffff::1');
  let agent: Agent = await startAgent('R');
  const { version, mount } = machineHierarchy() ?? { version: 1, mount: '' };
  const conn = join(mount, 'cabernet', netns('R.conn.R'));
  const iptv = join(conn, netns('R.iptv.R'));
  const quota = (path: string): number =>
    Number.parseInt(readFileSync(join(path, version === 1 ? 'cpu.cfs_quota_us' : 'cpu.max'), 'utf8'), 10);
  const all = cpus().length * 100_000;
  const with_ = (one: Resource, share: number): Resource => ({
    virtualNode: { ...one.virtualNode, cpu: { share } },
  });
  const lower = (share: number): Resource[] => [
    tunnel('t', '100.127.0.1', '100.127.0.2'),
    with_(node('conn', 'R', 'conn'), share),
    link('conn/R/a', { tunnel: 't', label: 99 }, { mtu: 1400 }),
  ];
  const upper = (share: number): Resource[] => [
    with_(node('iptv', 'R', 'iptv'), share),
    link('iptv/R/a', { vif: 'conn/R/a', label: 99 }, { mtu: 1300 }),
  ];
  const leafOf = (vn: string): string => {
    const { virtualNodes } = listVirtualNodes(agent, { pageSize: 0, pageToken: '' });
    return virtualNodes?.find((one) => one.virtualNode?.name === `vns/${vn}/nodes/R`)?.cgroup ?? '';
  };
  try {
    await apply(agent, 'one', lower(600));
    await apply(agent, 'conn', upper(400));
    expect([quota(conn), quota(iptv)]).toEqual([Math.floor(0.6 * all), Math.floor(0.24 * all)]);
    expect(leafOf('iptv')).toBe(join(iptv, 'daemons'));

    // as `cabernet exec` starts it
    const [program, ...args] = within(leafOf('iptv'), ['sh', '-c', 'echo begun; while :; do :; done']);
    const busy = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = once(busy, 'close');
    try {
      await once(busy.stdout, 'data');
      expect(readFileSync(`/proc/${busy.pid}/cgroup`, 'utf8')).toContain(`${netns('R.iptv.R')}/daemons`);
      await apply(agent, 'conn', upper(20));
      expect(quota(iptv)).toBe(Math.floor(0.012 * all));
      const throttled = (): number =>
        Number(/nr_throttled (\d+)/.exec(readFileSync(join(iptv, 'cpu.stat'), 'utf8'))?.[1]);
      await until('it is held back', () => throttled() > 3);
      // the share around it: less, more, and none
      await apply(agent, 'one', lower(500));
      await apply(agent, 'one', lower(1000));
      expect([quota(conn), quota(iptv)]).toEqual([all, Math.floor(0.02 * all)]);
      await apply(agent, 'one', lower(0));
      expect(leafOf('conn')).toBe('');
      const moved = join(mount, 'cabernet', netns('R.iptv.R'));
      expect(leafOf('iptv')).toBe(join(moved, 'daemons'));
      expect(readFileSync(join(moved, 'daemons', 'cgroup.procs'), 'utf8').trim()).toBe(String(busy.pid));
      expect(existsSync(conn)).toBe(false);
      // without a share of its own, in that of the node below
      await apply(agent, 'one', lower(300));
      await apply(agent, 'conn', upper(0));
      expect(leafOf('iptv')).toBe(join(conn, 'daemons'));
      // somebody is in it still: it stays, and so does its limit
      expect(existsSync(iptv)).toBe(true);
    } finally {
      busy.kill('SIGKILL');
      await ended;
    }
    await agent.close();
    agent = await startAgent('R');
    expect(leafOf('conn')).toBe(join(conn, 'daemons'));
    expect(existsSync(iptv)).toBe(false);
    expect(quota(conn)).toBe(Math.floor(0.3 * all));
    // carried by nobody: of what its owner was leased, not of the machine; so is what a tenant of the owner makes
    const alone = (vn: string, tenant: string): Resource => with_(node(vn, 'R', tenant), 500);
    await apply(agent, 'conn', [alone('iptv', 'conn.games')]);
    await apply(agent, 'conn.games', [alone('games', 'conn')]);
    expect([quota(iptv), leafOf('games')]).toEqual([
      Math.floor(0.15 * all),
      join(conn, netns('R.games.R'), 'daemons'),
    ]);
    await apply(agent, 'conn.games', []);
    await apply(agent, 'conn', []);
    await apply(agent, 'one', []);
    expect(existsSync(conn)).toBe(false);
  } finally {
    await agent.close();
    sweep();
  }
}, 60_000);
