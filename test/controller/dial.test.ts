import { expect, test } from 'vitest';

import { parseAddressOfServer } from '../../src/controller/dial.js';

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
