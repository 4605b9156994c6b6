/**
 * One Apply stream as it comes in: begin, resources in batches, commit. Each batch is checked as it arrives, so
 * that a long stream never keeps the agent from its other work; nothing changes before the commit.
 */
import { checkResource } from './intent.js';
import { checkOwner } from './intent-names.js';
import { type Intent, sameIntent } from './model.js';
import { conflict, invalid, tooMuch } from './refusal.js';
import { Holding } from './registry.js';
import type * as wire from './wire.js';

/** Resources of one stream; well above what the tables hold. */
export const MAX_RESOURCES = 2_000_000;

/** What streams that are under way hold, all together: it is bounded, whoever sends them and never commits. */
export class UnderWay {
  #count = 0;

  /** Throws ApiError. What was taken is given back by `leave`. */
  take(resources: number): void {
    if (this.#count + resources > MAX_RESOURCES) {
      const what = `${this.#count} resources of streams are under way, of ${MAX_RESOURCES}: repeat it later`;
      throw tooMuch('STREAMS_TOO_LONG', 'resources', what);
    }
    this.#count += resources;
  }

  leave(resources: number): void {
    this.#count -= resources;
  }
}

const FIELDS: Record<Intent['kind'], string> = {
  node: 'virtual_node',
  tunnel: 'tunnel',
  wire: 'wire',
  bfdPeer: 'bfd_peer',
  vif: 'vif',
  label: 'label',
  address: 'address',
  route: 'route',
};

export class Collection {
  readonly holding: Holding;
  readonly validateOnly: boolean;
  readonly #present: Holding | undefined;
  /** Where things came from; of routes, which are many, only in order. */
  readonly #indices = new Map<Intent, number>();
  readonly #routes: Intent[] = [];
  readonly #routeIndices: number[] = [];
  #count = 0;

  /** `presentOf`: what an owner has, so that what stays the same is kept once. */
  constructor(begin: wire.ApplyBegin, presentOf?: (owner: string) => Holding | undefined) {
    const owner = checkOwner(begin.owner, 'begin.owner');
    this.#present = presentOf?.(owner);
    this.holding = new Holding(owner, BigInt(begin.epoch ?? 0));
    this.validateOnly = begin.validateOnly ?? false;
  }

  get count(): number {
    return this.#count;
  }

  add(batch: wire.ApplyResources): void {
    for (const resource of batch.resources ?? []) {
      const index = this.#count++;
      if (index >= MAX_RESOURCES)
        throw tooMuch('STREAM_TOO_LONG', `resources[${index}]`, `more than ${MAX_RESOURCES}`);
      const given = checkResource(resource, index);
      const known = this.#present?.find(given);
      const intent = known && sameIntent(known, given) ? known : given;
      if (!this.holding.add(intent)) {
        throw conflict(
          'DUPLICATE',
          `resources[${index}].${FIELDS[intent.kind]}`,
          'is in this stream already',
        );
      }
      if (intent.kind !== 'route') this.#indices.set(intent, index);
      else {
        this.#routes.push(intent);
        this.#routeIndices.push(index);
      }
    }
  }

  /** The stream is whole. */
  commit(commit: wire.ApplyCommit): void {
    const announced = commit.resourceCount ?? 0;
    if (announced === this.#count) return;
    throw invalid(
      'STREAM_TRUNCATED',
      'commit.resource_count',
      `${announced} resources announced, ${this.#count} received`,
    );
  }

  /** `resources[3].vif`: where an intent came from. */
  fieldOf(intent: Intent): string {
    const index = this.#indices.get(intent) ?? this.#routeIndices[this.#routes.indexOf(intent)];
    return `resources[${index ?? 0}].${FIELDS[intent.kind]}`;
  }
}
