/*
 * Worlds for benchmarks, brought up and taken down by the command line, each under a name of its own.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { machineNamespace, packageRoot, stationNamespace } from '../src/world/place.js';
import { undoAtExit } from './undo.js';

export const figure2 = join(packageRoot(), 'examples', 'figure2.yaml');

/** Seconds that the command took; throws what it said when it failed. */
function cabernet(...args: string[]): number {
  const start = process.hrtime.bigint();
  const { status, stdout, stderr } = spawnSync(join(packageRoot(), 'bin', 'cabernet'), args, {
    encoding: 'utf8',
  });
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  if (status === 0) return seconds;
  throw new Error(`cabernet ${args.join(' ')} failed (${status}):\n${stdout}${stderr}`);
}

export class Testbed {
  readonly name: string;
  readonly #file: string;
  #remove = (): void => undefined;

  constructor(label: string, file: string) {
    this.name = `bench-${label}-${process.pid}`;
    this.#file = file;
  }

  /** Seconds from the command to the last tunnel and vif up. */
  up(): number {
    this.#remove = undoAtExit(() => cabernet('down', this.name));
    return cabernet('up', this.#file, '--name', this.name);
  }

  /** Seconds until nothing is left. */
  down(): number {
    const start = process.hrtime.bigint();
    this.#remove();
    return Number(process.hrtime.bigint() - start) / 1e9;
  }

  machine(name: string): string {
    return machineNamespace(this.name, name);
  }

  station(network: string, name: string): string {
    return stationNamespace(this.name, network, name);
  }
}
