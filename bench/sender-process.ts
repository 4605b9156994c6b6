/*
 * The processor time that a BFD sender takes, and the machine.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { senderProcesses } from '../src/node/sender-process.js';

const ticks = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

export class SenderProcess {
  readonly #pid: number;

  private constructor(pid: number) {
    this.#pid = pid;
  }

  /** Those of these maps: one, or none. */
  static findAll(maps: string): SenderProcess[] {
    return senderProcesses()
      .filter((sender) => sender.maps === maps)
      .map(({ pid }) => new SenderProcess(pid));
  }

  /** Seconds of processor time, ever. */
  seconds(): number {
    const stat = readFileSync(`/proc/${this.#pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / ticks;
  }

  kill(): void {
    process.kill(this.#pid, 'SIGKILL');
  }
}

/** Seconds of all processors together, ever: at work, and of these in softirqs. */
export function machineSeconds(): { readonly busy: number; readonly softirq: number } {
  const [line = ''] = readFileSync('/proc/stat', 'utf8').split('\n');
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = line
    .trim()
    .split(/\s+/)
    .slice(1)
    .map((text) => Number(text) / ticks);
  return { busy: user + nice + system + irq + softirq, softirq };
}
