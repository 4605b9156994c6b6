/** What crosses a machine or a wire of an infrastructure provider. */
import {
  type Machine,
  type Peering,
  type Segment,
  type VirtualLink,
  type VirtualNode,
  type Wire,
} from '../../api/infrastructure.js';
import { types } from '../../api/types.js';
import { bodyOf } from '../../resources/api.js';
import { getResource, listResources } from '../../resources/lists.js';
import { CommandError, UsageError } from '../report.js';
import { type Server } from '../resources/server.js';
import { change } from './change.js';
import { type Item, type Subject } from './item.js';
import { agentsOf, type Busy, Traffic } from './traffic.js';

interface Found {
  readonly nodes: readonly VirtualNode[];
  readonly links: readonly VirtualLink[];
  readonly segments: readonly Segment[];
}

const last = (name: string): string => name.slice(name.lastIndexOf('/') + 1);
const customerOf = (name: string): string => name.split('/')[1] ?? '';
const KINDS: Readonly<Record<number, string>> = {
  [types.LinkKind.LINK_KIND_TUNNEL]: 'a tunnel goes where IP routing leads it',
  [types.LinkKind.LINK_KIND_CIRCUIT]: 'a circuit is its wire',
  [types.LinkKind.LINK_KIND_LSP]: 'no other wires keep its promise',
};

export async function infrastructureSubject(
  server: Server,
  what: 'machine' | 'link',
  name: string,
): Promise<Subject> {
  const { client } = server;
  const id = last(name);
  const names = what === 'machine' ? [`machines/${id}`] : [`wires/${id}`, `peerings/${id}`];
  const wanted = names.includes(name) ? [name] : names;
  if (name.includes('/') && !names.includes(name))
    throw new UsageError(`${name} is no ${what}'s name; it is ${names.join(' or ')}`);
  for (const each of wanted) {
    const resource = await getResource(client, each);
    if (resource) return makeSubject(server, each);
  }
  throw new CommandError(`there is no ${wanted.join(' and no ')}`);
}

async function makeSubject(server: Server, name: string): Promise<Subject> {
  const { client, target } = server;
  const list = async <B>(collection: string): Promise<B[]> =>
    (await listResources(client, collection)).map((one) => bodyOf(one) as B);
  const machines = await list<Machine>('machines');
  const traffic = new Traffic(await agentsOf(machines, target));
  /** Leases that crossed it when it was first looked at, and those that were led around it before. */
  const seen = new Set<string>();
  const read = async (): Promise<Found> => ({
    nodes: await list('customers/-/virtualNodes'),
    links: await list('customers/-/virtualLinks'),
    segments: await list('segments'),
  });
  const wires = new Set<string>([name]);
  for (const wire of await list<Wire>('wires'))
    if (wire.a?.machine === name || wire.b?.machine === name) wires.add(wire.name);
  for (const peering of await list<Peering>('peerings'))
    if (peering.end?.machine === name) wires.add(peering.name);
  const isOn = (passed: readonly string[]): boolean => passed.some((wire) => wires.has(wire));

  return {
    name,
    async mark(undo) {
      const { links } = await read();
      for (const link of links) if (isOn(link.wires) || isOn(link.home)) seen.add(link.name);
      return change<Machine | Wire | Peering>(client, name, (body) =>
        body.drain === undo ? { ...body, drain: !undo } : undefined,
      );
    },
    async look(undo) {
      const { nodes, links, segments } = await read();
      const at = nodes.filter(({ offer }) => `machines/${last(offer)}` === name);
      if (undo)
        return [
          ...at.map(({ name: lease, maintenance }) => backItem(lease, maintenance, false)),
          ...links
            .filter((link) => seen.has(link.name))
            .map((link) => backItem(link.name, link.maintenance, link.move !== undefined, link.home)),
        ];
      // counted once nothing is being moved any more
      const concerned = links.filter((link) => seen.has(link.name) || isOn(link.wires));
      const here = new Set(at.map((node) => node.name));
      const endsHere = ({ a, b }: VirtualLink): boolean =>
        [a, b].some((end) => end?.provider === '' && here.has(end.virtualNode));
      const moving = concerned.some((link) => isMoving(link, { isOn, endsHere }));
      const busy: Busy = moving ? new Map() : await traffic.look();
      return [
        ...at.map((node) => nodeItem(node, busy, moving)),
        ...concerned.map((link) => linkItem(link, nodes, { isOn, endsHere, busy, moving })),
        ...segments
          .filter((segment) => segment.upstream !== '' && !segment.releasing && isOn(segment.wires))
          .map((segment) => segmentItem(segment)),
      ];
    },
    close: () => traffic.close(),
  };
}

/** Of an lsp: it is under way, or it has not been decided yet. What ends on the machine goes on ending there. */
function isMoving(link: VirtualLink, { isOn, endsHere }: Where): boolean {
  if (link.move) return true;
  const lsp = link.kind === types.LinkKind.LINK_KIND_LSP;
  return lsp && isOn(link.wires) && !link.maintenance && !endsHere(link);
}

function backItem(name: string, maintenance: boolean, moving: boolean, home: readonly string[] = []): Item {
  if (moving) return { name, result: 'moving', why: '' };
  if (home.length > 0)
    return { name, result: 'elsewhere', why: 'It was led elsewhere, and where it was has no room now.' };
  if (maintenance) return { name, result: 'elsewhere', why: 'Something else that it passes is drained.' };
  return { name, result: 'back', why: '' };
}

function nodeItem(node: VirtualNode, busy: Busy, moving: boolean): Item {
  const { name } = node;
  if (moving) return { name, result: 'moving', why: 'Links are being led elsewhere.' };
  const customer = customerOf(name);
  const vifs = busy.get(last(node.offer));
  const stays = 'A leased node does not move to another machine';
  if (!vifs)
    return { name, result: 'stays', why: `${stays}, and the agent does not say whether it is idle.` };
  const own = [...vifs].filter(
    (vif) => vif.startsWith(`vns/${customer}/`) || vif.startsWith(`vns/${customer}_`),
  );
  if (own.length === 0)
    return { name, result: 'idle', why: `${stays}; nothing but the watching of paths goes through it.` };
  return {
    name,
    result: 'stays',
    why: `${stays}, and its customer sends through it: ${own.slice(0, 3).join(', ')}.`,
  };
}

interface Where {
  readonly isOn: (wires: readonly string[]) => boolean;
  readonly endsHere: (link: VirtualLink) => boolean;
}

interface Seen extends Where {
  readonly busy: Busy;
  readonly moving: boolean;
}

function linkItem(link: VirtualLink, nodes: readonly VirtualNode[], seen: Seen): Item {
  const { isOn, busy, moving } = seen;
  const { name, kind } = link;
  if (!isOn(link.wires) && !link.move)
    return { name, result: 'moved', why: `By ${link.wires.map(last).join(' ')} now.` };
  if (isMoving(link, seen) || moving) return { name, result: 'moving', why: '' };
  const stays = link.maintenance
    ? `It stays: ${KINDS[kind] ?? 'it cannot be moved'}; ${customerOf(name)} is told`
    : 'It ends on the machine';
  const ends = [link.a, link.b].map((end) => {
    const node = end?.provider === '' ? nodes.find((one) => one.name === end.virtualNode) : undefined;
    if (!end || !node) return undefined;
    const vifs = busy.get(last(node.offer));
    const vif = `${vnsDown(customerOf(name), node.node)}/vifs/${end.vif}`;
    return vifs && !vifs.has(vif);
  });
  const quiet = new Set(ends);
  // of a link to another provider this end counts both directions
  if (quiet.has(false)) return { name, result: 'stays', why: `${stays}, and frames still cross it.` };
  if (quiet.has(true))
    return { name, result: 'idle', why: `${stays}; nothing but the watching of paths goes over it.` };
  return { name, result: 'stays', why: `${stays}, and no agent says whether it is idle.` };
}

/** As machines call a customer's node. */
function vnsDown(customer: string, node: string): string {
  return node.replace(
    /^vns\/([^/]*)/,
    (_, vn: string) => `vns/${vn === customer ? vn : `${customer}_${vn}`}`,
  );
}

function segmentItem({ name, upstream }: Segment): Item {
  const why = `The link begins at ${upstream} or beyond: whoever operates that drains the peering there.`;
  return { name, result: 'stays', why, final: true };
}
