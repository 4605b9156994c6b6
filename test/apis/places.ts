/** Who calls, and the servers that are called. */
import { type Layer } from './deployment.js';

/** Certificates of this deployment, each with its own name only. */
export const CALLERS = [
  'infrastructure/one',
  'infrastructure/two',
  'infrastructure/three',
  'infrastructure/conn',
  'connectivity/conn',
  'connectivity/other',
  'connectivity/one',
  'connectivity/stranger',
  'service/iptv',
  'service/games',
  'service/conn',
  'service/stranger',
  'operator/alice',
  'operator/one',
  'agent/one/P',
  'agent/one/Q',
  'agent/two/P',
] as const;

export const NOBODY = 'without a certificate';
/** Certificates of nobody who is known here, all of them called as somebody who may everything. */
export const STRANGERS = [
  'expired',
  'not yet valid',
  'revoked',
  'of another deployment',
  'of a twin authority',
  NOBODY,
];

/** Health and reflection of each server, for whoever may call anything there. */
export const STANDARD: readonly (readonly [path: string, request: Uint8Array])[] = [
  ['/grpc.health.v1.Health/Check', Buffer.alloc(0)],
  ['/grpc.health.v1.Health/Watch', Buffer.alloc(0)],
  ['/grpc.health.v1.Health/List', Buffer.alloc(0)],
  // list_services of everything
  ['/grpc.reflection.v1.ServerReflection/ServerReflectionInfo', Buffer.of(0x3a, 0x01, 0x2a)],
  ['/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo', Buffer.of(0x3a, 0x01, 0x2a)],
];

export interface Place {
  readonly layer: Layer | 'agent';
  /** Whose server it is. */
  readonly owner: string;
  readonly services: readonly string[];
  /** Of a refusal. */
  readonly reason: (caller: string) => string;
}

const ROLE = (): string => 'ROLE';
export const PLACES: readonly Place[] = [
  {
    layer: 'infrastructure',
    owner: 'infrastructure/one',
    services: ['cabernet.infrastructure.v1.InfrastructureService', 'cabernet.infrastructure.v1.PathService'],
    reason: ROLE,
  },
  {
    layer: 'connectivity',
    owner: 'connectivity/conn',
    services: ['cabernet.connectivity.v1.ConnectivityService'],
    reason: ROLE,
  },
  {
    layer: 'service',
    owner: 'service/iptv',
    services: ['cabernet.service.v1.ServiceNetworkService'],
    reason: ROLE,
  },
  {
    layer: 'agent',
    owner: 'infrastructure/one',
    services: ['cabernet.node.v1.NodeService'],
    reason: (caller) => (caller.startsWith('operator/') ? 'OPERATORS_READ' : 'NOT_OUR_PROVIDER'),
  },
];
