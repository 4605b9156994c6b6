/** What a customer is told of a link: nothing of what is below. Pure. */
import { type ServiceLink } from '../../api/connectivity.js';
import { type Way } from './hops.js';
import { samePath } from './ways.js';

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

/**
 * Up while one of its ways is. `told`: the ends have all that they are to have. `paths`: those that it is to be carried
 * by, in data planes.
 */
export function wordOf(
  link: Pick<ServiceLink, 'state' | 'message'>,
  paths: readonly (readonly string[])[],
  active: readonly Way[],
  now: { readonly isUp: (below: string) => boolean; readonly told: boolean },
): LinkWord {
  const isUp = (path: readonly string[]): boolean => path.every(now.isUp);
  if (!paths.some(isUp)) return DOWN;
  const before = { state: link.state, message: link.message };
  const carrying = active.filter(({ path }) => isUp(path));
  if (carrying.some((way) => paths.some((path) => samePath(way, path)))) {
    // told before, and told something else now: what it carries it goes on carrying
    return now.told ? UP : before.state === 'down' ? PENDING : before;
  }
  // on its way to another path, and the old one still carries it
  if (carrying.length > 0) return before;
  return before.state === '' ? before : PENDING;
}
