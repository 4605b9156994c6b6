/* Where a link can be 1+1: what is refused before anything is touched. */
import { describe, expect, test } from 'vitest';
import { ApiError } from '../../src/api/errors.js';
import { checkOnePlusOne } from '../../src/node/one-plus-one.js';
import { Registry } from '../../src/node/registry.js';
import { collect, link, node, type Resource, swap, tunnel, vifName } from './machines.js';

const FIRST = 1;
const BOTH = 3;

function twoPaths(name: string, protection: number, more: object = {}): Resource {
  const paths = ['p-q', 'p-r'].map((to, i) => ({ tunnel: `tunnels/${to}`, label: 1001 + i }));
  return { vif: { name: vifName(name), link: { paths, protection, ...more } } };
}

const below = (protection: number): Resource[] => [
  tunnel('p-q', '192.0.2.1', '192.0.2.2'),
  tunnel('p-r', '192.0.2.1', '192.0.2.3'),
  node('conn', 'P', 'conn'),
  twoPaths('conn/P/p6', protection),
];
const above = [node('iptv', 'P', 'iptv'), link('iptv/P/p-m', { vif: 'conn/P/p6', label: 5001 })];

/** What a check says of this Apply, after what others have. */
function refusal(
  owner: string,
  resources: readonly Resource[],
  { others = [], jumbo = false }: { others?: readonly (readonly Resource[])[]; jumbo?: boolean } = {},
): string {
  const registry = new Registry();
  for (const [i, theirs] of others.entries()) registry.replace(collect(`other${i}`, theirs).holding);
  try {
    const collection = collect(owner, resources);
    const fieldOf = collection.fieldOf.bind(collection);
    checkOnePlusOne({ registry, wanted: collection.holding, jumbo, fieldOf });
  } catch (error) {
    if (error instanceof ApiError) return `${error.reason} ${error.field}`;
    throw error;
  }
  return 'accepted';
}

describe('1+1', () => {
  test('of two paths, of frames', () => {
    expect(refusal('one', below(BOTH))).toBe('accepted');
    expect(refusal('one', [...below(FIRST).slice(0, 3), twoPaths('conn/P/p6', BOTH, { payload: 2 })])).toBe(
      'PROTECTION resources[3].vif.link.protection',
    );
    expect(refusal('one', [...below(FIRST).slice(0, 3), twoPaths('conn/P/p6', 4)])).toBe(
      'PROTECTION resources[3].vif.link.protection',
    );
    const one = link('conn/P/p6', { tunnel: 'p-q', label: 1001 });
    const single = { vif: { ...one.vif, link: { ...one.vif?.link, protection: BOTH } } } as Resource;
    expect(refusal('one', [...below(FIRST).slice(0, 3), single])).toBe(
      'PATH_COUNT resources[3].vif.link.paths',
    );
  });

  test('not with jumbo frames', () => {
    expect(refusal('one', below(BOTH), { jumbo: true })).toBe('JUMBO resources[3].vif.link.protection');
    expect(refusal('one', below(FIRST), { jumbo: true })).toBe('accepted');
  });

  test('nothing runs over it, whoever comes first', () => {
    const over = 'CARRIER_ONE_PLUS_ONE';
    expect(refusal('conn', above, { others: [below(FIRST)] })).toBe('accepted');
    expect(refusal('conn', above, { others: [below(BOTH)] })).toBe(
      `${over} resources[1].vif.link.paths[0].vif`,
    );
    expect(refusal('one', below(BOTH), { others: [above] })).toBe(`${over} resources[3].vif.link.protection`);
    const transit = [swap({ vif: 'conn/P/p5', label: 7001 }, { vif: 'conn/P/p6', label: 7002 })];
    expect(refusal('conn', transit, { others: [below(BOTH)] })).toBe(`${over} resources[0].label.swap.vif`);
    expect(refusal('one', below(BOTH), { others: [transit] })).toBe(
      `${over} resources[3].vif.link.protection`,
    );
    expect(refusal('one', [...below(BOTH), ...above])).toBe(`${over} resources[5].vif.link.paths[0].vif`);
  });
});
