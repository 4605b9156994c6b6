/** What a customer is told of a link: nothing of what is below. Pure. */
import { type ServiceLink } from '../../api/connectivity.js';
import { type Way } from './hops.js';
import { samePath } from './stages.js';

export interface LinkWord {
  readonly state: string;
  readonly message: string;
}

const UP: LinkWord = { state: 'up', message: '' };
const DOWN: LinkWord = {
  state: 'down',
  message:
    'What carries this link is down, and nothing else has room for what was promised; it comes back by itself.',
};
const PENDING: LinkWord = { state: 'pending', message: 'This link is being carried another way.' };

/** `told`: the ends of the active way have all that they are to have. */
export function wordOf(
  link: ServiceLink,
  active: Way | undefined,
  now: { readonly isUp: (below: string) => boolean; readonly told: boolean },
): LinkWord {
  if (!link.path.every(now.isUp)) return DOWN;
  const before = { state: link.state, message: link.message };
  if (active && samePath(active, link.path)) {
    // told before, and told something else now: what it carries it goes on carrying
    return now.told ? UP : before.state === 'down' ? PENDING : before;
  }
  // on its way to another path, and the old one still carries it
  if (active?.path.every(now.isUp) === true) return before;
  return before.state === '' ? before : PENDING;
}
