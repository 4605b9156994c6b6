/** Networks of world files as a service provider says them. */
import { exampleDraft } from '../world/worlds.js';
import { type ServiceDraft } from './provider.js';

export function networkOf(address: string, more: object = {}): ServiceDraft {
  return { network: { name: 'network', supplier: 'conn', supplierAddress: address, ...more } };
}

/** Nodes, links and stations of one network of an example, in the order of the file. */
export function exampleNetwork(file: string, name: string): ServiceDraft[] {
  const world = exampleDraft(file);
  const network = world.networks?.find((one) => one.name === name);
  const seen = new Map<string, number>();
  return [
    ...(network?.nodes ?? []).map((node): ServiceDraft => ({ node: { name: `nodes/${node.name}` } })),
    ...(network?.links ?? []).map(({ a, b, via }): ServiceDraft => {
      const count = (seen.get(`${a}-${b}`) ?? 0) + 1;
      seen.set(`${a}-${b}`, count);
      return {
        link: {
          name: `links/${a}-${b}${count > 1 ? count : ''}`,
          a: `nodes/${a}`,
          b: `nodes/${b}`,
          via: (via ?? []).map((one) => `offers/${one}`),
        },
      };
    }),
    ...(world.stations ?? [])
      .filter((station) => station.network === name)
      .map((station): ServiceDraft => ({
        station: {
          name: `stations/${station.name}`,
          node: `nodes/${station.node}`,
          port: `st-${station.name}`,
          addresses: station.addresses ?? [],
        },
      })),
  ];
}
