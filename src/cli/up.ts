/** `cabernet up`: each step as it begins, and at the end what may be done next. */
import { up } from '../world/up.js';

export async function upCommand(file: string, options: { name?: string; quiet?: true }): Promise<void> {
  const begin = performance.now();
  const say = (text: string): void => {
    if (!options.quiet) process.stdout.write(`${text}\n`);
  };
  const { plan, seats, applied } = await up(file, {
    name: options.name,
    onStep: (text) => say(`  ${text}`),
  });
  const seconds = ((performance.now() - begin) / 1000).toFixed(1);
  const changes = [
    [applied.created, 'made'],
    [applied.updated, 'changed'],
    [applied.deleted, 'removed'],
    [applied.unchanged, 'as it was'],
  ] as const;
  const told = changes.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`);
  say(`world ${plan.name} is up after ${seconds} s; resources: ${told.join(', ') || 'none'}`);
  const [from, to] = plan.stations;
  if (!from) return;
  const [seat] = seats.toReversed();
  const address = to?.network === from.network ? to.name : from.node;
  say(`  cabernet exec ${from.network}/${from.name} -- ping -c 3 ${address}`);
  if (seat) say(`  cabernet get network --context ${plan.name}/${seat.name}`);
}
