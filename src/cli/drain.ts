/** `cabernet drain`: traffic is led away before maintenance, and back after it. */
import { setTimeout as delay } from 'node:timers/promises';

import { requireTarget, type TargetFlags } from './contexts/choose.js';
import { isFine, type Item, type Subject } from './drain/item.js';
import { formatRows } from './output.js';
import { CommandError, UsageError } from './report.js';
import { type Server, withServer } from './resources/server.js';
import { print, printable } from './resources/show.js';

export interface DrainFlags extends TargetFlags {
  readonly undo?: true;
  readonly timeout: number;
  readonly output: string;
}

export const DRAINABLE = ['machine', 'link', 'path'] as const;
export type Drainable = (typeof DRAINABLE)[number];

/** Between two looks, milliseconds. */
const AGAIN = 300;
/** As often it is seen to be so: controllers take a moment to begin. */
const CONFIRMED = 2;

export async function drainCommand(what: Drainable, name: string, flags: DrainFlags): Promise<void> {
  const target = requireTarget(flags);
  await withServer(target, async (server) => {
    const subject = await subjectOf(server, what, name);
    try {
      await drain(subject, flags);
    } finally {
      subject.close();
    }
  });
}

async function subjectOf(server: Server, what: Drainable, name: string): Promise<Subject> {
  const { layer } = server.target;
  if (layer === 'service')
    throw new UsageError('a service provider has nothing to drain: that is for the providers below it');
  if (layer === 'connectivity') {
    const { connectivitySubject } = await import('./drain/connectivity.js');
    return connectivitySubject(server, what, name);
  }
  if (what === 'path')
    throw new UsageError('paths are of service links: choose the context of their connectivity provider');
  const { infrastructureSubject } = await import('./drain/infrastructure.js');
  return infrastructureSubject(server, what, name);
}

async function drain(subject: Subject, flags: DrainFlags): Promise<void> {
  const { timeout, output } = flags;
  const undo = flags.undo === true;
  await subject.mark(undo);
  const end = Date.now() + timeout * 1000;
  let items: readonly Item[] = [];
  let over = false;
  for (let same = 0; same < CONFIRMED; await delay(AGAIN)) {
    items = await subject.look(undo);
    same = items.every((item) => isFine(item) || item.final === true) ? same + 1 : 0;
    over = Date.now() > end;
    if (over) break;
  }
  const ok = items.every(isFine);
  await print(await shown(subject, items, { undo, output, ok }));
  if (ok) return;
  const left = items.filter((item) => !isFine(item)).length;
  const wait = over ? ` after ${timeout} s` : '';
  throw new CommandError(
    undo
      ? `${subject.name} is drained no longer, and ${left} of what crossed it is not back${wait}`
      : `${subject.name} is drained, and ${left} of what crosses it still does${wait}; \`cabernet drain … --undo\` takes it back`,
  );
}

const COLUMNS = [
  { key: 'name', title: 'NAME' },
  { key: 'result', title: 'RESULT' },
  { key: 'why', title: 'WHY' },
];

async function shown(
  { name }: Subject,
  items: readonly Item[],
  { undo, output, ok }: { readonly undo: boolean; readonly output: string; readonly ok: boolean },
): Promise<string> {
  const rows = items.map(({ name: each, result, why }) => ({
    name: printable(each),
    result,
    why: printable(why),
  }));
  if (output === 'json') return JSON.stringify({ name, drained: !undo, ok, items: rows }, undefined, 2);
  const title = `${name} is ${undo ? 'drained no longer' : 'drained'}`;
  if (rows.length === 0) return `${title}; ${undo ? 'nothing had to come back' : 'nothing crosses it'}`;
  return `${title}\n${await formatRows(output, COLUMNS, rows)}`;
}
