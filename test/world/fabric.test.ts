/** Namespaces, wires, stations and the machines' own routes, for real: made, repeated, changed and removed. */
import { execFile } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { promisify } from 'node:util';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { getFeatures, Netlink, netnsNames } from '../../native/lib/index.js';
import { down, removeNamespaces } from '../../src/world/down.js';
import { ensureFabric, obsoleteNamespaces, removeObsoleteCables } from '../../src/world/fabric.js';
import { namespacePath, worldDirectory } from '../../src/world/place.js';
import { type WorldPlan } from '../../src/world/layout.js';
import { exampleDraft, planOf } from './worlds.js';

const run = promisify(execFile);
const world = `cbw${process.pid}`;
const figure2 = { ...exampleDraft('figure2'), name: world };

async function inside(namespace: string, ...command: string[]): Promise<string> {
  const { stdout } = await run('ip', ['netns', 'exec', `${world}.${namespace}`, ...command]);
  return stdout;
}

const ping = (from: string, to: string, ...more: string[]): Promise<string> =>
  inside(from, 'ping', '-n', '-c', '1', '-i', '0.2', '-w', '5', ...more, to);

async function withNetlink<T>(namespace: string, use: (netlink: Netlink) => Promise<T>): Promise<T> {
  const netlink = await Netlink.open({ netns: namespacePath(`${world}.${namespace}`) });
  try {
    return await use(netlink);
  } finally {
    netlink.close();
  }
}

describe('the fabric of Figure 2', () => {
  let plan: WorldPlan;

  beforeAll(async () => {
    plan = planOf(figure2);
    mkdirSync(worldDirectory(world), { recursive: true, mode: 0o700 });
    await ensureFabric(plan);
  });

  afterAll(async () => {
    await down(world);
  });

  it('routes between machines, both families, with room for our headers', async () => {
    await ping('P', '100.127.0.8', '-s', '1572', '-M', 'do');
    await ping('P', 'fd64:ffff::8', '-s', '1552');
    await ping('B', '100.127.0.9');
    await expect(ping('P', '100.127.0.8', '-s', '1573', '-M', 'do')).rejects.toThrow();
  });

  it('keeps equal ways', async () => {
    const routes = await withNetlink('B', (netlink) => netlink.routes({ table: 254 }));
    for (const destination of ['100.127.0.4/32', 'fd64:ffff::4/128']) {
      const hops = routes
        .filter((route) => route.destination === destination)
        .flatMap((route) => route.nextHops);
      expect(hops, destination).toHaveLength(2);
    }
  });

  it('gives stations an interface that XDP can serve, and a default route', async () => {
    const netns = namespacePath(`${world}.station.iptv.hp`);
    expect(await getFeatures({ netns, name: 'eth0' })).toMatchObject({
      gro: true,
      tx: false,
      tso: false,
      txvlan: false,
    });
    const routes = await withNetlink('station.iptv.hp', (netlink) => netlink.routes({ table: 254 }));
    const defaults = routes.filter((route) => /^(0\.0\.0\.0|::)\/0$/.test(route.destination));
    expect(defaults.map((route) => route.nextHops[0]?.gateway)).toEqual(['10.0.1.1', 'fd00:0:0:1::1']);
  });

  it('changes nothing when it is made again', async () => {
    const read = (): Promise<unknown> =>
      withNetlink('P', async (netlink) => [
        await netlink.links(),
        await netlink.addresses(),
        await netlink.routes(),
      ]);
    const before = await read();
    await ensureFabric(plan);
    expect(await read()).toEqual(before);
  });

  it('follows a changed file', async () => {
    const [first, ...machines] = figure2.machines ?? [];
    const smaller = planOf({
      name: world,
      machines: [{ ...first }, ...machines.filter((machine) => ['X', 'B'].includes(machine.name ?? ''))],
      wires: [
        { a: 'P', b: 'X', mtu: 1700 },
        { a: 'P', b: 'B' },
      ],
    });
    await removeNamespaces(world, await obsoleteNamespaces(smaller));
    await removeObsoleteCables(plan, smaller);
    await ensureFabric(smaller);
    const names = (await netnsNames()).filter((name) => name.startsWith(`${world}.`));
    expect(names).toEqual([`${world}..office`, `${world}..wires`, `${world}.B`, `${world}.P`, `${world}.X`]);
    const links = await withNetlink('P', (netlink) => netlink.links());
    expect(links.map((link) => `${link.name} ${link.mtu}`).sort()).toEqual([
      'lo 65536',
      'to-B 1600',
      'to-X 1700',
    ]);
    await ping('X', '100.127.0.2');
    await ensureFabric(plan);
    await ping('P', '100.127.0.8');
  });

  it('is gone after down, and its names are free at once', async () => {
    expect(await down(world)).toBe(true);
    expect((await netnsNames()).filter((name) => name.startsWith(world))).toEqual([]);
    expect(await down(world)).toBe(false);
  });
});
