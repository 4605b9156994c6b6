/** `cabernet get` of the agents of a world, or of one agent over TCP: one table, now or again whenever it changes. */
import { type Agent, Agents, chooseWorld, requireRoot, suggestion, type WorldState } from '../world/index.js';
import type { RemoteFlags } from './flags.js';
import { type Answer, type Kind, matches } from './get/kind.js';
import { bfdPeers } from './get/bfd-peers.js';
import { links, machines, nodes, vifs, vns } from './get/network.js';
import { counters, drops, labels, neighbours, paths, routes, tunnels, wires } from './get/traffic.js';
import { WORLD_WORDS, worldWord } from './get/words.js';
import { formatRows } from './output.js';
import { remoteAgents } from './remote.js';
import { CommandError, UsageError } from './report.js';

const KINDS: Readonly<Record<(typeof WORLD_WORDS)[number], Kind>> = {
  machines,
  nodes,
  links,
  vns,
  vifs,
  routes,
  paths,
  tunnels,
  wires,
  bfdPeers,
  labels,
  neighbours,
  counters,
  drops,
};

export interface GetWorldFlags extends RemoteFlags {
  readonly output: string;
  readonly watch?: true;
  readonly world?: string;
}

function kindOf(what: string): Kind {
  const name = worldWord(what);
  if (name !== undefined) return KINDS[name];
  throw new UsageError(`there is nothing to get called ${what}.${suggestion(what, WORLD_WORDS)}`);
}

export async function getWorldCommand(
  what: string,
  name: string | undefined,
  flags: GetWorldFlags,
): Promise<void> {
  const kind = kindOf(what);
  const remote = await remoteAgents(flags);
  if (!remote) requireRoot('`cabernet get`');
  const state = remote ? undefined : chooseWorld(flags.world);
  const agents = remote ?? new Agents(state ?? []);
  try {
    if (flags.watch) await watch(kind, state, agents, name, flags);
    else {
      const answer = await kind.read(state, agents);
      process.stdout.write(`${await render(kind, answer, name, flags.output)}\n`);
      tellSilent(answer);
    }
  } finally {
    agents.close();
  }
}

async function render(kind: Kind, answer: Answer, name: string | undefined, format: string): Promise<string> {
  const found = name === undefined ? answer.found : answer.found.filter((one) => matches(one, name));
  if (name !== undefined && found.length === 0 && answer.found.length > 0) {
    const known = new Set(answer.found.flatMap((one) => one.names).filter((one) => one !== ''));
    throw new CommandError(`nothing here belongs to ${name}.${suggestion(name, known)}`);
  }
  return formatRows(
    format,
    kind.columns,
    found.map((one) => one.row),
  );
}

function tellSilent(answer: Answer): void {
  for (const { machine, value } of answer.silent) {
    process.stderr.write(`cabernet: ${machine}: ${value}\n`);
    process.exitCode = 1;
  }
}

/** How soon after an event the table is read again, and how often without one, milliseconds. */
const SETTLE = 100;
const PERIOD = 1000;

/** Until it is interrupted. A terminal shows the newest table, anything else gets every table that differs. */
async function watch(
  kind: Kind,
  state: WorldState | undefined,
  agents: Agents,
  name: string | undefined,
  flags: GetWorldFlags,
): Promise<void> {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  let wake = (): void => undefined;
  let changed = true;
  for (const agent of agents) {
    void follow(agent, stop.signal, () => {
      changed = true;
      wake();
    });
  }
  let last = '';
  while (!stop.signal.aborted) {
    if (changed || kind.counts) {
      changed = false;
      const text = await render(kind, await kind.read(state, agents), name, flags.output);
      if (text !== last) show(text);
      last = text;
    }
    if (kind.counts) await pause(PERIOD, stop.signal);
    else if (!changed) await pause(undefined, stop.signal, (now) => (wake = now));
    if (!kind.counts) await pause(SETTLE, stop.signal);
  }
}

/** Every event of one agent, also after it was away. */
async function follow(agent: Agent, signal: AbortSignal, onEvent: () => void): Promise<void> {
  while (!signal.aborted) {
    try {
      for await (const _ of agent.client.watch({}, { signal })) onEvent();
    } catch {
      onEvent();
    }
    await pause(PERIOD, signal);
  }
}

function show(text: string): void {
  const { stdout } = process;
  // the whole screen, from the top
  stdout.write(stdout.isTTY ? `\x1b[H\x1b[2J${text}\n` : `${text}\n`);
}

/** For so long, for ever if undefined, or until woken or stopped. */
function pause(
  ms: number | undefined,
  signal: AbortSignal,
  wakeBy?: (now: () => void) => void,
): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms ?? 1 << 30);
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
    signal.addEventListener('abort', done, { once: true });
    if (signal.aborted) done();
    wakeBy?.(done);
  });
}
