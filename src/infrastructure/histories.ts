/** Histories of leased links: which paths they go by, on which machines, and how what is found is shown. */
import { v1 as nodeV1 } from '../api/node.js';
import { type Logger } from '../api/log.js';
import { type Clock } from '../controller/clock.js';
import { Histories } from '../controller/histories.js';
import { type State } from '../controller/state.js';
import { type Leased } from '../history/lease.js';
import { brokenOf, readingOf } from '../history/reading.js';
import { judge } from './fault.js';
import { type Bodies, type View } from './kinds.js';
import { customerOf, machineOf, passes } from './ledger.js';
import { type PathsRead } from './path-reader.js';
import { nameDown } from './rename.js';

export interface LinkHistoriesOptions {
  readonly provider: string;
  readonly state: State<Bodies>;
  readonly clock: Clock;
  readonly log: Logger;
}

export type LinkHistories = Histories<Bodies>;

export async function openHistories({
  provider,
  state,
  clock,
  log,
}: LinkHistoriesOptions): Promise<LinkHistories> {
  const carries = (link: string): boolean => {
    const timeline = histories.recorder.timeline(link);
    const at = timeline?.covered;
    return at !== undefined && timeline?.slice(at - 1, at)[0]?.is === 'up';
  };
  const histories: LinkHistories = await Histories.open<Bodies>({
    ...{ state, clock, log },
    leases: () => leasesIn(state),
    judge: (leased, violation) => judge({ view: state, provider, carries }, leased, violation),
    isShown: () => true,
    shown: (lease) => state.get('virtualLink', lease)?.violation,
    show: (tx, lease, violation) => {
      const body = tx.get('virtualLink', lease);
      if (!body) return;
      const { violation: _, ...rest } = body;
      tx.put('virtualLink', { ...rest, ...(violation && { violation }) });
    },
  });
  return histories;
}

/** What a machine has said, into the histories. */
export function takeUp(histories: LinkHistories, machine: string, paths: PathsRead): void {
  histories.refresh();
  for (const { path, clockNs, at } of paths) {
    const reading = readingOf(path, clockNs, at);
    if (reading)
      histories.recorder.observe(pathName(machine, path.vif, path.index), reading, (promised) =>
        brokenOf(path, promised),
      );
  }
  histories.settle();
}

function pathName(machine: string, vif: string, index: number): string {
  return `${machine} ${vif}/paths/${index}`;
}

function leasesIn(view: View): { readonly inForce: readonly Leased[]; readonly names: ReadonlySet<string> } {
  const links = view.all('virtualLink');
  const inForce = links.flatMap((link) => {
    const { name, lease, payload, slo } = link;
    // without a channel nobody watches it
    if (!passes(lease) || payload === nodeV1.Payload.PAYLOAD_IP) return [];
    const [a, b] = [endOf(view, link.a), endOf(view, link.b)];
    const promised = {
      availabilityPpm: slo?.availabilityPpm ?? 0,
      lossPpm: slo?.lossPpm ?? 0,
      delayUs: slo?.delayUs ?? 0,
    };
    return [{ name, needs: [a, b].filter((end) => end.length > 0), a, b, promised }];
  });
  return { inForce, names: new Set(links.map(({ name }) => name)) };
}

/** The path of an end that is here; at another provider's nobody here can look. */
function endOf(view: View, end: Bodies['virtualLink']['a']): readonly string[] {
  const node = end?.provider === '' ? view.get('virtualNode', end.virtualNode) : undefined;
  if (!end || !node) return [];
  const name = nameDown(customerOf(node.name), node.node);
  return [pathName(machineOf(node), `${name}/vifs/${end.vif}`, 0)];
}
