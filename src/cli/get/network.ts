/** `cabernet get`: what the networks are made of. */
import {
  isWhole,
  type LinkView,
  linksOf,
  type VifState,
  type VirtualNodeState,
  type WorldState,
} from '../../world/index.js';
import { type Cell } from '../output.js';
import { type Found, type Kind, rowsOf } from './kind.js';
import { networkOf, short } from '../names.js';
import { UsageError } from '../report.js';
import { describeImpairment } from '../units.js';

export const machines: Kind = {
  columns: [
    { key: 'machine', title: 'MACHINE' },
    { key: 'provider', title: 'PROVIDER' },
    { key: 'agent', title: 'AGENT' },
    { key: 'interfaces', title: 'INTERFACES' },
    { key: 'nodes', title: 'NODES', align: 'right' },
    { key: 'owners', title: 'OWNERS' },
    { key: 'addresses', title: 'ADDRESSES' },
  ],
  async read(state, agents) {
    const { answers, silent } = await agents.ask(async (agent) => ({
      info: await agent.info(),
      nodes: (await agent.nodes()).length,
    }));
    const said = new Map(answers.map((answer) => [answer.machine, answer.value]));
    const planned =
      state?.plan.machines ?? answers.map(({ machine }) => ({ name: machine, provider: '', addresses: [] }));
    const found = planned.map((machine): Found => {
      const known = said.get(machine.name);
      const interfaces = known?.info.interfaces.filter((one) => one.role !== 'vif') ?? [];
      const shown = interfaces.map((one) => `${one.name} ${one.up ? one.xdpMode || 'no program' : 'down'}`);
      const row = {
        machine: machine.name,
        provider: machine.provider,
        agent: known ? 'running' : 'silent',
        interfaces: known ? summary(shown) : '',
        nodes: known?.nodes ?? '',
        owners: known?.info.owners.map((owner) => `${owner.owner}@${owner.epoch}`).join(' ') ?? '',
        addresses: machine.addresses.map((prefix) => prefix.replace(/\/.*/, '')).join(' '),
      };
      return { row, names: [machine.name] };
    });
    return { found, silent };
  },
};

/** `5 native`, or each that is not, too. */
function summary(shown: readonly string[]): string {
  const native = shown.filter((text) => text.endsWith(' native'));
  const others = shown.filter((text) => !text.endsWith(' native'));
  return [`${native.length} native`, ...others].join(', ');
}

export const nodes: Kind = {
  columns: [
    { key: 'node', title: 'NODE' },
    { key: 'machine', title: 'MACHINE' },
    { key: 'owner', title: 'OWNER' },
    { key: 'tenant', title: 'TENANT' },
    { key: 'vifs', title: 'VIFS', align: 'right' },
    { key: 'ipv4Routes', title: 'IPV4', align: 'right' },
    { key: 'ipv6Routes', title: 'IPV6', align: 'right' },
    { key: 'leftOut', title: 'LEFT OUT' },
    { key: 'namespace', title: 'NAMESPACE' },
  ],
  async read(_, agents) {
    const { answers, silent } = await agents.ask((agent) => agent.nodes());
    const found = rowsOf(answers, (node, machine): Found => {
      const name = short(node.virtualNode?.name ?? '');
      const { owner, vifs, ipv4Routes, ipv6Routes, generation, namespace } = node;
      const tenant = node.virtualNode?.tenant ?? '';
      return {
        row: {
          ...{ node: name, machine, owner, tenant, vifs, ipv4Routes, ipv6Routes, generation },
          leftOut: leftOutText(node),
          namespace,
        },
        names: [name, machine],
      };
    });
    return { found: byName(found, 'node'), silent };
  },
};

export const vns: Kind = {
  columns: [
    { key: 'network', title: 'NETWORK' },
    { key: 'tenant', title: 'TENANT' },
    { key: 'over', title: 'OVER' },
    { key: 'nodes', title: 'NODES' },
    { key: 'links', title: 'LINKS', align: 'right' },
    { key: 'stations', title: 'STATIONS', align: 'right' },
  ],
  async read(_, agents) {
    const { answers, silent } = await agents.ask(async (agent) => ({
      nodes: await agent.nodes(),
      vifs: await agent.vifs(),
    }));
    const all = answers.flatMap(({ value }) => value.nodes);
    const vifs = answers.flatMap(({ value }) => value.vifs);
    const names = [...new Set(all.map((node) => networkOf(node.virtualNode?.name ?? '')))];
    const found = names.map((name) => ({ row: networkRow(name, all, vifs), names: [name] }));
    return { found, silent };
  },
};

function networkRow(
  name: string,
  allNodes: readonly VirtualNodeState[],
  allVifs: readonly VifState[],
): Readonly<Record<string, Cell>> {
  const inside = allNodes.filter((node) => networkOf(node.virtualNode?.name ?? '') === name);
  const own = allVifs.filter((vif) => networkOf(vif.vif?.name ?? '') === name);
  const paths = own.flatMap((vif) => vif.vif?.link?.paths ?? []);
  const over = new Set(paths.map((path) => (path.vif ? networkOf(path.vif) : 'infrastructure')));
  return {
    network: name,
    tenant: [...new Set(inside.map((node) => node.virtualNode?.tenant ?? ''))].join(' '),
    over: [...over].join(' '),
    nodes: inside.map((node) => short(node.virtualNode?.name ?? '').slice(name.length + 1)).join(' '),
    links: own.filter((vif) => vif.vif?.link).length / 2,
    stations: own.filter((vif) => vif.vif?.port).length,
  };
}

export const links: Kind = {
  columns: [
    { key: 'network', title: 'NETWORK' },
    { key: 'a', title: 'A' },
    { key: 'b', title: 'B' },
    { key: 'below', title: 'CARRIED BY' },
    { key: 'via', title: 'VIA' },
    { key: 'mtu', title: 'MTU', align: 'right' },
    { key: 'state', title: 'STATE' },
  ],
  async read(state, agents) {
    if (!state) throw new UsageError('links join machines: `get links` needs a world, not one agent');
    const { answers, silent } = await agents.ask(async (agent) => {
      const [vifs, tunnels, labels] = await Promise.all([agent.vifs(), agent.tunnels(), agent.labels()]);
      return { machine: agent.machine, vifs, tunnels, labels };
    });
    const wires = await Promise.all(
      state.plan.wires.map(async (wire) => wireFound(wire, await isWhole(state, wire), state)),
    );
    const virtual = linksOf(answers.map(({ value }) => value)).map(linkFound);
    const order = new Map(state.plan.networks.map((network, i) => [network.name, i]));
    const rank = (one: Found): number => order.get(String(one.row['network'])) ?? order.size;
    return { found: [...wires, ...virtual.toSorted((a, b) => rank(a) - rank(b))], silent };
  },
};

function wireFound(
  wire: WorldState['plan']['wires'][number],
  whole: boolean,
  { impaired = {} }: WorldState,
): Found {
  const [a, b] = wire.ends.map((end) => `${end.machine}:${end.interface}`);
  const effects = [a, b].map((end = '') => impaired[end]).map((one) => (one ? describeImpairment(one) : ''));
  const impairments =
    effects[0] === effects[1]
      ? [effects[0] ?? '']
      : effects.map((text, i) => text && `from ${wire.ends[i]?.machine}: ${text}`);
  const row = {
    network: '(wire)',
    a: a ?? '',
    b: b ?? '',
    below: '',
    via: '',
    mtu: wire.mtu,
    state: [whole ? 'up' : 'cut', ...impairments.filter((text) => text !== '')].join('; '),
  };
  return { row, names: wire.ends.map((end) => end.machine) };
}

function linkFound({ a, b, machines: ends, below, via, oneWay }: LinkView): Found {
  const [nameA, nameB] = [short(a.vif?.name ?? ''), short(b?.vif?.name ?? '')];
  const states = [
    ...new Set([a.state, b?.state ?? 'leads nowhere', ...(oneWay && b ? ['one way only'] : [])]),
  ];
  const state = states.filter((one) => one !== 'up').join('; ') || 'up';
  const row = {
    network: networkOf(a.vif?.name ?? ''),
    a: nameA,
    b: nameB,
    below: short(below),
    via: via.join(' '),
    mtu: a.vif?.mtu ?? 0,
    state,
  };
  return { row, names: [nameA, nameB, ...ends] };
}

export const vifs: Kind = {
  columns: [
    { key: 'vif', title: 'VIF' },
    { key: 'machine', title: 'MACHINE' },
    { key: 'state', title: 'STATE' },
    { key: 'mtu', title: 'MTU', align: 'right' },
    { key: 'mac', title: 'MAC' },
    { key: 'rates', title: 'RATES' },
    { key: 'addresses', title: 'ADDRESSES' },
    { key: 'below', title: 'CARRIED BY' },
  ],
  async read(_, agents) {
    const { answers, silent } = await agents.ask((agent) => agent.vifs());
    const found = rowsOf(answers, ({ vif, state, addresses, owner, device }, machine): Found => {
      const name = short(vif?.name ?? '');
      const paths = vif?.link?.paths.map(
        (path) =>
          `${short(path.tunnel ?? path.wire ?? path.vif ?? '')}${path.label ? ` label ${path.label}` : ''}`,
      );
      const below = paths?.join(', ') ?? `port ${vif?.port?.interface ?? ''}`;
      const shown = addresses.filter((address) => !address.startsWith('fe80:')).join(' ');
      return {
        row: {
          vif: name,
          machine,
          owner,
          state,
          mtu: vif?.mtu ?? 0,
          mac: vif?.mac ?? '',
          rates: ratesText(vif),
          addresses: shown,
          below,
          device,
        },
        names: [name, machine],
      };
    });
    return { found: byName(found, 'vif'), silent };
  },
};

/** What the node's kernel has beyond its limits; empty where there is nothing. */
function leftOutText({ routesLeftOut, neighboursLeftOut, addressesLeftOut }: VirtualNodeState): string {
  const counts = { routes: routesLeftOut, neighbours: neighboursLeftOut, addresses: addressesLeftOut };
  const some = Object.entries(counts).filter(([, count]) => count > 0);
  return some.map(([what, count]) => `${count} ${what}`).join(', ');
}

/** `out 10 Mbit/s 500 p/s, in 1 Gbit/s`; empty where nothing is limited. */
function ratesText(vif: VifState['vif']): string {
  const text = (way: string, rate: NonNullable<typeof vif>['sent']): string[] => {
    if (!rate) return [];
    const bits = rate.bitsPerSecond > 0n ? [bitRate(Number(rate.bitsPerSecond))] : [];
    const packets = rate.packetsPerSecond > 0n ? [`${rate.packetsPerSecond} p/s`] : [];
    return [[way, ...bits, ...packets].join(' ')];
  };
  return [...text('out', vif?.sent), ...text('in', vif?.received)].join(', ');
}

function bitRate(bits: number): string {
  const [unit, size] = bits >= 1e9 ? ['Gbit/s', 1e9] : bits >= 1e6 ? ['Mbit/s', 1e6] : ['kbit/s', 1e3];
  return `${bits / size} ${unit}`;
}

export function byName(found: readonly Found[], key: string): readonly Found[] {
  return found.toSorted((a, b) =>
    String(a.row[key]).localeCompare(String(b.row[key]), 'en', { numeric: true }),
  );
}
