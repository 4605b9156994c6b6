/** Calls to suppliers, and which failures are worth repeating. */
import { type Client } from '../api/client.js';
import { ApiError, Status } from '../api/errors.js';
import { InfrastructureService, type v1 } from '../api/infrastructure.js';
import { type Dialer } from '../controller/dial.js';
import { idOf } from './names.js';

export type Supply = Client<InstanceType<typeof v1.InfrastructureService>>;

export class Suppliers {
  readonly #dialer: Dialer;
  readonly #clients = new Map<string, { readonly address: string; readonly client: Supply }>();

  constructor(dialer: Dialer) {
    this.#dialer = dialer;
  }

  /**
   * @param supplier `suppliers/PROVIDER`
   * @throws ApiError when nothing can be called there
   */
  at(supplier: string, address: string): Supply {
    const known = this.#clients.get(supplier);
    if (known?.address === address) return known.client;
    const client = this.#dialer.dial(InfrastructureService, address, {
      role: 'infrastructure',
      name: idOf(supplier),
    });
    known?.client.close();
    this.#clients.set(supplier, { address, client });
    return client;
  }

  close(): void {
    for (const { client } of this.#clients.values()) client.close();
    this.#clients.clear();
  }
}

const PASSING: ReadonlySet<Status> = new Set([
  Status.UNAVAILABLE,
  Status.DEADLINE_EXCEEDED,
  Status.CANCELLED,
  Status.UNKNOWN,
  Status.INTERNAL,
  Status.ABORTED,
]);

/** Nobody answered, or it went wrong there: the same again may well succeed. Anything else is an answer. */
export function isPassing(error: unknown): boolean {
  return !(error instanceof ApiError) || PASSING.has(error.status);
}

export function isGone(error: unknown): boolean {
  return error instanceof ApiError && error.status === Status.NOT_FOUND;
}

export function said(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
