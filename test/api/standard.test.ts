/** Health and reflection, asked by a client that knows nothing of this API. */
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import { service as healthService } from 'grpc-health-check';
import protobuf from 'protobufjs';
import descriptor from 'protobufjs/ext/descriptor.js';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { type Bench, startBench } from './support.js';

let bench: Bench;
let client: Client;
const identity = (bytes: Buffer): Buffer => bytes;

// The parts of grpc/reflection/v1/reflection.proto and grpc/health/v1/health.proto that a client needs.
const { root: protocol } = protobuf.parse(`syntax = "proto3";
  message Question { oneof q { string file_containing_symbol = 4; string list_services = 7; } }
  message Answer { Files file_descriptor_response = 4; Services list_services_response = 6; Failure error_response = 7; }
  message Files { repeated bytes file_descriptor_proto = 1; }
  message Services { repeated Service service = 1; }
  message Service { string name = 1; }
  message Failure { int32 error_code = 1; }
  message Check { string service = 1; }
  message Health { int32 status = 1; }`);

beforeAll(async () => {
  bench = await startBench({ getMachine: () => ({ name: 'P', interfaces: [{ name: 'to-X', index: 3 }] }) });
  client = new Client(`unix:${bench.socketPath}`, credentials.createInsecure());
});

afterAll(async () => {
  client.close();
  await bench.close();
});

type Plain = Record<string, never>;

async function reflect(version: string, question: object): Promise<Plain> {
  const call = client.makeBidiStreamRequest(
    `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
    identity,
    identity,
  );
  const type = protocol.lookupType('Question');
  call.write(Buffer.from(type.encode(type.fromObject(question)).finish()));
  for await (const bytes of call) {
    call.cancel();
    return protocol
      .lookupType('Answer')
      .toObject(protocol.lookupType('Answer').decode(bytes as Buffer)) as Plain;
  }
  throw new Error('no answer');
}

async function unary(path: string, bytes: Uint8Array): Promise<Buffer> {
  return new Promise((done, fail) => {
    client.makeUnaryRequest(path, identity, identity, Buffer.from(bytes), new Metadata(), (error, value) => {
      if (error || !value) fail(error ?? new Error('no answer'));
      else done(value);
    });
  });
}

test.each(['v1', 'v1alpha'])('reflection %s lists the services', async (version) => {
  const answer = await reflect(version, { listServices: '*' });
  const { service } = answer['listServicesResponse'] as unknown as { service: { name: string }[] };
  expect(service.map(({ name }) => name).toSorted()).toEqual([
    'cabernet.node.v1.NodeService',
    'grpc.health.v1.Health',
  ]);
});

test('a client can call what reflection describes', async () => {
  const answer = await reflect('v1', { fileContainingSymbol: 'cabernet.node.v1.NodeService' });
  const { fileDescriptorProto } = answer['fileDescriptorResponse'] as unknown as {
    fileDescriptorProto: Buffer[];
  };
  const set = descriptor.FileDescriptorSet.create({
    file: fileDescriptorProto.map((bytes) => descriptor.FileDescriptorProto.decode(bytes)),
  });
  const fromDescriptor = (protobuf.Root as unknown as { fromDescriptor(set: object): protobuf.Root })
    .fromDescriptor;
  const root = fromDescriptor.call(protobuf.Root, set).resolveAll();
  const method = root.lookupService('cabernet.node.v1.NodeService').methods['GetMachine']!;
  const bytes = await unary(
    '/cabernet.node.v1.NodeService/GetMachine',
    method.resolvedRequestType!.encode({}).finish(),
  );
  const machine = method.resolvedResponseType!.decode(bytes).toJSON();
  expect(machine).toMatchObject({ name: 'P', interfaces: [{ name: 'to-X', index: 3 }] });
  const route = root.lookupType('cabernet.node.v1.Route');
  expect(Object.keys(route.fields).map((name) => route.fields[name]!.name)).toContain('nextHops');
});

test('an unknown symbol is not found', async () => {
  expect(await reflect('v1', { fileContainingSymbol: 'nothing' })).toMatchObject({
    errorResponse: { errorCode: 5 },
  });
});

test('health follows the server', async () => {
  expect(Object.values(healthService).map((method) => method.path)).toContain('/grpc.health.v1.Health/Check');
  const check = async (service: string): Promise<number> => {
    const bytes = await unary(
      '/grpc.health.v1.Health/Check',
      protocol.lookupType('Check').encode({ service }).finish(),
    );
    return (protocol.lookupType('Health').decode(bytes).toJSON() as { status: number }).status;
  };
  expect(await check('')).toBe(1);
  expect(await check('cabernet.node.v1.NodeService')).toBe(1);
  bench.server.setServing(false);
  expect(await check('cabernet.node.v1.NodeService')).toBe(2);
  bench.server.setServing(true);
  expect(await check('cabernet.node.v1.NodeService')).toBe(1);
  await expect(check('nothing')).rejects.toMatchObject({ code: 5 });
});
