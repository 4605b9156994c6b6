import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as names from '../../src/api/names.js';
import {
  covers,
  isUnicast,
  parseAddress,
  parseInterfaceAddress,
  parsePrefix,
  prefixOf,
} from '../../src/node/address.js';

const piece = fc.oneof(
  fc.integer({ min: 0, max: 300 }).map(String),
  fc.constantFrom('', '00', '01', '-1', '1e1', ' 1', '.', '/', ':', 'a'),
);
const almost = fc
  .tuple(
    fc.array(piece, { minLength: 3, maxLength: 5 }),
    fc.option(fc.oneof(fc.integer({ min: 0, max: 40 }).map(String), piece)),
  )
  .map(([parts, length]) => `${parts.join('.')}${length === null ? '' : `/${length}`}`);

describe('addresses', () => {
  test('the quick way of reading agrees with the API about right and wrong', () => {
    fc.assert(
      fc.property(fc.oneof(almost, fc.ipV4(), fc.ipV6(), fc.string()), (text) => {
        expect(parseAddress(text)).toEqual(names.parseAddress(text));
        const mine = parseInterfaceAddress(text);
        const theirs = names.parseInterfaceAddress(text);
        expect(mine && { ...mine, text: undefined }).toEqual(theirs && { ...theirs, text: undefined });
        if (theirs) expect(mine?.text).toBe(names.formatPrefix(theirs));
        expect(parsePrefix(text) !== undefined).toBe(names.parsePrefix(text) !== undefined);
      }),
      { numRuns: 2000 },
    );
  });

  test('a prefix covers what has its bits, and no other', () => {
    fc.assert(
      fc.property(fc.ipV4(), fc.ipV4(), fc.integer({ min: 0, max: 32 }), (a, b, length) => {
        const [x, y] = [parseAddress(a), parseAddress(b)];
        if (!x || !y) return;
        const same = prefixOf(x, length).text === prefixOf(y, length).text;
        expect(covers(prefixOf(x, length), y)).toBe(same);
      }),
    );
  });

  test.each([
    '0.1.2.3',
    '127.0.0.1',
    '224.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    'ff02::1',
    '::ffff:1.2.3.4',
  ])('%s is no unicast address', (text) => {
    const parsed = parseAddress(text);
    expect(parsed && isUnicast(parsed)).toBe(false);
  });

  test.each(['10.0.0.1', '223.255.255.255', 'fe80::1', 'fd00::1', '2001:db8::'])('%s is one', (text) => {
    const parsed = parseAddress(text);
    expect(parsed && isUnicast(parsed)).toBe(true);
  });
});
