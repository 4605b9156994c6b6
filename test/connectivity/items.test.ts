/** What nodes contain of a link with two ways, and what is said of it, by themselves. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { type ResourceDraft } from '../../src/api/node.js';
import { type Way } from '../../src/connectivity/program/hops.js';
import { onlyOver } from '../../src/connectivity/program/items.js';
import { wordOf } from '../../src/connectivity/program/link-word.js';
import { Records } from '../../src/connectivity/program/records.js';
import { SqliteStore } from '../../src/store/sqlite.js';

const below = (name: string): string => `vns/c/nodes/P/vifs/${name}`;
const VIF = 'vns/s/nodes/P/vifs/to-M';
const path = (name: string, label: number) => ({
  vif: below(name),
  label,
  liveness: { label, minTxUs: 1000, minRxUs: 1000, multiplier: 3 },
});
const protectedVif: ResourceDraft = {
  vif: { name: VIF, mtu: 1400, link: { paths: [path('x', 16), path('y', 17)], protection: 1 } },
};
const delivers = (name: string, label: number): ResourceDraft => ({
  label: { vif: below(name), label, deliver: VIF },
});
const all = [protectedVif, delivers('x', 16), delivers('y', 17)];

describe('over vifs that are there', () => {
  test('all: nothing is left out', () => {
    expect(onlyOver(all, new Set([below('x'), below('y')]))).toEqual(all);
  });

  test.each([
    ['x', 16, 'y'],
    ['y', 17, 'x'],
  ])('without what is over another: over %s only', (name, label, _other) => {
    const [vif, ...labels] = onlyOver(all, new Set([below(name)]));
    expect(vif?.vif).toMatchObject({ name: VIF, mtu: 1400 });
    expect(vif?.vif?.link?.paths).toEqual([path(name, label)]);
    expect(labels).toEqual([delivers(name, label)]);
  });

  test('none: the vif is gone, and what leads to it', () => {
    expect(onlyOver(all, new Set())).toEqual([]);
    const transit: ResourceDraft = {
      label: { vif: below('z'), label: 18, swap: { vif: below('x'), label: 19 } },
    };
    const elsewhere: ResourceDraft = { label: { vif: below('z'), label: 20, deliver: VIF } };
    expect(onlyOver([...all, transit, elsewhere], new Set([below('z')]))).toEqual([]);
  });

  test('a vif of a station stands on nothing', () => {
    const port: ResourceDraft = { vif: { name: 'vns/s/nodes/P/vifs/st', port: { interface: 'eth1' } } };
    expect(onlyOver([port], new Set())).toEqual([port]);
  });
});

describe('what is said of a link', () => {
  const way = (...links: readonly string[]): Way => ({ path: links, there: [], back: [], room: 1496 });
  const [A, B] = [way('links/a'), way('links/b', 'links/c')];
  const said = (
    paths: readonly Way[],
    active: readonly Way[],
    down: readonly string[],
    state = 'up',
    told = true,
  ): string =>
    wordOf(
      { state, message: '' },
      paths.map((one) => one.path),
      active,
      { isUp: (name) => !down.includes(name), told },
    ).state;

  test.each([
    ['both are up', [A, B], [A, B], [], 'up'],
    ['the path is lost', [A, B], [A, B], ['links/a'], 'up'],
    ['the backup is lost', [A, B], [A, B], ['links/c'], 'up'],
    ['both are lost', [A, B], [A, B], ['links/a', 'links/b'], 'down'],
    ['the path is lost, and the backup is not made yet', [A, B], [A], ['links/a'], 'pending'],
    ['one way, lost', [A], [A], ['links/a'], 'down'],
    ['on its way to another', [B], [A], [], 'up'],
  ] as const)('%s', (_, paths, active, down, state) => {
    expect(said(paths, active, down)).toBe(state);
  });

  test('nothing is up before machines have been told', () => {
    expect(said([A, B], [A, B], [], 'down', false)).toBe('pending');
    expect(said([A, B], [A, B], [], '', false)).toBe('');
  });
});

test('a record of a link with one way, as they were before, is read', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'cabernet-records-'));
  const store = await SqliteStore.open({ path: join(folder, 'state.db'), owner: 'connectivity/conn' });
  const hop = (label: number) => ({ from: 'nodes/P', out: below('x'), to: 'nodes/M', into: 'm', label });
  const one: Way = { path: ['links/a'], there: [hop(16)], back: [hop(17)], room: 1496 };
  const write = (key: string, value: object) => ({
    kind: 'put' as const,
    key,
    value: Buffer.from(JSON.stringify(value)),
  });
  try {
    await store.commit({
      changes: [
        write('carried/k/l', { active: one, old: [] }),
        write('carried/k/m', { next: one, old: [one] }),
      ],
    });
    const records = await Records.open(store);
    expect(records.links.get('k/l')).toEqual({ active: [one], next: [], old: [] });
    expect(records.links.get('k/m')).toEqual({ active: [], next: [one], old: [one] });
    expect(records.labels.has('m', 16)).toBe(true);
  } finally {
    await store.close();
    rmSync(folder, { recursive: true });
  }
});
