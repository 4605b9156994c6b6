/*
 * Worlds for benchmarks, brought up and taken down by the command line, each under a name of its own.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { machineNamespace, packageRoot, stationNamespace } from '../src/world/place.js';
import { undoAtExit } from './undo.js';

export const figure2 = join(packageRoot(), 'examples', 'figure2.yaml');

/** The same with wires of one veth pair each, as those have that it is compared with; written into `folder`. */
export function directFigure2(folder: string): string {
  const world = parse(readFileSync(figure2, 'utf8')) as { readonly wires: readonly object[] };
  const file = join(folder, 'figure2.yaml');
  const wires = world.wires.map((wire) => ({ ...wire, direct: true }));
  writeFileSync(file, JSON.stringify({ ...world, wires }));
  return file;
}

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
