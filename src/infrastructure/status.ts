/** The controller's part of a resource, as this controller writes it. */
import { type ResourceStatus } from '../api/types.js';

const NEW: ResourceStatus = {
  etag: '',
  generation: 0n,
  observedGeneration: 0n,
  reconciling: false,
  state: '',
  message: '',
  createTime: '',
  updateTime: '',
};

/** Something else is wanted of it than before. */
export function wanted(before: ResourceStatus | undefined, state = 'pending', message = ''): ResourceStatus {
  return {
    ...NEW,
    ...before,
    generation: (before?.generation ?? 0n) + 1n,
    reconciling: true,
    state,
    message,
  };
}

/** It is as it should be. */
export function settled(before: ResourceStatus | undefined, state = 'ready', message = ''): ResourceStatus {
  const generation = before?.generation ?? 1n;
  return {
    ...NEW,
    ...before,
    generation,
    observedGeneration: generation,
    reconciling: false,
    state,
    message,
  };
}
