// What is told apart by counters alone: watching, and traffic.
import { expect, test } from 'vitest';
import { isWatching } from '../../src/cli/drain/traffic.js';

const sum = (...sizes: readonly bigint[]): [bigint, bigint] => [
  BigInt(sizes.length),
  sizes.reduce((all, size) => all + size, 0n),
];

test.each([
  ['nothing', []],
  ['BFD on its way through', [28n, 28n, 84n]],
  ['BFD below one label', [32n, 32n, 32n]],
  ['BFD and measurements below two', [36n, 36n, 92n, 36n, 92n]],
  ['measurements below three', [96n, 96n]],
])('watching: %s', (_, sizes) => {
  expect(isWatching(...sum(...sizes))).toBe(true);
});

test.each([
  ['one echo among a second of BFD', [...Array<bigint>(100).fill(36n), 110n]],
  ['short frames', [72n, 72n]],
  ['long ones', [1526n]],
  ['shorter than any', [20n, 20n]],
])('traffic: %s', (_, sizes) => {
  expect(isWatching(...sum(...sizes))).toBe(false);
});
