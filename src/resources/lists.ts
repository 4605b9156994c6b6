/** Resources of one controller by name, and whole collections. */
import { ApiError, Status } from '../api/errors.js';
import { type AnyResource, type ResourceClient } from './api.js';
import { ResourceError } from './errors.js';

export function isMissing(error: unknown): boolean {
  return error instanceof ApiError && error.status === Status.NOT_FOUND;
}

/** Undefined: there is none. */
export async function getResource(client: ResourceClient, name: string): Promise<AnyResource | undefined> {
  try {
    return (await client.get({ name })).resource;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

const AT_ONCE = 32;

/** In the order of the names, some at a time. */
export async function getResources(
  client: ResourceClient,
  names: readonly string[],
): Promise<readonly (AnyResource | undefined)[]> {
  const found: (AnyResource | undefined)[] = [];
  for (let i = 0; i < names.length; i += AT_ONCE)
    found.push(...(await Promise.all(names.slice(i, i + AT_ONCE).map((name) => getResource(client, name)))));
  return found;
}

/** All pages. */
export async function listResources(
  client: ResourceClient,
  collection: string,
): Promise<readonly AnyResource[]> {
  const found: AnyResource[] = [];
  let pageToken = '';
  do {
    const page = await client.list({ collection, pageSize: 0, pageToken });
    found.push(...page.resources);
    if (page.nextPageToken !== '' && page.nextPageToken === pageToken)
      throw new ResourceError(`the server gives the same page of ${collection} for ever`);
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return found;
}

/** `machines` of `machines/P`; a single one is its own. */
export function parentOf(name: string): string {
  const end = name.lastIndexOf('/');
  return end < 0 ? name : name.slice(0, end);
}
