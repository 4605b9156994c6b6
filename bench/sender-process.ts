/*
 * A BFD sender as the process list has it, and the processor time it takes.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

const ticks = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

export class SenderProcess {
  readonly #pid: number;

  private constructor(pid: number) {
    this.#pid = pid;
  }

  /** Those of these maps: one, or none. */
  static findAll(maps: string): SenderProcess[] {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .flatMap((name) => {
        try {
          const words = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0');
          const found = words[0]?.endsWith('/bfd-sender') && words.includes(maps);
          return found ? [new SenderProcess(Number(name))] : [];
        } catch {
          // it has ended
          return [];
        }
      });
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
