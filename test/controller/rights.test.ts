import { expect, test } from 'vitest';

import { type Caller, LOCAL } from '../../src/api/peer.js';
import { rightsOf } from '../../src/controller/rights.js';

const SERVICE = 'cabernet.infrastructure.v1.InfrastructureService';
const PATHS = 'cabernet.infrastructure.v1.PathService';
const gate = rightsOf(
  { role: 'infrastructure', name: 'one' },
  { [SERVICE]: { connectivity: ['Get', 'Reserve'] }, [PATHS]: { infrastructure: ['ComputeTree'] } },
);
const named = (role: 'infrastructure' | 'connectivity' | 'service' | 'operator', name: string): Caller => ({
  deployment: 'test',
  role,
  name,
});
const agent: Caller = { deployment: 'test', role: 'agent', name: 'one', machine: 'P' };
const health = ['grpc.health.v1.Health', 'Check'] as const;

test.each<[string, Caller, readonly [service: string, method: string], boolean]>([
  ['the local operator', LOCAL, [SERVICE, 'Delete'], true],
  ['an operator', named('operator', 'ann'), [SERVICE, 'Delete'], true],
  ['the provider itself', named('infrastructure', 'one'), [SERVICE, 'Delete'], true],
  ['another of its kind, by its own service', named('infrastructure', 'two'), [SERVICE, 'Get'], false],
  ['another of its kind, by that for it', named('infrastructure', 'two'), [PATHS, 'ComputeTree'], true],
  [
    'another of its kind, what is not listed',
    named('infrastructure', 'two'),
    [PATHS, 'ReleaseSegment'],
    false,
  ],
  ['a customer, what is listed', named('connectivity', 'one'), [SERVICE, 'Reserve'], true],
  ['a customer, what is not', named('connectivity', 'one'), [SERVICE, 'Delete'], false],
  ['a customer, by another service', named('connectivity', 'one'), [PATHS, 'ComputeTree'], false],
  ['a customer, a service that is not there', named('connectivity', 'one'), ['constructor', 'Get'], false],
  ['two layers up', named('service', 'one'), [SERVICE, 'Get'], false],
  ['two layers up, also health', named('service', 'one'), health, false],
  ['its own agent', agent, [SERVICE, 'Get'], false],
  ['its own agent, also health', agent, health, false],
  ['a customer, health', named('connectivity', 'one'), health, true],
  [
    'a customer, reflection',
    named('connectivity', 'one'),
    ['grpc.reflection.v1.ServerReflection', 'ServerReflectionInfo'],
    true,
  ],
])('%s', (_, principal, [service, method], allowed) => {
  expect(gate({ principal, service, method })?.reason).toBe(allowed ? undefined : 'ROLE');
});
