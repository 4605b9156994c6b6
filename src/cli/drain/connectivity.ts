/** What crosses a node, a link or one service link's way of a connectivity provider. */
import { type Link, type Node, type ServiceLink, type ServiceNetwork } from '../../api/connectivity.js';
import { bodyOf } from '../../resources/api.js';
import { getResource, listResources } from '../../resources/lists.js';
import { CommandError, UsageError } from '../report.js';
import { type Server } from '../resources/server.js';
import { change } from './change.js';
import { type Item, type Subject } from './item.js';
import { agentsOfWorld, Traffic } from './traffic.js';

const last = (name: string): string => name.slice(name.lastIndexOf('/') + 1);

/** Below one service link: what it is to leave. */
interface Crossing {
  readonly network: ServiceNetwork;
  readonly link: ServiceLink;
  readonly off: ReadonlySet<string>;
  /** It ends at the node that is drained. */
  readonly ends: boolean;
}

export async function connectivitySubject(
  server: Server,
  what: 'machine' | 'link' | 'path',
  name: string,
): Promise<Subject> {
  const { client } = server;
  if (what === 'path') return pathSubject(server, name);
  const full = `${what === 'machine' ? 'nodes' : 'links'}/${last(name)}`;
  if (name.includes('/') && name !== full)
    throw new UsageError(`${name} is no ${what}'s name; it is ${full}`);
  if (!(await getResource(client, full))) throw new CommandError(`there is no ${full}`);
  return new ConnectivitySubject(server, full, {
    async mark(undo) {
      return change<Node | Link>(client, full, (body) =>
        body.drain === undo ? { ...body, drain: !undo } : undefined,
      );
    },
    crossing(network, link, links) {
      if (what === 'link') return { network, link, off: new Set([full]), ends: false };
      const under = (end: string): string => {
        const node = network.nodes.find((one) => one.name === end);
        return node ? `nodes/${node.offer === '' ? node.name : last(node.offer)}` : '';
      };
      const ends = [link.a, link.b].some((end) => under(end) === full);
      const off = links.filter(({ a, b }) => a === full || b === full).map((one) => one.name);
      return { network, link, off: new Set(off), ends };
    },
  });
}

/** `VN/LINK` or `CUSTOMER/VN/LINK`: off the way that it takes. */
async function pathSubject(server: Server, name: string): Promise<Subject> {
  const { client } = server;
  const parts = name
    .replace('customers/', '')
    .replace('/serviceNetworks', '')
    .replace('/links/', '/')
    .split('/');
  if (parts.length < 2 || parts.length > 3 || parts.includes(''))
    throw new UsageError(
      `${name} is no path's name: NETWORK/LINK, or CUSTOMER/NETWORK/LINK, of a service link`,
    );
  const [id, vn, customer] = parts.toReversed();
  const networks = (await listResources(client, 'customers/-/serviceNetworks')).map(
    (one) => bodyOf(one) as ServiceNetwork,
  );
  const found = networks.filter(
    (one) =>
      last(one.name) === vn &&
      (customer === undefined || one.name.split('/')[1] === customer) &&
      one.links.some((link) => link.name === id),
  );
  const [network, other] = found;
  if (!network || id === undefined) throw new CommandError(`there is no service link ${name}`);
  if (other)
    throw new UsageError(
      `${name} is one of ${found.map((one) => one.name.split('/')[1]).join(' and ')}: CUSTOMER/${name}`,
    );
  const linkOf = (body: ServiceNetwork): ServiceLink | undefined =>
    body.links.find((link) => link.name === id);
  let left: readonly string[] = linkOf(network)?.avoid ?? [];
  return new ConnectivitySubject(server, `${network.name}/links/${id}`, {
    async mark(undo) {
      return change<ServiceNetwork>(client, network.name, (body) => {
        const link = linkOf(body);
        if (!link) throw new CommandError(`there is no service link ${name} any more`);
        if (undo ? link.avoid.length === 0 : link.avoid.length > 0) return undefined;
        const avoid = undo ? [] : link.path;
        left = undo ? link.avoid : avoid;
        return { ...body, links: body.links.map((one) => (one === link ? { ...one, avoid } : one)) };
      });
    },
    crossing: (body, link) =>
      body.name === network.name && link.name === id
        ? { network: body, link, off: new Set(left), ends: false }
        : undefined,
  });
}

interface Kind {
  mark(undo: boolean): Promise<boolean>;
  /** Undefined: it is none of this link's business. */
  crossing(network: ServiceNetwork, link: ServiceLink, links: readonly Link[]): Crossing | undefined;
}

class ConnectivitySubject implements Subject {
  readonly name: string;
  readonly #server: Server;
  readonly #kind: Kind;
  readonly #traffic: Traffic;
  readonly #self: string;
  /** Service links that crossed it. */
  readonly #seen = new Set<string>();

  constructor(server: Server, name: string, kind: Kind) {
    this.name = name;
    this.#server = server;
    this.#kind = kind;
    this.#traffic = new Traffic(agentsOfWorld(server.target));
    this.#self = server.target.context?.split('/')[1] ?? '';
  }

  async mark(undo: boolean): Promise<boolean> {
    for (const { link, network, off } of (await this.#crossings()).crossings)
      if ([...link.path, ...link.backup].some((below) => off.has(below)))
        this.#seen.add(keyOf(network, link));
    return this.#kind.mark(undo);
  }

  async look(undo: boolean): Promise<readonly Item[]> {
    const { crossings, links } = await this.#crossings();
    if (undo) return crossings.filter(({ ends }) => !ends).map((crossing) => back(crossing));
    const items = new Map(
      crossings.flatMap((crossing) => this.#itemOf(crossing) ?? []).map((item) => [item.name, item]),
    );
    if (![...items.values()].some(({ result }) => result === 'moving'))
      for (const item of await this.#sent(crossings, links))
        if (items.get(item.name)?.result !== 'stays') items.set(item.name, item);
    return [...items.values()];
  }

  close(): void {
    this.#traffic.close();
  }

  async #crossings(): Promise<{ crossings: Crossing[]; links: readonly Link[] }> {
    const { client } = this.#server;
    const list = async <B>(collection: string): Promise<B[]> =>
      (await listResources(client, collection)).map((one) => bodyOf(one) as B);
    const [networks, links] = [
      await list<ServiceNetwork>('customers/-/serviceNetworks'),
      await list<Link>('links'),
    ];
    const crossings = networks.flatMap((network) =>
      network.links.flatMap((link) => this.#kind.crossing(network, link, links) ?? []),
    );
    return { crossings, links };
  }

  #itemOf({ network, link, off, ends }: Crossing): Item | undefined {
    const name = keyOf(network, link);
    const crosses = (way: readonly string[]): boolean => way.some((below) => off.has(below));
    if (ends) return { name, result: 'stays', why: 'It ends at the node.', final: true };
    if (network.status?.reconciling === true)
      return this.#isConcerned(name, link, crosses) ? { name, result: 'moving', why: '' } : undefined;
    if (crosses(link.path)) return { name, result: 'stays', why: 'No other way has what it was promised.' };
    if (crosses(link.backup))
      return {
        name,
        result: 'backup',
        why: 'There is no third way: it is used only while the other one is down.',
      };
    return this.#seen.has(name)
      ? { name, result: 'moved', why: `By ${link.path.map(last).join(' ')} now.` }
      : undefined;
  }

  #isConcerned(name: string, link: ServiceLink, crosses: (way: readonly string[]) => boolean): boolean {
    return this.#seen.has(name) || crosses(link.path) || crosses(link.backup);
  }

  /** Service links that machines still send that way, where their agents can be asked. */
  async #sent(crossings: readonly Crossing[], links: readonly Link[]): Promise<Item[]> {
    const passing = crossings.filter(({ ends }) => !ends);
    if (passing.length === 0) return [];
    const of = new Map(
      passing.flatMap((crossing) => vifsOf(crossing, this.#self).map((vif) => [vif, crossing])),
    );
    const below = new Map(
      links.flatMap((link) => vifsBelow(link, this.#self).map((vif) => [vif, link.name])),
    );
    const busy = await this.#traffic.look();
    const { answers } = await this.#traffic.agents.ask((agent) => agent.paths());
    return answers.flatMap(({ machine, value }) =>
      value.flatMap(({ vif, index, path, inUse }): Item[] => {
        const crossing = of.get(vif);
        const on = crossing?.off.has(below.get(path?.vif ?? '') ?? '') === true;
        if (!crossing || !on || !inUse || busy.get(machine)?.has(`${vif}/paths/${index}`) === false)
          return [];
        return [
          {
            name: keyOf(crossing.network, crossing.link),
            result: 'moving',
            why: `${machine} still sends it there.`,
          },
        ];
      }),
    );
  }
}

function back({ network, link }: Crossing): Item {
  const name = keyOf(network, link);
  if (network.status?.reconciling === true) return { name, result: 'moving', why: '' };
  return { name, result: 'back', why: `By ${link.path.map(last).join(' ')}.` };
}

/** Of our own nodes, as machines call them. */
function vifsBelow({ a, b, vifA, vifB }: Link, self: string): string[] {
  return [
    `vns/${self}/nodes/${last(a)}/vifs/${vifA || `to-${last(b)}`}`,
    `vns/${self}/nodes/${last(b)}/vifs/${vifB || `to-${last(a)}`}`,
  ];
}

/** Of a service link, as machines call them. */
function vifsOf({ network, link }: Crossing, self: string): string[] {
  const [, customer = ''] = network.name.split('/');
  const vn = last(network.name);
  const at = `vns/${self}_${vn === customer ? vn : `${customer}_${vn}`}/nodes`;
  return [
    `${at}/${link.a}/vifs/${link.vifA || `to-${link.b}`}`,
    `${at}/${link.b}/vifs/${link.vifB || `to-${link.a}`}`,
  ];
}

function keyOf(network: ServiceNetwork, link: ServiceLink): string {
  return `${network.name}/links/${link.name}`;
}
