/** From resources to what the connectivity provider is asked and its machines are told. */
import { afterEach, beforeEach, expect, test } from 'vitest';

import { exampleDraft } from '../world/worlds.js';
import { exampleNetwork, networkOf } from './networks.js';
import { Provider } from './provider.js';
import { RecordingSupplier } from './recording.js';

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

/** By the fewest links: what each node of an example is to hold, worked out from the file alone. */
function expected(file: string, name: string): Map<string, string[]> {
  const world = exampleDraft(file);
  const network = world.networks?.find((one) => one.name === name);
  const links = (network?.links ?? []).map(({ a = '', b = '' }, i) => ({
    ends: [a, b] as const,
    index: 2 * i + 2,
  }));
  const stations = (world.stations ?? []).filter((one) => one.network === name);
  const gateway = (index: number, six: boolean): string =>
    six ? `fd00:0:0:ffff::${index}` : `10.255.0.${index}`;
  const neighbours = (node: string): { to: string; vif: string; index: number }[] =>
    links.flatMap(({ ends: [a, b], index }) => [
      ...(a === node ? [{ to: b, vif: `to-${b}`, index: index + 1 }] : []),
      ...(b === node ? [{ to: a, vif: `to-${a}`, index }] : []),
    ]);
  const distance = (from: string, to: readonly string[]): number => {
    const seen = new Map([[from, 0]]);
    for (const [node, hops] of seen)
      for (const next of neighbours(node)) if (!seen.has(next.to)) seen.set(next.to, hops + 1);
    return Math.min(...to.map((node) => seen.get(node) ?? Infinity));
  };
  const subnets = [
    ...stations.flatMap(({ node = '', addresses }) =>
      (addresses ?? []).map((address) => ({
        prefix: address.replace(/2(?=\/\d+$)/, address.includes(':') ? '' : '0'),
        at: [node],
      })),
    ),
    ...links.flatMap(({ ends, index }) => [
      { prefix: `10.255.0.${index}/31`, at: ends },
      { prefix: `fd00:0:0:ffff::${index}/127`, at: ends },
    ]),
  ];
  return new Map(
    (network?.nodes ?? []).map(({ name: node = '' }) => {
      const vifs = `vns/${name}/nodes/${node}/vifs`;
      const own = [
        ...links.flatMap(({ ends: [a, b], index }) =>
          [a, b].flatMap((end, side) =>
            end === node
              ? [false, true].map(
                  (six) => `${vifs}/to-${side ? a : b} ${gateway(index + side, six)}/${six ? 127 : 31}`,
                )
              : [],
          ),
        ),
        ...stations.flatMap((station) =>
          station.node === node
            ? (station.addresses ?? []).map(
                (address) => `${vifs}/${station.name} ${address.replace(/2(?=\/\d+$)/, '1')}`,
              )
            : [],
        ),
      ];
      const routes = subnets.flatMap(({ prefix, at }) => {
        const here = distance(node, at);
        if (here === 0 || here === Infinity) return [];
        const hops = neighbours(node)
          .filter(({ to }) => distance(to, at) === here - 1)
          .map(({ vif, index }) => `${gateway(index, prefix.includes(':'))}@${vif}*0`);
        return [`${prefix} 1 ${hops.sort().join(' ')}`];
      });
      return [node, [...own, ...routes].sort()] as const;
    }),
  );
}

test.each([
  ['three', 'iptv'],
  ['figure2', 'iptv'],
  ['figure2', 'games'],
])('%s, network %s: what its nodes hold is the shortest ways of the file', async (file, name) => {
  await provider.update(networkOf(supplier.address, { vn: name }), ...exampleNetwork(file, name));
  await provider.ready();
  const wanted = expected(file, name);
  expect(wanted.size).toBeGreaterThan(1);
  expect(new Map([...supplier.contents].sort())).toEqual(new Map([...wanted].sort()));
  expect(supplier.asked.at(-1)?.name).toBe(`customers/iptv/serviceNetworks/${name}`);
});
