import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hostPrefix, parseAddress, parsePrefix, type Prefix } from '../../src/node/address.js';
import { type Layer, Rib, type Target, targetKey } from '../../src/node/rib.js';

function prefix(text: string): Prefix {
  const parsed = parsePrefix(text);
  if (!parsed) throw new Error(text);
  return parsed;
}

function address(text: string): NonNullable<ReturnType<typeof parseAddress>> {
  const parsed = parseAddress(text);
  if (!parsed) throw new Error(text);
  return parsed;
}

const glean = (vif: string): Target => ({ kind: 'glean', vif });
const hop = (vif: string, gateway: string): Target => ({ kind: 'hop', vif, gateway });

function text(rib: Rib): string[] {
  return rib
    .take()
    .map(({ prefix: { text: at }, target }) => `${at} ${target ? targetKey(target) : 'none'}`)
    .sort();
}

describe('a routing table in the making', () => {
  test('an address wins over its link, a link over a route', () => {
    const rib = new Rib();
    rib.set('route', prefix('10.0.1.0/24'), hop('b', '10.0.2.1'));
    rib.set('connected', prefix('10.0.1.0/24'), glean('a'));
    rib.set('local', prefix('10.0.1.1/32'), { kind: 'local' });
    rib.set('route', prefix('10.0.1.1/32'), { kind: 'blackhole' });
    expect(text(rib)).toEqual(['10.0.1.0/24 glean a', '10.0.1.1/32 local']);
    rib.set('connected', prefix('10.0.1.0/24'), undefined);
    rib.set('local', prefix('10.0.1.1/32'), undefined);
    expect(text(rib)).toEqual(['10.0.1.0/24 hop b 10.0.2.1', '10.0.1.1/32 blackhole']);
  });

  test('only what changed is told', () => {
    const rib = new Rib();
    rib.set('route', prefix('10.0.0.0/8'), glean('a'));
    rib.set('route', prefix('11.0.0.0/8'), glean('a'));
    expect(text(rib)).toHaveLength(2);
    expect(text(rib)).toEqual([]);
    rib.set('route', prefix('10.0.0.0/8'), glean('a'));
    rib.set('route', prefix('11.0.0.0/8'), undefined);
    expect(text(rib)).toEqual(['11.0.0.0/8 none']);
  });

  test('what could not be published is told again', () => {
    const rib = new Rib();
    rib.set('route', prefix('10.0.0.0/8'), glean('a'));
    rib.giveBack(rib.take());
    expect(text(rib)).toEqual(['10.0.0.0/8 glean a']);
    rib.set('route', prefix('10.0.0.0/8'), undefined);
    const gone = rib.take();
    rib.giveBack(gone);
    expect(text(rib)).toEqual(['10.0.0.0/8 none']);
  });

  test('a neighbour is a host route only where its link is the best match', () => {
    const rib = new Rib();
    rib.setNeighbour('a', address('10.0.1.2'), true);
    rib.setNeighbour('a', address('10.9.9.9'), true);
    expect(text(rib)).toEqual([]);
    rib.set('connected', prefix('10.0.1.0/24'), glean('a'));
    expect(text(rib)).toEqual(['10.0.1.0/24 glean a', '10.0.1.2/32 hop a 10.0.1.2']);
    // somebody else's more specific route
    rib.set('route', prefix('10.0.1.0/28'), hop('b', '10.0.2.1'));
    expect(text(rib)).toEqual(['10.0.1.0/28 hop b 10.0.2.1', '10.0.1.2/32 none']);
    rib.set('route', prefix('10.0.1.0/28'), undefined);
    expect(text(rib)).toEqual(['10.0.1.0/28 none', '10.0.1.2/32 hop a 10.0.1.2']);
    rib.setNeighbour('a', address('10.0.1.2'), false);
    expect(text(rib)).toEqual(['10.0.1.2/32 none']);
  });

  test('a host route on a link takes its neighbour’s address', () => {
    const rib = new Rib();
    rib.set('route', prefix('10.0.1.2/32'), glean('a'));
    expect(text(rib)).toEqual(['10.0.1.2/32 glean a']);
    rib.setNeighbour('a', address('10.0.1.2'), true);
    expect(text(rib)).toEqual(['10.0.1.2/32 hop a 10.0.1.2']);
    rib.setNeighbour('b', address('10.0.1.2'), true);
    expect(text(rib)).toEqual([]);
  });

  test('whatever the order of events, the table is what the last state says', () => {
    const vif = fc.constantFrom('a', 'b');
    const at = fc.constantFrom(
      '10.0.0.0/8',
      '10.0.0.0/30',
      '10.0.0.0/31',
      '10.0.0.1/32',
      '10.0.0.2/32',
      '0.0.0.0/0',
    );
    const host = fc.constantFrom('10.0.0.1', '10.0.0.2', '10.0.0.3');
    const layer = fc.constantFrom<Layer>('local', 'connected', 'kernel', 'route');
    const target = fc.option(
      fc.oneof(
        vif.map(glean),
        vif.map((name) => hop(name, '10.1.1.1')),
        fc.constant<Target>({ kind: 'local' }),
      ),
    );
    const event = fc.oneof(
      fc.record({ layer, at, target }),
      fc.record({ vif, host, known: fc.boolean() }),
      fc.constant('publish' as const),
    );
    fc.assert(
      fc.property(fc.array(event, { maxLength: 40 }), (events) => {
        const rib = new Rib();
        const told = new Map<string, string>();
        const layers = new Map<string, Target>();
        const known = new Map<string, { vif: string; host: string }>();
        const publish = (): void => {
          for (const { prefix: where, target: to } of rib.take()) {
            if (to) told.set(where.text, targetKey(to));
            else told.delete(where.text);
          }
        };
        for (const one of events) {
          if (one === 'publish') publish();
          else if ('layer' in one) {
            rib.set(one.layer, prefix(one.at), one.target ?? undefined);
            if (one.target) layers.set(`${one.layer} ${one.at}`, one.target);
            else layers.delete(`${one.layer} ${one.at}`);
          } else {
            rib.setNeighbour(one.vif, address(one.host), one.known);
            if (one.known) known.set(`${one.vif} ${one.host}`, one);
            else known.delete(`${one.vif} ${one.host}`);
          }
        }
        publish();
        // anew, in the order of the layers
        const anew = new Rib();
        for (const [key, to] of layers) {
          const [name, where] = key.split(' ') as [Layer, string];
          anew.set(name, prefix(where), to);
        }
        for (const { vif: name, host: who } of known.values()) anew.setNeighbour(name, address(who), true);
        const expected = new Map<string, string>();
        for (const { prefix: where, target: to } of anew.take())
          if (to) expected.set(where.text, targetKey(to));
        expect(told).toEqual(expected);
        for (const entry of rib.entries()) expect(told.get(entry.prefix.text)).toBe(targetKey(entry.target));
        for (const who of ['10.0.0.1', '10.0.0.2', '10.0.0.3']) {
          let best: string | undefined;
          for (let length = 32; length >= 0 && best === undefined; length--) {
            for (const [where, key] of expected) {
              const candidate = prefix(where);
              if (candidate.length === length && candidate.text === where) {
                const covered = parsePrefix(where);
                if (covered && maskText(who, length) === where) best = key;
              }
            }
          }
          const found = rib.match(address(who));
          expect(found && targetKey(found.target)).toBe(best);
        }
      }),
      { numRuns: 500 },
    );
  });
});

function maskText(host: string, length: number): string {
  const bytes = hostPrefix(address(host)).bytes;
  const masked = bytes.map((byte, i) => byte & ((0xff00 >> Math.min(8, Math.max(0, length - 8 * i))) & 0xff));
  return `${masked.join('.')}/${length}`;
}
