/** Histories of the links that were bought and of those that were sold, and how what is found is shown. */
import { type ServiceLink } from '../api/connectivity.js';
import { type Logger } from '../api/log.js';
import { type Caller } from '../controller/access.js';
import { type Clock } from '../controller/clock.js';
import { Histories } from '../controller/histories.js';
import { type ReportsOptions } from '../controller/reports.js';
import { type ViolationMessage } from '../history/message.js';
import { brokenOf, readingOf } from '../history/reading.js';
import { judge } from './fault.js';
import { findServiceLink, type Known, leasesIn, parseServiceLink, pathName } from './history-names.js';
import { type Bodies, mayManage, type Tx } from './kinds.js';
import { idOf } from './names.js';
import { type PathRead } from './path-reader.js';
import { shownViolation } from './shown-violation.js';

export type LinkHistories = Histories<Bodies>;

export interface LinkHistoriesOptions extends Known {
  readonly clock: Clock;
  readonly log: Logger;
}

export async function openHistories(options: LinkHistoriesOptions): Promise<LinkHistories> {
  const { self, state, ledger, clock, log } = options;
  const histories: LinkHistories = await Histories.open<Bodies>({
    ...{ state, clock, log },
    leases: () => leasesIn(options),
    judge: (leased, violation) => {
      const { recorder } = histories;
      return judge({ self, state, ledger, recorder, now: clock.now() }, leased, violation);
    },
    // of a link that was bought its supplier has the word
    isShown: (lease) => parseServiceLink(lease) !== undefined,
    shown: (lease) => findServiceLink(state, lease)?.violation,
    show,
  });
  return histories;
}

function show(tx: Tx, lease: string, violation: ViolationMessage | undefined): void {
  const parsed = parseServiceLink(lease);
  const network = parsed && tx.get('serviceNetwork', parsed.network);
  if (!network) return;
  const links = network.links.map((link): ServiceLink => {
    if (link.name !== parsed.link) return link;
    const { violation: _, ...rest } = link;
    return { ...rest, ...(violation && { violation }) };
  });
  tx.put('serviceNetwork', { ...network, links });
}

/** What a supplier has said, into the histories. */
export function takeUp(histories: LinkHistories, supplier: string, paths: readonly PathRead[]): void {
  histories.refresh();
  for (const { path, clockNs, at } of paths) {
    const reading = readingOf(path, clockNs, at);
    if (reading)
      histories.recorder.observe(pathName(supplier, path.vif, path.index), reading, (promised) =>
        brokenOf(path, promised),
      );
  }
  histories.settle();
}

/** Operators: all; a customer: its own networks' links, and nothing of what is below. */
export function reportsOf(
  { self, state, ledger, clock }: LinkHistoriesOptions,
  { recorder }: LinkHistories,
): ReportsOptions {
  return {
    ...{ recorder, layer: 'connectivity', provider: self, now: () => clock.now() },
    visible: (caller: Caller) => {
      const { names } = leasesIn({ self, state, ledger });
      if (mayManage(self, caller)) return [...names];
      if (caller.role !== 'service' || caller.name === '') return [];
      return [...names].filter((name) => name.startsWith(`customers/${caller.name}/serviceNetworks/`));
    },
    sloOf: (name) => ledger.links.get(name)?.body.slo ?? findServiceLink(state, name)?.slo,
    seller: (name) => {
      const bought = ledger.links.get(name);
      const supplier = bought && ledger.nodes.get(bought.body.a)?.body.supplier;
      return supplier === undefined ? undefined : { layer: 'infrastructure', provider: idOf(supplier) };
    },
    shown: (caller, violation) => (mayManage(self, caller) ? violation : shownViolation(violation, self)),
  };
}
