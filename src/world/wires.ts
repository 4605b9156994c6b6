/**
 * Cutting and healing wires. The machines' own routes are static, so nothing goes around a cut in the underlay: what
 * ran over the wire alone stays down until it is healed.
 */
import { setTimeout as delay } from 'node:timers/promises';

import { suggestion, WorldError } from './errors.js';
import { ensureMachine } from './fabric.js';
import { Namespaces } from './namespaces.js';
import { hasMiddle, middleOf } from './middle.js';
import { machineNamespace, wiresNamespace } from './place.js';
import { type WirePlan } from './layout.js';
import { type WorldState } from './state.js';

/** All wires between two machines, in either order. Throws WorldError with those there are. */
export function findWires(state: WorldState, a: string, b: string): readonly WirePlan[] {
  const found = state.plan.wires.filter(({ ends: [one, two] }) => {
    return (one.machine === a && two.machine === b) || (one.machine === b && two.machine === a);
  });
  if (found.length > 0) return found;
  const names = state.plan.wires.map(({ ends }) => `${ends[0].machine} ${ends[1].machine}`);
  const near = names.filter((name) => name.split(' ').some((machine) => machine === a || machine === b));
  const known = near.length > 0 ? near : names;
  throw new WorldError('NAME', `there is no wire between ${a} and ${b}.${suggestion(`${a} ${b}`, known)}`);
}

/** False: it was so already. */
export async function setWire(state: WorldState, wire: WirePlan, up: boolean): Promise<boolean> {
  const namespaces = new Namespaces();
  try {
    let changed = false;
    for (const end of wire.ends) {
      const netlink = await namespaces.netlink(machineNamespace(state.plan.name, end.machine));
      const link = await netlink.link(end.interface);
      if (!link)
        throw new WorldError(
          'NOT_UP',
          `${end.machine} has no interface ${end.interface}: \`cabernet up\` makes it`,
        );
      if (link.up === up) continue;
      await netlink.setLink(link.index, { up });
      changed = true;
    }
    if (up && hasMiddle(wire)) await joinEnds(namespaces, state, wire);
    if (up) await restore(namespaces, state, wire);
    return changed;
  } finally {
    namespaces.close();
  }
}

/** How long carriers may take to come back through a wire's middle, milliseconds. */
const CARRIER_DEADLINE = 1000;

/** Up in the middle too, also where the process that would see to it has ended; until both ends have a carrier. */
async function joinEnds(namespaces: Namespaces, state: WorldState, wire: WirePlan): Promise<void> {
  const netlink = await namespaces.netlink(wiresNamespace(state.plan.name));
  for (const name of middleOf(wire)) {
    const link = await netlink.link(name);
    if (link && !link.up) await netlink.setLink(link.index, { up: true });
  }
  const deadline = Date.now() + CARRIER_DEADLINE;
  while (!(await isWhole(state, wire)) && Date.now() < deadline) await delay(5);
}

/** The kernel forgot the routes over the wire when it went down. */
async function restore(namespaces: Namespaces, state: WorldState, wire: WirePlan): Promise<void> {
  for (const { machine: name } of wire.ends) {
    const machine = state.plan.machines.find((one) => one.name === name);
    if (machine) await ensureMachine(namespaces, state.plan.name, machine);
  }
}

/** Whether both ends are up with a carrier. */
export async function isWhole(state: WorldState, wire: WirePlan): Promise<boolean> {
  const namespaces = new Namespaces();
  try {
    for (const end of wire.ends) {
      const netlink = await namespaces.netlink(machineNamespace(state.plan.name, end.machine));
      if (!(await netlink.link(end.interface))?.running) return false;
    }
    return true;
  } finally {
    namespaces.close();
  }
}
