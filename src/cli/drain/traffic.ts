/**
 * Whether anything is sent: what agents count, seen twice. What watches a machine's own paths is not counted, but what watches
 * those of the layers above is frames like others to the layers below.
 */
import { setTimeout as delay } from 'node:timers/promises';

import { connect } from '../../api/client.js';
import { parseAddressOfServer } from '../../api/address.js';
import { NodeService } from '../../api/node.js';
import { clientOf } from '../../world/agents.js';
import { Agent, Agents, type Counters, readState } from '../../world/index.js';
import { type Target } from '../contexts/choose.js';
import { environment, peerTarget } from '../peer.js';

/** Milliseconds between the two looks. */
const BETWEEN = 1000;

/** Of each machine: vifs and paths (`VIF/paths/N`) by which more than watching came or went; undefined: it does not say. */
export type Busy = ReadonlyMap<string, ReadonlySet<string> | undefined>;

export class Traffic {
  readonly agents: Agents;
  readonly #machines: readonly string[];

  constructor(agents: readonly Agent[]) {
    this.agents = new Agents(agents);
    this.#machines = agents.map(({ machine }) => machine);
  }

  async look(): Promise<Busy> {
    const before = await this.#counts();
    await delay(BETWEEN);
    const after = await this.#counts();
    return new Map(
      this.#machines.map((machine) => {
        const [was, is] = [before.get(machine), after.get(machine)];
        if (!was || !is) return [machine, undefined];
        return [
          machine,
          new Set([...is].flatMap(([name, now]) => (carries(was.get(name), now) ? [name] : []))),
        ];
      }),
    );
  }

  async #counts(): Promise<Map<string, Map<string, Counters>>> {
    const { answers } = await this.agents.ask((agent) => agent.counters());
    return new Map(
      answers.map(({ machine, value }) => [machine, new Map(value.map((each) => [each.name, each]))]),
    );
  }

  close(): void {
    this.agents.close();
  }
}

/**
 * Of what watches a path: its channel's header and a BFD packet, or a measurement, which is longer; and each label, but those
 * that a machine in between puts on. Bytes.
 */
const WATCHING = 28n;
const LONGER = 56n;
const LABEL = 4n;
const MOST_LABELS = 3n;

/** So many packets of so many bytes may all be watching: BFD's and measurements of one depth. Others hardly add up to that. */
export function isWatching(packets: bigint, bytes: bigint): boolean {
  for (let labels = 0n; labels <= MOST_LABELS; labels++) {
    const rest = bytes - packets * (WATCHING + labels * LABEL);
    if (rest >= 0n && rest % LONGER === 0n && rest / LONGER <= packets) return true;
  }
  return packets === 0n;
}

function carries(was: Counters | undefined, is: Counters): boolean {
  const sums = [
    [is.receivedPackets - (was?.receivedPackets ?? 0n), is.receivedBytes - (was?.receivedBytes ?? 0n)],
    [is.sentPackets - (was?.sentPackets ?? 0n), is.sentBytes - (was?.sentBytes ?? 0n)],
  ] as const;
  return sums.some(([packets, bytes]) => !isWatching(packets, bytes));
}

interface Machine {
  readonly name: string;
  readonly agent: string;
}

/** Of a provider's machines, called as its operator may. Those that cannot be called are left out. */
export async function agentsOf(machines: readonly Machine[], target: Target): Promise<readonly Agent[]> {
  const directory = target.credentials ?? environment('CABERNET_CREDENTIALS');
  const [, provider = ''] = target.server?.split('/') ?? [];
  const found: Agent[] = [];
  for (const { name, agent } of machines) {
    const machine = name.slice('machines/'.length);
    const address = parseAddressOfServer(agent);
    if (address?.kind === 'unix')
      found.push(new Agent(machine, connect(NodeService, { socketPath: address.path })));
    else if (directory !== undefined && provider !== '') {
      const peer = await peerTarget(agent, directory, `agent/${provider}/${machine}`);
      found.push(new Agent(machine, connect(NodeService, peer)));
    }
  }
  return found;
}

/** Of the world that a context `WORLD/PROVIDER` is of; none otherwise: machines are no business of a connectivity provider's. */
export function agentsOfWorld({ context }: Target): readonly Agent[] {
  const [world, provider] = context?.split('/') ?? [];
  if (world === undefined || provider === undefined) return [];
  const machines = readState(world)?.plan.machines ?? [];
  return machines.map(({ name }) => new Agent(name, clientOf(world, name)));
}
