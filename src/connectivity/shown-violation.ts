/** What a customer is told of what its link did not keep. Pure. */
import { types } from '../api/types.js';
import { type ViolationMessage } from '../history/message.js';

const { ViolationKind } = types;
const SHOWN: Readonly<Record<number, string>> = {
  [ViolationKind.VIOLATION_KIND_AVAILABILITY]: 'Nothing went over it',
  [ViolationKind.VIOLATION_KIND_LOSS]: 'More was lost than is promised',
  [ViolationKind.VIOLATION_KIND_DELAY]: 'It took longer than is promised',
  [ViolationKind.VIOLATION_KIND_VARIATION]: 'Its delay varied too much',
};

/** As a customer may know it: which layer, and of what is below no more. */
export function shownViolation(violation: ViolationMessage, self: string): ViolationMessage {
  const layer = violation.fault?.layer ?? '';
  const why = layer === 'infrastructure' ? ', for what is below this provider' : '';
  return {
    ...violation,
    cause: `${SHOWN[violation.kind] ?? 'It was not what is promised'}${why}.`,
    fault: { layer, provider: layer === 'connectivity' ? self : '', lease: '', resources: [] },
  };
}
