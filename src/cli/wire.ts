/** `cabernet cut` and `cabernet heal`: all wires between two machines. */
import { requireRoot } from '../world/host.js';
import { chooseWorld } from '../world/target.js';
import { findWires, setWire } from '../world/wires.js';

export async function wireCommand(
  what: 'cut' | 'heal',
  a: string,
  b: string,
  options: { world?: string },
): Promise<void> {
  requireRoot(`\`cabernet ${what}\``);
  const state = chooseWorld(options.world);
  for (const wire of findWires(state, a, b)) {
    const ends = wire.ends.map((end) => `${end.machine}:${end.interface}`).join(' and ');
    const changed = await setWire(state, wire, what === 'heal');
    const is = what === 'heal' ? 'up' : 'down';
    process.stdout.write(
      changed ? `${what === 'heal' ? 'healed' : 'cut'}: ${ends} are ${is}\n` : `${ends} were ${is} already\n`,
    );
  }
}
