/** One request to the supplier from all that is wanted: nodes, links, cables of stations. */
import { protectedFields } from '../api/protected.js';
import { createHash } from 'node:crypto';

import { type cabernet } from '../../gen/cabernet.js';
import {
  resourceType,
  type ServiceLink,
  type ServiceNetwork,
  type ServiceNode,
} from '../api/connectivity.js';
import { type Draft } from '../api/message.js';
import { idOf, NETWORK, type View, vifToward } from './model.js';

export type NetworkDraft = Draft<cabernet.connectivity.v1.ServiceNetwork>;
type NodeDraft = Draft<cabernet.connectivity.v1.ServiceNode>;
type LinkDraft = Draft<cabernet.connectivity.v1.ServiceLink>;

/** As the supplier calls it. */
export function nameAtSupplier(self: string, vn: string): string {
  return `customers/${self}/serviceNetworks/${vn === '' ? self : vn}`;
}

/** Without a term. Undefined: nothing is wanted. */
export function compose(view: View, self: string): NetworkDraft | undefined {
  const network = view.get('network', NETWORK);
  const nodes = view.all('node');
  if (!network || nodes.length === 0) return undefined;
  const ports = new Map<string, { vif: string; port: string; mtu: number }[]>();
  for (const { name, node, port, mtu } of view.all('station'))
    ports.set(node, [...(ports.get(node) ?? []), { vif: name.slice('stations/'.length), port, mtu }]);
  return {
    name: nameAtSupplier(self, network.vn),
    nodes: nodes.map(({ name, offer, share }): NodeDraft => ({
      name: idOf(name),
      offer,
      share,
      ports: ports.get(name) ?? [],
      routeSource: network.routeSource,
    })),
    links: view.all('link').map((link): LinkDraft => ({
      name: idOf(link.name),
      a: idOf(link.a),
      b: idOf(link.b),
      vifA: vifToward(link.vifA, link.b),
      vifB: vifToward(link.vifB, link.a),
      slo: link.slo,
      mtu: link.mtu,
      payload: link.payload,
      via: link.via,
      ...protectedFields(link),
    })),
  };
}

function completed(draft: NetworkDraft): ServiceNetwork {
  const { serviceNetwork } = resourceType.complete({ serviceNetwork: draft });
  if (!serviceNetwork) throw new Error('a network was composed that is none');
  return serviceNetwork;
}

/** Of what is asked for, whatever its term and what came back. */
export function digestOf(draft: NetworkDraft): string {
  const { name, nodes, links } = completed(draft);
  const said = { name, nodes, links: links.map(saidOf) };
  return createHash('sha256')
    .update(resourceType.encode({ serviceNetwork: said }))
    .digest('hex');
}

/** A link without what the supplier says of it. */
function saidOf(link: ServiceLink): LinkDraft {
  const { name, a, b, vifA, vifB, slo, mtu, payload, via } = link;
  return { name, a, b, vifA, vifB, slo, mtu, payload, via, ...protectedFields(link) };
}

/** What was asked for and granted, to be asked for again. */
export function askAgain({ name, nodes, links }: ServiceNetwork): NetworkDraft {
  return { name, nodes, links: links.map(saidOf) };
}

/** What was granted, with what the supplier says of it now. */
export function withWords(granted: NetworkDraft, said: ServiceNetwork): ServiceNetwork {
  const words = new Map(said.links.map((link) => [link.name, link]));
  const { name, nodes, links } = completed(granted);
  return completed({
    name,
    nodes,
    links: links.map((link) => {
      const word = words.get(link.name);
      const { achieved, price, state, message } = word ?? link;
      return { ...saidOf(link), achieved, price, state, message };
    }),
    term: said.term,
    price: said.price,
    lease: said.lease,
    status: said.status,
  });
}

/** Parts of one request by the names of the resources they come from, to be compared. */
export function partsOf(draft: NetworkDraft): ReadonlyMap<string, string> {
  const { nodes, links } = completed(draft);
  const parts = new Map<string, string>();
  const put = (name: string, part: ServiceNode | LinkDraft | object): void => {
    parts.set(
      name,
      JSON.stringify(part, (_, value: unknown) => (typeof value === 'bigint' ? `${value}` : value)),
    );
  };
  for (const node of nodes) {
    put(`nodes/${node.name}`, { ...node, ports: [] });
    for (const port of node.ports) put(`stations/${port.vif}`, { ...port, node: node.name });
  }
  for (const link of links) put(`links/${link.name}`, saidOf(link));
  return parts;
}

/** The resource that a refusal's field is about: `resources[0].service_network.links[3].slo`. */
export function resourceOfField(field: string | undefined, asked: NetworkDraft): string | undefined {
  const [, list, index, port] =
    /\b(nodes|links)\[(\d{1,6})\](?:\.ports\[(\d{1,6})\])?/.exec(field ?? '') ?? [];
  if (list === 'links') {
    const link = asked.links?.[Number(index)];
    return link?.name === undefined ? undefined : `links/${link.name}`;
  }
  if (list !== 'nodes') return undefined;
  const node = asked.nodes?.[Number(index)];
  const vif = port === undefined ? undefined : node?.ports?.[Number(port)]?.vif;
  if (vif !== undefined) return `stations/${vif}`;
  return node?.name === undefined ? undefined : `nodes/${node.name}`;
}

/** By node: its vifs, to see whose were made anew. */
export function vifsByNode(network: ServiceNetwork | undefined): ReadonlyMap<string, string> {
  const vifs = new Map<string, string[]>(
    (network?.nodes ?? []).map(({ name, ports }) => [name, ports.map(({ vif, port }) => `${vif} ${port}`)]),
  );
  for (const { name, a, b, vifA, vifB } of network?.links ?? []) {
    vifs.get(a)?.push(`${vifA} ${name}`);
    vifs.get(b)?.push(`${vifB} ${name}`);
  }
  return new Map([...vifs].map(([node, list]) => [node, list.sort().join('|')]));
}
