/** What a customer is told of what its lease did not keep: which wire or machine it was is the provider's own. */
import { types } from '../api/types.js';
import { type ViolationMessage } from '../history/message.js';
import { type What } from '../history/violations.js';
import { WORDS } from './fault.js';

const { ViolationKind } = types;
const WHAT: Readonly<Record<number, What>> = {
  [ViolationKind.VIOLATION_KIND_AVAILABILITY]: 'availability',
  [ViolationKind.VIOLATION_KIND_LOSS]: 'loss',
  [ViolationKind.VIOLATION_KIND_DELAY]: 'delay',
  [ViolationKind.VIOLATION_KIND_VARIATION]: 'variation',
};

export function shownViolation(violation: ViolationMessage, provider: string): ViolationMessage {
  const layer = violation.fault?.layer ?? '';
  return {
    ...violation,
    cause: `${WORDS[WHAT[violation.kind] ?? 'availability']}.`,
    fault: { layer, provider: layer === '' ? '' : provider, lease: '', resources: [] },
  };
}
