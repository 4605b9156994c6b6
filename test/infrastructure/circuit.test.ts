/** Circuits: a wire for one link alone. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import {
  agentOf,
  between,
  CIRCUIT,
  customer,
  lease,
  leased,
  leaseNodes,
  LSP,
  mac,
  MBIT,
  noLabels,
  one,
  openMesh,
  operator,
  soldOf,
  toldTo,
  TUNNEL,
  wire,
} from './mesh.js';
import { eventually, refusal, until } from './provider.js';

beforeEach(() => openMesh());
afterEach(() => one.end());

describe('a circuit', () => {
  test('has its wire alone, and all of it', async () => {
    await leaseNodes();
    await lease(between('c', 'P', 'Q', { kind: CIRCUIT, slo: { bitsPerSecond: MBIT } }));
    expect(await leased('c')).toMatchObject({
      kind: CIRCUIT,
      wires: ['wires/p-q'],
      achieved: { bitsPerSecond: 1000n * MBIT },
      price: { microsPerHour: 500n + 3000n },
    });
    expect(await soldOf('p-q')).toBe(1000n * MBIT);
    const told = toldTo('P');
    expect(told.map(({ kind }) => kind)).toEqual(['virtualNode', 'wire', 'vif']);
    expect(told[1]?.wire).toMatchObject({
      name: 'wires/p-q',
      kind: 2,
      interface: 'to-Q',
      neighbourMac: mac('Q', 'P'),
    });
    expect(told[2]?.vif?.link?.paths).toMatchObject([{ wire: 'wires/p-q', label: 0 }]);
    // the way by A is there for others
    const by = async (more: object, a = 'P', b = 'Q'): Promise<string> =>
      refusal(customer.reserve({ virtualLinks: [between('x', a, b, more)], validateOnly: true }));
    expect(await by({ kind: CIRCUIT })).toBe('NO_CAPACITY virtual_links[0].kind');
    expect(await by({ kind: TUNNEL })).toBe('NO_CAPACITY virtual_links[0].slo.bits_per_second');
    expect(await by({ kind: LSP })).toBe('not refused');
    expect(await by({})).toBe('not refused');
    // routes that would lead over it are refused
    expect(
      await refusal(
        operator.update({ resources: [wire('A', 'Q', { metric: 10, mtu: 9000, riskGroups: ['x'] })] }),
      ),
    ).toBe('not refused');
    await lease(between('t', 'P', 'M', { kind: TUNNEL }));
    expect(
      await refusal(operator.update({ resources: [wire('P', 'A', { metric: 9, delayUs: 5000 })] })),
    ).toBe('IN_USE resources');
    // and what was asked for is what the wire must keep
    await operator.update({ resources: [wire('P', 'Q', { metric: 2, bitsPerSecond: 2n * MBIT })] });
    expect(await soldOf('p-q')).toBe(2n * MBIT);
    expect(
      await refusal(operator.update({ resources: [wire('P', 'Q', { metric: 2, bitsPerSecond: 1n })] })),
    ).toBe('IN_USE resources');
  });

  test('is not to be had where anything else passes, and counts whole in what a customer may lease', async () => {
    await leaseNodes();
    await lease(between('t', 'P', 'Q', { kind: TUNNEL }));
    const asked = { virtualLinks: [between('c', 'P', 'Q', { kind: CIRCUIT })], requestId: 'c' };
    expect(await refusal(customer.reserve(asked))).toBe('NO_CAPACITY virtual_links[0].kind');
    await customer.cancel({ name: 'customers/conn/reservations/t' });
    await operator.update({
      resources: [{ customer: { name: 'customers/conn', bitsPerSecond: 999n * MBIT } }],
    });
    expect(await refusal(customer.reserve(asked))).toBe('QUOTA virtual_links');
    await operator.update({ resources: [{ customer: { name: 'customers/conn' } }] });
    await lease(between('c', 'P', 'Q', { kind: CIRCUIT }));
  });

  test('leaves its wire to others when both machines have forgotten it', async () => {
    await leaseNodes();
    await lease(between('c', 'Q', 'P', { kind: CIRCUIT }));
    const q = agentOf('Q');
    await q.stop();
    await until(operator, 'machines/Q', (resource) => resource.machine?.status?.state === 'unreachable');
    await customer.cancel({ name: 'customers/conn/reservations/c' });
    await eventually(() => toldTo('P').length === 1, 'P has forgotten');
    const lsp = {
      virtualLinks: [between('l', 'P', 'M', { kind: LSP, slo: { delayUs: 3000 } })],
      validateOnly: true,
    };
    expect(await refusal(customer.reserve(lsp))).toBe('NO_PATH virtual_links[0].slo.delay_us');
    await q.start();
    await noLabels();
    await lease(between('l', 'P', 'M', { kind: LSP, slo: { delayUs: 3000 } }));
  });
});
