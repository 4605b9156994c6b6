/** Shares of machines: sums of them, what a zero stands for, what is over. */
import { type NodeShare } from '../api/types.js';
import { type Bodies } from './kinds.js';

export type Count = 'cpuMillis' | 'vifs' | 'routes' | 'labels' | 'neighbours';

export const COUNTS: readonly Count[] = ['cpuMillis', 'vifs', 'routes', 'labels', 'neighbours'];

/** As the API spells them. */
export const COUNT_FIELDS: Readonly<Record<Count, string>> = {
  cpuMillis: 'cpu_millis',
  vifs: 'vifs',
  routes: 'routes',
  labels: 'labels',
  neighbours: 'neighbours',
};

export const NO_SHARE: NodeShare = { cpuMillis: 0, vifs: 0, routes: 0, labels: 0, neighbours: 0 };

/** All processors of a machine. */
export const WHOLE_CPU = 1_000;

/** Of a node that asks for no number of its own. */
const NODE_DEFAULT: NodeShare = { cpuMillis: 10, vifs: 64, routes: 10_000, labels: 1_000, neighbours: 1_000 };

/** Of a machine that states no number: about what the agent's tables hold unless told otherwise. */
const MACHINE_DEFAULT: NodeShare = {
  cpuMillis: WHOLE_CPU,
  vifs: 4_000,
  routes: 1_000_000,
  labels: 65_000,
  neighbours: 65_000,
};

function filled(share: NodeShare | undefined, defaults: NodeShare): NodeShare {
  return each((count) => share?.[count] || defaults[count]);
}

function each(value: (count: Count) => number): NodeShare {
  return {
    cpuMillis: value('cpuMillis'),
    vifs: value('vifs'),
    routes: value('routes'),
    labels: value('labels'),
    neighbours: value('neighbours'),
  };
}

export function shareOf(asked: NodeShare | undefined): NodeShare {
  return filled(asked, NODE_DEFAULT);
}

export function capacityOf(machine: Bodies['machine']): NodeShare {
  return filled(machine.capacity, MACHINE_DEFAULT);
}

export function plus(a: NodeShare, b: NodeShare): NodeShare {
  return each((count) => a[count] + b[count]);
}

/** What is left, never below zero. */
export function minus(a: NodeShare, b: NodeShare): NodeShare {
  return each((count) => Math.max(0, a[count] - b[count]));
}

/** The first count of which more is wanted than there is. */
export function missingOf(wanted: NodeShare, free: NodeShare): Count | undefined {
  return COUNTS.find((count) => wanted[count] > free[count]);
}
