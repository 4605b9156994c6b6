import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { cabernet } from '../../gen/cabernet.js';
import { type Draft, type Message, messageType } from '../../src/api/message.js';
import { type Label, NodeService, type Resource, v1 } from '../../src/api/node.js';
import { draftOf } from './arbitrary.js';

const Begin = messageType(v1.ApplyBegin);
const Step = messageType(v1.TraceStep);
const Res = messageType(v1.Resource);

describe('codec', () => {
  test('any message survives the wire, in every type there is', () => {
    for (const generated of [
      v1.ApplyRequest,
      v1.GetMachineResponse,
      v1.TraceResponse,
      v1.CaptureResponse,
      v1.ListDropsResponse,
      cabernet.world.v1.World,
    ]) {
      const type = messageType(generated);
      fc.assert(
        fc.property(draftOf(type), (draft) => {
          const complete = type.complete(draft);
          const decoded = type.decode(type.encode(draft));
          expect(plainBytes(decoded)).toEqual(plainBytes(complete));
          expect(
            plainBytes(type.decode(type.encode(decoded as Draft<typeof v1.ApplyRequest.prototype>))),
          ).toEqual(plainBytes(complete));
        }),
        { numRuns: 60 },
      );
    }
  });

  test('64-bit numbers are whole, however they are given', () => {
    for (const epoch of [0n, 1n, 2n ** 32n, 2n ** 53n - 1n, 2n ** 53n + 1n, 2n ** 63n, 2n ** 64n - 1n]) {
      expect(Begin.decode(Begin.encode({ epoch })).epoch).toBe(epoch);
    }
    expect(Begin.decode(Begin.encode({ epoch: 5 })).epoch).toBe(5n);
    expect(Begin.decode(Begin.encode({ epoch: Number.MAX_SAFE_INTEGER })).epoch).toBe(2n ** 53n - 1n);
    expect(Step.decode(Step.encode({ bytes: -18 })).bytes).toBe(-18);
  });

  test('what arrives is plain: a spread keeps it, equality sees it', () => {
    const vif = messageType(v1.Vif).decode(Buffer.alloc(0));
    expect({ ...vif }).toEqual({ name: '', mac: '', mtu: 0 });
    expect(Object.getPrototypeOf(vif)).toBe(Object.prototype);
  });

  test('a oneof sent twice is its last member', () => {
    const Path = messageType(v1.Path);
    const bytes = Buffer.concat([Path.encode({ tunnel: 'tunnels/a' }), Path.encode({ vif: 'v' })]);
    expect(Path.decode(bytes)).toEqual({
      below: 'vif',
      vif: 'v',
      label: 0,
      weight: 0,
      avoid: false,
      unrepaired: false,
    });
  });

  test('a member of a oneof is there although it is empty', () => {
    expect(Res.decode(Res.encode({ vif: {} }))).toEqual({ kind: 'vif', vif: { name: '', mac: '', mtu: 0 } });
    expect(messageType(v1.Path).decode(messageType(v1.Path).encode({ tunnel: '' }))).toMatchObject({
      below: 'tunnel',
      tunnel: '',
    });
  });

  test.each<[unknown, string]>([
    [{ epoch: -1n }, 'epoch'],
    [{ epoch: 2n ** 64n }, 'epoch'],
    [{ epoch: 2 ** 53 }, 'epoch'],
    [{ epoch: 1.5 }, 'epoch'],
    [{ epoch: NaN }, 'epoch'],
    [{ epoch: '5' }, 'epoch'],
    [{ epoch: { low: 1, high: 0 } }, 'epoch'],
    [{ owner: 5 }, 'owner'],
    [{ owner: null }, 'owner'],
    [{ owner: '\udc00' }, 'owner'],
    [{ validateOnly: 1 }, 'validateOnly'],
    [{ owners: 'x' }, 'owners'],
    [{ constructor: 'x' }, 'constructor'],
    [[], ''],
    [null, ''],
  ])('%o is refused, not turned into a zero', (draft, field) => {
    expect(() => Begin.encode(draft as never)).toThrow(
      expect.objectContaining({ name: 'MessageError', field }),
    );
  });

  test.each<[unknown, string]>([
    [{ kind: 'vif' }, 'kind'],
    [{ kind: 'odd', vif: {} }, 'kind'],
    [{ kind: 'tunnel', vif: {} }, 'kind'],
    [{ vif: {}, tunnel: {} }, 'vif'],
    [{ route: { type: 99 } }, 'route.type'],
    [{ route: { nextHops: {} } }, 'route.nextHops'],
    [{ route: { nextHops: [{}, { weight: -1 }] } }, 'route.nextHops[1].weight'],
    [{ vif: [] }, 'vif'],
  ])('%o is refused with its field', (draft, field) => {
    expect(() => Res.encode(draft as never)).toThrow(expect.objectContaining({ field }));
  });

  test('own properties named like Object’s are only fields', () => {
    const draft = JSON.parse('{"__proto__": {"owner": "x"}}') as Draft<typeof v1.ApplyBegin.prototype>;
    expect(() => Begin.encode(draft)).toThrow('__proto__');
  });
});

/** Compares bytes by content: a Buffer and a Uint8Array hold the same. */
function plainBytes(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (Array.isArray(value)) return value.map(plainBytes);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plainBytes(item)]));
}

describe('types', () => {
  test('a oneof is told apart by its name', () => {
    const nameOf = (resource: Resource): string => {
      switch (resource.kind) {
        case 'vif':
          return resource.vif.name;
        case 'label':
          return contextOf(resource.label);
        default:
          return '';
      }
    };
    const contextOf = (label: Label): string =>
      label.context === 'tunnel' ? label.tunnel : label.context === 'vif' ? label.vif : '';
    expect(nameOf({ kind: 'label', label: { context: 'tunnel', tunnel: 'tunnels/a', label: 17 } })).toBe(
      'tunnels/a',
    );
  });

  test('what was received can be sent', () => {
    const received: Message<typeof v1.Route.prototype> = messageType(v1.Route).complete({ node: 'n' });
    const draft: Draft<typeof v1.Route.prototype> = received;
    // @ts-expect-error a route has no metric
    const wrong: Draft<typeof v1.Route.prototype> = { metric: 5 };
    // @ts-expect-error one of the two
    const both: Draft<typeof v1.Path.prototype> = { tunnel: 'a', vif: 'b' };
    expect([draft, wrong, both]).toHaveLength(3);
  });

  test('the service knows its methods', () => {
    const streams = [...NodeService.methods].map(([key, { schema }]) => [
      key,
      schema.requestStream,
      schema.responseStream,
    ]);
    expect(streams).toContainEqual(['apply', true, false]);
    expect(streams).toContainEqual(['watch', false, true]);
    expect(streams).toHaveLength(17);
  });
});
