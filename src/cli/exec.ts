/** `cabernet exec`: the command gets the terminal, and its exit code becomes ours. */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';

import { clientOf } from '../world/agents.js';
import { commandIn } from '../world/exec.js';
import { requireRoot } from '../world/host.js';
import { Agent, Agents } from '../world/observe.js';
import { type WorldState } from '../world/state.js';
import { chooseWorld, findTarget, type NodeTarget } from '../world/target.js';

/** From a terminal the child gets these by itself. */
const OF_TERMINALS: ReadonlySet<NodeJS.Signals> = new Set(['SIGINT', 'SIGQUIT']);
const FORWARDED: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGINT', 'SIGQUIT'];

/** `$0` is the cgroup: the shell joins it, and becomes the command. */
const JOIN = 'echo $$ > "$0/cgroup.procs" && exec "$@"';

/** In the cgroup of a virtual node's daemons; empty: in ours. */
export function within(cgroup: string, command: [string, ...string[]]): [string, ...string[]] {
  return cgroup === '' ? command : ['sh', '-c', JOIN, cgroup, ...command];
}

/** As the machine's agent has it; empty where it has none, or is silent. */
async function cgroupOf(state: WorldState, { machine, namespace }: NodeTarget): Promise<string> {
  const agents = new Agents([new Agent(machine, clientOf(state.plan.name, machine))]);
  try {
    const { answers } = await agents.ask((agent) => agent.nodes());
    const nodes = answers.flatMap(({ value }) => value);
    return nodes.find((node) => node.namespace === namespace)?.cgroup ?? '';
  } finally {
    agents.close();
  }
}

export async function execCommand(
  place: string,
  command: readonly string[],
  options: { world?: string },
): Promise<void> {
  requireRoot('`cabernet exec`');
  const state = chooseWorld(options.world);
  const target = findTarget(state, place);
  const cgroup = target.kind === 'node' ? await cgroupOf(state, target) : '';
  const [program, ...args] = within(cgroup, commandIn(state, target, command));
  const child = spawn(program, args, { stdio: 'inherit' });
  for (const signal of FORWARDED) {
    process.on(signal, () => {
      if (!process.stdin.isTTY || !OF_TERMINALS.has(signal)) child.kill(signal);
    });
  }
  process.exitCode = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(code ?? 128 + (signal ? constants.signals[signal] : 0)));
  });
  // the listeners would keep nothing alive, but a signal after this ends us as any process
  for (const signal of FORWARDED) process.removeAllListeners(signal);
}
