/** Where a link can be 1+1 (bpf/copies.h): what only the machine, and what runs over what, can say. */
import { type Below, type Intent, type VifIntent } from './model.js';
import { impossible } from './refusal.js';
import { foresee, type Holding, type Lookup, type Registry } from './registry.js';

const NOT_OVER =
  'a link that is PROTECTION_ONE_PLUS_ONE numbers its own frames only, and carries no other link';

function carriesTwice(after: Lookup, below: Below): boolean {
  return below.kind === 'vif' && after.vif(below.name)?.intent.protection === 'both';
}

/** Whether others have something over it: theirs stays, so this cannot be. */
function carriesOthers(registry: Registry, { name }: VifIntent, owner: string): boolean {
  const isOver = ({ below }: { readonly below: Below }): boolean =>
    below.kind === 'vif' && below.name === name;
  for (const { owner: whose, intent } of registry.dependents(name)) {
    if (whose === owner) continue;
    if (intent.kind === 'vif' && intent.paths.some(isOver)) return true;
    if (intent.kind === 'label' && intent.swap && isOver(intent.swap)) return true;
  }
  return false;
}

export interface OnePlusOneScope {
  readonly registry: Registry;
  readonly wanted: Holding;
  readonly jumbo: boolean;
  readonly fieldOf: (intent: Intent) => string;
}

/** Throws ApiError. */
export function checkOnePlusOne({ registry, wanted, jumbo, fieldOf }: OnePlusOneScope): void {
  const after = foresee(registry, wanted);
  for (const vif of wanted.vifs.values()) {
    const over = vif.paths.findIndex(({ below }) => carriesTwice(after, below));
    if (over >= 0)
      throw impossible('CARRIER_ONE_PLUS_ONE', `${fieldOf(vif)}.link.paths[${over}].vif`, NOT_OVER);
    if (vif.protection !== 'both') continue;
    const field = `${fieldOf(vif)}.link.protection`;
    if (jumbo) {
      const what = 'PROTECTION_ONE_PLUS_ONE is not possible with jumbo frames (agent option --jumbo)';
      throw impossible('JUMBO', field, `${what}: the kernel copies the first buffer of a frame only`);
    }
    if (carriesOthers(registry, vif, wanted.owner))
      throw impossible(
        'CARRIER_ONE_PLUS_ONE',
        field,
        `a link of its node’s tenant runs over it: ${NOT_OVER}`,
      );
  }
  for (const label of wanted.labels.values()) {
    if (label.swap && carriesTwice(after, label.swap.below))
      throw impossible('CARRIER_ONE_PLUS_ONE', `${fieldOf(label)}.swap.vif`, NOT_OVER);
  }
}
