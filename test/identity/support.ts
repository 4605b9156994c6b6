/** Folders, authorities, and certificates that no authority of ours would issue. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { type Authority, type IssueOptions } from '../../src/identity/authority.js';
import { type Principal, parsePath } from '../../src/identity/principal.js';

export const DEPLOYMENT = 'example.net';

export function temporaryFolder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'cab-identity-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

export function principal(path: string, deployment = DEPLOYMENT): Principal {
  const found = parsePath(deployment, path);
  if (!found) throw new Error(`${path} is no principal`);
  return found;
}

/** Issues into a folder named after the principal, or as said; gives the folder. */
export async function issue(
  authority: Authority,
  path: string,
  options: IssueOptions & { into?: string } = {},
): Promise<string> {
  const into = options.into ?? join(authority.directory, '..', path.replaceAll('/', '-'));
  await authority.issue(principal(path, authority.deployment), into, options);
  return into;
}

/** What the promise failed with. */
export async function failure(work: Promise<unknown>): Promise<unknown> {
  try {
    await work;
  } catch (error) {
    return error;
  }
  throw new Error('it did not fail');
}
