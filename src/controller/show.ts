/** A resource as it leaves the controller: with its etag, and nothing that the caller may not see. */
import { type Revision } from '../store/index.js';
import { type Access, type Caller } from './access.js';
import { type Catalogue, type Shape } from './kind.js';

/** AIP-154: changes with every change of the resource. */
export function etagOf(revision: Revision): string {
  return `r${revision.toString(36)}`;
}

/** The package's `Resource`. */
export function shownResource<Bodies extends Shape<Bodies>, K extends keyof Bodies & string>(
  catalogue: Catalogue<Bodies>,
  access: Access<Bodies>,
  caller: Caller,
  kind: K,
  body: Bodies[K],
  revision: Revision,
): unknown {
  const shown = access.shown(caller, kind, body);
  const status = shown.status && { ...shown.status, etag: etagOf(revision) };
  return catalogue.toResource({ kind, body: { ...shown, ...(status && { status }) } });
}
