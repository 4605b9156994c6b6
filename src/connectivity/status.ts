/** Changes of a resource's status. */
import { type ResourceStatus } from '../api/types.js';

interface WithStatus {
  readonly status?: ResourceStatus | undefined;
}

const NEW: ResourceStatus = {
  etag: '',
  generation: 1n,
  observedGeneration: 0n,
  reconciling: false,
  state: '',
  message: '',
  createTime: '',
  updateTime: '',
};

export function withStatus<B extends WithStatus>(body: B, change: Partial<ResourceStatus>): B {
  return { ...body, status: { ...NEW, ...body.status, ...change } };
}

export function generationOf(body: WithStatus): bigint {
  return body.status?.generation ?? 0n;
}
