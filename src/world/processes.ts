/**
 * Processes of a world, found and ended without ever meeting a stranger: a process is known by its number and its
 * start time together, since the number alone is given out again.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** A process: the pair names one for good. */
export interface ProcessId {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat (proc(5)): clock ticks since boot. */
  readonly startTime: string;
}

/** Fields of /proc/PID/stat from the third on (proc(5)); the second, a name, may hold spaces and parentheses. */
function statOf(pid: number): readonly string[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return [];
  }
}

/** This process, its parent and so on. */
export function ancestors(): ReadonlySet<number> {
  const pids = new Set<number>();
  for (let pid = process.pid; pid > 1 && !pids.has(pid); pid = Number(statOf(pid)[1] ?? 0)) pids.add(pid);
  return pids;
}

/** Undefined if there is none, or only its remains. A process whose first thread has ended may have others yet. */
export function processOf(pid: number): ProcessId | undefined {
  const fields = statOf(pid);
  const [state] = fields;
  const threads = Number(fields[17]);
  const startTime = fields[19];
  if (startTime === undefined || state === 'X' || (state === 'Z' && threads <= 1)) return undefined;
  return { pid, startTime };
}

export function isRunning(id: ProcessId): boolean {
  return processOf(id.pid)?.startTime === id.startTime;
}

export function commandOf(pid: number): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
  } catch {
    return [];
  }
}

function allPids(): number[] {
  return readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? [Number(name)] : []));
}

/** Those with all of `words` among their arguments. */
export function processesWith(words: readonly string[]): ProcessId[] {
  return allPids().flatMap((pid) => {
    const command = commandOf(pid);
    const id = words.every((word) => command.includes(word)) ? processOf(pid) : undefined;
    return id ? [id] : [];
  });
}

/** Those in one of the network namespaces with these inode numbers. */
export function processesIn(inodes: ReadonlySet<bigint>): ProcessId[] {
  return allPids().flatMap((pid) => {
    let link: string;
    try {
      link = readlinkSync(`/proc/${pid}/ns/net`);
    } catch {
      return [];
    }
    const inode = /^net:\[(\d+)\]$/.exec(link)?.[1];
    const id = inode !== undefined && inodes.has(BigInt(inode)) ? processOf(pid) : undefined;
    return id ? [id] : [];
  });
}

/** Ends processes that may be children of anybody: asked first, then, after `patience` ms, made to. */
export async function endAll(processes: readonly ProcessId[], patience = 3000): Promise<void> {
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    for (const id of processes) {
      if (isRunning(id)) send(id.pid, signal);
    }
    const deadline = Date.now() + patience;
    while (processes.some(isRunning) && Date.now() < deadline) await delay(5);
    if (!processes.some(isRunning)) return;
  }
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
