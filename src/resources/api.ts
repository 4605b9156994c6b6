/** The three controllers' APIs as one: what they have in common. */
import { type CallOptions, type Client, connect } from '../api/client.js';
import { type TlsTarget, type UnixTarget } from '../api/connection.js';
import { ConnectivityService, resourceType as connectivityResource } from '../api/connectivity.js';
import { InfrastructureService, resourceType as infrastructureResource } from '../api/infrastructure.js';
import { type MessageType } from '../api/message.js';
import { resourceType as serviceResource, ServiceNetworkService } from '../api/service.js';
import { type EventType, type Report, type ResourceStatus } from '../api/types.js';
import { type LayerName } from './layer-name.js';

/** What every resource has. */
export interface Body {
  readonly name: string;
  readonly status?: ResourceStatus | undefined;
}

/** A package's `Resource`: its body is the member that `kind` names. */
export interface AnyResource {
  readonly kind?: string | undefined;
  readonly [member: string]: unknown;
}

export interface ListAnswer {
  readonly resources: readonly AnyResource[];
  readonly nextPageToken: string;
  readonly resumeToken: string;
}

export interface WatchAnswer {
  readonly type: EventType;
  readonly resource?: AnyResource | undefined;
  readonly resumeToken: string;
}

export { type Report } from '../api/types.js';

/** What every controller's API can do with resources, and with reports: a service provider's answers UNIMPLEMENTED. */
export interface ResourceClient {
  get(request: { name: string }, options?: CallOptions): Promise<{ readonly resource?: AnyResource }>;
  list(
    request: { collection: string; pageSize?: number; pageToken?: string },
    options?: CallOptions,
  ): Promise<ListAnswer>;
  update(
    request: { resources: readonly AnyResource[]; validateOnly: boolean; requestId: string },
    options?: CallOptions,
  ): Promise<{ readonly resources: readonly AnyResource[] }>;
  delete(
    request: { names: readonly string[]; allowMissing: boolean; validateOnly: boolean },
    options?: CallOptions,
  ): Promise<unknown>;
  watch(
    request: { collections: readonly string[]; resumeToken: string; includeCurrent: boolean },
    options?: CallOptions,
  ): AsyncIterable<WatchAnswer>;
  listReports(
    request: { lease: string; startTime: string; resolution: number; summary: boolean; pageToken: string },
    options?: CallOptions,
  ): Promise<{ readonly reports: readonly Report[]; readonly nextPageToken: string }>;
  /** Until the controller answers. @throws ApiError UNREACHABLE after `deadlineMs` */
  ready(deadlineMs: number): Promise<void>;
  close(): void;
}

export interface LayerApi {
  readonly name: LayerName;
  /** `cabernet.infrastructure.v1.Resource` */
  readonly type: MessageType<object>;
  readonly connect: (target: UnixTarget | TlsTarget) => ResourceClient;
}

// The five methods have the same shape in each package; only the members of `Resource` differ, which a kind tells.
type Five = 'get' | 'list' | 'update' | 'delete' | 'watch' | 'ready' | 'close';
const common = (client: Pick<Client<never>, never> & Record<Five, unknown>): ResourceClient =>
  client as unknown as ResourceClient;
const typeOf = (type: unknown): MessageType<object> => type as MessageType<object>;

export const APIS: Readonly<Record<LayerName, LayerApi>> = {
  infrastructure: {
    name: 'infrastructure',
    type: typeOf(infrastructureResource),
    connect: (target) => common(connect(InfrastructureService, target)),
  },
  connectivity: {
    name: 'connectivity',
    type: typeOf(connectivityResource),
    connect: (target) => common(connect(ConnectivityService, target)),
  },
  service: {
    name: 'service',
    type: typeOf(serviceResource),
    connect: (target) => common(connect(ServiceNetworkService, target)),
  },
};

const NOBODY: Body = { name: '' };

/** Of a kind that this version does not know: no name. */
export function bodyOf(resource: AnyResource | undefined): Body {
  const { kind } = resource ?? {};
  const body = kind === undefined ? undefined : resource?.[kind];
  return body === undefined ? NOBODY : (body as Body);
}
