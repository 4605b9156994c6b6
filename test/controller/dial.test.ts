import { expect, test } from 'vitest';

import { parseAddressOfServer, splitAddresses } from '../../src/controller/dial.js';

test.each([
  ['unix:/run/cabernet/one.sock', { kind: 'unix', path: '/run/cabernet/one.sock' }],
  ['192.0.2.1:7200', { kind: 'tcp', host: '192.0.2.1', port: 7200 }],
  ['[2001:db8::1]:7200', { kind: 'tcp', host: '2001:db8::1', port: 7200 }],
])('%s', (text, address) => {
  expect(parseAddressOfServer(text)).toEqual(address);
});

test.each([
  '',
  'unix:relative',
  'unix:/a b',
  'unix:/a,b',
  'unix:/a\n',
  `unix:/${'a'.repeat(107)}`,
  'one:7200',
  '192.0.2.1',
  '192.0.2.1:0',
  '192.0.2.1:65536',
  '192.0.2.1:07',
  '2001:db8::1:7200',
  '[192.0.2.1]:7200',
  '[::1]',
  'dns:///x:1',
  'http://192.0.2.1:1',
])('%j is none', (text) => {
  expect(parseAddressOfServer(text)).toBeUndefined();
});

test('several addresses are split at commas, each is one, and there once', () => {
  expect(splitAddresses('192.0.2.1:7200')).toEqual(['192.0.2.1:7200']);
  const three = 'unix:/a,[2001:db8::1]:7200,192.0.2.1:7200';
  expect(splitAddresses(three)).toEqual(three.split(','));
  for (const none of ['', ',', 'unix:/a,', 'unix:/a,one:1', 'unix:/a, unix:/b', 'unix:/a,unix:/a'])
    expect(splitAddresses(none), none).toBeUndefined();
  const many = Array.from({ length: 9 }, (_, i) => `unix:/${i}`);
  expect(splitAddresses(many.slice(1).join(','))).toHaveLength(8);
  expect(splitAddresses(many.join(','))).toBeUndefined();
});
