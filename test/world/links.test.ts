/** Links as `get links` finds them: from what agents hold, here what the planner would have them hold. */
import { describe, expect, it } from 'vitest';

import { type Holdings, linksOf } from '../../src/world/links.js';
import { type WorldPlan } from '../../src/world/plan.js';
import { resourcesOf } from './walk.js';
import { examplePlan } from './worlds.js';

const NOTHING = { owner: '', state: 'up', addresses: [], device: '' };

function holdingsOf(plan: WorldPlan): Holdings[] {
  return plan.machines.map((machine) => ({
    machine: machine.name,
    vifs: resourcesOf(machine, 'vif').map((vif) => ({ ...NOTHING, vif })) as unknown as Holdings['vifs'],
    tunnels: resourcesOf(machine, 'tunnel').map((tunnel) => ({
      ...NOTHING,
      tunnel,
      hops: [],
    })) as unknown as Holdings['tunnels'],
    labels: resourcesOf(machine, 'label').map((label) => ({
      owner: '',
      label,
    })) as unknown as Holdings['labels'],
  }));
}

const short = (name: string | undefined): string =>
  name?.replace(/^vns\/(.*)\/nodes\/(.*)\/vifs\/.*/, '$1/$2') ?? 'nowhere';

function shown(all: readonly Holdings[]): string[] {
  return linksOf(all).map(({ a, b, via, oneWay }) => {
    const ends = `${short(a.vif?.name)} ${short(b?.vif?.name)}`;
    return [ends, ...via.map((node) => `by ${node}`), ...(oneWay ? ['one way'] : [])].join(' ');
  });
}

describe('links', () => {
  it('of Figure 2 are all found, each once, with what they pass', () => {
    expect(shown(holdingsOf(examplePlan('figure2'))).sort()).toEqual([
      'conn/A conn/M',
      'conn/B conn/N',
      'conn/N conn/M',
      'conn/P conn/A',
      'conn/P conn/B',
      'conn/P conn/Q',
      'conn/Q conn/M',
      'games/A games/M',
      'games/P games/M by conn/Q',
      'games/P games/Q',
      'iptv/A iptv/M',
      'iptv/P iptv/M by conn/Q',
      'iptv/P iptv/Q',
    ]);
  });

  it('whose label is forgotten on the way lead nowhere, or one way only', () => {
    const all = holdingsOf(examplePlan('three'));
    const without = all.map((one) => ({
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
    const all = holdingsOf(examplePlan('three'));
    const circle = all.map((one) => ({
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
