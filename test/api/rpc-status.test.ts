/** Read back by protobufjs from the messages as googleapis defines them. */
import protobuf from 'protobufjs';
import { expect, test } from 'vitest';

import { invalidArgument, toStatus, unavailable } from '../../src/api/errors.js';

const { root } = protobuf.parse(
  `syntax = "proto3"; package google.rpc;
   message Any { string type_url = 1; bytes value = 2; }
   message Status { int32 code = 1; string message = 2; repeated Any details = 3; }
   message ErrorInfo { string reason = 1; string domain = 2; map<string, string> metadata = 3; }
   message BadRequest {
     message FieldViolation { string field = 1; string description = 2; string reason = 3; }
     repeated FieldViolation field_violations = 1;
   }`,
);
const read = (type: string, bytes: Uint8Array): Record<string, unknown> => {
  const found = root.lookupType(`google.rpc.${type}`);
  return found.toObject(found.decode(bytes), { bytes: Buffer });
};

function detailsOf(error: Parameters<typeof toStatus>[0]): {
  status: Record<string, unknown>;
  details: Record<string, unknown>[];
} {
  const [bytes] = toStatus(error).metadata.get('grpc-status-details-bin');
  const status = read('Status', bytes as Buffer);
  const details = (status['details'] as { typeUrl: string; value: Buffer }[]).map(({ typeUrl, value }) =>
    read(typeUrl.replace('type.googleapis.com/google.rpc.', ''), value),
  );
  return { status, details };
}

test('an error is a google.rpc.Status with ErrorInfo and the field at fault', () => {
  const { status, details } = detailsOf(
    invalidArgument({
      reason: 'MTU',
      operation: 'Apply',
      field: 'resources[3].vif.mtu',
      message: 'Too big ä.',
    }),
  );
  expect(status).toMatchObject({ code: 3, message: 'Too big ä.' });
  expect(details).toEqual([
    { reason: 'MTU', domain: 'cabernet', metadata: { operation: 'Apply' } },
    { fieldViolations: [{ field: 'resources[3].vif.mtu', description: 'Too big ä.', reason: 'MTU' }] },
  ]);
});

test('without a field there is no BadRequest; a long message is cut, and all trailers stay small', () => {
  const error = unavailable({ reason: 'AWAY', operation: 'X', message: 'x'.repeat(5000) });
  const { status, details } = detailsOf(error);
  expect(details).toHaveLength(1);
  expect((status['message'] as string).length).toBe(500);
  const { metadata } = toStatus(error);
  const bytes = Object.entries(metadata.getMap()).reduce(
    (sum, [key, value]) => sum + key.length + value.length,
    0,
  );
  expect(bytes).toBeLessThan(4096);
});
