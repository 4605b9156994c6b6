import { expect, test } from 'vitest';

import { isSecure, parsePlace } from '../../src/controller/place.js';

test.each([
  ['/var/lib/cabernet/one.db', { kind: 'sqlite', path: '/var/lib/cabernet/one.db' }, false],
  ['etcd.db', { kind: 'sqlite', path: 'etcd.db' }, false],
  ['etcd:http://127.0.0.1:2379', { kind: 'etcd', hosts: ['http://127.0.0.1:2379'] }, false],
  ['etcd:http://localhost:2379', { kind: 'etcd', hosts: ['http://localhost:2379'] }, false],
  [
    'etcd:https://a.example:2379,https://[2001:db8::1]:2379',
    { kind: 'etcd', hosts: ['https://a.example:2379', 'https://[2001:db8::1]:2379'] },
    true,
  ],
])('%s', (text, place, secure) => {
  const parsed = parsePlace(text);
  expect(parsed).toEqual(place);
  expect(parsed && isSecure(parsed)).toBe(secure);
});

test.each([
  '',
  'etcd:',
  'etcd:127.0.0.1:2379',
  'etcd:https://a',
  'etcd:https://a:0',
  'etcd:https://a:65536',
  'etcd:https://a:1,',
  'etcd:https://a:1/x',
  'etcd:https://user@a:1',
  'etcd:https://[1]:1',
  'etcd:http://192.0.2.1:2379',
  'etcd:http://127.example.com:2379',
  'etcd:https://a:1,http://192.0.2.1:2379',
  `etcd:${Array.from({ length: 17 }, () => 'https://a:1').join(',')}`,
])('%j is none', (text) => {
  expect(parsePlace(text)).toBeUndefined();
});
