/** Pairs that no enumeration of first paths finds in time: of many first paths of one price none has a backup. */
import { expect, test } from 'vitest';

import { place } from '../../src/connectivity/placement/place.js';
import { Supply, type SupplyLink } from '../../src/connectivity/placement/supply.js';

const numbers = { freeAToB: 1e9, freeBToA: 1e9, delayUs: 0, lossPpm: 0, availabilityPpm: 999_000, mtu: 1600 };

test('thousands of cheaper first paths that all stand in the way of a second one', () => {
  const nodes = new Set<string>();
  const links: SupplyLink[] = [];
  const join = (a: string, b: string): void => {
    for (const end of [a, b]) nodes.add(end);
    links.push({ name: `links/${a}-${b}`, a, b, ...numbers, riskGroups: [] });
  };
  // a ladder of diamonds: 2^11 ways of the same price, all by the bridge m - n, which no two ways share
  const rungs = 11;
  for (let i = 0; i < rungs; i++)
    for (const side of ['u', 'd']) {
      join(i === 0 ? 'm0' : `c${i}`, `${side}${i}`);
      join(`${side}${i}`, i === rungs - 1 ? 'n0' : `c${i + 1}`);
    }
  join('s', 'm0');
  join('n0', 't');
  // the two that have nothing in common enter the ladder, or leave it, elsewhere: each of the cheap ways uses up both
  join('s', 'p');
  join('p', 'q');
  join('q', 'n0');
  join('m0', 'v');
  join('v', 'w');
  join('w', 't');
  // both are longer than any way through the ladder
  for (const [from, to] of [
    ['q', 'n0'],
    ['w', 't'],
  ] as const) {
    links.splice(
      links.findIndex(({ name }) => name === `links/${from}-${to}`),
      1,
    );
    const chain = Array.from({ length: 30 }, (_, i) => `${from}${i}`);
    for (const [i, node] of chain.entries()) join(i === 0 ? from : (chain[i - 1] ?? ''), node);
    join(chain.at(-1) ?? '', to);
  }
  const supply = new Supply([...nodes], links);
  const demand = {
    a: 's',
    b: 't',
    via: [],
    bitsPerSecond: 1,
    delayUs: 0,
    lossPpm: 0,
    availabilityPpm: 0,
    mtu: 1500,
  };
  const answer = place(supply, { ...demand, protection: 'pair' }, { hop: 1, backupPermille: 500 });
  if ('reason' in answer) throw new Error(answer.message);
  const both = [answer.path, answer.backup];
  expect(both.map((way) => way.length)).toEqual([34, 34]);
  expect(answer.path.some((link) => answer.backup.includes(link))).toBe(false);
  expect(answer.kept.availabilityPpm).toBeGreaterThan(990_000);
});
