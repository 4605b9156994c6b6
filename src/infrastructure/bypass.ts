/**
 * Local repair of lsps (RFC 4090 §3.2): around each wire that any of them passes, the way that their frames take while it is
 * cut, one label deeper. One for both directions, shared by all; nothing is reserved for it. Pure.
 */
import { ApiError } from '../api/errors.js';
import { LSP_OVERHEAD } from './carry.js';
import { Drained, isLsp } from './drained.js';
import { hopsAlong, takesLabels, waysOf } from './hops.js';
import { type Bodies, type Tx, type View } from './kinds.js';
import { releaseLabels } from './labels.js';
import { Ledger, passes } from './ledger.js';
import { lspPath } from './lsp-path.js';
import { sumsOf } from './routing.js';
import { holdWires, wiresInUse } from './wire-labels.js';

type Wire = Bodies['wire'];

/** What a wire is to have from now on; no wires: none. */
export interface Rerouted {
  readonly wire: string;
  readonly bypass: readonly string[];
}

/** The largest MTU of the lsps that pass each wire, also by a way that they are being moved to or from. */
function passed(view: View): ReadonlyMap<string, number> {
  const mtus = new Map<string, number>();
  for (const link of view.all('virtualLink')) {
    if (!passes(link.lease) || !isLsp(link)) continue;
    for (const { hops } of waysOf(view, link))
      for (const { wire } of hops) mtus.set(wire.name, Math.max(mtus.get(wire.name) ?? 0, link.mtu));
  }
  return mtus;
}

/** Wires whose bypass is not what it should be. One that is still a way around stays, whatever would be shorter by now. */
export function rerouted(view: View): readonly Rerouted[] {
  const mtus = passed(view);
  const choice = new Choice(view);
  return view.all('wire').flatMap((wire) => {
    const mtu = wire.unprotected ? undefined : mtus.get(wire.name);
    const bypass = mtu === undefined ? [] : choice.holds(wire, mtu) ? wire.bypass : choice.around(wire, mtu);
    return bypass.join() === wire.bypass.join() ? [] : [{ wire: wire.name, bypass }];
  });
}

class Choice {
  readonly #view: View;
  readonly #drained: Drained;
  readonly #circuits: ReadonlySet<string>;
  #ledger: Ledger | undefined;

  constructor(view: View) {
    this.#view = view;
    this.#drained = new Drained(view);
    this.#circuits = wiresInUse(view).circuits;
  }

  /** Whether it has one that frames of this MTU can take. */
  holds(wire: Wire, mtu: number): boolean {
    const [a = '', b = ''] = endsOf(wire);
    const hops = hopsAlong(this.#view, a, wire.bypass);
    if (!hops || hops.at(-1)?.to !== b) return false;
    return hops.every(
      ({ wire: other }) =>
        other.name !== wire.name &&
        !this.#circuits.has(other.name) &&
        !this.#drained.isClosed(other.name, [a, b]) &&
        takesLabels(this.#view, other) &&
        sumsOf(other).mtu >= mtu + LSP_OVERHEAD,
    );
  }

  /** The best there is: what shares no risk with the wire comes first, then the metric. */
  around(wire: Wire, mtu: number): readonly string[] {
    const [from = '', to = ''] = endsOf(wire);
    this.#ledger ??= new Ledger(this.#view);
    try {
      return lspPath(
        { view: this.#view, ledger: this.#ledger },
        {
          ...{ from, to, slo: undefined, mtu, overhead: LSP_OVERHEAD, except: wire.name },
          avoid: { wires: new Set(), machines: new Set(), groups: new Set(wire.riskGroups) },
        },
        'bypass',
      ).wires;
    } catch (error) {
      // there is none
      if (error instanceof ApiError) return [];
      throw error;
    }
  }
}

function endsOf({ a, b }: Wire): readonly string[] {
  return [a?.machine ?? '', b?.machine ?? ''];
}

/** Its labels are held, and those of the one before wait until nobody has them. @throws ApiError LABELS */
export function takeBypass(tx: Tx, { wire: name, bypass }: Rerouted): void {
  const wire = tx.get('wire', name);
  if (!wire) return;
  releaseLabels(tx, name, true);
  const hops = hopsAlong(tx, wire.a?.machine ?? '', bypass);
  if (hops) holdWires(tx, 'lsp', hops, name);
  tx.put('wire', { ...wire, bypass: [...bypass] });
}
