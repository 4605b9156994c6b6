/** The layers of a world as text, top first, and every link with what carries it, read from the agents. */
import { type Agents, type LinkView, linksOf, type WorldState } from '../world/index.js';
import { networkOf, short } from './names.js';

/** Of a service over a connectivity network over the infrastructure, the paper's words; deeper ones are nested. */
const LAYERS = ['connectivity', 'service'];

export async function layersOf(state: WorldState, agents: Agents): Promise<string> {
  const { answers } = await agents.ask(async (agent) => {
    const [vifs, tunnels, labels] = await Promise.all([agent.vifs(), agent.tunnels(), agent.labels()]);
    return { machine: agent.machine, vifs, tunnels, labels };
  });
  const holdings = answers.map((answer) => answer.value);
  const links = linksOf(holdings);
  const { networks, machines, wires } = state.plan;

  const depth = (name: string): number => {
    const network = networks.find((one) => one.name === name);
    return network ? depth(network.over) + 1 : 0;
  };
  const ways = new Map(
    holdings.flatMap((one) =>
      one.tunnels.map(
        (tunnel) => [`${one.machine} ${tunnel.tunnel?.name ?? ''}`, waysOf(tunnel.hops)] as const,
      ),
    ),
  );
  const lines = networks
    .toSorted((a, b) => depth(b.name) - depth(a.name))
    .flatMap((network) => [
      `${(LAYERS[depth(network.name) - 1] ?? 'nested').padEnd(15)}${network.name}: nodes ${network.nodes.map((node) => node.name).join(' ')}`,
      ...links
        .filter((link) => networkOf(link.a.vif?.name ?? '') === network.name)
        .map((link) => carriedLine(link, ways)),
    ]);
  const providers = [...new Set(machines.map((machine) => machine.provider))].map((provider) => {
    const own = machines.filter((machine) => machine.provider === provider).map((machine) => machine.name);
    return `${provider}: machines ${own.join(' ')}`;
  });
  const pairs = wires.map(({ ends: [a, b] }) => `${a.machine}-${b.machine}`);
  lines.push(...providers.map((text, i) => `${(i === 0 ? 'infrastructure' : '').padEnd(15)}${text}`));
  lines.push(`${''.padEnd(15)}wires ${pairs.join(' ')}`);
  return lines.map((line) => `  ${line}`).join('\n');
}

function waysOf(hops: readonly { readonly interface: string }[]): string {
  return [...new Set(hops.map((hop) => hop.interface))].join(' or ');
}

/** `P-M   over conn P-Q Q-M; Q only swaps a label` */
function carriedLine({ a, b, machines, via, below }: LinkView, ways: ReadonlyMap<string, string>): string {
  const nodeOf = (name: string): string => short(name).split('/')[1] ?? '';
  const [from, to] = [nodeOf(a.vif?.name ?? ''), nodeOf(b?.vif?.name ?? '')];
  const passed = [from, ...via.map((name) => name.split('/')[1] ?? ''), to];
  const hops = passed.slice(1).map((name, i) => `${passed[i]}-${name}`);
  const link = `${''.padEnd(15)}${`${from}-${to}`.padEnd(6)}`;
  if (below.startsWith('tunnels/'))
    return `${link}in the tunnel ${below.slice('tunnels/'.length)}, out by ${ways.get(`${machines[0] ?? ''} ${below}`) ?? 'nothing'}`;
  const swapped = via.length > 0 ? `; ${passed.slice(1, -1).join(', ')} only swaps a label` : '';
  return `${link}over ${networkOf(below)} ${hops.join(' ')}${swapped}`;
}
