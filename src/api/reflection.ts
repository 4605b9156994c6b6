/**
 * Health (grpc.health.v1) and reflection (grpc.reflection.v1, v1alpha), so that generic clients can ask a server
 * whether it serves and what. The descriptors are those that buf compiled from `proto/`, comments included.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

import { type handleBidiStreamingCall, type Server, type ServiceDefinition } from '@grpc/grpc-js';
import { type ReflectionService } from '@grpc/reflection';
import { HealthImplementation, service as healthService } from 'grpc-health-check';
import protobuf from 'protobufjs/minimal.js';

import { identity } from './wire.js';

type PackageDefinition = ConstructorParameters<typeof ReflectionService>[0];

/** The files of a google.protobuf.FileDescriptorSet: its field 1, each one encoded. */
function filesOf(set: Uint8Array): Buffer[] {
  const reader = protobuf.Reader.create(set);
  const files: Buffer[] = [];
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag >>> 3 === 1) files.push(Buffer.from(reader.bytes()));
    else reader.skipType(tag & 7);
  }
  return files;
}

function definition(fileDescriptorProtos: Buffer[]): PackageDefinition[string] {
  return { format: 'Protocol Buffer 3 EnumDescriptorProto', type: {}, fileDescriptorProtos };
}

/** What the library adds to a server for one version of the service. */
interface Reflection {
  readonly method: ServiceDefinition[string];
  readonly handle: handleBidiStreamingCall<unknown, unknown>;
}

const HEALTH = 'grpc.health.v1.Health';
const METHOD = 'ServerReflectionInfo';

/** By the method's path. The library reads and links all descriptors: a seventh of a server's start. */
function loadReflection(services: string[]): ReadonlyMap<string, Reflection> {
  const library = createRequire(import.meta.url)('@grpc/reflection') as {
    readonly ReflectionService: typeof ReflectionService;
  };
  const packages: PackageDefinition = {
    cabernet: definition(filesOf(readFileSync(new URL('../../gen/cabernet.binpb', import.meta.url)))),
  };
  const health = Object.values(healthService)[0];
  if (health) packages['health'] = definition(health.requestType.fileDescriptorProtos);
  const found = new Map<string, Reflection>();
  new library.ReflectionService(packages, { services }).addToServer({
    addService(service, implementation) {
      const method = service[METHOD];
      const handle = implementation[METHOD];
      if (method && handle)
        found.set(method.path, { method, handle: handle as handleBidiStreamingCall<unknown, unknown> });
    },
  });
  return found;
}

/** Adds reflection of these services and of health; it is loaded when it is asked for the first time. */
export function addReflection(server: Pick<Server, 'addService'>, services: readonly string[]): void {
  let loaded: ReadonlyMap<string, Reflection> | undefined;
  for (const version of ['v1', 'v1alpha']) {
    const path = `/grpc.reflection.${version}.ServerReflection/${METHOD}`;
    const reflection = (): Reflection => {
      loaded ??= loadReflection([...services, HEALTH]);
      const found = loaded.get(path);
      if (!found) throw new Error(`@grpc/reflection has no ${path}`);
      return found;
    };
    const method: ServiceDefinition[string] = {
      path,
      requestStream: true,
      responseStream: true,
      requestSerialize: identity,
      responseDeserialize: identity,
      requestDeserialize: (bytes): unknown => reflection().method.requestDeserialize(bytes),
      responseSerialize: (value) => reflection().method.responseSerialize(value),
    };
    const handle: handleBidiStreamingCall<unknown, unknown> = (stream) => reflection().handle(stream);
    server.addService({ [METHOD]: method }, { [METHOD]: handle });
  }
}

/** Adds health, SERVING for the server as a whole and for each service; the function changes all of them. */
export function addHealth(server: Server, services: readonly string[]): (serving: boolean) => void {
  const names = ['', ...services];
  const health = new HealthImplementation(
    Object.fromEntries(names.map((name) => [name, 'SERVING' as const])),
  );
  health.addToServer(server);
  return (serving) => {
    for (const name of names) health.setStatus(name, serving ? 'SERVING' : 'NOT_SERVING');
  };
}
