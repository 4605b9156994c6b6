/** Links as `get links` finds them: from what agents hold, here of the example `three`, with names of the agents' own. */
import { describe, expect, it } from 'vitest';

import { type Holdings, linksOf } from '../../src/world/links.js';

const vifName = (text: string): string => text.replace(/^(\w+)\/(\w+)\/(.+)$/, 'vns/$1/nodes/$2/vifs/$3');
const isVif = (text: string): boolean => text.includes('/');
/** A tunnel, `to-Q`, or a vif, `conn/P/to-Q`. */
const below = (text: string): object =>
  isVif(text) ? { vif: vifName(text) } : { tunnel: `tunnels/${text}` };

interface Said {
  readonly machine: string;
  readonly address: number;
  /** Machines by number. */
  readonly tunnels: readonly number[];
  /** Vif, what carries it, its label. */
  readonly vifs: readonly (readonly [string, string, number])[];
  /** Context, label, where it leads: a vif, or what swaps it for which. */
  readonly labels: readonly (readonly [string, number, string | readonly [string, number]])[];
}

function holdingsOf({ machine, address, tunnels, vifs, labels }: Said): Holdings {
  const all = {
    machine,
    vifs: vifs.map(([name, carrier, label]) => ({
      vif: { name: vifName(name), link: { paths: [{ ...below(carrier), label }] } },
    })),
    tunnels: tunnels.map((to) => ({
      tunnel: { name: `tunnels/to-${to}`, localAddress: `10.0.0.${address}`, remoteAddress: `10.0.0.${to}` },
      hops: [],
    })),
    labels: labels.map(([context, label, action]) => ({
      label: {
        ...below(context),
        label,
        ...(typeof action === 'string'
          ? { deliver: vifName(action) }
          : { swap: { ...below(action[0]), label: action[1] } }),
      },
    })),
  };
  return all as unknown as Holdings;
}

/** P, Q, M in a row, and the service link over both links of conn. */
const three = [
  holdingsOf({
    machine: 'P',
    address: 1,
    tunnels: [2],
    vifs: [
      ['conn/P/to-Q', 'to-2', 20],
      ['iptv/P/to-M', 'conn/P/to-Q', 30],
    ],
    labels: [
      ['to-2', 21, 'conn/P/to-Q'],
      ['conn/P/to-Q', 31, 'iptv/P/to-M'],
    ],
  }),
  holdingsOf({
    machine: 'Q',
    address: 2,
    tunnels: [1, 3],
    vifs: [
      ['conn/Q/to-P', 'to-1', 21],
      ['conn/Q/to-M', 'to-3', 22],
    ],
    labels: [
      ['to-1', 20, 'conn/Q/to-P'],
      ['to-3', 23, 'conn/Q/to-M'],
      ['conn/Q/to-P', 30, ['conn/Q/to-M', 32]],
      ['conn/Q/to-M', 33, ['conn/Q/to-P', 31]],
    ],
  }),
  holdingsOf({
    machine: 'M',
    address: 3,
    tunnels: [2],
    vifs: [
      ['conn/M/to-Q', 'to-2', 23],
      ['iptv/M/to-P', 'conn/M/to-Q', 33],
    ],
    labels: [
      ['to-2', 22, 'conn/M/to-Q'],
      ['conn/M/to-Q', 32, 'iptv/M/to-P'],
    ],
  }),
];

const short = (name: string | undefined): string =>
  name?.replace(/^vns\/(.*)\/nodes\/(.*)\/vifs\/.*/, '$1/$2') ?? 'nowhere';

function shown(all: readonly Holdings[]): string[] {
  return linksOf(all).map(({ a, b, via, oneWay }) => {
    const ends = `${short(a.vif?.name)} ${short(b?.vif?.name)}`;
    return [ends, ...via.map((node) => `by ${node}`), ...(oneWay ? ['one way'] : [])].join(' ');
  });
}

describe('links', () => {
  it('are all found, each once, with what they pass', () => {
    expect(shown(three)).toEqual(['conn/P conn/Q', 'iptv/P iptv/M by conn/Q', 'conn/Q conn/M']);
  });

  it('whose label is forgotten on the way lead nowhere, or one way only', () => {
    const without = three.map((one) => ({
      ...one,
      labels: one.labels.filter(
        ({ label }) => !(one.machine === 'M' && label?.deliver?.startsWith('vns/iptv/')),
      ),
    }));
    expect(shown(without)).toEqual([
      'conn/P conn/Q',
      'iptv/P nowhere one way',
      'conn/Q conn/M',
      'iptv/M iptv/P by conn/Q one way',
    ]);
  });

  it('that go round end', () => {
    const circle = three.map((one) => ({
      ...one,
      labels: one.labels.map((state) => {
        const { label } = state;
        if (!label?.swap || one.machine !== 'Q') return state;
        return { ...state, label: { ...label, swap: { ...label.swap, label: label.label } } };
      }) as unknown as Holdings['labels'],
    }));
    expect(shown(circle)).toContain('iptv/P nowhere one way');
  });
});
