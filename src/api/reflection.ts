/**
 * Health (grpc.health.v1) and reflection (grpc.reflection.v1, v1alpha), so that generic clients can ask a server
 * whether it serves and what. The descriptors are those that buf compiled from `proto/`, comments included.
 */
import { readFileSync } from 'node:fs';

import { type Server } from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';
import { HealthImplementation, service as healthService } from 'grpc-health-check';
import protobuf from 'protobufjs/minimal.js';

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

/** Adds reflection of everything in `proto/` and of health. */
export function addReflection(server: Pick<Server, 'addService'>): void {
  const packages: PackageDefinition = {
    cabernet: definition(filesOf(readFileSync(new URL('../../gen/cabernet.binpb', import.meta.url)))),
  };
  const health = Object.values(healthService)[0];
  if (health) packages['health'] = definition(health.requestType.fileDescriptorProtos);
  new ReflectionService(packages).addToServer(server);
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
