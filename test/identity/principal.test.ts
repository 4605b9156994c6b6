import fc from 'fast-check';
import { expect, test } from 'vitest';

import { isOwner, parseVirtualNodeName } from '../../src/api/names.js';
import {
  formatId,
  formatPath,
  isDeployment,
  namedBy,
  parseId,
  parsePath,
} from '../../src/identity/principal.js';

const GOOD = [
  'spiffe://example.net/infrastructure/acme',
  'spiffe://example.net/connectivity/transit-1',
  'spiffe://example.net/service/iptv',
  'spiffe://example.net/operator/alice',
  'spiffe://example.net/agent/acme/P',
  'spiffe://d/agent/a/machine_1-X',
];

test('each role has one way of writing, there and back', () => {
  for (const text of GOOD) {
    const principal = parseId(text);
    expect(principal && formatId(principal)).toBe(text);
  }
  expect(parseId('spiffe://example.net/agent/acme/P')).toEqual({
    deployment: 'example.net',
    role: 'agent',
    name: 'acme',
    machine: 'P',
  });
});

test.each([
  '',
  'spiffe://',
  'spiffe://example.net',
  'spiffe://example.net/',
  'spiffe://example.net/infrastructure',
  'spiffe://example.net/infrastructure/',
  'spiffe://example.net//infrastructure/acme',
  'spiffe://example.net/infrastructure//acme',
  'spiffe://example.net/infrastructure/acme/',
  'spiffe://example.net/infrastructure/acme/P',
  'spiffe://example.net/infrastructure/acme?x',
  'spiffe://example.net/infrastructure/acme#x',
  'spiffe://example.net/infrastructure/a%63me',
  'spiffe://example.net/infrastructure/acme\0',
  'spiffe://example.net/infrastructure/acme\n',
  'spiffe://example.net/infrastructure/acme ',
  ' spiffe://example.net/infrastructure/acme',
  'spiffe://example.net/infrastructure/ACME',
  'spiffe://example.net/Infrastructure/acme',
  'spiffe://example.net/infrastructure/аcme', // a Cyrillic a
  'spiffe://example.net/infrastructure/acme\u200b',
  'spiffe://example.net/infrastructure/ac\u0301me',
  'spiffe://example.net/infrastructure/.',
  'spiffe://example.net/infrastructure/..',
  'spiffe://example.net/infrastructure/../operator/alice',
  'spiffe://example.net/agent/acme',
  'spiffe://example.net/agent/acme/',
  'spiffe://example.net/agent/acme/..',
  'spiffe://example.net/agent/acme/P/Q',
  'spiffe://example.net/agent/acme/P Q',
  `spiffe://example.net/agent/acme/${'P'.repeat(32)}`,
  `spiffe://example.net/service/${'a'.repeat(64)}`,
  'spiffe://example.net:443/service/iptv',
  'spiffe://user@example.net/service/iptv',
  'spiffe://EXAMPLE.net/service/iptv',
  'spiffe://exämple.net/service/iptv',
  'spiffe://.net/service/iptv',
  'spiffe://example./service/iptv',
  'SPIFFE://example.net/service/iptv',
  'https://example.net/service/iptv',
  'spiffe:/example.net/service/iptv',
  'spiffe://example.net/local/root',
  'spiffe://example.net/constructor/a',
  'spiffe://example.net/__proto__/a',
])('%j is nobody', (text) => {
  expect(parseId(text)).toBeUndefined();
});

test('whatever is read is written the same again', () => {
  const part = fc.oneof(
    fc.constantFrom('spiffe://', 'example.net', '/', 'agent', 'service', 'acme', 'P', '..', '%2f', '?', '\0'),
    fc.string({ maxLength: 4, unit: 'binary' }),
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 9 }), (parts) => {
      const text = parts.join('');
      const principal = parseId(text);
      if (principal) expect(formatId(principal)).toBe(text);
    }),
    { numRuns: 2000 },
  );
});

test('a long name is refused quickly, not looked at in every way', () => {
  for (const text of ['a-'.repeat(100_000), 'a'.repeat(100_000), `${'a.'.repeat(31)}-`]) {
    expect(isDeployment(text)).toBe(false);
    expect(parseId(`spiffe://${text}/service/a`)).toBeUndefined();
  }
});

test('the names are those of the API', () => {
  const text = fc.oneof(
    fc.stringMatching(/^[a-zA-Z0-9_.-]{0,34}$/),
    fc.constantFrom('a'.repeat(63), 'a'.repeat(64), 'A'.repeat(31), 'A'.repeat(32), '', '-a', '9'),
  );
  fc.assert(
    fc.property(text, (name) => {
      // an owner may be several names joined by dots: one on behalf of another
      expect(parsePath('d', `service/${name}`) !== undefined).toBe(isOwner(name) && !name.includes('.'));
      const machine = parseVirtualNodeName(`vns/v/nodes/${name}`) !== undefined;
      expect(parsePath('d', `agent/a/${name}`) !== undefined).toBe(machine);
    }),
  );
});

test('a person may leave the deployment out, and not name another', () => {
  expect(formatPath(namedBy('agent/acme/P', 'example.net', 'server'))).toBe('agent/acme/P');
  expect(formatId(namedBy('spiffe://example.net/service/a', 'example.net', 'server'))).toBe(
    'spiffe://example.net/service/a',
  );
  for (const text of ['spiffe://other.net/service/a', 'service', 'acme', '\u202e']) {
    expect(() => namedBy(text, 'example.net', 'server')).toThrow(
      expect.objectContaining({ name: 'IdentityError', code: 'NAME', field: 'server' }) as Error,
    );
  }
});
