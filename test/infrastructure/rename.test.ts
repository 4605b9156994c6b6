/** Names, down to the agent and up again. */
import fc from 'fast-check';
import { expect, test } from 'vitest';

import { failedPrecondition } from '../../src/api/errors.js';
import { messageType } from '../../src/api/message.js';
import { v1 } from '../../src/api/node.js';
import {
  errorUp,
  nameDown,
  nameUp,
  ownerDown,
  ownerUp,
  resourceDown,
  resourceUp,
  vnDown,
  vnUp,
} from '../../src/infrastructure/rename.js';

const resourceType = messageType(v1.Resource);
const customer = fc.stringMatching(/^[a-z][a-z0-9-]{0,19}$/);
const vn = fc.stringMatching(/^[A-Za-z0-9_-]{1,31}$/);

test('what a customer calls something is found again, and no two customers ever meet', () => {
  fc.assert(
    fc.property(customer, customer, vn, vn, (one, other, a, b) => {
      expect(vnUp(one, vnDown(one, a))).toBe(a);
      const meets = vnDown(one, a) === vnDown(other, b);
      expect(meets).toBe(one === other && a === b);
      if (one !== other) expect(vnUp(other, vnDown(one, a))).toBeUndefined();
    }),
  );
});

test('owners likewise', () => {
  expect(ownerDown('conn', '')).toBe('conn');
  expect(ownerDown('conn', 'conn')).toBe('conn');
  expect(ownerDown('conn', 'iptv')).toBe('conn.iptv');
  fc.assert(
    fc.property(customer, customer, (one, tenant) => {
      expect(ownerUp(one, ownerDown(one, tenant))).toBe(tenant);
    }),
  );
});

const contents = [
  { virtualNode: { name: 'vns/iptv/nodes/P', tenant: 'iptv', routeSource: 2 } },
  {
    vif: {
      name: 'vns/iptv/nodes/P/vifs/x',
      mtu: 1400,
      link: { paths: [{ vif: 'vns/conn/nodes/P/vifs/toM', label: 77 }], payload: 1 },
    },
  },
  { vif: { name: 'vns/iptv/nodes/P/vifs/st', port: { interface: 'st-P0' } } },
  { label: { vif: 'vns/conn/nodes/P/vifs/toM', label: 78, deliver: 'vns/iptv/nodes/P/vifs/x' } },
  {
    label: {
      vif: 'vns/conn/nodes/P/vifs/toM',
      label: 79,
      swap: { vif: 'vns/conn/nodes/P/vifs/toA', label: 80 },
    },
  },
  { address: { vif: 'vns/iptv/nodes/P/vifs/x', prefix: '10.0.0.0/31' } },
  {
    route: {
      node: 'vns/iptv/nodes/P',
      destination: '10.1.0.0/16',
      nextHops: [{ vif: 'vns/iptv/nodes/P/vifs/x', gateway: '10.0.0.1' }],
    },
  },
].map((draft) => resourceType.complete(draft));

test.each(contents.map((resource) => [String(resource.kind), resource] as const))(
  'every name of a %s, and nothing else',
  (_, resource) => {
    const down = resourceDown('conn', resource);
    const text = JSON.stringify(resource)
      .replaceAll('vns/iptv/', 'vns/conn_iptv/')
      .replaceAll('"tenant":"iptv"', '"tenant":"conn.iptv"');
    expect(JSON.parse(JSON.stringify(down))).toEqual(JSON.parse(text));
    expect(resourceUp('conn', down)).toEqual(resource);
    // it can be sent
    expect(resourceType.decode(resourceType.encode(down))).toEqual(down);
  },
);

test('names that are no virtual network’s stay as they are', () => {
  for (const name of ['', 'tunnels/x', 'vns', 'vns/', 'xvns/a/b'])
    expect(nameUp('conn', nameDown('conn', name))).toBe(name);
  expect(nameUp('conn', 'vns/other_x/nodes/P')).toBe('vns/other_x/nodes/P');
});

test('an error in the customer’s own words, its field kept', () => {
  const error = failedPrecondition({
    reason: 'VIF_NOT_FOUND',
    field: 'resources[3].label.deliver',
    message: 'there is no vns/conn_iptv/nodes/P/vifs/x on this machine',
  });
  expect(errorUp('conn', error)).toMatchObject({
    status: error.status,
    reason: 'VIF_NOT_FOUND',
    field: 'resources[3].label.deliver',
    message: 'there is no vns/iptv/nodes/P/vifs/x on this machine',
  });
});
