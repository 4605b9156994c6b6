/** Whose fault it is that a link did not keep its promise: what was leased for it, or what was made of that. */
import { type Leased } from '../history/lease.js';
import { type Recorder } from '../history/recorder.js';
import { timeIn } from '../history/spans.js';
import { type Fault, type Violation } from '../history/violations.js';
import { findServiceLink } from './history-names.js';
import { type ConnectivityState } from './kinds.js';
import { type Ledger } from './ledger.js';
import { idOf } from './names.js';

export interface Circumstances {
  readonly self: string;
  readonly state: ConnectivityState;
  readonly ledger: Ledger;
  readonly recorder: Recorder;
  readonly now: number;
}

type Verdict = { readonly cause: string; readonly fault: Fault };

/** Milliseconds that a supplier has to tell how its links were. */
const PATIENCE = 60_000;

const BELOW: Readonly<Record<Violation['what'], string>> = {
  availability: 'was down',
  loss: 'lost more than is promised',
  delay: 'took longer than is promised',
  variation: 'had a delay that varied too much',
};

export function judge(on: Circumstances, { name }: Leased, violation: Violation): Verdict | undefined {
  if (name.startsWith('links/')) return leasedLink(on, [name], violation.what);
  const link = findServiceLink(on.state, name);
  if (!link) return undefined;
  const below = [...new Set([...link.path, ...link.backup])];
  const { end = on.now } = violation;
  const pending = below.some((one) => (on.recorder.timeline(one)?.covered ?? Infinity) < end);
  const broken = below.filter((one) => wasBroken(on, one, violation));
  if (broken.length > 0) return leasedLink(on, broken, violation.what);
  if (pending && on.now - end < PATIENCE) return undefined;
  const unknown = below.some((one) => on.recorder.timeline(one) === undefined);
  if (unknown)
    return {
      cause: 'Whether what is leased for it kept its promise is not known.',
      fault: { layer: '', provider: '', lease: '', resources: [] },
    };
  return {
    cause: 'What is leased for it kept its promise; what was made of that did not.',
    fault: { layer: 'connectivity', provider: on.self, lease: '', resources: [] },
  };
}

function wasBroken(
  { recorder, now }: Circumstances,
  link: string,
  { what, start, end = now }: Violation,
): boolean {
  if (what === 'availability') {
    const spans = recorder.timeline(link)?.slice(start, end) ?? [];
    return timeIn(spans, 'down') > 0;
  }
  return recorder
    .violationsOf(link)
    .some((one) => one.what === what && one.start < end && (one.end ?? now) > start);
}

function leasedLink({ ledger }: Circumstances, links: readonly string[], what: Violation['what']): Verdict {
  const suppliers = links.map((link) => {
    const node = ledger.links.get(link)?.body.a ?? '';
    return idOf(ledger.nodes.get(node)?.body.supplier ?? '');
  });
  const [lease = '', ...others] = links;
  const [provider = ''] = suppliers;
  const named = links.map((link, i) => `${link}, leased from ${suppliers[i] ?? ''}`).join('; ');
  return {
    cause: `${named}: it ${BELOW[what]}.`,
    fault: { layer: 'infrastructure', provider, lease, resources: others },
  };
}
