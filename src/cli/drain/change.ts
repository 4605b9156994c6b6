/** One field of one resource, changed by whoever reads it first: what others change meanwhile is not undone. */
import { ApiError } from '../../api/errors.js';
import { type AnyResource, type Body, bodyOf, type ResourceClient } from '../../resources/api.js';
import { CommandError } from '../report.js';

/** Status updates of the controller's own come between. */
const TRIES = 20;

/** @param changed the body as it is to be; undefined: it is so already. @returns whether anything was changed */
export async function change<B extends Body>(
  client: ResourceClient,
  name: string,
  changed: (body: B) => B | undefined,
): Promise<boolean> {
  for (let tries = 1; ; tries++) {
    const { resource } = await client.get({ name });
    const kind = resource?.kind;
    if (!resource || kind === undefined)
      throw new CommandError(`${name} is of a kind that is not known here`);
    // with the etag that was read
    const body = changed(bodyOf(resource) as B);
    if (!body) return false;
    const next: AnyResource = { kind, [kind]: body };
    try {
      await client.update({ resources: [next], validateOnly: false, requestId: '' });
      return true;
    } catch (error) {
      if (!(error instanceof ApiError && error.reason === 'ETAG_MISMATCH') || tries === TRIES) throw error;
    }
  }
}
