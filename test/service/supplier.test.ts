/** From resources to what the connectivity provider is asked and its machines are told. */
import { afterEach, beforeEach, expect, test } from 'vitest';

import { examplePlan } from '../world/worlds.js';
import { exampleNetwork, networkOf } from './networks.js';
import { Provider } from './provider.js';
import { RecordingSupplier, textOf } from './recording.js';

let supplier: RecordingSupplier;
let provider: Provider;

beforeEach(async () => {
  supplier = new RecordingSupplier();
  provider = new Provider();
  await supplier.start();
  await provider.start();
});
afterEach(async () => {
  await provider.dispose();
  await supplier.dispose();
});

test.each([
  ['three', 'iptv'],
  ['figure2', 'iptv'],
  ['figure2', 'games'],
])('%s, network %s: what its nodes hold is what the planner gives them', async (file, name) => {
  await provider.update(networkOf(supplier.address, { vn: name }), ...exampleNetwork(file, name));
  await provider.ready();
  const planned = new Map<string, string[]>();
  for (const { intents } of examplePlan(file).machines) {
    for (const { owner, resources } of intents) {
      for (const resource of resources) {
        const { address, route } = resource;
        if (owner !== name || (!address && !route)) continue;
        const node = (route?.node ?? address?.vif ?? '').split('/')[3] ?? '';
        // planned without a type, which is the same as unicast
        const told = route ? { route: { ...route, type: 1 } } : resource;
        planned.set(node, [...(planned.get(node) ?? []), textOf(told)]);
      }
    }
  }
  for (const list of planned.values()) list.sort();
  expect(planned.size).toBeGreaterThan(1);
  expect(new Map([...supplier.contents].sort())).toEqual(new Map([...planned].sort()));
  expect(supplier.asked.at(-1)?.name).toBe(`customers/iptv/serviceNetworks/${name}`);
});
