/*
 * Controllers of a benchmark's world, asked by their operator.
 */
import { type AnyResource, bodyOf, type ResourceClient } from '../src/resources/api.js';
import { waitUntilGone, waitUntilReady } from '../src/resources/wait.js';
import { controllerClient } from '../src/world/controllers.js';
import { type Provider } from '../src/world/manifests.js';
import { worldDirectory } from '../src/world/place.js';

/** What everything asked for may take, seconds. */
const timeoutSeconds = 600;

export class Desk {
  readonly client: ResourceClient;

  constructor(world: string, provider: Provider) {
    this.client = controllerClient(worldDirectory(world), provider);
  }

  /** Until a resource is reconciled. */
  async ready(...names: readonly string[]): Promise<void> {
    const goals = await Promise.all(
      names.map(async (name) => {
        const { resource } = await this.client.get({ name });
        const { generation = 0n, etag = '' } = bodyOf(resource).status ?? {};
        return { name, generation, etag, unchanged: true };
      }),
    );
    await waitUntilReady(this.client, goals, { timeoutSeconds, onReady: () => Promise.resolve() });
  }

  /** Admitted; not yet in force. */
  async update(resources: readonly AnyResource[]): Promise<readonly string[]> {
    const answer = await this.client.update({ resources, validateOnly: false, requestId: '' });
    return answer.resources.map((resource) => bodyOf(resource).name);
  }

  async delete(names: readonly string[]): Promise<void> {
    await this.client.delete({ names, allowMissing: true, validateOnly: false });
  }

  gone(...names: readonly string[]): Promise<void> {
    return waitUntilGone(this.client, names, timeoutSeconds);
  }

  close(): void {
    this.client.close();
  }
}
